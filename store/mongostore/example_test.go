package mongostore_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/mongostore"
	"github.com/telemed-go/telemed/store/mongostore/internal/wiretest"
)

func Example() {
	server, err := wiretest.Start() // a host has a MongoDB
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	ctx := context.Background()
	client, err := mongo.Connect(options.Client().ApplyURI(server.URI()))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Disconnect(ctx)

	tokens, err := mongostore.New(mongostore.Config{Database: client.Database("hospital")})
	if err != nil {
		log.Fatal(err)
	}
	key := store.Key{Provider: "zoom", Subject: "doctor-1"}
	err = store.Set(ctx, tokens, key, store.Token{Access: store.NewSecret("access"), Refresh: store.NewSecret("refresh")})
	if err != nil {
		log.Fatal(err)
	}
	rec, err := tokens.Get(ctx, key)
	fmt.Println(rec.Status, rec.Token.Access, err)

	rec.Revision = "of another process"
	_, err = tokens.Put(ctx, rec)
	fmt.Println(errors.Is(err, store.ErrConflict))
	// Output:
	// active [redacted] <nil>
	// true
}

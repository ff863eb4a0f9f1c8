package mongostore_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/durable"
	"github.com/telemed-go/telemed/store/mongostore"
	"github.com/telemed-go/telemed/store/mongostore/internal/wiretest"
)

// database returns that of a small server in memory. An application has a MongoDB.
func database() (db *mongo.Database, end func()) {
	server, err := wiretest.Start()
	if err != nil {
		log.Fatal(err)
	}
	client, err := mongo.Connect(options.Client().ApplyURI(server.URI()))
	if err != nil {
		log.Fatal(err)
	}
	return client.Database("hospital"), func() {
		_ = client.Disconnect(context.Background())
		_ = server.Close()
	}
}

func Example() {
	ctx := context.Background()
	db, end := database()
	defer end()

	keys, err := store.NewKeyring(store.NewKey()) // an application keeps its keys in its configuration
	if err != nil {
		log.Fatal(err)
	}
	tokens, err := mongostore.New(mongostore.Config{Database: db, Seal: keys})
	if err != nil {
		log.Fatal(err)
	}
	key := store.AccountID{Provider: "zoom", Subject: "doctor-1"}
	err = store.Set(ctx, tokens, key, store.Token{Access: telemed.NewSecret("access"), Refresh: telemed.NewSecret("refresh")})
	if err != nil {
		log.Fatal(err)
	}
	rec, err := tokens.Get(ctx, key)
	fmt.Println(rec.Status, rec.Token.Access, err)

	rec.Revision = "of another process"
	_, err = tokens.Put(ctx, rec)
	fmt.Println(errors.Is(err, telemed.ErrConflict))
	// Output:
	// active [redacted] <nil>
	// true
}

// A meeting is made once in all processes, and what came of it is kept for a year. A
// daily job deletes what is over.
func ExampleStore_Claim() {
	ctx := context.Background()
	db, end := database()
	defer end()
	keys, err := store.NewKeyring(store.NewKey())
	if err != nil {
		log.Fatal(err)
	}
	st, err := mongostore.New(mongostore.Config{Database: db, Seal: keys})
	if err != nil {
		log.Fatal(err)
	}

	const key = "zoom:create:doctor-7:appt-42"
	mine, err := st.Claim(ctx, key, time.Minute)
	fmt.Println(mine.State, err)
	others, err := st.Claim(ctx, key, time.Minute)
	fmt.Println(others.State, err)
	err = st.Complete(ctx, key, mine.Token, []byte("82000000001"), 366*24*time.Hour)
	fmt.Println("completed:", err)
	others, err = st.Claim(ctx, key, time.Minute)
	fmt.Println(others.State, string(others.Value), err)

	purged, err := st.PurgeClaims(ctx)
	fmt.Println("purged:", purged, err)
	// Output:
	// new <nil>
	// busy <nil>
	// completed: <nil>
	// done 82000000001 <nil>
	// purged: 0 <nil>
}

// A row that says what is to be done commits with the appointment, or not at all.
func ExampleStore_Rows() {
	ctx := context.Background()
	db, end := database()
	defer end()
	keys, err := store.NewKeyring(store.NewKey())
	if err != nil {
		log.Fatal(err)
	}
	st, err := mongostore.New(mongostore.Config{Database: db, Seal: keys, SealStrict: true})
	if err != nil {
		log.Fatal(err)
	}
	session, err := db.Client().StartSession()
	if err != nil {
		log.Fatal(err)
	}
	defer session.EndSession(ctx)

	id := durable.ID{Kind: "reminder", Name: "appt-42"}
	book := func(doctorIsThere bool) error {
		_, err := session.WithTransaction(ctx, func(ctx context.Context) (any, error) {
			if _, err := db.Collection("appointments").InsertOne(ctx, bson.D{{Key: "_id", Value: "appt-42"}}); err != nil {
				return nil, err
			}
			_, err := durable.Change(ctx, st.Rows(), id, func(item *durable.Item) error {
				item.Due = time.Now()
				return nil
			})
			if err == nil && !doctorIsThere {
				err = errors.New("the doctor is away")
			}
			return nil, err
		})
		return err
	}
	fmt.Println(book(false))
	_, err = st.Rows().Get(ctx, id)
	fmt.Println(errors.Is(err, telemed.ErrNotFound))
	fmt.Println(book(true))
	_, err = st.Rows().Get(ctx, id)
	fmt.Println(err)
	// Output:
	// the doctor is away
	// true
	// <nil>
	// <nil>
}

// The tokens of an application that kept them in its doctors' documents move into an
// encrypted store.
func ExampleImportSeed() {
	ctx := context.Background()
	db, end := database()
	defer end()
	_, err := db.Collection("doctors").InsertOne(ctx, bson.D{
		{Key: "_id", Value: "doctor-1"}, {Key: "googleMeetConnected", Value: true},
		{Key: "googleMeetToken", Value: bson.D{
			{Key: "access_token", Value: "access"}, {Key: "refresh_token", Value: "refresh"},
			{Key: "scope", Value: "https://www.googleapis.com/auth/calendar.events"},
			{Key: "token_type", Value: "Bearer"}, {Key: "expiry_date", Value: 1795514400000.0},
		}},
		{Key: "zoomToken", Value: bson.D{ // as Zoom answered
			{Key: "access_token", Value: "access"}, {Key: "refresh_token", Value: "refresh"},
			{Key: "scope", Value: "meeting:write:meeting"}, {Key: "token_type", Value: "bearer"}, {Key: "expires_in", Value: 3599},
		}},
	})
	if err != nil {
		log.Fatal(err)
	}

	keys, err := store.NewKeyring(store.NewKey()) // an application keeps its keys in its configuration
	if err != nil {
		log.Fatal(err)
	}
	tokens, err := mongostore.New(mongostore.Config{Database: db, Seal: keys, SealStrict: true})
	if err != nil {
		log.Fatal(err)
	}
	for range 2 { // again does no harm
		for provider, field := range map[string]string{"google": "", "zoom": "zoomToken"} {
			report, err := mongostore.ImportSeed(ctx, mongostore.SeedImport{
				Doctors: db.Collection("doctors"), Tokens: tokens, Provider: provider, TokenField: field,
			})
			fmt.Printf("%s %+v %v\n", provider, report, err)
		}
	}
	// Unordered output:
	// google {Seen:1 Imported:1 Kept:0 Incomplete:0 Failed:0} <nil>
	// zoom {Seen:1 Imported:1 Kept:0 Incomplete:0 Failed:0} <nil>
	// google {Seen:1 Imported:0 Kept:1 Incomplete:0 Failed:0} <nil>
	// zoom {Seen:1 Imported:0 Kept:1 Incomplete:0 Failed:0} <nil>
}

// An appointment and the reminder that belongs to it: both are there, or neither. Code that
// takes a durable.Store takes the Tx.
func ExampleStore_InTx() {
	ctx := context.Background()
	db, end := database()
	defer end()
	st, err := mongostore.New(mongostore.Config{Database: db, InsecureClear: true})
	if err != nil {
		log.Fatal(err)
	}
	id := durable.ID{Kind: "reminder", Name: "appt-42"}
	book := func(doctorIsThere bool) error {
		return st.InTx(ctx, func(tx *mongostore.Tx) error { // again, if somebody else was faster
			if _, err := db.Collection("appointments").InsertOne(tx.Context(ctx), bson.D{{Key: "_id", Value: "appt-42"}}); err != nil {
				return err
			}
			if _, err := tx.Put(ctx, durable.Item{ID: id, Due: time.Now()}); err != nil || doctorIsThere {
				return err
			}
			return errors.New("the doctor is away")
		})
	}
	fmt.Println(book(false))
	_, err = st.Rows().Get(ctx, id)
	fmt.Println(errors.Is(err, telemed.ErrNotFound))
	fmt.Println(book(true))
	_, err = st.Rows().Get(ctx, id)
	fmt.Println(err)
	// Output:
	// the doctor is away
	// true
	// <nil>
	// <nil>
}

package store_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
)

// A key is changed in three deploys, while everything runs.
func ExampleSealed() {
	ctx := context.Background()
	database := store.NewMemory()
	doctor := store.AccountID{Provider: "google", Subject: "doctor-7"}
	oldKey, newKey := store.NewKey(), store.NewKey()
	open := func(keys ...telemed.Secret) store.TokenStore {
		ring, err := store.NewKeyring(keys...)
		if err != nil {
			log.Fatal(err)
		}
		return store.SealedStrict(database, ring)
	}
	if err := store.Set(ctx, open(oldKey), doctor, store.Token{Refresh: telemed.NewSecret("refresh")}); err != nil {
		log.Fatal(err)
	}

	_ = open(oldKey, newKey)                          // 1: all processes can open what the new key seals
	n, err := store.Reseal(ctx, open(newKey, oldKey)) // 2: the new key seals
	fmt.Println(n, "resealed", err)
	rec, err := open(newKey).Get(ctx, doctor) // 3: the old key is gone
	fmt.Println(rec.Token.Refresh.Reveal(), err)

	_, err = open(oldKey).Get(ctx, doctor)
	fmt.Println("the wrong key is no reason to reconnect:", errors.Is(err, telemed.ErrDecrypt), errors.Is(err, telemed.ErrReconnect))
	// Output:
	// 1 resealed <nil>
	// refresh <nil>
	// the wrong key is no reason to reconnect: true false
}

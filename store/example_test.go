package store_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"strings"
	"time"

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

	// 1: all processes can open what the new key seals.
	_ = open(oldKey, newKey)
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

// A side effect happens once, however many processes try: Claims say who does it, and
// what came of it to all others. A Memory is for one process; a database's store is for
// all.
func ExampleClaims() {
	ctx := context.Background()
	var claims store.Claims = store.NewMemory()
	const key = "zoom:create:doctor-7:appt-42"

	mine, err := claims.Claim(ctx, key, time.Minute)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("the first:", mine.State)
	other, err := claims.Claim(ctx, key, time.Minute)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("another process meanwhile:", other.State)

	// The meeting is made here. If it surely was not made, Release gives the key back.
	if err := claims.Complete(ctx, key, mine.Token, []byte("82000000001"), 24*time.Hour); err != nil {
		log.Fatal(err)
	}
	other, err = claims.Claim(ctx, key, time.Minute)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("another process later: %s, it is meeting %s\n", other.State, other.Value)
	// Output:
	// the first: new
	// another process meanwhile: busy
	// another process later: done, it is meeting 82000000001
}

// Who must be asked to connect again? A store that can list is asked for those alone.
func ExampleFilter() {
	ctx := context.Background()
	var tokens store.TokenStore = store.NewMemory()
	for subject, status := range map[string]store.Status{"doctor-7": store.StatusActive, "doctor-8": store.StatusReconnect} {
		rec := store.Record{ID: store.AccountID{Provider: "zoom", Subject: subject}, Status: status}
		if _, err := tokens.Put(ctx, rec); err != nil {
			log.Fatal(err)
		}
	}

	lister, ok := tokens.(store.Lister)
	if !ok {
		log.Fatal("this store cannot list")
	}
	for rec, err := range lister.List(ctx, store.Filter{Provider: "zoom", Status: store.StatusReconnect}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("write to", rec.ID.Subject)
	}
	// Output: write to doctor-8
}

// A store writes a token down with EncodeToken. JSON of a token is for logs: whoever
// stores that has lost the account.
func ExampleEncodeToken() {
	token := store.Token{Access: telemed.NewSecret("access"), Refresh: telemed.NewSecret("refresh")}
	logged, err := json.Marshal(token.Refresh)
	fmt.Println("JSON:", string(logged), err)

	row, err := store.EncodeToken(token)
	if err != nil {
		log.Fatal(err)
	}
	read, err := store.DecodeToken(row)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("what was stored:", read.Refresh.Reveal(), read.Same(token))
	// Output:
	// JSON: "[redacted]" <nil>
	// what was stored: refresh true
}

// A refresh answers with what has changed. Google leaves out the refresh token, and who
// forgets the old one has to send the doctor through the consent again.
func ExampleToken_Inherit() {
	old := store.Token{Access: telemed.NewSecret("access-1"), Refresh: telemed.NewSecret("refresh"), Scopes: []string{"calendar"}}
	answer := store.Token{Access: telemed.NewSecret("access-2")}

	next := answer.Inherit(old)
	fmt.Println(next.Access.Reveal(), next.Refresh.Reveal(), next.Scopes)
	fmt.Println("the same as before:", next.Same(old))
	// Output:
	// access-2 refresh [calendar]
	// the same as before: false
}

// A process without the keys must not take a sealed record for a dead account: read it
// with GetOpen, and it is an error that says nothing about the account.
func ExampleGetOpen() {
	ctx := context.Background()
	database := store.NewMemory()
	doctor := store.AccountID{Provider: "google", Subject: "doctor-7"}
	keys, err := store.NewKeyring(store.NewKey())
	if err != nil {
		log.Fatal(err)
	}
	if err := store.Set(ctx, store.SealedStrict(database, keys), doctor, store.Token{Refresh: telemed.NewSecret("refresh")}); err != nil {
		log.Fatal(err)
	}

	rec, err := database.Get(ctx, doctor)
	fmt.Println("Get: a refresh token:", !rec.Token.Refresh.IsZero(), err)
	_, err = store.GetOpen(ctx, database, doctor)
	fmt.Println("GetOpen:", errors.Is(err, telemed.ErrDecrypt))
	// Output:
	// Get: a refresh token: false <nil>
	// GetOpen: true
}

// A Keyring seals more than tokens. What it sealed opens only for the same purpose and
// the same account: a row that is copied to another doctor is worth nothing.
func ExampleKeyring_Encrypt() {
	keys, err := store.NewKeyring(store.NewKey())
	if err != nil {
		log.Fatal(err)
	}
	doctor := store.AccountID{Provider: "zoom", Subject: "doctor-7"}
	sealed, err := keys.Encrypt([]byte("what only the doctor may read"), doctor.AssociatedData("hospital.notes"))
	if err != nil {
		log.Fatal(err)
	}

	text, err := keys.Decrypt(sealed, doctor.AssociatedData("hospital.notes"))
	fmt.Println(string(text), err)
	other := store.AccountID{Provider: "zoom", Subject: "doctor-8"}
	_, err = keys.Decrypt(sealed, other.AssociatedData("hospital.notes"))
	fmt.Println("copied to another doctor:", errors.Is(err, telemed.ErrDecrypt))
	// Output:
	// what only the doctor may read <nil>
	// copied to another doctor: true
}

// Three answers of a provider are three ways to go on: it happened, it surely did not,
// and nobody knows.
func ExampleClaims_release() {
	ctx := context.Background()
	var claims store.Claims = store.NewMemory() // in production a sqlstore.Store or mongostore.Store
	calls := 0
	createMeeting := func() (string, error) { // a provider that cannot be reached at first
		if calls++; calls == 1 {
			return "", telemed.ErrUnavailable
		}
		return fmt.Sprint("meeting-", calls), nil
	}
	book := func(appointment string) (string, error) {
		key := "meeting:" + appointment
		claim, err := claims.Claim(ctx, key, time.Minute)
		switch {
		case err != nil:
			return "", err // nobody knows whose it is: the caller tries again
		case claim.State == store.ClaimDone:
			return string(claim.Value), nil
		case claim.State == store.ClaimBusy:
			return "", telemed.ErrConflict // another request is at it: the caller tries again
		case claim.Expired:
			// Somebody began and never told: look at the provider before making a second
			// one.
		}
		meeting, err := createMeeting()
		if errors.Is(err, telemed.ErrUnavailable) { // it did not happen, so the next one may
			return "", errors.Join(err, claims.Release(ctx, key, claim.Token))
		}
		if err != nil { // nobody knows: the key stays Busy until the minute is over
			return "", err
		}
		return meeting, claims.Complete(ctx, key, claim.Token, []byte(meeting), 400*24*time.Hour)
	}
	for range 3 {
		meeting, err := book("appt-42")
		fmt.Printf("%q %v\n", meeting, err)
	}
	// Output:
	// "" provider unavailable
	// "meeting-2" <nil>
	// "meeting-2" <nil>
}

// A store of the application's own checks a record before it writes it down.
func ExampleCheckRecord() {
	err := store.CheckRecord(store.Record{
		ID:     store.AccountID{Provider: "zoom", Subject: "doctor-7"},
		Reason: strings.Repeat("because ", 200),
	})
	fmt.Println(err)
	// Output:
	// store: Record.Reason is longer than 1024 bytes
}

// A store of the application's own seals what it keeps beside tokens.
func ExampleSealer() {
	keys, err := store.NewKeyring(store.NewKey())
	if err != nil {
		log.Fatal(err)
	}
	sealer := store.Sealer{AEAD: keys, Strict: true}
	stored, err := sealer.Seal("claim", "meeting:appt-42", []byte("meeting-1"))
	fmt.Println(bytes.Contains(stored, []byte("meeting")), err)
	value, err := sealer.Open("claim", "meeting:appt-42", stored)
	fmt.Println(string(value), err)
	_, err = sealer.Open("claim", "meeting:appt-43", stored)
	fmt.Println("in another place it does not open:", errors.Is(err, telemed.ErrDecrypt))
	// Output:
	// false <nil>
	// meeting-1 <nil>
	// in another place it does not open: true
}

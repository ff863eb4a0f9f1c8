package googlemeet_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"golang.org/x/oauth2"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/meet/googlemeet"
	"github.com/telemed-go/telemed/meet/googlemeet/googlemeettest"
	"github.com/telemed-go/telemed/store"
)

func Example() {
	ctx := context.Background()
	fake, err := googlemeettest.Start(googlemeettest.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer fake.Close()

	tokens := store.NewMemory()
	google, err := googlemeet.New(googlemeet.Config{
		ClientID: fake.ClientID(), ClientSecret: fake.ClientSecret(),
		RedirectURL: "http://127.0.0.1:3001/oauth/google/callback",
		Tokens:      tokens,
		Endpoints:   fake.Endpoints(), // leave out to reach Google
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer google.Shutdown(ctx)

	kolkata, _ := time.LoadLocation("Asia/Kolkata")
	req := meet.Request{Key: "appt-42", Start: time.Date(2126, 3, 1, 10, 30, 0, 0, kolkata), Duration: 30 * time.Minute}
	if _, err = google.Create(ctx, "dr-rao", req); errors.Is(err, telemed.ErrNotConnected) {
		fmt.Println("the doctor connects first")
	}

	// Package store/connect does this in a browser.
	verifier := oauth2.GenerateVerifier()
	callback, _ := fake.Authorize(google.OAuth().AuthCodeURL("state", verifier))
	answer, _ := url.Parse(callback)
	token, err := google.OAuth().Exchange(ctx, answer.Query().Get("code"), verifier)
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = store.Set(ctx, tokens, store.AccountID{Provider: googlemeet.ProviderName, Subject: "dr-rao"}, token)

	m, err := google.Create(ctx, "dr-rao", req)
	if err != nil {
		fmt.Println(err)
		return
	}
	again, _ := google.Create(ctx, "dr-rao", req)
	fmt.Println(m.Status, m.Topic, m.Start.Format(time.RFC3339), m.Duration, m.JoinURL != "", again.ID == m.ID)
	fmt.Println(google.Cancel(ctx, "dr-rao", m.ID))
	// Output:
	// the doctor connects first
	// scheduled Video consultation 2126-03-01T10:30:00+05:30 30m0s true true
	// <nil>
}

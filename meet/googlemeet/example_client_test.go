package googlemeet_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"google.golang.org/api/calendar/v3"
	"google.golang.org/api/option"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/meet/googlemeet"
	"github.com/telemed-go/telemed/meet/googlemeet/googlemeettest"
	"github.com/telemed-go/telemed/store"
)

// drRao is the record of a doctor's account.
var drRao = store.AccountID{Provider: googlemeet.ProviderName, Subject: "dr-rao"}

// connected returns a client to which Dr. Rao is connected, and the Google that it talks
// to. Example tells how a doctor connects.
func connected() (*googlemeet.Client, *googlemeettest.Server) {
	fake, err := googlemeettest.Start(googlemeettest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	token := store.Token{
		Access: telemed.NewSecret("access"), Refresh: telemed.NewSecret("refresh"),
		Expiry: time.Now().Add(time.Hour), Scopes: []string{googlemeet.ScopeEvents},
	}
	fake.Restore(token)
	tokens := store.NewMemory()
	if err := store.Set(context.Background(), tokens, drRao, token); err != nil {
		log.Fatal(err)
	}
	google, err := googlemeet.New(googlemeet.Config{
		ClientID: fake.ClientID(), ClientSecret: fake.ClientSecret(), RedirectURL: "http://127.0.0.1:3001/callback",
		Tokens: tokens, Endpoints: fake.Endpoints(), ConferenceWait: -1,
	})
	if err != nil {
		log.Fatal(err)
	}
	return google, fake
}

// Google makes the room after the event. A meeting without a link yet is no failure, and
// no reason to create another one: read it again. A negative Config.ConferenceWait does
// not wait for the room at all.
func ExampleClient_Get() {
	ctx := context.Background()
	google, fake := connected()
	defer fake.Close()
	defer google.Shutdown(ctx)
	fake.DelayRooms(1)

	m, err := google.Create(ctx, "dr-rao", meet.Request{
		Key: "appt-42", Start: time.Date(2126, 3, 1, 5, 0, 0, 0, time.UTC), Duration: 30 * time.Minute,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(m.Status, "has a link:", m.JoinURL != "")

	m, err = google.Get(ctx, "dr-rao", m.ID) // some seconds later
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(m.Status, "has a link:", m.JoinURL != "")
	// Output:
	// pending has a link: false
	// scheduled has a link: true
}

// Create finds a meeting, it does not move one: for another time its Key is a conflict,
// and the error has the meeting. Update moves it, and the patient's link stays.
func ExampleClient_Update() {
	ctx := context.Background()
	google, fake := connected()
	defer fake.Close()
	defer google.Shutdown(ctx)
	req := meet.Request{Key: "appt-42", Start: time.Date(2126, 3, 1, 5, 0, 0, 0, time.UTC), Duration: 30 * time.Minute}
	m, err := google.Create(ctx, "dr-rao", req)
	if err != nil {
		log.Fatal(err)
	}

	req.Start = req.Start.Add(time.Hour)
	_, err = google.Create(ctx, "dr-rao", req)
	if there, ok := errors.AsType[*googlemeet.Error](err); ok && there.Meeting != nil {
		fmt.Println(there.Reason, "from", there.Meeting.Start.Format(time.Kitchen))
	}
	moved, err := google.Update(ctx, "dr-rao", m.ID, req)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("to", moved.Start.Format(time.Kitchen), "at the same link:", moved.JoinURL == m.JoinURL)
	// Output:
	// moved from 5:00AM
	// to 6:00AM at the same link: true
}

// What this package does not do, Google's own library does with the doctor's token. It is
// refreshed in one place for both: two refreshers would end each other's tokens.
func ExampleClient_Tokens() {
	ctx := context.Background()
	google, fake := connected()
	defer fake.Close()
	defer google.Shutdown(ctx)
	m, err := google.Create(ctx, "dr-rao", meet.Request{
		Key: "appt-42", Start: time.Date(2126, 3, 1, 5, 0, 0, 0, time.UTC), Duration: 30 * time.Minute,
	})
	if err != nil {
		log.Fatal(err)
	}

	api, err := calendar.NewService(ctx,
		option.WithHTTPClient(google.Tokens().Client(drRao, nil)),
		option.WithEndpoint(fake.Endpoints().Calendar+"/"), // leave it out to reach Google
	)
	if err != nil {
		log.Fatal(err)
	}
	event, err := api.Events.Get("primary", m.ID).Context(ctx).Do()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(event.Summary, "of", event.Organizer.Email)
	// Output:
	// Video consultation of doctor@example.org
}

// Doctors who connected with a Node.js backend stay connected. One whose document has no
// refresh token must connect again: it would work for an hour and then no more.
func ExampleParseNodeCredentials() {
	ctx, tokens := context.Background(), store.NewMemory()
	token, err := googlemeet.ParseNodeCredentials([]byte(`{
		"access_token": "ya29.a", "refresh_token": "1//0r", "token_type": "Bearer", "expiry_date": 1772361000000,
		"scope": "openid https://www.googleapis.com/auth/calendar.events"
	}`))
	if err != nil {
		log.Fatal(err)
	}
	err = store.Set(ctx, tokens, store.AccountID{Provider: googlemeet.ProviderName, Subject: "dr-rao"}, token)
	fmt.Println("may write events:", token.HasScope(googlemeet.ScopeEvents), err)

	_, err = googlemeet.ParseNodeCredentials([]byte(`{"access_token":"ya29.a","expiry_date":1772361000000}`))
	fmt.Println(err)
	// Output:
	// may write events: true <nil>
	// googlemeet: credentials: there is no refresh_token: the doctor must connect again
}

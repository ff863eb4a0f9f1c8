package googlemeettest_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log"
	"net/http"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/meet/googlemeet"
	"github.com/telemed-go/telemed/meet/googlemeet/googlemeettest"
	"github.com/telemed-go/telemed/store"
)

// A test that is not about the consent page begins with a doctor who is connected
// already: the same token is put into the store and into the fake.
func ExampleServer_Restore() {
	ctx := context.Background()
	fake, err := googlemeettest.Start(googlemeettest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer fake.Close()

	token := store.Token{
		Access: telemed.NewSecret("access"), Refresh: telemed.NewSecret("refresh"),
		Expiry: time.Now().Add(time.Hour), Scopes: []string{googlemeet.ScopeEvents},
	}
	fake.Restore(token)
	tokens := store.NewMemory()
	if err := store.Set(ctx, tokens, store.AccountID{Provider: googlemeet.ProviderName, Subject: "dr-rao"}, token); err != nil {
		log.Fatal(err)
	}

	google, err := googlemeet.New(googlemeet.Config{
		ClientID: fake.ClientID(), ClientSecret: fake.ClientSecret(), RedirectURL: "http://127.0.0.1:3001/callback",
		Tokens: tokens, Endpoints: fake.Endpoints(),
	})
	if err != nil {
		log.Fatal(err)
	}
	defer google.Shutdown(ctx)
	m, err := google.Create(ctx, "dr-rao", visit())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(m.Status)
	// Output: scheduled
}

// visit is what is asked for in these Examples.
func visit() meet.Request {
	return meet.Request{Key: "appt-42", Start: time.Date(2126, 3, 1, 5, 0, 0, 0, time.UTC), Duration: 30 * time.Minute}
}

// connected returns a client of fake to which dr-rao is connected, as in
// ExampleServer_Restore. It repeats calls without a pause.
func connected(fake *googlemeettest.Server, httpClient *http.Client) *googlemeet.Client {
	token := store.Token{
		Access: telemed.NewSecret("access"), Refresh: telemed.NewSecret("refresh"),
		Expiry: time.Now().Add(time.Hour), Scopes: []string{googlemeet.ScopeEvents},
	}
	fake.Restore(token)
	tokens := store.NewMemory()
	err := store.Set(context.Background(), tokens, store.AccountID{Provider: googlemeet.ProviderName, Subject: "dr-rao"}, token)
	if err != nil {
		log.Fatal(err)
	}
	google, err := googlemeet.New(googlemeet.Config{
		ClientID: fake.ClientID(), ClientSecret: fake.ClientSecret(), RedirectURL: "http://127.0.0.1:3001/callback",
		Tokens: tokens, Endpoints: fake.Endpoints(), HTTPClient: httpClient, RetryWait: time.Nanosecond,
	})
	if err != nil {
		log.Fatal(err)
	}
	return google
}

// start returns a running fake.
func start(cfg googlemeettest.Config) *googlemeettest.Server {
	fake, err := googlemeettest.Start(cfg)
	if err != nil {
		log.Fatal(err)
	}
	return fake
}

// A Fault is for one request, or for as many as Times says; the client repeats some by
// itself, so that one Fault alone is often not seen. Reset ends those that have not
// shown.
func ExampleServer_FailNext() {
	ctx := context.Background()
	fake := start(googlemeettest.Config{})
	defer fake.Close()
	google := connected(fake, nil)
	defer google.Shutdown(ctx)

	tooMany := googlemeettest.Refuse(googlemeettest.OpInsert, http.StatusForbidden, "rateLimitExceeded", "")
	tooMany.Times = -1
	fake.FailNext(tooMany)
	_, err := google.Create(ctx, "dr-rao", visit())
	fmt.Println("rate limited:", errors.Is(err, telemed.ErrRateLimited))

	fake.Reset()
	fake.FailNext(googlemeettest.Fault{Op: googlemeettest.OpInsert, LoseAnswer: true})
	_, err = google.Create(ctx, "dr-rao", visit())
	fmt.Println("an answer is lost:", err)
	fmt.Println(fake.Count(googlemeettest.OpInsert), "requests made", len(fake.Events()), "event")
	// Output:
	// rate limited: true
	// an answer is lost: <nil>
	// 2 requests made 1 event
}

// An access token that ends before its time is no trouble: it is refreshed once, and
// nobody is told.
func ExampleServer_ExpireTokens() {
	ctx := context.Background()
	fake := start(googlemeettest.Config{})
	defer fake.Close()
	google := connected(fake, nil)
	defer google.Shutdown(ctx)

	fake.ExpireTokens()
	m, err := google.Create(ctx, "dr-rao", visit())
	if err != nil {
		log.Fatal(err)
	}
	_, err = google.Get(ctx, "dr-rao", m.ID)
	fmt.Println(err, "after", fake.Refreshes(), "refresh")
	// Output: <nil> after 1 refresh
}

// A doctor removes the application in the settings of the Google account. The next call
// finds out, and only the doctor can mend it.
func ExampleServer_RevokeAccess() {
	ctx := context.Background()
	fake := start(googlemeettest.Config{})
	defer fake.Close()
	google := connected(fake, nil)
	defer google.Shutdown(ctx)

	fake.RevokeAccess("doctor@example.org")
	_, err := google.Create(ctx, "dr-rao", visit())
	fmt.Println("connect again:", errors.Is(err, telemed.ErrReconnect))
	// Output: connect again: true
}

// Google's clock is the server's own: a token expires there before the application's
// clock says so. Time passes at once.
func ExampleServer_Advance() {
	ctx := context.Background()
	fake := start(googlemeettest.Config{})
	defer fake.Close()
	google := connected(fake, nil)
	defer google.Shutdown(ctx)

	fake.Advance(2 * time.Hour)
	_, err := google.Create(ctx, "dr-rao", visit())
	fmt.Println(err, "after", fake.Refreshes(), "refresh")
	// Output: <nil> after 1 refresh
}

// Google may fail to make a room, though the event is there. The error has the meeting,
// and the same Key tries again: no second event stands in the doctor's calendar.
func ExampleServer_FailRooms() {
	ctx := context.Background()
	fake := start(googlemeettest.Config{})
	defer fake.Close()
	google := connected(fake, nil)
	defer google.Shutdown(ctx)

	fake.FailRooms(2) // the client asks twice
	_, err := google.Create(ctx, "dr-rao", visit())
	if failed, ok := errors.AsType[*googlemeet.Error](err); ok && failed.Meeting != nil {
		fmt.Println(failed.Reason, "for an event that is there")
	}
	m, err := google.Create(ctx, "dr-rao", visit())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(m.Status, "in", len(fake.Events()), "event")
	// Output:
	// conferenceFailed for an event that is there
	// scheduled in 1 event
}

// A doctor writes something into the event by hand. It is still there when the visit has
// moved.
func ExampleServer_Edit() {
	ctx := context.Background()
	fake := start(googlemeettest.Config{})
	defer fake.Close()
	google := connected(fake, nil)
	defer google.Shutdown(ctx)
	req := visit()
	m, err := google.Create(ctx, "dr-rao", req)
	if err != nil {
		log.Fatal(err)
	}

	if err := fake.Edit(m.ID, map[string]any{"description": "Look at the X-ray first."}); err != nil {
		log.Fatal(err)
	}
	req.Start = req.Start.Add(time.Hour)
	if _, err := google.Update(ctx, "dr-rao", m.ID, req); err != nil {
		log.Fatal(err)
	}
	event := fake.Events()[0]
	fmt.Println(event.Start.Format(time.Kitchen), event.Description)
	// Output: 6:00AM Look at the X-ray first.
}

// What runs in the background is waited for by what arrives. No test needs to sleep.
func ExampleServer_WaitFor() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	fake := start(googlemeettest.Config{})
	defer fake.Close()
	google := connected(fake, nil)
	defer google.Shutdown(ctx)

	done := make(chan error)
	go func() { // the application, after its own answer
		_, err := google.Create(ctx, "dr-rao", visit())
		done <- err
	}()
	made, err := fake.WaitFor(ctx, func(r googlemeettest.Request) bool {
		// Answered; 0 while it is under way.
		return r.Op == googlemeettest.OpInsert && r.Status == http.StatusOK
	})
	fmt.Println(made.Method, made.Status, err)
	fmt.Println(<-done)
	// Output:
	// POST 200 <nil>
	// <nil>
}

// A server in memory needs no port, and fits into a testing/synctest bubble. Only its own
// client leads there.
func ExampleServer_Client() {
	ctx := context.Background()
	fake := start(googlemeettest.Config{InMemory: true, TLS: true})
	defer fake.Close()
	google := connected(fake, fake.Client())
	defer google.Shutdown(ctx)

	m, err := google.Create(ctx, "dr-rao", visit())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(m.Status)
	// Output: scheduled
}

// A transport of the application's own reaches the server by Dial, and trusts it by its
// certificate. Another process is given the certificate as a file.
func ExampleServer_Dial() {
	ctx := context.Background()
	fake := start(googlemeettest.Config{TLS: true})
	defer fake.Close()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(fake.Certificate()) {
		log.Fatal("no certificate")
	}
	transport := &http.Transport{DialContext: fake.Dial, TLSClientConfig: &tls.Config{RootCAs: roots}}
	defer transport.CloseIdleConnections()
	google := connected(fake, &http.Client{Transport: transport})
	defer google.Shutdown(ctx)

	m, err := google.Create(ctx, "dr-rao", visit())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(m.Status)
	// Output: scheduled
}

// Long after a visit was cancelled, its event is cleared away, and a process whose claims
// are lost asks for it again. The id is taken, and there is nothing to be seen: the Key is
// used up.
func ExampleServer_Purge() {
	ctx := context.Background()
	fake, err := googlemeettest.Start(googlemeettest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer fake.Close()
	token := store.Token{
		Access: telemed.NewSecret("access"), Refresh: telemed.NewSecret("refresh"),
		Expiry: time.Now().Add(time.Hour), Scopes: []string{googlemeet.ScopeEvents},
	}
	fake.Restore(token)
	tokens := store.NewMemory()
	if err := store.Set(ctx, tokens, store.AccountID{Provider: googlemeet.ProviderName, Subject: "dr-rao"}, token); err != nil {
		log.Fatal(err)
	}
	open := func() *googlemeet.Client {
		google, err := googlemeet.New(googlemeet.Config{
			ClientID: fake.ClientID(), ClientSecret: fake.ClientSecret(), RedirectURL: "http://127.0.0.1:3001/callback",
			Tokens: tokens, Endpoints: fake.Endpoints(), RetryWait: time.Millisecond,
			Claims: store.NewMemory(), // each process forgets
		})
		if err != nil {
			log.Fatal(err)
		}
		return google
	}
	first, second := open(), open()
	defer first.Shutdown(ctx)
	defer second.Shutdown(ctx)
	m, err := first.Create(ctx, "dr-rao", visit())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("cancelled:", first.Cancel(ctx, "dr-rao", m.ID))
	fmt.Println("cleared away:", fake.Purge(m.ID))
	_, err = second.Create(ctx, "dr-rao", visit())
	fmt.Println(errors.Is(err, telemed.ErrConflict), err)
	// Output:
	// cancelled: <nil>
	// cleared away: <nil>
	// true googlemeet: Create: 409 (taken): conflict with the current state
}

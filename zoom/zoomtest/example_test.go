package zoomtest_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/oauth2"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/zoom"
	"github.com/telemed-go/telemed/zoom/zoomtest"
)

// A test that is not about the consent page begins with a doctor who is connected
// already: the same token is put into the store and into the fake.
func ExampleServer_Restore() {
	ctx := context.Background()
	fake, err := zoomtest.Start(zoomtest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer fake.Close()

	token := store.Token{
		Access: telemed.NewSecret("access"), Refresh: telemed.NewSecret("refresh"),
		Expiry: time.Now().Add(time.Hour), Scopes: zoom.DefaultScopes(),
	}
	fake.Restore(token)
	tokens := store.NewMemory()
	if err := store.Set(ctx, tokens, store.AccountID{Provider: zoom.ProviderName, Subject: "dr-rao"}, token); err != nil {
		log.Fatal(err)
	}

	z, err := zoom.New(zoom.Config{
		ClientID: fake.ClientID(), ClientSecret: fake.ClientSecret(), Endpoints: fake.Endpoints(),
		RedirectURL: "http://127.0.0.1:3001/callback", Tokens: tokens,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer z.Shutdown(ctx)
	m, err := z.Create(ctx, "dr-rao", visit("appt-42"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(m.Status)
	// Output: scheduled
}

// visit is what is asked for in these Examples.
func visit(key string) meet.Request {
	return meet.Request{Key: key, Start: time.Date(2126, 3, 1, 5, 0, 0, 0, time.UTC), Duration: 30 * time.Minute}
}

// start returns a running fake.
func start(cfg zoomtest.Config) *zoomtest.Server {
	fake, err := zoomtest.Start(cfg)
	if err != nil {
		log.Fatal(err)
	}
	return fake
}

// connected returns a client of fake to which dr-rao is connected, as in
// ExampleServer_Restore. It looks at once whether a meeting was made.
func connected(fake *zoomtest.Server, httpClient *http.Client) *zoom.Client {
	token := store.Token{
		Access: telemed.NewSecret("access"), Refresh: telemed.NewSecret("refresh"),
		Expiry: time.Now().Add(time.Hour), Scopes: zoom.DefaultScopes(),
	}
	fake.Restore(token)
	tokens := store.NewMemory()
	err := store.Set(context.Background(), tokens, store.AccountID{Provider: zoom.ProviderName, Subject: "dr-rao"}, token)
	if err != nil {
		log.Fatal(err)
	}
	z, err := zoom.New(zoom.Config{
		ClientID: fake.ClientID(), ClientSecret: fake.ClientSecret(), Endpoints: fake.Endpoints(),
		RedirectURL: "http://127.0.0.1:3001/callback", Tokens: tokens, HTTPClient: httpClient, LookAfter: time.Nanosecond,
	})
	if err != nil {
		log.Fatal(err)
	}
	return z
}

// A Fault is for one request, or for as many as Times says. One without an Op is for any
// of the API. Reset ends those that have not shown.
func ExampleServer_FailNext() {
	ctx := context.Background()
	fake := start(zoomtest.Config{})
	defer fake.Close()
	z := connected(fake, nil)
	defer z.Shutdown(ctx)

	noLicence := zoomtest.Refuse("", http.StatusBadRequest, 3161, "Your user account is not allowed meeting hosting and scheduling capabilities.")
	noLicence.Times = -1
	fake.FailNext(noLicence)
	_, err := z.Create(ctx, "dr-rao", visit("appt-42"))
	fmt.Println("not permitted:", errors.Is(err, telemed.ErrForbidden))

	fake.Reset()
	fake.FailNext(zoomtest.Fault{Op: zoomtest.OpCreate, LoseAnswer: true})
	_, err = z.Create(ctx, "dr-rao", visit("appt-42"))
	fmt.Println("an answer is lost:", err)
	fmt.Println(len(fake.Meetings()), "meeting")
	// Output:
	// not permitted: true
	// an answer is lost: <nil>
	// 1 meeting
}

// Zoom lets a doctor's meetings be made and changed a hundred times a day. The next day
// comes at once here.
func ExampleServer_Advance() {
	ctx := context.Background()
	fake := start(zoomtest.Config{DailyLimit: 1})
	defer fake.Close()
	z := connected(fake, nil)
	defer z.Shutdown(ctx)

	_, err := z.Create(ctx, "dr-rao", visit("appt-42"))
	fmt.Println("today:", err)
	_, err = z.Create(ctx, "dr-rao", visit("appt-43"))
	fmt.Println("too many today:", errors.Is(err, telemed.ErrRateLimited))

	fake.Advance(24 * time.Hour) // the access token expires too, and is refreshed
	_, err = z.Create(ctx, "dr-rao", visit("appt-43"))
	fmt.Println("tomorrow:", err)
	// Output:
	// today: <nil>
	// too many today: true
	// tomorrow: <nil>
}

// Two doctors share a computer at the desk. Whose account it became is in the token:
// compare it with the one that was expected.
func ExampleServer_AuthorizeAs() {
	ctx := context.Background()
	iyer := zoomtest.User{ID: "u-dr-iyer", AccountID: "a-clinic", Email: "dr.iyer@clinic.example", Name: "Dr. Iyer"}
	fake := start(zoomtest.Config{Users: []zoomtest.User{zoomtest.DefaultUser(), iyer}})
	defer fake.Close()
	z := connected(fake, nil)
	defer z.Shutdown(ctx)

	verifier := oauth2.GenerateVerifier()
	callback, err := fake.AuthorizeAs(z.OAuth().AuthCodeURL("a-random-state", verifier), iyer.ID)
	if err != nil {
		log.Fatal(err)
	}
	answer, err := url.Parse(callback)
	if err != nil {
		log.Fatal(err)
	}
	token, err := z.OAuth().Exchange(ctx, answer.Query().Get("code"), verifier)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(token.Account.Email)
	// Output: dr.iyer@clinic.example
}

// A doctor removes the app in Zoom. The next call finds out, and only the doctor can mend
// it.
func ExampleServer_Uninstall() {
	ctx := context.Background()
	fake := start(zoomtest.Config{})
	defer fake.Close()
	z := connected(fake, nil)
	defer z.Shutdown(ctx)

	fake.Uninstall(zoomtest.DefaultUser().ID)
	_, err := z.Create(ctx, "dr-rao", visit("appt-42"))
	fmt.Println("connect again:", errors.Is(err, telemed.ErrReconnect))
	// Output: connect again: true
}

// What runs in the background is waited for by what arrives. No test needs to sleep.
func ExampleServer_WaitFor() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	fake := start(zoomtest.Config{})
	defer fake.Close()
	z := connected(fake, nil)
	defer z.Shutdown(ctx)

	done := make(chan error)
	go func() { // the application, after its own answer
		_, err := z.Create(ctx, "dr-rao", visit("appt-42"))
		done <- err
	}()
	made, err := fake.WaitFor(ctx, func(r zoomtest.Request) bool {
		// Answered; 0 while it is under way.
		return r.Op == zoomtest.OpCreate && r.Status == http.StatusCreated
	})
	fmt.Println(made.Method, made.Status, err)
	fmt.Println(<-done)
	// Output:
	// POST 201 <nil>
	// <nil>
}

// A server in memory needs no port, and fits into a testing/synctest bubble. Only its own
// client leads there.
func ExampleServer_Client() {
	ctx := context.Background()
	fake := start(zoomtest.Config{InMemory: true, TLS: true})
	defer fake.Close()
	z := connected(fake, fake.Client())
	defer z.Shutdown(ctx)

	m, err := z.Create(ctx, "dr-rao", visit("appt-42"))
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
	fake := start(zoomtest.Config{TLS: true})
	defer fake.Close()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(fake.Certificate()) {
		log.Fatal("no certificate")
	}
	transport := &http.Transport{DialContext: fake.Dial, TLSClientConfig: &tls.Config{RootCAs: roots}}
	defer transport.CloseIdleConnections()
	z := connected(fake, &http.Client{Transport: transport})
	defer z.Shutdown(ctx)

	m, err := z.Create(ctx, "dr-rao", visit("appt-42"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(m.Status)
	// Output: scheduled
}

package oauth_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"golang.org/x/oauth2"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/oauth"
)

// A hospital connects a doctor, and asks for the token whenever it needs one. Refresh
// tokens of this provider can be spent once, as Zoom's.
func Example() {
	sold := 0
	authority := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		sold++
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"access_token":"access-%d","refresh_token":"refresh-%d","expires_in":3600}`, sold, sold)
	}))
	defer authority.Close()
	provider := oauth.Provider{ // zoom.Client and googlemeet.Client describe theirs: client.OAuth()
		Name: "zoom", ClientID: "id", ClientSecret: telemed.NewSecret("secret"), RedirectURL: "https://clinic.example/callback",
		AuthURL: authority.URL, TokenURL: authority.URL, AuthStyle: oauth2.AuthStyleInHeader,
	}
	keys, err := store.NewKeyring(store.NewKey()) // from the environment, in earnest
	if err != nil {
		log.Fatal(err)
	}
	// A database, in earnest: store/sqlstore, store/mongostore.
	tokens := store.Sealed(store.NewMemory(), keys)

	ctx := context.Background()
	doctor := store.AccountID{Provider: "zoom", Subject: "doctor-7"}
	token, err := provider.Exchange(ctx, "code", "verifier") // store/connect does this
	if err != nil {
		log.Fatal(err)
	}
	token.Expiry = time.Now() // an hour later
	if err := store.Set(ctx, tokens, doctor, token); err != nil {
		log.Fatal(err)
	}

	source, err := oauth.NewSource(oauth.SourceConfig{Store: tokens, Provider: "zoom", Refresh: provider.Refresh})
	if err != nil {
		log.Fatal(err)
	}
	defer source.Shutdown(ctx)
	for range 3 {
		token, err := source.Token(ctx, doctor)
		fmt.Println(token.Access.Reveal(), err)
	}
	_, err = source.Token(ctx, store.AccountID{Provider: "zoom", Subject: "doctor-8"})
	fmt.Println(errors.Is(err, telemed.ErrNotConnected))
	fmt.Println("a token prints as", token.Refresh, "and was sold", sold, "times")
	// Output:
	// access-2 <nil>
	// access-2 <nil>
	// access-2 <nil>
	// true
	// a token prints as [redacted] and was sold 2 times
}

// Client adds the doctor's token to each request, and renews it once if the provider
// refuses it.
func ExampleSource_Client() {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer second" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	defer api.Close()
	ctx := context.Background()
	doctor := store.AccountID{Provider: "zoom", Subject: "doctor-7"}
	tokens := store.NewMemory()
	first := store.Token{Access: telemed.NewSecret("first"), Refresh: telemed.NewSecret("r"), Expiry: time.Now().Add(time.Hour)}
	if err := store.Set(ctx, tokens, doctor, first); err != nil {
		log.Fatal(err)
	}
	source, err := oauth.NewSource(oauth.SourceConfig{
		Store: tokens, Provider: "zoom",
		Refresh: func(context.Context, store.Token) (store.Token, error) {
			return store.Token{Access: telemed.NewSecret("second"), Expiry: time.Now().Add(time.Hour)}, nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer source.Shutdown(ctx)

	resp, err := source.Client(doctor, nil).Get(api.URL)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status)
	// Output: 200 OK
}

// A process that starts takes over what an earlier one could not save.
func ExampleSource_Recover() {
	ctx := context.Background()
	keys, err := store.NewKeyring(store.NewKey())
	if err != nil {
		log.Fatal(err)
	}
	spool, err := oauth.NewFileSpool("/var/lib/hospital/tokens", keys)
	if err != nil {
		log.Fatal(err)
	}
	source, err := oauth.NewSource(oauth.SourceConfig{
		Store: store.NewMemory(), Provider: "zoom", Tuning: oauth.Tuning{Spool: spool},
		Refresh: oauth.Provider{ /* client.OAuth() */ }.Refresh,
	})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := source.Recover(ctx); err != nil {
		log.Fatal(err)
	}
	// … serve, and then:
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if err := source.Shutdown(ctx); err != nil {
		log.Print(err)
	}
}

package oauth_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"time"

	"golang.org/x/oauth2"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/oauth"
)

// doctor7 is the record of a doctor's account.
var doctor7 = store.AccountID{Provider: "zoom", Subject: "doctor-7"}

// connectedSource returns a Source to which a doctor is connected, with the token
// "access-1". Each refresh sells the next one.
func connectedSource() *oauth.Source {
	tokens, sold := store.NewMemory(), 1
	next := func() store.Token {
		return store.Token{
			Access: telemed.NewSecret(fmt.Sprintf("access-%d", sold)), Refresh: telemed.NewSecret(fmt.Sprintf("refresh-%d", sold)),
			Expiry: time.Now().Add(time.Hour),
		}
	}
	if err := store.Set(context.Background(), tokens, doctor7, next()); err != nil {
		log.Fatal(err)
	}
	source, err := oauth.NewSource(oauth.SourceConfig{
		Store: tokens, Provider: "zoom",
		// Provider.Refresh in production.
		Refresh: func(context.Context, store.Token) (store.Token, error) {
			sold++
			return next(), nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	return source
}

// A library that takes an x/oauth2 source gets one whose tokens cannot be refreshed by
// it: a second refresher would spend the refresh token that this one needs.
func ExampleSource_TokenSource() {
	ctx := context.Background()
	source := connectedSource()
	defer source.Shutdown(ctx)

	token, err := source.TokenSource(ctx, doctor7).Token()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(token.TokenType, token.AccessToken, "to be refreshed by the library:", token.RefreshToken != "")
	// Output: Bearer access-1 to be refreshed by the library: false
}

// The provider refuses an access token before its time. Renew is told which one, so that
// many refused calls make one refresh. Source.Client does this by itself.
func ExampleSource_Renew() {
	ctx := context.Background()
	source := connectedSource()
	defer source.Shutdown(ctx)
	refused, err := source.Token(ctx, doctor7)
	if err != nil {
		log.Fatal(err)
	}

	for range 2 { // two calls were refused with the same token
		token, err := source.Renew(ctx, doctor7, refused.Access)
		fmt.Println(token.Access.Reveal(), err)
	}
	renewed, err := source.Token(ctx, doctor7)
	if err != nil {
		log.Fatal(err)
	}
	_, err = source.Renew(ctx, doctor7, renewed.Access)
	// It is not the token's fault.
	fmt.Println("the new one is refused too:", errors.Is(err, telemed.ErrUnavailable))
	// Output:
	// access-2 <nil>
	// access-2 <nil>
	// the new one is refused too: true
}

// Some libraries take a token alone. It prints its secret, unlike a store.Token, and
// works until its expiry.
func ExampleToOAuth2() {
	ctx := context.Background()
	source := connectedSource()
	defer source.Shutdown(ctx)
	token, err := source.Token(ctx, doctor7)
	if err != nil {
		log.Fatal(err)
	}
	plain := oauth.ToOAuth2(token)
	fmt.Println("in a log:", token.Access, plain.AccessToken)
	// Output: in a log: [redacted] access-1
}

// An application that kept x/oauth2 tokens of its own moves them over, and no doctor has
// to connect again. JSON of such a token does not have its scopes: say which ones were
// granted.
func ExampleFromOAuth2() {
	ctx, tokens := context.Background(), store.NewMemory()
	var kept oauth2.Token // from the application's old table
	err := json.Unmarshal([]byte(`{
		"access_token": "access", "refresh_token": "refresh", "token_type": "Bearer", "expiry": "2026-03-01T10:30:00Z"
	}`), &kept)
	if err != nil {
		log.Fatal(err)
	}

	token := oauth.FromOAuth2(&kept)
	fmt.Println("until", token.Expiry.Format(time.RFC3339), "with", len(token.Scopes), "scopes")
	token.Scopes = []string{"meeting:read:meeting", "meeting:write:meeting"}
	fmt.Println(store.Set(ctx, tokens, doctor7, token))
	// Output:
	// until 2026-03-01T10:30:00Z with 0 scopes
	// <nil>
}

// Providers let a refresh token die that lies unused for some months, and the doctor on
// leave has to connect again. A daily job keeps such accounts alive; those in use are
// left alone.
func ExampleSource_KeepAlive() {
	ctx := context.Background()
	tokens := store.NewMemory()
	for subject, lastUsed := range map[string]time.Duration{"doctor-7": time.Hour, "doctor-on-leave": 60 * 24 * time.Hour} {
		_, err := tokens.Put(ctx, store.Record{
			ID: store.AccountID{Provider: "zoom", Subject: subject}, Status: store.StatusActive,
			Token:     store.Token{Access: telemed.NewSecret("access"), Refresh: telemed.NewSecret("refresh")},
			UpdatedAt: time.Now().Add(-lastUsed),
		})
		if err != nil {
			log.Fatal(err)
		}
	}
	source, err := oauth.NewSource(oauth.SourceConfig{
		Store: tokens, Provider: "zoom",
		// Provider.Refresh in production.
		Refresh: func(_ context.Context, old store.Token) (store.Token, error) {
			return store.Token{Access: telemed.NewSecret("next"), Expiry: time.Now().Add(time.Hour)}.Inherit(old), nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer source.Shutdown(ctx)

	refreshed, failed, err := source.KeepAlive(ctx)
	fmt.Println(refreshed, "refreshed,", failed, "failed,", err)
	// Output: 1 refreshed, 0 failed, <nil>
}

package oauth

import (
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
)

// ToOAuth2 returns t for libraries that take an x/oauth2 token. That one prints its
// secrets: do not log it. The refresh token is left out, so that nobody but a [Source]
// spends it.
func ToOAuth2(t store.Token) *oauth2.Token {
	return &oauth2.Token{AccessToken: t.Access.Reveal(), TokenType: scheme(t), Expiry: t.Expiry}
}

// FromOAuth2 returns the Token of an x/oauth2 token as the provider answered it, with the
// granted scopes: a text, or an array of texts. Scopes is nil if the answer does not say,
// and empty if what it says cannot be read.
func FromOAuth2(token *oauth2.Token) store.Token {
	var scopes []string
	// x/oauth2 says "" of a form without one.
	if granted := token.Extra("scope"); granted != nil && granted != "" {
		scopes = scopesOf(granted)
	}
	return store.Token{
		Access: telemed.NewSecret(token.AccessToken), Refresh: telemed.NewSecret(token.RefreshToken),
		Type: token.TokenType, Expiry: millis(token.Expiry), Scopes: scopes,
	}
}

// scheme is what stands before the token in an Authorization header.
func scheme(t store.Token) string {
	if t.Type == "" || strings.EqualFold(t.Type, "bearer") {
		return "Bearer"
	}
	return t.Type
}

// useMargin is how long a token must still work to be handed out.
const useMargin = 10 * time.Second

// usable reports whether the access token works for at least margin, if it is not the
// stale one.
func usable(t store.Token, now time.Time, margin time.Duration, stale telemed.Secret) bool {
	return !t.Access.IsZero() && t.Expiry.After(now.Add(margin)) && (stale.IsZero() || !t.Access.Equal(stale))
}

// fresh reports whether a token that was just bought is worth handing out.
func fresh(t store.Token, now time.Time, stale telemed.Secret) bool {
	return !t.Access.IsZero() && (t.Expiry.IsZero() || t.Expiry.After(now)) && (stale.IsZero() || !t.Access.Equal(stale))
}

// millis drops what stores do not keep.
func millis(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

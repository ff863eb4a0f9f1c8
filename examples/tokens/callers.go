package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/connect"
	"github.com/telemed-go/telemed/store/oauth"
	"github.com/telemed-go/telemed/zoom"
	"github.com/telemed-go/telemed/zoom/zoomtest"
)

// consent is a doctor who clicks through connect's handlers.
func consent(ctx context.Context, fake *zoomtest.Server, provider oauth.Provider, tokens store.TokenStore, key store.AccountID) error {
	doctors, err := connect.New(connect.Config{
		Provider: provider, Tokens: tokens, CookieKeys: []telemed.Secret{store.NewKey()}, ReturnURL: "http://127.0.0.1:3001/done",
		Subject: func(*http.Request) (string, error) { return key.Subject, nil }, AllowInsecureLocalhost: true,
	})
	if err != nil {
		return err
	}
	w := httptest.NewRecorder()
	address, err := doctors.Begin(w, httptest.NewRequestWithContext(ctx, "GET", "/connect", nil), "")
	if err != nil {
		return err
	}
	callback, err := fake.Authorize(address)
	if err != nil {
		return err
	}
	r := httptest.NewRequestWithContext(ctx, "GET", callback, nil)
	r.AddCookie(w.Result().Cookies()[0])
	_, err = doctors.Finish(httptest.NewRecorder(), r)
	return err
}

// herd lets eight callers in each of two processes find out at once that the token does not work any more.
func herd(ctx context.Context, fake *zoomtest.Server, tokens store.TokenStore, key store.AccountID, stale telemed.Secret) error {
	errs := make([]error, 16)
	var callers sync.WaitGroup
	for process := range 2 {
		c, err := zoom.New(config(fake, tokens))
		if err != nil {
			return err
		}
		defer func() { _ = c.Shutdown(ctx) }()
		for caller := range 8 {
			callers.Go(func() { _, errs[process*8+caller] = c.Tokens().Renew(ctx, key, stale) })
		}
	}
	callers.Wait()
	return errors.Join(errs...)
}

func seal(st store.TokenStore, keys ...telemed.Secret) (store.TokenStore, error) {
	ring, err := store.NewKeyring(keys...)
	return store.SealedStrict(st, ring), err
}

func config(fake *zoomtest.Server, tokens store.TokenStore) zoom.Config {
	return zoom.Config{ClientID: fake.ClientID(), ClientSecret: fake.ClientSecret(), Tokens: tokens, Endpoints: fake.Endpoints(),
		RedirectURL: "http://127.0.0.1:3001/api/auth/zoom/doctor/callback"}
}

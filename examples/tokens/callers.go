package main

import (
	"context"
	"errors"
	"sync"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/examples/internal/consent"
	"github.com/telemed-go/telemed/examples/internal/local"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/zoom"
)

// connectDoctor lets a doctor connect an account. It returns a client that has the
// tokens, and its configuration.
func connectDoctor(ctx context.Context, providers *local.Providers, tokens store.TokenStore) (zoom.Config, *zoom.Client, error) {
	cfg, err := providers.ZoomConfig()
	if err != nil {
		return cfg, nil, err
	}
	pages, err := consent.Listen(cfg.RedirectURL)
	if err != nil {
		return cfg, nil, err
	}
	defer pages.Close()
	cfg.RedirectURL, cfg.Tokens = pages.RedirectURL, tokens
	client, err := zoom.New(cfg)
	if err != nil {
		return cfg, nil, err
	}
	browse := consent.Allow(providers.Zoom.Authorize)
	return cfg, client, pages.Connect(ctx, doctorID, client.OAuth(), tokens, browse)
}

// herd lets eight callers in each of two processes find out at once that the token does
// not work any more.
func herd(ctx context.Context, cfg zoom.Config, key store.AccountID, stale telemed.Secret) error {
	errs := make([]error, 16)
	var callers sync.WaitGroup
	for process := range 2 {
		c, err := zoom.New(cfg)
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

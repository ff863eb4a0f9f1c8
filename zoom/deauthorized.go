package zoom

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/rest"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/oauth"
)

// Deauthorized deletes the tokens of the doctors whose Zoom user has removed the app, as
// Zoom's rules demand within ten days, and returns who they are: delete what else of Zoom
// is kept of them. store/connect does that by its action "events", if Config.WebhookSecrets
// are set. Without it, call it from a Webhook's Handle, and return its error:
//
//	case zoom.EventAppDeauthorized:
//		doctors, err := z.Deauthorized(ctx, event)
//
// An event of another kind, or of another app, does nothing. A doctor who has connected
// again since keeps the new token: if the stored one is younger than the event, Zoom is
// asked whether it works. Config.Tokens must implement store.Lister; else the error
// matches telemed.ErrInvalid. After any other error call it again. See
// https://developers.zoom.us/docs/api/marketplace/events/#tag/app/postapp_deauthorized.
func (c *Client) Deauthorized(ctx context.Context, event Event) (doctorIDs []string, err error) {
	ours := event.clientID == "" || event.clientID == c.cfg.ClientID
	if event.Name != EventAppDeauthorized || event.UserID == "" || !ours {
		return nil, nil
	}
	lister, ok := c.cfg.Tokens.(store.Lister)
	if !ok {
		return nil, fault.Invalid("zoom: Deauthorized", "Tokens", "cannot be listed: it is no store.Lister")
	}
	var errs []error
	for rec, err := range lister.List(ctx, store.Filter{Provider: ProviderName}) {
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if rec.Token.Account.ID != event.UserID {
			continue
		}
		switch gone, err := c.drop(ctx, rec, event); {
		case err != nil:
			errs = append(errs, err)
		case gone:
			doctorIDs = append(doctorIDs, rec.ID.Subject)
		}
	}
	if len(errs) > 0 {
		err = fmt.Errorf("zoom: Deauthorized: %w", errors.Join(errs...))
	}
	return doctorIDs, err
}

// events returns the Webhook that heeds app_deauthorized, for oauth.Provider.
func (c *Client) events(cfg oauth.EventsConfig) (http.Handler, error) {
	w, err := NewWebhook(WebhookConfig{
		Secrets: c.cfg.WebhookSecrets, Claims: cfg.Claims, Logger: cfg.Logger,
		Handle: func(ctx context.Context, event Event) error {
			doctorIDs, err := c.Deauthorized(ctx, event)
			for _, doctorID := range doctorIDs {
				cfg.Gone(ctx, store.AccountID{Provider: ProviderName, Subject: doctorID})
			}
			return err
		},
	})
	if err != nil {
		return nil, err
	}
	c.webhooks.Store(w, nil)
	return w, nil
}

// drop deletes a record, unless its token is of a later consent, or of the same moment: stores
// and Zoom count milliseconds.
func (c *Client) drop(ctx context.Context, rec store.Record, event Event) (gone bool, err error) {
	if rec.Status == store.StatusActive && !rec.UpdatedAt.Before(event.Time) {
		works, err := c.works(ctx, rec.ID.Subject)
		if err != nil || works {
			return false, err
		}
	}
	return true, c.cfg.Tokens.Delete(ctx, rec.ID)
}

// works reports whether Zoom takes a doctor's token. It is refreshed if need be.
func (c *Client) works(ctx context.Context, doctorID string) (bool, error) {
	s, err := c.open(ctx, "GetUser", doctorID)
	if err == nil {
		err = s.ask(ctx, rest.Request{Path: "/users/me"}, &struct{}{})
	}
	switch {
	case err == nil, errors.Is(err, telemed.ErrMissingScope):
		return true, nil
	case errors.Is(err, telemed.ErrReconnect), errors.Is(err, telemed.ErrNotConnected):
		return false, nil
	}
	return false, err
}

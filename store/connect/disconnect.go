package connect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
)

// Disconnect returns the handler of POST …/disconnect, which forgets the logged-in
// doctor's account. Posts from other sites than this and ReturnURL's are refused. It
// answers JSON, {"provider":"zoom","connected":false,"revoked":true}, or, to a form of a
// page, a redirect to ReturnURL.
func (c *Connector) Disconnect() http.Handler {
	return c.guard.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		private(w)
		if r.Method != http.MethodPost {
			methodNotAllowed(w, "POST")
			return
		}
		subject, err := c.subject(r)
		if err != nil {
			c.refuse(w, err)
			return
		}
		revoked, err := c.Forget(r.Context(), subject)
		if err != nil && !errors.Is(err, errNotRevoked) {
			http.Error(w, "the account could not be disconnected, try again", http.StatusServiceUnavailable)
			return
		}
		if strings.Contains(r.Header.Get("Accept"), "text/html") {
			http.Redirect(w, r, c.returnTo.String(), http.StatusSeeOther)
			return
		}
		writeJSON(w, map[string]any{"provider": c.cfg.Provider.Name, "connected": false, "revoked": revoked})
	}))
}

// errNotRevoked marks that the account is forgotten here, but the provider was not told.
var errNotRevoked = errors.New("forgotten, but not revoked")

// Forget deletes the account of subject, and then withdraws the grant at the provider.
// The grant stays if another doctor shares the account, since providers withdraw it for
// all, if the doctor has reconnected meanwhile, and if that cannot be known because the
// store is no store.Lister or the account has no id: then revoked is false and the doctor
// can withdraw it at the provider.
//
// If the store fails, nothing was revoked, and the account may be there still or not:
// call Forget again. If revoking fails, the account is deleted all the same, and the
// error says so. An account that is not there is no error.
func (c *Connector) Forget(ctx context.Context, subject string) (revoked bool, err error) {
	id := c.AccountID(subject)
	rec, err := c.cfg.Tokens.Get(ctx, id)
	if errors.Is(err, telemed.ErrNotFound) {
		return false, nil
	}
	unreadable := errors.Is(err, telemed.ErrDecrypt) // cannot be revoked, must still go
	if err != nil && !unreadable {
		return false, fmt.Errorf("connect: %w", err)
	}
	if err := c.remove(ctx, id); err != nil {
		return false, fmt.Errorf("connect: %w", err)
	}
	if c.cfg.OnDisconnect != nil {
		c.cfg.OnDisconnect(ctx, id)
	}
	if unreadable || c.cfg.Provider.Revoke == nil {
		return false, nil
	}
	// Nobody holds the token any more: what follows must not end with the request.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), exchangeTime)
	defer cancel()
	if c.inUse(ctx, rec) {
		return false, nil
	}
	if err := c.cfg.Provider.Revoke(ctx, rec.Token); err != nil {
		c.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "connect: grant was not revoked", slog.Any("account", id), slog.Any("error", err))
		return false, fmt.Errorf("connect: %w: %w", errNotRevoked, err)
	}
	return true, nil
}

// remove asks a second time if the answer was lost: whoever asks later finds no account,
// and could not revoke what is not there.
func (c *Connector) remove(ctx context.Context, id store.AccountID) error {
	if c.cfg.Tokens.Delete(ctx, id) == nil {
		return nil
	}
	return c.cfg.Tokens.Delete(ctx, id)
}

// inUse reports whether the account is, or may be, another doctor's too, or the same
// doctor's again, who has reconnected meanwhile: revoking would end that grant with the
// old one. A reconnection in the moment between this look and the revocation is not seen.
func (c *Connector) inUse(ctx context.Context, rec store.Record) bool {
	lister, ok := c.cfg.Tokens.(store.Lister)
	if !ok || rec.Token.Account.ID == "" {
		return true
	}
	for other, err := range lister.List(ctx, store.Filter{Provider: rec.ID.Provider}) {
		if err != nil || other.Token.Account.ID == rec.Token.Account.ID || other.Token.Account.ID == "" {
			return true
		}
	}
	return false
}

func writeJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_ = json.NewEncoder(w).Encode(value) // the browser has gone away if this fails
}

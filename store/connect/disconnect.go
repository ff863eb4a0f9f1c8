package connect

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/wait"
	"github.com/telemed-go/telemed/store"
)

// disconnect is the action that forgets the logged-in doctor's account.
func (c *route) disconnect(w http.ResponseWriter, r *http.Request) {
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
	revoked, err := c.forget(r.Context(), c.accountID(subject))
	if err != nil && !errors.Is(err, errNotRevoked) {
		http.Error(w, "the account could not be disconnected, try again", http.StatusServiceUnavailable)
		return
	}
	if strings.Contains(r.Header.Get("Accept"), "text/html") {
		http.Redirect(w, r, c.returnTo.String(), http.StatusSeeOther)
		return
	}
	writeJSON(w, map[string]any{"provider": c.provider.Name, "connected": false, "revoked": revoked})
}

// errNotRevoked marks that the account is forgotten here, but the provider was not told.
var errNotRevoked = errors.New("forgotten, but not revoked")

// Forget deletes a doctor's account, and then withdraws the grant at the provider.
// The grant stays if another doctor shares the account, since providers withdraw it for
// all, if the doctor has reconnected meanwhile, and if that cannot be known because the
// store is no store.Lister or the account has no id: then revoked is false and the doctor
// can withdraw it at the provider.
//
// A refresh that is under way is waited for, for three seconds. If it lasts longer, or an
// earlier one may have bought a token that never arrived, revoked is false too, since that
// token may be of use. A Source of Provider.NewSource that finds the account gone when the
// token arrives withdraws the grant then.
//
// If the store fails, nothing was revoked, and the account may be there still or not:
// call Forget again. If revoking fails, the account is deleted all the same, and the
// error says so. An account that is not there is no error.
func (c *Connector) Forget(ctx context.Context, id store.AccountID) (revoked bool, err error) {
	at, err := c.at(id.Provider)
	if err != nil {
		return false, err
	}
	return at.forget(ctx, id)
}

func (c *route) forget(ctx context.Context, id store.AccountID) (revoked bool, err error) {
	rec, held, err := c.hold(ctx, id)
	if errors.Is(err, telemed.ErrNotFound) {
		return false, nil
	}
	unreadable := errors.Is(err, telemed.ErrDecrypt) // cannot be revoked, must still go
	if err != nil && !unreadable {
		return false, fmt.Errorf("connect: %w", err)
	}
	if err := c.remove(ctx, id); err != nil {
		if held {
			c.letGo(ctx, rec)
		}
		return false, fmt.Errorf("connect: %w", err)
	}
	c.gone(ctx, id)
	if unreadable {
		return false, nil
	}
	// Nobody holds the token any more: what follows must not end with the request.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), exchangeTime)
	defer cancel()
	revoked, err = c.provider.Withdraw(ctx, c.cfg.Tokens, id, rec.Token)
	if err != nil {
		c.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "connect: grant was not revoked", slog.Any("account", id), slog.Any("error", err))
		return false, fmt.Errorf("connect: %w: %w", errNotRevoked, err)
	}
	return revoked && held && !rec.Lease.Tainted, nil
}

const (
	// refreshWait is how long Forget waits for a refresh that is under way.
	refreshWait = 3 * time.Second
	// holdFor is the TTL of Forget's own lease: longer than the deletion takes.
	holdFor = time.Minute
)

// hold takes the account's lease, so that no refresh buys a token between the last look
// at the record and its deletion. held is false if somebody else kept the lease.
func (c *Connector) hold(ctx context.Context, id store.AccountID) (rec store.Record, held bool, err error) {
	owner := rand.Text()
	for deadline := time.Now().Add(refreshWait); ; {
		rec, err = c.cfg.Tokens.Get(ctx, id)
		switch {
		case err != nil:
			return rec, false, err
		case rec.Lease.Owner == "":
			ours := rec
			ours.Lease = store.Lease{
				Owner: owner, Until: time.Now().Add(holdFor).UTC().Truncate(time.Millisecond), TTL: holdFor,
				Tainted: rec.Lease.Tainted,
			}
			if revision, err := c.cfg.Tokens.Put(ctx, ours); err == nil {
				ours.Revision = revision
				return ours, true, nil
			}
		case rec.Lease.Owner == owner: // the answer to our write was lost
			return rec, true, nil
		}
		// A write that failed is tried again too: somebody else was faster, or the store
		// fails, and then remove says so.
		if time.Now().After(deadline) {
			return rec, false, nil
		}
		if err := wait.For(ctx, wait.Jitter(100*time.Millisecond)); err != nil {
			return rec, false, err
		}
	}
}

// letGo gives the lease back, if it can: the account was not deleted, and its token is
// needed.
func (c *Connector) letGo(ctx context.Context, rec store.Record) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTime)
	defer cancel()
	rec.Lease = store.Lease{Tainted: rec.Lease.Tainted}
	_, _ = c.cfg.Tokens.Put(ctx, rec) // else it ends by itself
}

// remove asks a second time if the answer was lost: whoever asks later finds no account,
// and could not revoke what is not there.
func (c *Connector) remove(ctx context.Context, id store.AccountID) error {
	if c.cfg.Tokens.Delete(ctx, id) == nil {
		return nil
	}
	return c.cfg.Tokens.Delete(ctx, id)
}

func writeJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_ = json.NewEncoder(w).Encode(value) // the browser has gone away if this fails
}

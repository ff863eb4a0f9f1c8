package connect

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
)

// State is what a settings page shows of a doctor's account.
type State struct {
	// Provider is the provider's name.
	Provider string `json:"provider"`
	// Connected is true if there is an account, working or not.
	Connected bool `json:"connected"`
	// NeedsReconnect is true if the doctor must connect it again, and Reason says why.
	NeedsReconnect bool   `json:"needs_reconnect"`
	Reason         string `json:"reason,omitempty"`
	// Email is the account's address, if the provider told it.
	Email string `json:"email,omitempty"`
	// MissingScopes are permissions that a newer version of the application needs and the
	// account lacks.
	MissingScopes []string `json:"missing_scopes,omitempty"`
}

// status is the action that tells the logged-in doctor's State.
func (c *route) status(w http.ResponseWriter, r *http.Request) {
	private(w)
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		methodNotAllowed(w, "GET")
		return
	}
	subject, err := c.subject(r)
	if err != nil {
		c.refuse(w, err)
		return
	}
	state, err := c.state(r.Context(), c.accountID(subject))
	if err != nil {
		http.Error(w, "the state of the account is not known right now", http.StatusServiceUnavailable)
		return
	}
	writeJSON(w, state)
}

// State returns the state of a doctor's account: id.Provider is one of Config.Providers,
// id.Subject the doctor. It asks the store, not the provider.
func (c *Connector) State(ctx context.Context, id store.AccountID) (State, error) {
	at, err := c.at(id.Provider)
	if err != nil {
		return State{}, err
	}
	return at.state(ctx, id)
}

func (c *route) state(ctx context.Context, id store.AccountID) (State, error) {
	state := State{Provider: c.provider.Name}
	rec, err := c.cfg.Tokens.Get(ctx, id)
	if errors.Is(err, telemed.ErrNotFound) {
		return state, nil
	}
	if err != nil {
		return state, fmt.Errorf("connect: %w", err)
	}
	state.Connected = true
	state.Email = rec.Token.Account.Email
	if rec.Status == store.StatusReconnect {
		state.NeedsReconnect, state.Reason = true, rec.Reason
	}
	for _, scope := range c.provider.RequiredScopes() {
		if !slices.Contains(rec.Token.Scopes, scope) {
			state.MissingScopes = append(state.MissingScopes, scope)
		}
	}
	return state, nil
}

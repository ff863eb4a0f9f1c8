package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/wait"
)

// Set stores the token of a new consent. What the answer left out is kept from the record
// that is there, if that one is the same account's or neither account is known: Google
// sends a refresh token only with the first consent. Otherwise the token stands alone.
// Status and lease are cleared, so that an account waiting to be reconnected is active
// again. A refresh that runs meanwhile does not overwrite the new token.
//
// A record that cannot be opened is not overwritten, since the key may be missing here
// alone: telemed.ErrDecrypt. If the key is lost, delete the record first.
//
// A code of a consent can be spent once, so Set tries for some seconds, or until
// ctx ends, before it gives up on a store that fails. Writing twice does no harm.
//
// A token without a refresh token, when none is there to be kept, is stored as it is:
// connect demands one before it calls Set.
func Set(ctx context.Context, st TokenStore, id AccountID, token Token) error {
	if err := id.Validate(); err != nil {
		return err
	}
	for n := 0; ; n++ {
		err := set(ctx, st, id, token)
		final := err == nil || errors.Is(err, telemed.ErrDecrypt) || errors.Is(err, telemed.ErrInvalid)
		if final || n >= setTries || wait.For(ctx, wait.Jitter(20*time.Millisecond<<n)) != nil {
			return err
		}
	}
}

// setTries makes a bit more than two seconds of pauses.
const setTries = 7

func set(ctx context.Context, st TokenStore, id AccountID, token Token) error {
	old, err := GetOpen(ctx, st, id)
	if err != nil && !errors.Is(err, telemed.ErrNotFound) {
		return fmt.Errorf("store: Set: %w", err)
	}
	if err == nil && sameAccount(old.Token, token) {
		token = token.Inherit(old.Token)
	}
	_, err = st.Put(ctx, Record{
		ID: id, Token: token, Status: StatusActive, UpdatedAt: millis(time.Now()), Revision: old.Revision,
	})
	if err != nil {
		return fmt.Errorf("store: Set: %w", err)
	}
	return nil
}

// sameAccount is strict: a refresh token of one account beside the access token of
// another would hand one doctor's calendar to the other.
func sameAccount(a, b Token) bool { return a.Account.ID == b.Account.ID }

// millis drops what stores do not keep.
func millis(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

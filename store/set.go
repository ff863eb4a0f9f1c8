package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Set stores the token of a new consent. What the answer left out is kept from the
// record that is there: Google sends a refresh token only with the first consent. That
// is done only if both are known to be the same account, or neither is known; else
// the token stands alone. Status and lease are cleared, so that an account
// waiting to be reconnected is active again. A refresh that runs meanwhile does
// not overwrite the new token.
//
// A token without a refresh token, when none is there to be kept, is stored as it is:
// connect demands one before it calls Set.
func Set(ctx context.Context, st TokenStore, key Key, token Token) error {
	if err := key.Validate(); err != nil {
		return err
	}
	var err error
	for range 10 {
		if err = set(ctx, st, key, token); !errors.Is(err, ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("store: Set: the record changes all the time: %w", err)
}

func set(ctx context.Context, st TokenStore, key Key, token Token) error {
	old, err := st.Get(ctx, key)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("store: Set: %w", err)
	}
	if err == nil && sameAccount(old.Token, token) {
		token = token.over(old.Token)
	}
	_, err = st.Put(ctx, Record{
		Key: key, Token: token, Status: StatusActive, UpdatedAt: millis(time.Now()), Revision: old.Revision,
	})
	if err != nil {
		return fmt.Errorf("store: Set: %w", err)
	}
	return nil
}

func sameAccount(a, b Token) bool {
	return a.Account.ID == b.Account.ID || a.Account.ID == "" || b.Account.ID == ""
}

// millis drops what stores do not keep.
func millis(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

package sqlstore

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
)

// claims is the table of claims.
//
// One statement decides each step: an INSERT that does nothing if the key is there, or an
// UPDATE or DELETE that names the token. What happened is read from the number of rows,
// or, if that is not to be had, from the row itself: tokens are random, so a row with our
// token is our doing.
type claims struct {
	database
	sql    claimStatements
	sealer store.Sealer
}

// claimRow is a row of the table.
type claimRow struct {
	key, token string
	done       bool
	value      []byte
	ended      bool // by the database's clock
}

func (c *claims) claim(ctx context.Context, key string, lease time.Duration) (store.Claim, error) {
	if err := store.CheckClaim(key, lease); err != nil {
		return store.Claim{}, err
	}
	t := try{claims: c, key: key, token: rand.Text(), lease: ceilMillis(lease)}
	for range raceTries {
		claim, err := t.once(ctx)
		if !errors.Is(err, errLostRace) {
			return claim, err
		}
	}
	return store.Claim{}, fmt.Errorf("sqlstore: Claim: others were faster, again and again: %w", telemed.ErrUnavailable)
}

// errLostRace is a try after which another one is worth it: nothing was written.
var errLostRace = errors.New("lost a race")

// try is one call of Claim. Its token is the same in all rounds.
type try struct {
	*claims
	key, token string
	lease      int64
	expired    bool // what the key was taken over from
}

// once tries to create the row, and else looks at the one that is there.
func (t *try) once(ctx context.Context) (store.Claim, error) {
	created, err := t.exec(ctx, t.sql.create, t.token, []byte{}, t.lease, t.key)
	if err == nil && created == 1 {
		t.expired = false // what was there has been released since
		return t.won(), nil
	}
	row, lookErr := t.look(ctx, t.key)
	switch {
	case lookErr == nil:
		return t.seen(ctx, row)
	case wasThere(err) && errors.Is(lookErr, sql.ErrNoRows): // and was released meanwhile
		return store.Claim{}, errLostRace
	case err != nil && !rolledBack(err): // it may yet be created
		return store.Claim{}, ambiguous("Claim", err)
	case errors.Is(lookErr, sql.ErrNoRows): // as above
		return store.Claim{}, errLostRace
	}
	return store.Claim{}, unavailable("Claim", lookErr)
}

// wasThere reports whether an INSERT failed because the row was there first (MySQL's
// 1062).
func wasThere(err error) bool { return err != nil && code(err) == "1062" }

func (t *try) won() store.Claim {
	return store.Claim{State: store.ClaimNew, Token: t.token, Expired: t.expired}
}

// seen answers by the row that is there. One with our token was written by an INSERT or
// UPDATE whose answer was lost.
func (t *try) seen(ctx context.Context, row claimRow) (store.Claim, error) {
	switch {
	case row.key != t.key:
		return store.Claim{}, errMergedClaims
	case row.token == t.token:
		return t.won(), nil
	case row.ended:
		return t.takeOver(ctx, row)
	case !row.done:
		return store.Claim{State: store.ClaimBusy}, nil
	}
	value, err := t.sealer.Open(claimPurpose, row.key, row.value)
	if err != nil {
		return store.Claim{}, fmt.Errorf("sqlstore: Claim: %w", err)
	}
	return store.Claim{State: store.ClaimDone, Token: row.token, Value: value}, nil
}

// claimPurpose binds sealed values to what they are.
const claimPurpose = "claim"

// errMergedClaims keeps two things from being taken for one in a table that was made
// otherwise than Schema says.
var errMergedClaims = errors.New("sqlstore: Claim: the table takes different keys for the same one: its key column is not binary")

// takeOver replaces a row that has ended, if it is still as it was seen.
func (t *try) takeOver(ctx context.Context, row claimRow) (store.Claim, error) {
	t.expired = !row.done
	taken, err := t.exec(ctx, t.sql.takeOver, t.token, []byte{}, t.lease, t.key, row.token, flag(row.done))
	switch {
	case err == nil && taken == 1:
		return t.won(), nil
	case err == nil, rolledBack(err):
		return store.Claim{}, errLostRace
	}
	if now, lookErr := t.look(ctx, t.key); lookErr == nil && now.token == t.token {
		return t.won(), nil
	}
	return store.Claim{}, ambiguous("Claim", err)
}

func (c *claims) look(ctx context.Context, key string) (claimRow, error) {
	var (
		row         claimRow
		done, ended int64
	)
	err := c.db.QueryRowContext(ctx, c.sql.look, key).Scan(&row.key, &row.token, &done, &row.value, &ended)
	row.done, row.ended = done != 0, ended != 0
	return row, err
}

func (c *claims) complete(ctx context.Context, key, token string, value []byte, keep time.Duration) error {
	if err := store.CheckComplete(key, token, value, keep); err != nil {
		return err
	}
	stored, err := c.sealer.Seal(claimPurpose, key, value)
	if err != nil {
		return fmt.Errorf("sqlstore: Complete: %w", err)
	}
	written, err := c.persist(ctx, c.sql.complete, stored, ceilMillis(keep), key, token)
	switch {
	case err != nil:
		return ambiguous("Complete", err)
	case written == 1:
		return nil
	}
	row, err := c.look(ctx, key)
	switch {
	case err == nil && row.token == token: // MySQL counts no row that stays as it is
		return nil
	case err == nil, errors.Is(err, sql.ErrNoRows):
		return fmt.Errorf("sqlstore: Complete: the claim is not under this token: %w", telemed.ErrConflict)
	}
	return ambiguous("Complete", err)
}

func (c *claims) release(ctx context.Context, key, token string) error {
	if err := store.CheckRelease(key, token); err != nil {
		return err
	}
	if _, err := c.persist(ctx, c.sql.release, key, token); err != nil {
		return ambiguous("Release", err)
	}
	return nil
}

// persist repeats a statement that the database rolls back for another one: it did not
// happen.
func (c *claims) persist(ctx context.Context, query string, args ...any) (rows int64, err error) {
	for range raceTries {
		if rows, err = c.exec(ctx, query, args...); err == nil || !rolledBack(err) {
			break
		}
	}
	return rows, err
}

// ceilMillis rounds up: no lease ends early.
func ceilMillis(d time.Duration) int64 { return int64((d + time.Millisecond - 1) / time.Millisecond) }

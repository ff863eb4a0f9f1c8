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

// tokens is the table of tokens, as it is written down.
type tokens struct {
	database
	sql tokenStatements
}

// Get implements store.TokenStore.
func (s *tokens) Get(ctx context.Context, key store.AccountID) (store.Record, error) {
	if err := key.Validate(); err != nil {
		return store.Record{}, err
	}
	rec, err := scan(s.db.QueryRowContext(ctx, s.sql.get, key.Provider, key.Subject))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return store.Record{}, fmt.Errorf("sqlstore: %s: %w", key, telemed.ErrNotFound)
	case err != nil:
		return store.Record{}, broken("Get", err)
	case rec.ID != key:
		return store.Record{}, errMerged
	}
	return rec, nil
}

// errMerged keeps one doctor from another's token in a table that was made otherwise than
// Schema says.
var errMerged = errors.New("sqlstore: Get: the table takes different keys for the same one: its key columns are not binary")

// Put implements store.TokenStore.
func (s *tokens) Put(ctx context.Context, rec store.Record) (string, error) {
	if err := store.CheckRecord(rec); err != nil {
		return "", err
	}
	token, err := store.EncodeToken(rec.Token)
	if err != nil {
		return "", fmt.Errorf("sqlstore: Put: %w", err)
	}
	revision := rand.Text()
	query := s.sql.create
	args := []any{
		token, string(rec.Status), rec.Reason,
		rec.Lease.Owner, millis(rec.Lease.Until), rec.Lease.TTL.Milliseconds(), flag(rec.Lease.Tainted),
		millis(rec.Token.Expiry), millis(rec.UpdatedAt), revision, rec.ID.Provider, rec.ID.Subject,
	}
	if rec.Revision != "" {
		query = s.sql.replace
		args = append(args, rec.Revision)
	}
	written, err := s.exec(ctx, query, args...)
	if err != nil || written != 1 {
		if err := s.outcome(ctx, rec, revision, err); err != nil {
			return "", err
		}
	}
	return revision, nil
}

// outcome finds out what became of a write that was answered with no row, an error or
// nothing. nil means that it has landed: its answer was lost and a pool or proxy sent it
// again.
func (s *tokens) outcome(ctx context.Context, rec store.Record, revision string, err error) error {
	stored, lookErr := s.revision(ctx, rec.ID)
	switch {
	case lookErr == nil && stored == revision:
		return nil
	// No row, a race, or MySQL's duplicate key.
	case err == nil, rolledBack(err), lookErr == nil && rec.Revision == "":
		return fmt.Errorf("sqlstore: Put: %s: %w", rec.ID, telemed.ErrConflict)
	}
	return ambiguous("Put", err)
}

func (s *tokens) revision(ctx context.Context, key store.AccountID) (revision string, err error) {
	err = s.db.QueryRowContext(ctx, s.sql.revision, key.Provider, key.Subject).Scan(&revision)
	return revision, err
}

// Delete implements store.TokenStore.
func (s *tokens) Delete(ctx context.Context, key store.AccountID) error {
	if err := key.Validate(); err != nil {
		return err
	}
	for try := 1; ; try++ {
		_, err := s.exec(ctx, s.sql.remove, key.Provider, key.Subject)
		switch {
		case err == nil:
			return nil
		case !rolledBack(err) || try == raceTries:
			return ambiguous("Delete", err)
		}
	}
}

// scan reads a row of the columns of get and list.
func scan(row interface{ Scan(...any) error }) (store.Record, error) {
	var (
		rec                                store.Record
		token                              []byte
		tainted, until, ttl, expiry, moved int64
	)
	err := row.Scan(&rec.ID.Provider, &rec.ID.Subject, &token, &rec.Status, &rec.Reason,
		&rec.Lease.Owner, &until, &ttl, &tainted, &expiry, &moved, &rec.Revision)
	if err != nil {
		return store.Record{}, err
	}
	rec.Token, err = store.DecodeToken(token)
	if err != nil {
		return store.Record{}, &unreadable{rec.ID, err}
	}
	rec.Lease.Until, rec.Lease.TTL = fromMillis(until), time.Duration(ttl)*time.Millisecond
	rec.Lease.Tainted, rec.UpdatedAt = tainted != 0, fromMillis(moved)
	return rec, nil
}

// unreadable is a row that holds something else than a record.
type unreadable struct {
	key store.AccountID
	err error
}

func (e *unreadable) Error() string { return fmt.Sprint(e.key) + ": " + e.err.Error() }
func (e *unreadable) Unwrap() error { return e.err }

func broken(op string, err error) error {
	if row, ok := errors.AsType[*unreadable](err); ok {
		return fmt.Errorf("sqlstore: %s: %w", op, row)
	}
	return unavailable(op, err)
}

// millis returns Unix milliseconds, and 0 for the zero time.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

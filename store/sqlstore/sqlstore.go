package sqlstore

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/store"
)

// Config configures a Store.
type Config struct {
	// DB is the host's pool, of the primary. The Store never closes it. Required.
	DB *sql.DB
	// Dialect is the SQL that DB speaks. Required.
	Dialect Dialect
	// Table is the table's name, with a schema before it or not ("app.oauth_tokens"), of
	// letters, digits and _. It is used unquoted. If empty, DefaultTable.
	Table string
}

// Store is a store.TokenStore and store.Lister in a table that [Schema] describes.
// It is safe for concurrent use, by many processes too.
type Store struct {
	db      *sql.DB
	dialect Dialect
	sql     statements
}

var (
	_ store.TokenStore = (*Store)(nil)
	_ store.Lister     = (*Store)(nil)
)

// New returns a Store, or an error that names everything that is wrong with cfg. It
// does not ask the database.
func New(cfg Config) (*Store, error) {
	if cfg.Table == "" {
		cfg.Table = DefaultTable
	}
	var p fault.Problems
	p.Check(cfg.DB != nil, "DB", "is required")
	p.Check(cfg.Dialect.known(), "Dialect", "is not PostgreSQL, MySQL or SQLite")
	p.Check(tableName.MatchString(cfg.Table), "Table", "is not a name of letters, digits and _")
	if err := p.Err("sqlstore"); err != nil {
		return nil, err
	}
	return &Store{db: cfg.DB, dialect: cfg.Dialect, sql: cfg.Dialect.statements(cfg.Table)}, nil
}

// Get implements store.TokenStore.
func (s *Store) Get(ctx context.Context, key store.AccountID) (store.Record, error) {
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

// errMerged keeps one doctor from another's token in a table that was made otherwise than Schema says.
var errMerged = errors.New("sqlstore: Get: the table takes different keys for the same one: its key columns are not binary")

// Put implements store.TokenStore. If the database's answer is lost, Put looks once
// whether the write has landed.
func (s *Store) Put(ctx context.Context, rec store.Record) (string, error) {
	if err := validate(rec); err != nil {
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
// nothing. nil means that it has landed: its answer was lost and a pool or proxy sent it again.
func (s *Store) outcome(ctx context.Context, rec store.Record, revision string, err error) error {
	stored, lookErr := s.revision(ctx, rec.ID)
	switch {
	case lookErr == nil && stored == revision:
		return nil
	case err == nil, rolledBack(err), lookErr == nil && rec.Revision == "": // no row, a race, or MySQL's duplicate key
		return fmt.Errorf("sqlstore: Put: %s: %w", rec.ID, telemed.ErrConflict)
	}
	return failed("Put", err)
}

func (s *Store) revision(ctx context.Context, key store.AccountID) (revision string, err error) {
	err = s.db.QueryRowContext(ctx, s.sql.revision, key.Provider, key.Subject).Scan(&revision)
	return revision, err
}

// Delete implements store.TokenStore. If the database rolls it back for another's write, it is tried again.
func (s *Store) Delete(ctx context.Context, key store.AccountID) error {
	if err := key.Validate(); err != nil {
		return err
	}
	for try := 1; ; try++ {
		_, err := s.exec(ctx, s.sql.remove, key.Provider, key.Subject)
		switch {
		case err == nil:
			return nil
		case !rolledBack(err) || try == deleteTries:
			return failed("Delete", err)
		}
	}
}

// deleteTries is how many races in a row a Delete may lose; each was won by another write.
const deleteTries = 20

func (s *Store) exec(ctx context.Context, query string, args ...any) (rows int64, err error) {
	result, err := s.db.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// validate refuses what would not fit into the columns: some databases would cut it silently.
func validate(rec store.Record) error {
	if err := rec.ID.Validate(); err != nil {
		return err
	}
	var p fault.Problems
	p.Check(len(rec.Status) <= 32, "Record.Status", "is longer than 32 bytes")
	p.Check(len(rec.Reason) <= 1024, "Record.Reason", "is longer than 1024 bytes")
	p.Check(len(rec.Lease.Owner) <= 64, "Record.Lease.Owner", "is longer than 64 bytes")
	return p.Err("sqlstore: Put")
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
	return failed(op, err)
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

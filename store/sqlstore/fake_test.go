package sqlstore_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// fakeDB is a driver that answers as it is told and remembers what it was asked. The
// proof on real databases is in internal/integration; this one loses answers.
type fakeDB struct {
	mu      sync.Mutex
	queries []query
	// exec and query answer statements. If nil: one row changed, no row found.
	exec  func(query) (int64, error)
	query func(query) ([][]driver.Value, error)
	// commit answers the end of a transaction. If nil: it has ended.
	commit func() error
	open   int // connections in the hands of a caller: row sets that are not closed
}

type query struct {
	text string
	args []any
}

func newFakeDB(t *testing.T) (*fakeDB, *sql.DB) {
	t.Helper()
	fake := &fakeDB{}
	db := sql.OpenDB(fake)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return fake, db
}

func (f *fakeDB) record(text string, args []driver.NamedValue) query {
	q := query{text: text}
	for _, arg := range args {
		q.args = append(q.args, arg.Value)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.queries = append(f.queries, q)
	return q
}

func (f *fakeDB) asked() []query {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]query(nil), f.queries...)
}

func (f *fakeDB) openRows() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.open
}

// Connect implements driver.Connector.
func (f *fakeDB) Connect(context.Context) (driver.Conn, error) { return &fakeConn{f}, nil }

// Driver implements driver.Connector.
func (f *fakeDB) Driver() driver.Driver { return nil }

type fakeConn struct{ db *fakeDB }

var errUnused = errors.New("not used by database/sql here")

func (c *fakeConn) Prepare(string) (driver.Stmt, error) { return nil, errUnused }
func (c *fakeConn) Begin() (driver.Tx, error)           { return nil, errUnused }
func (c *fakeConn) Close() error                        { return nil }

// BeginTx implements driver.ConnBeginTx.
func (c *fakeConn) BeginTx(_ context.Context, opts driver.TxOptions) (driver.Tx, error) {
	c.db.record("BEGIN", []driver.NamedValue{{Value: int64(opts.Isolation)}})
	return (*fakeTx)(c), nil
}

type fakeTx fakeConn

// Commit implements driver.Tx.
func (t *fakeTx) Commit() error {
	t.db.record("COMMIT", nil)
	if t.db.commit == nil {
		return nil
	}
	return t.db.commit()
}

// Rollback implements driver.Tx.
func (t *fakeTx) Rollback() error { t.db.record("ROLLBACK", nil); return nil }

// ExecContext implements driver.ExecerContext.
func (c *fakeConn) ExecContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Result, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	q := c.db.record(text, args)
	if c.db.exec == nil {
		return driver.RowsAffected(1), nil
	}
	n, err := c.db.exec(q)
	return driver.RowsAffected(n), err
}

// QueryContext implements driver.QueryerContext.
func (c *fakeConn) QueryContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Rows, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	q := c.db.record(text, args)
	var rows [][]driver.Value
	if c.db.query != nil {
		var err error
		if rows, err = c.db.query(q); err != nil {
			return nil, err
		}
	}
	c.db.mu.Lock()
	defer c.db.mu.Unlock()
	c.db.open++
	return &fakeRows{db: c.db, rows: rows}, nil
}

type fakeRows struct {
	db   *fakeDB
	rows [][]driver.Value
}

// Columns implements driver.Rows. All rows have as many as the first one.
func (r *fakeRows) Columns() []string {
	if len(r.rows) == 0 {
		return nil
	}
	return make([]string, len(r.rows[0]))
}

// Close implements driver.Rows.
func (r *fakeRows) Close() error {
	r.db.mu.Lock()
	defer r.db.mu.Unlock()
	r.db.open--
	return nil
}

// Next implements driver.Rows.
func (r *fakeRows) Next(into []driver.Value) error {
	if len(r.rows) == 0 {
		return io.EOF
	}
	copy(into, r.rows[0])
	r.rows = r.rows[1:]
	return nil
}

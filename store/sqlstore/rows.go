package sqlstore

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/durable"
)

// Rows is the table of durable rows. It is all that a durable.Store can be: Leaser,
// LeaseLister, Eraser and Lister too. It is safe for concurrent use, by many processes
// too.
//
// No statement compares two clocks: the time at which rows are due is the caller's.
type Rows struct {
	dialect Dialect
	db      *sql.DB
	table   string
	sql     rowStatements
	sealer  store.Sealer
}

var (
	_ durable.Store       = (*Rows)(nil)
	_ durable.Leaser      = (*Rows)(nil)
	_ durable.LeaseLister = (*Rows)(nil)
	_ durable.Eraser      = (*Rows)(nil)
	_ durable.Lister      = (*Rows)(nil)
)

// Rows returns the durable rows of the Store. Their Data is sealed as tokens are; see
// Config.Seal.
func (s *Store) Rows() *Rows { return s.rows }

// Execer is what rows need of a transaction: *sql.Tx, *sqlx.Tx, bun.Tx and ent's Tx have
// it. QueryContext is not called again before the rows of the last call are closed.
type Execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// WithTx returns the rows as a transaction of the application's sees them: what is put is
// there if and when tx commits. The transaction must be of the same database. It is as
// safe for concurrent use as tx is.
//
// Get locks the row until the transaction ends, so that nobody else writes between Get
// and Put. Workers leave the row alone meanwhile, and wait with what they have to write
// down about it: keep such transactions short. telemed.ErrConflict means that somebody was
// faster, or that the database chose this transaction to undo: roll it back and repeat it
// from its beginning. [Store.InTx] does that by itself.
//
// An application that speaks pgx has both on one connection by
//
//	conn, err := db.Conn(ctx) // of stdlib.OpenDBFromPool(pool)
//	tx, err := conn.BeginTx(ctx, nil)
//	err = conn.Raw(func(c any) error { // book works with a *pgx.Conn
//		return book(ctx, c.(*stdlib.Conn).Conn())
//	})
//	_, err = rows.WithTx(tx).Put(ctx, item)
//	err = tx.Commit()
func (r *Rows) WithTx(tx Execer) durable.Store { return r.within(tx) }

func (r *Rows) within(tx Execer) *txRows { return &txRows{rows: r, tx: tx} }

// txRows are rows inside a transaction. What Rows can do beside is not for a transaction.
type txRows struct {
	rows *Rows
	tx   Execer
	// undone is set once the database has undone the transaction.
	undone atomic.Bool
}

// Get implements durable.Store.
func (r *Rows) Get(ctx context.Context, id durable.ID) (durable.Item, error) {
	return r.get(ctx, r.db, r.sql.get, id)
}

func (r *Rows) get(ctx context.Context, db Execer, query string, id durable.ID) (durable.Item, error) {
	if err := durable.CheckID(id); err != nil {
		return durable.Item{}, err
	}
	items, err := r.query(ctx, db, query, id.Kind, id.Name)
	switch {
	case err != nil:
		return durable.Item{}, unavailable("Rows.Get", err)
	case len(items) == 0:
		return durable.Item{}, fmt.Errorf("sqlstore: %s: %w", id, telemed.ErrNotFound)
	case items[0].ID != id:
		return durable.Item{}, errMergedRows
	}
	return r.open(items[0])
}

// errMergedRows keeps two rows from being taken for one in a table that was made
// otherwise than Schema says.
var errMergedRows = errors.New("sqlstore: Rows.Get: the table takes different names for the same one: its key columns are not binary")

func (r *Rows) open(item durable.Item) (durable.Item, error) {
	data, err := r.sealer.Open(durable.SealPurpose, item.ID.String(), item.Data)
	if err != nil {
		return durable.Item{}, fmt.Errorf("sqlstore: %s: %w", item.ID, err)
	}
	item.Data = data
	return item, nil
}

// Get implements durable.Store. It locks the row.
func (t *txRows) Get(ctx context.Context, id durable.ID) (durable.Item, error) {
	if t.rows.dialect == MySQL {
		// A lock on a row that is not there would be one on the gap between its neighbours:
		// two transactions that create rows would wait for each other.
		if _, err := t.rows.get(ctx, t.tx, t.rows.sql.get, id); errors.Is(err, telemed.ErrNotFound) {
			return durable.Item{}, err
		}
	}
	item, err := t.rows.get(ctx, t.tx, t.rows.sql.getLocked, id)
	return item, t.note(err)
}

// note remembers that the database has undone the transaction, which is a lost race.
func (t *txRows) note(err error) error {
	e, ok := errors.AsType[*Error](err)
	if !ok || !undoes(e.Code) && !t.rows.dialect.busy(e.Code) {
		return err
	}
	t.undone.Store(true)
	return &Error{Op: e.Op, Code: e.Code, kind: telemed.ErrConflict, cause: e.cause}
}

// Put implements durable.Store. If the database's answer is lost, Put looks once whether
// the write has landed.
func (r *Rows) Put(ctx context.Context, item durable.Item) (string, error) {
	w, err := r.newWrite(item)
	if err != nil {
		return "", err
	}
	var written int64
	for range raceTries {
		if written, err = affected(r.db.ExecContext(ctx, w.query, w.args...)); err == nil || !rolledBack(err) {
			break
		}
	}
	if err == nil && written == 1 {
		return w.revision, nil
	}
	return r.outcome(ctx, r.db, w, err)
}

// Put implements durable.Store.
func (t *txRows) Put(ctx context.Context, item durable.Item) (string, error) {
	w, err := t.rows.newWrite(item)
	if err != nil {
		return "", err
	}
	written, err := affected(t.tx.ExecContext(ctx, w.query, w.args...))
	switch {
	case err == nil && written == 1:
		return w.revision, nil
	case err == nil, t.rows.dialect == MySQL && code(err) == duplicateKey:
		return "", w.conflict()
	}
	return "", t.note(ambiguous("Rows.Put", err))
}

// Due implements durable.Store.
func (t *txRows) Due(ctx context.Context, q durable.Query) ([]durable.ID, error) {
	ids, err := t.rows.due(ctx, t.tx, q)
	return ids, t.note(err)
}

// write is a statement that writes a row.
type write struct {
	id       durable.ID
	query    string
	args     []any
	revision string // that it gives the row
}

func (w write) conflict() error { return fmt.Errorf("sqlstore: %s: %w", w.id, telemed.ErrConflict) }

func (r *Rows) newWrite(item durable.Item) (write, error) {
	if err := durable.CheckItem(item); err != nil {
		return write{}, err
	}
	data, err := r.sealer.Seal(durable.SealPurpose, item.ID.String(), item.Data)
	if err != nil {
		return write{}, fmt.Errorf("sqlstore: %s: %w", item.ID, err)
	}
	w := write{id: item.ID, revision: rand.Text(), query: r.sql.create}
	w.args = []any{
		nullMillis(item.Due), item.Lease.Owner, item.Lease.TTL.Milliseconds(), item.Attempts, item.Stuck,
		nullMillis(item.EraseAt), item.Version, append([]byte{}, item.Audit...), data, w.revision,
		item.ID.Kind, item.ID.Name, item.Tenant,
	}
	if item.Revision != "" {
		w.query = r.sql.replace
		w.args = append(w.args, item.Revision)
	}
	return w, nil
}

// duplicateKey is MySQL's answer to an INSERT of a row that is there.
const duplicateKey = "1062"

// outcome finds out what became of a write that was answered with no row, an error or
// nothing. Revisions are random, so a row with ours is our doing.
func (r *Rows) outcome(ctx context.Context, db Execer, w write, err error) (string, error) {
	stored, lookErr := r.revision(ctx, db, w.id)
	switch {
	case lookErr == nil && stored == w.revision:
		return w.revision, nil
	case err == nil, rolledBack(err), lookErr == nil && code(err) == duplicateKey:
		return "", w.conflict()
	case r.dialect.busy(code(err)):
		return "", unavailable("Rows.Put", err)
	}
	return "", ambiguous("Rows.Put", err)
}

// revision returns that of the row, empty if there is none.
func (r *Rows) revision(ctx context.Context, db Execer, id durable.ID) (revision string, err error) {
	rows, err := db.QueryContext(ctx, r.sql.revision, id.Kind, id.Name)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	if rows.Next() {
		err = rows.Scan(&revision)
	}
	return revision, errors.Join(err, rows.Err())
}

// query returns the rows that a statement selects or returns, not opened.
func (r *Rows) query(ctx context.Context, db Execer, query string, args ...any) (items []durable.Item, err error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		item, err := scanItem(rows)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, rows.Err()
}

// scanItem reads a row of rowColumns.
func scanItem(row interface{ Scan(...any) error }) (durable.Item, error) {
	var (
		item         durable.Item
		due, eraseAt sql.NullInt64
		ttl          int64
	)
	err := row.Scan(&item.ID.Kind, &item.ID.Name, &item.Tenant, &due, &item.Lease.Owner, &ttl, &item.Attempts,
		&item.Stuck, &eraseAt, &item.Version, &item.Audit, &item.Data, &item.Revision)
	item.Due, item.EraseAt = fromNullMillis(due), fromNullMillis(eraseAt)
	item.Lease.TTL = time.Duration(ttl) * time.Millisecond
	if len(item.Audit) == 0 {
		item.Audit = nil
	}
	return item, err
}

func nullMillis(t time.Time) sql.NullInt64 {
	return sql.NullInt64{Int64: t.UnixMilli(), Valid: !t.IsZero()}
}

func fromNullMillis(ms sql.NullInt64) time.Time {
	if !ms.Valid {
		return time.Time{}
	}
	return time.UnixMilli(ms.Int64).UTC()
}

func affected(result sql.Result, err error) (rows int64, _ error) {
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

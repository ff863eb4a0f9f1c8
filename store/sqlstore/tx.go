package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/store/durable"
)

// Tx is a transaction of [Store.InTx]: the application's own statements, and a
// durable.Store whose rows are written if and only if these are. It is used by one
// goroutine, until the function ends that it was given to.
//
// Get locks the row until the transaction ends, as [Rows.WithTx] says.
//
// The first error of ExecOne sticks: InTx rolls back and returns it, whatever the function
// returns. Until then ExecOne does nothing more, and Get, Put and Due fail and do nothing,
// so that nobody need look for it in between. The same goes for the news that the database
// has undone the transaction.
type Tx struct {
	*sql.Tx
	rows *txRows
	err  error               // the one that sticks
	lost map[durable.ID]bool // rows whose last Put has that lost a race which was not made good since
}

var _ durable.Store = (*Tx)(nil)

// ExecOne carries out a statement that is to affect one row. If it affects none, or more,
// the error that sticks is telemed.ErrNotFound: the row is not there, or not this user's.
// If the statement fails, it is an *[Error] that does not have the database's words; for
// those, use ExecContext.
//
// MySQL counts only rows that change, so that a statement which is repeated affects none:
// set clientFoundRows=true in the driver's address. What it does ON DUPLICATE KEY counts
// two, and is no statement for ExecOne.
func (t *Tx) ExecOne(ctx context.Context, query string, args ...any) {
	if t.err != nil {
		return
	}
	written, err := affected(t.ExecContext(ctx, query, args...))
	switch {
	case err != nil:
		t.err = t.rows.note(failed("ExecOne", err))
	case written != 1:
		t.err = fmt.Errorf("sqlstore: ExecOne: %d rows, not one: %w", written, telemed.ErrNotFound)
	}
}

// failed is the failure of a statement in a transaction that is not committed then. What is
// wrong with the statement, or with its values, has no kind.
func failed(op string, err error) *Error {
	e := &Error{Op: op, Code: code(err), cause: fault.Cause(err)}
	state := len(e.Code) == 5 && (strings.HasPrefix(e.Code, "08") || strings.HasPrefix(e.Code, "53") || strings.HasPrefix(e.Code, "57"))
	if state || e.cause != nil || errors.Is(err, driver.ErrBadConn) {
		e.kind = telemed.ErrUnavailable
	}
	return e
}

// errEarlier is what rows say after the error that sticks. It does not match that: a row
// that cannot be read is not one that is not there.
var errEarlier = fmt.Errorf("sqlstore: Tx: an earlier statement has failed: %w", telemed.ErrUnavailable)

// Get implements durable.Store. It locks the row.
func (t *Tx) Get(ctx context.Context, id durable.ID) (durable.Item, error) {
	if t.err != nil {
		return durable.Item{}, errEarlier
	}
	item, err := t.rows.Get(ctx, id)
	return item, t.heard(err)
}

// Put implements durable.Store.
func (t *Tx) Put(ctx context.Context, item durable.Item) (string, error) {
	if t.err != nil {
		return "", errEarlier
	}
	revision, err := t.rows.Put(ctx, item)
	switch {
	case t.heard(err) == nil:
		delete(t.lost, item.ID)
	case errors.Is(err, telemed.ErrConflict):
		if t.lost == nil {
			t.lost = map[durable.ID]bool{}
		}
		t.lost[item.ID] = true
	}
	return revision, err
}

// Due implements durable.Store.
func (t *Tx) Due(ctx context.Context, q durable.Query) ([]durable.ID, error) {
	if t.err != nil {
		return nil, errEarlier
	}
	ids, err := t.rows.Due(ctx, q)
	return ids, t.heard(err)
}

// heard has an error stick that says that the transaction is undone.
func (t *Tx) heard(err error) error {
	if err != nil && t.rows.undone.Load() {
		t.err = err
	}
	return err
}

// worthAnother reports whether the transaction that failed with err may go better the next
// time. A conflict is another one's doing only if a Put has lost a race; else it is what
// the application means.
func (t *Tx) worthAnother(err error) bool {
	return t.rows.undone.Load() || t.rows.rows.undone(err) || len(t.lost) > 0 && errors.Is(err, telemed.ErrConflict)
}

// errNotYours is the answer to an end that the function would give the transaction.
var errNotYours = errors.New("sqlstore: Tx: InTx commits and rolls back, not the function")

// Commit fails, and has InTx fail: it is InTx that commits.
func (t *Tx) Commit() error { return t.end() }

// Rollback fails, and has InTx fail: it is InTx that rolls back, if the function returns an
// error.
func (t *Tx) Rollback() error { return t.end() }

func (t *Tx) end() error {
	if t.err == nil {
		t.err = errNotYours
	}
	return errNotYours
}

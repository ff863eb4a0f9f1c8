package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/wait"
	"github.com/telemed-go/telemed/store/durable"
)

// Tx is a transaction: durable rows, and the application's own statements. It is used by
// one goroutine, until the function ends that it was given to.
type Tx struct {
	// Store is the rows, as [Rows.WithTx] returns them.
	durable.Store
	// SQL is the transaction. It is neither committed nor rolled back by the function.
	SQL *sql.Tx
}

// InTx begins a transaction, calls do, and commits if do returns nil, else rolls back and
// returns do's error. It does all that again, up to twenty times, if somebody else was
// faster: a Put of the Tx was told telemed.ErrConflict, or the database has undone the
// transaction for another one's sake (a deadlock, a serialization failure, a file that is
// busy). So do has no effects outside the transaction, and wraps the errors it returns
// with %w.
//
// If the answer to the commit is lost, nobody knows whether it happened: the error matches
// telemed.ErrAmbiguous.
func (s *Store) InTx(ctx context.Context, do func(tx *Tx) error) error {
	var err error
	for n := range raceTries {
		var again bool
		if again, err = s.rows.inTx(ctx, do); !again {
			return err
		}
		if ended := wait.For(ctx, wait.Jitter(min(10*time.Millisecond<<min(n, 10), time.Second))); ended != nil {
			return fmt.Errorf("sqlstore: InTx: %w", ended)
		}
	}
	return fmt.Errorf("sqlstore: InTx: others were faster, again and again: %w", err)
}

// inTx is one try. again reports whether another one is worth it: nothing was written.
func (r *Rows) inTx(ctx context.Context, do func(tx *Tx) error) (again bool, err error) {
	tx, err := r.db.BeginTx(ctx, nil)
	if err != nil {
		return r.undone(err), unavailable("InTx", err)
	}
	defer func() { _ = tx.Rollback() }() // also after a panic; it does nothing after a commit
	rows := r.within(tx)
	err = do(&Tx{Store: rows, SQL: tx})
	switch {
	case err != nil:
		return rows.undone.Load() || r.undone(err) || rows.lost.Load() && errors.Is(err, telemed.ErrConflict), err
	case rows.undone.Load():
		return true, fmt.Errorf("sqlstore: InTx: %w", telemed.ErrConflict)
	}
	if err = tx.Commit(); err != nil {
		if r.undone(err) {
			return true, unavailable("InTx", err)
		}
		return false, ambiguous("InTx", err)
	}
	return false, nil
}

// undone reports whether err is of a transaction that the database has undone, or will
// not carry out, for another one's sake.
func (r *Rows) undone(err error) bool { return rolledBack(err) || r.dialect.busy(code(err)) }

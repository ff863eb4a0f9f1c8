package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/wait"
)

// InTx begins a transaction, calls do, and commits if do returns nil, else rolls back and
// returns do's error. One that matches sql.ErrNoRows matches telemed.ErrNotFound too.
//
// It does all that again, up to twenty times while ctx lives, if somebody else was faster:
//
//   - do's error matches telemed.ErrConflict after a Put of the Tx has lost a race;
//   - the database has undone the transaction for another one's sake: a deadlock, a
//     serialization failure, a file that is busy.
//
// A telemed.ErrConflict by which do means something else (the doctor's minute is taken) is
// returned at once. If all tries are lost, it is telemed.ErrUnavailable. So do has no
// effects outside the transaction, and wraps the errors that it returns with %w.
//
// If the answer to the commit is lost, nobody knows whether it happened: the error matches
// telemed.ErrAmbiguous.
//
// InTx has one connection of the pool, and what is called on the Tx asks for no other one.
func (s *Store) InTx(ctx context.Context, do func(tx *Tx) error) error {
	for n := range raceTries {
		if again, err := s.rows.inTx(ctx, do); !again {
			return err
		}
		if ended := pause(ctx, n); ended != nil {
			return fmt.Errorf("sqlstore: InTx: %w", ended)
		}
	}
	return fmt.Errorf("sqlstore: InTx: others were faster, again and again: %w", telemed.ErrUnavailable)
}

// pause waits before the try after the n-th.
func pause(ctx context.Context, n int) error {
	return wait.For(ctx, wait.Jitter(min(10*time.Millisecond<<min(n, 10), time.Second)))
}

// inTx is one try. again reports whether another one is worth it: nothing was written.
func (r *Rows) inTx(ctx context.Context, do func(tx *Tx) error) (again bool, err error) {
	begun, err := r.db.BeginTx(ctx, nil)
	if err != nil {
		return r.undone(err), unavailable("InTx", err)
	}
	defer func() { _ = begun.Rollback() }() // also after a panic; it does nothing after a commit
	tx := &Tx{Tx: begun, rows: r.within(begun)}
	if err = do(tx); tx.err != nil {
		err = tx.err
	}
	if err != nil {
		return tx.worthAnother(err), notFound(err)
	}
	if ctx.Err() != nil { // and database/sql has rolled it back
		return false, unavailable("InTx", context.Cause(ctx))
	}
	switch err = begun.Commit(); {
	case err == nil:
		return false, nil
	case r.undone(err):
		return true, nil
	case errors.Is(err, sql.ErrTxDone) && ctx.Err() != nil: // likewise, just now
		return false, unavailable("InTx", context.Cause(ctx))
	}
	return false, ambiguous("InTx", err)
}

// notFound has an error of database/sql's for a row that is not there match ours.
func notFound(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return fault.Tagged(telemed.ErrNotFound, err)
	}
	return err
}

// undone reports whether err is of a transaction that the database has undone, or will
// not carry out, for another one's sake.
func (r *Rows) undone(err error) bool { return rolledBack(err) || r.dialect.busy(code(err)) }

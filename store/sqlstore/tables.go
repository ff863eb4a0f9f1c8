package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strconv"

	"github.com/telemed-go/telemed"
)

// CreateTables creates the tables and indexes that [Schema] describes, unless they are
// there, and then carries out also: the application's own statements, each string one or
// more of them between semicolons, such as a file of CREATE TABLE IF NOT EXISTS. It is for
// applications without migrations. Call it at each start, in any number of processes: one
// after the other has its turn, so also must do no harm when it is repeated.
//
// PostgreSQL and SQLite do it in one transaction, so that an error leaves nothing behind;
// what they refuse in a transaction (CREATE INDEX CONCURRENTLY) is not for also. MySQL does
// each statement by itself, and there one that has a semicolon of its own (a trigger) is
// not for also. A file of SQLite is set to write-ahead logging, which stays with it.
//
// The error is an *[Error] that says which string it was and what the database's code is.
func (s *Store) CreateTables(ctx context.Context, also ...string) error {
	steps := make([]step, 0, len(s.schema)+len(also))
	for _, statement := range s.schema {
		steps = append(steps, step{"CreateTables", statement})
	}
	for i, script := range also {
		steps = append(steps, step{"CreateTables also[" + strconv.Itoa(i) + "]", script})
	}
	for n := range raceTries {
		err := s.createTables(ctx, steps)
		if err == nil {
			return nil
		}
		e, ok := errors.AsType[*Error](err)
		if !ok || !undoes(e.Code) && !s.rows.dialect.busy(e.Code) {
			return err
		}
		if ended := pause(ctx, n); ended != nil {
			return fmt.Errorf("sqlstore: CreateTables: %w", ended)
		}
	}
	return fmt.Errorf("sqlstore: CreateTables: others were faster, again and again: %w", telemed.ErrUnavailable)
}

// step is a script, and what an error of it is called.
type step struct{ op, script string }

// createTables is one try, on a connection of its own.
func (s *Store) createTables(ctx context.Context, steps []step) error {
	conn, err := s.rows.db.Conn(ctx)
	if err != nil {
		return unavailable("CreateTables", err)
	}
	defer func() { _ = conn.Close() }()
	switch s.rows.dialect {
	case PostgreSQL:
		return createInTx(ctx, conn, steps)
	case MySQL:
		return createUnderLock(ctx, conn, steps)
	}
	return createInFile(ctx, conn, steps)
}

// The locks for those that create tables: without one, CREATE TABLE IF NOT EXISTS fails in
// two processes at once on PostgreSQL, whose number is "telemed" in ASCII.
const (
	tablesLock     = "SELECT pg_advisory_xact_lock(32762613530977636)"
	tablesLockName = "telemed.CreateTables"
)

// createInTx is PostgreSQL's. The lock ends with the transaction.
func createInTx(ctx context.Context, conn *sql.Conn, steps []step) error {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return unavailable("CreateTables", err)
	}
	defer func() { _ = tx.Rollback() }() // it does nothing after a commit
	if _, err := tx.ExecContext(ctx, tablesLock); err != nil {
		return failed("CreateTables", err)
	}
	for _, step := range steps {
		// Without arguments it may be many statements.
		if _, err := tx.ExecContext(ctx, step.script); err != nil {
			return failed(step.op, err)
		}
	}
	if err := tx.Commit(); err != nil {
		return ambiguous("CreateTables", err)
	}
	return nil
}

// createInFile is SQLite's. The journal's mode cannot be changed in a transaction.
func createInFile(ctx context.Context, conn *sql.Conn, steps []step) error {
	var mode string
	if err := conn.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&mode); err != nil {
		return failed("CreateTables", err)
	}
	if mode != "wal" {
		if err := conn.QueryRowContext(ctx, "PRAGMA journal_mode = WAL").Scan(&mode); err != nil {
			return failed("CreateTables", err)
		}
	}
	// Not by BeginTx: the driver would begin without the lock, unless its address says so.
	if _, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return failed("CreateTables", err)
	}
	for _, step := range steps {
		if _, err := conn.ExecContext(ctx, step.script); err != nil {
			end(ctx, conn, "ROLLBACK")
			return failed(step.op, err)
		}
	}
	if _, err := conn.ExecContext(ctx, "COMMIT"); err != nil {
		end(ctx, conn, "ROLLBACK")
		return ambiguous("CreateTables", err)
	}
	return nil
}

// createUnderLock is MySQL's, which commits each CREATE by itself.
func createUnderLock(ctx context.Context, conn *sql.Conn, steps []step) error {
	for locked := false; !locked; {
		var got sql.NullInt64
		if err := conn.QueryRowContext(ctx, "SELECT GET_LOCK('"+tablesLockName+"', 5)").Scan(&got); err != nil {
			return failed("CreateTables", err)
		}
		if err := ctx.Err(); err != nil {
			return unavailable("CreateTables", context.Cause(ctx))
		}
		locked = got.Int64 == 1
	}
	defer end(ctx, conn, "DO RELEASE_LOCK('"+tablesLockName+"')")
	for _, step := range steps {
		for _, statement := range statements(step.script) {
			if _, err := conn.ExecContext(ctx, statement); err != nil {
				e := failed(step.op, err)
				if e.kind != nil {
					e.kind = telemed.ErrAmbiguous
				}
				return e
			}
		}
	}
	return nil
}

// end gives back what a connection holds, or else the connection: the pool would hand on
// a lock with it.
func end(ctx context.Context, conn *sql.Conn, statement string) {
	if _, err := conn.ExecContext(context.WithoutCancel(ctx), statement); err != nil {
		_ = conn.Raw(func(any) error { return driver.ErrBadConn })
	}
}

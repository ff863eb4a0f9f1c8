package integration_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store/durable"
	"github.com/telemed-go/telemed/store/sqlstore"
)

// hospitalTables is an application's schema file, with what is hard to split in it.
const hospitalTables = `
-- The hospital's own tables; each statement may be repeated.
CREATE TABLE IF NOT EXISTS visits_SUFFIX (
	id VARCHAR(64) PRIMARY KEY, owner VARCHAR(64) NOT NULL, note VARCHAR(64) NOT NULL DEFAULT 'none; yet'
);
/* Who works here; and where. */
CREATE TABLE IF NOT EXISTS team_SUFFIX (id VARCHAR(64) NOT NULL, room VARCHAR(64) NOT NULL, PRIMARY KEY (id, room));
`

// TestTablesOfManyProcesses has processes begin at once in an empty database, as a rolling
// deployment does. None names a dialect: the driver is one that is known.
func TestTablesOfManyProcesses(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d database, db *sql.DB) {
		suffix := strings.ToLower(rand.Text()[:12])
		cfg := sqlstore.Config{
			InsecureClear: true, Table: "tokens_" + suffix, ClaimsTable: "claims_" + suffix, RowsTable: "rows_" + suffix,
		}
		dropAfter(t, db, cfg.Table, cfg.ClaimsTable, cfg.RowsTable, "visits_"+suffix, "team_"+suffix)
		dsn := d.dsn(t)
		if d.dialect == sqlstore.SQLite { // as an application has it that leaves the rest to CreateTables
			dsn, _, _ = strings.Cut(dsn, "?")
			dsn += "?_txlock=immediate&_pragma=busy_timeout(60000)"
		}
		var group sync.WaitGroup
		for range 6 {
			h := d.openHandle(t, dsn, cfg)
			h.db.SetMaxOpenConns(1)
			t.Cleanup(func() { require.NoError(t, h.Close()) })
			group.Go(func() {
				for range 2 {
					if err := h.CreateTables(t.Context(), strings.ReplaceAll(hospitalTables, "SUFFIX", suffix)); err != nil {
						t.Errorf("CreateTables: %v", err)
					}
				}
				book(t, h, "visits_"+suffix, rand.Text())
			})
		}
		group.Wait()
		if d.dialect == sqlstore.SQLite {
			h := d.openHandle(t, dsn, cfg)
			defer h.Close()
			var mode string
			require.NoError(t, h.db.QueryRowContext(t.Context(), "PRAGMA journal_mode").Scan(&mode))
			require.Equal(t, "wal", mode)
		}
	})
}

// book writes an appointment and its row on a pool of one connection.
func book(t *testing.T, h handle, table, id string) {
	err := h.InTx(t.Context(), func(tx *sqlstore.Tx) error {
		tx.ExecOne(t.Context(), fmt.Sprintf("INSERT INTO %s (id, owner) VALUES ('%s', 'asha')", table, id))
		_, err := durable.Change(t.Context(), tx, order(id), func(item *durable.Item) error { item.Due = time.Now(); return nil })
		return err
	})
	if err != nil {
		t.Errorf("InTx: %v", err)
	}
	err = h.InTx(t.Context(), func(tx *sqlstore.Tx) error {
		tx.ExecOne(t.Context(), fmt.Sprintf("UPDATE %s SET note = 'seen' WHERE id = '%s' AND owner = 'ravi'", table, id))
		_, err := durable.Change(t.Context(), tx, order(id), func(item *durable.Item) error { item.Due = time.Time{}; return nil })
		return err
	})
	if !errors.Is(err, telemed.ErrNotFound) {
		t.Errorf("InTx of another one's row: got %v, want ErrNotFound", err)
	}
	item, err := h.Rows().Get(t.Context(), order(id))
	if err != nil || item.Due.IsZero() {
		t.Errorf("the row: got %v, %v, want it due as before", item, err)
	}
}

// TestTablesThatCannotBe: what a database undoes by itself leaves nothing behind.
func TestTablesThatCannotBe(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d database, db *sql.DB) {
		suffix := strings.ToLower(rand.Text()[:12])
		cfg := sqlstore.Config{
			DB: db, InsecureClear: true, Table: "tokens_" + suffix, ClaimsTable: "claims_" + suffix, RowsTable: "rows_" + suffix,
		}
		dropAfter(t, db, cfg.Table, cfg.ClaimsTable, cfg.RowsTable)
		st := openStore(t, cfg)
		for range 2 { // the lock is free again
			err := st.CreateTables(t.Context(), "CREATE TABLE IF NOT EXISTS (")
			e, ok := errors.AsType[*sqlstore.Error](err)
			require.True(t, ok, "%v", err)
			require.Equal(t, "CreateTables also[0]", e.Op)
			require.NotEmpty(t, e.Code)
		}
		var n int
		err := db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM "+cfg.RowsTable).Scan(&n)
		require.Equal(t, d.dialect == sqlstore.MySQL, err == nil, "MySQL alone commits each table")
		require.NoError(t, st.CreateTables(t.Context()))
	})
}

// dropAfter drops tables with the test, if they are there.
func dropAfter(t *testing.T, db *sql.DB, tables ...string) {
	t.Helper()
	t.Cleanup(func() {
		for _, table := range tables {
			_, err := db.ExecContext(context.WithoutCancel(t.Context()), "DROP TABLE IF EXISTS "+table)
			require.NoError(t, err)
		}
	})
}

package integration_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/sqlstore"
	"github.com/telemed-go/telemed/store/storetest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d database, db *sql.DB) {
		storetest.Run(t, func(t *testing.T) store.TokenStore { return d.store(t, db) })
	})
}

func newKeyring(t *testing.T) *store.Keyring {
	t.Helper()
	keys, err := store.NewKeyring(store.NewKey())
	require.NoError(t, err)
	return keys
}

func TestSealed(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d database, db *sql.DB) {
		keys := newKeyring(t)
		storetest.Run(t, func(t *testing.T) store.TokenStore { return store.SealedStrict(d.store(t, db), keys) })

		t.Run("nothing readable in the table", func(t *testing.T) {
			table := d.table(t, db)
			tokens := store.SealedStrict(openStore(t, d, db, table), keys)
			err := store.Set(t.Context(), tokens, doctorKey(1), store.Token{Access: telemed.NewSecret("canary-access"), Refresh: telemed.NewSecret("canary-refresh")})
			require.NoError(t, err)
			var column []byte
			require.NoError(t, db.QueryRowContext(t.Context(), "SELECT token FROM "+table).Scan(&column))
			require.NotEmpty(t, column)
			require.NotContains(t, string(column), "canary")
		})

		t.Run("a row moved to another doctor", func(t *testing.T) {
			table := d.table(t, db)
			tokens := store.SealedStrict(openStore(t, d, db, table), keys)
			require.NoError(t, store.Set(t.Context(), tokens, doctorKey(1), store.Token{Access: telemed.NewSecret("a"), Refresh: telemed.NewSecret("r")}))
			_, err := db.ExecContext(t.Context(), "UPDATE "+table+" SET subject = 'doctor-2'")
			require.NoError(t, err)
			_, err = tokens.Get(t.Context(), doctorKey(2))
			require.ErrorIs(t, err, telemed.ErrDecrypt)
		})
	})
}

// TestOfferedSchema runs the statement that applications put into their migrations,
// twice, and under a table name of their own.
func TestOfferedSchema(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d database, db *sql.DB) {
		table := d.table(t, db)
		_, err := db.ExecContext(t.Context(), sqlstore.Schema(d.dialect, table))
		require.NoError(t, err, "running it again does no harm")
	})
}

// careless makes a table as an application would who does not know: under a collation
// that takes two doctors for one.
func careless(t *testing.T, d database, db *sql.DB) string {
	t.Helper()
	table := "careless_" + strings.ToLower(rand.Text()[:12])
	ddl := sqlstore.Schema(d.dialect, table)
	run := func(statement string) {
		t.Helper()
		_, err := db.ExecContext(context.Background(), statement)
		require.NoError(t, err)
	}
	switch d.dialect {
	case sqlstore.PostgreSQL:
		run("CREATE COLLATION " + table + " (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
		t.Cleanup(func() { run("DROP COLLATION " + table) })
		ddl = strings.ReplaceAll(ddl, `"C"`, table)
	case sqlstore.MySQL:
		ddl = strings.NewReplacer("VARBINARY(64) ", "VARCHAR(64) CHARACTER SET utf8mb4 ",
			"VARBINARY(255)", "VARCHAR(255) CHARACTER SET utf8mb4").Replace(ddl)
	case sqlstore.SQLite:
		ddl = strings.ReplaceAll(ddl, "COLLATE BINARY", "COLLATE NOCASE")
	}
	require.NotEqual(t, sqlstore.Schema(d.dialect, table), ddl)
	run(ddl)
	t.Cleanup(func() { run("DROP TABLE " + table) })
	return table
}

// TestCollation has the store refuse where a table would give one doctor the token of
// another.
func TestCollation(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d database, db *sql.DB) {
		tokens := openStore(t, d, db, careless(t, d, db))
		rec := store.Record{ID: store.AccountID{Provider: "zoom", Subject: "doc"}, Status: store.StatusActive, Token: store.Token{Access: telemed.NewSecret("theirs")}}
		_, err := tokens.Put(t.Context(), rec)
		require.NoError(t, err)

		other := store.AccountID{Provider: "zoom", Subject: "Doc"}
		got, err := tokens.Get(t.Context(), other)
		require.ErrorContains(t, err, "key columns are not binary")
		require.True(t, got.Token.Access.IsZero())
		rec.ID = other
		_, err = tokens.Put(t.Context(), rec)
		require.ErrorIs(t, err, telemed.ErrConflict)
	})
}

package integration_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/sqlstore"
	"github.com/telemed-go/telemed/store/storetest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	for _, d := range databases {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			dsn := d.dsn(t)
			storetest.RunShared(t, func(t *testing.T) func() store.TokenStore {
				cfg := d.tables(t, d.open(t, dsn))
				return func() store.TokenStore { return d.openHandle(t, dsn, cfg) }
			})
		})
	}
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
		storetest.Run(t, func(t *testing.T) store.TokenStore { return openStore(t, seal(d.tables(t, db), keys)) })

		t.Run("nothing readable in the table", func(t *testing.T) {
			cfg := seal(d.tables(t, db), keys)
			st := openStore(t, cfg)
			err := store.Set(t.Context(), st, doctorKey(1), store.Token{Access: telemed.NewSecret("canary-access"), Refresh: telemed.NewSecret("canary-refresh")})
			require.NoError(t, err)
			claim, err := st.Claim(t.Context(), "key", time.Hour)
			require.NoError(t, err)
			require.NoError(t, st.Complete(t.Context(), "key", claim.Token, []byte("canary-value"), time.Hour))
			for column, table := range map[string]string{"token": cfg.Table, "value": cfg.ClaimsTable} {
				var stored []byte
				require.NoError(t, db.QueryRowContext(t.Context(), "SELECT "+column+" FROM "+table).Scan(&stored))
				require.NotEmpty(t, stored)
				require.NotContains(t, string(stored), "canary")
			}
		})

		t.Run("a row moved to another doctor", func(t *testing.T) {
			cfg := seal(d.tables(t, db), keys)
			tokens := openStore(t, cfg)
			require.NoError(t, store.Set(t.Context(), tokens, doctorKey(1), store.Token{Access: telemed.NewSecret("a"), Refresh: telemed.NewSecret("r")}))
			_, err := db.ExecContext(t.Context(), "UPDATE "+cfg.Table+" SET subject = 'doctor-2'")
			require.NoError(t, err)
			_, err = tokens.Get(t.Context(), doctorKey(2))
			require.ErrorIs(t, err, telemed.ErrDecrypt)
		})
	})
}

// TestOfferedSchema runs the statements that applications put into their migrations
// twice, and under table names of their own.
func TestOfferedSchema(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d database, db *sql.DB) {
		for _, statement := range sqlstore.Schema(d.tables(t, db)) {
			_, err := db.ExecContext(t.Context(), statement)
			require.NoError(t, err, "running it again does no harm")
		}
	})
}

// careless makes tables as somebody would who does not know: under a collation that takes
// two doctors, or two claims, for one.
func careless(t *testing.T, d database, db *sql.DB) sqlstore.Config {
	t.Helper()
	suffix := strings.ToLower(rand.Text()[:12])
	cfg := sqlstore.Config{
		DB: db, Dialect: d.dialect, Table: "careless_" + suffix, ClaimsTable: "careless_claims_" + suffix,
		RowsTable: "careless_rows_" + suffix, InsecureClear: true,
	}
	run := func(statement string) {
		t.Helper()
		_, err := db.ExecContext(context.Background(), statement)
		require.NoError(t, err)
	}
	change := strings.NewReplacer("COLLATE BINARY", "COLLATE NOCASE")
	switch d.dialect {
	case sqlstore.PostgreSQL:
		run("CREATE COLLATION folding_" + suffix + " (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
		t.Cleanup(func() { run("DROP COLLATION folding_" + suffix) })
		change = strings.NewReplacer(`"C"`, "folding_"+suffix)
	case sqlstore.MySQL:
		change = strings.NewReplacer("VARBINARY(64) ", "VARCHAR(64) CHARACTER SET utf8mb4 ",
			"VARBINARY(255)", "VARCHAR(255) CHARACTER SET utf8mb4", "VARBINARY(512)", "VARCHAR(512) CHARACTER SET utf8mb4")
	}
	for _, ddl := range sqlstore.Schema(cfg) {
		careless := change.Replace(ddl)
		require.True(t, careless != ddl || strings.Contains(ddl, "INDEX"), "every table has keys: %s", ddl)
		run(careless)
	}
	t.Cleanup(func() {
		for _, table := range []string{cfg.Table, cfg.ClaimsTable, cfg.RowsTable} {
			run("DROP TABLE " + table)
		}
	})
	return cfg
}

// TestCollation has the store refuse where a table would give one doctor the token of
// another.
func TestCollation(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d database, db *sql.DB) {
		tokens := openStore(t, careless(t, d, db))
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

		_, err = tokens.Claim(t.Context(), "appt", time.Hour)
		require.NoError(t, err)
		_, err = tokens.Claim(t.Context(), "Appt", time.Hour)
		require.ErrorContains(t, err, "key column is not binary")
	})
}

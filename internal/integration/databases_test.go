package integration_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"
	_ "github.com/ncruces/go-sqlite3/driver"
	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/sqlstore"
)

// database is one of the databases that the stores are proved on.
type database struct {
	name    string
	driver  string
	dialect sqlstore.Dialect
	// dsn returns where it is; it skips the test if it is nowhere.
	dsn func(t *testing.T) string
}

var databases = []database{
	{"SQLite", "sqlite3", sqlstore.SQLite, sqliteFile},
	{"PostgreSQL", "pgx", sqlstore.PostgreSQL, fromEnv("TELEMED_POSTGRES_DSN", "")},
	{"MariaDB", "mysql", sqlstore.MySQL, fromEnv("TELEMED_MARIADB_DSN", "")},
	{"PostgreSQL, repeatable read", "pgx", sqlstore.PostgreSQL, repeatableRead},
	{"MariaDB with clientFoundRows", "mysql", sqlstore.MySQL, fromEnv("TELEMED_MARIADB_DSN", "clientFoundRows=true")},
}

// sqliteFile returns a DSN as package sqlstore asks for: write-ahead log and a busy
// timeout.
func sqliteFile(t *testing.T) string {
	return "file:" + filepath.Join(t.TempDir(), "tokens.db") +
		"?_pragma=busy_timeout(60000)&_pragma=journal_mode(wal)&_pragma=synchronous(normal)&_txlock=immediate"
}

// repeatableRead is the server of an application that has raised its isolation: there a
// lost race is an error.
func repeatableRead(t *testing.T) string {
	return fromEnv("TELEMED_POSTGRES_DSN", "")(t) + " default_transaction_isolation='repeatable read'"
}

func fromEnv(name, parameter string) func(*testing.T) string {
	return func(t *testing.T) string {
		dsn := os.Getenv(name)
		if dsn == "" {
			t.Skipf("%s is not set, so there is no such database to test on; .ci/databases starts one", name)
		}
		switch {
		case parameter == "":
			return dsn
		case strings.Contains(dsn, "?"):
			return dsn + "&" + parameter
		}
		return dsn + "?" + parameter
	}
}

// open returns a pool that is closed with the test.
func (d database) open(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open(d.driver, dsn)
	require.NoError(t, err)
	db.SetMaxOpenConns(8)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

// tables creates the tables of the schema that is offered, and drops them with the test.
// The result is a Config that names them and seals nothing.
func (d database) tables(t *testing.T, db *sql.DB) sqlstore.Config {
	t.Helper()
	suffix := strings.ToLower(rand.Text()[:12])
	cfg := sqlstore.Config{
		DB: db, Dialect: d.dialect, InsecureClear: true,
		Table: "tokens_" + suffix, ClaimsTable: "claims_" + suffix, RowsTable: "rows_" + suffix,
	}
	for _, statement := range sqlstore.Schema(cfg) {
		_, err := db.ExecContext(t.Context(), statement)
		require.NoError(t, err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		for _, table := range []string{cfg.Table, cfg.ClaimsTable, cfg.RowsTable} {
			_, err := db.ExecContext(ctx, "DROP TABLE "+table)
			require.NoError(t, err)
		}
	})
	return cfg
}

func openStore(t *testing.T, cfg sqlstore.Config) *sqlstore.Store {
	t.Helper()
	st, err := sqlstore.New(cfg)
	require.NoError(t, err)
	return st
}

// handle is a Store with a pool of its own, as a process has one.
type handle struct {
	*sqlstore.Store
	db *sql.DB
}

// openHandle returns a Store over the tables of cfg.
func (d database) openHandle(t *testing.T, dsn string, cfg sqlstore.Config) handle {
	t.Helper()
	db, err := sql.Open(d.driver, dsn)
	require.NoError(t, err)
	db.SetMaxOpenConns(6)
	cfg.DB = db
	return handle{openStore(t, cfg), db}
}

// Close ends the process.
func (h handle) Close() error { return h.db.Close() }

// seal has cfg seal.
func seal(cfg sqlstore.Config, keys store.AEAD) sqlstore.Config {
	cfg.Seal, cfg.SealStrict, cfg.InsecureClear = keys, true, false
	return cfg
}

// each runs test on every database.
func each(t *testing.T, test func(t *testing.T, d database, db *sql.DB)) {
	t.Helper()
	for _, d := range databases {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			test(t, d, d.open(t, d.dsn(t)))
		})
	}
}

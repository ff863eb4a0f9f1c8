package integration_test

import (
	"database/sql"
	"testing"

	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/durable"
	"github.com/telemed-go/telemed/store/sqlstore"
	"github.com/telemed-go/telemed/store/storetest"
)

// rowsHandle is Rows with a pool of their own, as a process has one.
type rowsHandle struct {
	*sqlstore.Rows
	db *sql.DB
}

// Close ends the process.
func (h rowsHandle) Close() error { return h.db.Close() }

// TestRowsKeepTheContract runs the suite over rows in clear and sealed.
func TestRowsKeepTheContract(t *testing.T) {
	t.Parallel()
	keys := newKeyring(t)
	for _, d := range databases {
		for name, config := range map[string]func(sqlstore.Config) sqlstore.Config{
			"clear":  func(cfg sqlstore.Config) sqlstore.Config { return cfg },
			"sealed": func(cfg sqlstore.Config) sqlstore.Config { return seal(cfg, keys) },
		} {
			t.Run(d.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				dsn := d.dsn(t)
				storetest.RunDurable(t, func(t *testing.T) func() durable.Store {
					cfg := config(d.tables(t, d.open(t, dsn)))
					return func() durable.Store {
						h := d.openHandle(t, dsn, cfg)
						return rowsHandle{h.Rows(), h.db}
					}
				})
			})
		}
	}
}

// claimsHandle is Claims over Rows with a pool of their own.
type claimsHandle struct {
	store.Claims
	db *sql.DB
}

// Close ends the process.
func (h claimsHandle) Close() error { return h.db.Close() }

// TestClaimsOverRowsKeepTheContract runs the suite of claims over rows, sealed.
func TestClaimsOverRowsKeepTheContract(t *testing.T) {
	t.Parallel()
	keys := newKeyring(t)
	for _, d := range databases {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			dsn := d.dsn(t)
			storetest.RunClaims(t, func(t *testing.T) func() store.Claims {
				cfg := seal(d.tables(t, d.open(t, dsn)), keys)
				return func() store.Claims {
					h := d.openHandle(t, dsn, cfg)
					return claimsHandle{durable.NewClaims(h.Rows()), h.db}
				}
			})
		})
	}
}

package main

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"

	_ "github.com/ncruces/go-sqlite3/driver" // SQLite in Go, without cgo

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/sqlstore"
)

// opener opens the store as a server does that has these keys: the first one seals.
type opener func(keys ...telemed.Secret) (store.TokenStore, error)

// openDatabase makes tables in a SQLite file of its own. closeDatabase removes it.
func openDatabase(ctx context.Context) (open opener, closeDatabase func(), err error) {
	dir, err := os.MkdirTemp("", "tokens")
	if err != nil {
		return nil, nil, err
	}
	remove := func() { os.RemoveAll(dir) }
	db, err := sql.Open("sqlite3", "file:"+filepath.ToSlash(dir)+"/tokens.db?_txlock=immediate&_pragma=busy_timeout(10000)")
	if err != nil {
		remove()
		return nil, nil, err
	}
	closeDatabase = func() { db.Close(); remove() }
	cfg := sqlstore.Config{DB: db, SealStrict: true}
	open = func(keys ...telemed.Secret) (store.TokenStore, error) {
		ring, err := store.NewKeyring(keys...)
		if err != nil {
			return nil, err
		}
		sealing := cfg
		sealing.Seal = ring
		st, err := sqlstore.New(sealing)
		if err != nil {
			return nil, err
		}
		return st, st.CreateTables(ctx) // or one of your migrations
	}
	return open, closeDatabase, nil
}

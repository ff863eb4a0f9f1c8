package main

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"

	_ "github.com/ncruces/go-sqlite3/driver" // SQLite in Go, without cgo

	"github.com/telemed-go/telemed/store/sqlstore"
)

// openTable makes a table for tokens in a SQLite file of its own. closeTable removes it.
func openTable(ctx context.Context) (table *sqlstore.Store, closeTable func(), err error) {
	dir, err := os.MkdirTemp("", "tokens")
	if err != nil {
		return nil, nil, err
	}
	remove := func() { os.RemoveAll(dir) }
	db, err := sql.Open("sqlite3", "file:"+filepath.ToSlash(dir)+"/tokens.db?_txlock=immediate&_pragma=busy_timeout(10000)&_pragma=journal_mode(wal)")
	if err != nil {
		remove()
		return nil, nil, err
	}
	closeTable = func() { db.Close(); remove() }
	// The schema is one of an application's migrations.
	if _, err = db.ExecContext(ctx, sqlstore.Schema(sqlstore.SQLite, "")); err == nil {
		table, err = sqlstore.New(sqlstore.Config{DB: db, Dialect: sqlstore.SQLite})
	}
	if err != nil {
		closeTable()
		return nil, nil, err
	}
	return table, closeTable, nil
}

// Tokens shows the life of a doctor's token in SQLite: connected, sealed, refreshed once for many
// callers, sealed again under a new key, disconnected. Zoom runs on this machine.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"

	_ "github.com/ncruces/go-sqlite3/driver" // SQLite in Go, without cgo

	"github.com/telemed-go/telemed/meet/connect"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/sqlstore"
	"github.com/telemed-go/telemed/zoom"
	"github.com/telemed-go/telemed/zoom/zoomtest"
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		log.Fatal("tokens: ", err)
	}
}

func run(ctx context.Context, out io.Writer) error {
	fake, err := zoomtest.Start(zoomtest.Config{})
	if err != nil {
		return err
	}
	defer fake.Close()
	dir, err := os.MkdirTemp("", "tokens")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	db, err := sql.Open("sqlite3", "file:"+filepath.ToSlash(dir)+"/tokens.db?_txlock=immediate&_pragma=busy_timeout(10000)&_pragma=journal_mode(wal)")
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, sqlstore.Schema(sqlstore.SQLite, "")); err != nil { // one of your migrations
		return err
	}
	table, err := sqlstore.New(sqlstore.Config{DB: db, Dialect: sqlstore.SQLite})
	oldKey, newKey := store.NewKey(), store.NewKey()
	before, err1 := seal(table, oldKey)
	during, err2 := seal(table, newKey, oldKey)
	after, err3 := seal(table, newKey)
	meetings, err4 := zoom.New(config(fake, before))
	if err := errors.Join(err, err1, err2, err3, err4); err != nil {
		return err
	}
	defer func() { _ = meetings.Close(ctx) }()

	doctors, err := connect.New(connect.Config{
		Provider: meetings.OAuth(), Tokens: after, Keys: []store.Secret{newKey}, ReturnURL: "http://127.0.0.1:3001/done",
		Subject: func(*http.Request) (string, error) { return "dr-rao", nil }, AllowInsecureLocalhost: true,
	})
	if err != nil {
		return err
	}
	key := doctors.Key("dr-rao")
	if err := consent(ctx, fake, meetings.OAuth(), before, key); err != nil {
		return err
	}
	rec, err := before.Get(ctx, key)
	fmt.Fprintln(out, "connected:", key, "with token", rec.Token.Access, err)

	fake.ExpireTokens()
	err = herd(ctx, fake, before, key, rec.Token.Access)
	fmt.Fprintf(out, "16 callers in 2 processes: %d refresh, %d tokens spent twice, %v\n", fake.Refreshes(), fake.Reuses(), err)

	n, err := store.Reseal(ctx, during)
	_, oldErr := before.Get(ctx, key)
	_, newErr := after.Get(ctx, key)
	fmt.Fprintf(out, "keys rotated: %d sealed again, %v; new key: %v, old key: %v\n", n, err, newErr, oldErr)

	revoked, err := doctors.Forget(ctx, "dr-rao")
	_, gone := table.Get(ctx, key)
	fmt.Fprintf(out, "disconnected: revoked at Zoom %t, %v; in the database: %v\n", revoked, err, gone)
	return nil
}

func seal(st store.TokenStore, keys ...store.Secret) (store.TokenStore, error) {
	ring, err := store.NewKeyring(keys...)
	return store.SealedStrict(st, ring), err
}

func config(fake *zoomtest.Server, tokens store.TokenStore) zoom.Config {
	return zoom.Config{ClientID: fake.ClientID(), ClientSecret: fake.ClientSecret(), Tokens: tokens, Endpoints: fake.Endpoints(),
		RedirectURL: "http://127.0.0.1:3001/api/auth/zoom/doctor/callback"}
}

package sqlstore_test

import (
	"context"
	"database/sql"
	"fmt"
	"log"
	"strings"
	"time"

	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/durable"
	"github.com/telemed-go/telemed/store/sqlstore"
)

func Example() {
	db := sql.OpenDB(&fakeDB{}) // an application calls sql.Open with its own driver and address
	defer db.Close()
	keys, err := store.NewKeyring(store.NewKey()) // an application keeps its keys in its configuration
	if err != nil {
		log.Fatal(err)
	}
	cfg := sqlstore.Config{DB: db, Dialect: sqlstore.PostgreSQL, Seal: keys, Table: "app.doctor_tokens", ClaimsTable: "app.claims", RowsTable: "app.work"}
	st, err := sqlstore.New(cfg)
	if err != nil {
		log.Fatal(err)
	}
	var _ store.TokenStore = st // for zoom.Config, googlemeet.Config and oauth.NewSource
	var _ store.Claims = st     // for whatever must happen once
	var _ durable.Store = st.Rows()

	// The application's migrations create the tables once.
	for _, statement := range sqlstore.Schema(cfg) {
		fmt.Println(strings.SplitAfter(statement, "(")[0])
	}
	// Output:
	// CREATE TABLE IF NOT EXISTS app.doctor_tokens (
	// CREATE TABLE IF NOT EXISTS app.claims (
	// CREATE TABLE IF NOT EXISTS app.work (
	// CREATE INDEX IF NOT EXISTS work_turn ON app.work (
	// CREATE INDEX IF NOT EXISTS work_due ON app.work (
	// CREATE INDEX IF NOT EXISTS work_lease ON app.work (
	// CREATE INDEX IF NOT EXISTS work_erase ON app.work (
}

// What is kept of people is sealed, or the Config says the word.
func ExampleNew() {
	_, err := sqlstore.New(sqlstore.Config{Dialect: sqlstore.SQLite})
	fmt.Println(err)
	// Output:
	// sqlstore: DB is required; Seal is required, or InsecureClear
}

// An appointment and the reminder that belongs to it: both are there, or neither.
func ExampleStore_InTx() {
	db := sql.OpenDB(&fakeDB{})
	defer db.Close()
	st, err := sqlstore.New(sqlstore.Config{DB: db, Dialect: sqlstore.PostgreSQL, InsecureClear: true})
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	start := time.Date(2030, 1, 7, 10, 0, 0, 0, time.UTC)
	err = st.InTx(ctx, func(tx *sqlstore.Tx) error { // again, if somebody else was faster
		tx.ExecOne(ctx, "INSERT INTO appointments (id) VALUES ($1)", 42) // its error sticks
		_, err := tx.Put(ctx, durable.Item{ID: durable.ID{Kind: "reminder", Name: "42"}, Due: start.Add(-time.Hour)})
		return err
	})
	fmt.Println(err)
	// Output:
	// <nil>
}

// The application has begun a transaction of its own, and commits it.
func ExampleRows_WithTx() {
	db := sql.OpenDB(&fakeDB{})
	defer db.Close()
	st, err := sqlstore.New(sqlstore.Config{DB: db, Dialect: sqlstore.MySQL, InsecureClear: true})
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	tx, err := db.BeginTx(ctx, nil) // or a transaction of sqlx, bun or ent
	if err != nil {
		log.Fatal(err)
	}
	defer tx.Rollback()
	rows := st.Rows().WithTx(tx)
	_, err = durable.Change(ctx, rows, durable.ID{Kind: "reminder", Name: "42"}, func(item *durable.Item) error {
		item.Due = time.Time{} // cancelled
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(tx.Commit())
	// Output:
	// <nil>
}

// A patient moves an appointment: the hospital's row and the durable one, both or neither.
// Another patient's row is not found, and nothing is written; nothing need be looked at
// between the two.
func ExampleTx_ExecOne() {
	fake := &fakeDB{exec: func(q query) (int64, error) {
		if q.args[len(q.args)-1] == "ravi" {
			return 0, nil // no row is his
		}
		return 1, nil
	}}
	db := sql.OpenDB(fake)
	defer db.Close()
	st, err := sqlstore.New(sqlstore.Config{DB: db, Dialect: sqlstore.PostgreSQL, InsecureClear: true})
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	start := time.Date(2030, 1, 7, 10, 0, 0, 0, time.UTC)
	move := func(owner string) error {
		return st.InTx(ctx, func(tx *sqlstore.Tx) error {
			tx.ExecOne(ctx, "UPDATE appointments SET start = $1 WHERE id = $2 AND owner = $3", start, 42, owner)
			_, err := tx.Put(ctx, durable.Item{ID: durable.ID{Kind: "reminder", Name: "42"}, Due: start.Add(-time.Hour)})
			return err
		})
	}
	fmt.Println(move("asha"))
	fmt.Println(move("ravi"))
	// Output:
	// <nil>
	// sqlstore: ExecOne: 0 rows, not one: not found
}

// An application without migrations creates what is missing at each start, its own tables
// too.
func ExampleStore_CreateTables() {
	db := sql.OpenDB(&fakeDB{})
	defer db.Close()
	st, err := sqlstore.New(sqlstore.Config{DB: db, Dialect: sqlstore.PostgreSQL, InsecureClear: true})
	if err != nil {
		log.Fatal(err)
	}
	const schema = `
		CREATE TABLE IF NOT EXISTS appointments (id TEXT PRIMARY KEY, owner TEXT NOT NULL);
		CREATE TABLE IF NOT EXISTS team (id TEXT NOT NULL, room TEXT NOT NULL, PRIMARY KEY (id, room));`
	fmt.Println(st.CreateTables(context.Background(), schema))
	// Output:
	// <nil>
}

package sqlstore_test

import (
	"database/sql"
	"fmt"
	"log"
	"strings"

	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/sqlstore"
)

func Example() {
	db := sql.OpenDB(&fakeDB{}) // an application calls sql.Open with its own driver and address
	defer db.Close()
	keys, err := store.NewKeyring(store.NewKey()) // an application keeps its keys in its configuration
	if err != nil {
		log.Fatal(err)
	}
	cfg := sqlstore.Config{DB: db, Dialect: sqlstore.PostgreSQL, Seal: keys, Table: "app.doctor_tokens", ClaimsTable: "app.claims"}
	st, err := sqlstore.New(cfg)
	if err != nil {
		log.Fatal(err)
	}
	var _ store.TokenStore = st // for zoom.Config, googlemeet.Config and oauth.NewSource
	var _ store.Claims = st     // for whatever must happen once

	// The application's migrations create the tables once.
	for _, statement := range sqlstore.Schema(cfg) {
		fmt.Println(strings.SplitAfter(statement, "(")[0])
	}
	// Output:
	// CREATE TABLE IF NOT EXISTS app.doctor_tokens (
	// CREATE TABLE IF NOT EXISTS app.claims (
}

// What is kept of people is sealed, or the Config says the word.
func ExampleNew() {
	_, err := sqlstore.New(sqlstore.Config{Dialect: sqlstore.SQLite})
	fmt.Println(err)
	// Output:
	// sqlstore: DB is required; Seal is required, or InsecureClear
}

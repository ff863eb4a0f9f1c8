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
	db := sql.OpenDB(&fakeDB{}) // a host calls sql.Open with the driver and address of its database
	defer db.Close()
	tokens, err := sqlstore.New(sqlstore.Config{DB: db, Dialect: sqlstore.PostgreSQL, Table: "app.doctor_tokens"})
	if err != nil {
		log.Fatal(err)
	}
	var _ store.TokenStore = tokens // for zoom.Config, googlemeet.Config and oauth.NewSource

	// The host's migrations create the table once.
	ddl := sqlstore.Schema(sqlstore.PostgreSQL, "app.doctor_tokens")
	fmt.Println(strings.SplitAfter(ddl, "(")[0])
	// Output:
	// CREATE TABLE IF NOT EXISTS app.doctor_tokens (
}

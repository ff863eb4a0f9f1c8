package integration_test

import (
	"database/sql"
	"testing"

	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/storetest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d database, db *sql.DB) {
		storetest.Run(t, func(t *testing.T) store.TokenStore { return d.store(t, db) })
	})
}

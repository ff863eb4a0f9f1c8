package mongostore_test

import (
	"testing"

	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/durable"
	"github.com/telemed-go/telemed/store/mongostore"
	"github.com/telemed-go/telemed/store/storetest"
)

// rowsHandle is a process's handle on the rows.
type rowsHandle struct {
	*mongostore.Rows
	handle handle
}

// Close ends the process.
func (r rowsHandle) Close() error { return r.handle.Close() }

func openRows(t *testing.T, uri string, cfg mongostore.Config) durable.Store {
	t.Helper()
	h := openHandle(t, uri, cfg)
	return rowsHandle{h.Rows(), h}
}

func TestRows(t *testing.T) {
	t.Parallel()
	storetest.RunDurable(t, func(t *testing.T) func() durable.Store {
		uri := start(t).URI()
		return func() durable.Store { return openRows(t, uri, mongostore.Config{InsecureClear: true}) }
	})
}

func TestRowsSealed(t *testing.T) {
	t.Parallel()
	keys := newKeyring(t, store.NewKey())
	storetest.RunDurable(t, func(t *testing.T) func() durable.Store {
		uri := start(t).URI()
		return func() durable.Store { return openRows(t, uri, mongostore.Config{Seal: keys, SealStrict: true}) }
	})
}

package storetest

import (
	"sync"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
)

// tokensTest is one run of a clause of TokenStore.
type tokensTest struct {
	*harness[store.TokenStore]
	neighbours neighbours

	mu   sync.Mutex
	seen map[string]bool // every revision so far
}

// next returns the handle for one more call. While that runs, a neighbour is written to,
// through another handle if there is one.
func (c *tokensTest) next() store.TokenStore {
	c.Helper()
	c.settleIn()
	c.rest()
	st := c.harness.next()
	if c.early() || c.calls%4 == 0 {
		c.stir(c.handle(c.calls + 1))
	}
	return st
}

// each returns the handles that must all have the same answer to a question.
func (c *tokensTest) each() []store.TokenStore {
	c.Helper()
	st := c.next()
	if c.way == severalHandles {
		return c.live
	}
	return []store.TokenStore{st}
}

// fresh notes a revision that a Put returned: none comes back, under whatever account.
func (c *tokensTest) fresh(revision string) {
	c.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if revision == "" {
		c.Error("Put returned an empty revision")
	}
	if c.seen[revision] {
		c.Error("Put returned a revision that was there before")
	}
	c.seen[revision] = true
}

func (c *tokensTest) put(rec store.Record) store.Record {
	c.Helper()
	revision, err := c.next().Put(c.Context(), rec)
	if err != nil {
		c.Fatalf("Put(%v): %v", rec.ID, err)
	}
	c.fresh(revision)
	rec.Revision = revision
	return rec
}

func (c *tokensTest) get(id store.AccountID) store.Record {
	c.Helper()
	rec, err := c.next().Get(c.Context(), id)
	if err != nil {
		c.Fatalf("Get(%v): %v", id, err)
	}
	return rec
}

func (c *tokensTest) delete(id store.AccountID) {
	c.Helper()
	if err := c.next().Delete(c.Context(), id); err != nil {
		c.Fatalf("Delete(%v): %v", id, err)
	}
}

// wantPutErr puts a record that must not be taken.
func (c *tokensTest) wantPutErr(what string, rec store.Record, want error) error {
	c.Helper()
	revision, err := c.next().Put(c.Context(), rec)
	wantErr(c.T, "Put "+what, err, want)
	if revision != "" {
		c.Errorf("Put %s returned a revision with its error", what)
	}
	return err
}

// wantStored fails unless every handle finds exactly want under its id.
func (c *tokensTest) wantStored(want store.Record) {
	c.Helper()
	for _, st := range c.each() {
		got, err := st.Get(c.Context(), want.ID)
		if err != nil {
			c.Fatalf("Get(%v): %v", want.ID, err)
		}
		wantEqual(c.T, got, want)
	}
}

func (c *tokensTest) wantAbsent(id store.AccountID) {
	c.Helper()
	for _, st := range c.each() {
		_, err := st.Get(c.Context(), id)
		wantErr(c.T, "Get of what is not there", err, telemed.ErrNotFound)
	}
}

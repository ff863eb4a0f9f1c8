package storetest

import (
	"context"
	"fmt"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
)

func lists(c *tokensTest) {
	c.Helper()
	if _, ok := c.live[0].(store.Lister); !ok {
		c.Skip("the store does not implement store.Lister")
	}
}

// listed returns what List yields, by id, without the neighbours.
func (c *tokensTest) listed(st store.TokenStore, filter store.Filter) map[store.AccountID]store.Record {
	c.Helper()
	found := map[store.AccountID]store.Record{}
	for rec, err := range st.(store.Lister).List(c.Context(), filter) {
		if err != nil {
			c.Fatalf("List: %v", err)
		}
		if c.neighbours.known[rec.ID] {
			continue
		}
		if _, twice := found[rec.ID]; twice {
			c.Fatalf("List(%+v) yields %v twice", filter, rec.ID)
		}
		found[rec.ID] = rec
	}
	return found
}

// fill puts seven records of each of two providers, every third waiting to be
// reconnected, and one that is long.
func (c *tokensTest) fill() map[store.AccountID]store.Record {
	c.Helper()
	kept := map[store.AccountID]store.Record{}
	for i := range 7 {
		for _, provider := range []string{"google", "zoom"} {
			rec := full(store.AccountID{Provider: provider, Subject: fmt.Sprintf("Doctor %d ", i)})
			if i%3 != 0 {
				rec.Status, rec.Reason, rec.Lease = store.StatusActive, "", store.Lease{}
			}
			kept[rec.ID] = c.put(rec)
		}
	}
	long := c.put(longest(c.T, store.AccountID{Provider: "zoom", Subject: "Doctor of many words"}, "access"))
	kept[long.ID] = long
	return kept
}

func list(c *tokensTest) {
	lists(c)
	if found := c.listed(c.harness.next(), store.Filter{}); len(found) != 0 {
		c.Errorf("an empty store lists %d records", len(found))
	}
	kept := c.fill()
	c.wantListed(kept)
	for id, rec := range kept { // what is looked up by must follow what is stored
		switch {
		case id.Provider == "google" && rec.Status == store.StatusReconnect:
			delete(kept, id)
			c.delete(id)
		case rec.Status == store.StatusReconnect:
			rec.Status = store.StatusActive
			kept[id] = c.put(rec)
		case id.Provider == "google":
			rec.Status = store.StatusReconnect
			kept[id] = c.put(rec)
		}
	}
	c.wantListed(kept)
	for _, err := range c.next().(store.Lister).List(c.Context(), store.Filter{}) {
		if err != nil {
			c.Fatalf("List: %v", err)
		}
		break
	}
	c.wantListEnded()
}

func (c *tokensTest) wantListEnded() {
	c.Helper()
	failures := 0
	for _, err := range c.next().(store.Lister).List(cancelled(c.T), store.Filter{}) {
		if err == nil {
			c.Fatal("List with an ended context yields a record")
		}
		wantErr(c.T, "List with an ended context", err, context.Canceled)
		failures++
	}
	if failures != 1 {
		c.Errorf("List with an ended context yields %d errors, want 1", failures)
	}
}

// wantListed fails unless each filter finds exactly what it fits, through every handle.
func (c *tokensTest) wantListed(kept map[store.AccountID]store.Record) {
	c.Helper()
	for _, filter := range []store.Filter{
		{}, {Provider: "zoom"}, {Status: store.StatusReconnect}, {Provider: "google", Status: store.StatusActive}, {Provider: "zoo"},
		{Provider: "zoo_"}, {Provider: "nobody"}, {Status: "Active"}, {Status: "active "}, {Status: "activ_"}, {Status: "act"},
	} {
		for _, st := range c.each() {
			c.wantListedBy(st, filter, kept)
		}
	}
}

func (c *tokensTest) wantListedBy(st store.TokenStore, filter store.Filter, kept map[store.AccountID]store.Record) {
	c.Helper()
	found, missed := c.listed(st, filter), 0
	for id, want := range kept {
		got, ok := found[id]
		switch {
		case ok && filter.Match(want):
			wantEqual(c.T, got, want)
			delete(found, id)
		case filter.Match(want):
			missed++
		}
	}
	if missed > 0 || len(found) > 0 {
		c.Errorf("List(%+v) leaves out %d records, and yields %d that do not fit or are not there", filter, missed, len(found))
	}
}

// many is how many records are listed: more than fit on a page, or on a few.
const many = 2100

// fillMany puts records of one moment, from many goroutines. Three of them wait to be
// reconnected, so that most pages have nothing for a filter.
func (c *tokensTest) fillMany() map[store.AccountID]store.Record {
	c.Helper()
	records := make([]store.Record, many)
	c.amid(workers, func(worker int, st store.TokenStore) error {
		for n := worker; n < many; n += workers {
			rec := small(store.AccountID{Provider: "zoom", Subject: fmt.Sprintf("listed %d", n)}, "token")
			if n%(many/3) == many/3-1 {
				rec.Status = store.StatusReconnect
			}
			revision, err := st.Put(c.Context(), rec)
			if err != nil {
				return err
			}
			c.fresh(revision)
			rec.Revision = revision
			records[n] = rec
		}
		return nil
	})
	kept := map[store.AccountID]store.Record{}
	for _, rec := range records {
		kept[rec.ID] = rec
	}
	return kept
}

func listOfMany(c *tokensTest) {
	lists(c)
	kept := c.fillMany()
	c.wantListedBy(c.next(), store.Filter{Status: store.StatusReconnect}, kept)
	c.wantListedBy(c.next(), store.Filter{Provider: "zoom"}, kept)
	c.rewrite(kept)
	c.wantListedBy(c.next(), store.Filter{}, kept)
}

// rewrite writes to every eighth record inside the loop, as resealing does.
func (c *tokensTest) rewrite(kept map[store.AccountID]store.Record) {
	c.Helper()
	st := c.next()
	writer := c.handle(c.calls + 1) // none may be closed while the loop runs
	visited := map[store.AccountID]bool{}
	for rec, err := range st.(store.Lister).List(c.Context(), store.Filter{}) {
		if err != nil {
			c.Fatalf("List: %v", err)
		}
		if c.neighbours.known[rec.ID] {
			continue
		}
		if visited[rec.ID] {
			c.Fatalf("List yields %v twice, and it was only written to", rec.ID)
		}
		visited[rec.ID] = true
		if len(visited)%8 != 0 {
			continue
		}
		rec.Reason, rec.UpdatedAt = "seen", rec.UpdatedAt.AddDate(1, 0, 0)
		rec.Token.Access = telemed.NewSecret("another token")
		if rec.Revision, err = writer.Put(c.Context(), rec); err != nil {
			c.Fatalf("Put while List runs: %v", err)
		}
		c.fresh(rec.Revision)
		kept[rec.ID] = rec
	}
	if len(visited) != len(kept) {
		c.Errorf("List yields %d of %d records that were only written to", len(visited), len(kept))
	}
}

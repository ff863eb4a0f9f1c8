package storetest

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
)

func getPut(c *tokensTest) {
	rec := c.put(small(key, "one"))
	c.wantStored(rec)
	rec.Token.Access = telemed.NewSecret("two")
	rec = c.put(rec)
	c.wantStored(rec)
	c.wantStored(c.put(rec)) // nothing changed but the revision
}

func absent(c *tokensTest) {
	c.wantAbsent(key)
	c.delete(key)
	rec := small(key, "one")
	rec.Revision = "no-such-revision"
	c.wantPutErr("over a revision when there is no record", rec, telemed.ErrConflict)
	c.wantAbsent(key)
	rec = c.put(small(key, "one")) // nobody remembers that it was absent
	c.wantStored(rec)
}

func deletes(c *tokensTest) {
	other := c.put(small(store.AccountID{Provider: key.Provider, Subject: "doctor-2"}, "two"))
	c.put(c.put(small(key, "one")))
	for range 2 {
		c.delete(key)
		c.wantAbsent(key)
	}
	c.wantStored(c.put(small(key, "three")))
	c.wantStored(other)
}

func everyField(c *tokensTest) {
	rec := c.put(full(key)) // created
	c.wantStored(rec)
	empty := small(key, "one")
	empty.Revision = rec.Revision
	rec = c.put(empty) // every field is emptied again
	c.wantStored(rec)
	filled := full(key)
	filled.Revision = rec.Revision
	c.wantStored(c.put(filled)) // replaced
}

func times(c *tokensTest) {
	for i, at := range []time.Time{
		time.UnixMilli(1).UTC(),
		time.Date(2026, 11, 24, 15, 0, 0, int(999*time.Millisecond), time.FixedZone("IST", 19_800)),
		time.Date(2026, 10, 25, 0, 30, 0, int(time.Millisecond), time.UTC), // a clock change in Europe
		time.Date(2999, 12, 31, 23, 59, 59, 0, time.UTC),
	} {
		rec := small(store.AccountID{Provider: "zoom", Subject: fmt.Sprint("doctor-", i)}, "one")
		rec.Token.Expiry, rec.Lease.Until, rec.UpdatedAt = at, at.Add(time.Millisecond), at.Add(2*time.Millisecond)
		rec.Lease.Owner = "somebody"
		c.wantStored(c.put(rec))
	}
}

// zeroFields puts a record as bare as a Source may write it: a token without an
// expiry, a taint without a lease, no time of change.
func zeroFields(c *tokensTest) {
	rec := store.Record{ID: key, Status: store.StatusActive, Token: store.Token{Scopes: []string{}, Extra: map[string]string{}}}
	rec = c.put(rec)
	c.wantStored(rec)
	rec.Lease.Tainted = true
	c.wantStored(c.put(rec))
}

func conflicts(c *tokensTest) {
	old := c.put(small(key, "one"))
	current := old
	current.Token.Access = telemed.NewSecret("two")
	current = c.put(current)
	other := c.put(small(store.AccountID{Provider: key.Provider, Subject: "doctor-2"}, "other"))
	for name, revision := range map[string]string{
		"the revision before": old.Revision, "no revision": "", "a made-up revision": "x", "a prefix": current.Revision[:len(current.Revision)-1],
		"other case": swapCase(current.Revision), "a padded revision": current.Revision + " ",
		"a pattern": "%", "another account's revision": other.Revision,
	} {
		if revision == current.Revision {
			continue
		}
		loser := small(key, "three")
		loser.Revision = revision
		c.wantPutErr("over "+name, loser, telemed.ErrConflict)
		c.wantStored(current)
	}
}

func swapCase(text string) string {
	return strings.Map(func(r rune) rune {
		if upper := strings.ToUpper(string(r)); upper != string(r) {
			return []rune(upper)[0]
		}
		return []rune(strings.ToLower(string(r)))[0]
	}, text)
}

// revisions guards against counters: whoever read a record, slept while it was
// deleted and created anew, and writes, must not hit the new one.
func revisions(c *tokensTest) {
	other := c.put(small(store.AccountID{Provider: "zoom", Subject: "other"}, "other"))
	for range 4 {
		rec := small(key, "one")
		for range 3 {
			before := rec
			rec = c.put(rec)
			if before.Revision != "" {
				c.wantPutErr("over a revision that is gone", before, telemed.ErrConflict)
			}
		}
		c.delete(key)
		c.wantPutErr("over a deleted record", rec, telemed.ErrConflict)
		c.wantAbsent(key)
	}
	c.wantStored(other)
}

func aliasing(c *tokensTest) {
	rec := full(key)
	want := full(key)
	want.Revision = c.put(rec).Revision
	wantEqual(c.T, rec, full(key)) // Put changes nothing of its caller's

	rec.Token.Scopes[0], rec.Token.Extra["api_url"], rec.Token.Extra["new"] = "changed", "changed", "changed"
	c.wantStored(want)
	got := c.get(key)
	got.Token.Scopes[0], got.Token.Extra["api_url"], got.Token.Extra["new"] = "changed", "changed", "changed"
	c.wantStored(want)
	if lister, ok := c.next().(store.Lister); ok {
		for got, err := range lister.List(c.Context(), store.Filter{}) {
			if err != nil {
				c.Fatalf("List: %v", err)
			}
			if got.ID == key {
				got.Token.Scopes[0], got.Token.Extra["api_url"] = "changed", "changed"
			}
		}
		c.wantStored(want)
	}
}

func contexts(c *tokensTest) {
	rec := c.put(small(key, "one"))
	ended := cancelled(c.T)
	_, err := c.next().Get(ended, key)
	wantErr(c.T, "Get with an ended context", err, context.Canceled)
	changed := rec
	changed.Token.Access = telemed.NewSecret("two")
	_, err = c.next().Put(ended, changed)
	wantErr(c.T, "Put with an ended context", err, context.Canceled)
	other := store.AccountID{Provider: "zoom", Subject: "doctor-2"}
	_, err = c.next().Put(ended, small(other, "one"))
	wantErr(c.T, "Put of a new record with an ended context", err, context.Canceled)
	wantErr(c.T, "Delete with an ended context", c.next().Delete(ended, key), context.Canceled)
	c.wantStored(rec)
	c.wantAbsent(other)

	expired, cancel := context.WithDeadline(c.Context(), time.Unix(0, 0))
	defer cancel()
	_, err = c.next().Get(expired, key)
	wantErr(c.T, "Get after the deadline", err, context.DeadlineExceeded)
}

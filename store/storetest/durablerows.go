package storetest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store/durable"
)

func rowGetPut(c *rowsTest) {
	c.wantNoRow(visitID)
	row := c.put(durable.Item{ID: visitID, Tenant: "clinic", Due: noon, Data: []byte("one")})
	c.wantRow(row)
	row.Data = []byte("two")
	row = c.put(row)
	c.wantRow(row)
	c.wantRow(c.put(row)) // nothing changed but the revision
}

func rowCreated(c *rowsTest) {
	row := durable.Item{ID: visitID, Tenant: "clinic", Data: []byte("one"), Revision: "no-such-revision"}
	c.wantPutErr("over a revision where there is no row", row, telemed.ErrConflict)
	c.wantNoRow(visitID)
	row.Revision = ""
	row = c.put(row)
	again := row
	again.Revision, again.Data = "", []byte("two")
	c.wantPutErr("of a new row where there is one", again, telemed.ErrConflict)
	again.Tenant = "another clinic"
	c.wantPutErr("of a new row of another tenant where there is one", again, telemed.ErrConflict)
	c.wantRow(row)
}

func rowConflicts(c *rowsTest) {
	old := c.put(durable.Item{ID: visitID, Data: []byte("one")})
	current := old
	current.Data = []byte("two")
	current = c.put(current)
	other := c.put(durable.Item{ID: durable.ID{Kind: visitID.Kind, Name: "another"}, Data: []byte("other")})
	for what, revision := range map[string]string{
		"the revision before": old.Revision, "no revision": "", "a made-up revision": "x", "a prefix": current.Revision[:len(current.Revision)-1],
		"other case": swapCase(current.Revision), "a padded revision": current.Revision + " ",
		"a pattern": "%", "another row's revision": other.Revision,
	} {
		if revision == current.Revision {
			continue
		}
		loser := current
		loser.Revision, loser.Data, loser.Due, loser.Lease = revision, []byte("three"), noon, durable.Lease{Owner: "x", TTL: time.Minute}
		c.wantPutErr("over "+what, loser, telemed.ErrConflict)
		c.wantRow(current)
	}
	c.wantRow(other)
}

// rowRevisions guards against counters: whoever read a row, slept while it was erased and
// created anew, and writes, must not hit the new one.
func rowRevisions(c *rowsTest) {
	other := c.put(aRow("other"))
	for range 3 {
		row := aRow("row")
		row.EraseAt = noon
		for range 3 {
			before := row
			row = c.put(row)
			if before.Revision != "" {
				c.wantPutErr("over a revision that is gone", before, telemed.ErrConflict)
			}
		}
		eraser, ok := c.next().(durable.Eraser)
		if !ok {
			break
		}
		if n, err := eraser.Erase(c.Context(), noon, 10); err != nil || n != 1 {
			c.Fatalf("Erase: %d, %v, want 1, nil", n, err)
		}
		c.wantPutErr("over a row that was erased", row, telemed.ErrConflict)
		c.wantNoRow(row.ID)
	}
	c.wantRow(other)
}

func rowTenant(c *rowsTest) {
	row := c.put(aRow("row"))
	for _, tenant := range []string{"another clinic", "Clinic", "clinic ", ""} {
		moved := row
		moved.Tenant, moved.Data = tenant, []byte("moved")
		c.wantPutErr("of another tenant", moved, telemed.ErrConflict)
		c.wantRow(row)
	}
	without := c.put(durable.Item{ID: durable.ID{Kind: "visit", Name: "nobody's"}})
	moved := without
	moved.Tenant = "clinic"
	c.wantPutErr("of a tenant that it had not", moved, telemed.ErrConflict)
	c.wantRow(without)
}

func rowFields(c *rowsTest) {
	row := c.put(fullRow(visitID)) // created
	c.wantRow(row)
	// Every field is emptied.
	row = c.put(durable.Item{ID: visitID, Tenant: row.Tenant, Revision: row.Revision})
	c.wantRow(row)
	filled := fullRow(visitID)
	filled.Revision = row.Revision
	row = c.put(filled) // replaced
	c.wantRow(row)
	row.Lease, row.Due = durable.Lease{}, time.Time{}
	c.wantRow(c.put(row))
}

func rowTimes(c *rowsTest) {
	for i, at := range []time.Time{
		time.Date(1971, 1, 1, 0, 0, 0, int(time.Millisecond), time.UTC),
		time.Date(2026, 11, 24, 15, 0, 0, int(999*time.Millisecond), time.FixedZone("IST", 19_800)),
		time.Date(2026, 10, 25, 0, 30, 0, int(time.Millisecond), time.UTC), // a clock change in Europe
		time.Date(2026, 11, 24, 15, 0, 0, 123_999_999, time.UTC),           // cut, not rounded
		time.Date(9999, 12, 31, 23, 59, 59, int(998*time.Millisecond), time.UTC),
	} {
		row := durable.Item{ID: durable.ID{Kind: "visit", Name: fmt.Sprint(i)}, Due: at, EraseAt: at.Add(time.Millisecond)}
		row = c.put(row)
		c.wantRow(row)
		row.Due, row.EraseAt = time.Time{}, time.Time{}
		row = c.put(row)
		c.wantRow(row)
		row.EraseAt = at
		c.wantRow(c.put(row))
	}
	for i, ttl := range []time.Duration{time.Millisecond, 999 * time.Millisecond, time.Minute + time.Millisecond, durable.MaxTTL} {
		c.wantRow(c.put(durable.Item{ID: durable.ID{Kind: "ttl", Name: fmt.Sprint(i)}, Lease: durable.Lease{Owner: "o", TTL: ttl}}))
	}
}

func rowAliasing(c *rowsTest) {
	fill := func() durable.Item {
		row := fullRow(visitID)
		row.Data, row.Audit, row.Due, row.Lease = []byte("data"), []byte("audit"), noon, durable.Lease{}
		return row
	}
	row, want := fill(), fill()
	revision, err := c.next().Put(c.Context(), row)
	if err != nil {
		c.Fatalf("Put: %v", err)
	}
	wantSameRow(c.T, row, want) // Put changes nothing of its caller's
	want.Revision = revision
	spoil := func(row durable.Item) {
		copy(row.Data, "####")
		copy(row.Audit, "####")
	}
	spoil(row)
	c.wantRow(want)
	spoil(c.get(visitID))
	c.wantRow(want)
	if lister, ok := c.next().(durable.Lister); ok {
		for got, err := range lister.List(c.Context(), durable.Filter{Kind: visitID.Kind}) {
			if err != nil {
				c.Fatalf("List: %v", err)
			}
			spoil(got)
		}
		c.wantRow(want)
	}
	if leaser, ok := c.next().(durable.Leaser); ok {
		q := durable.Query{Kinds: map[string]int{visitID.Kind: 1 << 30}, By: noon, Limit: 1}
		items, _, err := leaser.Lease(c.Context(), q, "", aLease("x"))
		if err != nil || len(items) != 1 {
			c.Fatalf("Lease: %d rows, %v", len(items), err)
		}
		want.Lease, want.Revision = items[0].Lease, items[0].Revision
		spoil(items[0])
		c.wantRow(want)
	}
}

func rowContexts(c *rowsTest) {
	row := c.put(aRow("row"))
	ended := cancelled(c.T)
	_, err := c.next().Get(ended, row.ID)
	wantErr(c.T, "Get with an ended context", err, context.Canceled)
	changed := row
	changed.Data = []byte("two")
	_, err = c.next().Put(ended, changed)
	wantErr(c.T, "Put with an ended context", err, context.Canceled)
	_, err = c.next().Put(ended, aRow("new"))
	wantErr(c.T, "Put of a new row with an ended context", err, context.Canceled)
	q := durable.Query{Kinds: visitKinds, By: noon, Limit: 10}
	_, err = c.next().Due(ended, q)
	wantErr(c.T, "Due with an ended context", err, context.Canceled)
	if leaser, ok := c.next().(durable.Leaser); ok {
		_, _, err = leaser.Lease(ended, q, "", aLease("x"))
		wantErr(c.T, "Lease with an ended context", err, context.Canceled)
	}
	if lister, ok := c.next().(durable.LeaseLister); ok {
		_, err = lister.Leases(ended, visitKinds)
		wantErr(c.T, "Leases with an ended context", err, context.Canceled)
	}
	if eraser, ok := c.next().(durable.Eraser); ok {
		_, err = eraser.Erase(ended, noon, 10)
		wantErr(c.T, "Erase with an ended context", err, context.Canceled)
	}
	c.wantRow(row)
	c.wantNoRow(aRow("new").ID)
	expired, cancel := context.WithDeadline(c.Context(), time.Unix(0, 0))
	defer cancel()
	_, err = c.next().Get(expired, row.ID)
	wantErr(c.T, "Get after the deadline", err, context.DeadlineExceeded)
}

func rowCreateRace(c *rowsTest) {
	for round := range 5 {
		id := durable.ID{Kind: "visit", Name: fmt.Sprint("race-", round)}
		revisions := make([]string, workers)
		together(c.T, workers, func(worker int) error {
			revision, err := c.handle(worker).Put(c.Context(), durable.Item{ID: id, Data: []byte(strconv.Itoa(worker))})
			if errors.Is(err, telemed.ErrConflict) {
				return nil
			}
			revisions[worker] = revision
			return err
		})
		winners := 0
		for worker, revision := range revisions {
			if revision != "" {
				winners++
				c.wantRow(durable.Item{ID: id, Data: []byte(strconv.Itoa(worker)), Revision: revision})
			}
		}
		if winners != 1 {
			c.Fatalf("%d of %d concurrent creations succeeded, want 1", winners, workers)
		}
	}
}

// rowIncrementRace loses increments in stores whose compare and set are two steps, or one
// in each process.
func rowIncrementRace(c *rowsTest) {
	c.put(durable.Item{ID: visitID, Data: []byte("0"), Audit: []byte("0")})
	together(c.T, workers, func(worker int) error {
		for range increments {
			if err := c.increment(c.handle(worker)); err != nil {
				return err
			}
		}
		return nil
	})
	if row := c.get(visitID); string(row.Data) != strconv.Itoa(workers*increments) {
		c.Errorf("a counter is %s after %d increments", row.Data, workers*increments)
	}
}

func (c *rowsTest) increment(st durable.Store) error {
	for {
		row, err := st.Get(c.Context(), visitID)
		if err != nil {
			return err
		}
		n, err := strconv.Atoi(string(row.Data))
		if err != nil || string(row.Audit) != string(row.Data) || row.Attempts != n {
			return errors.New("a Get returns a row of two writes")
		}
		row.Attempts = n + 1
		row.Data = []byte(strconv.Itoa(n + 1))
		row.Audit = row.Data
		revision, err := st.Put(c.Context(), row)
		if err == nil {
			c.fresh(revision)
		}
		if !errors.Is(err, telemed.ErrConflict) {
			return err
		}
	}
}

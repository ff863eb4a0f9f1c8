package storetest

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store/durable"
)

// lease leases what is due by q and checks what comes back.
func (c *rowsTest) lease(q durable.Query, after, owner string) (items []durable.Item, next string) {
	c.Helper()
	items, next, err := c.next().(durable.Leaser).Lease(c.Context(), q, after, aLease(owner))
	if err != nil {
		c.Fatalf("Lease: %v", err)
	}
	if err := wellLeased(items, q, aLease(owner)); err != nil {
		c.Fatal(err)
	}
	return items, next
}

// wellLeased says what is wrong with rows that a Lease returned, whatever is stored.
func wellLeased(items []durable.Item, q durable.Query, lease durable.Lease) error {
	if len(items) > q.Limit {
		return fmt.Errorf("a lease of %d rows, and the limit is %d", len(items), q.Limit)
	}
	seen := map[durable.ID]bool{}
	for _, item := range items {
		version, known := q.Kinds[item.ID.Kind]
		switch {
		case seen[item.ID]:
			return fmt.Errorf("a lease has %v twice", item.ID)
		case !known || item.Version > version:
			return fmt.Errorf("a lease has %v, which is of a kind or a version that nobody asked for", item.ID)
		case item.Due.IsZero() || item.Due.After(q.By):
			return fmt.Errorf("a lease has %v, which is not due", item.ID)
		case item.Lease != lease:
			return fmt.Errorf("a lease has %v without the lease", item.ID)
		case item.Revision == "":
			return fmt.Errorf("a lease has %v without a revision", item.ID)
		}
		seen[item.ID] = true
	}
	return nil
}

// leaseWhole has rows leased, written over by their new revision, and given back.
func leaseWhole(c *rowsTest) {
	can[durable.Leaser](c)
	rows := map[durable.ID]durable.Item{}
	for _, name := range []string{"a", "b", "c"} {
		row := fullRow(durable.ID{Kind: "visit", Name: name})
		row.Lease, row.Version, row.Tenant = durable.Lease{}, 3, "clinic "+name
		rows[row.ID] = c.put(row)
	}
	later := c.put(at("later", 1))
	q := durable.Query{Kinds: visitKinds, By: noon, Limit: 10}
	for range 2 {
		items, _ := c.lease(q, "", "x")
		if len(items) != len(rows) {
			c.Fatalf("Lease: %d rows, want %d", len(items), len(rows))
		}
		for _, item := range items {
			before := rows[item.ID]
			if item.Revision == before.Revision {
				c.Errorf("Lease: %v keeps its revision", item.ID)
			}
			c.wantPutErr("over the revision from before a lease", before, telemed.ErrConflict)
			before.Lease, before.Revision = item.Lease, item.Revision
			wantSameRow(c.T, item, before)
			c.wantRow(item) // what it leases is what Get then returns
		}
		c.wantDue("what is leased", durable.Query{By: noon})
		c.wantLeased("what is leased", durable.Query{Leased: true}, "a", "b", "c")
		if again, _ := c.lease(q, "", "y"); len(again) != 0 {
			c.Errorf("Lease: %d rows that are leased already", len(again))
		}
		for _, item := range items {
			item.Lease, item.Data = durable.Lease{}, append(item.Data, "more"...)
			rows[item.ID] = c.put(item)
		}
	}
	c.wantRow(later)
}

// leaseDue has one row that may be leased, and others that look like it.
func leaseDue(c *rowsTest) {
	can[durable.Leaser](c)
	newer, other, likely, leased, never, later := at("newer", 0), at("other", 0), at("likely", 0), at("leased", 0), at("never", 0), at("later", 1)
	newer.Version, other.ID.Kind, likely.ID.Kind, leased.Lease, never.Due = 4, "order", "visits", aLease("somebody"), time.Time{}
	var left []durable.Item
	for _, row := range []durable.Item{newer, other, likely, leased, never, later} {
		left = append(left, c.put(row))
	}
	first, second := c.put(at("first", -1)), c.put(at("second", 0))
	q := durable.Query{Kinds: visitKinds, By: noon.Add(999 * time.Microsecond), Limit: 1}
	for _, want := range []durable.Item{first, second} { // one tenant's, soonest first
		if items, _ := c.lease(q, "", "x"); len(items) != 1 || items[0].ID != want.ID {
			c.Fatalf("Lease of one: %d rows, want %v", len(items), want.ID)
		}
	}
	q.Limit = 100
	if items, _ := c.lease(q, "", "x"); len(items) != 0 {
		c.Errorf("Lease: %d rows that are not due, not known or leased", len(items))
	}
	for _, row := range left {
		c.wantRow(row)
	}
	items, _ := c.lease(durable.Query{Kinds: map[string]int{"visit": 4, "order": 3}, By: noon, Limit: 100}, "clinic", "z")
	if len(items) != 2 {
		c.Errorf("Lease of more kinds and versions: %d rows, want 2", len(items))
	}
	if items, _ := c.lease(durable.Query{Kinds: visitKinds, By: noon.Add(time.Millisecond), Limit: 100}, "", "z"); len(items) != 1 {
		c.Errorf("Lease a millisecond later: %d rows, want 1", len(items))
	}
}

// turnTenants are taken for one by a collation, and one of them is nobody.
var turnTenants = []string{"", "a", "A", "a ", "b", "é", "e", "z", "zz", "clinic 1", "clinic 10", "clinic 2", "%"}

// leaseTurns has more tenants than one lease can serve, and one with very many rows that
// were due long ago. In one round each has its turn, and none has two.
func leaseTurns(c *rowsTest) {
	can[durable.Leaser](c)
	var rows []durable.Item
	for n, tenant := range turnTenants {
		for i := range 8 {
			row := at(fmt.Sprint("of ", n, ", ", i), n)
			row.Tenant = tenant
			rows = append(rows, row)
		}
	}
	for i := range 50 {
		row := at(fmt.Sprint("old ", i), -1000)
		row.Tenant = "b"
		rows = append(rows, row)
	}
	c.fillRows(rows)
	after := ""
	for _, limit := range []int{1, 2, 3, 5} {
		served := map[string]int{}
		for range (len(turnTenants) + limit - 1) / limit {
			var items []durable.Item
			items, after = c.lease(durable.Query{Kinds: visitKinds, By: noon.Add(time.Hour), Limit: limit}, after, "x")
			if len(items) != limit {
				c.Fatalf("Lease of %d: %d rows, though more are due", limit, len(items))
			}
			for _, item := range items {
				served[item.Tenant]++
			}
		}
		for _, tenant := range turnTenants {
			if n := served[tenant]; n < 1 || n > 2 { // the last ones of a round begin the next
				c.Errorf("Lease of %d at a time: tenant %q is served %d times in a round", limit, tenant, n)
			}
		}
	}
	for _, after := range []string{"zzz", "nobody", "a", "\U0010ffff"} { // the tenant may be gone
		if items, _ := c.lease(durable.Query{Kinds: visitKinds, By: noon.Add(time.Hour), Limit: 2}, after, "x"); len(items) != 2 {
			c.Errorf("Lease after a tenant that has nothing: %d rows, want 2", len(items))
		}
	}
}

// leaseShares has fewer tenants than a lease can serve.
func leaseShares(c *rowsTest) {
	can[durable.Leaser](c)
	var rows []durable.Item
	for tenant, n := range map[string]int{"big": 90, "middle": 20, "small": 1, "smaller": 1} {
		for i := range n {
			row := at(fmt.Sprint(tenant, " ", i), i)
			row.Tenant = tenant
			rows = append(rows, row)
		}
	}
	c.fillRows(rows)
	served := map[string]int{}
	items, next := c.lease(durable.Query{Kinds: visitKinds, By: noon.Add(time.Hour), Limit: 21}, "", "x")
	for _, item := range items {
		served[item.Tenant]++
	}
	if served["small"] != 1 || served["smaller"] != 1 || served["middle"] < 5 || served["big"] < 5 {
		c.Errorf("Lease of 21 rows of four tenants: shares are %v", served)
	}
	for range 3 { // two tenants are left
		items, next = c.lease(durable.Query{Kinds: visitKinds, By: noon.Add(time.Hour), Limit: 10}, next, "x")
		if len(items) == 0 {
			c.Fatal("Lease: no rows, though some are due")
		}
	}
	for range 200 { // a lease may give no more than a share, but then it goes on
		if items, next = c.lease(durable.Query{Kinds: visitKinds, By: noon.Add(time.Hour), Limit: 100}, next, "x"); len(items) == 0 {
			break
		}
	}
	c.wantDue("after everything was leased", durable.Query{By: noon.Add(time.Hour)})
}

// leasers is how many goroutines lease at once.
const leasers = 16

// leaseRace has many lease the same rows.
func leaseRace(c *rowsTest) {
	can[durable.Leaser](c)
	rows := make([]durable.Item, 200)
	for n := range rows {
		rows[n] = at(fmt.Sprint("row ", n), n)
		rows[n].Tenant = fmt.Sprint("clinic ", n%5)
	}
	c.fillRows(rows)
	var mu sync.Mutex
	got := map[durable.ID]durable.Item{}
	together(c.T, leasers, func(worker int) error {
		st, after, empty := c.handle(worker), "", 0
		for n := 0; empty < 3; n++ {
			lease := aLease(fmt.Sprint("worker ", worker, ", ", n))
			q := durable.Query{Kinds: visitKinds, By: noon.Add(time.Hour), Limit: 7}
			items, next, err := st.(durable.Leaser).Lease(c.Context(), q, after, lease)
			if err := errors.Join(err, wellLeased(items, q, lease)); err != nil {
				return err
			}
			if after = next; len(items) == 0 {
				empty++
			}
			mu.Lock()
			for _, item := range items {
				if other, twice := got[item.ID]; twice {
					mu.Unlock()
					return fmt.Errorf("a lease: %v was given to %q and to %q", item.ID, other.Lease.Owner, lease.Owner)
				}
				got[item.ID] = item
			}
			mu.Unlock()
		}
		return nil
	})
	if len(got) != len(rows) {
		c.Errorf("Lease: %d of %d rows were given to anybody", len(got), len(rows))
	}
	for n, item := range rows {
		if n%20 == 0 {
			c.wantRow(got[item.ID])
			item = got[item.ID]
			item.Lease = durable.Lease{}
			c.put(item)
		}
	}
}

// leaseOrPutRace has each row leased by one, and changed by another one who has read it
// before: one of them is too late.
func leaseOrPutRace(c *rowsTest) {
	can[durable.Leaser](c)
	for round := range 10 {
		kinds := map[string]int{fmt.Sprint("round-", round): 3}
		rows := make([]durable.Item, 24)
		for n := range rows {
			rows[n] = at(fmt.Sprint("row ", n), n)
			rows[n].ID.Kind = fmt.Sprint("round-", round)
		}
		c.fillRows(rows)
		var mu sync.Mutex
		leased, changed := map[durable.ID]bool{}, map[durable.ID]bool{}
		together(c.T, 2, func(worker int) error {
			st := c.handle(worker)
			for n := len(rows) - 1; worker == 0 && n >= 0; n-- {
				row := rows[n]
				row.Due, row.Data = time.Time{}, []byte("changed")
				_, err := st.Put(c.Context(), row)
				if err != nil && !errors.Is(err, telemed.ErrConflict) {
					return err
				}
				mu.Lock()
				changed[row.ID] = err == nil
				mu.Unlock()
			}
			for range len(rows) * worker {
				items, _, err := st.(durable.Leaser).Lease(c.Context(), durable.Query{Kinds: kinds, By: noon.Add(time.Hour), Limit: 2}, "", aLease("x"))
				if err != nil {
					return err
				}
				mu.Lock()
				for _, item := range items {
					leased[item.ID] = true
				}
				mu.Unlock()
			}
			return nil
		})
		for _, row := range rows {
			if leased[row.ID] == changed[row.ID] {
				c.Fatalf("a row was leased: %t, and changed by its revision from before: %t", leased[row.ID], changed[row.ID])
			}
		}
	}
}

// leasesListed takes leases in each way and gives them back.
func leasesListed(c *rowsTest) {
	can[durable.LeaseLister](c)
	c.wantLeases(visitKinds)
	due, idle, newer, other, free := at("due", 0), at("idle", 0), at("newer", 0), at("other", 0), at("free", 0)
	idle.Due, newer.Version, other.ID.Kind = time.Time{}, 4, "order"
	for _, row := range []*durable.Item{&due, &idle, &newer, &other} {
		row.Lease = durable.Lease{Owner: "owner of " + row.ID.Name, TTL: durable.MaxTTL - time.Millisecond}
		*row = c.put(*row)
	}
	free = c.put(free)
	c.wantLeases(visitKinds, due, idle)
	c.wantLeases(map[string]int{"visit": 4}, due, idle, newer)
	c.wantLeases(map[string]int{"order": 3, "visit": 0}, other)
	due.Data = []byte("renewed")
	due = c.put(due)
	idle.Lease = durable.Lease{}
	c.put(idle)
	free.Lease = aLease("x")
	free = c.put(free)
	c.wantLeases(visitKinds, due, free)
}

func (c *rowsTest) wantLeases(kinds map[string]int, rows ...durable.Item) {
	c.Helper()
	for _, st := range c.each() {
		leases, err := st.(durable.LeaseLister).Leases(c.Context(), kinds)
		if err != nil {
			c.Fatalf("Leases: %v", err)
		}
		found := map[durable.ID]durable.Held{}
		for _, held := range leases {
			found[held.ID] = held
		}
		if len(leases) != len(rows) || len(found) != len(rows) {
			c.Errorf("Leases of %v: %d leases, want %d", kinds, len(leases), len(rows))
		}
		for _, row := range rows {
			if found[row.ID] != (durable.Held{ID: row.ID, Revision: row.Revision, Lease: row.Lease}) {
				c.Errorf("Leases: the one on %v is not that of the row", row.ID)
			}
		}
	}
}

// leasesOfMany has more leases than a query may ask for.
func leasesOfMany(c *rowsTest) {
	can[durable.LeaseLister](c)
	rows := make([]durable.Item, durable.MaxLimit+100)
	for n := range rows {
		rows[n] = at(fmt.Sprint("row ", n), n)
		rows[n].Lease = aLease(fmt.Sprint("owner ", n))
	}
	c.fillRows(rows)
	c.wantLeases(visitKinds, rows...)
}

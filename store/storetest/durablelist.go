package storetest

import (
	"context"
	"fmt"
	"time"

	"github.com/telemed-go/telemed/store/durable"
)

// rowErase has rows in each state, whose time is over or not.
func rowErase(c *rowsTest) {
	can[durable.Eraser](c)
	erased := func(by time.Time, limit, want int) {
		c.Helper()
		if n, err := c.next().(durable.Eraser).Erase(c.Context(), by, limit); err != nil || n != want {
			c.Errorf("Erase of at most %d: %d, %v, want %d, nil", limit, n, err, want)
		}
	}
	kept, later, plain, stuck, leased, idle := at("kept", 0), at("later", 0), at("plain", 0), at("stuck", 0), at("leased", 0), at("idle", 0)
	later.EraseAt, plain.EraseAt, stuck.EraseAt, leased.EraseAt, idle.EraseAt = noon.Add(time.Millisecond), noon, noon, noon.Add(-time.Hour), noon
	stuck.Stuck, leased.Lease, idle.Due = "why", aLease("x"), time.Time{}
	kept, later, plain = c.put(kept), c.put(later), c.put(plain)
	for _, row := range []durable.Item{stuck, leased, idle} {
		c.put(row)
	}
	erased(noon.Add(-2*time.Hour), 10, 0)
	erased(noon, 2, 2)
	erased(noon, 10, 2)
	erased(noon.Add(999*time.Microsecond), 10, 0)
	for _, row := range []durable.Item{plain, stuck, leased, idle} {
		c.wantNoRow(row.ID)
	}
	c.wantRow(kept)
	c.wantRow(later)
	c.wantDue("what was not erased", durable.Query{By: noon}, "kept", "later")
	plain.Revision = ""
	c.wantRow(c.put(plain)) // nobody remembers that it was there
	erased(noon.Add(time.Millisecond), 10, 2)
	c.wantRow(kept)
}

// listed returns what List yields, without the neighbours.
func (c *rowsTest) listed(st durable.Store, filter durable.Filter) map[durable.ID]durable.Item {
	c.Helper()
	found := map[durable.ID]durable.Item{}
	last := map[string]string{}
	for row, err := range st.(durable.Lister).List(c.Context(), filter) {
		if err != nil {
			c.Fatalf("List: %v", err)
		}
		if row.Tenant == "neighbour" {
			continue
		}
		if _, twice := found[row.ID]; twice {
			c.Fatalf("List(%+v) yields %v twice", filter, row.ID)
		}
		if last[row.ID.Kind] > row.ID.Name {
			c.Fatalf("List(%+v) yields %q after %q", filter, row.ID.Name, last[row.ID.Kind])
		}
		found[row.ID], last[row.ID.Kind] = row, row.ID.Name
	}
	return found
}

func rowList(c *rowsTest) {
	can[durable.Lister](c)
	if found := c.listed(c.next(), durable.Filter{}); len(found) != 0 {
		c.Errorf("an empty Store lists %d rows", len(found))
	}
	kept := map[durable.ID]durable.Item{}
	for i := range 24 {
		row := fullRow(durable.ID{Kind: []string{"visit", "order", "visi_"}[i%3], Name: fmt.Sprintf("row %02d", (i*7)%24)})
		row.Tenant = []string{"clinic", "Clinic", "clini_", ""}[i%4]
		if i%5 != 0 {
			row.Stuck, row.Lease = "", durable.Lease{}
		}
		kept[row.ID] = c.put(row)
	}
	c.wantRowsListed(kept)
	n := 0
	for id, row := range kept { // what is looked up by must follow what is stored
		if n++; n%2 == 0 {
			continue
		}
		if row.Stuck == "" {
			row.Stuck = "since now"
		} else {
			row.Stuck = ""
		}
		kept[id] = c.put(row)
	}
	c.wantRowsListed(kept)
	for _, err := range c.next().(durable.Lister).List(c.Context(), durable.Filter{}) {
		if err != nil {
			c.Fatalf("List: %v", err)
		}
		break
	}
	failures := 0
	for _, err := range c.next().(durable.Lister).List(cancelled(c.T), durable.Filter{}) {
		if err == nil {
			c.Fatal("List with an ended context yields a row")
		}
		wantErr(c.T, "List with an ended context", err, context.Canceled)
		failures++
	}
	if failures != 1 {
		c.Errorf("List with an ended context yields %d errors, want 1", failures)
	}
}

// wantRowsListed fails unless each filter finds exactly what it fits, through every
// handle.
func (c *rowsTest) wantRowsListed(kept map[durable.ID]durable.Item) {
	c.Helper()
	for _, filter := range []durable.Filter{
		{}, {Kind: "visit"}, {Kind: "visi_"}, {Kind: "vis"}, {Kind: "nothing"}, {Tenant: "clinic"}, {Tenant: "Clinic"}, {Tenant: "clini_"}, {Tenant: "clin"},
		{Tenant: "clinic "}, {Stuck: true}, {Kind: "order", Stuck: true}, {Kind: "visit", Tenant: "clinic", Stuck: true},
	} {
		for _, st := range c.each() {
			c.wantRowsListedBy(st, filter, kept)
		}
	}
}

func (c *rowsTest) wantRowsListedBy(st durable.Store, filter durable.Filter, kept map[durable.ID]durable.Item) {
	c.Helper()
	found, missed := c.listed(st, filter), 0
	for id, want := range kept {
		got, ok := found[id]
		switch {
		case ok && filter.Fits(want):
			wantSameRow(c.T, got, want)
			delete(found, id)
		case filter.Fits(want):
			missed++
		}
	}
	if missed > 0 || len(found) > 0 {
		c.Errorf("List(%+v) leaves out %d rows, and yields %d that do not fit or are not there", filter, missed, len(found))
	}
}

// rowListOfMany lists more rows than fit on a few pages, and writes to every eighth one
// inside the loop. Three of them are stuck, so that most pages have nothing for a filter.
func rowListOfMany(c *rowsTest) {
	can[durable.Lister](c)
	rows := make([]durable.Item, many)
	for n := range rows {
		rows[n] = at(fmt.Sprintf("row %04d", n), 0)
		if n%(many/3) == many/3-1 {
			rows[n].Stuck = "why"
		}
	}
	c.fillRows(rows)
	kept := map[durable.ID]durable.Item{}
	for _, row := range rows {
		kept[row.ID] = row
	}
	c.wantRowsListedBy(c.next(), durable.Filter{Stuck: true}, kept)
	st := c.next()
	writer := c.handle(c.calls + 1) // none may be closed while the loop runs
	n := 0
	for row, err := range st.(durable.Lister).List(c.Context(), durable.Filter{Kind: "visit"}) {
		if err != nil {
			c.Fatalf("List: %v", err)
		}
		if n++; n%8 == 0 {
			row.Due, row.Tenant, row.Data = row.Due.AddDate(1, 0, 0), "clinic", []byte("seen")
			kept[row.ID] = c.putBy(writer, row)
		}
	}
	if n != many {
		c.Errorf("List yields %d of %d rows that were only written to", n, many)
	}
	c.wantRowsListedBy(c.next(), durable.Filter{}, kept)
}

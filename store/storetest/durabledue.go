package storetest

import (
	"fmt"
	"time"

	"github.com/telemed-go/telemed/store/durable"
)

// at returns a row that is due so many milliseconds after noon.
func at(name string, ms int) durable.Item {
	row := aRow(name)
	row.Due = noon.Add(time.Duration(ms) * time.Millisecond)
	return row
}

func dueSoonest(c *rowsTest) {
	c.wantDue("of nothing", durable.Query{By: noon})
	for _, row := range []durable.Item{at("c", 3), at("a", 1), at("e", 5000), at("d", 4), at("b", 2), at("first", -40_000_000_000)} {
		c.put(row)
	}
	never := aRow("never")
	never.Due = time.Time{}
	c.put(never)
	all := durable.Query{By: noon.AddDate(10, 0, 0)}
	c.wantDue("all", all, "first", "a", "b", "c", "d", "e")
	all.Limit = 2
	c.wantDue("two of them", all, "first", "a")
	all.Limit = 1
	c.wantDue("one of them", all, "first")
	all.Limit = 6
	c.wantDue("as many as there are", all, "first", "a", "b", "c", "d", "e")
}

func dueByMillisecond(c *rowsTest) {
	for _, row := range []durable.Item{at("a", 0), at("b", 1), at("c", 2), at("next second", 877), at("later", 1000)} {
		c.put(row)
	}
	for _, by := range []struct {
		after time.Duration
		names []string
	}{
		{-time.Millisecond, nil}, {0, []string{"a"}}, {999 * time.Microsecond, []string{"a"}}, {time.Millisecond, []string{"a", "b"}},
		{876 * time.Millisecond, []string{"a", "b", "c"}}, {877 * time.Millisecond, []string{"a", "b", "c", "next second"}},
		{999 * time.Millisecond, []string{"a", "b", "c", "next second"}}, {time.Second, []string{"a", "b", "c", "next second", "later"}},
	} {
		moment := noon.Add(by.after)
		c.wantDue(fmt.Sprint(by.after, " after noon"), durable.Query{By: moment}, by.names...)
		c.wantDue("in another zone", durable.Query{By: moment.In(time.FixedZone("IST", 19_800))}, by.names...)
	}
}

// dueFollows changes rows: what is looked up by must follow what is stored.
func dueFollows(c *rowsTest) {
	later := durable.Query{By: noon.Add(time.Hour)}
	a, b := c.put(at("a", 1)), c.put(at("b", 2))
	c.wantDue("two", later, "a", "b")
	a.Due = noon.Add(3 * time.Millisecond)
	a = c.put(a)
	c.wantDue("one was put off", later, "b", "a")
	c.wantDue("one is not due yet", durable.Query{By: noon.Add(2 * time.Millisecond)}, "b")
	b.Due = time.Time{}
	b = c.put(b)
	c.wantDue("one has nothing to do", later, "a")
	b.Due = noon
	c.put(b)
	a.Version = 4
	c.put(a)
	c.wantDue("one is due again, one is of a newer version", later, "b")
}

func duePerTenant(c *rowsTest) {
	for i, tenant := range []string{"a", "a", "a", "b", "A", "a", "b", "", "a ", "c", "b", ""} {
		row := at(fmt.Sprint(i, "-", tenant), i)
		row.Tenant = tenant
		c.put(row)
	}
	by := noon.Add(time.Hour)
	c.wantDue("one of each", durable.Query{By: by, PerTenant: 1}, "0-a", "3-b", "4-A", "7-", "8-a ", "9-c")
	c.wantDue("two of each", durable.Query{By: by, PerTenant: 2}, "0-a", "1-a", "3-b", "4-A", "6-b", "7-", "8-a ", "9-c", "11-")
	c.wantDue("two of each, four of all", durable.Query{By: by, PerTenant: 2, Limit: 4}, "0-a", "1-a", "3-b", "4-A")
	c.wantDue("more than there are", durable.Query{By: by, PerTenant: 5, Limit: 7}, "0-a", "1-a", "2-a", "3-b", "4-A", "5-a", "6-b")
	c.wantDue("until a time", durable.Query{By: noon.Add(6 * time.Millisecond), PerTenant: 1}, "0-a", "3-b", "4-A")
}

func dueKinds(c *rowsTest) {
	for i, of := range []struct {
		kind    string
		version int
	}{{"visit", 3}, {"visit", 4}, {"visit", 0}, {"visits", 3}, {"visi_", 3}, {"visit-", 3}, {"order", 1}, {"order", 2}, {"order", 11}} {
		row := at(fmt.Sprint(of.kind, " ", of.version), i)
		row.ID.Kind, row.Version = of.kind, of.version
		c.put(row)
	}
	by := noon.Add(time.Hour)
	c.wantDue("visits", durable.Query{By: by, Kinds: map[string]int{"visit": 3}}, "visit 3", "visit 0")
	c.wantDue("newer visits", durable.Query{By: by, Kinds: map[string]int{"visit": 4}}, "visit 3", "visit 4", "visit 0")
	c.wantDue("the oldest visits", durable.Query{By: by, Kinds: map[string]int{"visit": 0}}, "visit 0")
	c.wantDue("visits and orders", durable.Query{By: by, Kinds: map[string]int{"visit": 0, "order": 2, "nothing": 7}}, "visit 0", "order 1", "order 2")
	c.wantDue("what looks like a pattern", durable.Query{By: by, Kinds: map[string]int{"visi_": 9}}, "visi_ 3")
	c.wantDue("all orders", durable.Query{By: by, Kinds: map[string]int{"order": 11}}, "order 1", "order 2", "order 11")
	c.wantDue("nobody's", durable.Query{By: by, Kinds: map[string]int{"nothing": 9}})
}

func aLease(owner string) durable.Lease { return durable.Lease{Owner: owner, TTL: time.Minute} }

// dueLeased takes leases and gives them back, again and again: a row that was leased once
// must not be hidden for ever.
func dueLeased(c *rowsTest) {
	a, b, idle := at("a", 1), at("b", 2), at("idle", 0)
	idle.Due, idle.Lease = time.Time{}, aLease("z")
	newer := at("newer", 0)
	newer.Version, newer.Lease = 4, aLease("y")
	a, b, idle = c.put(a), c.put(b), c.put(idle)
	c.put(newer)
	by := durable.Query{By: noon.Add(time.Hour)}
	for range 3 {
		c.wantDue("none of them is leased", by, "a", "b")
		c.wantDue("leased ones", durable.Query{Leased: true}, "idle")
		a.Lease = aLease("x")
		a = c.put(a)
		c.wantDue("one of them is leased", by, "b")
		c.wantLeased("a leased one, due or not", durable.Query{Leased: true}, "a", "idle")
		a.Lease = aLease("another")
		a = c.put(a)
		c.wantDue("it has changed hands", by, "b")
		c.wantLeased("a leased one, whatever the time", durable.Query{Leased: true, By: noon}, "a", "idle")
		a.Lease = durable.Lease{}
		a = c.put(a)
	}
	idle.Lease = durable.Lease{}
	c.put(idle)
	c.wantDue("no leased ones", durable.Query{Leased: true})
	c.wantRow(b)
}

// wantLeased is wantDue without an order: that of rows that are not due is nobody's.
func (c *rowsTest) wantLeased(what string, q durable.Query, names ...string) {
	c.Helper()
	q.Kinds, q.Limit = visitKinds, 100
	for _, st := range c.each() {
		got := c.due(st, q)
		found := map[string]bool{}
		for _, name := range got {
			found[name] = true
		}
		for _, name := range names {
			if !found[name] || len(got) != len(names) {
				c.Errorf("Due, %s: %s, want %s", what, few(got), few(names))
				break
			}
		}
	}
}

// dueBehind has what is due stand behind more than a page of what does not fit: leased
// rows, those of other kinds and versions, and one tenant's.
func dueBehind(c *rowsTest) {
	var rows []durable.Item
	for n := range 60 {
		leased, newer, other, big := at(fmt.Sprint("leased ", n), n), at(fmt.Sprint("newer ", n), n), at(fmt.Sprint("other ", n), n), at(fmt.Sprint("big ", n), n)
		leased.Lease, newer.Version, other.ID.Kind, big.Tenant = aLease("x"), 4, "other", "big"
		rows = append(rows, leased, newer, other, big)
	}
	rows = append(rows, at("mine", 1000), at("mine too", 1001))
	c.fillRows(rows)
	q := durable.Query{By: noon.Add(time.Hour), Limit: 4, PerTenant: 2}
	c.wantDue("behind others", q, "big 0", "big 1", "mine", "mine too")
	q.Limit, q.PerTenant = 3, 1
	c.wantDue("behind others, one of each", q, "big 0", "mine")
	if _, ok := c.live[0].(durable.Leaser); !ok {
		return
	}
	items, _ := c.lease(durable.Query{By: q.By, Limit: 2, Kinds: visitKinds}, "", "y")
	names := map[string]bool{}
	for _, item := range items {
		names[item.ID.Name] = true
	}
	if !names["mine"] || !names["big 0"] || len(items) != 2 {
		c.Errorf("Lease behind others: %d rows, want the first one of each of two tenants", len(items))
	}
}

// manyDue is how many rows are due: more than any page has.
const manyDue = 2000

func dueOfMany(c *rowsTest) {
	rows := make([]durable.Item, manyDue)
	names := make([]string, manyDue)
	for n := range rows {
		rows[n] = at(fmt.Sprintf("row %04d", n), n)
		rows[n].Tenant = fmt.Sprint("clinic ", n%7)
		names[n] = rows[n].ID.Name
	}
	c.fillRows(rows)
	q := durable.Query{By: noon.Add(time.Hour), Limit: durable.MaxLimit}
	c.wantDue("the first of many", q, names[:durable.MaxLimit]...)
	done := rows[:durable.MaxLimit]
	for n := range done {
		done[n].Due = time.Time{}
	}
	c.fillRows(done)
	c.wantDue("the last of many", q, names[durable.MaxLimit:]...)
	q.By = noon.Add(-time.Hour)
	c.wantDue("none of many", q)
}

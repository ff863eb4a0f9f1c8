package storetest

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store/durable"
)

// RunDurable checks a [durable.Store], clause by clause, each in a subtest of its own:
//
//	func TestRows(t *testing.T) {
//		storetest.RunDurable(t, func(t *testing.T) func() durable.Store {
//			table := newTable(t)
//			return func() durable.Store { return openRows(t, table) }
//		})
//	}
//
// open is as for [RunShared], and so are the three ways in which most clauses run. A
// durable.Leaser, LeaseLister, Eraser or Lister is checked for that too; if one handle is
// one, all must be. A Store may refuse data that is up to 1 KiB shorter than
// durable.MaxData, as durable.Sealed does. Some clauses use many goroutines, so run them
// with -race.
//
// Whether a row commits with an application's transaction is not checked here: how a
// transaction is begun is each database's own.
func RunDurable(t *testing.T, open func(t *testing.T) func() durable.Store) {
	t.Helper()
	runClauses(t, rowClauses, open, runRows)
}

var rowClauses = []clause[*rowsTest]{
	{"get what was put", false, rowGetPut},
	{"created once", false, rowCreated},
	{"conflicts write nothing", false, rowConflicts},
	{"a revision never comes back", false, rowRevisions},
	{"a tenant does not change", false, rowTenant},
	{"every field", false, rowFields},
	{"times", false, rowTimes},
	{"ids are exact", false, rowExactIDs},
	{"names of every kind", false, rowNames},
	{"bounds", false, rowBounds},
	{"invalid", false, rowInvalid},
	{"data is whole", false, rowData},
	{"nothing is shared with the caller", false, rowAliasing},
	{"context", false, rowContexts},
	{"due soonest first", false, dueSoonest},
	{"due by the millisecond", false, dueByMillisecond},
	{"due follows what is stored", false, dueFollows},
	{"due of each tenant", false, duePerTenant},
	{"due of kinds and versions", false, dueKinds},
	{"due without a lease", false, dueLeased},
	{"due behind a page of others", false, dueBehind},
	{"due of many", true, dueOfMany},
	{"lease whole rows", false, leaseWhole},
	{"lease what is due", false, leaseDue},
	{"lease in turns", false, leaseTurns},
	{"lease by shares", false, leaseShares},
	{"lease no row twice", true, leaseRace},
	{"leased or changed", true, leaseOrPutRace},
	{"leases", false, leasesListed},
	{"leases of many", true, leasesOfMany},
	{"erase", false, rowErase},
	{"list", false, rowList},
	{"list of many", true, rowListOfMany},
	{"one of many creates", true, rowCreateRace},
	{"no increment is lost", true, rowIncrementRace},
}

// rowsTest is one run of a clause of durable.Store.
type rowsTest struct {
	*harness[durable.Store]
	neighbours []durable.Item

	mu   sync.Mutex
	seen map[string]bool // every revision that a Put returned so far
}

func runRows(h *harness[durable.Store], clause clause[*rowsTest]) {
	c := &rowsTest{harness: h, seen: map[string]bool{}}
	c.settleIn()
	clause.run(c)
	for _, row := range c.neighbours {
		c.wantRow(row)
	}
}

// visitID is the row of a clause that needs one.
var visitID = durable.ID{Kind: "visit_a", Name: "visit_1"}

// neighbourRows look like visitID to a pattern, a collation, a padded or a cut column, a
// text of kind and name without a border. They are never due.
var neighbourRows = []durable.ID{
	{Kind: "visit_a", Name: "visit%"}, {Kind: "visit_a", Name: "visita1"}, {Kind: "visit_a", Name: "Visit_1"}, {Kind: "visit_a", Name: "visit_1 "},
	{Kind: "visit_a", Name: "visit_11"}, {Kind: "visit-a", Name: "visit_1"}, {Kind: "visit_", Name: "avisit_1"}, {Kind: "visit_a-v", Name: "isit_1"},
}

// settleIn puts the neighbours. Nothing that a clause does may change them.
func (c *rowsTest) settleIn() {
	c.Helper()
	for i, id := range neighbourRows {
		row := durable.Item{ID: id, Tenant: "neighbour", Data: []byte(fmt.Sprint("neighbour ", i))}
		revision, err := c.handle(i).Put(c.Context(), row)
		if err != nil {
			c.Fatalf("a neighbour, %v: Put: %v", id, err)
		}
		row.Revision = revision
		c.neighbours = append(c.neighbours, row)
	}
}

// each returns the handles that must all have the same answer to a question.
func (c *rowsTest) each() []durable.Store {
	c.Helper()
	st := c.next()
	if c.way == severalHandles {
		return c.live
	}
	return []durable.Store{st}
}

// can skips a clause about something that the Store does not implement.
func can[I any](c *rowsTest) {
	c.Helper()
	if _, ok := c.live[0].(I); !ok {
		c.Skipf("the Store does not implement %T", (*I)(nil))
	}
}

// put puts a row that must be taken, and returns it as it is to be found.
func (c *rowsTest) put(row durable.Item) durable.Item {
	c.Helper()
	return c.putBy(c.next(), row)
}

func (c *rowsTest) putBy(st durable.Store, row durable.Item) durable.Item {
	c.Helper()
	revision, err := st.Put(c.Context(), row)
	if err != nil {
		c.Fatalf("Put(%v): %v", row.ID, err)
	}
	c.fresh(revision)
	row = durable.Kept(row)
	row.Revision = revision
	return row
}

// fresh notes a revision that a Put returned: none comes back, under whatever id.
func (c *rowsTest) fresh(revision string) {
	c.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if revision == "" || len(revision) > durable.MaxOwner {
		c.Error("Put returned no revision, or one that is too long")
	}
	if c.seen[revision] {
		c.Error("Put returned a revision that was there before")
	}
	c.seen[revision] = true
}

func (c *rowsTest) get(id durable.ID) durable.Item {
	c.Helper()
	row, err := c.next().Get(c.Context(), id)
	if err != nil {
		c.Fatalf("Get(%v): %v", id, err)
	}
	return row
}

// wantPutErr puts a row that must not be taken.
func (c *rowsTest) wantPutErr(what string, row durable.Item, want error) error {
	c.Helper()
	revision, err := c.next().Put(c.Context(), row)
	wantErr(c.T, "Put "+what, err, want)
	if revision != "" {
		c.Errorf("Put %s returned a revision with its error", what)
	}
	return err
}

// wantRow fails unless every handle finds exactly want under its id.
func (c *rowsTest) wantRow(want durable.Item) {
	c.Helper()
	for _, st := range c.each() {
		got, err := st.Get(c.Context(), want.ID)
		if err != nil {
			c.Fatalf("Get(%v): %v", want.ID, err)
		}
		wantSameRow(c.T, got, want)
	}
}

func (c *rowsTest) wantNoRow(id durable.ID) {
	c.Helper()
	for _, st := range c.each() {
		row, err := st.Get(c.Context(), id)
		wantErr(c.T, "Get of what is not there", err, telemed.ErrNotFound)
		if row.ID != (durable.ID{}) || row.Data != nil {
			c.Error("Get of what is not there returned something with its error")
		}
	}
}

func wantSameRow(t *testing.T, got, want durable.Item) {
	t.Helper()
	for _, name := range rowDifferences(got, want) {
		t.Errorf("%v: %s is not what was put", want.ID, name)
	}
}

// rowDifferences names the fields that differ. Nil and empty bytes are the same, and so
// are two times that name the same moment.
func rowDifferences(got, want durable.Item) []string {
	var names []string
	for _, field := range []struct {
		name string
		same bool
	}{
		{"ID", got.ID == want.ID},
		{"Tenant", got.Tenant == want.Tenant},
		{"Due", sameTime(got.Due, want.Due)},
		{"Lease.Owner", got.Lease.Owner == want.Lease.Owner},
		{"Lease.TTL", got.Lease.TTL == want.Lease.TTL},
		{"Attempts", got.Attempts == want.Attempts},
		{"Stuck", got.Stuck == want.Stuck},
		{"EraseAt", sameTime(got.EraseAt, want.EraseAt)},
		{"Version", got.Version == want.Version},
		{"Audit", bytes.Equal(got.Audit, want.Audit)},
		{"Data", bytes.Equal(got.Data, want.Data)},
		{"Revision", got.Revision == want.Revision},
	} {
		if !field.same {
			names = append(names, field.name)
		}
	}
	return names
}

// noon is when the rows of the clauses are about.
var noon = time.Date(2026, 11, 24, 12, 0, 0, int(123*time.Millisecond), time.UTC)

// visitKinds are the kinds of the rows of most clauses.
var visitKinds = map[string]int{"visit": 3}

// aRow returns a row that is due at noon.
func aRow(name string) durable.Item {
	return durable.Item{ID: durable.ID{Kind: "visit", Name: name}, Tenant: "clinic", Due: noon, Version: 3, Data: []byte("data of " + name)}
}

// fullRow returns a row with something in every field.
func fullRow(id durable.ID) durable.Item {
	return durable.Item{
		ID: id, Tenant: "Clinic é 日本 '%_", Due: noon, Attempts: 1 << 30, Stuck: "why – in words, 'quoted'", EraseAt: noon.AddDate(1, 0, 0),
		Lease:   durable.Lease{Owner: "0123456789abcdefABCDEF-_", TTL: durable.MaxTTL - time.Millisecond},
		Version: 1 << 30, Audit: []byte("{\"at\": 1}\x00\xff"), Data: []byte("data <\"'&\\%_;--> é 日本 \U0001f600\x00\xff"),
	}
}

// due asks for what is due and fails on an error.
func (c *rowsTest) due(st durable.Store, q durable.Query) []string {
	c.Helper()
	ids, err := st.Due(c.Context(), q)
	if err != nil {
		c.Fatalf("Due: %v", err)
	}
	names := []string{}
	for _, id := range ids {
		names = append(names, id.Name)
	}
	return names
}

// wantDue fails unless every handle says that exactly these rows fit q, in this order.
func (c *rowsTest) wantDue(what string, q durable.Query, names ...string) {
	c.Helper()
	if q.Kinds == nil {
		q.Kinds = visitKinds
	}
	if q.Limit == 0 {
		q.Limit = 100
	}
	for _, st := range c.each() {
		if got := c.due(st, q); !slices.Equal(got, append([]string{}, names...)) {
			c.Errorf("Due, %s: %s, want %s", what, few(got), few(names))
		}
	}
}

// few is the beginning of a long list.
func few(names []string) string {
	if len(names) > 12 {
		return fmt.Sprintf("%d, beginning with %q", len(names), names[:12])
	}
	return fmt.Sprintf("%q", names)
}

// fillRows puts rows from many goroutines.
func (c *rowsTest) fillRows(rows []durable.Item) {
	c.Helper()
	together(c.T, workers, func(worker int) error {
		for n := worker; n < len(rows); n += workers {
			revision, err := c.handle(worker).Put(c.Context(), rows[n])
			if err != nil {
				return err
			}
			c.fresh(revision)
			rows[n] = durable.Kept(rows[n])
			rows[n].Revision = revision
		}
		return nil
	})
}

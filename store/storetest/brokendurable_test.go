package storetest_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"iter"
	"maps"
	mrand "math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store/durable"
)

// brokenRows are stores of durable rows with one fault each, and the clause that must find
// it.
var brokenRows = map[string]struct {
	clause string
	faults rowFaults
}{
	// Compare and set.
	"rows: a handle sees nothing of another":         {"get what was put", rowFaults{apart: true}},
	"rows: nothing outlives a restart":               {"get what was put", rowFaults{forgets: true}},
	"rows: a handle reads what it has seen":          {"get what was put", rowFaults{caches: true}},
	"rows: revisions count up in each row":           {"a revision never comes back", rowFaults{revision: func(old string, _ int) string { return next(old) }}},
	"rows: revisions count up in each process":       {"get what was put", rowFaults{revision: func(_ string, n int) string { return strconv.Itoa(n) }}},
	"rows: revisions of eight bits":                  {"no increment is lost", rowFaults{revision: func(string, int) string { return oneOf(1 << 8) }}},
	"rows: Put ignores the revision":                 {"conflicts write nothing", rowFaults{same: func(_, _ string) bool { return true }}},
	"rows: folds revisions":                          {"conflicts write nothing", rowFaults{same: strings.EqualFold}},
	"rows: takes the beginning of a revision for it": {"conflicts write nothing", rowFaults{same: func(a, b string) bool { return a == b || b != "" && strings.HasPrefix(a, b) }}},
	"rows: creates over a row":                       {"created once", rowFaults{createsOver: true}},
	"rows: creates what was to be replaced":          {"created once", rowFaults{putsAbsent: true}},
	"rows: an erased revision is remembered":         {"a revision never comes back", rowFaults{putsAbsent: true}},
	"rows: moves a row to another tenant":            {"a tenant does not change", rowFaults{moves: true}},
	"rows: compares and sets in two steps":           {"no increment is lost", rowFaults{twoSteps: true}},
	"rows: creates in two steps":                     {"one of many creates", rowFaults{twoSteps: true}},

	// What is kept.
	"rows: keeps seconds":               {"times", rowFaults{change: func(r *durable.Item) { r.Due = r.Due.Truncate(time.Second) }}},
	"rows: keeps EraseAt in seconds":    {"times", rowFaults{change: func(r *durable.Item) { r.EraseAt = r.EraseAt.Truncate(time.Second) }}},
	"rows: keeps a lease in seconds":    {"times", rowFaults{change: func(r *durable.Item) { r.Lease.TTL = r.Lease.TTL.Truncate(time.Second) }}},
	"rows: rounds times":                {"times", rowFaults{rounds: true}},
	"rows: zero is 1970":                {"times", rowFaults{change: func(r *durable.Item) { r.EraseAt = epoch(r.EraseAt) }}},
	"rows: keeps an old time":           {"times", rowFaults{keepsTime: true}},
	"rows: forgets attempts":            {"every field", rowFaults{change: func(r *durable.Item) { r.Attempts = 0 }}},
	"rows: attempts of 16 bits":         {"every field", rowFaults{change: func(r *durable.Item) { r.Attempts = int(int16(r.Attempts)) }}},
	"rows: forgets the audit trail":     {"every field", rowFaults{change: func(r *durable.Item) { r.Audit = nil }}},
	"rows: forgets why it is stuck":     {"every field", rowFaults{change: func(r *durable.Item) { r.Stuck = "" }}},
	"rows: cuts data at 64 kB":          {"data is whole", rowFaults{change: func(r *durable.Item) { r.Data = r.Data[:min(len(r.Data), 65_535)] }}},
	"rows: cuts data at 8000 bytes":     {"data is whole", rowFaults{change: func(r *durable.Item) { r.Data = r.Data[:min(len(r.Data), 8000)] }}},
	"rows: cuts data by a byte":         {"data is whole", rowFaults{change: func(r *durable.Item) { r.Data = r.Data[:min(len(r.Data), durable.MaxData-1)] }}},
	"rows: refuses 200 kB":              {"data is whole", rowFaults{refuses: 200_000}},
	"rows: cuts the audit trail":        {"bounds", rowFaults{change: func(r *durable.Item) { r.Audit = r.Audit[:min(len(r.Audit), 65_535)] }}},
	"rows: cuts an owner":               {"bounds", rowFaults{change: func(r *durable.Item) { r.Lease.Owner = cutAt(63)(r.Lease.Owner) }}},
	"rows: cuts a reason":               {"bounds", rowFaults{change: func(r *durable.Item) { r.Stuck = cutAt(254)(r.Stuck) }}},
	"rows: takes data for text":         {"data is whole", rowFaults{change: func(r *durable.Item) { r.Data = bytes.ToValidUTF8(r.Data, []byte("?")) }}},
	"rows: data ends at NUL":            {"data is whole", rowFaults{change: func(r *durable.Item) { r.Data, _, _ = bytes.Cut(r.Data, []byte{0}) }}},
	"rows: pads data":                   {"data is whole", rowFaults{change: func(r *durable.Item) { r.Data = bytes.TrimRight(r.Data, " ") }}},
	"rows: shares bytes":                {"nothing is shared with the caller", rowFaults{shares: true}},
	"rows: ignores the context":         {"context", rowFaults{noContext: true}},
	"rows: has no bounds":               {"bounds", rowFaults{anything: true}},
	"rows: takes any id, query or time": {"invalid", rowFaults{anything: true}},

	// Ids.
	"rows: folds case":                       {"ids are exact", rowFaults{fold: strings.ToLower}},
	"rows: pads names":                       {"ids are exact", rowFaults{fold: trimRight}},
	"rows: composes":                         {"ids are exact", rowFaults{fold: composed}},
	"rows: takes every emoji for the same":   {"ids are exact", rowFaults{fold: emoji}},
	"rows: names are parts of an address":    {"ids are exact", rowFaults{fold: unescaped}},
	"rows: cuts names at 254 bytes":          {"names of every kind", rowFaults{fold: cutAt(254)}},
	"rows: finds by the name alone":          {"get what was put", rowFaults{byName: true}},
	"rows: joins kind and name":              {"get what was put", rowFaults{joins: true}},
	"rows: folds case, and a neighbour sees": {"get what was put", rowFaults{fold: strings.ToLower}},

	// Due.
	"rows: Due in any order":                     {"due soonest first", rowFaults{unordered: true}},
	"rows: Due in the order of names":            {"due soonest first", rowFaults{byNames: true}},
	"rows: Due has rows with nothing to do":      {"due soonest first", rowFaults{zeroDue: true}},
	"rows: Due ignores Limit":                    {"due soonest first", rowFaults{noLimit: true}},
	"rows: Due is exclusive":                     {"due by the millisecond", rowFaults{by: func(t time.Time) time.Time { return t.Add(-time.Millisecond) }}},
	"rows: Due counts seconds":                   {"due by the millisecond", rowFaults{by: func(t time.Time) time.Time { return t.Truncate(time.Second) }}},
	"rows: Due counts whole seconds, late":       {"due by the millisecond", rowFaults{by: func(t time.Time) time.Time { return t.Truncate(time.Second).Add(999 * time.Millisecond) }}},
	"rows: Due rounds up":                        {"due by the millisecond", rowFaults{by: func(t time.Time) time.Time { return t.Add(time.Millisecond - 1) }}},
	"rows: Due reads the zone's wall clock":      {"due by the millisecond", rowFaults{by: func(t time.Time) time.Time { return t.Add(offset(t)) }}},
	"rows: Due looks at what was first":          {"due follows what is stored", rowFaults{firstDue: true}},
	"rows: Due ignores PerTenant":                {"due of each tenant", rowFaults{noPerTenant: true}},
	"rows: Due folds tenants":                    {"due of each tenant", rowFaults{foldTenant: strings.ToLower}},
	"rows: Due pads tenants":                     {"due of each tenant", rowFaults{foldTenant: trimRight}},
	"rows: Due has no rows of nobody":            {"due of each tenant", rowFaults{noNobody: true}},
	"rows: Due limits, then takes turns":         {"due behind a page of others", rowFaults{limitFirst: true}},
	"rows: Due ignores kinds":                    {"due of kinds and versions", rowFaults{anyKind: true}},
	"rows: Due ignores versions":                 {"due of kinds and versions", rowFaults{anyVersion: true}},
	"rows: Due compares versions as texts":       {"due of kinds and versions", rowFaults{textVersion: true}},
	"rows: Due takes a kind for a pattern":       {"due of kinds and versions", rowFaults{likeKind: true}},
	"rows: Due hides what was leased for ever":   {"due without a lease", rowFaults{hidesForEver: true}},
	"rows: Due shows what is leased":             {"due without a lease", rowFaults{showsLeased: true}},
	"rows: Leased finds only what is due":        {"due without a lease", rowFaults{leasedDue: true}},
	"rows: Leased finds everything":              {"due without a lease", rowFaults{leasedAll: true}},
	"rows: leased rows fill the page":            {"due behind a page of others", rowFaults{pageFirst: true}},
	"rows: Due stops at 500":                     {"due of many", rowFaults{cap: 500}},
	"rows: leased rows fill the page of a lease": {"due behind a page of others", rowFaults{leasePage: true}},

	// Leaser.
	"rows: a lease comes without data":          {"lease whole rows", rowFaults{leaseChange: func(r *durable.Item) { r.Data = nil }}},
	"rows: a lease comes with the old revision": {"lease whole rows", rowFaults{leaseOld: true}},
	"rows: a lease leaves the revision":         {"lease whole rows", rowFaults{leaseKeeps: true}},
	"rows: a lease is not written down":         {"lease whole rows", rowFaults{leaseForgets: true}},
	"rows: a lease writes another owner":        {"lease whole rows", rowFaults{leaseOwner: true}},
	"rows: leases what is leased":               {"lease whole rows", rowFaults{leaseLeased: true}},
	"rows: leases a newer version's row":        {"lease what is due", rowFaults{leaseVersion: true}},
	"rows: leases another kind's row":           {"lease what is due", rowFaults{leaseKind: true}},
	"rows: leases what is not due":              {"lease what is due", rowFaults{leaseLater: true}},
	"rows: leases by the name":                  {"lease what is due", rowFaults{leaseNames: true}},
	"rows: a lease serves one tenant only":      {"lease in turns", rowFaults{turns: oneTenant}},
	"rows: a lease never serves the last one":   {"lease in turns", rowFaults{turns: neverTheLast}},
	"rows: a lease never serves nobody's rows":  {"lease in turns", rowFaults{turns: neverNobody}},
	"rows: a lease begins at the first again":   {"lease in turns", rowFaults{turns: alwaysTheFirst}},
	"rows: a lease ends at the last one":        {"lease in turns", rowFaults{turns: noSecondRound}},
	"rows: a lease takes turns at random":       {"lease in turns", rowFaults{turns: atRandom}},
	"rows: a lease ignores shares":              {"lease by shares", rowFaults{noShares: true}},
	"rows: a lease gives one of each":           {"lease by shares", rowFaults{oneEach: true}},
	"rows: leases in two steps":                 {"lease no row twice", rowFaults{leaseSteps: true}},
	"rows: leases what was changed meanwhile":   {"leased or changed", rowFaults{leaseStale: true}},
	"rows: a lease shares bytes":                {"nothing is shared with the caller", rowFaults{leaseShares: true}},
	"rows: a lease has more than the limit":     {"lease by shares", rowFaults{leaseMore: true}},

	// The others.
	"rows: lists a thousand leases":       {"leases of many", rowFaults{leasesCap: 1000}},
	"rows: lists leases on what is due":   {"leases", rowFaults{leasedDue: true}},
	"rows: lists leases of any version":   {"leases", rowFaults{anyVersion: true}},
	"rows: lists leases of any kind":      {"leases", rowFaults{anyKind: true}},
	"rows: lists leases without revision": {"leases", rowFaults{leasesBare: true}},
	"rows: erases in seconds":             {"erase", rowFaults{by: func(t time.Time) time.Time { return t.Truncate(time.Second).Add(time.Second) }}},
	"rows: erases what has no time":       {"erase", rowFaults{eraseZero: true}},
	"rows: leaves what is leased":         {"erase", rowFaults{eraseLeaves: func(r durable.Item) bool { return r.Lease.Owner != "" }}},
	"rows: leaves what is stuck":          {"erase", rowFaults{eraseLeaves: func(r durable.Item) bool { return r.Stuck != "" }}},
	"rows: leaves what is not due":        {"erase", rowFaults{eraseLeaves: func(r durable.Item) bool { return r.Due.IsZero() }}},
	"rows: erases without a limit":        {"erase", rowFaults{eraseAll: true}},
	"rows: erases and tells nothing":      {"erase", rowFaults{eraseSilent: true}},
	"rows: list stops at 1000":            {"list of many", rowFaults{listCap: 1000}},
	"rows: list stops at 2000":            {"list of many", rowFaults{listCap: 2000}},
	"rows: list in any order":             {"list", rowFaults{unordered: true}},
	"rows: lists by a pattern":            {"list", rowFaults{listLike: true}},
	"rows: lists tenants of any case":     {"list", rowFaults{foldTenant: strings.ToLower}},
	"rows: lists all for stuck":           {"list", rowFaults{listStuck: true}},
	"rows: lists in spite of the context": {"list", rowFaults{noContext: true}},
	"rows: writes nothing while it lists": {"list of many", rowFaults{listLocks: true}},
	"rows: list ends at a page of others": {"list of many", rowFaults{listPage: 100}},
	"rows: lists by position":             {"list of many", rowFaults{listByDue: true}},
}

func next(revision string) string {
	n, _ := strconv.Atoi(revision)
	return strconv.Itoa(n + 1)
}

func offset(t time.Time) time.Duration {
	_, seconds := t.Zone()
	return time.Duration(seconds) * time.Second
}

func epoch(t time.Time) time.Time {
	if t.IsZero() {
		return time.UnixMilli(0)
	}
	return t
}

// The faults of turns.

func oneTenant(tenants []string, after string, _ int) ([]string, string) {
	return tenants[:min(1, len(tenants))], after
}

func neverTheLast(tenants []string, after string, limit int) ([]string, string) {
	return durable.Turns(tenants[:max(min(1, len(tenants)), len(tenants)-1)], after, limit)
}

func neverNobody(tenants []string, after string, limit int) ([]string, string) {
	return durable.Turns(slices.DeleteFunc(tenants, func(t string) bool { return t == "" }), after, limit)
}

func alwaysTheFirst(tenants []string, _ string, limit int) ([]string, string) {
	return durable.Turns(tenants, "", limit)
}

func noSecondRound(tenants []string, after string, limit int) ([]string, string) {
	begin, found := slices.BinarySearch(tenants, after)
	if found {
		begin++
	}
	tenants = tenants[begin:]
	tenants = tenants[:min(limit, len(tenants))]
	if len(tenants) == 0 {
		return nil, after
	}
	return tenants, tenants[len(tenants)-1]
}

func atRandom(tenants []string, after string, limit int) ([]string, string) {
	mrand.Shuffle(len(tenants), func(i, j int) { tenants[i], tenants[j] = tenants[j], tenants[i] })
	return tenants[:min(limit, len(tenants))], after
}

type rowFaults struct {
	apart, forgets, caches, createsOver, putsAbsent, moves, twoSteps, rounds, keepsTime, shares, noContext, anything, byName, joins bool

	unordered, byNames, zeroDue, noLimit, firstDue, noPerTenant, noNobody, limitFirst, anyKind, anyVersion, textVersion, likeKind,
	hidesForEver, showsLeased, leasedDue, leasedAll, pageFirst, leasePage bool

	leaseOld, leaseKeeps, leaseForgets, leaseOwner, leaseLeased, leaseVersion, leaseKind, leaseLater, leaseNames, noShares, oneEach,
	leaseSteps, leaseStale, leaseShares, leaseMore bool

	leasesBare, eraseZero, eraseAll, eraseSilent, listLike, listStuck, listLocks, listByDue bool

	refuses, cap, leasesCap, listCap, listPage int

	revision            func(old string, n int) string
	same                func(stored, given string) bool
	change, leaseChange func(*durable.Item)
	fold, foldTenant    func(string) string
	by                  func(time.Time) time.Time
	turns               func(tenants []string, after string, limit int) ([]string, string)
	eraseLeaves         func(durable.Item) bool
}

func (f rowFaults) withDefaults() rowFaults {
	same := func(text string) string { return text }
	if f.fold == nil {
		f.fold = same
	}
	if f.foldTenant == nil {
		f.foldTenant = same
	}
	if f.revision == nil {
		f.revision = func(string, int) string { return rand.Text() }
	}
	if f.same == nil {
		f.same = func(a, b string) bool { return a == b }
	}
	if f.by == nil {
		f.by = func(t time.Time) time.Time { return t }
	}
	if f.turns == nil {
		f.turns = durable.Turns
	}
	for _, change := range []*func(*durable.Item){&f.change, &f.leaseChange} {
		if *change == nil {
			*change = func(*durable.Item) {}
		}
	}
	return f
}

// rowsDatabase is what the handles have in common.
type rowsDatabase struct {
	rowFaults
	mu      sync.Mutex
	rows    map[durable.ID]durable.Item
	first   map[durable.ID]time.Time // when each row was due first
	leased  map[durable.ID]bool      // rows that ever were
	handles int
	listing bool
}

// newBrokenRows returns how to open a handle, as RunDurable wants it.
func newBrokenRows(faults rowFaults) func() durable.Store {
	fresh := func() *rowsDatabase {
		return &rowsDatabase{rowFaults: faults.withDefaults(), rows: map[durable.ID]durable.Item{}, first: map[durable.ID]time.Time{}, leased: map[durable.ID]bool{}}
	}
	db := fresh()
	return func() durable.Store {
		db.mu.Lock()
		defer db.mu.Unlock()
		db.handles++
		if db.apart {
			return &rowsHandle{rowsDatabase: fresh(), seen: map[durable.ID]durable.Item{}}
		}
		return &rowsHandle{rowsDatabase: db, seen: map[durable.ID]durable.Item{}}
	}
}

// rowsHandle is one process's.
type rowsHandle struct {
	*rowsDatabase
	seen  map[durable.ID]durable.Item
	count int
}

// Close ends the process.
func (h *rowsHandle) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.handles--; h.forgets && h.handles == 0 {
		clear(h.rows)
	}
	return nil
}

func (h *rowsHandle) check(ctx context.Context, err error) error {
	switch {
	case err != nil && !h.anything:
		return err
	case h.noContext:
		return nil
	}
	return ctx.Err()
}

// key is under what a row is found.
func (h *rowsHandle) key(id durable.ID) durable.ID {
	switch {
	case h.byName:
		id.Kind = ""
	case h.joins:
		id = durable.ID{Name: id.Kind + id.Name}
	}
	id.Name = h.fold(id.Name)
	return id
}

func (h *rowsHandle) clone(item durable.Item) durable.Item {
	if h.shares {
		return item
	}
	return item.Clone()
}

func (h *rowsHandle) Get(ctx context.Context, id durable.ID) (durable.Item, error) {
	if err := h.check(ctx, durable.CheckID(id)); err != nil {
		return durable.Item{}, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	item, ok := h.rows[h.key(id)]
	if seen, cached := h.seen[id]; cached && h.caches {
		item, ok = seen, true
	}
	if !ok {
		return durable.Item{}, telemed.ErrNotFound
	}
	h.seen[id] = item
	return h.clone(item), nil
}

func (h *rowsHandle) Put(ctx context.Context, item durable.Item) (string, error) {
	err := durable.CheckItem(item)
	if err == nil && h.refuses > 0 && len(item.Data) > h.refuses {
		err = &telemed.FieldError{Field: "Data", Problem: "is too long"}
	}
	if err := h.check(ctx, err); err != nil {
		return "", err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.listing {
		return "", telemed.ErrUnavailable
	}
	old, ok := h.rows[h.key(item.ID)]
	if !h.accepts(old, ok, item) {
		return "", telemed.ErrConflict
	}
	h.yield(h.twoSteps)
	h.count++
	kept := h.kept(old, item)
	kept.Revision = h.revision(old.Revision, h.count)
	h.write(kept)
	h.seen[item.ID] = kept
	return kept.Revision, nil
}

func (h *rowsHandle) accepts(old durable.Item, ok bool, item durable.Item) bool {
	switch {
	case ok && old.Tenant != item.Tenant && !h.moves:
		return false
	case ok && item.Revision == "":
		return h.createsOver
	case !ok && item.Revision != "":
		return h.putsAbsent
	}
	return h.same(old.Revision, item.Revision)
}

func (h *rowsHandle) kept(old, item durable.Item) durable.Item {
	kept := durable.Kept(item)
	if h.shares {
		kept.Data, kept.Audit = item.Data, item.Audit
	}
	if h.rounds {
		kept.Due = item.Due.Round(time.Millisecond)
	}
	h.change(&kept)
	if h.keepsTime && kept.Due.IsZero() {
		kept.Due = old.Due
	}
	return kept
}

func (h *rowsHandle) write(item durable.Item) {
	key := h.key(item.ID)
	h.rows[key] = item
	if _, ok := h.first[item.ID]; !ok {
		h.first[item.ID] = item.Due
	}
	if item.Lease.Owner != "" {
		h.leased[item.ID] = true
	}
}

// yield lets others in between two steps.
func (h *rowsHandle) yield(twoSteps bool) {
	if twoSteps {
		h.mu.Unlock()
		time.Sleep(2 * time.Millisecond)
		h.mu.Lock()
	}
}

func (h *rowsHandle) Due(ctx context.Context, q durable.Query) ([]durable.ID, error) {
	if err := h.check(ctx, durable.CheckQuery(q)); err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	limit := q.Limit
	if h.cap > 0 {
		limit = min(limit, h.cap)
	}
	fitting := h.fitting(q, h.pageFirst)
	if h.limitFirst {
		fitting = fitting[:min(limit, len(fitting))]
	}
	var ids []durable.ID
	taken := map[string]int{}
	for _, item := range fitting {
		tenant := h.foldTenant(item.Tenant)
		if q.PerTenant > 0 && taken[tenant] == q.PerTenant && !h.noPerTenant || tenant == "" && h.noNobody {
			continue
		}
		if len(ids) < limit || h.noLimit {
			taken[tenant]++
			ids = append(ids, item.ID)
		}
	}
	return ids, nil
}

// fitting returns the rows that fit q, in their order. pageFirst looks at the first rows
// only, whatever they are.
func (h *rowsHandle) fitting(q durable.Query, pageFirst bool) []durable.Item {
	rows := h.sorted()
	if pageFirst {
		rows = slices.DeleteFunc(rows, func(row durable.Item) bool { return !h.isDue(row, q) })
		rows = rows[:min(4*q.Limit, len(rows))]
	}
	return slices.DeleteFunc(rows, func(row durable.Item) bool { return !h.fits(row, q) })
}

func (h *rowsHandle) sorted() []durable.Item {
	rows := slices.Collect(maps.Values(h.rows))
	if h.unordered {
		return rows
	}
	slices.SortFunc(rows, func(a, b durable.Item) int {
		byName := cmp.Or(cmp.Compare(a.ID.Kind, b.ID.Kind), cmp.Compare(a.ID.Name, b.ID.Name))
		if h.byNames {
			return byName
		}
		return cmp.Or(a.Due.Compare(b.Due), byName)
	})
	return rows
}

func (h *rowsHandle) isDue(row durable.Item, q durable.Query) bool {
	due := row.Due
	if h.firstDue {
		due = h.first[row.ID]
	}
	return (h.zeroDue || !due.IsZero()) && !due.After(h.by(q.By))
}

func (h *rowsHandle) fits(row durable.Item, q durable.Query) bool {
	leased := row.Lease.Owner != ""
	switch {
	case !h.known(row, q.Kinds):
		return false
	case q.Leased && h.leasedAll:
		return true
	case q.Leased && h.leasedDue:
		return leased && !row.Due.IsZero()
	case q.Leased:
		return leased
	case h.hidesForEver && h.leased[row.ID]:
		return false
	}
	return (!leased || h.showsLeased) && h.isDue(row, q)
}

func (h *rowsHandle) known(row durable.Item, kinds map[string]int) bool {
	for kind, version := range kinds {
		same := kind == row.ID.Kind || h.anyKind || h.likeKind && like(kind, row.ID.Kind)
		low := row.Version <= version || h.anyVersion
		if h.textVersion {
			low = strconv.Itoa(row.Version) <= strconv.Itoa(version)
		}
		if same && low {
			return true
		}
	}
	return false
}

func (h *rowsHandle) Lease(ctx context.Context, q durable.Query, after string, lease durable.Lease) ([]durable.Item, string, error) {
	q.Leased = false
	if err := h.check(ctx, cmp.Or(durable.CheckQuery(q), durable.CheckLease(lease))); err != nil {
		return nil, after, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	byTenant := map[string][]durable.Item{}
	for _, row := range h.leasable(q) {
		byTenant[row.Tenant] = append(byTenant[row.Tenant], row)
	}
	turns, next := h.turns(slices.Sorted(maps.Keys(byTenant)), after, q.Limit)
	h.yield(h.leaseSteps || h.leaseStale)
	var items []durable.Item
	for _, tenant := range turns {
		share := max(1, q.Limit/len(turns))
		switch {
		case h.noShares:
			share = q.Limit - len(items)
		case h.oneEach:
			share = 1
		case h.leaseMore:
			share = q.Limit
		}
		for _, row := range byTenant[tenant][:min(share, len(byTenant[tenant]))] {
			now := h.rows[h.key(row.ID)]
			if !h.leaseSteps && (h.leaseStale && now.Lease.Owner != "" || !h.leaseStale && now.Revision != row.Revision) {
				continue
			}
			items = append(items, h.give(row, lease))
		}
	}
	return items, next, nil
}

// leasable returns the rows that a Lease chooses from.
func (h *rowsHandle) leasable(q durable.Query) []durable.Item {
	rows := h.fitting(q, h.leasePage)
	extra := func(fault bool, fits func(row durable.Item) bool) {
		for _, row := range h.sorted() {
			if fault && row.Lease.Owner == "" && fits(row) && !h.fits(row, q) {
				rows = append(rows, row)
			}
		}
	}
	extra(h.leaseVersion, func(row durable.Item) bool { return q.Kinds[row.ID.Kind] > 0 && h.isDue(row, q) })
	extra(h.leaseKind, func(row durable.Item) bool { return h.isDue(row, q) && row.Version <= 3 })
	extra(h.leaseLater, func(row durable.Item) bool { return h.known(row, q.Kinds) && !row.Due.IsZero() })
	for _, row := range h.sorted() {
		if h.leaseLeased && row.Lease.Owner != "" && h.known(row, q.Kinds) && h.isDue(row, q) {
			rows = append(rows, row)
		}
	}
	if h.leaseNames {
		slices.SortFunc(rows, func(a, b durable.Item) int { return cmp.Compare(b.ID.Name, a.ID.Name) })
	}
	return rows
}

// give writes the lease down and returns the row with it.
func (h *rowsHandle) give(row durable.Item, lease durable.Lease) durable.Item {
	given := row.Clone()
	given.Lease = lease
	if !h.leaseKeeps {
		given.Revision = rand.Text()
	}
	stored := given.Clone()
	if h.leaseShares {
		stored.Data, stored.Audit = given.Data, given.Audit
	}
	if h.leaseOwner {
		stored.Lease.Owner += "x"
	}
	if h.leaseOld {
		given.Revision = row.Revision
	}
	if !h.leaseForgets {
		h.write(stored)
	}
	h.leaseChange(&given)
	return given
}

func (h *rowsHandle) Leases(ctx context.Context, kinds map[string]int) ([]durable.Held, error) {
	if err := h.check(ctx, nil); err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	var held []durable.Held
	for _, row := range h.fitting(durable.Query{Kinds: kinds, Leased: true}, false) {
		if h.leasesBare {
			row.Revision = ""
		}
		if h.leasesCap == 0 || len(held) < h.leasesCap {
			held = append(held, durable.Held{ID: row.ID, Revision: row.Revision, Lease: row.Lease})
		}
	}
	return held, nil
}

func (h *rowsHandle) Erase(ctx context.Context, by time.Time, limit int) (int, error) {
	if err := h.check(ctx, nil); err != nil {
		return 0, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for key, row := range h.rows {
		over := !row.EraseAt.IsZero() && !row.EraseAt.After(h.by(by)) || h.eraseZero && row.EraseAt.IsZero()
		if !over || n >= limit && !h.eraseAll || h.eraseLeaves != nil && h.eraseLeaves(row) {
			continue
		}
		delete(h.rows, key)
		n++
	}
	if h.eraseSilent {
		return 0, nil
	}
	return n, nil
}

func (h *rowsHandle) List(ctx context.Context, filter durable.Filter) iter.Seq2[durable.Item, error] {
	return func(yield func(durable.Item, error) bool) {
		if err := h.check(ctx, nil); err != nil {
			yield(durable.Item{}, err)
			return
		}
		h.lists(h.listLocks)
		defer h.lists(false)
		for n := 0; ; n += rowsPage {
			page := h.page(n, filter)
			for i, row := range page {
				if h.listCap > 0 && n+i == h.listCap || !yield(h.clone(row), nil) {
					return
				}
			}
			if len(page) < rowsPage {
				return
			}
		}
	}
}

// rowsPage is how many rows a list reads at a time.
const rowsPage = 100

func (h *rowsHandle) lists(now bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.listing = now
}

// page returns the rows of a list from the nth on.
func (h *rowsHandle) page(n int, filter durable.Filter) []durable.Item {
	h.mu.Lock()
	defer h.mu.Unlock()
	rows := slices.Collect(maps.Values(h.rows))
	if !h.unordered {
		slices.SortFunc(rows, func(a, b durable.Item) int {
			byName := cmp.Or(cmp.Compare(a.ID.Kind, b.ID.Kind), cmp.Compare(a.ID.Name, b.ID.Name))
			if h.listByDue {
				return cmp.Or(a.Due.Compare(b.Due), byName)
			}
			return byName
		})
	}
	if h.listPage > 0 && !slices.ContainsFunc(rows[:min(h.listPage, len(rows))], filter.Fits) {
		return nil
	}
	rows = slices.DeleteFunc(rows, func(row durable.Item) bool { return !h.listed(row, filter) })
	rows = rows[min(n, len(rows)):]
	return rows[:min(rowsPage, len(rows))]
}

func (h *rowsHandle) listed(row durable.Item, filter durable.Filter) bool {
	if h.listStuck {
		filter.Stuck = false
	}
	if h.listLike && filter.Kind != "" {
		if !like(filter.Kind, row.ID.Kind) {
			return false
		}
		filter.Kind = ""
	}
	if filter.Tenant != "" && h.foldTenant(filter.Tenant) == h.foldTenant(row.Tenant) {
		filter.Tenant = ""
	}
	return filter.Fits(row)
}

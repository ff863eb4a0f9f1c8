package durable

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/telemed-go/telemed"
)

// Memory keeps rows in memory, for tests and demonstrations. It has everything that a
// Store can have. The zero value is not ready to use.
type Memory struct {
	mu   sync.Mutex
	rows map[ID]Item
}

// NewMemory returns a Memory without rows.
func NewMemory() *Memory { return &Memory{rows: map[ID]Item{}} }

// Get implements Store.
func (m *Memory) Get(ctx context.Context, id ID) (Item, error) {
	if err := cmp.Or(CheckID(id), ctx.Err()); err != nil {
		return Item{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	item, ok := m.rows[id]
	if !ok {
		return Item{}, fmt.Errorf("durable: %s: %w", id, telemed.ErrNotFound)
	}
	return item.Clone(), nil
}

// Put implements Store.
func (m *Memory) Put(ctx context.Context, item Item) (string, error) {
	if err := cmp.Or(CheckItem(item), ctx.Err()); err != nil {
		return "", err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	old, ok := m.rows[item.ID]
	if old.Revision != item.Revision || ok && item.Tenant != old.Tenant {
		return "", fmt.Errorf("durable: %s: %w", item.ID, telemed.ErrConflict)
	}
	item = Kept(item)
	item.Revision = rand.Text()
	m.rows[item.ID] = item
	return item.Revision, nil
}

// Due implements Store.
func (m *Memory) Due(ctx context.Context, q Query) ([]ID, error) {
	if err := cmp.Or(CheckQuery(q), ctx.Err()); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var ids []ID
	taken := map[string]int{}
	for _, item := range m.fitting(q) {
		if len(ids) == q.Limit {
			break
		}
		if q.PerTenant > 0 && taken[item.Tenant] == q.PerTenant {
			continue
		}
		taken[item.Tenant]++
		ids = append(ids, item.ID)
	}
	return ids, nil
}

// fitting returns the rows that fit q, but for its limits, soonest first. mu is held.
func (m *Memory) fitting(q Query) []Item {
	by := millis(q.By)
	var items []Item
	for _, item := range m.rows {
		version, known := q.Kinds[item.ID.Kind]
		if !known || item.Version > version || (item.Lease.Owner != "") != q.Leased {
			continue
		}
		if q.Leased || !item.Due.IsZero() && !item.Due.After(by) {
			items = append(items, item)
		}
	}
	slices.SortFunc(items, func(a, b Item) int { return cmp.Or(a.Due.Compare(b.Due), compareIDs(a.ID, b.ID)) })
	return items
}

func compareIDs(a, b ID) int {
	return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Name, b.Name))
}

// Lease implements Leaser.
func (m *Memory) Lease(ctx context.Context, q Query, after string, lease Lease) (items []Item, next string, err error) {
	q.Leased = false
	if err := cmp.Or(CheckQuery(q), CheckLease(lease), ctx.Err()); err != nil {
		return nil, after, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	byTenant := map[string][]Item{}
	for _, item := range m.fitting(q) {
		byTenant[item.Tenant] = append(byTenant[item.Tenant], item)
	}
	turns, next := Turns(slices.Sorted(maps.Keys(byTenant)), after, q.Limit)
	revision := rand.Text()
	for _, tenant := range turns {
		share := max(1, q.Limit/len(turns))
		for _, item := range byTenant[tenant][:min(share, len(byTenant[tenant]))] {
			item.Lease, item.Revision = lease, revision
			m.rows[item.ID] = item
			items = append(items, item.Clone())
		}
	}
	return items, next, nil
}

// Turns returns at most limit of the tenants, which are sorted, beginning with the one
// that comes after the tenant after. next is where the next turn begins. Stores call it.
func Turns(tenants []string, after string, limit int) (turns []string, next string) {
	begin, found := slices.BinarySearch(tenants, after)
	if found {
		begin++
	}
	turns = append(turns, tenants[begin:]...)
	turns = append(turns, tenants[:begin]...)
	turns = turns[:min(limit, len(turns))]
	if len(turns) == 0 {
		return nil, ""
	}
	return turns, turns[len(turns)-1]
}

// Leases implements LeaseLister.
func (m *Memory) Leases(ctx context.Context, kinds map[string]int) ([]Held, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var held []Held
	for _, item := range m.fitting(Query{Kinds: kinds, Leased: true}) {
		held = append(held, Held{item.ID, item.Revision, item.Lease})
	}
	return held, nil
}

// Erase implements Eraser.
func (m *Memory) Erase(ctx context.Context, by time.Time, limit int) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	erased := 0
	for id, item := range m.rows {
		if erased < limit && !item.EraseAt.IsZero() && !item.EraseAt.After(by) {
			delete(m.rows, id)
			erased++
		}
	}
	return erased, nil
}

// List implements Lister.
func (m *Memory) List(ctx context.Context, filter Filter) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		m.mu.Lock()
		items := slices.Collect(maps.Values(m.rows))
		m.mu.Unlock()
		slices.SortFunc(items, func(a, b Item) int { return compareIDs(a.ID, b.ID) })
		for _, item := range items {
			if err := ctx.Err(); err != nil {
				yield(Item{}, err)
				return
			}
			if filter.Fits(item) && !yield(item.Clone(), nil) {
				return
			}
		}
	}
}

package integration_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/store/durable"
)

// noted is an effect that a process noted, in Unix nanoseconds.
type noted struct {
	Row        string
	Begin, End int64
}

// notes are effects that do nothing else. A row wants one.
type notes struct {
	mu  sync.Mutex
	all []noted
}

func (n *notes) plan(item durable.Item, _ time.Time) (durable.Effect, error) {
	if len(item.Data) > 0 {
		return durable.Effect{}, nil
	}
	return durable.Effect{Name: "note", Do: func(context.Context) (durable.Fact, error) {
		begin := time.Now().UnixNano()
		n.mu.Lock()
		defer n.mu.Unlock()
		n.all = append(n.all, noted{item.ID.Name, begin, time.Now().UnixNano()})
		return func(item *durable.Item) error { item.Data = []byte("done"); return nil }, nil
	}}, nil
}

// TestRowsUnderLoad has four processes work 100,000 rows of one tenant, all due, on
// PostgreSQL. Each is worked once. Meanwhile rows of other tenants fall due, one at a
// time, and do not wait until those are worked.
func TestRowsUnderLoad(t *testing.T) {
	t.Parallel()
	d := databases[1]
	dsn := d.dsn(t)
	db := d.open(t, dsn)
	cfg := d.tables(t, db)
	rows := openStore(t, cfg).Rows()
	fill(t, d, db, cfg.RowsTable, manyRows, 1, time.Now().Add(-time.Hour))
	f := &fleet{dead: map[string]time.Time{}, cfg: childConfig{Driver: d.driver, Dialect: d.dialect, DSN: dsn, Table: cfg.Table, RowsTable: cfg.RowsTable}}
	begin := time.Now()
	var processes []*process
	for range fleetSize {
		processes = append(processes, f.start(t, false))
	}
	due := map[string]int64{}
	for time.Since(begin) < *killFor && anyDue(t, rows) {
		time.Sleep(500 * time.Millisecond)
		name := fmt.Sprint("small-", len(due))
		due[name] = time.Now().UnixNano()
		put(t, rows, durable.Item{ID: order(name), Tenant: name, Version: 1, Due: time.Now()})
	}
	time.Sleep(2 * time.Second) // the last one's turn
	took := time.Since(begin)
	seen := map[string]int{}
	var waits []time.Duration
	for _, last := range stopAll(t, processes) {
		for _, e := range last.Effects {
			seen[e.Row]++
			require.Equal(t, 1, seen[e.Row], "row %s was worked again", e.Row)
			if at, ok := due[e.Row]; ok {
				waits = append(waits, time.Duration(e.Begin-at))
			}
		}
	}
	require.Len(t, waits, len(due), "each small tenant's row was worked")
	slices.Sort(waits)
	t.Logf("%d rows in %v; small tenants' rows began after %v (median), %v (the slowest of %d)",
		len(seen), took.Round(time.Millisecond), waits[len(waits)/2], waits[len(waits)-1], len(waits))
	require.Less(t, waits[len(waits)/2], time.Second)
	require.Less(t, waits[len(waits)-1], 2*time.Second)
	for name := range seen {
		if !strings.HasPrefix(name, "small-") {
			item, err := rows.Get(t.Context(), order(name))
			require.NoError(t, err)
			require.Equal(t, "done", string(item.Data))
			break
		}
	}
}

func anyDue(t *testing.T, rows durable.Store) bool {
	t.Helper()
	ids, err := rows.Due(t.Context(), durable.Query{Kinds: orders, By: time.Now(), Limit: 1})
	require.NoError(t, err)
	return len(ids) > 0
}

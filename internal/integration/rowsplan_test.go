package integration_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/store/durable"
)

// manyRows is how many rows the tests of plans and of load have.
const manyRows = 100_000

// fill writes rows by one statement: n of one kind, over so many tenants, the nth due n
// milliseconds after first. t0 has half of them.
func fill(t *testing.T, d database, db *sql.DB, table string, n, tenants int, first time.Time) {
	t.Helper()
	numbers := fmt.Sprintf("WITH RECURSIVE s(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM s WHERE n < %d) SELECT n FROM s", n-1)
	text := "CAST(n AS CHAR)"
	switch d.driver {
	case "pgx":
		numbers, text = fmt.Sprintf("SELECT generate_series(0, %d) AS n", n-1), "CAST(n AS TEXT)"
	case "mysql":
		numbers = fmt.Sprintf("SELECT seq AS n FROM seq_0_to_%d", n-1)
	case "sqlite3":
		text = "CAST(n AS TEXT)"
	}
	tenant := fmt.Sprintf("CASE WHEN n %% 2 = 0 THEN 't0' ELSE CONCAT('t', n %% %d) END", tenants)
	_, err := db.ExecContext(t.Context(), fmt.Sprintf("INSERT INTO %s (kind, name, tenant, due, lease_owner, lease_ttl, attempts, stuck, version, audit, data, revision)"+
		" SELECT 'order', %s, %s, %d + n, '', 0, 0, '', 1, '', '', 'revision' FROM (%s) numbers", table, text, tenant, first.UnixMilli(), numbers))
	require.NoError(t, err)
	if d.driver == "pgx" {
		_, err = db.ExecContext(t.Context(), "VACUUM ANALYZE "+table)
	} else {
		_, err = db.ExecContext(t.Context(), map[string]string{"mysql": "ANALYZE TABLE " + table, "sqlite3": "ANALYZE"}[d.driver])
	}
	require.NoError(t, err)
}

// recorder remembers the last statement of a pool.
type recorder struct {
	mu   sync.Mutex
	text string
	args []any
}

// TraceQueryStart implements pgx.QueryTracer.
func (r *recorder) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.text, r.args = data.SQL, data.Args
	return ctx
}

// TraceQueryEnd implements pgx.QueryTracer.
func (r *recorder) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// plan is what EXPLAIN (ANALYZE, BUFFERS) tells of a statement.
type plan struct {
	Plan struct {
		Hit  int `json:"Shared Hit Blocks"`
		Read int `json:"Shared Read Blocks"`
	}
	Planning  float64 `json:"Planning Time"`
	Execution float64 `json:"Execution Time"`
	Text      string  `json:"-"`
}

// buffers are those that the statement has looked at.
func (p plan) buffers() int { return p.Plan.Hit + p.Plan.Read }

// explain runs the last statement once more.
func (r *recorder) explain(t *testing.T, db *sql.DB) plan {
	t.Helper()
	r.mu.Lock()
	text, args := r.text, r.args
	r.mu.Unlock()
	var (
		plans []plan
		told  []byte
	)
	require.NoError(t, db.QueryRowContext(t.Context(), "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) "+text, args...).Scan(&told))
	require.NoError(t, json.Unmarshal(told, &plans))
	plans[0].Text = string(told)
	return plans[0]
}

// traced returns a pool whose statements are remembered.
func traced(t *testing.T, dsn string) (*sql.DB, *recorder) {
	t.Helper()
	cfg, err := pgx.ParseConfig(dsn)
	require.NoError(t, err)
	r := &recorder{}
	cfg.Tracer = r
	db := stdlib.OpenDB(*cfg)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db, r
}

// TestRowsPlans looks at what a poll reads on PostgreSQL: of 100,000 rows that are due
// later, next to nothing, whether they are of one tenant or of many, and of as many that
// are due about what it takes.
func TestRowsPlans(t *testing.T) {
	t.Parallel()
	d := databases[1]
	for _, tenants := range []int{1, 1000} {
		t.Run(fmt.Sprint(tenants), func(t *testing.T) {
			t.Parallel()
			db, statements := traced(t, d.dsn(t))
			cfg := d.tables(t, db)
			rows := openStore(t, cfg).Rows()
			now := time.Now()
			fill(t, d, db, cfg.RowsTable, manyRows, tenants, now.Add(time.Hour))
			q := durable.Query{Kinds: orders, By: now, Limit: 32}
			for _, kinds := range []map[string]int{orders, {"order": 1, "visit": 2, "outbox": 1}} {
				q.Kinds = kinds
				items, _, err := rows.Lease(t.Context(), q, "", aLease)
				require.NoError(t, err)
				require.Empty(t, items)
				p := statements.explain(t, db)
				t.Logf("idle poll, %d kinds: %d buffers, %.2f ms", len(kinds), p.buffers(), p.Execution)
				require.Less(t, p.buffers(), 10, p.Text)
			}
			ids, err := rows.Due(t.Context(), q)
			require.NoError(t, err)
			require.Empty(t, ids)
			require.Less(t, statements.explain(t, db).buffers(), 10)
			_, err = rows.Leases(t.Context(), orders)
			require.NoError(t, err)
			require.Less(t, statements.explain(t, db).buffers(), 10)

			q.Kinds, q.By = orders, now.Add(2*time.Hour)
			items, _, err := rows.Lease(t.Context(), q, "", aLease)
			require.NoError(t, err)
			require.Len(t, items, 32)
			p := statements.explain(t, db)
			t.Logf("32 rows of %d due: %d buffers, planned in %.2f ms, done in %.2f ms", manyRows, p.buffers(), p.Planning, p.Execution)
			require.Less(t, p.buffers(), 3000, p.Text)
			require.NotContains(t, p.Text, "Seq Scan")

			// A small tenant, whose rows are due later than all others.
			for n := range 2 {
				put(t, rows, durable.Item{ID: order(fmt.Sprint("small ", n)), Tenant: "small", Version: 1, Due: q.By})
			}
			q.Limit = 1
			items, _, err = rows.Lease(t.Context(), q, "slim", aLease)
			require.NoError(t, err)
			require.Len(t, items, 1)
			require.Equal(t, "small", items[0].Tenant)
			p = statements.explain(t, db)
			t.Logf("a small tenant's row: %d buffers, %.2f ms", p.buffers(), p.Execution)
			require.Less(t, p.buffers(), 60, p.Text)
		})
	}
}

// TestRowsAreFoundByAnIndex asks MariaDB how many rows a claim and a deletion read, of
// 100,000: some for each that they take.
func TestRowsAreFoundByAnIndex(t *testing.T) {
	t.Parallel()
	d := databases[2]
	db := d.open(t, d.dsn(t))
	db.SetMaxOpenConns(1) // so that the status is that of these statements
	cfg := d.tables(t, db)
	rows := openStore(t, cfg).Rows()
	now := time.Now()
	fill(t, d, db, cfg.RowsTable, manyRows, 1, now.Add(-time.Hour))
	read := func() (sum int) {
		status, err := db.QueryContext(t.Context(), "SHOW SESSION STATUS LIKE 'Handler_read%'")
		require.NoError(t, err)
		defer status.Close()
		for status.Next() {
			var (
				name string
				n    int
			)
			require.NoError(t, status.Scan(&name, &n))
			sum += n
		}
		require.NoError(t, status.Err())
		return sum
	}
	before := read()
	items, _, err := rows.Lease(t.Context(), durable.Query{Kinds: orders, By: now.Add(time.Hour), Limit: 32}, "", aLease)
	require.NoError(t, err)
	require.Len(t, items, 32)
	claimed := read() - before
	for _, item := range items {
		item.EraseAt = now
		put(t, rows, item)
	}
	before = read()
	n, err := rows.Erase(t.Context(), now, 100)
	require.NoError(t, err)
	require.Equal(t, 32, n)
	erased := read() - before
	t.Logf("32 rows of %d: %d read for the claim, %d for the deletion", manyRows, claimed, erased)
	require.Less(t, claimed, 1000)
	require.Less(t, erased, 1000)
}

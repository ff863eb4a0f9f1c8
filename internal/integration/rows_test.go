package integration_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/durable"
	"github.com/telemed-go/telemed/store/sqlstore"
)

// Rows on real databases. Each test has a table of its own.

func newRows(t *testing.T, d database, db *sql.DB) *sqlstore.Rows {
	t.Helper()
	return openStore(t, d.tables(t, db)).Rows()
}

func order(name string) durable.ID { return durable.ID{Kind: "order", Name: name} }

var orders = map[string]int{"order": 3}

// put writes rows.
func put(t *testing.T, rows durable.Store, items ...durable.Item) {
	t.Helper()
	for _, item := range items {
		_, err := rows.Put(t.Context(), item)
		require.NoError(t, err)
	}
}

var aLease = durable.Lease{Owner: "owner", TTL: 90 * time.Second}

// TestRowsKeepEverything writes a row of which nothing is zero, and reads it by each road.
func TestRowsKeepEverything(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d database, db *sql.DB) {
		rows := newRows(t, d, db)
		ctx := t.Context()
		now := time.Now()
		item := durable.Item{
			ID: order("Größe \"o'ne\" ? :now $1 \\ 名"), Tenant: "clinic's ?", Due: now.Add(-time.Minute), Attempts: 3, Stuck: "it's stuck",
			EraseAt: now.Add(time.Hour), Version: 3, Audit: []byte{0, 1, 255}, Data: []byte(strings.Repeat("\x00\xff", durable.MaxData/2)),
		}
		revision, err := rows.Put(ctx, item)
		require.NoError(t, err)
		want := durable.Kept(item)
		want.Revision = revision
		got, err := rows.Get(ctx, item.ID)
		require.NoError(t, err)
		require.Equal(t, want, got)
		for got, err := range rows.List(ctx, durable.Filter{Tenant: item.Tenant, Stuck: true}) {
			require.NoError(t, err)
			require.Equal(t, want, got)
		}
		items, next, err := rows.Lease(ctx, durable.Query{Kinds: orders, By: now, Limit: 8}, "", aLease)
		require.NoError(t, err)
		require.Equal(t, item.Tenant, next)
		require.Len(t, items, 1)
		require.NotEqual(t, revision, items[0].Revision)
		want.Lease, want.Revision = aLease, items[0].Revision
		require.Equal(t, want, items[0])
		got, err = rows.Get(ctx, item.ID)
		require.NoError(t, err)
		require.Equal(t, want, got)
		held, err := rows.Leases(ctx, orders)
		require.NoError(t, err)
		require.Equal(t, []durable.Held{{ID: item.ID, Revision: want.Revision, Lease: aLease}}, held)

		moved := want
		moved.Tenant = "another clinic"
		_, err = rows.Put(ctx, moved)
		require.ErrorIs(t, err, telemed.ErrConflict, "a tenant does not change")
		_, err = rows.Put(ctx, item)
		require.ErrorIs(t, err, telemed.ErrConflict, "it is there")
		want.Lease, want.Due, want.EraseAt, want.Audit, want.Data = durable.Lease{}, time.Time{}, time.Time{}, nil, nil
		want.Revision, err = rows.Put(ctx, want)
		require.NoError(t, err)
		got, err = rows.Get(ctx, item.ID)
		require.NoError(t, err)
		require.Equal(t, want, got)
		_, err = rows.Put(ctx, durable.Item{ID: order("missing"), Revision: revision})
		require.ErrorIs(t, err, telemed.ErrConflict)
		_, err = rows.Get(ctx, order("missing"))
		require.ErrorIs(t, err, telemed.ErrNotFound)
	})
}

// TestRowsFoldNothing has names that differ in case, accent or a space at the end.
func TestRowsFoldNothing(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d database, db *sql.DB) {
		rows := newRows(t, d, db)
		names := []string{"a", "A", "a ", " a", "á", "a\u0301", "ａ", strings.Repeat("x", durable.MaxName)}
		for _, name := range names {
			put(t, rows, durable.Item{ID: order(name), Tenant: name[:min(len(name), durable.MaxTenant)], Due: time.Now(), Data: []byte(name)})
		}
		for _, name := range names {
			got, err := rows.Get(t.Context(), order(name))
			require.NoError(t, err)
			require.Equal(t, name, string(got.Data))
		}
		var listed []string
		for item, err := range rows.List(t.Context(), durable.Filter{Kind: "order"}) {
			require.NoError(t, err)
			listed = append(listed, item.ID.Name)
		}
		slices.Sort(names)
		require.Equal(t, names, listed)
		items, _, err := rows.Lease(t.Context(), durable.Query{Kinds: orders, By: time.Now(), Limit: 100}, "", aLease)
		require.NoError(t, err)
		require.Len(t, items, len(names), "each is a tenant's")
	})
}

// TestRowsAgreeWithMemory has the same queries asked of both.
func TestRowsAgreeWithMemory(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d database, db *sql.DB) {
		rows, memory := newRows(t, d, db), durable.NewMemory()
		ctx := t.Context()
		now := time.Now().Truncate(time.Millisecond)
		for n := range 120 {
			item := durable.Item{
				ID:     durable.ID{Kind: []string{"order", "visit", "outbox"}[n%3], Name: fmt.Sprint("row-", n)},
				Tenant: []string{"", "a", "b", "c", "d", "e"}[n%7%6], Version: 1 + n%4,
			}
			if n%5 != 0 {
				item.Due = now.Add(time.Duration(n%11-7) * time.Minute)
			}
			if n%13 == 0 {
				item.Lease = durable.Lease{Owner: fmt.Sprint("owner-", n), TTL: time.Minute}
			}
			put(t, rows, item)
			put(t, memory, item)
		}
		kinds := map[string]int{"order": 3, "visit": 2, "unknown": 1}
		for _, q := range []durable.Query{
			{By: now, Limit: 1000}, {By: now, Limit: 7}, {By: now.Add(-3 * time.Minute), Limit: 1000}, {By: now, Limit: 1000, PerTenant: 2},
			{By: now, Limit: 5, PerTenant: 1}, {Limit: 1000, Leased: true}, {Limit: 2, Leased: true}, {Limit: 9, PerTenant: 1, Leased: true},
		} {
			q.Kinds = kinds
			want, err := memory.Due(ctx, q)
			require.NoError(t, err)
			got, err := rows.Due(ctx, q)
			require.NoError(t, err)
			require.Equal(t, want, got, "%+v", q)
		}
		count := func(st durable.Leaser, after string, limit int) (tenants map[string]int, next string) {
			items, next, err := st.Lease(ctx, durable.Query{Kinds: kinds, By: now, Limit: limit}, after, aLease)
			require.NoError(t, err)
			tenants = map[string]int{}
			for _, item := range items {
				tenants[item.Tenant]++
				require.False(t, item.Due.After(now))
				require.LessOrEqual(t, item.Version, kinds[item.ID.Kind])
			}
			return tenants, next
		}
		after := "b"
		for _, limit := range []int{3, 1, 2, 8, 4, 1000, 1000, 7} {
			want, wantNext := count(memory, after, limit)
			got, next := count(rows, after, limit)
			require.Equal(t, want, got, "after %q, limit %d", after, limit)
			require.Equal(t, wantNext, next)
			after = next
		}
		wantHeld, err := memory.Leases(ctx, kinds)
		require.NoError(t, err)
		held, err := rows.Leases(ctx, kinds)
		require.NoError(t, err)
		require.Len(t, held, len(wantHeld))
	})
}

// TestRowsAreErased has more rows than are deleted at once.
func TestRowsAreErased(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d database, db *sql.DB) {
		rows := newRows(t, d, db)
		now := time.Now()
		for n := range 450 {
			put(t, rows, durable.Item{ID: order(fmt.Sprint(n)), EraseAt: now.Add(-time.Duration(n) * time.Second)})
		}
		put(t, rows, durable.Item{ID: order("later"), EraseAt: now.Add(time.Second)}, durable.Item{ID: order("never")})
		for _, want := range []int{10, 430, 10, 0} {
			n, err := rows.Erase(t.Context(), now, max(want, 10))
			require.NoError(t, err)
			require.Equal(t, want, n)
		}
		var left []string
		for item, err := range rows.List(t.Context(), durable.Filter{}) {
			require.NoError(t, err)
			left = append(left, item.ID.Name)
		}
		require.Equal(t, []string{"later", "never"}, left)
	})
}

// TestRowsAreSealed looks for a person in every column of the table.
func TestRowsAreSealed(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d database, db *sql.DB) {
		cfg := d.tables(t, db)
		keys, err := store.NewKeyring(store.NewKey())
		require.NoError(t, err)
		rows := openStore(t, seal(cfg, keys)).Rows()
		put(t, rows,
			durable.Item{ID: order("1"), Due: time.Now().Add(-time.Second), Data: []byte("canary")},
			durable.Item{ID: order("2"), Due: time.Now().Add(-time.Second), Data: []byte("canary")},
			durable.Item{ID: order("3"), Due: time.Now().Add(-time.Second)})
		found, err := db.QueryContext(t.Context(), "SELECT kind, name, tenant, due, lease_owner, lease_ttl, attempts, "+
			"stuck, erase_at, version, audit, data, revision FROM "+cfg.RowsTable)
		require.NoError(t, err)
		defer found.Close()
		for found.Next() {
			columns, err := found.Columns()
			require.NoError(t, err)
			values := make([]any, len(columns))
			for i := range values {
				values[i] = new(any)
			}
			require.NoError(t, found.Scan(values...))
			for _, value := range values {
				require.NotContains(t, fmt.Sprintf("%s", *value.(*any)), "canary")
			}
		}
		require.NoError(t, found.Err())
		found.Close()
		// One row's data in another one.
		_, err = db.ExecContext(t.Context(), "UPDATE "+cfg.RowsTable+" SET data = "+
			"(SELECT data FROM (SELECT name, data FROM "+cfg.RowsTable+") o WHERE name = '1') WHERE name = '2'")
		require.NoError(t, err)
		_, err = rows.Get(t.Context(), order("2"))
		require.ErrorIs(t, err, telemed.ErrDecrypt)
		items, _, err := rows.Lease(t.Context(), durable.Query{Kinds: orders, By: time.Now(), Limit: 9}, "", aLease)
		require.ErrorIs(t, err, telemed.ErrDecrypt)
		require.Len(t, items, 2)
		listed := 0
		for _, err = range rows.List(t.Context(), durable.Filter{}) {
			if err == nil {
				listed++
			}
		}
		require.ErrorIs(t, err, telemed.ErrDecrypt)
		require.Equal(t, 2, listed)
	})
}

// TestRowsInTransactions has 400 transactions of an application, some at once, of which
// 100 roll back: of those neither the appointment nor the row is left.
func TestRowsInTransactions(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d database, db *sql.DB) {
		cfg := d.tables(t, db)
		st := openStore(t, cfg)
		appointments := "appointments_" + strings.TrimPrefix(cfg.RowsTable, "rows_")
		ctx := t.Context()
		_, err := db.ExecContext(ctx, "CREATE TABLE "+appointments+" (id INTEGER PRIMARY KEY)")
		require.NoError(t, err)
		t.Cleanup(func() { _, _ = db.ExecContext(context.Background(), "DROP TABLE "+appointments) })
		put(t, st.Rows(), durable.Item{ID: order("all of them")})

		errNo := errors.New("no")
		book := func(n int, own durable.Store, exec sqlstore.Execer) error {
			if _, err := exec.ExecContext(ctx, fmt.Sprintf("INSERT INTO %s VALUES (%d)", appointments, n)); err != nil {
				return err
			}
			_, err := durable.Change(ctx, own, order(fmt.Sprint(n)), func(item *durable.Item) error { item.Due = time.Now(); return nil })
			if err != nil {
				return err
			}
			if n%4 == 0 {
				return errNo
			}
			// All of them want this row, and each leaves its mark.
			_, err = durable.Change(ctx, own, order("all of them"), func(item *durable.Item) error {
				item.Attempts++
				return nil
			})
			return err
		}
		var group sync.WaitGroup
		for worker := range 4 {
			group.Go(func() {
				for n := worker; n < 400; n += 4 {
					err := telemed.ErrUnavailable
					// At repeatable read one may lose more than twenty times.
					for errors.Is(err, telemed.ErrUnavailable) {
						err = st.InTx(ctx, func(tx *sqlstore.Tx) error { return book(n/4+worker*100, tx, tx.Tx) })
					}
					if !errors.Is(err, errNo) && err != nil {
						t.Errorf("%d: %v", n, err)
					}
				}
			})
		}
		group.Wait()
		for n := range 400 {
			var count int
			require.NoError(t, db.QueryRowContext(ctx, fmt.Sprintf("SELECT COUNT(*) FROM %s WHERE id = %d", appointments, n)).Scan(&count))
			_, err := st.Rows().Get(ctx, order(fmt.Sprint(n)))
			if n%4 == 0 {
				require.ErrorIs(t, err, telemed.ErrNotFound)
				require.Zero(t, count)
			} else {
				require.NoError(t, err)
				require.Equal(t, 1, count)
			}
		}
		all, err := st.Rows().Get(ctx, order("all of them"))
		require.NoError(t, err)
		require.Equal(t, 300, all.Attempts)

		// The application's own transaction.
		tx, err := db.BeginTx(ctx, nil)
		require.NoError(t, err)
		put(t, st.Rows().WithTx(tx), durable.Item{ID: order("own")})
		require.NoError(t, tx.Rollback())
		_, err = st.Rows().Get(ctx, order("own"))
		require.ErrorIs(t, err, telemed.ErrNotFound)
	})
}

// TestRowsBesidePgx is what WithTx says of pgx.
func TestRowsBesidePgx(t *testing.T) {
	t.Parallel()
	d := databases[1]
	ctx := t.Context()
	pool, err := pgxpool.New(ctx, d.dsn(t))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	db := stdlib.OpenDBFromPool(pool)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	rows := newRows(t, d, db)
	book := func(conn *pgx.Conn, name string) error {
		_, err := conn.Exec(ctx, "CREATE TABLE "+name+" (id INTEGER)")
		return err
	}
	for name, commit := range map[string]bool{"pgx_commit": true, "pgx_rollback": false} {
		conn, err := db.Conn(ctx)
		require.NoError(t, err)
		tx, err := conn.BeginTx(ctx, nil)
		require.NoError(t, err)
		require.NoError(t, conn.Raw(func(c any) error { return book(c.(*stdlib.Conn).Conn(), name) }))
		put(t, rows.WithTx(tx), durable.Item{ID: order(name)})
		if commit {
			require.NoError(t, tx.Commit())
			t.Cleanup(func() { _, _ = pool.Exec(context.Background(), "DROP TABLE "+name) })
		} else {
			require.NoError(t, tx.Rollback())
		}
		require.NoError(t, conn.Close())
		_, err = rows.Get(ctx, order(name))
		require.Equal(t, commit, err == nil)
		var there bool
		require.NoError(t, pool.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", name).Scan(&there))
		require.Equal(t, commit, there)
	}
}

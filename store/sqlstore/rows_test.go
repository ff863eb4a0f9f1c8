package sqlstore_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store/durable"
	"github.com/telemed-go/telemed/store/sqlstore"
)

// The contract of rows is proved on real databases, in internal/integration. Here are the
// answers that no real database loses on demand.

var (
	orderID = durable.ID{Kind: "order", Name: "asha"}
	orders  = durable.Query{Kinds: map[string]int{"order": 1, "visit": 2}, By: time.Unix(1_900_000_000, 0), Limit: 8}
	someone = durable.Lease{Owner: "someone", TTL: time.Minute}
)

// durableRow is a row as it is selected, after other columns.
func durableRow(revision string, before ...driver.Value) []driver.Value {
	return append(before, orderID.Kind, orderID.Name, "clinic", int64(1_800_000_000_000), "", int64(0), int64(0), "", nil, int64(1), []byte{}, []byte{}, revision)
}

// visitRows sends each statement about rows.
func visitRows(t *testing.T, fake *fakeDB, st *sqlstore.Store) {
	t.Helper()
	ctx := t.Context()
	fake.exec = nil
	fake.query = func(q query) ([][]driver.Value, error) {
		switch {
		case strings.Contains(q.text, "AS MATERIALIZED"):
			return [][]driver.Value{durableRow("revision", "clinic")}, nil
		case strings.HasPrefix(q.text, "SELECT kind, name, tenant"), strings.Contains(q.text, "RETURNING"):
			return [][]driver.Value{durableRow("revision")}, nil
		case strings.HasPrefix(q.text, "SELECT tenant"), strings.HasPrefix(q.text, "WITH RECURSIVE a"):
			return [][]driver.Value{{"clinic"}}, nil
		case strings.HasPrefix(q.text, "SELECT kind, name, revision"):
			return [][]driver.Value{{"order", "asha", "revision", "owner", int64(1000)}}, nil
		}
		return [][]driver.Value{{"order", "asha"}}, nil
	}
	rows := st.Rows()
	item, err := rows.Get(ctx, orderID)
	require.NoError(t, err)
	_, err = rows.Put(ctx, item)
	require.NoError(t, err)
	item.Revision = ""
	_, err = rows.Put(ctx, item)
	require.NoError(t, err)
	for _, leased := range []bool{false, true} {
		for _, each := range []int{0, 2} {
			q := orders
			q.Leased, q.PerTenant = leased, each
			ids, err := rows.Due(ctx, q)
			require.NoError(t, err)
			require.Len(t, ids, 1)
		}
	}
	items, next, err := rows.Lease(ctx, orders, "after", someone)
	require.NoError(t, err)
	require.Equal(t, "clinic", next)
	require.Len(t, items, 1)
	held, err := rows.Leases(ctx, orders.Kinds)
	require.NoError(t, err)
	require.Len(t, held, 1)
	_, err = rows.Erase(ctx, time.Now(), 10)
	require.NoError(t, err)
	for _, filter := range []durable.Filter{{}, {Kind: "order"}, {Tenant: "clinic", Stuck: true}} {
		for _, err := range rows.List(ctx, filter) {
			require.NoError(t, err)
		}
	}
	require.NoError(t, st.InTx(ctx, func(tx *sqlstore.Tx) error {
		item, err := tx.Get(ctx, orderID)
		require.NoError(t, err)
		_, err = tx.Put(ctx, item)
		return err
	}))
	for _, q := range fake.asked() {
		if strings.HasPrefix(q.text, "UPDATE") && strings.Contains(q.text, "SET revision") || strings.Contains(q.text, "AS MATERIALIZED") {
			require.NotRegexp(t, `SET [^)]*\bdata\b[^)]*WHERE`, q.text, "a lease does not write data anew")
		}
	}
	require.Zero(t, fake.openRows())
}

// visitBrokenRows returns what each method says while nothing works.
func visitBrokenRows(t *testing.T, st *sqlstore.Store) (errs []error) {
	t.Helper()
	ctx, rows := t.Context(), st.Rows()
	_, getErr := rows.Get(ctx, orderID)
	_, putErr := rows.Put(ctx, durable.Item{ID: orderID, Tenant: "canary", Data: []byte("canary")})
	_, dueErr := rows.Due(ctx, orders)
	q := orders
	q.By = time.Now()
	_, _, leaseErr := rows.Lease(ctx, q, "canary", someone)
	_, leasesErr := rows.Leases(ctx, orders.Kinds)
	var listErr error
	for _, listErr = range rows.List(ctx, durable.Filter{}) {
	}
	_, eraseErr := rows.Erase(ctx, time.Now(), 1)
	return []error{getErr, putErr, dueErr, leaseErr, leasesErr, listErr, eraseErr}
}

func TestRowsLoseAnswers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		dialect sqlstore.Dialect
		over    string // the revision that Put writes over
		applied bool
		rows    int64
		err     error
		there   bool  // another revision is stored
		want    error // nil: success
	}{
		{name: "create applied, answer lost", dialect: sqlstore.PostgreSQL, applied: true, err: syscall.ECONNRESET},
		{name: "create sent twice by a pool", dialect: sqlstore.MySQL, applied: true, err: errServer{}},
		{name: "replace applied, answer lost", dialect: sqlstore.SQLite, over: "old", applied: true, err: syscall.ECONNRESET},
		{name: "replace sent twice by a pool", dialect: sqlstore.MySQL, over: "old", applied: true},
		{name: "create of what is there", dialect: sqlstore.PostgreSQL, there: true, want: telemed.ErrConflict},
		{name: "create of what is there, by duplicate key", dialect: sqlstore.MySQL, there: true, err: errServer{}, want: telemed.ErrConflict},
		{name: "create whose request was lost", dialect: sqlstore.PostgreSQL, err: syscall.ECONNRESET, want: telemed.ErrAmbiguous},
		{name: "replace whose request was lost", dialect: sqlstore.PostgreSQL, over: "old", there: true, err: syscall.ECONNRESET, want: telemed.ErrAmbiguous},
		{name: "replace that lost races for ever", dialect: sqlstore.PostgreSQL, over: "old", there: true, err: errRace{}, want: telemed.ErrConflict},
		{name: "replace of what has moved on", dialect: sqlstore.MySQL, over: "old", there: true, want: telemed.ErrConflict},
		{name: "replace of what is gone", dialect: sqlstore.MySQL, over: "old", want: telemed.ErrConflict},
		{name: "a file that is busy", dialect: sqlstore.SQLite, over: "old", there: true, err: errBusy, want: telemed.ErrUnavailable},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			fake, db := newFakeDB(t)
			stored := ""
			if c.there {
				stored = "another"
			}
			fake.exec = func(q query) (int64, error) {
				if c.applied {
					stored = q.args[9].(string)
				}
				return c.rows, c.err
			}
			fake.query = func(query) ([][]driver.Value, error) {
				if stored == "" {
					return nil, nil
				}
				return [][]driver.Value{{stored}}, nil
			}
			revision, err := open(t, db, c.dialect).Rows().Put(t.Context(), durable.Item{ID: orderID, Revision: c.over})
			if c.want == nil {
				require.NoError(t, err)
				require.Equal(t, stored, revision)
				return
			}
			for _, kind := range []error{telemed.ErrConflict, telemed.ErrAmbiguous, telemed.ErrUnavailable} {
				require.Equal(t, errors.Is(c.want, kind), errors.Is(err, kind), "%v", err)
			}
			require.Empty(t, revision)
			require.NotContains(t, err.Error(), "Duplicate")
		})
	}
}

// errBusy is what SQLite says of a file that somebody else writes.
var errBusy = errors.New("sqlite3: database is locked")

// TestRowsRefuse has what is refused before anything is asked.
func TestRowsRefuse(t *testing.T) {
	t.Parallel()
	fake, db := newFakeDB(t)
	rows := open(t, db, sqlstore.PostgreSQL).Rows()
	ctx := t.Context()
	_, getErr := rows.Get(ctx, durable.ID{Kind: "order'; --", Name: "x"})
	_, putErr := rows.Put(ctx, durable.Item{ID: durable.ID{Kind: "Order", Name: "x"}})
	_, dueErr := rows.Due(ctx, durable.Query{Kinds: map[string]int{"order'": 1}, By: time.Now(), Limit: 1})
	_, next, leaseErr := rows.Lease(ctx, orders, "after", durable.Lease{})
	_, _, kindErr := rows.Lease(ctx, durable.Query{Kinds: map[string]int{"order'": 1}, By: time.Now(), Limit: 1}, "", someone)
	_, leasesErr := rows.Leases(ctx, map[string]int{"order' OR ''='": 1})
	for _, err := range []error{getErr, putErr, dueErr, leaseErr, kindErr, leasesErr} {
		require.ErrorIs(t, err, telemed.ErrInvalid)
		require.NotEmpty(t, telemed.Fields(err))
	}
	require.Equal(t, "after", next)
	require.Empty(t, fake.asked())
}

// TestLeaseThatLosesRaces keeps the cursor where it is if nothing was taken.
func TestLeaseThatLosesRaces(t *testing.T) {
	t.Parallel()
	for _, dialect := range dialects {
		fake, db := newFakeDB(t)
		lost := 0
		fake.query = func(query) ([][]driver.Value, error) {
			if lost++; lost < 3 {
				return nil, errRace{}
			}
			return nil, nil
		}
		rows := open(t, db, dialect).Rows()
		items, next, err := rows.Lease(t.Context(), orders, "after", someone)
		require.NoError(t, err)
		require.Empty(t, items)
		require.Empty(t, next)
		fake.query = func(query) ([][]driver.Value, error) { return nil, errRace{} }
		_, next, err = rows.Lease(t.Context(), orders, "after", someone)
		require.ErrorIs(t, err, telemed.ErrUnavailable)
		require.Equal(t, "after", next)
	}
}

func TestInTx(t *testing.T) {
	t.Parallel()
	own := errors.New("the application's")
	for _, c := range []struct {
		name    string
		dialect sqlstore.Dialect
		written int64   // rows that the first Put writes
		fail    []error // what the application's own statement answers, in turn
		commit  []error // what the commits answer, in turn
		result  error   // what the function returns if all went well
		want    error
		tries   int
	}{
		{name: "all goes well", written: 1, tries: 1},
		{name: "the application does not want it", written: 1, result: own, want: own, tries: 1},
		{name: "a conflict of its own", written: 1, result: telemed.ErrConflict, want: telemed.ErrConflict, tries: 1},
		{name: "somebody else was faster", written: 0, tries: 2},
		{name: "a deadlock", written: 1, fail: []error{errRace{}, errRace{}}, tries: 3},
		{name: "a busy file", dialect: sqlstore.SQLite, written: 1, fail: []error{errBusy}, tries: 2},
		{name: "a busy file is SQLite's", dialect: sqlstore.MySQL, written: 1, fail: []error{errBusy}, want: errBusy, tries: 1},
		{name: "a serialization failure at the commit", written: 1, commit: []error{errRace{}}, tries: 2},
		{name: "the answer to the commit is lost", written: 1, commit: []error{syscall.ECONNRESET}, want: telemed.ErrAmbiguous, tries: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			fake, db := newFakeDB(t)
			next := func(errs *[]error) (err error) {
				if len(*errs) > 0 {
					err, *errs = (*errs)[0], (*errs)[1:]
				}
				return err
			}
			fake.exec = func(q query) (int64, error) {
				if !strings.Contains(q.text, sqlstore.DefaultRowsTable) {
					return 1, next(&c.fail)
				}
				n := c.written
				c.written = 1
				return n, nil
			}
			fake.commit = func() error { return next(&c.commit) }
			tries := 0
			st := open(t, db, max(c.dialect, sqlstore.PostgreSQL))
			err := st.InTx(t.Context(), func(tx *sqlstore.Tx) error {
				tries++
				if _, err := tx.Tx.ExecContext(t.Context(), "INSERT INTO appointments"); err != nil {
					return err
				}
				if _, err := tx.Put(t.Context(), durable.Item{ID: orderID}); err != nil {
					return err
				}
				return c.result
			})
			require.ErrorIs(t, err, c.want)
			require.Equal(t, c.tries, tries)
			ends := map[string]int{}
			for _, q := range fake.asked() {
				ends[q.text]++
			}
			require.Equal(t, tries, ends["BEGIN"])
			require.Equal(t, tries, ends["COMMIT"]+ends["ROLLBACK"], "nothing is left open")
		})
	}
}

// TestATransactionIsNoMoreThanAStore asks for what would happen outside it.
func TestATransactionIsNoMoreThanAStore(t *testing.T) {
	t.Parallel()
	_, db := newFakeDB(t)
	st := open(t, db, sqlstore.PostgreSQL)
	tx, err := db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	defer tx.Rollback()
	check := func(rows durable.Store) {
		_, leases := rows.(durable.Leaser)
		_, held := rows.(durable.LeaseLister)
		_, erases := rows.(durable.Eraser)
		_, lists := rows.(durable.Lister)
		require.False(t, leases || held || erases || lists)
	}
	check(st.Rows().WithTx(tx))
	require.NoError(t, st.InTx(t.Context(), func(tx *sqlstore.Tx) error { check(tx); return nil }))
}

// TestInTxUndone has a function that does not pass on that the database has undone its
// transaction.
func TestInTxUndone(t *testing.T) {
	t.Parallel()
	fake, db := newFakeDB(t)
	lost := 0
	fake.exec = func(query) (int64, error) {
		if lost++; lost < 3 {
			return 0, errRace{}
		}
		return 1, nil
	}
	st := open(t, db, sqlstore.PostgreSQL)
	put := func(tx *sqlstore.Tx) error {
		_, err := tx.Put(t.Context(), durable.Item{ID: orderID})
		if err != nil {
			require.ErrorIs(t, err, telemed.ErrConflict)
			require.NotErrorIs(t, err, telemed.ErrAmbiguous)
		}
		return nil
	}
	require.NoError(t, st.InTx(t.Context(), put))
	require.Equal(t, 3, lost)

	ctx, cancel := context.WithCancel(t.Context())
	fake.exec = func(query) (int64, error) { cancel(); return 0, errRace{} }
	require.ErrorIs(t, st.InTx(ctx, put), context.Canceled)
}

func TestInTxThatPanics(t *testing.T) {
	t.Parallel()
	fake, db := newFakeDB(t)
	st := open(t, db, sqlstore.PostgreSQL)
	require.PanicsWithValue(t, "mine", func() { _ = st.InTx(t.Context(), func(*sqlstore.Tx) error { panic("mine") }) })
	asked := fake.asked()
	require.Equal(t, "ROLLBACK", asked[len(asked)-1].text)
}

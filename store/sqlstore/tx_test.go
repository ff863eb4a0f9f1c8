package sqlstore_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/durable"
	"github.com/telemed-go/telemed/store/sqlstore"
)

// errCanary is the refusal of a statement, with a patient in it.
type errCanary struct{}

func (errCanary) Error() string    { return "duplicate key (email)=(asha.canary@example.org)" }
func (errCanary) SQLState() string { return "23505" }

// errGone is PostgreSQL's word for a server that is shut down.
type errGone struct{}

func (errGone) Error() string    { return "terminating connection" }
func (errGone) SQLState() string { return "57P01" }

// TestExecOneSticks: nothing is written after the first error, and nobody need look for it.
func TestExecOneSticks(t *testing.T) {
	t.Parallel()
	kinds := []error{telemed.ErrNotFound, telemed.ErrUnavailable, telemed.ErrAmbiguous, telemed.ErrConflict}
	for name, c := range map[string]struct {
		rows int64
		err  error
		want error // nil: none of kinds
		text string
	}{
		"no row":                  {rows: 0, want: telemed.ErrNotFound, text: "sqlstore: ExecOne: 0 rows, not one: not found"},
		"two rows":                {rows: 2, want: telemed.ErrNotFound, text: "sqlstore: ExecOne: 2 rows, not one: not found"},
		"a refused statement":     {err: errCanary{}, text: "sqlstore: ExecOne (code 23505)"},
		"a server that goes":      {err: errGone{}, want: telemed.ErrUnavailable, text: "sqlstore: ExecOne (code 57P01): provider unavailable"},
		"a connection that broke": {err: syscall.ECONNRESET, want: telemed.ErrUnavailable, text: "sqlstore: ExecOne: provider unavailable: connection reset by peer"},
	} {
		for result, own := range map[string]error{"nil": nil, "an error of its own": errors.New("mine")} {
			t.Run(name+", and the function returns "+result, func(t *testing.T) {
				t.Parallel()
				fake, db := newFakeDB(t)
				fake.exec = func(query) (int64, error) { return c.rows, c.err }
				err := open(t, db, sqlstore.PostgreSQL).InTx(t.Context(), func(tx *sqlstore.Tx) error {
					tx.ExecOne(t.Context(), "UPDATE appointments SET start = $1 WHERE owner = $2", time.Now(), "asha")
					tx.ExecOne(t.Context(), "UPDATE appointments SET cancelled = true")
					_, putErr := tx.Put(t.Context(), durable.Item{ID: orderID})
					_, getErr := tx.Get(t.Context(), orderID)
					_, dueErr := tx.Due(t.Context(), orders)
					for _, err := range []error{putErr, getErr, dueErr} {
						require.ErrorIs(t, err, telemed.ErrUnavailable)
						require.NotErrorIs(t, err, telemed.ErrNotFound, "a row that was not looked for")
					}
					return own
				})
				require.EqualError(t, err, c.text)
				for _, kind := range kinds {
					require.Equal(t, kind == c.want, errors.Is(err, kind), "%v", kind)
				}
				var asked []string
				for _, q := range fake.asked() {
					verb, _, _ := strings.Cut(q.text, " ")
					asked = append(asked, verb)
				}
				require.Equal(t, []string{"BEGIN", "UPDATE", "ROLLBACK"}, asked)
			})
		}
	}
}

// TestExecOneThatLosesARace has the whole function run again, whether it notices or not.
func TestExecOneThatLosesARace(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		dialect sqlstore.Dialect
		err     error
	}{
		"a deadlock":  {sqlstore.PostgreSQL, errRace{}},
		"a busy file": {sqlstore.SQLite, errBusy},
	} {
		fake, db := newFakeDB(t)
		lost := 0
		fake.exec = func(query) (int64, error) {
			if lost++; lost < 3 {
				return 0, c.err
			}
			return 1, nil
		}
		tries := 0
		require.NoError(t, open(t, db, c.dialect).InTx(t.Context(), func(tx *sqlstore.Tx) error {
			tries++
			tx.ExecOne(t.Context(), "UPDATE appointments SET start = 1")
			return nil
		}), name)
		require.Equal(t, 3, tries, name)
	}
}

func TestInTxRowThatIsNotThere(t *testing.T) {
	t.Parallel()
	_, db := newFakeDB(t)
	err := open(t, db, sqlstore.PostgreSQL).InTx(t.Context(), func(tx *sqlstore.Tx) error {
		var id string
		return fmt.Errorf("show: %w", tx.QueryRowContext(t.Context(), "SELECT id FROM appointments").Scan(&id))
	})
	require.ErrorIs(t, err, telemed.ErrNotFound)
	require.ErrorIs(t, err, sql.ErrNoRows)
	require.EqualError(t, err, "show: sql: no rows in result set")
}

// TestInTxTwoKindsOfConflict: a lost race is run again, what the application means is not.
func TestInTxTwoKindsOfConflict(t *testing.T) {
	t.Parallel()
	taken := fmt.Errorf("the minute is taken: %w", telemed.ErrConflict)
	put := func(tx *sqlstore.Tx) error {
		_, err := tx.Put(t.Context(), durable.Item{ID: orderID})
		return err
	}
	for name, c := range map[string]struct {
		written []int64 // rows that each Put writes
		do      func(tx *sqlstore.Tx) error
		tries   int
	}{
		"taken":                           {nil, func(*sqlstore.Tx) error { return taken }, 1},
		"written, then taken":             {nil, func(tx *sqlstore.Tx) error { return errors.Join(put(tx), taken) }, 1},
		"lost, and taken by the winner":   {[]int64{0, 1}, func(tx *sqlstore.Tx) error { _ = put(tx); return taken }, 2},
		"lost, made good, and then taken": {[]int64{0, 1}, func(tx *sqlstore.Tx) error { _, _ = put(tx), put(tx); return taken }, 1},
		"lost, and said in other words": {[]int64{0, 1, 1}, func(tx *sqlstore.Tx) error {
			if err := put(tx); err != nil {
				return fmt.Errorf("mine: %w", telemed.ErrConflict)
			}
			return taken
		}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake, db := newFakeDB(t)
			fake.exec = func(query) (int64, error) {
				if len(c.written) == 0 {
					return 1, nil
				}
				n := c.written[0]
				c.written = c.written[1:]
				return n, nil
			}
			tries := 0
			err := open(t, db, sqlstore.PostgreSQL).InTx(t.Context(), func(tx *sqlstore.Tx) error { tries++; return c.do(tx) })
			require.ErrorIs(t, err, taken)
			require.Equal(t, c.tries, tries)
		})
	}
}

// TestInTxGivesUp after twenty tries, with what a page answers by 503.
func TestInTxGivesUp(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]struct {
		rows int64
		err  error
	}{"lost races": {0, nil}, "deadlocks": {0, errRace{}}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				fake, db := newFakeDB(t)
				fake.exec = func(query) (int64, error) { return answer.rows, answer.err }
				st, tries := open(t, db, sqlstore.PostgreSQL), 0
				err := st.InTx(t.Context(), func(tx *sqlstore.Tx) error {
					tries++
					_, err := tx.Put(t.Context(), durable.Item{ID: orderID})
					return err
				})
				require.ErrorIs(t, err, telemed.ErrUnavailable)
				require.NotErrorIs(t, err, telemed.ErrConflict)
				require.Equal(t, 20, tries)
			})
		})
	}
}

// TestInTxAsksForOneConnection has a pool that has no second one.
func TestInTxAsksForOneConnection(t *testing.T) {
	t.Parallel()
	keys, err := store.NewKeyring(store.NewKey())
	require.NoError(t, err)
	for _, dialect := range dialects {
		fake, db := newFakeDB(t)
		db.SetMaxOpenConns(1)
		st, err := sqlstore.New(sqlstore.Config{DB: db, Dialect: dialect, Seal: keys})
		require.NoError(t, err)
		var stored []driver.Value
		fake.exec = func(q query) (int64, error) {
			if strings.Contains(q.text, sqlstore.DefaultRowsTable) {
				stored = []driver.Value{"order", "asha", "", nil, "", int64(0), int64(0), "", nil, int64(0), []byte{}, q.args[8], q.args[9]}
			}
			return 1, nil
		}
		fake.query = func(q query) ([][]driver.Value, error) {
			if !strings.Contains(q.text, "data") {
				return [][]driver.Value{{"order", "asha"}}, nil
			}
			return [][]driver.Value{stored}, nil
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		require.NoError(t, st.InTx(ctx, func(tx *sqlstore.Tx) error {
			tx.ExecOne(ctx, "UPDATE appointments SET start = 1")
			_, err := tx.Put(ctx, durable.Item{ID: orderID, Data: []byte("data")})
			require.NoError(t, err)
			_, err = durable.Change(ctx, tx, orderID, func(item *durable.Item) error {
				require.Equal(t, "data", string(item.Data))
				return nil
			})
			require.NoError(t, err)
			_, err = tx.Due(ctx, orders)
			return err
		}))
		cancel()
	}
}

// TestInTxIsItsOwnEnd: a function that commits would tear apart what belongs together.
func TestInTxIsItsOwnEnd(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(tx *sqlstore.Tx) error{
		"commit": (*sqlstore.Tx).Commit, "rollback": (*sqlstore.Tx).Rollback,
	} {
		fake, db := newFakeDB(t)
		err := open(t, db, sqlstore.PostgreSQL).InTx(t.Context(), func(tx *sqlstore.Tx) error {
			require.Error(t, end(tx), name)
			return nil
		})
		require.EqualError(t, err, "sqlstore: Tx: InTx commits and rolls back, not the function")
		asked := fake.asked()
		require.Len(t, asked, 2)
		require.Equal(t, "ROLLBACK", asked[1].text)
	}
}

// TestInTxThatOutlivesItsContext was not committed, and that is known.
func TestInTxThatOutlivesItsContext(t *testing.T) {
	t.Parallel()
	_, db := newFakeDB(t)
	ctx, cancel := context.WithCancel(t.Context())
	err := open(t, db, sqlstore.PostgreSQL).InTx(ctx, func(*sqlstore.Tx) error { cancel(); return nil })
	require.ErrorIs(t, err, telemed.ErrUnavailable)
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, telemed.ErrAmbiguous)
}

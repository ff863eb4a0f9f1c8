package sqlstore_test

import (
	"database/sql/driver"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/sqlstore"
)

// The suite of the contract runs on real databases, in internal/integration. Here are the
// answers that no real database loses on demand.

// claimRow is a row as Claim looks at it.
func claimRow(key, token string, done bool, value string, ended bool) []driver.Value {
	number := map[bool]int64{true: 1}
	return []driver.Value{key, token, number[done], []byte(value), number[ended]}
}

// visitClaims sends statements about claims: ten.
func visitClaims(t *testing.T, fake *fakeDB, st *sqlstore.Store) {
	t.Helper()
	ctx := t.Context()
	_, err := st.Claim(ctx, "key", time.Minute)
	require.NoError(t, err)
	fake.exec = func(q query) (int64, error) {
		if strings.HasPrefix(q.text, "INSERT") {
			return 0, nil
		}
		return 1, nil
	}
	fake.query = func(q query) ([][]driver.Value, error) {
		if strings.HasPrefix(q.text, "SELECT claim_key FROM") {
			return [][]driver.Value{{"key"}, {"key 2"}}, nil
		}
		return [][]driver.Value{claimRow("key", "theirs", false, "", true)}, nil
	}
	claim, err := st.Claim(ctx, "key", time.Minute) // three: create, look, take over
	require.NoError(t, err)
	require.True(t, claim.Expired)
	require.NoError(t, st.Complete(ctx, "key", "token", nil, time.Minute))
	require.NoError(t, st.Release(ctx, "key", "token"))
	_, err = st.PurgeClaims(ctx) // two
	require.NoError(t, err)
	fake.exec = func(query) (int64, error) { return 0, nil }
	// Two: MySQL counts no row that stays as it is.
	require.NoError(t, st.Complete(ctx, "key", "theirs", nil, time.Minute))
}

// oneRow is a table of claims with at most one row, whose statements fail on request.
type oneRow struct {
	row     []driver.Value // nil: none
	lose    string         // the statement whose answer is lost: "INSERT", "UPDATE", "DELETE"
	before  bool           // it is lost on the way there
	refused error          // what a statement answers that finds the key taken
}

func (o *oneRow) exec(q query) (int64, error) {
	lost := o.lose != "" && strings.HasPrefix(q.text, o.lose)
	if lost && o.before {
		return 0, syscall.ECONNRESET
	}
	n, err := o.apply(q)
	if lost {
		return 0, syscall.ECONNRESET
	}
	return n, err
}

func (o *oneRow) apply(q query) (int64, error) {
	switch {
	case strings.HasPrefix(q.text, "INSERT") && o.row == nil:
		o.row = claimRow(q.args[3].(string), q.args[0].(string), false, "", false)
	case strings.HasPrefix(q.text, "INSERT"):
		return 0, o.refused
	case strings.Contains(q.text, "SET token") && o.row[4] == int64(1):
		o.row = claimRow(q.args[3].(string), q.args[0].(string), false, "", false)
	case strings.Contains(q.text, "SET done") && o.row != nil && o.row[1] == q.args[3]:
		o.row = claimRow(o.row[0].(string), o.row[1].(string), true, string(q.args[0].([]byte)), false)
	default:
		return 0, nil
	}
	return 1, nil
}

func (o *oneRow) query(query) ([][]driver.Value, error) {
	if o.row == nil {
		return nil, nil
	}
	return [][]driver.Value{o.row}, nil
}

func TestClaimLosesAnswers(t *testing.T) {
	t.Parallel()
	theirs := func(done, ended bool) []driver.Value { return claimRow("key", "theirs", done, "\x00value", ended) }
	for _, c := range []struct {
		name    string
		dialect sqlstore.Dialect
		table   oneRow
		want    store.Claim // without the token of one that is New
		wantErr error
	}{
		{name: "created", dialect: sqlstore.PostgreSQL, want: store.Claim{State: store.ClaimNew}},
		{name: "created, answer lost", dialect: sqlstore.PostgreSQL, table: oneRow{lose: "INSERT"}, want: store.Claim{State: store.ClaimNew}},
		{name: "not created, request lost", dialect: sqlstore.PostgreSQL, table: oneRow{lose: "INSERT", before: true}, wantErr: telemed.ErrAmbiguous},
		{name: "busy", dialect: sqlstore.PostgreSQL, table: oneRow{row: theirs(false, false)}, want: store.Claim{State: store.ClaimBusy}},
		{name: "busy, by duplicate key", dialect: sqlstore.MySQL, table: oneRow{row: theirs(false, false), refused: errServer{}}, want: store.Claim{State: store.ClaimBusy}},
		{name: "busy, by a lost race", dialect: sqlstore.PostgreSQL, table: oneRow{row: theirs(false, false), refused: errRace{}}, want: store.Claim{State: store.ClaimBusy}},
		{name: "done", dialect: sqlstore.SQLite, table: oneRow{row: theirs(true, false)}, want: store.Claim{State: store.ClaimDone, Token: "theirs", Value: []byte("value")}},
		{name: "run out", dialect: sqlstore.SQLite, table: oneRow{row: theirs(false, true)}, want: store.Claim{State: store.ClaimNew, Expired: true}},
		{name: "kept no more", dialect: sqlstore.SQLite, table: oneRow{row: theirs(true, true)}, want: store.Claim{State: store.ClaimNew}},
		{name: "taken over, answer lost", dialect: sqlstore.MySQL, table: oneRow{row: theirs(false, true), refused: errServer{}, lose: "UPDATE"}, want: store.Claim{State: store.ClaimNew, Expired: true}},
		{name: "not taken over, request lost", dialect: sqlstore.MySQL, table: oneRow{row: theirs(false, true), refused: errServer{}, lose: "UPDATE", before: true}, wantErr: telemed.ErrAmbiguous},
		{name: "a table that folds keys", dialect: sqlstore.MySQL, table: oneRow{row: claimRow("KEY", "theirs", false, "", false), refused: errServer{}}, wantErr: errAny},
		{name: "a value that is none", dialect: sqlstore.SQLite, table: oneRow{row: claimRow("key", "theirs", true, "canary", false)}, wantErr: telemed.ErrDecrypt},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			fake, db := newFakeDB(t)
			fake.exec, fake.query = c.table.exec, c.table.query
			got, err := open(t, db, c.dialect).Claim(t.Context(), "key", time.Minute)
			if c.wantErr != nil {
				if c.wantErr != errAny {
					require.ErrorIs(t, err, c.wantErr)
				}
				require.Error(t, err)
				require.Zero(t, got)
				require.NotContains(t, err.Error(), "canary")
				return
			}
			require.NoError(t, err)
			if c.want.State == store.ClaimNew {
				require.Equal(t, c.table.row[1], got.Token)
				c.want.Token = got.Token
			}
			require.Equal(t, c.want, got)
			for _, q := range fake.asked() {
				for _, arg := range q.args {
					if n, ok := arg.(int64); ok {
						require.LessOrEqual(t, n, time.Minute.Milliseconds(), "a lease, and no clock of the process's")
					}
				}
			}
		})
	}
}

// errAny is any error.
var errAny = fmt.Errorf("any")

func TestCompleteLosesAnswers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		table oneRow
		want  error
	}{
		{name: "completed", table: oneRow{row: claimRow("key", "token", false, "", false)}},
		{name: "completed, answer lost", table: oneRow{row: claimRow("key", "token", false, "", false), lose: "UPDATE"}, want: telemed.ErrAmbiguous},
		{name: "request lost", table: oneRow{row: claimRow("key", "token", false, "", false), lose: "UPDATE", before: true}, want: telemed.ErrAmbiguous},
		{name: "another token", table: oneRow{row: claimRow("key", "theirs", false, "", false)}, want: telemed.ErrConflict},
		{name: "nobody's key", want: telemed.ErrConflict},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			fake, db := newFakeDB(t)
			fake.exec, fake.query = c.table.exec, c.table.query
			err := open(t, db, sqlstore.MySQL).Complete(t.Context(), "key", "token", []byte("value"), time.Minute)
			require.ErrorIs(t, err, c.want)
		})
	}
	t.Run("MySQL counts no row that stays as it is", func(t *testing.T) {
		t.Parallel()
		fake, db := newFakeDB(t)
		fake.exec = func(query) (int64, error) { return 0, nil }
		fake.query = func(query) ([][]driver.Value, error) {
			return [][]driver.Value{claimRow("key", "token", true, "\x00value", false)}, nil
		}
		require.NoError(t, open(t, db, sqlstore.MySQL).Complete(t.Context(), "key", "token", []byte("value"), time.Minute))
	})
}

// TestClaimsThatLoseRaces has the database roll back, again and again, and at last for
// ever.
func TestClaimsThatLoseRaces(t *testing.T) {
	t.Parallel()
	fake, db := newFakeDB(t)
	st := open(t, db, sqlstore.PostgreSQL)
	lost := 0
	fake.exec = func(query) (int64, error) {
		if lost++; lost%4 != 0 {
			return 0, errRace{}
		}
		return 1, nil
	}
	claim, err := st.Claim(t.Context(), "key", time.Minute)
	require.NoError(t, err)
	require.Equal(t, store.ClaimNew, claim.State)
	require.NoError(t, st.Complete(t.Context(), "key", claim.Token, nil, time.Minute))
	require.NoError(t, st.Release(t.Context(), "key", claim.Token))

	fake.exec = func(query) (int64, error) { return 0, errRace{} }
	_, err = st.Claim(t.Context(), "key", time.Minute)
	require.ErrorIs(t, err, telemed.ErrUnavailable, "nothing was written")
	require.ErrorIs(t, st.Complete(t.Context(), "key", claim.Token, nil, time.Minute), telemed.ErrAmbiguous)
	require.ErrorIs(t, st.Release(t.Context(), "key", claim.Token), telemed.ErrAmbiguous)
}

// TestPurgeInPages has more rows than a page holds.
func TestPurgeInPages(t *testing.T) {
	t.Parallel()
	fake, db := newFakeDB(t)
	const total = 450
	fake.query = func(q query) ([][]driver.Value, error) {
		first := 0
		if q.args[0] != "" {
			_, err := fmt.Sscanf(q.args[0].(string), "key-%d", &first)
			require.NoError(t, err)
			first++
		}
		var page [][]driver.Value
		for n := first; n < total && len(page) < 200; n++ {
			page = append(page, []driver.Value{fmt.Sprintf("key-%04d", n)})
		}
		return page, nil
	}
	fake.exec = func(q query) (int64, error) { return int64(len(q.args)), nil }
	n, err := open(t, db, sqlstore.PostgreSQL).PurgeClaims(t.Context())
	require.NoError(t, err)
	require.Equal(t, total, n)
	require.Zero(t, fake.openRows())
	require.Len(t, fake.asked(), 6)
}

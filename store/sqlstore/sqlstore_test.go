package sqlstore_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/leaktest"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/sqlstore"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

var dialects = []sqlstore.Dialect{sqlstore.PostgreSQL, sqlstore.MySQL, sqlstore.SQLite}

var asha = store.AccountID{Provider: "zoom", Subject: "asha.patel@hospital.example"}

func open(t *testing.T, db *sql.DB, dialect sqlstore.Dialect) *sqlstore.Store {
	t.Helper()
	tokens, err := sqlstore.New(sqlstore.Config{DB: db, Dialect: dialect, InsecureClear: true})
	require.NoError(t, err)
	return tokens
}

func TestNew(t *testing.T) {
	t.Parallel()
	_, err := sqlstore.New(sqlstore.Config{Table: "tokens; DROP TABLE doctors", ClaimsTable: "a b", RowsTable: "r;"})
	require.EqualError(t, err, "sqlstore: DB is required; Table is not a name of letters, digits and _; ClaimsTable is not a name of letters, digits and _; RowsTable is not a name of letters, digits and _; Seal is required, or InsecureClear")
	require.ErrorIs(t, err, telemed.ErrInvalid)

	_, db := newFakeDB(t)
	for table, good := range map[string]bool{
		"": true, "tokens": true, "Tokens_2": true, "app.tokens": true, "_x": true,
		"2tokens": false, "a.b.c": false, "a-b": false, "a b": false, `"t"`: false, "`t`": false, "a.": false, ".a": false,
		"tokens\n": false, "tökens": false, strings.Repeat("t", 64): false,
	} {
		for _, cfg := range []sqlstore.Config{{Table: table}, {ClaimsTable: table}, {RowsTable: table}} {
			cfg.DB, cfg.Dialect, cfg.InsecureClear = db, sqlstore.SQLite, true
			_, err := sqlstore.New(cfg)
			require.Equal(t, good, err == nil, "%q", table)
			require.Equal(t, good, sqlstore.Schema(cfg) != nil, "%q", table)
		}
	}
}

// TestSealOrClear has each way to say, or not to say, what becomes of secrets.
func TestSealOrClear(t *testing.T) {
	t.Parallel()
	_, db := newFakeDB(t)
	keys, err := store.NewKeyring(store.NewKey())
	require.NoError(t, err)
	for _, c := range []struct {
		cfg  sqlstore.Config
		want string
	}{
		{sqlstore.Config{}, "sqlstore: Seal is required, or InsecureClear"},
		{sqlstore.Config{Seal: keys, InsecureClear: true}, "sqlstore: InsecureClear is set beside Seal"},
		{sqlstore.Config{SealStrict: true}, "sqlstore: Seal is required, or InsecureClear; SealStrict is set without Seal"},
		{sqlstore.Config{SealStrict: true, InsecureClear: true}, "sqlstore: SealStrict is set without Seal"},
		{sqlstore.Config{InsecureClear: true, Table: "one", ClaimsTable: "ONE"}, "sqlstore: ClaimsTable is the same as Table"},
		{sqlstore.Config{InsecureClear: true, RowsTable: "OAuth_tokens"}, "sqlstore: RowsTable is the same as Table"},
		{sqlstore.Config{InsecureClear: true, RowsTable: "Telemed_claims"}, "sqlstore: RowsTable is the same as ClaimsTable"},
		{sqlstore.Config{InsecureClear: true, RowsTable: "app." + strings.Repeat("r", 51)}, "sqlstore: RowsTable is longer than 50 characters"},
		{sqlstore.Config{InsecureClear: true, RowsTable: "app." + strings.Repeat("r", 50)}, ""},
		{sqlstore.Config{Seal: keys}, ""},
		{sqlstore.Config{Seal: keys, SealStrict: true}, ""},
		{sqlstore.Config{InsecureClear: true}, ""},
	} {
		c.cfg.DB, c.cfg.Dialect = db, sqlstore.SQLite
		_, err := sqlstore.New(c.cfg)
		if c.want == "" {
			require.NoError(t, err)
			continue
		}
		require.EqualError(t, err, c.want)
		require.ErrorIs(t, err, telemed.ErrInvalid)
		require.NotEmpty(t, telemed.Fields(err))
	}
}

func TestSchema(t *testing.T) {
	t.Parallel()
	for _, dialect := range dialects {
		own := sqlstore.Schema(sqlstore.Config{Dialect: dialect, Table: "app.doctor_tokens", ClaimsTable: "app.claims", RowsTable: "app.work"})
		require.True(t, strings.HasPrefix(own[0], "CREATE TABLE IF NOT EXISTS app.doctor_tokens (\n"), dialect)
		require.True(t, strings.HasPrefix(own[1], "CREATE TABLE IF NOT EXISTS app.claims (\n"), dialect)
		require.True(t, strings.HasPrefix(own[2], "CREATE TABLE IF NOT EXISTS app.work (\n"), dialect)
		for _, statement := range own {
			for _, name := range []string{sqlstore.DefaultTable, sqlstore.DefaultClaimsTable, sqlstore.DefaultRowsTable} {
				require.NotContains(t, statement, name)
			}
		}
		// An index lies where its table does.
		switch dialect {
		case sqlstore.PostgreSQL:
			require.Contains(t, own[3], "EXISTS work_turn ON app.work (")
		case sqlstore.SQLite:
			require.Contains(t, own[3], "EXISTS app.work_turn ON work (")
		default:
			require.Contains(t, own[2], "KEY work_turn (")
		}
		offered := sqlstore.Schema(sqlstore.Config{Dialect: dialect})
		require.Contains(t, offered[0], sqlstore.DefaultTable)
		require.Contains(t, offered[1], sqlstore.DefaultClaimsTable)
		require.Contains(t, offered[2], sqlstore.DefaultRowsTable)
		require.Len(t, offered, map[sqlstore.Dialect]int{sqlstore.PostgreSQL: 7, sqlstore.SQLite: 7, sqlstore.MySQL: 3}[dialect])
		for _, statement := range append(own, offered...) {
			require.True(t, strings.HasPrefix(statement, "CREATE "), statement)
			require.NotContains(t, statement, ";\n", "one statement each: not every driver takes two at once")
		}
	}
	require.Empty(t, sqlstore.Schema(sqlstore.Config{}))
	require.Empty(t, sqlstore.Schema(sqlstore.Config{Dialect: 4}))
	require.Equal(t, "Dialect(4)", sqlstore.Dialect(4).String())
}

// TestPlaceholders counts them: an argument too many is an error in one driver and
// ignored in another.
func TestPlaceholders(t *testing.T) {
	t.Parallel()
	for _, dialect := range dialects {
		t.Run(dialect.String(), func(t *testing.T) {
			t.Parallel()
			fake, db := newFakeDB(t)
			tokens := open(t, db, dialect)
			rec := store.Record{ID: asha}
			_, err := tokens.Put(t.Context(), rec)
			require.NoError(t, err)
			rec.Revision = "seen"
			_, err = tokens.Put(t.Context(), rec)
			require.NoError(t, err)
			require.NoError(t, tokens.Delete(t.Context(), asha))
			_, err = tokens.Get(t.Context(), asha)
			require.ErrorIs(t, err, telemed.ErrNotFound)
			for _, filter := range []store.Filter{{}, {Provider: "zoom"}, {Status: store.StatusActive}, {Provider: "zoom", Status: store.StatusActive}} {
				for _, err := range tokens.List(t.Context(), filter) {
					require.NoError(t, err)
				}
			}
			visitClaims(t, fake, tokens)
			require.Len(t, fake.asked(), 8+10)
			visitRows(t, fake, tokens)
			for _, q := range fake.asked() {
				if len(q.text) < 10 { // BEGIN, COMMIT, ROLLBACK
					continue
				}
				if dialect == sqlstore.PostgreSQL {
					require.NotContains(t, q.text, "?")
					require.NotContains(t, q.text, fmt.Sprintf("$%d", len(q.args)+1))
					for n := range q.args {
						require.Contains(t, q.text, fmt.Sprintf("$%d", n+1))
					}
				} else {
					require.Equal(t, len(q.args), strings.Count(q.text, "?"), q.text)
				}
			}
		})
	}
}

// errServer has the text of a driver that quotes what it was given.
type errServer struct{}

func (errServer) Error() string {
	return "Error 1062 (23000): Duplicate entry 'zoom-asha.patel@hospital.example' for key 'PRIMARY', token canary"
}

// errState is an error that has an SQLSTATE, as pgx's.
type errState struct{ errServer }

func (errState) SQLState() string { return "57P01" }

// errRace is what PostgreSQL answers to the loser of a race at repeatable read.
type errRace struct{ errServer }

func (errRace) SQLState() string { return "40001" }

func TestLostAnswers(t *testing.T) {
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
		{name: "create sent twice by a pool", dialect: sqlstore.PostgreSQL, applied: true, rows: 0},
		{name: "replace applied, answer lost", dialect: sqlstore.SQLite, over: "old", applied: true, err: syscall.ECONNRESET},
		{name: "replace sent twice by a pool", dialect: sqlstore.MySQL, over: "old", applied: true, rows: 0},
		{name: "create of what is there", dialect: sqlstore.PostgreSQL, there: true, want: telemed.ErrConflict},
		{name: "create of what is there, by duplicate key", dialect: sqlstore.MySQL, there: true, err: errServer{}, want: telemed.ErrConflict},
		{name: "create that failed", dialect: sqlstore.MySQL, err: errServer{}, want: telemed.ErrAmbiguous},
		{name: "replace that failed", dialect: sqlstore.MySQL, over: "old", there: true, err: errServer{}, want: telemed.ErrAmbiguous},
		{name: "replace that lost a race", dialect: sqlstore.PostgreSQL, over: "old", there: true, err: errRace{}, want: telemed.ErrConflict},
		{name: "replace of what has moved on", dialect: sqlstore.MySQL, over: "old", there: true, want: telemed.ErrConflict},
		{name: "replace of what is gone", dialect: sqlstore.MySQL, over: "old", want: telemed.ErrConflict},
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
			revision, err := open(t, db, c.dialect).Put(t.Context(), store.Record{ID: asha, Revision: c.over})
			if c.want == nil {
				require.NoError(t, err)
				require.Equal(t, stored, revision)
				return
			}
			require.ErrorIs(t, err, c.want)
			require.Empty(t, revision)
			require.NotContains(t, err.Error(), "asha")
		})
	}
}

func TestDeleteThatLosesRaces(t *testing.T) {
	t.Parallel()
	fake, db := newFakeDB(t)
	lost := 0
	fake.exec = func(query) (int64, error) {
		if lost++; lost <= 3 {
			return 0, errRace{}
		}
		return 1, nil
	}
	require.NoError(t, open(t, db, sqlstore.PostgreSQL).Delete(t.Context(), asha))
	require.Len(t, fake.asked(), 4)

	fake.exec = func(query) (int64, error) { return 0, errRace{} }
	require.ErrorIs(t, open(t, db, sqlstore.PostgreSQL).Delete(t.Context(), asha), telemed.ErrAmbiguous)
}

func TestErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err        error
		code, text string
	}{
		{errServer{}, "1062", " (code 1062): KIND"},
		{errState{}, "57P01", " (code 57P01): KIND"},
		{fmt.Errorf("dial 10.0.0.7:5432: %w", syscall.ECONNREFUSED), "", ": KIND: connection refused"},
		{errors.New("sqlite3: database is locked: canary"), "database is locked", " (code database_is_locked): KIND"},
		{errors.New("database is locked (canary)"), "database is locked", " (code database_is_locked): KIND"},
		{errors.New("canary"), "", ": KIND"},
		{context.DeadlineExceeded, "", ": KIND: context deadline exceeded"},
	} {
		t.Run(c.text, func(t *testing.T) {
			t.Parallel()
			fake, db := newFakeDB(t)
			fake.exec = func(query) (int64, error) { return 0, c.err }
			fake.query = func(query) ([][]driver.Value, error) { return nil, c.err }
			st := open(t, db, sqlstore.MySQL)
			_, getErr := st.Get(t.Context(), asha)
			_, putErr := st.Put(t.Context(), store.Record{ID: asha, Token: store.Token{Access: telemed.NewSecret("canary")}})
			var listErr error
			for _, listErr = range st.List(t.Context(), store.Filter{}) {
			}
			_, claimErr := st.Claim(t.Context(), "asha", time.Minute)
			_, purgeErr := st.PurgeClaims(t.Context())
			rows := visitBrokenRows(t, st)
			for op, err := range map[string]error{
				"Get": getErr, "Put": putErr, "Delete": st.Delete(t.Context(), asha), "List": listErr,
				"Claim": claimErr, "Complete": st.Complete(t.Context(), "asha", "token", []byte("canary"), time.Minute),
				"Release": st.Release(t.Context(), "asha", "token"), "PurgeClaims": purgeErr,
				"Rows.Get": rows[0], "Rows.Put": rows[1], "Rows.Due": rows[2], "Rows.Lease": rows[3], "Rows.Leases": rows[4],
				"Rows.List": rows[5], "Rows.Erase": rows[6],
			} {
				kind := telemed.ErrAmbiguous
				// The last two begin with a look.
				if slices.Contains([]string{"Get", "List", "Rows.Get", "Rows.Due", "Rows.Leases", "Rows.List", "PurgeClaims", "Rows.Erase"}, op) {
					kind = telemed.ErrUnavailable
				}
				require.ErrorIs(t, err, kind)
				for _, cause := range []error{syscall.ECONNREFUSED, context.DeadlineExceeded} {
					require.Equal(t, errors.Is(c.err, cause), errors.Is(err, cause), "what is known of the cause")
				}
				for below := errors.Unwrap(err); below != nil; below = errors.Unwrap(below) {
					require.NotRegexp(t, "canary|asha|Duplicate|10.0.0.7", below.Error(), "the driver's words")
				}
				typed, ok := errors.AsType[*sqlstore.Error](err)
				require.True(t, ok)
				require.Equal(t, op, typed.Op)
				require.Equal(t, c.code, typed.Code)
				require.EqualError(t, err, "sqlstore: "+op+strings.ReplaceAll(c.text, "KIND", kind.Error()))
				require.Equal(t, err.Error(), fmt.Sprintf("%#v", err))
			}
		})
	}
}

// row is a row as get and list select it.
func row(key store.AccountID, token string) []driver.Value {
	return []driver.Value{key.Provider, key.Subject, []byte(token), "active", "", "", int64(0), int64(0), int64(0), int64(0), int64(0), "revision"}
}

func TestRowsThatAreNotRecords(t *testing.T) {
	t.Parallel()
	fake, db := newFakeDB(t)
	tokens := open(t, db, sqlstore.MySQL)
	for name, found := range map[string][]driver.Value{
		"no token":            row(asha, "canary"),
		"of another doctor":   row(store.AccountID{Provider: "zoom", Subject: strings.ToUpper(asha.Subject)}, `{"v":1}`),
		"of another provider": row(store.AccountID{Provider: "google", Subject: asha.Subject}, `{"v":1}`),
	} {
		fake.query = func(query) ([][]driver.Value, error) { return [][]driver.Value{found}, nil }
		_, err := tokens.Get(t.Context(), asha)
		require.Error(t, err, name)
		require.NotErrorIs(t, err, telemed.ErrNotFound)
		require.NotErrorIs(t, err, telemed.ErrDecrypt)
		require.NotContains(t, strings.ToLower(err.Error()), "asha")
		require.NotContains(t, err.Error(), "canary")
	}
}

func TestValuesThatDoNotFit(t *testing.T) {
	t.Parallel()
	fake, db := newFakeDB(t)
	_, err := open(t, db, sqlstore.SQLite).Put(t.Context(), store.Record{
		ID: asha, Status: store.Status(strings.Repeat("s", 33)), Reason: strings.Repeat("r", 1025), Lease: store.Lease{Owner: strings.Repeat("o", 65)},
	})
	require.EqualError(t, err, "store: Record.Status is longer than 32 bytes; Record.Reason is longer than 1024 bytes; Record.Lease.Owner is longer than 64 bytes")
	require.ErrorIs(t, err, telemed.ErrInvalid)
	require.Empty(t, fake.asked())
}

// TestListPassesOver has rows that are no records at the beginning and at the end of
// pages.
func TestListPassesOver(t *testing.T) {
	t.Parallel()
	fake, db := newFakeDB(t)
	pages := 0
	fake.query = func(q query) ([][]driver.Value, error) {
		pages++
		if pages == 3 {
			return nil, nil
		}
		var page [][]driver.Value
		for n := range 200 {
			token := `{"v":1}`
			if n == 0 || n == 199 {
				token = "canary"
			}
			page = append(page, row(store.AccountID{Provider: "zoom", Subject: fmt.Sprintf("doctor-%d-%03d", pages, n)}, token))
		}
		return page, nil
	}
	listed, failures := 0, 0
	for _, err := range open(t, db, sqlstore.SQLite).List(t.Context(), store.Filter{}) {
		if err == nil {
			require.Zero(t, failures, "the error comes last")
			listed++
			continue
		}
		failures++
		require.EqualError(t, err, "sqlstore: List: "+fmt.Sprint(store.AccountID{Provider: "zoom", Subject: "doctor-1-000"})+": store: these bytes are not a token")
	}
	require.Equal(t, 396, listed)
	require.Equal(t, 1, failures)
	require.Equal(t, 3, pages)
	require.Equal(t, "doctor-1-199", fake.asked()[1].args[2], "the next page begins after the last row, whatever is in it")
}

// TestListHoldsNothing has the caller use a pool of one connection inside the loop.
func TestListHoldsNothing(t *testing.T) {
	t.Parallel()
	fake, db := newFakeDB(t)
	db.SetMaxOpenConns(1)
	tokens := open(t, db, sqlstore.SQLite)
	const total = 450
	fake.query = func(q query) ([][]driver.Value, error) {
		first := 0
		if len(q.args) > 0 {
			_, err := fmt.Sscanf(q.args[len(q.args)-1].(string), "doctor-%d", &first)
			require.NoError(t, err)
			first++
		}
		var page [][]driver.Value
		for n := first; n < total && len(page) < 200; n++ {
			page = append(page, row(store.AccountID{Provider: "zoom", Subject: fmt.Sprintf("doctor-%04d", n)}, `{"v":1}`))
		}
		return page, nil
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	listed := 0
	for rec, err := range tokens.List(ctx, store.Filter{}) {
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("doctor-%04d", listed), rec.ID.Subject)
		require.Zero(t, fake.openRows())
		if listed%100 == 0 {
			require.NoError(t, tokens.Delete(ctx, rec.ID))
		}
		listed++
	}
	require.Equal(t, total, listed)
}

package sqlstore_test

import (
	"database/sql/driver"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store/sqlstore"
)

// TestDialectOfDriver names the drivers that Config says, where a module may keep them.
func TestDialectOfDriver(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]sqlstore.Dialect{
		"github.com/jackc/pgx/v5/stdlib":            sqlstore.PostgreSQL,
		"github.com/jackc/pgx/v4/stdlib":            sqlstore.PostgreSQL,
		"github.com/lib/pq":                         sqlstore.PostgreSQL,
		"github.com/go-sql-driver/mysql":            sqlstore.MySQL,
		"github.com/ncruces/go-sqlite3/driver":      sqlstore.SQLite,
		"github.com/mattn/go-sqlite3":               sqlstore.SQLite,
		"modernc.org/sqlite":                        sqlstore.SQLite,
		"github.com/uptrace/opentelemetry-go-extra": 0,
		"github.com/lib/pq/wrapped":                 0,
		"example.org/github.com/lib/pq":             0,
		"":                                          0,
	} {
		require.Equal(t, want, sqlstore.DialectOfPackage(path), path)
	}
}

// TestDialectOfAnotherDriver: a wrong guess would be wrong SQL, so there is none.
func TestDialectOfAnotherDriver(t *testing.T) {
	t.Parallel()
	_, db := newFakeDB(t)
	_, err := sqlstore.New(sqlstore.Config{DB: db, InsecureClear: true})
	require.EqualError(t, err, "sqlstore: Dialect is required: DB's driver is none of those that are known")
	require.Equal(t, "Dialect", telemed.Fields(err)[0].Field)
	_, err = sqlstore.New(sqlstore.Config{DB: db, Dialect: 9, InsecureClear: true})
	require.EqualError(t, err, "sqlstore: Dialect is not PostgreSQL, MySQL or SQLite")
	require.Empty(t, sqlstore.Schema(sqlstore.Config{}))
	require.Empty(t, sqlstore.Schema(sqlstore.Config{DB: db}))
}

func TestStatements(t *testing.T) {
	t.Parallel()
	for script, want := range map[string][]string{
		"":                       nil,
		" ;;\n; ":                nil,
		"CREATE TABLE a (b INT)": {"CREATE TABLE a (b INT)"},
		"A; B ;\nC;":             {"A", "B", "C"},
		"A;\u0085; \u00a0B":      {"A", "\u0085", "\u00a0B"},
		"A 'x;y'; B":             {"A 'x;y'", "B"},
		`A 'x\';y'; B`:           {`A 'x\';y'`, "B"},
		"A 'x'';y'; B":           {"A 'x'';y'", "B"},
		"A \"x;y\"; `b;`":        {"A \"x;y\"", "`b;`"},
		"A 'x;y":                 {"A 'x;y"},
		"-- one; two\nA; B":      {"-- one; two\nA", "B"},
		"A -- x;\n, B; C":        {"A -- x;\n, B", "C"},
		"A--1; B":                {"A--1", "B"},
		"A # x;\n; B":            {"A # x;", "B"},
		"A /* ; */ B; C":         {"A /* ; */ B", "C"},
		"A; -- the end":          {"A"},
		"A; --":                  {"A"},
		"/* alone */; A":         {"A"},
		"/*! SET x = 1 */; A":    {"/*! SET x = 1 */", "A"},
		"/*/ not ended; */ A":    {"/*/ not ended; */ A"},
		"A; /* not ended; ":      {"A"},
	} {
		require.Equal(t, want, sqlstore.Statements(script), "%q", script)
	}
}

func FuzzStatements(f *testing.F) {
	f.Add("A; 'b;' -- c;\n; /* ; */ `d")
	f.Fuzz(func(t *testing.T, script string) {
		rest := script
		for _, statement := range sqlstore.Statements(script) {
			require.NotEmpty(t, statement)
			_, after, found := strings.Cut(rest, statement)
			require.True(t, found, "%q is in what is left of %q", statement, script)
			rest = after
		}
	})
}

// begin has the fake answer what CreateTables asks before it creates anything.
func begin(q query) ([][]driver.Value, error) {
	switch {
	case strings.HasPrefix(q.text, "PRAGMA"):
		return [][]driver.Value{{"delete"}}, nil
	case strings.Contains(q.text, "GET_LOCK"):
		return [][]driver.Value{{int64(1)}}, nil
	}
	return nil, nil
}

// TestCreateTables tells what each dialect begins and ends with, and that the application's
// statements come after ours.
func TestCreateTables(t *testing.T) {
	t.Parallel()
	for dialect, want := range map[sqlstore.Dialect]struct {
		before, after []string
		also          int // statements that two scripts of three are
	}{
		sqlstore.PostgreSQL: {[]string{"BEGIN", "SELECT pg_advisory_xact_lock(32762613530977636)"}, []string{"COMMIT"}, 2},
		sqlstore.MySQL:      {[]string{"SELECT GET_LOCK('telemed.CreateTables', 5)"}, []string{"DO RELEASE_LOCK('telemed.CreateTables')"}, 3},
		sqlstore.SQLite:     {[]string{"PRAGMA journal_mode", "PRAGMA journal_mode = WAL", "BEGIN IMMEDIATE"}, []string{"COMMIT"}, 2},
	} {
		fake, db := newFakeDB(t)
		db.SetMaxOpenConns(1)
		fake.query = begin
		require.NoError(t, open(t, db, dialect).CreateTables(t.Context(), "CREATE A; CREATE B", "CREATE C"))
		var asked []string
		for _, q := range fake.asked() {
			asked = append(asked, q.text)
		}
		ours := len(sqlstore.Schema(sqlstore.Config{Dialect: dialect}))
		require.Len(t, asked, len(want.before)+ours+want.also+len(want.after), "%v", dialect)
		require.Equal(t, want.before, asked[:len(want.before)])
		require.Contains(t, asked[len(want.before)], "CREATE TABLE IF NOT EXISTS oauth_tokens")
		require.Equal(t, "CREATE C", asked[len(asked)-2])
		require.Equal(t, want.after, asked[len(asked)-1:])
	}
}

// TestCreateTablesFails gives back the lock, and says which script it was and no word of the
// database's.
func TestCreateTablesFails(t *testing.T) {
	t.Parallel()
	for dialect, end := range map[sqlstore.Dialect]string{
		sqlstore.PostgreSQL: "ROLLBACK", sqlstore.MySQL: "DO RELEASE_LOCK('telemed.CreateTables')", sqlstore.SQLite: "ROLLBACK",
	} {
		fake, db := newFakeDB(t)
		fake.query = begin
		var refusal error = errCanary{}
		fake.exec = func(q query) (int64, error) {
			if strings.HasPrefix(q.text, "CREATE B") {
				return 0, refusal
			}
			return 0, nil
		}
		st := open(t, db, dialect)
		err := st.CreateTables(t.Context(), "CREATE A", "CREATE B")
		require.EqualError(t, err, "sqlstore: CreateTables also[1] (code 23505)")
		asked := fake.asked()
		require.Equal(t, end, asked[len(asked)-1].text)

		refusal = syscall.ECONNRESET
		err = st.CreateTables(t.Context(), "CREATE A", "CREATE B")
		want := telemed.ErrUnavailable
		if dialect == sqlstore.MySQL {
			want = telemed.ErrAmbiguous // what came before is done
		}
		require.ErrorIs(t, err, want)
		require.ErrorIs(t, err, syscall.ECONNRESET)
	}
}

// TestCreateTablesTriesAgain what the database has undone.
func TestCreateTablesTriesAgain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		dialect sqlstore.Dialect
		err     error
		when    string
	}{
		{sqlstore.PostgreSQL, errRace{}, "CREATE A"}, {sqlstore.SQLite, errBusy, "BEGIN IMMEDIATE"}, {sqlstore.SQLite, errBusy, "COMMIT"},
	} {
		fake, db := newFakeDB(t)
		fake.query = begin
		tries := 0
		fake.exec = func(q query) (int64, error) {
			if q.text == c.when {
				if tries++; tries < 3 {
					return 0, c.err
				}
			}
			return 0, nil
		}
		require.NoError(t, open(t, db, c.dialect).CreateTables(t.Context(), "CREATE A"))
		require.Equal(t, 3, tries, c.when)
	}
}

package river_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	riverqueue "github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store/durable"
	"github.com/telemed-go/telemed/store/durable/river"
	"github.com/telemed-go/telemed/store/sqlstore"
)

// hospital is an application with rows and River's jobs in one schema of PostgreSQL.
type hospital struct {
	testing.TB
	childConfig
	pool *pgxpool.Pool
	st   *sqlstore.Store
	jobs *riverqueue.Client[*sql.Tx]
}

func newHospital(t testing.TB) *hospital {
	t.Helper()
	dsn := os.Getenv("TELEMED_POSTGRES_DSN")
	if dsn == "" {
		t.Skip("TELEMED_POSTGRES_DSN is not set, so there is no PostgreSQL to test on; .ci/databases starts one")
	}
	ctx := t.Context()
	pool, err := pgxpool.New(ctx, dsn)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	h := &hospital{TB: t, pool: pool, childConfig: childConfig{
		DSN: dsn, Schema: "river_" + strings.ToLower(rand.Text()[:10]), Mode: "step", Workers: 8,
		PollEvery: river.PollEvery, LeaseTTL: 2 * time.Second,
	}}
	h.exec("CREATE SCHEMA " + h.Schema)
	t.Cleanup(func() { _, _ = pool.Exec(context.Background(), "DROP SCHEMA IF EXISTS "+h.Schema+" CASCADE") })
	h.exec("CREATE TABLE " + h.Schema + ".effects (row TEXT, n INTEGER, process TEXT)")
	quiet := slog.New(slog.DiscardHandler)
	migrator, err := rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Schema: h.Schema, Logger: quiet})
	require.NoError(t, err)
	_, err = migrator.Migrate(ctx, rivermigrate.DirectionUp, nil)
	require.NoError(t, err)
	db := stdlib.OpenDBFromPool(pool)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	for _, statement := range sqlstore.Schema(h.config(db)) {
		h.exec(statement)
	}
	h.st, err = sqlstore.New(h.config(db))
	require.NoError(t, err)
	h.jobs, err = riverqueue.NewClient(riverdatabasesql.New(db), &riverqueue.Config{Schema: h.Schema, Logger: quiet})
	require.NoError(t, err)
	return h
}

func (h *hospital) exec(query string) {
	h.Helper()
	_, err := h.pool.Exec(h.Context(), query)
	require.NoError(h, err)
}

func (h *hospital) count(query string, args ...any) (n int) {
	h.Helper()
	require.NoError(h, h.pool.QueryRow(h.Context(), query, args...).Scan(&n))
	return n
}

func order(name string) durable.ID { return durable.ID{Kind: "order", Name: name} }

var errNo = errors.New("the application does not want it")

// want has a row want effects from a time on, with a pause between them, and rolls back
// if it shall.
func (h *hospital) want(name string, effects int, pause time.Duration, due time.Time, rollBack bool) {
	h.Helper()
	ctx := h.Context()
	err := h.st.InTx(ctx, func(tx *sqlstore.Tx) error {
		item, err := durable.Change(ctx, tx, order(name), func(item *durable.Item) error {
			item.Due = due
			return write(item, func(s *state) { s.Wanted, s.Pause = effects, pause })
		})
		if err != nil {
			return err
		}
		if _, err := h.jobs.InsertTx(ctx, tx.Tx, river.Job(item), nil); err != nil {
			return err
		}
		if rollBack {
			return errNo
		}
		return nil
	})
	if !rollBack || !errors.Is(err, errNo) {
		require.NoError(h, err)
	}
}

// ended waits until the row has what it wants.
func (h *hospital) ended(name string, within time.Duration) {
	h.Helper()
	require.Eventually(h, func() bool {
		item, err := h.st.Rows().Get(h.Context(), order(name))
		require.NoError(h, err)
		s, err := read(item)
		require.NoError(h, err)
		return s.Done == s.Wanted && item.Lease.Owner == ""
	}, within, 20*time.Millisecond, "row %s", name)
}

// TestProcesses has three processes drive rows, of which one is killed and replaced. What
// the dead one held, and the rows whose jobs died with it, go on.
func TestProcesses(t *testing.T) {
	h := newHospital(t)
	h.PollEvery = 3 * time.Second // what has no job is found sooner than in a minute
	const rows, effects = 80, 4
	var processes []*process
	launch := func(n int) *process {
		c := h.childConfig
		c.Name = fmt.Sprint("process-", n)
		return start(t, c)
	}
	for n := range 3 {
		processes = append(processes, launch(n))
	}
	for n := range rows {
		h.want(fmt.Sprint(n), effects, 300*time.Millisecond, time.Now(), n%4 == 0)
	}
	time.Sleep(200 * time.Millisecond) // in the middle of it
	require.NoError(t, processes[0].cmd.Process.Kill())
	require.Error(t, processes[0].cmd.Wait())
	processes[0] = launch(3)
	for n := range rows {
		if n%4 != 0 {
			h.ended(fmt.Sprint(n), time.Minute)
		}
	}
	stop(t, processes...)
	for n := range rows {
		name := fmt.Sprint(n)
		if n%4 == 0 {
			_, err := h.st.Rows().Get(t.Context(), order(name))
			require.ErrorIs(t, err, telemed.ErrNotFound)
			require.Zero(t, h.count("SELECT COUNT(*) FROM "+h.Schema+".river_job WHERE args->>'name' = $1", name), "neither row nor job")
			continue
		}
		require.Equal(t, effects, h.count("SELECT COUNT(DISTINCT n) FROM "+h.Schema+".effects WHERE row = $1", name))
	}
	again := h.count("SELECT COUNT(*) FROM (SELECT 1 FROM " + h.Schema + ".effects GROUP BY row, n HAVING COUNT(*) > 1) e")
	living := h.count("SELECT COUNT(*) FROM (SELECT 1 FROM " + h.Schema + ".effects WHERE process <> 'process-0' GROUP BY row, n HAVING COUNT(*) > 1) e")
	require.Zero(t, living, "done again, and nobody had died")
	t.Logf("%d effects, %d of them done again after the kill", rows*3/4*effects, again)
}

// TestWakeUps changes a row that has a job already: one that is scheduled for later, and
// one that is just worked. No wake-up waits for the poll.
func TestWakeUps(t *testing.T) {
	h := newHospital(t)
	p := start(t, h.childConfig)
	soon := river.PollEvery / 3
	h.want("1", 1, 0, time.Now().Add(time.Hour), false)
	h.want("1", 1, 0, time.Now(), false)
	h.ended("1", soon)
	for n := 2; n <= 10; n++ {
		h.want("1", n, 0, time.Now(), false)
		time.Sleep(75 * time.Millisecond)
	}
	h.ended("1", soon)
	require.Equal(t, 10, h.count("SELECT COUNT(*) FROM "+h.Schema+".effects"))
	stop(t, p)
}

// TestTooEarly has a job that comes before its row is due, by a clock that is ahead. It
// waits; River would take the one that is inserted in its place for the same.
func TestTooEarly(t *testing.T) {
	h := newHospital(t)
	p := start(t, h.childConfig)
	due := time.Now().Add(2 * time.Second)
	h.want("1", 1, 0, due, false)
	h.exec("UPDATE " + h.Schema + ".river_job SET scheduled_at = now(), state = 'available'")
	h.ended("1", river.PollEvery/3)
	require.Equal(t, 1, h.count("SELECT COUNT(*) FROM "+h.Schema+".river_job"), "one job")
	stop(t, p)
}

// BenchmarkBesideRiver compares four processes that work rows by a Runner with four that
// work River's jobs that do nothing, in turn. The metrics are steps and jobs a second, and
// their ratio. It needs PostgreSQL, as the tests do:
//
//	go test -run '^$' -bench . -benchtime 3x
func BenchmarkBesideRiver(b *testing.B) {
	const amount, warmUp, measured = 80_000, 2 * time.Second, 6 * time.Second
	var rates [2]float64
	for b.Loop() {
		for i, mode := range []string{"rows", "noop"} {
			h := newHospital(b)
			h.Mode, h.Workers = mode, 100
			h.LeaseTTL, h.PollEvery = 0, 0
			h.fill(amount)
			var processes []*process
			for n := range 4 {
				c := h.childConfig
				c.Name = fmt.Sprint("process-", n)
				processes = append(processes, start(b, c))
			}
			time.Sleep(warmUp)
			before, began := done(b, processes), time.Now()
			time.Sleep(measured)
			rates[i] += float64(done(b, processes)-before) / time.Since(began).Seconds()
			stop(b, processes...)
			h.exec("DROP SCHEMA " + h.Schema + " CASCADE")
		}
	}
	b.ReportMetric(rates[0]/float64(b.N), "steps/s")
	b.ReportMetric(rates[1]/float64(b.N), "jobs/s")
	b.ReportMetric(rates[0]/rates[1], "steps/job")
}

// fill writes rows of 2 KB, or jobs.
func (h *hospital) fill(amount int) {
	h.Helper()
	if h.Mode == "rows" {
		h.exec(fmt.Sprintf("INSERT INTO %s.rows SELECT 'order', n::text, 't' || n %% 50, 1700000000000, '', 0, 0, '', NULL, 0, '',"+
			" '\\x00'::bytea || decode(repeat(md5(n::text), 128), 'hex'), 'revision' FROM generate_series(1, %d) n", h.Schema, amount))
		h.exec("VACUUM ANALYZE " + h.Schema + ".rows")
		return
	}
	for n := 0; n < amount; n += 2000 {
		var jobs []riverqueue.InsertManyParams
		for i := range 2000 {
			jobs = append(jobs, riverqueue.InsertManyParams{
				Args: river.Args{RowKind: "order", Name: fmt.Sprint(n + i)},
			})
		}
		_, err := h.jobs.InsertManyFast(h.Context(), jobs)
		require.NoError(h, err)
	}
	h.exec("VACUUM ANALYZE " + h.Schema + ".river_job")
}

package river_test

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	riverqueue "github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/store/durable"
	"github.com/telemed-go/telemed/store/durable/river"
	"github.com/telemed-go/telemed/store/sqlstore"
)

// childEnv holds a childConfig. The test binary that finds it is one of the processes and
// runs no tests.
const childEnv = "TELEMED_RIVER_CHILD"

func TestMain(m *testing.M) {
	text := os.Getenv(childEnv)
	if text == "" {
		os.Exit(m.Run())
	}
	var c childConfig
	if err := errors.Join(json.Unmarshal([]byte(text), &c), c.run()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// childConfig tells a process who it is and what it does.
type childConfig struct {
	Name, DSN, Schema string
	// Mode is "step" for River's workers that drive rows, "noop" for River's workers with a
	// job that does nothing, "rows" for a Runner alone.
	Mode      string
	Workers   int
	PollEvery time.Duration
	LeaseTTL  time.Duration
}

// config names the tables in the schema.
func (c childConfig) config(db *sql.DB) sqlstore.Config {
	return sqlstore.Config{
		DB: db, Dialect: sqlstore.PostgreSQL, InsecureClear: true,
		Table: c.Schema + ".tokens", ClaimsTable: c.Schema + ".claims", RowsTable: c.Schema + ".rows",
	}
}

// run works until the input ends. At each line of it, and at the end, it prints how much
// was done.
func (c childConfig) run() error {
	ctx, stop := context.WithCancel(context.Background())
	work := &work{childConfig: c}
	go func() {
		defer stop()
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
			fmt.Println(work.done.Load())
		}
	}()
	cfg, err := pgxpool.ParseConfig(c.DSN)
	if err != nil {
		return err
	}
	cfg.MaxConns = int32(min(c.Workers, 16)) + 4
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return err
	}
	defer pool.Close()
	work.pool = pool
	workers := riverqueue.NewWorkers()
	var runner *durable.Runner
	if c.Mode == "noop" {
		riverqueue.AddWorker(workers, noop{done: &work.done})
	} else {
		db := stdlib.OpenDB(*cfg.ConnConfig) // of its own, so that neither waits for the other's
		db.SetMaxOpenConns(16)
		db.SetMaxIdleConns(16)
		defer db.Close()
		if runner, err = work.runner(db); err != nil {
			return err
		}
		riverqueue.AddWorker(workers, river.NewWorker[pgx.Tx](runner))
	}
	if c.Mode != "rows" {
		client, err := riverqueue.NewClient(riverpgxv5.New(pool), &riverqueue.Config{
			Schema: c.Schema, Workers: workers, Logger: slog.New(slog.DiscardHandler),
			Queues:        map[string]riverqueue.QueueConfig{riverqueue.QueueDefault: {MaxWorkers: c.Workers}},
			FetchCooldown: 2 * time.Millisecond, FetchPollInterval: 20 * time.Millisecond,
		})
		if err != nil {
			return err
		}
		if err := client.Start(ctx); err != nil {
			return err
		}
		defer func() { _ = client.Stop(context.Background()) }()
	}
	if runner != nil {
		err = runner.Run(ctx)
	}
	<-ctx.Done()
	fmt.Println(work.done.Load())
	return err
}

// noop is River's job without a row.
type noop struct {
	riverqueue.WorkerDefaults[river.Args]
	done *atomic.Int64
}

func (n noop) Work(context.Context, *riverqueue.Job[river.Args]) error { n.done.Add(1); return nil }

// work is what rows are about: so many effects, each written down in a table.
type work struct {
	childConfig
	pool *pgxpool.Pool
	done atomic.Int64
}

func (w *work) runner(db *sql.DB) (*durable.Runner, error) {
	st, err := sqlstore.New(w.config(db))
	if err != nil {
		return nil, err
	}
	plan := w.plan
	if w.Mode == "rows" {
		plan = w.planNothing
	}
	return durable.NewRunner(durable.RunnerConfig{
		Store: st.Rows(), Kinds: map[string]durable.Kind{"order": {Plan: plan}}, Workers: w.Workers,
		LeaseTTL: w.LeaseTTL, PollEvery: w.PollEvery, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
}

// planNothing has one effect that does nothing.
func (w *work) planNothing(item durable.Item, _ time.Time) (durable.Effect, error) {
	if item.Attempts > 0 || len(item.Audit) > 0 {
		return durable.Effect{}, nil
	}
	return durable.Effect{Name: "nothing", Do: func(context.Context) (durable.Fact, error) {
		w.done.Add(1)
		return func(item *durable.Item) error { item.Audit = []byte("done"); return nil }, nil
	}}, nil
}

// state is a row's Data.
type state struct {
	Done, Wanted int
	Pause        time.Duration // between two
	Next         int64         // when the next one may be done
}

func read(item durable.Item) (s state, err error) { return s, json.Unmarshal(item.Data, &s) }

func write(item *durable.Item, change func(s *state)) (err error) {
	var s state
	if len(item.Data) > 0 {
		if s, err = read(*item); err != nil {
			return err
		}
	}
	change(&s)
	item.Data, err = json.Marshal(s)
	return err
}

func (w *work) plan(item durable.Item, now time.Time) (durable.Effect, error) {
	s, err := read(item)
	switch {
	case err != nil || s.Done >= s.Wanted:
		return durable.Effect{}, err
	case now.UnixMilli() < s.Next:
		return durable.Effect{At: time.UnixMilli(s.Next)}, nil
	}
	n := s.Done + 1
	return durable.Effect{Name: "count", Do: func(ctx context.Context) (durable.Fact, error) {
		_, err := w.pool.Exec(ctx, "INSERT INTO "+w.Schema+".effects VALUES ($1, $2, $3)", item.ID.Name, n, w.Name)
		next := time.Now().Add(s.Pause).UnixMilli()
		return func(item *durable.Item) error {
			return write(item, func(s *state) { s.Done, s.Next = max(s.Done, n), max(s.Next, next) })
		}, err
	}}, nil
}

// process is one that runs.
type process struct {
	childConfig
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout io.Reader
}

func start(t testing.TB, c childConfig) *process {
	t.Helper()
	text, err := json.Marshal(c)
	require.NoError(t, err)
	program, err := os.Executable()
	require.NoError(t, err)
	p := &process{childConfig: c, cmd: exec.CommandContext(t.Context(), program)}
	p.cmd.Env = append(os.Environ(), childEnv+"="+string(text))
	p.cmd.Stderr = os.Stderr
	p.stdin, err = p.cmd.StdinPipe()
	require.NoError(t, err)
	p.stdout, err = p.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	t.Cleanup(func() { _ = p.cmd.Wait() }) // t.Context has ended it, if the test has not
	return p
}

// done asks processes how much they have done.
func done(t testing.TB, processes []*process) (sum int) {
	t.Helper()
	for _, p := range processes {
		_, err := fmt.Fprintln(p.stdin)
		require.NoError(t, err)
	}
	for _, p := range processes {
		var n int
		_, err := fmt.Fscan(p.stdout, &n)
		require.NoError(t, err, p.Name)
		sum += n
	}
	return sum
}

// stop ends processes as a deploy does.
func stop(t testing.TB, processes ...*process) {
	t.Helper()
	for _, p := range processes {
		require.NoError(t, p.stdin.Close())
	}
	for _, p := range processes {
		var n int
		_, err := fmt.Fscan(p.stdout, &n)
		require.NoError(t, err, p.Name)
		require.NoError(t, p.cmd.Wait())
	}
}

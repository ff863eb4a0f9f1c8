package integration_test

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/store/durable"
	"github.com/telemed-go/telemed/store/sqlstore"
)

const (
	// rowsTTL is the lease of the processes that are killed. Half of it is what an effect
	// has, on a machine that is busy.
	rowsTTL = 4 * time.Second
	// effectTime is how long an effect takes.
	effectTime = 40 * time.Millisecond
	// countedRows is how many rows the processes work.
	countedRows = 40
)

// counter is what a row of these tests holds: so many effects are wanted, one after the
// other.
type counter struct{ Done, Wanted int }

func readCounter(item durable.Item) (c counter, err error) {
	err = json.Unmarshal(item.Data, &c)
	return c, err
}

func changeCounter(item *durable.Item, change func(c *counter)) error {
	var c counter
	if len(item.Data) > 0 {
		var err error
		if c, err = readCounter(*item); err != nil {
			return err
		}
	}
	change(&c)
	var err error
	item.Data, err = json.Marshal(c)
	return err
}

// workRows runs a Runner until the input ends.
func (c *child) workRows(rows *sqlstore.Rows) error {
	cfg := durable.RunnerConfig{
		Store: rows, Kinds: map[string]durable.Kind{"order": {Plan: c.planCounter}},
		Workers: 4, LeaseTTL: rowsTTL, PollEvery: 100 * time.Millisecond,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	}
	if c.Effects == "" {
		notes := &notes{}
		defer func() { c.write(report{Effects: notes.all}) }()
		cfg.Kinds = map[string]durable.Kind{"order": {Version: 1, Plan: notes.plan}}
		cfg.Workers, cfg.LeaseTTL, cfg.PollEvery = 32, 0, 0
	}
	runner, err := durable.NewRunner(cfg)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		defer stop()
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		}
	}()
	return runner.Run(ctx)
}

// planCounter asks for one effect after the other.
func (c *child) planCounter(item durable.Item, _ time.Time) (durable.Effect, error) {
	count, err := readCounter(item)
	if err != nil || count.Done >= count.Wanted {
		return durable.Effect{}, err
	}
	n := count.Done + 1
	return durable.Effect{Name: "count", Do: func(ctx context.Context) (durable.Fact, error) {
		if err := c.effect(ctx, item.ID.Name, n); err != nil {
			c.write(report{Gave: fmt.Sprint(item.ID.Name, " ", n)})
			return nil, soon{err}
		}
		return func(item *durable.Item) error {
			return changeCounter(item, func(c *counter) { c.Done = max(c.Done, n) })
		}, nil
	}}, nil
}

// soon is an error after which an effect is tried again at once.
type soon struct{ error }

func (soon) RetryDelay() time.Duration { return 10 * time.Millisecond }

func (c *child) effect(ctx context.Context, row string, n int) error {
	values := url.Values{"row": {row}, "n": {fmt.Sprint(n)}, "process": {c.Name}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Effects+"?"+values.Encode(), nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		return errors.New(resp.Status)
	}
	return nil
}

// effect is one that was done.
type effect struct {
	row, n, process string
	begin, end      time.Time
}

// hit is what was done to a process: killed if end is zero, else frozen until then.
type hit struct{ begin, end time.Time }

// rowsWar is processes over one table that are killed and frozen.
type rowsWar struct {
	*fleet
	*testing.T
	rows    *sqlstore.Rows
	random  *rand.Rand
	running []*process
	frozen  map[string]time.Time // until when
	thaws   sync.WaitGroup

	hits   map[string][]hit // by process
	killed int

	done struct {
		sync.Mutex
		effects []effect
	}
}

// TestRowsUnderFire kills and freezes processes that work the rows of one table. No two
// effects of a row are done at once, but for one that a process sends as it thaws: it was
// frozen between its last look at the clock and the first byte. An effect is done again
// only if whoever did it was hit before it could write that down. And each row goes on: at
// the end, all that was wanted is done.
func TestRowsUnderFire(t *testing.T) {
	t.Parallel()
	for _, d := range databases[:3] {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			w := newRowsWar(t, d)
			hits := max(20, int(*killFor/(3*time.Second)))
			for n := range hits {
				time.Sleep(300*time.Millisecond + time.Duration(w.random.Int64N(int64(500*time.Millisecond))))
				if n%2 == 0 {
					w.kill()
				} else {
					w.freeze()
				}
			}
			w.thaws.Wait()
			w.settle()
			again, gave, late := w.judge(d)
			t.Logf("%d kills, %d freezes; %d effects, %d of them done again after a hit, %d after a process gave up; %d sent by a process as it thawed, beside another one",
				w.killed, hits-w.killed, len(w.done.effects), again, gave, late)
		})
	}
}

func newRowsWar(t *testing.T, d database) *rowsWar {
	t.Helper()
	dsn := d.dsn(t)
	tables := d.tables(t, d.open(t, dsn))
	w := &rowsWar{T: t, rows: openStore(t, tables).Rows(), random: rand.New(rand.NewPCG(2, 2)), frozen: map[string]time.Time{}, hits: map[string][]hit{}}
	srv := httptest.NewServer(http.HandlerFunc(w.serve))
	t.Cleanup(srv.Close)
	w.fleet = &fleet{dead: map[string]time.Time{}, gave: map[string]bool{}, cfg: childConfig{
		Driver: d.driver, Dialect: d.dialect, DSN: dsn, Table: tables.Table, RowsTable: tables.RowsTable, Effects: srv.URL,
	}}
	for n := range countedRows {
		item := durable.Item{ID: order(fmt.Sprint(n)), Tenant: fmt.Sprint("clinic-", n%5), Due: time.Now()}
		require.NoError(t, changeCounter(&item, func(c *counter) { c.Wanted = 1 << 30 }))
		put(t, w.rows, item)
	}
	for range fleetSize {
		w.running = append(w.running, w.start(t, true))
	}
	return w
}

// serve does an effect, also if whoever wants it is gone meanwhile.
func (w *rowsWar) serve(rw http.ResponseWriter, req *http.Request) {
	e := effect{row: req.FormValue("row"), n: req.FormValue("n"), process: req.FormValue("process"), begin: time.Now()}
	time.Sleep(effectTime)
	e.end = time.Now()
	w.done.Lock()
	w.done.effects = append(w.done.effects, e)
	w.done.Unlock()
	rw.WriteHeader(http.StatusNoContent)
}

// target is any process that runs.
func (w *rowsWar) target() int {
	for {
		i := w.random.IntN(len(w.running))
		if time.Now().After(w.frozen[w.running[i].name]) {
			return i
		}
	}
}

func (w *rowsWar) kill() {
	i := w.target()
	p := w.running[i]
	w.hits[p.name] = append(w.hits[p.name], hit{begin: time.Now()})
	require.NoError(w, p.cmd.Process.Signal(syscall.SIGKILL))
	for range p.reports {
	}
	require.ErrorContains(w, p.cmd.Wait(), "signal: killed", "%s ended by itself: %s", p.name, p.stderr.String())
	w.killed++
	w.running[i] = w.start(w.T, true)
}

// freeze stops a process for some seconds, for longer than its lease or not.
func (w *rowsWar) freeze() {
	now := time.Now()
	for _, until := range w.frozen {
		if until.After(now) && len(w.frozen) > 1 {
			time.Sleep(time.Until(until)) // two at once at most
		}
	}
	p := w.running[w.target()]
	d := 500*time.Millisecond + time.Duration(w.random.Int64N(int64(2*rowsTTL)))
	begin := time.Now()
	w.frozen[p.name] = begin.Add(d + time.Second)
	w.hits[p.name] = append(w.hits[p.name], hit{begin, begin.Add(d)})
	require.NoError(w, p.cmd.Process.Signal(syscall.SIGSTOP))
	w.thaws.Go(func() {
		time.Sleep(d)
		_ = p.cmd.Process.Signal(syscall.SIGCONT)
	})
}

// settle has the rows come to an end, and then the processes.
func (w *rowsWar) settle() {
	ctx, cancel := context.WithTimeout(w.Context(), 2*time.Minute)
	defer cancel()
	for n := range countedRows {
		_, err := durable.Change(ctx, w.rows, order(fmt.Sprint(n)), func(item *durable.Item) error {
			return changeCounter(item, func(c *counter) { c.Wanted = c.Done + 3 })
		})
		require.NoError(w, err)
	}
	for n := 0; n < countedRows; {
		item, err := w.rows.Get(ctx, order(fmt.Sprint(n)))
		require.NoError(w, err, "the row does not end")
		count, err := readCounter(item)
		require.NoError(w, err)
		if count.Done < count.Wanted || item.Lease.Owner != "" {
			time.Sleep(50 * time.Millisecond)
			continue
		}
		require.Zero(w, item.Due)
		require.Empty(w, item.Stuck)
		n++
	}
	stopAll(w.T, w.running)
}

// judge looks at each row's effects, and counts those that were done more than once.
func (w *rowsWar) judge(d database) (again, gave, late int) {
	byRow := map[string][]effect{}
	for _, e := range w.done.effects {
		byRow[e.row] = append(byRow[e.row], e)
	}
	require.Len(w, byRow, countedRows)
	for row, effects := range byRow {
		slices.SortFunc(effects, func(a, b effect) int { return a.begin.Compare(b.begin) })
		last := map[string]effect{}
		for i, e := range effects {
			if i > 0 && e.begin.Before(effects[i-1].end) {
				late++
				require.True(w, w.thawed(e) || w.thawed(effects[i-1]), "row %s: %v was done by %s while %s did %v", row, e.n, e.process, effects[i-1].process, effects[i-1].n)
			}
			before, twice := last[e.n]
			last[e.n] = e
			switch {
			case !twice:
			case w.gave[fmt.Sprint(before.process, " ", row, " ", e.n)]:
				gave++
			default:
				again++
				require.True(w, w.wasHit(d, before, e.begin), "row %s: effect %s of %s was done again by %s %v later", row, e.n, before.process, e.process, e.begin.Sub(before.end))
			}
		}
		item, err := w.rows.Get(w.Context(), order(row))
		require.NoError(w, err)
		count, err := readCounter(item)
		require.NoError(w, err)
		require.Len(w, last, count.Done, "row %s: each effect was done", row)
	}
	return again, gave, late
}

// thawed reports whether the process sent the effect as it thawed.
func (w *rowsWar) thawed(e effect) bool {
	const asItThawed = time.Second // on a machine that is busy
	return slices.ContainsFunc(w.hits[e.process], func(h hit) bool {
		return !h.end.IsZero() && h.end.Before(e.end) && e.begin.Before(h.end.Add(asItThawed))
	})
}

// wasHit reports whether the process was hit between an effect and when it was done
// again. Whoever is frozen in the middle of a write to a file of SQLite keeps all others
// from writing, too.
func (w *rowsWar) wasHit(d database, e effect, again time.Time) bool {
	for process, hits := range w.hits {
		if process != e.process && d.dialect != sqlstore.SQLite {
			continue
		}
		for _, h := range hits {
			if h.begin.Before(again) && !cmp.Or(h.end, again).Before(e.begin) {
				return true
			}
		}
	}
	return false
}

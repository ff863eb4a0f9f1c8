package durable_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store/durable"
)

// weather is how hard a schedule is for those who work in it. Each is a chance in a
// thousand.
type weather struct {
	lostBefore, lostAnswer, slow, freeze, kill, panics, fails, cutEffect int
}

var (
	// calm has others write to the rows, and nothing else.
	calm = weather{}
	// windy has a provider that fails and a database that is slow.
	windy = weather{slow: 50, fails: 100}
	// wild has everything.
	wild = weather{lostBefore: 15, lostAnswer: 15, slow: 50, freeze: 4, kill: 3, panics: 10, fails: 50, cutEffect: 20}
)

const (
	worldTTL      = 10 * time.Second
	worldAttempts = 20
)

// world is a database, a provider and some processes, of which any may die or stand still
// at each call.
type world struct {
	*testing.T
	rows    *durable.Memory
	plain   bool // the Store has three methods
	weather weather
	sent    *post // what the provider did, and how many at once
	failed  map[string][]time.Time
	mu      sync.Mutex
	random  *rand.Rand
	over    bool // the faults
	stuck   map[string]int
	log     []string
}

func (w *world) chance(perMille int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.over && w.random.IntN(1000) < perMille
}

func (w *world) upTo(d time.Duration) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Duration(w.random.Int64N(int64(d)))
}

// process is one that may die or stand still. It is its own Store.
type process struct {
	*world
	mu    sync.Mutex
	dead  bool
	until time.Time // when it goes on
}

var errLost = errors.New("connection lost")

// pass is a moment in which the process may die or stand still. Nothing of a dead one is
// seen any more.
func (p *process) pass() error {
	kill, freeze, how := p.chance(p.weather.kill), p.chance(p.weather.freeze), p.upTo(5*worldTTL)
	p.mu.Lock()
	p.dead = p.dead || kill
	if freeze && p.until.Before(time.Now()) {
		p.until = time.Now().Add(how)
	}
	dead, until := p.dead, p.until
	p.mu.Unlock()
	time.Sleep(time.Until(until))
	if dead {
		return telemed.ErrUnavailable
	}
	return nil
}

// call does one call of the database. The answer may be lost, or the question.
func (p *process) call(ctx context.Context, do func() error) error {
	if err := p.pass(); err != nil {
		return err
	}
	if p.chance(p.weather.slow) {
		time.Sleep(p.upTo(worldTTL / 2))
	}
	if p.chance(p.weather.lostBefore) || ctx.Err() != nil {
		return errLost
	}
	err := do()
	if p.chance(p.weather.lostAnswer) {
		err = errLost
	}
	return errors.Join(err, p.pass())
}

// Get implements durable.Store.
func (p *process) Get(ctx context.Context, id durable.ID) (item durable.Item, err error) {
	err = p.call(ctx, func() (err error) { item, err = p.rows.Get(ctx, id); return err })
	return item, err
}

// Put implements durable.Store.
func (p *process) Put(ctx context.Context, item durable.Item) (revision string, err error) {
	err = p.call(ctx, func() (err error) { revision, err = p.rows.Put(ctx, item); return err })
	return revision, err
}

// Due implements durable.Store.
func (p *process) Due(ctx context.Context, q durable.Query) (ids []durable.ID, err error) {
	err = p.call(ctx, func() (err error) { ids, err = p.rows.Due(ctx, q); return err })
	return ids, err
}

// fullProcess is a process whose Store can lease by itself.
type fullProcess struct{ *process }

// Lease implements durable.Leaser.
func (p fullProcess) Lease(ctx context.Context, q durable.Query, after string, lease durable.Lease) (items []durable.Item, next string, err error) {
	err = p.call(ctx, func() (err error) { items, next, err = p.rows.Lease(ctx, q, after, lease); return err })
	if err != nil {
		return nil, after, err
	}
	return items, next, nil
}

// Leases implements durable.LeaseLister.
func (p fullProcess) Leases(ctx context.Context, kinds map[string]int) (held []durable.Held, err error) {
	err = p.call(ctx, func() (err error) { held, err = p.rows.Leases(ctx, kinds); return err })
	return held, err
}

func (p *process) plan(item durable.Item, _ time.Time) (durable.Effect, error) {
	l := read(item)
	if l.Cancelled || l.Sent >= l.Wanted {
		return durable.Effect{}, nil
	}
	key := fmt.Sprint(item.ID.Name, " ", l.Sent+1)
	return durable.Effect{Name: "send", Do: func(ctx context.Context) (durable.Fact, error) {
		if err := p.pass(); err != nil {
			return nil, err
		}
		if ctx.Err() != nil { // a frozen process looks before the first byte
			p.fail(key)
			return nil, ctx.Err()
		}
		err := p.deliver(ctx, item.ID.Name, key)
		if err := errors.Join(err, p.pass()); err != nil {
			return nil, err
		}
		return func(item *durable.Item) error {
			return write(item, func(now *letter) { now.Sent = max(now.Sent, l.Sent+1) })
		}, nil
	}}, nil
}

// deliver is the provider's side: what has a key that it knows is not done again.
func (p *process) deliver(ctx context.Context, name, key string) error {
	p.sent.mu.Lock()
	p.sent.atOnce[name]++
	p.sent.most[name] = max(p.sent.most[name], p.sent.atOnce[name])
	p.sent.mu.Unlock()
	defer func() {
		p.sent.mu.Lock()
		defer p.sent.mu.Unlock()
		p.sent.atOnce[name]--
	}()
	select {
	case <-time.After(p.upTo(worldTTL / 4)):
	case <-ctx.Done(): // a slow database has used up most of the lease's half
		p.fail(key)
		return ctx.Err()
	}
	switch {
	case name == "doomed", p.chance(p.weather.fails):
		p.fail(key)
		return telemed.ErrUnavailable
	case p.chance(p.weather.panics):
		panic("canary")
	}
	p.sent.mu.Lock()
	p.sent.sent[key]++
	p.sent.mu.Unlock()
	if p.chance(p.weather.cutEffect) {
		return telemed.ErrUnavailable // it was done, and nobody knows
	}
	return nil
}

// fail notes an attempt that was made and failed.
func (w *world) fail(key string) {
	w.sent.mu.Lock()
	defer w.sent.mu.Unlock()
	w.failed[key] = append(w.failed[key], time.Now())
}

// start starts a process, which runs until ctx ends, or is dead.
func (w *world) start(ctx context.Context, all *sync.WaitGroup, pollEvery time.Duration) *process {
	p := &process{world: w}
	var st durable.Store = p
	if !w.plain {
		st = fullProcess{p}
	}
	r, err := durable.NewRunner(durable.RunnerConfig{
		Store: st, Kinds: map[string]durable.Kind{"letter": {Version: 1, Plan: p.plan}}, Workers: 4, LeaseTTL: worldTTL, MaxAttempts: worldAttempts, PollEvery: pollEvery,
		OnStuck: func(item durable.Item) { w.mu.Lock(); defer w.mu.Unlock(); w.stuck[item.ID.Name]++ },
		Logger:  slog.New(slog.NewTextHandler(w, nil)),
	})
	require.NoError(w, err)
	all.Go(func() { assert.NoError(w, r.Run(ctx)) })
	return p
}

// Write takes the log.
func (w *world) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log = append(w.log, string(line))
	return len(line), nil
}

const worldRows = 12

// change is what the application does meanwhile: it wants one more, whoever has the row.
func (w *world) change(name string, change func(l *letter)) {
	_, err := durable.Change(context.Background(), w.rows, id(name), func(item *durable.Item) error {
		item.Version, item.Due = 1, time.Now()
		return write(item, change)
	})
	assert.NoError(w, err)
}

// live has processes come and go for some minutes, and then a good one end it all.
func (w *world) live() {
	for n := range worldRows {
		w.change(strconv.Itoa(n), func(l *letter) { l.Wanted = 14 })
	}
	w.change("doomed", func(l *letter) { l.Wanted = 1 })
	ctx, cancel := context.WithCancel(w.Context())
	var all sync.WaitGroup
	processes := []*process{w.start(ctx, &all, 0), w.start(ctx, &all, 0), w.start(ctx, &all, 0)}
	for range 60 {
		time.Sleep(time.Second + w.upTo(5*time.Second))
		if w.chance(700) {
			w.change(strconv.Itoa(int(w.upTo(worldRows))), func(l *letter) { l.Wanted++ })
		}
		for i, p := range processes { // who is dead is started again by whoever watches it
			p.mu.Lock()
			dead := p.dead
			p.mu.Unlock()
			if dead {
				processes[i] = w.start(ctx, &all, 0)
			}
		}
	}
	w.mu.Lock()
	w.over = true
	w.mu.Unlock()
	cancel()
	all.Wait()
	ctx, cancel = context.WithTimeout(w.Context(), 12*time.Hour)
	defer cancel()
	w.start(ctx, &all, time.Minute)
	all.Wait()
}

// wantAllDone fails unless what was wanted is done, and nothing is left over.
func (w *world) wantAllDone() {
	w.Helper()
	for item, err := range w.rows.List(w.Context(), durable.Filter{}) {
		require.NoError(w, err)
		l, name := read(item), item.ID.Name
		assert.Zero(w, item.Lease, "%s: a lease is left for ever", name)
		assert.LessOrEqual(w, w.sent.most[name], 1, "%s: an effect twice at once", name)
		if name == "doomed" {
			assert.Equal(w, "send: provider unavailable", item.Stuck)
			assert.Equal(w, 1, w.stuck[name], "nobody was told, or twice")
			continue
		}
		assert.Empty(w, item.Stuck, name)
		assert.Zero(w, item.Due, "%s: there is nothing to do", name)
		assert.Equal(w, l.Wanted, l.Sent, "%s: wanted and not done", name)
		for n := range l.Wanted {
			assert.Positive(w, w.sent.sent[fmt.Sprint(name, " ", n+1)], "%s: believed and not done", name)
		}
	}
}

// wantOnce fails if anything was done again without a reason.
func (w *world) wantOnce() {
	w.Helper()
	for key, n := range w.sent.sent {
		assert.Equal(w, 1, n, "%s: done again, though nothing was lost", key)
	}
	at := w.failed["doomed 1"]
	assert.Len(w, at, worldAttempts, "each attempt that was counted was made, and each one that was made is counted")
	for n := range len(at) - 1 {
		assert.Greater(w, at[n+1].Sub(at[n]), 23*time.Second, "tried again at once")
	}
	for _, line := range w.log {
		assert.NotContains(w, line, "taken over", "nobody was dead")
	}
}

// One seed finds what fails often. Schedules of rows are long: .ci/run, which asks for five
// hundred, lives through a hundred, and its word long through two thousand.
var (
	schedules = flag.Int("schedules", 30, "five times as many as random schedules of rows")
	firstSeed = flag.Int("schedules.first", 1, "the first of their seeds")
)

// schedulesASeed is for how many schedules there is a seed. It makes six, one in each
// weather with each Store.
const schedulesASeed = 30

// TestSchedules lives through random schedules of rows: processes that are killed and stand
// still, a database that is slow and loses answers, effects that fail.
func TestSchedules(t *testing.T) {
	t.Parallel()
	for name, weather := range map[string]weather{"calm": calm, "windy": windy, "wild": wild} {
		for _, plain := range []bool{false, true} {
			for seed := *firstSeed; seed < *firstSeed+max(1, *schedules/schedulesASeed); seed++ {
				t.Run(fmt.Sprintf("%s, three methods %t, seed %d", name, plain, seed), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						w := &world{
							T: t, rows: durable.NewMemory(), plain: plain, weather: weather, sent: newPost(), failed: map[string][]time.Time{},
							random: rand.New(rand.NewPCG(uint64(seed), 1)), stuck: map[string]int{},
						}
						w.live()
						w.wantAllDone()
						if name != "wild" {
							w.wantOnce()
						}
					})
				})
			}
		}
	}
}

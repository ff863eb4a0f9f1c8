package durable_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store/durable"
)

const ended = "effect: the process ended while it ran"

// theatre is a world in which one row ends each process that touches it.
type theatre struct {
	*world
	deaths map[string][]time.Time // by whom; "" is all
	events []durable.Event
}

// start starts a process. Of the row "deadly" the effect ends it, of "fatal" the plan.
func (w *theatre) start(ctx context.Context, all *sync.WaitGroup) (p *process, bury func()) {
	ctx, bury = context.WithCancel(ctx)
	p = &process{world: w.world}
	var st durable.Store = p
	if !w.plain {
		st = fullProcess{p}
	}
	die := func(of string) {
		p.mu.Lock()
		first := !p.dead
		p.dead = true
		p.mu.Unlock()
		w.mu.Lock()
		defer w.mu.Unlock()
		if first {
			w.deaths[of], w.deaths[""] = append(w.deaths[of], time.Now()), append(w.deaths[""], time.Now())
		}
	}
	plan := func(item durable.Item, now time.Time) (durable.Effect, error) {
		switch item.ID.Name {
		case "fatal":
			die("fatal")
			return durable.Effect{}, errors.New("nobody hears it")
		case "deadly":
			return durable.Effect{Name: "send", Do: func(context.Context) (durable.Fact, error) {
				die("deadly")
				<-ctx.Done()
				return nil, ctx.Err()
			}}, nil
		}
		return p.plan(item, now)
	}
	cfg := durable.RunnerConfig{
		Store: st, Kinds: map[string]durable.Kind{"letter": {Version: 1, Plan: plan}}, Workers: 4, LeaseTTL: worldTTL, PollEvery: 20 * time.Second,
		Observe: func(e durable.Event) { w.mu.Lock(); defer w.mu.Unlock(); w.events = append(w.events, e) },
		OnStuck: func(item durable.Item) { w.mu.Lock(); defer w.mu.Unlock(); w.stuck[item.ID.Name]++ },
		Logger:  slog.New(slog.NewTextHandler(w, nil)),
	}
	r, err := durable.NewRunner(cfg)
	require.NoError(w, err)
	all.Go(func() { _ = r.Run(ctx) })
	return p, bury
}

// play has two processes work for d. A supervisor starts the dead again.
func (w *theatre) play(d time.Duration) {
	ctx, cancel := context.WithTimeout(w.Context(), d)
	defer cancel()
	var all sync.WaitGroup
	live := func() {
		for ctx.Err() == nil {
			p, bury := w.start(ctx, &all)
			for dead := false; !dead && ctx.Err() == nil; {
				time.Sleep(5 * time.Second)
				p.mu.Lock()
				dead = p.dead
				p.mu.Unlock()
			}
			bury()
		}
	}
	all.Go(live)
	all.Go(live)
	for n := range 50 { // there is something under way beside them
		w.change(strconv.Itoa(n), func(l *letter) { l.Wanted = 5 })
		time.Sleep(time.Minute)
	}
	all.Wait()
}

// TestADeadlyEffectIsStuck has an effect, and a plan, that end their process each time, and
// take down with it whatever else is under way.
func TestADeadlyEffectIsStuck(t *testing.T) {
	t.Parallel()
	for _, plain := range []bool{false, true} {
		t.Run(fmt.Sprintf("three methods %t", plain), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := &theatre{world: &world{
					T: t, rows: durable.NewMemory(), plain: plain, sent: newPost(), failed: map[string][]time.Time{},
					random: rand.New(rand.NewPCG(1, 1)), stuck: map[string]int{},
				}, deaths: map[string][]time.Time{}}
				for _, name := range []string{"a", "b", "c", "d", "deadly", "e", "f", "fatal", "g", "h", "i", "j"} {
					w.change(name, func(l *letter) { l.Wanted = 5 })
				}
				w.play(5 * time.Hour)
				w.wantOneVictim()
			})
		})
	}
}

// wantOneVictim fails unless the two rows are stuck, in time and for the right reason, and
// all others are done.
func (w *theatre) wantOneVictim() {
	w.Helper()
	for item, err := range w.rows.List(w.Context(), durable.Filter{}) {
		require.NoError(w, err)
		name := item.ID.Name
		require.Zero(w, item.Lease, name)
		require.Zero(w, item.Due, name)
		if name != "deadly" && name != "fatal" {
			require.Empty(w, item.Stuck, name)
			require.Zero(w, item.Attempts, name)
			require.Equal(w, 5, read(item).Sent, name)
			continue
		}
		require.Equal(w, ended, item.Stuck)
		require.Equal(w, 12, item.Attempts)
		require.Equal(w, 1, w.stuck[name])
		at := w.deaths[name]
		require.LessOrEqual(w, len(at), 12, "the other one may have ended a process first")
		require.Greater(w, len(at), 6)
		require.Greater(w, at[len(at)-1].Sub(at[len(at)-2]), 24*time.Minute, "the pauses grow")
	}
	all := w.deaths[""]
	require.Less(w, all[1].Sub(all[0]), 4*worldTTL, "a first death may be anybody's: no pause")
	told := map[string]int{}
	for _, e := range w.events {
		if e.Stuck {
			told[e.ID.Name]++
			require.EqualError(w, e.Err, "the process ended while it ran")
			require.Equal(w, 12, e.Attempts)
			require.Equal(w, "effect", e.Effect)
		}
	}
	require.Equal(w, map[string]int{"deadly": 1, "fatal": 1}, told)
}

// TestWhatIsNoDeath has a row in hand for long, be given back by a deploy, and be taken
// over and written to by who stood still. Only the last of them is a lost attempt, and the
// one who comes back counts none.
func TestWhatIsNoDeath(t *testing.T) {
	t.Parallel()
	deaths := func(o *office) (n int) {
		for _, e := range o.seen {
			if e.Err != nil {
				n++
			}
		}
		return n
	}
	t.Run("a deploy", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			o := newOffice(t)
			o.add("a", "", 20)
			o.post.does(func(context.Context, int) error { time.Sleep(20 * time.Second); return nil })
			for range 20 {
				o.run(30*time.Second, o.runner(func(cfg *durable.RunnerConfig) { cfg.MaxAttempts = 1 }))
			}
			_, l := o.get("a")
			require.Equal(t, 20, l.Sent)
			require.Zero(t, deaths(o))
		})
	})
	t.Run("long work", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			o := newOffice(t)
			o.add("a", "", 12)
			o.post.does(func(context.Context, int) error { time.Sleep(29 * time.Second); return nil })
			one := func(cfg *durable.RunnerConfig) { cfg.MaxAttempts = 1 }
			o.run(time.Hour, o.runner(one), o.runner(one), o.runner(one))
			_, l := o.get("a")
			require.Equal(t, 12, l.Sent)
			require.Zero(t, deaths(o))
		})
	})
	t.Run("who stood still", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			o := newOffice(t)
			o.add("a", "", 1)
			frozen := o.runner()
			o.post.does(func(context.Context, int) error { time.Sleep(4 * time.Minute); return errors.New("too late") })
			ctx, cancel := context.WithCancel(t.Context())
			var all sync.WaitGroup
			all.Go(func() { _ = frozen.Run(ctx) })
			time.Sleep(2 * time.Second)
			cancel()
			o.post.does(func(context.Context, int) error { return telemed.ErrReconnect })
			o.run(5*time.Minute, o.runner())
			all.Wait()
			item, _ := o.get("a")
			require.Equal(t, 1, item.Attempts, "that one had lost it is known, and nothing else counts")
			require.Equal(t, 2, o.post.calls)
			require.NotZero(t, item.Due)
		})
	})
}

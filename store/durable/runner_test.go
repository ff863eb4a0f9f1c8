package durable_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/leaktest"
	"github.com/telemed-go/telemed/store/durable"
)

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		child()
		return
	}
	leaktest.Main(m)
}

// letter is what the rows of these tests are about: it is to be sent so many times.
type letter struct {
	Wanted, Sent int
	Sending      bool
	Unknown      int // deaths while it was being sent
	Cancelled    bool
}

func read(item durable.Item) letter {
	var l letter
	if err := json.Unmarshal(item.Data, &l); err != nil {
		panic(err)
	}
	return l
}

func write(item *durable.Item, change func(l *letter)) error {
	var l letter
	if len(item.Data) > 0 {
		l = read(*item)
	}
	change(&l)
	var err error
	item.Data, err = json.Marshal(l)
	return err
}

// post sends letters.
type post struct {
	mu    sync.Mutex
	sent  map[string]int
	calls int
	atOnce,
	most map[string]int
	// send, if it is there, is what sending does.
	send func(ctx context.Context, call int) error
	// ahead has each letter marked as being sent before it is.
	ahead bool
}

func newPost() *post {
	return &post{sent: map[string]int{}, atOnce: map[string]int{}, most: map[string]int{}}
}

// does sets what sending does.
func (p *post) does(send func(ctx context.Context, call int) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.send = send
}

// begun is how often sending began.
func (p *post) begun() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls
}

func (p *post) kind() map[string]durable.Kind {
	return map[string]durable.Kind{"letter": {Version: 1, Plan: p.plan}}
}

func (p *post) plan(item durable.Item, now time.Time) (durable.Effect, error) {
	l := read(item)
	effect := durable.Effect{Name: "send", Do: func(ctx context.Context) (durable.Fact, error) { return p.do(ctx, item.ID) }}
	switch {
	case l.Cancelled, l.Sent >= l.Wanted:
		return durable.Effect{}, nil
	case l.Sending: // somebody died
		return durable.Effect{Name: "look", Do: func(context.Context) (durable.Fact, error) {
			return func(item *durable.Item) error {
				return write(item, func(l *letter) {
					if l.Sending {
						l.Sending, l.Unknown, l.Sent = false, l.Unknown+1, l.Sent+1
					}
				})
			}, nil
		}}, nil
	case p.ahead:
		effect.Ahead = func(item *durable.Item) error { return write(item, func(l *letter) { l.Sending = true }) }
	}
	return effect, nil
}

func (p *post) do(ctx context.Context, id durable.ID) (durable.Fact, error) {
	p.mu.Lock()
	p.calls++
	call, send := p.calls, p.send
	p.atOnce[id.Name]++
	p.most[id.Name] = max(p.most[id.Name], p.atOnce[id.Name])
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		p.atOnce[id.Name]--
		p.mu.Unlock()
	}()
	if send != nil {
		if err := send(ctx, call); err != nil {
			return nil, err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent[id.Name]++
	n := p.sent[id.Name]
	return func(item *durable.Item) error {
		return write(item, func(l *letter) { l.Sent, l.Sending = max(l.Sent, n), false })
	}, nil
}

// office is a store with letters in it.
type office struct {
	*testing.T
	rows *durable.Memory
	post *post
	mu   sync.Mutex
	seen []durable.Event
	bad  []durable.Item
	log  *slog.Logger
	text strings.Builder
}

func newOffice(t *testing.T) *office {
	o := &office{T: t, rows: durable.NewMemory(), post: newPost()}
	o.log = slog.New(slog.NewTextHandler(&o.text, nil))
	return o
}

func id(name string) durable.ID { return durable.ID{Kind: "letter", Name: name} }

func (o *office) add(name, tenant string, wanted int) {
	o.Helper()
	item := durable.Item{ID: id(name), Tenant: tenant, Due: time.Now(), Version: 1}
	require.NoError(o, write(&item, func(l *letter) { l.Wanted = wanted }))
	_, err := o.rows.Put(o.Context(), item)
	require.NoError(o, err)
}

func (o *office) get(name string) (durable.Item, letter) {
	o.Helper()
	item, err := o.rows.Get(context.Background(), id(name))
	require.NoError(o, err)
	return item, read(item)
}

func (o *office) runner(change ...func(*durable.RunnerConfig)) *durable.Runner {
	o.Helper()
	cfg := durable.RunnerConfig{
		Store: o.rows, Kinds: o.post.kind(), Logger: o.log,
		Observe: func(e durable.Event) { o.mu.Lock(); o.seen = append(o.seen, e); o.mu.Unlock() },
		OnStuck: func(item durable.Item) { o.mu.Lock(); o.bad = append(o.bad, item); o.mu.Unlock() },
	}
	for _, f := range change {
		f(&cfg)
	}
	r, err := durable.NewRunner(cfg)
	require.NoError(o, err)
	return r
}

// run has runners work for d, and waits until they have ended.
func (o *office) run(d time.Duration, runners ...*durable.Runner) {
	o.Helper()
	ctx, cancel := context.WithTimeout(o.Context(), d)
	defer cancel()
	var all sync.WaitGroup
	for _, r := range runners {
		all.Go(func() {
			if err := r.Run(ctx); err != nil {
				o.Error(err)
			}
		})
	}
	all.Wait()
}

// plain is a Store of three methods.
type plain struct{ durable.Store }

// stores are a Store that can do everything, and one that cannot.
func (o *office) stores() map[string]durable.Store {
	return map[string]durable.Store{"full": o.rows, "three methods": plain{o.rows}}
}

func TestRunnerWorksAllRowsOnce(t *testing.T) {
	t.Parallel()
	for name := range newOffice(t).stores() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t)
				const rows = 300
				for n := range rows {
					o.add(fmt.Sprint(n), fmt.Sprint("clinic-", n%7), 1+n%3)
				}
				o.post.does(func(context.Context, int) error { time.Sleep(20 * time.Millisecond); return nil })
				var runners []*durable.Runner
				for range 4 {
					runners = append(runners, o.runner(func(cfg *durable.RunnerConfig) { cfg.Store = o.stores()[name] }))
				}
				o.run(time.Minute, runners...)
				for n := range rows {
					item, l := o.get(fmt.Sprint(n))
					require.Equal(t, 1+n%3, l.Sent)
					require.Equal(t, 1+n%3, o.post.sent[item.ID.Name], "each once")
					require.Equal(t, 1, o.post.most[item.ID.Name], "in one worker's hands")
					require.Zero(t, item.Lease)
					require.Zero(t, item.Due)
				}
			})
		})
	}
}

// busy is an error of a provider that says when.
type busy time.Duration

func (b busy) Error() string             { return "not now" }
func (b busy) RetryDelay() time.Duration { return time.Duration(b) }

func TestRunnerTriesAgainLaterAndLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		o.add("a", "", 1)
		var at []time.Time
		o.post.does(func(context.Context, int) error { at = append(at, time.Now()); return telemed.ErrUnavailable })
		o.run(24*time.Hour, o.runner())
		require.Len(t, at, 12)
		for n, seconds := range []int{30, 60, 120, 240, 480, 960, 1800, 1800, 1800, 1800, 1800} {
			want := time.Duration(seconds) * time.Second
			pause := at[n+1].Sub(at[n])
			require.GreaterOrEqual(t, pause, want*8/10, "pause %d", n)
			require.LessOrEqual(t, pause, want*12/10+2*time.Second, "pause %d", n)
		}
		item, _ := o.get("a")
		require.Equal(t, "send: provider unavailable", item.Stuck)
		require.Zero(t, item.Due)
		require.Zero(t, item.Lease)
		require.Len(t, o.bad, 1)
		require.Len(t, o.seen, 12)
		require.Equal(t, 12, o.seen[11].Attempts)
		require.True(t, o.seen[11].Stuck)

		o.post.does(nil)
		r := o.runner()
		require.NoError(t, r.Retry(t.Context(), id("a")))
		require.ErrorIs(t, r.Retry(t.Context(), id("nobody")), telemed.ErrNotFound)
		o.run(time.Minute, r)
		item, l := o.get("a")
		require.Equal(t, 1, l.Sent)
		require.Empty(t, item.Stuck)
		require.Zero(t, item.Attempts)
	})
}

func TestRunnerCountsNoAttemptForWhatIsNobodysFailure(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err  error
		want time.Duration
	}{
		"not now":             {busy(time.Hour), time.Hour},
		"not before tomorrow": {busy(200 * time.Hour), 25 * time.Hour},
		"credentials":         {fmt.Errorf("x: %w", telemed.ErrUnauthorized), 10 * time.Minute},
		"a doctor's account":  {telemed.ErrReconnect, 10 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t)
				o.add("a", "", 1)
				o.post.does(func(_ context.Context, call int) error {
					if call > 20 {
						return nil
					}
					return test.err
				})
				begin := time.Now()
				r := o.runner(func(cfg *durable.RunnerConfig) { cfg.MaxAttempts, cfg.PollEvery = 2, time.Minute })
				o.run(time.Minute, r)
				item, _ := o.get("a")
				require.Zero(t, item.Attempts)
				require.InDelta(t, test.want.Seconds(), item.Due.Sub(begin).Seconds(), test.want.Seconds()/4)
				o.run(30*test.want, r)
				_, l := o.get("a")
				require.Equal(t, 1, l.Sent)
			})
		})
	}
}

func TestRunnerSurvivesPanics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		o.add("a", "", 1)
		o.add("b", "", 1)
		o.post.does(func(_ context.Context, call int) error {
			if call%2 == 1 {
				panic("canary")
			}
			return nil
		})
		o.run(time.Hour, o.runner(func(cfg *durable.RunnerConfig) { cfg.Workers = 1 }))
		for _, name := range []string{"a", "b"} {
			item, l := o.get(name)
			if item.Stuck != "" {
				require.Equal(t, "send: Do panicked with a string", item.Stuck)
				require.Equal(t, 12, item.Attempts, "three panics are enough")
				continue
			}
			require.Equal(t, 1, l.Sent)
		}
		require.NotContains(t, o.text.String(), "canary")
	})
}

// TestRunnerSaysWhatIsWrongWithARow has a Plan, a Fact and an Ahead that fail: each is an
// attempt, and what an effect found out before stays.
func TestRunnerSaysWhatIsWrongWithARow(t *testing.T) {
	t.Parallel()
	broken := errors.New("canary")
	for name, plan := range map[string]func(*post) func(durable.Item, time.Time) (durable.Effect, error){
		"plan: failed": func(p *post) func(durable.Item, time.Time) (durable.Effect, error) {
			return func(item durable.Item, now time.Time) (durable.Effect, error) {
				if read(item).Sent > 0 {
					return durable.Effect{}, broken
				}
				return p.plan(item, now)
			}
		},
		"send: failed": func(p *post) func(durable.Item, time.Time) (durable.Effect, error) {
			return func(item durable.Item, now time.Time) (durable.Effect, error) {
				effect, err := p.plan(item, now)
				if do := effect.Do; do != nil && read(item).Sent > 0 {
					effect.Do = func(ctx context.Context) (durable.Fact, error) {
						return func(item *durable.Item) error { item.Data = []byte("half"); return broken }, nil
					}
				}
				return effect, err
			}
		},
		"plan: Ahead panicked with a string": func(p *post) func(durable.Item, time.Time) (durable.Effect, error) {
			return func(item durable.Item, now time.Time) (durable.Effect, error) {
				effect, err := p.plan(item, now)
				if read(item).Sent > 0 {
					effect.Ahead = func(item *durable.Item) error { item.Data = []byte("half"); panic("canary") }
				}
				return effect, err
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t)
				o.add("a", "", 3)
				kinds := map[string]durable.Kind{"letter": {Version: 1, Plan: plan(o.post)}}
				o.run(24*time.Hour, o.runner(func(cfg *durable.RunnerConfig) { cfg.Kinds, cfg.PollEvery = kinds, time.Minute }))
				item, l := o.get("a")
				require.Equal(t, name, item.Stuck)
				require.Equal(t, 1, l.Sent, "what was found out stays")
				require.Equal(t, 1, o.post.sent["a"])
				require.NotContains(t, item.Stuck, "canary")
			})
		})
	}
}

// TestFactsAreMerged has the application change the row while an effect is under way, and
// another process take it over.
func TestFactsAreMerged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		o.add("a", "", 2)
		o.post.does(func(context.Context, int) error {
			_, err := durable.Change(t.Context(), o.rows, id("a"), func(item *durable.Item) error {
				return write(item, func(l *letter) { l.Cancelled = true })
			})
			require.NoError(t, err)
			return nil
		})
		o.run(time.Minute, o.runner())
		item, l := o.get("a")
		require.Equal(t, letter{Wanted: 2, Sent: 1, Cancelled: true}, l, "both are there, and the second one was not sent")
		require.Zero(t, item.Lease)
	})
}

// TestKilled kills a process in the middle of an effect, before and after it was done: it
// never comes back. Another one goes on, and can tell.
func TestKilled(t *testing.T) {
	t.Parallel()
	for name := range newOffice(t).stores() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t)
				o.post.ahead = true
				o.add("a", "", 1)
				died := time.Now()
				gone := make(chan struct{})
				o.post.does(func(context.Context, int) error { <-gone; return errors.New("nobody hears it") })
				dead := o.runner(func(cfg *durable.RunnerConfig) { cfg.Store = killed{o.stores()[name], gone} })
				ctx, cancel := context.WithCancel(t.Context())
				go func() { _ = dead.Run(ctx) }()
				time.Sleep(2 * time.Second)
				cancel()

				o.post.does(nil)
				ttl := time.Minute
				o.run(3*ttl, o.runner(func(cfg *durable.RunnerConfig) { cfg.Store = o.stores()[name] }))
				item, l := o.get("a")
				require.Equal(t, letter{Wanted: 1, Sent: 1, Unknown: 1}, l, "it can be told from one that was not begun")
				require.Zero(t, o.post.sent["a"], "and nothing was sent again")
				require.Zero(t, item.Lease)
				require.Greater(t, o.seen[0].Took+time.Since(died), ttl)
				close(gone)
				time.Sleep(time.Hour)
			})
		})
	}
}

// killed is a Store for a process that is gone once the channel is closed or has been
// waited for: nothing of it is written any more.
type killed struct {
	durable.Store
	gone chan struct{}
}

func (k killed) Put(ctx context.Context, item durable.Item) (string, error) {
	select {
	case <-k.gone:
		return "", telemed.ErrUnavailable
	default:
		return k.Store.Put(ctx, item)
	}
}

// TestALateFactIsMerged has a process stand still over its whole lease after the effect.
// Others have gone on by then; what it knows is added to what they wrote, and it does
// nothing more.
func TestALateFactIsMerged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		o.add("a", "", 5)
		o.post.does(func(_ context.Context, call int) error {
			if call == 1 {
				time.Sleep(5 * time.Minute) // it does not look at its context
			}
			return nil
		})
		frozen, other := o.runner(), o.runner()
		ctx, cancel := context.WithCancel(t.Context())
		var ended sync.WaitGroup
		ended.Go(func() { _ = frozen.Run(ctx) })
		time.Sleep(2 * time.Second)
		cancel()
		o.run(10*time.Minute, other)
		ended.Wait()
		_, l := o.get("a")
		require.Equal(t, 6, o.post.sent["a"], "five by the other one, and the first")
		require.Equal(t, 6, l.Sent)
		require.Equal(t, 2, o.post.most["a"])
	})
}

// TestNothingBeginsLate has the write of the lease take longer than half of it.
func TestNothingBeginsLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		o.add("a", "", 1)
		slow := &slowPut{Store: o.rows, takes: 31 * time.Second}
		o.run(2*time.Minute, o.runner(func(cfg *durable.RunnerConfig) { cfg.Store = slow }))
		require.Zero(t, o.post.calls)
		slow.takes = 0
		o.run(3*time.Minute, o.runner(func(cfg *durable.RunnerConfig) { cfg.Store = slow }))
		item, l := o.get("a")
		require.Equal(t, 1, l.Sent)
		require.Zero(t, item.Attempts)
	})
}

type slowPut struct {
	durable.Store
	takes time.Duration
}

func (s *slowPut) Put(ctx context.Context, item durable.Item) (string, error) {
	revision, err := s.Store.Put(ctx, item)
	time.Sleep(s.takes)
	return revision, err
}

func TestAnEffectEndsAtHalfTheLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		o.add("a", "", 1)
		o.post.does(func(ctx context.Context, _ int) error {
			begin := time.Now()
			<-ctx.Done()
			require.Less(t, time.Since(begin), 30*time.Second+time.Millisecond)
			require.Greater(t, time.Since(begin), 29*time.Second)
			return ctx.Err()
		})
		o.run(40*time.Second, o.runner())
		item, _ := o.get("a")
		require.Equal(t, 1, item.Attempts)
		require.Zero(t, item.Lease)
	})
}

// TestRunEndsWhenWhatIsUnderWayHasEnded is a deploy.
func TestRunEndsWhenWhatIsUnderWayHasEnded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		for n := range 20 {
			o.add(fmt.Sprint(n), "", 10)
		}
		o.post.does(func(context.Context, int) error { time.Sleep(5 * time.Second); return nil })
		begin := time.Now()
		o.run(time.Second, o.runner())
		require.Equal(t, 5*time.Second, time.Since(begin))
		require.Equal(t, 8, o.post.calls)
		given := 0
		for item, err := range o.rows.List(t.Context(), durable.Filter{}) {
			require.NoError(t, err)
			require.Zero(t, item.Lease)
			require.False(t, item.Due.IsZero(), "the next process goes on at once")
			given += read(item).Sent
		}
		require.Equal(t, 8, given)
	})
}

// TestOneCampaignStarvesNobody has a clinic with thousands of rows that were due long ago.
func TestOneCampaignStarvesNobody(t *testing.T) {
	t.Parallel()
	for name := range newOffice(t).stores() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t)
				for n := range 600 {
					o.add(fmt.Sprint("campaign-", n), "big", 1)
				}
				time.Sleep(time.Minute)
				o.add("mine", "small", 1)
				added := time.Now()
				var served time.Duration
				o.post.does(func(context.Context, int) error { time.Sleep(50 * time.Millisecond); return nil })
				r := o.runner(func(cfg *durable.RunnerConfig) {
					cfg.Store = o.stores()[name]
					cfg.Observe = func(e durable.Event) {
						if e.Tenant == "small" {
							served = time.Since(added)
						}
					}
				})
				o.run(3*time.Second, r)
				require.Positive(t, served)
				require.Less(t, served, 2*time.Second)
			})
		})
	}
}

// TestASmallTenantSlowsNobodyDown has shares that do not fill a page: the Runner looks
// again at once, and does not wait as if there were no more.
func TestASmallTenantSlowsNobodyDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		for n := range 200 {
			o.add(fmt.Sprint("campaign-", n), "big", 1)
			if n%4 == 0 {
				o.add(fmt.Sprint("mine-", n), fmt.Sprint("small-", n%3), 1)
			}
		}
		begin := time.Now()
		var late atomic.Int64
		o.post.does(func(context.Context, int) error {
			if time.Now().After(begin) {
				late.Add(1)
			}
			return nil
		})
		r := o.runner(func(cfg *durable.RunnerConfig) { cfg.Workers, cfg.PollEvery = 7, time.Minute })
		o.run(30*time.Second, r)
		require.Equal(t, 250, o.post.calls)
		require.Zero(t, late.Load(), "nobody has waited")
	})
}

// TestOtherVersionsAndKindsAreLeftAlone is a rolling deploy.
func TestOtherVersionsAndKindsAreLeftAlone(t *testing.T) {
	t.Parallel()
	for name := range newOffice(t).stores() {
		synctest.Test(t, func(t *testing.T) {
			o := newOffice(t)
			o.add("old", "", 1)
			for _, item := range []durable.Item{
				{ID: id("newer"), Due: time.Now(), Version: 2, Data: []byte("of tomorrow")},
				{ID: durable.ID{Kind: "parcel", Name: "x"}, Due: time.Now()},
			} {
				_, err := o.rows.Put(t.Context(), item)
				require.NoError(t, err)
			}
			r := o.runner(func(cfg *durable.RunnerConfig) { cfg.Store = o.stores()[name] })
			o.run(time.Minute, r)
			_, l := o.get("old")
			require.Equal(t, 1, l.Sent)
			item, err := o.rows.Get(t.Context(), id("newer"))
			require.NoError(t, err)
			require.Equal(t, "of tomorrow", string(item.Data))
			require.Zero(t, item.Attempts)
			next, err := r.Step(t.Context(), id("newer"))
			require.NoError(t, err)
			require.Equal(t, item.Due, next)
		})
	}
}

func TestStep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		o.add("a", "", 3)
		r := o.runner()
		next, err := r.Step(t.Context(), id("a"))
		require.NoError(t, err)
		require.Zero(t, next)
		_, l := o.get("a")
		require.Equal(t, 3, l.Sent)

		next, err = r.Step(t.Context(), id("a"))
		require.NoError(t, err)
		require.Zero(t, next, "there is nothing to do")
		_, err = r.Step(t.Context(), id("nobody"))
		require.ErrorIs(t, err, telemed.ErrNotFound)

		o.add("b", "", 1)
		o.post.does(func(context.Context, int) error { return telemed.ErrUnavailable })
		next, err = r.Step(t.Context(), id("b"))
		require.NoError(t, err)
		require.InDelta(t, 30, time.Until(next).Seconds(), 7)

		item, _ := o.get("b")
		item.Lease = durable.Lease{Owner: "somebody", TTL: time.Hour}
		item.Due = time.Now()
		_, err = o.rows.Put(t.Context(), item)
		require.NoError(t, err)
		next, err = r.Step(t.Context(), id("b"))
		require.ErrorIs(t, err, telemed.ErrConflict)
		require.Equal(t, time.Hour, time.Until(next))
	})
}

// TestStoreThatFails has a database that is away for a while: nothing is lost, and no
// effect is done again for it.
func TestStoreThatFails(t *testing.T) {
	t.Parallel()
	for name := range newOffice(t).stores() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t)
				o.add("a", "", 3)
				away := &away{Store: o.stores()[name]}
				o.post.does(func(_ context.Context, call int) error {
					if call == 2 {
						until := time.Now().Add(40 * time.Second)
						away.until.Store(&until)
					}
					return nil
				})
				o.run(5*time.Minute, o.runner(func(cfg *durable.RunnerConfig) { cfg.Store = away }))
				_, l := o.get("a")
				require.Equal(t, 3, l.Sent)
				require.Equal(t, 3, o.post.sent["a"])
			})
		})
	}
}

type away struct {
	durable.Store
	until atomic.Pointer[time.Time]
}

func (a *away) err() error {
	if until := a.until.Load(); until != nil && time.Now().Before(*until) {
		return errors.New("connection refused")
	}
	return nil
}

func (a *away) Get(ctx context.Context, id durable.ID) (durable.Item, error) {
	if err := a.err(); err != nil {
		return durable.Item{}, err
	}
	return a.Store.Get(ctx, id)
}

func (a *away) Put(ctx context.Context, item durable.Item) (string, error) {
	if err := a.err(); err != nil {
		return "", err
	}
	return a.Store.Put(ctx, item)
}

func (a *away) Due(ctx context.Context, q durable.Query) ([]durable.ID, error) {
	if err := a.err(); err != nil {
		return nil, err
	}
	return a.Store.Due(ctx, q)
}

func TestRowsAreErased(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		for n := range 1200 {
			o.add(fmt.Sprint(n), "", 0)
			_, err := durable.Change(t.Context(), o.rows, id(fmt.Sprint(n)), func(item *durable.Item) error {
				item.EraseAt = time.Now().Add(time.Hour)
				return nil
			})
			require.NoError(t, err)
		}
		o.add("kept", "", 0)
		o.run(3*time.Hour, o.runner(func(cfg *durable.RunnerConfig) { cfg.PollEvery = time.Minute }))
		left := 0
		for item, err := range o.rows.List(t.Context(), durable.Filter{}) {
			require.NoError(t, err)
			require.Equal(t, "kept", item.ID.Name)
			left++
		}
		require.Equal(t, 1, left)
	})
}

func TestWake(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		r := o.runner(func(cfg *durable.RunnerConfig) { cfg.PollEvery = time.Hour })
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _ = r.Run(ctx) }()
		time.Sleep(time.Second)
		o.add("a", "", 1)
		begin := time.Now()
		r.Wake()
		r.Wake()
		synctest.Wait()
		_, l := o.get("a")
		require.Equal(t, 1, l.Sent)
		require.Zero(t, time.Since(begin))
		cancel()
		synctest.Wait()
	})
}

func TestRunnerConfig(t *testing.T) {
	t.Parallel()
	_, err := durable.NewRunner(durable.RunnerConfig{LeaseTTL: 1, Workers: -1, PollEvery: -1, MaxAttempts: -1, Kinds: map[string]durable.Kind{"A": {Version: -1}}})
	require.ErrorIs(t, err, telemed.ErrInvalid)
	for _, field := range []string{"Store", "Kinds", "Kinds[A].Plan", "Kinds[A].Version", "Workers", "LeaseTTL", "PollEvery", "MaxAttempts"} {
		require.ErrorContains(t, err, field)
	}
	_, err = durable.NewRunner(durable.RunnerConfig{})
	require.ErrorContains(t, err, "Kinds are required")
}

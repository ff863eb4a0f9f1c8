package durable_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/durable"
)

// hooked is a Store whose Put is somebody else's.
type hooked struct {
	durable.Store
	put func(ctx context.Context, item durable.Item) (string, error)
}

func (h *hooked) Put(ctx context.Context, item durable.Item) (string, error) { return h.put(ctx, item) }

func (o *office) with(st durable.Store) *durable.Runner {
	return o.runner(func(cfg *durable.RunnerConfig) { cfg.Store = st })
}

// TestALateFactWakesARow has a fact come when nobody has the row any more, and nobody
// would have looked at it again.
func TestALateFactWakesARow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		o.add("a", "", 1)
		o.post.does(func(_ context.Context, call int) error {
			if call == 1 { // it does not look at its context, and wants one more in the end
				time.Sleep(5 * time.Minute)
				o.post.mu.Lock()
				o.post.sent["a"] = 0
				o.post.mu.Unlock()
			}
			return nil
		})
		plan := func(item durable.Item, now time.Time) (durable.Effect, error) {
			effect, err := o.post.plan(item, now)
			if do := effect.Do; do != nil && o.post.begun() == 0 {
				effect.Do = func(ctx context.Context) (durable.Fact, error) {
					_, err := do(ctx)
					return func(item *durable.Item) error {
						return write(item, func(l *letter) { l.Wanted = 2 })
					}, err
				}
			}
			return effect, err
		}
		late := o.runner(func(cfg *durable.RunnerConfig) {
			cfg.Kinds = map[string]durable.Kind{"letter": {Version: 1, Plan: plan}}
		})
		ctx, cancel := context.WithCancel(t.Context())
		var ended sync.WaitGroup
		ended.Go(func() { _ = late.Run(ctx) })
		time.Sleep(2 * time.Second)
		cancel()
		o.run(4*time.Minute, o.runner())
		_, l := o.get("a")
		require.Equal(t, 1, l.Sent)
		ended.Wait()
		o.run(time.Minute, o.runner())
		_, l = o.get("a")
		require.Equal(t, letter{Wanted: 2, Sent: 2}, l)
	})
}

// TestALateFactLeavesTheLease has a process come back to a row that another one works on.
func TestALateFactLeavesTheLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		o.add("a", "", 4)
		taken := make(chan struct{})
		o.post.does(func(_ context.Context, call int) error {
			switch call {
			case 1:
				<-taken // it does not look at its context
				time.Sleep(time.Second)
			case 2:
				close(taken)
				time.Sleep(20 * time.Second)
			}
			return nil
		})
		events := 0
		late := o.runner(func(cfg *durable.RunnerConfig) { cfg.Observe = func(durable.Event) { events++ } })
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		var ended sync.WaitGroup
		ended.Go(func() { _ = late.Run(ctx) })
		time.Sleep(2 * time.Second)
		o.run(8*time.Minute, o.runner())
		ended.Wait()
		_, l := o.get("a")
		require.Equal(t, 4, l.Sent)
		require.Equal(t, 4, o.post.calls)
		require.Equal(t, 1, events, "who has the row goes on with it")
	})
}

// TestEachWriteRenewsTheLease has a row in hand for much longer than a lease.
func TestEachWriteRenewsTheLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		o.add("a", "", 12)
		o.post.does(func(ctx context.Context, _ int) error {
			select {
			case <-time.After(20 * time.Second):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		o.run(5*time.Minute, o.runner(), o.runner())
		_, l := o.get("a")
		require.Equal(t, 12, l.Sent)
		require.Equal(t, 12, o.post.calls)
		require.Empty(t, o.text.String(), "nothing failed, and nobody was taken for dead")
	})
}

// TestALostAnswerIsNoDeath loses the answer of the write that says what is about to
// happen. It has not begun, so nothing is unknown.
func TestALostAnswerIsNoDeath(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		o.post.ahead = true
		o.add("a", "", 3)
		st := &hooked{Store: o.rows, put: func(ctx context.Context, item durable.Item) (string, error) {
			if _, err := o.rows.Put(ctx, item); err != nil {
				return "", err
			}
			return "", errLost
		}}
		o.run(time.Minute, o.with(struct {
			durable.Store
			durable.Leaser
		}{st, o.rows}))
		item, l := o.get("a")
		require.Equal(t, letter{Wanted: 3, Sent: 3}, l)
		require.Equal(t, 3, o.post.sent["a"])
		require.Zero(t, item.Lease)
		require.Len(t, o.seen, 3)
	})
}

// TestWhatCannotBeWrittenIsStuck has a fact that makes the row too long, which a Store
// refuses for ever: the effect must not happen again and again for it.
func TestWhatCannotBeWrittenIsStuck(t *testing.T) {
	t.Parallel()
	keys, err := store.NewKeyring(store.NewKey())
	require.NoError(t, err)
	for name, size := range map[string]int{"for the row": durable.MaxData + 1, "for the seal": durable.MaxData} {
		synctest.Test(t, func(t *testing.T) {
			o := newOffice(t)
			sealed := durable.Sealed(o.rows, keys)
			_, err := sealed.Put(t.Context(), durable.Item{ID: id("a"), Due: time.Now(), Data: []byte("x")})
			require.NoError(t, err)
			calls := 0
			plan := func(durable.Item, time.Time) (durable.Effect, error) {
				return durable.Effect{Name: "send\n" + strings.Repeat("é", 300), Do: func(context.Context) (durable.Fact, error) {
					calls++
					return func(item *durable.Item) error { item.Data = make([]byte, size); return nil }, nil
				}}, nil
			}
			r := o.runner(func(cfg *durable.RunnerConfig) {
				cfg.Store, cfg.Kinds = sealed, map[string]durable.Kind{"letter": {Plan: plan}}
			})
			o.run(time.Hour, r)
			require.Equal(t, 1, calls, name)
			item, err := sealed.Get(t.Context(), id("a"))
			require.NoError(t, err)
			require.NotEmpty(t, item.Stuck)
			require.Equal(t, "x", string(item.Data))
			require.Zero(t, item.Lease)
			require.Len(t, o.bad, 1)
		})
	}
}

// TestAFactChangesWhatIsTheKindsOnly has a fact and an Ahead that overreach.
func TestAFactChangesWhatIsTheKindsOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		o.add("a", "clinic", 1)
		spoil := func(fact durable.Fact) durable.Fact {
			return func(item *durable.Item) error {
				item.ID, item.Tenant, item.Revision, item.Lease = id("b"), "x", "x", durable.Lease{}
				item.Due, item.Stuck, item.Attempts = time.Time{}, "x", 7
				return fact(item)
			}
		}
		o.post.ahead = true
		plan := func(item durable.Item, now time.Time) (durable.Effect, error) {
			effect, err := o.post.plan(item, now)
			if do := effect.Do; do != nil {
				effect.Ahead = spoil(effect.Ahead)
				effect.Do = func(ctx context.Context) (durable.Fact, error) { fact, err := do(ctx); return spoil(fact), err }
			}
			return effect, err
		}
		o.run(time.Minute, o.runner(func(cfg *durable.RunnerConfig) {
			cfg.Kinds = map[string]durable.Kind{"letter": {Version: 1, Plan: plan}}
		}))
		item, l := o.get("a")
		require.Equal(t, letter{Wanted: 1, Sent: 1}, l)
		require.Equal(t, "clinic", item.Tenant)
		require.Empty(t, item.Stuck)
	})
}

// TestChangesAreNoSignOfLife has an application that writes to a dead process's row more
// often than its lease is long.
func TestChangesAreNoSignOfLife(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		o.add("a", "", 1)
		item, _ := o.get("a")
		item.Lease = durable.Lease{Owner: "dead", TTL: time.Minute}
		_, err := o.rows.Put(t.Context(), item)
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		defer cancel()
		var all sync.WaitGroup
		all.Go(func() { _ = o.runner().Run(ctx) })
		for ctx.Err() == nil {
			_, err := durable.Change(context.WithoutCancel(ctx), o.rows, id("a"), func(item *durable.Item) error { item.Audit = append(item.Audit, '.'); return nil })
			require.NoError(t, err)
			time.Sleep(5 * time.Second)
		}
		all.Wait()
		_, l := o.get("a")
		require.Equal(t, 1, l.Sent)
	})
}

// TestAWatcherThatStoodStill has all processes stand still together, as on a machine that
// sleeps: nobody was dead.
func TestAWatcherThatStoodStill(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		o.add("a", "", 1)
		var sleeps atomic.Int64 // until when, in Unix milliseconds
		asleep := func() { time.Sleep(time.Until(time.UnixMilli(sleeps.Load()))) }
		o.post.does(func(context.Context, int) error {
			time.Sleep(20 * time.Second)
			sleeps.Store(time.Now().Add(10 * time.Minute).UnixMilli())
			asleep()
			time.Sleep(10 * time.Second) // the answer is read
			return nil
		})
		st := sleepy{o.rows, asleep}
		o.run(15*time.Minute, o.with(st), o.with(st))
		require.Equal(t, 1, o.post.calls)
		require.NotContains(t, o.text.String(), "taken over")
	})
}

// sleepy is a full Store of a process that stands still now and then.
type sleepy struct {
	*durable.Memory
	asleep func()
}

func (s sleepy) Leases(ctx context.Context, kinds map[string]int) ([]durable.Held, error) {
	s.asleep()
	held, err := s.Memory.Leases(ctx, kinds)
	s.asleep()
	return held, err
}

func (s sleepy) Put(ctx context.Context, item durable.Item) (string, error) {
	s.asleep()
	return s.Memory.Put(ctx, item)
}

// TestASlowLookSaysNothingOfBefore has every seventh look at the leases take long, and the
// lease written anew just before its answer: it has not stood still since the look began.
func TestASlowLookSaysNothingOfBefore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		item := durable.Item{ID: id("a"), Due: time.Now(), Version: 1}
		require.NoError(t, write(&item, func(l *letter) { l.Wanted = 1 }))
		calls, renewed := 0, 0
		st := slowLooks{o.rows, func() {
			if calls++; calls%7 != 1 {
				return
			}
			time.Sleep(20 * time.Second)
			renewed++
			item.Lease = durable.Lease{Owner: fmt.Sprint("living ", renewed), TTL: time.Minute}
			revision, err := o.rows.Put(t.Context(), item)
			if err != nil {
				t.Error("taken over within its time")
			}
			item.Revision = revision
		}}
		item.Lease = durable.Lease{Owner: "living", TTL: time.Minute}
		var err error
		item.Revision, err = o.rows.Put(t.Context(), item)
		require.NoError(t, err)
		o.run(19*time.Minute, o.with(st))
		require.Greater(t, renewed, 10)
		require.NotContains(t, o.text.String(), "taken over")
	})
}

// slowLooks is a full Store in which something happens before leases are read.
type slowLooks struct {
	*durable.Memory
	before func()
}

func (s slowLooks) Leases(ctx context.Context, kinds map[string]int) ([]durable.Held, error) {
	s.before()
	return s.Memory.Leases(ctx, kinds)
}

// TestWhoAsksIsNotPutOff has the application ask for a look while an effect fails.
func TestWhoAsksIsNotPutOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		o.add("a", "", 1)
		o.post.does(func(context.Context, int) error {
			time.Sleep(time.Second)
			_, err := durable.Change(t.Context(), o.rows, id("a"), func(item *durable.Item) error {
				item.Due = time.Now()
				return write(item, func(l *letter) { l.Cancelled = true })
			})
			require.NoError(t, err)
			return telemed.ErrUnavailable
		})
		o.run(5*time.Second, o.runner())
		item, _ := o.get("a")
		require.Zero(t, item.Due, "Plan has seen what is wanted now")
		require.Equal(t, 1, o.post.calls)
	})
}

// TestALaterVersionIsLeftAlone has a newer process write to a row in an older one's hands.
func TestALaterVersionIsLeftAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const tomorrow = `{"Wanted": 2, "Envelope": "large"}`
		o := newOffice(t)
		o.add("a", "", 2)
		o.post.does(func(context.Context, int) error {
			_, err := durable.Change(t.Context(), o.rows, id("a"), func(item *durable.Item) error {
				item.Version, item.Data = 2, []byte(tomorrow)
				return nil
			})
			return err
		})
		o.run(time.Minute, o.runner())
		item, err := o.rows.Get(t.Context(), id("a"))
		require.NoError(t, err)
		require.Equal(t, tomorrow, string(item.Data))
		require.Zero(t, item.Attempts)
		require.Zero(t, item.Lease)
		require.False(t, item.Due.IsZero(), "the newer one goes on")
		require.Equal(t, 1, o.post.calls)
	})
}

// TestRowsThatDoNotOpenHideNothing has rows of a lost key in front of the others.
func TestRowsThatDoNotOpenHideNothing(t *testing.T) {
	t.Parallel()
	lost, err := store.NewKeyring(store.NewKey())
	require.NoError(t, err)
	keys, err := store.NewKeyring(store.NewKey())
	require.NoError(t, err)
	for name := range newOffice(t).stores() {
		synctest.Test(t, func(t *testing.T) {
			o := newOffice(t)
			for n := range 50 {
				_, err := durable.Sealed(o.rows, lost).Put(t.Context(), durable.Item{ID: id(fmt.Sprint("lost ", n)), Due: time.Now().Add(-time.Hour), Data: []byte("x")})
				require.NoError(t, err)
			}
			st := durable.Sealed(o.stores()[name], keys)
			good := durable.Item{ID: id("good"), Due: time.Now(), Version: 1}
			require.NoError(t, write(&good, func(l *letter) { l.Wanted = 1 }))
			_, err := st.Put(t.Context(), good)
			require.NoError(t, err)
			o.run(30*time.Second, o.with(st))
			item, err := st.Get(t.Context(), id("good"))
			require.NoError(t, err)
			require.Equal(t, 1, read(item).Sent, name)
		})
	}
}

// TestAShutdownLosesNoLease ends a Runner while the database gives it rows.
func TestAShutdownLosesNoLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		o.add("a", "", 1)
		o.run(time.Second, o.with(cutOff{o.rows}))
		item, l := o.get("a")
		require.Zero(t, item.Lease)
		require.False(t, item.Due.IsZero())
		require.Zero(t, l.Sent)
	})
}

// cutOff does what was asked, and cannot say so when its context has ended.
type cutOff struct{ *durable.Memory }

func (c cutOff) Lease(ctx context.Context, q durable.Query, after string, lease durable.Lease) ([]durable.Item, string, error) {
	items, next, err := c.Memory.Lease(ctx, q, after, lease)
	select {
	case <-time.After(2 * time.Second):
		return items, next, err
	case <-ctx.Done():
		return nil, after, ctx.Err()
	}
}

// TestPlansThatAreNoneOfThese has a time to look again that is over, an effect without a
// name, and a stuck row that somebody changes.
func TestPlansThatAreNoneOfThese(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		o.add("past", "", 1)
		o.add("nameless", "", 1)
		looks, fail := 0, true
		plan := func(item durable.Item, now time.Time) (durable.Effect, error) {
			if item.ID == id("past") {
				looks++
				return durable.Effect{At: now.Add(-time.Hour)}, nil
			}
			if !fail {
				return durable.Effect{}, nil
			}
			return durable.Effect{Do: func(context.Context) (durable.Fact, error) { return nil, telemed.ErrUnavailable }}, nil
		}
		r := o.runner(func(cfg *durable.RunnerConfig) {
			cfg.Kinds, cfg.MaxAttempts = map[string]durable.Kind{"letter": {Version: 1, Plan: plan}}, 1
		})
		o.run(time.Minute, r)
		require.InDelta(t, 40, looks, 22, "about one a second or less, and not thousands")
		next, err := r.Step(t.Context(), id("past"))
		require.NoError(t, err)
		require.True(t, next.After(time.Now()), "or another engine asks again at once")
		require.Len(t, o.bad, 1)
		item, _ := o.get("nameless")
		require.Equal(t, "effect: provider unavailable", item.Stuck)

		fail = false
		_, err = durable.Change(t.Context(), o.rows, item.ID, func(item *durable.Item) error { item.Due = time.Now(); return nil })
		require.NoError(t, err)
		o.run(time.Minute, r)
		item, _ = o.get("nameless")
		require.Empty(t, item.Stuck, "there is nothing that a person must look at")
		require.Zero(t, item.Attempts)
	})
}

// TestALongStoryGoesOn has rows with more effects than follow each other at once: the
// process that gives them back leases them again, and is not in its own way.
func TestALongStoryGoesOn(t *testing.T) {
	t.Parallel()
	for range 4 {
		synctest.Test(t, func(t *testing.T) {
			o := newOffice(t)
			for n := range 10 {
				o.add(fmt.Sprint(n), "", 100)
			}
			o.run(20*time.Second, o.runner())
			for n := range 10 {
				item, l := o.get(fmt.Sprint(n))
				require.Equal(t, 100, l.Sent)
				require.Zero(t, item.Lease)
			}
		})
	}
}

// TestASmallTenantDoesNotSlowABigOne has a clinic with little to do all the time beside
// one with much.
func TestASmallTenantDoesNotSlowABigOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		for n := range 200 {
			o.add(fmt.Sprint("big ", n), "big", 1)
		}
		for n := range 6 {
			item := durable.Item{ID: id(fmt.Sprint("small ", n)), Tenant: "small", Version: 1, Due: time.Now().Add(time.Duration(n) * 500 * time.Millisecond)}
			require.NoError(t, write(&item, func(l *letter) { l.Wanted = 1 }))
			_, err := o.rows.Put(t.Context(), item)
			require.NoError(t, err)
		}
		o.post.does(func(context.Context, int) error { time.Sleep(50 * time.Millisecond); return nil })
		o.run(3*time.Second, o.runner())
		require.Greater(t, o.post.calls, 200, "eight workers do 160 a second")
	})
}

// TestStepThatComesSecond meets another process at the write of the lease.
func TestStepThatComesSecond(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.add("a", "", 1)
	st := &hooked{Store: o.rows, put: func(context.Context, durable.Item) (string, error) { return "", telemed.ErrConflict }}
	next, err := o.with(st).Step(t.Context(), id("a"))
	require.ErrorIs(t, err, telemed.ErrConflict)
	require.True(t, next.After(time.Now()), "it must be asked again: the other one may die")
}

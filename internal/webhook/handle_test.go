package webhook_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/internal/webhook"
	"github.com/telemed-go/telemed/store"
)

// wait returns a handler that takes its time, whatever its context says.
func wait(d time.Duration) func(context.Context, string) error {
	return func(context.Context, string) error { time.Sleep(d); return nil }
}

func TestEventsAreHandledOnce(t *testing.T) {
	t.Parallel()
	a := newApplication(nothing)
	for _, delivery := range []struct{ id, unsigned, want string }{
		{"a", "", "ok"}, {"a", "", "duplicate"}, {"b", "1", "ok"}, {"b", "2", "duplicate"}, {"c", "1", "duplicate"}, {"b", "", "duplicate"},
	} {
		status, text := a.answer(event(delivery.id), "Event-Id", delivery.unsigned)
		require.Equal(t, 200, status)
		require.Equal(t, delivery.want, text, delivery)
	}
	require.Equal(t, []int{1, 1, 0}, []int{a.count("a"), a.count("b"), a.count("c")})
}

// Keys are claimed sorted; those that were claimed already are free again if one is not
// new.
func TestAllKeysOrNone(t *testing.T) {
	t.Parallel()
	c := newClaims()
	a := newApplication(nothing, shared(c))
	_, err := c.Memory.Claim(t.Context(), "test:webhook:unsigned:1", time.Hour)
	require.NoError(t, err)
	status, _ := a.answer(event("a"), "Event-Id", "1")
	require.Equal(t, 503, status)
	require.Zero(t, a.count("a"))
	status, _ = a.answer(event("a"), "Event-Id", "2")
	require.Equal(t, 200, status)
	require.Equal(t, []string{
		"test:webhook:id:a", "test:webhook:unsigned:1", "test:webhook:id:a", "test:webhook:unsigned:2",
	}, c.keys)
}

// Whatever a provider calls an event, it can be claimed, and by no other name.
func TestOddKeys(t *testing.T) {
	t.Parallel()
	c := newClaims()
	a := newApplication(nothing, shared(c))
	ids := []string{"", " ", "\x00", "a\nb", "\u0085", strings.Repeat("x", 500), strings.Repeat("x", 501)}
	for _, id := range ids {
		for _, want := range []string{"ok", "duplicate"} {
			status, text := a.answer(event(id))
			require.Equal(t, 200, status, "%q", id)
			require.Equal(t, want, text, "%q", id)
		}
	}
	for _, key := range c.keys {
		require.NoError(t, store.CheckClaim(key, time.Minute))
	}
}

// countIn panics if there is no map.
func countIn(m map[string]int) { m["zkmark"]++ }

func TestFailuresAreSentAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fail func() error
		want int
		log  string
	}{
		"an error":   {func() error { return errors.New("database is down") }, 500, `error="database is down" permanent=false`},
		"incurable":  {func() error { return webhook.Permanent(errors.New("no such bill")) }, 200, `error="no such bill" permanent=true`},
		"wrapped":    {func() error { return fmt.Errorf("book: %w", webhook.Permanent(errors.New("no such bill"))) }, 200, "permanent=true"},
		"a panic":    {func() error { panic("zkmark") }, 500, "the handler panicked with string at"},
		"of runtime": {func() error { countIn(nil); return nil }, 500, "handle_test.go"},
		"the abort":  {func() error { panic(http.ErrAbortHandler) }, 500, "panicked with *errors.errorString"},
		"an exit":    {func() error { runtime.Goexit(); return nil }, 500, "the handler ended its goroutine"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var a *application
			a = newApplication(func(context.Context, string) error {
				if a.count("a") == 1 {
					return c.fail()
				}
				return nil
			})
			status, _ := a.answer(event("a"))
			require.Equal(t, c.want, status)
			require.Contains(t, a.log.String(), c.log)
			require.Contains(t, a.log.String(), "id=a", "which event it was")
			require.NotContains(t, a.log.String(), "zkmark")
			status, text := a.answer(event("a"))
			require.Equal(t, 200, status)
			require.Equal(t, map[int]string{500: "ok", 200: "duplicate"}[c.want], text)
		})
	}
	require.NoError(t, webhook.Permanent(nil))
	require.False(t, webhook.IsPermanent(nil))
}

func TestErrorsThatQuote(t *testing.T) {
	t.Parallel()
	a := newApplication(func(context.Context, string) error { return errors.New("zkmark") },
		func(cfg *webhook.Config) { cfg.HideErrors = true })
	status, _ := a.answer(event("a"))
	require.Equal(t, 500, status)
	require.Contains(t, a.log.String(), "error_type=*errors.errorString")
	require.NotContains(t, a.log.String(), "zkmark")
}

// One event of several fails: the others are handled, and not again when all come again.
func TestNeighbours(t *testing.T) {
	t.Parallel()
	var mended atomic.Bool
	a := newApplication(func(_ context.Context, id string) error {
		if strings.HasPrefix(id, "bad") && !mended.Load() {
			panic("zkmark")
		}
		return nil
	})
	body := event("bad1", "a", "b", "bad2", "c", "a")
	status, _ := a.answer(body)
	require.Equal(t, 500, status)
	require.Contains(t, a.log.String(), "events=6 failures=2")
	mended.Store(true)
	status, text := a.answer(body)
	require.Equal(t, 200, status)
	require.Equal(t, "ok", text)
	require.Equal(t, map[string]int{"bad1": 2, "a": 1, "b": 1, "bad2": 2, "c": 1}, a.handled)
}

func TestUnread(t *testing.T) {
	t.Parallel()
	a := newApplication(nothing)
	status, _ := a.answer("zkmark")
	require.Equal(t, 500, status)
	require.Contains(t, a.log.String(), "there is no Unread")
	require.Contains(t, a.log.String(), "body_sha256="+webhook.Digest([]byte("zkmark")))
	require.NotContains(t, a.log.String(), `"zkmark"`)

	taken := 0
	take := webhook.Unread([]byte("zkmark"), nil, func(context.Context) error {
		if taken++; taken == 1 {
			return errors.New("database is down")
		}
		return nil
	})
	door := newApplication(nothing, func(cfg *webhook.Config) {
		cfg.Open = func(context.Context, http.Header, []byte) (webhook.Delivery, error) {
			return webhook.Delivery{Events: []webhook.Event{take}}, nil
		}
	})
	for _, want := range []int{500, 200, 200} {
		status, _ := door.answer("zkmark")
		require.Equal(t, want, status)
	}
	require.Equal(t, 2, taken, "what was taken is not given again")
}

// Many deliveries of one event at once, to two processes: one effect, and nobody is told
// "done" before it is.
func TestConcurrentDeliveries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := store.NewMemory()
		var effects, early atomic.Int32
		var done atomic.Bool
		handle := func(context.Context, string) error {
			effects.Add(1)
			time.Sleep(time.Second)
			done.Store(true)
			return nil
		}
		processes := []*application{newApplication(handle, shared(c)), newApplication(handle, shared(c))}
		var wg sync.WaitGroup
		var ok, busy atomic.Int32
		for i := range 64 {
			wg.Go(func() {
				switch status, _ := processes[i%2].answer(event("a"), "Event-Id", fmt.Sprint(i)); {
				case status == 200 && !done.Load():
					early.Add(1)
				case status == 200:
					ok.Add(1)
				case status == 503:
					busy.Add(1)
				}
			})
		}
		wg.Wait()
		require.Equal(t, []int32{1, 1, 63, 0}, []int32{effects.Load(), ok.Load(), busy.Load(), early.Load()})
	})
}

// The provider has its answer in time, whatever the handler does; the event is not begun
// again while the handler runs, by no process, however long that is.
func TestHandlerThatIgnoresItsContext(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err   error
		after string
	}{
		"done in the end":    {nil, "200 duplicate"},
		"failed in the end":  {errors.New("too late"), "200 ok"},
		"incurable":          {webhook.Permanent(errors.New("no such bill")), "200 duplicate"},
		"panics in the end":  {http.ErrAbortHandler, "200 ok"},
		"minds it, but late": {context.DeadlineExceeded, "200 ok"},
	} {
		for _, takes := range []time.Duration{timeout + webhook.Grace + time.Millisecond, 19 * time.Second, 21 * time.Second, time.Minute, 3 * time.Hour} {
			t.Run(name+" after "+takes.String(), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					shared := shared(store.NewMemory())
					began := time.Now()
					slow := newApplication(func(context.Context, string) error {
						time.Sleep(takes)
						if c.err == http.ErrAbortHandler {
							panic(c.err)
						}
						return c.err
					}, shared)
					other := newApplication(nothing, shared)

					w := slow.deliver(event("a"))
					require.Equal(t, timeout+webhook.Grace, time.Since(began))
					require.Equal(t, 503, w.Code)
					require.NotEmpty(t, w.Header().Get("Retry-After"))
					require.Contains(t, slow.log.String(), "does not return in time")
					require.Contains(t, slow.log.String(), "id=a")
					for time.Since(began) < takes {
						for _, process := range []*application{slow, other} {
							status, _ := process.answer(event("a"))
							require.Equal(t, 503, status, "after %v", time.Since(began))
						}
						step := max(7*time.Second, takes/100)
						time.Sleep(min(step, max(takes-time.Since(began), time.Millisecond)))
					}
					require.NoError(t, slow.Shutdown(t.Context()))
					time.Sleep(time.Millisecond) // a claim ends no sooner
					status, text := other.answer(event("a"))
					require.Equal(t, c.after, fmt.Sprintf("%d %s", status, text))
					require.Equal(t, 1, slow.count("a"))
				})
			})
		}
	}
}

// A handler that minds its context answers before the provider gives up, and its claim is
// free at once.
func TestDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newApplication(func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() })
		began := time.Now()
		status, _ := a.answer(event("a"))
		require.Equal(t, 500, status)
		require.Equal(t, timeout, time.Since(began))
		_, _ = a.answer(event("a"))
		require.Equal(t, 2, a.count("a"))
	})
}

// What the first events leave no time for is not begun, and comes again; a handler that
// hangs keeps its own event from being handled, and no other.
func TestEventsWithoutTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newApplication(func(_ context.Context, id string) error {
			if strings.HasPrefix(id, "slow") {
				time.Sleep(time.Minute)
			}
			return nil
		})
		status, _ := a.answer(event("slow", "c"))
		require.Equal(t, 503, status)
		time.Sleep(time.Minute)
		require.Equal(t, []int{1, 0}, []int{a.count("slow"), a.count("c")}, "its context has ended")

		body := event("a", "slower", "b")
		status, _ = a.answer(body)
		require.Equal(t, 503, status)
		require.Equal(t, []int{1, 1, 0}, []int{a.count("a"), a.count("slower"), a.count("b")})
		status, _ = a.answer(body)
		require.Equal(t, 503, status)
		require.Equal(t, []int{1, 1, 1}, []int{a.count("a"), a.count("slower"), a.count("b")})
		require.NoError(t, a.Shutdown(t.Context()))
	})
}

// The provider hangs up: that ends nothing, and the request's values are there.
func TestProviderHangsUp(t *testing.T) {
	t.Parallel()
	type key struct{}
	ctx, hangUp := context.WithCancel(context.WithValue(t.Context(), key{}, "trace-7"))
	a := newApplication(func(ctx context.Context, _ string) error {
		hangUp()
		require.Equal(t, "trace-7", ctx.Value(key{}))
		deadline, ok := ctx.Deadline()
		require.True(t, ok)
		require.WithinDuration(t, time.Now().Add(timeout), deadline, timeout)
		return ctx.Err()
	})
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/", strings.NewReader(event("a")))
	r.Header.Set("Signature", sign(event("a")))
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	require.Equal(t, 200, w.Code)
	_, text := a.answer(event("a"))
	require.Equal(t, "duplicate", text)
}

func TestClaimsFail(t *testing.T) {
	t.Parallel()
	down := errors.New("database is down")
	for name, c := range map[string]struct {
		fail          func(*claims)
		err           error // of the first call
		first, second string
		calls         int
	}{
		"cannot be claimed":   {func(c *claims) { c.set(&c.claim, down) }, nil, "503 try again", "200 ok", 1},
		"cannot be completed": {func(c *claims) { c.set(&c.complete, down) }, nil, "200 ok", "503 try again", 1},
		"cannot be released":  {func(c *claims) { c.set(&c.release, down) }, down, "500 failed", "503 try again", 1},
		"the second key": {func(c *claims) {
			c.claim = func(key string) error {
				if strings.Contains(key, "unsigned") {
					return down
				}
				return nil
			}
		}, nil, "503 try again", "200 ok", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			broken := newClaims()
			c.fail(broken)
			a := newApplication(func(context.Context, string) error { return c.err }, shared(broken))
			status, text := a.answer(event("a"), "Event-Id", "1")
			require.Equal(t, c.first, fmt.Sprintf("%d %s", status, text))
			require.Contains(t, a.log.String(), "database is down")
			for _, f := range []*func(string) error{&broken.claim, &broken.complete, &broken.release} {
				broken.set(f, nil)
			}
			status, text = a.answer(event("a"), "Event-Id", "1")
			require.Equal(t, c.second, fmt.Sprintf("%d %s", status, text))
			require.Equal(t, c.calls, a.count("a"))
		})
	}
}

// Claims that hang do not keep the provider waiting.
func TestClaimsHang(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClaims()
		c.claim = func(string) error { time.Sleep(time.Hour); return nil }
		a := newApplication(nothing, shared(c))
		began := time.Now()
		status, _ := a.answer(event("a"))
		require.Equal(t, 503, status)
		require.Equal(t, timeout+webhook.Grace, time.Since(began))
		require.NoError(t, a.Shutdown(t.Context()))
	})
}

// A process dies while it handles an event: a minute later another one may.
func TestProcessDies(t *testing.T) {
	t.Parallel()
	for _, lived := range []time.Duration{time.Second, 50 * time.Second} { // not renewed, renewed
		synctest.Test(t, func(t *testing.T) {
			c := newClaims()
			dead := newApplication(wait(time.Hour), shared(c))
			status, _ := dead.answer(event("a"))
			require.Equal(t, 503, status)
			time.Sleep(lived)
			died := errors.New("this process is dead")
			c.set(&c.complete, died)
			c.set(&c.release, died)

			other := newApplication(nothing, shared(&claims{Memory: c.Memory}))
			status, _ = other.answer(event("a"))
			require.Equal(t, 503, status)
			time.Sleep(time.Minute)
			status, text := other.answer(event("a"))
			require.Equal(t, "200 ok", fmt.Sprintf("%d %s", status, text))
			require.NoError(t, dead.Shutdown(t.Context()))
			status, text = other.answer(event("a"))
			require.Equal(t, "200 duplicate", fmt.Sprintf("%d %s", status, text), "the dead one changes nothing")
		})
	}
}

// A process stood still for longer than its lease: what it says later of the event, which
// another process has handled meanwhile, counts for nothing.
func TestProcessStoodStill(t *testing.T) {
	t.Parallel()
	for name, late := range map[string]error{"done": nil, "failed": errors.New("late")} {
		synctest.Test(t, func(t *testing.T) {
			c := newClaims()
			still := newApplication(func(context.Context, string) error { time.Sleep(2 * time.Minute); return late }, shared(c))
			c.set(&c.complete, errors.New("stands still"))
			status, _ := still.answer(event("a"))
			require.Equal(t, 503, status)
			time.Sleep(time.Minute)
			other := newApplication(nothing, shared(&claims{Memory: c.Memory}))
			status, text := other.answer(event("a"))
			require.Equal(t, "200 ok", fmt.Sprintf("%d %s", status, text), name)
			c.set(&c.complete, nil)
			require.NoError(t, still.Shutdown(t.Context()))
			require.Contains(t, still.log.String(), "the claim is not under this token", name)
			time.Sleep(time.Millisecond)
			status, text = other.answer(event("a"))
			require.Equal(t, "200 duplicate", fmt.Sprintf("%d %s", status, text), name)
		})
	}
}

// What is kept is known as long as Config.Keep, and no longer than Claims can.
func TestKeep(t *testing.T) {
	t.Parallel()
	for keep, want := range map[time.Duration]time.Duration{time.Hour: time.Hour, 1 << 62: store.MaxClaimTime} {
		synctest.Test(t, func(t *testing.T) {
			a := newApplication(nothing, func(cfg *webhook.Config) { cfg.Keep = keep })
			for _, step := range []struct {
				after time.Duration
				want  string
			}{{0, "ok"}, {want - time.Millisecond, "duplicate"}, {time.Millisecond, "ok"}} {
				time.Sleep(step.after)
				_, text := a.answer(event("a"))
				require.Equal(t, step.want, text)
			}
		})
	}
}

func TestShutdown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newApplication(wait(time.Minute))
		began := time.Now()
		status, _ := a.answer(event("a"))
		require.Equal(t, 503, status)

		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		require.ErrorIs(t, a.Shutdown(ctx), context.DeadlineExceeded)
		w := a.deliver(event("b"))
		require.Equal(t, 503, w.Code)
		require.NotEmpty(t, w.Header().Get("Retry-After"))
		require.Zero(t, a.count("b"))
		status, _ = a.answer(event("b"), "Signature", "")
		require.Equal(t, 503, status, "nothing is read any more")
		var waiting sync.WaitGroup
		for range 3 {
			waiting.Go(func() {
				if err := a.Shutdown(t.Context()); err != nil || time.Since(began) != time.Minute {
					t.Errorf("Shutdown: %v after %v", err, time.Since(began))
				}
			})
		}
		waiting.Wait()
		require.NoError(t, a.Shutdown(t.Context()))
	})
	require.NoError(t, newApplication(nothing).Shutdown(t.Context()), "nothing ran")
}

// A delivery whose body is read while the door closes is refused too.
func TestShutdownWhileABodyArrives(t *testing.T) {
	t.Parallel()
	var a *application
	a = newApplication(nothing, func(cfg *webhook.Config) {
		open := cfg.Open
		cfg.Open = func(ctx context.Context, header http.Header, body []byte) (webhook.Delivery, error) {
			require.NoError(t, a.Shutdown(ctx))
			return open(ctx, header, body)
		}
	})
	status, _ := a.answer(event("a"))
	require.Equal(t, 503, status)
	require.Zero(t, a.count("a"))
}

// Handlers that never return do not pile up without bound.
func TestTooManyOutlive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		a := newApplication(func(context.Context, string) error { <-release; return nil })
		var wg sync.WaitGroup
		for i := range 1000 {
			wg.Go(func() { a.deliver(event(fmt.Sprint(i))) })
		}
		wg.Wait()
		status, _ := a.answer(event("one more"))
		require.Equal(t, 503, status)
		require.Zero(t, a.count("one more"))
		close(release)
		synctest.Wait()
		status, _ = a.answer(event("one more"))
		require.Equal(t, 200, status)
	})
}

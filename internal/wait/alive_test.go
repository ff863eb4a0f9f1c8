package wait

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// frozen is a clock that has run on while the process stood still.
type frozen struct{ stood atomic.Int64 }

func (f *frozen) now() time.Time { return time.Now().Add(time.Duration(f.stood.Load())) }

func (f *frozen) standStill(d time.Duration) { f.stood.Add(int64(d)) }

func TestTimeoutEndsOnTime(t *testing.T) {
	t.Parallel()
	for _, d := range []time.Duration{0, time.Millisecond, 999 * time.Millisecond, time.Second, 15*time.Second + 1, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			begin := time.Now()
			ctx, cancel := Timeout(t.Context(), d)
			defer cancel()
			end, ok := ctx.Deadline()
			require.True(t, ok)
			require.Equal(t, begin.Add(d), end)
			<-ctx.Done()
			require.Equal(t, d, time.Since(begin))
			require.Equal(t, context.DeadlineExceeded, ctx.Err())
			require.Equal(t, context.DeadlineExceeded, context.Cause(ctx))
		})
	}
}

// TestTimeoutCountsSeenTime has the process stand still in a wait of 15 seconds, early,
// at its very end, and many times.
func TestTimeoutCountsSeenTime(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		at   []time.Duration // of the time that was seen
		want time.Duration
	}{
		{"never", nil, 15 * time.Second},
		{"early", []time.Duration{500 * time.Millisecond}, 15 * time.Second},
		{"at the end", []time.Duration{14500 * time.Millisecond}, 15*time.Second + moment},
		{"again and again", []time.Duration{1500 * time.Millisecond, 2500 * time.Millisecond, 9500 * time.Millisecond}, 15 * time.Second},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				clock, begin := &frozen{}, time.Now()
				for _, at := range test.at {
					time.AfterFunc(at, func() { clock.standStill(time.Hour) })
				}
				ctx, cancel := timeout(t.Context(), 15*time.Second, clock.now)
				defer cancel()
				<-ctx.Done()
				require.Equal(t, test.want, time.Since(begin))
			})
		})
	}
}

func TestTimeoutIsAContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		outer, end := context.WithTimeout(context.WithValue(t.Context(), key{}, "value"), time.Second)
		defer end()
		ctx, cancel := Timeout(outer, time.Minute)
		defer cancel()
		require.Equal(t, "value", ctx.Value(key{}))
		deadline, _ := ctx.Deadline()
		require.Equal(t, time.Now().Add(time.Second), deadline, "the nearer one counts")
		inner, stop := context.WithTimeout(ctx, time.Hour)
		defer stop()
		<-inner.Done()
		require.Equal(t, context.DeadlineExceeded, ctx.Err())

		why := errors.New("shutdown")
		parent, cancelParent := context.WithCancelCause(t.Context())
		ctx, cancel = Timeout(parent, time.Minute)
		defer cancel()
		cancelParent(why)
		<-ctx.Done()
		require.Equal(t, context.Canceled, ctx.Err())
		require.Equal(t, why, context.Cause(ctx))

		ctx, cancel = Timeout(t.Context(), time.Minute)
		cancel()
		require.Equal(t, context.Canceled, ctx.Err())
	})
}

func TestAlive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		clock, begin := &frozen{}, time.Now()
		outer, end := context.WithTimeout(t.Context(), 10*time.Second)
		defer end()
		time.AfterFunc(9500*time.Millisecond, func() { clock.standStill(time.Minute) })
		ctx, cancel := alive(outer, clock.now)
		defer cancel()
		<-ctx.Done()
		require.Equal(t, 10*time.Second+moment, time.Since(begin), "it has a moment more")

		outer, end = context.WithTimeout(t.Context(), 10*time.Second)
		ctx, cancel = Alive(outer)
		defer cancel()
		end()
		<-ctx.Done()
		require.Equal(t, context.Canceled, ctx.Err(), "what is no deadline is obeyed at once")

		ctx, cancel = Alive(t.Context())
		_, bounded := ctx.Deadline()
		require.False(t, bounded)
		cancel()
		<-ctx.Done()
	})
}

func TestAfterStops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stop := After(time.Minute, func() { t.Error("it was stopped") })
		time.Sleep(59 * time.Second)
		stop()
		stop()
		time.Sleep(time.Hour)
	})
}

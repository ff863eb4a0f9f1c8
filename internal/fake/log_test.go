package fake_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/internal/fake"
)

func TestLog(t *testing.T) {
	t.Parallel()
	var log fake.Log[string]
	first := log.Add("a")
	log.Add("b")
	log.Edit(first, func(s *string) { *s += "!" })
	require.Equal(t, []string{"a!", "b"}, log.All())
	log.Reset()
	log.Edit(first, func(*string) { t.Error("it is forgotten") })
	second := log.Add("c")
	log.Edit(second, func(s *string) { *s += "!" })
	require.Equal(t, []string{"c!"}, log.All())
}

func TestWaitFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log fake.Log[int]
		is := func(want int) func(int) bool { return func(n int) bool { return n == want } }
		found := make(chan error, 2)
		for _, want := range []int{3, 4} {
			go func() {
				_, err := log.WaitFor(t.Context(), is(want))
				found <- err
			}()
		}
		log.Add(1)
		synctest.Wait()
		log.Reset()
		number := log.Add(3)
		require.NoError(t, <-found)
		synctest.Wait()
		require.Empty(t, found, "there is no 4 yet")
		log.Edit(number, func(n *int) { *n = 4 })
		require.NoError(t, <-found)

		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		_, err := log.WaitFor(ctx, is(5))
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

func TestClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var clock fake.Clock
		require.Equal(t, time.Now(), clock.Now())
		clock.Advance(time.Hour)
		clock.Advance(time.Minute)
		require.Equal(t, time.Now().Add(61*time.Minute), clock.Now())
	})
}

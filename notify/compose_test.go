package notify_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/notify"
)

// outcomes is a Notifier that gives one error after the other, then accepts, and counts.
type outcomes struct {
	name  string
	errs  []error
	calls int
}

func (o *outcomes) Notify(context.Context, notify.Message) (*notify.Receipt, error) {
	o.calls++
	if o.calls <= len(o.errs) && o.errs[o.calls-1] != nil {
		return nil, o.errs[o.calls-1]
	}
	return &notify.Receipt{ID: o.name}, nil
}

// delayed is an error as a leaf's: it has a kind, and knows when to come back.
type delayed struct {
	kind error
	wait time.Duration
}

func (d *delayed) Error() string             { return d.kind.Error() }
func (d *delayed) Unwrap() error             { return d.kind }
func (d *delayed) RetryDelay() time.Duration { return d.wait }

func TestFallback(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		first error
		next  bool
	}{
		"recipient":                       {notify.ErrRecipient, true},
		"forbidden":                       {telemed.ErrForbidden, true},
		"unauthorized":                    {telemed.ErrUnauthorized, true},
		"invalid":                         {notify.Message{}.Validate(notify.Email), true},
		"ambiguous":                       {telemed.ErrAmbiguous, false},
		"ambiguous and recipient":         {errors.Join(notify.ErrRecipient, telemed.ErrAmbiguous), false},
		"rate limited":                    {telemed.ErrRateLimited, false},
		"unavailable":                     {telemed.ErrUnavailable, false},
		"recipient, then unavailable":     {errors.Join(notify.ErrRecipient, telemed.ErrUnavailable), false},
		"something else":                  {errors.New("else"), false},
		"recipient at the end of a chain": {fmt.Errorf("a: %w", &delayed{kind: notify.ErrRecipient}), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first, second := &outcomes{errs: []error{c.first}}, &outcomes{name: "second"}
			receipt, err := notify.Fallback(first, second).Notify(t.Context(), valid())
			if c.next {
				require.NoError(t, err)
				require.Equal(t, "second", receipt.ID)
				return
			}
			require.ErrorIs(t, err, c.first)
			require.Nil(t, receipt)
			require.Zero(t, second.calls)
		})
	}
}

func TestFallbackReportsAll(t *testing.T) {
	t.Parallel()
	_, err := notify.Fallback(&outcomes{errs: []error{notify.ErrRecipient}}, &outcomes{errs: []error{telemed.ErrForbidden}}).Notify(t.Context(), valid())
	require.ErrorIs(t, err, notify.ErrRecipient)
	require.ErrorIs(t, err, telemed.ErrForbidden)

	_, err = notify.Fallback().Notify(t.Context(), valid())
	require.Error(t, err)

	ctx, cancel := context.WithCancel(t.Context())
	second := &outcomes{}
	_, err = notify.Fallback(notify.NotifierFunc(func(context.Context, notify.Message) (*notify.Receipt, error) {
		cancel()
		return nil, notify.ErrRecipient
	}), second).Notify(ctx, valid())
	require.ErrorIs(t, err, notify.ErrRecipient)
	require.ErrorIs(t, err, context.Canceled, "or it would look as if the second had refused too")
	require.Zero(t, second.calls, "the context has ended")
}

func TestFanout(t *testing.T) {
	t.Parallel()
	receipts, err := notify.Fanout(t.Context(), valid(),
		&outcomes{name: "a"}, &outcomes{errs: []error{notify.ErrRecipient}}, &outcomes{name: "c"}, &outcomes{errs: []error{telemed.ErrAmbiguous}})
	require.ErrorIs(t, err, notify.ErrRecipient)
	require.ErrorIs(t, err, telemed.ErrAmbiguous)
	require.Len(t, receipts, 2)
	require.Equal(t, "a", receipts[0].ID)
	require.Equal(t, "c", receipts[1].ID)

	receipts, err = notify.Fanout(t.Context(), valid())
	require.NoError(t, err)
	require.Empty(t, receipts)
}

// A panic is the caller's, where a server recovers it, and not the whole program's end.
func TestFanoutPanics(t *testing.T) {
	t.Parallel()
	other := &outcomes{name: "other"}
	defer func() {
		cause := fmt.Sprint(recover())
		require.Contains(t, cause, "broken")
		require.Contains(t, cause, "compose_test.go", "where it was")
		require.Equal(t, 1, other.calls, "the others are waited for")
	}()
	_, _ = notify.Fanout(t.Context(), valid(), other, notify.NotifierFunc(func(context.Context, notify.Message) (*notify.Receipt, error) {
		panic("broken")
	}))
}

func TestRetry(t *testing.T) {
	t.Parallel()
	soon := func(kind error, wait time.Duration) error { return fmt.Errorf("leaf: %w", &delayed{kind, wait}) }
	for name, c := range map[string]struct {
		errs     []error
		policy   notify.RetryPolicy
		calls    int
		want     error
		min, max time.Duration
	}{
		"accepted at once":      {nil, notify.RetryPolicy{}, 1, nil, 0, 0},
		"second time":           {[]error{telemed.ErrUnavailable}, notify.RetryPolicy{}, 2, nil, time.Second / 2, time.Second},
		"third time":            {[]error{telemed.ErrUnavailable, telemed.ErrRateLimited}, notify.RetryPolicy{}, 3, nil, 3 * time.Second / 2, 3 * time.Second},
		"never":                 {[]error{telemed.ErrUnavailable, telemed.ErrUnavailable, telemed.ErrRateLimited}, notify.RetryPolicy{}, 3, telemed.ErrRateLimited, time.Second, 3 * time.Second},
		"ambiguous":             {[]error{telemed.ErrAmbiguous}, notify.RetryPolicy{}, 1, telemed.ErrAmbiguous, 0, 0},
		"ambiguous among":       {[]error{errors.Join(telemed.ErrUnavailable, telemed.ErrAmbiguous)}, notify.RetryPolicy{}, 1, telemed.ErrAmbiguous, 0, 0},
		"recipient":             {[]error{notify.ErrRecipient}, notify.RetryPolicy{}, 1, notify.ErrRecipient, 0, 0},
		"as asked":              {[]error{soon(telemed.ErrRateLimited, 7*time.Second)}, notify.RetryPolicy{}, 2, nil, 7 * time.Second, 7 * time.Second},
		"asked for too long":    {[]error{soon(telemed.ErrRateLimited, time.Hour)}, notify.RetryPolicy{}, 1, telemed.ErrRateLimited, 0, 0},
		"one attempt":           {[]error{telemed.ErrUnavailable}, notify.RetryPolicy{Attempts: 1}, 1, telemed.ErrUnavailable, 0, 0},
		"bounded":               {[]error{telemed.ErrUnavailable, telemed.ErrUnavailable, telemed.ErrUnavailable}, notify.RetryPolicy{Attempts: 4, Base: time.Minute, Max: time.Minute}, 4, nil, 90 * time.Second, 3 * time.Minute},
		"base beyond the bound": {[]error{telemed.ErrUnavailable}, notify.RetryPolicy{Base: time.Hour, Max: time.Second}, 2, nil, time.Second / 2, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := &outcomes{name: "n", errs: c.errs}
				began := time.Now()
				receipt, err := notify.Retry(n, c.policy).Notify(t.Context(), valid())
				took := time.Since(began)
				require.Equal(t, c.calls, n.calls)
				require.ErrorIs(t, err, c.want)
				require.Equal(t, c.want == nil, receipt != nil)
				require.GreaterOrEqual(t, took, c.min)
				require.LessOrEqual(t, took, c.max)
			})
		})
	}
}

func TestRetryEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &outcomes{errs: []error{telemed.ErrUnavailable}}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		began := time.Now()
		_, err := notify.Retry(n, notify.RetryPolicy{}).Notify(ctx, valid())
		require.ErrorIs(t, err, telemed.ErrUnavailable)
		require.Equal(t, 1, n.calls)
		require.Zero(t, time.Since(began), "a wait that cannot end in time does not begin")
	})
	synctest.Test(t, func(t *testing.T) {
		n := &outcomes{errs: []error{telemed.ErrUnavailable}}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(100*time.Millisecond, cancel)
		began := time.Now()
		_, err := notify.Retry(n, notify.RetryPolicy{}).Notify(ctx, valid())
		require.ErrorIs(t, err, telemed.ErrUnavailable)
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, 1, n.calls)
		require.Equal(t, 100*time.Millisecond, time.Since(began))
	})
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	require.Zero(t, notify.RetryAfter(nil))
	require.Zero(t, notify.RetryAfter(telemed.ErrRateLimited))
	require.Zero(t, notify.RetryAfter(&delayed{telemed.ErrRateLimited, -time.Second}))
	require.Equal(t, time.Minute, notify.RetryAfter(errors.Join(notify.ErrRecipient, &delayed{telemed.ErrRateLimited, time.Minute})))
}

package whatsapp_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/whatsapp"
	"github.com/telemed-go/telemed/notify/whatsapp/whatsapptest"
)

// TestCodes has Meta's table, class by class.
func TestCodes(t *testing.T) {
	t.Parallel()
	srv := whatsapptest.NewServer(t)
	client := newClient(t, config(srv))
	for _, class := range []struct {
		kind  error
		codes []int
	}{
		{telemed.ErrUnavailable, []int{131016, 133004, 131057, 134101}},
		{telemed.ErrAmbiguous, []int{1, 2, 131000}},
		{telemed.ErrRateLimited, []int{4, 80007, 80008, 130429, 131056, 132069}},
		{telemed.ErrForbidden, []int{131048, 368, 131031, 131042, 130497, 132015, 132016}},
		{telemed.ErrForbidden, []int{131037, 131045, 133000, 133005, 133006, 133008, 133009, 133010, 133015, 133016}},
		{telemed.ErrUnauthorized, []int{0, 3, 10, 190, 200, 230, 299, 131005}},
		{notify.ErrRecipient, []int{131026, 131021, 131030, 131050, 131062, 131047, 131049, 130472}},
		{telemed.ErrInvalid, []int{33, 100, 131008, 131009, 131051, 131052, 131053, 132000, 132001, 132005, 132007, 132012, 132018, 132068, 135000}},
	} {
		for _, code := range class.codes {
			require.Equal(t, class.kind, whatsapp.KindOf(code), "code %d", code)
			srv.FailNext(whatsapptest.Refuse("", 0, code, "Message to "+phone+" failed to send"))
			_, err := client.Notify(t.Context(), message("k"))
			require.ErrorIs(t, err, class.kind, "code %d over HTTP", code)
			require.NotContains(t, err.Error(), phone[1:])
		}
	}
	for _, unknown := range []int{-1, 5, 199, 300, 131054, 999999} {
		require.NoError(t, whatsapp.KindOf(unknown))
	}
	require.Empty(t, srv.Messages())
}

func TestRepeatsOnlyWhatWasNotSent(t *testing.T) {
	t.Parallel()
	refused := &net.OpError{Op: "dial", Err: errors.New("connection refused by +919876500042")}
	throttled := func() (*http.Response, error) { return answer(429, `{"error":{"code":130429}}`), nil }
	for name, c := range map[string]struct {
		first func() (*http.Response, error)
		calls int
		want  error // nil: the second attempt is accepted
	}{
		"throttled":        {throttled, 2, nil},
		"throttled by 400": {func() (*http.Response, error) { return answer(400, `{"error":{"code":4}}`), nil }, 2, nil},
		"Retry-After":      {func() (*http.Response, error) { return answer(429, ``, "Retry-After", "5"), nil }, 2, nil},
		"long Retry-After": {func() (*http.Response, error) { return answer(429, ``, "Retry-After", "6"), nil }, 1, telemed.ErrRateLimited},
		"pair limit":       {func() (*http.Response, error) { return answer(429, `{"error":{"code":131056}}`), nil }, 1, telemed.ErrRateLimited},
		"overloaded":       {func() (*http.Response, error) { return answer(500, `{"error":{"code":131016}}`), nil }, 2, nil},
		"maintenance":      {func() (*http.Response, error) { return answer(503, `{"error":{"code":131057}}`), nil }, 1, telemed.ErrUnavailable},
		"no connection":    {func() (*http.Response, error) { return nil, refused }, 2, nil},
		"connection lost":  {func() (*http.Response, error) { return nil, errors.New("EOF after " + phone) }, 1, telemed.ErrAmbiguous},
		"broken":           {func() (*http.Response, error) { return answer(503, "<html>"), nil }, 1, telemed.ErrAmbiguous},
		"recipient":        {func() (*http.Response, error) { return answer(400, `{"error":{"code":131026}}`), nil }, 1, notify.ErrRecipient},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				calls := 0
				client := offline(t, nil, func(*http.Request) (*http.Response, error) {
					calls++
					if calls == 1 {
						return c.first()
					}
					return answer(200, accepted), nil
				})
				began := time.Now()
				_, err := client.Notify(t.Context(), message("k"))
				require.Equal(t, c.calls, calls)
				if c.want != nil {
					require.ErrorIs(t, err, c.want)
					require.NotContains(t, err.Error(), phone)
					require.Zero(t, time.Since(began), "there is nothing to wait for")
					return
				}
				require.NoError(t, err)
				require.LessOrEqual(t, time.Since(began), 5*time.Second)
			})
		})
	}
}

func TestAttempts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for attempts, want := range map[int]int{0: 3, 1: 1, 5: 5} {
			calls := 0
			client := offline(t, func(cfg *whatsapp.Config) { cfg.Attempts = attempts }, func(*http.Request) (*http.Response, error) {
				calls++
				return answer(429, ""), nil
			})
			_, err := client.Notify(t.Context(), message("k"))
			require.ErrorIs(t, err, telemed.ErrRateLimited)
			require.Equal(t, want, calls)
		}
	})
}

// The client's own timeout tells a Meta that cannot be reached, to which the message may
// be sent again, from one that does not answer.
func TestOwnTimeout(t *testing.T) {
	t.Parallel()
	srv := whatsapptest.NewServer(t)
	done := make(chan struct{})
	t.Cleanup(func() { close(done) })
	srv.FailNext(whatsapptest.Fault{Hang: true})
	unreachable := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		<-done
		return nil, errors.New("done")
	}}
	for name, c := range map[string]struct {
		transport http.RoundTripper
		want      error
	}{
		"unreachable": {unreachable, telemed.ErrUnavailable},
		"silent":      {http.DefaultTransport, telemed.ErrAmbiguous},
	} {
		cfg := config(srv)
		cfg.Attempts, cfg.HTTPClient = 3, &http.Client{Transport: c.transport, Timeout: time.Second}
		began := time.Now()
		_, err := newClient(t, cfg).Notify(t.Context(), message("k"))
		require.ErrorIs(t, err, c.want, name)
		require.ErrorIs(t, err, context.DeadlineExceeded, name)
		require.Less(t, time.Since(began), 5*time.Second, name)
	}
}

func TestContextEndsTheCall(t *testing.T) {
	t.Parallel()
	srv := whatsapptest.NewServer(t)
	client := newClient(t, config(srv))
	srv.FailNext(whatsapptest.Fault{Hang: true})
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	_, err := client.Notify(ctx, message("k"))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorIs(t, err, telemed.ErrAmbiguous, "it may have been taken")
	require.EqualError(t, err, "whatsapp: Notify: outcome unknown: context deadline exceeded")

	synctest.Test(t, func(t *testing.T) { // while waiting to repeat
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		calls := 0
		client := offline(t, nil, func(*http.Request) (*http.Response, error) {
			calls++
			return answer(429, "", "Retry-After", "3"), nil
		})
		_, err := client.Notify(ctx, message("k"))
		require.ErrorIs(t, err, telemed.ErrRateLimited)
		require.Equal(t, 1, calls)
	})
}

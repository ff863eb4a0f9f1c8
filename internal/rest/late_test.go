package rest_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/rest"
	"github.com/telemed-go/telemed/internal/wait"
)

// late sends a request that is to be begun within a minute over base, and returns what came
// of it.
func late(t *testing.T, base http.RoundTripper) *rest.Error {
	t.Helper()
	ctx := wait.BeginBy(t.Context(), time.Now().Add(time.Minute))
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://zoom.example/token", strings.NewReader("refresh_token=spent"))
	require.NoError(t, err)
	response, err := (&rest.Transport{Base: base, Attempts: 1}).RoundTrip(req)
	if response != nil {
		_ = response.Body.Close()
	}
	failure, ok := errors.AsType[*rest.Error](err)
	require.True(t, ok, "%v", err)
	return failure
}

// TestNothingIsSentOnceItIsLate has a process stand still while its connection is made.
func TestNothingIsSentOnceItIsLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		arrived := make(chan string, 1)
		base := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			time.Sleep(time.Hour)
			here, there := net.Pipe()
			go func() {
				all, _ := io.ReadAll(there)
				arrived <- string(all)
			}()
			return here, nil
		}}
		failure := late(t, base)
		require.True(t, failure.Unsent, "it surely did not happen")
		require.Equal(t, telemed.ErrUnavailable, failure.Kind)
		require.ErrorIs(t, failure, context.DeadlineExceeded)
		require.NotContains(t, <-arrived, "spent")
	})
}

// again is a transport that sends a body anew, as net/http does over a connection that was
// closed meanwhile.
type again struct{ got string }

func (a *again) RoundTrip(req *http.Request) (*http.Response, error) {
	first, err := io.ReadAll(req.Body)
	if err != nil || string(first) != "refresh_token=spent" {
		return nil, err
	}
	httptrace.ContextClientTrace(req.Context()).WroteHeaders()
	time.Sleep(time.Hour)
	body, err := req.GetBody()
	if err != nil {
		return nil, err
	}
	second, err := io.ReadAll(body)
	a.got = string(second)
	return nil, err
}

func TestNothingIsSentAgainOnceItIsLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		base := &again{}
		failure := late(t, base)
		require.ErrorIs(t, failure, context.DeadlineExceeded)
		require.False(t, failure.Unsent, "the first one may have arrived")
		require.Empty(t, base.got)
	})
}

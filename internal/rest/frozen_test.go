package rest_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/rest"
)

// thawed is the context of a process that was frozen: its deadline is over, and its timer
// has not fired yet.
type thawed struct{ context.Context }

func (thawed) Deadline() (time.Time, bool) { return time.Now().Add(-time.Minute), true }

type counting struct{ sent int }

func (c *counting) RoundTrip(*http.Request) (*http.Response, error) {
	c.sent++
	return nil, http.ErrServerClosed
}

// TestNothingIsSentAfterAFreeze: others may have taken over what the request is about.
func TestNothingIsSentAfterAFreeze(t *testing.T) {
	t.Parallel()
	base := &counting{}
	req, err := http.NewRequestWithContext(thawed{t.Context()}, http.MethodPost, "https://zoom.example/token", nil)
	require.NoError(t, err)
	response, err := (&rest.Transport{Base: base}).RoundTrip(req)
	if response != nil {
		_ = response.Body.Close()
	}
	require.ErrorIs(t, err, context.DeadlineExceeded)
	failure, ok := errors.AsType[*rest.Error](err)
	require.True(t, ok)
	require.True(t, failure.Unsent, "it surely did not happen")
	require.Equal(t, telemed.ErrUnavailable, failure.Kind)
	require.Zero(t, base.sent)
}

package engineio

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

// The official text says of a poll that the client breaks off: "closes the session upon
// cancelled polling request". Another may be on its way, past the question whether the session
// is over: it finds the first one still there, and is refused.
func TestPollBesideOneThatIsBrokenOff(t *testing.T) {
	t.Parallel()
	server := newServer(t, Config{
		Open: func(s *Session, _ *http.Request) (Handler, error) { return echo{s}, nil },
	})
	server.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/?"+poll, nil))
	session := server.live()[0]
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	session.poll(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil))
	require.ErrorIs(t, session.why(), errClientLeft)
	require.Len(t, session.polls, 1)

	late := httptest.NewRecorder()
	session.poll(late, httptest.NewRequest(http.MethodGet, "/", nil))
	require.Equal(t, http.StatusBadRequest, late.Code)
	<-session.Finished()
}

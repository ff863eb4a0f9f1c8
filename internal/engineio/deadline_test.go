package engineio

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/internal/fake"
	"github.com/telemed-go/telemed/internal/inbound"
)

// A body has ten seconds, whatever the server's timeouts, and a poll has all the time that it
// needs, by both protocols. A body that comes too late costs its request and not the session.
func TestBodyTimeout(t *testing.T) {
	t.Parallel()
	for _, major := range []int{1, 2} {
		synctest.Test(t, func(t *testing.T) {
			w, ask := overProtocol(t, major, &http.Server{ReadTimeout: time.Minute, WriteTimeout: 20 * time.Second})
			polls := poll + "&sid=" + w.parse(ask("GET", poll, http.NoBody).body).SID
			waiting := make(chan answer, 1)
			go func() { waiting <- ask("GET", polls, http.NoBody) }()
			start := time.Now()
			slow, rest := io.Pipe()
			late := make(chan answer, 1)
			go func() { late <- ask("POST", polls, slow) }()
			_, err := rest.Write([]byte("4hel"))
			require.NoError(t, err)
			require.Equal(t, 408, (<-late).status, "HTTP/%d", major)
			require.Equal(t, inbound.Time, time.Since(start))
			require.NoError(t, rest.Close())
			require.Equal(t, answer{200, "2"}, <-waiting, "HTTP/%d", major)
			require.Equal(t, 25*time.Second, time.Since(start), "longer than WriteTimeout")
			require.Equal(t, "ok", ask("POST", polls, strings.NewReader("3\x1e4hello")).body)
			require.Equal(t, answer{200, "4hello"}, ask("GET", polls, http.NoBody))
		})
	}
}

// overProtocol serves by one major version of HTTP alone.
func overProtocol(t *testing.T, major int, server *http.Server) (w world, ask func(method, query string, body io.Reader) answer) {
	t.Helper()
	l, err := fake.Listen("", true)
	require.NoError(t, err)
	protocols := new(http.Protocols)
	protocols.SetHTTP1(major == 1)
	protocols.SetUnencryptedHTTP2(major == 2)
	w = world{t, newServer(t, Config{
		Open: func(s *Session, _ *http.Request) (Handler, error) { return echo{s}, nil },
	}), l, &http.Transport{DialContext: l.Dial, Protocols: protocols}}
	server.Handler, server.Protocols = w.engine, protocols
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	t.Cleanup(func() {
		require.NoError(t, w.engine.Shutdown(context.Background()))
		w.http.CloseIdleConnections()
		require.NoError(t, server.Close())
		require.ErrorIs(t, <-ended, http.ErrServerClosed)
	})
	return w, func(method, query string, body io.Reader) answer {
		r, err := http.NewRequestWithContext(t.Context(), method, "http://"+l.Address()+"/engine.io/?"+query, body)
		if err != nil {
			t.Error(err)
			return answer{}
		}
		response, err := w.http.RoundTrip(r)
		if err != nil {
			t.Error(err)
			return answer{}
		}
		defer response.Body.Close()
		text, _ := io.ReadAll(response.Body)
		if response.ProtoMajor != major {
			t.Error(response.Proto)
		}
		return answer{response.StatusCode, string(text)}
	}
}

package engineio

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// lazy takes its time with each message.
type lazy struct{ silent }

func (lazy) Message([]byte, bool) error {
	time.Sleep(30 * time.Second)
	return nil
}

// A POST whose packets wait for the worker is answered, however long that takes and whatever
// the server's WriteTimeout: a client that hears nothing believes that the session is lost.
func TestPostOutlivesTheServersTimeout(t *testing.T) {
	t.Parallel()
	for _, major := range []int{1, 2} {
		synctest.Test(t, func(t *testing.T) {
			w, ask := overProtocol(t, major, &http.Server{WriteTimeout: 5 * time.Second})
			w.engine.cfg.Open = func(*Session, *http.Request) (Handler, error) { return lazy{}, nil }
			polls := poll + "&sid=" + w.parse(ask("GET", poll, http.NoBody).body).SID
			require.Equal(t, answer{200, "ok"}, ask("POST", polls, strings.NewReader("4hello")), "HTTP/%d", major)
			ended := make(chan answer, 1)
			go func() { ended <- ask("GET", polls, http.NoBody) }()
			require.Equal(t, answer{200, "2"}, <-ended)
		})
	}
}

// Who has not entered, or leaves twice, is in the lobby once.
func TestLeavingTwice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var session *Session
		server := newServer(t, Config{
			Open: func(s *Session, _ *http.Request) (Handler, error) {
				session = s
				return silent{}, nil
			},
			ConnectTimeout: 10 * time.Second, MaxUnconnectedPerAddr: 2,
			ClientAddr: func(*http.Request) netip.Addr { return netip.MustParseAddr("192.0.2.1") },
		})
		server.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/?EIO=4&transport=polling", nil))
		for range 5 {
			session.Leave()
		}
		require.Equal(t, 1, server.lobby.waiting.Len())
		session.Enter()
		require.Zero(t, server.lobby.waiting.Len())
		require.Empty(t, server.lobby.addrs)
		require.Empty(t, server.lobby.crowds)
		time.Sleep(20 * time.Second) // no timer of an earlier Leave is left
		require.False(t, session.isOver())
		require.NoError(t, server.Shutdown(context.Background()))
	})
}

// A client that has the answer to its goodbye and polls again is told that the session is over,
// also before the worker has ended it.
func TestPollAfterTheGoodbye(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var session *Session
		server := newServer(t, Config{Open: func(s *Session, _ *http.Request) (Handler, error) {
			session = s
			return silent{}, nil
		}})
		ask := func(query string) *httptest.ResponseRecorder {
			answer := httptest.NewRecorder()
			server.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/?EIO=4&transport=polling"+query, nil))
			return answer
		}
		ask("")
		_, err := session.Put(lastWord{session, make(chan struct{}, 1)}, [][]byte{noopMessage}, noopMessage)
		require.NoError(t, err)
		require.Equal(t, "6", ask("&sid="+session.id).Body.String())
		again := ask("&sid=" + session.id)
		require.Equal(t, http.StatusBadRequest, again.Code)
		require.Contains(t, again.Body.String(), `"code":1`)
		require.False(t, session.isOver())
		require.NoError(t, server.Shutdown(context.Background()))
	})
}

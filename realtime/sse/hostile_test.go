package sse_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/realtime/sse"
)

// Raw requests: HTTP/1.0 gets a stream that ends with the connection, HEAD none.
func TestOldAndOddRequests(t *testing.T) {
	t.Parallel()
	c := setup(t, overHTTP1)
	dial := func(request string) *bufio.Reader {
		conn, err := net.Dial("tcp", c.server.Listener.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		_, err = conn.Write([]byte(request))
		require.NoError(t, err)
		return bufio.NewReader(conn)
	}
	old := dial("GET /live?room=clinic-7 HTTP/1.0\r\n\r\n")
	answer, err := http.ReadResponse(old, nil)
	require.NoError(t, err)
	require.Equal(t, 200, answer.StatusCode)
	page := newListener(t, answer)
	page.want(at)
	c.broadcast(t, "clinic-7", "n", 1)
	page.want(n("1"))
	head, err := http.ReadResponse(dial("HEAD /live?room=clinic-7 HTTP/1.1\r\nHost: h\r\n\r\n"), nil)
	require.NoError(t, err)
	require.Equal(t, 405, head.StatusCode)
	require.Equal(t, 1, c.hub.Stats().Connections)
}

// What a client brings back cannot become a line of its own stream.
func TestInjection(t *testing.T) {
	t.Parallel()
	c := setup(t, overHTTP1, keeping(&realtime.MemoryJournal{}))
	page := c.listen(t, "clinic-7")
	page.want(at)
	for _, break_ := range []string{"\n", "\r", "\r\n", "\n\ndata: evil\n\n", "\x00", "\u2028"} {
		id := page.id[:40] + break_ + page.id[40:]
		r := c.ask(t, "clinic-7")
		r.URL.RawQuery += "&" + url.Values{"since": {id}}.Encode()
		back := newListener(t, c.do(t, r))
		event, err := back.next()
		require.NoError(t, err)
		require.Contains(t, []got{at, gap}, event)
		require.NotContains(t, back.id, "evil")
		back.leave()
	}
	require.NoError(t, c.hub.Broadcast(t.Context(), "clinic-7", realtime.Event{
		Name: "data: a", Data: json.RawMessage("{\"a\":\r1,\"b\":\n\"\\r\\n\\u0000\"}"),
	}))
	page.want(got{"data: a", "{\"a\":1,\"b\":\"\\r\\n\\u0000\"}"})
}

// A listener that takes nothing does not hold up the end of the hub for longer than a socket
// that is closed.
func TestShutdownWithAStalledListener(t *testing.T) {
	t.Parallel()
	c := setup(t, overHTTP1, func(_ *realtime.Config, cfg *sse.Config) { cfg.WriteTimeout = time.Hour })
	conn, err := net.Dial("tcp", c.server.Listener.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	_, err = fmt.Fprintf(conn, "GET /live?room=clinic-7 HTTP/1.1\r\nHost: %s\r\n\r\n", c.server.Listener.Addr())
	require.NoError(t, err)
	require.Eventually(t, func() bool { return c.hub.Stats().Rooms == 1 }, time.Minute, time.Millisecond)
	for range 20 {
		c.broadcast(t, "clinic-7", "n", strings.Repeat("x", 900_000))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	require.NoError(t, c.hub.Shutdown(ctx))
}

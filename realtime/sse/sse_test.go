package sse_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/realtime/sse"
)

func TestConfig(t *testing.T) {
	t.Parallel()
	_, err := sse.New(sse.Config{
		AllowedOrigins: []string{"*"}, AllowedHosts: []string{"https://x"},
		PingInterval: -1, WriteTimeout: -1, Retry: -1,
	})
	require.ErrorIs(t, err, telemed.ErrInvalid)
	for _, field := range []string{"Hub", "AllowedOrigins", "AllowedHosts", "PingInterval", "WriteTimeout", "Retry"} {
		require.ErrorContains(t, err, field)
	}
}

func TestStream(t *testing.T) {
	each(t, func(t *testing.T, start begin) {
		c := setup(t, start)
		page := c.listen(t, "clinic-7,clinic-6,clinic-7")
		require.Equal(t, "no-store", page.answer.Header.Get("Cache-Control"))
		require.Equal(t, "no", page.answer.Header.Get("X-Accel-Buffering"))
		require.Equal(t, "nosniff", page.answer.Header.Get("X-Content-Type-Options"))
		require.Equal(t, "Origin", page.answer.Header.Get("Vary"))
		page.want(at)
		milliseconds, err := strconv.Atoi(page.retry)
		require.NoError(t, err)
		require.True(t, 10 <= milliseconds && milliseconds <= 30, page.retry)

		c.broadcast(t, "clinic-5", "n", "of another room")
		c.broadcast(t, "clinic-7", "n", 1)
		c.broadcast(t, "clinic-6", "n", map[string]string{"name": "आशा\nrn\r <&> \u2028"})
		page.want(n("1"), n(`{"name":"आशा\nrn\r \u003c\u0026\u003e \u2028"}`))

		long := strings.Repeat("à", 200_000)
		c.broadcast(t, "clinic-7", "n", long)
		page.want(n(`"` + long + `"`))
		page.leave()
		require.Eventually(t, func() bool { return c.hub.Stats().Connections == 0 }, 30*time.Second, time.Millisecond)
	})
}

// A burst is no slowness.
func TestBurst(t *testing.T) {
	each(t, func(t *testing.T, start begin) {
		c := setup(t, start, keeping(&realtime.MemoryJournal{}))
		page := c.listen(t, "clinic-7")
		page.want(at)
		for i := range 3000 {
			c.broadcast(t, "clinic-7", "n", i)
		}
		for i := range 3000 {
			page.want(n(strconv.Itoa(i)))
		}
		require.Zero(t, c.hub.Stats().Slow)
	})
}

func TestRefusals(t *testing.T) {
	each(t, func(t *testing.T, start begin) {
		journal := &realtime.MemoryJournal{}
		c := setup(t, start, keeping(journal), func(rooms *realtime.Config, _ *sse.Config) { rooms.MaxRooms = 3 })
		for _, test := range []struct {
			rooms  string
			more   []string
			status int
		}{
			{"clinic-9", nil, 403},
			{"clinic-7,clinic-9", nil, 403},
			{"clinic-7,clinic-9", []string{"Last-Event-ID: x"}, 204},
			{"user-ada", []string{"Cookie: user=ada"}, 403},
			{"clinic-7", []string{"Cookie: user=mallory"}, 403},
			{"clinic-7", []string{"Cookie: user=mallory", "Last-Event-ID: x"}, 204},
			{"", nil, 400},
			{"a\nb", nil, 400},
			{strings.Repeat("x", 129), nil, 400},
			{"a,b,c,d", nil, 400},
			{"clinic-7", []string{"Origin: https://evil.example"}, 403},
			{"clinic-7", []string{"Origin: https://evil.example", "Last-Event-ID: x"}, 403},
			{"clinic-7", []string{"Sec-Fetch-Site: cross-site"}, 403},
		} {
			answer := c.do(t, c.ask(t, test.rooms, test.more...))
			require.Equal(t, test.status, answer.StatusCode, test.rooms)
			require.Equal(t, "no-store", answer.Header.Get("Cache-Control"))
			require.Zero(t, c.hub.Stats().Connections)
			require.Zero(t, c.hub.Stats().Rooms)
		}
		bare := c.ask(t, "clinic-7")
		bare.URL.RawQuery = "clinic=7"
		require.Equal(t, 400, c.do(t, bare).StatusCode)
		bare = c.ask(t, "clinic-7")
		bare.Method = http.MethodPost
		require.Equal(t, 405, c.do(t, bare).StatusCode)
	})
}

// A browser gives up at any status but 200. Who may come again later gets a stream that ends.
func TestLater(t *testing.T) {
	each(t, func(t *testing.T, start begin) {
		c := setup(t, start, func(rooms *realtime.Config, _ *sse.Config) { rooms.MaxConnections = 1 })
		later := func(rooms string) {
			t.Helper()
			page := c.listen(t, rooms)
			page.ends()
			milliseconds, err := strconv.Atoi(page.retry)
			require.NoError(t, err)
			require.True(t, 30 <= milliseconds && milliseconds <= 90, page.retry)
			require.Empty(t, page.id)
		}
		later("clinic-8") // the database is down
		page := c.listen(t, "clinic-7")
		page.want(at)
		later("clinic-7") // the hub is full
		require.NoError(t, c.hub.Shutdown(within(t)))
		page.ends()
		later("clinic-7") // the hub is closed
	})
}

// Shutdown ends streams and waits for them.
func TestShutdown(t *testing.T) {
	each(t, func(t *testing.T, start begin) {
		c := setup(t, start)
		pages := make([]*listener, 20)
		for i := range pages {
			pages[i] = c.listen(t, "clinic-7")
			pages[i].want(at)
		}
		require.NoError(t, c.hub.Shutdown(within(t)))
		for _, page := range pages {
			page.ends()
		}
	})
}

// Who is kicked gets nothing that is appended later, and does not come again.
func TestKick(t *testing.T) {
	each(t, func(t *testing.T, start begin) {
		var mu sync.Mutex
		gone := false
		c := setup(t, start, keeping(&realtime.MemoryJournal{}), func(rooms *realtime.Config, _ *sse.Config) {
			rooms.Authorize = func(_ context.Context, who realtime.Client, _ string) error {
				mu.Lock()
				defer mu.Unlock()
				if gone && who.Subject == "ada" {
					return telemed.ErrForbidden
				}
				return nil
			}
		})
		ada, bob := c.listen(t, "clinic-7", "Cookie: user=ada"), c.listen(t, "clinic-7", "Cookie: user=bob")
		ada.want(at)
		bob.want(at)
		c.broadcast(t, "clinic-7", "n", 1)
		ada.want(n("1"))
		mu.Lock()
		gone = true
		mu.Unlock()
		_, err := c.hub.Disconnect(t.Context(), "ada")
		require.NoError(t, err)
		c.broadcast(t, "clinic-7", "n", 2)
		ada.ends()
		bob.want(n("1"), n("2"))
		answer := c.do(t, c.ask(t, "clinic-7", "Cookie: user=ada", "Last-Event-ID: "+ada.id))
		require.Equal(t, http.StatusNoContent, answer.StatusCode)
	})
}

// Who logs out while the request is under way is not let in by the first answer.
func TestLogoutMeanwhile(t *testing.T) {
	t.Parallel()
	calls := 0
	c := setup(t, overHTTP1, func(rooms *realtime.Config, _ *sse.Config) {
		rooms.Authenticate = func(*http.Request) (string, error) {
			if calls++; calls == 1 {
				return "ada", nil
			}
			return "", nil
		}
	})
	require.Equal(t, http.StatusForbidden, c.do(t, c.ask(t, "clinic-7")).StatusCode)
	require.Equal(t, 2, calls)
	require.Zero(t, c.hub.Stats().Connections)
}

func TestOrigins(t *testing.T) {
	each(t, func(t *testing.T, start begin) {
		c := setup(t, start, func(_ *realtime.Config, cfg *sse.Config) { cfg.AllowedOrigins = []string{"https://clinic.example"} })
		listed := c.listen(t, "clinic-7", "Origin: https://clinic.example")
		require.Equal(t, "https://clinic.example", listed.answer.Header.Get("Access-Control-Allow-Origin"))
		require.Equal(t, "true", listed.answer.Header.Get("Access-Control-Allow-Credentials"))
		own := c.listen(t, "clinic-7", "Origin: "+c.server.URL)
		require.Empty(t, own.answer.Header.Get("Access-Control-Allow-Origin"))

		refused := c.hub.Stats().Refused
		require.Equal(t, 403, c.do(t, c.ask(t, "clinic-7", "Origin: null")).StatusCode)
		require.Equal(t, refused+1, c.hub.Stats().Refused)
		rebound := c.ask(t, "clinic-7")
		rebound.Host = "evil.example"
		require.Equal(t, 403, c.do(t, rebound).StatusCode)
		require.Equal(t, refused+2, c.hub.Stats().Refused)

		question := c.ask(t, "clinic-7", "Origin: https://clinic.example", "Access-Control-Request-Headers: last-event-id")
		question.Method = http.MethodOptions
		answer := c.do(t, question)
		require.Equal(t, []any{204, "GET", "last-event-id"},
			[]any{answer.StatusCode, answer.Header.Get("Access-Control-Allow-Methods"), answer.Header.Get("Access-Control-Allow-Headers")})
	})
}

// A foreign page must not listen with its visitor's cookies.
func TestAnyOrigin(t *testing.T) {
	t.Parallel()
	subjects := make(chan string, 2)
	c := setup(t, overHTTP1, func(rooms *realtime.Config, cfg *sse.Config) {
		cfg.AllowAnyOrigin = true
		rooms.Authorize = func(_ context.Context, who realtime.Client, _ string) error {
			subjects <- who.Subject
			return nil
		}
	})
	page := c.listen(t, "clinic-7", "Origin: https://evil.example", "Cookie: user=ada")
	require.Equal(t, "*", page.answer.Header.Get("Access-Control-Allow-Origin"))
	require.Empty(t, page.answer.Header.Get("Access-Control-Allow-Credentials"))
	require.Empty(t, <-subjects)
	c.listen(t, "clinic-7", "Cookie: user=ada")
	require.Equal(t, "ada", <-subjects)
}

// Without a way to flush there is no stream, and an operator hears of it.
func TestMiddlewareThatCannotFlush(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	hub, handler := newHandler(t, func(_ *realtime.Config, cfg *sse.Config) { cfg.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	w := httptest.NewRecorder()
	handler.ServeHTTP(struct{ http.ResponseWriter }{w}, httptest.NewRequest(http.MethodGet, "/?room=clinic-7", nil))
	require.Equal(t, http.StatusInternalServerError, w.Code)
	require.Contains(t, log.String(), "cannot flush")
	require.Zero(t, hub.Stats().Connections)
	require.NoError(t, hub.Shutdown(t.Context()))
}

// What others append, such as a Node server, may have several arguments, none, and lines.
func TestArguments(t *testing.T) {
	t.Parallel()
	journal := &realtime.MemoryJournal{}
	c := setup(t, overHTTP1, keeping(journal))
	page := c.listen(t, "clinic-7")
	page.want(at)
	for _, args := range [][]json.RawMessage{nil, {[]byte("{\n\"a\":\r\n1}")}, {[]byte("[\r1]"), []byte("2")}} {
		_, err := journal.Append(t.Context(), realtime.Entry{Kind: realtime.KindEvent, Name: " n:", Args: args})
		require.NoError(t, err)
	}
	page.want(got{" n:", "null"}, got{" n:", "{\n\"a\":\n1}"}, got{" n:", "[[\n1],2]"})
}

// Nothing that a page sends, and no room, subject or error of the application's, is logged.
func TestNoNamesInTheLog(t *testing.T) {
	t.Parallel()
	var log lines
	logger := slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	c := setup(t, overHTTP1, func(rooms *realtime.Config, cfg *sse.Config) { rooms.Logger, cfg.Logger = logger, logger })
	for _, more := range [][]string{
		nil, {"Cookie: user=asha"}, {"Cookie: user=mallory"}, {"Last-Event-ID: asha"}, {"Origin: https://asha.example"},
	} {
		for _, rooms := range []string{"clinic-7,asha", "asha,clinic-9", "asha,clinic-8", "asha\n"} {
			answer := c.do(t, c.ask(t, rooms, more...))
			_ = answer.Body.Close()
		}
	}
	require.Eventually(t, func() bool { return strings.Contains(log.String(), "stream ended") }, 30*time.Second, time.Millisecond)
	require.NoError(t, c.hub.Shutdown(within(t)))
	require.Contains(t, log.String(), "refused")
	for _, word := range []string{"asha", "Asha", "mallory", "clinic-"} {
		require.NotContains(t, log.String(), word)
	}
}

// lines is a log of several goroutines.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

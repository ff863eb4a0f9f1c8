package whatsapp_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/notify/whatsapp"
)

// A function that panics for one event costs that event alone, and asks for it again.
func TestHandlerPanicsForOneEvent(t *testing.T) {
	t.Parallel()
	body := webhook("messages", `{`+meta+`,"statuses":[{"id":"w1","status":"sent"},{"id":"w2","status":"sent"}],
		"messages":[{"id":"m1","from":"919876500042","type":"text","text":{"body":"zkmark"}},{"id":"m2","from":"919876500042","type":"text"}]}`)
	for name, cause := range map[string]any{"text": "zkmark " + phone, "error": errors.New("zkmark"), "abort": http.ErrAbortHandler} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seen, broken := map[string]int{}, true
			var log strings.Builder
			h := hook(t, func(_ context.Context, e whatsapp.Event) error {
				var id string
				if e.Status != nil {
					id = e.Status.MessageID
				} else {
					id = e.Message.MessageID
				}
				seen[id]++
				if broken && strings.HasSuffix(id, "1") {
					panic(cause)
				}
				return nil
			}, func(cfg *whatsapp.WebhookConfig) { cfg.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
			w := post(h, body, signed(body))
			require.Equal(t, 500, w.Code)
			require.Equal(t, map[string]int{"w1": 1, "w2": 1, "m1": 1, "m2": 1}, seen)
			require.Contains(t, log.String(), "events=4 failures=2")
			require.Contains(t, log.String(), "panicked")
			require.Contains(t, log.String(), "webhook_host_test.go", "where it panicked")
			require.NotContains(t, w.Body.String()+log.String(), "zkmark")
			require.NotContains(t, log.String(), phone[1:])
			broken = false
			require.Equal(t, 200, post(h, body, signed(body)).Code)
			require.Equal(t, map[string]int{"w1": 2, "w2": 1, "m1": 2, "m2": 1}, seen)
		})
	}
}

// Meta has its answer in time whatever a handler does, and what it does is not begun
// again.
func TestSlowHandler(t *testing.T) {
	t.Parallel()
	for name, late := range map[string]error{"done": nil, "failed": errors.New("database is down"), "incurable": whatsapp.Permanent(errors.New("unknown person"))} {
		synctest.Test(t, func(t *testing.T) {
			body := webhook("messages", `{"statuses":[{"id":"slow","status":"sent"},{"id":"w2","status":"sent"}]}`)
			var mu sync.Mutex
			seen := map[string]int{}
			h := hook(t, func(_ context.Context, e whatsapp.Event) error {
				mu.Lock()
				seen[e.Status.MessageID]++
				first := seen[e.Status.MessageID] == 1
				mu.Unlock()
				if e.Status.MessageID != "slow" || !first {
					return nil
				}
				time.Sleep(time.Hour)
				return late
			})
			began := time.Now()
			require.Equal(t, 503, post(h, body, signed(body)).Code)
			require.Less(t, time.Since(began), 6*time.Second)
			time.Sleep(30 * time.Minute)
			require.Equal(t, 503, post(h, body, signed(body)).Code)
			require.Equal(t, map[string]int{"slow": 1, "w2": 1}, seen, "its neighbour does not wait for it")
			time.Sleep(time.Hour)
			require.Equal(t, 200, post(h, body, signed(body)).Code)
			require.Equal(t, map[bool]int{true: 2, false: 1}[name == "failed"], seen["slow"])
			require.Equal(t, 1, seen["w2"])
			require.NoError(t, h.Shutdown(t.Context()))
			require.Equal(t, 503, post(h, body, signed(body)).Code)
		})
	}
}

// memoryListener lets an http.Server serve connections without a network.
type memoryListener struct {
	conns chan net.Conn
	done  chan struct{}
}

func (l *memoryListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *memoryListener) Close() error { close(l.done); return nil }

func (l *memoryListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

// serve runs server in memory until the test ends, and dials it.
func serve(t *testing.T, server *http.Server) net.Conn {
	t.Helper()
	l := &memoryListener{conns: make(chan net.Conn), done: make(chan struct{})}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	ours, theirs := net.Pipe()
	l.conns <- theirs
	t.Cleanup(func() {
		_ = ours.Close()
		require.NoError(t, server.Close())
		require.ErrorIs(t, <-ended, http.ErrServerClosed)
	})
	return ours
}

func head(length int, sig string) string {
	return "POST /hook HTTP/1.1\r\nHost: clinic.example\r\nX-Hub-Signature-256: " + sig + "\r\nContent-Length: " + strconv.Itoa(length) + "\r\n\r\n"
}

// A body that stops, or that comes a byte at a time, does not hold the server.
func TestSlowBody(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		timeout time.Duration // the server's own
		drip    bool
		want    time.Duration
	}{
		"stops":                 {0, false, 10 * time.Second},
		"drips":                 {0, true, 10 * time.Second},
		"server is impatient":   {3 * time.Second, true, 3 * time.Second},
		"server is too patient": {time.Hour, false, 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var dripping sync.WaitGroup
				t.Cleanup(dripping.Wait) // after the connection's end
				conn := serve(t, &http.Server{Handler: hook(t, nothing), ReadTimeout: c.timeout})
				began := time.Now()
				_, err := io.WriteString(conn, head(1000, "sha256=00")+`{"object":`)
				require.NoError(t, err)
				if c.drip {
					dripping.Go(func() {
						for broken := false; !broken; {
							time.Sleep(time.Second) // of the bubble's clock
							_, err := io.WriteString(conn, " ")
							broken = err != nil
						}
					})
				}
				resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
				require.NoError(t, err)
				require.Equal(t, http.StatusRequestTimeout, resp.StatusCode)
				require.Equal(t, c.want, time.Since(began))
				require.True(t, resp.Close)
				_, err = io.Copy(io.Discard, resp.Body)
				require.NoError(t, err)
				_, err = conn.Read(make([]byte, 1))
				require.ErrorIs(t, err, io.EOF, "the connection is given up")
			})
		})
	}
}

// deadlines is a ResponseWriter of a server that trusts its handlers to reset what they
// set.
type deadlines struct {
	*httptest.ResponseRecorder
	set []time.Time
}

func (d *deadlines) SetReadDeadline(t time.Time) error { d.set = append(d.set, t); return nil }

func TestBodyDeadlineIsReset(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := hook(t, nothing)
		body := webhook("x", `{}`)
		w, r := &deadlines{ResponseRecorder: httptest.NewRecorder()}, httptest.NewRequest(http.MethodPost, "/hook", strings.NewReader(body))
		r.Header.Set("X-Hub-Signature-256", signed(body))
		h.ServeHTTP(w, r)
		require.Equal(t, 200, w.Code)
		require.Equal(t, []time.Time{time.Now().Add(10 * time.Second), {}}, w.set)
	})
}

// The deadline of one body is none for what comes after it on the connection.
func TestBodyDeadlineEndsWithTheBody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var handled []string
		conn := serve(t, &http.Server{Handler: hook(t, func(ctx context.Context, e whatsapp.Event) error {
			select {
			case <-time.After(time.Minute): // longer than a body may take
			case <-ctx.Done():
				return ctx.Err()
			}
			handled = append(handled, e.Status.MessageID)
			return nil
		}, func(cfg *whatsapp.WebhookConfig) { cfg.Timeout = time.Hour })})
		answers := bufio.NewReader(conn)
		for _, id := range []string{"w1", "w2"} {
			body := webhook("messages", `{"statuses":[{"id":"`+id+`","status":"sent"}]}`)
			_, err := io.WriteString(conn, head(len(body), signed(body))+body)
			require.NoError(t, err)
			resp, err := http.ReadResponse(answers, nil)
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, resp.StatusCode)
			_, err = io.Copy(io.Discard, resp.Body)
			require.NoError(t, err)
		}
		require.Equal(t, []string{"w1", "w2"}, handled)
	})
}

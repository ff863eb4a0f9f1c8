package sse_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/realtime/sse"
)

// keys are those of all processes of one application.
var keys = [][]byte{bytes.Repeat([]byte{7}, 32)}

// clinic is one process of an application.
type clinic struct {
	hub     *realtime.Hub
	handler *sse.Handler
	server  *httptest.Server
}

// begin starts a server: over HTTP/1.1 or HTTP/2.
type begin func(*httptest.Server)

func overHTTP1(s *httptest.Server) { s.Start() }

func overHTTP2(s *httptest.Server) {
	s.EnableHTTP2 = true
	s.StartTLS()
}

// newHandler returns a handler of a hub where everybody may join clinic-7, and nobody
// clinic-9; the database is down for clinic-8. Who sends "Cookie: user=ada" is ada.
func newHandler(t *testing.T, change ...func(*realtime.Config, *sse.Config)) (*realtime.Hub, *sse.Handler) {
	t.Helper()
	rooms := realtime.Config{
		RecoveryKeys: keys,
		Authenticate: func(r *http.Request) (string, error) {
			cookie, err := r.Cookie("user")
			switch {
			case err != nil:
				return "", nil
			case cookie.Value == "mallory":
				return "", errors.New("mallory is not welcome")
			}
			return cookie.Value, nil
		},
		Authorize: func(_ context.Context, _ realtime.Client, room string) error {
			switch {
			case room == "clinic-8":
				return telemed.ErrUnavailable
			case room == "clinic-9":
				return errors.New("patient Asha is in there")
			}
			return nil
		},
	}
	cfg := sse.Config{Retry: 20 * time.Millisecond}
	for _, apply := range change {
		apply(&rooms, &cfg)
	}
	if rooms.Journal == nil {
		rooms.RecoveryKeys = nil
	}
	hub, err := realtime.NewHub(rooms)
	require.NoError(t, err)
	cfg.Hub = hub
	handler, err := sse.New(cfg)
	require.NoError(t, err)
	return hub, handler
}

func setup(t *testing.T, start begin, change ...func(*realtime.Config, *sse.Config)) clinic {
	t.Helper()
	hub, handler := newHandler(t, change...)
	server := httptest.NewUnstartedServer(handler)
	start(server)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		require.NoError(t, hub.Shutdown(ctx))
		server.Close()
	})
	return clinic{hub, handler, server}
}

// keeping is the change of a clinic with a journal.
func keeping(journal realtime.Journal) func(*realtime.Config, *sse.Config) {
	return func(rooms *realtime.Config, _ *sse.Config) { rooms.Journal = journal }
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// ask is a request for rooms. Each of more is "Name: value" of a header.
func (c clinic) ask(t *testing.T, rooms string, more ...string) *http.Request {
	t.Helper()
	query := url.Values{"room": strings.Split(rooms, ",")}
	r, err := http.NewRequestWithContext(within(t), http.MethodGet, c.server.URL+"/live?"+query.Encode(), nil)
	require.NoError(t, err)
	for _, header := range more {
		name, value, _ := strings.Cut(header, ": ")
		r.Header.Add(name, value)
	}
	return r
}

func (c clinic) do(t *testing.T, r *http.Request) *http.Response {
	t.Helper()
	client := c.server.Client()
	if client == nil { // of a server in front
		client = http.DefaultClient
	}
	answer, err := client.Do(r)
	require.NoError(t, err)
	t.Cleanup(func() { _ = answer.Body.Close() })
	return answer
}

// listen requires that the request gets a stream.
func (c clinic) listen(t *testing.T, rooms string, more ...string) *listener {
	t.Helper()
	answer := c.do(t, c.ask(t, rooms, more...))
	require.Equal(t, http.StatusOK, answer.StatusCode)
	require.Equal(t, "text/event-stream", answer.Header.Get("Content-Type"))
	return newListener(t, answer)
}

func newListener(t *testing.T, answer *http.Response) *listener {
	t.Helper()
	return &listener{t: t, answer: answer, lines: bufio.NewReader(answer.Body)}
}

func (c clinic) broadcast(t *testing.T, room, name string, data any) {
	t.Helper()
	require.NoError(t, c.hub.Broadcast(within(t), room, realtime.Event{Name: name, Data: data}))
}

// listener reads a stream as the standard has it.
type listener struct {
	t      *testing.T
	answer *http.Response
	lines  *bufio.Reader
	id     string // the last
	retry  string
}

// got is an event.
type got struct{ name, data string }

// next returns the next event, or the error with which the stream ended.
func (l *listener) next() (got, error) {
	event, data := got{name: "message"}, []string(nil)
	for {
		line, err := l.lines.ReadString('\n')
		if err != nil {
			return got{}, err
		}
		field, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "\n" && data != nil:
			event.data = strings.Join(data, "\n")
			return event, nil
		case line == "\n":
			event.name = "message"
		case field == "": // a comment
		case field == "id":
			l.id = value
		case field == "event":
			event.name = value
		case field == "retry":
			l.retry = value
		case field == "data":
			data = append(data, value)
		default:
			l.t.Errorf("line %q", line)
		}
	}
}

// want requires that events come, in order. Offsets that come alone are not looked at.
func (l *listener) want(events ...got) {
	l.t.Helper()
	for _, want := range events {
		event, err := l.next()
		for err == nil && event == at && want != at {
			event, err = l.next()
		}
		require.NoError(l.t, err)
		require.Equal(l.t, want, event)
	}
}

// ends requires that the stream ends, without an error.
func (l *listener) ends() {
	l.t.Helper()
	event, err := l.next()
	for err == nil && event == at {
		event, err = l.next()
	}
	require.Equal(l.t, io.EOF, err)
}

func (l *listener) leave() { _ = l.answer.Body.Close() }

var (
	at  = got{"telemed:at", "null"}
	gap = got{"gap", "null"}
)

func n(data string) got { return got{"n", data} }

var protocols = map[string]begin{"HTTP/1.1": overHTTP1, "HTTP/2": overHTTP2}

// each runs a test over both protocols.
func each(t *testing.T, test func(t *testing.T, start begin)) {
	t.Helper()
	t.Parallel()
	for name, start := range protocols {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, start)
		})
	}
}

package webhook_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/internal/webhook"
)

func TestMethods(t *testing.T) {
	t.Parallel()
	a := newApplication(nothing)
	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodHead} {
		w := httptest.NewRecorder()
		a.ServeHTTP(w, httptest.NewRequest(method, "/", nil))
		require.Equal(t, http.StatusMethodNotAllowed, w.Code)
		require.Equal(t, "POST", w.Header().Get("Allow"))
	}
}

// A body that is refused is refused before its signature is looked at, and ends the
// connection.
func TestBodies(t *testing.T) {
	t.Parallel()
	a := newApplication(nothing)
	longest := event("a", strings.Repeat("x", 1<<10-len(event("a", ""))))
	require.Len(t, longest, 1<<10)
	status, _ := a.answer(longest)
	require.Equal(t, 200, status)
	status, _ = a.answer(longest + " ")
	require.Equal(t, 413, status)

	for name, body := range map[string]io.Reader{
		"413": strings.NewReader(longest + " "),
		"400": io.MultiReader(strings.NewReader("{"), iotest.ErrReader(errors.New("connection lost"))),
	} {
		w := httptest.NewRecorder()
		a.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", body))
		require.Equal(t, name, fmt.Sprint(w.Code))
		require.Equal(t, "close", w.Header().Get("Connection"), name)
	}
	require.NotContains(t, a.log.String(), "connection lost")
}

func head(body string) string {
	return fmt.Sprintf("POST / HTTP/1.1\r\nHost: h\r\nSignature: %s\r\nContent-Length: %d\r\n\r\n", sign(body), len(body))
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
				conn := serve(t, &http.Server{Handler: newApplication(nothing), ReadTimeout: c.timeout})
				began := time.Now()
				_, err := io.WriteString(conn, head(event("a"))+`{"ids":`)
				require.NoError(t, err)
				if c.drip {
					dripping.Go(func() {
						for broken := false; !broken; {
							time.Sleep(3 * time.Second) // of the bubble's clock
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

// The deadline of a body is none for what comes after it.
func TestDeadlineEndsWithTheBody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, r := &deadlines{ResponseRecorder: httptest.NewRecorder()}, httptest.NewRequest(http.MethodPost, "/", strings.NewReader(event("a")))
		r.Header.Set("Signature", sign(event("a")))
		newApplication(func(context.Context, string) error {
			require.Len(t, w.set, 2, "reset before the event is handled")
			return nil
		}).ServeHTTP(w, r)
		require.Equal(t, 200, w.Code)
		require.Equal(t, []time.Time{time.Now().Add(10 * time.Second), {}}, w.set)
	})
}

// A handler may take longer than a body, on a connection that serves on.
func TestHandlerTakesLongerThanABody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newApplication(wait(time.Minute), func(cfg *webhook.Config) { cfg.Timeout = time.Hour })
		conn := serve(t, &http.Server{Handler: a})
		answers := bufio.NewReader(conn)
		for _, id := range []string{"a", "b"} {
			_, err := io.WriteString(conn, head(event(id))+event(id))
			require.NoError(t, err)
			resp, err := http.ReadResponse(answers, nil)
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, resp.StatusCode)
			_, err = io.Copy(io.Discard, resp.Body)
			require.NoError(t, err)
			require.Equal(t, 1, a.count(id))
		}
	})
}

func TestSignatures(t *testing.T) {
	t.Parallel()
	a := newApplication(nothing)
	for name, c := range map[string]struct{ sign, log string }{
		"none":    {"", "header Signature is missing"},
		"another": {sign(event("b")), "the secret is another"},
	} {
		status, text := a.answer(event("zkmark"), "Signature", c.sign)
		require.Equal(t, 401, status, name)
		require.Equal(t, "signature mismatch", text, name)
		require.Contains(t, a.log.String(), c.log, name)
	}
	require.Contains(t, a.log.String(), "provider=test status=401")
	require.NotContains(t, a.log.String(), "zkmark")
	require.Zero(t, a.count("zkmark"))

	status, _ := a.answer(`{"wrong":true}`)
	require.Equal(t, 400, status)
	w := a.deliver(`{"answer":{"token":"t"}}`)
	require.Equal(t, 200, w.Code)
	require.JSONEq(t, `{"token":"t"}`, w.Body.String())
	require.Equal(t, "application/json", w.Header().Get("Content-Type"))
	status, text := a.answer(event())
	require.Equal(t, 200, status)
	require.Equal(t, "ignored", text)
}

func TestAge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tolerant := func(cfg *webhook.Config) { cfg.Tolerance = time.Hour }
		for name, c := range map[string]struct {
			age  time.Duration
			want int
		}{
			"now": {0, 200}, "an hour": {time.Hour, 200}, "too old": {time.Hour + time.Second, 401},
			"ahead": {-5 * time.Minute, 200}, "too far ahead": {-5*time.Minute - time.Second, 401}, "no time": {-1, 401},
		} {
			a := newApplication(nothing, tolerant)
			signed := time.Now().Add(-c.age).Format(time.RFC3339)
			if c.age == -1 {
				signed = ""
			}
			status, _ := a.answer(event("a"), "Time", signed)
			require.Equal(t, c.want, status, name)
			status, _ = newApplication(nothing).answer(event("a"), "Time", signed)
			require.Equal(t, 200, status, "%s, and age does not count", name)
		}
	})
}

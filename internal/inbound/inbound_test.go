package inbound_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/internal/fake"
	"github.com/telemed-go/telemed/internal/inbound"
	"github.com/telemed-go/telemed/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func TestRead(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	body, err := inbound.Read(w, httptest.NewRequest(http.MethodPost, "/", strings.NewReader("abc")), 3)
	require.NoError(t, err)
	require.Equal(t, "abc", string(body))
	require.Empty(t, w.Header())
	for want, reader := range map[int]io.Reader{
		http.StatusRequestEntityTooLarge: strings.NewReader("abcd"),
		http.StatusRequestTimeout:        iotest.ErrReader(fmt.Errorf("read: %w", os.ErrDeadlineExceeded)),
		http.StatusBadRequest:            iotest.ErrReader(errors.New("connection lost")),
	} {
		w := httptest.NewRecorder()
		_, err := inbound.Read(w, httptest.NewRequest(http.MethodPost, "/", reader), 3)
		require.Equal(t, want, inbound.Status(err))
		require.Equal(t, "close", w.Header().Get("Connection"))
	}
	body, err = inbound.Read(httptest.NewRecorder(), &http.Request{}, 3)
	require.NoError(t, err)
	require.Empty(t, body)
}

func TestHandler(t *testing.T) {
	t.Parallel()
	calls := 0
	h := inbound.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls++ }))
	for size, want := range map[int]int{0: 200, 64 << 10: 200, 64<<10 + 1: 413} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", strings.NewReader(strings.Repeat("a", size))))
		require.Equal(t, want, w.Code)
	}
	require.Equal(t, 2, calls)
}

// serve sends requests one after the other over one connection in memory, and returns the
// answers' statuses.
func serve(t *testing.T, server *http.Server, requests ...string) (codes []int) {
	t.Helper()
	l, err := fake.Listen("", true)
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	conn, err := l.Dial(t.Context(), "", "")
	require.NoError(t, err)
	answers := bufio.NewReader(conn)
	for _, request := range requests {
		_, err := io.WriteString(conn, request)
		require.NoError(t, err)
		answer, err := http.ReadResponse(answers, nil)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, answer.Body)
		require.NoError(t, err)
		codes = append(codes, answer.StatusCode)
	}
	_ = conn.Close()
	require.NoError(t, server.Close())
	require.ErrorIs(t, <-ended, http.ErrServerClosed)
	return codes
}

const whole = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"

// A handler that has its body may take its time, also if a middleware read it before.
func TestSlowHandler(t *testing.T) {
	t.Parallel()
	slow := inbound.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(time.Hour):
		case <-r.Context().Done():
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	buffered := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		slow.ServeHTTP(w, r)
	})
	for _, h := range []http.Handler{slow, buffered} {
		for _, timeout := range []time.Duration{0, time.Second, time.Minute} {
			synctest.Test(t, func(t *testing.T) {
				require.Equal(t, []int{200, 200}, serve(t, &http.Server{Handler: h, ReadTimeout: timeout}, whole, whole))
			})
		}
	}
}

// A reader that is told to give up does so at once, and says why.
func TestReadUntil(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("the session has ended")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(cause) })
		began := time.Now()
		codes := serve(t, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, err := inbound.ReadUntil(ctx, w, r, 100)
			require.ErrorIs(t, err, cause)
			w.WriteHeader(inbound.Status(err))
		})}, whole[:len(whole)-1])
		require.Equal(t, []int{400}, codes)
		require.Equal(t, time.Second, time.Since(began))
	})
}

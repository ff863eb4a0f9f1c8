package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// hop is how the supervisor's proxy reaches the hospital.
type hop func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f hop) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// before is a supervisor that stands before a hospital which is open.
func before(hospital http.RoundTripper) *supervisor {
	s := &supervisor{log: slog.New(slog.DiscardHandler), addr: "127.0.0.1:1", ready: make(chan struct{}), ended: make(chan struct{})}
	close(s.ready)
	s.proxy = &httputil.ReverseProxy{Rewrite: s.rewrite, ErrorHandler: s.broken, Transport: hospital, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug)}
	return s
}

// dies is a death that is heard of after a while, and the life after it.
func (s *supervisor) dies(heard time.Duration) {
	time.Sleep(heard)
	s.mu.Lock()
	s.ready = make(chan struct{})
	next := s.ready
	s.mu.Unlock()
	time.Sleep(2 * time.Second)
	close(next)
}

// Who reads while the server dies hears the next one, however late its death is heard of. Who
// writes hears that nobody knows.
func TestDeathUnderARequest(t *testing.T) {
	t.Parallel()
	for method, code := range map[string]int{http.MethodGet: http.StatusOK, http.MethodHead: http.StatusOK, http.MethodPost: http.StatusBadGateway} {
		for _, deaths := range []int{1, 2} {
			synctest.Test(t, func(t *testing.T) {
				asked := 0
				var s *supervisor
				s = before(hop(func(r *http.Request) (*http.Response, error) {
					asked++
					if asked <= deaths {
						go s.dies(15 * time.Second)
						return nil, errors.New("connection reset by peer")
					}
					return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("page")), Request: r}, nil
				}))
				w := httptest.NewRecorder()
				s.pass(w, httptest.NewRequestWithContext(t.Context(), method, "/", http.NoBody))
				require.Equal(t, code, w.Code, method)
				if code == http.StatusOK {
					require.Equal(t, deaths+1, asked, "nobody asks a server that is dead")
				}
				time.Sleep(time.Minute) // it lives again
			})
		}
	}
}

// An answer that breaks though nobody died is told in the end.
func TestAnswerThatBreaks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := before(hop(func(*http.Request) (*http.Response, error) { return nil, errors.New("broken") }))
		w := httptest.NewRecorder()
		s.pass(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody))
		require.Equal(t, http.StatusBadGateway, w.Code)
	})
}

// A form reaches the hospital whole, or not at all. An answer that comes before the hospital
// has read the form is not cut.
func TestBodiesThroughTheProxy(t *testing.T) {
	t.Parallel()
	var length int
	hospital := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/read" {
			whole, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			length = len(whole)
		}
		_, _ = io.WriteString(w, strings.Repeat("answer", 10000))
	}))
	defer hospital.Close()
	s := before(nil)
	s.addr = strings.TrimPrefix(hospital.URL, "http://")
	front := httptest.NewServer(http.HandlerFunc(s.pass))
	defer front.Close()
	post := func(path string, size int) (int, string) {
		answer, err := http.Post(front.URL+path, "text/plain", strings.NewReader(strings.Repeat("a", size)))
		require.NoError(t, err)
		defer answer.Body.Close()
		whole, err := io.ReadAll(answer.Body)
		require.NoError(t, err, path)
		return answer.StatusCode, string(whole)
	}
	for range 50 {
		code, body := post("/unread", 200<<10)
		require.Equal(t, http.StatusOK, code)
		require.Len(t, body, 60000)
	}
	code, _ := post("/read", 1<<20)
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, 1<<20, length)
	code, _ = post("/read", 1<<20+1)
	require.Equal(t, http.StatusRequestEntityTooLarge, code)

	half := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/read", io.MultiReader(strings.NewReader("half"), cut{}))
	w := httptest.NewRecorder()
	s.pass(w, half)
	require.Equal(t, http.StatusRequestTimeout, w.Code)
}

// cut is a body that ends before its end.
type cut struct{}

func (cut) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

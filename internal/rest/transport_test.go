package rest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/leaktest"
	"github.com/telemed-go/telemed/internal/rest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// script answers the n-th request with the n-th handler and the last one for ever after.
type script struct {
	handlers []http.HandlerFunc
	requests atomic.Int32
	conns    sync.Map
	bodies   sync.Map
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := int(s.requests.Add(1))
	body, _ := io.ReadAll(r.Body)
	s.bodies.Store(n, string(body))
	s.handlers[min(n, len(s.handlers))-1](w, r)
}

func (s *script) connections() (n int) {
	s.conns.Range(func(any, any) bool { n++; return true })
	return n
}

func status(code int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
		_, _ = io.WriteString(w, strings.Repeat("x", 5000))
	}
}

// hangUp closes the connection without an answer: what was asked may have been done.
func hangUp(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		_ = conn.Close()
	}
}

func start(t *testing.T, handlers ...http.HandlerFunc) (*script, string, *http.Client) {
	t.Helper()
	s := &script{handlers: handlers}
	srv := httptest.NewUnstartedServer(s)
	srv.Config.ConnState = func(c net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.conns.Store(c.RemoteAddr().String(), true)
		}
	}
	srv.Start()
	base := &http.Transport{}
	t.Cleanup(func() { base.CloseIdleConnections(); srv.Close() })
	return s, srv.URL, &http.Client{Transport: &rest.Transport{Base: base, MinWait: time.Millisecond}}
}

func send(t *testing.T, ctx context.Context, client *http.Client, method, url string) (*http.Response, error) {
	t.Helper()
	var body io.Reader
	if method == http.MethodPost || method == http.MethodPatch {
		body = strings.NewReader("payload")
	}
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	require.NoError(t, err)
	resp, err := client.Do(req)
	if err == nil {
		_, err = io.Copy(io.Discard, resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
	}
	return resp, err
}

func TestWhatIsRepeated(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		method string
		ctx    func(context.Context) context.Context
		first  http.HandlerFunc
		want   int32
	}{
		{"GET after 503", http.MethodGet, nil, status(503), 2},
		{"GET after 500", http.MethodGet, nil, status(500), 2},
		{"GET after 408", http.MethodGet, nil, status(408), 2},
		{"GET after a lost answer", http.MethodGet, nil, hangUp, 2},
		{"GET after 429", http.MethodGet, nil, status(429), 2},
		{"GET after 404", http.MethodGet, nil, status(404), 1},
		{"GET after 501", http.MethodGet, nil, status(501), 1},
		{"DELETE after 502", http.MethodDelete, nil, status(502), 2},
		{"POST after 500", http.MethodPost, nil, status(500), 1},
		{"POST after 503", http.MethodPost, nil, status(503), 1},
		{"POST after a lost answer", http.MethodPost, nil, hangUp, 1},
		{"POST after 429", http.MethodPost, nil, status(429), 2},
		{"PATCH after 503", http.MethodPatch, nil, status(503), 1},
		{"repeatable POST after 503", http.MethodPost, rest.Repeatable, status(503), 2},
		{"repeatable POST after a lost answer", http.MethodPost, rest.Repeatable, hangUp, 2},
		{"GET that may go out once", http.MethodGet, rest.Once, status(503), 1},
		{"POST that may go out once after 429", http.MethodPost, rest.Once, status(429), 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s, url, client := start(t, test.first, status(200))
			ctx := t.Context()
			if test.ctx != nil {
				ctx = test.ctx(ctx)
			}
			_, _ = send(t, ctx, client, test.method, url)
			require.Equal(t, test.want, s.requests.Load())
			if test.want == 2 && test.method == http.MethodPost {
				second, _ := s.bodies.Load(2)
				require.Equal(t, "payload", second)
			}
		})
	}
}

func TestIdempotencyHeader(t *testing.T) {
	t.Parallel()
	s, url, _ := start(t, status(503), status(200))
	base := &http.Transport{}
	t.Cleanup(base.CloseIdleConnections)
	client := &http.Client{Transport: &rest.Transport{Base: base, MinWait: time.Millisecond, IdempotencyHeaders: []string{"X-Refund-Idempotency"}}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader("payload"))
	require.NoError(t, err)
	req.Header.Set("X-Refund-Idempotency", "refund-0001")
	resp, err := client.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.EqualValues(t, 2, s.requests.Load())
}

func TestABodyThatCannotBeRepeated(t *testing.T) {
	t.Parallel()
	s, url, client := start(t, status(429), status(200))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, io.MultiReader(strings.NewReader("payload")))
	require.NoError(t, err)
	resp, err := client.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, 429, resp.StatusCode)
	require.EqualValues(t, 1, s.requests.Load())
}

func TestTheLastAnswerComesWhole(t *testing.T) {
	t.Parallel()
	s, url, client := start(t, status(503, "X-Request", "r1"))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	resp, err := client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, 503, resp.StatusCode)
	require.Equal(t, "r1", resp.Header.Get("X-Request"))
	require.Len(t, body, 5000)
	require.EqualValues(t, 3, s.requests.Load())
}

func TestOneConnectionForTwentyFailingCalls(t *testing.T) {
	t.Parallel()
	var n atomic.Int32
	s, url, client := start(t, func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1)%3 != 0 {
			status(503)(w, r)
			return
		}
		status(200)(w, r)
	})
	for range 20 {
		resp, err := send(t, t.Context(), client, http.MethodGet, url)
		require.NoError(t, err)
		require.Equal(t, 200, resp.StatusCode)
	}
	require.EqualValues(t, 60, s.requests.Load())
	require.Equal(t, 1, s.connections())
}

func TestRetryAfterThatIsNotWorthWaitingFor(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"99999999999", "99999999999999999999999", "3600", "2099-01-01T00:00:00Z"} {
		t.Run(value, func(t *testing.T) {
			t.Parallel()
			s, url, client := start(t, status(429, "Retry-After", value))
			resp, err := send(t, t.Context(), client, http.MethodGet, url)
			require.NoError(t, err)
			require.Equal(t, 429, resp.StatusCode)
			require.EqualValues(t, 1, s.requests.Load())
		})
	}

	t.Run("longer than the deadline", func(t *testing.T) {
		t.Parallel()
		s, url, client := start(t, status(503, "Retry-After", "5"))
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		resp, err := send(t, ctx, client, http.MethodGet, url)
		require.NoError(t, err)
		require.Equal(t, 503, resp.StatusCode)
		require.EqualValues(t, 1, s.requests.Load())
	})
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	tests := map[string]struct {
		want time.Duration
		ok   bool
	}{
		"":                              {0, false},
		"7":                             {7 * time.Second, true},
		"0":                             {0, true},
		"Sun, 01 Mar 2026 12:00:30 GMT": {30 * time.Second, true},
		"2026-03-01T12:01:00Z":          {time.Minute, true},
		"2026-02-28T00:00:00Z":          {0, true},
		"Sat, 28 Feb 2026 12:00:00 GMT": {0, true},
		"0001-01-01T00:00:00Z":          {0, true},
		" 7 ":                           {7 * time.Second, true},
		"+5":                            {0, false},
		"٣":                             {0, false},
		"-5":                            {0, false},
		"soon":                          {0, false},
		"1.5":                           {0, false},
	}
	for value, test := range tests {
		got, ok := rest.RetryAfter(http.Header{"Retry-After": {value}}, now)
		require.Equal(t, test.ok, ok, value)
		require.Equal(t, test.want, got, value)
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, seed := range []string{"", "1", "99999999999999999999", "Sun, 01 Mar 2026 12:00:30 GMT", "2026-03-01T12:01:00Z"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if wait, _ := rest.RetryAfter(http.Header{"Retry-After": {value}}, time.Now()); wait < 0 {
			t.Fatalf("negative wait %v", wait)
		}
	})
}

// A proxy begins to say 503 and never ends.
func TestAnAnswerThatNeverEndsLeavesTimeForAnother(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s, url, client := start(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		w.WriteHeader(http.StatusServiceUnavailable)
		_ = http.NewResponseController(w).Flush()
		<-release
	}, status(200))
	t.Cleanup(func() { close(release) })
	ctx, cancel := context.WithTimeout(t.Context(), rest.DefaultTimeout)
	defer cancel()
	resp, err := send(t, ctx, client, http.MethodGet, url)
	require.NoError(t, err)
	require.Equal(t, 200, resp.StatusCode)
	require.EqualValues(t, 2, s.requests.Load())
}

func TestUnsent(t *testing.T) {
	t.Parallel()
	client := &http.Client{Transport: &rest.Transport{MinWait: time.Millisecond}}

	t.Run("the context had ended", func(t *testing.T) {
		t.Parallel()
		s, url, client := start(t, status(200))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := api(url, client).Do(ctx, rest.Request{Method: http.MethodPost, JSON: struct{}{}}, nil)
		require.ErrorIs(t, err, context.Canceled)
		failure, _ := errors.AsType[*rest.Error](err)
		require.Equal(t, telemed.ErrUnavailable, failure.Kind, "nothing was sent: nobody has to look")
		require.Zero(t, s.requests.Load())
	})

	t.Run("nobody listens", func(t *testing.T) {
		t.Parallel()
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		require.NoError(t, listener.Close())
		_, err = send(t, t.Context(), client, http.MethodPost, "http://"+listener.Addr().String())
		require.Error(t, err)
		require.True(t, rest.Unsent(err))
	})

	t.Run("TLS with a stranger", func(t *testing.T) {
		t.Parallel()
		srv := httptest.NewUnstartedServer(status(200))
		srv.Config.ErrorLog = log.New(io.Discard, "", 0) // the refused handshake is the point
		srv.StartTLS()
		t.Cleanup(srv.Close)
		_, err := send(t, t.Context(), client, http.MethodPost, srv.URL)
		require.Error(t, err)
		require.True(t, rest.Unsent(err))
	})

	t.Run("the answer is lost", func(t *testing.T) {
		t.Parallel()
		_, url, client := start(t, hangUp)
		_, err := send(t, t.Context(), client, http.MethodPost, url)
		require.Error(t, err)
		require.False(t, rest.Unsent(err))
	})

	t.Run("a base that does not report", func(t *testing.T) {
		t.Parallel()
		silent := &http.Client{Transport: &rest.Transport{MinWait: time.Millisecond, Base: failing{errors.New("boom")}}}
		_, err := send(t, t.Context(), silent, http.MethodPost, "http://127.0.0.1:1")
		require.False(t, rest.Unsent(err))
		silent = &http.Client{Transport: &rest.Transport{MinWait: time.Millisecond, Base: failing{&net.OpError{Op: "dial", Err: errors.New("refused")}}}}
		_, err = send(t, t.Context(), silent, http.MethodPost, "http://127.0.0.1:1")
		require.True(t, rest.Unsent(err))
	})
}

type failing struct{ err error }

func (f failing) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
	return nil, f.err
}

func TestCancelWhileWaiting(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	s, url, _ := start(t, func(w http.ResponseWriter, r *http.Request) {
		status(503)(w, r)
		cancel()
	})
	base := &http.Transport{}
	t.Cleanup(base.CloseIdleConnections)
	client := &http.Client{Transport: &rest.Transport{Base: base, MinWait: time.Hour, MaxWait: time.Hour}}
	_, err := send(t, ctx, client, http.MethodGet, url)
	if err != nil { // the answer may win the race against the cancellation; both are right
		require.ErrorIs(t, err, context.Canceled)
	}
	require.EqualValues(t, 1, s.requests.Load())
}

func ExampleTransport() {
	attempts := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if attempts++; attempts < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer srv.Close()

	client := rest.HTTPClient(nil, rest.Transport{MinWait: time.Millisecond})
	resp, err := client.Get(srv.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = resp.Body.Close()
	fmt.Println(resp.StatusCode, "after", attempts, "attempts")
	// Output: 200 after 3 attempts
}

// A refund is committed, its answer lost; whatever the repeat meets, nobody may say that
// it did not happen.
func TestAnOpenOutcomeStaysOpen(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		method string
		second http.HandlerFunc
		want   error
	}{
		"then 429":                {http.MethodPost, status(429), telemed.ErrAmbiguous},
		"then 429, DELETE":        {http.MethodDelete, status(429), telemed.ErrAmbiguous},
		"then 429, to read":       {http.MethodGet, status(429), telemed.ErrRateLimited},
		"then 503":                {http.MethodPost, status(503), telemed.ErrAmbiguous},
		"then lost again":         {http.MethodPost, hangUp, telemed.ErrAmbiguous},
		"then a definite refusal": {http.MethodPost, status(400), telemed.ErrInvalid},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, url, client := start(t, hangUp, test.second)
			_, err := api(url, client).Do(rest.Repeatable(t.Context()), rest.Request{Method: test.method, JSON: struct{}{}}, nil)
			failure, ok := errors.AsType[*rest.Error](err)
			require.True(t, ok)
			require.Equal(t, test.want, failure.Kind)
		})
	}

	t.Run("then nobody listens", func(t *testing.T) {
		t.Parallel()
		client := &http.Client{Transport: &rest.Transport{MinWait: time.Millisecond, Base: &lostThenDown{}}}
		_, err := api("http://127.0.0.1:1", client).Do(rest.Repeatable(t.Context()), rest.Request{Method: http.MethodPost, JSON: struct{}{}}, nil)
		failure, _ := errors.AsType[*rest.Error](err)
		require.False(t, failure.Unsent)
		require.Equal(t, telemed.ErrAmbiguous, failure.Kind)
	})
}

// lostThenDown loses the first answer, and then cannot be dialled.
type lostThenDown struct{ calls atomic.Int32 }

func (l *lostThenDown) RoundTrip(req *http.Request) (*http.Response, error) {
	closing := failing{io.ErrUnexpectedEOF}
	if l.calls.Add(1) > 1 {
		closing.err = &net.OpError{Op: "dial", Err: errors.New("connection refused")}
	}
	return closing.RoundTrip(req)
}

func TestTimeoutOf(t *testing.T) {
	t.Parallel()
	require.Equal(t, rest.DefaultTimeout, rest.TimeoutOf(nil))
	require.Equal(t, rest.DefaultTimeout, rest.TimeoutOf(&http.Client{Transport: failing{}}))
	require.Equal(t, time.Second, rest.TimeoutOf(&http.Client{Timeout: time.Second}))
}

// TestTimeout is about an application's client with a timeout, and a caller whose context
// has no end: what ends the call must not hide whether the request left.
func TestTimeout(t *testing.T) {
	t.Parallel()
	silent := func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then does a server see that the client hangs up
		<-r.Context().Done()
	}
	halting := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, `{"id":`)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
	done := make(chan struct{})
	t.Cleanup(func() { close(done) })
	unreachable := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		<-done
		return nil, errors.New("done")
	}}
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		base    http.RoundTripper
		want    error
	}{
		"cannot be reached": {silent, unreachable, telemed.ErrUnavailable},
		"does not answer":   {silent, nil, telemed.ErrAmbiguous},
		"stops half-way":    {halting, nil, telemed.ErrAmbiguous},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(test.handler)
			t.Cleanup(server.Close)
			transport := test.base
			if transport == nil {
				own := &http.Transport{}
				t.Cleanup(own.CloseIdleConnections)
				transport = own
			}
			client := rest.Client{Base: server.URL, HTTP: rest.HTTPClient(&http.Client{Timeout: 300 * time.Millisecond, Transport: transport}, rest.Transport{})}
			_, err := client.Do(context.Background(), rest.Request{Method: http.MethodPost, JSON: 1}, new(any))
			var failed *rest.Error
			require.ErrorAs(t, err, &failed)
			require.ErrorIs(t, failed.Kind, test.want)
			require.ErrorIs(t, err, context.DeadlineExceeded)
		})
	}
}

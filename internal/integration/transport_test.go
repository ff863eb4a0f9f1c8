package integration_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/failsafe-go/failsafe-go/failsafehttp"
	"github.com/hashicorp/go-retryablehttp"
	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/internal/rest"
)

// contenders retry HTTP requests, each up to three attempts with short pauses. Ours is
// the first one.
var contenders = []struct {
	name string
	wrap func(base http.RoundTripper) http.RoundTripper
}{
	{"rest.Transport", func(base http.RoundTripper) http.RoundTripper {
		return &rest.Transport{Base: base, Attempts: 3, MinWait: 5 * time.Millisecond, MaxWait: 5 * time.Second}
	}},
	{"go-retryablehttp", func(base http.RoundTripper) http.RoundTripper {
		client := retryablehttp.NewClient()
		client.RetryMax, client.RetryWaitMin, client.RetryWaitMax = 2, 5*time.Millisecond, 50*time.Millisecond
		client.Logger, client.HTTPClient = nil, &http.Client{Transport: base}
		return &retryablehttp.RoundTripper{Client: client}
	}},
	{"failsafe-go", func(base http.RoundTripper) http.RoundTripper {
		policy := failsafehttp.NewRetryPolicyBuilder().WithMaxRetries(2).WithBackoff(5*time.Millisecond, 50*time.Millisecond).Build()
		return failsafehttp.NewRoundTripper(base, policy)
	}},
}

// bench is a server that plays a script, and a client of one contender.
type bench struct {
	url      string
	client   *http.Client
	requests atomic.Int32
	conns    atomic.Int32
}

func newBench(t *testing.T, wrap func(http.RoundTripper) http.RoundTripper, play func(n int, w http.ResponseWriter)) *bench {
	t.Helper()
	b := &bench{}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		play(int(b.requests.Add(1)), w)
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			b.conns.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	base := &http.Transport{}
	t.Cleanup(base.CloseIdleConnections)
	b.url, b.client = server.URL, &http.Client{Transport: wrap(base)}
	return b
}

// send returns what a caller gets, in few words, and how long it took.
func (b *bench) send(t *testing.T, method string, deadline time.Duration) (got string, took time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, b.url, strings.NewReader(`{"amount":50000}`))
	require.NoError(t, err)
	begin := time.Now()
	resp, err := b.client.Do(req)
	took = time.Since(begin)
	if err != nil {
		return "an error", took
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Sprintf("%d, cut", resp.StatusCode), took
	}
	return fmt.Sprintf("%d with %d bytes", resp.StatusCode, len(body)), took
}

func answer(w http.ResponseWriter, status int, retryAfter string) {
	if retryAfter != "" {
		w.Header().Set("Retry-After", retryAfter)
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, strings.Repeat("x", 5000))
}

// trials are what an SDK that moves money needs of a retrying transport. run returns the
// outcome to print, and whether it is the one that is needed.
var trials = []struct {
	name string
	run  func(t *testing.T, wrap func(http.RoundTripper) http.RoundTripper) (outcome string, good bool)
}{
	{"POST of a refund answered 500: times sent", func(t *testing.T, wrap func(http.RoundTripper) http.RoundTripper) (string, bool) {
		b := newBench(t, wrap, func(_ int, w http.ResponseWriter) { answer(w, 500, "") })
		b.send(t, http.MethodPost, time.Minute)
		return fmt.Sprint(b.requests.Load()), b.requests.Load() == 1
	}},
	{"POST of a refund, answer lost: times sent", func(t *testing.T, wrap func(http.RoundTripper) http.RoundTripper) (string, bool) {
		b := newBench(t, wrap, func(int, http.ResponseWriter) { panic(http.ErrAbortHandler) })
		b.send(t, http.MethodPost, time.Minute)
		return fmt.Sprint(b.requests.Load()), b.requests.Load() == 1
	}},
	{"20 GETs of 503, 503, 200 with 5 kB: connections", func(t *testing.T, wrap func(http.RoundTripper) http.RoundTripper) (string, bool) {
		b := newBench(t, wrap, func(n int, w http.ResponseWriter) {
			if n%3 != 0 {
				answer(w, 503, "")
				return
			}
			answer(w, 200, "")
		})
		for range 20 {
			got, _ := b.send(t, http.MethodGet, time.Minute)
			if got != "200 with 5000 bytes" {
				return got, false
			}
		}
		return fmt.Sprint(b.conns.Load()), b.conns.Load() == 1
	}},
	{"429 with Retry-After: 99999999999", func(t *testing.T, wrap func(http.RoundTripper) http.RoundTripper) (string, bool) {
		b := newBench(t, wrap, func(_ int, w http.ResponseWriter) { answer(w, 429, "99999999999") })
		got, took := b.send(t, http.MethodGet, 2*time.Second)
		return fmt.Sprintf("%s after %.1f s", got, took.Seconds()), got == "429 with 5000 bytes" && took < time.Second
	}},
	{"Retry-After as an HTTP date 3 s ahead: waits", func(t *testing.T, wrap func(http.RoundTripper) http.RoundTripper) (string, bool) {
		b := newBench(t, wrap, func(n int, w http.ResponseWriter) {
			if n == 1 {
				answer(w, 503, time.Now().Add(3*time.Second).UTC().Format(http.TimeFormat))
				return
			}
			answer(w, 200, "")
		})
		got, took := b.send(t, http.MethodGet, time.Minute)
		return fmt.Sprintf("%.1f s", took.Seconds()), got == "200 with 5000 bytes" && took > 1500*time.Millisecond
	}},
	{"503 three times: the caller gets", func(t *testing.T, wrap func(http.RoundTripper) http.RoundTripper) (string, bool) {
		b := newBench(t, wrap, func(_ int, w http.ResponseWriter) { answer(w, 503, "") })
		got, _ := b.send(t, http.MethodGet, time.Minute)
		return got, got == "503 with 5000 bytes"
	}},
	{"503 with Retry-After: 3, a deadline in 1.5 s", func(t *testing.T, wrap func(http.RoundTripper) http.RoundTripper) (string, bool) {
		b := newBench(t, wrap, func(_ int, w http.ResponseWriter) { answer(w, 503, "3") })
		got, took := b.send(t, http.MethodGet, 1500*time.Millisecond)
		return fmt.Sprintf("%s after %.1f s", got, took.Seconds()), got == "503 with 5000 bytes" && took < time.Second
	}},
}

// TestTransports prints what each contender does. Ours must do what is needed; the others
// are shown, not judged: their next version may be another.
func TestTransports(t *testing.T) {
	t.Parallel()
	rows := make([][]string, len(trials))
	t.Run("trials", func(t *testing.T) {
		for i, trial := range trials {
			rows[i] = make([]string, len(contenders))
			for c, contender := range contenders {
				t.Run(trial.name+"/"+contender.name, func(t *testing.T) {
					t.Parallel()
					outcome, good := trial.run(t, contender.wrap)
					rows[i][c] = outcome
					if c == 0 {
						require.True(t, good, outcome)
					}
				})
			}
		}
	})
	table := fmt.Sprintf("\n%-50s", "")
	for _, contender := range contenders {
		table += fmt.Sprintf(" | %-28s", contender.name)
	}
	for i, trial := range trials {
		table += fmt.Sprintf("\n%-50s", trial.name)
		for _, outcome := range rows[i] {
			table += fmt.Sprintf(" | %-28s", outcome)
		}
	}
	t.Log(table)
}

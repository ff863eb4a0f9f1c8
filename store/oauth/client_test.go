package oauth_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/faultytest"
	"github.com/telemed-go/telemed/internal/rest"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/oauth"
)

// api answers 401 to every access token but the good one, and echoes the body.
func api(t *testing.T, good string) (*httptest.Server, *atomic.Int32) {
	var calls atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		body, _ := io.ReadAll(r.Body)
		if r.Header.Get("Authorization") != "Bearer "+good {
			w.WriteHeader(http.StatusUnauthorized)
		}
		_, _ = w.Write(body)
	}))
	t.Cleanup(server.Close)
	return server, &calls
}

// The answer that is not handed on must be closed, or its connection is lost.
func TestClientClosesTheFirstAnswer(t *testing.T) {
	t.Parallel()
	s, _, _ := connected(t)
	server, _ := api(t, "access-dr-rao-2")
	var first *closing
	base := &http.Client{Transport: transportFunc(func(req *http.Request) (*http.Response, error) {
		resp, err := server.Client().Transport.RoundTrip(req)
		if err == nil && first == nil {
			first = &closing{Reader: resp.Body}
			resp.Body = first
		}
		return resp, err
	})}
	resp, err := s.Client(doctor, base).Get(server.URL)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.True(t, first.closed)
}

type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// connected is a Source over a doctor whose access token is "access-dr-rao-1" and works
// for an hour.
func connected(t *testing.T) (*oauth.Source, *rotating, *faultytest.Store) {
	provider, tokens := newRotating(), faultytest.New()
	provider.takes = 0
	require.NoError(t, store.Set(t.Context(), tokens, doctor, provider.connect("dr-rao")))
	s, err := oauth.NewSource(oauth.SourceConfig{Store: tokens, Provider: "zoom", Refresh: provider.refresh})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Shutdown(context.Background())) })
	return s, provider, tokens
}

func TestClient(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		good      string
		body      io.Reader
		status    int
		calls     int32
		refreshes int
		answer    string
	}{
		"works":                   {"access-dr-rao-1", nil, 200, 1, 0, ""},
		"renews once":             {"access-dr-rao-2", nil, 200, 2, 1, ""},
		"sends the body again":    {"access-dr-rao-2", strings.NewReader("body"), 200, 2, 1, "body"},
		"not a body that is gone": {"access-dr-rao-2", io.MultiReader(bytes.NewReader([]byte("body"))), 401, 1, 0, "body"},
		"gives up":                {"nobody", strings.NewReader("body"), 401, 2, 1, "body"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, provider, _ := connected(t)
			server, calls := api(t, test.good)
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, test.body)
			require.NoError(t, err)
			resp, err := s.Client(doctor, server.Client()).Do(req)
			require.NoError(t, err)
			defer resp.Body.Close()
			require.Equal(t, test.status, resp.StatusCode)
			require.Equal(t, test.calls, calls.Load())
			require.Equal(t, test.refreshes, provider.count())
			require.Empty(t, req.Header, "the caller's request is left alone")
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.Equal(t, test.answer, string(body))
		})
	}
}

// A provider that answers 401 to everything is not asked for a new token at each call.
func TestClientOfAProviderThatRefusesEverything(t *testing.T) {
	t.Parallel()
	s, provider, _ := connected(t)
	server, calls := api(t, "nobody")
	client := s.Client(doctor, server.Client())
	for range 5 {
		resp, err := client.Post(server.URL, "text/plain", strings.NewReader("body"))
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusUnauthorized, resp.StatusCode)
		require.Equal(t, "body", string(body), "the answer is whole")
	}
	require.EqualValues(t, 6, calls.Load(), "the first one twice")
	require.Equal(t, 1, provider.count())
	token, err := s.Token(t.Context(), doctor)
	require.NoError(t, err, "who did not complain gets the token")
	_, err = s.Renew(t.Context(), doctor, token.Access)
	require.ErrorIs(t, err, telemed.ErrUnavailable)
}

// The wait for a token has an end of its own: a dead process holds the lease, and the
// caller has no deadline.
func TestClientWaitsForATokenAsLongAsForAnAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(t)
		rec := c.record()
		rec.Lease.Owner = "dead"
		_, err := c.store.Memory.Put(t.Context(), rec)
		require.NoError(t, err)
		client := c.source().Client(doctor, &http.Client{Transport: transportFunc(func(*http.Request) (*http.Response, error) {
			return nil, errors.New("not sent")
		})})
		begin := time.Now()
		_, err = client.Get("https://api.example/")
		require.ErrorIs(t, err, telemed.ErrUnavailable)
		require.ErrorContains(t, err, "no token in time")
		require.Equal(t, rest.DefaultTimeout, time.Since(begin))
	})
}

func TestClientErrors(t *testing.T) {
	t.Parallel()
	s, provider, tokens := connected(t)
	server, calls := api(t, "nobody")
	client := s.Client(doctor, nil)
	provider.before = func(int) error { return telemed.ErrUnauthorized }
	_, err := client.Get(server.URL)
	require.ErrorIs(t, err, telemed.ErrUnauthorized, "why it could not be renewed")
	require.EqualValues(t, 1, calls.Load())

	require.NoError(t, tokens.Delete(t.Context(), doctor))
	body := &closing{Reader: strings.NewReader("body")}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, body)
	require.NoError(t, err)
	_, err = client.Do(req)
	require.ErrorIs(t, err, telemed.ErrNotConnected)
	require.True(t, body.closed)
	require.EqualValues(t, 1, calls.Load())

	_, err = client.Get("http://api.example/")
	require.ErrorIs(t, err, telemed.ErrInvalid, "no token in clear")
	_, err = client.Get("http://127.0.0.1:0/")
	require.Error(t, err)
}

type closing struct {
	io.Reader
	closed bool
}

func (c *closing) Close() error { c.closed = true; return nil }

func TestClientDoesNotFollowWithTheToken(t *testing.T) {
	t.Parallel()
	s, _, _ := connected(t)
	var stranger atomic.Value
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		stranger.Store(r.Header.Get("Authorization"))
	}))
	t.Cleanup(elsewhere.Close)
	var home atomic.Value
	mux := http.NewServeMux()
	mux.HandleFunc("/out", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) })
	mux.HandleFunc("/hop", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/home", http.StatusFound) })
	mux.HandleFunc("/home", func(_ http.ResponseWriter, r *http.Request) { home.Store(r.Header.Get("Authorization")) })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)

	for path, client := range map[string]*http.Client{"/out": s.Client(doctor, server.Client()), "/hop": s.Client(doctor, server.Client())} {
		resp, err := client.Get(server.URL + path)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
	}
	require.Empty(t, stranger.Load())
	require.Equal(t, "Bearer access-dr-rao-1", home.Load())

	forgetful := &http.Client{Transport: forgetful{server.Client().Transport}}
	resp, err := s.Client(doctor, forgetful).Get(server.URL + "/out")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Empty(t, stranger.Load(), "also behind a transport that does not tell whose answer it is")
}

type forgetful struct{ base http.RoundTripper }

func (f forgetful) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := f.base.RoundTrip(req)
	if resp != nil {
		resp.Request = nil
	}
	return resp, err
}

func TestTokenSource(t *testing.T) {
	t.Parallel()
	s, _, _ := connected(t)
	token, err := s.TokenSource(t.Context(), doctor).Token()
	require.NoError(t, err)
	require.Equal(t, "access-dr-rao-1", token.AccessToken)
	require.Empty(t, token.RefreshToken, "nobody else may spend it")
	require.WithinDuration(t, time.Now().Add(time.Hour), token.Expiry, time.Minute)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("why"))
	_, err = s.TokenSource(ctx, doctor).Token()
	require.EqualError(t, err, "oauth: "+fmt.Sprint(doctor)+": why")
}

package googlemeet_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/meet/googlemeet"
	"github.com/telemed-go/telemed/meet/googlemeet/googlemeettest"
	"github.com/telemed-go/telemed/store"
)

func TestGooglesErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		status   int
		reason   string
		write    error // what Create returns
		read     error // what Get returns
		attempts int
	}{
		{400, "timeRangeEmpty", telemed.ErrInvalid, telemed.ErrInvalid, 1},
		{400, "required", telemed.ErrInvalid, telemed.ErrInvalid, 1},
		{403, "rateLimitExceeded", telemed.ErrRateLimited, telemed.ErrRateLimited, 4},
		{403, "userRateLimitExceeded", telemed.ErrRateLimited, telemed.ErrRateLimited, 4},
		{403, "quotaExceeded", telemed.ErrRateLimited, telemed.ErrRateLimited, 1},
		{403, "dailyLimitExceeded", telemed.ErrRateLimited, telemed.ErrRateLimited, 1},
		{403, "insufficientPermissions", telemed.ErrMissingScope, telemed.ErrMissingScope, 1},
		{403, "accessNotConfigured", telemed.ErrUnauthorized, telemed.ErrUnauthorized, 1},
		{403, "forbiddenForNonOrganizer", telemed.ErrForbidden, telemed.ErrForbidden, 1},
		{403, "", telemed.ErrForbidden, telemed.ErrForbidden, 1},
		{404, "notFound", telemed.ErrNotFound, telemed.ErrNotFound, 1},
		{410, "deleted", telemed.ErrNotFound, telemed.ErrNotFound, 1},
		{412, "conditionNotMet", telemed.ErrConflict, telemed.ErrConflict, 1},
		{429, "rateLimitExceeded", telemed.ErrRateLimited, telemed.ErrRateLimited, 4},
		{500, "backendError", telemed.ErrAmbiguous, telemed.ErrUnavailable, 4},
		{503, "backendError", telemed.ErrAmbiguous, telemed.ErrUnavailable, 4},
	}
	c := open(t)
	for _, test := range tests {
		fail := func(op string) {
			for range test.attempts {
				c.fake.FailNext(googlemeettest.Refuse(op, test.status, test.reason, ""))
			}
		}
		fail("insert")
		before := c.fake.Count("insert")
		_, err := c.Create(t.Context(), doctor, request(t, "appt-1"))
		require.ErrorIs(t, err, test.write, "%d %s", test.status, test.reason)
		require.Equal(t, test.status, failure(t, err).Status)
		require.Equal(t, test.reason, failure(t, err).Reason)
		require.Equal(t, test.attempts, c.fake.Count("insert")-before, "%d %s", test.status, test.reason)
		require.Equal(t, test.write == telemed.ErrMissingScope, errors.Is(err, telemed.ErrReconnect))

		fail("get")
		_, err = c.Get(t.Context(), doctor, "99999999999")
		require.ErrorIs(t, err, test.read, "%d %s", test.status, test.reason)
	}
	require.Empty(t, c.fake.Events())
}

func TestAPassingLimit(t *testing.T) {
	t.Parallel()
	c := open(t)
	c.fake.FailNext(googlemeettest.Refuse("", 403, "rateLimitExceeded", ""), googlemeettest.Refuse("", 403, "userRateLimitExceeded", ""))
	c.create(t, request(t, "appt-1"))
	require.Equal(t, 3, c.fake.Count("insert"))
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	c := open(t)
	slow := googlemeettest.Refuse("", 429, "rateLimitExceeded", "")
	slow.Header = http.Header{"Retry-After": {"60"}}
	c.fake.FailNext(slow)
	_, err := c.Create(t.Context(), doctor, request(t, "appt-1"))
	require.ErrorIs(t, err, telemed.ErrRateLimited)
	require.Equal(t, time.Minute, failure(t, err).RetryAfter)
	require.Equal(t, 1, c.fake.Count("insert"), "a minute is not waited for")
	require.EqualError(t, err, "googlemeet: Create: 429 (rateLimitExceeded): rate limited")
}

func TestAProxyInBetween(t *testing.T) {
	t.Parallel()
	t.Run("a passing 502", func(t *testing.T) {
		t.Parallel()
		c := open(t)
		c.fake.FailNext(googlemeettest.Fault{Status: 502, Body: "<h1>Bad Gateway</h1>"})
		c.create(t, request(t, "appt-1"))
	})
	t.Run("a page in place of an event", func(t *testing.T) {
		t.Parallel()
		c := open(t)
		page := googlemeettest.Fault{Status: 200, Body: "<h1>Please log in to the network</h1>"}
		c.fake.FailNext(page, page, page, page)
		_, err := c.Create(t.Context(), doctor, request(t, "appt-1"))
		require.ErrorIs(t, err, telemed.ErrAmbiguous)
		require.EqualError(t, err, "googlemeet: Create: 200: outcome unknown: answer is not JSON")
	})
	t.Run("a redirect is not followed", func(t *testing.T) {
		t.Parallel()
		c := open(t)
		c.fake.FailNext(googlemeettest.Fault{Status: 302, Body: "elsewhere"})
		_, err := c.Get(t.Context(), doctor, "99999999999")
		require.ErrorIs(t, err, telemed.ErrUnavailable)
	})
}

// hostile answers every call of the Calendar API with the same bytes.
func hostile(t *testing.T, handler http.HandlerFunc) *clinic {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	base := &http.Transport{}
	t.Cleanup(base.CloseIdleConnections)
	return open(t, func(cfg *googlemeet.Config) {
		cfg.Endpoints.Calendar = server.URL
		cfg.HTTPClient = &http.Client{Transport: base}
	})
}

// endless writes until the client has had enough.
func endless(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		chunk := bytes.Repeat([]byte("x"), 64<<10)
		for {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}
}

func TestAnswersThatAreNotTrusted(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		handler http.HandlerFunc
		text    string
		kind    error
	}{
		"endless": {endless(200), "googlemeet: Get: 200: provider unavailable: answer is longer than 1048576 bytes", telemed.ErrUnavailable},
		"cut": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte(`{"id":"`))
		}, "googlemeet: Get: 200: provider unavailable: answer was cut off: unexpected EOF", telemed.ErrUnavailable},
		"empty": {func(http.ResponseWriter, *http.Request) {}, "googlemeet: Get: 200: provider unavailable: answer is not JSON", telemed.ErrUnavailable},
		"wrong types": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"id":[],"start":"` + canary + `"}`))
		}, "googlemeet: Get: 200: provider unavailable: answer is not an event", telemed.ErrUnavailable},
		"an endless error": {endless(404), "googlemeet: Get: 404: provider unavailable: answer is longer than 1048576 bytes", telemed.ErrUnavailable},
		"an odd reason": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(403)
			_, _ = w.Write([]byte(`{"error":{"errors":[{"reason":"` + canary + ` may not"}],"message":"` + canary + `"}}`))
		}, "googlemeet: Get: 403: not permitted", telemed.ErrForbidden},
		"an error of another shape": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(403)
			_, _ = w.Write([]byte(`{"error":{"status":"PERMISSION_DENIED","details":[{"@type":"x","reason":"SERVICE_DISABLED"}]}}`))
		}, "googlemeet: Get: 403 (SERVICE_DISABLED): credentials refused", telemed.ErrUnauthorized},
		"a lie about the status": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(500)
			_, _ = w.Write([]byte(`{"error":{"code":404}}`))
		}, "googlemeet: Get: 500: provider unavailable", telemed.ErrUnavailable},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := hostile(t, test.handler)
			_, err := c.Get(t.Context(), doctor, "99999999999")
			require.EqualError(t, err, test.text)
			require.ErrorIs(t, err, test.kind)
		})
	}
}

// What is JSON, and yet no event of ours: nothing is done with it, least of all a patch
// of whatever it names.
func TestAnswersThatAreNotTheEvent(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{`null`, `{}`, `{"id":""}`, `{"id":"another"}`} {
		t.Run(answer, func(t *testing.T) {
			t.Parallel()
			var patches atomic.Int32
			c := hostile(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPatch {
					patches.Add(1)
				}
				_, _ = w.Write([]byte(answer))
			})
			_, err := c.Create(t.Context(), doctor, request(t, "appt-1"))
			require.EqualError(t, err, "googlemeet: Create: 200: outcome unknown: answer is not an event")
			require.ErrorIs(t, err, telemed.ErrAmbiguous)
			_, err = c.Get(t.Context(), doctor, "abcde")
			require.EqualError(t, err, "googlemeet: Get: 200: provider unavailable: answer is not an event")
			_, err = c.Update(t.Context(), doctor, "abcde", request(t, "appt-1"))
			require.ErrorIs(t, err, telemed.ErrUnavailable)
			require.Zero(t, patches.Load())
		})
	}
}

func TestListsWithHoles(t *testing.T) {
	t.Parallel()
	const answer = `{"id":"abcde","conferenceData":{"entryPoints":[null]},"attendees":[null]}`
	c := hostile(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(answer)) })
	_, err := c.Get(t.Context(), doctor, "abcde")
	require.ErrorIs(t, err, telemed.ErrUnavailable)
	_, err = c.Update(t.Context(), doctor, "abcde", request(t, "appt-1"))
	require.ErrorIs(t, err, telemed.ErrUnavailable)
}

func TestAnEventWithoutTimes(t *testing.T) {
	t.Parallel()
	c := hostile(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"id":"abcde","status":"cancelled","start":{"dateTime":"soon","timeZone":"../etc"}}`))
	})
	m, err := c.Get(t.Context(), doctor, "abcde")
	require.NoError(t, err)
	require.Equal(t, meet.StatusCancelled, m.Status)
	require.True(t, m.Start.IsZero())
	require.Zero(t, m.Duration)
}

func TestTokens(t *testing.T) {
	t.Parallel()
	t.Run("one that ended early is renewed once", func(t *testing.T) {
		t.Parallel()
		c := open(t)
		c.create(t, request(t, "appt-1"))
		c.fake.ExpireTokens()
		c.create(t, request(t, "appt-2"))
		require.Equal(t, 1, c.fake.Refreshes())
	})
	t.Run("access taken away", func(t *testing.T) {
		t.Parallel()
		reasons := make(chan string, 1)
		c := open(t, func(cfg *googlemeet.Config) {
			cfg.Refreshing.OnReconnect = func(k store.AccountID, reason string) { reasons <- k.Subject + ": " + reason }
		})
		c.fake.RevokeAccess("doctor@example.org")
		_, err := c.Create(t.Context(), doctor, request(t, "appt-1"))
		require.ErrorIs(t, err, telemed.ErrReconnect)
		require.NotErrorIs(t, err, telemed.ErrAmbiguous)
		require.NotContains(t, err.Error(), doctor)
		require.Contains(t, <-reasons, doctor+": ")

		c.connect(t, doctor, googlemeettest.Consent{})
		c.create(t, request(t, "appt-1"))
	})
	t.Run("refused again and again", func(t *testing.T) {
		t.Parallel()
		c := open(t)
		c.fake.FailNext(googlemeettest.Refuse("", 401, "authError", ""), googlemeettest.Refuse("", 401, "authError", ""))
		_, err := c.Create(t.Context(), doctor, request(t, "appt-1"))
		require.ErrorIs(t, err, telemed.ErrReconnect)
		require.Equal(t, 2, c.fake.Count("insert"))
	})
	t.Run("the application is refused", func(t *testing.T) {
		t.Parallel()
		c := open(t, func(cfg *googlemeet.Config) { cfg.HTTPClient.Timeout = 5 * time.Second })
		cfg := config(t, c.fake, c.tokens)
		cfg.ClientSecret = telemed.NewSecret("wrong")
		other := newClient(t, cfg)
		c.fake.ExpireTokens()
		_, err := other.Create(t.Context(), doctor, request(t, "appt-1"))
		require.ErrorIs(t, err, telemed.ErrUnauthorized)
		require.NotErrorIs(t, err, telemed.ErrReconnect)
		c.create(t, request(t, "appt-1")) // the doctor is still connected
	})
	t.Run("the token endpoint is down", func(t *testing.T) {
		t.Parallel()
		c := open(t)
		c.fake.ExpireTokens()
		for range 10 {
			c.fake.FailNext(googlemeettest.Fault{Op: "token", Status: 503})
		}
		_, err := c.Create(t.Context(), doctor, request(t, "appt-1"))
		require.ErrorIs(t, err, telemed.ErrUnavailable)
		require.NotErrorIs(t, err, telemed.ErrAmbiguous, "no event was asked for")
	})
	t.Run("without the calendar", func(t *testing.T) {
		t.Parallel()
		c := open(t)
		c.connect(t, doctor, googlemeettest.Consent{WithoutCalendar: true})
		_, err := c.Create(t.Context(), doctor, request(t, "appt-1"))
		require.ErrorIs(t, err, telemed.ErrMissingScope)
		require.ErrorIs(t, err, telemed.ErrReconnect)
		require.EqualError(t, err, "googlemeet: Create: 403 (insufficientPermissions): permission was not granted")
	})
	t.Run("kept over a restart of everything", func(t *testing.T) {
		t.Parallel()
		c := open(t)
		rec, err := c.tokens.Get(t.Context(), key(doctor))
		require.NoError(t, err)
		fake := googlemeettest.NewServer(t)
		client := newClient(t, config(t, fake, c.tokens))
		fake.Restore(store.Token{}) // restores nothing
		fake.Restore(rec.Token)
		_, err = client.Create(t.Context(), doctor, request(t, "appt-1"))
		require.NoError(t, err)
		require.Zero(t, fake.Refreshes())
		fake.ExpireTokens()
		_, err = client.Create(t.Context(), doctor, request(t, "appt-2"))
		require.NoError(t, err)
		require.Equal(t, 1, fake.Refreshes())
	})
	t.Run("for calls of one's own", func(t *testing.T) {
		t.Parallel()
		c := open(t)
		token, err := c.Tokens().Token(t.Context(), key(doctor))
		require.NoError(t, err)
		require.False(t, token.Access.IsZero())
	})
	t.Run("after Close", func(t *testing.T) {
		t.Parallel()
		c := open(t)
		require.NoError(t, c.Shutdown(t.Context()))
		c.fake.ExpireTokens()
		_, err := c.Create(t.Context(), doctor, request(t, "appt-1"))
		require.ErrorIs(t, err, telemed.ErrClosed)
	})
}

func TestContextEndsTheCall(t *testing.T) {
	t.Parallel()
	c := open(t)
	c.fake.FailNext(googlemeettest.Fault{Op: "insert", Delay: time.Hour})
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	_, err := c.Create(ctx, doctor, request(t, "appt-1"))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorIs(t, err, telemed.ErrAmbiguous)

	cancelled, stop := context.WithCancel(t.Context())
	stop()
	err = c.Cancel(cancelled, doctor, "99999999999")
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, telemed.ErrUnavailable, "it was not even begun")
	require.Zero(t, c.fake.Count("delete"))
}

func TestErrorAsJSONHasNoLink(t *testing.T) {
	t.Parallel()
	var err error = &googlemeet.Error{
		Op: "Create", Reason: googlemeet.ReasonMoved, RetryAfter: time.Second,
		Meeting: &meet.Meeting{ID: "m1", JoinURL: "https://meet.google.com/canary", Passcode: "canary", Topic: "canary"},
	}
	encoded, jsonErr := json.Marshal(err)
	require.NoError(t, jsonErr)
	require.NotContains(t, string(encoded), "canary")
	require.Contains(t, string(encoded), "moved")
	var delayed interface{ RetryDelay() time.Duration }
	require.ErrorAs(t, err, &delayed)
	require.Equal(t, time.Second, delayed.RetryDelay())
}

// A cut answer is as good as none. All that this package asks for may be asked for twice.
func TestCutAnswers(t *testing.T) {
	t.Parallel()
	c := open(t)
	c.fake.FailNext(googlemeettest.Fault{Op: googlemeettest.OpInsert, Cut: true}, googlemeettest.Fault{Op: googlemeettest.OpGet, Cut: true})
	m := c.create(t, request(t, "appt-1"))
	_, err := c.Get(t.Context(), doctor, m.ID)
	require.NoError(t, err)
	require.Len(t, c.fake.Events(), 1)
	require.Equal(t, 2, c.fake.Count(googlemeettest.OpInsert))
}

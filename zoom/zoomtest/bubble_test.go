package zoomtest_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/zoom"
	"github.com/telemed-go/telemed/zoom/zoomtest"
)

// direct sends requests to a handler without a network.
type direct struct{ http.Handler }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	recorder := httptest.NewRecorder()
	d.ServeHTTP(recorder, r)
	return recorder.Result(), nil
}

// TestStoryInABubble: a doctor connects, a token expires, an answer is slow, Zoom tells
// of the meeting. All of it takes over an hour, and no time.
func TestStoryInABubble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var told []string
		webhook := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			told = append(told, r.Header.Get("X-Zm-Request-Timestamp"))
		})
		fake := zoomtest.NewServer(t, zoomtest.Config{
			InMemory: true, TLS: true, HTTPClient: &http.Client{Transport: direct{webhook}},
		})
		tokens := store.NewMemory()
		client, err := zoom.New(zoom.Config{
			ClientID: fake.ClientID(), ClientSecret: fake.ClientSecret(), RedirectURL: callback,
			Tokens: tokens, Endpoints: fake.Endpoints(), HTTPClient: fake.Client(),
		})
		require.NoError(t, err)
		defer func() { require.NoError(t, client.Shutdown(context.WithoutCancel(t.Context()))) }()

		verifier := oauth2.GenerateVerifier()
		back, err := fake.Authorize(client.OAuth().AuthCodeURL("s", verifier))
		require.NoError(t, err)
		u, err := url.Parse(back)
		require.NoError(t, err)
		token, err := client.OAuth().Exchange(t.Context(), u.Query().Get("code"), verifier)
		require.NoError(t, err)
		require.NoError(t, store.Set(t.Context(), tokens, store.AccountID{Provider: zoom.ProviderName, Subject: "dr-rao"}, token))

		begin := time.Now()
		time.Sleep(time.Hour) // the token expires
		fake.FailNext(zoomtest.Fault{Op: zoomtest.OpCreate, Delay: 20 * time.Second})
		req := meet.Request{Key: "appt-42", Topic: "Visit", Start: time.Now().Add(48 * time.Hour), Duration: time.Hour}
		m, err := client.Create(t.Context(), "dr-rao", req)
		require.NoError(t, err)
		require.Equal(t, 1, fake.Refreshes())
		require.GreaterOrEqual(t, time.Since(begin), time.Hour+20*time.Second)
		require.Less(t, time.Since(begin), time.Hour+time.Minute)

		status, _, err := fake.SendWebhook("https://clinic.example/webhooks", fake.MeetingEvent("meeting.started", fake.Meetings()[0].ID))
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, status)
		require.Len(t, told, 1)
		require.NotEmpty(t, m.ID)
	})
}

func TestAdvance(t *testing.T) {
	t.Parallel()
	s := zoomtest.NewServer(t, zoomtest.Config{DailyLimit: 1})
	token := connect(t, s)
	status, _ := call(t, s, token, http.MethodPost, "/users/me/meetings", `{}`)
	require.Equal(t, http.StatusCreated, status)
	s.Advance(59 * time.Minute)
	status, _ = call(t, s, token, http.MethodGet, "/users/me", "")
	require.Equal(t, http.StatusOK, status)
	s.Advance(time.Minute)
	status, _ = call(t, s, token, http.MethodGet, "/users/me", "")
	require.Equal(t, http.StatusUnauthorized, status, "it has expired")
	s.Advance(24 * time.Hour)
	status, _ = call(t, s, connect(t, s), http.MethodPost, "/users/me/meetings", `{}`)
	require.Equal(t, http.StatusCreated, status, "it is another day")
}

func TestAddress(t *testing.T) {
	t.Parallel()
	_, err := zoomtest.Start(zoomtest.Config{Addr: "nonsense"})
	require.ErrorContains(t, err, "zoomtest: ")
	s := zoomtest.NewServer(t, zoomtest.Config{Addr: "zoom.example:443", InMemory: true, TLS: true})
	require.Equal(t, "https://zoom.example:443", s.URL())
	require.Contains(t, string(s.Certificate()), "BEGIN CERTIFICATE")
	transport := s.Client().Transport.(*http.Transport).Clone()
	transport.DialContext = s.Dial
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Get(s.URL() + "/v2/users/me")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusUnauthorized, resp.StatusCode)

	found, err := s.WaitFor(t.Context(), func(r zoomtest.Request) bool { return r.Status != 0 })
	require.NoError(t, err)
	require.Equal(t, zoomtest.OpMe, found.Op)
	s.Reset()
	require.Empty(t, s.Requests())
	require.Nil(t, zoomtest.NewServer(t).Certificate())
}

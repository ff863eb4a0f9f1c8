package googlemeettest_test

import (
	"context"
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/meet/googlemeet"
	"github.com/telemed-go/telemed/meet/googlemeet/googlemeettest"
	"github.com/telemed-go/telemed/store"
)

// TestStoryInABubble: the access token expires twice, by the bubble's clock and by
// Google's own, and an answer is lost that nobody waits for. It takes no time.
func TestStoryInABubble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fake := googlemeettest.NewServer(t, googlemeettest.Config{InMemory: true, TLS: true})
		tokens := store.NewMemory()
		client, err := googlemeet.New(googlemeet.Config{
			ClientID: fake.ClientID(), ClientSecret: fake.ClientSecret(), RedirectURL: "http://127.0.0.1:3001/callback",
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
		require.NoError(t, store.Set(t.Context(), tokens, store.AccountID{Provider: googlemeet.ProviderName, Subject: "dr-rao"}, token))

		time.Sleep(time.Hour)
		fake.FailNext(googlemeettest.Fault{Op: googlemeettest.OpInsert, Delay: 20 * time.Second, LoseAnswer: true})
		m, err := client.Create(t.Context(), "dr-rao", meet.Request{
			Key: "appt-42", Topic: "Visit", Start: time.Now().Add(48 * time.Hour), Duration: time.Hour,
		})
		require.NoError(t, err)
		require.Equal(t, 1, fake.Refreshes())
		fake.Advance(time.Hour)
		_, err = client.Get(t.Context(), "dr-rao", m.ID)
		require.NoError(t, err)
		require.Equal(t, 2, fake.Refreshes())

		grants := fake.Grants()
		require.Len(t, grants, 1)
		require.Equal(t, "doctor@example.org", grants[0].Email)
		require.Contains(t, grants[0].Scopes, googlemeet.ScopeEvents)
		require.Equal(t, 2, grants[0].Refreshes)
		require.Equal(t, time.Now().Add(2*time.Hour).Truncate(time.Second), grants[0].Expires.Truncate(time.Second))
		fake.ExpireTokens()
		require.True(t, fake.Grants()[0].Expires.IsZero())
		require.False(t, fake.Grants()[0].Ended)
		fake.RevokeAccess("doctor@example.org")
		require.True(t, fake.Grants()[0].Ended)

		found, err := fake.WaitFor(t.Context(), func(r googlemeettest.Request) bool { return r.Status == http.StatusUnauthorized })
		require.NoError(t, err)
		require.Equal(t, googlemeettest.OpGet, found.Op)
		fake.Reset()
		require.Empty(t, fake.Requests())
		require.Contains(t, string(fake.Certificate()), "BEGIN CERTIFICATE")
	})
}

func TestRefusedTokens(t *testing.T) {
	t.Parallel()
	c := newCaller(t, googlemeettest.NewServer(t))
	c.fake.FailNext(googlemeettest.Refuse(googlemeettest.OpToken, 400, "invalid_grant", "Bad Request"))
	status, failed := c.post(c.fake.Endpoints().Token, url.Values{})
	require.Equal(t, 400, status)
	require.Equal(t, map[string]any{"error": "invalid_grant", "error_description": "Bad Request"}, failed)
	conn, err := c.fake.Dial(t.Context(), "tcp", "oauth2.googleapis.com:443")
	require.NoError(t, err, "it leads to the fake")
	require.NoError(t, conn.Close())
}

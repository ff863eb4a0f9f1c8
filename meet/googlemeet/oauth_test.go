package googlemeet_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/meet/googlemeet"
	"github.com/telemed-go/telemed/meet/googlemeet/googlemeettest"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/oauth"
)

func TestConsentIsAskedForWhole(t *testing.T) {
	t.Parallel()
	client := newClient(t, googlemeet.Config{
		ClientID: "id", ClientSecret: telemed.NewSecret("secret"), RedirectURL: "https://clinic.example/callback", Tokens: store.NewMemory(),
	})
	server := client.OAuth()
	require.NoError(t, server.Validate())
	address := server.AuthCodeURL("state-1", oauth2.GenerateVerifier())
	require.True(t, strings.HasPrefix(address, "https://accounts.google.com/o/oauth2/v2/auth?"), address)
	u, err := url.Parse(address)
	require.NoError(t, err)
	q := u.Query()
	require.Equal(t, "offline", q.Get("access_type"))
	require.Equal(t, "consent", q.Get("prompt"), "without it Google sends no refresh token the second time")
	require.Equal(t, "S256", q.Get("code_challenge_method"))
	require.Equal(t, "https://www.googleapis.com/auth/calendar.events openid email", q.Get("scope"))
	require.NotContains(t, address, "secret")
	require.Equal(t, []string{googlemeet.ScopeEvents}, server.RequiredScopes(), "who hides the address connects all the same")
	require.Equal(t, "https://accounts.google.com", server.Issuer)
}

func TestConnect(t *testing.T) {
	t.Parallel()
	c := open(t)
	token, err := c.consent(t, googlemeettest.Consent{Email: "asha@example.org"})
	require.NoError(t, err)
	require.False(t, token.Refresh.IsZero())
	require.True(t, token.HasScope(googlemeet.ScopeEvents))
	require.Equal(t, "asha@example.org", token.Account.Email)
	require.Regexp(t, `^\d{21}$`, token.Account.ID)
	require.WithinDuration(t, time.Now().Add(time.Hour), token.Expiry, time.Minute)

	again, err := c.consent(t, googlemeettest.Consent{Email: "asha@example.org"})
	require.NoError(t, err)
	require.Equal(t, token.Account.ID, again.Account.ID)
	require.False(t, again.Refresh.IsZero(), "a second consent brings one too")

	partial, err := c.consent(t, googlemeettest.Consent{WithoutCalendar: true})
	require.NoError(t, err, "Google gives a token for the rest")
	require.False(t, partial.HasScope(googlemeet.ScopeEvents))
}

func TestCodesAreBoundAndSpent(t *testing.T) {
	t.Parallel()
	c := open(t)
	server, verifier := c.OAuth(), oauth2.GenerateVerifier()
	back, err := c.fake.Authorize(server.AuthCodeURL("s", verifier))
	require.NoError(t, err)
	u, err := url.Parse(back)
	require.NoError(t, err)
	code := u.Query().Get("code")

	_, err = server.Exchange(t.Context(), code, oauth2.GenerateVerifier())
	require.ErrorIs(t, err, oauth.ErrRejected, "another browser's verifier")
	_, err = server.Exchange(t.Context(), code, verifier)
	require.NoError(t, err)
	_, err = server.Exchange(t.Context(), code, verifier)
	require.ErrorIs(t, err, oauth.ErrRejected)
	require.NotContains(t, err.Error(), code)
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	c := open(t)
	rec, err := c.tokens.Get(t.Context(), key(doctor))
	require.NoError(t, err)
	revoke := c.OAuth().Revoke
	require.NoError(t, revoke(t.Context(), rec.Token))
	require.NoError(t, revoke(t.Context(), rec.Token), "gone already")
	_, err = c.OAuth().Refresh(t.Context(), rec.Token)
	require.ErrorIs(t, err, oauth.ErrRejected)

	for range 3 {
		c.fake.FailNext(googlemeettest.Fault{Op: "revoke", Status: 503})
	}
	err = revoke(t.Context(), rec.Token)
	require.ErrorIs(t, err, telemed.ErrAmbiguous)
	require.Equal(t, "Revoke", failure(t, err).Op)
	require.NotContains(t, err.Error(), rec.Token.Refresh.Reveal())

	access, err := c.consent(t, googlemeettest.Consent{})
	require.NoError(t, err)
	access.Refresh = telemed.Secret{}
	require.NoError(t, revoke(t.Context(), access), "without a refresh token the access token will do")
	require.Equal(t, 6, c.fake.Count("revoke"))
}

func idToken(t *testing.T, change map[string]any) string {
	t.Helper()
	claims := map[string]any{
		"iss": "https://accounts.google.com", "aud": "id", "sub": "110169484474386276334", "email": "asha@example.org",
		"exp": time.Now().Add(time.Hour).Unix(),
	}
	maps.Copy(claims, change)
	payload, err := json.Marshal(claims)
	require.NoError(t, err)
	return "e30." + base64.RawURLEncoding.EncodeToString(payload) + ".c2ln"
}

// A gateway's 400 does not say that the grant is gone.
func TestRevokeAtAGateway(t *testing.T) {
	t.Parallel()
	for body, gone := range map[string]bool{
		`{"error":"invalid_token","error_description":"Token expired or revoked"}`: true, `{"error":"invalid_grant"}`: true,
		"<html>bad request</html>": false, `{"error":"Bad Request","status":400}`: false, "": false, `{"error":"invalid_request"}`: false,
	} {
		c := open(t)
		rec, err := c.tokens.Get(t.Context(), key(doctor))
		require.NoError(t, err)
		c.fake.FailNext(googlemeettest.Fault{Op: googlemeettest.OpRevoke, Status: 400, Body: body})
		err = c.OAuth().Revoke(t.Context(), rec.Token)
		require.Equal(t, gone, err == nil, "%q: %v", body, err)
	}
}

func identifier(t testing.TB) func(string) (store.Account, error) {
	t.Helper()
	client, err := googlemeet.New(googlemeet.Config{
		ClientID: "id", ClientSecret: telemed.NewSecret("secret"), RedirectURL: "https://clinic.example/callback", Tokens: store.NewMemory(),
	})
	require.NoError(t, err)
	return func(idToken string) (store.Account, error) {
		return client.OAuth().Identify(context.Background(), store.Token{}, idToken)
	}
}

func TestIdentify(t *testing.T) {
	t.Parallel()
	identify := identifier(t)
	good := map[string]string{
		"as it is":      idToken(t, nil),
		"short issuer":  idToken(t, map[string]any{"iss": "accounts.google.com"}),
		"audience list": idToken(t, map[string]any{"aud": []string{"id"}}),
		"skewed clock":  idToken(t, map[string]any{"exp": time.Now().Add(-30 * time.Second).Unix()}),
	}
	for name, token := range good {
		account, err := identify(token)
		require.NoError(t, err, name)
		require.Equal(t, store.Account{ID: "110169484474386276334", Email: "asha@example.org"}, account, name)
	}
	unknown, err := identify("")
	require.NoError(t, err, "openid was not asked for")
	require.Zero(t, unknown)

	bad := map[string]struct{ token, text string }{
		"issuer":          {idToken(t, map[string]any{"iss": "https://evil.example"}), "id token is not Google's"},
		"audience":        {idToken(t, map[string]any{"aud": "another"}), "id token is for another application"},
		"two audiences":   {idToken(t, map[string]any{"aud": []string{"id", "another"}}), "id token is for another application"},
		"no audience":     {idToken(t, map[string]any{"aud": []string{}}), "id token is for another application"},
		"expired":         {idToken(t, map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}), "id token has expired"},
		"no expiry":       {idToken(t, map[string]any{"exp": nil}), "id token has expired"},
		"no subject":      {idToken(t, map[string]any{"sub": ""}), "id token names no account"},
		"long subject":    {idToken(t, map[string]any{"sub": strings.Repeat("1", 256)}), "id token names no account"},
		"wrong type":      {idToken(t, map[string]any{"sub": 7}), "id token cannot be read"},
		"two parts":       {"a.b", "id token is not a JWT"},
		"too long":        {strings.Repeat("a", 20<<10) + ".b.c", "id token is not a JWT"},
		"not base64":      {"a.?.c", "id token cannot be read"},
		"not JSON":        {"a.YWJj.c", "id token cannot be read"},
		"a list for JSON": {"a.W10.c", "id token cannot be read"},
	}
	for name, test := range bad {
		account, err := identify(test.token)
		require.EqualError(t, err, test.text, name)
		require.Zero(t, account, name)
	}
}

func FuzzIdentify(f *testing.F) {
	f.Add("e30.eyJpc3MiOiJodHRwczovL2FjY291bnRzLmdvb2dsZS5jb20iLCJhdWQiOiJpZCIsInN1YiI6IjEiLCJleHAiOjk5OTk5OTk5OTl9.c2ln")
	f.Add("e30.eyJhdWQiOltdLCJleHAiOi0xZTMwOH0=.c2ln")
	f.Add("..")
	identify := identifier(f)
	f.Fuzz(func(t *testing.T, token string) {
		account, err := identify(token)
		if err != nil && account != (store.Account{}) {
			t.Error("an account comes with an error")
		}
		if err != nil && len(token) > 40 && strings.Contains(err.Error(), token) {
			t.Error("the error quotes the token")
		}
		if err == nil && token != "" && (account.ID == "" || len(account.ID) > 255) {
			t.Errorf("an account without a usable id: %q", account.ID)
		}
	})
}

package googlemeet_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/meet/googlemeet"
	"github.com/telemed-go/telemed/meet/googlemeet/googlemeettest"
	"github.com/telemed-go/telemed/store"
)

func TestNodeCredentials(t *testing.T) {
	t.Parallel()
	token, err := googlemeet.ParseNodeCredentials([]byte(`{
		"access_token": "ya29.a", "refresh_token": "1//0r", "token_type": "Bearer", "expiry_date": 1772361000123,
		"scope": "openid https://www.googleapis.com/auth/calendar.events", "id_token": "x.y.z", "refresh_token_expires_in": 604799
	}`))
	require.NoError(t, err)
	require.Equal(t, "ya29.a", token.Access.Reveal())
	require.Equal(t, "1//0r", token.Refresh.Reveal())
	require.Equal(t, time.Date(2026, 3, 1, 10, 30, 0, 123e6, time.UTC), token.Expiry)
	require.Equal(t, []string{"openid", googlemeet.ScopeEvents}, token.Scopes)

	token, err = googlemeet.ParseNodeCredentials([]byte(`{"refresh_token":"1//0r"}`))
	require.NoError(t, err)
	require.True(t, token.Expiry.IsZero(), "and a Source refreshes it before use")
}

// A doctor who connected with the old backend stays connected, although the stored token
// is long dead.
func TestNodeCredentialsWork(t *testing.T) {
	t.Parallel()
	c := open(t)
	granted, err := c.consent(t, googlemeettest.Consent{})
	require.NoError(t, err)
	c.fake.ExpireTokens()
	document := fmt.Sprintf(`{"access_token":%q,"refresh_token":%q,"scope":%q,"token_type":"Bearer","expiry_date":1700000000000}`,
		granted.Access.Reveal(), granted.Refresh.Reveal(), strings.Join(granted.Scopes, " "))
	token, err := googlemeet.ParseNodeCredentials([]byte(document))
	require.NoError(t, err)
	require.NoError(t, store.Set(t.Context(), c.tokens, key("dr-old"), token))
	_, err = c.Create(t.Context(), "dr-old", request(t, "appt-1"))
	require.NoError(t, err)
	require.Equal(t, 1, c.fake.Refreshes())
}

func TestNodeCredentialsThatAreNone(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ data, text string }{
		"empty":            {``, "not a JSON object"},
		"a list":           {`[]`, "not a JSON object"},
		"null":             {`null`, "there is no refresh_token: the doctor must connect again"},
		"access alone":     {`{"access_token":"ya29.secret"}`, "there is no refresh_token: the doctor must connect again"},
		"number for text":  {`{"refresh_token":12345}`, "refresh_token has the wrong type"},
		"expiry as text":   {`{"refresh_token":"secret","expiry_date":"2026-03-01"}`, "expiry_date has the wrong type"},
		"expiry in second": {`{"refresh_token":"secret","expiry_date":1772361000}`, "expiry_date looks like seconds; it is milliseconds since 1970"},
		"negative expiry":  {`{"refresh_token":"secret","expiry_date":-1}`, "expiry_date is not milliseconds since 1970"},
		"huge expiry":      {`{"refresh_token":"secret","expiry_date":1e300}`, "expiry_date is not milliseconds since 1970"},
		"line break":       {`{"refresh_token":"secret\r\nX: y"}`, "a token has characters that no token has"},
		"another type":     {`{"refresh_token":"secret","token_type":"MAC"}`, "token_type is not Bearer"},
		"too long":         {`{"refresh_token":"` + strings.Repeat("secret", 20000) + `"}`, "document is longer than 64 kB"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			token, err := googlemeet.ParseNodeCredentials([]byte(test.data))
			require.EqualError(t, err, "googlemeet: credentials: "+test.text)
			require.NotContains(t, err.Error(), "secret")
			require.Zero(t, token)
		})
	}
}

func FuzzParseNodeCredentials(f *testing.F) {
	f.Add([]byte(`{"access_token":"ya29.a","refresh_token":"1//0r","scope":"a b","token_type":"Bearer","expiry_date":1772361000000}`))
	f.Add([]byte(`{"refresh_token":"1//0r","expiry_date":1e12}`))
	f.Add([]byte(`{"refresh_token":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		token, err := googlemeet.ParseNodeCredentials(data)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "googlemeet: credentials: ") || len(err.Error()) > 120 {
				t.Errorf("error is %q", err)
			}
			return
		}
		if token.Refresh.IsZero() || strings.ContainsAny(token.Refresh.Reveal()+token.Access.Reveal(), " \r\n\x00") {
			t.Error("a token that cannot be sent")
		}
		if !token.Expiry.IsZero() && (token.Expiry.Year() < 1973 || token.Expiry.Year() > 9999) {
			t.Errorf("expiry is %v", token.Expiry)
		}
		if _, err := store.EncodeToken(token); err != nil {
			t.Errorf("the token cannot be stored: %v", err)
		}
	})
}

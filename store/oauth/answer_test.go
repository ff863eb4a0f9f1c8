package oauth_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/oauth"
)

// tokensAnd is a good answer with one more thing in it, between the two tokens and again
// behind them.
func tokensAnd(neighbour string) string {
	return `{"access_token":"a2",` + neighbour + `,"refresh_token":"r2",` + neighbour + `}`
}

// oddAnswers carry a2 and r2.
var oddAnswers = []struct {
	name        string
	status      int
	contentType string
	body        string
	life        time.Duration
}{
	{"a fractional life", 200, jsonType, tokensAnd(`"expires_in":3599.5`), 3599500 * time.Millisecond},
	{"a life with an exponent", 200, jsonType, tokensAnd(`"expires_in":3.6e3`), time.Hour},
	{"a life in a text", 200, jsonType, tokensAnd(`"expires_in":" 60.5 "`), 60500 * time.Millisecond},
	{"an empty life", 200, jsonType, tokensAnd(`"expires_in":""`), time.Hour},
	{"no number for a life", 200, jsonType, tokensAnd(`"expires_in":"soon"`), time.Hour},
	{"a boolean life", 200, jsonType, tokensAnd(`"expires_in":true`), time.Hour},
	{"an object for a life", 200, jsonType, tokensAnd(`"expires_in":{"seconds":60}`), time.Hour},
	{"a list for a life", 200, jsonType, tokensAnd(`"expires_in":[60,"}"]`), time.Hour},
	{"no life", 200, jsonType, tokensAnd(`"expires_in":null`), time.Hour},
	{"a life of nothing", 200, jsonType, tokensAnd(`"expires_in":0`), time.Hour},
	{"a life in the past", 200, jsonType, tokensAnd(`"expires_in":-60`), time.Hour},
	{"a life that is NaN", 200, jsonType, tokensAnd(`"expires_in":NaN`), time.Hour},
	{"a life in nanoseconds", 200, jsonType, tokensAnd(`"expires_in":3600000000000`), 366 * 24 * time.Hour},
	{"a life beyond 64 bits", 200, jsonType, tokensAnd(`"expires_in":99999999999999999999`), 366 * 24 * time.Hour},
	{"a life beyond a float", 200, jsonType, tokensAnd(`"expires_in":1e999`), 366 * 24 * time.Hour},

	{"a BOM", 200, jsonType, "\ufeff" + tokensAnd(`"expires_in":60`), time.Minute},
	{"line breaks and a BOM", 200, jsonType, "\r\n \ufeff\n" + tokensAnd(`"expires_in":60`), time.Minute},
	{"text, and a line break", 200, "text/plain", "\n" + tokensAnd(`"expires_in":60`), time.Minute},
	{"a type in capitals", 200, "TEXT/PLAIN", tokensAnd(`"expires_in":60`), time.Minute},
	{"the type of a form", 200, "application/x-www-form-urlencoded", tokensAnd(`"expires_in":60`), time.Minute},
	{"no type that there is", 200, ";;;", tokensAnd(`"expires_in":60`), time.Minute},
	{"a warning before it", 200, "text/html", "<b>Notice</b>: {x} in <a>\n" + tokensAnd(`"expires_in":60`), time.Minute},
	{"something behind it", 200, jsonType, tokensAnd(`"expires_in":60`) + "\n<!-- 3 ms -->", time.Minute},
	{"two of them", 200, jsonType, tokensAnd(`"expires_in":60`) + `{"access_token":"other"}`, time.Minute},
	{"in an array", 200, jsonType, "[" + tokensAnd(`"expires_in":60`) + "]", time.Minute},
	{"names in capitals", 200, jsonType, `{"Access_Token":"a2","REFRESH_TOKEN":"r2","Expires_In":60}`, time.Minute},
	{"an escaped name", 200, jsonType, `{"access\u005ftoken":"a2","refresh_token":"\u00722","expires_in":60}`, time.Minute},
	{"twice, and then empty", 200, jsonType, `{"access_token":"a2","refresh_token":"r2","access_token":"","refresh_token":null}`, time.Hour},

	{"an error of 0", 200, jsonType, tokensAnd(`"error":0`), time.Hour},
	{"an error of false", 200, jsonType, tokensAnd(`"error":false`), time.Hour},
	{"an error of null", 200, jsonType, tokensAnd(`"error":null`), time.Hour},
	{"an empty error", 200, jsonType, tokensAnd(`"error":""`), time.Hour},
	{"an error beside the tokens", 200, jsonType, tokensAnd(`"error":"none"`), time.Hour},
	{"an object that describes an error", 200, jsonType, tokensAnd(`"error_description":{"a":["}"]}`), time.Hour},
	{"no JSON in a neighbour", 200, jsonType, tokensAnd(`"x":undefined`), time.Hour},
	{"a bad escape in a neighbour", 200, jsonType, tokensAnd(`"x":"\x41 \" \\"`), time.Hour},
	{"a line break in a neighbour", 200, jsonType, tokensAnd("\"x\":\"a\nb\""), time.Hour},
	{"a name without quotes", 200, jsonType, tokensAnd(`x:"a"`), time.Hour},
	{"a comma too many", 200, jsonType, tokensAnd(`"x":1,`), time.Hour},
	{"a token_type of another kind", 200, jsonType, tokensAnd(`"token_type":["bearer"]`), time.Hour},
	{"a token_type that is no word", 200, jsonType, tokensAnd(`"token_type":"a\r\nb"`), time.Hour},
	{"a region of another kind", 200, jsonType, tokensAnd(`"api_url":7`), time.Hour},
	{"a region too long to be stored", 200, jsonType, tokensAnd(`"api_url":"` + strings.Repeat("x", store.MaxToken) + `"`), time.Hour},
	{"scopes too long to be stored", 200, jsonType, tokensAnd(`"scope":"` + strings.Repeat("x ", store.MaxToken) + `"`), time.Hour},
	{"an answer too long to be read", 200, jsonType, `{"access_token":"a2","refresh_token":"r2","x":"` + strings.Repeat("x", 5<<20) + `"}`, time.Hour},

	{"201", 201, jsonType, tokensAnd(`"expires_in":60`), time.Minute},
	{"a gateway's status", 502, jsonType, tokensAnd(`"expires_in":60`), time.Minute},
	{"a form", 200, "application/x-www-form-urlencoded", "access_token=a2&refresh_token=r2&expires_in=60.0\n", time.Minute},
	{"a form with a bad neighbour", 200, "text/plain", "x=%zz&access_token=a2&;&refresh_token=%72%32&expires_in=%zz", time.Hour},
}

// TestTheNewTokenIsKept has the oddities of answers that carry the new token. The old one
// is spent: whatever is odd, the new one must be had, and be such that a store takes it.
func TestTheNewTokenIsKept(t *testing.T) {
	t.Parallel()
	for _, test := range oddAnswers {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			e := newEndpoint(t, reply(test.status, test.contentType, test.body))
			p := e.provider(oauth2.AuthStyleInHeader)
			begin := time.Now()
			refreshed, err := p.Refresh(t.Context(), store.Token{Refresh: telemed.NewSecret("r1")})
			require.NoError(t, err)
			bought, err := p.Exchange(t.Context(), "code", "verifier")
			require.NoError(t, err)
			for _, token := range []store.Token{refreshed, bought} {
				require.Equal(t, "a2", token.Access.Reveal())
				require.Equal(t, "r2", token.Refresh.Reveal())
				require.WithinDuration(t, begin.Add(test.life), token.Expiry, 10*time.Second)
				require.Empty(t, token.Type, "Bearer")
				_, err = store.EncodeToken(token)
				require.NoError(t, err)
			}
			require.Len(t, e.posted(), 2)
		})
	}
}

// TestTokensOfACutAnswer has answers that break off. Both tokens must have come whole.
func TestTokensOfACutAnswer(t *testing.T) {
	t.Parallel()
	const whole = `{"access_token":"a2","expires_in":60,"refresh_token":"r2","scope":"x"}`
	enough := strings.Index(whole, `,"scope"`)
	for length := range len(whole) {
		sent := 0
		p := oauth.Provider{
			Name: "zoom", ClientID: "id", TokenURL: "https://zoom.example/token", AuthStyle: oauth2.AuthStyleInHeader,
			HTTPClient: &http.Client{Transport: answering(func(req *http.Request) (*http.Response, error) {
				sent++
				body := io.MultiReader(strings.NewReader(whole[:length]), broken{})
				return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(body), Request: req}, nil
			})},
		}
		token, err := p.Refresh(t.Context(), store.Token{Refresh: telemed.NewSecret("r1")})
		require.Equal(t, 1, sent)
		if length < enough {
			require.ErrorIs(t, err, telemed.ErrAmbiguous, whole[:length])
			continue
		}
		require.NoError(t, err, whole[:length])
		require.Equal(t, "a2", token.Access.Reveal())
		require.Equal(t, "r2", token.Refresh.Reveal())
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// TestNoTokenIsMadeUp has answers that only look as if they carried a token.
func TestNoTokenIsMadeUp(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.HandlerFunc{
		"no access token":        reply(200, jsonType, `{"refresh_token":"r2"}`),
		"null":                   reply(200, jsonType, `{"access_token":null,"refresh_token":"r2"}`),
		"an object":              reply(200, jsonType, `{"access_token":{"a":"b"},"refresh_token":"r2"}`),
		"another object's":       reply(200, jsonType, `{"request":{"access_token":"a","refresh_token":"r"}}`),
		"in a text":              reply(200, jsonType, `{"x":"{\"access_token\":\"a\",\"refresh_token\":\"r\"}"}`),
		"in a page":              reply(200, "text/html", `<a href="?a=1&access_token=a&refresh_token=b">`),
		"a refusal that repeats": reply(400, jsonType, `{"error":"invalid_grant","access_token":"a","refresh_token":"r1"}`),
		"access alone, with 500": reply(500, jsonType, `{"access_token":"a"}`),
		"in a page with 502":     reply(502, "text/html", `<p>{"access_token":"a","refresh_token":"r"}</p>`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := newEndpoint(t, answer).provider(oauth2.AuthStyleInHeader).Refresh(t.Context(), store.Token{Refresh: telemed.NewSecret("r1")})
			require.Error(t, err)
		})
	}
}

// over answers every request with body.
func over(body []byte) oauth.Provider {
	return oauth.Provider{
		Name: "zoom", ClientID: "id", TokenURL: "https://zoom.example/token", AuthStyle: oauth2.AuthStyleInHeader,
		HTTPClient: &http.Client{Transport: answering(func(req *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(body)), Request: req}, nil
		})},
	}
}

// FuzzNeighbours puts any JSON beside the two tokens, before, between and behind them.
func FuzzNeighbours(f *testing.F) {
	for _, value := range []string{`{}`, `[[{"a":"}"}],{}]`, `"\\"`, `"\""`, `-1.5e300`, `null`, `"\u0000"`, `"{\"access_token\":1}"`, ` {"refresh_token":"x"} `} {
		f.Add("error", []byte(value), uint8(1))
		f.Add("expires_in", []byte(value), uint8(2))
		f.Add(`\"`, []byte(value), uint8(4))
	}
	f.Fuzz(func(t *testing.T, name string, value []byte, where uint8) {
		quoted, err := json.Marshal(name)
		if err != nil || !json.Valid(value) || strings.HasSuffix(strings.ToLower(name), "ss_token") || strings.EqualFold(name, "refresh_token") {
			return
		}
		neighbour := func(bit int) string {
			if where>>bit&1 == 0 {
				return ""
			}
			return fmt.Sprintf("%s :%s,\n", quoted, value)
		}
		body := "{" + neighbour(0) + `"access_token":"a2",` + neighbour(1) + `"refresh_token":"r2",` + neighbour(2) + `"x":0}`
		token, err := over([]byte(body)).Refresh(context.Background(), store.Token{Refresh: telemed.NewSecret("r1")})
		require.NoError(t, err, body)
		require.Equal(t, "a2", token.Access.Reveal(), body)
		require.Equal(t, "r2", token.Refresh.Reveal(), body)
		require.False(t, token.Expiry.Before(time.Now()), body)
		_, err = store.EncodeToken(token)
		require.NoError(t, err)
	})
}

// FuzzAnswerAsJSON compares with encoding/json: a token that it finds is found here.
func FuzzAnswerAsJSON(f *testing.F) {
	for _, odd := range oddAnswers {
		if len(odd.body) < 1<<10 {
			f.Add([]byte(odd.body))
		}
	}
	f.Add([]byte(`{"access_token":"\ud83d\ude00","refresh_token":"\ud800"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var members map[string]any
		if json.Unmarshal(body, &members) != nil {
			return
		}
		access, _ := members["access_token"].(string)
		if access == "" {
			return
		}
		token, err := over(body).Refresh(context.Background(), store.Token{Refresh: telemed.NewSecret("r1")})
		require.NoError(t, err)
		require.Equal(t, access, token.Access.Reveal())
		if refresh, _ := members["refresh_token"].(string); refresh != "" {
			require.Equal(t, refresh, token.Refresh.Reveal())
		}
	})
}

// TestGrantedScopes: what cannot be read is not granted. Only an answer that says nothing
// leaves what was asked for, or what was granted before.
func TestGrantedScopes(t *testing.T) {
	t.Parallel()
	none := []string{}
	for said, want := range map[string][]string{
		`"s1 s2"`: {"s1", "s2"}, `"s1\ts2\n"`: {"s1", "s2"}, `["s1"]`: {"s1"}, `["s1","s2 s3"]`: {"s1", "s2", "s3"},
		`["s1",7,null,["s2"],{"s3":"s4"}]`: {"s1"}, "\"s1\n s2\"": {"s1", "s2"},
		`""`: none, `[]`: none, `[7]`: none, `[["s1"]]`: none, `{}`: none, `{"s1":true}`: none, `7`: none, `true`: none, `null`: none,
		`s1`: none, `["s1",]`: none, `"` + strings.Repeat("s1 ", 1<<13) + `"`: none,
	} {
		p := over([]byte(tokensAnd(`"scope":` + said)))
		token, err := p.Exchange(t.Context(), "code", "verifier")
		require.NoError(t, err)
		require.Equal(t, want, token.Scopes, "%.40s", said)
		token, err = p.Refresh(t.Context(), store.Token{Refresh: telemed.NewSecret("r1"), Scopes: []string{"s1", "s9"}})
		require.NoError(t, err)
		require.Equal(t, want, token.Scopes, "%.40s", said)
	}
	p := over([]byte(tokensAnd(`"x":0`)))
	token, err := p.Exchange(t.Context(), "code", "verifier")
	require.NoError(t, err)
	require.Nil(t, token.Scopes)
	token, err = p.Refresh(t.Context(), store.Token{Refresh: telemed.NewSecret("r1"), Scopes: []string{"s9"}})
	require.NoError(t, err)
	require.Equal(t, []string{"s9"}, token.Scopes)
}

func TestFromOAuth2Scopes(t *testing.T) {
	t.Parallel()
	with := func(raw any) []string { return oauth.FromOAuth2((&oauth2.Token{}).WithExtra(raw)).Scopes }
	for _, test := range []struct{ scope, want any }{
		{"s1 s2", []string{"s1", "s2"}}, {[]any{"s1", 7}, []string{"s1"}}, {7.0, []string{}}, {map[string]any{"s1": 1}, []string{}},
	} {
		require.Equal(t, test.want, with(map[string]any{"scope": test.scope}))
	}
	require.Nil(t, with(map[string]any{}))
	require.Nil(t, with(url.Values{}))
	require.Equal(t, []string{"s1"}, with(url.Values{"scope": {"s1"}}))
}

package zoomtest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/internal/leaktest"
	"github.com/telemed-go/telemed/zoom/zoomtest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

const callback = "http://127.0.0.1:3001/callback"

// The pair of RFC 7636, appendix B.
const (
	verifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

func authURL(s *zoomtest.Server, change func(url.Values)) string {
	query := url.Values{
		"response_type": {"code"}, "client_id": {s.ClientID()}, "redirect_uri": {callback}, "state": {"s"},
		"code_challenge": {challenge}, "code_challenge_method": {"S256"},
	}
	if change != nil {
		change(query)
	}
	return s.Endpoints().Authorize + "?" + query.Encode()
}

// post sends a form as the app.
func post(t *testing.T, s *zoomtest.Server, form url.Values, secret string) (int, map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.Endpoints().Token, strings.NewReader(form.Encode()))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(s.ClientID(), secret)
	return send(t, req)
}

func send(t *testing.T, req *http.Request) (int, map[string]any) {
	t.Helper()
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	var answer map[string]any
	data, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	if len(data) > 0 {
		require.NoError(t, json.Unmarshal(data, &answer))
	}
	return resp.StatusCode, answer
}

func code(t *testing.T, s *zoomtest.Server) string {
	t.Helper()
	target, err := s.Authorize(authURL(s, nil))
	require.NoError(t, err)
	u, err := url.Parse(target)
	require.NoError(t, err)
	require.Equal(t, "s", u.Query().Get("state"))
	return u.Query().Get("code")
}

func buy(code string) url.Values {
	return url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {verifier}}
}

func connect(t *testing.T, s *zoomtest.Server) map[string]any {
	t.Helper()
	status, token := post(t, s, buy(code(t, s)), s.ClientSecret().Reveal())
	require.Equal(t, http.StatusOK, status)
	return token
}

func call(t *testing.T, s *zoomtest.Server, token map[string]any, method, path, body string) (int, map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.Endpoints().API+path, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+token["access_token"].(string))
	return send(t, req)
}

func TestConsentPage(t *testing.T) {
	t.Parallel()
	s := zoomtest.NewServer(t, zoomtest.Config{RedirectURLs: []string{callback}})
	refused := map[string]func(url.Values){
		"client id":     func(q url.Values) { q.Set("client_id", "other") },
		"redirect":      func(q url.Values) { q.Set("redirect_uri", callback+"/") },
		"state":         func(q url.Values) { q.Del("state") },
		"response type": func(q url.Values) { q.Set("response_type", "token") },
		"challenge":     func(q url.Values) { q.Set("code_challenge_method", "plain") },
		"scope":         func(q url.Values) { q.Set("scope", "everything") },
	}
	for name, change := range refused {
		_, err := s.Authorize(authURL(s, change))
		require.ErrorContains(t, err, "400", name)
	}
	target, err := s.Deny(authURL(s, nil))
	require.NoError(t, err)
	require.Equal(t, callback+"?error=access_denied&state=s", target)

	resp, err := http.Get(authURL(s, nil))
	require.NoError(t, err)
	page, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Contains(t, string(page), "dr.rao@clinic.example")
	require.Contains(t, string(page), "Allow")
}

func TestCodes(t *testing.T) {
	t.Parallel()
	s := zoomtest.NewServer(t)
	secret := s.ClientSecret().Reveal()
	used := buy(code(t, s))
	status, _ := post(t, s, used, secret)
	require.Equal(t, http.StatusOK, status)
	tests := map[string]struct {
		form   url.Values
		secret string
		want   string
	}{
		"used":           {used, secret, "invalid_grant"},
		"wrong verifier": {with(buy(code(t, s)), "code_verifier", "x"), secret, "invalid_grant"},
		"other redirect": {with(buy(code(t, s)), "redirect_uri", callback+"2"), secret, "invalid_request"},
		"wrong secret":   {buy(code(t, s)), "x", "invalid_client"},
		"grant type":     {url.Values{"grant_type": {"password"}}, secret, "unsupported_grant_type"},
	}
	for name, test := range tests {
		status, answer := post(t, s, test.form, test.secret)
		require.Equal(t, http.StatusBadRequest, status, name)
		require.Equal(t, test.want, answer["error"], name)
	}
}

func with(form url.Values, name, value string) url.Values {
	form.Set(name, value)
	return form
}

func TestRefreshTokensRotate(t *testing.T) {
	t.Parallel()
	s := zoomtest.NewServer(t)
	token := connect(t, s)
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token["refresh_token"].(string)}}
	status, next := post(t, s, form, s.ClientSecret().Reveal())
	require.Equal(t, http.StatusOK, status)
	require.NotEqual(t, token["refresh_token"], next["refresh_token"])
	status, answer := post(t, s, form, s.ClientSecret().Reveal())
	require.Equal(t, http.StatusBadRequest, status)
	require.Equal(t, "invalid_grant", answer["error"])
	require.Equal(t, 1, s.Refreshes())
	require.Equal(t, 1, s.Reuses())

	connect(t, s) // a new consent ends what came before
	status, _ = call(t, s, next, http.MethodGet, "/users/me", "")
	require.Equal(t, http.StatusUnauthorized, status)
}

func TestTokensExpire(t *testing.T) {
	t.Parallel()
	s := zoomtest.NewServer(t, zoomtest.Config{TokenLifetime: time.Nanosecond})
	status, answer := call(t, s, connect(t, s), http.MethodGet, "/users/me", "")
	require.Equal(t, http.StatusUnauthorized, status)
	require.EqualValues(t, 124, answer["code"])
}

func TestValidation(t *testing.T) {
	t.Parallel()
	s := zoomtest.NewServer(t)
	token := connect(t, s)
	for field, body := range map[string]string{
		"topic":                   `{"topic":"` + strings.Repeat("x", 201) + `"}`,
		"duration":                `{"duration":0}`,
		"type":                    `{"type":5}`,
		"password":                `{"password":"12345678901"}`,
		"agenda":                  `{"agenda":"` + strings.Repeat("x", 2001) + `"}`,
		"timezone":                `{"timezone":"Mars/Olympus"}`,
		"settings.jbh_time":       `{"settings":{"jbh_time":7}}`,
		"settings.auto_recording": `{"settings":{"auto_recording":"yes"}}`,
	} {
		status, answer := call(t, s, token, http.MethodPost, "/users/me/meetings", body)
		require.Equal(t, http.StatusBadRequest, status, field)
		require.EqualValues(t, 300, answer["code"])
		require.Equal(t, field, answer["errors"].([]any)[0].(map[string]any)["field"])
	}
	require.Empty(t, s.Meetings())
}

// Zoom makes "now" of any start that it cannot read, and says nothing.
func TestCarelessStarts(t *testing.T) {
	t.Parallel()
	s := zoomtest.NewServer(t)
	token := connect(t, s)
	year := time.Now().Year() + 1
	now, then := time.Now(), time.Date(year, 3, 1, 5, 0, 0, 0, time.UTC)
	for start, want := range map[string]time.Time{
		fmt.Sprintf(`"%d-03-01T05:00:00Z"`, year):                          then,
		fmt.Sprintf(`"%d-03-01T10:30:00","timezone":"Asia/Kolkata"`, year): then,
		fmt.Sprintf(`"%d-03-01T10:30:00+05:30"`, year):                     now,
		fmt.Sprintf(`"%d-03-01T05:00:00.000Z"`, year):                      now,
		`"2020-03-01T05:00:00Z"`:                                           now,
		`"soon"`:                                                           now,
	} {
		status, answer := call(t, s, token, http.MethodPost, "/users/me/meetings", `{"start_time":`+start+`}`)
		require.Equal(t, http.StatusCreated, status)
		got, err := time.Parse(time.RFC3339, answer["start_time"].(string))
		require.NoError(t, err)
		require.WithinDuration(t, want, got, time.Minute, start)
	}
	id := fmt.Sprint(s.Meetings()[0].ID)
	before := s.Meetings()[0].Start
	status, _ := call(t, s, token, http.MethodPatch, "/meetings/"+id, `{"start_time":"2020-03-01T05:00:00Z"}`)
	require.Equal(t, http.StatusNoContent, status)
	require.Equal(t, before, s.Meetings()[0].Start, "a past start is ignored in an update")
}

func TestLifeOfAMeeting(t *testing.T) {
	t.Parallel()
	s := zoomtest.NewServer(t, zoomtest.Config{Scopes: []string{
		"meeting:write:meeting", "meeting:read:meeting", "meeting:delete:meeting", "meeting:update:status",
	}})
	token := connect(t, s)
	_, made := call(t, s, token, http.MethodPost, "/users/me/meetings", `{"settings":{"waiting_room":true}}`)
	id := fmt.Sprintf("%.0f", made["id"])

	require.Contains(t, open(t, made["join_url"].(string)), "Please wait")
	require.Contains(t, open(t, s.URL()+"/j/"+id+"?pwd=guess"), "No such meeting")
	require.Contains(t, open(t, made["start_url"].(string)), "You are the host")
	status, answer := call(t, s, token, http.MethodDelete, "/meetings/"+id, "")
	require.Equal(t, http.StatusBadRequest, status)
	require.EqualValues(t, 3002, answer["code"])
	status, _ = call(t, s, token, http.MethodPut, "/meetings/"+id+"/status", `{"action":"end"}`)
	require.Equal(t, http.StatusNoContent, status)
	for _, want := range []int{http.StatusNoContent, http.StatusNotFound} {
		status, _ = call(t, s, token, http.MethodDelete, "/meetings/"+id, "")
		require.Equal(t, want, status)
	}
	status, answer = call(t, s, token, http.MethodGet, "/users/me/meetings", "")
	require.Equal(t, http.StatusBadRequest, status, "the scope was not granted")
	require.EqualValues(t, 4711, answer["code"])
	status, answer = call(t, s, token, http.MethodGet, "/webinars", "")
	require.Equal(t, http.StatusNotFound, status)
	require.EqualValues(t, 2300, answer["code"])
}

func open(t *testing.T, address string) string {
	t.Helper()
	resp, err := http.Get(address)
	require.NoError(t, err)
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return string(page)
}

func TestTwoUsers(t *testing.T) {
	t.Parallel()
	rao, sen := zoomtest.DefaultUser(), zoomtest.User{ID: "u-dr-sen", AccountID: "a-clinic", Email: "dr.sen@clinic.example", Name: "Dr. Sen"}
	s := zoomtest.NewServer(t, zoomtest.Config{Users: []zoomtest.User{rao, sen}})
	first := connect(t, s)
	target, err := s.AuthorizeAs(authURL(s, nil), sen.ID)
	require.NoError(t, err)
	u, err := url.Parse(target)
	require.NoError(t, err)
	_, second := post(t, s, buy(u.Query().Get("code")), s.ClientSecret().Reveal())
	_, me := call(t, s, second, http.MethodGet, "/users/me", "")
	require.Equal(t, sen.ID, me["id"])
	_, made := call(t, s, first, http.MethodPost, "/users/me/meetings", `{}`)
	status, _ := call(t, s, second, http.MethodGet, fmt.Sprintf("/meetings/%.0f", made["id"]), "")
	require.Equal(t, http.StatusNotFound, status, "another doctor's meeting")
	_, err = s.AuthorizeAs(authURL(s, nil), "u-nobody")
	require.Error(t, err)
}

func TestFaultsAndRecords(t *testing.T) {
	t.Parallel()
	s := zoomtest.NewServer(t)
	token := connect(t, s)
	s.FailNext(zoomtest.Fault{Op: zoomtest.OpMe, Status: http.StatusTeapot, Body: `{"code":7}`, Header: http.Header{"Retry-After": {"3"}}})
	status, answer := call(t, s, token, http.MethodGet, "/users/me", "")
	require.Equal(t, http.StatusTeapot, status)
	require.EqualValues(t, 7, answer["code"])
	s.FailNext(zoomtest.Fault{Op: zoomtest.OpCreate, LoseAnswer: true})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.Endpoints().API+"/users/me/meetings", strings.NewReader(`{}`))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+token["access_token"].(string))
	resp, err := http.DefaultClient.Do(req)
	if err == nil {
		_ = resp.Body.Close()
	}
	require.Error(t, err)
	require.Len(t, s.Meetings(), 1, "it was made all the same")
	for _, req := range s.Requests() {
		require.Empty(t, req.Header.Get("Authorization"))
	}
	require.Equal(t, "Bearer", s.Requests(zoomtest.OpMe)[0].Scheme)
	require.Zero(t, s.Requests(zoomtest.OpCreate)[0].Status)
	require.Equal(t, 1, s.Count(zoomtest.OpCreate))

	s.FailNext(zoomtest.Fault{Status: http.StatusTeapot, Body: `{}`}) // whichever comes first
	status, _ = call(t, s, token, http.MethodGet, "/users/me/meetings", "")
	require.Equal(t, http.StatusTeapot, status)
}

func TestSendWebhook(t *testing.T) {
	t.Parallel()
	s := zoomtest.NewServer(t)
	var got http.Header
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Header
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(host.Close)
	status, _, err := s.SendWebhook(host.URL, map[string]any{"event": "meeting.started"})
	require.NoError(t, err)
	require.Equal(t, http.StatusAccepted, status)
	require.Regexp(t, `^v0=[0-9a-f]{64}$`, got.Get("X-Zm-Signature"))
	_, _, err = s.SendWebhook("http://127.0.0.1:1", []byte("{}"))
	require.Error(t, err)
}

func Example() {
	fake, err := zoomtest.Start(zoomtest.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer fake.Close()
	page := fake.Endpoints().Authorize + "?" + url.Values{
		"response_type": {"code"}, "client_id": {fake.ClientID()}, "redirect_uri": {callback}, "state": {"s"},
	}.Encode()
	target, err := fake.Deny(page)
	fmt.Println(target, err)
	// Output: http://127.0.0.1:3001/callback?error=access_denied&state=s <nil>
}

// With Zoom a refresh ends the access token of before, for the API and for a revocation.
func TestARefreshEndsTheAccessToken(t *testing.T) {
	t.Parallel()
	for name, keep := range map[string]bool{"as Zoom": false, "as others": true} {
		s := zoomtest.NewServer(t, zoomtest.Config{KeepAccessTokens: keep})
		old := connect(t, s)
		form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {old["refresh_token"].(string)}}
		status, fresh := post(t, s, form, s.ClientSecret().Reveal())
		require.Equal(t, http.StatusOK, status, name)

		status, answer := call(t, s, old, http.MethodGet, "/users/me", "")
		if keep {
			require.Equal(t, http.StatusOK, status, name)
		} else {
			require.Equal(t, http.StatusUnauthorized, status, name)
			require.EqualValues(t, 124, answer["code"], name)
		}
		status, _ = call(t, s, fresh, http.MethodGet, "/users/me", "")
		require.Equal(t, http.StatusOK, status, name)
	}
}

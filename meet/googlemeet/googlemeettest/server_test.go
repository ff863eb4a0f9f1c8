package googlemeettest_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/telemed-go/telemed/internal/leaktest"
	"github.com/telemed-go/telemed/meet/googlemeet"
	"github.com/telemed-go/telemed/meet/googlemeet/googlemeettest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

const callback = "http://127.0.0.1:3001/callback"

// caller talks to the fake as a program does that knows only Google's documentation.
type caller struct {
	t        *testing.T
	fake     *googlemeettest.Server
	http     *http.Client
	verifier string
	access   string
}

func newCaller(t *testing.T, fake *googlemeettest.Server) *caller {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &caller{t: t, fake: fake, http: &http.Client{Transport: transport}, verifier: oauth2.GenerateVerifier()}
}

// consentURL is the address of the page; change changes its query.
func (c *caller) consentURL(change func(url.Values)) string {
	q := url.Values{
		"client_id": {c.fake.ClientID()}, "redirect_uri": {callback}, "response_type": {"code"}, "state": {"s1"},
		"scope": {"openid email " + googlemeet.ScopeEvents}, "access_type": {"offline"}, "prompt": {"consent"},
		"code_challenge": {oauth2.S256ChallengeFromVerifier(c.verifier)}, "code_challenge_method": {"S256"},
	}
	if change != nil {
		change(q)
	}
	return c.fake.Endpoints().Authorize + "?" + q.Encode()
}

// post sends a form to the token endpoint or to that of revocation.
func (c *caller) post(address string, form url.Values) (int, map[string]any) {
	c.t.Helper()
	resp, err := c.http.PostForm(address, form)
	require.NoError(c.t, err)
	return c.read(resp)
}

func (c *caller) read(resp *http.Response) (int, map[string]any) {
	c.t.Helper()
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(c.t, err)
	var doc map[string]any
	if len(body) > 0 {
		require.NoError(c.t, json.Unmarshal(body, &doc), string(body))
	}
	return resp.StatusCode, doc
}

// redeem buys tokens for a fresh consent.
func (c *caller) redeem(change func(url.Values)) (int, map[string]any) {
	c.t.Helper()
	back, err := c.fake.Authorize(c.consentURL(nil))
	require.NoError(c.t, err)
	u, err := url.Parse(back)
	require.NoError(c.t, err)
	form := url.Values{
		"grant_type": {"authorization_code"}, "code": {u.Query().Get("code")}, "redirect_uri": {callback}, "code_verifier": {c.verifier},
		"client_id": {c.fake.ClientID()}, "client_secret": {c.fake.ClientSecret().Reveal()},
	}
	if change != nil {
		change(form)
	}
	return c.post(c.fake.Endpoints().Token, form)
}

func (c *caller) signIn() *caller {
	c.t.Helper()
	status, doc := c.redeem(nil)
	require.Equal(c.t, 200, status)
	c.access = doc["access_token"].(string)
	return c
}

func (c *caller) call(method, path string, body any, header ...string) (int, map[string]any) {
	c.t.Helper()
	encoded, err := json.Marshal(body)
	require.NoError(c.t, err)
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.fake.Endpoints().Calendar+path, bytes.NewReader(encoded))
	require.NoError(c.t, err)
	req.Header.Set("Authorization", "Bearer "+c.access)
	if len(header) == 2 {
		req.Header.Set(header[0], header[1])
	}
	resp, err := c.http.Do(req)
	require.NoError(c.t, err)
	return c.read(resp)
}

// reason returns the reason of an error body.
func reason(doc map[string]any) any {
	failure, _ := doc["error"].(map[string]any)
	errors, _ := failure["errors"].([]any)
	if len(errors) == 0 {
		return nil
	}
	return errors[0].(map[string]any)["reason"]
}

func at(clock string) map[string]any { return map[string]any{"dateTime": "2031-03-01T" + clock} }

func TestConsentPage(t *testing.T) {
	t.Parallel()
	fake, err := googlemeettest.Start(googlemeettest.Config{Email: `"><script>@example.org`})
	require.NoError(t, err)
	t.Cleanup(fake.Close)
	c := newCaller(t, fake)

	resp, err := c.http.Get(c.consentURL(nil))
	require.NoError(t, err)
	page, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Contains(t, string(page), "127.0.0.1:3001 wants access")
	require.Contains(t, string(page), `name="calendar"`)
	require.NotContains(t, string(page), "<script>")
	require.Contains(t, resp.Header.Get("Content-Security-Policy"), "default-src 'none'")

	bad := map[string]struct {
		change func(url.Values)
		want   string
	}{
		"another application":    {func(q url.Values) { q.Set("client_id", "x") }, "401: invalid_client"},
		"another callback":       {func(q url.Values) { q.Set("redirect_uri", "https://evil.example/") }, "400: redirect_uri_mismatch"},
		"a script as callback":   {func(q url.Values) { q.Set("redirect_uri", "javascript:alert(1)") }, "400: redirect_uri_mismatch"},
		"another response type":  {func(q url.Values) { q.Set("response_type", "token") }, "400: unsupported_response_type"},
		"no scope":               {func(q url.Values) { q.Del("scope") }, "400: invalid_request"},
		"no PKCE":                {func(q url.Values) { q.Del("code_challenge") }, "400: invalid_request"},
		"PKCE in the plain form": {func(q url.Values) { q.Set("code_challenge_method", "plain") }, "400: invalid_request"},
	}
	for name, test := range bad {
		_, err := fake.Authorize(c.consentURL(test.change))
		require.ErrorContains(t, err, test.want, name)
		resp, err := c.http.PostForm(c.consentURL(test.change), url.Values{"decision": {"allow"}, "email": {"a@b.c"}})
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.GreaterOrEqual(t, resp.StatusCode, 400, "the click is checked like the page: %s", name)
	}
}

func TestCallback(t *testing.T) {
	t.Parallel()
	c := newCaller(t, googlemeettest.NewServer(t))
	query := func(consent googlemeettest.Consent, change func(url.Values)) url.Values {
		back, err := c.fake.Answer(c.consentURL(change), consent)
		require.NoError(t, err)
		u, err := url.Parse(back)
		require.NoError(t, err)
		require.Equal(t, "127.0.0.1:3001", u.Host)
		return u.Query()
	}
	allowed := query(googlemeettest.Consent{}, nil)
	require.Equal(t, "s1", allowed.Get("state"))
	require.Equal(t, "https://accounts.google.com", allowed.Get("iss"))
	require.Equal(t, googlemeet.ScopeEvents+" https://www.googleapis.com/auth/userinfo.email openid", allowed.Get("scope"))
	require.NotEmpty(t, allowed.Get("code"))

	denied := query(googlemeettest.Consent{Deny: true}, nil)
	require.Equal(t, "access_denied", denied.Get("error"))
	require.Equal(t, "s1", denied.Get("state"))
	require.False(t, denied.Has("code"))

	partial := query(googlemeettest.Consent{WithoutCalendar: true}, nil)
	require.NotContains(t, partial.Get("scope"), "calendar")

	kept := query(googlemeettest.Consent{}, func(q url.Values) { q.Set("redirect_uri", callback+"?clinic=7") })
	require.Equal(t, "7", kept.Get("clinic"))

	_, err := c.fake.Answer(c.consentURL(nil), googlemeettest.Consent{Email: "nobody"})
	require.ErrorContains(t, err, "find your account")
}

func TestTokenEndpoint(t *testing.T) {
	t.Parallel()
	c := newCaller(t, googlemeettest.NewServer(t))
	status, doc := c.redeem(nil)
	require.Equal(t, 200, status)
	require.NotEmpty(t, doc["refresh_token"])
	require.NotEmpty(t, doc["id_token"])
	require.Equal(t, "Bearer", doc["token_type"])
	require.EqualValues(t, 3600, doc["expires_in"])

	bad := map[string]struct {
		change func(url.Values)
		status int
		want   string
	}{
		"another secret":   {func(f url.Values) { f.Set("client_secret", "x") }, 401, "invalid_client"},
		"another client":   {func(f url.Values) { f.Set("client_id", "x") }, 401, "invalid_client"},
		"another callback": {func(f url.Values) { f.Set("redirect_uri", callback+"/") }, 400, "redirect_uri_mismatch"},
		"another verifier": {func(f url.Values) { f.Set("code_verifier", oauth2.GenerateVerifier()) }, 400, "invalid_grant"},
		"no verifier":      {func(f url.Values) { f.Del("code_verifier") }, 400, "invalid_grant"},
		"unknown code":     {func(f url.Values) { f.Set("code", "4/0x") }, 400, "invalid_grant"},
		"unknown grant":    {func(f url.Values) { f.Set("grant_type", "password") }, 400, "unsupported_grant_type"},
	}
	for name, test := range bad {
		status, doc := c.redeem(test.change)
		require.Equal(t, test.status, status, name)
		require.Equal(t, test.want, doc["error"], name)
	}

	refresh := url.Values{
		"grant_type": {"refresh_token"}, "refresh_token": {doc["refresh_token"].(string)},
		"client_id": {c.fake.ClientID()}, "client_secret": {c.fake.ClientSecret().Reveal()},
	}
	status, renewed := c.post(c.fake.Endpoints().Token, refresh)
	require.Equal(t, 200, status)
	require.NotEqual(t, doc["access_token"], renewed["access_token"])
	require.NotContains(t, renewed, "refresh_token", "it stays as it is")
	require.Equal(t, 1, c.fake.Refreshes())

	status, _ = c.post(c.fake.Endpoints().Revoke, url.Values{"token": {renewed["access_token"].(string)}})
	require.Equal(t, 200, status)
	status, failed := c.post(c.fake.Endpoints().Token, refresh)
	require.Equal(t, 400, status)
	require.Equal(t, "invalid_grant", failed["error"], "revocation is of the whole grant")
	status, failed = c.post(c.fake.Endpoints().Revoke, url.Values{"token": {renewed["access_token"].(string)}})
	require.Equal(t, 400, status)
	require.Equal(t, "invalid_token", failed["error"])
	_, again := c.redeem(nil)
	status, _ = c.post(c.fake.Endpoints().Revoke+"?token="+url.QueryEscape(again["refresh_token"].(string)), nil)
	require.Equal(t, 200, status, "some clients send it in the address")
	for _, r := range c.fake.Requests() {
		require.Empty(t, r.Body, "secrets are not kept")
		require.Empty(t, r.Query.Get("token"), "secrets are not kept")
	}
}

func TestARefreshTokenNeedsTheConsentPage(t *testing.T) {
	t.Parallel()
	c := newCaller(t, googlemeettest.NewServer(t))
	for _, test := range []struct {
		access, prompt string
		want           bool
	}{{"offline", "", true}, {"offline", "", false}, {"offline", "consent", true}, {"online", "consent", false}} {
		back, err := c.fake.Authorize(c.consentURL(func(q url.Values) { q.Set("access_type", test.access); q.Set("prompt", test.prompt) }))
		require.NoError(t, err)
		u, err := url.Parse(back)
		require.NoError(t, err)
		_, doc := c.post(c.fake.Endpoints().Token, url.Values{
			"grant_type": {"authorization_code"}, "code": {u.Query().Get("code")}, "redirect_uri": {callback}, "code_verifier": {c.verifier},
			"client_id": {c.fake.ClientID()}, "client_secret": {c.fake.ClientSecret().Reveal()},
		})
		require.Equal(t, test.want, doc["refresh_token"] != nil, "%+v", test)
	}
}

func TestCalendar(t *testing.T) {
	t.Parallel()
	c := newCaller(t, googlemeettest.NewServer(t)).signIn()
	const events = "/calendars/primary/events"
	good := func(change map[string]any) map[string]any {
		doc := map[string]any{"start": at("10:00:00Z"), "end": at("11:00:00Z")}
		for name, value := range change {
			doc[name] = value
		}
		return doc
	}
	room := map[string]any{"createRequest": map[string]any{"requestId": "r1", "conferenceSolutionKey": map[string]any{"type": "hangoutsMeet"}}}
	bad := map[string]struct {
		path   string
		body   any
		status int
		reason string
	}{
		"no end":             {events, map[string]any{"start": at("10:00:00Z")}, 400, "required"},
		"end before start":   {events, good(map[string]any{"end": at("09:00:00Z")}), 400, "timeRangeEmpty"},
		"no time":            {events, good(map[string]any{"start": at("soon")}), 400, "invalid"},
		"unknown zone":       {events, good(map[string]any{"start": map[string]any{"dateTime": "2031-03-01T10:00:00Z", "timeZone": "IST"}}), 400, "invalid"},
		"date and time":      {events, good(map[string]any{"start": map[string]any{"dateTime": "2031-03-01T10:00:00Z", "date": "2031-03-01"}}), 400, "invalid"},
		"id in capitals":     {events, good(map[string]any{"id": "ABCDE"}), 400, "invalid"},
		"short id":           {events, good(map[string]any{"id": "abcd"}), 400, "invalid"},
		"guest":              {events, good(map[string]any{"attendees": []any{map[string]any{"email": "nobody"}}}), 400, "invalid"},
		"not an event":       {events, []any{}, 400, "parseError"},
		"local, no zone":     {events, good(map[string]any{"start": at("10:00:00")}), 400, "required"},
		"a title in numbers": {events, good(map[string]any{"summary": 5}), 400, "badRequest"},
		"hidden":             {events, good(map[string]any{"visibility": "hidden"}), 400, "invalid"},
		"odd rule":           {events, good(map[string]any{"recurrence": []any{"FOO"}}), 400, "invalid"},
		"version 2":          {events + "?conferenceDataVersion=2", good(nil), 400, "invalidParameter"},
		"notify everyone":    {events + "?sendUpdates=everyone", good(nil), 400, "invalidParameter"},
		"broken mask":        {events + "?fields=id,start(", good(nil), 400, "invalidParameter"},
		"another calendar":   {"/calendars/other/events", good(nil), 404, "notFound"},
		"unknown conference": {events + "?conferenceDataVersion=1", good(map[string]any{"conferenceData": map[string]any{"createRequest": map[string]any{"requestId": "x", "conferenceSolutionKey": map[string]any{"type": "zoom"}}}}), 400, "invalid"},
	}
	for name, test := range bad {
		status, doc := c.call("POST", test.path, test.body)
		require.Equal(t, test.status, status, name)
		require.Equal(t, test.reason, reason(doc), name)
	}
	require.Empty(t, c.fake.Events())

	_, plain := c.call("POST", events, good(map[string]any{"id": "plain1", "conferenceData": room}))
	require.NotContains(t, plain, "conferenceData", "without the version the wish is ignored")
	_, made := c.call("POST", events+"?conferenceDataVersion=1", good(map[string]any{"id": "event1", "conferenceData": room}))
	require.NotEmpty(t, made["hangoutLink"])
	status, doc := c.call("POST", events, good(map[string]any{"id": "event1"}))
	require.Equal(t, 409, status)
	require.Equal(t, "duplicate", reason(doc))

	_, same := c.call("POST", events+"?conferenceDataVersion=1", good(map[string]any{"id": "event2", "conferenceData": room}))
	require.Equal(t, made["hangoutLink"], same["hangoutLink"], "the same requestId is the same room: the trap")

	status, partial := c.call("GET", events+"/event1?fields=id,conferenceData(entryPoints/uri)", nil)
	require.Equal(t, 200, status)
	require.Equal(t, map[string]any{"id": "event1", "conferenceData": map[string]any{"entryPoints": []any{map[string]any{"uri": made["hangoutLink"]}}}}, partial)

	status, doc = c.call("PATCH", events+"/event1", map[string]any{"summary": "x"}, "If-Match", `"old"`)
	require.Equal(t, 412, status)
	require.Equal(t, "conditionNotMet", reason(doc))
	status, doc = c.call("PATCH", events+"/event1", map[string]any{"summary": "x", "id": "other", "end": at("09:00:00Z")})
	require.Equal(t, 400, status)
	require.Equal(t, "timeRangeEmpty", reason(doc))
	status, doc = c.call("PATCH", events+"/event1", map[string]any{"summary": "x", "id": "other"}, "If-Match", made["etag"].(string))
	require.Equal(t, 200, status)
	require.Equal(t, "event1", doc["id"])
	require.Equal(t, "x", doc["summary"])
	require.NotEqual(t, made["etag"], doc["etag"])
	require.Equal(t, made["hangoutLink"], doc["hangoutLink"])

	status, _ = c.call("DELETE", events+"/event1", nil)
	require.Equal(t, 204, status)
	status, doc = c.call("DELETE", events+"/event1", nil)
	require.Equal(t, 410, status)
	require.Equal(t, "deleted", reason(doc))
	status, doc = c.call("GET", events+"/event1", nil)
	require.Equal(t, 200, status)
	require.Equal(t, "cancelled", doc["status"])
	status, _ = c.call("POST", events, good(map[string]any{"id": "event1"}))
	require.Equal(t, 409, status, "the id of a cancelled event is not free")
	status, _ = c.call("PATCH", events+"/event1", map[string]any{"status": "confirmed"})
	require.Equal(t, 403, status)
	require.NoError(t, c.fake.Purge("event1"))
	require.ErrorIs(t, c.fake.Purge("nosuch"), googlemeettest.ErrNoEvent)
	for _, method := range []string{"GET", "PATCH", "DELETE"} {
		status, _ = c.call(method, events+"/event1", map[string]any{})
		require.Equal(t, 404, status, "cleared away: "+method)
	}
	status, _ = c.call("POST", events, good(map[string]any{"id": "event1"}))
	require.Equal(t, 409, status, "and its id is not free")
	for _, method := range []string{"GET", "PATCH", "DELETE"} {
		status, doc = c.call(method, events+"/nosuch", map[string]any{})
		require.Equal(t, 404, status, method)
		require.Equal(t, "notFound", reason(doc), method)
	}
}

// The two forms of time that Google documents.
func TestLocalTimes(t *testing.T) {
	t.Parallel()
	c := newCaller(t, googlemeettest.NewServer(t)).signIn()
	newYork := func(clock string) map[string]any {
		return map[string]any{"dateTime": clock, "timeZone": "America/New_York"}
	}
	status, doc := c.call("POST", "/calendars/primary/events", map[string]any{
		"start": newYork("2031-03-14T10:00:00"), "end": newYork("2031-03-14T11:00:00-04:00"), "visibility": "private",
		"recurrence": []any{"RRULE:FREQ=DAILY;COUNT=2", "EXDATE;TZID=America/New_York:20310315T100000"},
	})
	require.Equal(t, 200, status)
	require.Equal(t, newYork("2031-03-14T10:00:00-04:00"), doc["start"])
	require.Equal(t, time.Hour, c.fake.Events()[0].End.Sub(c.fake.Events()[0].Start))
}

func TestAccessTokens(t *testing.T) {
	t.Parallel()
	fake := googlemeettest.NewServer(t, googlemeettest.Config{TokenLifetime: time.Nanosecond})
	c := newCaller(t, fake).signIn()
	status, doc := c.call("GET", "/calendars/primary/events/abcde", nil)
	require.Equal(t, 401, status, "it has expired")
	require.Equal(t, "authError", reason(doc))
	for _, r := range fake.Requests() {
		require.Empty(t, r.Header.Get("Authorization"))
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	c := newCaller(t, googlemeettest.NewServer(t)).signIn()
	const event = "/calendars/primary/events/abcde"
	c.fake.FailNext(googlemeettest.Refuse("", 503, "backendError", ""))
	c.fake.FailNext(
		googlemeettest.Refuse("delete", 403, "quotaExceeded", "Calendar usage limits exceeded."),
		googlemeettest.Refuse("get", 429, "rateLimitExceeded", ""),
	)
	status, doc := c.call("GET", event, nil)
	require.Equal(t, 503, status)
	require.Equal(t, "backendError", reason(doc))
	status, _ = c.call("GET", event, nil)
	require.Equal(t, 429, status)
	status, _ = c.call("GET", event, nil)
	require.Equal(t, 404, status, "the fault for delete waits for it")
	status, doc = c.call("DELETE", event, nil)
	require.Equal(t, 403, status)
	require.Equal(t, "usageLimits", doc["error"].(map[string]any)["errors"].([]any)[0].(map[string]any)["domain"])

	c.fake.FailNext(googlemeettest.Fault{Op: "insert", LoseRequest: true}, googlemeettest.Fault{Op: "insert", LoseAnswer: true})
	body := `{"id":"abcde","start":{"date":"2031-03-01"},"end":{"date":"2031-03-02"}}`
	for made, message := range []string{"nothing was done", "it was done all the same"} {
		req, err := http.NewRequestWithContext(t.Context(), "POST", c.fake.Endpoints().Calendar+"/calendars/primary/events", strings.NewReader(body))
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+c.access)
		_, err = c.http.Do(req) //nolint:bodyclose // there is none
		require.Error(t, err)
		require.Len(t, c.fake.Events(), made, message)
	}
	require.Equal(t, 2, c.fake.Count("insert"))
	requests := c.fake.Requests()
	require.Zero(t, requests[len(requests)-1].Status)
	require.ErrorIs(t, c.fake.Edit("other", nil), googlemeettest.ErrNoEvent)
}

func TestRooms(t *testing.T) {
	t.Parallel()
	c := newCaller(t, googlemeettest.NewServer(t)).signIn()
	c.fake.DelayRooms(1)
	_, made := c.call("POST", "/calendars/primary/events?conferenceDataVersion=1", map[string]any{
		"id": "abcde", "start": at("10:00:00Z"), "end": at("11:00:00Z"),
		"conferenceData": map[string]any{"createRequest": map[string]any{"requestId": "r", "conferenceSolutionKey": map[string]any{"type": "hangoutsMeet"}}},
	})
	require.NotContains(t, made, "hangoutLink")
	_, ready := c.call("GET", "/calendars/primary/events/abcde", nil)
	link := ready["hangoutLink"].(string)
	for address, status := range map[string]int{link: 200, c.fake.URL() + "/meet/aaa-bbbb-ccc": 404} {
		resp, err := c.http.Get(address)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, status, resp.StatusCode)
	}
}

func TestCloseEndsWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	fake, err := googlemeettest.Start(googlemeettest.Config{})
	require.NoError(t, err)
	c := newCaller(t, fake)
	fake.FailNext(googlemeettest.Fault{Op: "revoke", Delay: time.Hour})
	failed := make(chan error, 1)
	go func() {
		// There is none.
		_, err := c.http.PostForm(fake.Endpoints().Revoke, url.Values{}) //nolint:bodyclose
		failed <- err
	}()
	require.Eventually(t, func() bool { fake.Close(); return len(failed) == 1 }, 5*time.Second, 20*time.Millisecond)
	require.Error(t, <-failed)
}

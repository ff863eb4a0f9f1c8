package googlemeettest_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/meet/googlemeet"
	"github.com/telemed-go/telemed/meet/googlemeet/googlemeettest"
	"github.com/telemed-go/telemed/store"
)

const primary = "/calendars/primary/events"

// signedIn returns a caller with all the rights that a calendar has.
func signedIn(t *testing.T, cfg googlemeettest.Config) *caller {
	t.Helper()
	c := newCaller(t, googlemeettest.NewServer(t, cfg))
	c.access = "ya29.x"
	c.fake.Restore(store.Token{
		Access: telemed.NewSecret(c.access), Scopes: []string{googlemeet.ScopeCalendar}, Expiry: time.Now().Add(time.Hour),
	})
	return c
}

// entry is an event with more fields than it needs.
func entry(more map[string]any) map[string]any {
	doc := map[string]any{"start": at("10:00:00Z"), "end": at("11:00:00Z")}
	for name, value := range more {
		doc[name] = value
	}
	return doc
}

// TestN11TakesWhatGoogleTakes: other programs than ours write events in other forms, and
// Google takes them. What Google refuses is refused here too, not taken and ignored. The
// whole of it, by Google's own client, is TestGoogleNodeClient.
func TestN11TakesWhatGoogleTakes(t *testing.T) {
	t.Parallel()
	c := signedIn(t, googlemeettest.Config{})
	local := map[string]any{"dateTime": "2031-03-14T10:00:00", "timeZone": "America/New_York"}
	for name, test := range map[string]struct {
		query  string
		body   map[string]any
		status int
	}{
		"local time with a zone":           {"", map[string]any{"start": local, "end": local}, 200},
		"local time without a zone":        {"", entry(map[string]any{"start": at("10:00:00")}), 400},
		"a room without a solution":        {"?conferenceDataVersion=1", entry(map[string]any{"conferenceData": map[string]any{"createRequest": map[string]any{"requestId": "r"}}}), 200},
		"null is as if it were not there":  {"", entry(map[string]any{"id": nil, "attendees": nil, "description": nil}), 200},
		"what was answered, sent back":     {"", entry(map[string]any{"kind": "calendar#event", "etag": `"1"`, "created": "x", "creator": map[string]any{"email": "a@b.c"}}), 200},
		"a summary that is a number":       {"", entry(map[string]any{"summary": 5}), 400},
		"visibility hidden":                {"", entry(map[string]any{"visibility": "hidden"}), 400},
		"recurrence FOO":                   {"", entry(map[string]any{"recurrence": []any{"FOO"}}), 400},
		"a field that is none":             {"", entry(map[string]any{"requestID": "x"}), 400},
		"a field that is none, far below":  {"", entry(map[string]any{"attendees": []any{map[string]any{"mail": "x"}}}), 400},
		"a parameter that is none":         {"?colour=red", entry(nil), 400},
		"a parameter twice":                {"?sendUpdates=all&sendUpdates=none", entry(nil), 400},
		"a mask of a field that is none":   {"?fields=id,colour", entry(nil), 400},
		"an API key, of which there is no": {"?key=x", entry(nil), 400},
		"a label, of which there is no":    {"?eventLabelVersion=1", entry(map[string]any{"eventLabelId": "x"}), 400},
	} {
		status, doc := c.call("POST", primary+test.query, test.body)
		require.Equal(t, test.status, status, "%s: %v", name, doc)
	}
}

// TestLenient: what the API does not know is passed over, and what it knows is checked.
func TestLenient(t *testing.T) {
	t.Parallel()
	c := signedIn(t, googlemeettest.Config{Lenient: true})
	status, doc := c.call("POST", primary+"?colour=red", entry(map[string]any{
		"requestID": "x", "attendees": []any{map[string]any{"email": "a@example.org", "mail": "x"}},
	}))
	require.Equal(t, 200, status)
	require.NotContains(t, doc, "requestID")
	require.NotContains(t, doc["attendees"].([]any)[0], "mail")
	status, _ = c.call("POST", primary, entry(map[string]any{"visibility": "hidden"}))
	require.Equal(t, 400, status)
}

// TestErrorsAreGooglesOnEveryPath: a client that reads error bodies finds one everywhere.
func TestErrorsAreGooglesOnEveryPath(t *testing.T) {
	t.Parallel()
	c := signedIn(t, googlemeettest.Config{})
	for path, want := range map[string]string{
		"GET /nosuch":                            "404 notFound",
		"PUT /calendars/primary/events":          "404 notFound",
		"GET /calendars/nosuch":                  "404 notFound",
		"GET /colors":                            "501 notImplemented",
		"GET /calendars/primary/acl":             "501 notImplemented",
		"POST /calendars/primary/events/import":  "501 notImplemented",
		"POST /users/me/calendarList":            "501 notImplemented",
		"GET /users/me/settings/timezone":        "501 notImplemented",
		"POST /channels/stop":                    "404 notFound",
		"GET /calendars/primary/events/a/b/c":    "404 notFound",
		"DELETE /calendars/primary/events/abcde": "404 notFound",
	} {
		verb, rest, _ := strings.Cut(path, " ")
		status, doc := c.call(verb, rest, map[string]any{})
		require.Equal(t, want, fmt.Sprint(status, " ", reason(doc)), path)
	}
}

// TestN7DaysAreTheCalendars: a day begins when it begins where the calendar is.
func TestN7DaysAreTheCalendars(t *testing.T) {
	t.Parallel()
	c := signedIn(t, googlemeettest.Config{TimeZone: "Asia/Kolkata"})
	status, _ := c.call("POST", primary, map[string]any{"start": map[string]any{"date": "2031-03-14"}, "end": map[string]any{"date": "2031-03-15"}})
	require.Equal(t, 200, status)
	status, doc := c.call("POST", "/freeBusy", map[string]any{
		"timeMin": "2031-03-13T00:00:00Z", "timeMax": "2031-03-16T00:00:00Z", "items": []any{map[string]any{"id": "primary"}},
	})
	require.Equal(t, 200, status)
	busy := doc["calendars"].(map[string]any)["primary"].(map[string]any)["busy"]
	require.Equal(t, []any{map[string]any{"start": "2031-03-14T00:00:00+05:30", "end": "2031-03-15T00:00:00+05:30"}}, busy)
	for day, want := range map[string]int{"timeMin=2031-03-14T18:30:00Z": 0, "timeMin=2031-03-14T18:29:00Z": 1, "timeMax=2031-03-13T18:30:00Z": 0} {
		_, doc := c.call("GET", primary+"?"+day, nil)
		require.Len(t, doc["items"], want, day)
		require.Equal(t, "Asia/Kolkata", doc["timeZone"])
	}
	_, made := c.call("POST", primary+"/quickAdd?text=Visit+2031-03-14+at+10am", nil)
	require.Equal(t, map[string]any{"dateTime": "2031-03-14T10:00:00+05:30", "timeZone": "Asia/Kolkata"}, made["start"])
	_, err := googlemeettest.Start(googlemeettest.Config{TimeZone: "IST2"})
	require.ErrorContains(t, err, "TimeZone")
}

// TestScopesOfMethods: the seed's scope reads and writes events and no more.
func TestScopesOfMethods(t *testing.T) {
	t.Parallel()
	c := signedIn(t, googlemeettest.Config{})
	c.access = "ya29.events"
	c.fake.Restore(store.Token{Access: telemed.NewSecret(c.access), Scopes: []string{googlemeet.ScopeEvents}, Expiry: time.Now().Add(time.Hour)})
	for path, want := range map[string]int{
		"GET " + primary: 200, "POST " + primary + "/watch": 400, "POST /freeBusy": 403, "GET /calendars/primary": 403, "GET /users/me/calendarList": 403,
	} {
		verb, rest, _ := strings.Cut(path, " ")
		status, doc := c.call(verb, rest, map[string]any{})
		require.Equal(t, want, status, "%s: %v", path, doc)
	}
}

// TestConsentWithoutPKCE: Google takes it, and the fake only if it is told to. A challenge
// that was sent is checked all the same.
func TestConsentWithoutPKCE(t *testing.T) {
	t.Parallel()
	c := newCaller(t, googlemeettest.NewServer(t, googlemeettest.Config{Lenient: true}))
	redeem := func(verifier string, change func(url.Values)) (int, map[string]any) {
		back, err := c.fake.Authorize(c.consentURL(change))
		require.NoError(t, err)
		u, err := url.Parse(back)
		require.NoError(t, err)
		form := url.Values{
			"grant_type": {"authorization_code"}, "code": {u.Query().Get("code")}, "redirect_uri": {callback},
			"client_id": {c.fake.ClientID()}, "client_secret": {c.fake.ClientSecret().Reveal()},
		}
		if verifier != "" {
			form.Set("code_verifier", verifier)
		}
		return c.post(c.fake.Endpoints().Token, form)
	}
	without := func(q url.Values) { q.Del("code_challenge"); q.Del("code_challenge_method") }
	status, doc := redeem("", without)
	require.Equal(t, 200, status)
	require.NotEmpty(t, doc["refresh_token"])
	status, _ = redeem(c.verifier, nil)
	require.Equal(t, 200, status)
	for name, test := range map[string]struct {
		verifier string
		change   func(url.Values)
	}{"none for a challenge": {"", nil}, "one for none": {c.verifier, without}, "another": {c.verifier + "x", nil}} {
		status, doc = redeem(test.verifier, test.change)
		require.Equal(t, 400, status, name)
		require.Equal(t, "invalid_grant", doc["error"], name)
	}
	_, err := c.fake.Authorize(c.consentURL(func(q url.Values) { q.Set("code_challenge_method", "plain") }))
	require.ErrorContains(t, err, "PKCE")
}

// TestSyncAfterTheTokenIsTooOld: what changed is told by a token until it is too old.
func TestSyncAfterTheTokenIsTooOld(t *testing.T) {
	t.Parallel()
	c := signedIn(t, googlemeettest.Config{})
	_, whole := c.call("GET", primary, nil)
	_, made := c.call("POST", primary, entry(map[string]any{"summary": "Visit"}))
	again := primary + "?syncToken=" + url.QueryEscape(whole["nextSyncToken"].(string))
	status, changed := c.call("GET", again, nil)
	require.Equal(t, 200, status)
	require.Equal(t, made["id"], changed["items"].([]any)[0].(map[string]any)["id"])
	c.fake.ExpireSyncTokens()
	status, doc := c.call("GET", again, nil)
	require.Equal(t, 410, status)
	require.Equal(t, "fullSyncRequired", reason(doc))
}

// TestChannels: each change is told once, in order, until the channel ends.
func TestChannels(t *testing.T) {
	t.Parallel()
	told := make(chan http.Header, 10)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { told <- r.Header }))
	t.Cleanup(receiver.Close)
	c := signedIn(t, googlemeettest.Config{Calendars: []string{"other"}})
	open := func(id, query string) map[string]any {
		status, doc := c.call("POST", primary+"/watch"+query, map[string]any{"id": id, "type": "web_hook", "address": receiver.URL, "token": "t"})
		require.Equal(t, 200, status, doc)
		return doc
	}
	next := func() string {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		select {
		case header := <-told:
			return header.Get("X-Goog-Channel-Id") + header.Get("X-Goog-Resource-State") + header.Get("X-Goog-Message-Number")
		case <-ctx.Done():
			return "nothing"
		}
	}
	channel := open("a", "")
	require.Equal(t, "async1", next())
	_, made := c.call("POST", primary, entry(nil))
	require.Equal(t, "aexists2", next())
	c.call("POST", "/calendars/other/events", entry(nil)) // of another calendar
	c.call("GET", primary, nil)                           // no change
	require.NoError(t, c.fake.Edit(made["id"].(string), map[string]any{"summary": "by hand"}))
	require.Equal(t, "aexists3", next())
	c.call("DELETE", primary+"/"+made["id"].(string), nil)
	require.Equal(t, "aexists4", next())

	status, _ := c.call("POST", "/channels/stop", map[string]any{"id": "a", "resourceId": channel["resourceId"]})
	require.Equal(t, 204, status)
	c.call("POST", primary, entry(nil))
	open("b", "?eventTypes=focusTime")
	require.Equal(t, "bsync1", next(), "the first channel was stopped")
	c.call("POST", primary, entry(nil)) // of another type
	c.call("POST", primary, entry(map[string]any{"eventType": "focusTime"}))
	require.Equal(t, "bexists2", next())
	c.fake.Advance(8 * 24 * time.Hour)
	c.access = "ya29.later"
	c.fake.Restore(store.Token{Access: telemed.NewSecret(c.access), Scopes: []string{googlemeet.ScopeCalendar}, Expiry: time.Now().AddDate(0, 1, 0)})
	c.call("POST", primary, entry(map[string]any{"eventType": "focusTime"}))
	open("b", "")
	require.Equal(t, "bsync1", next(), "the second channel has ended, and its id is free")
}

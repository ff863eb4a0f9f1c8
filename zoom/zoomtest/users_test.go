package zoomtest_test

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/zoom/zoomtest"
)

const clinicBody = `{"topic":"Visit","type":2,"start_time":"2031-03-01T10:00:00Z","duration":30}`

func twoDoctors() []zoomtest.User {
	return []zoomtest.User{
		zoomtest.DefaultUser(),
		{ID: "u-dr-iyer", AccountID: "a-clinic", Email: "dr.iyer@clinic.example", Name: "Dr. Iyer"},
		{ID: "u-stranger", AccountID: "a-other", Email: "dr.x@other.example", Name: "Dr. X"},
	}
}

// TestNamesOfTheTokensUser: a user's token takes all names of its user, and no other's.
func TestNamesOfTheTokensUser(t *testing.T) {
	t.Parallel()
	s := zoomtest.NewServer(t, zoomtest.Config{Users: twoDoctors()})
	token := connect(t, s)
	for _, name := range []string{"me", "u-dr-rao", "dr.rao@clinic.example", "DR.RAO@clinic.example"} {
		path := "/users/" + url.PathEscape(name)
		status, doc := call(t, s, token, http.MethodGet, path, "")
		require.Equal(t, 200, status, name)
		require.Equal(t, "u-dr-rao", doc["id"], name)
		status, doc = call(t, s, token, http.MethodPost, path+"/meetings", clinicBody)
		require.Equal(t, 201, status, name)
		require.Equal(t, "u-dr-rao", doc["host_id"], name)
	}
	status, doc := call(t, s, token, http.MethodGet, "/users/dr.rao@clinic.example/meetings", "")
	require.Equal(t, 200, status)
	require.Len(t, doc["meetings"], 4)
	for _, name := range []string{"u-dr-iyer", "dr.iyer@clinic.example", "nobody"} {
		status, doc := call(t, s, token, http.MethodPost, "/users/"+name+"/meetings", clinicBody)
		require.Equal(t, 400, status, name)
		require.EqualValues(t, 4700, doc["code"], name)
	}
}

// TestAccountTokens: a server-to-server app names the doctor in each call.
func TestAccountTokens(t *testing.T) {
	t.Parallel()
	s := zoomtest.NewServer(t, zoomtest.Config{Users: twoDoctors()})
	mint := func(account string) (int, map[string]any) {
		return post(t, s, url.Values{"grant_type": {"account_credentials"}, "account_id": {account}}, s.ClientSecret().Reveal())
	}
	for _, account := range []string{"", "a-none"} {
		status, doc := mint(account)
		require.Equal(t, 400, status)
		require.Equal(t, "invalid_request", doc["error"])
	}
	status, token := mint("a-clinic")
	require.Equal(t, 200, status)
	require.NotContains(t, token, "refresh_token")
	require.Contains(t, token["scope"], "meeting:write:meeting:admin")

	var ids []any
	for _, name := range []string{"u-dr-rao", "dr.iyer@clinic.example"} {
		status, doc := call(t, s, token, http.MethodPost, "/users/"+name+"/meetings", clinicBody)
		require.Equal(t, 201, status, name)
		ids = append(ids, doc["id"])
	}
	for _, name := range []string{"me", "nobody", "u-stranger"} {
		status, doc := call(t, s, token, http.MethodPost, "/users/"+name+"/meetings", clinicBody)
		require.Equal(t, 404, status, name)
		require.EqualValues(t, 1001, doc["code"], name)
	}
	meeting := fmt.Sprintf("/meetings/%.0f", ids[1])
	status, doc := call(t, s, token, http.MethodGet, meeting, "")
	require.Equal(t, 200, status)
	require.Equal(t, "u-dr-iyer", doc["host_id"])

	_, other := mint("a-other")
	status, doc = call(t, s, other, http.MethodGet, meeting, "")
	require.Equal(t, 404, status, "another account's")
	require.EqualValues(t, 3001, doc["code"])
	status, _ = call(t, s, token, http.MethodDelete, meeting, "")
	require.Equal(t, 204, status)
}

// TestPagesWhileTheListLags: a list that was begun stays as it was while it is paged
// through, and what is new is in none until the lag is over.
func TestPagesWhileTheListLags(t *testing.T) {
	t.Parallel()
	s := zoomtest.NewServer(t, zoomtest.Config{ListLag: time.Hour})
	token := connect(t, s)
	make4 := func() {
		for range 4 {
			status, _ := call(t, s, token, http.MethodPost, "/users/me/meetings", clinicBody)
			require.Equal(t, 201, status)
		}
	}
	page := func(query string) (ids []any, next string) {
		status, doc := call(t, s, token, http.MethodGet, "/users/me/meetings?page_size=3"+query, "")
		require.Equal(t, 200, status)
		for _, m := range doc["meetings"].([]any) {
			ids = append(ids, m.(map[string]any)["id"])
		}
		return ids, doc["next_page_token"].(string)
	}
	make4()
	first, _ := page("")
	require.Empty(t, first)
	s.Advance(59 * time.Minute)
	make4()
	s.Advance(time.Minute)
	token = connect(t, s) // the hour has ended the token
	first, next := page("")
	require.Len(t, first, 3)
	s.Advance(14 * time.Minute)
	s.Delete(s.Meetings()[0].ID)
	s.Advance(46 * time.Minute)
	token = connect(t, s)
	status, doc := call(t, s, token, http.MethodGet, "/users/me/meetings?page_size=3&next_page_token="+next, "")
	require.Equal(t, 400, status, "a token for the next page works for 15 minutes")
	require.EqualValues(t, 300, doc["code"])

	first, next = page("")
	second, next2 := page("&next_page_token=" + next)
	third, end := page("&next_page_token=" + next2)
	require.Empty(t, end)
	require.Len(t, append(append(first, second...), third...), 7, "each is listed once")

	byNumber, _ := page("&page_number=2")
	require.Equal(t, second, byNumber)
	none, _ := page("&from=2031-03-02&to=2031-03-09")
	require.Empty(t, none)
	none, _ = page("&from=2031-02-01&to=2031-02-28")
	require.Empty(t, none)
	all, _ := page("&from=2031-03-01&to=2031-03-01&timezone=Asia/Kolkata")
	require.Len(t, all, 3)
}

// TestWhatZoomKnowsHasItsEffect: it is checked, or refused where the fake does not have
// it. What Zoom does not know it passes over.
func TestWhatZoomKnowsHasItsEffect(t *testing.T) {
	t.Parallel()
	s := zoomtest.NewServer(t)
	token := connect(t, s)
	for body, want := range map[string]string{
		`{"type":8,"recurrence":{"type":1}}`:       "501 2300",
		`{"type":3}`:                               "501 2300",
		`{"template_id":"x"}`:                      "501 2300",
		`{"tracking_fields":[]}`:                   "501 2300",
		`{"schedule_for":"dr.x@clinic.example"}`:   "501 2300",
		`{"schedule_for":"dr.rao@clinic.example"}`: "201 <nil>",
		`{"topic":5}`:                              "400 300",
		`{"settings":{"host_video":"yes"}}`:        "400 300",
		`{"settings":{"watermark":1}}`:             "400 300",
		`{"settings":{"jbh_time":7}}`:              "400 300",
		`{"settings":{"meeting_invitees":[]}}`:     "201 <nil>",
		`{"nosuch":1,"settings":{"nosuch":1}}`:     "201 <nil>",
	} {
		status, doc := call(t, s, token, http.MethodPost, "/users/me/meetings", body)
		require.Equal(t, want, fmt.Sprint(status, " ", doc["code"]), body)
		if settings, ok := doc["settings"].(map[string]any); ok {
			require.NotContains(t, settings, "nosuch")
		}
	}
	status, doc := call(t, s, token, http.MethodPost, "/users/me/meetings", `{"default_password":true,"pre_schedule":true}`)
	require.Equal(t, 201, status)
	require.NotEmpty(t, doc["password"])
	require.Equal(t, true, doc["pre_schedule"])
	meeting := fmt.Sprintf("/meetings/%.0f", doc["id"])
	for path, want := range map[string]int{
		"PATCH " + meeting + "?occurrence_id=1":                                  501,
		"GET " + meeting + "?show_previous_occurrences=perhaps":                  400,
		"GET " + meeting + "?show_previous_occurrences=true":                     200,
		"GET /users/me/meetings?from=yesterday":                                  400,
		"GET /users/me/meetings?page_number=0":                                   400,
		"GET /users/me/meetings?next_page_token=x":                               400,
		"GET /users/me/meetings?timezone=IST2":                                   400,
		"GET /users/me/meetings?nosuch=1":                                        200,
		"DELETE " + meeting + "?schedule_for_reminder=perhaps":                   400,
		"GET " + "/nosuch":                                                       404,
		"PUT " + meeting + "/status":                                             400,
		"POST " + meeting:                                                        404,
		"DELETE " + "/meetings/1?schedule_for_reminder=true&occurrence_id=12345": 501,
	} {
		var verb, rest string
		_, err := fmt.Sscanf(path, "%s %s", &verb, &rest)
		require.NoError(t, err)
		status, doc := call(t, s, token, verb, rest, "{}")
		require.Equal(t, want, status, "%s: %v", path, doc)
	}
}

// TestGrants: what users have allowed, without a token in it.
func TestGrants(t *testing.T) {
	t.Parallel()
	s := zoomtest.NewServer(t)
	require.Empty(t, s.Grants())
	first := connect(t, s)
	status, second := post(t, s, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {first["refresh_token"].(string)}}, s.ClientSecret().Reveal())
	require.Equal(t, http.StatusOK, status)
	got := s.Grants()
	require.Len(t, got, 1)
	require.Equal(t, zoomtest.DefaultUser(), got[0].User)
	require.NotEmpty(t, got[0].Scopes)
	require.Equal(t, 1, got[0].Refreshes)
	require.Greater(t, time.Until(got[0].Expires), 50*time.Minute)
	require.NotContains(t, fmt.Sprint(got), second["access_token"])
	s.ExpireTokens()
	require.True(t, s.Grants()[0].Expires.IsZero())
	connect(t, s)
	require.Len(t, s.Grants(), 2)
	require.True(t, s.Grants()[0].Ended, "a new consent replaces it")
	s.Uninstall(zoomtest.DefaultUser().ID)
	require.True(t, s.Grants()[1].Ended)
}

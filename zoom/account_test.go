package zoom_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/zoom"
	"github.com/telemed-go/telemed/zoom/zoomtest"
)

// secondUser is another account of the same doctor.
var secondUser = zoomtest.User{ID: "u-private", AccountID: "a-private", Email: "rao@example.org", Name: "Dr. Rao"}

func twoAccounts() zoomtest.Config {
	return zoomtest.Config{Users: []zoomtest.User{zoomtest.DefaultUser(), secondUser}}
}

// calls are the methods that name a meeting.
func calls(t *testing.T, c *zoom.Client, id string) map[string]error {
	t.Helper()
	_, getErr := c.Get(t.Context(), doctor, id)
	_, updateErr := c.Update(t.Context(), doctor, id, visit(t, "appt-42"))
	_, linkErr := c.HostLink(t.Context(), doctor, id)
	return map[string]error{"Get": getErr, "Update": updateErr, "HostLink": linkErr, "Cancel": c.Cancel(t.Context(), doctor, id)}
}

// The doctor connects another account. What is in the first one is not gone.
func TestMeetingInAnotherAccount(t *testing.T) {
	t.Parallel()
	c := newClinic(t, twoAccounts())
	m, err := c.Create(t.Context(), doctor, visit(t, "appt-42"))
	require.NoError(t, err)
	require.Equal(t, zoomtest.DefaultUser().ID, m.Account)
	require.Equal(t, c.token(t).Account.ID, m.Account)

	c.connectAs(t, secondUser.ID)
	for _, client := range []*zoom.Client{c.Client, c.another(t)} {
		failures := calls(t, client, m.ID)
		_, failures["Create"] = client.Create(t.Context(), doctor, visit(t, "appt-42"))
		for op, err := range failures {
			require.ErrorIs(t, err, meet.ErrOtherAccount, op)
			require.ErrorIs(t, err, telemed.ErrConflict, op)
			require.NotErrorIs(t, err, telemed.ErrNotFound, op)
			require.ErrorContains(t, err, "another account", op)
			require.NotContains(t, err.Error(), "rao", op)
		}
	}
	for op, err := range calls(t, c.forgetful(t), m.ID) { // nobody knows any more
		require.ErrorIs(t, err, telemed.ErrAmbiguous, op)
	}
	require.Len(t, c.live(), 1)

	c.connect(t)
	require.NoError(t, c.Cancel(t.Context(), doctor, m.ID))
	require.Empty(t, c.live())
	c.connectAs(t, secondUser.ID)
	_, err = c.Create(t.Context(), doctor, visit(t, "appt-42"))
	require.ErrorIs(t, err, telemed.ErrConflict, "the Key is used up, whichever account it is")
}

// Zoom was asked in the first account, and nobody knows whether it made the meeting.
func TestLostReplyFromAnotherAccount(t *testing.T) {
	t.Parallel()
	c := newClinic(t, twoAccounts())
	c.fake.FailNext(zoomtest.Fault{Op: zoomtest.OpCreate, LoseAnswer: true}, zoomtest.Refuse(zoomtest.OpList, 400, 300, ""))
	_, err := c.Create(t.Context(), doctor, visit(t, "appt-42"))
	require.ErrorIs(t, err, telemed.ErrAmbiguous)
	c.connectAs(t, secondUser.ID)
	_, err = c.Create(t.Context(), doctor, visit(t, "appt-42"))
	require.ErrorIs(t, err, meet.ErrOtherAccount)
	require.Len(t, c.live(), 1)
}

// An imported token does not tell whose it is: Zoom is asked before an absence is
// believed.
func TestTokenWithoutAccount(t *testing.T) {
	t.Parallel()
	imported := func(t *testing.T, c *clinic) {
		t.Helper()
		rec, err := c.tokens.Get(t.Context(), c.key)
		require.NoError(t, err)
		rec.Token.Account = store.Account{}
		_, err = c.tokens.Put(t.Context(), rec)
		require.NoError(t, err)
	}
	t.Run("the same", func(t *testing.T) {
		t.Parallel()
		c := newClinic(t, twoAccounts())
		imported(t, c)
		m, err := c.Create(t.Context(), doctor, visit(t, "appt-42"))
		require.NoError(t, err)
		require.Equal(t, zoomtest.DefaultUser().ID, m.Account)
		c.fake.Delete(c.live()[0].ID)
		require.NoError(t, c.Cancel(t.Context(), doctor, m.ID))
		_, err = c.Get(t.Context(), doctor, m.ID)
		require.ErrorIs(t, err, telemed.ErrNotFound)
	})
	t.Run("another", func(t *testing.T) {
		t.Parallel()
		c := newClinic(t, twoAccounts())
		m, err := c.Create(t.Context(), doctor, visit(t, "appt-42"))
		require.NoError(t, err)
		c.connectAs(t, secondUser.ID)
		imported(t, c)
		for op, err := range calls(t, c.Client, m.ID) {
			require.ErrorIs(t, err, meet.ErrOtherAccount, op)
		}
	})
	t.Run("another, after a lost reply", func(t *testing.T) {
		t.Parallel()
		c := newClinic(t, twoAccounts())
		c.fake.FailNext(zoomtest.Fault{Op: zoomtest.OpCreate, LoseAnswer: true}, zoomtest.Refuse(zoomtest.OpList, 400, 300, ""))
		_, err := c.Create(t.Context(), doctor, visit(t, "appt-42"))
		require.ErrorIs(t, err, telemed.ErrAmbiguous)
		c.connectAs(t, secondUser.ID)
		imported(t, c)
		_, err = c.Create(t.Context(), doctor, visit(t, "appt-42"))
		require.ErrorIs(t, err, meet.ErrOtherAccount)
	})
	t.Run("Zoom does not tell", func(t *testing.T) {
		t.Parallel()
		c := newClinic(t, twoAccounts())
		imported(t, c)
		refused := zoomtest.Refuse(zoomtest.OpMe, 400, 4711, "scopes")
		refused.Times = -1
		c.fake.FailNext(refused)
		for op, err := range calls(t, c.Client, "82000000001") {
			require.ErrorIs(t, err, telemed.ErrAmbiguous, op)
		}
	})
}

// A meeting that can be read here and is a colleague's.
func TestColleaguesMeeting(t *testing.T) {
	t.Parallel()
	c := newClinic(t, zoomtest.Config{})
	m, err := c.Create(t.Context(), doctor, visit(t, "appt-42"))
	require.NoError(t, err)
	theirs := answered(zoomtest.OpGet, 200, `{"id":`+m.ID+`,"host_id":"u-sen","join_url":"`+m.JoinURL+`","start_url":"`+m.JoinURL+`"}`)
	for range 3 {
		c.fake.FailNext(theirs)
	}
	failures := calls(t, c.Client, m.ID)
	for _, op := range []string{"Get", "Update", "HostLink"} {
		require.ErrorIs(t, failures[op], meet.ErrOtherAccount, op)
	}
}

// gateways are answers that are not Zoom's, whatever their status says.
var gateways = []struct {
	status int
	body   string
}{
	{404, "<html>nothing here</html>"}, {410, "gone"}, {404, ""}, {404, `{"message":"no route"}`}, {404, `{"code":404,"message":"no route"}`},
	{404, `{"error":"Not Found","status":404}`}, {410, `{"code":"410"}`}, {404, `null`}, {404, `[]`}, {404, `{"code":0}`}, {404, `"3001"`},
	{404, `{"code":98765,"message":"unheard of"}`}, {401, "<html>log in</html>"}, {403, "<html>blocked</html>"}, {400, `{"error":"Bad Request"}`},
	{409, "conflict"}, {405, `{"code":405}`},
}

// TestGatewaysProveNothing has a gateway answer in Zoom's place, everywhere.
func TestGatewaysProveNothing(t *testing.T) {
	t.Parallel()
	for _, gateway := range gateways {
		t.Run(fmt.Sprint(gateway), func(t *testing.T) {
			t.Parallel()
			c := newClinic(t, zoomtest.Config{})
			m, err := c.Create(t.Context(), doctor, visit(t, "appt-42"))
			require.NoError(t, err)
			fault := answered("", gateway.status, gateway.body)
			fault.Times = -1
			c.fake.FailNext(fault)
			failures := calls(t, c.Client, m.ID)
			_, failures["Create"] = c.Create(t.Context(), doctor, visit(t, "appt-42"))
			_, failures["Create of another"] = c.Create(t.Context(), doctor, visit(t, "appt-43"))
			for op, err := range failures {
				require.Error(t, err, op)
				for _, wrong := range []error{
					telemed.ErrNotFound, telemed.ErrConflict, telemed.ErrInvalid, telemed.ErrForbidden, telemed.ErrUnauthorized,
				} {
					require.NotErrorIs(t, err, wrong, op)
				}
			}
			require.ErrorIs(t, failures["Get"], telemed.ErrUnavailable)
			require.ErrorIs(t, failures["Cancel"], telemed.ErrAmbiguous)
			c.fake.Reset()
			again, err := c.Create(t.Context(), doctor, visit(t, "appt-42"))
			require.NoError(t, err)
			require.Equal(t, m.ID, again.ID)
			require.Len(t, c.live(), 1)
		})
	}
}

// An answer about another meeting is another patient's link.
func TestAnswerOfAnotherMeeting(t *testing.T) {
	t.Parallel()
	c := newClinic(t, zoomtest.Config{})
	m, err := c.Create(t.Context(), doctor, visit(t, "appt-42"))
	require.NoError(t, err)
	other := answered(zoomtest.OpGet, 200, `{"id":82000000999,"join_url":"`+m.JoinURL+`","start_url":"`+m.JoinURL+`"}`)
	for range 4 {
		c.fake.FailNext(other)
	}
	_, createErr := c.Create(t.Context(), doctor, visit(t, "appt-42"))
	failures := calls(t, c.Client, m.ID)
	failures["Create"] = createErr
	for _, op := range []string{"Get", "Update", "HostLink", "Create"} {
		require.ErrorIs(t, failures[op], telemed.ErrUnavailable, op)
		require.ErrorContains(t, failures[op], "another meeting", op)
	}

	posted := answered(zoomtest.OpCreate, 201, `{"id":82000000999,"join_url":"`+m.JoinURL+`","agenda":"ref:AAAAAAAAAAAAAAAAAAAA"}`)
	posted.LoseAnswer = true
	c.fake.FailNext(posted)
	own, err := c.Create(t.Context(), doctor, visit(t, "appt-43"))
	require.NoError(t, err)
	require.NotEqual(t, "82000000999", own.ID)
}

// Links lead to Zoom, or nobody gets them.
func TestLinks(t *testing.T) {
	t.Parallel()
	for link, ok := range map[string]bool{
		"https://zoom.us/j/1?pwd=x": true, "https://clinic.zoom.us/j/1": true, "https://us06web.zoom.us/j/1": true,
		"javascript:alert(1)": false, "http://zoom.us/j/1": false, "https://other.example/j/1": false, "https://zoom.us.example/j/1": false,
		"https://notzoom.us/j/1": false, "https://zoom.us@other.example/j/1": false, "https://u:p@zoom.us/j/1": false, "//zoom.us/j/1": false,
		"https://zoom.us:444/j/1": false, "https://zoom.us": false, "https://other.example/https://zoom.us/j/1": false, "zoom.us/j/1": false,
		"https://zoom.us\n/j/1": false, "HTTPS://ZOOM.US/j/1": true,
	} {
		t.Run(link, func(t *testing.T) {
			t.Parallel()
			c := newClinic(t, zoomtest.Config{})
			client := c.another(t, func(cfg *zoom.Config) { cfg.Endpoints.Join = "" })
			body := fmt.Sprintf(`{"id":82000000001,"join_url":%q,"start_url":%q,"start_time":"2031-01-01T10:00:00Z","duration":30}`, link, link)
			for range 2 {
				c.fake.FailNext(answered(zoomtest.OpGet, 200, body))
			}
			m, err := client.Get(t.Context(), doctor, "82000000001")
			host, hostErr := client.HostLink(t.Context(), doctor, "82000000001")
			if ok {
				require.NoError(t, errors.Join(err, hostErr))
				require.Equal(t, link, m.JoinURL)
				require.Equal(t, link, host.Reveal())
				return
			}
			require.ErrorIs(t, err, telemed.ErrConflict)
			require.ErrorIs(t, hostErr, telemed.ErrConflict)
			require.Empty(t, host.Reveal())
			require.NotContains(t, err.Error()+hostErr.Error(), "example")
		})
	}
}

// A link of an account's own domain, once that is configured; and one in an answer to
// Create, whose meeting is kept.
func TestOwnDomain(t *testing.T) {
	t.Parallel()
	c := newClinic(t, zoomtest.Config{})
	at := func(join string) *zoom.Client {
		return c.another(t, func(cfg *zoom.Config) { cfg.Endpoints.Join = join })
	}
	_, err := at("https://meet.clinic.example").Create(t.Context(), doctor, visit(t, "appt-42"))
	require.ErrorIs(t, err, telemed.ErrConflict)
	id := zoomError(t, err).MeetingID
	m, err := c.Create(t.Context(), doctor, visit(t, "appt-42"))
	require.NoError(t, err)
	require.Equal(t, id, m.ID)
	u, err := url.Parse(m.JoinURL)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(c.fake.URL(), "http://"+u.Host))
}

// Whose trouble a 401 is: one doctor's grant is for the doctor to mend, the application's
// credentials for the operator.
func TestWhoseTroubleA401Is(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]error{
		124: telemed.ErrReconnect, 4735: telemed.ErrReconnect, 4737: telemed.ErrReconnect, 4738: telemed.ErrReconnect,
		4741: telemed.ErrReconnect, 1001: telemed.ErrReconnect, 1010: telemed.ErrReconnect,
		4700: telemed.ErrMissingScope, 4711: telemed.ErrMissingScope,
		4702: telemed.ErrUnauthorized, 4704: telemed.ErrUnauthorized, 4706: telemed.ErrUnauthorized,
		4709: telemed.ErrUnauthorized, 4717: telemed.ErrUnauthorized,
	} {
		for _, status := range []int{http.StatusUnauthorized, http.StatusBadRequest} {
			t.Run(fmt.Sprint(code, status), func(t *testing.T) {
				t.Parallel()
				c := newClinic(t, zoomtest.Config{})
				refused := zoomtest.Refuse(zoomtest.OpGet, status, code, "Asha")
				refused.Times = -1
				c.fake.FailNext(refused)
				_, err := c.Get(t.Context(), doctor, "82000000001")
				require.ErrorIs(t, err, want)
				operator := errors.Is(err, telemed.ErrUnauthorized)
				require.Equal(t, errors.Is(want, telemed.ErrUnauthorized), operator)
				require.Equal(t, !operator, errors.Is(err, telemed.ErrReconnect))
				rec, err := c.tokens.Get(t.Context(), c.key)
				require.NoError(t, err, "tokens stay")
				require.Equal(t, store.StatusActive, rec.Status)
			})
		}
	}
}

// FuzzAbsence: whatever a gateway or Zoom answers, a meeting is gone only if Zoom's code
// says so.
func FuzzAbsence(f *testing.F) {
	for _, gateway := range gateways {
		f.Add(gateway.status, gateway.body)
	}
	f.Add(404, `{"code":3001,"message":"gone"}`)
	f.Add(200, `{"id":82000000001,"join_url":"https://zoom.us/j/1"}`)
	f.Fuzz(func(t *testing.T, status int, body string) {
		if status < 200 || status > 599 {
			t.Skip()
		}
		c := newClinic(t, zoomtest.Config{})
		fault := answered("", status, body, "Retry-After", "3600") // no pause of ours
		fault.Times = -1
		c.fake.FailNext(fault)
		deadline := time.Now().Add(time.Minute)
		_, err := c.Get(t.Context(), doctor, "82000000001")
		cancelErr := c.Cancel(t.Context(), doctor, "82000000001")
		says := strings.Contains(body, "3001") || strings.Contains(body, "12702") || strings.Contains(body, `\u003`)
		if !says && (errors.Is(err, telemed.ErrNotFound) || cancelErr == nil && status != http.StatusNoContent && len(body) > 0) {
			t.Errorf("%d %q is taken for Zoom's word: %v, %v", status, body, err, cancelErr)
		}
		require.True(t, time.Now().Before(deadline))
	})
}

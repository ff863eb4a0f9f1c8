package zoom_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/zoom"
	"github.com/telemed-go/telemed/zoom/zoomtest"
)

func TestNewNamesEverything(t *testing.T) {
	t.Parallel()
	_, err := zoom.New(zoom.Config{
		Endpoints: zoom.Endpoints{Authorize: "http://zoom.example", Token: "ftp://x", Revoke: "http://zoom.example", API: "nowhere", Join: "http://zoom.example"},
		Settings:  map[string]any{"x": make(chan int)}, AcceptLocked: []string{"waiting_room", "waitingroom"},
	})
	require.ErrorIs(t, err, telemed.ErrInvalid)
	for _, field := range []string{
		"ClientID", "ClientSecret", "RedirectURL", "Tokens", "Endpoints.Authorize", "Endpoints.Token", "Endpoints.Revoke", "Endpoints.API", "Endpoints.Join", "Settings", "AcceptLocked[1]",
	} {
		require.ErrorContains(t, err, field+" ")
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		status int
		body   string
		want   []error
		code   int
	}{
		"validation":         {400, `{"code":300,"message":"Asha","errors":[{"field":"settings.jbh_time","message":"Asha"}]}`, []error{telemed.ErrInvalid}, 300},
		"code as text":       {400, `{"code":"300","message":"Asha"}`, []error{telemed.ErrInvalid}, 300},
		"scope":              {400, `{"code":4711,"message":"Asha"}`, []error{telemed.ErrMissingScope, telemed.ErrReconnect}, 4711},
		"scope, older code":  {400, `{"code":4700,"message":"Asha"}`, []error{telemed.ErrMissingScope, telemed.ErrReconnect}, 4700},
		"paid plan":          {400, `{"code":200,"message":"Asha"}`, []error{telemed.ErrForbidden}, 200},
		"no licence":         {400, `{"code":3161,"message":"Asha"}`, []error{telemed.ErrForbidden}, 3161},
		"user is gone":       {404, `{"code":1001,"message":"User does not exist: Asha"}`, []error{telemed.ErrReconnect}, 1001},
		"meeting is gone":    {404, `{"code":3001,"message":"Asha"}`, []error{telemed.ErrNotFound}, 3001},
		"in progress":        {400, `{"code":3002,"message":"Asha"}`, []error{telemed.ErrConflict}, 3002},
		"not recognized":     {404, `{"code":2300,"message":"Asha"}`, []error{telemed.ErrInvalid}, 2300},
		"forbidden":          {403, `{"code":403,"message":"Asha"}`, []error{telemed.ErrForbidden}, 403},
		"html":               {403, `<html>Asha</html>`, []error{telemed.ErrUnavailable}, 0},
		"xml 502":            {502, `<Error>Asha</Error>`, []error{telemed.ErrUnavailable}, 0},
		"200 with an error":  {200, `{"code":200,"message":"Only available for paid account: Asha"}`, []error{telemed.ErrForbidden}, 200},
		"200 with nothing":   {200, `{}`, []error{telemed.ErrUnavailable}, 0},
		"200 without a link": {200, `{"id":82000000001,"topic":"Asha"}`, []error{telemed.ErrUnavailable}, 0},
		"200 with an array":  {200, `["Asha"]`, []error{telemed.ErrUnavailable}, 0},
		"200 empty":          {200, ``, []error{telemed.ErrUnavailable}, 0},
		"still unauthorized": {401, `{"code":124,"message":"Asha"}`, []error{telemed.ErrReconnect}, 124},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClinic(t, zoomtest.Config{})
			for range 3 {
				c.fake.FailNext(answered(zoomtest.OpGet, test.status, test.body))
			}
			_, err := c.Get(t.Context(), doctor, "82000000001")
			for _, want := range test.want {
				require.ErrorIs(t, err, want)
			}
			require.NotErrorIs(t, err, telemed.ErrAmbiguous)
			failed := zoomError(t, err)
			require.Equal(t, "Get", failed.Op)
			require.Equal(t, test.status, failed.Status)
			require.Equal(t, test.code, failed.Code)
			require.Contains(t, failed.RequestID, "rid=WEB_")
			require.NotContains(t, fmt.Sprintf("%v %+v %q", err, err, failed.Fields), "Asha")
		})
	}
}

func TestErrorText(t *testing.T) {
	t.Parallel()
	c := newClinic(t, zoomtest.Config{})
	c.fake.FailNext(answered(zoomtest.OpCreate, 400, `{"code":300,"message":"Validation Failed.","errors":[{"field":"settings.jbh_time"},{"field":"Asha Rao <asha@example.org>"}]}`))
	_, err := c.Create(t.Context(), doctor, visit(t, "appt-42"))
	require.EqualError(t, err, "zoom: Create: 400 (code 300, settings.jbh_time): invalid request [request id "+zoomError(t, err).RequestID+"]")
	require.Equal(t, []string{"settings.jbh_time"}, zoomError(t, err).Fields)
}

func TestDailyLimit(t *testing.T) {
	t.Parallel()
	t.Run("is told at once", func(t *testing.T) {
		t.Parallel()
		c := newClinic(t, zoomtest.Config{DailyLimit: 2})
		m, err := c.Create(t.Context(), doctor, visit(t, "appt-1"))
		require.NoError(t, err)
		req := visit(t, "appt-1")
		req.Topic = "moved"
		_, err = c.Update(t.Context(), doctor, m.ID, req)
		require.NoError(t, err)
		_, err = c.Update(t.Context(), doctor, m.ID, req)
		require.NoError(t, err, "nothing is to be changed")
		_, err = c.Update(t.Context(), doctor, m.ID, visit(t, "appt-1"))
		requireDailyLimit(t, err)
		_, err = c.Create(t.Context(), doctor, visit(t, "appt-2"))
		requireDailyLimit(t, err)
		require.Len(t, c.fake.Requests(zoomtest.OpUpdate), 2, "it must not be tried again")
		require.NoError(t, c.Cancel(t.Context(), doctor, m.ID), "cancelling is not counted")
	})
	t.Run("of the account", func(t *testing.T) {
		t.Parallel()
		c := newClinic(t, zoomtest.Config{})
		reset := time.Now().Add(5 * time.Hour).UTC().Format(time.RFC3339)
		c.fake.FailNext(answered(zoomtest.OpGet, 429, `{"code":429,"message":"You have reached the maximum daily rate limit for this API."}`, "Retry-After", reset))
		_, err := c.Get(t.Context(), doctor, "82000000001")
		require.ErrorIs(t, err, zoom.ErrDailyLimit)
		require.InDelta(t, 5*time.Hour, zoomError(t, err).RetryAfter, float64(time.Minute))
	})
	t.Run("told by its header", func(t *testing.T) {
		t.Parallel()
		c := newClinic(t, zoomtest.Config{})
		c.fake.FailNext(answered(zoomtest.OpGet, 429, `<Error/>`, "X-RateLimit-Type", "Daily-limit"))
		_, err := c.Get(t.Context(), doctor, "82000000001")
		requireDailyLimit(t, err)
		require.Len(t, c.fake.Requests(zoomtest.OpGet), 1)
	})
	t.Run("of the second is waited for", func(t *testing.T) {
		t.Parallel()
		c := newClinic(t, zoomtest.Config{})
		m, err := c.Create(t.Context(), doctor, visit(t, "appt-1"))
		require.NoError(t, err)
		c.fake.FailNext(answered(zoomtest.OpGet, 429, secondLimit))
		_, err = c.Get(t.Context(), doctor, m.ID)
		require.NoError(t, err)
	})
}

func requireDailyLimit(t *testing.T, err error) {
	t.Helper()
	require.ErrorIs(t, err, zoom.ErrDailyLimit)
	require.ErrorIs(t, err, telemed.ErrRateLimited)
	require.NotErrorIs(t, err, telemed.ErrAmbiguous)
	wait := zoomError(t, err).RetryAfter
	require.Greater(t, wait, time.Duration(0))
	require.LessOrEqual(t, wait, 24*time.Hour+2*time.Second)
}

func TestMissingScope(t *testing.T) {
	t.Parallel()
	c := newClinic(t, zoomtest.Config{Grant: []string{"user:read:user", "meeting:read:list_meetings"}})
	_, err := c.Create(t.Context(), doctor, visit(t, "appt-42"))
	require.ErrorIs(t, err, telemed.ErrMissingScope)
	require.ErrorIs(t, err, telemed.ErrReconnect)
}

func TestUpdate(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		spoil func(*zoomtest.Server)
		want  error
		moved bool
	}{
		"answer lost": {func(s *zoomtest.Server) {
			s.FailNext(zoomtest.Fault{Op: zoomtest.OpUpdate, LoseAnswer: true, Times: 3})
		}, nil, true},
		"one request lost": {func(s *zoomtest.Server) { s.FailNext(zoomtest.Fault{Op: zoomtest.OpUpdate, LoseRequest: true}) }, nil, true},
		"never arrives": {func(s *zoomtest.Server) {
			s.FailNext(zoomtest.Fault{Op: zoomtest.OpUpdate, LoseRequest: true, Times: 20})
		}, telemed.ErrAmbiguous, false},
		"not even read": {func(s *zoomtest.Server) {
			s.FailNext(zoomtest.Fault{Op: zoomtest.OpGet, LoseRequest: true, Times: 20})
		}, telemed.ErrUnavailable, false},
		"moved but not read": {func(s *zoomtest.Server) {
			s.FailNext(zoomtest.Fault{Op: zoomtest.OpGet}) // the look before is well
			s.FailNext(zoomtest.Fault{Op: zoomtest.OpGet, LoseRequest: true, Times: 20})
		}, telemed.ErrAmbiguous, true},
		"moved, and a proxy knows no meeting": {func(s *zoomtest.Server) {
			s.FailNext(zoomtest.Fault{Op: zoomtest.OpGet}, answered(zoomtest.OpGet, 404, "<html>"))
		}, telemed.ErrAmbiguous, true},
		"refused": {func(s *zoomtest.Server) { s.FailNext(zoomtest.Refuse(zoomtest.OpUpdate, 400, 3000, "")) }, telemed.ErrInvalid, false},
		"a page of a proxy": {func(s *zoomtest.Server) {
			s.FailNext(answered(zoomtest.OpUpdate, 200, "<html>"))
		}, telemed.ErrAmbiguous, false},
		"silently not carried out": {func(s *zoomtest.Server) { s.FailNext(answered(zoomtest.OpUpdate, 204, "")) }, zoom.ErrMismatch, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClinic(t, zoomtest.Config{})
			req := visit(t, "appt-42")
			m, err := c.Create(t.Context(), doctor, req)
			require.NoError(t, err)
			req.Start = req.Start.Add(time.Hour)
			test.spoil(c.fake)
			updated, err := c.Update(t.Context(), doctor, m.ID, req)
			require.Equal(t, test.moved, c.live()[0].Start.Equal(req.Start))
			if test.want != nil {
				require.ErrorIs(t, err, test.want)
				return
			}
			require.NoError(t, err)
			require.Equal(t, m.JoinURL, updated.JoinURL)
			require.Equal(t, m.Passcode, updated.Passcode)
		})
	}
}

// What begins soon is moved by seconds too, although Zoom itself may move it by as much.
func TestUpdateOfAVisitThatBeginsSoon(t *testing.T) {
	t.Parallel()
	c := newClinic(t, zoomtest.Config{})
	req := visit(t, "appt-42")
	req.Start = time.Now().Truncate(time.Second).Add(25 * time.Second)
	m, err := c.Create(t.Context(), doctor, req)
	require.NoError(t, err)
	req.Start = req.Start.Add(90 * time.Second)
	moved, err := c.Update(t.Context(), doctor, m.ID, req)
	require.NoError(t, err)
	require.True(t, moved.Start.Equal(req.Start))
}

func TestUpdateOfAnotherKey(t *testing.T) {
	t.Parallel()
	c := newClinic(t, zoomtest.Config{})
	m, err := c.Create(t.Context(), doctor, visit(t, "appt-42"))
	require.NoError(t, err)
	req := visit(t, "appt-43")
	req.Start = req.Start.Add(time.Hour)
	_, err = c.Update(t.Context(), doctor, m.ID, req)
	require.ErrorIs(t, err, telemed.ErrConflict)
	require.EqualError(t, err, "zoom: Update: conflict with the current state: the meeting is another key's")
	require.Equal(t, m.ID, zoomError(t, err).MeetingID)
	require.Empty(t, c.fake.Requests(zoomtest.OpUpdate))
}

func TestUpdateAfterTheDoctorWroteAnAgenda(t *testing.T) {
	t.Parallel()
	c := newClinic(t, zoomtest.Config{})
	req := visit(t, "appt-42")
	m, err := c.Create(t.Context(), doctor, req)
	require.NoError(t, err)
	c.fake.FailNext(answered(zoomtest.OpGet, 200, `{"id":`+m.ID+`,"join_url":"https://zoom.us/j/1","agenda":"Bring the X-rays"}`))
	req.Start = req.Start.Add(time.Hour)
	moved, err := c.Update(t.Context(), doctor, m.ID, req)
	require.NoError(t, err)
	require.True(t, moved.Start.Equal(req.Start))

	c.fake.Edit(c.live()[0].ID, func(m *zoomtest.Meeting) { m.Agenda = "Bring the X-rays" })
	again, err := c.Create(t.Context(), doctor, req)
	require.NoError(t, err)
	require.Equal(t, m.ID, again.ID, "the claims know it")
	req.Key = "appt-43"
	_, err = c.Update(t.Context(), doctor, m.ID, req)
	require.ErrorIs(t, err, telemed.ErrConflict)
	require.NoError(t, c.Cancel(t.Context(), doctor, m.ID))
	req.Key = "appt-42"
	_, err = c.another(t).Create(t.Context(), doctor, req)
	require.ErrorIs(t, err, meet.ErrCancelled)
}

func TestCancel(t *testing.T) {
	t.Parallel()
	t.Run("answer lost", func(t *testing.T) {
		t.Parallel()
		c := newClinic(t, zoomtest.Config{})
		m, err := c.Create(t.Context(), doctor, visit(t, "appt-42"))
		require.NoError(t, err)
		c.fake.FailNext(zoomtest.Fault{Op: zoomtest.OpDelete, LoseAnswer: true})
		require.NoError(t, c.Cancel(t.Context(), doctor, m.ID))
		require.Empty(t, c.live())
	})
	t.Run("a 404 that is not Zoom's proves nothing", func(t *testing.T) {
		t.Parallel()
		c := newClinic(t, zoomtest.Config{})
		m, err := c.Create(t.Context(), doctor, visit(t, "appt-42"))
		require.NoError(t, err)
		c.fake.FailNext(answered(zoomtest.OpDelete, 404, "<html>proxy</html>"))
		require.ErrorIs(t, c.Cancel(t.Context(), doctor, m.ID), telemed.ErrAmbiguous)
		require.Len(t, c.live(), 1)
	})
	t.Run("a good status that is not Zoom's 204 proves nothing", func(t *testing.T) {
		t.Parallel()
		for body, want := range map[string]error{
			"<html>log in to the network</html>":                       telemed.ErrAmbiguous,
			`{"code":200,"message":"Only available for paid account"}`: telemed.ErrForbidden,
		} {
			c := newClinic(t, zoomtest.Config{})
			m, err := c.Create(t.Context(), doctor, visit(t, "appt-42"))
			require.NoError(t, err)
			c.fake.FailNext(answered(zoomtest.OpDelete, http.StatusOK, body))
			require.ErrorIs(t, c.Cancel(t.Context(), doctor, m.ID), want)
			require.Len(t, c.live(), 1)
		}
	})
	t.Run("going on", func(t *testing.T) {
		t.Parallel()
		c := newClinic(t, zoomtest.Config{})
		m, err := c.Create(t.Context(), doctor, visit(t, "appt-42"))
		require.NoError(t, err)
		c.fake.Edit(c.live()[0].ID, func(m *zoomtest.Meeting) { m.Started = true })
		require.ErrorIs(t, c.Cancel(t.Context(), doctor, m.ID), telemed.ErrConflict)
	})
	t.Run("another provider's id", func(t *testing.T) {
		t.Parallel()
		c := newClinic(t, zoomtest.Config{})
		for _, id := range []string{"", "tm2k3j4h5", "1/../2", "12 3", "99999999999999999999"} {
			require.ErrorIs(t, c.Cancel(t.Context(), doctor, id), telemed.ErrInvalid, id)
		}
		require.Empty(t, c.fake.Requests(zoomtest.OpDelete))
	})
}

func TestHostLink(t *testing.T) {
	t.Parallel()
	c := newClinic(t, zoomtest.Config{})
	m, err := c.Create(t.Context(), doctor, visit(t, "appt-42"))
	require.NoError(t, err)
	link, err := c.HostLink(t.Context(), doctor, m.ID)
	require.NoError(t, err)
	require.NotContains(t, fmt.Sprintf("%v %+v %#v %s", link, link, link, link), "zak")
	require.Contains(t, link.Reveal(), "zak=")
	resp, err := http.Get(link.Reveal())
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.True(t, c.live()[0].Started)

	c.fake.FailNext(answered(zoomtest.OpGet, 200, `{"id":82000000001,"join_url":"https://zoom.us/j/1"}`))
	_, err = c.HostLink(t.Context(), doctor, m.ID)
	require.ErrorIs(t, err, telemed.ErrForbidden)
}

func TestDeadlineIsKept(t *testing.T) {
	t.Parallel()
	c := newClinic(t, zoomtest.Config{})
	c.fake.FailNext(zoomtest.Fault{Op: zoomtest.OpGet, Delay: time.Minute})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	begin := time.Now()
	_, err := c.Get(ctx, doctor, "82000000001")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Less(t, time.Since(begin), 5*time.Second)
}

func TestClosedClient(t *testing.T) {
	t.Parallel()
	c := newClinic(t, zoomtest.Config{})
	c.fake.ExpireTokens()
	require.NoError(t, c.Shutdown(t.Context()))
	_, err := c.Get(t.Context(), doctor, "82000000001")
	require.ErrorIs(t, err, telemed.ErrClosed)
}

// Whatever fails, no error may hold what the exchange held.
func TestErrorsKeepSecrets(t *testing.T) {
	t.Parallel()
	c := newClinic(t, zoomtest.Config{})
	req := visit(t, "appt-42")
	req.Topic = "Asha Rao, cardiology"
	m, err := c.Create(t.Context(), doctor, req)
	require.NoError(t, err)
	token := c.token(t)
	secrets := []string{
		"Asha", m.Passcode, "pwd=", "zak=", token.Access.Reveal(), token.Refresh.Reveal(), c.fake.ClientSecret().Reveal(), "Bearer", c.fake.URL(),
	}
	for _, op := range []string{zoomtest.OpGet, zoomtest.OpUpdate, zoomtest.OpDelete, zoomtest.OpList, zoomtest.OpCreate} {
		for _, fail := range []func(){
			func() { c.fake.FailNext(zoomtest.Fault{Op: op, LoseAnswer: true, Times: 3}) },
			func() { c.fake.FailNext(zoomtest.Refuse(op, 400, 3000, "Asha Rao pwd=x zak=y")) },
			func() {
				c.fake.FailNext(answered(op, 200, `{"start_url":"https://zoom.us/s/1?zak=y","topic":"Asha"`))
			},
		} {
			fail()
			_, getErr := c.Get(t.Context(), doctor, m.ID)
			_, updateErr := c.Update(t.Context(), doctor, m.ID, req)
			_, createErr := c.Create(t.Context(), doctor, visit(t, op))
			cancelErr := c.Cancel(t.Context(), doctor, "82000000099")
			all := errors.Join(getErr, updateErr, createErr, cancelErr)
			for _, secret := range secrets {
				require.NotContains(t, fmt.Sprintf("%v %+v", all, all), secret)
			}
		}
	}
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", m, *m, *m), "pwd=")
}

// A cut answer is as good as none: what may be sent twice is, and a meeting that may be
// there is looked for.
func TestCutAnswers(t *testing.T) {
	t.Parallel()
	c := newClinic(t, zoomtest.Config{})
	c.fake.FailNext(zoomtest.Fault{Op: zoomtest.OpCreate, Cut: true})
	m, err := c.Create(t.Context(), doctor, visit(t, "appt-42"))
	require.NoError(t, err)
	require.Len(t, c.live(), 1)
	require.Equal(t, 1, c.fake.Count(zoomtest.OpCreate), "Zoom would make a second one")

	c.fake.FailNext(zoomtest.Fault{Op: zoomtest.OpGet, Cut: true})
	before := c.fake.Count(zoomtest.OpGet)
	_, err = c.Get(t.Context(), doctor, m.ID)
	require.NoError(t, err)
	require.Equal(t, 2, c.fake.Count(zoomtest.OpGet)-before)
}

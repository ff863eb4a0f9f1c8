package googlemeet_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/meet/googlemeet"
	"github.com/telemed-go/telemed/meet/googlemeet/googlemeettest"
)

func TestARoomThatTakesAMoment(t *testing.T) {
	t.Parallel()
	c := open(t)
	c.fake.DelayRooms(2)
	m := c.create(t, request(t, "appt-1"))
	require.Equal(t, meet.StatusScheduled, m.Status)
	require.NotEmpty(t, m.JoinURL)
	require.Equal(t, 2, c.fake.Count("get"))
	require.Equal(t, 0, c.fake.Count("patch"), "a room that is pending is not asked for again")
}

func TestARoomThatTakesLong(t *testing.T) {
	t.Parallel()
	c := open(t, func(cfg *googlemeet.Config) { cfg.ConferenceWait = -1 })
	c.fake.DelayRooms(2)
	m := c.create(t, request(t, "appt-1"))
	require.Equal(t, meet.StatusPending, m.Status)
	require.NotEmpty(t, m.ID)
	require.Empty(t, m.JoinURL)

	for _, want := range []meet.Status{meet.StatusPending, meet.StatusScheduled} {
		got, err := c.Get(t.Context(), doctor, m.ID)
		require.NoError(t, err)
		require.Equal(t, want, got.Status)
	}
}

func TestWaitingEndsInTime(t *testing.T) {
	t.Parallel()
	t.Run("before the deadline", func(t *testing.T) {
		t.Parallel()
		c := open(t)
		c.fake.DelayRooms(1000)
		ctx, cancel := context.WithTimeout(t.Context(), 1200*time.Millisecond)
		defer cancel()
		m, err := c.Create(ctx, doctor, request(t, "appt-1"))
		require.NoError(t, err)
		require.Equal(t, meet.StatusPending, m.Status)
		require.LessOrEqual(t, c.fake.Count("get"), 2, "each pause is longer than the one before")
	})
	t.Run("when the caller goes", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			c := openInMemory(t)
			c.fake.DelayRooms(1000)
			gone := errors.New("the caller has gone")
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(150*time.Millisecond, func() { cancel(gone) }) // between two looks
			_, err := c.Create(ctx, doctor, request(t, "appt-1"))
			require.ErrorIs(t, err, gone)
			require.ErrorIs(t, err, telemed.ErrAmbiguous)
			require.Equal(t, c.fake.Events()[0].ID, failure(t, err).Meeting.ID, "what was made is told")
		})
	})
	t.Run("when looking fails", func(t *testing.T) {
		t.Parallel()
		c := open(t)
		c.fake.DelayRooms(1000)
		for range 4 {
			c.fake.FailNext(googlemeettest.Refuse("get", 503, "backendError", ""))
		}
		m := c.create(t, request(t, "appt-1"))
		require.Equal(t, meet.StatusPending, m.Status)
	})
	t.Run("when looking is refused", func(t *testing.T) {
		t.Parallel()
		c := open(t)
		c.fake.DelayRooms(1000)
		c.fake.FailNext(googlemeettest.Refuse("get", 403, "forbidden", ""))
		_, err := c.Create(t.Context(), doctor, request(t, "appt-1"))
		require.ErrorIs(t, err, telemed.ErrForbidden)
		require.Equal(t, c.fake.Events()[0].ID, failure(t, err).Meeting.ID)
	})
	t.Run("when it is cancelled meanwhile", func(t *testing.T) {
		t.Parallel()
		c := open(t)
		c.fake.DelayRooms(1000)
		done := make(chan error, 1)
		go func() {
			_, err := c.Create(t.Context(), doctor, request(t, "appt-1"))
			done <- err
		}()
		require.Eventually(t, func() bool { return len(c.fake.Events()) == 1 }, 5*time.Second, time.Millisecond)
		require.NoError(t, c.fake.Edit(c.fake.Events()[0].ID, map[string]any{"status": "cancelled"}))
		err := <-done
		require.ErrorIs(t, err, telemed.ErrConflict)
		require.Equal(t, googlemeet.ReasonCancelled, failure(t, err).Reason)
	})
}

func TestARoomThatFailsOnce(t *testing.T) {
	t.Parallel()
	c := open(t)
	c.fake.FailRooms(1)
	m := c.create(t, request(t, "appt-1"))
	require.Equal(t, meet.StatusScheduled, m.Status)
	require.Equal(t, 1, c.fake.Count("patch"), "with another requestId: the fake, as Google, ignores the old one")
	require.Len(t, c.fake.Events(), 1)
}

func TestARoomThatFails(t *testing.T) {
	t.Parallel()
	c := open(t)
	c.fake.FailRooms(2)
	_, err := c.Create(t.Context(), doctor, request(t, "appt-1"))
	require.ErrorIs(t, err, telemed.ErrUnavailable)
	e := failure(t, err)
	require.Equal(t, googlemeet.ReasonRoomFailed, e.Reason)
	require.Equal(t, c.fake.Events()[0].ID, e.Meeting.ID, "the event is not left behind in silence")

	_, err = c.Get(t.Context(), doctor, e.Meeting.ID)
	require.ErrorIs(t, err, telemed.ErrUnavailable)
	require.Equal(t, googlemeet.ReasonRoomFailed, failure(t, err).Reason)

	m := c.create(t, request(t, "appt-1"))
	require.Equal(t, e.Meeting.ID, m.ID)
	require.NotEmpty(t, m.JoinURL)
}

func TestARoomThatMayNotBeAskedForAgain(t *testing.T) {
	t.Parallel()
	c := open(t)
	c.fake.FailRooms(1)
	c.fake.FailNext(googlemeettest.Refuse("patch", 403, "quotaExceeded", ""))
	_, err := c.Create(t.Context(), doctor, request(t, "appt-1"))
	require.ErrorIs(t, err, telemed.ErrRateLimited)
	require.Equal(t, c.fake.Events()[0].ID, failure(t, err).Meeting.ID)
	require.Equal(t, meet.StatusPending, failure(t, err).Meeting.Status)
}

func TestTwoProcessesMendOneRoom(t *testing.T) {
	t.Parallel()
	c := open(t)
	m := c.create(t, request(t, "appt-1"))
	require.NoError(t, c.fake.Edit(m.ID, map[string]any{"conferenceData": nil, "hangoutLink": nil}))
	c.fake.FailNext(googlemeettest.Refuse("patch", 412, "conditionNotMet", ""))
	_, err := c.Create(t.Context(), doctor, request(t, "appt-1"))
	require.Equal(t, googlemeet.ReasonNoRoom, failure(t, err).Reason, "the other one's attempt is looked at, not repeated")

	again := c.create(t, request(t, "appt-1"))
	require.Equal(t, m.ID, again.ID)
	require.NotEmpty(t, again.JoinURL)
}

func TestARoomThatSomebodyRemoved(t *testing.T) {
	t.Parallel()
	c := open(t)
	req := request(t, "appt-1")
	m := c.create(t, req)
	require.NoError(t, c.fake.Edit(m.ID, map[string]any{"conferenceData": nil, "hangoutLink": nil}))

	_, err := c.Get(t.Context(), doctor, m.ID)
	require.ErrorIs(t, err, telemed.ErrUnavailable)
	require.Equal(t, googlemeet.ReasonNoRoom, failure(t, err).Reason)

	mended, err := c.Update(t.Context(), doctor, m.ID, req)
	require.NoError(t, err)
	require.NotEmpty(t, mended.JoinURL)
}

func TestJoinLinks(t *testing.T) {
	t.Parallel()
	video := func(uri string) map[string]any {
		return map[string]any{"hangoutLink": nil, "conferenceData": map[string]any{"entryPoints": []any{
			map[string]any{"entryPointType": "phone", "uri": "tel:+911234567890"},
			map[string]any{"entryPointType": "video", "uri": uri},
		}}}
	}
	c := open(t)
	m := c.create(t, request(t, "appt-1"))
	host := strings.TrimPrefix(c.fake.URL(), "http://")
	good := map[string]map[string]any{
		"entry point alone":  video(c.fake.URL() + "/abc-defg-hij"),
		"hangout link alone": {"conferenceData": nil, "hangoutLink": c.fake.URL() + "/abc-defg-hij"},
	}
	for name, edit := range good {
		require.NoError(t, c.fake.Edit(m.ID, edit), name)
		got, err := c.Get(t.Context(), doctor, m.ID)
		require.NoError(t, err, name)
		require.Equal(t, c.fake.URL()+"/abc-defg-hij", got.JoinURL, name)
	}
	bad := map[string]map[string]any{
		"another host":     video("http://evil.example/abc-defg-hij"),
		"a longer host":    video("http://" + host + ".evil.example/abc-defg-hij"),
		"a user":           video("http://" + host + "@evil.example/abc"),
		"our host as user": video("http://asha@" + host + "/abc"),
		"another scheme":   video("https://" + host + "/abc-defg-hij"),
		"a script":         video("javascript:alert(1)"),
		"no path":          video(c.fake.URL() + "/"),
		"not a URL":        video("http://[::1"),
		"hangout link":     {"conferenceData": nil, "hangoutLink": "https://zoom.us/j/1"},
	}
	for name, edit := range bad {
		require.NoError(t, c.fake.Edit(m.ID, edit), name)
		_, err := c.Get(t.Context(), doctor, m.ID)
		require.ErrorIs(t, err, telemed.ErrConflict, name)
		e := failure(t, err)
		require.Equal(t, googlemeet.ReasonForeignLink, e.Reason, name)
		require.Empty(t, e.Meeting.JoinURL, name)
		require.NotContains(t, err.Error(), "evil", name)
	}
}

func TestAccountsWithoutMeet(t *testing.T) {
	t.Parallel()
	c := open(t)
	c.fake.FailNext(googlemeettest.Refuse("insert", 400, "invalid", "Invalid conference type value."))
	_, err := c.Create(t.Context(), doctor, request(t, "appt-1"))
	require.ErrorIs(t, err, telemed.ErrForbidden)
	require.NotErrorIs(t, err, telemed.ErrInvalid)
	require.EqualError(t, err, "googlemeet: Create: 400 (conferenceTypeNotAllowed): not permitted")
}

package googlemeet_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/meet/googlemeet"
	"github.com/telemed-go/telemed/meet/googlemeet/googlemeettest"
)

// insertOf returns the only insert that the fake got: its query and its body.
func insertOf(t *testing.T, fake *googlemeettest.Server) (url.Values, map[string]any) {
	t.Helper()
	require.Equal(t, 1, fake.Count("insert"))
	for _, r := range fake.Requests() {
		if r.Op != "insert" {
			continue
		}
		var body map[string]any
		require.NoError(t, json.Unmarshal([]byte(r.Body), &body))
		return r.Query, body
	}
	return nil, nil
}

func TestWhatGoogleIsTold(t *testing.T) {
	t.Parallel()
	c := open(t)
	req := request(t, "appt-42")
	m := c.create(t, req)
	require.Equal(t, meet.StatusScheduled, m.Status)
	require.Equal(t, "google", m.Provider)
	require.True(t, strings.HasPrefix(m.JoinURL, c.fake.URL()+"/meet/"), m.JoinURL)
	require.Equal(t, "Asia/Kolkata", m.Start.Location().String())

	query, body := insertOf(t, c.fake)
	require.Equal(t, "1", query.Get("conferenceDataVersion"))
	require.Equal(t, "none", query.Get("sendUpdates"), "nobody is invited, nobody is mailed")
	require.Regexp(t, `^tm[0-9a-v]{32}$`, body["id"])
	require.Equal(t, m.ID, body["id"])
	require.Equal(t, "Video consultation", body["summary"])
	require.Equal(t, "private", body["visibility"])
	require.Equal(t, false, body["guestsCanInviteOthers"])
	require.Equal(t, false, body["guestsCanSeeOtherGuests"])
	require.Equal(t, map[string]any{"dateTime": req.Start.Format(time.RFC3339), "timeZone": "Asia/Kolkata"}, body["start"])
	require.Equal(t, "hangoutsMeet", body["conferenceData"].(map[string]any)["createRequest"].(map[string]any)["conferenceSolutionKey"].(map[string]any)["type"])
	require.NotContains(t, body, "attendees")
	require.NotContains(t, body, "iCalUID")
}

func TestZonesThatGoogleDoesNotKnowAreNotNamed(t *testing.T) {
	t.Parallel()
	zones := map[string]*time.Location{"letters": time.FixedZone("IST", 5*3600+1800), "nameless": time.FixedZone("", 3600)}
	if time.Local.String() == "Local" { // with TZ set it has its true name
		zones["local"] = time.Local
	}
	for name, zone := range zones {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := open(t)
			req := request(t, "appt-1")
			req.Start = req.Start.In(zone)
			m := c.create(t, req)
			_, body := insertOf(t, c.fake)
			require.NotContains(t, body["start"], "timeZone")
			require.True(t, m.Start.Equal(req.Start))
		})
	}
}

func TestAttendees(t *testing.T) {
	t.Parallel()
	c := open(t)
	req := request(t, "appt-1")
	req.Attendees = []meet.Attendee{{Email: "asha@example.org", Name: "Asha"}, {Email: "ravi@example.org"}}
	c.create(t, req)
	query, body := insertOf(t, c.fake)
	require.Equal(t, "all", query.Get("sendUpdates"))
	require.Equal(t, []any{
		map[string]any{"email": "asha@example.org", "displayName": "Asha"}, map[string]any{"email": "ravi@example.org"},
	}, body["attendees"], "without an answer in their name")
	require.Equal(t, []string{"asha@example.org", "ravi@example.org"}, c.fake.Events()[0].Attendees)
}

func TestALostAnswerMakesOneEvent(t *testing.T) {
	t.Parallel()
	c := open(t)
	c.fake.FailNext(googlemeettest.Fault{Op: "insert", LoseAnswer: true})
	m := c.create(t, request(t, "appt-1"))
	require.Equal(t, meet.StatusScheduled, m.Status)
	require.Equal(t, 2, c.fake.Count("insert"))
	require.Len(t, c.fake.Events(), 1)

	require.Equal(t, m.ID, c.create(t, request(t, "appt-1")).ID)
	require.Len(t, c.fake.Events(), 1)
}

func TestAnAnswerThatIsLostForGood(t *testing.T) {
	t.Parallel()
	c := open(t)
	for range 4 {
		c.fake.FailNext(googlemeettest.Fault{Op: "insert", LoseAnswer: true})
	}
	_, err := c.Create(t.Context(), doctor, request(t, "appt-1"))
	require.ErrorIs(t, err, telemed.ErrAmbiguous)
	require.NotErrorIs(t, err, telemed.ErrUnavailable)
	require.Equal(t, 0, failure(t, err).Status)
	require.NotContains(t, err.Error(), c.fake.URL())

	c.create(t, request(t, "appt-1"))
	require.Len(t, c.fake.Events(), 1)
}

func TestTwoProcessesMakeOneEvent(t *testing.T) {
	t.Parallel()
	one := open(t)
	two := newClient(t, config(t, one.fake, one.tokens))
	req := request(t, "appt-1")
	var (
		wg  sync.WaitGroup
		ids [20]string
	)
	for i := range ids {
		wg.Go(func() {
			process := []*googlemeet.Client{one.Client, two}[i%2]
			if m, err := process.Create(t.Context(), doctor, req); err != nil {
				t.Errorf("Create: %v", err)
			} else {
				ids[i] = m.ID + " " + m.JoinURL
			}
		})
	}
	wg.Wait()
	for _, id := range ids {
		require.Equal(t, ids[0], id)
	}
	require.Len(t, one.fake.Events(), 1)
}

// The reply to an instant visit is lost, and the application asks again when its start
// has passed.
func TestKeyOfAVisitThatHasBegun(t *testing.T) {
	t.Parallel()
	c := open(t)
	req := request(t, "instant")
	m := c.create(t, req)
	req.Start = time.Now().Add(-10 * time.Minute).Truncate(time.Second)
	at := func(t time.Time) map[string]any { return map[string]any{"dateTime": t.Format(time.RFC3339)} }
	require.NoError(t, c.fake.Edit(m.ID, map[string]any{"start": at(req.Start), "end": at(req.Start.Add(req.Duration))}))
	again := c.create(t, req)
	require.Equal(t, m.ID, again.ID)
	require.Equal(t, m.JoinURL, again.JoinURL)
	inserts := c.fake.Count("insert")

	req.Start = req.Start.Add(-time.Hour)
	_, err := c.Create(t.Context(), doctor, req)
	require.Equal(t, googlemeet.ReasonMoved, failure(t, err).Reason)
	req.Key = "unknown"
	c.fake.FailNext(googlemeettest.Fault{Op: "get", Status: 404, Body: "<h1>proxy</h1>"})
	_, err = c.Create(t.Context(), doctor, req)
	require.NotErrorIs(t, err, telemed.ErrInvalid, "a 404 that is not Google's does not say that there is no meeting")
	_, err = c.Create(t.Context(), doctor, req)
	require.ErrorIs(t, err, telemed.ErrInvalid)
	require.EqualError(t, err, "googlemeet: Create: Start is in the past")
	require.Equal(t, inserts, c.fake.Count("insert"))

	req.Duration = 0
	before := len(c.fake.Requests())
	_, err = c.Create(t.Context(), doctor, req)
	require.ErrorContains(t, err, "Duration is required")
	require.Len(t, c.fake.Requests(), before, "what is wrong in itself asks nobody")
}

func TestEventsThatAreNotWhatWasAskedFor(t *testing.T) {
	t.Parallel()
	t.Run("moved by the doctor", func(t *testing.T) {
		t.Parallel()
		c := open(t)
		req := request(t, "appt-1")
		m := c.create(t, req)
		later := req.Start.Add(time.Hour)
		require.NoError(t, c.fake.Edit(m.ID, map[string]any{
			"start": map[string]any{"dateTime": later.Format(time.RFC3339)}, "end": map[string]any{"dateTime": later.Add(req.Duration).Format(time.RFC3339)},
		}))
		_, err := c.Create(t.Context(), doctor, req)
		require.ErrorIs(t, err, telemed.ErrConflict)
		e := failure(t, err)
		require.Equal(t, googlemeet.ReasonMoved, e.Reason)
		require.Equal(t, m.ID, e.Meeting.ID)
		require.True(t, e.Meeting.Start.Equal(later), "the caller hears when it is")
	})
	t.Run("somebody else's under our id", func(t *testing.T) {
		t.Parallel()
		c := open(t)
		m := c.create(t, request(t, "appt-1"))
		require.NoError(t, c.fake.Edit(m.ID, map[string]any{"extendedProperties": map[string]any{"private": map[string]any{"telemed": "other"}}}))
		_, err := c.Create(t.Context(), doctor, request(t, "appt-1"))
		require.ErrorIs(t, err, telemed.ErrConflict)
		require.Equal(t, googlemeet.ReasonOtherKey, failure(t, err).Reason)
		require.Nil(t, failure(t, err).Meeting, "a stranger's meeting is not handed out")
	})
	t.Run("cancelled and cleared away", func(t *testing.T) {
		t.Parallel()
		c := open(t)
		c.create(t, request(t, "appt-1"))
		c.fake.FailNext(googlemeettest.Refuse("get", 410, "deleted", ""))
		_, err := c.Create(t.Context(), doctor, request(t, "appt-1"))
		require.ErrorIs(t, err, meet.ErrCancelled)
	})
	t.Run("taken, but not to be read", func(t *testing.T) {
		t.Parallel()
		c := open(t)
		c.create(t, request(t, "appt-1"))
		c.fake.FailNext(googlemeettest.Refuse("get", 403, "forbidden", ""))
		_, err := c.Create(t.Context(), doctor, request(t, "appt-1"))
		require.ErrorIs(t, err, telemed.ErrForbidden)
	})
	t.Run("taken, and seen at the third look", func(t *testing.T) {
		t.Parallel()
		c := open(t)
		m := c.create(t, request(t, "appt-1"))
		unseen := googlemeettest.Refuse("get", 404, "notFound", "")
		unseen.Times = 2
		c.fake.FailNext(unseen)
		again, err := c.forgetful(t).Create(t.Context(), doctor, request(t, "appt-1"))
		require.NoError(t, err)
		require.Equal(t, m.ID, again.ID)
	})
	t.Run("taken, and not to be seen", func(t *testing.T) {
		t.Parallel()
		c := open(t)
		c.create(t, request(t, "appt-1"))
		unseen := googlemeettest.Refuse("get", 404, "notFound", "")
		unseen.Times = -1
		c.fake.FailNext(unseen)
		forgetful := c.forgetful(t)
		for range 3 {
			_, err := forgetful.Create(t.Context(), doctor, request(t, "appt-1"))
			require.ErrorIs(t, err, telemed.ErrConflict)
			require.NotErrorIs(t, err, telemed.ErrAmbiguous, "calling again ends")
			require.Equal(t, googlemeet.ReasonTaken, failure(t, err).Reason)
			require.Len(t, c.fake.Events(), 1, "it is not made a second time")
		}
		_, err := forgetful.Create(t.Context(), doctor, request(t, "appt-1/2"))
		require.NoError(t, err)
	})
}

func TestTwoHospitalsInOneCalendar(t *testing.T) {
	t.Parallel()
	a := open(t)
	cfg := config(t, a.fake, a.tokens)
	cfg.Namespace = "the other hospital"
	b := newClient(t, cfg)
	first := a.create(t, request(t, "42"))
	second, err := b.Create(t.Context(), doctor, request(t, "42"))
	require.NoError(t, err)
	require.NotEqual(t, first.JoinURL, second.JoinURL, "patients of two hospitals would share a room")

	_, err = b.Update(t.Context(), doctor, first.ID, request(t, "42"))
	require.ErrorIs(t, err, telemed.ErrConflict)
	require.Equal(t, googlemeet.ReasonOtherKey, failure(t, err).Reason)
}

func TestAnotherCalendar(t *testing.T) {
	t.Parallel()
	const id = "telemedicine@group.calendar.google.com"
	fake, err := googlemeettest.Start(googlemeettest.Config{Calendars: []string{id}})
	require.NoError(t, err)
	t.Cleanup(fake.Close)
	c := open(t, func(cfg *googlemeet.Config) {
		cfg.ClientID, cfg.Endpoints, cfg.Calendar = fake.ClientID(), fake.Endpoints(), id
	})
	c.fake = fake
	c.connect(t, doctor, googlemeettest.Consent{})
	c.create(t, request(t, "appt-1"))
	require.Equal(t, id, fake.Events()[0].Calendar)
}

// canary is what must never get out.
const canary = "Meenakshi-Canary"

func TestCanary(t *testing.T) {
	t.Parallel()
	c := open(t)
	req := request(t, "appt-"+canary)
	m := c.create(t, req)
	for _, e := range c.fake.Events() {
		require.NotContains(t, e.JSON, canary, "the key itself is nobody's business")
	}
	req.Topic, req.Attendees = canary, []meet.Attendee{{Email: canary + "@example.org", Name: canary}}
	broken := googlemeettest.Refuse("", 500, "", "")
	broken.Times = 4
	c.fake.FailNext(broken)
	c.fake.FailNext(googlemeettest.Refuse("", 400, "invalid", "Invalid attendee "+canary))
	for range 2 {
		_, err := c.Update(t.Context(), doctor, m.ID, req)
		require.Error(t, err)
		for _, verb := range []string{"%v", "%+v", "%s", "%q"} {
			require.NotContains(t, fmt.Sprintf(verb, err), canary)
		}
		require.NotContains(t, err.Error(), m.ID)
		require.NotContains(t, err.Error(), c.fake.URL())
	}
}

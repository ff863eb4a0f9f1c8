package googlemeet_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/meet/googlemeet"
	"github.com/telemed-go/telemed/meet/googlemeet/googlemeettest"
)

// patches returns the bodies and sendUpdates of all patches.
func patches(t *testing.T, fake *googlemeettest.Server) (bodies []map[string]any, queries []url.Values) {
	t.Helper()
	for _, r := range fake.Requests() {
		if r.Op != "patch" {
			continue
		}
		var body map[string]any
		require.NoError(t, json.Unmarshal([]byte(r.Body), &body))
		bodies, queries = append(bodies, body), append(queries, r.Query)
		require.NotEmpty(t, r.Header.Get("If-Match"), "each patch is of a state that was read")
	}
	return bodies, queries
}

// document returns the event as the doctor's calendar has it.
func document(t *testing.T, fake *googlemeettest.Server, id string) map[string]any {
	t.Helper()
	for _, e := range fake.Events() {
		if e.ID == id {
			var doc map[string]any
			require.NoError(t, json.Unmarshal([]byte(e.JSON), &doc))
			return doc
		}
	}
	t.Fatal("no such event")
	return nil
}

func TestUpdateSendsWhatChanged(t *testing.T) {
	t.Parallel()
	c := open(t)
	req := request(t, "appt-1")
	m := c.create(t, req)
	require.NoError(t, c.fake.Edit(m.ID, map[string]any{"description": "bring the ECG", "colorId": "5"}))

	req.Start = req.Start.Add(time.Hour)
	moved, err := c.Update(t.Context(), doctor, m.ID, req)
	require.NoError(t, err)
	require.Equal(t, m.JoinURL, moved.JoinURL)
	bodies, queries := patches(t, c.fake)
	require.Len(t, bodies, 1)
	require.Len(t, bodies[0], 2, "start and end, always together: %v", bodies[0])
	require.Equal(t, "none", queries[0].Get("sendUpdates"))
	require.Equal(t, "1", queries[0].Get("conferenceDataVersion"), "Google's word: for all event modification requests")
	require.Equal(t, "bring the ECG", document(t, c.fake, m.ID)["description"], "what the doctor wrote stays")

	again, err := c.Update(t.Context(), doctor, m.ID, req)
	require.NoError(t, err)
	require.Equal(t, moved.Start, again.Start)
	require.Equal(t, 1, c.fake.Count("patch"), "nothing changed, nobody is mailed")
}

func TestUpdateOfGuests(t *testing.T) {
	t.Parallel()
	c := open(t)
	req := request(t, "appt-1")
	req.Attendees = []meet.Attendee{{Email: "asha@example.org"}, {Email: "ravi@example.org"}}
	m := c.create(t, req)
	require.NoError(t, c.fake.Edit(m.ID, map[string]any{"attendees": []any{
		map[string]any{"email": "doctor@example.org", "self": true, "organizer": true, "responseStatus": "accepted"},
		map[string]any{"email": "asha@example.org", "responseStatus": "accepted", "additionalGuests": 1},
		map[string]any{"email": "ravi@example.org", "responseStatus": "declined"},
	}}))

	req.Attendees = []meet.Attendee{{Email: "Asha@example.org"}, {Email: "interpreter@example.org"}, {Email: "asha@example.org"}}
	_, err := c.Update(t.Context(), doctor, m.ID, req)
	require.NoError(t, err)
	bodies, queries := patches(t, c.fake)
	require.Equal(t, []any{
		map[string]any{"email": "doctor@example.org", "self": true, "organizer": true, "responseStatus": "accepted"},
		map[string]any{"email": "asha@example.org", "responseStatus": "accepted", "additionalGuests": 1.0},
		map[string]any{"email": "interpreter@example.org"},
	}, bodies[0]["attendees"], "who stays keeps the answer, nobody is there twice")
	require.Equal(t, "all", queries[0].Get("sendUpdates"))

	require.NoError(t, c.fake.Edit(m.ID, map[string]any{"attendees": []any{map[string]any{"email": "asha@example.org"}}}))
	req.Attendees = nil
	_, err = c.Update(t.Context(), doctor, m.ID, req)
	require.NoError(t, err)
	bodies, queries = patches(t, c.fake)
	require.Equal(t, []any{}, bodies[1]["attendees"], "an empty list must be sent, or nobody is removed")
	require.Equal(t, "all", queries[1].Get("sendUpdates"), "who is no longer invited is told")
	require.Empty(t, c.fake.Events()[0].Attendees)
}

// The application invites the doctor too, and somebody twice.
func TestTheDoctorAmongTheGuests(t *testing.T) {
	t.Parallel()
	c := open(t)
	req := request(t, "appt-1")
	req.Attendees = []meet.Attendee{{Email: "Doctor@example.org"}, {Email: "asha@example.org"}, {Email: "Asha@example.org"}}
	m := c.create(t, req)
	require.Equal(t, []string{"Doctor@example.org", "asha@example.org"}, c.fake.Events()[0].Attendees)
	_, err := c.Update(t.Context(), doctor, m.ID, req)
	require.NoError(t, err)
	require.Zero(t, c.fake.Count("patch"), "nothing changed, nobody is mailed")
}

func TestUpdateOfAnAllDayEvent(t *testing.T) {
	t.Parallel()
	c := open(t)
	req := request(t, "appt-1")
	m := c.create(t, req)
	require.NoError(t, c.fake.Edit(m.ID, map[string]any{
		"start": map[string]any{"dateTime": nil, "date": "2031-03-01"}, "end": map[string]any{"dateTime": nil, "date": "2031-03-02"},
	}))
	got, err := c.Get(t.Context(), doctor, m.ID)
	require.NoError(t, err)
	require.Equal(t, 24*time.Hour, got.Duration)
	require.Equal(t, "2031-03-01T00:00:00+05:30", got.Start.Format(time.RFC3339))

	back, err := c.Update(t.Context(), doctor, m.ID, req)
	require.NoError(t, err)
	require.True(t, back.Start.Equal(req.Start))
	require.Equal(t, req.Duration, back.Duration)
}

// beforePatch calls meddle before each PATCH goes out.
type beforePatch struct {
	http.RoundTripper
	meddle func(try int32)
	tries  atomic.Int32
}

func (b *beforePatch) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method == http.MethodPatch {
		b.meddle(b.tries.Add(1))
	}
	return b.RoundTripper.RoundTrip(req)
}

func TestTheDoctorChangesTheEventMeanwhile(t *testing.T) {
	t.Parallel()
	meddler := &beforePatch{}
	c := open(t, func(cfg *googlemeet.Config) {
		meddler.RoundTripper = cfg.HTTPClient.Transport
		cfg.HTTPClient.Transport = meddler
	})
	req := request(t, "appt-1")
	m := c.create(t, req)
	edit := func() { require.NoError(t, c.fake.Edit(m.ID, map[string]any{"description": time.Now().String()})) }

	meddler.meddle = func(try int32) {
		if try == 1 {
			edit()
		}
	}
	req.Topic = "Follow-up"
	updated, err := c.Update(t.Context(), doctor, m.ID, req)
	require.NoError(t, err)
	require.Equal(t, "Follow-up", updated.Topic)
	require.EqualValues(t, 2, meddler.tries.Load())
	require.NotNil(t, document(t, c.fake, m.ID)["description"])

	meddler.meddle = func(int32) { edit() }
	req.Topic = "Second follow-up"
	_, err = c.Update(t.Context(), doctor, m.ID, req)
	require.ErrorIs(t, err, telemed.ErrConflict)
	require.Equal(t, 412, failure(t, err).Status)
	require.EqualValues(t, 2+3, meddler.tries.Load())
}

func TestALostAnswerToAnUpdate(t *testing.T) {
	t.Parallel()
	c := open(t)
	req := request(t, "appt-1")
	m := c.create(t, req)
	c.fake.FailNext(googlemeettest.Fault{Op: "patch", LoseAnswer: true})
	req.Start = req.Start.Add(time.Hour)
	moved, err := c.Update(t.Context(), doctor, m.ID, req)
	require.NoError(t, err)
	require.True(t, moved.Start.Equal(req.Start))
	require.Equal(t, 2, c.fake.Count("patch"), "the repeat finds another etag, and then nothing to do")
}

func TestUpdateKeepsToItsKey(t *testing.T) {
	t.Parallel()
	c := open(t)
	m := c.create(t, request(t, "appt-1"))
	_, err := c.Update(t.Context(), doctor, m.ID, request(t, "appt-2"))
	require.ErrorIs(t, err, telemed.ErrConflict)
	require.Equal(t, googlemeet.ReasonOtherKey, failure(t, err).Reason)

	// Events of a backend that came before this one have no mark.
	require.NoError(t, c.fake.Edit(m.ID, map[string]any{"extendedProperties": nil}))
	_, err = c.Update(t.Context(), doctor, m.ID, request(t, "appt-2"))
	require.NoError(t, err)
}

func TestCancel(t *testing.T) {
	t.Parallel()
	t.Run("a lost answer", func(t *testing.T) {
		t.Parallel()
		c := open(t)
		m := c.create(t, request(t, "appt-1"))
		c.fake.FailNext(googlemeettest.Fault{Op: "delete", LoseAnswer: true})
		require.NoError(t, c.Cancel(t.Context(), doctor, m.ID))
		require.Equal(t, "cancelled", c.fake.Events()[0].Status)
		got, err := c.Get(t.Context(), doctor, m.ID)
		require.NoError(t, err)
		require.Equal(t, meet.StatusCancelled, got.Status)
		require.Empty(t, got.JoinURL, "a link to a room that is off is no use to anybody")
	})
	t.Run("and then move", func(t *testing.T) {
		t.Parallel()
		c := open(t)
		req := request(t, "appt-1")
		m := c.create(t, req)
		require.NoError(t, c.Cancel(t.Context(), doctor, m.ID))
		req.Start = req.Start.Add(time.Hour)
		_, err := c.Update(t.Context(), doctor, m.ID, req)
		require.ErrorIs(t, err, telemed.ErrConflict)
		require.Equal(t, googlemeet.ReasonCancelled, failure(t, err).Reason)
		require.Zero(t, c.fake.Count("patch"))
	})
	t.Run("guests are told", func(t *testing.T) {
		t.Parallel()
		c := open(t)
		require.NoError(t, c.Cancel(t.Context(), doctor, c.create(t, request(t, "appt-1")).ID))
		requests := c.fake.Requests()
		require.Equal(t, "all", requests[len(requests)-1].Query.Get("sendUpdates"))
	})
	t.Run("a 404 that is not Google's proves nothing", func(t *testing.T) {
		t.Parallel()
		c := open(t)
		m := c.create(t, request(t, "appt-1"))
		c.fake.FailNext(googlemeettest.Fault{Op: "delete", Status: 404, Body: "<h1>proxy</h1>"})
		require.ErrorIs(t, c.Cancel(t.Context(), doctor, m.ID), telemed.ErrAmbiguous)
		require.Equal(t, "confirmed", c.fake.Events()[0].Status)
	})
	t.Run("not permitted", func(t *testing.T) {
		t.Parallel()
		c := open(t)
		c.fake.FailNext(googlemeettest.Refuse("", 403, "forbiddenForNonOrganizer", ""))
		require.ErrorIs(t, c.Cancel(t.Context(), doctor, "99999999999"), telemed.ErrForbidden)
	})
}

// Only the events of a calendar may be reached, never the calendar: DELETE …/events/..
// would be that.
func TestIDsThatClimb(t *testing.T) {
	t.Parallel()
	c := open(t)
	for _, id := range []string{"", "..", ".", "a/b", "../../primary", "a?b", "a%2Fb", "é", "a b"} {
		_, err := c.Get(t.Context(), doctor, id)
		require.ErrorIs(t, err, telemed.ErrInvalid, id)
		_, err = c.Update(t.Context(), doctor, id, request(t, "appt-1"))
		require.ErrorIs(t, err, telemed.ErrInvalid, id)
		require.ErrorIs(t, c.Cancel(t.Context(), doctor, id), telemed.ErrInvalid, id)
	}
	require.Equal(t, 1, len(c.fake.Requests()), "only the token was asked for")

	_, err := c.Create(t.Context(), "", meet.Request{})
	require.EqualError(t, err, "googlemeet: Create: doctorID is required; Key is required; Start is required; Duration is required")
}

package zoom_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/zoom"
	"github.com/telemed-go/telemed/zoom/zoomtest"
)

// readEvent returns what a handler gets of a body that Zoom has signed.
func readEvent(t *testing.T, body string) zoom.Event {
	t.Helper()
	box := newInbox(t, vectorSecret)
	timestamp, good := sign(body)
	require.Equal(t, http.StatusOK, box.post(timestamp, good, body).Code)
	return box.events[0]
}

// participantEvent is an event about a person, of whom Zoom tells some fields.
func participantEvent(name, person string) string {
	return `{"event":"` + name + `","event_ts":1900000000000,"payload":{"account_id":"a","object":` +
		`{"id":"81000000001","uuid":"u==","host_id":"DOCTOR","participant":{` + person + `}}}}`
}

func TestWhoItIs(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		person string
		want   zoom.Participant
	}{
		"the doctor": {`"participant_user_id":"DOCTOR","user_id":"1"`, zoom.Participant{AccountID: "DOCTOR", IsDoctor: true, UserID: "1"}},
		"the doctor, by the older name": {`"id":"DOCTOR","user_id":"1","participant_uuid":"p"`,
			zoom.Participant{AccountID: "DOCTOR", IsDoctor: true, UserID: "1", UUID: "p"}},
		"the doctor, by both": {`"participant_user_id":"other form","id":"DOCTOR"`, zoom.Participant{AccountID: "other form", IsDoctor: true}},
		"a colleague":         {`"participant_user_id":"SEN","id":"SEN"`, zoom.Participant{AccountID: "SEN"}},
		"a patient with a key": {`"id":"","customer_key":"visit-42","user_name":"Asha","email":"","phone_number":"8615250064084"`,
			zoom.Participant{CustomerKey: "visit-42"}},
		"a patient who registered": {`"registrant_id":"r-1"`, zoom.Participant{RegistrantID: "r-1"}},
		"a guest":                  {`"id":"","participant_user_id":"","user_id":"16778240"`, zoom.Participant{UserID: "16778240"}},
		"nobody":                   {``, zoom.Participant{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, kind := range []string{zoom.EventParticipantJoined, zoom.EventJBHWaiting, zoom.EventAdmitted} {
				require.Equal(t, test.want, *readEvent(t, participantEvent(kind, test.person)).Participant)
			}
		})
	}
	t.Run("whose meeting it is, is not told", func(t *testing.T) {
		t.Parallel()
		event := readEvent(t, strings.Replace(participantEvent("meeting.participant_feedback", `"participant_user_id":""`), `"DOCTOR"`, `""`, 1))
		require.False(t, event.Participant.IsDoctor, "nobody is not nobody's doctor")
	})
	t.Run("a registration", func(t *testing.T) {
		t.Parallel()
		event := readEvent(t, `{"event":"meeting.registration_created","event_ts":1,"payload":{"object":{"id":7,"registrant":{"id":"r-1","email":"asha@example.org"}}}}`)
		require.Equal(t, "r-1", event.Participant.RegistrantID)
		require.NotContains(t, fmt.Sprintf("%+v", *event.Participant), "asha")
	})
}

// Two people who do the same in one millisecond are two events, whichever field tells
// them apart.
func TestTwoPeopleInOneMillisecond(t *testing.T) {
	t.Parallel()
	for _, field := range []string{"id", "user_id", "participant_uuid", "participant_user_id", "registrant_id", "customer_key", "user_name"} {
		for _, kind := range []string{zoom.EventJBHWaiting, zoom.EventWaitingRoomJoined, zoom.EventParticipantJoined} {
			one := readEvent(t, participantEvent(kind, `"`+field+`":"one"`))
			two := readEvent(t, participantEvent(kind, `"`+field+`":"two"`))
			require.NotEqual(t, one.ID, two.ID, "%s: %s", kind, field)
			require.Equal(t, one.ID, readEvent(t, participantEvent(kind, `"`+field+`":"one"`)).ID)
		}
	}
}

func TestMeetingUnderOtherNames(t *testing.T) {
	t.Parallel()
	for name, object := range map[string]string{
		"meeting.started":                  `{"id":"81000000001","uuid":"u==","host_id":"H","start_time":"2030-01-01T10:00:00Z","end_time":"2030-01-01T10:30:00Z"}`,
		"meeting.ai_companion_started":     `{"meeting_number":81000000001,"meeting_uuid":"u==","host_id":"H"}`,
		"meeting.aic_transcript_completed": `{"meeting_id":"81000000001","meeting_uuid":"u==","host_id":"H","file_id":"f"}`,
		zoom.EventSummaryCompleted: `{"meeting_id":81000000001,"meeting_uuid":"u==","meeting_host_id":"H",
			"meeting_start_time":"2030-01-01T10:00:00Z","meeting_end_time":"2030-01-01T10:30:00Z"}`,
		zoom.EventRecordingCompleted: `{"id":81000000001,"uuid":"u==","host_id":"H"}`,
	} {
		event := readEvent(t, `{"event":"`+name+`","event_ts":1900000000000,"payload":{"account_id":"a","object":`+object+`}}`)
		require.NotNil(t, event.Meeting, name)
		require.Equal(t, "81000000001", event.Meeting.ID, name)
		require.Equal(t, "u==", event.Meeting.UUID, name)
		require.Equal(t, "H", event.Meeting.DoctorID, name)
		require.Equal(t, "H", event.UserID, name)
		require.Empty(t, event.Sessions, name)
		if strings.Contains(object, "end_time") {
			require.Equal(t, 2030, event.Meeting.Start.Year(), name)
			require.Equal(t, 30, event.Meeting.End.Minute(), name)
		}
	}
	for object, want := range map[string][]string{
		`{"meetings":[{"meeting_uuid":"u1==","recording_file_ids":["f"]},{"uuid":"u2=="},{},null,7]}`: {"u1==", "u2=="},
		`{"meeting_uuids":["u1==","u2==",""]}`:                                                        {"u1==", "u2=="},
		`{"uuid":"u1=="}`:                                                                             {"u1=="},
		`{"free_storage":"1 GB"}`:                                                                     nil,
	} {
		event := readEvent(t, `{"event":"recording.batch_deleted","event_ts":1,"payload":{"object":`+object+`}}`)
		require.Nil(t, event.Meeting, object)
		require.Equal(t, want, event.Sessions, object)
	}
}

// TestOfficialExamplesAreTyped: each of Zoom's own examples about a meeting names it.
func TestOfficialExamplesAreTyped(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../shared/fixtures/zoom/webhook-examples/*.json")
	require.NoError(t, err)
	if len(files) == 0 {
		t.Skip("Zoom's own webhook examples are not on this machine: they would show that each names its meeting; " +
			"TestMeetingUnderOtherNames shows it of such as were written by hand")
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		if !strings.HasPrefix(name, "meeting.") && !strings.HasPrefix(name, "recording.") || name == "recording.cloud_storage_usage_updated" {
			continue
		}
		body, err := os.ReadFile(file)
		require.NoError(t, err)
		event := readEvent(t, string(body))
		if strings.HasPrefix(name, "recording.batch_") {
			require.NotEmpty(t, event.Sessions, name)
			require.Nil(t, event.Meeting, name)
			continue
		}
		require.NotNil(t, event.Meeting, name)
		require.NotEmpty(t, event.Meeting.ID, name)
		require.NotEmpty(t, event.Meeting.UUID, name)
		if strings.Contains(string(body), `host_id"`) {
			require.NotEmpty(t, event.Meeting.DoctorID, name)
			require.Equal(t, event.Meeting.DoctorID, event.UserID, name)
		}
		if strings.Contains(string(body), `"registrant":`) || strings.Contains(string(body), `"customer_key":`) {
			require.NotEqual(t, zoom.Participant{}, *event.Participant, name)
		}
	}
}

// deauthorized is the event as a handler gets it.
func (c *clinic) deauthorized(t *testing.T, userID string) zoom.Event {
	t.Helper()
	var got zoom.Event
	hook, err := zoom.NewWebhook(zoom.WebhookConfig{
		Secrets: []telemed.Secret{c.fake.WebhookSecret()}, Handle: handleInto(&got),
	})
	require.NoError(t, err)
	hospital := httptest.NewServer(hook)
	defer hospital.Close()
	status, _, err := c.fake.SendWebhook(hospital.URL, c.fake.DeauthorizedEvent(userID))
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status)
	return got
}

func TestDeauthorized(t *testing.T) {
	t.Parallel()
	setup := func(t *testing.T) *clinic {
		t.Helper()
		c := newClinic(t, twoAccounts())
		token := c.token(t)
		shared := store.AccountID{Provider: zoom.ProviderName, Subject: "dr-same-account"}
		require.NoError(t, store.Set(t.Context(), c.tokens, shared, token))
		token.Account.ID = "u-sen"
		other := store.AccountID{Provider: zoom.ProviderName, Subject: "dr-sen"}
		require.NoError(t, store.Set(t.Context(), c.tokens, other, token))
		return c
	}
	t.Run("all doctors of the account", func(t *testing.T) {
		t.Parallel()
		c := setup(t)
		c.fake.Uninstall(zoomtest.DefaultUser().ID)
		event := c.deauthorized(t, zoomtest.DefaultUser().ID)
		for range 2 { // Zoom sends it again
			doctors, err := c.Deauthorized(t.Context(), event)
			require.NoError(t, err)
			if doctors != nil {
				require.ElementsMatch(t, []string{doctor, "dr-same-account"}, doctors)
			}
		}
		_, err := c.Get(t.Context(), doctor, "82000000001")
		require.ErrorIs(t, err, telemed.ErrNotConnected)
		_, err = c.Get(t.Context(), "dr-same-account", "82000000001")
		require.ErrorIs(t, err, telemed.ErrNotConnected)
		_, err = c.tokens.Get(t.Context(), store.AccountID{Provider: zoom.ProviderName, Subject: "dr-sen"})
		require.NoError(t, err, "another account's")
	})
	t.Run("connected again since", func(t *testing.T) {
		t.Parallel()
		c := newClinic(t, twoAccounts())
		c.fake.Uninstall(zoomtest.DefaultUser().ID)
		event := c.deauthorized(t, zoomtest.DefaultUser().ID)
		c.connect(t)
		rec, err := c.tokens.Get(t.Context(), c.key)
		require.NoError(t, err)
		event.Time = rec.UpdatedAt // within a millisecond
		c.fake.ExpireTokens()      // an expired access token is not a dead grant
		doctors, err := c.Deauthorized(t.Context(), event)
		require.NoError(t, err)
		require.Empty(t, doctors)
		_, err = c.Get(t.Context(), doctor, "82000000001")
		require.NotErrorIs(t, err, telemed.ErrNotConnected)

		c.fake.Uninstall(zoomtest.DefaultUser().ID) // and removed again: the first event comes late
		c.fake.ExpireTokens()
		doctors, err = c.Deauthorized(t.Context(), event)
		require.NoError(t, err)
		require.Equal(t, []string{doctor}, doctors)
	})
	t.Run("nothing to do", func(t *testing.T) {
		t.Parallel()
		c := newClinic(t, twoAccounts())
		event := c.deauthorized(t, zoomtest.DefaultUser().ID)
		foreign := readEvent(t, `{"event":"app_deauthorized","payload":{"user_id":"u-dr-rao","client_id":"another app","deauthorization_time":"2040-01-01T00:00:00Z"}}`)
		started := event
		started.Name = zoom.EventMeetingStarted
		for _, e := range []zoom.Event{foreign, started, {Name: zoom.EventAppDeauthorized}} {
			doctors, err := c.Deauthorized(t.Context(), e)
			require.NoError(t, err)
			require.Empty(t, doctors)
		}
		require.NotEmpty(t, c.token(t).Account.ID)
		_, err := c.forgetful(t).Deauthorized(t.Context(), event)
		require.ErrorIs(t, err, telemed.ErrInvalid)
		require.ErrorContains(t, err, "Tokens")
	})
}

// FuzzEvent: no event has a Meeting without an ID, or a doctor whom nobody named.
func FuzzEvent(f *testing.F) {
	f.Add(`{"event":"meeting.started","payload":{"object":{"id":1,"meetings":[{"uuid":"u"}]}}}`)
	f.Add(participantEvent(zoom.EventJBHWaiting, `"id":"DOCTOR"`))
	f.Add(`{"event":"recording.batch_deleted","payload":{"object":{"meetings":[{"meeting_uuid":"u"}],"meeting_uuids":[1,{}]}}}`)
	f.Fuzz(func(t *testing.T, body string) {
		box := newInbox(t, vectorSecret)
		timestamp, good := sign(body)
		box.post(timestamp, good, body)
		for _, e := range box.events {
			if e.Meeting != nil && e.Meeting.ID == "" {
				t.Error("a meeting without an ID")
			}
			if e.Participant != nil && e.Participant.IsDoctor && e.Meeting != nil && e.Meeting.DoctorID == "" {
				t.Error("a doctor whom nobody named")
			}
			if _, err := json.Marshal(e); err != nil {
				t.Error(err)
			}
		}
	})
}

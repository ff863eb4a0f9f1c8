package zoom_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/zoom"
	"github.com/telemed-go/telemed/zoom/zoomtest"
)

func TestCreateIsSafeForAVisit(t *testing.T) {
	t.Parallel()
	c := newClinic(t, zoomtest.Config{})
	req := visit(t, "appt-42")
	m, err := c.Create(t.Context(), doctor, req)
	require.NoError(t, err)

	made := c.live()[0]
	require.Equal(t, "Video consultation", made.Topic)
	require.Equal(t, "Asia/Kolkata", made.TimeZone)
	require.True(t, made.Start.Equal(req.Start))
	require.Regexp(t, `^ref:[A-Z2-7]{20}$`, made.Agenda)
	require.NotContains(t, made.Agenda, "appt-42")
	for name, want := range map[string]any{
		"waiting_room": true, "join_before_host": false, "use_pmi": false, "auto_recording": "none",
		"auto_start_meeting_summary": false, "auto_start_ai_companion_questions": false, "email_notification": false,
		"registrants_email_notification": false, "meeting_authentication": false, "encryption_type": "enhanced_encryption",
	} {
		require.Equal(t, want, made.Settings[name], name)
	}
	require.Equal(t, made.Password, m.Passcode)
	require.Equal(t, req.Start.Location(), m.Start.Location())
	require.Equal(t, zoom.ProviderName, m.Provider)

	read, err := c.Get(t.Context(), doctor, m.ID)
	require.NoError(t, err)
	require.Equal(t, "Asia/Kolkata", read.Start.Location().String())
	require.Equal(t, m.Passcode, read.Passcode)
}

func TestCreateSendsTheOneFormThatZoomReads(t *testing.T) {
	t.Parallel()
	newYork, err := time.LoadLocation("America/New_York")
	require.NoError(t, err)
	year := time.Now().Year() + 1
	starts := map[string]struct {
		start      time.Time
		sent, zone string
	}{
		"winter":       {time.Date(year, 1, 15, 9, 0, 0, 0, newYork), fmt.Sprintf("%d-01-15T14:00:00Z", year), "America/New_York"},
		"summer":       {time.Date(year, 7, 15, 9, 0, 0, 0, newYork), fmt.Sprintf("%d-07-15T13:00:00Z", year), "America/New_York"},
		"fixed offset": {time.Date(year, 1, 15, 9, 0, 0, 0, time.FixedZone("+05:30", 19800)), fmt.Sprintf("%d-01-15T03:30:00Z", year), ""},
		"fractions":    {time.Date(year, 1, 15, 9, 0, 0, 999, time.UTC), fmt.Sprintf("%d-01-15T09:00:00Z", year), "UTC"},
	}
	for name, want := range starts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClinic(t, zoomtest.Config{})
			m, err := c.Create(t.Context(), doctor, meet.Request{Key: "a", Start: want.start, Duration: 90 * time.Second})
			require.NoError(t, err)
			require.True(t, m.Start.Equal(want.start.Truncate(time.Second)))
			var body map[string]any
			require.NoError(t, json.Unmarshal([]byte(c.fake.Requests(zoomtest.OpCreate)[0].Body), &body))
			require.Equal(t, want.sent, body["start_time"])
			require.EqualValues(t, 2, body["duration"])
			if want.zone == "" {
				require.NotContains(t, body, "timezone")
			} else {
				require.Equal(t, want.zone, body["timezone"])
			}
		})
	}
}

func TestAVisitThatBeginsNow(t *testing.T) {
	t.Parallel()
	c := newClinic(t, zoomtest.Config{})
	req := meet.Request{Key: "now", Start: time.Now().Add(-20 * time.Second), Duration: time.Hour}
	m, err := c.Create(t.Context(), doctor, req)
	require.NoError(t, err)
	require.WithinDuration(t, req.Start, m.Start, time.Minute)
	again, err := c.Create(t.Context(), doctor, req)
	require.NoError(t, err)
	require.Equal(t, m.ID, again.ID)

	later, err := c.Create(t.Context(), doctor, visit(t, "later"))
	require.NoError(t, err)
	req.Key = "later"
	moved, err := c.Update(t.Context(), doctor, later.ID, req)
	require.NoError(t, err)
	require.WithinDuration(t, req.Start, moved.Start, time.Minute)
}

func TestPasscodesDiffer(t *testing.T) {
	t.Parallel()
	c := newClinic(t, zoomtest.Config{})
	seen := map[string]bool{}
	for i := range 20 {
		m, err := c.Create(t.Context(), doctor, visit(t, fmt.Sprint("appt-", i)))
		require.NoError(t, err)
		require.Len(t, m.Passcode, 10)
		require.Regexp(t, `[A-Z]`, m.Passcode)
		require.Regexp(t, `[a-z]`, m.Passcode)
		require.Regexp(t, `[0-9]`, m.Passcode)
		require.Regexp(t, `[@*]`, m.Passcode)
		require.NotContains(t, seen, m.Passcode)
		seen[m.Passcode] = true
	}
}

func TestCreateOnce(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		spoil func(t *testing.T, c *clinic)
		live  int // meetings in the end
	}{
		"answer lost after it was made": {func(_ *testing.T, c *clinic) {
			c.fake.FailNext(zoomtest.Fault{Op: zoomtest.OpCreate, LoseAnswer: true})
		}, 1},
		"cut before it was made": {func(_ *testing.T, c *clinic) {
			c.fake.FailNext(zoomtest.Fault{Op: zoomtest.OpCreate, LoseRequest: true})
		}, 1},
		"502 in xml": {func(_ *testing.T, c *clinic) {
			c.fake.FailNext(answered(zoomtest.OpCreate, http.StatusBadGateway, "<Error><Message>Asha Rao</Message></Error>"))
		}, 1},
		"per-second limit": {func(_ *testing.T, c *clinic) { c.fake.FailNext(answered(zoomtest.OpCreate, 429, secondLimit)) }, 1},
		"and the list fails": {func(_ *testing.T, c *clinic) {
			c.fake.FailNext(zoomtest.Fault{Op: zoomtest.OpCreate, LoseAnswer: true}, zoomtest.Refuse(zoomtest.OpList, 400, 300, ""))
		}, 1},
		"access token ended":      {func(_ *testing.T, c *clinic) { c.fake.ExpireTokens() }, 1},
		"another process made it": {earlierProcess, 1},
		"it is on a later page":   {otherMeetings, 6},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newClinic(t, zoomtest.Config{MaxPage: 2, InMemory: true})
				test.spoil(t, c)
				req := visit(t, "appt-42")
				m, err := c.Create(t.Context(), doctor, req)
				if err != nil { // what the contract asks of an application then
					require.NotErrorIs(t, err, telemed.ErrConflict)
					require.NotContains(t, err.Error(), "Asha")
					m, err = c.Create(t.Context(), doctor, req)
				}
				require.NoError(t, err)
				for _, client := range []*zoom.Client{c.Client, c.another(t), c.forgetful(t)} {
					again, err := client.Create(t.Context(), doctor, req)
					require.NoError(t, err)
					require.Equal(t, m.ID, again.ID)
				}
				require.Len(t, c.live(), test.live)
			})
		})
	}
}

const secondLimit = `{"code":429,"message":"You have reached the maximum per-second rate limit for this API. Try again later."}`

func otherMeetings(t *testing.T, c *clinic) {
	t.Helper()
	for i := range 5 {
		_, err := c.Create(t.Context(), doctor, visit(t, fmt.Sprint("other-", i)))
		require.NoError(t, err)
	}
}

func earlierProcess(t *testing.T, c *clinic) {
	t.Helper()
	dead := c.another(t)
	_, err := dead.Create(t.Context(), doctor, visit(t, "appt-42"))
	require.NoError(t, err)
}

func TestLostAnswerIsSuccess(t *testing.T) {
	t.Parallel()
	c := newClinic(t, zoomtest.Config{})
	c.fake.FailNext(zoomtest.Fault{Op: zoomtest.OpCreate, LoseAnswer: true})
	m, err := c.Create(t.Context(), doctor, visit(t, "appt-42"))
	require.NoError(t, err)
	require.NotEmpty(t, m.JoinURL)
	require.Len(t, c.fake.Requests(zoomtest.OpCreate), 1, "the POST must not be repeated")
}

func TestUnknownOutcomeIsAmbiguous(t *testing.T) {
	t.Parallel()
	c := newClinic(t, zoomtest.Config{})
	c.fake.FailNext(zoomtest.Fault{Op: zoomtest.OpCreate, LoseRequest: true})
	_, err := c.Create(t.Context(), doctor, visit(t, "appt-42"))
	require.ErrorIs(t, err, telemed.ErrAmbiguous)
	require.Len(t, c.fake.Requests(zoomtest.OpCreate), 1)
	require.Empty(t, c.live())
}

func TestCallerWhoLeavesDuringCreate(t *testing.T) {
	t.Parallel()
	c := newClinic(t, zoomtest.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	c.fake.FailNext(zoomtest.Fault{Op: zoomtest.OpCreate, Delay: time.Minute})
	done := make(chan error)
	go func() {
		_, err := c.Create(ctx, doctor, visit(t, "appt-42"))
		done <- err
	}()
	_, err := c.fake.WaitFor(t.Context(), func(r zoomtest.Request) bool { return r.Op == zoomtest.OpCreate })
	require.NoError(t, err)
	cancel()
	err = <-done
	require.ErrorIs(t, err, context.Canceled)
}

func TestCallerWhoWaitsForAnother(t *testing.T) {
	t.Parallel()
	c := newClinic(t, zoomtest.Config{})
	c.fake.FailNext(zoomtest.Fault{Op: zoomtest.OpCreate, Delay: 500 * time.Millisecond})
	first := make(chan error)
	go func() {
		_, err := c.Create(t.Context(), doctor, visit(t, "appt-42"))
		first <- err
	}()
	_, err := c.fake.WaitFor(t.Context(), func(r zoomtest.Request) bool { return r.Op == zoomtest.OpCreate })
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err = c.Create(ctx, doctor, visit(t, "appt-42"))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NotErrorIs(t, err, telemed.ErrAmbiguous, "it was never its turn")
	require.NoError(t, <-first)
	require.Len(t, c.live(), 1)
}

func TestListWithoutEnd(t *testing.T) {
	t.Parallel()
	c := newClinic(t, zoomtest.Config{})
	for range 100 {
		c.fake.FailNext(answered(zoomtest.OpList, http.StatusOK, `{"meetings":[],"next_page_token":"again"}`))
	}
	_, err := c.forgetful(t).Create(t.Context(), doctor, visit(t, "appt-42"))
	require.ErrorIs(t, err, telemed.ErrUnavailable)
	require.Empty(t, c.fake.Requests(zoomtest.OpCreate))
}

// Zoom answers some errors with a good status. Such a list does not say that there is no
// meeting.
func TestListThatIsNone(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		body string
		want error
	}{
		"an error": {`{"code":200,"message":"Only available for paid account"}`, telemed.ErrForbidden},
		"nothing":  {`{}`, telemed.ErrUnavailable},
		"null":     {`null`, telemed.ErrUnavailable},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClinic(t, zoomtest.Config{})
			m, err := c.Create(t.Context(), doctor, visit(t, "appt-42"))
			require.NoError(t, err)
			restarted := c.forgetful(t)
			c.fake.FailNext(answered(zoomtest.OpList, http.StatusOK, test.body))
			_, err = restarted.Create(t.Context(), doctor, visit(t, "appt-42"))
			require.ErrorIs(t, err, test.want)
			require.Len(t, c.live(), 1, "a second meeting was made")
			again, err := restarted.Create(t.Context(), doctor, visit(t, "appt-42"))
			require.NoError(t, err)
			require.Equal(t, m.ID, again.ID)
		})
	}
	t.Run("empty, without meetings", func(t *testing.T) {
		t.Parallel()
		c := newClinic(t, zoomtest.Config{})
		c.fake.FailNext(answered(zoomtest.OpList, http.StatusOK, `{"page_size":300,"total_records":0}`))
		_, err := c.forgetful(t).Create(t.Context(), doctor, visit(t, "appt-42"))
		require.NoError(t, err)
	})
}

// A proxy answers for Zoom while the listed meeting is read: it is not gone.
func TestListedMeetingThatCannotBeRead(t *testing.T) {
	t.Parallel()
	c := newClinic(t, zoomtest.Config{})
	m, err := c.Create(t.Context(), doctor, visit(t, "appt-42"))
	require.NoError(t, err)
	c.fake.FailNext(answered(zoomtest.OpGet, http.StatusNotFound, "<html>proxy</html>"))
	restarted := c.forgetful(t)
	_, err = restarted.Create(t.Context(), doctor, visit(t, "appt-42"))
	require.ErrorIs(t, err, telemed.ErrUnavailable)
	require.Len(t, c.live(), 1, "a second meeting was made")
	again, err := restarted.Create(t.Context(), doctor, visit(t, "appt-42"))
	require.NoError(t, err)
	require.Equal(t, m.ID, again.ID)

	// It was deleted after it was listed.
	c.fake.FailNext(zoomtest.Refuse(zoomtest.OpGet, http.StatusNotFound, 3001, "Meeting does not exist"))
	_, err = c.forgetful(t).Create(t.Context(), doctor, visit(t, "appt-42"))
	require.NoError(t, err)
	require.Len(t, c.live(), 2)
}

// Two processes create at the same time: both list nothing, both POST, and both must end
// with the same meeting.
func TestTwoProcessesAtOnce(t *testing.T) {
	t.Parallel()
	c := newClinic(t, zoomtest.Config{})
	const processes = 4
	ids := make([]string, processes)
	req := visit(t, "appt-42")
	clients := make([]*zoom.Client, processes)
	for i := range clients {
		clients[i] = c.another(t)
	}
	var wg sync.WaitGroup
	for i, client := range clients {
		wg.Go(func() {
			m, err := client.Create(t.Context(), doctor, req)
			if err == nil {
				ids[i] = m.ID
			}
		})
	}
	wg.Wait()
	live := c.live()
	require.Len(t, live, 1)
	for _, id := range ids {
		require.Equal(t, fmt.Sprint(live[0].ID), id)
	}
}

// Two processes without common Claims, and a list that lags behind: each makes a meeting,
// as Config.Claims says. Patients have both links: both stay.
func TestDuplicatesStay(t *testing.T) {
	t.Parallel()
	const lag = time.Minute
	c := newClinic(t, zoomtest.Config{ListLag: lag})
	req := visit(t, "appt-42")
	first, err := c.forgetful(t).Create(t.Context(), doctor, req)
	require.NoError(t, err)
	_, err = c.forgetful(t).Create(t.Context(), doctor, req)
	require.NoError(t, err)
	require.Len(t, c.live(), 2)
	c.fake.Advance(2 * lag)
	again, err := c.forgetful(t).Create(t.Context(), doctor, req)
	require.NoError(t, err)
	require.Equal(t, first.ID, again.ID, "the oldest")
	require.Len(t, c.live(), 2)
}

// The reply to an instant visit is lost, and the application asks again when its start
// has passed.
func TestKeyOfAVisitThatHasBegun(t *testing.T) {
	t.Parallel()
	c := newClinic(t, zoomtest.Config{})
	req := visit(t, "instant")
	m, err := c.Create(t.Context(), doctor, req)
	require.NoError(t, err)
	begun := time.Now().Add(-10 * time.Minute).Truncate(time.Second)
	// As Create moves it.
	c.fake.Edit(c.live()[0].ID, func(m *zoomtest.Meeting) { m.Start = begun.Add(35 * time.Second) })
	req.Start = begun
	again, err := c.Create(t.Context(), doctor, req)
	require.NoError(t, err)
	require.Equal(t, m.JoinURL, again.JoinURL)

	req.Start = begun.Add(-time.Hour)
	_, err = c.Create(t.Context(), doctor, req)
	require.ErrorIs(t, err, telemed.ErrConflict)

	req.Key = "unknown"
	_, err = c.Create(t.Context(), doctor, req)
	require.ErrorIs(t, err, telemed.ErrInvalid)
	require.ErrorContains(t, err, "Start is in the past")
	require.Len(t, c.fake.Requests(zoomtest.OpCreate), 1)

	req.Duration = 0
	before := len(c.fake.Requests())
	_, err = c.Create(t.Context(), doctor, req)
	require.ErrorContains(t, err, "Duration is required")
	require.Len(t, c.fake.Requests(), before, "what is wrong in itself asks nobody")
}

func TestMovedKeyIsAConflict(t *testing.T) {
	t.Parallel()
	c := newClinic(t, zoomtest.Config{})
	req := visit(t, "appt-42")
	m, err := c.Create(t.Context(), doctor, req)
	require.NoError(t, err)
	moved := req
	moved.Start = req.Start.AddDate(0, 0, 20)
	_, err = c.Update(t.Context(), doctor, m.ID, moved)
	require.NoError(t, err)

	_, err = c.Create(t.Context(), doctor, req)
	require.ErrorIs(t, err, telemed.ErrConflict)
	require.Equal(t, m.ID, zoomError(t, err).MeetingID)
	require.Len(t, c.live(), 1, "a moved meeting must not be deleted")
}

func TestLockedSettings(t *testing.T) {
	t.Parallel()
	locked := map[string]any{"waiting_room": false, "auto_recording": "cloud"}
	t.Run("are refused", func(t *testing.T) {
		t.Parallel()
		c := newClinic(t, zoomtest.Config{Locked: locked})
		_, err := c.Create(t.Context(), doctor, visit(t, "appt-42"))
		require.ErrorIs(t, err, zoom.ErrMismatch)
		require.ErrorIs(t, err, telemed.ErrForbidden)
		require.NotErrorIs(t, err, telemed.ErrConflict)
		require.Equal(t, []string{"settings.waiting_room", "settings.auto_recording"}, zoomError(t, err).Fields)
		require.Empty(t, zoomError(t, err).MeetingID)
		require.Empty(t, c.live())
	})
	t.Run("and named if the meeting stays", func(t *testing.T) {
		t.Parallel()
		c := newClinic(t, zoomtest.Config{Locked: locked})
		c.fake.FailNext(zoomtest.Refuse(zoomtest.OpDelete, 400, 3002, ""))
		_, err := c.Create(t.Context(), doctor, visit(t, "appt-42"))
		require.ErrorIs(t, err, zoom.ErrMismatch)
		require.Equal(t, fmt.Sprint(c.live()[0].ID), zoomError(t, err).MeetingID)
	})
	t.Run("may be safer", func(t *testing.T) {
		t.Parallel()
		c := newClinic(t, zoomtest.Config{Locked: map[string]any{"encryption_type": "e2ee", "waiting_room": true}}, func(cfg *zoom.Config) {
			cfg.Settings = map[string]any{"waiting_room": false}
		})
		_, err := c.Create(t.Context(), doctor, visit(t, "appt-42"))
		require.NoError(t, err)
	})
	t.Run("are noticed later too", func(t *testing.T) {
		t.Parallel()
		c := newClinic(t, zoomtest.Config{})
		m, err := c.Create(t.Context(), doctor, visit(t, "appt-42"))
		require.NoError(t, err)
		c.fake.Edit(c.live()[0].ID, func(m *zoomtest.Meeting) { m.Settings["join_before_host"], m.Password = true, "" })
		_, err = c.Create(t.Context(), doctor, visit(t, "appt-42"))
		require.ErrorIs(t, err, zoom.ErrMismatch)
		require.Equal(t, []string{"settings.join_before_host", "password"}, zoomError(t, err).Fields)
		require.Equal(t, m.ID, zoomError(t, err).MeetingID)
		require.Len(t, c.live(), 1, "patients have its link")
	})
	t.Run("can be accepted", func(t *testing.T) {
		t.Parallel()
		c := newClinic(t, zoomtest.Config{Locked: locked}, func(cfg *zoom.Config) {
			cfg.AcceptLocked = []string{"waiting_room", "auto_recording"}
		})
		_, err := c.Create(t.Context(), doctor, visit(t, "appt-42"))
		require.NoError(t, err)
	})
}

func TestOwnSettings(t *testing.T) {
	t.Parallel()
	own := map[string]any{"encryption_type": "e2ee", "jbh_time": 5, "host_video": nil}
	c := newClinic(t, zoomtest.Config{}, func(cfg *zoom.Config) { cfg.Settings = own })
	before := maps.Clone(own)
	_, err := c.Create(t.Context(), doctor, visit(t, "appt-42"))
	require.NoError(t, err)
	require.Equal(t, before, own)
	settings := c.live()[0].Settings
	require.Equal(t, "e2ee", settings["encryption_type"])
	require.EqualValues(t, 5, settings["jbh_time"])
	require.NotContains(t, settings, "host_video")
	require.Equal(t, true, settings["waiting_room"])
}

// Somebody between us and Zoom changes the start: the meeting must not be given out.
func TestWrongStartIsCancelled(t *testing.T) {
	t.Parallel()
	meddle := roundTrip(func(req *http.Request) (*http.Response, error) {
		if req.Method == http.MethodPost && strings.HasSuffix(req.URL.Path, "/meetings") {
			req.Body, req.GetBody, req.ContentLength = replaced(req, "Z\"", "+05:30\"")
		}
		return http.DefaultTransport.RoundTrip(req)
	})
	c := newClinic(t, zoomtest.Config{}, func(cfg *zoom.Config) { cfg.HTTPClient = &http.Client{Transport: meddle} })
	_, err := c.Create(t.Context(), doctor, visit(t, "appt-42"))
	require.ErrorIs(t, err, zoom.ErrMismatch)
	require.Equal(t, []string{"start_time"}, zoomError(t, err).Fields)
	require.Len(t, c.fake.Meetings(), 1)
	require.Empty(t, c.live())
}

// An account that has no passcodes drops ours.
func TestNoPasscodeIsCancelled(t *testing.T) {
	t.Parallel()
	drop := roundTrip(func(req *http.Request) (*http.Response, error) {
		if req.Method == http.MethodPost && strings.HasSuffix(req.URL.Path, "/meetings") {
			req.Body, req.GetBody, req.ContentLength = replaced(req, `"password"`, `"dropped"`)
		}
		return http.DefaultTransport.RoundTrip(req)
	})
	c := newClinic(t, zoomtest.Config{}, func(cfg *zoom.Config) { cfg.HTTPClient = &http.Client{Transport: drop} })
	_, err := c.Create(t.Context(), doctor, visit(t, "appt-42"))
	require.ErrorIs(t, err, zoom.ErrMismatch)
	require.Equal(t, []string{"password"}, zoomError(t, err).Fields)
	require.Empty(t, c.live())
}

func TestAttendeesAreRefused(t *testing.T) {
	t.Parallel()
	c := newClinic(t, zoomtest.Config{})
	req := visit(t, "appt-42")
	req.Attendees = []meet.Attendee{{Email: "asha@example.org"}}
	_, err := c.Create(t.Context(), doctor, req)
	require.ErrorIs(t, err, telemed.ErrInvalid)
	require.ErrorContains(t, err, "Attendees")
	require.NotContains(t, err.Error(), "asha")
	require.Empty(t, c.fake.Requests(zoomtest.OpCreate))
}

func TestKeysOfTwoDoctorsAreApart(t *testing.T) {
	t.Parallel()
	c := newClinic(t, zoomtest.Config{})
	rec, err := c.tokens.Get(t.Context(), c.key)
	require.NoError(t, err)
	require.NoError(t, store.Set(t.Context(), c.tokens, store.AccountID{Provider: zoom.ProviderName, Subject: "dr-sen"}, rec.Token))
	first, err := c.Create(t.Context(), doctor, visit(t, "1"))
	require.NoError(t, err)
	second, err := c.Create(t.Context(), "dr-sen", visit(t, "1"))
	require.NoError(t, err)
	require.NotEqual(t, first.ID, second.ID)
	agendas := []string{c.live()[0].Agenda, c.live()[1].Agenda}
	slices.Sort(agendas)
	require.NotEqual(t, agendas[0], agendas[1])
}

func TestCreateNeverClaimsIdempotency(t *testing.T) {
	t.Parallel()
	c := newClinic(t, zoomtest.Config{})
	_, err := c.Create(t.Context(), doctor, visit(t, "appt-42"))
	require.NoError(t, err)
	for _, req := range c.fake.Requests(zoomtest.OpCreate) {
		require.Empty(t, req.Header.Get("Idempotency-Key"))
		require.Empty(t, req.Header.Get("X-Idempotency-Key"))
	}
}

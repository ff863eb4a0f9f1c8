package googlemeet_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/meet/googlemeet"
	"github.com/telemed-go/telemed/meet/googlemeet/googlemeettest"
	"github.com/telemed-go/telemed/store"
)

// private is another account of the same doctor.
var private = googlemeettest.Consent{Email: "rao.private@example.org"}

// calls are the methods that name a meeting.
func calls(t *testing.T, c *googlemeet.Client, id string) map[string]error {
	t.Helper()
	_, getErr := c.Get(t.Context(), doctor, id)
	_, updateErr := c.Update(t.Context(), doctor, id, request(t, "appt-1"))
	return map[string]error{"Get": getErr, "Update": updateErr, "Cancel": c.Cancel(t.Context(), doctor, id)}
}

// imported takes from the stored token what tells whose it is, as an import leaves it.
func (c *clinic) imported(t *testing.T) {
	t.Helper()
	rec, err := c.tokens.Get(t.Context(), key(doctor))
	require.NoError(t, err)
	rec.Token.Account = store.Account{}
	_, err = c.tokens.Put(t.Context(), rec)
	require.NoError(t, err)
}

func (c *clinic) live() int {
	live := 0
	for _, e := range c.fake.Events() {
		if e.Status != "cancelled" {
			live++
		}
	}
	return live
}

// The doctor connects another account. What is in the first one is not gone.
func TestMeetingInAnotherAccount(t *testing.T) {
	t.Parallel()
	c := open(t)
	m := c.create(t, request(t, "appt-1"))
	rec, err := c.tokens.Get(t.Context(), key(doctor))
	require.NoError(t, err)
	require.NotEmpty(t, m.Account)
	require.Equal(t, rec.Token.Account.ID, m.Account)

	c.connect(t, doctor, private)
	second := newClient(t, config(t, c.fake, c.tokens))
	for _, client := range []*googlemeet.Client{c.Client, second} {
		failures := calls(t, client, m.ID)
		_, failures["Create"] = client.Create(t.Context(), doctor, request(t, "appt-1"))
		for op, err := range failures {
			require.ErrorIs(t, err, meet.ErrOtherAccount, op)
			require.ErrorIs(t, err, telemed.ErrConflict, op)
			require.ErrorContains(t, err, "another account", op)
			require.NotContains(t, err.Error(), "example.org", op)
		}
	}
	for op, err := range calls(t, c.forgetful(t), m.ID) { // nobody knows any more
		require.ErrorIs(t, err, telemed.ErrAmbiguous, op)
	}
	require.Equal(t, 1, c.live())

	c.connect(t, doctor, googlemeettest.Consent{})
	require.NoError(t, c.Cancel(t.Context(), doctor, m.ID))
	require.Zero(t, c.live())
	c.connect(t, doctor, private)
	_, err = c.Create(t.Context(), doctor, request(t, "appt-1"))
	require.ErrorIs(t, err, telemed.ErrConflict, "the Key is used up, whichever account it is")
}

// Nobody knows whose token it is, as with the seed's one scope. An event that is not
// found may be in another account; one that Google says was deleted was here.
func TestTokenWithoutAccount(t *testing.T) {
	t.Parallel()
	scopes := func(cfg *googlemeet.Config) { cfg.Scopes = []string{googlemeet.ScopeEvents} }
	c := open(t, scopes)
	m := c.create(t, request(t, "appt-1"))
	require.Empty(t, m.Account)
	other := c.create(t, request(t, "appt-2"))
	require.NoError(t, c.Cancel(t.Context(), doctor, other.ID))
	require.NoError(t, c.Cancel(t.Context(), doctor, other.ID), "Google remembers that it was here")

	c.connect(t, doctor, private)
	for op, err := range calls(t, c.Client, m.ID) {
		require.ErrorIs(t, err, telemed.ErrAmbiguous, op)
		require.NotErrorIs(t, err, telemed.ErrNotFound, op)
		require.ErrorContains(t, err, "nobody knows in which account", op)
	}
	require.Equal(t, 1, c.live())
}

// The event can be read here, but another account made it: this is its guest's copy.
func TestCreatorIsAnother(t *testing.T) {
	t.Parallel()
	c := open(t)
	m := c.create(t, request(t, "appt-1"))
	require.NoError(t, c.fake.Edit(m.ID, map[string]any{"creator": map[string]any{"email": "sen@example.org", "self": false}}))
	c.imported(t)
	for op, err := range calls(t, c.Client, m.ID) {
		require.ErrorIs(t, err, meet.ErrOtherAccount, op)
		require.NotContains(t, err.Error(), "sen@", op)
	}
	require.Equal(t, 1, c.live())
}

// gateways are answers that are not Google's, whatever their status says.
var gateways = []struct {
	status int
	body   string
}{
	{404, "<html>nothing here</html>"}, {410, "gone"}, {404, ""}, {404, `{"message":"no route"}`}, {404, `{"code":404}`}, {404, `{"error":"notFound"}`},
	{410, `{"error":"Gone","status":410}`}, {404, `{"error":{}}`}, {404, `{"error":{"message":"notFound"}}`}, {404, `null`}, {404, `"notFound"`},
	{404, `{"error":{"errors":[]}}`}, {404, `{"error":{"code":"404"}}`}, {401, "<html>log in</html>"}, {403, "<html>blocked</html>"},
	{409, "<html>conflict</html>"}, {412, "precondition"}, {400, `{"error":"Bad Request"}`},
}

// TestGatewaysProveNothing has a gateway answer in Google's place, everywhere.
func TestGatewaysProveNothing(t *testing.T) {
	t.Parallel()
	for _, gateway := range gateways {
		t.Run(fmt.Sprint(gateway), func(t *testing.T) {
			t.Parallel()
			c := open(t)
			m := c.create(t, request(t, "appt-1"))
			c.fake.FailNext(googlemeettest.Fault{Status: gateway.status, Body: gateway.body, Times: -1})
			failures := calls(t, c.Client, m.ID)
			_, failures["Create"] = c.Create(t.Context(), doctor, request(t, "appt-1"))
			_, failures["Create of another"] = c.Create(t.Context(), doctor, request(t, "appt-2"))
			for op, err := range failures {
				require.Error(t, err, op)
				for _, wrong := range []error{
					telemed.ErrNotFound, telemed.ErrConflict, telemed.ErrInvalid, telemed.ErrForbidden, telemed.ErrUnauthorized, telemed.ErrReconnect,
				} {
					require.NotErrorIs(t, err, wrong, op)
				}
			}
			require.ErrorIs(t, failures["Get"], telemed.ErrUnavailable)
			require.ErrorIs(t, failures["Cancel"], telemed.ErrAmbiguous)
			c.fake.Reset()
			require.Equal(t, m.ID, c.create(t, request(t, "appt-1")).ID)
			require.Equal(t, 1, c.live())
		})
	}
}

// FuzzAbsence: whatever is answered, an event is gone only if an error of Google's form
// says so.
func FuzzAbsence(f *testing.F) {
	for _, gateway := range gateways {
		f.Add(gateway.status, gateway.body)
	}
	f.Add(404, `{"error":{"code":404,"errors":[{"reason":"notFound"}]}}`)
	f.Fuzz(func(t *testing.T, status int, body string) {
		if status < 200 || status > 599 {
			t.Skip()
		}
		c := open(t)
		c.fake.FailNext(googlemeettest.Fault{Status: status, Body: body, Times: -1, Header: http.Header{"Retry-After": {"3600"}}})
		_, err := c.Get(t.Context(), doctor, "99999999999")
		cancelErr := c.Cancel(t.Context(), doctor, "99999999999")
		says := strings.Contains(strings.ToLower(body), `"error"`) || strings.Contains(body, `\u`)
		if !says && (errors.Is(err, telemed.ErrNotFound) || cancelErr == nil) {
			t.Errorf("%d %q is taken for Google's word: %v, %v", status, body, err, cancelErr)
		}
	})
}

// A late Create, as a job queue repeats it, does not bring a cancelled visit back: the
// claims say so, and without them the id that Google never gives free again.
func TestKeyStaysCancelled(t *testing.T) {
	t.Parallel()
	for name, cancel := range map[string]func(t *testing.T, c *clinic, m *meet.Meeting){
		"by Cancel": func(t *testing.T, c *clinic, m *meet.Meeting) {
			require.NoError(t, c.Cancel(t.Context(), doctor, m.ID))
		},
		"by a process that has no note of it": func(t *testing.T, c *clinic, m *meet.Meeting) {
			require.NoError(t, c.forgetful(t).Cancel(t.Context(), doctor, m.ID))
		},
		"by the doctor, by hand": func(t *testing.T, c *clinic, m *meet.Meeting) {
			require.NoError(t, c.fake.Edit(m.ID, map[string]any{"status": "cancelled"}))
		},
		"and cleared away": func(t *testing.T, c *clinic, m *meet.Meeting) {
			require.NoError(t, c.Cancel(t.Context(), doctor, m.ID))
			require.NoError(t, c.fake.Purge(m.ID))
		},
		"by hand and cleared away": func(t *testing.T, c *clinic, m *meet.Meeting) { require.NoError(t, c.fake.Purge(m.ID)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := open(t)
			m := c.create(t, request(t, "appt-1"))
			cancel(t, c, m)
			for _, client := range []*googlemeet.Client{c.forgetful(t), c.Client, newClient(t, config(t, c.fake, c.tokens)), c.forgetful(t)} {
				_, err := client.Create(t.Context(), doctor, request(t, "appt-1"))
				require.ErrorIs(t, err, telemed.ErrConflict)
			}
			_, err := c.Create(t.Context(), doctor, request(t, "appt-1"))
			require.ErrorIs(t, err, meet.ErrCancelled)
			require.Len(t, c.fake.Events(), 1)
			c.create(t, request(t, "appt-1/2"))
		})
	}
}

// Two processes, a doctor who changes the account between them, and lost answers: one
// event.
func TestOneEventWhateverIsLost(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]googlemeettest.Fault{
		"nothing": {}, "the answer": {LoseAnswer: true, Times: 4}, "the request": {LoseRequest: true, Times: 4}, "half the answer": {Cut: true, Times: 2},
		"a proxy's 404": {Status: 404, Body: "<html>", LoseAnswer: true}, "the caller goes": {Delay: 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := openInMemory(t)
				fault.Op = googlemeettest.OpInsert
				c.fake.FailNext(fault)
				cfg := config(t, c.fake, c.tokens)
				cfg.HTTPClient = c.fake.Client()
				clients, req := []*googlemeet.Client{c.Client, newClient(t, cfg)}, request(t, "appt-1")
				var wg sync.WaitGroup
				for i := range 16 {
					wg.Go(func() {
						for range 3 {
							ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
							_, err := clients[i%2].Create(ctx, doctor, req)
							cancel()
							if err == nil {
								return
							}
						}
						t.Error("calling again does not help")
					})
				}
				wg.Wait()
				require.Equal(t, 1, c.live())
			})
		})
	}
	t.Run("and another account", func(t *testing.T) {
		t.Parallel()
		c := open(t)
		c.fake.FailNext(googlemeettest.Fault{Op: googlemeettest.OpInsert, LoseAnswer: true, Times: 4})
		_, err := c.Create(t.Context(), doctor, request(t, "appt-1"))
		require.ErrorIs(t, err, telemed.ErrAmbiguous)
		c.connect(t, doctor, private)
		_, err = c.Create(t.Context(), doctor, request(t, "appt-1"))
		require.ErrorIs(t, err, meet.ErrOtherAccount)
		require.Len(t, c.fake.Events(), 1)
	})
}

// The clinic moves to another zone; the moment stays. Guests, who see their own zones, are
// not mailed.
func TestUpdateMovesTheZone(t *testing.T) {
	t.Parallel()
	c := open(t)
	req := request(t, "appt-1")
	req.Attendees = []meet.Attendee{{Email: "asha@example.org"}}
	m := c.create(t, req)
	for _, name := range []string{"America/New_York", "Australia/Sydney", "UTC"} {
		zone, err := time.LoadLocation(name)
		require.NoError(t, err)
		req.Start = req.Start.In(zone)
		moved, err := c.Update(t.Context(), doctor, m.ID, req)
		require.NoError(t, err)
		require.Equal(t, name, moved.Start.Location().String())
		require.True(t, moved.Start.Equal(m.Start))
		require.Contains(t, c.fake.Events()[0].JSON, `"timeZone":"`+name+`"`)
	}
	patches := c.fake.Requests(googlemeettest.OpPatch)
	require.Len(t, patches, 3)
	require.Equal(t, "none", patches[0].Query.Get("sendUpdates"))
	_, err := c.Update(t.Context(), doctor, m.ID, req)
	require.NoError(t, err)
	req.Start = req.Start.In(time.FixedZone("", 3600)) // no name: the zone stays
	_, err = c.Update(t.Context(), doctor, m.ID, req)
	require.NoError(t, err)
	require.Len(t, c.fake.Requests(googlemeettest.OpPatch), 3)
}

// What Google, or whoever wrote the event, says of its times is input.
func TestTimesOfEvents(t *testing.T) {
	t.Parallel()
	for doc, want := range map[string]string{
		`{"dateTime":"2031-03-14T10:00:00-04:00","timeZone":"America/New_York"}`: "2031-03-14T10:00:00-04:00",
		`{"dateTime":"2031-03-14T14:00:00Z","timeZone":"America/New_York"}`:      "2031-03-14T10:00:00-04:00",
		`{"dateTime":"2031-03-14T10:00:00","timeZone":"America/New_York"}`:       "2031-03-14T10:00:00-04:00",
		`{"dateTime":"2031-03-14T10:00:00","timeZone":"Nowhere/City"}`:           "0001-01-01T00:00:00Z",
		`{"dateTime":"2031-03-14T10:00:00","timeZone":"Local"}`:                  "0001-01-01T00:00:00Z",
		`{"dateTime":"2031-03-14T10:00:00"}`:                                     "0001-01-01T00:00:00Z",
		`{"date":"2031-03-14","timeZone":"America/New_York"}`:                    "2031-03-14T00:00:00-04:00",
		`{"date":"2031-03-14","timeZone":"Nowhere"}`:                             "2031-03-14T00:00:00Z",
		`{}`: "0001-01-01T00:00:00Z",
	} {
		c := hostile(t, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = fmt.Fprintf(w, `{"id":"99999999999","start":%s}`, doc)
		})
		_, err := c.Get(t.Context(), doctor, "99999999999")
		require.Equal(t, googlemeet.ReasonNoRoom, failure(t, err).Reason, doc)
		require.Equal(t, want, failure(t, err).Meeting.Start.Format(time.RFC3339), doc)
	}
}

// Google left guests out of its answer. Writing the rest back would uninvite them.
func TestPartOfTheGuests(t *testing.T) {
	t.Parallel()
	c := open(t)
	req := request(t, "appt-1")
	req.Attendees = []meet.Attendee{{Email: "asha@example.org"}, {Email: "ravi@example.org"}}
	m := c.create(t, req)
	start := req.Start.Format(time.RFC3339)
	part := googlemeettest.Fault{Op: googlemeettest.OpGet, Status: 200, Body: fmt.Sprintf(
		`{"id":%q,"start":{"dateTime":%q},"end":{"dateTime":%q},"attendeesOmitted":true,"attendees":[{"email":"asha@example.org"}]}`, m.ID, start, start)}
	c.fake.FailNext(part)
	_, err := c.Update(t.Context(), doctor, m.ID, req)
	require.Equal(t, googlemeet.ReasonGuestsHidden, failure(t, err).Reason)
	require.ErrorIs(t, err, telemed.ErrConflict)
	require.Zero(t, c.fake.Count(googlemeettest.OpPatch))

	c.fake.FailNext(part)
	req.Attendees, req.Topic = nil, "Follow-up"
	_, err = c.Update(t.Context(), doctor, m.ID, req)
	require.NoError(t, err)
	event := c.fake.Events()[0]
	require.Equal(t, "Follow-up", event.Summary)
	require.Equal(t, []string{"asha@example.org", "ravi@example.org"}, event.Attendees, "nobody was uninvited unseen")
	require.Contains(t, c.fake.Requests(googlemeettest.OpGet)[0].Query.Get("fields"), "attendeesOmitted")
}

// held are Claims of which somebody else has every key. Who asks a third time has waited for
// long enough.
type held struct {
	store.Claims
	asks int
	stop func()
}

func (h *held) Claim(context.Context, string, time.Duration) (store.Claim, error) {
	if h.asks++; h.asks == 3 {
		h.stop()
	}
	return store.Claim{State: store.ClaimBusy}, nil
}

// Who cannot wait for another call is told when to ask again, and nothing was sent.
func TestCreateWhileAnotherIsUnderWay(t *testing.T) {
	t.Parallel()
	c := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	cfg := config(t, c.fake, c.tokens)
	cfg.Claims = &held{stop: cancel}
	_, err := newClient(t, cfg).Create(ctx, doctor, request(t, "appt-1"))
	require.ErrorIs(t, err, telemed.ErrUnavailable)
	require.ErrorIs(t, err, fault.UnderWay)
	require.EqualError(t, err, "googlemeet: Create: another call with the same key is under way: context canceled")
	require.Equal(t, 2*time.Second, failure(t, err).RetryDelay())
	require.Zero(t, c.live())
}

// mute are Claims that hear and cannot write any more, after some writes.
type mute struct {
	store.Claims
	writes int
}

func (m *mute) Complete(ctx context.Context, key, token string, value []byte, keep time.Duration) error {
	if m.writes--; m.writes < 0 {
		return telemed.ErrUnavailable
	}
	return m.Claims.Complete(ctx, key, token, value, keep)
}

// The database goes between Google's answer and the note of it. Nobody is given what is
// not written down; the next Create finds it.
func TestCreateThatWasNotWrittenDown(t *testing.T) {
	t.Parallel()
	c := open(t)
	for writes, want := range []error{telemed.ErrUnavailable, telemed.ErrAmbiguous} {
		cfg := config(t, c.fake, c.tokens)
		cfg.Claims = &mute{Claims: c.tokens.(*store.Memory), writes: writes}
		_, err := newClient(t, cfg).Create(t.Context(), doctor, request(t, "appt-1"))
		require.ErrorIs(t, err, want)
		require.Equal(t, writes, c.live(), "nothing is sent that is not announced")
	}
	m := c.create(t, request(t, "appt-1"))
	require.NoError(t, c.Cancel(t.Context(), doctor, m.ID))
	require.Zero(t, c.live())
	_, err := c.Create(t.Context(), doctor, request(t, "appt-1"))
	require.ErrorIs(t, err, meet.ErrCancelled)
}

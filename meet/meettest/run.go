package meettest

import (
	"context"
	"errors"
	"iter"
	"sync"
	"testing"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/meet"
)

// Harness is a provider under test and a doctor who is connected to it.
type Harness struct {
	// Provider is checked.
	Provider meet.MeetingProvider
	// DoctorID is a connected doctor.
	DoctorID string
	// Stranger is a doctor who is not connected; empty if the provider knows no such thing.
	Stranger string

	// Second is the provider as another process of the application has it: another client
	// over the same store. If nil, there is only one.
	Second meet.MeetingProvider
	// Losses are ways in which a request or an answer gets lost, each with a name. Each
	// makes it happen once, to the next call that it can happen to. If empty, the checks of
	// lost replies are skipped.
	Losses map[string]func()
	// Live returns how many meetings there are at the provider that were not cancelled. If
	// nil, they are not counted.
	Live func() int
	// Reconnect connects the doctor to another account. If nil, the checks of accounts are
	// skipped.
	Reconnect func(t *testing.T)
}

// second is another client, if there is one.
func (h Harness) second() meet.MeetingProvider {
	if h.Second == nil {
		return h.Provider
	}
	return h.Second
}

func (h Harness) wantLive(t *testing.T, want int) {
	t.Helper()
	if h.Live == nil {
		return
	}
	if live := h.Live(); live != want {
		t.Errorf("there are %d meetings, want %d", live, want)
	}
}

// Run checks that a provider keeps the contract of meet.MeetingProvider. open is called
// once for each check and returns a fresh provider, best on a fake of its own. What a
// Harness leaves out is not checked: one with Second, Losses, Live and Reconnect finds
// second meetings, revived visits and cancellations that were lost.
func Run(t *testing.T, open func(t *testing.T) Harness) {
	checks := map[string]func(*testing.T, Harness){
		"create and get":                      createAndGet,
		"the same key is the same meeting":    sameKey,
		"the same key at once is one meeting": sameKeyAtOnce,
		"a key whose start has passed":        keyAfterStart,
		"another key is another meeting":      otherKey,
		"a key stays cancelled":               keyAfterCancel,
		"a key whose meeting was moved":       keyAfterUpdate,
		"update keeps id and link":            update,
		"update under another key":            updateOtherKey,
		"cancel twice":                        cancelTwice,
		"what does not exist":                 missing,
		"a cancelled meeting":                 cancelled,
		"invalid requests":                    invalid,
		"a cancelled context":                 cancelledContext,
		"a doctor who is not connected":       stranger,
		"zones and odd times":                 zones,
		"zones all year, in both hemispheres": zonesAllYear,
		"a call is cut short":                 cutShort,
		"cancel while others create":          cancelDuringCreates,
		"another account":                     otherAccount,
		"a host link is for the host alone":   hostLink,
	}
	for name, check := range checks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, open(t))
		})
	}
	t.Run("a lost reply", func(t *testing.T) {
		t.Parallel()
		lostReplies(t, open)
	})
}

// request is valid; its start is in a zone with a half-hour offset.
func request(key string) meet.Request {
	kolkata, err := time.LoadLocation("Asia/Kolkata")
	if err != nil {
		kolkata = time.UTC
	}
	start := time.Now().Add(48 * time.Hour).In(kolkata).Truncate(time.Minute)
	return meet.Request{Key: key, Start: start, Duration: 30 * time.Minute}
}

func mustCreate(t *testing.T, h Harness, req meet.Request) *meet.Meeting {
	t.Helper()
	m, err := h.Provider.Create(t.Context(), h.DoctorID, req)
	if err != nil {
		t.Fatalf("Create: %v", err)
	}
	if m.ID == "" {
		t.Fatal("Create: the meeting has no ID")
	}
	return m
}

func wantError(t *testing.T, what string, err error, targets ...error) {
	t.Helper()
	for _, target := range targets {
		if errors.Is(err, target) {
			return
		}
	}
	t.Errorf("%s: error is %v, want one of %v", what, err, targets)
}

func createAndGet(t *testing.T, h Harness) {
	req := request("appt-1")
	created := mustCreate(t, h, req)
	if created.Status != meet.StatusScheduled || created.JoinURL == "" {
		t.Errorf("status is %q and the join link empty: %v", created.Status, created.JoinURL == "")
	}
	if created.Provider == "" {
		t.Error("the meeting does not name its provider")
	}
	if created.Topic != meet.DefaultTopic {
		t.Errorf("topic is %q, want the neutral one", created.Topic)
	}
	got, err := h.Provider.Get(t.Context(), h.DoctorID, created.ID)
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	if got.ID != created.ID || got.JoinURL != created.JoinURL || got.Provider != created.Provider {
		t.Errorf("Get returns another meeting than Create: %v, %v", got, created)
	}
	if !got.Start.Equal(req.Start) || got.Duration != req.Duration {
		t.Errorf("Get: %v for %v, want %v for %v", got.Start, got.Duration, req.Start, req.Duration)
	}
}

func sameKey(t *testing.T, h Harness) {
	req := request("appt-1") // once: the clock may move on to the next minute
	first := mustCreate(t, h, req)
	second := mustCreate(t, h, req)
	if first.ID != second.ID || first.JoinURL != second.JoinURL {
		t.Errorf("a second Create with the same key made another meeting")
	}
}

// sameKeyAtOnce has the web server and the job queue, both with all their workers, create
// the same meeting.
func sameKeyAtOnce(t *testing.T, h Harness) {
	const callers = 16
	req := request("appt-1")
	found := make([]*meet.Meeting, callers)
	var wg sync.WaitGroup
	for i := range callers {
		client := []meet.MeetingProvider{h.Provider, h.second()}[i%2]
		wg.Go(func() {
			m, err := client.Create(t.Context(), h.DoctorID, req)
			if err != nil {
				t.Errorf("Create: %v", err)
				return
			}
			found[i] = m
		})
	}
	wg.Wait()
	for _, m := range found {
		if m != nil && found[0] != nil && (m.ID != found[0].ID || m.JoinURL != found[0].JoinURL) {
			t.Fatalf("callers with the same key got several meetings")
		}
	}
	h.wantLive(t, 1)
}

// keyAfterStart repeats a Create whose reply was lost, after the start. A provider may
// say that the meeting is at another time, as it is here; that the start has passed is no
// reason not to look.
func keyAfterStart(t *testing.T, h Harness) {
	req := request("appt-1")
	created := mustCreate(t, h, req)
	req.Start = time.Now().Add(-time.Hour)
	if found, err := h.Provider.Create(t.Context(), h.DoctorID, req); err != nil {
		wantError(t, "Create", err, telemed.ErrConflict)
	} else if found.ID != created.ID {
		t.Error("a Create after the start made another meeting")
	}
	req.Key = "appt-2"
	_, err := h.Provider.Create(t.Context(), h.DoctorID, req)
	wantField(t, "Create with a new key", err, "Start")
}

func otherKey(t *testing.T, h Harness) {
	first := mustCreate(t, h, request("appt-1"))
	second := mustCreate(t, h, request("appt-2"))
	if first.ID == second.ID || first.JoinURL == second.JoinURL {
		t.Error("two appointments share a meeting: one patient would walk in on the other")
	}
}

// keyAfterCancel repeats a Create whose visit was cancelled meanwhile, as a job queue
// does: nobody asked for a new meeting.
func keyAfterCancel(t *testing.T, h Harness) {
	req := request("appt-1")
	first := mustCreate(t, h, req)
	if err := h.Provider.Cancel(t.Context(), h.DoctorID, first.ID); err != nil {
		t.Fatalf("Cancel: %v", err)
	}
	later := req
	later.Start = later.Start.Add(24 * time.Hour)
	for _, p := range []meet.MeetingProvider{h.Provider, h.second()} {
		for _, late := range []meet.Request{req, later} {
			_, err := p.Create(t.Context(), h.DoctorID, late)
			wantError(t, "Create after Cancel", err, telemed.ErrConflict)
		}
	}
	h.wantLive(t, 0)
	if second := mustCreate(t, h, request("appt-1/2")); second.ID == first.ID || second.JoinURL == first.JoinURL {
		t.Error("Create with a new key returns the meeting that was cancelled")
	}
}

// keyAfterUpdate repeats the Create of a meeting that was moved, as a job does that was
// interrupted.
func keyAfterUpdate(t *testing.T, h Harness) {
	req := request("appt-1")
	created := mustCreate(t, h, req)
	moved := req
	moved.Start = moved.Start.Add(3 * time.Hour)
	if _, err := h.Provider.Update(t.Context(), h.DoctorID, created.ID, moved); err != nil {
		t.Fatalf("Update: %v", err)
	}
	if found, err := h.Provider.Create(t.Context(), h.DoctorID, req); err != nil {
		wantError(t, "Create at the old time", err, telemed.ErrConflict)
	} else if found.ID != created.ID {
		t.Error("a Create at the old time made another meeting: the patient gets two links")
	}
	if found := mustCreate(t, h, moved); found.ID != created.ID {
		t.Error("a Create at the new time made another meeting: the patient gets two links")
	}
}

func update(t *testing.T, h Harness) {
	created := mustCreate(t, h, request("appt-1"))
	moved := request("appt-1")
	moved.Start, moved.Duration, moved.Topic = moved.Start.Add(3*time.Hour), 45*time.Minute, "Follow-up"
	updated, err := h.Provider.Update(t.Context(), h.DoctorID, created.ID, moved)
	if err != nil {
		t.Fatalf("Update: %v", err)
	}
	if updated.ID != created.ID || updated.JoinURL != created.JoinURL {
		t.Error("Update changed the ID or the join link, which the patient has")
	}
	got, err := h.Provider.Get(t.Context(), h.DoctorID, created.ID)
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	if got.JoinURL != created.JoinURL {
		t.Error("after Update there is another join link than the patient has")
	}
	if !got.Start.Equal(moved.Start) || got.Duration != moved.Duration || got.Topic != moved.Topic {
		t.Errorf("after Update: %v for %v, %q", got.Start, got.Duration, got.Topic)
	}
}

// updateOtherKey mixes up two appointments, as an application's bug does: nobody's visit
// is moved by that.
func updateOtherKey(t *testing.T, h Harness) {
	created := mustCreate(t, h, request("appt-1"))
	other := request("appt-2")
	other.Start = other.Start.Add(3 * time.Hour)
	_, err := h.Provider.Update(t.Context(), h.DoctorID, created.ID, other)
	wantError(t, "Update under another key", err, telemed.ErrConflict)
	got, err := h.Provider.Get(t.Context(), h.DoctorID, created.ID)
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	if !got.Start.Equal(created.Start) {
		t.Error("Update under another key moved the meeting")
	}
}

func cancelTwice(t *testing.T, h Harness) {
	created := mustCreate(t, h, request("appt-1"))
	for range 2 {
		if err := h.Provider.Cancel(t.Context(), h.DoctorID, created.ID); err != nil {
			t.Fatalf("Cancel: %v", err)
		}
	}
}

// unknownID has the form of an id of both providers: digits are valid in either.
const unknownID = "99999999999"

func missing(t *testing.T, h Harness) {
	_, err := h.Provider.Get(t.Context(), h.DoctorID, unknownID)
	wantError(t, "Get", err, telemed.ErrNotFound, telemed.ErrAmbiguous)
	_, err = h.Provider.Update(t.Context(), h.DoctorID, unknownID, request("appt-9"))
	wantError(t, "Update", err, telemed.ErrNotFound, telemed.ErrAmbiguous)
	if err := h.Provider.Cancel(t.Context(), h.DoctorID, unknownID); err != nil {
		wantError(t, "Cancel of what is nowhere", err, telemed.ErrAmbiguous)
	}
	_, err = h.Provider.Get(t.Context(), h.DoctorID, "")
	wantError(t, "Get without an id", err, telemed.ErrInvalid, telemed.ErrNotFound)
}

func cancelled(t *testing.T, h Harness) {
	created := mustCreate(t, h, request("appt-1"))
	if err := h.Provider.Cancel(t.Context(), h.DoctorID, created.ID); err != nil {
		t.Fatalf("Cancel: %v", err)
	}
	if got, err := h.Provider.Get(t.Context(), h.DoctorID, created.ID); err == nil {
		if got.Status != meet.StatusCancelled {
			t.Errorf("Get: status is %q", got.Status)
		}
	} else {
		wantError(t, "Get", err, telemed.ErrNotFound)
	}
	_, err := h.Provider.Update(t.Context(), h.DoctorID, created.ID, request("appt-1"))
	wantError(t, "Update", err, telemed.ErrNotFound, telemed.ErrConflict)
}

func invalid(t *testing.T, h Harness) {
	tests := map[string]func(*meet.Request){
		"Key":                func(r *meet.Request) { r.Key = "" },
		"Start":              func(r *meet.Request) { r.Start = time.Now().Add(-time.Hour) },
		"Duration":           func(r *meet.Request) { r.Duration = 0 },
		"Topic":              func(r *meet.Request) { r.Topic = "a\r\nb" },
		"Attendees[0].Email": func(r *meet.Request) { r.Attendees = []meet.Attendee{{Email: "nobody"}} },
	}
	for field, spoil := range tests {
		req := request("appt-1")
		spoil(&req)
		_, err := h.Provider.Create(t.Context(), h.DoctorID, req)
		wantField(t, "Create", err, field)
		_, err = h.Provider.Update(t.Context(), h.DoctorID, unknownID, req)
		wantField(t, "Update", err, field)
	}
}

func wantField(t *testing.T, op string, err error, field string) {
	t.Helper()
	wantError(t, op, err, telemed.ErrInvalid)
	if named, ok := errors.AsType[*telemed.FieldError](err); !ok || named.Field != field {
		t.Errorf("%s: error %v does not name %s", op, err, field)
	}
}

func cancelledContext(t *testing.T, h Harness) {
	created := mustCreate(t, h, request("appt-1"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for op, err := range everyMethod(ctx, h.Provider, h.DoctorID, created.ID) {
		wantError(t, op, err, context.Canceled)
	}
	if got, err := h.Provider.Get(t.Context(), h.DoctorID, created.ID); err != nil || got.Status != meet.StatusScheduled {
		t.Errorf("Cancel cancelled although its context had ended: %v, %v", got, err)
	}
}

// everyMethod calls the methods of a provider, Cancel last, and yields their errors.
func everyMethod(ctx context.Context, p meet.MeetingProvider, doctorID, meetingID string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		_, err := p.Create(ctx, doctorID, request("appt-2"))
		if !yield("Create", err) {
			return
		}
		_, err = p.Get(ctx, doctorID, meetingID)
		if !yield("Get", err) {
			return
		}
		_, err = p.Update(ctx, doctorID, meetingID, request("appt-1"))
		if !yield("Update", err) {
			return
		}
		yield("Cancel", p.Cancel(ctx, doctorID, meetingID))
	}
}

func stranger(t *testing.T, h Harness) {
	if h.Stranger == "" {
		t.Skip("this provider has no doctor who is not connected")
	}
	for op, err := range everyMethod(t.Context(), h.Provider, h.Stranger, unknownID) {
		wantError(t, op, err, telemed.ErrNotConnected)
	}
}

func hostLink(t *testing.T, h Harness) {
	linker, ok := h.Provider.(meet.HostLinker)
	if !ok {
		t.Skip("this provider does not implement meet.HostLinker: its hosts enter by the join link")
	}
	created := mustCreate(t, h, request("appt-1"))
	link, err := linker.HostLink(t.Context(), h.DoctorID, created.ID)
	if err != nil {
		t.Fatalf("HostLink: %v", err)
	}
	if link.Reveal() == "" || link.Reveal() == created.JoinURL {
		t.Error("the host link is empty, or that of the patients")
	}
	_, err = linker.HostLink(t.Context(), h.DoctorID, unknownID)
	wantError(t, "HostLink", err, telemed.ErrNotFound, telemed.ErrAmbiguous)
}

func zones(t *testing.T, h Harness) {
	base := time.Now().Add(72 * time.Hour).Truncate(time.Minute)
	newYork, err := time.LoadLocation("America/New_York")
	if err != nil {
		newYork = time.UTC
	}
	starts := map[string]time.Time{
		"fixed offset without a name": base.In(time.FixedZone("", 5*3600+1800)),
		"fixed offset, known letters": base.In(time.FixedZone("IST", 5*3600+1800)),
		"local":                       base.Local(),
		"new york":                    base.In(newYork),
		"new york in four months":     base.In(newYork).AddDate(0, 4, 0), // of the three, one has
		"new york in eight months":    base.In(newYork).AddDate(0, 8, 0), // another offset than today
		"fractions":                   base.Add(123456789),
	}
	for name, start := range starts {
		req := request("appt-" + name)
		req.Start, req.Duration = start, 90*time.Second
		m := mustCreate(t, h, req)
		if !m.Start.Equal(start.Truncate(time.Second)) {
			t.Errorf("%s: start is %v, want %v", name, m.Start, start)
		}
		if m.Duration != 2*time.Minute {
			t.Errorf("%s: 90 seconds became %v, want 2 minutes", name, m.Duration)
		}
	}
}

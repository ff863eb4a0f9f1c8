package meettest_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/suitetest"
	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/meet/meettest"
)

// broken are providers with one fault each, and the check that must find it.
var broken = map[string]struct {
	check string
	open  func(*meettest.Provider) meet.MeetingProvider
}{
	"names patients in the topic": {"create and get", onAnswer(func(m *meet.Meeting) { m.Topic = "Visit of Asha" })},
	"does not say who it is":      {"create and get", onAnswer(func(m *meet.Meeting) { m.Provider = "" })},
	"is never ready":              {"create and get", onAnswer(func(m *meet.Meeting) { m.Status, m.JoinURL = meet.StatusPending, "" })},
	"forgets keys":                {"the same key is the same meeting", onRequest(func(r *meet.Request) { r.Key += time.Now().String() })},
	"puts all in one room":        {"another key is another meeting", onRequest(func(r *meet.Request) { r.Key = "room" })},
	"holds the start to be the key": {"a key whose meeting was moved", onRequest(func(r *meet.Request) {
		r.Key += r.Start.String()
	})},
	"refuses to look once it has begun": {"a key whose start has passed", func(p *meettest.Provider) meet.MeetingProvider {
		return &brokenProvider{Provider: p, refuse: func(op string, r meet.Request) error { return r.ValidateAt(time.Now()) }}
	}},
	"brings back the cancelled": {"a key stays cancelled", retrying(meet.ErrCancelled, func(r *meet.Request) { r.Key += "+" })},
	"brings it back for another time": {"a key stays cancelled", func(p *meettest.Provider) meet.MeetingProvider {
		start := map[string]time.Time{}
		return &brokenProvider{Provider: p, request: func(r *meet.Request) {
			if first, ok := start[r.Key]; ok && !first.Equal(r.Start) {
				r.Key += r.Start.String()
			} else {
				start[r.Key] = r.Start
			}
		}}
	}},
	"makes another after a lost reply":        {"a lost reply", afterALoss(func(r *meet.Request) { r.Key += "+" })},
	"never comes to an end":                   {"a lost reply", stuckAfterALoss},
	"forgets the lost when it is cut short":   {"a call is cut short", afterAnEnd(func(r *meet.Request) { r.Key += "+" })},
	"takes another account's word":            {"another account", goneElsewhere},
	"keeps the account to itself":             {"another account", onAnswer(func(m *meet.Meeting) { m.Account = "" })},
	"makes it once more in another account":   {"another account", retrying(meet.ErrOtherAccount, func(r *meet.Request) { r.Key += "+" })},
	"revives it while others create":          {"cancel while others create", retrying(meet.ErrCancelled, func(r *meet.Request) { r.Key += "+" })},
	"takes the north's summer for everyone's": {"zones all year, in both hemispheres", northernSummer},
	"leaves the meeting in the first zone":    {"zones all year, in both hemispheres", firstZone},
	"makes a new link in Update": {"update keeps id and link", func(p *meettest.Provider) meet.MeetingProvider {
		updated := ""
		return &brokenProvider{Provider: p, onUpdate: func(id string) { updated = id }, answer: func(op string, m *meet.Meeting) {
			if op == "Get" && m.ID == updated {
				m.JoinURL += "-new"
			}
		}}
	}},
	"moves whatever has the id": {"update under another key", func(p *meettest.Provider) meet.MeetingProvider { return keyless{p} }},
	"cancels once": {"cancel twice", func(p *meettest.Provider) meet.MeetingProvider {
		return &brokenProvider{Provider: p, cancel: func(ctx context.Context, doctorID, id string) error {
			if m, err := p.Get(ctx, doctorID, id); err != nil || m.Status == meet.StatusCancelled {
				return errors.Join(err, telemed.ErrNotFound)
			}
			return p.Cancel(ctx, doctorID, id)
		}}
	}},
	"cancels whatever the context": {"a cancelled context", noContext("Cancel")},
	"updates whatever the context": {"a cancelled context", noContext("Update")},
	"reads for strangers":          {"a doctor who is not connected", asDoctor("Get")},
	"updates for strangers":        {"a doctor who is not connected", asDoctor("Update")},
	"takes today's offset for all the year": {"zones and odd times", onRequest(func(r *meet.Request) {
		_, now := time.Now().In(r.Start.Location()).Zone()
		_, then := r.Start.Zone()
		r.Start = r.Start.Add(time.Duration(then-now) * time.Second)
	})},
	"rounds down":                  {"zones and odd times", onRequest(func(r *meet.Request) { r.Duration = r.Duration.Truncate(time.Minute) })},
	"gives patients the host link": {"a host link is for the host alone", onAnswer(func(m *meet.Meeting) { m.JoinURL += "?host=1" })},
}

// TestBroken is the child's side of TestFindsWhatIsBroken.
func TestBroken(t *testing.T) {
	name := suitetest.Broken(t)
	meettest.Run(t, func(*testing.T) meettest.Harness {
		provider := meettest.New()
		return harness(provider, broken[name].open(provider))
	})
}

// TestFindsWhatIsBroken runs the suite over broken providers in other processes, where it
// may fail.
func TestFindsWhatIsBroken(t *testing.T) {
	t.Parallel()
	clauses := map[string]string{}
	for name, b := range broken {
		clauses[name] = b.check
	}
	suitetest.Finds(t, clauses)
}

// brokenProvider is a provider with a fault. What is nil is as it should be.
type brokenProvider struct {
	*meettest.Provider
	request  func(*meet.Request)
	refuse   func(op string, req meet.Request) error
	answer   func(op string, m *meet.Meeting)
	onUpdate func(meetingID string)
	cancel   func(ctx context.Context, doctorID, meetingID string) error
	context  func(ctx context.Context, op string) context.Context
	doctor   func(op, doctorID string) string
}

func onRequest(change func(*meet.Request)) func(*meettest.Provider) meet.MeetingProvider {
	return func(p *meettest.Provider) meet.MeetingProvider { return &brokenProvider{Provider: p, request: change} }
}

func onAnswer(change func(*meet.Meeting)) func(*meettest.Provider) meet.MeetingProvider {
	return func(p *meettest.Provider) meet.MeetingProvider {
		return &brokenProvider{Provider: p, answer: func(_ string, m *meet.Meeting) { change(m) }}
	}
}

func noContext(method string) func(*meettest.Provider) meet.MeetingProvider {
	return func(p *meettest.Provider) meet.MeetingProvider {
		return &brokenProvider{Provider: p, context: func(ctx context.Context, op string) context.Context {
			if op == method {
				return context.WithoutCancel(ctx)
			}
			return ctx
		}}
	}
}

func asDoctor(method string) func(*meettest.Provider) meet.MeetingProvider {
	return func(p *meettest.Provider) meet.MeetingProvider {
		return &brokenProvider{Provider: p, doctor: func(op, doctorID string) string {
			if op == method {
				return "dr-rao"
			}
			return doctorID
		}}
	}
}

// begin applies the faults of the arguments.
func (b *brokenProvider) begin(ctx context.Context, op, doctorID string) (context.Context, string) {
	if b.context != nil {
		ctx = b.context(ctx, op)
	}
	if b.doctor != nil {
		doctorID = b.doctor(op, doctorID)
	}
	return ctx, doctorID
}

// end applies the faults of the answer.
func (b *brokenProvider) end(op string, m *meet.Meeting, err error) (*meet.Meeting, error) {
	if err == nil && b.answer != nil {
		b.answer(op, m)
	}
	return m, err
}

func (b *brokenProvider) Create(ctx context.Context, doctorID string, req meet.Request) (*meet.Meeting, error) {
	ctx, doctorID = b.begin(ctx, "Create", doctorID)
	if b.request != nil {
		b.request(&req)
	}
	if b.refuse != nil {
		if err := b.refuse("Create", req); err != nil {
			return nil, err
		}
	}
	m, err := b.Provider.Create(ctx, doctorID, req)
	return b.end("Create", m, err)
}

func (b *brokenProvider) Get(ctx context.Context, doctorID, meetingID string) (*meet.Meeting, error) {
	ctx, doctorID = b.begin(ctx, "Get", doctorID)
	m, err := b.Provider.Get(ctx, doctorID, meetingID)
	return b.end("Get", m, err)
}

func (b *brokenProvider) Update(ctx context.Context, doctorID, meetingID string, req meet.Request) (*meet.Meeting, error) {
	ctx, doctorID = b.begin(ctx, "Update", doctorID)
	if b.request != nil {
		b.request(&req)
	}
	m, err := b.Provider.Update(ctx, doctorID, meetingID, req)
	if err == nil && b.onUpdate != nil {
		b.onUpdate(meetingID)
	}
	return b.end("Update", m, err)
}

func (b *brokenProvider) Cancel(ctx context.Context, doctorID, meetingID string) error {
	ctx, doctorID = b.begin(ctx, "Cancel", doctorID)
	if b.cancel != nil {
		return b.cancel(ctx, doctorID, meetingID)
	}
	return b.Provider.Cancel(ctx, doctorID, meetingID)
}

// retrying gives a Create that failed with an error another request.
func retrying(on error, change func(*meet.Request)) func(*meettest.Provider) meet.MeetingProvider {
	return func(p *meettest.Provider) meet.MeetingProvider { return retry{p, on, change} }
}

type retry struct {
	*meettest.Provider
	on     error
	change func(*meet.Request)
}

func (r retry) Create(ctx context.Context, doctorID string, req meet.Request) (*meet.Meeting, error) {
	m, err := r.Provider.Create(ctx, doctorID, req)
	if errors.Is(err, r.on) {
		r.change(&req)
		return r.Provider.Create(ctx, doctorID, req)
	}
	return m, err
}

// lossy treats the Create after a failed one otherwise.
type lossy struct {
	*meettest.Provider
	on     []error
	then   func(*meet.Request) error
	failed atomic.Bool
}

func (l *lossy) Create(ctx context.Context, doctorID string, req meet.Request) (*meet.Meeting, error) {
	if l.failed.Load() {
		if err := l.then(&req); err != nil {
			return nil, err
		}
	}
	m, err := l.Provider.Create(ctx, doctorID, req)
	for _, target := range l.on {
		if errors.Is(err, target) {
			l.failed.Store(true)
		}
	}
	return m, err
}

func afterALoss(change func(*meet.Request)) func(*meettest.Provider) meet.MeetingProvider {
	return func(p *meettest.Provider) meet.MeetingProvider {
		return &lossy{Provider: p, on: []error{telemed.ErrAmbiguous}, then: func(r *meet.Request) error { change(r); return nil }}
	}
}

func stuckAfterALoss(p *meettest.Provider) meet.MeetingProvider {
	return &lossy{Provider: p, on: []error{telemed.ErrAmbiguous}, then: func(*meet.Request) error { return telemed.ErrAmbiguous }}
}

// afterAnEnd makes a meeting under another key once a context has ended, beside the one
// that there may be.
func afterAnEnd(change func(*meet.Request)) func(*meettest.Provider) meet.MeetingProvider {
	return func(p *meettest.Provider) meet.MeetingProvider { return &cut{Provider: p, change: change} }
}

type cut struct {
	*meettest.Provider
	change func(*meet.Request)
}

func (c *cut) Create(ctx context.Context, doctorID string, req meet.Request) (*meet.Meeting, error) {
	if ctx.Err() != nil {
		c.change(&req)
		_, _ = c.Provider.Create(context.WithoutCancel(ctx), doctorID, req)
	}
	return c.Provider.Create(ctx, doctorID, req)
}

// goneElsewhere holds what it cannot see for gone.
func goneElsewhere(p *meettest.Provider) meet.MeetingProvider {
	return &brokenProvider{Provider: p, cancel: func(ctx context.Context, doctorID, id string) error {
		if err := p.Cancel(ctx, doctorID, id); !errors.Is(err, meet.ErrOtherAccount) {
			return err
		}
		return nil
	}}
}

// northernSummer adds New York's summer to every zone.
func northernSummer(p *meettest.Provider) meet.MeetingProvider {
	return &brokenProvider{Provider: p, request: func(r *meet.Request) {
		newYork, err := time.LoadLocation("America/New_York")
		if err != nil {
			return
		}
		if summer := r.Start.In(newYork).IsDST(); summer != r.Start.IsDST() {
			r.Start = r.Start.Add(time.Hour)
		}
	}}
}

// firstZone shows each meeting in the zone that it was made in.
func firstZone(p *meettest.Provider) meet.MeetingProvider {
	kolkata, err := time.LoadLocation("Asia/Kolkata")
	if err != nil {
		kolkata = time.UTC
	}
	return onAnswer(func(m *meet.Meeting) { m.Start = m.Start.In(kolkata) })(p)
}

// keyless believes the id alone in Update.
type keyless struct{ *meettest.Provider }

func (k keyless) Update(ctx context.Context, doctorID, id string, req meet.Request) (*meet.Meeting, error) {
	for _, key := range []string{"appt-1", "appt-2"} {
		req.Key = key
		if m, err := k.Provider.Update(ctx, doctorID, id, req); !errors.Is(err, telemed.ErrConflict) {
			return m, err
		}
	}
	return nil, telemed.ErrConflict
}

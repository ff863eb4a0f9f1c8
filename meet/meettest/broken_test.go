package meettest_test

import (
	"context"
	"errors"
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
	"brings back the cancelled": {"a key can be used again after cancel", func(p *meettest.Provider) meet.MeetingProvider {
		return &brokenProvider{Provider: p, cancel: func(context.Context, string, string) error { return nil }}
	}},
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
		provider.Connect("dr-rao")
		return meettest.Harness{Provider: broken[name].open(provider), DoctorID: "dr-rao", Stranger: "dr-who"}
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

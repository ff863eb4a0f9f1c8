// Package meettest fakes a meeting provider in memory and checks any other one.
//
// An application's unit tests use [New] in place of zoom or googlemeet:
//
//	provider := meettest.New()
//	m, err := provider.Create(ctx, "dr-rao", req)
//
// For tests over real HTTP there are zoom/zoomtest and meet/googlemeet/googlemeettest.
// Somebody who writes a provider runs [Run] over it.
package meettest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fake"
	"github.com/telemed-go/telemed/meet"
)

// The operations, for FailNext and FailAfter.
const (
	OpCreate   = "Create"
	OpGet      = "Get"
	OpUpdate   = "Update"
	OpCancel   = "Cancel"
	OpHostLink = "HostLink"
)

// Provider is a meet.MeetingProvider in memory. It is safe for concurrent use.
type Provider struct {
	errors  fake.Errors
	changes fake.Changes

	mu       sync.Mutex
	created  int
	meetings []*entry
	strict   bool
	doctors  map[string]bool
	accounts map[string]string // by doctor, where it is not the first
}

type entry struct {
	doctorID, key string
	meeting       meet.Meeting
	attendees     []meet.Attendee
}

// New returns a provider to which every doctor is connected.
func New() *Provider { return &Provider{errors: fake.Errors{Kit: "meettest"}} }

// Connect limits the provider to the doctors given here, now and before: for others,
// calls return telemed.ErrNotConnected.
func (p *Provider) Connect(doctorIDs ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.strict = true
	if p.doctors == nil {
		p.doctors = map[string]bool{}
	}
	for _, id := range doctorIDs {
		p.doctors[id] = true
	}
}

// ConnectAccount connects a doctor to another account, as a doctor does who clicks through
// a consent again. Meetings that were made before stay in the former account: for them,
// calls return meet.ErrOtherAccount until that one is connected again. The first account
// of a doctor is "account-1".
func (p *Provider) ConnectAccount(doctorID, account string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.accounts == nil {
		p.accounts = map[string]string{}
	}
	p.accounts[doctorID] = account
}

func (p *Provider) account(doctorID string) string { return cmp.Or(p.accounts[doctorID], "account-1") }

// FailNext makes the next calls of op fail before they do anything, each with one of
// errs. If op is empty, any calls. A nil among errs lets one through.
func (p *Provider) FailNext(op string, errs ...error) { p.errors.FailNext(op, errs...) }

// FailAfter is FailNext for calls that do what they are asked first: their answers are
// lost.
func (p *Provider) FailAfter(op string, errs ...error) { p.errors.FailAfter(op, errs...) }

// WaitFor returns the first meeting that match accepts, and waits for it until ctx ends.
// A cancelled meeting is one too.
func (p *Provider) WaitFor(ctx context.Context, match func(meet.Meeting) bool) (meet.Meeting, error) {
	return fake.WaitFor(ctx, &p.changes, func() (m meet.Meeting, ok bool) {
		all := p.Meetings()
		i := slices.IndexFunc(all, match)
		if i < 0 {
			return m, false
		}
		return all[i], true
	})
}

// Meetings returns all meetings that were made, cancelled ones too, in order.
func (p *Provider) Meetings() []meet.Meeting {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []meet.Meeting
	for _, e := range p.meetings {
		all = append(all, e.meeting)
	}
	return all
}

// Attendees returns who was invited to a meeting.
func (p *Provider) Attendees(meetingID string) []meet.Attendee {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.meetings {
		if e.meeting.ID == meetingID {
			return slices.Clone(e.attendees)
		}
	}
	return nil
}

// Create implements meet.MeetingProvider.
func (p *Provider) Create(ctx context.Context, doctorID string, req meet.Request) (*meet.Meeting, error) {
	// Whether it has passed matters to a new meeting alone.
	if err := req.Validate(); err != nil {
		return nil, failed(OpCreate, err)
	}
	return do(ctx, p, OpCreate, doctorID, func() (*meet.Meeting, error) { return p.create(doctorID, req) })
}

func (p *Provider) create(doctorID string, req meet.Request) (*meet.Meeting, error) {
	for _, e := range p.meetings {
		switch {
		case e.doctorID != doctorID || e.key != req.Key:
		case e.meeting.Status == meet.StatusCancelled:
			return nil, failed(OpCreate, meet.ErrCancelled)
		case e.meeting.Account != p.account(doctorID):
			return nil, failed(OpCreate, meet.ErrOtherAccount)
		default:
			return new(e.meeting), nil
		}
	}
	if err := req.ValidateAt(time.Now()); err != nil {
		return nil, failed(OpCreate, err)
	}
	p.created++
	id := fmt.Sprintf("meeting-%d", p.created)
	e := &entry{doctorID: doctorID, key: req.Key, meeting: meet.Meeting{
		ID: id, Provider: "meettest", Account: p.account(doctorID), JoinURL: "https://meet.invalid/" + id, Status: meet.StatusScheduled,
	}}
	e.set(req)
	p.meetings = append(p.meetings, e)
	return new(e.meeting), nil
}

// Get implements meet.MeetingProvider. A cancelled meeting has meet.StatusCancelled.
func (p *Provider) Get(ctx context.Context, doctorID, meetingID string) (*meet.Meeting, error) {
	return do(ctx, p, OpGet, doctorID, func() (*meet.Meeting, error) {
		e, err := p.find(OpGet, doctorID, meetingID)
		if err != nil {
			return nil, err
		}
		return new(e.meeting), nil
	})
}

// Update implements meet.MeetingProvider.
func (p *Provider) Update(ctx context.Context, doctorID, meetingID string, req meet.Request) (*meet.Meeting, error) {
	if err := req.ValidateAt(time.Now()); err != nil {
		return nil, failed(OpUpdate, err)
	}
	return do(ctx, p, OpUpdate, doctorID, func() (*meet.Meeting, error) {
		e, err := p.find(OpUpdate, doctorID, meetingID)
		switch {
		case err != nil:
			return nil, err
		case e.meeting.Status == meet.StatusCancelled:
			return nil, failed(OpUpdate, meet.ErrCancelled)
		case e.key != req.Key:
			return nil, fmt.Errorf("meettest: Update: the meeting is another key's: %w", telemed.ErrConflict)
		}
		e.set(req)
		return new(e.meeting), nil
	})
}

// Cancel implements meet.MeetingProvider.
func (p *Provider) Cancel(ctx context.Context, doctorID, meetingID string) error {
	_, err := do(ctx, p, OpCancel, doctorID, func() (struct{}, error) {
		e, err := p.find(OpCancel, doctorID, meetingID)
		switch {
		case errors.Is(err, telemed.ErrNotFound):
			return struct{}{}, nil
		case err != nil:
			return struct{}{}, err
		}
		e.meeting.Status = meet.StatusCancelled
		return struct{}{}, nil
	})
	return err
}

// HostLink implements meet.HostLinker.
func (p *Provider) HostLink(ctx context.Context, doctorID, meetingID string) (telemed.Secret, error) {
	return do(ctx, p, OpHostLink, doctorID, func() (telemed.Secret, error) {
		e, err := p.find(OpHostLink, doctorID, meetingID)
		if err != nil {
			return telemed.Secret{}, err
		}
		return telemed.NewSecret(e.meeting.JoinURL + "?host=1"), nil
	})
}

func (e *entry) set(req meet.Request) {
	req = req.Normal()
	e.meeting.Topic, e.meeting.Start, e.meeting.Duration = req.Topic, req.Start, req.Duration
	e.attendees = slices.Clone(req.Attendees)
}

// do carries out a call for a doctor who is connected, or fails as planned. It holds p.mu
// during call.
func do[T any](ctx context.Context, p *Provider, op, doctorID string, call func() (T, error)) (T, error) {
	var none T
	if err := ctx.Err(); err != nil {
		return none, failed(op, err)
	}
	return fake.Do(&p.errors, op, func() (T, error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		defer p.changes.Note()
		if p.strict && !p.doctors[doctorID] {
			return none, failed(op, telemed.ErrNotConnected)
		}
		return call()
	})
}

func failed(op string, err error) error { return fmt.Errorf("meettest: %s: %w", op, err) }

func (p *Provider) find(op, doctorID, meetingID string) (*entry, error) {
	for _, e := range p.meetings {
		if e.doctorID == doctorID && e.meeting.ID == meetingID {
			if e.meeting.Account != p.account(doctorID) {
				return nil, failed(op, meet.ErrOtherAccount)
			}
			return e, nil
		}
	}
	return nil, failed(op, telemed.ErrNotFound)
}

var (
	_ meet.MeetingProvider = (*Provider)(nil)
	_ meet.HostLinker      = (*Provider)(nil)
)

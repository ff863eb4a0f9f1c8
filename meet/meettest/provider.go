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
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/meet"
)

// Provider is a meet.MeetingProvider in memory. It is safe for concurrent use.
type Provider struct {
	mu       sync.Mutex
	created  int
	meetings []*entry
	failures []error
	strict   bool
	hosts    map[string]bool
}

type entry struct {
	doctorID, key string
	meeting       meet.Meeting
	attendees     []meet.Attendee
}

// New returns a provider to which every doctor is connected.
func New() *Provider { return &Provider{} }

// Connect limits the provider to the doctors given here, now and before: for others,
// calls return telemed.ErrNotConnected.
func (p *Provider) Connect(hostIDs ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.strict = true
	if p.hosts == nil {
		p.hosts = map[string]bool{}
	}
	for _, id := range hostIDs {
		p.hosts[id] = true
	}
}

// FailNext makes the next calls fail, each with one of errs, before they do anything.
func (p *Provider) FailNext(errs ...error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failures = append(p.failures, errs...)
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
	if err := req.Validate(req.Start); err != nil {
		return nil, fmt.Errorf("meettest: Create: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.ready(ctx, "Create", doctorID); err != nil {
		return nil, err
	}
	for _, e := range p.meetings {
		if e.doctorID == doctorID && e.key == req.Key && e.meeting.Status != meet.StatusCancelled {
			return new(e.meeting), nil
		}
	}
	if err := req.Validate(time.Now()); err != nil {
		return nil, fmt.Errorf("meettest: Create: %w", err)
	}
	p.created++
	id := fmt.Sprintf("meeting-%d", p.created)
	e := &entry{doctorID: doctorID, key: req.Key, meeting: meet.Meeting{
		ID: id, Provider: "meettest", JoinURL: "https://meet.invalid/" + id, Status: meet.StatusScheduled,
	}}
	e.set(req)
	p.meetings = append(p.meetings, e)
	return new(e.meeting), nil
}

// Get implements meet.MeetingProvider. A cancelled meeting has meet.StatusCancelled.
func (p *Provider) Get(ctx context.Context, doctorID, meetingID string) (*meet.Meeting, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.ready(ctx, "Get", doctorID); err != nil {
		return nil, err
	}
	e, err := p.find("Get", doctorID, meetingID)
	if err != nil {
		return nil, err
	}
	return new(e.meeting), nil
}

// Update implements meet.MeetingProvider.
func (p *Provider) Update(ctx context.Context, doctorID, meetingID string, req meet.Request) (*meet.Meeting, error) {
	if err := req.Validate(time.Now()); err != nil {
		return nil, fmt.Errorf("meettest: Update: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.ready(ctx, "Update", doctorID); err != nil {
		return nil, err
	}
	e, err := p.find("Update", doctorID, meetingID)
	if err != nil {
		return nil, err
	}
	switch {
	case e.meeting.Status == meet.StatusCancelled:
		return nil, fmt.Errorf("meettest: Update: the meeting is cancelled: %w", telemed.ErrConflict)
	case e.key != req.Key:
		return nil, fmt.Errorf("meettest: Update: the meeting is another key's: %w", telemed.ErrConflict)
	}
	e.set(req)
	return new(e.meeting), nil
}

// Cancel implements meet.MeetingProvider.
func (p *Provider) Cancel(ctx context.Context, doctorID, meetingID string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.ready(ctx, "Cancel", doctorID); err != nil {
		return err
	}
	if e, err := p.find("Cancel", doctorID, meetingID); err == nil {
		e.meeting.Status = meet.StatusCancelled
	}
	return nil
}

// HostLink implements meet.HostLinker.
func (p *Provider) HostLink(ctx context.Context, doctorID, meetingID string) (telemed.Secret, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.ready(ctx, "HostLink", doctorID); err != nil {
		return telemed.Secret{}, err
	}
	e, err := p.find("HostLink", doctorID, meetingID)
	if err != nil {
		return telemed.Secret{}, err
	}
	return telemed.NewSecret(e.meeting.JoinURL + "?host=1"), nil
}

func (e *entry) set(req meet.Request) {
	req = req.Normal()
	e.meeting.Topic, e.meeting.Start, e.meeting.Duration = req.Topic, req.Start, req.Duration
	e.attendees = slices.Clone(req.Attendees)
}

// ready returns what stands in the way of a call: its context, a planned failure, a
// missing connection.
func (p *Provider) ready(ctx context.Context, op, doctorID string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("meettest: %s: %w", op, err)
	}
	if len(p.failures) > 0 {
		err := p.failures[0]
		p.failures = p.failures[1:]
		return fmt.Errorf("meettest: %s: %w", op, err)
	}
	if p.strict && !p.hosts[doctorID] {
		return fmt.Errorf("meettest: %s: %w", op, telemed.ErrNotConnected)
	}
	return nil
}

func (p *Provider) find(op, doctorID, meetingID string) (*entry, error) {
	for _, e := range p.meetings {
		if e.doctorID == doctorID && e.meeting.ID == meetingID {
			return e, nil
		}
	}
	return nil, fmt.Errorf("meettest: %s: %w", op, telemed.ErrNotFound)
}

var (
	_ meet.MeetingProvider = (*Provider)(nil)
	_ meet.HostLinker      = (*Provider)(nil)
)

package tasks_test

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/meet/meettest"
	"github.com/telemed-go/telemed/store"
)

// rooms is a meeting provider of the hospital's own: a Jitsi server, where a room is there
// as soon as somebody opens its address. The claims remember who has which.
type rooms struct {
	server string // https://meet.lotus.example
	claims store.Claims
}

var _ meet.MeetingProvider = rooms{}

// room is what is remembered of one.
type room struct {
	Name, Topic string
	Start       time.Time
	Duration    time.Duration
	Cancelled   bool
}

// keepRoom is for how long.
const keepRoom = 400 * 24 * time.Hour

// roomID is a meeting's ID, by which its claim is found.
func roomID(doctorID, key string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q", doctorID, key))
	return hex.EncodeToString(sum[:])
}

// claim returns the room of an ID. It is nil if there is none; then the claim is ours.
func (r rooms) claim(ctx context.Context, id string) (store.Claim, *room, error) {
	c, err := r.claims.Claim(ctx, "rooms:"+id, time.Minute)
	switch {
	case err != nil:
		return c, nil, err
	case c.State == store.ClaimBusy: // another process is at it
		return c, nil, fmt.Errorf("rooms: %w", telemed.ErrUnavailable)
	case c.State == store.ClaimNew:
		return c, nil, nil
	}
	found := &room{}
	return c, found, json.Unmarshal(c.Value, found)
}

// find is claim for a room that must be there.
func (r rooms) find(ctx context.Context, doctorID, id string) (store.Claim, *room, error) {
	if doctorID == "" || id == "" {
		return store.Claim{}, nil, fmt.Errorf("rooms: doctor and meeting are required: %w", telemed.ErrInvalid)
	}
	c, found, err := r.claim(ctx, id)
	if err == nil && found == nil {
		err = cmp.Or(r.claims.Release(ctx, "rooms:"+id, c.Token), fmt.Errorf("rooms: %w", telemed.ErrNotFound))
	}
	return c, found, err
}

// keep writes a room down, and returns it as others see it.
func (r rooms) keep(ctx context.Context, id string, c store.Claim, is *room) (*meet.Meeting, error) {
	value, err := json.Marshal(is)
	if err == nil {
		err = r.claims.Complete(ctx, "rooms:"+id, c.Token, value, keepRoom)
	}
	if err != nil {
		return nil, err
	}
	return r.meeting(id, is), nil
}

func (r rooms) meeting(id string, is *room) *meet.Meeting {
	return &meet.Meeting{
		ID: id, Provider: "rooms", JoinURL: r.server + "/" + is.Name, Status: meet.StatusScheduled,
		Topic: is.Topic, Start: is.Start, Duration: is.Duration,
	}
}

func (r rooms) Create(ctx context.Context, doctorID string, req meet.Request) (*meet.Meeting, error) {
	if err := req.Validate(); err != nil {
		return nil, err
	}
	id, req := roomID(doctorID, req.Key), req.Normal()
	c, found, err := r.claim(ctx, id)
	switch {
	case err != nil:
		return nil, err
	case found != nil && found.Cancelled:
		return nil, fmt.Errorf("rooms: %w", meet.ErrCancelled)
	case found != nil:
		return r.meeting(id, found), nil
	}
	if err := req.ValidateAt(time.Now()); err != nil { // a new one must not be in the past
		return nil, cmp.Or(r.claims.Release(ctx, "rooms:"+id, c.Token), err)
	}
	made := &room{Name: rand.Text(), Topic: req.Topic, Start: req.Start, Duration: req.Duration}
	return r.keep(ctx, id, c, made)
}

func (r rooms) Get(ctx context.Context, doctorID, meetingID string) (*meet.Meeting, error) {
	_, found, err := r.find(ctx, doctorID, meetingID)
	if err != nil {
		return nil, err
	}
	m := r.meeting(meetingID, found)
	if found.Cancelled {
		m.Status, m.JoinURL = meet.StatusCancelled, ""
	}
	return m, nil
}

func (r rooms) Update(ctx context.Context, doctorID, meetingID string, req meet.Request) (*meet.Meeting, error) {
	if err := req.ValidateAt(time.Now()); err != nil {
		return nil, err
	}
	c, found, err := r.find(ctx, doctorID, meetingID)
	switch {
	case err != nil:
		return nil, err
	case found.Cancelled, meetingID != roomID(doctorID, req.Key):
		return nil, fmt.Errorf("rooms: %w", telemed.ErrConflict)
	}
	req = req.Normal()
	found.Topic, found.Start, found.Duration = req.Topic, req.Start, req.Duration
	return r.keep(ctx, meetingID, c, found)
}

func (r rooms) Cancel(ctx context.Context, doctorID, meetingID string) error {
	c, found, err := r.find(ctx, doctorID, meetingID)
	if errors.Is(err, telemed.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	found.Cancelled = true
	_, err = r.keep(ctx, meetingID, c, found)
	return err
}

// The conformance kit checks the contract: here two processes over one database.
func TestRooms(t *testing.T) {
	t.Parallel()
	meettest.Run(t, func(*testing.T) meettest.Harness {
		claims := store.NewMemory() // sqlstore.Store in production
		one, two := rooms{"https://meet.lotus.example", claims}, rooms{"https://meet.lotus.example", claims}
		return meettest.Harness{Provider: one, Second: two, DoctorID: "dr-rao"}
	})
}

// A provider of one's own goes where zoom and googlemeet go:
//
//	visit.Config{Meetings: map[string]meet.MeetingProvider{"rooms": rooms, "zoom": zoom}}
func Example_provider() {
	ctx, provider := context.Background(), rooms{"https://meet.lotus.example", store.NewMemory()}
	req := meet.Request{Key: "appt-42", Start: time.Now().Add(time.Hour), Duration: 30 * time.Minute}
	first, err := provider.Create(ctx, "dr-rao", req)
	fmt.Println(first.Topic, first.Status, err)
	again, err := provider.Create(ctx, "dr-rao", req)
	fmt.Println("the same room:", again.JoinURL == first.JoinURL, err)
	fmt.Println("cancelled:", provider.Cancel(ctx, "dr-rao", first.ID))
	_, err = provider.Create(ctx, "dr-rao", req)
	fmt.Println(err)
	// Output:
	// Video consultation scheduled <nil>
	// the same room: true <nil>
	// cancelled: <nil>
	// rooms: the key's meeting was cancelled
}

// Package meet says what a video consultation is; its leaves make one.
//
// An application asks a [MeetingProvider] for a meeting under a key of its own, the
// appointment's id, and keeps the [Meeting]'s ID beside the appointment:
//
//	m, err := provider.Create(ctx, doctorID, meet.Request{
//		Key:      "appt-42",
//		Start:    time.Date(2026, 3, 1, 10, 30, 0, 0, kolkata),
//		Duration: 30 * time.Minute,
//	})
//
// meet/googlemeet and zoom are providers; store/connect lets a doctor connect an
// account; meet/meettest fakes a provider in memory and checks any other one.
//
// # Errors
//
// Every provider returns errors that match the values below with errors.Is,
// whatever else they carry. telemed.ErrAmbiguous means that nobody knows whether it
// happened: call again with the same Key, and it is done once.
//
// # Security
//
// A topic is shown in calendars, mails, dashboards and webhooks of the provider.
// It is neutral unless the application sets it; a patient's name does not belong there.
// A join link lets whoever holds it in: a Meeting prints without it.
package meet

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/redact"
)

// MeetingProvider makes and keeps meetings in a doctor's account.
//
// doctorID is the doctor's id at the application; the provider finds the connected
// account by it. Implementations are safe for concurrent use, validate before any
// network call, honour ctx, and never change what they are given.
//
//   - Create makes a meeting. The same Key gives the same meeting, also after a lost
//     reply or in another process; after Cancel it gives a new one. A Key whose meeting
//     was moved since is telemed.ErrConflict or that meeting: use Update to move. A Key
//     that has a meeting gets it also when its Start has passed; a new one is
//     telemed.ErrInvalid then.
//   - Get reads a meeting. One that does not exist is telemed.ErrNotFound; a cancelled
//     one is telemed.ErrNotFound or has StatusCancelled.
//   - Update moves or renames a meeting; its ID and join link stay. req is the whole new
//     state; req.Key is the one given to Create: a meeting of another Key is
//     telemed.ErrConflict. A cancelled one is telemed.ErrNotFound or telemed.ErrConflict.
//   - Cancel ends it for good. One that is gone already is no error.
//
// A doctorID without an account is telemed.ErrNotConnected; an account that lost its
// permission is telemed.ErrReconnect.
type MeetingProvider interface {
	Create(ctx context.Context, doctorID string, req Request) (*Meeting, error)
	Get(ctx context.Context, doctorID, meetingID string) (*Meeting, error)
	Update(ctx context.Context, doctorID, meetingID string, req Request) (*Meeting, error)
	Cancel(ctx context.Context, doctorID, meetingID string) error
}

// HostLinker is what providers implement whose host enters by a link of their own.
type HostLinker interface {
	// HostLink returns a link that makes whoever opens it the host. Fetch it when the
	// doctor clicks, redirect to it, and do not store, mail or log it.
	HostLink(ctx context.Context, doctorID, meetingID string) (telemed.Secret, error)
}

// Status is where a meeting stands.
type Status string

const (
	// StatusScheduled means that the meeting has its join link.
	StatusScheduled Status = "scheduled"
	// StatusPending means that the meeting exists, but the provider is still making its
	// room: Get it again in some seconds.
	StatusPending Status = "pending"
	// StatusCancelled means that the meeting will not take place.
	StatusCancelled Status = "cancelled"
)

// Meeting is a meeting as the provider has it.
type Meeting struct {
	// ID is the provider's id, for Get, Update and Cancel. Opaque.
	ID string
	// Provider is the name of the provider: "google", "zoom".
	Provider string
	// JoinURL lets a patient in. Empty while Status is StatusPending.
	JoinURL string
	// Passcode is asked for where the link does not carry it. Empty if there is none.
	Passcode string
	// Status is where the meeting stands.
	Status Status
	// Topic is the title as the provider shows it.
	Topic string
	// Start is when it begins, in the zone of the request where the provider tells it.
	Start time.Time
	// Duration is how long it is planned to last.
	Duration time.Duration
}

// LogValue leaves out the join link and the passcode.
func (m Meeting) LogValue() slog.Value {
	return slog.GroupValue(slog.String("provider", m.Provider), slog.String("id", m.ID),
		slog.String("status", string(m.Status)), slog.Time("start", m.Start))
}

// Format tells the same for every verb.
func (m Meeting) Format(f fmt.State, _ rune) { redact.Format(f, m) }

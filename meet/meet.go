// Package meet says what a video consultation is; its leaves make one.
//
// An application asks a [MeetingProvider] for a meeting under a key of its own, and keeps
// the [Meeting]'s ID beside the appointment:
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
// # One Key, one meeting
//
// A Key is for one meeting, for good: a meeting that was cancelled, here or by the doctor
// in the calendar, is not made again ([ErrCancelled]). A job that repeats a Create cannot
// bring a cancelled visit back. A visit that takes place after all gets a new Key:
// "appt-42/2".
//
// # Which account
//
// A doctor may connect another account tomorrow. The meetings of today stay in the first
// one, and their links go on working. Three places know in which account a meeting is:
//
//   - the Meeting, in Account;
//   - the provider's Claims, by Key and by ID, from Create on: so the application passes
//     nothing but the ID;
//   - the provider itself, as long as the meeting can be read.
//
// A meeting in another account than the connected one is [ErrOtherAccount]. That a meeting
// is gone is believed only from the account that it was made in. If nobody knows that one,
// it is telemed.ErrAmbiguous: a person must look.
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
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/redact"
)

// MeetingProvider makes and keeps meetings in a doctor's account.
//
// doctorID is the doctor's id at the application; the provider finds the connected
// account by it. Implementations are safe for concurrent use, validate before any
// network call, honour ctx, and never change what they are given.
//
//   - Create makes a meeting. The same Key gives the same meeting, also after a lost
//     reply or in another process. After Cancel a Key stays cancelled for good:
//     ErrCancelled. A Key whose meeting was moved since is telemed.ErrConflict or that
//     meeting: use Update to move. A Key that has a meeting gets it also when its Start
//     has passed; a new one is telemed.ErrInvalid then. After telemed.ErrAmbiguous call
//     again: that ends.
//   - Get reads a meeting. One that does not exist is telemed.ErrNotFound; a cancelled
//     one is telemed.ErrNotFound or has StatusCancelled.
//   - Update moves or renames a meeting, and takes it into another zone; its ID and join
//     link stay. req is the whole new state; req.Key is the one given to Create: a meeting
//     of another Key is telemed.ErrConflict. A cancelled one is telemed.ErrNotFound or
//     telemed.ErrConflict.
//   - Cancel ends it for good. One that is gone already is no error, if it is the
//     account that it was made in that says so.
//
// A meeting in another account than the one that is connected now is ErrOtherAccount. One
// that is not found, where nobody knows in which account it was made, is
// telemed.ErrAmbiguous: neither there nor gone. A doctorID without an account is
// telemed.ErrNotConnected; an account that lost its permission is telemed.ErrReconnect.
type MeetingProvider interface {
	Create(ctx context.Context, doctorID string, req Request) (*Meeting, error)
	Get(ctx context.Context, doctorID, meetingID string) (*Meeting, error)
	Update(ctx context.Context, doctorID, meetingID string, req Request) (*Meeting, error)
	Cancel(ctx context.Context, doctorID, meetingID string) error
}

var (
	// ErrCancelled means that the Key's meeting was cancelled, by Cancel or by the doctor at
	// the provider, and that the Key will not get another one: take a new Key if the visit
	// takes place after all. It comes with telemed.ErrConflict.
	ErrCancelled = fault.Tagged(telemed.ErrConflict, errors.New("the key's meeting was cancelled"))
	// ErrOtherAccount means that the meeting is in another account than the one that the
	// doctor has connected now, where it cannot be reached. The doctor connects the first
	// one again, or cancels it there by hand. It comes with telemed.ErrConflict.
	ErrOtherAccount = fault.Tagged(telemed.ErrConflict, errors.New("the meeting is in another account than the connected one"))
)

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
	// Account is the account that the meeting is in: the Account.ID of the doctor's token
	// (store.Account). Empty if the provider does not tell it. It is opaque.
	Account string
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

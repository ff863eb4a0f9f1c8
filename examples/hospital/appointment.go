package main

import (
	"crypto/rand"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/payments"
)

// status is where a visit stands.
type status string

const (
	awaitingPayment status = "awaiting payment"
	paid            status = "paid"
	confirmed       status = "confirmed"
	cancelled       status = "cancelled"
)

// appointment is the hospital's own record of a visit. What is wanted is written into it
// before anything is done. Each step that is done is written down too. So the work can
// stop anywhere and go on later: see fulfill.
type appointment struct {
	// ID names the visit to providers. It is the Key of the order, and of the first meeting.
	ID string
	// Page is the address of the visit's page. It is random, and whoever has it is the
	// patient.
	Page     string
	Patient  patient
	Provider string // "google" or "zoom"
	Start    time.Time
	Amount   payments.Money
	Status   status

	OrderID, PaymentID, RefundID string
	PaidAt                       time.Time
	// RefundFailed is true if the bank sent the refund back. Then a person must call the
	// patient.
	RefundFailed bool

	// Replaced counts the meetings of the visit that the doctor has deleted. Each new one has
	// a Key of its own: that of a deleted meeting is used up.
	Replaced int
	// MeetingAsked is set before a meeting is asked for. From then on there may be one.
	MeetingAsked       bool
	MeetingID, JoinURL string
	// MeetingStart is when the provider has it. If that is not Start, it must still be
	// moved.
	MeetingStart time.Time
	// MeetingLeft is true if a cancelled meeting could not be removed, because the doctor
	// has disconnected.
	MeetingLeft bool

	// Sequence counts the changes that the patient is told of.
	Sequence int
	// Due are the messages to be sent, by their keys. Sent are those that were.
	Due  map[string]message
	Sent map[string]*notify.Receipt
}

// message is a template that is to be sent over a channel.
type message struct {
	template string
	channel  notify.Channel
}

// patient is who booked.
type patient struct {
	Name, Email, Phone, Locale string
	Zone                       *time.Location
}

func (p patient) recipient() notify.Recipient {
	return notify.Recipient{Name: p.Name, Email: p.Email, Phone: p.Phone, Locale: p.Locale, Zone: p.Zone}
}

// duration is how long every visit is planned for.
const duration = 30 * time.Minute

// request is what the meeting providers are asked for. It has no name and no topic of the
// hospital's.
func (a *appointment) request() meet.Request {
	key := a.ID
	if a.Replaced > 0 {
		key += "/" + strconv.Itoa(a.Replaced+1)
	}
	return meet.Request{Key: key, Start: a.Start, Duration: duration}
}

// newID returns an id of 32 characters that cannot be guessed. Keys of orders may have
// 40.
func newID() string { return "visit-" + strings.ToLower(rand.Text()) }

// owe notes messages that the patient is to get on both channels.
func (a *appointment) owe(templates ...string) {
	for _, name := range templates {
		for _, channel := range []notify.Channel{notify.Email, notify.WhatsApp} {
			key := strings.Join([]string{a.ID, name, strconv.Itoa(a.Sequence), string(channel)}, "/")
			a.Due[key] = message{name, channel}
		}
	}
}

// fulfilled reports whether nothing is left to do.
func (a *appointment) fulfilled() bool {
	switch a.Status {
	case awaitingPayment:
		return true
	case cancelled:
		return a.refunded() && a.meetingGone() && len(a.Due) == 0
	}
	return a.Status == confirmed && a.JoinURL != "" && a.MeetingStart.Equal(a.Start) && len(a.Due) == 0
}

func (a *appointment) refunded() bool { return a.PaymentID == "" || a.RefundID != "" }

func (a *appointment) meetingGone() bool {
	return !a.MeetingAsked || a.MeetingLeft
}

// receipts returns what was sent over a channel.
func (a *appointment) receipts(channel notify.Channel) map[string]bool {
	ids := map[string]bool{}
	for _, receipt := range a.Sent {
		if receipt.Channel == channel {
			ids[receipt.ID] = true
		}
	}
	return ids
}

func (a *appointment) clone() appointment {
	c := *a
	c.Due, c.Sent = maps.Clone(a.Due), maps.Clone(a.Sent)
	return c
}

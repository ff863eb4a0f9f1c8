package main

import (
	"crypto/rand"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
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

// appointment is the hospital's own record of a visit. Its ID is random: whoever
// has the link to its page is the patient.
type appointment struct {
	ID       string
	Patient  patient
	Provider string // "google" or "zoom"
	Start    time.Time
	Amount   payments.Money
	Status   status

	OrderID, PaymentID, RefundID string

	MeetingID, JoinURL string
	Sequence           int

	// Sent holds the receipts of what was sent, by the message's key: what is in it is not sent again.
	Sent map[string]*notify.Receipt
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

// request is what the meeting providers are asked for: no name, no topic of the hospital's.
func (a *appointment) request() meet.Request {
	return meet.Request{Key: a.ID, Start: a.Start, Duration: duration}
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

// ledger is the hospital's database: here a map. with holds an appointment's lock
// while work is done on it, as a row lock would.
type ledger struct {
	mu    sync.Mutex
	order []string
	rows  map[string]*row
}

type row struct {
	mu sync.Mutex
	appointment
}

func newLedger() *ledger { return &ledger{rows: map[string]*row{}} }

var errNoVisit = errors.New("there is no such visit")

// newID returns an id that cannot be guessed and is short enough for a receipt of 40 characters.
func newID() string { return "visit-" + strings.ToLower(rand.Text()) }

func (l *ledger) add(a appointment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a.Sent = map[string]*notify.Receipt{}
	l.rows[a.ID] = &row{appointment: a}
	l.order = append(l.order, a.ID)
}

// with runs work on the appointment. Changes stay, also if work returns an error: each
// is made after what it records has happened.
func (l *ledger) with(id string, work func(*appointment) error) error {
	l.mu.Lock()
	r, ok := l.rows[id]
	l.mu.Unlock()
	if !ok {
		return errNoVisit
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return work(&r.appointment)
}

// get returns a copy for a page.
func (l *ledger) get(id string) (appointment, error) {
	var found appointment
	err := l.with(id, func(a *appointment) error {
		found = *a
		found.Sent = make(map[string]*notify.Receipt, len(a.Sent))
		maps.Copy(found.Sent, a.Sent)
		return nil
	})
	return found, err
}

// byOrder finds the visit that a payment is for.
func (l *ledger) byOrder(orderID string) (appointment, error) {
	for _, a := range l.all() {
		if a.OrderID == orderID && orderID != "" {
			return a, nil
		}
	}
	return appointment{}, errNoVisit
}

// all returns copies, newest first.
func (l *ledger) all() []appointment {
	l.mu.Lock()
	ids := slices.Clone(l.order)
	l.mu.Unlock()
	var all []appointment
	for _, id := range slices.Backward(ids) {
		if a, err := l.get(id); err == nil {
			all = append(all, a)
		}
	}
	return all
}

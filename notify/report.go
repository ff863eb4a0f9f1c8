package notify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"time"

	"github.com/telemed-go/telemed/internal/redact"
)

// Reference returns what a provider is given for a message's Key, and sends back with what
// it reports: 64 hexadecimal digits, from which nobody reads the Key.
func Reference(key string) string {
	sum := sha256.Sum256([]byte("telemed message\x00" + key))
	return hex.EncodeToString(sum[:])
}

// ReportState is what a provider says of a message after it was accepted.
type ReportState string

// The states of a report. Reports come late, twice, and in any order.
const (
	ReportSent      ReportState = "sent"      // it is on its way
	ReportDelivered ReportState = "delivered" // it has arrived
	ReportRead      ReportState = "read"      // somebody has seen it
	ReportFailed    ReportState = "failed"    // it will not arrive
	ReportStopped   ReportState = "stopped"   // the recipient wants no more messages
	ReportMoved     ReportState = "moved"     // the recipient has another address
)

// Report is what a channel's provider says of a message, mostly by a webhook.
type Report struct {
	// Channel is the way that the message took. Required.
	Channel Channel
	// Reference is [Reference] of the message's Key. Empty for a message of somebody else.
	Reference string
	// ID is the provider's, as in the Receipt. May be empty.
	ID string
	// State is what happened. Required.
	State ReportState
	// At is when. Zero if the provider does not say.
	At time.Time
	// Address is whose report it is, where a recipient speaks and no message does: the
	// E.164 number or e-mail address that wants no more messages, or the provider's id of a
	// person who hides it. Of ReportMoved it is the old address, which may be a stranger's
	// from now on. Empty else.
	Address string
	// NewAddress is the new one of ReportMoved. Empty else.
	NewAddress string
	// KnownAs are further addresses by which the provider knows the same person: Meta's
	// spelling of a number, a user id. A report of a message has the recipient's. May be nil.
	KnownAs []string
	// Err is why it failed, with the errors of Notifier. Nil if it did not.
	Err error
}

// LogValue leaves out whose report it is.
func (r Report) LogValue() slog.Value {
	return slog.GroupValue(slog.String("channel", string(r.Channel)), slog.String("state", string(r.State)), slog.String("reference", r.Reference))
}

// Format prints what LogValue tells, whatever the verb.
func (r Report) Format(f fmt.State, _ rune) { redact.Format(f, r) }

// Outcome is what is known of a message whose answer was lost.
type Outcome int

// The outcomes.
const (
	OutcomeUnknown    Outcome = iota // nobody knows, or not yet
	OutcomeArrived                   // the provider has it
	OutcomeNotArrived                // the provider surely does not have it, and never will
)

// Evidence is asked what became of a message whose answer was lost, where a provider can be
// asked: a mail relay that lists its events, for instance. Channels that report by
// themselves need none.
type Evidence interface {
	// Outcome looks for the message with this reference, sent at about that time, UTC.
	// OutcomeNotArrived is said only if it holds for good. An error is that it could not be
	// asked.
	Outcome(ctx context.Context, reference string, sent time.Time) (Outcome, error)
}

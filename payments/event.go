package payments

import (
	"cmp"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/redact"
	"github.com/telemed-go/telemed/internal/webhook"
)

// The event types that carry typed contents. Others reach the handler too, with Raw
// alone.
const (
	EventOrderPaid         = "order.paid"
	EventPaymentAuthorized = "payment.authorized"
	EventPaymentCaptured   = "payment.captured"
	EventPaymentFailed     = "payment.failed"
	EventRefundCreated     = "refund.created"
	EventRefundProcessed   = "refund.processed"
	// EventRefundFailed takes a payment back to what it was before the refund: captured, or
	// authorized. The money is the application's again, and the patient has it not.
	EventRefundFailed = "refund.failed"
	// EventRefundSpeedChanged tells that a fast refund goes at the normal speed.
	EventRefundSpeedChanged = "refund.speed_changed"
)

// Event is a signed message from the gateway. It shows how things were when it
// was made: events come more than once, late and out of order. Before acting,
// compare with what is stored ([PaymentStatus.CanBecome]).
type Event struct {
	// ID is the gateway's id of the event. It is not covered by the signature; may be empty.
	ID string
	// Type is what happened, EventPaymentCaptured for instance.
	Type string
	// AccountID is the gateway account that it happened in.
	AccountID string
	// CreatedAt is when it happened; zero if the gateway did not say.
	CreatedAt time.Time
	// Payment, Order and Refund are what the event is about; nil where it is not. A
	// payment.captured comes without its order, and a [Webhook] reads that from the gateway
	// before Handle; see WebhookConfig.Parser.
	Payment *Payment
	Order   *Order
	Refund  *Refund
	// Unread names the fields that hold what cannot be read, "payment.amount" for instance.
	// They are at their zero: ask the gateway before acting on them. Nil as a rule.
	Unread []string
	// Raw is the body as it was received and signed, the payer's data included. Never log
	// it. It is left out when the event is encoded; all the rest can be queued as JSON.
	Raw json.RawMessage `json:"-"`
}

// Fact names what happened, not the message that tells it: one payment gives
// payment.captured and order.paid, each with an event id of its own, and both have the
// key "order:order_…:paid". An application that books visits keeps it in a unique column,
// so that a visit is booked once.
//
// Only what says that the order is paid ends in ":paid". An instalment, and a
// payment.captured whose order is not in the event, have the key "payment:pay_…:captured".
func (e Event) Fact() string {
	switch e.Type {
	case EventOrderPaid, EventPaymentCaptured:
		if e.paid() {
			return "order:" + e.Order.ID + ":paid"
		}
		if e.Payment != nil {
			return "payment:" + e.Payment.ID + ":captured"
		}
	case EventPaymentAuthorized, EventPaymentFailed:
		if e.Payment != nil {
			return "payment:" + e.Payment.ID + ":" + e.Type[len("payment."):]
		}
	case EventRefundCreated, EventRefundProcessed, EventRefundFailed, EventRefundSpeedChanged:
		if e.Refund != nil {
			return "refund:" + e.Refund.ID + ":" + e.Type[len("refund."):]
		}
	}
	if e.ID != "" {
		return "event:" + e.ID
	}
	return "body:" + webhook.Digest(e.Raw)
}

// paid reports whether the event says that its order is paid. An order.paid says it by its
// name, unless the order in it says something else.
func (e Event) paid() bool {
	return e.Order != nil && (e.Order.IsPaid() || e.Type == EventOrderPaid && e.Order.Status == "")
}

// wantsOrder reports whether an order that is not in the event, or not whole, decides over
// it.
func (e Event) wantsOrder() bool {
	if e.Type != EventPaymentCaptured && e.Type != EventOrderPaid || e.Payment == nil || e.Payment.OrderID == "" {
		return false
	}
	odd := slices.ContainsFunc(e.Unread, func(field string) bool { return strings.HasPrefix(field, "order.") })
	return e.Order == nil || odd
}

// LogValue tells the id and the type, if they look like one, and the fact. An id that may
// be somebody's words is left out, and the body's SHA-256 stands for the fact.
func (e Event) LogValue() slog.Value {
	fact := e.Fact()
	if parts := strings.Split(fact, ":"); parts[0] != "body" && (len(parts) < 2 || fault.RandomID(parts[1]) == "") {
		fact = "body:" + webhook.Digest(e.Raw)
	}
	return slog.GroupValue(
		slog.String("id", fault.RandomID(e.ID)), slog.String("type", cmp.Or(eventWords.Known(e.Type), "another")), slog.String("key", fact))
}

// eventWords are types of events that are logged. What else a gateway writes there is not
// ours to print.
var eventWords = fault.NewWords(
	EventOrderPaid, EventPaymentAuthorized, EventPaymentCaptured, EventPaymentFailed,
	EventRefundCreated, EventRefundProcessed, EventRefundFailed, EventRefundSpeedChanged,
)

// Format tells the same for every verb.
func (e Event) Format(f fmt.State, _ rune) { redact.Format(f, e) }

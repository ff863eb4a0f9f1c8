package razorpay

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/rest"
	"github.com/telemed-go/telemed/payments"
)

// Error is a call to Razorpay that did not succeed. errors.Is ties it to the
// sentinels of package payments. Its text has Razorpay's codes but not its
// prose, which may repeat what a patient typed.
//
// https://razorpay.com/docs/errors/
type Error struct {
	// Op is the method that failed, "CreateOrder".
	Op string
	// Status is the HTTP status; 0 if there was no whole answer.
	Status int
	// Code is "BAD_REQUEST_ERROR", "GATEWAY_ERROR", "SERVER_ERROR", …; may be empty.
	Code string
	// Field names the field that was wrong, Reason why ("input_validation_failed"),
	// Source who caused it ("business", "customer"), Step where ("payment_initiation"). Each may be empty.
	Field, Reason, Source, Step string
	// OrderID and PaymentID are what the error is about, if Razorpay said so.
	OrderID, PaymentID string
	// Description is Razorpay's sentence. It may repeat what was sent: never log it.
	Description string `json:"-"`
	// RequestID is Razorpay's id for the request, if it sent one.
	RequestID string
	// RetryAfter is what Razorpay asked to wait; 0 if it did not.
	RetryAfter time.Duration

	kind  error // one of the sentinels
	cause error
}

// Error returns, for instance, "razorpay: Refund: 429: rate limited".
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "razorpay: %s: ", e.Op)
	if e.Status != 0 {
		fmt.Fprintf(&b, "%d", e.Status)
		if details := e.details(); details != "" {
			fmt.Fprintf(&b, " (%s)", details)
		}
		b.WriteString(": ")
	}
	b.WriteString(e.kind.Error())
	if e.cause != nil {
		fmt.Fprintf(&b, ": %v", e.cause)
	}
	return b.String()
}

// details joins those of Razorpay's constants that look like constants.
func (e *Error) details() string {
	var parts []string
	for _, part := range []struct{ label, value string }{{"", e.Code}, {"reason ", e.Reason}, {"field ", e.Field}} {
		if plain(part.value, 64) {
			parts = append(parts, part.label+part.value)
		}
	}
	return strings.Join(parts, ", ")
}

// GoString returns Error(), so that %#v has no prose in it either.
func (e *Error) GoString() string { return e.Error() }

// Is reports whether target is the sentinel for what happened.
func (e *Error) Is(target error) bool { return errors.Is(e.kind, target) }

// Unwrap returns the cause: a context's error, for instance.
func (e *Error) Unwrap() error { return e.cause }

// RetryDelay returns RetryAfter: the method that a caller of any leaf can ask an error for.
func (e *Error) RetryDelay() time.Duration { return e.RetryAfter }

// plain reports whether text is a constant, a field name or an id: nothing a person would type.
func plain(text string, limit int) bool {
	if text == "" || len(text) > limit {
		return false
	}
	return strings.IndexFunc(text, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-.[]", r))
	}) < 0
}

// The outcomes that only this package acts on; the host sees what they wrap.
var (
	errInProgress   = fault.Tagged(telemed.ErrAmbiguous, errors.New("the same request is still being worked on"))
	errReceiptTaken = fault.Tagged(payments.ErrKeyConflict, errors.New("receipt was used before"))
)

// kinds knows Razorpay's refusals, which have one code (BAD_REQUEST_ERROR) and
// nearly always one reason for everything. So its sentences decide, in lower
// case; the first row that fits wins. Rows without a status fit any 4xx.
var kinds = []struct {
	status int
	text   string // part of the description
	kind   error
}{
	{http.StatusUnauthorized, "", telemed.ErrUnauthorized},
	{http.StatusTooManyRequests, "", telemed.ErrRateLimited},
	{0, "api key provided is invalid", telemed.ErrUnauthorized},
	{0, "api secret provided is invalid", telemed.ErrUnauthorized},
	{0, "different request with the same idempotency key", payments.ErrKeyConflict},
	{0, "id provided does not exist", telemed.ErrNotFound},
	{0, "is not a valid id", telemed.ErrNotFound},
	{0, "already been captured", payments.ErrAlreadyCaptured},
	{0, "capture amount must be equal", payments.ErrAmountMismatch},
	{0, "fully refunded already", payments.ErrAlreadyRefunded},
	{0, "status should be captured", payments.ErrPaymentIncomplete},
	{0, "receipt should be unique", errReceiptTaken},
}

func newError(op string, err *rest.Error, write bool) *Error {
	e := &Error{Op: op, Status: err.Status, RequestID: err.RequestID, RetryAfter: err.RetryAfter, cause: err.Err}
	e.read(err.Body)
	e.kind = e.classify(err, write)
	return e
}

func (e *Error) classify(err *rest.Error, write bool) error {
	if err.Status < 400 || err.Status > 499 || err.Err != nil {
		return err.Kind(write)
	}
	said := strings.TrimRight(strings.ToLower(e.Description), ". ")
	if said == "authentication failed" { // but not "… due to incorrect OTP"
		return telemed.ErrUnauthorized
	}
	for _, row := range kinds {
		if (row.status == 0 || row.status == err.Status) && strings.Contains(said, row.text) {
			return row.kind
		}
	}
	if write && err.Status == http.StatusConflict { // whatever it says: the documents give it no text
		return errInProgress
	}
	switch e.Code {
	case "GATEWAY_ERROR", "SERVER_ERROR", "SERVICE_UNAVAILABLE": // whatever the status says
		if write {
			return telemed.ErrAmbiguous
		}
		return telemed.ErrUnavailable
	}
	return err.Kind(write)
}

// read takes what it can from an error body: the documented envelope, or
// {"message":…}, or a bare string; HTML gives nothing.
func (e *Error) read(body []byte) {
	var envelope struct {
		Error struct {
			Code, Description, Field, Source, Step, Reason text
			Metadata                                       json.RawMessage
		}
		Message text
	}
	var bare string
	if json.Unmarshal(body, &envelope) != nil {
		if json.Unmarshal(body, &bare) == nil {
			e.Description = bare
		}
		return
	}
	got := envelope.Error
	e.Code, e.Field, e.Source = known(got.Code), known(got.Field), known(got.Source)
	e.Step, e.Reason = known(got.Step), known(got.Reason)
	e.Description = string(got.Description)
	if e.Description == "" {
		e.Description = string(envelope.Message)
	}
	e.OrderID, e.PaymentID = readMetadata(got.Metadata)
}

// readMetadata reads {"payment_id":…,"order_id":…}, which may be [] or null as well.
func readMetadata(raw []byte) (orderID, paymentID string) {
	var ids struct {
		Order   text `json:"order_id"`
		Payment text `json:"payment_id"`
	}
	if json.Unmarshal(raw, &ids) != nil {
		return "", ""
	}
	return idOr(string(ids.Order), "order"), idOr(string(ids.Payment), "pay")
}

func idOr(id, prefix string) string {
	if !validID(id, prefix) {
		return ""
	}
	return id
}

// known drops the ways in which Razorpay says nothing.
func known(value text) string {
	if value == "NA" || value == "null" {
		return ""
	}
	return string(value)
}

func hasKind(err, kind error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.kind == kind
}

// refuse is an error that this package finds itself, after an answer that was good in form.
func refuse(op string, kind error) *Error { return &Error{Op: op, kind: kind} }

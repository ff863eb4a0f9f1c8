package razorpay

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/redact"
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
	// Status is the HTTP status; 0 if there was no answer.
	Status int
	// Code is "BAD_REQUEST_ERROR", "GATEWAY_ERROR", "SERVER_ERROR", …; may be empty.
	Code string
	// Field names the field that was wrong, Reason why ("input_validation_failed"),
	// Source who caused it ("business", "customer"), Step where ("payment_initiation").
	// Each may be empty, and is for a word that is not documented.
	Field, Reason, Source, Step string
	// OrderID and PaymentID are what the error is about, if Razorpay said so.
	OrderID, PaymentID string
	// Description is Razorpay's sentence. It may repeat what was sent: never log it.
	Description string `json:"-"`
	// RequestID is Razorpay's id for the request, if it sent one that looks random.
	RequestID string
	// RetryAfter is what Razorpay asked to wait; 0 if it did not.
	RetryAfter time.Duration

	kind  error // one of the sentinels
	cause error
}

// Error returns a text such as
// "razorpay: Refund: 400 (BAD_REQUEST_ERROR, field amount): invalid request".
func (e *Error) Error() string {
	return fault.Text{
		Package: "razorpay", Op: e.Op, Status: e.Status,
		Codes: []fault.Code{{Word: e.Code}, {Label: "reason", Word: e.Reason}, {Label: "field", Word: e.Field}},
		Kind:  e.kind, Cause: e.cause, RequestID: e.RequestID,
	}.String()
}

// LogValue is Error, without Razorpay's sentence.
func (e *Error) LogValue() slog.Value { return slog.StringValue(e.Error()) }

// Format prints what LogValue tells, whatever the verb.
func (e *Error) Format(f fmt.State, _ rune) { redact.Format(f, e) }

// Is reports whether target is the sentinel for what happened.
func (e *Error) Is(target error) bool { return errors.Is(e.kind, target) }

// Unwrap returns the cause: a context's error, for instance.
func (e *Error) Unwrap() error { return e.cause }

// RetryDelay returns RetryAfter: the method that a caller of any leaf can ask an error
// for.
func (e *Error) RetryDelay() time.Duration { return e.RetryAfter }

// The outcomes that only this package acts on; the application sees what they wrap.
var (
	errInProgress   = fault.Tagged(telemed.ErrAmbiguous, errors.New("the same request is still being worked on"))
	errReceiptTaken = fault.Tagged(payments.ErrKeyConflict, errors.New("receipt was used before"))
)

// Refusals of a request that is right, by the state of the world. Sending it again changes
// nothing; a person may have to.
var (
	errBalance  = fault.Tagged(telemed.ErrConflict, errors.New("the account has too little balance"))
	errTooOld   = fault.Tagged(telemed.ErrConflict, errors.New("the payment is too old"))
	errNoRefund = fault.Tagged(telemed.ErrConflict, errors.New("the payment's method takes no refund"))
	errState    = fault.Tagged(telemed.ErrConflict, errors.New("the state of the payment or of the account forbids it"))
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
	{0, "api key provided is invalid", telemed.ErrUnauthorized},
	{0, "api secret provided is invalid", telemed.ErrUnauthorized},
	{0, "different request with the same idempotency key", payments.ErrKeyConflict},
	{0, "id provided does not exist", telemed.ErrNotFound},
	{0, "is not a valid id", telemed.ErrNotFound},
	{http.StatusNotFound, "requested url was not found", telemed.ErrUnavailable}, // not the payment
	{0, "already been captured", payments.ErrAlreadyCaptured},
	{0, "capture amount must be equal", payments.ErrAmountMismatch},
	{0, "fully refunded already", payments.ErrAlreadyRefunded},
	{0, "status should be captured", payments.ErrPaymentIncomplete},
	{0, "receipt should be unique", errReceiptTaken},
	{0, "greater than the refund", telemed.ErrInvalid}, // more than is left
	{0, "enough balance", errBalance},
	{0, "insufficient balance", errBalance},
	{0, "balance is insufficient", errBalance},
	{0, "insufficient funds", errBalance},
	{0, "sufficient balance", errBalance},
	{0, "months old", errTooOld},
	{0, "older than", errTooOld},
	{0, "refund is not supported", errNoRefund},
	{0, "refunds are not supported", errNoRefund},
	{0, "does not support refund", errNoRefund},
	{0, "is not activated", errState},
	{0, "not been activated", errState},
	{0, "not enabled", errState},
	{0, "is disabled", errState},
	{0, "been suspended", errState},
}

// newError types the error of a rest call.
func newError(op string, err error) *Error {
	answer, _ := errors.AsType[*rest.Error](err) // rest has no other
	e := &Error{
		Op: op, Status: answer.Status, RequestID: requestID(answer.Header), RetryAfter: answer.RetryAfter,
		kind: answer.Kind, cause: answer.Err,
	}
	e.read(answer.Body)
	return e
}

func requestID(h http.Header) string {
	return fault.RandomID(cmp.Or(h.Get("X-Razorpay-Request-Id"), h.Get("X-Request-Id"), h.Get("Request-Id")))
}

// classify says what an answer of Razorpay's means.
func classify(a *rest.Answer) (rest.Outcome, error) {
	outcome, kind := rest.ByStatus(a)
	if a.Status/100 != 4 || a.Err != nil || outcome == rest.Busy {
		return outcome, kind
	}
	var said Error
	readable := said.read(a.Body)
	refusal := said.refusal(a.Status)
	switch {
	case refusal != nil:
		return rest.Refused, refusal
	case a.Status == http.StatusConflict && a.Request.Method != http.MethodGet:
		return inProgress(a), errInProgress // whatever it says: the documents give it no text
	case slices.Contains(failures, said.Code): // whatever the status says
		return outcome, a.Unknown()
	case errors.Is(kind, telemed.ErrNotFound) && said.Code == "":
		return rest.Foreign, a.Unknown() // a proxy's word, and no proof of absence
	case outcome == rest.Refused && !readable:
		return rest.Foreign, kind
	case errors.Is(kind, telemed.ErrInvalid) && said.aboutState(a):
		return rest.Refused, errState
	}
	return outcome, kind
}

// aboutState reports whether the refusal of a capture or a refund is about the payment or
// the account as they are: the request was checked before it was sent, and Razorpay names
// no field of it and no field too many.
func (e *Error) aboutState(a *rest.Answer) bool {
	return a.Request.Method == http.MethodPost && strings.HasPrefix(a.Request.URL.Path, "/v1/payments/") &&
		e.Code != "" && e.Field == "" && e.Reason != "extra_field_sent"
}

// failures are the codes of what went wrong at Razorpay, or at a bank.
var failures = []string{"GATEWAY_ERROR", "SERVER_ERROR", "SERVICE_UNAVAILABLE"}

// inProgress says what to do while the same request is being worked on. One with an
// idempotency key is asked for again.
func inProgress(a *rest.Answer) rest.Outcome {
	if a.Request.Header.Get(idempotencyHeader) != "" {
		return rest.Open
	}
	return rest.Refused
}

// refusal finds the row of kinds for what Razorpay said, nil if there is none.
func (e *Error) refusal(status int) error {
	said := strings.TrimRight(strings.ToLower(e.Description), ". ")
	if said == "authentication failed" { // but not "… due to incorrect OTP"
		return telemed.ErrUnauthorized
	}
	for _, row := range kinds {
		if (row.status == 0 || row.status == status) && strings.Contains(said, row.text) {
			return row.kind
		}
	}
	return nil
}

// read takes what it can from an error body: the documented envelope, or
// {"message":…}, or a bare string. It reports whether it is any of these; HTML is not.
func (e *Error) read(body []byte) bool {
	var envelope struct {
		Error struct {
			Code, Description, Field, Source, Step, Reason text
			Metadata                                       json.RawMessage
		}
		Message text
	}
	var bare string
	if json.Unmarshal(body, &envelope) != nil {
		isBare := json.Unmarshal(body, &bare) == nil
		e.Description = bare
		return isBare
	}
	got := envelope.Error
	e.Code, e.Field, e.Source = constant(string(got.Code)), constant(string(got.Field)), constant(string(got.Source))
	e.Step, e.Reason = constant(string(got.Step)), constant(string(got.Reason))
	e.Description = string(got.Description)
	if e.Description == "" {
		e.Description = string(envelope.Message)
	}
	e.OrderID, e.PaymentID = readMetadata(got.Metadata)
	return true
}

// constant drops what is no documented word of Razorpay's: anything else may be prose.
func constant(value string) string { return words.Known(value) }

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

func hasKind(err, kind error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.kind == kind
}

// refuse is an error that this package finds itself, after an answer that was good in
// form.
func refuse(op string, kind error) *Error { return &Error{Op: op, kind: kind} }

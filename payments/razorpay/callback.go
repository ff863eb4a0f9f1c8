package razorpay

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/inbound"
	"github.com/telemed-go/telemed/internal/redact"
	"github.com/telemed-go/telemed/payments"
)

// maxCallback is how many bytes of a callback are read: 64 KiB.
const maxCallback = 64 << 10

// ParseCallback reads what the payment form ended with, from a POST, in each form in which
// a page may send what checkout.js gave it:
//
//   - JSON ({"razorpay_payment_id":…}), also as the text/plain that navigator.sendBeacon
//     makes of a string;
//   - a form, as the browser posts it to the callback URL, or as URLSearchParams;
//   - multipart/form-data, as FormData makes it.
//
// Order and payment are signed by Razorpay, else it is telemed.ErrSignature; see
// [payments.CallbackParser] for what that does not prove. A failure is a *CheckoutFailure.
// At most 64 KiB are read.
//
// The form comes from Razorpay's site, so a SameSite=Lax session cookie is not with it, and
// a CSRF check that looks at Origin must let this route through: the signature is what
// proves it.
//
// https://razorpay.com/docs/payments/payment-gateway/web-integration/standard/integration-steps/#15-verify-payment-signature
func (c *Client) ParseCallback(w http.ResponseWriter, r *http.Request) (payments.Confirmation, error) {
	const op = "ParseCallback"
	body, err := readCallback(w, r)
	if err != nil {
		return payments.Confirmation{}, err
	}
	fields, err := readCheckout(r.Header.Get("Content-Type"), body)
	switch {
	case errors.Is(err, errContentType):
		return payments.Confirmation{}, fault.Invalid("razorpay: "+op, "Content-Type", "%v", errContentType)
	case err != nil:
		return payments.Confirmation{}, fault.Invalid("razorpay: "+op, "Body", "cannot be read")
	case fields.failure != nil:
		return payments.Confirmation{}, fields.failure
	}
	var p fault.Problems
	requireID(&p, "razorpay_order_id", fields.OrderID, "order")
	requireID(&p, "razorpay_payment_id", fields.PaymentID, "pay")
	p.Check(len(fields.Signature) == 64, "razorpay_signature", "is not 64 hexadecimal digits")
	if err := p.Err("razorpay: " + op); err != nil {
		return payments.Confirmation{}, err
	}
	if !c.signed(fields.Confirmation) {
		return payments.Confirmation{}, refuse(op, telemed.ErrSignature)
	}
	return fields.Confirmation, nil
}

// readCallback reads the body of a callback, and says what is wrong with it.
func readCallback(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	const op = "razorpay: ParseCallback"
	if r.Method != http.MethodPost {
		inbound.Bound(w, r)
		return nil, fault.Invalid(op, "Method", "is not POST")
	}
	body, err := inbound.Read(w, r, maxCallback)
	tooLong, isTooLong := errors.AsType[*http.MaxBytesError](err)
	switch {
	case err == nil:
		return body, nil
	case isTooLong:
		return nil, fault.Tagged(tooLong, fault.Invalid(op, "Body", "is longer than %d bytes", tooLong.Limit))
	case inbound.Status(err) == http.StatusRequestTimeout:
		return nil, fault.Tagged(os.ErrDeadlineExceeded, fault.Invalid(op, "Body", "came too slowly"))
	}
	return nil, fault.Invalid(op, "Body", "was cut off")
}

// CheckoutFailure is the error for a payment form that ended without a payment:
// declined, cancelled, timed out. errors.Is(err, payments.ErrPaymentIncomplete)
// is true. It is the browser's word: the order may still be paid, by another
// attempt or by a bank that answers late.
type CheckoutFailure struct {
	payments.Failure
	// OrderID and PaymentID are what failed, if the browser said so.
	OrderID, PaymentID string
}

// Error names Razorpay's constants, not its sentence for the payer.
func (e *CheckoutFailure) Error() string {
	for _, word := range []string{e.Reason, e.Code} {
		if words.Known(word) != "" {
			return "razorpay: checkout failed (" + word + ")"
		}
	}
	return "razorpay: checkout failed"
}

// Unwrap returns payments.ErrPaymentIncomplete, which is also ErrConflict.
func (e *CheckoutFailure) Unwrap() error { return payments.ErrPaymentIncomplete }

// LogValue is Error, without the gateway's sentences.
func (e *CheckoutFailure) LogValue() slog.Value { return slog.StringValue(e.Error()) }

// MarshalJSON leaves out the gateway's sentence: what encodes an error is a log.
func (e *CheckoutFailure) MarshalJSON() ([]byte, error) {
	failure := e.Failure
	failure.Description = ""
	return json.Marshal(struct {
		payments.Failure
		OrderID, PaymentID string
	}{failure, e.OrderID, e.PaymentID})
}

// Format tells the same for every verb.
func (e *CheckoutFailure) Format(f fmt.State, _ rune) { redact.Format(f, e) }

var errContentType = errors.New("is neither JSON, text, a form nor multipart/form-data")

func readCheckout(contentType string, body []byte) (checkoutFields, error) {
	kind, params, _ := mime.ParseMediaType(contentType)
	switch kind {
	case "application/json":
		return fromJSON(body)
	case "text/plain":
		if bytes.HasPrefix(bytes.TrimSpace(body), []byte("{")) {
			return fromJSON(body)
		}
	case "application/x-www-form-urlencoded":
	case "multipart/form-data":
		form, err := readMultipart(body, params["boundary"])
		if err != nil {
			return checkoutFields{}, err
		}
		return fromForm(form), nil
	default:
		return checkoutFields{}, errContentType
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return checkoutFields{}, err
	}
	return fromForm(form), nil
}

// readMultipart reads the fields of a form that stand in parts. Files are left out.
func readMultipart(body []byte, boundary string) (url.Values, error) {
	form, parts := url.Values{}, multipart.NewReader(bytes.NewReader(body), boundary)
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return form, nil
		}
		if err != nil {
			return nil, err
		}
		if part.FileName() != "" {
			continue
		}
		value, err := io.ReadAll(part)
		if err != nil {
			return nil, err
		}
		form.Add(part.FormName(), string(value))
	}
}

type checkoutFields struct {
	payments.Confirmation
	failure *CheckoutFailure
}

func fromJSON(body []byte) (checkoutFields, error) {
	var got struct {
		PaymentID string `json:"razorpay_payment_id"`
		OrderID   string `json:"razorpay_order_id"`
		Signature string `json:"razorpay_signature"`
		Error     *struct {
			Code, Description, Source, Step, Reason text
			Metadata                                json.RawMessage
		} `json:"error"`
	}
	if err := json.Unmarshal(body, &got); err != nil {
		return checkoutFields{}, err
	}
	fields := checkoutFields{Confirmation: payments.Confirmation{
		OrderID: got.OrderID, PaymentID: got.PaymentID, Signature: got.Signature,
	}}
	if e := got.Error; e != nil {
		fields.failure = failure(string(e.Code), string(e.Description), string(e.Source), string(e.Step), string(e.Reason))
		fields.failure.OrderID, fields.failure.PaymentID = readMetadata(e.Metadata)
	}
	return fields, nil
}

func fromForm(form url.Values) checkoutFields {
	fields := checkoutFields{Confirmation: payments.Confirmation{
		OrderID: form.Get("razorpay_order_id"), PaymentID: form.Get("razorpay_payment_id"), Signature: form.Get("razorpay_signature"),
	}}
	for name := range form {
		if strings.HasPrefix(name, "error[") {
			at := func(part string) string { return form.Get("error[" + part + "]") }
			fields.failure = failure(at("code"), at("description"), at("source"), at("step"), at("reason"))
			fields.failure.OrderID, fields.failure.PaymentID = readMetadata([]byte(at("metadata")))
			break
		}
	}
	return fields
}

func failure(code, description, source, step, reason string) *CheckoutFailure {
	return &CheckoutFailure{Failure: payments.Failure{
		Code: constant(code), Description: known(description), Source: constant(source),
		Step: constant(step), Reason: constant(reason),
	}}
}

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
	"strings"
	"unicode"

	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/inbound"
	"github.com/telemed-go/telemed/internal/redact"
	"github.com/telemed-go/telemed/payments"
)

// CheckoutScript is the address of the script that opens the payment form on
// the application's page. In a test the application points its page at a page of the test
// server instead; see package razorpaytest.
const CheckoutScript = "https://checkout.razorpay.com/v1/checkout.js"

// maxCheckout is how many bytes of a checkout's result are read: 64 KiB.
const maxCheckout = 64 << 10

// Checkout returns the options for `new Razorpay(options)` as JSON. The page
// adds its handler function, and posts what the handler gets to the application, which
// reads it with [ParseCheckout]. With ui.Redirect the browser posts the outcome
// to ui.CallbackURL by itself.
//
// The JSON holds the key id, never the secret. It escapes <, > and &, so that
// it can stand inside a <script> element.
//
// https://razorpay.com/docs/payments/payment-gateway/web-integration/standard/integration-steps
func (c *Client) Checkout(o *payments.Order, ui payments.CheckoutUI) (json.RawMessage, error) {
	if err := validateCheckout(o, ui); err != nil {
		return nil, err
	}
	options := checkoutOptions{
		Key: c.keyID, OrderID: o.ID, Amount: o.Amount.Minor, Currency: string(o.Amount.Currency),
		Name: ui.Name, Description: ui.Description, Image: ui.ImageURL,
		Prefill:     checkoutPrefill{ui.Prefill.Name, ui.Prefill.Email, ui.Prefill.Phone},
		CallbackURL: ui.CallbackURL, Redirect: ui.Redirect,
	}
	options.Theme.Color = ui.Color
	options.Config.Display.Language = ui.Locale
	return json.Marshal(options)
}

type checkoutOptions struct {
	Key         string          `json:"key"`
	OrderID     string          `json:"order_id"`
	Amount      int64           `json:"amount"`
	Currency    string          `json:"currency"`
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Image       string          `json:"image,omitempty"`
	Prefill     checkoutPrefill `json:"prefill,omitzero"`
	CallbackURL string          `json:"callback_url,omitempty"`
	Redirect    bool            `json:"redirect,omitempty"`
	Theme       struct {
		Color string `json:"color"`
	} `json:"theme,omitzero"`
	Config struct {
		Display struct {
			Language string `json:"language"`
		} `json:"display"`
	} `json:"config,omitzero"`
}

type checkoutPrefill struct {
	Name  string `json:"name,omitempty"`
	Email string `json:"email,omitempty"`
	Phone string `json:"contact,omitempty"`
}

func validateCheckout(o *payments.Order, ui payments.CheckoutUI) error {
	var p fault.Problems
	if o == nil {
		p.Add("Order", "is required")
	} else {
		requireID(&p, "Order.ID", o.ID, "order")
		p.Check(o.Status != payments.OrderPaid, "Order", "is paid already")
		p.Check(o.Amount.Minor > 0, "Order.Amount", "must be more than zero")
	}
	p.Required("Name", ui.Name)
	first := []rune(ui.Description)
	p.Check(len(first) == 0 || unicode.IsLetter(first[0]) || unicode.IsDigit(first[0]), "Description", "must start with a letter or digit")
	p.Check(ui.CallbackURL == "" || webAddress(ui.CallbackURL), "CallbackURL", "is not an absolute http(s) address")
	p.Check(!ui.Redirect || ui.CallbackURL != "", "CallbackURL", "is required to redirect")
	p.Check(ui.ImageURL == "" || webAddress(ui.ImageURL), "ImageURL", "is not an absolute http(s) address")
	return p.Err("razorpay: Checkout")
}

func webAddress(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http")
}

// CheckoutResult is what the browser says after the payment form. Nothing in it
// is proven: look the bill up by the application's own id or by OrderID, and hand
// [Client.VerifyPayment] the order id and amount that are stored with the bill.
type CheckoutResult struct {
	OrderID, PaymentID, Signature string
}

// LogValue leaves out the signature.
func (r CheckoutResult) LogValue() slog.Value {
	return slog.GroupValue(slog.String("order_id", r.OrderID), slog.String("payment_id", r.PaymentID))
}

// Format tells the same for every verb.
func (r CheckoutResult) Format(f fmt.State, _ rune) { redact.Format(f, r) }

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

// ParseCheckout reads the result of the payment form from a POST, in each form in which a
// page may send what checkout.js gave it:
//
//   - JSON ({"razorpay_payment_id":…}), also as the text/plain that navigator.sendBeacon
//     makes of a string;
//   - a form, as the browser posts it to the callback URL, or as URLSearchParams;
//   - multipart/form-data, as FormData makes it.
//
// A failure is a *CheckoutFailure; what is neither is telemed.ErrInvalid. In the error for a
// body of more than 64 KiB, or more than an http.MaxBytesReader of the application lets
// through, errors.As finds an *http.MaxBytesError: answer it with 413. A body must arrive
// within 10 seconds; w is for the deadline, and nothing is written to it.
//
// The form comes from Razorpay's site, so a SameSite=Lax session cookie is not
// with it, and a CSRF check that looks at Origin must let this route through:
// the signature is what proves it. Only the body is read; a query of the
// callback URL stays with r.
func ParseCheckout(w http.ResponseWriter, r *http.Request) (CheckoutResult, error) {
	const op = "razorpay: ParseCheckout"
	if r.Method != http.MethodPost {
		inbound.Bound(w, r)
		return CheckoutResult{}, fault.Invalid(op, "Method", "is not POST")
	}
	body, err := inbound.Read(w, r, maxCheckout)
	if tooLong, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return CheckoutResult{}, fault.Tagged(tooLong, fault.Invalid(op, "Body", "is longer than %d bytes", tooLong.Limit))
	}
	switch {
	case err == nil:
	case inbound.Status(err) == http.StatusRequestTimeout:
		return CheckoutResult{}, fault.Invalid(op, "Body", "came too slowly")
	default:
		return CheckoutResult{}, fault.Invalid(op, "Body", "was cut off")
	}
	fields, err := readCheckout(r.Header.Get("Content-Type"), body)
	if errors.Is(err, errContentType) {
		return CheckoutResult{}, fault.Invalid(op, "Content-Type", "%v", errContentType)
	}
	if err != nil {
		return CheckoutResult{}, fault.Invalid(op, "Body", "cannot be read")
	}
	if fields.failure != nil {
		return CheckoutResult{}, fields.failure
	}
	var p fault.Problems
	requireID(&p, "razorpay_order_id", fields.OrderID, "order")
	requireID(&p, "razorpay_payment_id", fields.PaymentID, "pay")
	p.Check(len(fields.Signature) == 64, "razorpay_signature", "is not 64 hexadecimal digits")
	return fields.CheckoutResult, p.Err(op)
}

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
	CheckoutResult
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
	fields := checkoutFields{CheckoutResult: CheckoutResult{got.OrderID, got.PaymentID, got.Signature}}
	if e := got.Error; e != nil {
		fields.failure = failure(string(e.Code), string(e.Description), string(e.Source), string(e.Step), string(e.Reason))
		fields.failure.OrderID, fields.failure.PaymentID = readMetadata(e.Metadata)
	}
	return fields, nil
}

func fromForm(form url.Values) checkoutFields {
	fields := checkoutFields{CheckoutResult: CheckoutResult{
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

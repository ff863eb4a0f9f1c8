package razorpay

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/telemed-go/telemed/payments"
)

// idempotencyHeader makes a refund repeatable.
// https://razorpay.com/docs/api/refunds/normal-refunds-idempotent
const idempotencyHeader = "X-Refund-Idempotency"

// orderBody, captureBody and refundBody are what is sent.
type (
	orderBody struct {
		Amount        int64             `json:"amount"`
		Currency      payments.Currency `json:"currency"`
		Notes         map[string]string `json:"notes,omitempty"`
		Capture       *bool             `json:"payment_capture,omitempty"`
		Receipt       string            `json:"receipt"`
		UniqueReceipt bool              `json:"unique_receipt,omitempty"`
	}
	captureBody struct {
		Amount   int64             `json:"amount"`
		Currency payments.Currency `json:"currency"`
	}
	refundBody struct {
		Amount int64             `json:"amount,omitempty"` // 0: all that is left
		Notes  map[string]string `json:"notes,omitempty"`
		Speed  string            `json:"speed"`
	}
)

// Razorpay's documents do not keep to one type: amounts and times come as 5, "5" and null,
// notes as {}, [], null and text. The readers here read all of that, and refuse what would
// change an amount.

// fields reads the fields of one entity. It notes the names of those that hold what cannot
// be read: the value of such a field is its zero, and the others stand.
type fields struct{ odd []string }

func (f *fields) text(name string, value []byte) string {
	if isNested(value) {
		f.odd = append(f.odd, name)
	}
	return scalar(value)
}

// integer reads 5, "5", "" and null. A fraction or an exponent is odd, never rounded.
func (f *fields) integer(name string, value []byte) int64 {
	if isNull(value) {
		return 0
	}
	digits := bytes.Trim(value, `"`)
	if len(digits) == 0 {
		return 0
	}
	n, err := strconv.ParseInt(string(digits), 10, 64)
	if err != nil {
		f.odd = append(f.odd, name)
		return 0
	}
	return n
}

// createdAt reads seconds since 1970; 0 is none.
func (f *fields) createdAt(value []byte) time.Time {
	n := f.integer("created_at", value)
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(n, 0).UTC()
}

// flag reads true, 1 and "1".
func (f *fields) flag(name string, value []byte) bool {
	switch said := f.text(name, value); said {
	case "true", "1":
		return true
	case "false", "0", "":
	default:
		f.odd = append(f.odd, name)
	}
	return false
}

// notesOf reads an object of scalars; [], null and text are none.
func notesOf(value []byte) map[string]string {
	var notes map[string]string
	for name, note := range members(value) {
		if notes == nil {
			notes = map[string]string{}
		}
		notes[unquoted(name)] = scalar(note)
	}
	return notes
}

// unquoted reads the name of a member.
func unquoted(name []byte) string {
	if bytes.IndexByte(name, '\\') < 0 {
		return strings.ToValidUTF8(string(name), "\ufffd")
	}
	return scalar(slices.Concat([]byte{'"'}, name, []byte{'"'}))
}

// money gives amount its currency; an amount that could not be read has none.
func (f *fields) money(name string, minor int64, currency string) payments.Money {
	if slices.Contains(f.odd, name) {
		return payments.Money{}
	}
	return payments.Money{Minor: minor, Currency: payments.Currency(currency)}
}

// errMoney is why a whole answer is refused: it has no amount that can be read.
var errMoney = errors.New("answer is not the JSON that was expected")

// strict refuses an answer in which one of the amounts is odd. Another odd field does not
// take away what is good in it: the order exists.
func (f *fields) strict(amounts ...string) error {
	if slices.ContainsFunc(amounts, func(name string) bool { return slices.Contains(f.odd, name) }) {
		return errMoney
	}
	return nil
}

// known drops the ways in which Razorpay says nothing.
func known(value string) string {
	if value == "NA" || value == "null" {
		return ""
	}
	return value
}

func currencyOf(text string) string { return strings.ToUpper(text) }

// order reads an order. Raw is doc itself.
func (f *fields) order(doc []byte) *payments.Order {
	o := &payments.Order{Raw: doc}
	var amount, paid, due int64
	var currency string
	dueGiven := false
	for name, value := range members(doc) {
		switch string(name) {
		case "id":
			o.ID = f.text("id", value)
		case "receipt":
			o.Key = f.text("receipt", value)
		case "amount":
			amount = f.integer("amount", value)
		case "amount_paid":
			paid = f.integer("amount_paid", value)
		case "amount_due":
			due, dueGiven = f.integer("amount_due", value), !isNull(value)
		case "currency":
			currency = currencyOf(f.text("currency", value))
		case "status":
			o.Status = payments.OrderStatus(f.text("status", value))
		case "attempts":
			o.Attempts = int(f.integer("attempts", value))
		case "notes":
			o.Notes = notesOf(value)
		case "created_at":
			o.CreatedAt = f.createdAt(value)
		}
	}
	o.Amount, o.Paid, o.Due = f.money("amount", amount, currency), f.money("amount_paid", paid, currency), f.money("amount_due", due, currency)
	if !dueGiven && o.Status != payments.OrderPaid {
		o.Due = f.money("amount", max(amount-paid, 0), currency)
	}
	return o
}

// payment reads a payment. Raw is doc itself.
func (f *fields) payment(doc []byte) *payments.Payment {
	p := &payments.Payment{Raw: doc}
	var w wirePayment
	for name, value := range members(doc) {
		switch string(name) {
		case "id":
			p.ID = f.text("id", value)
		case "order_id":
			p.OrderID = f.text("order_id", value)
		case "status":
			p.Status = payments.PaymentStatus(f.text("status", value))
		case "method":
			p.Method = f.text("method", value)
		case "refund_status":
			p.GivenBack = payments.GivenBack(known(f.text("refund_status", value)))
		case "captured":
			p.Captured = f.flag("captured", value)
			w.capturedGiven = !isNull(value) && !slices.Contains(f.odd, "captured")
		case "late_authorized":
			p.Late = f.flag("late_authorized", value)
		case "notes":
			p.Notes = notesOf(value)
		case "created_at":
			p.CreatedAt = f.createdAt(value)
		default:
			w.read(f, name, value)
		}
	}
	w.complete(f, p)
	return p
}

// wirePayment is what becomes a field of a payment only together with other fields.
type wirePayment struct {
	amount, refunded, base, fee, tax int64
	currency, baseCurrency           string
	capturedGiven                    bool
	// failure is as Razorpay wrote it: code, reason, source, step, description.
	failure [5][]byte
}

func (w *wirePayment) read(f *fields, name, value []byte) {
	switch string(name) {
	case "amount":
		w.amount = f.integer("amount", value)
	case "amount_refunded":
		w.refunded = f.integer("amount_refunded", value)
	case "base_amount":
		w.base = f.integer("base_amount", value)
	case "fee":
		w.fee = f.integer("fee", value)
	case "tax":
		w.tax = f.integer("tax", value)
	case "currency":
		w.currency = currencyOf(f.text("currency", value))
	case "base_currency":
		w.baseCurrency = currencyOf(f.text("base_currency", value))
	case "error_code":
		w.failure[0] = value
	case "error_reason":
		w.failure[1] = value
	case "error_source":
		w.failure[2] = value
	case "error_step":
		w.failure[3] = value
	case "error_description":
		w.failure[4] = value
	}
}

func (w *wirePayment) complete(f *fields, p *payments.Payment) {
	p.Amount, p.Refunded = f.money("amount", w.amount, w.currency), f.money("amount_refunded", w.refunded, w.currency)
	home := w.currency // of the fee
	if w.baseCurrency != "" && w.baseCurrency != w.currency {
		p.Base, home = f.money("base_amount", w.base, w.baseCurrency), w.baseCurrency
	}
	if w.fee != 0 || w.tax != 0 {
		p.Fee, p.Tax = f.money("fee", w.fee, home), f.money("tax", w.tax, home)
	}
	if !w.capturedGiven {
		p.Captured = p.Status == payments.PaymentCaptured || p.Status == payments.PaymentRefunded
	}
	if known(scalar(w.failure[0])) != "" || p.Status == payments.PaymentFailed {
		p.Failure = &payments.Failure{
			Code: constant(scalar(w.failure[0])), Reason: constant(scalar(w.failure[1])), Source: constant(scalar(w.failure[2])),
			Step: constant(scalar(w.failure[3])), Description: known(scalar(w.failure[4])),
		}
	}
}

// refund reads a refund. Raw is doc itself.
func (f *fields) refund(doc []byte) *payments.Refund {
	r := &payments.Refund{Raw: doc}
	var amount int64
	var currency string
	for name, value := range members(doc) {
		switch string(name) {
		case "id":
			r.ID = f.text("id", value)
		case "payment_id":
			r.PaymentID = f.text("payment_id", value)
		case "amount":
			amount = f.integer("amount", value)
		case "currency":
			currency = currencyOf(f.text("currency", value))
		case "status":
			r.Status = payments.RefundStatus(f.text("status", value))
		case "notes":
			r.Notes = notesOf(value)
		case "created_at":
			r.CreatedAt = f.createdAt(value)
		}
	}
	r.Amount = f.money("amount", amount, currency)
	return r
}

// orderAnswer, paymentAnswer and refundAnswer are answers of the API. asked is the id that
// was asked for, of is what the entity must belong to; both may be empty.
type (
	orderAnswer struct {
		*payments.Order
		asked string
		err   error // an amount cannot be read
	}
	paymentAnswer struct {
		*payments.Payment
		asked, of string
		err       error
	}
	refundAnswer struct {
		*payments.Refund
		asked, of string
		err       error
	}
)

// UnmarshalJSON implements json.Unmarshaler.
func (a *orderAnswer) UnmarshalJSON(doc []byte) error {
	f := fields{odd: notAnObject(doc)}
	a.Order = f.order(bytes.Clone(doc))
	a.err = f.strict("amount", "amount_paid", "amount_due")
	return nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (a *paymentAnswer) UnmarshalJSON(doc []byte) error {
	f := fields{odd: notAnObject(doc)}
	a.Payment = f.payment(bytes.Clone(doc))
	a.err = f.strict("amount", "amount_refunded")
	return nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (a *refundAnswer) UnmarshalJSON(doc []byte) error {
	f := fields{odd: notAnObject(doc)}
	a.Refund = f.refund(bytes.Clone(doc))
	a.err = f.strict("amount")
	return nil
}

// notAnObject has a document that is no object refused: it has no amount.
func notAnObject(doc []byte) []string {
	if len(doc) == 0 || doc[0] != '{' {
		return []string{"amount"}
	}
	return nil
}

// Check refuses what is not an order, or another one than was asked for.
func (a *orderAnswer) Check() error {
	if a.err != nil {
		return a.err
	}
	return checkAnswer(a.ID, a.asked, "order", "order")
}

// Check refuses what is not a payment, or another one than was asked for.
func (a *paymentAnswer) Check() error {
	if a.err != nil {
		return a.err
	}
	if a.of != "" && a.OrderID != a.of {
		return errors.New("answer holds a payment of another order")
	}
	return checkAnswer(a.ID, a.asked, "pay", "payment")
}

// Check refuses what is not a refund, or another one than was asked for.
func (a *refundAnswer) Check() error {
	if a.err != nil {
		return a.err
	}
	if a.of != "" && a.PaymentID != a.of {
		return errors.New("answer holds a refund of another payment")
	}
	return checkAnswer(a.ID, a.asked, "rfnd", "refund")
}

// page is one page of a collection. take takes each item, or says why the answer is not
// what was asked for.
type page[T any] struct {
	Items *[]T `json:"items"`
	take  func(*T) error
}

// Check tells an empty collection from a document that is none.
func (p *page[T]) Check() error {
	if p.Items == nil {
		return errNoID
	}
	for i := range *p.Items {
		if err := p.take(&(*p.Items)[i]); err != nil {
			return err
		}
	}
	return nil
}

var errNoID = errors.New("answer lacks the id")

func checkAnswer(id, asked, prefix, what string) error {
	switch {
	case !validID(id, prefix):
		return errNoID
	case asked != "" && id != asked:
		return errors.New("answer is about another " + what)
	}
	return nil
}

// validID reports whether id is prefix_ and letters and digits. Nothing else is
// put into a path or under a signature, where order|payment must not be read as
// another pair.
func validID(id, prefix string) bool {
	rest, ok := strings.CutPrefix(id, prefix+"_")
	return ok && rest != "" && len(rest) <= 64 && strings.IndexFunc(rest, func(r rune) bool {
		return !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z')
	}) < 0
}

// text is a string, a number, a bool or null; objects and arrays read as empty.
type text string

// UnmarshalJSON implements json.Unmarshaler.
func (t *text) UnmarshalJSON(data []byte) error {
	*t = text(scalar(data))
	return nil
}

var _ json.Unmarshaler = (*text)(nil)

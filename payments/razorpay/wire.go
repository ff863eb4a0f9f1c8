package razorpay

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/telemed-go/telemed/payments"
)

// idempotencyHeader makes a refund repeatable.
// https://razorpay.com/docs/api/refunds/normal-refunds-idempotent
const idempotencyHeader = "X-Refund-Idempotency"

// Razorpay's documents do not keep to one type: amounts and times come as 5,
// "5" and null, notes as {}, [], null and text. The types here read all of
// that, and refuse what would change an amount.

// integer is 5, "5", "" or null. A fraction or an exponent is an error, never rounded.
type integer int64

func (n *integer) UnmarshalJSON(data []byte) error {
	digits := string(bytes.Trim(data, `"`))
	if digits == "" || digits == "null" {
		*n = 0
		return nil
	}
	value, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return errors.New("not an integer")
	}
	*n = integer(value)
	return nil
}

// time reads seconds since 1970; 0 is none.
func (n integer) time() time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(int64(n), 0).UTC()
}

// text is a string, a number, a bool or null; objects and arrays read as empty.
type text string

func (t *text) UnmarshalJSON(data []byte) error {
	*t = text(scalar(data))
	return nil
}

func scalar(data []byte) string {
	data = bytes.TrimSpace(data)
	switch {
	case len(data) == 0 || string(data) == "null" || data[0] == '{' || data[0] == '[':
		return ""
	case data[0] == '"':
		if bytes.IndexByte(data, '\\') < 0 && utf8.Valid(data) {
			return string(data[1 : len(data)-1])
		}
		var s string
		_ = json.Unmarshal(data, &s)
		return s
	}
	return string(data)
}

// known drops the ways in which Razorpay says nothing.
func known(value text) string {
	if value == "NA" || value == "null" {
		return ""
	}
	return string(value)
}

// notes is an object of scalars; [], null and text read as none.
type notes map[string]string

func (n *notes) UnmarshalJSON(data []byte) error {
	*n = nil
	var object map[string]json.RawMessage
	if json.Unmarshal(data, &object) != nil || len(object) == 0 {
		return nil
	}
	*n = make(notes, len(object))
	for key, value := range object {
		(*n)[key] = scalar(value)
	}
	return nil
}

func money(minor integer, currency text) payments.Money {
	return payments.Money{Minor: int64(minor), Currency: payments.Currency(strings.ToUpper(string(currency)))}
}

type wireOrder struct {
	ID         text    `json:"id"`
	Receipt    text    `json:"receipt"`
	Amount     integer `json:"amount"`
	AmountPaid integer `json:"amount_paid"`
	Currency   text    `json:"currency"`
	Status     text    `json:"status"`
	Attempts   integer `json:"attempts"`
	Notes      notes   `json:"notes"`
	CreatedAt  integer `json:"created_at"`
	raw        json.RawMessage
	asked      string // the id that was asked for, if one was
}

// UnmarshalJSON also keeps the document.
func (w *wireOrder) UnmarshalJSON(data []byte) error {
	type fields wireOrder
	if err := json.Unmarshal(data, (*fields)(w)); err != nil {
		return err
	}
	w.raw = bytes.Clone(data)
	return nil
}

// Check refuses what is not an order, or another one than was asked for.
func (w *wireOrder) Check() error { return checkAnswer(string(w.ID), w.asked, "order", "order") }

func (w *wireOrder) order() *payments.Order {
	return &payments.Order{
		ID: string(w.ID), Key: string(w.Receipt), Status: payments.OrderStatus(w.Status),
		Amount: money(w.Amount, w.Currency), Paid: money(w.AmountPaid, w.Currency),
		Attempts: int(w.Attempts), Notes: w.Notes, CreatedAt: w.CreatedAt.time(), Raw: w.raw,
	}
}

type wirePayment struct {
	ID               text    `json:"id"`
	OrderID          text    `json:"order_id"`
	Amount           integer `json:"amount"`
	AmountRefunded   integer `json:"amount_refunded"`
	Currency         text    `json:"currency"`
	Status           text    `json:"status"`
	Method           text    `json:"method"`
	ErrorCode        text    `json:"error_code"`
	ErrorDescription text    `json:"error_description"`
	ErrorSource      text    `json:"error_source"`
	ErrorStep        text    `json:"error_step"`
	ErrorReason      text    `json:"error_reason"`
	Notes            notes   `json:"notes"`
	CreatedAt        integer `json:"created_at"`
	raw              json.RawMessage
	asked            string // the id that was asked for, if one was
}

// UnmarshalJSON also keeps the document.
func (w *wirePayment) UnmarshalJSON(data []byte) error {
	type fields wirePayment
	if err := json.Unmarshal(data, (*fields)(w)); err != nil {
		return err
	}
	w.raw = bytes.Clone(data)
	return nil
}

// Check refuses what is not a payment, or another one than was asked for.
func (w *wirePayment) Check() error { return checkAnswer(string(w.ID), w.asked, "pay", "payment") }

func (w *wirePayment) payment() *payments.Payment {
	p := &payments.Payment{
		ID: string(w.ID), OrderID: string(w.OrderID), Status: payments.PaymentStatus(w.Status),
		Amount: money(w.Amount, w.Currency), Refunded: money(w.AmountRefunded, w.Currency),
		Method: string(w.Method), Notes: w.Notes, CreatedAt: w.CreatedAt.time(), Raw: w.raw,
	}
	if code := known(w.ErrorCode); code != "" || p.Status == payments.PaymentFailed {
		p.Failure = &payments.Failure{
			Code: constant(w.ErrorCode), Reason: constant(w.ErrorReason), Source: constant(w.ErrorSource), Step: constant(w.ErrorStep),
			Description: known(w.ErrorDescription),
		}
	}
	return p
}

type wireRefund struct {
	ID        text    `json:"id"`
	PaymentID text    `json:"payment_id"`
	Amount    integer `json:"amount"`
	Currency  text    `json:"currency"`
	Status    text    `json:"status"`
	Notes     notes   `json:"notes"`
	CreatedAt integer `json:"created_at"`
	raw       json.RawMessage
}

// UnmarshalJSON also keeps the document.
func (w *wireRefund) UnmarshalJSON(data []byte) error {
	type fields wireRefund
	if err := json.Unmarshal(data, (*fields)(w)); err != nil {
		return err
	}
	w.raw = bytes.Clone(data)
	return nil
}

// Check refuses what is not a refund.
func (w *wireRefund) Check() error { return checkAnswer(string(w.ID), "", "rfnd", "refund") }

func (w *wireRefund) refund() *payments.Refund {
	return &payments.Refund{
		ID: string(w.ID), PaymentID: string(w.PaymentID), Status: payments.RefundStatus(w.Status),
		Amount: money(w.Amount, w.Currency), Notes: w.Notes, CreatedAt: w.CreatedAt.time(), Raw: w.raw,
	}
}

// page is one page of a collection.
type page[T any] struct {
	Items *[]T `json:"items"`
}

// Check tells an empty collection from a document that is none.
func (p *page[T]) Check() error {
	if p.Items == nil {
		return errNoID
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

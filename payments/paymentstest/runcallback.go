package paymentstest

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/payments"
)

// callback: only what the gateway has signed is believed, and that it was paid is not said
// by anybody.
func (s *suite) callback() {
	parser, ok := s.Gateway.(payments.CallbackParser)
	if !ok || s.Callback == nil {
		s.Skip("the gateway is no payments.CallbackParser, or the harness has no Callback")
	}
	parse := func(r *http.Request) (payments.Confirmation, error) {
		return parser.ParseCallback(httptest.NewRecorder(), r)
	}
	c := s.captured()
	got, err := parse(s.Callback(c.OrderID, c.PaymentID, c.Signature))
	s.ok(err, "ParseCallback")
	if got != (payments.Confirmation{OrderID: c.OrderID, PaymentID: c.PaymentID, Signature: c.Signature}) {
		s.Errorf("ParseCallback: got %v, want %s, %s and its signature, without an amount", got, c.OrderID, c.PaymentID)
	}
	other := s.order("bill_unpaid", payments.CaptureAutomatic)
	for name, r := range map[string]*http.Request{
		"another order": s.Callback(other.ID, c.PaymentID, c.Signature), "another payment": s.Callback(c.OrderID, absent, c.Signature),
		"another signature": s.Callback(c.OrderID, c.PaymentID, flip(c.Signature)),
	} {
		got, err := parse(r)
		s.wants(err, telemed.ErrSignature, "ParseCallback of "+name)
		if got != (payments.Confirmation{}) {
			s.Errorf("ParseCallback of %s: got %v beside the error", name, got)
		}
	}
	empty := s.Callback(c.OrderID, c.PaymentID, c.Signature)
	empty.Body, empty.ContentLength = http.NoBody, 0
	_, err = parse(empty)
	s.wants(err, telemed.ErrInvalid, "ParseCallback of nothing")
	get := s.Callback(c.OrderID, c.PaymentID, c.Signature)
	get.Method = http.MethodGet
	_, err = parse(get)
	s.wants(err, telemed.ErrInvalid, "ParseCallback of a GET")
	_, err = parse(s.Callback(c.OrderID, c.PaymentID, strings.Repeat("0", 1<<20)))
	s.wants(err, telemed.ErrInvalid, "ParseCallback of a megabyte")
	if _, tooLong := errors.AsType[*http.MaxBytesError](err); !tooLong {
		s.Errorf("ParseCallback of a megabyte: no *http.MaxBytesError in %v", err)
	}
	if s.FailedCallback != nil {
		_, err = parse(s.FailedCallback())
		s.wants(err, payments.ErrPaymentIncomplete, "ParseCallback of a failed attempt")
	}
}

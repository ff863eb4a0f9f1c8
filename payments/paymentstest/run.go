package paymentstest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/payments"
)

// Harness is one gateway under test, with nothing in it.
type Harness struct {
	// Gateway is what is checked. Required.
	Gateway payments.PaymentGateway
	// Another returns a gateway of another process of the same application, over the same
	// account and the same store. Nil: one process is checked alone.
	Another func() payments.PaymentGateway
	// Pay pays an order as a patient would and returns the payment's id and the
	// checkout's signature. Orders with payments.CaptureManual end authorized. Required.
	Pay func(orderID string) (paymentID, signature string, err error)
	// FailPayment makes an attempt that fails and returns the payment's id. Nil: not
	// checked.
	FailPayment func(orderID string) (paymentID string, err error)
	// LoseAnswer makes the gateway's side carry out the next request that
	// changes something and lose the answer. Nil: not checked.
	LoseAnswer func()
	// PartOrder makes an order that may be paid in instalments, by whatever way there is, and
	// PayPart pays one of them. Nil: not checked.
	PartOrder func(key string, amount payments.Money) (orderID string, err error)
	PayPart   func(orderID string, part payments.Money) (paymentID, signature string, err error)
	// PayAs is Pay, but the payer is charged another amount than the order's, maybe in
	// another currency, by the gateway's own doing: an offer, a fee, a conversion. Nil: not
	// checked.
	PayAs func(orderID string, charged payments.Money) (paymentID, signature string, err error)
	// AuthorizeLate has the bank answer after all, for a payment that failed. Nil: not
	// checked.
	AuthorizeLate func(paymentID string) error
	// HoldRefunds leaves refunds pending from now on, and SettleRefund ends one of them.
	// Nil: not checked.
	HoldRefunds  func()
	SettleRefund func(refundID string, processed bool) error
	// Sign returns what the checkout would sign for this pair, also for a pair that
	// it never would: only with it is VerifyPayment seen to look behind a good
	// signature. Nil: not checked.
	Sign func(orderID, paymentID string) (signature string)
	// Callback returns a request with which a browser comes back after a payment; its
	// signature may be none of the gateway's. FailedCallback returns one after an attempt
	// that failed. Nil: not checked.
	Callback       func(orderID, paymentID, signature string) *http.Request
	FailedCallback func() *http.Request
}

// Run checks a gateway against the contract of payments.PaymentGateway.
// newHarness is called once for each subtest; the subtests run in parallel.
func Run(t *testing.T, newHarness func(t *testing.T) Harness) {
	for name, check := range map[string]func(*suite){
		"an order is made once a receipt":             (*suite).orderOnce,
		"bad requests name their fields":              (*suite).badRequests,
		"a captured payment verifies":                 (*suite).verifyCaptured,
		"a forged signature is refused":               (*suite).forged,
		"amount and currency must be as expected":     (*suite).wrongAmount,
		"a payment of another order is refused":       (*suite).otherOrder,
		"a good signature does not pay":               (*suite).signedOnly,
		"a failed payment leaves the order open":      (*suite).failedPayment,
		"an authorized payment is captured once":      (*suite).capture,
		"a refund happens once a key":                 (*suite).refundOnce,
		"partial refunds add up to the amount":        (*suite).partialRefunds,
		"a refunded payment does not verify":          (*suite).refundedPayment,
		"concurrent refunds with one key are one":     (*suite).concurrentRefunds,
		"what does not exist is ErrNotFound":          (*suite).notFound,
		"a context that ended is heard":               (*suite).cancelled,
		"a lost answer does not make a second order":  (*suite).lostOrder,
		"a lost answer does not make a second refund": (*suite).lostRefund,
		"a lost answer does not lose a capture":       (*suite).lostCapture,
		"orders are found":                            (*suite).finder,
		"refunds are found":                           (*suite).refundFinder,
		"a pending refund is not given back yet":      (*suite).pendingRefund,
		"an instalment does not pay the order":        (*suite).instalments,
		"the order decides, not the payment's amount": (*suite).charged,
		"a bank may answer late":                      (*suite).late,
		"a callback is believed by its signature":     (*suite).callback,
		"concurrent calls with one key are one order": (*suite).concurrentOrders,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t)
			check(&suite{T: t, Harness: h, PaymentGateway: h.Gateway})
		})
	}
}

type suite struct {
	*testing.T
	Harness
	payments.PaymentGateway
}

var amount = payments.INR(50000)

func (s *suite) order(receipt string, mode payments.CaptureMode) *payments.Order {
	s.Helper()
	o, err := s.CreateOrder(s.Context(), payments.OrderRequest{Amount: amount, Key: receipt, Capture: mode})
	if err != nil {
		s.Fatalf("CreateOrder: %v", err)
	}
	return o
}

func (s *suite) pay(o *payments.Order) payments.Confirmation {
	s.Helper()
	paymentID, signature, err := s.Pay(o.ID)
	if err != nil {
		s.Fatalf("Pay: %v", err)
	}
	return payments.Confirmation{OrderID: o.ID, Expected: o.Amount, PaymentID: paymentID, Signature: signature}
}

// captured returns a payment of 500 rupees whose money is taken.
func (s *suite) captured() payments.Confirmation {
	s.Helper()
	return s.pay(s.order("bill_captured", payments.CaptureAutomatic))
}

func (s *suite) wants(err error, want error, doing string) {
	s.Helper()
	if !errors.Is(err, want) {
		s.Errorf("%s: got error %v, want %v", doing, err, want)
	}
}

func (s *suite) ok(err error, doing string) {
	s.Helper()
	if err != nil {
		s.Fatalf("%s: %v", doing, err)
	}
}

func (s *suite) orderOnce() {
	notes := map[string]string{"visit": "42"}
	first, err := s.CreateOrder(s.Context(), payments.OrderRequest{Amount: amount, Key: "bill_1", Notes: notes})
	s.ok(err, "CreateOrder")
	notes["visit"] = "changed by the caller, afterwards"
	if first.ID == "" || first.Amount != amount || first.Key != "bill_1" || first.Status != payments.OrderCreated {
		s.Errorf("CreateOrder: got %v with receipt %q", first, first.Key)
	}
	again := s.order("bill_1", "")
	if again.ID != first.ID {
		s.Errorf("the same receipt made a second order: %s, then %s", first.ID, again.ID)
	}
	if again.Notes["visit"] == notes["visit"] {
		s.Errorf("the gateway has kept the caller's map of notes")
	}
	if other := s.order("bill_10", ""); other.ID == first.ID {
		s.Errorf("two receipts gave one order")
	}
	s.pay(first)
	if paid := s.order("bill_1", ""); paid.ID != first.ID || paid.Status != payments.OrderPaid {
		s.Errorf("the same receipt after the payment: got %v, want the paid order %s", paid, first.ID)
	}
	_, err = s.CreateOrder(s.Context(), payments.OrderRequest{Amount: payments.INR(50100), Key: "bill_1"})
	s.wants(err, payments.ErrKeyConflict, "the same receipt with another amount")
}

func (s *suite) badRequests() {
	ctx, long, many := s.Context(), map[string]string{"k": strings.Repeat("x", 257)}, map[string]string{}
	for i := range 16 {
		many[fmt.Sprint(i)] = "x"
	}
	fields := func(err error, want ...string) {
		s.Helper()
		s.wants(err, telemed.ErrInvalid, "a bad request")
		for _, field := range want {
			if !hasField(err, field) {
				s.Errorf("error %q does not name the field %s", err, field)
			}
		}
	}
	_, err := s.CreateOrder(ctx, payments.OrderRequest{Capture: "later"})
	fields(err, "Key", "Amount", "Capture")
	_, err = s.CreateOrder(ctx, payments.OrderRequest{Key: "bill_1", Amount: payments.INR(-1)})
	fields(err, "Amount")
	_, err = s.CreateOrder(ctx, payments.OrderRequest{Key: "bill_1", Amount: payments.Money{Minor: 100, Currency: "XYZ"}})
	fields(err, "Amount")
	_, err = s.CreateOrder(ctx, payments.OrderRequest{Key: "bill_\xff", Amount: amount})
	fields(err, "Key")
	_, err = s.CreateOrder(ctx, payments.OrderRequest{Key: strings.Repeat("अ", 41), Amount: payments.INR(99), Notes: long})
	fields(err, "Key", "Amount", "Notes")
	_, err = s.CreateOrder(ctx, payments.OrderRequest{Key: "bill\n1", Amount: payments.Money{Minor: 12345, Currency: "KWD"}, Notes: many})
	fields(err, "Key", "Amount", "Notes")
	_, err = s.VerifyPayment(ctx, payments.Confirmation{})
	fields(err, "OrderID", "Expected", "PaymentID", "Signature")
	_, err = s.Capture(ctx, payments.CaptureRequest{})
	fields(err, "PaymentID", "Amount")
	_, err = s.Refund(ctx, payments.RefundRequest{Amount: &payments.Money{}, Speed: "warp"})
	fields(err, "PaymentID", "Key", "Amount", "Speed")
	_, err = s.Refund(ctx, payments.RefundRequest{PaymentID: absent, Key: "cancel_0001", Amount: new(payments.INR(99)), Notes: many})
	fields(err, "Amount", "Notes")
}

// hasField walks the tree of wrapped errors, as errors.As does, but to its end.
func hasField(err error, field string) bool {
	if e, ok := err.(*telemed.FieldError); ok {
		return e.Field == field
	}
	switch wrapper := err.(type) {
	case interface{ Unwrap() error }:
		return hasField(wrapper.Unwrap(), field)
	case interface{ Unwrap() []error }:
		for _, inner := range wrapper.Unwrap() {
			if hasField(inner, field) {
				return true
			}
		}
	}
	return false
}

func (s *suite) verifyCaptured() {
	c := s.captured()
	check := func(p *payments.Payment, err error, doing string) {
		s.Helper()
		s.ok(err, doing)
		if p.ID != c.PaymentID || p.OrderID != c.OrderID || p.Amount != amount || p.Refunded.Minor != 0 || p.Status != payments.PaymentCaptured {
			s.Errorf("%s: got %v", doing, p)
		}
		p.Status = "changed by the caller"
	}
	for range 2 { // callback and webhook may both ask
		p, err := s.VerifyPayment(s.Context(), c)
		check(p, err, "VerifyPayment")
		p, err = s.Payment(s.Context(), c.PaymentID)
		check(p, err, "Payment")
	}
}

func (s *suite) forged() {
	c := s.captured()
	for name, signature := range map[string]string{
		"garbage": "garbage", "another length": c.Signature + "00", "one digit changed": flip(c.Signature),
	} {
		bad := c
		bad.Signature = signature
		_, err := s.VerifyPayment(s.Context(), bad)
		s.wants(err, telemed.ErrSignature, name)
	}
}

func flip(signature string) string {
	last := signature[len(signature)-1]
	if last == '0' {
		return signature[:len(signature)-1] + "1"
	}
	return signature[:len(signature)-1] + "0"
}

func (s *suite) wrongAmount() {
	c := s.captured()
	for _, wrong := range []payments.Money{payments.INR(50001), payments.INR(100), {Minor: 50000, Currency: "USD"}} {
		bad := c
		bad.Expected = wrong
		_, err := s.VerifyPayment(s.Context(), bad)
		s.wants(err, payments.ErrAmountMismatch, "expecting "+wrong.String())
	}
}

// otherOrder is the fraud of paying a cheap bill and showing it for a dear one.
func (s *suite) otherOrder() {
	paid, open := s.captured(), s.order("bill_open", "")
	swapped := paid
	swapped.OrderID = open.ID
	_, err := s.VerifyPayment(s.Context(), swapped)
	if !errors.Is(err, telemed.ErrSignature) && !errors.Is(err, payments.ErrOrderMismatch) {
		s.Errorf("a payment of another order: got error %v", err)
	}
}

// signedOnly is for who has got hold of a signature, or of the key: what the gateway
// itself says of the payment decides.
func (s *suite) signedOnly() {
	if s.Sign == nil {
		s.Skip("the harness cannot sign")
	}
	paid, open := s.captured(), s.order("bill_open", payments.CaptureAutomatic)
	swapped := paid
	swapped.OrderID, swapped.Signature = open.ID, s.Sign(open.ID, paid.PaymentID)
	_, err := s.VerifyPayment(s.Context(), swapped)
	s.wants(err, payments.ErrOrderMismatch, "a signed payment of another order")

	unknown := paid
	unknown.PaymentID, unknown.Signature = absent, s.Sign(paid.OrderID, absent)
	_, err = s.VerifyPayment(s.Context(), unknown)
	s.wants(err, telemed.ErrNotFound, "a signed payment that does not exist")

	if s.FailPayment == nil {
		return
	}
	id, err := s.FailPayment(open.ID)
	s.ok(err, "FailPayment")
	_, err = s.VerifyPayment(s.Context(), payments.Confirmation{OrderID: open.ID, Expected: open.Amount, PaymentID: id, Signature: s.Sign(open.ID, id)})
	s.wants(err, payments.ErrPaymentIncomplete, "a signed payment that failed")
}

func (s *suite) failedPayment() {
	if s.FailPayment == nil {
		s.Skip("the harness cannot fail a payment")
	}
	o := s.order("bill_failed", payments.CaptureAutomatic)
	id, err := s.FailPayment(o.ID)
	s.ok(err, "FailPayment")
	p, err := s.Payment(s.Context(), id)
	s.ok(err, "Payment")
	if p.Status != payments.PaymentFailed || p.Failure == nil {
		s.Errorf("Payment: got %v", p)
	}
	_, err = s.Capture(s.Context(), payments.CaptureRequest{PaymentID: id, Amount: amount})
	s.wants(err, payments.ErrPaymentIncomplete, "capturing a failed payment")
	_, err = s.Refund(s.Context(), payments.RefundRequest{PaymentID: id, Key: "refund_failed"})
	s.wants(err, payments.ErrPaymentIncomplete, "refunding a failed payment")
	_, err = s.VerifyPayment(s.Context(), s.pay(o))
	s.ok(err, "VerifyPayment of the second attempt")
}

func (s *suite) capture() {
	ctx, c := s.Context(), s.pay(s.order("bill_manual", payments.CaptureManual))
	p, err := s.VerifyPayment(ctx, c)
	s.ok(err, "VerifyPayment")
	if p.Status != payments.PaymentAuthorized {
		s.Fatalf("with manual capture: got status %s, want authorized", p.Status)
	}
	_, err = s.Refund(ctx, payments.RefundRequest{PaymentID: p.ID, Key: "refund_early"})
	s.wants(err, payments.ErrPaymentIncomplete, "refunding what was not captured")
	_, err = s.Capture(ctx, payments.CaptureRequest{PaymentID: p.ID, Amount: payments.INR(100)})
	s.wants(err, payments.ErrAmountMismatch, "capturing a part")
	_, err = s.Capture(ctx, payments.CaptureRequest{PaymentID: p.ID, Amount: payments.Money{Minor: amount.Minor, Currency: "USD"}})
	s.wants(err, payments.ErrAmountMismatch, "capturing another currency")
	for range 2 {
		p, err = s.Capture(ctx, payments.CaptureRequest{PaymentID: p.ID, Amount: amount})
		s.ok(err, "Capture")
		if p.Status != payments.PaymentCaptured {
			s.Errorf("Capture: got status %s", p.Status)
		}
	}
	_, err = s.Capture(ctx, payments.CaptureRequest{PaymentID: p.ID, Amount: payments.INR(100)})
	s.wants(err, payments.ErrAlreadyCaptured, "capturing another amount afterwards")
	p, err = s.VerifyPayment(ctx, c)
	s.ok(err, "VerifyPayment after Capture")
	if p.Status != payments.PaymentCaptured {
		s.Errorf("VerifyPayment after Capture: got status %s", p.Status)
	}
	if paid := s.order("bill_manual", payments.CaptureManual); paid.Status != payments.OrderPaid {
		s.Errorf("the order after Capture: got status %s", paid.Status)
	}
}

func (s *suite) refundOnce() {
	ctx, c := s.Context(), s.captured()
	req := payments.RefundRequest{PaymentID: c.PaymentID, Key: "cancel/appt 42"}
	first, err := s.Refund(ctx, req)
	s.ok(err, "Refund")
	if first.ID == "" || first.PaymentID != c.PaymentID || first.Amount != amount {
		s.Errorf("Refund: got %v", first)
	}
	again, err := s.Refund(ctx, req)
	s.ok(err, "Refund with the same key")
	if again.ID != first.ID {
		s.Errorf("the same key gave money back twice: %s, then %s", first.ID, again.ID)
	}
	_, err = s.Refund(ctx, payments.RefundRequest{PaymentID: c.PaymentID, Key: req.Key, Amount: new(payments.INR(100))})
	s.wants(err, payments.ErrKeyConflict, "the same key with another amount")
	other := s.pay(s.order("bill_other", payments.CaptureAutomatic))
	_, err = s.Refund(ctx, payments.RefundRequest{PaymentID: other.PaymentID, Key: req.Key})
	s.wants(err, payments.ErrKeyConflict, "the same key for another payment")
	_, err = s.Refund(ctx, payments.RefundRequest{PaymentID: c.PaymentID, Key: "another_key"})
	s.wants(err, payments.ErrAlreadyRefunded, "another key when nothing is left")
}

func (s *suite) partialRefunds() {
	ctx, c := s.Context(), s.captured()
	part := func(key string, m payments.Money) error {
		_, err := s.Refund(ctx, payments.RefundRequest{PaymentID: c.PaymentID, Key: key, Amount: &m})
		return err
	}
	s.ok(part("part_number_1", payments.INR(20000)), "the first part")
	s.wants(part("part_dollars", payments.Money{Minor: 100, Currency: "USD"}), payments.ErrAmountMismatch, "a part in another currency")
	s.wants(part("part_too_much", payments.INR(30001)), telemed.ErrInvalid, "more than what is left")
	p, err := s.Payment(ctx, c.PaymentID)
	s.ok(err, "Payment")
	if p.Status != payments.PaymentCaptured || p.Refunded != payments.INR(20000) {
		s.Errorf("after the first part: got %v with %v refunded", p, p.Refunded)
	}
	p, err = s.VerifyPayment(ctx, c)
	s.ok(err, "VerifyPayment of what was refunded in part")
	if p.Refunded != payments.INR(20000) {
		s.Errorf("VerifyPayment: got %v refunded, want INR 200.00", p.Refunded)
	}
	rest, err := s.Refund(ctx, payments.RefundRequest{PaymentID: c.PaymentID, Key: "the_rest_of_it"})
	s.ok(err, "refunding the rest")
	if rest.Amount != payments.INR(30000) {
		s.Errorf("the rest: got %v, want INR 300.00", rest.Amount)
	}
}

func (s *suite) refundedPayment() {
	c := s.captured()
	_, err := s.Refund(s.Context(), payments.RefundRequest{PaymentID: c.PaymentID, Key: "cancel_0001"})
	s.ok(err, "Refund")
	_, err = s.VerifyPayment(s.Context(), c)
	s.wants(err, payments.ErrAlreadyRefunded, "verifying what was given back")
	_, err = s.Capture(s.Context(), payments.CaptureRequest{PaymentID: c.PaymentID, Amount: amount})
	s.wants(err, payments.ErrAlreadyRefunded, "capturing what was given back")
}

func (s *suite) concurrentRefunds() {
	const callers = 64
	c := s.captured()
	ids := make([]string, callers)
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			r, err := s.Refund(s.Context(), payments.RefundRequest{PaymentID: c.PaymentID, Key: "cancel_0001"})
			if err != nil {
				s.Errorf("Refund: %v", err)
				return
			}
			ids[i] = r.ID
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id != ids[0] {
			s.Fatalf("one key gave two refunds: %s and %s", ids[0], id)
		}
	}
	p, err := s.Payment(s.Context(), c.PaymentID)
	s.ok(err, "Payment")
	if p.Refunded != amount {
		s.Errorf("refunded: got %v, want %v", p.Refunded, amount)
	}
}

const absent = "pay_AAAAAAAAAAAAAA"

func (s *suite) notFound() {
	ctx := s.Context()
	_, err := s.Payment(ctx, absent)
	s.wants(err, telemed.ErrNotFound, "Payment")
	_, err = s.Capture(ctx, payments.CaptureRequest{PaymentID: absent, Amount: amount})
	s.wants(err, telemed.ErrNotFound, "Capture")
	_, err = s.Refund(ctx, payments.RefundRequest{PaymentID: absent, Key: "cancel_0001"})
	s.wants(err, telemed.ErrNotFound, "Refund")
}

func (s *suite) cancelled() {
	c := s.captured()
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	_, err := s.CreateOrder(ctx, payments.OrderRequest{Amount: amount, Key: "bill_late"})
	s.wants(err, context.Canceled, "CreateOrder")
	_, err = s.Payment(ctx, c.PaymentID)
	s.wants(err, context.Canceled, "Payment")
	_, err = s.VerifyPayment(ctx, c)
	s.wants(err, context.Canceled, "VerifyPayment")
	_, err = s.Capture(ctx, payments.CaptureRequest{PaymentID: c.PaymentID, Amount: amount})
	s.wants(err, context.Canceled, "Capture")
	_, err = s.Refund(ctx, payments.RefundRequest{PaymentID: c.PaymentID, Key: "cancel_0001"})
	s.wants(err, context.Canceled, "Refund")
}

// lostOrder: the call may find out by itself, or say ErrAmbiguous; then the next call
// finds out.
func (s *suite) lostOrder() {
	if s.LoseAnswer == nil {
		s.Skip("the harness cannot lose an answer")
	}
	req := payments.OrderRequest{Amount: amount, Key: "bill_lost"}
	s.LoseAnswer()
	first, err := s.CreateOrder(s.Context(), req)
	if err != nil {
		s.wants(err, telemed.ErrAmbiguous, "CreateOrder without an answer")
	}
	second, err := s.CreateOrder(s.Context(), req)
	s.ok(err, "CreateOrder again")
	if first != nil && first.ID != second.ID {
		s.Errorf("two orders for one receipt: %s and %s", first.ID, second.ID)
	}
	s.pay(second)
	if third := s.order("bill_lost", ""); third.Status != payments.OrderPaid {
		s.Errorf("the receipt has a second, unpaid order: %v", third)
	}
}

func (s *suite) lostRefund() {
	if s.LoseAnswer == nil {
		s.Skip("the harness cannot lose an answer")
	}
	c := s.captured()
	req := payments.RefundRequest{PaymentID: c.PaymentID, Key: "cancel_0001", Amount: new(payments.INR(20000))}
	s.LoseAnswer()
	if _, err := s.Refund(s.Context(), req); err != nil {
		s.wants(err, telemed.ErrAmbiguous, "Refund without an answer")
	}
	_, err := s.Refund(s.Context(), req)
	s.ok(err, "Refund again")
	p, err := s.Payment(s.Context(), c.PaymentID)
	s.ok(err, "Payment")
	if p.Refunded != payments.INR(20000) {
		s.Errorf("refunded: got %v, want INR 200.00", p.Refunded)
	}
}

func (s *suite) lostCapture() {
	if s.LoseAnswer == nil {
		s.Skip("the harness cannot lose an answer")
	}
	c := s.pay(s.order("bill_manual", payments.CaptureManual))
	req := payments.CaptureRequest{PaymentID: c.PaymentID, Amount: amount}
	s.LoseAnswer()
	if _, err := s.Capture(s.Context(), req); err != nil {
		s.wants(err, telemed.ErrAmbiguous, "Capture without an answer")
	}
	p, err := s.Capture(s.Context(), req)
	s.ok(err, "Capture again")
	if p.Status != payments.PaymentCaptured {
		s.Errorf("Capture again: got status %s", p.Status)
	}
}

func (s *suite) concurrentOrders() {
	const callers = 16
	processes := []payments.PaymentGateway{s.Gateway, s.Gateway}
	if s.Another != nil {
		processes[1] = s.Another()
	}
	ids := make([]string, callers)
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			o, err := processes[i%2].CreateOrder(s.Context(), payments.OrderRequest{Amount: amount, Key: "bill_concurrent"})
			if err != nil {
				s.Errorf("CreateOrder: %v", err)
				return
			}
			ids[i] = o.ID
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id != ids[0] {
			s.Fatalf("one key gave two orders: %s and %s", ids[0], id)
		}
	}
}

func (s *suite) finder() {
	finder, ok := s.Gateway.(payments.OrderFinder)
	if !ok {
		s.Skip("the gateway is no payments.OrderFinder")
	}
	ctx, o := s.Context(), s.order("bill_2", payments.CaptureAutomatic)
	for i := range 3 {
		s.order(fmt.Sprintf("bill_2%d", i), "") // other receipts that hold this one
	}
	orders, err := finder.OrdersByKey(ctx, "bill_2")
	s.ok(err, "OrdersByKey")
	if len(orders) != 1 || orders[0].ID != o.ID {
		s.Errorf("OrdersByKey: got %v, want %s alone", orders, o.ID)
	}
	orders, err = finder.OrdersByKey(ctx, "bill")
	s.ok(err, "OrdersByKey of a part of a key")
	if len(orders) != 0 {
		s.Errorf("OrdersByKey of a part of a key: got %v, want none", orders)
	}
	_, err = finder.Order(ctx, absentOrder)
	s.wants(err, telemed.ErrNotFound, "Order")
	_, err = finder.OrderPayments(ctx, absentOrder)
	s.wants(err, telemed.ErrNotFound, "OrderPayments")
	s.payments(finder, o)
	found, err := finder.Order(ctx, o.ID)
	s.ok(err, "Order")
	if !found.IsPaid() || found.Status != payments.OrderPaid || found.Paid != amount || found.Due.Minor != 0 {
		s.Errorf("Order: got %v with %v paid and %v due", found, found.Paid, found.Due)
	}
}

// payments has o paid, after an attempt that fails, and looks for both payments.
func (s *suite) payments(finder payments.OrderFinder, o *payments.Order) {
	want := 1
	if s.FailPayment != nil {
		_, err := s.FailPayment(o.ID)
		s.ok(err, "FailPayment")
		want = 2
	}
	found, err := finder.Order(s.Context(), o.ID)
	s.ok(err, "Order")
	if found.IsPaid() || found.Due != amount {
		s.Errorf("Order before it is paid: got %v with %v due", found, found.Due)
	}
	c := s.pay(o)
	all, err := finder.OrderPayments(s.Context(), o.ID)
	s.ok(err, "OrderPayments")
	paid := func(p *payments.Payment) bool { return p.ID == c.PaymentID && p.Status == payments.PaymentCaptured }
	if len(all) != want || !slices.ContainsFunc(all, paid) {
		s.Errorf("OrderPayments: got %v, want %d with %s captured", all, want, c.PaymentID)
	}
}

const (
	absentOrder  = "order_AAAAAAAAAAAAAA"
	absentRefund = "rfnd_AAAAAAAAAAAAAA"
)

func (s *suite) refundFinder() {
	finder, ok := s.Gateway.(payments.RefundFinder)
	if !ok {
		s.Skip("the gateway is no payments.RefundFinder")
	}
	ctx, c := s.Context(), s.captured()
	none, err := finder.PaymentRefunds(ctx, c.PaymentID)
	s.ok(err, "PaymentRefunds of a payment without refunds")
	if len(none) != 0 {
		s.Errorf("PaymentRefunds: got %v, want none", none)
	}
	var ids []string
	for _, key := range []string{"part_number_1", "part_number_2"} {
		made, err := s.Refund(ctx, payments.RefundRequest{PaymentID: c.PaymentID, Key: key, Amount: new(payments.INR(10000))})
		s.ok(err, "Refund")
		ids = append(ids, made.ID)
		found, err := finder.RefundByID(ctx, made.ID)
		s.ok(err, "RefundByID")
		if found.ID != made.ID || found.PaymentID != c.PaymentID || found.Amount != payments.INR(10000) {
			s.Errorf("RefundByID: got %v, want %v", found, made)
		}
	}
	other := s.pay(s.order("bill_other", payments.CaptureAutomatic))
	_, err = s.Refund(ctx, payments.RefundRequest{PaymentID: other.PaymentID, Key: "cancel_other"})
	s.ok(err, "Refund of another payment")
	all, err := finder.PaymentRefunds(ctx, c.PaymentID)
	s.ok(err, "PaymentRefunds")
	if len(all) != 2 || !slices.ContainsFunc(all, func(r *payments.Refund) bool { return r.ID == ids[0] }) ||
		!slices.ContainsFunc(all, func(r *payments.Refund) bool { return r.ID == ids[1] }) {
		s.Errorf("PaymentRefunds: got %v, want %v", all, ids)
	}
	_, err = finder.RefundByID(ctx, absentRefund)
	s.wants(err, telemed.ErrNotFound, "RefundByID")
	_, err = finder.PaymentRefunds(ctx, absent)
	s.wants(err, telemed.ErrNotFound, "PaymentRefunds")
}

// pendingRefund: accepted is not given back, and what failed may be tried again.
func (s *suite) pendingRefund() {
	if s.HoldRefunds == nil || s.SettleRefund == nil {
		s.Skip("the harness cannot hold a refund")
	}
	ctx, c := s.Context(), s.captured()
	s.HoldRefunds()
	stored := payments.PaymentCaptured
	is := func(want payments.PaymentStatus, how payments.GivenBack) {
		s.Helper()
		p, err := s.Payment(ctx, c.PaymentID)
		s.ok(err, "Payment")
		if p.Status != want || p.GivenBack != how || !p.Captured || p.AutoRefunded() {
			s.Errorf("the payment: got %v, %q given back, want %s, %q", p, p.GivenBack, want, how)
		}
		if !stored.CanBecome(p.Status) {
			s.Errorf("CanBecome: from %s to %s is no step", stored, p.Status)
		}
		stored = p.Status
	}
	req := payments.RefundRequest{PaymentID: c.PaymentID, Key: "cancel_0001"}
	r, err := s.Refund(ctx, req)
	s.ok(err, "Refund")
	if r.Status != payments.RefundPending {
		s.Fatalf("Refund: got status %s, want pending", r.Status)
	}
	is(payments.PaymentRefunded, payments.GivenBackFull)
	s.ok(s.SettleRefund(r.ID, false), "SettleRefund")
	is(payments.PaymentCaptured, payments.GivenBackNone)
	again, err := s.Refund(ctx, req)
	s.ok(err, "Refund with the key of the failed one")
	if again.ID != r.ID || again.Status != payments.RefundFailed {
		s.Errorf("Refund with the key of the failed one: got %v, want %s failed", again, r.ID)
	}
	req.Key = "cancel_0001_again"
	second, err := s.Refund(ctx, req)
	s.ok(err, "Refund with another key")
	s.ok(s.SettleRefund(second.ID, true), "SettleRefund")
	is(payments.PaymentRefunded, payments.GivenBackFull)
}

func (s *suite) instalments() {
	if s.PartOrder == nil || s.PayPart == nil {
		s.Skip("the harness knows no instalments")
	}
	id, err := s.PartOrder("bill_parts", payments.INR(40000))
	s.ok(err, "PartOrder")
	part := func(m payments.Money) (*payments.Payment, error) {
		s.Helper()
		paymentID, signature, err := s.PayPart(id, m)
		s.ok(err, "PayPart")
		return s.VerifyPayment(s.Context(), payments.Confirmation{
			OrderID: id, Expected: payments.INR(40000), PaymentID: paymentID, Signature: signature,
		})
	}
	_, err = part(payments.INR(10000))
	s.wants(err, payments.ErrPartlyPaid, "the first instalment")
	s.wants(err, payments.ErrPaymentIncomplete, "the first instalment")
	if finder, ok := s.Gateway.(payments.OrderFinder); ok {
		o, err := finder.Order(s.Context(), id)
		s.ok(err, "Order")
		if o.IsPaid() || o.Paid != payments.INR(10000) || o.Due != payments.INR(30000) {
			s.Errorf("after the first instalment: got %v with %v paid and %v due", o, o.Paid, o.Due)
		}
	}
	p, err := part(payments.INR(30000))
	s.ok(err, "VerifyPayment of the last instalment")
	if p.Amount != payments.INR(30000) || p.Status != payments.PaymentCaptured {
		s.Errorf("the last instalment: got %v", p)
	}
}

func (s *suite) charged() {
	if s.PayAs == nil {
		s.Skip("the harness charges what the order says")
	}
	for name, charged := range map[string]payments.Money{
		"an offer": payments.INR(45000), "a fee": payments.INR(51180), "a conversion": {Minor: 600, Currency: "USD"},
	} {
		o := s.order("bill_"+name, payments.CaptureAutomatic)
		paymentID, signature, err := s.PayAs(o.ID, charged)
		s.ok(err, "PayAs with "+name)
		c := payments.Confirmation{OrderID: o.ID, Expected: amount, PaymentID: paymentID, Signature: signature}
		p, err := s.VerifyPayment(s.Context(), c)
		s.ok(err, "VerifyPayment with "+name)
		if p.Amount != charged || p.Status != payments.PaymentCaptured {
			s.Errorf("VerifyPayment with %s: got %v, want %v captured", name, p, charged)
		}
		c.Expected = charged
		_, err = s.VerifyPayment(s.Context(), c)
		s.wants(err, payments.ErrAmountMismatch, "another order than was expected, with "+name)
	}
}

func (s *suite) late() {
	if s.AuthorizeLate == nil || s.FailPayment == nil {
		s.Skip("the harness has no late banks")
	}
	ctx, o := s.Context(), s.order("bill_late_bank", payments.CaptureAutomatic)
	id, err := s.FailPayment(o.ID)
	s.ok(err, "FailPayment")
	s.ok(s.AuthorizeLate(id), "AuthorizeLate")
	p, err := s.Payment(ctx, id)
	s.ok(err, "Payment")
	if p.Status != payments.PaymentCaptured || !p.Late || !payments.PaymentFailed.CanBecome(p.Status) {
		s.Errorf("a late bank: got %v, late %t", p, p.Late)
	}
	twice := s.order("bill_paid_twice", payments.CaptureAutomatic)
	first, err := s.FailPayment(twice.ID)
	s.ok(err, "FailPayment")
	s.pay(twice)
	s.ok(s.AuthorizeLate(first), "AuthorizeLate")
	p, err = s.Payment(ctx, first)
	s.ok(err, "Payment")
	if p.Captured || !p.AutoRefunded() || p.Refunded != amount {
		s.Errorf("a late bank and a paid order: got %v, captured %t, want it given back", p, p.Captured)
	}
}

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/razorpay/razorpaytest"
)

// order is one of Razorpay's, with what was paid and given back.
type order struct {
	ID       string    `json:"id"`
	Receipt  string    `json:"receipt"`
	Status   string    `json:"status"`
	Due      int64     `json:"amount_due"`
	Total    int64     `json:"amount"`
	Currency string    `json:"currency"`
	Partial  bool      `json:"partial_payment"`
	Payments []payment `json:"payments"`
}

type payment struct {
	ID       string   `json:"id"`
	OrderID  string   `json:"order_id"`
	Status   string   `json:"status"`
	Amount   int64    `json:"amount"`
	Currency string   `json:"currency"`
	Method   string   `json:"method"`
	VPA      string   `json:"vpa"`
	Reason   string   `json:"error_reason"`
	Refunds  []refund `json:"refunds"`
}

type refund struct {
	ID        string `json:"id"`
	PaymentID string `json:"payment_id"`
	Status    string `json:"status"`
	Amount    int64  `json:"amount"`
	Currency  string `json:"currency"`
}

// What the page shows of them.
func (o order) Money() string   { return money(o.Total, o.Currency) }
func (p payment) Money() string { return money(p.Amount, p.Currency) }
func (r refund) Money() string  { return money(r.Amount, r.Currency) }

// Scenarios are those that an order can play now.
func (o order) Scenarios() []scenario {
	return slices.DeleteFunc(slices.Clone(scenarios), func(s scenario) bool { return s.partial && (!o.Partial || o.Due < 2) })
}

// Open reports whether it can be paid.
func (o order) Open() bool {
	return o.Status != "paid" && !slices.ContainsFunc(o.Payments, func(p payment) bool { return p.Status == "authorized" })
}

func money(minor int64, currency string) string {
	return payments.Money{Minor: minor, Currency: payments.Currency(currency)}.String()
}

// orders are all of them, oldest first. Nothing is asked over the wire: a page must not use
// up a fault.
func (w *world) orders() []order {
	docs, paid, back := w.Razorpay.Documents()
	refunds := map[string][]refund{}
	for _, r := range decodeAll[refund](back) {
		refunds[r.PaymentID] = append(refunds[r.PaymentID], r)
	}
	of := map[string][]payment{}
	for _, p := range decodeAll[payment](paid) {
		p.Refunds = append([]refund{}, refunds[p.ID]...)
		of[p.OrderID] = append(of[p.OrderID], p)
	}
	list := append([]order{}, decodeAll[order](docs)...)
	for i, o := range list {
		list[i].Payments = append([]payment{}, of[o.ID]...)
	}
	return list
}

// decodeAll decodes documents of the fake's, which always decode.
func decodeAll[T any](docs []json.RawMessage) []T {
	all := make([]T, len(docs))
	for i, doc := range docs {
		_ = json.Unmarshal(doc, &all[i])
	}
	return all
}

func tellPayments(r request) (any, error) { return r.orders(), nil }

// scenario is something that happens to an order. Those with an id of Razorpay's are of its
// acceptance tests: https://razorpay.com/docs/payments/.
type scenario struct {
	ID, Label string
	partial   bool // for an order that takes instalments
	play      func(w *world, orderID string) error
}

// The instruments of Razorpay's test mode.
const (
	visa  = "4100 2800 0000 1007"
	rupay = "6527 6589 0000 1005"
)

var scenarios = []scenario{
	{ID: "upi", Label: "Pay: UPI success@razorpay", play: payWith(razorpaytest.Instrument{VPA: "success@razorpay"})},
	{ID: "card", Label: "Pay: Visa " + visa + ", OTP 1234", play: payWith(razorpaytest.Instrument{Card: visa, OTP: "1234"})},
	{ID: "upi-fails", Label: "Fail: UPI failure@razorpay", play: failWith(razorpaytest.Instrument{VPA: "failure@razorpay"})},
	{ID: "otp-fails", Label: "Fail: RuPay " + rupay + ", OTP 123", play: failWith(razorpaytest.Instrument{Card: rupay, OTP: "123"})},
	{ID: "fail-then-pay", Label: "Fail once, then pay (ORD-03)", play: func(w *world, orderID string) error {
		if _, err := w.Razorpay.FailPayment(orderID); err != nil {
			return err
		}
		_, err := w.Razorpay.Pay(orderID)
		return err
	}},
	{ID: "late", Label: "Fail, and the bank says yes later (BP-06)", play: func(w *world, orderID string) error {
		id, err := w.Razorpay.FailPayment(orderID)
		if err != nil {
			return err
		}
		return w.Razorpay.AuthorizeLate(id)
	}},
	{ID: "held", Label: "Pay, and no webhook comes (BP-05)", play: func(w *world, orderID string) error {
		w.Razorpay.HoldWebhooks()
		_, err := w.Razorpay.Pay(orderID)
		return err
	}},
	{ID: "offer", Label: "Pay a tenth less: an offer of the bank", play: func(w *world, orderID string) error {
		o, err := w.order(orderID)
		if err != nil {
			return err
		}
		_, err = w.Razorpay.PayAs(orderID, payments.Money{Minor: o.Due - o.Due/10, Currency: payments.Currency(o.Currency)})
		return err
	}},
	{ID: "half", Label: "Pay half: an instalment", partial: true, play: func(w *world, orderID string) error {
		o, err := w.order(orderID)
		if err != nil {
			return err
		}
		_, err = w.Razorpay.PayPart(orderID, o.Due/2)
		return err
	}},
}

func payWith(with razorpaytest.Instrument) func(*world, string) error {
	return func(w *world, orderID string) error {
		_, err := w.Razorpay.PayWith(orderID, with)
		return err
	}
}

// failWith plays a payment that is to fail: then it went well.
func failWith(with razorpaytest.Instrument) func(*world, string) error {
	return func(w *world, orderID string) error {
		_, err := w.Razorpay.PayWith(orderID, with)
		if refused, ok := errors.AsType[*razorpaytest.Refusal](err); ok && refused.Status == http.StatusBadRequest && refused.Step != "payment_initiation" {
			return nil
		}
		return err
	}
}

func (w *world) order(id string) (order, error) {
	all := w.orders()
	i := slices.IndexFunc(all, func(o order) bool { return o.ID == id })
	if i < 0 {
		return order{}, errors.New("order: there is no such order")
	}
	return all[i], nil
}

// playPayment plays a scenario with an order, or lets happen to a payment what may happen to
// it later.
func playPayment(r request) (any, error) {
	id, name := r.in.Get("order"), r.in.Get("scenario")
	if paymentID := r.in.Get("payment"); paymentID != "" {
		later, ok := map[string]func(string) error{"late": r.Razorpay.AuthorizeLate, "auto-refund": r.Razorpay.AutoRefund}[name]
		if !ok {
			return nil, fmt.Errorf("scenario: %q is neither late nor auto-refund", name)
		}
		return done, later(paymentID)
	}
	i := slices.IndexFunc(scenarios, func(s scenario) bool { return s.ID == name })
	if i < 0 {
		var names []string
		for _, s := range scenarios {
			names = append(names, s.ID)
		}
		return nil, fmt.Errorf("scenario: %q is none of %s", name, strings.Join(names, ", "))
	}
	if err := scenarios[i].play(r.world, id); err != nil {
		return nil, err
	}
	return r.order(id)
}

// settleRefund ends a pending refund, or leaves those to come pending.
func settleRefund(r request) (any, error) {
	switch status := r.in.Get("status"); status {
	case "processed", "failed":
		return done, r.Razorpay.SettleRefund(r.in.Get("refund"), status == "processed")
	case "pending":
		r.Razorpay.HoldRefunds()
		return done, nil
	default:
		return nil, fmt.Errorf("status: %q is none of processed, failed, pending", status)
	}
}

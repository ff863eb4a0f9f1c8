package fulfill_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/telemed-go/telemed/internal/signature"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/fulfill"
	"github.com/telemed-go/telemed/payments/razorpay/razorpaytest"
	"github.com/telemed-go/telemed/store/durable"
)

func parse(w *world, e razorpaytest.Event) (*payments.Event, error) {
	header := http.Header{}
	header.Set("X-Razorpay-Event-Id", e.ID)
	header.Set("X-Razorpay-Signature", signature.Hex([]byte(w.srv.WebhookSecret().Reveal()), bytes.Clone(e.Body)))
	return w.truth.ParseWebhook(header, e.Body)
}

// sums is what the gateway says of one bill.
type sums struct {
	paidOrder   bool
	taken, back int64 // in rupees
	foreign     int64 // left of what was paid in another currency
	payerKept   int64 // of the order that the bill says pays it
	marks       map[string]int
	pending     int
	backByKey   map[string]int64
}

// story tells what is known of a bill, for whoever reads of a problem.
func (w *world) story(b *bill, s fulfill.Status) string {
	item, err := w.rows.Get(context.Background(), durable.ID{Kind: fulfill.RowKind, Name: b.key})
	return fmt.Sprintf("%+v\n%+v\n%s\n%s\n%v", b, s, item.Audit, item.Data, err)
}

// check compares what the rows and the application say with what the gateway says.
func (w *world) check() {
	for item := range w.rows.List(context.Background(), durable.Filter{}) {
		if item.Lease.Owner != "" {
			w.problem("%s is leased", item.ID.Name)
		}
		if item.Stuck != "" && !w.stuck[item.ID.Name] {
			w.problem("%s is stuck and nobody was told: %s", item.ID.Name, item.Stuck)
		}
	}
	for _, b := range w.bills {
		s := w.status(b.key)
		if s.Key == "" {
			continue
		}
		before := len(w.problems)
		w.checkBill(b, s, w.truthOf(b, s))
		if len(w.problems) > before {
			w.problem("%s", w.story(b, s))
		}
	}
}

func (w *world) checkBill(b *bill, s fulfill.Status, is sums) {
	if w.trusts {
		if is.paidOrder && b.booked == 0 && !b.gone {
			w.problem("%s is paid and was never booked", b.key)
		}
		return
	}
	w.checkState(b, s, is)
	w.checkMoney(b, s, is)
}

func (w *world) checkState(b *bill, s fulfill.Status, is sums) {
	switch s.State {
	case fulfill.StateOpen, fulfill.StatePaid:
		if is.paidOrder {
			w.problem("%s is paid and was never booked: %s %s", b.key, s.State, s.Stuck)
		}
	case fulfill.StateFulfilled:
		if b.booked != 1 {
			w.problem("%s is fulfilled and not booked", b.key)
		}
	case fulfill.StateLapsed:
		if b.until.IsZero() {
			w.problem("%s lapsed without being a reservation", b.key)
		}
	case fulfill.StateCancelled:
		if !b.cancelled && len(b.askedBack)+len(b.byHand) == 0 {
			w.problem("%s was cancelled by nobody", b.key)
		}
	case fulfill.StateGone:
		if !b.gone || b.booked > 0 {
			w.problem("%s is gone and is not", b.key)
		}
	}
	if b.cancelled && s.State != fulfill.StateCancelled {
		w.problem("%s was cancelled and is %s", b.key, s.State)
	}
	if b.booked > 0 && s.State != fulfill.StateFulfilled && s.State != fulfill.StateCancelled {
		w.problem("%s is booked and %s", b.key, s.State)
	}
}

func (w *world) checkMoney(b *bill, s fulfill.Status, is sums) {
	if s.Taken.Minor != is.taken || s.GivenBack.Minor != is.back {
		w.problem("%s: says %d taken and %d given back, and it is %d and %d", b.key, s.Taken.Minor, s.GivenBack.Minor, is.taken, is.back)
	}
	if is.pending > 0 {
		w.problem("%s: %d refunds are still pending", b.key, is.pending)
	}
	for mark, n := range is.marks {
		if n > 1 {
			w.problem("%s: refund %s was made %d times", b.key, mark, n)
		}
	}
	for key := range is.backByKey {
		if _, asked := b.askedBack[key]; !asked && !strings.HasPrefix(key, "orphan:") {
			w.problem("%s: nobody wanted refund %s", b.key, key)
		}
	}
	for key, wanted := range b.askedBack {
		if got := is.backByKey[key]; wanted > 0 && got > wanted {
			w.problem("%s: %d of refund %s was given back, and %d wanted", b.key, got, key, wanted)
		}
	}
	kept := is.taken - is.back
	switch {
	case s.State == fulfill.StateFulfilled:
		if kept != is.payerKept {
			w.problem("%s: %d is kept, and %d of what pays it", b.key, kept, is.payerKept)
		}
		if is.payerKept+is.foreign == 0 && len(b.askedBack)+len(b.byHand) == 0 {
			w.problem("%s: all was given back of what is fulfilled", b.key)
		}
	case kept != 0 || is.foreign != 0:
		w.problem("%s is %s, and %d + %d are kept", b.key, s.State, kept, is.foreign)
	}
}

// asked asks the gateway until no fault is in the way that a schedule has left behind.
func asked[T any](ask func() (T, error)) (answer T, err error) {
	for range 10 {
		if answer, err = ask(); err == nil {
			break
		}
	}
	return answer, err
}

func (w *world) truthOf(b *bill, s fulfill.Status) sums {
	ctx := context.Background()
	is := sums{marks: map[string]int{}, backByKey: map[string]int64{}}
	orders, err := asked(func() ([]*payments.Order, error) { return w.truth.OrdersByKey(ctx, b.key) })
	if err != nil {
		w.problem("%s: %v", b.key, err)
	}
	for _, o := range orders {
		is.paidOrder = is.paidOrder || o.IsPaid()
		all, err := asked(func() ([]*payments.Payment, error) { return w.truth.OrderPayments(ctx, o.ID) })
		if err != nil {
			w.problem("%s: %v", b.key, err)
		}
		for _, p := range all {
			if p.Captured {
				is.add(w, p, o.ID == s.OrderID)
			}
		}
	}
	return is
}

func (is *sums) add(w *world, p *payments.Payment, pays bool) {
	made, err := asked(func() ([]*payments.Refund, error) { return w.truth.PaymentRefunds(context.Background(), p.ID) })
	if err != nil {
		w.problem("%s: %v", p.ID, err)
	}
	back := int64(0)
	for _, refund := range made {
		switch refund.Status {
		case payments.RefundProcessed:
			back += refund.Amount.Minor
		case payments.RefundFailed:
			continue
		default:
			is.pending++
		}
		if mark := refund.Notes["refund"]; mark != "" {
			parts := strings.Split(mark, "/")
			is.marks[mark+" of "+p.ID]++
			is.backByKey[parts[0]] += refund.Amount.Minor
		}
	}
	if p.Amount.Currency != "INR" {
		is.foreign += p.Amount.Minor - back
		return
	}
	is.taken, is.back = is.taken+p.Amount.Minor, is.back+back
	if pays {
		is.payerKept += p.Amount.Minor - back
	}
}

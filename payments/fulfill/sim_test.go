package fulfill_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/fulfill"
	"github.com/telemed-go/telemed/payments/razorpay/razorpaytest"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/durable"
)

// Some schedules find what fails often. .ci/run lives through hundreds, and its
// word long through ten thousand.
var (
	schedules = flag.Int("schedules", 30, "random schedules of payments")
	firstSeed = flag.Int("schedules.first", 0, "the first of them")
)

// TestSchedules lives through random schedules of payments: three processes that are
// killed, deliveries that are lost, doubled and late, banks that answer late, refunds that
// fail or are made by hand.
func TestSchedules(t *testing.T) {
	t.Parallel()
	total := map[string]int{}
	const parts = 4
	for part := range parts {
		t.Run(fmt.Sprint(part), func(t *testing.T) {
			for seed := *firstSeed + part; seed < *firstSeed+*schedules; seed += parts {
				w := live(t, uint64(seed), nil)
				require.Emptyf(t, strings.Join(w.problems, "\n"), "schedule %d", seed)
				for _, b := range w.bills {
					total[string(w.status(b.key).State)]++
				}
				total["kills"] += w.killed
				total["operations"] += w.ops
			}
		})
	}
	t.Log(total)
	if *schedules >= 100 {
		for _, state := range []fulfill.State{fulfill.StateOpen, fulfill.StateFulfilled, fulfill.StateCancelled, fulfill.StateLapsed, fulfill.StateGone} {
			require.Positivef(t, total[string(state)], "no bill ended %s", state)
		}
		require.Greater(t, total["kills"], *schedules/4)
	}
}

// TestSchedulesFindFaults: schedules find what an application, or this package, must not do.
// Most faults need a few of them. That with keys of refunds needs dozens at times, because
// what happens at one moment has no order.
func TestSchedulesFindFaults(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		plant func(w *world)
		want  string
	}{
		"it books by what events say":       {func(w *world) { w.trusts = true }, "never booked"},
		"a callback books by itself":        {func(w *world) { w.callbackBooks = true }, "is fulfilled"},
		"a refund has another key each try": {(*world).forgetKeys, "times"},
		"nobody sweeps":                     {func(w *world) { w.sweepless = true }, "never booked"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(400) {
				problems := live(t, seed, test.plant).problems
				if slices.ContainsFunc(problems, func(problem string) bool { return strings.Contains(problem, test.want) }) {
					return
				}
			}
			t.Fatal("no schedule notices it")
		})
	}
}

// forgetKeys has each try of a refund be another one, and processes die behind refunds.
func (w *world) forgetKeys() {
	w.rekeys, w.tiers = true, 1
	for range 4 {
		w.strikes = append(w.strikes, strike{call: "/refund", after: true})
	}
}

// live lives through a schedule, with a fault if one is planted.
func live(t *testing.T, seed uint64, plant func(*world)) (w *world) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w = newWorld(seed)
		defer w.srv.Close()
		if plant != nil {
			plant(w)
		}
		for _, b := range w.bills {
			w.plan(b)
		}
		w.live(time.Now().Add(16 * 24 * time.Hour))
		w.stop()
		w.all.Wait()
		w.check()
	})
	return w
}

func newWorld(seed uint64) *world {
	r := rand.New(rand.NewPCG(seed, 15))
	srv, err := razorpaytest.Start(razorpaytest.Config{InMemory: true})
	if err != nil {
		panic(err)
	}
	srv.HoldWebhooks()
	w := &world{
		begin: time.Now(), r: r, tiers: 3, srv: srv, rows: durable.NewMemory(), running: make([]*process, 3), refunds: map[string]time.Time{}, stuck: map[string]bool{},
	}
	w.truth, w.deaf = w.newClient(srv.Client().Transport), r.IntN(6) == 0
	if r.IntN(3) > 0 {
		w.claims = store.NewMemory()
	}
	if r.IntN(2) == 0 {
		srv.HoldRefunds()
	}
	for range r.IntN(5) {
		w.kills = append(w.kills, 1+r.IntN(120))
	}
	for range max(r.IntN(4)-1, 0) {
		w.freezes = append(w.freezes, 1+r.IntN(120))
	}
	for range r.IntN(4) {
		call := []string{"/refund", "/refund", "/capture", "/orders"}[r.IntN(4)]
		w.strikes = append(w.strikes, strike{call: call, after: r.IntN(3) > 0, freeze: r.IntN(4) == 0})
	}
	for range r.IntN(3) {
		op := []string{"", razorpaytest.OpCreateOrder, razorpaytest.OpCreateRefund, razorpaytest.OpCapture, razorpaytest.OpOrderPayments}[r.IntN(5)]
		srv.FailNext([]razorpaytest.Fault{{Op: op, LoseAnswer: true}, {Op: op, LoseRequest: true}, {Op: op, Status: 503, Times: 5}}[r.IntN(3)])
	}
	for n := range 1 + r.IntN(2) {
		b := &bill{key: fmt.Sprintf("bill-%06d-%d", seed, n), gone: r.IntN(8) == 0, askedBack: map[string]int64{}, byHand: map[string]bool{}}
		if r.IntN(2) == 0 {
			b.until = time.Now().Add([]time.Duration{20 * time.Minute, 2 * time.Hour}[r.IntN(2)])
		}
		w.bills = append(w.bills, b)
	}
	return w
}

// span is a random time up to d, mostly a short one.
func (w *world) span(d time.Duration) time.Duration {
	return time.Duration(float64(d) * pow3(w.r.Float64()))
}

func pow3(x float64) float64 { return x * x * x }

// plan says what happens to a bill.
func (w *world) plan(b *bill) {
	w.todo = append(w.todo, event{time.Now(), func() { w.open(b) }})
	if w.r.IntN(8) == 0 {
		w.later(w.span(3*time.Hour), func() { w.cancel(b) })
	}
	for n := range []int{0, 1, 1, 1, 2, 2}[w.r.IntN(6)] {
		kind, at := w.r.IntN(7), time.Minute+w.span(3*time.Hour)
		w.later(at, func() { w.pay(b, kind, n) })
	}
}

// open opens the bill and shows the payment page, as often as it takes.
func (w *world) open(b *bill) {
	p := w.any()
	err := p.bills.Open(context.Background(), fulfill.Bill{Key: b.key, Tenant: "clinic", Amount: payments.INR(simPrice), Until: b.until})
	if err == nil {
		_, err = p.bills.Checkout(context.Background(), b.key)
	}
	if err != nil && !errors.Is(err, telemed.ErrConflict) && !errors.Is(err, telemed.ErrInvalid) {
		w.later(30*time.Second, func() { w.open(b) })
	}
}

func (w *world) cancel(b *bill) {
	err := w.any().bills.Cancel(context.Background(), b.key)
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case err == nil:
		b.cancelled = true
	case !errors.Is(err, telemed.ErrConflict) && !errors.Is(err, telemed.ErrNotFound):
		w.todo = append(w.todo, event{time.Now().Add(time.Minute), func() { w.cancel(b) }})
	}
}

// pay is the patient.
func (w *world) pay(b *bill, kind, n int) {
	orders, err := w.truth.OrdersByKey(context.Background(), b.key)
	if err != nil || len(orders) == 0 {
		return
	}
	id := orders[w.n(len(orders))].ID
	if n > 0 || kind == 3 || kind == 4 { // the second one pays another order
		id = w.premade(b.key, kind == 4)
	}
	var paid razorpaytest.Paid
	switch kind {
	case 0: // a bank that answers late, for once
		failed, err := w.srv.FailPayment(id)
		if err == nil {
			w.later(time.Duration(1+w.n(60))*time.Hour, func() { _ = w.srv.AuthorizeLate(failed) })
		}
		return
	case 1:
		paid, err = w.srv.PayAs(id, []payments.Money{payments.INR(45000), payments.INR(51000), {Minor: 600, Currency: "USD"}}[w.n(3)])
	case 4:
		if paid, err = w.srv.PayPart(id, 20000); err == nil && w.n(2) == 0 {
			w.later(time.Duration(w.n(180))*time.Minute, func() { w.payAndReturn(b, id) })
		}
	default:
		w.payAndReturn(b, id)
		return
	}
	if err == nil {
		w.returned(b, paid)
	}
}

func (w *world) payAndReturn(b *bill, orderID string) {
	if paid, err := w.srv.Pay(orderID); err == nil {
		w.returned(b, paid)
	}
}

// returned is what follows a payment: the browser comes back or not, and somebody may give
// money back.
func (w *world) returned(b *bill, paid razorpaytest.Paid) {
	w.mu.Lock()
	if b.paidAt.IsZero() {
		b.paidAt = time.Now()
	}
	w.mu.Unlock()
	for range w.n(3) {
		if w.deaf {
			break
		}
		w.later(time.Duration(w.n(60))*time.Second, func() { w.callback(b) })
	}
	if w.n(6) == 0 {
		w.later(time.Duration(w.n(3600))*time.Second, func() { w.giveBackByHand(b, paid.PaymentID) })
	}
	if w.n(w.tiers) == 0 {
		w.later(time.Duration(w.n(7200))*time.Second, func() {
			amount := new(payments.INR(int64(1+w.n(4)) * 10000))
			if w.n(3) == 0 {
				amount = nil
			}
			w.refund(b.key, "tier", amount)
		})
	}
}

// callback is the browser that comes back.
func (w *world) callback(b *bill) {
	p := w.any()
	s, err := p.bills.Settle(context.Background(), b.key)
	if err == nil && w.callbackBooks && s.OrderID != "" {
		_ = p.book(context.Background(), fulfill.Paid{Key: b.key, OrderID: s.OrderID})
	}
}

func (w *world) giveBackByHand(b *bill, paymentID string) {
	amount := new(payments.INR(10000))
	if w.n(3) == 0 {
		amount = nil
	}
	w.mu.Lock()
	b.byHand[paymentID] = true // or at least tried
	w.mu.Unlock()
	_, _ = w.truth.Refund(context.Background(), payments.RefundRequest{PaymentID: paymentID, Amount: amount, Key: "by hand " + paymentID})
}

// live lets things happen until end, in whatever order they fall due.
func (w *world) live(end time.Time) {
	for {
		w.deliver()
		w.settleRefunds()
		next := w.next()
		if next.IsZero() || next.After(end) {
			return
		}
		if pause := time.Until(next); pause > 2*time.Minute {
			w.stop() // nothing happens: let nobody look for it
			time.Sleep(pause)
			w.srv.Advance(0)
		}
		w.any() // all three run
		for _, do := range w.due() {
			w.all.Go(do)
		}
		time.Sleep(time.Duration(500+w.n(2000)) * time.Millisecond)
	}
}

// next is when something is to be done.
func (w *world) next() (next time.Time) {
	sooner := func(at time.Time) {
		if !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	for item := range w.rows.List(context.Background(), durable.Filter{}) {
		sooner(item.Due)
		if item.Lease.Owner != "" {
			sooner(time.Now())
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.todo {
		sooner(e.at)
	}
	for _, at := range w.refunds {
		sooner(at)
	}
	return next
}

// due takes what is to happen now, in any order.
func (w *world) due() (all []func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.todo = slices.DeleteFunc(w.todo, func(e event) bool {
		if e.at.After(time.Now()) {
			return false
		}
		all = append(all, e.do)
		return true
	})
	w.r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// deliver puts what Razorpay tells on its way: never, once, or several times, late.
func (w *world) deliver() {
	w.mu.Lock()
	defer w.mu.Unlock()
	events := w.srv.Events()
	for _, e := range events[w.seen:] {
		if e.Type == payments.EventRefundCreated {
			made, err := parse(w, e)
			if err != nil {
				panic(err)
			}
			w.refunds[made.Refund.ID] = time.Now().Add(time.Minute + w.span(4*24*time.Hour))
		}
		if w.deaf {
			continue
		}
		for range []int{0, 0, 1, 1, 2, 3}[w.r.IntN(6)] {
			w.todo = append(w.todo, event{time.Now().Add(w.span(4 * time.Hour)), func() { w.hear(e) }})
		}
	}
	w.seen = len(events)
}

func (w *world) hear(e razorpaytest.Event) {
	p := w.any()
	// As the parser reads it, without a signature: what is signed is tested elsewhere.
	parsed, err := parse(w, e)
	if err != nil {
		w.problem("%v", err)
		return
	}
	if w.trusts {
		if e.Type == payments.EventOrderPaid {
			w.mu.Lock()
			w.bill(parsed.Order.Key).booked = 1
			w.mu.Unlock()
		}
		return
	}
	_ = p.bills.Event(context.Background(), *parsed)
}

// settleRefunds ends pending refunds after a while: most are processed.
func (w *world) settleRefunds() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(w.refunds)) {
		if !w.refunds[id].After(time.Now()) {
			// In the end all banks take what they are given.
			_ = w.srv.SettleRefund(id, w.r.IntN(4) > 0 || time.Since(w.begin) > 5*24*time.Hour)
			delete(w.refunds, id)
		}
	}
}

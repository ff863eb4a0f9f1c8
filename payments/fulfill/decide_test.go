package fulfill

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/store/durable"
)

var (
	opened = time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	noon   = opened.Add(3 * time.Hour)
	all    = policy{capture: true, giveBack: true, notify: true}
)

// paidBill is a bill that order_1 pays by pay_1, at which everything is to be done.
func paidBill() *record {
	return &record{
		Amount: payments.INR(50000), Asked: 1, Begun: opened, By: "order_1",
		Orders: []orderKnown{
			{ID: "order_1", Amount: payments.INR(50000), Paid: true}, {ID: "order_2", Amount: payments.INR(50000), Paid: true},
		},
		Payments: []paymentKnown{
			{ID: "pay_1", OrderID: "order_1", Amount: payments.INR(50000), Status: payments.PaymentCaptured, At: opened},
			{ID: "pay_2", OrderID: "order_2", Amount: payments.INR(50000), Status: payments.PaymentCaptured, At: opened},
		},
		Refunds: []refundKnown{{Key: "tier", PaymentID: "pay_1", Amount: payments.INR(10000)}},
		Unheard: true,
	}
}

// TestDecide goes down the table of the package's comment: each line is what is done once
// the lines above it are.
func TestDecide(t *testing.T) {
	t.Parallel()
	r := paidBill()
	pays := r.Orders
	r.Orders = []orderKnown{{ID: "order_1", Amount: payments.INR(50000)}}
	r.By, r.Payments = "", []paymentKnown{{ID: "pay_1", OrderID: "order_1", Amount: payments.INR(50000), Status: payments.PaymentAuthorized}}
	for _, line := range []struct {
		want action
		then func() // makes that line not fit any more
	}{
		{actLook, func() { r.Answered = 1 }},
		{actCapture, func() { r.Orders, r.Payments = pays, paidBill().Payments }},
		{actFulfill, func() { r.Fulfilled, r.By = noon, "order_1" }},
		{actGiveBack, func() { r.giveBack("pay_2", "") }},
		{actRefund, func() {
			r.Refunds[0].ID, r.Refunds[0].AskedAt, r.Refunds[0].Status = "rfnd_1", noon, payments.RefundPending
		}},
		{actRefund, func() {
			r.Refunds[1].ID, r.Refunds[1].AskedAt, r.Refunds[1].Status = "rfnd_2", noon, payments.RefundProcessed
			r.Payments[1].Refunded = payments.INR(50000)
		}},
		{actLook, func() { r.Sweeps = 2 }},
		{actTell, func() { r.tell(Notice{Kind: NoticeOrphan, Payment: "pay_2"}) }},
		{actTell, func() {
			r.tell(Notice{Kind: NoticeRefundPending, Payment: "pay_1", Refund: "tier", RefundID: "rfnd_1"})
		}},
		{actTell, func() {
			r.tell(Notice{Kind: NoticeRefunded, Payment: "pay_2", Refund: "orphan:pay_2", RefundID: "rfnd_2"})
		}},
		{actTell, func() { r.tell(Notice{Kind: NoticeNoWebhook}) }},
	} {
		require.Equal(t, line.want, decide(r, all, noon).action)
		line.then()
	}
	last := decide(r, all, noon)
	require.Equal(t, step{action: actWait, at: noon.Add(time.Hour)}, last, "to ask about the refund")
	r.Sweeps, r.Refunds[0].Status = len(sweeps), payments.RefundProcessed
	r.Refunds[0].Told = payments.RefundProcessed
	require.Equal(t, noon.Add(time.Hour), decide(r, all, noon).at, "a bank may send back what is processed")
	r.Refunds[0].Checks, r.Refunds[1].Checks = len(refundChecks), len(refundChecks)
	require.Equal(t, step{action: actWait}, decide(r, all, noon), "nothing, for ever")
}

// TestWhatFailedBlocksNothing has each action rest, and the next line of the table done.
func TestWhatFailedBlocksNothing(t *testing.T) {
	t.Parallel()
	r := paidBill()
	r.Rests = durable.Rests{}
	for _, want := range []action{actLook, actFulfill} {
		require.Equal(t, want, decide(r, all, noon).action)
		r.Rests[string(want)] = durable.Rest{N: 1, At: noon.Add(time.Minute)}
	}
	s := decide(r, all, noon)
	require.Equal(t, actWait, s.action, "money is not moved by what is old")
	require.Equal(t, noon.Add(time.Minute), s.at)
	r.Answered = 1
	for _, want := range []action{actGiveBack, actRefund, actTell} {
		require.Equal(t, want, decide(r, all, noon).action)
		r.Rests[string(want)] = durable.Rest{N: 1, At: noon.Add(2 * time.Minute)}
	}
	require.Equal(t, step{action: actWait, at: noon.Add(time.Minute)}, decide(r, all, noon), "not in the past: the sweep is late, and rests")
	require.Equal(t, actFulfill, decide(r, all, noon.Add(time.Minute)).action)
}

// TestPolicies: what is left to somebody else is not done.
func TestPolicies(t *testing.T) {
	t.Parallel()
	r := paidBill()
	r.Answered, r.Fulfilled, r.Refunds, r.Sweeps = 1, noon, nil, len(sweeps)
	s := decide(r, policy{notify: true}, noon)
	require.Equal(t, Notice{Kind: NoticeOrphan, Payment: "pay_2", Amount: payments.INR(50000), Ask: true}, s.notice)
	require.Equal(t, actWait, decide(r, policy{}, noon).action)
	r = &record{Amount: payments.INR(50000), Payments: []paymentKnown{{ID: "pay_1", OrderID: "order_1", Status: payments.PaymentAuthorized}}}
	require.Equal(t, actWait, decide(r, policy{}, noon).action)
	require.Equal(t, actCapture, decide(r, all, noon).action)
	r.Lapsed = noon
	require.Equal(t, actTell, decide(r, all, noon).action, "what came too late is not captured")
}

// TestMergeKnowsOldSnapshots: one that began before something else became known is not
// taken in, whatever the clocks say, and somebody looks again.
func TestMergeKnowsOldSnapshots(t *testing.T) {
	t.Parallel()
	r := &record{Amount: payments.INR(50000), Asked: 1}
	older := &snapshot{begun: noon, known: 0, answers: 1, orders: []orderKnown{{ID: "order_1", Amount: payments.INR(50000)}}}
	newer := &snapshot{
		begun: noon.Add(-time.Hour), known: 0, answers: 1, // by a clock that is behind
		orders:   []orderKnown{{ID: "order_1", Amount: payments.INR(50000), Paid: true}},
		payments: []paymentKnown{{ID: "pay_1", OrderID: "order_1", Amount: payments.INR(50000), Status: payments.PaymentCaptured}},
	}
	r.merge(newer)
	require.NotNil(t, r.payer())
	before := *r
	r.merge(older)
	require.Equal(t, before.Payments, r.Payments)
	require.Equal(t, before.Orders, r.Orders)
	require.Equal(t, before.Looked, r.Looked)
	require.Greater(t, r.Asked, r.Answered, "look again")

	// Somebody says look while a look is under way.
	r.Answered = r.Asked
	meanwhile := &snapshot{begun: noon, known: r.Known, answers: r.Asked, orders: newer.orders, payments: newer.payments}
	r.Asked++
	r.merge(meanwhile)
	require.Equal(t, 1, r.Asked-r.Answered, "that one is not answered by it")

	// A refund that became known while a look was under way.
	r.Answered = r.Asked
	stale := &snapshot{begun: noon, known: r.Known, answers: r.Asked, payments: newer.payments}
	r.Refunds = []refundKnown{{Key: "tier", PaymentID: "pay_1", Amount: payments.INR(10000)}}
	r.settle(r.Refunds[0], func(known *refundKnown) {
		known.ID = "rfnd_1"
		r.count(&payments.Refund{ID: "rfnd_1", PaymentID: "pay_1", Amount: payments.INR(10000)})
	})
	r.merge(stale)
	require.Equal(t, payments.INR(40000), r.Payments[0].left())
	r.settle(refundKnown{Key: "tier"}, func(*refundKnown) { t.Error("a fact that is written twice counts once") })
}

func TestOrphans(t *testing.T) {
	t.Parallel()
	captured := func(id, order string, amount payments.Money) paymentKnown {
		return paymentKnown{ID: id, OrderID: order, Amount: amount, Status: payments.PaymentCaptured}
	}
	other := orderKnown{ID: "order_9", Amount: payments.INR(1000), Paid: true}
	for name, tc := range map[string]struct {
		payments []paymentKnown
		change   func(r *record)
		want     map[string]bool // and whether that is sure
	}{
		"one":                     {payments: []paymentKnown{captured("pay_1", "order_1", payments.INR(50000))}},
		"an offer":                {payments: []paymentKnown{captured("pay_1", "order_1", payments.INR(45000))}},
		"a fee":                   {payments: []paymentKnown{captured("pay_1", "order_1", payments.INR(51000))}},
		"instalments":             {payments: []paymentKnown{captured("pay_1", "order_1", payments.INR(20000)), captured("pay_2", "order_1", payments.INR(30000))}},
		"instalments with fees":   {payments: []paymentKnown{captured("pay_1", "order_1", payments.INR(21000)), captured("pay_2", "order_1", payments.INR(31000))}, want: map[string]bool{"pay_2": false}},
		"an order paid twice":     {payments: []paymentKnown{captured("pay_1", "order_1", payments.INR(45000)), captured("pay_2", "order_1", payments.INR(50000))}, want: map[string]bool{"pay_2": true}},
		"in dollars, and again":   {payments: []paymentKnown{captured("pay_1", "order_1", payments.Money{Minor: 600, Currency: "USD"}), captured("pay_2", "order_1", payments.INR(50000))}, want: map[string]bool{"pay_2": true}},
		"two orders":              {payments: []paymentKnown{captured("pay_1", "order_1", payments.INR(50000)), captured("pay_2", "order_2", payments.INR(50000))}, want: map[string]bool{"pay_2": true}},
		"somebody else's sale":    {payments: []paymentKnown{captured("pay_9", "order_9", payments.INR(1000))}, want: map[string]bool{"pay_9": false}},
		"cancelled":               {payments: []paymentKnown{captured("pay_1", "order_1", payments.INR(50000))}, change: func(r *record) { r.Cancelled = noon }, want: map[string]bool{"pay_1": true}},
		"cancelled and fulfilled": {payments: []paymentKnown{captured("pay_1", "order_1", payments.INR(50000))}, change: func(r *record) { r.Cancelled, r.Fulfilled = noon, noon }, want: map[string]bool{"pay_1": true}},
		"a part, not yet the rest": {payments: []paymentKnown{captured("pay_1", "order_3", payments.INR(20000))}, change: func(r *record) {
			r.Orders = []orderKnown{{ID: "order_3", Amount: payments.INR(50000)}}
		}},
		"a part, never the rest": {payments: []paymentKnown{captured("pay_1", "order_3", payments.INR(20000))}, change: func(r *record) {
			r.Orders, r.Sweeps = []orderKnown{{ID: "order_3", Amount: payments.INR(50000)}}, len(sweeps)
		}, want: map[string]bool{"pay_1": true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := paidBill()
			r.Orders, r.Payments, r.Refunds = append(r.Orders, other), tc.payments, nil
			if tc.change != nil {
				tc.change(r)
			}
			got := map[string]bool{}
			for _, o := range r.orphans() {
				got[o.ID] = o.sure
			}
			if tc.want == nil {
				tc.want = map[string]bool{}
			}
			require.Equal(t, tc.want, got)
		})
	}
}

// TestOrphanGoesOn: money that comes back to the application is given back again, unless a
// person has to look.
func TestOrphanGoesOn(t *testing.T) {
	t.Parallel()
	free, full := payments.INR(20000), payments.INR(50000)
	for name, tc := range map[string]struct {
		last refundKnown
		want bool
	}{
		"is wanted":                              {refundKnown{Amount: full}, false},
		"is pending, and another one has failed": {refundKnown{Amount: full, ID: "rfnd_1", Status: payments.RefundPending}, true},
		"has failed at the bank":                 {refundKnown{Amount: full, ID: "rfnd_1", Status: payments.RefundFailed}, false},
		"was refused, for there was less":        {refundKnown{Amount: full, Status: payments.RefundFailed}, true},
		"was refused":                            {refundKnown{Amount: free, Status: payments.RefundFailed}, false},
		"nothing was left a moment ago":          {refundKnown{Amount: full, Elsewhere: noon.Add(-time.Minute)}, false},
		"nothing was left, and now something is": {refundKnown{Amount: full, Elsewhere: noon.Add(-time.Hour)}, true},
	} {
		require.Equal(t, tc.want, tc.last.mayGoOn(free, noon), name)
	}
}

// TestCheckoutDoesNotPutSweepsOff: who reloads the payment page all day is swept all the
// same.
func TestCheckoutDoesNotPutSweepsOff(t *testing.T) {
	t.Parallel()
	r := &record{}
	for at := opened; at.Before(opened.Add(15 * time.Minute)); at = at.Add(time.Minute) {
		r.begin(at)
	}
	require.Equal(t, opened.Add(15*time.Minute), r.nextSweep())
	r.begin(opened.Add(20 * time.Minute))
	require.Equal(t, 1, r.Asked, "the one that is late is made now")
	require.Equal(t, opened.Add(35*time.Minute), r.nextSweep())
	r.Sweeps = len(sweeps)
	r.begin(noon)
	require.Equal(t, noon.Add(15*time.Minute), r.nextSweep())
}

// TestARefundIsAskedForInTheSameWords, whenever it is asked for again: its key is good for
// one request.
func TestARefundIsAskedForInTheSameWords(t *testing.T) {
	t.Parallel()
	first := refundKnown{Key: "tier", Part: 1, Attempt: 2, PaymentID: "pay_1", Amount: payments.INR(100), Speed: payments.RefundFast}
	again := first
	require.Equal(t, first.request("bill"), again.request("bill"))
	again.Told, again.Checks, again.AskedAt = payments.RefundFailed, 3, noon
	require.Equal(t, first.request("bill"), again.request("bill"))
	for _, other := range []refundKnown{
		{Key: "tier/1", Attempt: 2}, {Key: "tier", Part: 2, Attempt: 2}, {Key: "tier", Part: 1, Attempt: 3}, {Key: "tie", Part: 1, Attempt: 2},
	} {
		require.NotEqual(t, first.request("bill").Key, other.request("bill").Key)
		require.NotEqual(t, first.mark(), other.mark())
	}
	require.NotEqual(t, refundKnown{Key: "b/c"}.request("a").Key, refundKnown{Key: "c"}.request("a/b").Key)
}

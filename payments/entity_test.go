package payments_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/payments"
)

func TestPaymentTransitions(t *testing.T) {
	t.Parallel()
	all := []payments.PaymentStatus{
		payments.PaymentCreated, payments.PaymentAuthorized, payments.PaymentCaptured, payments.PaymentRefunded, payments.PaymentFailed, "unheard of",
	}
	legal := map[payments.PaymentStatus][]payments.PaymentStatus{
		payments.PaymentCreated: {payments.PaymentAuthorized, payments.PaymentCaptured, payments.PaymentFailed, payments.PaymentRefunded},
		// Late.
		payments.PaymentFailed:     {payments.PaymentAuthorized, payments.PaymentCaptured, payments.PaymentRefunded},
		payments.PaymentAuthorized: {payments.PaymentCaptured, payments.PaymentRefunded},
		payments.PaymentCaptured:   {payments.PaymentRefunded},
		// When the refund fails.
		payments.PaymentRefunded: {payments.PaymentCaptured, payments.PaymentAuthorized},
	}
	for _, from := range all {
		for _, to := range all {
			require.Equal(t, slices.Contains(legal[from], to), from.CanBecome(to), "%s to %s", from, to)
		}
	}
	refunds := []payments.RefundStatus{payments.RefundCreated, payments.RefundPending, payments.RefundProcessed, payments.RefundFailed, "unheard of", ""}
	later := map[payments.RefundStatus][]payments.RefundStatus{
		payments.RefundCreated: {payments.RefundPending, payments.RefundProcessed, payments.RefundFailed},
		payments.RefundPending: {payments.RefundProcessed, payments.RefundFailed},
		// The bank did not confirm it.
		payments.RefundProcessed: {payments.RefundFailed},
	}
	for _, from := range refunds {
		for _, to := range refunds {
			require.Equal(t, slices.Contains(later[from], to), from.CanBecome(to), "%s to %s", from, to)
		}
	}
}

// told is what an event tells of a payment.
type told struct {
	event  string
	status payments.PaymentStatus
}

// TestPaymentEventsInAnyOrder applies what happened to one payment in every order in which
// it can be told, by the rule of CanBecome.
func TestPaymentEventsInAnyOrder(t *testing.T) {
	t.Parallel()
	var (
		failed      = told{payments.EventPaymentFailed, payments.PaymentFailed}
		authorized  = told{payments.EventPaymentAuthorized, payments.PaymentAuthorized}
		captured    = told{payments.EventPaymentCaptured, payments.PaymentCaptured}
		refunded    = told{payments.EventRefundCreated, payments.PaymentRefunded}
		refundFails = told{payments.EventRefundFailed, payments.PaymentCaptured}
	)
	for name, happened := range map[string][]told{
		"paid":                        {authorized, captured},
		"paid and given back":         {authorized, captured, refunded},
		"the bank answered late":      {failed, authorized},
		"late, and nobody captured":   {failed, authorized, refunded},
		"captured after a late bank":  {failed, authorized, captured},
		"failed, and nothing came of": {failed},
	} {
		last := happened[len(happened)-1].status
		permute(happened, func(told []told) {
			require.Equal(t, last, apply(told), "%s, told as %v", name, told)
		})
	}
	// The step back takes part in no order of its own: it comes after the refund.
	for _, happened := range [][]told{
		{authorized, captured, refunded, refundFails},
		{captured, authorized, refunded, refundFails},
		{captured, refunded, authorized, refundFails},
		{refunded, captured, authorized, refundFails},
	} {
		require.Equal(t, payments.PaymentCaptured, apply(happened), "%v", happened)
	}
}

// apply is an application's row.
func apply(all []told) payments.PaymentStatus {
	stored := payments.PaymentCreated
	for _, e := range all {
		back := stored == payments.PaymentRefunded && e.event != payments.EventRefundFailed
		if !back && stored.CanBecome(e.status) {
			stored = e.status
		}
	}
	return stored
}

// permute calls use with every order of all.
func permute(all []told, use func([]told)) {
	var place func(placed, left []told)
	place = func(placed, left []told) {
		if len(left) == 0 {
			use(placed)
		}
		for i := range left {
			place(append(slices.Clone(placed), left[i]), slices.Concat(left[:i], left[i+1:]))
		}
	}
	place(nil, all)
}

func TestFact(t *testing.T) {
	t.Parallel()
	payment := &payments.Payment{ID: "pay_1", OrderID: "order_1"}
	require.False(t, payment.AutoRefunded())
	for want, e := range map[string]*payments.Event{
		"order:order_1:paid":       {Type: payments.EventOrderPaid, ID: "a", Order: &payments.Order{ID: "order_1"}, Payment: payment},
		"payment:pay_1:failed":     {Type: payments.EventPaymentFailed, Payment: payment},
		"payment:pay_1:authorized": {Type: payments.EventPaymentAuthorized, Payment: payment},
		"payment:pay_2:captured":   {Type: payments.EventPaymentCaptured, Payment: &payments.Payment{ID: "pay_2"}},
		"refund:rfnd_1:processed":  {Type: payments.EventRefundProcessed, Refund: &payments.Refund{ID: "rfnd_1"}, Payment: payment},
		"refund:rfnd_1:failed":     {Type: payments.EventRefundFailed, Refund: &payments.Refund{ID: "rfnd_1"}},
		"event:evt_1":              {Type: "settlement.processed", ID: "evt_1"},
		"event:evt_2":              {Type: payments.EventPaymentFailed, ID: "evt_2"},
		"body:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855": {Type: "settlement.processed"},
	} {
		require.Equal(t, want, e.Fact())
	}
}

// TestP2InstalmentIsNotOrderPaid: a key ends in ":paid" only if the order is paid, whatever
// the event is and however the gateway says it. Both events of a paid order have one key.
func TestP2InstalmentIsNotOrderPaid(t *testing.T) {
	t.Parallel()
	payment := &payments.Payment{ID: "pay_1", OrderID: "order_1", Amount: payments.INR(10000), Status: payments.PaymentCaptured}
	order := func(status payments.OrderStatus, paid int64) *payments.Order {
		return &payments.Order{ID: "order_1", Amount: payments.INR(40000), Paid: payments.INR(paid), Due: payments.INR(40000 - paid), Status: status}
	}
	for _, kind := range []string{payments.EventPaymentCaptured, payments.EventOrderPaid} {
		for _, tc := range []struct {
			order *payments.Order
			paid  bool
		}{
			{order(payments.OrderAttempted, 10000), false},
			{order(payments.OrderAttempted, 39999), false},
			{order(payments.OrderCreated, 0), false},
			{order(payments.OrderAttempted, 40000), true},
			{order(payments.OrderPaid, 40000), true},
			{order(payments.OrderPaid, 36000), true}, // an offer of the bank
			{order("", 40000), true},
			{nil, false},
		} {
			want := "payment:pay_1:captured"
			if tc.paid {
				want = "order:order_1:paid"
			}
			require.Equal(t, want, payments.Event{Type: kind, ID: "evt_1", Order: tc.order, Payment: payment}.Fact(), "%s, %v", kind, tc.order)
		}
	}
	for _, kind := range []string{payments.EventPaymentAuthorized, payments.EventPaymentFailed, payments.EventRefundCreated, "payment_link.paid", "invoice.paid"} {
		fact := payments.Event{Type: kind, ID: "evt_1", Order: order(payments.OrderPaid, 40000), Payment: payment}.Fact()
		require.NotRegexp(t, ":paid$", fact, kind)
	}
	require.False(t, payments.Order{Amount: payments.INR(100), Paid: payments.Money{Minor: 100, Currency: "JPY"}}.IsPaid())
	require.False(t, payments.Order{}.IsPaid(), "what could not be read is not paid")
}

// TestNothingPersonalIsPrinted prints everything that can hold a patient's data, in every
// way.
func TestNothingPersonalIsPrinted(t *testing.T) {
	t.Parallel()
	const canary = "Asha-Canary"
	notes, raw := map[string]string{"patient": canary}, json.RawMessage(`{"email":"`+canary+`"}`)
	payment := payments.Payment{ID: "pay_1", Notes: notes, Raw: raw, Failure: &payments.Failure{Code: "X", Description: canary}}
	for _, value := range []any{
		payment, &payment, *payment.Failure, payment.Failure,
		payments.Order{ID: "order_1", Notes: notes, Raw: raw, Key: canary},
		&payments.Refund{ID: "rfnd_1", Notes: notes, Raw: raw},
		&payments.Event{ID: "evt_1", Type: "x", Raw: raw, Payment: &payment},
		payments.Event{ID: "evt_1", Type: "x", Raw: raw, Payment: &payment},
		payments.Prefill{Name: canary, Email: canary, Phone: canary},
		payments.CheckoutUI{Name: "Lotus", Prefill: payments.Prefill{Name: canary}},
		payments.OrderRequest{Key: "bill", Notes: notes},
		payments.RefundRequest{PaymentID: "pay_1", Notes: notes, Amount: new(payments.INR(1))},
		payments.Confirmation{OrderID: "order_1", Signature: canary},
		payments.CaptureRequest{PaymentID: "pay_1"},
		[]*payments.Payment{&payment},
		map[string]payments.Payment{"p": payment},
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			require.NotContains(t, fmt.Sprintf(verb, value), canary, "%s of %T", verb, value)
			require.NotContains(t, fmt.Sprintf(verb, value), fmt.Sprintf("%x", canary), "%s of %T", verb, value)
		}
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "value", value)
		if _, ok := value.(slog.LogValuer); ok {
			slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "value", value)
		}
		require.NotContains(t, log.String(), canary, "log of %T", value)
	}
	for _, value := range []any{payments.Payment{Raw: raw}, payments.Order{Raw: raw}, payments.Refund{Raw: raw}, payments.Event{Raw: raw}} {
		encoded, err := json.Marshal(value)
		require.NoError(t, err)
		require.NotContains(t, string(encoded), canary, "JSON of %T", value)
	}
	require.Equal(t, "{id:pay_1 order_id: status: amount:0 method: reason:}", fmt.Sprintf("%+v", payment))
}

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
	}
	for _, from := range all {
		for _, to := range all {
			require.Equal(t, slices.Contains(legal[from], to), from.CanBecome(to), "%s to %s", from, to)
		}
	}
	require.True(t, payments.RefundPending.CanBecome(payments.RefundProcessed))
	require.True(t, payments.RefundPending.CanBecome(payments.RefundFailed))
	require.False(t, payments.RefundProcessed.CanBecome(payments.RefundPending))
	require.False(t, payments.RefundPending.CanBecome(payments.RefundPending))
}

// TestPaymentEventsInAnyOrder applies what happened to one payment in every order in
// which it can be told.
func TestPaymentEventsInAnyOrder(t *testing.T) {
	t.Parallel()
	for name, happened := range map[string][]payments.PaymentStatus{
		"paid":                        {payments.PaymentAuthorized, payments.PaymentCaptured},
		"paid and given back":         {payments.PaymentAuthorized, payments.PaymentCaptured, payments.PaymentRefunded},
		"the bank answered late":      {payments.PaymentFailed, payments.PaymentAuthorized},
		"late, and nobody captured":   {payments.PaymentFailed, payments.PaymentAuthorized, payments.PaymentRefunded},
		"captured after a late bank":  {payments.PaymentFailed, payments.PaymentAuthorized, payments.PaymentCaptured},
		"failed, and nothing came of": {payments.PaymentFailed},
	} {
		last := happened[len(happened)-1]
		permute(happened, func(told []payments.PaymentStatus) {
			stored := payments.PaymentCreated
			for _, status := range told {
				if stored.CanBecome(status) {
					stored = status
				}
			}
			require.Equal(t, last, stored, "%s, told as %v", name, told)
		})
	}
}

// permute calls use with every order of all.
func permute(all []payments.PaymentStatus, use func([]payments.PaymentStatus)) {
	var place func(placed, left []payments.PaymentStatus)
	place = func(placed, left []payments.PaymentStatus) {
		if len(left) == 0 {
			use(placed)
		}
		for i := range left {
			place(append(slices.Clone(placed), left[i]), slices.Concat(left[:i], left[i+1:]))
		}
	}
	place(nil, all)
}

func TestBusinessKey(t *testing.T) {
	t.Parallel()
	payment := &payments.Payment{ID: "pay_1", OrderID: "order_1"}
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
	captured := &payments.Event{Type: payments.EventPaymentCaptured, ID: "b", Payment: payment}
	require.Equal(t, "order:order_1:paid", captured.Fact(), "both events of one payment have one key")
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

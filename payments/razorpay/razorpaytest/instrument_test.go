package razorpaytest_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/razorpay"
	"github.com/telemed-go/telemed/payments/razorpay/razorpaytest"
)

// TestInstruments: each instrument of Razorpay's test mode does what its documentation says,
// and is told in the payment.
func TestInstruments(t *testing.T) {
	t.Parallel()
	const visa = "4100 2800 0000 1007"
	for name, tc := range map[string]struct {
		with           razorpaytest.Instrument
		method, reason string
	}{
		"nothing":      {razorpaytest.Instrument{}, "upi", ""},
		"UPI":          {razorpaytest.Instrument{VPA: "success@razorpay"}, "upi", ""},
		"UPI fails":    {razorpaytest.Instrument{VPA: "failure@razorpay"}, "upi", "payment_failed"},
		"card":         {razorpaytest.Instrument{Card: visa}, "card", ""},
		"card, OTP":    {razorpaytest.Instrument{Card: visa, OTP: "1234"}, "card", ""},
		"short OTP":    {razorpaytest.Instrument{Card: visa, OTP: "123"}, "card", "authentication_failed"},
		"long OTP":     {razorpaytest.Instrument{Card: visa, OTP: "12345678901"}, "card", "authentication_failed"},
		"card, no UPI": {razorpaytest.Instrument{Card: visa, VPA: "failure@razorpay"}, "card", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := razorpaytest.NewServer(t)
			client, err := razorpay.New(razorpay.Config{KeyID: srv.KeyID(), KeySecret: srv.KeySecret(), BaseURL: srv.URL()})
			require.NoError(t, err)
			order, err := client.CreateOrder(t.Context(), payments.OrderRequest{Key: "bill_1", Amount: payments.INR(50000)})
			require.NoError(t, err)
			asked := len(srv.Requests())
			paid, err := srv.PayWith(order.ID, tc.with)
			orders, made, refunds := srv.Documents()
			require.Len(t, orders, 1)
			require.Len(t, made, 1)
			require.Empty(t, refunds)
			require.Len(t, srv.Requests(), asked, "nothing was asked")
			var payment struct {
				ID, Method, Status string
				Reason             *string `json:"error_reason"`
			}
			require.NoError(t, json.Unmarshal(made[0], &payment))
			require.Equal(t, tc.method, payment.Method)
			if tc.reason == "" {
				require.NoError(t, err)
				require.Equal(t, paid.PaymentID, payment.ID)
				require.Equal(t, "captured", payment.Status)
				return
			}
			refused, ok := errors.AsType[*razorpaytest.Refusal](err)
			require.True(t, ok, err)
			require.Equal(t, tc.reason, refused.Reason)
			require.Equal(t, tc.reason, *payment.Reason)
			require.Equal(t, "payment.failed", srv.Events()[0].Type)
			_, err = srv.PayWith(order.ID, razorpaytest.Instrument{})
			require.NoError(t, err, "the order stays open")
		})
	}
}

package razorpay_test

import (
	"testing"

	"github.com/telemed-go/telemed/internal/signature"
	"github.com/telemed-go/telemed/payments/paymentstest"
	"github.com/telemed-go/telemed/payments/razorpay"
	"github.com/telemed-go/telemed/payments/razorpay/razorpaytest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	for name, unique := range map[string]bool{"receipts are looked up": false, "receipts are unique at Razorpay": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			paymentstest.Run(t, func(t *testing.T) paymentstest.Harness {
				srv, client := start(t, razorpaytest.Config{UniqueReceipt: unique}, func(cfg *razorpay.Config) { cfg.UniqueReceipt = unique })
				return paymentstest.Harness{
					Gateway: client,
					Pay: func(orderID string) (string, string, error) {
						paid, err := srv.Pay(orderID)
						return paid.PaymentID, paid.Signature, err
					},
					FailPayment: srv.FailPayment,
					Sign: func(orderID, paymentID string) string {
						return signature.Hex([]byte(srv.KeySecret().Reveal()), []byte(orderID+"|"+paymentID))
					},
					LoseAnswer: func() {
						srv.FailNext(on(postOrder, lostAnswer), on(postCapture, lostAnswer), on(postRefund, lostAnswer))
					},
				}
			})
		})
	}
}

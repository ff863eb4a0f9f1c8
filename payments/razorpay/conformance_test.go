package razorpay_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/internal/signature"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/paymentstest"
	"github.com/telemed-go/telemed/payments/razorpay"
	"github.com/telemed-go/telemed/payments/razorpay/razorpaytest"
	"github.com/telemed-go/telemed/store"
)

// partOrder makes an order that may be paid in instalments, which the client does not make.
func partOrder(t *testing.T, srv *razorpaytest.Server, key string, amount payments.Money) string {
	t.Helper()
	body := fmt.Sprintf(`{"amount":%d,"currency":%q,"receipt":%q,"partial_payment":true}`, amount.Minor, amount.Currency, key)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL()+"/v1/orders", strings.NewReader(body))
	require.NoError(t, err)
	req.SetBasicAuth(srv.KeyID(), srv.KeySecret().Reveal())
	req.Header.Set("Content-Type", "application/json")
	resp, err := srv.Client().Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	var made struct{ ID string }
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&made))
	require.NotEmpty(t, made.ID)
	return made.ID
}

// callback is what the browser posts.
func callback(form url.Values) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/paid", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", formType)
	return r
}

func TestConformance(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*razorpay.Config){
		"receipts are looked up":          func(*razorpay.Config) {},
		"receipts are claimed":            nil, // below, for each harness has Claims of its own
		"receipts are unique at Razorpay": func(cfg *razorpay.Config) { cfg.UniqueReceipt = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			paymentstest.Run(t, func(t *testing.T) paymentstest.Harness {
				change, shared := change, change == nil
				if shared {
					claims := store.NewMemory()
					change = func(cfg *razorpay.Config) { cfg.Claims = claims }
				}
				srv, client := start(t, razorpaytest.Config{UniqueReceipt: true}, change)
				var another func() payments.PaymentGateway
				if shared || name == "receipts are unique at Razorpay" {
					another = func() payments.PaymentGateway { return clientOf(t, srv, change) }
				}
				paid := func(p razorpaytest.Paid, err error) (string, string, error) { return p.PaymentID, p.Signature, err }
				return paymentstest.Harness{
					Gateway: client,
					Another: another,
					Pay:     func(orderID string) (string, string, error) { return paid(srv.Pay(orderID)) },
					PartOrder: func(key string, amount payments.Money) (string, error) {
						return partOrder(t, srv, key, amount), nil
					},
					PayPart: func(orderID string, part payments.Money) (string, string, error) {
						return paid(srv.PayPart(orderID, part.Minor))
					},
					PayAs: func(orderID string, charged payments.Money) (string, string, error) {
						return paid(srv.PayAs(orderID, charged))
					},
					AuthorizeLate: srv.AuthorizeLate,
					HoldRefunds:   srv.HoldRefunds,
					SettleRefund:  srv.SettleRefund,
					FailPayment:   srv.FailPayment,
					Sign: func(orderID, paymentID string) string {
						return signature.Hex([]byte(srv.KeySecret().Reveal()), []byte(orderID+"|"+paymentID))
					},
					Callback: func(orderID, paymentID, signature string) *http.Request {
						return callback(url.Values{
							"razorpay_order_id": {orderID}, "razorpay_payment_id": {paymentID}, "razorpay_signature": {signature},
						})
					},
					FailedCallback: func() *http.Request {
						return callback(url.Values{"error[code]": {"BAD_REQUEST_ERROR"}, "error[reason]": {"payment_failed"}})
					},
					LoseAnswer: func() {
						srv.FailNext(on(postOrder, lostAnswer), on(postCapture, lostAnswer), on(postRefund, lostAnswer))
					},
				}
			})
		})
	}
}

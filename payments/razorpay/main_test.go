package razorpay_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/leaktest"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/razorpay"
	"github.com/telemed-go/telemed/payments/razorpay/razorpaytest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// start returns a fake Razorpay and a client of it.
func start(t *testing.T, fake razorpaytest.Config, change ...func(*razorpay.Config)) (*razorpaytest.Server, *razorpay.Client) {
	t.Helper()
	srv := razorpaytest.NewServer(t, fake)
	cfg := razorpay.Config{
		KeyID: srv.KeyID(), KeySecret: srv.KeySecret(),
		WebhookSecrets: []telemed.Secret{srv.WebhookSecret()}, BaseURL: srv.URL(),
	}
	for _, f := range change {
		f(&cfg)
	}
	client, err := razorpay.New(cfg)
	require.NoError(t, err)
	return srv, client
}

// order makes an order of 500 rupees.
func order(t *testing.T, client *razorpay.Client) *payments.Order {
	t.Helper()
	o, err := client.CreateOrder(t.Context(), payments.OrderRequest{Amount: payments.INR(50000), Receipt: "bill_0001"})
	require.NoError(t, err)
	return o
}

// pay pays o as a patient would.
func pay(t *testing.T, srv *razorpaytest.Server, o *payments.Order) payments.Confirmation {
	t.Helper()
	paid, err := srv.Pay(o.ID)
	require.NoError(t, err)
	return payments.Confirmation{OrderID: o.ID, Expected: o.Amount, PaymentID: paid.PaymentID, Signature: paid.Signature}
}

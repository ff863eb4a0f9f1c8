package razorpay_test

import (
	"net/http"
	"strconv"
	"testing"
	"time"

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
	return srv, clientOf(t, srv, change...)
}

// clientOf returns one more client of a fake Razorpay, as another process has it.
func clientOf(t *testing.T, srv *razorpaytest.Server, change ...func(*razorpay.Config)) *razorpay.Client {
	t.Helper()
	cfg := razorpay.Config{
		KeyID: srv.KeyID(), KeySecret: srv.KeySecret(),
		WebhookSecrets: []telemed.Secret{srv.WebhookSecret()}, BaseURL: srv.URL(),
	}
	for _, f := range change {
		f(&cfg)
	}
	client, err := razorpay.New(cfg)
	require.NoError(t, err)
	return client
}

// startInMemory is start for a bubble of testing/synctest.
func startInMemory(t *testing.T, change func(*razorpay.Config)) (*razorpaytest.Server, *razorpay.Client) {
	t.Helper()
	srv := razorpaytest.NewServer(t, razorpaytest.Config{InMemory: true})
	return srv, clientOf(t, srv, func(cfg *razorpay.Config) { cfg.HTTPClient = srv.Client() }, change)
}

// order makes an order of 500 rupees.
func order(t *testing.T, client *razorpay.Client) *payments.Order {
	t.Helper()
	o, err := client.CreateOrder(t.Context(), payments.OrderRequest{Amount: payments.INR(50000), Key: "bill_0001"})
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

// The faults of a network.
var (
	lostRequest = razorpaytest.Fault{LoseRequest: true}
	lostAnswer  = razorpaytest.Fault{LoseAnswer: true}
	cutAnswer   = razorpaytest.Fault{Cut: true}
)

// page is a proxy's.
func page(status int) razorpaytest.Fault {
	return razorpaytest.Fault{Status: status, Body: "<html><body>" + http.StatusText(status) + "</body></html>"}
}

func failing(status int) razorpaytest.Fault {
	return razorpaytest.Refuse("", status, "We are facing some trouble completing your request at the moment.")
}

func rateLimited(wait time.Duration) razorpaytest.Fault {
	f := razorpaytest.Refuse("", http.StatusTooManyRequests, "Request failed. Please try after sometime.")
	f.Header = http.Header{"Retry-After": {strconv.Itoa(int(wait.Seconds()))}}
	return f
}

func on(op string, f razorpaytest.Fault) razorpaytest.Fault { f.Op = op; return f }

func times(n int, f razorpaytest.Fault) razorpaytest.Fault { f.Times = n; return f }

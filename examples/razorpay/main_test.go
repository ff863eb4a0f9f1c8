package main

import (
	"bytes"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/examples/internal/local"
	"github.com/telemed-go/telemed/internal/leaktest"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/razorpay"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func TestRun(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out, func(string) string { return "" }))
	require.Regexp(t, regexp.MustCompile(`^order: order_\w{14} INR 500.00 created
booked: order_\w{14} INR 500.00
bill: fulfilled INR 500.00
notice: refunded INR 250.00
given back: INR 250.00
$`), out.String())
}

func TestLiveKeysAreRefused(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	env := map[string]string{"RAZORPAY_KEY_ID": "rzp_live_1", "RAZORPAY_KEY_SECRET": "s3cret"}
	err := run(t.Context(), &out, func(name string) string { return env[name] })
	require.EqualError(t, err, "this example takes test keys (rzp_test_…) only")
	require.Empty(t, out.String())
}

func TestHowToPay(t *testing.T) {
	t.Parallel()
	var providers local.Providers
	defer providers.Close()
	cfg, err := providers.RazorpayConfig()
	require.NoError(t, err)
	client, err := razorpay.New(cfg)
	require.NoError(t, err)
	order, err := client.CreateOrder(t.Context(), payments.OrderRequest{Amount: payments.INR(50000), Key: "bill_1"})
	require.NoError(t, err)
	var out bytes.Buffer
	require.NoError(t, howToPay(&out, client, order))
	require.Contains(t, out.String(), `"order_id":"`+order.ID+`"`)
	require.NotContains(t, out.String(), cfg.KeySecret.Reveal())
}

package razorpay_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	razorpaygo "github.com/razorpay/razorpay-go"
	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/racetest"
	"github.com/telemed-go/telemed/internal/signature"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/razorpay"
	"github.com/telemed-go/telemed/store"
)

const (
	benchOrder = `{"id":"order_TM00000000000B","entity":"order","amount":50000,"amount_paid":0,"amount_due":50000,"currency":"INR",` +
		`"receipt":"bill_000123","offer_id":null,"status":"created","attempts":0,"notes":{"visit":"42"},"created_at":1767225600}`
	benchPayment = `{"id":"pay_TM00000000000B","entity":"payment","amount":50000,"currency":"INR","status":"captured",` +
		`"order_id":"order_TM00000000000B","invoice_id":null,"international":false,"method":"upi","amount_refunded":0,"refund_status":null,` +
		`"captured":true,"description":null,"card_id":null,"bank":null,"wallet":null,"vpa":"success@razorpay","email":"void@razorpay.com",` +
		`"contact":"+919999999999","notes":[],"fee":1180,"tax":180,"error_code":null,"error_description":null,"error_source":null,` +
		`"error_step":null,"error_reason":null,"acquirer_data":{"rrn":null},"created_at":1767225600}`
	benchEvent = `{"entity":"event","account_id":"acc_TM00000000000B","event":"order.paid","contains":["payment","order"],` +
		`"payload":{"payment":{"entity":` + benchPayment + `},"order":{"entity":` + benchOrder + `}},"created_at":1767225601}`
)

// answers is Razorpay without a network, so that only the client's own cost counts.
type answers struct{}

func (answers) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		_, _ = io.Copy(io.Discard, r.Body)
		_ = r.Body.Close()
	}
	doc := benchPayment
	if r.Method == http.MethodPost {
		doc = benchOrder
	}
	return &http.Response{
		StatusCode: 200, Status: "200 OK", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(doc)), ContentLength: int64(len(doc)),
	}, nil
}

func benchClient(tb testing.TB, change func(*razorpay.Config)) *razorpay.Client {
	tb.Helper()
	cfg := razorpay.Config{
		KeyID: "rzp_test_1", KeySecret: telemed.NewSecret(testKey), WebhookSecrets: []telemed.Secret{telemed.NewSecret(testHook)},
		HTTPClient: &http.Client{Transport: answers{}},
	}
	change(&cfg)
	client, err := razorpay.New(cfg)
	require.NoError(tb, err)
	return client
}

func unique(cfg *razorpay.Config)  { cfg.UniqueReceipt = true }
func claimed(cfg *razorpay.Config) { cfg.Claims = fresh{} }

// fresh are Claims that cost nothing and know no key.
type fresh struct{ store.Claims }

func createOrder(tb testing.TB, client *razorpay.Client) {
	_, err := client.CreateOrder(tb.Context(), payments.OrderRequest{
		Amount: payments.INR(50000), Key: "bill_000123", Notes: map[string]string{"visit": "42"},
	})
	if err != nil {
		tb.Fatal(err)
	}
}

func readPayment(tb testing.TB, client *razorpay.Client) {
	if _, err := client.Payment(tb.Context(), "pay_TM00000000000B"); err != nil {
		tb.Fatal(err)
	}
}

var benchHeader = header(signature.Hex([]byte(testHook), []byte(benchEvent)))

func parseEvent(tb testing.TB, client *razorpay.Client) {
	if _, err := client.ParseWebhook(benchHeader, []byte(benchEvent)); err != nil {
		tb.Fatal(err)
	}
}

func benchmark(b *testing.B, client *razorpay.Client, call func(testing.TB, *razorpay.Client)) {
	b.ReportAllocs()
	for b.Loop() {
		call(b, client)
	}
}

// theirs is razorpay-go as an application would use it, over the same transport.
func theirs() *razorpaygo.Client {
	client := razorpaygo.NewClient("rzp_test_1", testKey)
	client.Request.HTTPClient = &http.Client{Transport: answers{}}
	return client
}

func theirOrder(client *razorpaygo.Client) error {
	_, err := client.Order.Create(map[string]any{
		"amount": 50000, "currency": "INR", "receipt": "bill_000123", "unique_receipt": true, "notes": map[string]string{"visit": "42"},
	}, nil)
	return err
}

func BenchmarkCreateOrder(b *testing.B) {
	b.Run("telemed, unique receipts", func(b *testing.B) { benchmark(b, benchClient(b, unique), createOrder) })
	b.Run("telemed, claims", func(b *testing.B) { benchmark(b, benchClient(b, claimed), createOrder) })
	b.Run("razorpay-go", func(b *testing.B) {
		client := theirs()
		b.ReportAllocs()
		for b.Loop() {
			if err := theirOrder(client); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkPayment(b *testing.B) {
	b.Run("telemed", func(b *testing.B) { benchmark(b, benchClient(b, unique), readPayment) })
	b.Run("razorpay-go", func(b *testing.B) {
		client := theirs()
		b.ReportAllocs()
		for b.Loop() {
			if _, err := client.Payment.Fetch("pay_TM00000000000B", nil, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkParseWebhook(b *testing.B) { benchmark(b, benchClient(b, unique), parseEvent) }

func (fresh) Claim(context.Context, string, time.Duration) (store.Claim, error) {
	return store.Claim{State: store.ClaimNew, Token: "token"}, nil
}

func (fresh) Complete(context.Context, string, string, []byte, time.Duration) error { return nil }

// TestAllocations holds what a call costs: 85 allocations, and an order no more than
// razorpay-go's own call of it.
func TestAllocations(t *testing.T) {
	if racetest.Enabled {
		t.Skip("the race detector allocates")
	}
	const most = 85
	count := func(change func(*razorpay.Config), call func(testing.TB, *razorpay.Client)) float64 {
		client := benchClient(t, change)
		return testing.AllocsPerRun(100, func() { call(t, client) })
	}
	client := theirs()
	own := testing.AllocsPerRun(100, func() { require.NoError(t, theirOrder(client)) })
	for name, n := range map[string]float64{
		"CreateOrder, unique receipts": count(unique, createOrder),
		"CreateOrder, claims":          count(claimed, createOrder),
		"Payment":                      count(unique, readPayment),
		"ParseWebhook":                 count(unique, parseEvent),
	} {
		require.LessOrEqual(t, n, float64(most), name)
		require.LessOrEqual(t, n, own, name)
	}
}

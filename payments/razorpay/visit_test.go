package razorpay_test

import (
	"context"
	"encoding/json"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/signature"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/razorpay/razorpaytest"
)

var formField = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)
var formAction = regexp.MustCompile(`<form method="post" action="([^"]*)"`)

// browser is a browser without JavaScript: it reads a form and sends it with one of its
// buttons.
type browser struct{ *testing.T }

func (b browser) get(address string) (int, string) {
	b.Helper()
	resp, err := http.Get(address)
	require.NoError(b, err)
	return b.read(resp)
}

func (b browser) read(resp *http.Response) (int, string) {
	b.Helper()
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	require.NoError(b, err)
	return resp.StatusCode, string(page)
}

func (b browser) submit(base, page string, button url.Values) (int, string) {
	b.Helper()
	action := formAction.FindStringSubmatch(page)
	require.NotNil(b, action, "no form in %s", page)
	target, err := url.Parse(base)
	require.NoError(b, err)
	target, err = target.Parse(html.UnescapeString(action[1]))
	require.NoError(b, err)
	fields := url.Values{}
	for _, f := range formField.FindAllStringSubmatch(page, -1) {
		fields.Set(html.UnescapeString(f[1]), html.UnescapeString(f[2]))
	}
	for name, values := range button {
		fields[name] = values
	}
	resp, err := http.PostForm(target.String(), fields)
	require.NoError(b, err)
	return b.read(resp)
}

// TestVisit walks a payment from order to refund through a browser, a callback and
// webhooks.
func TestVisit(t *testing.T) {
	t.Parallel()
	srv, client := start(t, razorpaytest.Config{})
	var booked atomic.Int32
	results := make(chan payments.Confirmation, 1)
	failures := make(chan error, 1)
	// The application's unique column; webhooks come one after the other here.
	seen := map[string]bool{}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /paid", func(w http.ResponseWriter, r *http.Request) {
		result, err := client.ParseCallback(w, r)
		if err != nil {
			failures <- err
			http.Error(w, "not paid", http.StatusPaymentRequired)
			return
		}
		results <- result
		_, _ = io.WriteString(w, "thank you "+r.URL.Query().Get("bill"))
	})
	webhook, err := payments.NewWebhook(payments.WebhookConfig{
		Parser: client, AccountID: srv.AccountID(),
		Handle: func(_ context.Context, e payments.Event) error {
			if key := e.Fact(); strings.HasSuffix(key, ":paid") && !seen[key] {
				seen[key] = true
				booked.Add(1)
			}
			return nil
		},
	})
	require.NoError(t, err)
	mux.Handle("POST /webhooks/razorpay", webhook)
	hospital := httptest.NewServer(mux)
	t.Cleanup(hospital.Close)
	srv.SetWebhookURL(hospital.URL + "/webhooks/razorpay")
	o := order(t, client)

	// The first attempt fails, the second pays: one order, two payments.
	b := browser{t}
	address := srv.CheckoutURL(o.ID, hospital.URL+"/paid?bill=1")
	status, page := b.get(address)
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, page, "INR 500.00")
	status, page = b.submit(srv.URL(), page, url.Values{"outcome": {"fail"}})
	require.Equal(t, http.StatusOK, status)
	status, _ = b.submit(srv.URL(), page, nil)
	require.Equal(t, http.StatusPaymentRequired, status)
	err = <-failures
	require.ErrorIs(t, err, payments.ErrPaymentIncomplete)
	require.Equal(t, "razorpay: checkout failed (payment_failed)", err.Error())

	_, page = b.get(address)
	_, page = b.submit(srv.URL(), page, url.Values{"outcome": {"pay"}})
	status, page = b.submit(srv.URL(), page, nil)
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, page, "thank you 1")
	result := <-results

	require.Equal(t, o.ID, result.OrderID)
	result.Expected = o.Amount
	payment, err := client.VerifyPayment(t.Context(), result)
	require.NoError(t, err)
	require.Equal(t, payments.PaymentCaptured, payment.Status)
	attempts, err := client.OrderPayments(t.Context(), o.ID)
	require.NoError(t, err)
	require.Len(t, attempts, 2)

	refund, err := client.Refund(t.Context(), payments.RefundRequest{PaymentID: payment.ID, Key: "cancel/appt-1"})
	require.NoError(t, err)
	require.Equal(t, o.Amount, refund.Amount)
	require.Equal(t, payments.RefundProcessed, refund.Status)

	require.NoError(t, srv.WaitWebhooks(t.Context()))
	require.EqualValues(t, 1, booked.Load())
	for _, d := range srv.Deliveries() {
		require.Equal(t, http.StatusOK, d.Status, d.Event.Type)
	}
	status, page = b.get(address)
	require.Equal(t, http.StatusBadRequest, status, "a paid order cannot be paid again")
	require.Contains(t, page, "Order already paid")
}

// TestPendingRefund: money that is promised, and then does not arrive.
func TestPendingRefund(t *testing.T) {
	t.Parallel()
	srv, client := start(t, razorpaytest.Config{PendingRefunds: true})
	c := pay(t, srv, order(t, client))
	req := payments.RefundRequest{PaymentID: c.PaymentID, Key: "cancel_0001"}
	refund, err := client.Refund(t.Context(), req)
	require.NoError(t, err)
	require.Equal(t, payments.RefundPending, refund.Status)
	require.NoError(t, srv.SettleRefund(refund.ID, false))
	require.Error(t, srv.SettleRefund(refund.ID, true), "it is settled")
	require.Error(t, srv.SettleRefund("rfnd_x", true))

	events := srv.Events()
	last := events[len(events)-1]
	h := http.Header{"X-Razorpay-Signature": {signature.Hex([]byte(srv.WebhookSecret().Reveal()), last.Body)}}
	e, err := client.ParseWebhook(h, last.Body)
	require.NoError(t, err)
	require.Equal(t, "refund:"+refund.ID+":failed", e.Fact())
	require.True(t, refund.Status.CanBecome(e.Refund.Status))

	same, err := client.Refund(t.Context(), req)
	require.NoError(t, err)
	require.Equal(t, payments.RefundFailed, same.Status, "the same key is the same refund")
	req.Key = "cancel_0001_again"
	second, err := client.Refund(t.Context(), req)
	require.NoError(t, err)
	require.NoError(t, srv.SettleRefund(second.ID, true))
	p, err := client.Payment(t.Context(), c.PaymentID)
	require.NoError(t, err)
	require.Equal(t, payments.INR(50000), p.Refunded)
}

func TestCheckoutOptions(t *testing.T) {
	t.Parallel()
	_, client := start(t, razorpaytest.Config{})
	o := order(t, client)
	raw, err := client.Checkout(o, payments.CheckoutUI{
		Name: "Lotus </script> Clinic", Color: "#0b7285", Locale: "hi", Prefill: payments.Prefill{Phone: "+919876543210"},
	})
	require.NoError(t, err)
	require.NotContains(t, string(raw), "</script>")
	var got map[string]any
	require.NoError(t, json.Unmarshal(raw, &got))
	require.Equal(t, map[string]any{
		"key": client.KeyID(), "order_id": o.ID, "amount": 50000.0, "currency": "INR", "name": "Lotus </script> Clinic",
		"prefill": map[string]any{"contact": "+919876543210"}, "theme": map[string]any{"color": "#0b7285"},
		"config": map[string]any{"display": map[string]any{"language": "hi"}},
	}, got)

	_, err = client.Checkout(nil, payments.CheckoutUI{Description: "(x", CallbackURL: "javascript:alert(1)", ImageURL: "x", Redirect: true})
	require.ErrorIs(t, err, telemed.ErrInvalid)
	require.Equal(t, "razorpay: Checkout: Order is required; Name is required; Description must start with a letter or digit; "+
		"CallbackURL is not an absolute http(s) address; ImageURL is not an absolute http(s) address", err.Error())
}

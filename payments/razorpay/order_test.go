package razorpay_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/signature"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/razorpay"
	"github.com/telemed-go/telemed/payments/razorpay/razorpaytest"
)

// answering is a server that answers with documents, by method and path, and says of all
// else that it does not exist. It counts by path.
func answering(t *testing.T, docs map[string]string) (*razorpay.Client, map[string]int) {
	t.Helper()
	asked := map[string]int{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		at := r.Method + " " + r.URL.Path
		asked[at]++
		doc, ok := docs[at]
		if !ok {
			w.WriteHeader(http.StatusBadRequest)
			doc = `{"error":{"code":"BAD_REQUEST_ERROR","description":"The id provided does not exist"}}`
		}
		_, _ = w.Write([]byte(doc))
	}))
	t.Cleanup(srv.Close)
	client, err := razorpay.New(razorpay.Config{
		KeyID: "rzp_test_1", KeySecret: telemed.NewSecret(testKey), WebhookSecrets: []telemed.Secret{telemed.NewSecret(testHook)},
		BaseURL: srv.URL,
	})
	require.NoError(t, err)
	return client, asked
}

const (
	paymentPath = "GET /v1/payments/pay_A"
	orderPath   = "GET /v1/orders/order_A"
)

// TestP1OrderDecides: what differs from the order by Razorpay's own doing is no fraud, and
// what is captured is not therefore paid.
func TestP1OrderDecides(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		payment, order string // beside the ids
		want           error
	}{
		"all of it": {`"amount":50000,"currency":"INR","status":"captured"`,
			`"amount":50000,"amount_paid":50000,"amount_due":0,"currency":"INR","status":"paid"`, nil},
		"an offer of the bank": {`"amount":45000,"currency":"INR","status":"captured","offer_id":"offer_1"`,
			`"amount":50000,"amount_paid":45000,"amount_due":0,"currency":"INR","status":"paid","offer_id":"offer_1"`, nil},
		"an offer, and the difference is shown as due": {`"amount":45000,"currency":"INR","status":"captured"`,
			`"amount":50000,"amount_paid":45000,"amount_due":5000,"currency":"INR","status":"paid"`, nil},
		"a fee that the payer bears": {`"amount":51180,"currency":"INR","status":"captured","fee":1180,"tax":180`,
			`"amount":50000,"amount_paid":50000,"amount_due":0,"currency":"INR","status":"paid"`, nil},
		"a fee, and it counts as paid": {`"amount":51180,"currency":"INR","status":"captured"`,
			`"amount":50000,"amount_paid":51180,"amount_due":0,"currency":"INR","status":"paid"`, nil},
		"a conversion": {`"amount":600,"currency":"USD","base_amount":50000,"base_currency":"INR","status":"captured"`,
			`"amount":50000,"amount_paid":50000,"amount_due":0,"currency":"INR","status":"paid"`, nil},
		"amounts as text": {`"amount":"50000","currency":"INR","status":"captured"`,
			`"amount":"50000","amount_paid":"50000","amount_due":"0","currency":"INR","status":"paid"`, nil},
		"the status is behind the amounts": {`"amount":50000,"currency":"INR","status":"captured"`,
			`"amount":50000,"amount_paid":50000,"amount_due":0,"currency":"INR","status":"attempted"`, nil},
		"refunded in part": {`"amount":50000,"amount_refunded":20000,"refund_status":"partial","currency":"INR","status":"captured"`,
			`"amount":50000,"amount_paid":50000,"amount_due":0,"currency":"INR","status":"paid"`, nil},

		"an instalment": {`"amount":10000,"currency":"INR","status":"captured"`,
			`"amount":50000,"amount_paid":10000,"amount_due":40000,"currency":"INR","status":"attempted"`, payments.ErrPartlyPaid},
		"an instalment as large as the order": {`"amount":50000,"currency":"INR","status":"captured"`,
			`"amount":50000,"amount_paid":0,"amount_due":50000,"currency":"INR","status":"attempted"`, payments.ErrPartlyPaid},
		"an order of another amount": {`"amount":50000,"currency":"INR","status":"captured"`,
			`"amount":10000,"amount_paid":10000,"amount_due":0,"currency":"INR","status":"paid"`, payments.ErrAmountMismatch},
		"an order of another currency": {`"amount":50000,"currency":"INR","status":"captured"`,
			`"amount":50000,"amount_paid":50000,"amount_due":0,"currency":"JPY","status":"paid"`, payments.ErrAmountMismatch},
		"a reserved payment of an order of another amount": {`"amount":50000,"currency":"INR","status":"authorized"`,
			`"amount":10000,"amount_paid":0,"amount_due":10000,"currency":"INR","status":"attempted"`, payments.ErrAmountMismatch},
		"reserved": {`"amount":50000,"currency":"INR","status":"authorized"`,
			`"amount":50000,"amount_paid":0,"amount_due":50000,"currency":"INR","status":"attempted"`, nil},
		"an amount that cannot be read": {`"amount":50000,"currency":"INR","status":"captured"`,
			`"amount":50000,"amount_paid":500.00,"amount_due":0,"currency":"INR","status":"attempted"`, telemed.ErrUnavailable},
		"another order": {`"amount":50000,"currency":"INR","status":"captured"`,
			`"id":"order_B","amount":50000,"amount_paid":50000,"amount_due":0,"currency":"INR","status":"paid"`, telemed.ErrUnavailable},
	} {
		client, asked := answering(t, map[string]string{
			paymentPath: `{"id":"pay_A","order_id":"order_A",` + tc.payment + `}`, orderPath: `{"id":"order_A",` + tc.order + `}`,
		})
		got, err := client.VerifyPayment(t.Context(), payments.Confirmation{
			OrderID: "order_A", Expected: payments.INR(50000), PaymentID: "pay_A",
			Signature: signature.Hex([]byte(testKey), []byte("order_A|pay_A")),
		})
		require.Positive(t, asked[orderPath], name)
		if tc.want == nil {
			require.NoError(t, err, name)
			require.Equal(t, "pay_A", got.ID, name)
			continue
		}
		require.ErrorIs(t, err, tc.want, name)
		require.Nil(t, got, name)
	}
}

// TestPaidOrderIsNotCapturedAgain: a second payment that is reserved on a paid order goes
// back by itself, also where VerifyPayment captures.
func TestPaidOrderIsNotCapturedAgain(t *testing.T) {
	t.Parallel()
	srv, client := start(t, razorpaytest.Config{}, func(c *razorpay.Config) { c.AutoCapture = true })
	o := order(t, client)
	pay(t, srv, o)
	srv.FailNext(on(getPayment, razorpaytest.Fault{
		Status: 200, Body: `{"id":"pay_1","order_id":"` + o.ID + `","amount":50000,"currency":"INR","status":"authorized"}`,
	}))
	got, err := client.VerifyPayment(t.Context(), payments.Confirmation{
		OrderID: o.ID, Expected: o.Amount, PaymentID: "pay_1", Signature: signature.Hex([]byte(srv.KeySecret().Reveal()), []byte(o.ID+"|pay_1")),
	})
	require.NoError(t, err)
	require.Equal(t, payments.PaymentAuthorized, got.Status)
	require.Zero(t, srv.Count(postCapture))
}

// TestTypedFields reads what Razorpay says of fees, refunds, late banks and conversions.
func TestTypedFields(t *testing.T) {
	t.Parallel()
	read := func(fields string) *payments.Payment {
		client, _ := answering(t, map[string]string{paymentPath: `{"id":"pay_A",` + fields + `}`})
		p, err := client.Payment(t.Context(), "pay_A")
		require.NoError(t, err)
		return p
	}
	p := read(`"amount":600,"currency":"USD","base_amount":50000,"base_currency":"INR","status":"captured","captured":true,"fee":1180,"tax":180,"amount_refunded":100,"refund_status":"partial","late_authorized":true`)
	require.Equal(t, payments.Money{Minor: 600, Currency: "USD"}, p.Amount)
	require.Equal(t, []payments.Money{payments.INR(50000), payments.INR(1180), payments.INR(180)}, []payments.Money{p.Base, p.Fee, p.Tax})
	require.Equal(t, payments.GivenBackPart, p.GivenBack)
	require.True(t, p.Captured && p.Late && !p.AutoRefunded())

	p = read(`"amount":500,"currency":"INR","status":"authorized","captured":false,"fee":null,"tax":null,"refund_status":null`)
	require.True(t, !p.Captured && !p.Late && p.Fee.IsZero() && p.Base.IsZero())
	require.Equal(t, payments.GivenBackNone, p.GivenBack)
	require.True(t, read(`"amount":500,"amount_refunded":500,"currency":"INR","status":"refunded","captured":false,"refund_status":"full"`).AutoRefunded())
	require.False(t, read(`"amount":500,"amount_refunded":500,"currency":"INR","status":"refunded"`).AutoRefunded(), "it does not say that it was not captured")
	require.True(t, read(`"amount":500,"currency":"INR","status":"captured","captured":"1"`).Captured)

	client, _ := answering(t, map[string]string{orderPath: `{"id":"order_A","amount":500,"amount_paid":200,"currency":"INR","status":"attempted","attempts":"n/a","notes":"odd","created_at":"today"}`})
	o, err := client.Order(t.Context(), "order_A")
	require.NoError(t, err, "an odd field does not take the order away")
	require.Equal(t, payments.INR(300), o.Due)
}

// TestP12ForeignItems: a list that holds what was not asked for is no answer.
func TestP12ForeignItems(t *testing.T) {
	t.Parallel()
	for _, items := range []string{
		`{"id":"pay_B","order_id":"order_B","amount":500,"currency":"INR","status":"captured"}`,
		`{"id":"pay_B","order_id":null,"amount":500,"currency":"INR","status":"captured"}`,
		`{"id":"order_A","order_id":"order_A"}`, `null`, `{}`, `{"id":"pay_B","order_id":"order_A","amount":5.5}`,
	} {
		own := `{"id":"pay_A","order_id":"order_A","amount":500,"currency":"INR","status":"captured"}`
		client, _ := answering(t, map[string]string{orderPath + "/payments": `{"items":[` + own + "," + items + `]}`})
		all, err := client.OrderPayments(t.Context(), "order_A")
		require.ErrorIs(t, err, telemed.ErrUnavailable, items)
		require.Nil(t, all)
	}
	for _, items := range []string{
		`{"id":"rfnd_B","payment_id":"pay_B","amount":500,"currency":"INR"}`, `{"id":"pay_A","payment_id":"pay_A"}`, `5`,
	} {
		client, _ := answering(t, map[string]string{paymentPath + "/refunds": `{"items":[` + items + `]}`})
		_, err := client.PaymentRefunds(t.Context(), "pay_A")
		require.ErrorIs(t, err, telemed.ErrUnavailable, items)
	}
	client, _ := answering(t, map[string]string{"GET /v1/refunds/rfnd_A": `{"id":"rfnd_B","payment_id":"pay_A","amount":500,"currency":"INR"}`})
	_, err := client.RefundByID(t.Context(), "rfnd_A")
	require.ErrorIs(t, err, telemed.ErrUnavailable)
}

// TestManyRefunds reads more than one page.
func TestManyRefunds(t *testing.T) {
	t.Parallel()
	srv, client := start(t, razorpaytest.Config{})
	c := pay(t, srv, order(t, client))
	for i := range 105 {
		_, err := client.Refund(t.Context(), payments.RefundRequest{PaymentID: c.PaymentID, Key: fmt.Sprintf("part_%06d", i), Amount: new(payments.INR(100))})
		require.NoError(t, err)
	}
	all, err := client.PaymentRefunds(t.Context(), c.PaymentID)
	require.NoError(t, err)
	require.Len(t, all, 105)
	require.Equal(t, 2, srv.Count(razorpaytest.OpListRefunds))
}

// TestLifeOfAPayment hears of all that can become of a payment, by webhooks alone. The row
// of an application that keeps to CanBecome ends where Razorpay does.
func TestLifeOfAPayment(t *testing.T) {
	t.Parallel()
	for name, live := range map[string]func(*razorpaytest.Server, string) error{
		"a refund fails, and another one does not": func(srv *razorpaytest.Server, orderID string) error {
			paid, err := srv.Pay(orderID)
			if err == nil {
				err = refundTwice(srv, paid.PaymentID)
			}
			return err
		},
		"a late bank": func(srv *razorpaytest.Server, orderID string) error {
			id, err := srv.FailPayment(orderID)
			if err == nil {
				err = srv.AuthorizeLate(id)
			}
			return err
		},
		"nobody captures": func(srv *razorpaytest.Server, orderID string) error {
			id, err := srv.FailPayment(orderID)
			if err != nil {
				return err
			}
			srv.Advance(4 * 24 * time.Hour)
			return srv.AuthorizeLate(id) // after the time for capturing
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv, client := start(t, razorpaytest.Config{PendingRefunds: true})
			srv.HoldWebhooks()
			o := order(t, client)
			require.NoError(t, live(srv, o.ID))
			srv.Advance(time.Hour)
			stored := payments.PaymentCreated
			var last *payments.Payment
			for _, e := range srv.Events() {
				got, err := client.ParseWebhook(header(signature.Hex([]byte(srv.WebhookSecret().Reveal()), e.Body)), e.Body)
				require.NoError(t, err)
				require.Nil(t, got.Unread)
				if last = got.Payment; stored != last.Status {
					require.True(t, stored.CanBecome(last.Status), "%s: from %s to %s", e.Type, stored, last.Status)
					stored = last.Status
				}
			}
			now, err := client.Payment(t.Context(), last.ID)
			require.NoError(t, err)
			require.Equal(t, now.Status, stored)
			require.Equal(t, now.Late, last.Late)
			require.Equal(t, now.AutoRefunded(), last.AutoRefunded())
		})
	}
}

// refundTwice has a refund fail and a second one succeed.
func refundTwice(srv *razorpaytest.Server, paymentID string) error {
	client, err := razorpay.New(razorpay.Config{KeyID: srv.KeyID(), KeySecret: srv.KeySecret(), BaseURL: srv.URL()})
	if err != nil {
		return err
	}
	for i, processed := range []bool{false, true} {
		r, err := client.Refund(context.Background(), payments.RefundRequest{PaymentID: paymentID, Key: fmt.Sprintf("cancel_%04d", i)})
		if err != nil {
			return err
		}
		if err := srv.SettleRefund(r.ID, processed); err != nil {
			return err
		}
	}
	return nil
}

// TestWebhookReadsTheOrder: payment.captured comes without its order, of an instalment too.
// What Handle gets says whether the order is paid, and both events of a payment have one key.
func TestWebhookReadsTheOrder(t *testing.T) {
	t.Parallel()
	srv, client := start(t, razorpaytest.Config{})
	facts := map[string]int{}
	var orders []*payments.Order
	webhook, err := payments.NewWebhook(payments.WebhookConfig{Parser: client, Handle: func(_ context.Context, e payments.Event) error {
		if e.Type == payments.EventOrderPaid || e.Type == payments.EventPaymentCaptured {
			facts[e.Fact()]++
			orders = append(orders, e.Order)
		}
		return nil
	}})
	require.NoError(t, err)
	hospital := httptest.NewServer(webhook)
	t.Cleanup(hospital.Close)
	srv.SetWebhookURL(hospital.URL)
	id := partOrder(t, srv, "bill_parts", payments.INR(40000))
	first, err := srv.PayPart(id, 10000)
	require.NoError(t, err)
	require.NoError(t, srv.WaitWebhooks(t.Context()))
	require.Equal(t, map[string]int{"payment:" + first.PaymentID + ":captured": 1}, facts)
	require.Equal(t, payments.INR(30000), orders[0].Due, "there to be shown")

	srv.FailNext(on(razorpaytest.OpOrder, times(3, failing(503))))
	_, err = srv.PayPart(id, 30000)
	require.NoError(t, err)
	require.NoError(t, srv.WaitWebhooks(t.Context()))
	require.Equal(t, map[string]int{"payment:" + first.PaymentID + ":captured": 1, "order:" + id + ":paid": 2}, facts)
	require.Equal(t, http.StatusInternalServerError, statusOf(srv, payments.EventPaymentCaptured), "the order could not be read: it comes again")

	// An order of nobody's is no reason to be told again for a day.
	body := strings.ReplaceAll(hookBody, "order_TM00000000000A", "order_AAAAAAAAAAAAAA")
	e := razorpaytest.Event{ID: "evt_1", Type: payments.EventPaymentCaptured, Body: []byte(body)}
	status, err := srv.Deliver(t.Context(), e)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, 1, facts["payment:pay_TM00000000000A:captured"])
	require.Nil(t, orders[len(orders)-1])
}

// statusOf returns the first answer to an event of a type that was not 200.
func statusOf(srv *razorpaytest.Server, kind string) int {
	for _, d := range srv.Deliveries() {
		if d.Event.Type == kind && d.Status != http.StatusOK {
			return d.Status
		}
	}
	return 0
}

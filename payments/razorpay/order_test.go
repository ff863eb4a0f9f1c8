package razorpay_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
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

// TestPaidMeanwhile: the payment was read before its order was paid. What it is now decides:
// captured by another call, given back for another payment was first, or still reserved and
// not to be captured.
func TestPaidMeanwhile(t *testing.T) {
	t.Parallel()
	for now, want := range map[payments.PaymentStatus]error{
		payments.PaymentCaptured: nil, payments.PaymentAuthorized: nil, payments.PaymentRefunded: payments.ErrAlreadyRefunded,
	} {
		for _, capture := range []bool{false, true} {
			srv, client := start(t, razorpaytest.Config{}, func(c *razorpay.Config) { c.AutoCapture = capture })
			o := order(t, client)
			pay(t, srv, o)
			for _, status := range []payments.PaymentStatus{payments.PaymentAuthorized, now} {
				srv.FailNext(on(getPayment, razorpaytest.Fault{
					Status: 200, Body: fmt.Sprintf(`{"id":"pay_1","order_id":%q,"amount":50000,"currency":"INR","status":%q}`, o.ID, status),
				}))
			}
			got, err := client.VerifyPayment(t.Context(), payments.Confirmation{
				OrderID: o.ID, Expected: o.Amount, PaymentID: "pay_1", Signature: signature.Hex([]byte(srv.KeySecret().Reveal()), []byte(o.ID+"|pay_1")),
			})
			require.ErrorIs(t, err, want)
			if want == nil {
				require.Equal(t, now, got.Status)
			}
			require.Zero(t, srv.Count(postCapture))
		}
	}
}

// TestVerifyAtOnce has callback and webhook verify one payment at the same time, in two
// processes that both capture.
func TestVerifyAtOnce(t *testing.T) {
	t.Parallel()
	for range 5 {
		srv, first := start(t, razorpaytest.Config{ManualCapture: true}, func(c *razorpay.Config) { c.AutoCapture = true })
		processes := []*razorpay.Client{first, clientOf(t, srv, func(c *razorpay.Config) { c.AutoCapture = true })}
		c := pay(t, srv, order(t, first))
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				if got, err := processes[i%2].VerifyPayment(t.Context(), c); err != nil || got.Status != payments.PaymentCaptured {
					t.Errorf("got %v, %v", got, err)
				}
			})
		}
		wg.Wait()
	}
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
				err = refundAll(srv, paid.PaymentID, [][]bool{{false}, {true}})
			}
			return err
		},
		"a refund is processed, and sent back by the bank": func(srv *razorpaytest.Server, orderID string) error {
			paid, err := srv.Pay(orderID)
			if err == nil {
				err = refundAll(srv, paid.PaymentID, [][]bool{{true, false}, {true}})
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
			stored, refunds := payments.PaymentCreated, map[string]payments.RefundStatus{}
			var last *payments.Payment
			for _, e := range srv.Events() {
				got, err := client.ParseWebhook(header(signature.Hex([]byte(srv.WebhookSecret().Reveal()), e.Body)), e.Body)
				require.NoError(t, err)
				require.Nil(t, got.Unread)
				if last = got.Payment; stored != last.Status {
					require.True(t, stored.CanBecome(last.Status), "%s: from %s to %s", e.Type, stored, last.Status)
					stored = last.Status
				}
				if r := got.Refund; r != nil {
					before, known := refunds[r.ID]
					require.True(t, !known || before == r.Status || before.CanBecome(r.Status), "%s: from %s to %s", e.Type, before, r.Status)
					refunds[r.ID] = r.Status
				}
			}
			now, err := client.Payment(t.Context(), last.ID)
			require.NoError(t, err)
			require.Equal(t, now.Status, stored)
			require.Equal(t, now.Late, last.Late)
			require.Equal(t, now.AutoRefunded(), last.AutoRefunded())
			made, err := client.PaymentRefunds(t.Context(), last.ID)
			require.NoError(t, err)
			require.Len(t, made, len(refunds))
			for _, r := range made {
				require.Equal(t, r.Status, refunds[r.ID])
			}
		})
	}
}

// refundAll makes refunds of a payment one after the other. Each settles as it is told:
// processed, or not.
func refundAll(srv *razorpaytest.Server, paymentID string, refunds [][]bool) error {
	client, err := razorpay.New(razorpay.Config{KeyID: srv.KeyID(), KeySecret: srv.KeySecret(), BaseURL: srv.URL()})
	if err != nil {
		return err
	}
	for i, settled := range refunds {
		r, err := client.Refund(context.Background(), payments.RefundRequest{PaymentID: paymentID, Key: fmt.Sprintf("cancel_%04d", i)})
		if err != nil {
			return err
		}
		for _, processed := range settled {
			if err := srv.SettleRefund(r.ID, processed); err != nil {
				return err
			}
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
	for i, id := range []string{"order_AAAAAAAAAAAAAA", "an id of another form", ""} {
		body := strings.ReplaceAll(hookBody, "order_TM00000000000A", id)
		status, err := srv.Deliver(t.Context(), razorpaytest.Event{ID: id, Type: payments.EventPaymentCaptured, Body: []byte(body)})
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, i+1, facts["payment:pay_TM00000000000A:captured"])
		require.Nil(t, orders[len(orders)-1])
	}
}

// TestOddOrderIsRead: an order that could not be read whole is asked for, by whatever event.
func TestOddOrderIsRead(t *testing.T) {
	t.Parallel()
	client, asked := answering(t, map[string]string{orderPath: `{"id":"order_A","amount":40000,"amount_paid":40000,"amount_due":0,"currency":"INR","status":"paid"}`})
	var facts []string
	webhook, err := payments.NewWebhook(payments.WebhookConfig{Parser: client, Handle: func(_ context.Context, e payments.Event) error {
		facts = append(facts, e.Fact())
		return nil
	}})
	require.NoError(t, err)
	payment := `"payment":{"entity":{"id":"pay_A","order_id":"order_A","amount":40000,"currency":"INR","status":"captured"}}`
	for i, order := range []string{
		`{"id":"order_A","amount":40000,"amount_paid":400.00,"currency":"INR","status":{}}`, `{"id":5}`, `[]`,
		`{"id":"order_A","attempts":"n/a","amount":40000,"amount_paid":40000,"currency":"INR","status":"paid"}`,
	} {
		for _, kind := range []string{payments.EventPaymentCaptured, payments.EventOrderPaid} {
			facts = nil
			require.Equal(t, http.StatusOK, deliverAs(webhook, fmt.Sprint(i, kind), fmt.Sprintf(`{"event":%q,"account_id":"%d","payload":{%s,"order":{"entity":%s}}}`, kind, i, payment, order)))
			require.Equal(t, []string{"order:order_A:paid"}, facts, "%s with %s", kind, order)
		}
	}
	require.Equal(t, 8, asked[orderPath])
	facts = nil
	whole := `{"id":"order_A","amount":40000,"amount_paid":10000,"amount_due":30000,"currency":"INR","status":"attempted"}`
	require.Equal(t, http.StatusOK, deliverAs(webhook, "whole", `{"event":"payment.captured","payload":{`+payment+`,"order":{"entity":`+whole+`}}}`))
	require.Equal(t, []string{"payment:pay_A:captured"}, facts)
	require.Equal(t, 8, asked[orderPath], "what is there is not asked for")
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

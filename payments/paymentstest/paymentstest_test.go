package paymentstest_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/leaktest"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/paymentstest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func TestGateway(t *testing.T) {
	t.Parallel()
	paymentstest.Run(t, func(t *testing.T) paymentstest.Harness { return harness(t, paymentstest.NewGateway()) })
}

// harness is what the suite needs of the gateway in memory.
func harness(t *testing.T, g *paymentstest.Gateway) paymentstest.Harness {
	return paymentstest.Harness{
		Gateway: g,
		Pay: func(orderID string) (string, string, error) {
			c, err := g.Pay(orderID)
			return c.PaymentID, c.Signature, err
		},
		FailPayment: func(orderID string) (string, error) {
			c, err := g.FailPayment(orderID)
			return c.PaymentID, err
		},
		LoseAnswer: func() {
			for _, op := range []string{paymentstest.OpCreateOrder, paymentstest.OpCapture, paymentstest.OpRefund} {
				g.FailAfter(op, telemed.ErrAmbiguous)
			}
		},
		PartOrder: func(key string, amount payments.Money) (string, error) {
			o, err := g.CreateOrder(t.Context(), payments.OrderRequest{Amount: amount, Key: key})
			if err != nil {
				return "", err
			}
			return o.ID, nil
		},
		PayPart: func(orderID string, part payments.Money) (string, string, error) {
			c, err := g.PayPart(orderID, part)
			return c.PaymentID, c.Signature, err
		},
		PayAs: func(orderID string, charged payments.Money) (string, string, error) {
			c, err := g.PayAs(orderID, charged)
			return c.PaymentID, c.Signature, err
		},
		AuthorizeLate: g.AuthorizeLate,
		HoldRefunds:   g.HoldRefunds,
		SettleRefund:  g.SettleRefund,
		Sign:          g.Sign,
		Callback: func(orderID, paymentID, signature string) *http.Request {
			return callback(g.Callback(payments.Confirmation{OrderID: orderID, PaymentID: paymentID, Signature: signature}))
		},
		FailedCallback: func() *http.Request { return callback(g.Callback(payments.Confirmation{})) },
	}
}

// callback is what the browser posts.
func callback(form url.Values) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/paid", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

func TestFailNext(t *testing.T) {
	t.Parallel()
	g := paymentstest.NewGateway()
	g.FailNext(paymentstest.OpCreateOrder, telemed.ErrRateLimited)
	req := payments.OrderRequest{Amount: payments.INR(100), Key: "bill_1"}
	_, err := g.CreateOrder(t.Context(), req)
	require.ErrorIs(t, err, telemed.ErrRateLimited)
	require.Empty(t, g.Orders())
	_, err = g.CreateOrder(t.Context(), req)
	require.NoError(t, err)
	require.Len(t, g.Orders(), 1)
	require.Equal(t, 2, g.Count(paymentstest.OpCreateOrder))
}

func TestFailAfter(t *testing.T) {
	t.Parallel()
	g := paymentstest.NewGateway()
	g.FailAfter(paymentstest.OpOrder, telemed.ErrUnavailable)
	g.FailAfter("", telemed.ErrAmbiguous)
	_, err := g.CreateOrder(t.Context(), payments.OrderRequest{Amount: payments.INR(100), Key: "bill_1"})
	require.EqualError(t, err, "paymentstest: CreateOrder: outcome unknown")
	o, err := g.WaitFor(t.Context(), func(o *payments.Order) bool { return o.Key == "bill_1" })
	require.NoError(t, err, "it was made")
	_, err = g.Order(t.Context(), o.ID)
	require.ErrorIs(t, err, telemed.ErrUnavailable)
}

func TestWaitFor(t *testing.T) {
	t.Parallel()
	g := paymentstest.NewGateway()
	o, err := g.CreateOrder(t.Context(), payments.OrderRequest{Amount: payments.INR(100), Key: "bill_1"})
	require.NoError(t, err)
	found := make(chan error, 1)
	go func() {
		_, err := g.WaitFor(t.Context(), func(o *payments.Order) bool { return o.Status == payments.OrderPaid })
		found <- err
	}()
	_, err = g.Pay(o.ID)
	require.NoError(t, err)
	require.NoError(t, <-found)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = g.WaitFor(ended, func(*payments.Order) bool { return false })
	require.ErrorIs(t, err, context.Canceled)
}

func TestPayTwice(t *testing.T) {
	t.Parallel()
	g := paymentstest.NewGateway()
	_, err := g.Pay("order_unknown")
	require.ErrorIs(t, err, telemed.ErrNotFound)
	o, err := g.CreateOrder(t.Context(), payments.OrderRequest{Amount: payments.INR(100), Key: "bill_1"})
	require.NoError(t, err)
	_, err = g.Pay(o.ID)
	require.NoError(t, err)
	_, err = g.Pay(o.ID)
	require.ErrorIs(t, err, telemed.ErrConflict)
}

func TestCheckoutRefuses(t *testing.T) {
	t.Parallel()
	g := paymentstest.NewGateway()
	open := &payments.Order{ID: "order_1", Amount: payments.INR(100)}
	for _, tc := range []struct {
		order *payments.Order
		name  string
	}{{nil, "Lotus"}, {&payments.Order{}, "Lotus"}, {open, ""}, {&payments.Order{ID: "order_1", Status: payments.OrderPaid}, "Lotus"}} {
		_, err := g.Checkout(tc.order, payments.CheckoutUI{Name: tc.name})
		require.ErrorIs(t, err, telemed.ErrInvalid)
	}
	_, err := g.Checkout(open, payments.CheckoutUI{Name: "Lotus"})
	require.NoError(t, err)
}

func TestWebhook(t *testing.T) {
	t.Parallel()
	g := paymentstest.NewGateway()
	o, err := g.CreateOrder(t.Context(), payments.OrderRequest{Amount: payments.INR(100), Key: "bill_1"})
	require.NoError(t, err)
	c, err := g.Pay(o.ID)
	require.NoError(t, err)
	p, err := g.Payment(t.Context(), c.PaymentID)
	require.NoError(t, err)
	header, body := g.Webhook(payments.Event{Type: payments.EventPaymentCaptured, Payment: p})
	e, err := g.ParseWebhook(header, body)
	require.NoError(t, err)
	require.Equal(t, p, e.Payment)
	require.NotEmpty(t, e.ID)
	require.Equal(t, "payment:"+p.ID+":captured", e.Fact())
	_, err = g.ParseWebhook(header, append(body, ' '))
	require.ErrorIs(t, err, telemed.ErrSignature)
	_, err = paymentstest.NewGateway().ParseWebhook(header, body)
	require.ErrorIs(t, err, telemed.ErrSignature, "another gateway's")
}

// TestFailedPaymentDoesNotVerify needs a signed failure, which only the gateway in memory
// gives.
func TestFailedPaymentDoesNotVerify(t *testing.T) {
	t.Parallel()
	g := paymentstest.NewGateway()
	o, err := g.CreateOrder(t.Context(), payments.OrderRequest{Amount: payments.INR(100), Key: "bill_1"})
	require.NoError(t, err)
	c, err := g.FailPayment(o.ID)
	require.NoError(t, err)
	_, err = g.VerifyPayment(t.Context(), c)
	require.ErrorIs(t, err, payments.ErrPaymentIncomplete)
}

// An application's code takes a payments.PaymentGateway; its unit test hands it this one.
func ExampleGateway() {
	gateway := paymentstest.NewGateway()
	book := func(ctx context.Context, c payments.Confirmation) string {
		payment, err := gateway.VerifyPayment(ctx, c)
		if errors.Is(err, telemed.ErrUnavailable) {
			return "we will tell you in a minute"
		}
		if err != nil {
			return "not paid"
		}
		return "booked for " + payment.Amount.String()
	}

	ctx := context.Background()
	order, _ := gateway.CreateOrder(ctx, payments.OrderRequest{Amount: payments.INR(50000), Key: "bill_1"})
	confirmation, _ := gateway.Pay(order.ID)
	gateway.FailNext(paymentstest.OpVerifyPayment, telemed.ErrUnavailable)
	fmt.Println(book(ctx, confirmation))
	fmt.Println(book(ctx, confirmation))
	// Output:
	// we will tell you in a minute
	// booked for INR 500.00
}

package fulfill_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/fulfill"
	"github.com/telemed-go/telemed/payments/razorpay"
	"github.com/telemed-go/telemed/payments/razorpay/razorpaytest"
	"github.com/telemed-go/telemed/store/durable"
)

const theBill = "bill-000042"

var price = payments.INR(50000)

// clinic is an application with one process, and what it was told.
type clinic struct {
	*testing.T
	*fulfill.Fulfiller
	srv  *razorpaytest.Server
	gate *razorpay.Client
	rows *durable.Memory
	stop func()

	mu     sync.Mutex
	booked []fulfill.Paid
	told   []fulfill.NoticeKind
	last   fulfill.Notice
	stuck  int
	fails  map[string]error // "book" and "tell"
}

// story runs one in a bubble: its days take no time.
func story(t *testing.T, server razorpaytest.Config, change func(*fulfill.Config), tell func(c *clinic)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server.InMemory = true
		c := &clinic{T: t, srv: razorpaytest.NewServer(t, server), rows: durable.NewMemory(), fails: map[string]error{}}
		c.srv.HoldWebhooks()
		c.gate = c.client(c.srv.Client().Transport)
		cfg := fulfill.Config{Store: c.rows, Gateway: c.gate, Fulfill: c.book, Notify: c.hear, OnStuck: func(durable.Item) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.stuck++
		}}
		if change != nil {
			change(&cfg)
		}
		var err error
		c.Fulfiller, err = fulfill.New(cfg)
		require.NoError(t, err)
		c.start()
		defer func() { c.stop() }()
		tell(c)
	})
}

func (c *clinic) client(transport http.RoundTripper) *razorpay.Client {
	client, err := razorpay.New(razorpay.Config{
		KeyID: c.srv.KeyID(), KeySecret: c.srv.KeySecret(), BaseURL: c.srv.URL(),
		WebhookSecrets: []telemed.Secret{c.srv.WebhookSecret()}, HTTPClient: &http.Client{Transport: transport},
	})
	require.NoError(c, err)
	return client
}

func (c *clinic) book(_ context.Context, paid fulfill.Paid) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.fails["book"]; err != nil {
		return err
	}
	c.booked = append(c.booked, paid)
	return nil
}

func (c *clinic) hear(_ context.Context, n fulfill.Notice) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.fails["tell"]; err != nil {
		return err
	}
	c.told, c.last = append(c.told, n.Kind), n
	return nil
}

// fail has the application's own function fail from now on.
func (c *clinic) fail(what string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fails[what] = err
}

// order opens the bill and shows the payment page.
func (c *clinic) order(until time.Duration) *payments.Order {
	b := fulfill.Bill{Key: theBill, Tenant: "clinic", Amount: price}
	if until > 0 {
		b.Until = time.Now().Add(until)
	}
	require.NoError(c, c.Open(c.Context(), b))
	o, err := c.Checkout(c.Context(), theBill)
	require.NoError(c, err)
	return o
}

func (c *clinic) pay(orderID string) razorpaytest.Paid {
	paid, err := c.srv.Pay(orderID)
	require.NoError(c, err)
	return paid
}

// start has the bills worked until stop.
func (c *clinic) start() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		_ = c.Fulfiller.Run(ctx)
		close(done)
	}()
	c.stop = func() { cancel(); <-done }
}

// wait lets time pass, for Razorpay too. While no row is due for long, nobody looks for
// one: a second is a second also in a bubble.
func (c *clinic) wait(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		pause := time.Until(end)
		item, err := c.rows.Get(c.Context(), durable.ID{Kind: fulfill.RowKind, Name: theBill})
		require.NoError(c, err)
		if !item.Due.IsZero() {
			pause = min(pause, time.Until(item.Due))
		}
		if pause > time.Minute {
			c.stop()
			time.Sleep(pause)
			c.srv.Advance(0)
			c.start()
		}
		time.Sleep(min(time.Until(end), 5*time.Second))
	}
	c.srv.Advance(0)
	synctest.Wait()
}

// webhooks delivers what was held back so far.
func (c *clinic) webhooks(kinds ...string) {
	for _, e := range c.srv.Events() {
		for _, kind := range kinds {
			if e.Type == kind {
				parsed, err := parse(&world{srv: c.srv, truth: c.gate}, e)
				require.NoError(c, err)
				require.NoError(c, c.Event(c.Context(), *parsed))
			}
		}
	}
	c.wait(5 * time.Second)
}

// is checks what is known of the bill: its state, how often it was booked, and what money
// was taken and given back, in rupees.
func (c *clinic) is(state fulfill.State, booked, taken, back int) fulfill.Status {
	c.Helper()
	s, err := c.Get(c.Context(), theBill)
	require.NoError(c, err)
	c.mu.Lock()
	defer c.mu.Unlock()
	require.Equal(c, []any{state, booked, int64(taken), int64(back)}, []any{s.State, len(c.booked), s.Taken.Minor / 100, s.GivenBack.Minor / 100})
	return s
}

func (c *clinic) wasTold(kinds ...fulfill.NoticeKind) {
	c.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	require.Equal(c, kinds, c.told)
	c.told = nil
}

func TestBP01FulfilOnTheWebhookNotTheCallback(t *testing.T) {
	story(t, razorpaytest.Config{}, nil, func(c *clinic) {
		paid := c.pay(c.order(0).ID)
		c.webhooks(payments.EventPaymentCaptured, payments.EventOrderPaid, payments.EventOrderPaid)
		c.is(fulfill.StateFulfilled, 1, 500, 0)
		require.Equal(t, fulfill.Paid{Key: theBill, Tenant: "clinic", Amount: price, OrderID: paid.OrderID, PaymentIDs: []string{paid.PaymentID}}, c.booked[0])
		_, err := c.Checkout(c.Context(), theBill)
		require.ErrorIs(t, err, telemed.ErrConflict)
		require.ErrorIs(t, c.Cancel(c.Context(), theBill), telemed.ErrConflict)
		c.wasTold()
	})
}

func TestBP05NobodyTellsAndASweepBooks(t *testing.T) {
	story(t, razorpaytest.Config{}, nil, func(c *clinic) {
		c.pay(c.order(0).ID)
		c.wait(14 * time.Minute)
		c.is(fulfill.StateOpen, 0, 0, 0)
		c.wait(2 * time.Minute)
		c.is(fulfill.StateFulfilled, 1, 500, 0)
		c.wasTold(fulfill.NoticeNoWebhook)
	})
}

func TestBP20SettleBooks(t *testing.T) {
	story(t, razorpaytest.Config{}, nil, func(c *clinic) {
		c.pay(c.order(0).ID)
		s, err := c.Settle(c.Context(), theBill)
		require.NoError(t, err)
		require.Equal(t, fulfill.StateFulfilled, s.State)
		c.is(fulfill.StateFulfilled, 1, 500, 0)
	})
}

func TestORD03FailOneAttemptThenPay(t *testing.T) {
	story(t, razorpaytest.Config{}, nil, func(c *clinic) {
		o := c.order(0)
		_, err := c.srv.FailPayment(o.ID)
		require.NoError(t, err)
		c.webhooks(payments.EventPaymentFailed)
		c.is(fulfill.StateOpen, 0, 0, 0)
		c.pay(o.ID)
		c.webhooks(payments.EventOrderPaid)
		c.is(fulfill.StateFulfilled, 1, 500, 0)
	})
}

func TestBP06FailedThenLateAuthorized(t *testing.T) {
	story(t, razorpaytest.Config{}, nil, func(c *clinic) {
		failed, err := c.srv.FailPayment(c.order(0).ID)
		require.NoError(t, err)
		c.wait(2 * 24 * time.Hour)
		require.NoError(t, c.srv.AuthorizeLate(failed))
		c.wait(2 * 24 * time.Hour) // a sweep captures it
		c.is(fulfill.StateFulfilled, 1, 500, 0)
	})
}

func TestLateAuthorizationOfALapsedBillIsNotCaptured(t *testing.T) {
	story(t, razorpaytest.Config{}, nil, func(c *clinic) {
		o := premade(c, false)
		c.order(20 * time.Minute)
		c.wait(time.Hour)
		c.wasTold(fulfill.NoticeLapsed)
		c.pay(o) // authorized: whoever made the order captures by hand
		c.webhooks(payments.EventPaymentAuthorized)
		c.wait(8 * 24 * time.Hour)
		c.is(fulfill.StateLapsed, 0, 0, 0)
		require.Zero(t, c.srv.Count(razorpaytest.OpCapture))
		c.wasTold()
	})
}

func TestManualCaptureAccount(t *testing.T) {
	story(t, razorpaytest.Config{ManualCapture: true}, nil, func(c *clinic) {
		o := premade(c, false)
		c.order(time.Hour)
		c.pay(o)
		c.webhooks(payments.EventPaymentAuthorized)
		c.is(fulfill.StateFulfilled, 1, 500, 0)
	})
}

func TestPaidInTheMomentOfItsLapse(t *testing.T) {
	story(t, razorpaytest.Config{}, nil, func(c *clinic) {
		o := premade(c, false)
		c.order(20 * time.Minute)
		c.wait(20*time.Minute - 1)
		c.pay(o) // authorized only: the look at the lapse finds it so, and captures
		c.wait(5 * time.Second)
		c.is(fulfill.StateFulfilled, 1, 500, 0)
	})
}

func TestLapsedAndPaidLater(t *testing.T) {
	story(t, razorpaytest.Config{}, nil, func(c *clinic) {
		o := c.order(20 * time.Minute)
		c.wait(21 * time.Minute)
		c.is(fulfill.StateLapsed, 0, 0, 0)
		_, err := c.Checkout(c.Context(), theBill)
		require.ErrorIs(t, err, telemed.ErrConflict)
		c.pay(o.ID)
		c.webhooks(payments.EventOrderPaid)
		c.is(fulfill.StateLapsed, 0, 500, 500)
		c.wasTold(fulfill.NoticeLapsed, fulfill.NoticeOrphan, fulfill.NoticeRefunded)
	})
}

func TestCancelledUnpaidAndPaidLater(t *testing.T) {
	story(t, razorpaytest.Config{}, nil, func(c *clinic) {
		o := c.order(0)
		require.NoError(t, c.Cancel(c.Context(), theBill))
		require.NoError(t, c.Cancel(c.Context(), theBill))
		c.pay(o.ID)
		c.wait(time.Hour)
		c.is(fulfill.StateCancelled, 0, 500, 500)
	})
}

func TestGone(t *testing.T) {
	story(t, razorpaytest.Config{PendingRefunds: true}, nil, func(c *clinic) {
		c.fail("book", fulfill.ErrGone)
		paid := c.pay(c.order(0).ID)
		c.webhooks(payments.EventOrderPaid)
		s := c.is(fulfill.StateGone, 0, 500, 0)
		c.wasTold(fulfill.NoticeOrphan, fulfill.NoticeRefundPending)
		require.Equal(t, "orphan:"+paid.PaymentID, s.Refunds[0].Key)
		require.NoError(t, c.srv.SettleRefund(s.Refunds[0].ID, true))
		c.wait(25 * time.Hour) // no webhook: it is asked
		c.is(fulfill.StateGone, 0, 500, 500)
		c.wasTold(fulfill.NoticeRefunded)
	})
}

func TestOrphanLeftToAPerson(t *testing.T) {
	story(t, razorpaytest.Config{}, func(cfg *fulfill.Config) { cfg.AskAboutOrphans = true }, func(c *clinic) {
		c.fail("book", fulfill.ErrGone)
		paid := c.pay(c.order(0).ID)
		c.webhooks(payments.EventOrderPaid)
		s := c.is(fulfill.StateGone, 0, 500, 0)
		c.wasTold(fulfill.NoticeOrphan)
		require.True(t, c.last.Ask)
		require.Equal(t, []string{paid.PaymentID}, s.Orphans)
		require.NoError(t, c.Refund(c.Context(), theBill, fulfill.RefundRequest{Key: "gone"}))
		c.wait(time.Minute)
		require.Empty(t, c.is(fulfill.StateGone, 0, 500, 500).Orphans)
	})
}

// TestPartRefundedBeforeTheWebhook: a part was given back on Razorpay's pages before a late
// webhook came. The bill is paid all the same.
func TestPartRefundedBeforeTheWebhook(t *testing.T) {
	story(t, razorpaytest.Config{}, nil, func(c *clinic) {
		paid := c.pay(c.order(0).ID)
		byHand(c, paid.PaymentID, new(payments.INR(10000)))
		c.webhooks(payments.EventPaymentCaptured)
		s := c.is(fulfill.StateFulfilled, 1, 500, 100)
		require.Empty(t, s.Refunds[0].Key, "adopted")
		c.wasTold(fulfill.NoticeRefunded)
	})
}

func TestAllGivenBackBeforeItIsFulfilled(t *testing.T) {
	story(t, razorpaytest.Config{}, nil, func(c *clinic) {
		paid := c.pay(c.order(0).ID)
		byHand(c, paid.PaymentID, nil)
		c.webhooks(payments.EventPaymentCaptured)
		c.is(fulfill.StateCancelled, 0, 500, 500)
	})
}

func TestRFND01AndTiers(t *testing.T) {
	story(t, razorpaytest.Config{PendingRefunds: true}, nil, func(c *clinic) {
		c.pay(c.order(0).ID)
		_, err := c.Settle(c.Context(), theBill)
		require.NoError(t, err)
		half := fulfill.Tiers{{24 * time.Hour, 100}, {12 * time.Hour, 50}}.Refund(price, time.Now().Add(20*time.Hour), time.Now())
		req := fulfill.RefundRequest{Key: "cancelled", Amount: &half}
		require.NoError(t, c.Refund(c.Context(), theBill, req))
		require.NoError(t, c.Refund(c.Context(), theBill, req))
		require.ErrorIs(t, c.Refund(c.Context(), theBill, fulfill.RefundRequest{Key: "cancelled", Amount: &price}), payments.ErrKeyConflict)
		require.ErrorIs(t, c.Refund(c.Context(), theBill, fulfill.RefundRequest{Key: "more", Amount: &price}), telemed.ErrConflict)
		c.wait(time.Minute)
		s := c.is(fulfill.StateFulfilled, 1, 500, 0)
		c.wasTold(fulfill.NoticeRefundPending)
		require.ErrorIs(t, c.RetryRefund(c.Context(), theBill, "cancelled"), telemed.ErrConflict)
		require.NoError(t, c.srv.SettleRefund(s.Refunds[0].ID, true))
		c.webhooks(payments.EventRefundProcessed)
		c.is(fulfill.StateFulfilled, 1, 500, 250)
		c.wasTold(fulfill.NoticeRefunded)
	})
}

func TestRefundFailsAndIsTriedAgain(t *testing.T) {
	story(t, razorpaytest.Config{PendingRefunds: true}, nil, func(c *clinic) {
		c.pay(c.order(0).ID)
		_, err := c.Settle(c.Context(), theBill)
		require.NoError(t, err)
		require.NoError(t, c.Refund(c.Context(), theBill, fulfill.RefundRequest{Key: "cancelled"}))
		c.wait(time.Minute)
		s := c.is(fulfill.StateFulfilled, 1, 500, 0)
		require.NoError(t, c.srv.SettleRefund(s.Refunds[0].ID, false))
		c.webhooks(payments.EventRefundFailed)
		c.wasTold(fulfill.NoticeRefundPending, fulfill.NoticeRefundFailed)
		require.NoError(t, c.RetryRefund(c.Context(), theBill, "cancelled"))
		require.ErrorIs(t, c.RetryRefund(c.Context(), theBill, "cancelled"), telemed.ErrConflict)
		c.wait(time.Minute)
		s = c.is(fulfill.StateFulfilled, 1, 500, 0)
		require.Len(t, s.Refunds, 2)
		require.NoError(t, c.srv.SettleRefund(s.Refunds[1].ID, true))
		c.wait(8 * 24 * time.Hour)
		c.is(fulfill.StateFulfilled, 1, 500, 500)
		c.wasTold(fulfill.NoticeRefundPending, fulfill.NoticeRefunded)
	})
}

// TestRefundOfAnOrphanFailsAndAPartIsGone: what is tried again is what is left.
func TestRefundOfAnOrphanFailsAndAPartIsGone(t *testing.T) {
	story(t, razorpaytest.Config{PendingRefunds: true}, nil, func(c *clinic) {
		o := c.order(0)
		require.NoError(c, c.Cancel(c.Context(), theBill))
		c.pay(o.ID)
		c.wait(time.Hour)
		s := c.is(fulfill.StateCancelled, 0, 500, 0)
		require.NoError(c, c.srv.SettleRefund(s.Refunds[0].ID, false))
		c.webhooks(payments.EventRefundFailed)
		part := payments.INR(10000)
		require.NoError(c, c.Refund(c.Context(), theBill, fulfill.RefundRequest{Key: "goodwill", Amount: &part}))
		require.NoError(c, c.RetryRefund(c.Context(), theBill, s.Refunds[0].Key))
		c.wait(time.Minute)
		for _, refund := range c.is(fulfill.StateCancelled, 0, 500, 0).Refunds[1:] {
			require.NoError(c, c.srv.SettleRefund(refund.ID, true))
		}
		c.wait(8 * 24 * time.Hour)
		c.is(fulfill.StateCancelled, 0, 500, 500)
	})
}

// TestRefundComesBackFromTheBank: it was processed, and failed all the same; nobody tells.
func TestRefundComesBackFromTheBank(t *testing.T) {
	story(t, razorpaytest.Config{}, nil, func(c *clinic) {
		c.pay(c.order(0).ID)
		_, err := c.Settle(c.Context(), theBill)
		require.NoError(c, err)
		require.NoError(c, c.Refund(c.Context(), theBill, fulfill.RefundRequest{Key: "cancelled"}))
		c.wait(time.Minute)
		s := c.is(fulfill.StateFulfilled, 1, 500, 500)
		require.NoError(c, c.srv.SettleRefund(s.Refunds[0].ID, false))
		c.wait(2 * 24 * time.Hour)
		c.is(fulfill.StateFulfilled, 1, 500, 0)
		c.wasTold(fulfill.NoticeRefunded, fulfill.NoticeRefundFailed)
	})
}

func TestRefundThatTakesAWeekIsTold(t *testing.T) {
	story(t, razorpaytest.Config{PendingRefunds: true}, nil, func(c *clinic) {
		c.pay(c.order(0).ID)
		_, err := c.Settle(c.Context(), theBill)
		require.NoError(t, err)
		require.NoError(t, c.Refund(c.Context(), theBill, fulfill.RefundRequest{Key: "cancelled"}))
		c.wait(6 * 24 * time.Hour)
		c.wasTold(fulfill.NoticeRefundPending)
		c.wait(2 * 24 * time.Hour)
		c.wasTold(fulfill.NoticeRefundLate)
	})
}

// TestBP12RefundTimesOut: the answer is lost, and nothing is given back twice.
func TestBP12RefundTimesOut(t *testing.T) {
	story(t, razorpaytest.Config{}, nil, func(c *clinic) {
		c.pay(c.order(0).ID)
		_, err := c.Settle(c.Context(), theBill)
		require.NoError(t, err)
		c.srv.FailNext(razorpaytest.Fault{Op: razorpaytest.OpCreateRefund, LoseAnswer: true, Times: 4})
		require.NoError(t, c.Refund(c.Context(), theBill, fulfill.RefundRequest{Key: "cancelled", Amount: new(payments.INR(10000))}))
		c.wait(10 * time.Minute)
		s := c.is(fulfill.StateFulfilled, 1, 500, 100)
		require.Len(t, s.Refunds, 1)
	})
}

func TestAutoRefund(t *testing.T) {
	story(t, razorpaytest.Config{}, func(cfg *fulfill.Config) { cfg.LeaveAuthorized = true }, func(c *clinic) {
		o := premade(c, false)
		c.order(0)
		c.pay(o)
		c.wait(5 * 24 * time.Hour)
		c.webhooks(payments.EventRefundProcessed)
		c.is(fulfill.StateOpen, 0, 0, 0)
		c.wasTold()
	})
}

func TestInstalments(t *testing.T) {
	story(t, razorpaytest.Config{}, nil, func(c *clinic) {
		o := premade(c, true)
		c.order(0)
		_, err := c.srv.PayPart(o, 20000)
		require.NoError(t, err)
		c.webhooks(payments.EventPaymentAuthorized)
		c.is(fulfill.StateOpen, 0, 200, 0)
		_, err = c.srv.PayPart(o, 30000)
		require.NoError(t, err)
		c.wait(time.Hour)
		c.is(fulfill.StateFulfilled, 1, 500, 0)
	})
}

func TestP1TheOrderDecides(t *testing.T) {
	for name, charged := range map[string]payments.Money{"an offer": payments.INR(45000), "a fee": payments.INR(51000)} {
		t.Run(name, func(t *testing.T) {
			story(t, razorpaytest.Config{}, nil, func(c *clinic) {
				_, err := c.srv.PayAs(c.order(0).ID, charged)
				require.NoError(t, err)
				c.webhooks(payments.EventOrderPaid)
				c.is(fulfill.StateFulfilled, 1, int(charged.Minor/100), 0)
			})
		})
	}
}

func TestTwoOrdersUnderOneKey(t *testing.T) {
	story(t, razorpaytest.Config{}, nil, func(c *clinic) {
		c.pay(c.order(0).ID)
		_, err := c.Settle(c.Context(), theBill)
		require.NoError(t, err)
		second := premade(c, false)
		paid := c.pay(second)
		_, err = c.gate.Capture(c.Context(), payments.CaptureRequest{PaymentID: paid.PaymentID, Amount: price})
		require.NoError(t, err)
		c.wait(time.Hour)
		c.is(fulfill.StateFulfilled, 1, 1000, 500)
		c.wasTold(fulfill.NoticeOrphan, fulfill.NoticeRefunded)
	})
}

// TestWrongAmount: somebody else sells under the same key. That is nobody's to give back
// without a person.
func TestWrongAmount(t *testing.T) {
	story(t, razorpaytest.Config{}, nil, func(c *clinic) {
		t := c.T
		c.order(0)
		c.pay((&world{srv: c.srv}).order(theBill, 900, false))
		c.webhooks(payments.EventPaymentAuthorized)
		c.is(fulfill.StateOpen, 0, 0, 0)
		require.Zero(t, c.srv.Count(razorpaytest.OpCapture), "it is not ours to take")
		payment, err := c.gate.Payment(t.Context(), c.srv.PaymentIDs()[0])
		require.NoError(t, err)
		_, err = c.gate.Capture(t.Context(), payments.CaptureRequest{PaymentID: payment.ID, Amount: payment.Amount})
		require.NoError(t, err)
		c.webhooks(payments.EventOrderPaid)
		c.is(fulfill.StateOpen, 0, 9, 0)
		c.wasTold(fulfill.NoticeOrphan)
		require.True(t, c.last.Ask)
	})
}

// TestBP07CreateOrderTimesOut: the answer of the order is lost, and it is found again.
func TestBP07CreateOrderTimesOut(t *testing.T) {
	story(t, razorpaytest.Config{}, nil, func(c *clinic) {
		c.srv.FailNext(razorpaytest.Fault{Op: razorpaytest.OpCreateOrder, LoseAnswer: true})
		c.pay(c.order(0).ID)
		c.webhooks(payments.EventOrderPaid)
		c.is(fulfill.StateFulfilled, 1, 500, 0)
		require.Len(c, c.srv.Receipts(), 1)
	})
}

// TestDeathBetweenOrderAndRow: Checkout has made the order, and the row does not know it.
func TestDeathBetweenOrderAndRow(t *testing.T) {
	story(t, razorpaytest.Config{}, nil, func(c *clinic) {
		c.srv.FailNext(razorpaytest.Fault{Op: razorpaytest.OpListOrders, Status: 503, Times: -1})
		require.NoError(c, c.Open(c.Context(), fulfill.Bill{Key: theBill, Amount: price}))
		_, err := c.Checkout(c.Context(), theBill)
		require.ErrorIs(c, err, telemed.ErrUnavailable)
		c.srv.Reset()
		o, err := c.gate.CreateOrder(c.Context(), payments.OrderRequest{Key: theBill, Amount: price, Capture: payments.CaptureAutomatic})
		require.NoError(c, err)
		c.pay(o.ID)
		c.wait(time.Hour)
		c.is(fulfill.StateFulfilled, 1, 500, 0)
	})
}

// TestNotifyThatFails neither holds up bookings nor sweeps, and somebody is told.
func TestNotifyThatFails(t *testing.T) {
	story(t, razorpaytest.Config{}, nil, func(c *clinic) {
		o := c.order(20 * time.Minute)
		c.fail("tell", errors.New("mail server is away"))
		c.wait(8 * time.Hour)
		require.Equal(t, 1, c.stuck)
		s := c.is(fulfill.StateLapsed, 0, 0, 0)
		require.Contains(t, s.Stuck, "tell: failed")
		c.pay(o.ID)
		c.wait(24 * time.Hour)
		c.is(fulfill.StateLapsed, 0, 500, 500)
		c.fail("tell", nil)
		c.wait(time.Hour)
		c.wasTold(fulfill.NoticeOrphan, fulfill.NoticeRefunded, fulfill.NoticeLapsed, fulfill.NoticeNoWebhook)
	})
}

// TestFulfillThatFails is tried until it is done, and holds up nothing else.
func TestFulfillThatFails(t *testing.T) {
	story(t, razorpaytest.Config{}, nil, func(c *clinic) {
		c.fail("book", errors.New("database is away"))
		c.pay(c.order(0).ID)
		c.webhooks(payments.EventOrderPaid)
		c.is(fulfill.StatePaid, 0, 500, 0)
		require.NoError(t, c.Refund(c.Context(), theBill, fulfill.RefundRequest{Key: "part", Amount: new(payments.INR(10000))}))
		c.wait(5 * time.Hour)
		s := c.is(fulfill.StatePaid, 0, 500, 100)
		require.Contains(t, s.Stuck, "fulfill: failed")
		require.Equal(t, 1, c.stuck)
		c.fail("book", nil)
		c.wait(time.Hour)
		require.Empty(t, c.is(fulfill.StateFulfilled, 1, 500, 100).Stuck)
	})
}

// TestGatewayIsAwayForADay: nothing is forgotten.
func TestGatewayIsAwayForADay(t *testing.T) {
	story(t, razorpaytest.Config{}, nil, func(c *clinic) {
		c.pay(c.order(time.Hour).ID)
		c.srv.FailNext(razorpaytest.Fault{Status: 503, Times: -1})
		c.wait(24 * time.Hour)
		c.is(fulfill.StateOpen, 0, 0, 0)
		require.Equal(t, 1, c.stuck)
		c.srv.Reset()
		c.wait(time.Hour)
		c.is(fulfill.StateFulfilled, 1, 500, 0)
	})
}

// premade makes an order under the bill's key as other code does; see world.premade.
func premade(c *clinic, partial bool) string {
	c.Helper()
	id := (&world{srv: c.srv}).premade(theBill, partial)
	require.NotEmpty(c, id)
	return id
}

func byHand(c *clinic, paymentID string, amount *payments.Money) {
	c.Helper()
	_, err := c.gate.Refund(c.Context(), payments.RefundRequest{PaymentID: paymentID, Amount: amount, Key: "on the dashboard"})
	require.NoError(c, err)
}

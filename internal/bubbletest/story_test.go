package bubbletest

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/meet/googlemeet"
	"github.com/telemed-go/telemed/meet/googlemeet/googlemeettest"
	"github.com/telemed-go/telemed/notify/smtp/smtptest"
	"github.com/telemed-go/telemed/notify/template"
	"github.com/telemed-go/telemed/notify/whatsapp/whatsapptest"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/razorpay/razorpaytest"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/zoom"
	"github.com/telemed-go/telemed/zoom/zoomtest"
)

// TestDays: two visits are paid, one of them while the clinic is down and one while it
// dies. Both meetings move, a message fails after all, one visit is cancelled, and its
// money is back after a week. All providers fail on the way.
func TestDays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		db := &database{Memory: store.NewMemory(), visits: map[string]visit{}}
		c := newClinic(t, w, db)
		begin := time.Now()
		connect(t, db, c.google.OAuth(), w.google.Authorize)
		connect(t, db, c.zoom.OAuth(), w.zoom.Authorize)

		c = w.dieWhilePaid(t, c)
		c = w.downWhilePaid(t, c)
		require.Equal(t, 1, w.google.Refreshes(), "the token has expired meanwhile")
		w.move(t, c)
		w.failLater(t, c)
		w.cancel(t, c)
		require.Greater(t, time.Since(begin), 8*24*time.Hour)
		require.Len(t, w.razorpay.Receipts(), 2)
		require.Len(t, w.razorpay.PaymentIDs(), 2)
		for _, m := range w.whatsapp.Messages() {
			require.Equal(t, "+919876543210", m.To)
		}
	})
}

// dieWhilePaid has the process end in the middle of what a payment brings about. The
// answer about the order was lost before, and that about the meeting is on its way.
func (w *world) dieWhilePaid(t *testing.T, c *clinic) *clinic {
	w.razorpay.FailNext(razorpaytest.Fault{Op: razorpaytest.OpCreateOrder, LoseAnswer: true})
	start := time.Now().Add(72 * time.Hour)
	order, err := c.book("visit-0001", zoom.ProviderName, start)
	if err != nil {
		require.ErrorIs(t, err, telemed.ErrAmbiguous)
		order, err = c.book("visit-0001", zoom.ProviderName, start)
	}
	require.NoError(t, err)
	w.zoom.FailNext(zoomtest.Fault{Op: zoomtest.OpCreate, LoseAnswer: true, Delay: 3 * time.Second})
	_, err = w.razorpay.Pay(order.ID)
	require.NoError(t, err)
	time.Sleep(time.Second)
	c.end()
	time.Sleep(time.Minute)
	c = newClinic(t, w, c.db)
	require.NoError(t, w.razorpay.WaitWebhooks(t.Context()))
	require.NoError(t, w.whatsapp.WaitWebhooks(t.Context()))
	require.Len(t, w.zoom.Meetings(), 1)
	w.told(t, 1, 1)
	require.Equal(t, []string{"whatsapp sent", "whatsapp delivered"}, c.db.heard)
	return c
}

// told is how many messages each channel has brought so far.
func (w *world) told(t *testing.T, mails, chats int) {
	t.Helper()
	require.Len(t, w.mail.Messages(), mails)
	require.Len(t, w.whatsapp.Messages(), chats)
}

// downWhilePaid has the process start hours after a payment. The webhooks come then, and
// the test sends each of them twice, the last one first.
func (w *world) downWhilePaid(t *testing.T, c *clinic) *clinic {
	order, err := c.book("visit-0002", googlemeet.ProviderName, time.Now().Add(96*time.Hour))
	require.NoError(t, err)
	c.end()
	_, err = w.razorpay.Pay(order.ID)
	require.NoError(t, err)
	time.Sleep(5 * time.Hour)
	w.told(t, 1, 1)
	c = newClinic(t, w, c.db)
	w.google.FailNext(googlemeettest.Fault{Op: googlemeettest.OpInsert, Status: 503})
	w.mail.FailNext(smtptest.Fault{Op: smtptest.OpMail, Delay: time.Second})
	w.whatsapp.HoldWebhooks()
	require.NoError(t, w.razorpay.WaitWebhooks(t.Context()))
	for range 2 {
		for i := range w.razorpay.Events() {
			status, err := w.razorpay.Deliver(t.Context(), w.razorpay.Events()[len(w.razorpay.Events())-1-i])
			require.NoError(t, err)
			require.Equal(t, 200, status)
		}
	}
	require.Len(t, w.google.Events(), 1)
	w.told(t, 2, 2)
	return c
}

// move moves both meetings a day later, and tells it by mail.
func (w *world) move(t *testing.T, c *clinic) {
	time.Sleep(24 * time.Hour)
	for key, v := range map[string]visit{"visit-0001": c.db.get("visit-0001"), "visit-0002": c.db.get("visit-0002")} {
		link := v.meeting.JoinURL
		v.start = v.start.Add(24 * time.Hour)
		m, err := c.meetings[v.provider].Update(t.Context(), doctor, v.meeting.ID, v.request(key))
		require.NoError(t, err)
		require.Equal(t, link, m.JoinURL)
		require.WithinDuration(t, v.start, m.Start, time.Second, "fractions are dropped")
		v.meeting = m
		c.db.put(key, v)
		require.NoError(t, c.tell(t.Context(), key, "moved", template.Rescheduled, v, c.mail))
	}
	w.told(t, 4, 2)
}

// failLater has WhatsApp's statuses come late, twice and in the wrong order. At last one
// says that the message did not arrive.
func (w *world) failLater(t *testing.T, c *clinic) {
	c.db.heard = nil
	time.Sleep(6 * time.Hour)
	events := w.whatsapp.Events()[2:]
	require.Len(t, events, 2)
	for _, e := range []whatsapptest.Event{events[1], events[0], events[1]} {
		status, err := w.whatsapp.Deliver(t.Context(), e)
		require.NoError(t, err)
		require.Equal(t, 200, status)
	}
	require.NoError(t, w.whatsapp.SendStatus(t.Context(), w.whatsapp.Messages()[1].ID, "failed", 131026))
	require.Equal(t, []string{"whatsapp delivered", "whatsapp sent", "whatsapp failed"}, c.db.heard)
}

// cancel gives the money of a visit back. It takes a week.
func (w *world) cancel(t *testing.T, c *clinic) {
	c.db.heard = nil
	v := c.db.get("visit-0002")
	require.NoError(t, c.google.Cancel(t.Context(), doctor, v.meeting.ID))
	refund, err := c.razorpay.Refund(t.Context(), payments.RefundRequest{PaymentID: v.payment, Key: "cancel/visit-0002"})
	require.NoError(t, err)
	require.Equal(t, payments.RefundPending, refund.Status)
	time.Sleep(7 * 24 * time.Hour)
	require.NoError(t, w.razorpay.SettleRefund(refund.ID, true))
	require.NoError(t, w.razorpay.WaitWebhooks(t.Context()))
	require.Equal(t, []string{"refund processed"}, c.db.heard)
	again, err := c.razorpay.Refund(t.Context(), payments.RefundRequest{PaymentID: v.payment, Key: "cancel/visit-0002"})
	require.NoError(t, err)
	require.Equal(t, refund.ID, again.ID)
}

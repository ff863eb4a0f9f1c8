package visit_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/meet/meettest"
	"github.com/telemed-go/telemed/meet/visit"
	"github.com/telemed-go/telemed/notify/notifytest"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/paymentstest"
)

// TestEachProviderFailsOnce, before and after it does what it is asked, while a visit is
// paid, moved and cancelled: it ends as if nothing had failed.
func TestEachProviderFailsOnce(t *testing.T) {
	lost := []error{telemed.ErrAmbiguous, telemed.ErrUnavailable}
	for _, after := range []bool{false, true} {
		for _, err := range lost {
			if after && err == telemed.ErrUnavailable {
				continue // that it did not happen must be true
			}
			t.Run(fmt.Sprintf("after %t, %v", after, err), func(t *testing.T) {
				story(t, nil, func(c *clinic) {
					require.NoError(c, c.Book(c.Context(), request(theVisit)))
					c.pay(theVisit)
					fail := c.google.FailNext
					failGateway := c.gateway.FailNext
					if after {
						fail, failGateway = c.google.FailAfter, c.gateway.FailAfter
					}
					for _, op := range []string{meettest.OpCreate, meettest.OpUpdate, meettest.OpCancel} {
						fail(op, err)
					}
					for _, op := range []string{paymentstest.OpRefund, paymentstest.OpOrderPayments, paymentstest.OpPaymentRefunds} {
						failGateway(op, err)
					}
					c.live.FailNext("", err)
					c.mail.FailNext(notifytest.OpNotify, telemed.ErrUnavailable)
					c.chat.FailNext(notifytest.OpNotify, telemed.ErrRateLimited)
					c.wait(10 * time.Minute)
					require.Len(c, c.meetings(), 1)
					c.is(theVisit, visit.StatusBooked)
					require.NoError(c, c.Move(c.Context(), theVisit, start().Add(24*time.Hour)))
					c.wait(10 * time.Minute)
					require.True(c, c.meetings()[0].Start.Equal(start().Add(24*time.Hour)))
					require.NoError(c, c.Cancel(c.Context(), theVisit, visit.ByClinic))
					c.wait(2 * time.Hour)
					require.Empty(c, c.meetings())
					require.Len(c, c.google.Meetings(), 1)
					require.Equal(c, visit.Refund{Amount: payments.INR(50000), Status: payments.RefundProcessed}, c.is(theVisit, visit.StatusCancelled).Refund)
					require.Equal(c, []string{"appointment_confirmed", "appointment_rescheduled", "appointment_cancelled"}, c.chats())
					require.Contains(c, c.events(), "clinic-lotus appointment-changed appt-42 cancelled/3")
					require.Empty(c, c.stuck)
				})
			})
		}
	}
}

// TestWhatFailsForEverIsTold: a person is told once, and nothing else waits for it.
func TestWhatFailsForEverIsTold(t *testing.T) {
	story(t, nil, func(c *clinic) {
		for range 20 {
			c.google.FailNext(meettest.OpCreate, telemed.ErrForbidden)
		}
		require.NoError(c, c.Book(c.Context(), request(theVisit)))
		c.pay(theVisit)
		c.wait(5 * time.Hour)
		require.Equal(c, []string{"appt-42 make the meeting: failed 12 times"}, c.stuck)
		require.Contains(c, c.is(theVisit, visit.StatusBooked).Stuck, "make the meeting: failed 1")
		require.Equal(c, []string{"payment_receipt"}, names(c.mail.Messages()))
		require.NoError(c, c.Retry(c.Context(), theVisit))
		c.wait(7 * time.Hour)
		require.Empty(c, c.is(theVisit, visit.StatusBooked).Stuck)
		require.Len(c, c.meetings(), 1)
	})
}

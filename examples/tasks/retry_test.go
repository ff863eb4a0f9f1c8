package tasks_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/meet/meettest"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/notifytest"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/paymentstest"
)

// again repeats a call whose outcome nobody knows. It takes the same Key each time: what
// happened already is found and not done again.
func again(ctx context.Context, call func() error) (err error) {
	// Seconds in earnest, and on from a row after a restart.
	for wait := time.Millisecond; ; wait = min(2*wait, time.Minute) {
		if err = call(); !errors.Is(err, telemed.ErrAmbiguous) {
			return err
		}
		fmt.Println("outcome unknown: the same Key again")
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return err // still unknown, and not "failed"
		}
	}
}

// Each answer is lost here after the provider has done what it was asked. meet/visit,
// payments/fulfill and notify/outbox repeat like this by themselves.
func Example_retry() {
	ctx := context.Background()
	google, gateway, mail := meettest.New(), paymentstest.NewGateway(), &notifytest.Recorder{}

	google.FailAfter(meettest.OpCreate, telemed.ErrAmbiguous)
	err := again(ctx, func() error {
		_, err := google.Create(ctx, "dr-rao", meet.Request{Key: "appt-42", Start: time.Now().Add(time.Hour), Duration: time.Hour})
		return err
	})
	fmt.Println("meetings:", len(google.Meetings()), err)

	var order *payments.Order
	gateway.FailAfter(paymentstest.OpCreateOrder, telemed.ErrAmbiguous)
	err = again(ctx, func() (err error) {
		order, err = gateway.CreateOrder(ctx, payments.OrderRequest{Key: "appt-42", Amount: payments.INR(50000)})
		return err
	})
	fmt.Println("orders:", len(gateway.Orders()), err)

	paid, _ := gateway.Pay(order.ID)
	gateway.FailAfter(paymentstest.OpRefund, telemed.ErrAmbiguous)
	err = again(ctx, func() error {
		_, err := gateway.Refund(ctx, payments.RefundRequest{Key: "appt-42 cancelled", PaymentID: paid.PaymentID, Amount: new(payments.INR(20000))})
		return err
	})
	refunds, _ := gateway.PaymentRefunds(ctx, paid.PaymentID)
	fmt.Println("refunds:", len(refunds), err)

	// A message cannot be found again by its Key: ask whether it went out, where somebody can be
	// asked, and send it again only if twice is better than never.
	mail.FailAfter(notifytest.OpNotify, telemed.ErrAmbiguous)
	message := notify.Message{
		Key: "appt-42/confirmed", To: notify.Recipient{Email: "asha@example.org"},
		Content: &notify.Content{Subject: "Your appointment", Text: "Tomorrow at 10:30."},
	}
	_, err = mail.Notify(ctx, message)
	fmt.Println("mail:", err)
	if outcome, _ := mail.Outcome(ctx, notify.Reference(message.Key), time.Now()); outcome == notify.OutcomeNotArrived {
		_, _ = mail.Notify(ctx, message)
	}
	fmt.Println("mails:", len(mail.Messages()))
	// Output:
	// outcome unknown: the same Key again
	// meetings: 1 <nil>
	// outcome unknown: the same Key again
	// orders: 1 <nil>
	// outcome unknown: the same Key again
	// refunds: 1 <nil>
	// mail: outcome unknown
	// mails: 1
}

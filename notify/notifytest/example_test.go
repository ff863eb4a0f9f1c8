package notifytest_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/notifytest"
)

// An application's code is given a Recorder, and asked afterwards whom it told what.
func Example() {
	told := &notifytest.Recorder{}
	told.FailNext(notifytest.OpNotify, telemed.ErrRateLimited)

	msg := notify.Message{
		Key:      "appt-42/confirmed",
		To:       notify.Recipient{Email: "asha@example.org"},
		Template: "appointment_confirmed",
	}
	_, err := told.Notify(context.Background(), msg)
	fmt.Println(errors.Is(err, telemed.ErrRateLimited), len(told.Messages()))
	_, err = told.Notify(context.Background(), msg)
	fmt.Println(err, told.Messages()[0].Template)
	// Output:
	// true 0
	// <nil> appointment_confirmed
}

// A message went out and its answer was lost. It is there, and whoever sends it again
// tells the patient twice: Retry does not.
func ExampleRecorder_FailAfter() {
	told := &notifytest.Recorder{}
	told.FailAfter(notifytest.OpNotify, telemed.ErrAmbiguous)

	_, err := notify.Retry(told, notify.RetryPolicy{}).Notify(context.Background(), notify.Message{
		Key:      "appt-42/confirmed",
		To:       notify.Recipient{Email: "asha@example.org"},
		Template: "appointment_confirmed",
	})
	fmt.Println("nobody knows:", errors.Is(err, telemed.ErrAmbiguous))
	fmt.Println("told:", len(told.Messages()), "time")
	// Output:
	// nobody knows: true
	// told: 1 time
}

// What an application tells in the background is waited for. No test needs to sleep.
func ExampleRecorder_WaitFor() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	told := &notifytest.Recorder{}

	done := make(chan error)
	go func() { // the application, after a payment
		_, err := told.Notify(ctx, notify.Message{
			Key:      "appt-42/confirmed",
			To:       notify.Recipient{Email: "asha@example.org"},
			Template: "appointment_confirmed",
		})
		done <- err
	}()
	msg, err := told.WaitFor(ctx, func(msg notify.Message) bool { return msg.To.Email == "asha@example.org" })
	fmt.Println(msg.Key, err)
	fmt.Println(<-done)
	// Output:
	// appt-42/confirmed <nil>
	// <nil>
}

// A provider took the message, and says later that it did not arrive; then the patient
// wants no more.
func ExampleRecorder_Report() {
	ctx := context.Background()
	chat := &notifytest.Recorder{Channel: notify.WhatsApp}
	chat.Reports = func(_ context.Context, r notify.Report) error { // the application's
		fmt.Println(r.State, r.Reference == notify.Reference("appt-42/reminder"), r.Err)
		return nil
	}
	_, err := chat.Notify(ctx, notify.Message{
		Key: "appt-42/reminder", To: notify.Recipient{Phone: "+919876543210"}, Template: "appointment_reminder",
	})
	fmt.Println("accepted:", err)
	fmt.Println(chat.Report(ctx, "appt-42/reminder", notify.ReportFailed, notify.ErrRecipient))
	fmt.Println(chat.Stop(ctx, "+919876543210"))
	// Output:
	// accepted: <nil>
	// failed true recipient cannot be reached
	// <nil>
	// stopped false <nil>
	// <nil>
}

// An application that was told "nobody knows" asks, and need not send again.
func ExampleRecorder_Outcome() {
	ctx := context.Background()
	told := &notifytest.Recorder{}
	told.FailAfter(notifytest.OpNotify, telemed.ErrAmbiguous)
	_, err := told.Notify(ctx, notify.Message{
		Key: "appt-42/confirmed", To: notify.Recipient{Email: "asha@example.org"}, Template: "appointment_confirmed",
	})
	fmt.Println(errors.Is(err, telemed.ErrAmbiguous))
	outcome, err := told.Outcome(ctx, notify.Reference("appt-42/confirmed"), time.Now())
	fmt.Println(outcome == notify.OutcomeArrived, err)
	// Output:
	// true
	// true <nil>
}

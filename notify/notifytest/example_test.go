package notifytest_test

import (
	"context"
	"errors"
	"fmt"

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

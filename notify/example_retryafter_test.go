package notify_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/notifytest"
)

// busy is the error of an application's own channel, an SMS gateway for instance. The
// leaves of this module have the same two methods.
type busy struct{ wait time.Duration }

func (busy) Error() string               { return "sms: too many messages" }
func (busy) Is(target error) bool        { return target == telemed.ErrRateLimited }
func (b busy) RetryDelay() time.Duration { return b.wait }

// A queue that tries again in a minute is refused for an hour. It asks the error when to
// come back, whichever channel refused.
func ExampleRetryAfter() {
	sms := &notifytest.Recorder{Channel: notify.WhatsApp}
	sms.FailNext(notifytest.OpNotify, busy{wait: time.Hour})

	_, err := notify.Fallback(sms).Notify(context.Background(), notify.Message{
		Key: "appt-42/confirmed", To: notify.Recipient{Phone: "+919876543210"}, Template: "appointment_confirmed",
	})
	fmt.Println("again:", errors.Is(err, telemed.ErrRateLimited), "in", notify.RetryAfter(err))
	fmt.Println("an error that does not say:", notify.RetryAfter(telemed.ErrRateLimited))
	// Output:
	// again: true in 1h0m0s
	// an error that does not say: 0s
}

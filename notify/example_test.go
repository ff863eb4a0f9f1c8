package notify_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/notifytest"
)

// A patient without WhatsApp gets an e-mail.
func Example() {
	chat := &notifytest.Recorder{Channel: notify.WhatsApp}
	mail := &notifytest.Recorder{Channel: notify.Email}
	chat.FailNext(notifytest.OpNotify, notify.ErrRecipient)

	tell := notify.Fallback(
		notify.Retry(chat, notify.RetryPolicy{}),
		notify.Retry(mail, notify.RetryPolicy{}),
	)
	receipt, err := tell.Notify(context.Background(), notify.Message{
		Key:      "appt-42/confirmed",
		To:       notify.Recipient{Name: "Asha Rao", Email: "asha@example.org", Phone: "+919876543210"},
		Template: "appointment_confirmed",
	})
	fmt.Println(receipt.Channel, err)
	// Output: email <nil>
}

// Every wrong field is named at once, and no value is repeated.
func ExampleMessage_Validate() {
	msg := notify.Message{Key: "appt-42/confirmed", To: notify.Recipient{Email: "asha@", Name: "Asha\nRao"}}
	err := msg.Validate(notify.Email)
	fmt.Println(err)
	fmt.Println(errors.Is(err, telemed.ErrInvalid))
	// Output:
	// notify: Template is required if there is no Content; To.Name has a control character or line break; To.Email is not a bare e-mail address
	// true
}

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

// Fanout tells on every channel, so some of it may have gone out when there is an error.
// Note the receipts first, and tell again only where it did not.
func ExampleFanout() {
	chat := &notifytest.Recorder{Channel: notify.WhatsApp}
	mail := &notifytest.Recorder{Channel: notify.Email}
	chat.FailNext(notifytest.OpNotify, telemed.ErrUnavailable)

	receipts, err := notify.Fanout(context.Background(), notify.Message{
		Key:      "appt-42/confirmed",
		To:       notify.Recipient{Email: "asha@example.org", Phone: "+919876543210"},
		Template: "appointment_confirmed",
	}, chat, mail)
	for _, receipt := range receipts {
		fmt.Println("accepted:", receipt.Channel)
	}
	fmt.Println("in part it failed:", errors.Is(err, telemed.ErrUnavailable))
	// Output:
	// accepted: email
	// in part it failed: true
}

// A function is a Notifier: here one that puts something of the application's around
// another.
func ExampleNotifierFunc() {
	mail := &notifytest.Recorder{}
	refused := 0
	counted := notify.NotifierFunc(func(ctx context.Context, msg notify.Message) (*notify.Receipt, error) {
		receipt, err := mail.Notify(ctx, msg)
		if err != nil {
			refused++
		}
		return receipt, err // as it came: Fallback and Retry decide by the error
	})

	_, err := counted.Notify(context.Background(), notify.Message{Key: "appt-42/confirmed", Template: "appointment_confirmed"})
	fmt.Println(err)
	fmt.Println("refused:", refused)
	// Output:
	// notify: To.Email is required
	// refused: 1
}

// A bare address is what a mail server is asked to deliver to. A form often sends more.
func ExampleValidEmail() {
	for _, text := range []string{"asha@example.org", "Asha Rao <asha@example.org>", " asha@example.org", "आशा@उदाहरण.भारत"} {
		fmt.Printf("%q %t\n", text, notify.ValidEmail(text))
	}
	// Output:
	// "asha@example.org" true
	// "Asha Rao <asha@example.org>" false
	// " asha@example.org" false
	// "आशा@उदाहरण.भारत" true
}

// A number as people write it has no country, or blanks. Nobody may guess a country: ask
// for it in the form, and keep the number as E.164.
func ExampleValidPhone() {
	for _, text := range []string{"+919876543210", "9876543210", "+91 98765 43210", "00919876543210"} {
		fmt.Printf("%q %t\n", text, notify.ValidPhone(text))
	}
	// Output:
	// "+919876543210" true
	// "9876543210" false
	// "+91 98765 43210" false
	// "00919876543210" false
}

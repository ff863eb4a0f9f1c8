package smtp_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/smtp"
	"github.com/telemed-go/telemed/notify/smtp/smtptest"
)

func Example() {
	fake, err := smtptest.Start(smtptest.Config{Username: "care", Password: "letmein"})
	if err != nil {
		panic(err)
	}
	defer fake.Close()

	mail, err := smtp.New(smtp.Config{
		Addr:     fake.Addr(),
		From:     "Clinic <care@clinic.example>",
		Username: "care",
		Password: telemed.NewSecret("letmein"),
		TLS:      fake.ClientTLS(), // only for the fake: a real server's certificate is trusted without
	})
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	defer mail.Shutdown(ctx)

	receipt, err := mail.Notify(ctx, notify.Message{
		Key:     "appt-42/confirmed",
		To:      notify.Recipient{Name: "Asha Rao", Email: "asha@example.org"},
		Content: &notify.Content{Subject: "Your appointment is confirmed", Text: "See you on Monday at 10:30 AM IST."},
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(receipt.Channel, receipt.ID)
	fmt.Println(fake.Messages()[0].Subject)
	// Output:
	// email <zfjfa23rb2rxkkyshg23puaitaywl5kz@clinic.example>
	// Your appointment is confirmed
}

// A refused address is told from trouble that passes, without a word of what the server
// said.
func ExampleError() {
	fake, err := smtptest.Start(smtptest.Config{})
	if err != nil {
		panic(err)
	}
	defer fake.Close()
	fake.RejectRecipient("asha@example.org")

	mail, err := smtp.New(smtp.Config{Addr: fake.Addr(), From: "care@clinic.example", TLS: fake.ClientTLS()})
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	defer mail.Shutdown(ctx)

	_, err = mail.Notify(ctx, notify.Message{
		Key:     "appt-42/confirmed",
		To:      notify.Recipient{Email: "asha@example.org"},
		Content: &notify.Content{Subject: "Confirmed", Text: "See you."},
	})
	if e, ok := errors.AsType[*smtp.Error](err); ok && errors.Is(err, notify.ErrRecipient) {
		fmt.Println(e.Op, e.Code, e.Enhanced)
	}
	fmt.Println(err)
	// Output:
	// rcpt 550 5.1.1
	// smtp: rcpt: 550 (5.1.1): recipient cannot be reached
}

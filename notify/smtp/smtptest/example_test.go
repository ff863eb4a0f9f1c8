package smtptest_test

import (
	"context"
	"fmt"

	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/smtp"
	"github.com/telemed-go/telemed/notify/smtp/smtptest"
)

// The server fails once, as told, and then keeps the mail.
func Example() {
	fake, err := smtptest.Start(smtptest.Config{})
	if err != nil {
		panic(err)
	}
	defer fake.Close()
	fake.FailNext(smtptest.Fault{Op: smtptest.OpRcpt, Status: 451, Body: "4.3.0 Temporary lookup failure"})

	mail, err := smtp.New(smtp.Config{Addr: fake.Addr(), From: "care@clinic.example", TLS: fake.ClientTLS()})
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	defer mail.Shutdown(ctx)
	msg := notify.Message{
		Key:     "appt-42/confirmed",
		To:      notify.Recipient{Email: "asha@example.org"},
		Content: &notify.Content{Subject: "Confirmed", Text: "See you on Monday.\n"},
	}
	for range 2 {
		_, err := mail.Notify(ctx, msg)
		fmt.Println(err)
	}
	got := fake.Messages()[0]
	fmt.Print(got.Subject, ": ", got.Text)
	// Output:
	// smtp: rcpt: 451 (4.3.0): provider unavailable
	// <nil>
	// Confirmed: See you on Monday.
}

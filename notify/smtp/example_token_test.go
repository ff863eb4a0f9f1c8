package smtp_test

import (
	"context"
	"fmt"

	"github.com/telemed-go/telemed/notify/smtp"
	"github.com/telemed-go/telemed/notify/smtp/smtptest"
)

// Gmail and Exchange Online want a token in place of a password. Here the first has expired.
func ExampleConfig_token() {
	ctx := context.Background()
	fake, err := smtptest.Start(smtptest.Config{Username: "care@clinic.example", Password: "ya29.fresh", Mechanisms: []string{"XOAUTH2"}})
	if err != nil {
		panic(err)
	}
	defer fake.Close()
	held := []string{"ya29.expired", "ya29.fresh"}
	mail, err := smtp.New(smtp.Config{
		Addr: fake.Addr(), TLS: fake.ClientTLS(), From: "Clinic <care@clinic.example>",
		Username: "care@clinic.example",
		Token: func(context.Context) (string, error) {
			token := held[0]
			held = held[1:]
			return token, nil
		},
	})
	if err != nil {
		panic(err)
	}
	defer func() { _ = mail.Shutdown(ctx) }()
	fmt.Println(mail.Verify(ctx))
	// Output: <nil>
}

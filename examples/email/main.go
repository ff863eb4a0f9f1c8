// Command email tells a patient that the appointment is confirmed, and prints
// the mail. It needs no account: the server is a fake on this machine, unless
// EMAIL_HOST, EMAIL_PORT (587), EMAIL_USER, EMAIL_PASS, EMAIL_FROM and EMAIL_TO
// name a real one and whom to write to.
package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/smtp"
	"github.com/telemed-go/telemed/notify/smtp/smtptest"
	"github.com/telemed-go/telemed/notify/template"
)

func main() {
	if err := run(context.Background(), os.Stdout, os.Getenv); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, env func(string) string) error {
	fake, err := smtptest.Start(smtptest.Config{Username: "care", Password: "letmein"})
	if err != nil {
		return err
	}
	defer fake.Close()

	zone := time.FixedZone("IST", 5*3600+1800) // a host loads "Asia/Kolkata"
	words, err := template.New(template.Config{Clinic: "City Clinic", Zone: zone, Organizer: "care@clinic.example"})
	if err != nil {
		return err
	}
	cfg := smtp.Config{
		Addr: fake.Addr(), TLS: fake.ClientTLS(), From: "City Clinic <care@clinic.example>",
		Username: "care", Password: telemed.NewSecret("letmein"), Renderer: words,
	}
	to := notify.Recipient{Name: "Asha Rao", Email: "asha@example.org", Locale: "en-IN", Zone: zone}
	live := env("EMAIL_HOST") != ""
	if live {
		cfg.Addr, cfg.TLS = net.JoinHostPort(env("EMAIL_HOST"), cmp.Or(env("EMAIL_PORT"), "587")), nil
		cfg.Username, cfg.Password, cfg.From = env("EMAIL_USER"), telemed.NewSecret(env("EMAIL_PASS")), env("EMAIL_FROM")
		to.Email = cmp.Or(env("EMAIL_TO"), env("EMAIL_USER"))
		if env("EMAIL_PORT") == "465" {
			cfg.Security = smtp.ImplicitTLS
		}
	}
	mail, err := smtp.New(cfg)
	if err != nil {
		return err
	}
	defer mail.Shutdown(ctx)
	receipt, err := mail.Notify(ctx, notify.Message{Key: "appt-42/confirmed", To: to, Template: template.Confirmed, Data: template.Appointment{
		Key: "appt-42", Patient: "Asha Rao", Doctor: "Dr Mehta", Duration: 30 * time.Minute, JoinURL: "https://meet.example/abc-defg-hij",
		Start: time.Date(2027, time.January, 18, 10, 30, 0, 0, zone),
	}})
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "accepted:", receipt.ID)
	if live {
		return nil
	}
	got := fake.Messages()[0]
	fmt.Fprintf(out, "to:       %s\nsubject:  %s\n\n%s", got.To[0], got.Subject, got.Text)
	for _, file := range got.Files {
		fmt.Fprintf(out, "\nattached: %s (%d bytes)\n", file.Name, len(file.Data))
	}
	return nil
}

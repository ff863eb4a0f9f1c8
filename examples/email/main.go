// Command email tells a patient by mail that the appointment is confirmed.
//
// Without an account the mail server is one on loopback, and the mail is printed. With
// EMAIL_HOST, EMAIL_USER, EMAIL_PASS and EMAIL_FROM set, it sends a true mail to
// EMAIL_TO, or to EMAIL_USER. smtp.FromEnv has further variables.
package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"time"

	"github.com/telemed-go/telemed/examples/internal/local"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/smtp"
	"github.com/telemed-go/telemed/notify/template"
)

func main() { local.Main(run) }

func run(ctx context.Context, out io.Writer, getenv func(string) string) error {
	providers := local.Providers{Getenv: getenv}
	defer providers.Close()
	cfg, err := providers.MailConfig()
	if err != nil {
		return err
	}
	zone := time.FixedZone("IST", 5*3600+1800) // an application loads "Asia/Kolkata"
	words, err := template.New(template.Config{Clinic: "City Clinic", Zone: zone, Organizer: "care@clinic.example"})
	if err != nil {
		return err
	}
	cfg.Renderer = words
	to := notify.Recipient{Name: "Asha Rao", Email: "asha@example.org", Locale: "en-IN", Zone: zone}
	if providers.Mail == nil {
		to.Email = cmp.Or(getenv("EMAIL_TO"), cfg.Username)
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
	if providers.Mail == nil {
		return nil
	}
	got := providers.Mail.Messages()[0]
	fmt.Fprintf(out, "to:       %s\nsubject:  %s\n\n%s", got.To[0], got.Subject, got.Text)
	for _, file := range got.Files {
		fmt.Fprintf(out, "\nattached: %s (%d bytes)\n", file.Name, len(file.Data))
	}
	return nil
}

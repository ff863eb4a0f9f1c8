// Command whatsapp tells a patient on WhatsApp that an appointment is confirmed.
//
// Without an account it talks to WhatsApp on loopback. With WHATSAPP_ACCESS_TOKEN and
// WHATSAPP_PHONE_NUMBER_ID set, it sends a true message to the E.164 number in its
// argument. The template appointment_confirmed must be approved there: see package
// template.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"
	_ "time/tzdata" // so that zones are known everywhere

	"github.com/telemed-go/telemed/examples/internal/local"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/template"
	"github.com/telemed-go/telemed/notify/whatsapp"
)

func main() {
	local.Main(func(ctx context.Context, out io.Writer, getenv func(string) string) error {
		return run(ctx, out, getenv, os.Args[1:])
	})
}

func run(ctx context.Context, out io.Writer, getenv func(string) string, args []string) error {
	providers := local.Providers{Getenv: getenv}
	defer providers.Close()
	cfg, err := providers.WhatsAppConfig()
	if err != nil {
		return err
	}
	kolkata, err := time.LoadLocation("Asia/Kolkata")
	if err != nil {
		return err
	}
	words, err := template.New(template.Config{Clinic: "City Clinic", Zone: kolkata, AllowUnreviewed: true})
	if err != nil {
		return err
	}
	cfg.Renderer = words
	var phone string // nobody gets a true message unasked
	if providers.WhatsApp != nil {
		phone = "+919876543210"
	}
	if len(args) > 0 {
		phone = args[0]
	}
	chat, err := whatsapp.New(cfg)
	if err != nil {
		return err
	}
	receipt, err := chat.Notify(ctx, notify.Message{
		Key:      "appt-42/confirmed",
		To:       notify.Recipient{Name: "आशा राव", Phone: phone, Locale: "hi-IN", Zone: kolkata},
		Template: template.Confirmed,
		Data: template.Appointment{
			Key: "appt-42", Patient: "आशा राव", Doctor: "डॉ. मेहता", JoinURL: "https://meet.example/abc-defg-hij",
			Start: time.Now().In(kolkata).AddDate(0, 0, 1).Truncate(time.Hour), Duration: 30 * time.Minute,
		},
	})
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "accepted by", receipt.Channel, "as", receipt.ID)
	if providers.WhatsApp != nil {
		fmt.Fprintf(out, "the patient reads:\n\n%s\n", providers.WhatsApp.Messages()[0].Text)
	}
	return nil
}

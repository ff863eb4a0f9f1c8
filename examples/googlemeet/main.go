// Command googlemeet connects a doctor's Google account, then makes, moves and cancels a
// consultation.
//
// Without an account it talks to Google on loopback. With GOOGLE_CLIENT_ID,
// GOOGLE_CLIENT_SECRET and GOOGLE_REDIRECT_URI set (http://localhost:3000/callback, say,
// registered with Google), it prints an address to open in a browser and makes a true
// meeting, which it leaves in the calendar.
package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/telemed-go/telemed/examples/internal/consent"
	"github.com/telemed-go/telemed/examples/internal/local"
	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/meet/googlemeet"
	"github.com/telemed-go/telemed/store"
)

const doctorID = "dr-rao"

func main() { local.Main(run) }

func run(ctx context.Context, out io.Writer, getenv func(string) string) error {
	providers := local.Providers{Getenv: getenv}
	defer providers.Close()
	cfg, err := providers.GoogleConfig()
	if err != nil {
		return err
	}
	browse, isLocal := consent.Print(out), providers.Google != nil
	if isLocal {
		browse = consent.Allow(providers.Google.Authorize)
	}
	pages, err := consent.Listen(cfg.RedirectURL)
	if err != nil {
		return fmt.Errorf("GOOGLE_REDIRECT_URI: %w", err)
	}
	defer pages.Close()
	cfg.RedirectURL, cfg.Tokens = pages.RedirectURL, store.NewMemory()
	google, err := googlemeet.New(cfg)
	if err != nil {
		return err
	}
	defer google.Shutdown(context.WithoutCancel(ctx))
	if err := pages.Connect(ctx, doctorID, google.OAuth(), cfg.Tokens, browse); err != nil {
		return err
	}
	fmt.Fprintln(out, "the doctor's account is connected")

	req := meet.Request{Key: "appt-42", Start: time.Now().AddDate(0, 0, 1).Truncate(time.Hour), Duration: 30 * time.Minute}
	m, err := google.Create(ctx, doctorID, req)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "created: %s, %s\njoin at: %s\n", m.Topic, m.Status, m.JoinURL)
	if !isLocal {
		return nil
	}
	req.Start = req.Start.Add(2 * time.Hour)
	if m, err = google.Update(ctx, doctorID, m.ID, req); err != nil {
		return err
	}
	fmt.Fprintln(out, "moved by 2 hours:", m.Start.Equal(req.Start))
	if err := google.Cancel(ctx, doctorID, m.ID); err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, "cancelled")
	return err
}

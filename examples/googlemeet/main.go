// Command googlemeet connects a doctor's Google account, then makes, moves and cancels a consultation.
//
// Without an account it talks to Google on loopback. With GOOGLE_CLIENT_ID, GOOGLE_CLIENT_SECRET and
// GOOGLE_REDIRECT_URI set (http://localhost:3000/callback, say, registered with Google), it prints an
// address to open in a browser and makes a true meeting, which it leaves in the calendar.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/meet/googlemeet"
	"github.com/telemed-go/telemed/meet/googlemeet/googlemeettest"
	"github.com/telemed-go/telemed/store"
)

const doctor = "dr-rao"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdout, os.Getenv)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, getenv func(string) string) error {
	cfg := googlemeet.Config{
		ClientID: getenv("GOOGLE_CLIENT_ID"), ClientSecret: telemed.NewSecret(getenv("GOOGLE_CLIENT_SECRET")),
		RedirectURL: getenv("GOOGLE_REDIRECT_URI"), Tokens: store.NewMemory(),
	}
	browse := func(address string) error {
		_, err := fmt.Fprintln(out, "open in a browser:", address)
		return err
	}
	local := cfg.ClientID == ""
	if local {
		fake, err := googlemeettest.Start(googlemeettest.Config{})
		if err != nil {
			return err
		}
		defer fake.Close()
		cfg.ClientID, cfg.ClientSecret, cfg.Endpoints = fake.ClientID(), fake.ClientSecret(), fake.Endpoints()
		cfg.RedirectURL = "http://127.0.0.1:0/callback"
		browse = func(address string) error { return allow(fake, address) }
	}
	google, err := connectDoctor(ctx, cfg, browse)
	if err != nil {
		return err
	}
	defer google.Shutdown(context.WithoutCancel(ctx))
	fmt.Fprintln(out, "the doctor's account is connected")

	req := meet.Request{Key: "appt-42", Start: time.Now().AddDate(0, 0, 1).Truncate(time.Hour), Duration: 30 * time.Minute}
	m, err := google.Create(ctx, doctor, req)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "created: %s, %s\njoin at: %s\n", m.Topic, m.Status, m.JoinURL)
	if !local {
		return nil
	}
	req.Start = req.Start.Add(2 * time.Hour)
	if m, err = google.Update(ctx, doctor, m.ID, req); err != nil {
		return err
	}
	fmt.Fprintln(out, "moved by 2 hours:", m.Start.Equal(req.Start))
	if err := google.Cancel(ctx, doctor, m.ID); err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, "cancelled")
	return err
}

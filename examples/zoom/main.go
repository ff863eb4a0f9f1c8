// Command zoom connects a doctor's Zoom account, then makes, moves and cancels a consultation.
//
// Without an account it talks to Zoom on loopback. With ZOOM_CLIENT_ID, ZOOM_CLIENT_SECRET and
// ZOOM_REDIRECT_URI set (http://localhost:3000/callback, say, registered with the app), it prints an
// address to open in a browser and makes a true meeting, which it leaves in the account.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/zoom"
	"github.com/telemed-go/telemed/zoom/zoomtest"
)

const doctor = "dr-rao"

func main() {
	if err := run(context.Background(), os.Stdout, os.Getenv); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, getenv func(string) string) error {
	cfg := zoom.Config{
		ClientID: getenv("ZOOM_CLIENT_ID"), ClientSecret: telemed.NewSecret(getenv("ZOOM_CLIENT_SECRET")),
		RedirectURL: getenv("ZOOM_REDIRECT_URI"), Tokens: store.NewMemory(),
	}
	browse := func(address string) error {
		_, err := fmt.Fprintln(out, "open in a browser:", address)
		return err
	}
	local := cfg.ClientID == ""
	if local {
		fake, err := zoomtest.Start(zoomtest.Config{})
		if err != nil {
			return err
		}
		defer fake.Close()
		cfg.ClientID, cfg.ClientSecret, cfg.Endpoints = fake.ClientID(), fake.ClientSecret(), fake.Endpoints()
		cfg.RedirectURL = "http://127.0.0.1:0/callback"
		browse = func(address string) error { return allow(fake, address) }
	}
	z, err := connectDoctor(ctx, cfg, browse)
	if err != nil {
		return err
	}
	defer z.Shutdown(context.WithoutCancel(ctx))
	fmt.Fprintln(out, "the doctor's account is connected")

	req := meet.Request{Key: "appt-42", Start: time.Now().AddDate(0, 0, 1).Truncate(time.Hour), Duration: 30 * time.Minute}
	m, err := z.Create(ctx, doctor, req)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "created: %s, %s\njoin at: %s\n", m.Topic, m.Status, m.JoinURL)
	if !local {
		return nil
	}
	req.Start = req.Start.Add(2 * time.Hour)
	if m, err = z.Update(ctx, doctor, m.ID, req); err != nil {
		return err
	}
	fmt.Fprintln(out, "moved by 2 hours:", m.Start.Equal(req.Start))
	if err := z.Cancel(ctx, doctor, m.ID); err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, "cancelled")
	return err
}

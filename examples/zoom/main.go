// Command zoom connects a doctor's Zoom account, then makes, moves and cancels a
// consultation.
//
// Without an account it talks to Zoom on loopback. With ZOOM_CLIENT_ID,
// ZOOM_CLIENT_SECRET and ZOOM_REDIRECT_URI set (http://localhost:3000/callback, say,
// registered with the app), it prints an address to open in a browser and makes a true
// meeting, which it leaves in the account.
package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/telemed-go/telemed/examples/internal/consent"
	"github.com/telemed-go/telemed/examples/internal/local"
	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/zoom"
)

const doctorID = "dr-rao"

func main() { local.Main(run) }

func run(ctx context.Context, out io.Writer, getenv func(string) string) error {
	providers := local.Providers{Getenv: getenv}
	defer providers.Close()
	cfg, err := providers.ZoomConfig()
	if err != nil {
		return err
	}
	browse, isLocal := consent.Print(out), providers.Zoom != nil
	if isLocal {
		browse = consent.Allow(providers.Zoom.Authorize)
	}
	pages, err := consent.Listen(cfg.RedirectURL)
	if err != nil {
		return fmt.Errorf("ZOOM_REDIRECT_URI: %w", err)
	}
	defer pages.Close()
	cfg.RedirectURL, cfg.Tokens = pages.RedirectURL, store.NewMemory()
	z, err := zoom.New(cfg)
	if err != nil {
		return err
	}
	defer z.Shutdown(context.WithoutCancel(ctx))
	if err := pages.Connect(ctx, doctorID, z.OAuth(), cfg.Tokens, browse); err != nil {
		return err
	}
	fmt.Fprintln(out, "the doctor's account is connected")

	req := meet.Request{Key: "appt-42", Start: time.Now().AddDate(0, 0, 1).Truncate(time.Hour), Duration: 30 * time.Minute}
	m, err := z.Create(ctx, doctorID, req)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "created: %s, %s\njoin at: %s\n", m.Topic, m.Status, m.JoinURL)
	if !isLocal {
		return nil
	}
	req.Start = req.Start.Add(2 * time.Hour)
	if m, err = z.Update(ctx, doctorID, m.ID, req); err != nil {
		return err
	}
	fmt.Fprintln(out, "moved by 2 hours:", m.Start.Equal(req.Start))
	if err := z.Cancel(ctx, doctorID, m.ID); err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, "cancelled")
	return err
}

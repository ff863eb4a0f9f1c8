package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/examples/internal/guard"
	"github.com/telemed-go/telemed/examples/internal/local"
	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/meet/googlemeet"
	"github.com/telemed-go/telemed/notify/smtp"
	"github.com/telemed-go/telemed/notify/template"
	"github.com/telemed-go/telemed/notify/whatsapp"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/razorpay"
	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/realtime/socketio"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/connect"
	"github.com/telemed-go/telemed/store/oauth"
	"github.com/telemed-go/telemed/zoom"
)

// The hospital has one doctor and one clinic.
const (
	doctorID   = "dr-rao"
	doctorName = "Dr Meera Rao"
	clinicID   = "lotus"
	clinicName = "Lotus Clinic"
	fee        = 50000 // paise
)

// hospital is the application. It has its own sessions and visits, and what it composes
// of the SDK.
type hospital struct {
	base     string // where browsers reach it
	local    string // where it listens
	log      *slog.Logger
	now      func() time.Time
	visits   *ledger
	guard    *guard.Guard
	hosts    []string // that browsers may name
	sessions *guard.Sessions

	meetings      map[string]meet.MeetingProvider // by provider's name
	accounts      *connect.Connector
	tokens        []*oauth.Source
	gateway       *razorpay.Client
	paymentEvents *payments.Webhook
	mail          *smtp.Client
	whatsapp      *whatsapp.Client
	hub           *realtime.Hub
	live          *socketio.Server
	providers     *local.Providers

	closers []func(context.Context) error
}

// fulfillEvery is how often unfinished visits are looked at.
const fulfillEvery = 2 * time.Second

// newHospital composes the SDK, with providers on this machine. In production they are
// not here, and the clients' configurations name the real ones. base is where browsers
// reach the hospital, addr where it listens; a proxy is between them if they differ.
func newHospital(base, addr string, tokens keeping, log *slog.Logger) (*hospital, error) {
	h := &hospital{
		base: base, local: "http://" + addr, log: log, now: time.Now, visits: newLedger(), providers: &local.Providers{},
		meetings: map[string]meet.MeetingProvider{},
	}
	h.closers = append(h.closers, func(context.Context) error { h.providers.Close(); return nil })
	if err := h.composeGuard(addr); err != nil {
		return nil, err
	}
	err := errors.Join(h.composeMeetings(tokens), h.composePayments(), h.composeMessages(), h.composeRealtime())
	if err != nil {
		return nil, errors.Join(err, h.Close(context.Background()))
	}
	h.inBackground(func(ctx context.Context) { h.keepFulfilling(ctx, fulfillEvery) })
	h.inBackground(func(ctx context.Context) { h.keepTokensAlive(ctx, aliveEvery) })
	return h, nil
}

// inBackground runs a job until Close, which waits for it.
func (h *hospital) inBackground(job func(ctx context.Context)) {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		job(ctx)
	}()
	h.closers = append(h.closers, func(ctx context.Context) error {
		stop()
		select {
		case <-done:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
}

const sessionCookie = "hospital_session"

// composeGuard says under which names the hospital is reached. The proxy on this machine
// that a base of https needs is believed.
func (h *hospital) composeGuard(addr string) (err error) {
	base, err := url.Parse(h.base)
	if err != nil || base.Host == "" {
		return errors.New("-url must be an address such as https://clinic.example")
	}
	h.hosts = []string{base.Host, addr}
	h.guard, err = guard.New(guard.Config{Hosts: h.hosts, TrustProxy: base.Host != addr})
	if err != nil {
		return err
	}
	h.sessions = h.guard.NewSessions(guard.SessionsConfig{
		Cookie: sessionCookie,
		// Dashboards that are still logged in come back by themselves.
		OnEnd: func(doctor string) { h.hub.Disconnect(doctor) },
	})
	h.closers = append(h.closers, func(context.Context) error { h.sessions.Close(); return nil })
	return nil
}

func (h *hospital) composeMeetings(tokens keeping) error {
	g, err1 := h.providers.GoogleConfig()
	z, err2 := h.providers.ZoomConfig()
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if err := h.remember(tokens); err != nil {
		return err
	}
	g.RedirectURL = h.base + "/api/auth/google/doctor/callback"
	z.RedirectURL = h.base + "/api/auth/zoom/doctor/callback"
	g.Tokens, z.Tokens = tokens.records, tokens.records
	g.Refreshing.Spool, z.Refreshing.Spool = tokens.spool, tokens.spool
	g.Logger, z.Logger = h.log, h.log
	google, err := googlemeet.New(g)
	if err != nil {
		return err
	}
	h.closers = append(h.closers, google.Shutdown)
	zoom, err := zoom.New(z)
	if err != nil {
		return err
	}
	h.closers = append(h.closers, zoom.Shutdown)
	h.meetings["google"], h.meetings["zoom"] = google, zoom
	h.tokens = []*oauth.Source{google.Tokens(), zoom.Tokens()}
	if err := h.recoverTokens(); err != nil {
		return err
	}

	if tokens.seal == nil {
		if tokens.seal, err = store.NewKeyring(store.NewKey()); err != nil {
			return err
		}
	}
	h.accounts, err = connect.New(connect.Config{
		Providers: []oauth.Provider{google.OAuth(), zoom.OAuth()}, Tokens: tokens.records, Seal: tokens.seal,
		Subject: h.sessions.Subject, ReturnURL: h.base + "/doctor/settings/integration", Logger: h.log,
	})
	return err
}

func (h *hospital) composePayments() error {
	cfg, err := h.providers.RazorpayConfig()
	if err != nil {
		return err
	}
	h.providers.Razorpay.SetWebhookURL(h.local + "/webhooks/razorpay")
	if h.gateway, err = razorpay.New(cfg); err != nil {
		return err
	}
	h.paymentEvents, err = payments.NewWebhook(payments.WebhookConfig{
		Parser: h.gateway, Handle: h.onPaymentEvent, Logger: h.log,
	})
	if err != nil {
		return err
	}
	h.closers = append(h.closers, h.paymentEvents.Shutdown)
	return nil
}

func (h *hospital) composeMessages() error {
	zone, err := time.LoadLocation("Asia/Kolkata")
	if err != nil {
		return err
	}
	words, err := template.New(template.Config{Clinic: clinicName, Zone: zone, Organizer: "care@lotus.example"})
	if err != nil {
		return err
	}
	mail, err1 := h.providers.MailConfig()
	chat, err2 := h.providers.WhatsAppConfig()
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	mail.From = clinicName + " <care@lotus.example>"
	mail.Renderer, chat.Renderer = words, words
	mail.Logger, chat.Logger = h.log, h.log
	if h.mail, err = smtp.New(mail); err != nil {
		return err
	}
	h.closers = append(h.closers, h.mail.Shutdown)
	h.whatsapp, err = whatsapp.New(chat)
	return err
}

func (h *hospital) composeRealtime() (err error) {
	h.hub, err = realtime.NewHub(realtime.Config{
		Authenticate: func(r *http.Request) (string, error) {
			subject, err := h.sessions.Subject(r)
			if errors.Is(err, guard.ErrNoSession) {
				return "", nil // strangers may connect, and join nothing
			}
			return subject, err
		},
		Authorize: func(_ context.Context, who realtime.Client, room string) error {
			if who.Subject != doctorID || room != "clinic-"+clinicID {
				return telemed.ErrForbidden
			}
			return nil
		},
		Logger: h.log,
	})
	if err != nil {
		return err
	}
	h.closers = append(h.closers, h.hub.Shutdown)
	h.live, err = socketio.New(socketio.Config{Hub: h.hub, AllowedHosts: h.hosts, Logger: h.log})
	return err
}

// Close ends what was composed, in reverse order.
func (h *hospital) Close(ctx context.Context) error {
	var errs []error
	for _, closer := range slices.Backward(h.closers) {
		errs = append(errs, closer(ctx))
	}
	h.closers = nil
	return errors.Join(errs...)
}

// connected returns the providers that the doctor has a working connection to.
func (h *hospital) connected(ctx context.Context) ([]string, error) {
	var names []string
	for _, name := range []string{"google", "zoom"} {
		state, err := h.accounts.State(ctx, store.AccountID{Provider: name, Subject: doctorID})
		if err != nil {
			return nil, fmt.Errorf("state of %s: %w", name, err)
		}
		if state.Connected && !state.NeedsReconnect {
			names = append(names, name)
		}
	}
	return names, nil
}

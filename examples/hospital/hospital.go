package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/telemed-go/telemed"
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

// hospital is the host: its own sessions and visits, and what it composes of the SDK.
type hospital struct {
	base     string // where browsers reach it
	log      *slog.Logger
	now      func() time.Time
	visits   *ledger
	sessions *sessions

	meetings      map[string]meet.MeetingProvider // by provider's name
	connects      map[string]*connect.Connector
	gateway       *razorpay.Client
	paymentEvents *payments.Webhook
	mail          *smtp.Client
	whatsapp      *whatsapp.Client
	hub           *realtime.Hub
	live          *socketio.Server
	world         *providers

	closers []func(context.Context) error
}

// settleEvery is how often unfinished visits are looked at.
const settleEvery = 2 * time.Second

// newHospital composes the SDK. Everything that is specific to this machine comes from world.
func newHospital(base string, world *providers, tokens store.TokenStore, log *slog.Logger) (*hospital, error) {
	h := &hospital{
		base: base, log: log, now: time.Now, visits: newLedger(), sessions: newSessions(), world: world,
		meetings: map[string]meet.MeetingProvider{}, connects: map[string]*connect.Connector{},
	}
	err := errors.Join(h.composeMeetings(tokens), h.composePayments(), h.composeMessages(), h.composeRealtime())
	if err != nil {
		return nil, errors.Join(err, h.Close(context.Background()))
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.keepSettling(ctx, settleEvery)
	}()
	h.closers = append(h.closers, func(context.Context) error { stop(); <-done; return nil })
	return h, nil
}

func (h *hospital) composeMeetings(tokens store.TokenStore) error {
	google, err := googlemeet.New(googlemeet.Config{
		ClientID: h.world.google.ClientID(), ClientSecret: h.world.google.ClientSecret(),
		RedirectURL: h.base + "/api/auth/google/doctor/callback",
		Tokens:      tokens, Endpoints: h.world.google.Endpoints(), Logger: h.log,
	})
	if err != nil {
		return err
	}
	h.closers = append(h.closers, google.Shutdown)
	zoom, err := zoom.New(zoom.Config{
		ClientID: h.world.zoom.ClientID(), ClientSecret: h.world.zoom.ClientSecret(),
		RedirectURL: h.base + "/api/auth/zoom/doctor/callback",
		Tokens:      tokens, Endpoints: h.world.zoom.Endpoints(), Logger: h.log,
	})
	if err != nil {
		return err
	}
	h.closers = append(h.closers, zoom.Shutdown)
	h.meetings["google"], h.meetings["zoom"] = google, zoom

	key := store.NewKey() // in production from the configuration, the same for all servers
	for name, provider := range map[string]oauth.Provider{"google": google.OAuth(), "zoom": zoom.OAuth()} {
		h.connects[name], err = connect.New(connect.Config{
			Provider: provider, Tokens: tokens, CookieKeys: []telemed.Secret{key}, Subject: h.sessions.doctor,
			ReturnURL:              h.base + "/doctor/settings/integration",
			AllowInsecureLocalhost: true, // this example has no certificate
			Replay:                 connect.NewMemoryReplayGuard(),
			Logger:                 h.log,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (h *hospital) composePayments() (err error) {
	h.gateway, err = razorpay.New(razorpay.Config{
		KeyID: h.world.razorpay.KeyID(), KeySecret: h.world.razorpay.KeySecret(),
		WebhookSecrets: []telemed.Secret{h.world.razorpay.WebhookSecret()}, BaseURL: h.world.razorpay.URL(),
	})
	if err != nil {
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
	h.mail, err = smtp.New(smtp.Config{
		Addr: h.world.mail.Addr(), From: clinicName + " <care@lotus.example>", TLS: h.world.mail.ClientTLS(),
		Username: "care", Password: telemed.NewSecret("mail-password"), Renderer: words, Logger: h.log,
	})
	if err != nil {
		return err
	}
	h.closers = append(h.closers, h.mail.Shutdown)
	h.whatsapp, err = whatsapp.New(whatsapp.Config{
		PhoneNumberID: h.world.whatsapp.PhoneNumberID(), Token: h.world.whatsapp.Token(),
		BaseURL: h.world.whatsapp.URL(), Renderer: words, Logger: h.log,
	})
	return err
}

func (h *hospital) composeRealtime() (err error) {
	h.hub, err = realtime.NewHub(realtime.Config{
		Authenticate: func(r *http.Request) (string, error) {
			subject, err := h.sessions.doctor(r)
			if errors.Is(err, errNoSession) {
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
	h.live, err = socketio.New(socketio.Config{Hub: h.hub, Logger: h.log})
	return err
}

// Close ends what was composed, last things first.
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
		state, err := h.connects[name].State(ctx, doctorID)
		if err != nil {
			return nil, fmt.Errorf("state of %s: %w", name, err)
		}
		if state.Connected && !state.NeedsReconnect {
			names = append(names, name)
		}
	}
	return names, nil
}

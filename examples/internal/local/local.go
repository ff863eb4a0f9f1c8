// Package local gives the examples their providers: Google, Zoom, Razorpay, a mail server
// and WhatsApp. They are servers on this machine that speak the real ones' HTTP, OAuth,
// signatures and SMTP, unless the environment names a real account.
package local

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"slices"
	"strings"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/meet/googlemeet"
	"github.com/telemed-go/telemed/meet/googlemeet/googlemeettest"
	"github.com/telemed-go/telemed/notify/smtp"
	"github.com/telemed-go/telemed/notify/smtp/smtptest"
	"github.com/telemed-go/telemed/notify/whatsapp"
	"github.com/telemed-go/telemed/notify/whatsapp/whatsapptest"
	"github.com/telemed-go/telemed/payments/razorpay"
	"github.com/telemed-go/telemed/payments/razorpay/razorpaytest"
	"github.com/telemed-go/telemed/zoom"
	"github.com/telemed-go/telemed/zoom/zoomtest"
)

// Main runs an example in the process's environment until it returns. Ctrl-C ends its
// context. After an error the process exits with status 1.
func Main(run func(ctx context.Context, out io.Writer, getenv func(string) string) error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdout, os.Getenv)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// Providers owns the local servers. Each starts when its configuration is asked for,
// unless the environment names an account of the real provider. An account that is named
// by half is an error. The zero value is ready to use. Only one goroutine may ask at a
// time.
type Providers struct {
	// Getenv reads the environment. If nil, all providers are local.
	Getenv func(name string) string

	// The servers that run. One that is set beforehand is used, and stays the caller's.
	Google   *googlemeettest.Server
	Zoom     *zoomtest.Server
	Razorpay *razorpaytest.Server
	Mail     *smtptest.Server
	WhatsApp *whatsapptest.Server

	closes []func()
}

// Close ends the servers that were started.
func (p *Providers) Close() {
	for _, end := range p.closes {
		end()
	}
	p.closes = nil
}

// variables are what the environment holds of an account.
type variables struct{ required, optional []string }

// use returns the variables that name a real account. Without one it returns nil, and
// server runs.
func use[C any, S interface {
	comparable
	Close()
}](p *Providers, names variables, server *S, start func(C) (S, error), cfg C) (map[string]string, error) {
	var none S
	if *server != none {
		return nil, nil
	}
	all, set := slices.Concat(names.required, names.optional), map[string]string{}
	for _, name := range all {
		if p.Getenv != nil && p.Getenv(name) != "" {
			set[name] = p.Getenv(name)
		}
	}
	missing := slices.DeleteFunc(names.required, func(name string) bool { return set[name] != "" })
	switch {
	case len(set) > 0 && len(missing) > 0:
		return nil, fmt.Errorf("set %s too, or for a local provider none of %s", strings.Join(missing, ", "), strings.Join(all, ", "))
	case len(set) > 0:
		return set, nil
	}
	started, err := start(cfg)
	if err == nil {
		*server = started
		p.closes = append(p.closes, started.Close)
	}
	return nil, err
}

// redirectURL is the callback at local providers. Port 0 stands for one that the caller
// listens on.
const redirectURL = "http://127.0.0.1:0/callback"

// GoogleConfig is for a client of Google. The caller adds Tokens, and replaces port 0 of
// a local RedirectURL.
func (p *Providers) GoogleConfig() (googlemeet.Config, error) {
	names := variables{required: []string{"GOOGLE_CLIENT_ID", "GOOGLE_CLIENT_SECRET", "GOOGLE_REDIRECT_URI"}}
	env, err := use(p, names, &p.Google, googlemeettest.Start, googlemeettest.Config{})
	if s := p.Google; s != nil {
		return googlemeet.Config{
			ClientID: s.ClientID(), ClientSecret: s.ClientSecret(), RedirectURL: redirectURL, Endpoints: s.Endpoints(),
		}, nil
	}
	return googlemeet.Config{
		ClientID: env["GOOGLE_CLIENT_ID"], ClientSecret: telemed.NewSecret(env["GOOGLE_CLIENT_SECRET"]),
		RedirectURL: env["GOOGLE_REDIRECT_URI"],
	}, err
}

// ZoomConfig is for a client of Zoom. The caller adds Tokens, and replaces port 0 of a
// local RedirectURL.
func (p *Providers) ZoomConfig() (zoom.Config, error) {
	names := variables{required: []string{"ZOOM_CLIENT_ID", "ZOOM_CLIENT_SECRET", "ZOOM_REDIRECT_URI"}}
	env, err := use(p, names, &p.Zoom, zoomtest.Start, zoomtest.Config{})
	if s := p.Zoom; s != nil {
		return zoom.Config{
			ClientID: s.ClientID(), ClientSecret: s.ClientSecret(), RedirectURL: redirectURL, Endpoints: s.Endpoints(),
		}, nil
	}
	return zoom.Config{
		ClientID: env["ZOOM_CLIENT_ID"], ClientSecret: telemed.NewSecret(env["ZOOM_CLIENT_SECRET"]),
		RedirectURL: env["ZOOM_REDIRECT_URI"],
	}, err
}

// RazorpayConfig is for a client of Razorpay. Only the local one's has WebhookSecrets.
func (p *Providers) RazorpayConfig() (razorpay.Config, error) {
	names := variables{required: []string{"RAZORPAY_KEY_ID", "RAZORPAY_KEY_SECRET"}}
	env, err := use(p, names, &p.Razorpay, razorpaytest.Start, razorpaytest.Config{})
	if s := p.Razorpay; s != nil {
		return razorpay.Config{
			KeyID: s.KeyID(), KeySecret: s.KeySecret(), BaseURL: s.URL(), WebhookSecrets: []telemed.Secret{s.WebhookSecret()},
		}, nil
	}
	return razorpay.Config{KeyID: env["RAZORPAY_KEY_ID"], KeySecret: telemed.NewSecret(env["RAZORPAY_KEY_SECRET"])}, err
}

// MailConfig is for a client of the mail server. Without EMAIL_PORT the port is 587. On
// port 465 the connection starts with TLS.
func (p *Providers) MailConfig() (smtp.Config, error) {
	const user, password = "care", "mail-password"
	names := variables{[]string{"EMAIL_HOST", "EMAIL_USER", "EMAIL_PASS", "EMAIL_FROM"}, []string{"EMAIL_PORT"}}
	env, err := use(p, names, &p.Mail, smtptest.Start, smtptest.Config{Username: user, Password: password})
	if s := p.Mail; s != nil {
		return smtp.Config{
			Addr: s.Addr(), TLS: s.ClientTLS(), From: "City Clinic <care@clinic.example>",
			Username: user, Password: telemed.NewSecret(password),
		}, nil
	}
	cfg := smtp.Config{
		Addr: net.JoinHostPort(env["EMAIL_HOST"], cmp.Or(env["EMAIL_PORT"], "587")), From: env["EMAIL_FROM"],
		Username: env["EMAIL_USER"], Password: telemed.NewSecret(env["EMAIL_PASS"]),
	}
	if env["EMAIL_PORT"] == "465" {
		cfg.Security = smtp.ImplicitTLS
	}
	return cfg, err
}

// WhatsAppConfig is for a client of WhatsApp.
func (p *Providers) WhatsAppConfig() (whatsapp.Config, error) {
	names := variables{[]string{"WHATSAPP_ACCESS_TOKEN", "WHATSAPP_PHONE_NUMBER_ID"}, []string{"WHATSAPP_BUSINESS_ACCOUNT_ID"}}
	env, err := use(p, names, &p.WhatsApp, whatsapptest.Start, whatsapptest.Config{})
	if s := p.WhatsApp; s != nil {
		return whatsapp.Config{PhoneNumberID: s.PhoneNumberID(), Token: s.Token(), BaseURL: s.URL()}, nil
	}
	return whatsapp.Config{
		PhoneNumberID: env["WHATSAPP_PHONE_NUMBER_ID"], Token: telemed.NewSecret(env["WHATSAPP_ACCESS_TOKEN"]),
	}, err
}

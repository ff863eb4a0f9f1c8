// Package local gives the examples their providers: Google, Zoom, Razorpay, a mail server
// and WhatsApp. They are servers on this machine that speak the real ones' HTTP, OAuth,
// signatures and SMTP, unless the environment names a real account.
package local

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"

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
// unless the environment has a variable of the leaf's FromEnv: then that has the account,
// and New says what is missing of it. The zero value is ready to use. Only one goroutine
// may ask at a time.
type Providers struct {
	// Getenv reads the environment. If nil, all providers are local.
	Getenv func(name string) string

	// The servers that run. One that is set beforehand is used, and stays the caller's.
	Google   *googlemeettest.Server
	Zoom     *zoomtest.Server
	Razorpay *razorpaytest.Server
	Mail     *smtptest.Server
	WhatsApp *whatsapptest.Server
	events   *mailEvents

	closes []func()
}

// Close ends the servers that were started.
func (p *Providers) Close() {
	for _, end := range p.closes {
		end()
	}
	p.closes = nil
}

// account is the environment of a leaf.
type account struct {
	getenv func(name string) string
	named  bool // a variable was set
}

func (a *account) get(name string) string {
	if a.getenv == nil {
		return ""
	}
	value := a.getenv(name)
	a.named = a.named || value != ""
	return value
}

// serve starts a server, unless it runs or the account is a real one.
func serve[C any, S interface {
	comparable
	Close()
}](p *Providers, env account, server *S, start func(C) (S, error), cfg C) error {
	var none S
	if *server != none || env.named {
		return nil
	}
	started, err := start(cfg)
	if err == nil {
		*server = started
		p.closes = append(p.closes, started.Close)
	}
	return err
}

// redirectURL is the callback at local providers. Port 0 stands for one that the caller
// listens on.
const redirectURL = "http://127.0.0.1:0/callback"

// GoogleConfig is for a client of Google. The caller adds Tokens, and replaces port 0 of
// a local RedirectURL.
func (p *Providers) GoogleConfig() (googlemeet.Config, error) {
	env := account{getenv: p.Getenv}
	cfg := googlemeet.FromEnv(env.get, nil)
	err := serve(p, env, &p.Google, googlemeettest.Start, googlemeettest.Config{})
	if s := p.Google; s != nil {
		cfg = googlemeet.Config{
			ClientID: s.ClientID(), ClientSecret: s.ClientSecret(), RedirectURL: redirectURL, Endpoints: s.Endpoints(),
		}
	}
	return cfg, err
}

// ZoomConfig is for a client of Zoom. The caller adds Tokens, and replaces port 0 of a
// local RedirectURL.
func (p *Providers) ZoomConfig() (zoom.Config, error) {
	env := account{getenv: p.Getenv}
	cfg := zoom.FromEnv(env.get, nil)
	err := serve(p, env, &p.Zoom, zoomtest.Start, zoomtest.Config{})
	if s := p.Zoom; s != nil {
		cfg = zoom.Config{
			ClientID: s.ClientID(), ClientSecret: s.ClientSecret(), RedirectURL: redirectURL, Endpoints: s.Endpoints(),
		}
	}
	return cfg, err
}

// RazorpayConfig is for a client of Razorpay.
func (p *Providers) RazorpayConfig() (razorpay.Config, error) {
	env := account{getenv: p.Getenv}
	cfg := razorpay.FromEnv(env.get)
	err := serve(p, env, &p.Razorpay, razorpaytest.Start, razorpaytest.Config{})
	if s := p.Razorpay; s != nil {
		cfg = razorpay.Config{
			KeyID: s.KeyID(), KeySecret: s.KeySecret(), BaseURL: s.URL(), WebhookSecrets: []telemed.Secret{s.WebhookSecret()},
		}
	}
	return cfg, err
}

const mailUser, mailPassword = "care", "mail-password"

// MailConfig is for a client of the mail server.
func (p *Providers) MailConfig() (smtp.Config, error) {
	env := account{getenv: p.Getenv}
	cfg := smtp.FromEnv(env.get)
	err := serve(p, env, &p.Mail, smtptest.Start, smtptest.Config{Username: mailUser, Password: mailPassword})
	if s := p.Mail; s != nil {
		cfg = smtp.Config{
			Addr: s.Addr(), TLS: s.ClientTLS(), From: "City Clinic <care@clinic.example>",
			Username: mailUser, Password: telemed.NewSecret(mailPassword),
		}
	}
	return cfg, err
}

// WhatsAppConfig is for a client of WhatsApp.
func (p *Providers) WhatsAppConfig() (whatsapp.Config, error) {
	env := account{getenv: p.Getenv}
	cfg := whatsapp.FromEnv(env.get)
	err := serve(p, env, &p.WhatsApp, whatsapptest.Start, whatsapptest.Config{Statuses: []string{"sent", "delivered"}})
	if s := p.WhatsApp; s != nil {
		cfg = whatsapp.Config{PhoneNumberID: s.PhoneNumberID(), Token: s.Token(), BaseURL: s.URL()}
	}
	return cfg, err
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/oauth2"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/meet/googlemeet"
	"github.com/telemed-go/telemed/meet/googlemeet/googlemeettest"
	"github.com/telemed-go/telemed/meet/visit"
	"github.com/telemed-go/telemed/notify/smtp"
	"github.com/telemed-go/telemed/notify/smtp/smtptest"
	"github.com/telemed-go/telemed/notify/template"
	"github.com/telemed-go/telemed/notify/whatsapp"
	"github.com/telemed-go/telemed/notify/whatsapp/whatsapptest"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/razorpay"
	"github.com/telemed-go/telemed/payments/razorpay/razorpaytest"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/durable"
)

// clinic is an application with the providers that it stands on, in memory.
type clinic struct {
	google   *googlemeettest.Server
	razorpay *razorpaytest.Server
	mail     *smtptest.Server
	whatsapp *whatsapptest.Server

	visits  *visit.Visits
	meet    *googlemeet.Client
	post    *smtp.Client
	tokens  *store.Memory
	webhook inProcess
	closes  []func()
}

const doctorID, visitID = "dr-rao", "appt-42"

// start starts the providers and the application. close ends both, also after an error.
func start(t *telemetry) (*clinic, error) {
	c := &clinic{tokens: store.NewMemory()}
	if err := c.startProviders(); err != nil {
		return c, err
	}
	var err1, err2, err3, err4 error
	c.meet, err1 = googlemeet.New(googlemeet.Config{
		ClientID: c.google.ClientID(), ClientSecret: c.google.ClientSecret(), RedirectURL: "http://127.0.0.1:3001/callback",
		Endpoints: c.google.Endpoints(), Tokens: c.tokens, HTTPClient: t.client(c.google.Client().Transport),
	})
	gateway, err2 := razorpay.New(razorpay.Config{
		KeyID: c.razorpay.KeyID(), KeySecret: c.razorpay.KeySecret(), WebhookSecrets: []telemed.Secret{c.razorpay.WebhookSecret()},
		BaseURL: c.razorpay.URL(), HTTPClient: t.client(c.razorpay.Client().Transport),
	})
	c.post, err3 = smtp.New(smtp.Config{
		Addr: c.mail.Addr(), From: "Lotus Clinic <care@lotus.example>", TLS: c.mail.ClientTLS(), Dial: c.mail.Dial,
	})
	chat, err4 := whatsapp.New(whatsapp.Config{
		PhoneNumberID: c.whatsapp.PhoneNumberID(), Token: c.whatsapp.Token(), BaseURL: c.whatsapp.URL(),
		HTTPClient: t.client(c.whatsapp.Client().Transport),
	})
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return c, err
	}
	var err error
	c.visits, err = visit.New(visit.Config{
		Store: durable.NewMemory(), Clinic: "Lotus Clinic", Zone: "Asia/Kolkata",
		Meetings: map[string]meet.MeetingProvider{googlemeet.ProviderName: tracedGoogle{c.meet, t}}, Gateway: tracedGateway{gateway, t},
		Mail: tracedNotifier{c.post, t, "mail"}, WhatsApp: tracedNotifier{chat, t, "whatsapp"},
		ReturnURL: "http://127.0.0.1:3001/visits", AccountsURL: "http://127.0.0.1:3001/settings",
		Observe: t.observe,
	})
	if err == nil {
		c.webhook.Handler = c.visits.PaymentWebhook()
	}
	return c, err
}

func (c *clinic) startProviders() error {
	var err1, err2, err3, err4 error
	c.google, err1 = googlemeettest.Start(googlemeettest.Config{InMemory: true})
	c.razorpay, err2 = razorpaytest.Start(razorpaytest.Config{
		InMemory: true, WebhookURL: "http://127.0.0.1:3001/webhook", HTTPClient: &http.Client{Transport: &c.webhook},
	})
	c.mail, err3 = smtptest.Start(smtptest.Config{InMemory: true})
	c.whatsapp, err4 = whatsapptest.Start(whatsapptest.Config{InMemory: true})
	for _, s := range []struct {
		err   error
		close func()
	}{{err1, c.google.Close}, {err2, c.razorpay.Close}, {err3, c.mail.Close}, {err4, c.whatsapp.Close}} {
		if s.err == nil {
			c.closes = append(c.closes, s.close)
		}
	}
	return errors.Join(err1, err2, err3, err4)
}

func (c *clinic) close() {
	if c.post != nil {
		_ = telemed.Shutdown(10*time.Second, c.meet, c.post)
	}
	for _, end := range c.closes {
		end()
	}
}

// live is a visit: booked, paid, and told on WhatsApp.
func (c *clinic) live(ctx context.Context) error {
	if err := c.connect(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- c.visits.Run(running) }()
	err := c.bookAndPay(ctx)
	if err == nil {
		_, err = c.whatsapp.WaitFor(ctx, func(m whatsapptest.Message) bool { return m.Template == template.Confirmed })
	}
	stop() // Run finishes what is under way
	return errors.Join(err, <-ended)
}

func (c *clinic) bookAndPay(ctx context.Context) error {
	err := c.visits.Book(ctx, visit.Request{
		ID: visitID, Provider: googlemeet.ProviderName, Start: time.Now().Add(72 * time.Hour), Duration: 30 * time.Minute, Price: payments.INR(50000),
		Doctor:  visit.Doctor{ID: doctorID, Name: "Dr Meera Rao", Email: "rao@lotus.example"},
		Patient: visit.Patient{Name: "Asha Iyer", Email: "asha@example.org", Phone: "+919876543210"},
	})
	if err != nil {
		return err
	}
	checkout, err := c.visits.Checkout(ctx, visitID)
	if err != nil {
		return err
	}
	var options struct {
		Order string `json:"order_id"`
	}
	if err := json.Unmarshal(checkout.Options, &options); err != nil {
		return err
	}
	_, err = c.razorpay.Pay(options.Order) // as the patient does on the page; the webhook tells it
	return err
}

// connect is the doctor who allows meetings. An application mounts store/connect.
func (c *clinic) connect(ctx context.Context) error {
	verifier := oauth2.GenerateVerifier()
	back, err := c.google.Authorize(c.meet.OAuth().AuthCodeURL("state", verifier))
	if err != nil {
		return err
	}
	u, err := url.Parse(back)
	if err != nil {
		return err
	}
	token, err := c.meet.OAuth().Exchange(ctx, u.Query().Get("code"), verifier)
	if err != nil {
		return err
	}
	return store.Set(ctx, c.tokens, store.AccountID{Provider: googlemeet.ProviderName, Subject: doctorID}, token)
}

// inProcess is a way to a handler without a network.
type inProcess struct{ http.Handler }

// RoundTrip implements http.RoundTripper.
func (p *inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	w := &answer{header: http.Header{}, status: http.StatusOK}
	p.ServeHTTP(w, r)
	return &http.Response{StatusCode: w.status, Header: w.header, Body: http.NoBody, Request: r}, nil
}

// answer is an http.ResponseWriter.
type answer struct {
	bytes.Buffer
	header http.Header
	status int
}

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) { a.status = status }

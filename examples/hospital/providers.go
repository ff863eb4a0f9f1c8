package main

import (
	"errors"
	"fmt"

	"github.com/telemed-go/telemed/meet/googlemeet/googlemeettest"
	"github.com/telemed-go/telemed/notify/smtp/smtptest"
	"github.com/telemed-go/telemed/notify/whatsapp/whatsapptest"
	"github.com/telemed-go/telemed/payments/razorpay/razorpaytest"
	"github.com/telemed-go/telemed/zoom/zoomtest"
)

// providers are Google, Zoom, Razorpay, a mail server and WhatsApp on this machine: they
// speak the real ones' HTTP, OAuth, signatures and SMTP. In production they are not here,
// and the clients' configurations name the real ones.
type providers struct {
	google   *googlemeettest.Server
	zoom     *zoomtest.Server
	razorpay *razorpaytest.Server
	mail     *smtptest.Server
	whatsapp *whatsapptest.Server
}

// startProviders starts all of them. base is the hospital's own address, where they send browsers and webhooks.
func startProviders(base string) (*providers, error) {
	var (
		p    providers
		errs [5]error
	)
	p.google, errs[0] = googlemeettest.Start(googlemeettest.Config{})
	p.zoom, errs[1] = zoomtest.Start(zoomtest.Config{})
	p.razorpay, errs[2] = razorpaytest.Start(razorpaytest.Config{WebhookURL: base + "/webhooks/razorpay"})
	p.mail, errs[3] = smtptest.Start(smtptest.Config{Username: "care", Password: "mail-password"})
	p.whatsapp, errs[4] = whatsapptest.Start(whatsapptest.Config{})
	if err := errors.Join(errs[:]...); err != nil {
		p.Close()
		return nil, fmt.Errorf("start providers: %w", err)
	}
	return &p, nil
}

// Close stops those that run.
func (p *providers) Close() {
	if p.google != nil {
		p.google.Close()
	}
	if p.zoom != nil {
		p.zoom.Close()
	}
	if p.razorpay != nil {
		p.razorpay.Close()
	}
	if p.mail != nil {
		p.mail.Close()
	}
	if p.whatsapp != nil {
		p.whatsapp.Close()
	}
}

package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"syscall"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/meet/googlemeet/googlemeettest"
	"github.com/telemed-go/telemed/notify/smtp/smtptest"
	"github.com/telemed-go/telemed/notify/whatsapp/whatsapptest"
	"github.com/telemed-go/telemed/payments/razorpay/razorpaytest"
	"github.com/telemed-go/telemed/zoom/zoomtest"
)

// The keys are the same each time, so that an application that runs on need not be
// started anew with the sandbox. They are known to everybody.
const (
	mailUser, mailPassword = "care", "mail-password"
	verifyToken            = "sandbox-verify-token"
)

// providers are all that the sandbox stands for.
type providers struct {
	host string // of all addresses
	port int    // of the pages; 0 for free ports
	api  string // of the application, without a slash at its end

	google   *googlemeettest.Server
	zoom     *zoomtest.Server
	razorpay *razorpaytest.Server
	mail     *smtptest.Server
	whatsapp *whatsapptest.Server

	pages  string // the address of the pages, once they are served
	closes []func()
}

// start starts all providers on the ports after that of the pages. An error names the
// provider whose port is taken.
func start(listen, api string) (*providers, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return nil, fmt.Errorf("-listen: %w", err)
	}
	number, err := strconv.Atoi(port)
	if err != nil || number < 0 || number > 65530 {
		return nil, fmt.Errorf("-listen: %q is no port with five more behind it", port)
	}
	if !webAddress(api) {
		return nil, fmt.Errorf("-api: %q is no http address", api)
	}
	p := &providers{host: host, port: number, api: strings.TrimRight(api, "/")}
	for i, begin := range []func(addr string) error{p.startGoogle, p.startZoom, p.startRazorpay, p.startMail, p.startWhatsApp} {
		if err := begin(p.address(i + 1)); err != nil {
			p.close()
			return nil, taken(err)
		}
	}
	return p, nil
}

// address is where the nth server listens.
func (p *providers) address(n int) string {
	port := p.port
	if port != 0 {
		port += n
	}
	return net.JoinHostPort(p.host, strconv.Itoa(port))
}

// taken says what helps if a port is taken.
func taken(err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%w; end the other sandbox, or choose other ports with -listen 127.0.0.1:5000, or free ones with -listen 127.0.0.1:0", err)
	}
	return err
}

// close ends all providers.
func (p *providers) close() {
	for _, end := range p.closes {
		end()
	}
	p.closes = nil
}

// keep takes a server that was started into the providers.
func keep[S interface{ Close() }](p *providers, place *S, server S, err error) error {
	if err == nil {
		*place = server
		p.closes = append(p.closes, server.Close)
	}
	return err
}

func (p *providers) startGoogle(addr string) error {
	s, err := googlemeettest.Start(googlemeettest.Config{Addr: addr, Email: "dr.rao@clinic.example"})
	return keep(p, &p.google, s, err)
}

func (p *providers) startZoom(addr string) error {
	s, err := zoomtest.Start(zoomtest.Config{Addr: addr})
	return keep(p, &p.zoom, s, err)
}

func (p *providers) startRazorpay(addr string) error {
	s, err := razorpaytest.Start(razorpaytest.Config{
		Addr: addr, KeyID: "rzp_test_sandbox000001", KeySecret: telemed.NewSecret("sandbox-key-secret"),
		WebhookSecret: telemed.NewSecret("sandbox-webhook-secret"), WebhookURL: p.api + "/payments/webhook",
	})
	return keep(p, &p.razorpay, s, err)
}

func (p *providers) startMail(addr string) error {
	s, err := smtptest.Start(smtptest.Config{Addr: addr, Username: mailUser, Password: mailPassword})
	return keep(p, &p.mail, s, err)
}

func (p *providers) startWhatsApp(addr string) error {
	s, err := whatsapptest.Start(whatsapptest.Config{
		Addr: addr, WebhookURL: p.api + "/whatsapp", Statuses: []string{"sent", "delivered"},
	})
	return keep(p, &p.whatsapp, s, err)
}

// introduce prints a line for each provider.
func (p *providers) introduce(out io.Writer) {
	for _, line := range [][2]string{
		{"pages", p.pages + "   mail, chats, orders: what patients read and do"},
		{"Google", p.google.URL() + "   consent at /o/oauth2/v2/auth, rooms at /meet/…"},
		{"Zoom", p.zoom.URL() + "   consent at /oauth/authorize, rooms at /j/…"},
		{"Razorpay", p.razorpay.URL() + "   checkout at /v1/checkout/embedded; webhooks to " + p.api + "/payments/webhook"},
		{"mail", "smtp://" + p.mail.Addr() + "   the inbox is in the pages"},
		{"WhatsApp", p.whatsapp.URL() + "   chats are in the pages; webhooks to " + p.api + "/whatsapp"},
	} {
		fmt.Fprintf(out, "sandbox: %-8s %s\n", line[0], line[1])
	}
}

package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/telemed-go/telemed/examples/internal/local"
	"github.com/telemed-go/telemed/notify/smtp/smtptest"
)

// The keys are the same each time, so that an application that runs on need not be
// started anew with the sandbox. They are known to everybody.
const (
	mailUser, mailPassword = "care", "mail-password"
	verifyToken            = "sandbox-verify-token"
)

// The ports, counted from that of the pages.
const (
	pagesPort = iota
	googlePort
	zoomPort
	razorpayPort
	mailPort
	whatsappPort
)

// providers are all that the sandbox stands for.
type providers struct {
	host string // of all addresses
	port int    // of the pages; 0 for free ports
	api  string // of the application, without a slash at its end

	mail     *smtptest.Server
	files    certificates
	passages map[int]*passage // by port, of those whose servers a reset replaces

	mu      sync.RWMutex
	present *world
	targets map[string]string // by provider: where webhooks go, if that was said later than api

	pages string // the address of the pages, once they are served
}

// start starts all providers on the ports after that of the pages. An error names the
// provider whose port is taken. Certificate and nodeOwn are those of writeCertificates.
func start(listen, api, certificate, nodeOwn string) (*providers, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return nil, fmt.Errorf("-listen: %w", err)
	}
	number, err := strconv.Atoi(port)
	if err != nil || number < 0 || number > 65530 {
		return nil, fmt.Errorf("-listen: %q is no port with five more behind it", port)
	}
	if !webBase(api) {
		return nil, fmt.Errorf("-api: %q is no http address without a query", api)
	}
	p := &providers{host: host, port: number, api: strings.TrimRight(api, "/"), passages: map[int]*passage{}, targets: map[string]string{}}
	err = p.open()
	if err == nil {
		p.files, err = writeCertificates(certificate, nodeOwn, p.mail.Certificate())
	}
	if err != nil {
		p.close()
		return nil, taken(err)
	}
	return p, nil
}

// open starts what listens, and the first world.
func (p *providers) open() (err error) {
	for _, place := range []struct {
		port int
		name string
	}{{googlePort, "Google"}, {zoomPort, "Zoom"}, {razorpayPort, "Razorpay"}, {whatsappPort, "WhatsApp"}} {
		opened, err := openPassage(p.address(place.port))
		if err != nil {
			return fmt.Errorf("%s: %w", place.name, err)
		}
		p.passages[place.port] = opened
	}
	p.mail, err = smtptest.Start(smtptest.Config{Addr: p.address(mailPort), Username: mailUser, Password: mailPassword})
	if err != nil {
		return fmt.Errorf("mail: %w", err)
	}
	return p.reset()
}

// reset replaces all that the providers have. Their addresses, keys and the certificate of
// the mail server stay.
func (p *providers) reset() error {
	next, err := newWorld(p)
	if err != nil {
		return err
	}
	p.mu.Lock()
	last := p.present
	p.present = next
	for provider, target := range p.targets {
		next.aim(provider, target) // some may have been said since next was made
	}
	p.mail.Reset()
	var before []*server
	for port, to := range map[int]dial{
		googlePort: next.Google.Dial, zoomPort: next.Zoom.Dial, razorpayPort: next.Razorpay.Dial, whatsappPort: next.WhatsApp.Dial,
	} {
		before = append(before, p.passages[port].lead(to))
	}
	p.mu.Unlock()
	if last != nil {
		last.close()
		for _, s := range before {
			s.carried.Wait() // or a client would write to a connection that is just ending
		}
	}
	return nil
}

// world is what the providers have now.
func (p *providers) world() *world {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.present
}

// address is where the nth server is to listen.
func (p *providers) address(n int) string {
	port := p.port
	if port != 0 {
		port += n
	}
	return net.JoinHostPort(p.host, strconv.Itoa(port))
}

// shown is where clients find the server of a passage.
func (p *providers) shown(n int) string {
	_, port, _ := net.SplitHostPort(p.passages[n].listener.Addr().String()) // it listens there
	return net.JoinHostPort(reachable(p.host), port)
}

// reachable is how a client on this machine names host.
func reachable(host string) string {
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		return "127.0.0.1"
	}
	return host
}

// webhookPaths are where an application takes webhooks.
var webhookPaths = map[string]string{
	local.Razorpay: "/payments/webhook", local.WhatsApp: "/whatsapp", local.Zoom: "/auth/zoom/doctor/events",
}

// webhookURL is where a provider's webhooks go.
func (p *providers) webhookURL(provider string) string {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if target, said := p.targets[provider]; said {
		return target
	}
	return p.api + webhookPaths[provider]
}

// aim has a provider's webhooks go elsewhere from now on, nowhere if target is empty.
func (p *providers) aim(provider, target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.targets[provider] = target
	p.present.aim(provider, target)
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
	for _, open := range p.passages {
		open.close()
	}
	if p.present != nil {
		p.present.close()
	}
	if p.mail != nil {
		p.mail.Close()
	}
	p.files.remove()
}

// introduce prints a line for each provider.
func (p *providers) introduce(out io.Writer) {
	w := p.world()
	for _, line := range [][2]string{
		{"pages", p.pages + "   mail, chats, payments, meetings, faults; for programs " + p.pages + "/control"},
		{"Google", w.Google.URL() + "   consent at /o/oauth2/v2/auth, rooms at /meet/…"},
		{"Zoom", w.Zoom.URL() + "   consent at /oauth/authorize, rooms at /j/…; webhooks to " + p.webhookURL(local.Zoom)},
		{"Razorpay", w.Razorpay.URL() + "   checkout at /v1/checkout/embedded; webhooks to " + p.webhookURL(local.Razorpay)},
		{"mail", "smtp://" + p.mail.Addr() + "   the inbox is in the pages"},
		{"WhatsApp", w.WhatsApp.URL() + "   chats are in the pages; webhooks to " + p.webhookURL(local.WhatsApp)},
	} {
		fmt.Fprintf(out, "sandbox: %-8s %s\n", line[0], line[1])
	}
}

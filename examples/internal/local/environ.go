package local

import (
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/telemed-go/telemed/notify/smtp/smtptest"
)

// ReferenceHeader is the header by which MailEvents knows a mail, for
// smtp.Config.ReferenceHeader.
const ReferenceHeader = "X-Reference"

// Environ starts all servers and returns the variables by which FromEnv of each leaf finds
// them, for a process of its own too. EMAIL_EVENTS_URL is beside them: GET of it with
// ?reference= is 204 if the mail server has taken the mail whose ReferenceHeader says so,
// and 404 if it has not. Getenv must be nil. The redirect addresses are the caller's.
func (p *Providers) Environ() (map[string]string, error) {
	_, err1 := p.GoogleConfig()
	_, err2 := p.ZoomConfig()
	_, err3 := p.RazorpayConfig()
	_, err4 := p.MailConfig()
	_, err5 := p.WhatsAppConfig()
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return nil, err
	}
	if p.events == nil {
		events, err := startMailEvents(p.Mail)
		if err != nil {
			return nil, err
		}
		p.events = events
		p.closes = append(p.closes, events.Close)
	}
	host, port, err := net.SplitHostPort(p.Mail.Addr())
	return map[string]string{
		"GOOGLE_CLIENT_ID": p.Google.ClientID(), "GOOGLE_CLIENT_SECRET": p.Google.ClientSecret().Reveal(), "GOOGLE_BASE_URL": p.Google.URL(),
		"ZOOM_CLIENT_ID": p.Zoom.ClientID(), "ZOOM_CLIENT_SECRET": p.Zoom.ClientSecret().Reveal(), "ZOOM_BASE_URL": p.Zoom.URL(),
		"RAZORPAY_KEY_ID": p.Razorpay.KeyID(), "RAZORPAY_KEY_SECRET": p.Razorpay.KeySecret().Reveal(), "RAZORPAY_BASE_URL": p.Razorpay.URL(),
		"RAZORPAY_WEBHOOK_SECRET": p.Razorpay.WebhookSecret().Reveal(),
		"EMAIL_HOST":              host, "EMAIL_PORT": port, "EMAIL_USER": mailUser, "EMAIL_PASS": mailPassword,
		"EMAIL_FROM": "Lotus Clinic <care@lotus.example>", "EMAIL_TLS_CA": string(p.Mail.Certificate()), "EMAIL_EVENTS_URL": p.events.URL,
		"WHATSAPP_ACCESS_TOKEN": p.WhatsApp.Token().Reveal(), "WHATSAPP_PHONE_NUMBER_ID": p.WhatsApp.PhoneNumberID(),
		"WHATSAPP_APP_SECRET": p.WhatsApp.AppSecret().Reveal(), "WHATSAPP_VERIFY_TOKEN": "local-verify-token", "WHATSAPP_BASE_URL": p.WhatsApp.URL(),
	}, err
}

// mailEvents stands for the API of a mail relay that says which mails it has taken.
type mailEvents struct {
	URL    string
	server *http.Server
}

func startMailEvents(mail *smtptest.Server) (*mailEvents, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it ends by Close
	if err != nil {
		return nil, err
	}
	e := &mailEvents{"http://" + listener.Addr().String() + "/", &http.Server{ReadHeaderTimeout: time.Second}}
	e.server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, taken := range mail.Messages() {
			if reference := taken.Header.Get(ReferenceHeader); reference != "" && reference == r.URL.Query().Get("reference") {
				w.WriteHeader(http.StatusNoContent)
				return
			}
		}
		http.NotFound(w, r)
	})
	go func() { _ = e.server.Serve(listener) }()
	return e, nil
}

func (e *mailEvents) Close() { _ = e.server.Close() }

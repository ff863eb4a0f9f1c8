package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/examples/internal/local"
	"github.com/telemed-go/telemed/meet/visit"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/outbox"
	"github.com/telemed-go/telemed/notify/smtp/smtptest"
	"github.com/telemed-go/telemed/store"
)

// panel is what a demonstration has besides the hospital: the providers, all on this
// machine, and what they have received.
type panel struct {
	local.Providers
	env    map[string]string
	folder string // of the database, for as long as it runs
}

// openPanel starts the providers that are not among these.
func openPanel(providers local.Providers) (*panel, error) {
	p := &panel{Providers: providers}
	var err error
	if p.env, err = p.Environ(); err == nil {
		p.env["CLINIC_KEY"] = store.NewKey().Reveal()
		p.folder, err = os.MkdirTemp("", "hospital-")
	}
	if err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

func (p *panel) getenv(name string) string { return p.env[name] }

func (p *panel) close() error {
	p.Providers.Close()
	if p.folder == "" {
		return nil
	}
	return os.RemoveAll(p.folder)
}

// follow has the providers tell the hospital that listens there. A panel that is nil has none.
func (p *panel) follow(addr string) {
	if p == nil {
		return
	}
	p.Razorpay.SetWebhookURL("http://" + addr + "/webhooks/razorpay")
	p.WhatsApp.SetWebhookURL("http://" + addr + "/webhooks/whatsapp")
}

// demonstrate runs a hospital with providers of its own.
func demonstrate(ctx context.Context, out io.Writer, o options) (err error) {
	if o.panel, err = openPanel(local.Providers{}); err != nil {
		return err
	}
	o.env, o.db = o.panel.getenv, filepath.Join(o.panel.folder, "hospital.db")
	return errors.Join(serve(ctx, out, o), o.panel.close())
}

// mailEvents asks the mail relay what it has taken.
type mailEvents struct{ address string }

// Outcome implements notify.Evidence.
func (e mailEvents) Outcome(ctx context.Context, reference string, _ time.Time) (notify.Outcome, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.address+"?"+url.Values{"reference": {reference}}.Encode(), nil)
	if err != nil {
		return notify.OutcomeUnknown, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return notify.OutcomeUnknown, err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusNoContent:
		return notify.OutcomeArrived, nil
	case http.StatusNotFound:
		return notify.OutcomeNotArrived, nil
	}
	return notify.OutcomeUnknown, fmt.Errorf("mail events: status %d", resp.StatusCode)
}

// showCheckout leads to Razorpay's page on this machine. In production the visit's page
// opens Razorpay's form with checkout.js and these options.
func (h *hospital) showCheckout(w http.ResponseWriter, r *http.Request, v *visit.Visit) {
	back := "/visits/" + r.PathValue("page")
	ctx, cancel := context.WithTimeout(r.Context(), askFor)
	defer cancel()
	checkout, err := h.visits.Checkout(ctx, v.ID)
	if err != nil || checkout.Options == nil { // nothing is to be paid any more
		h.to(w, r, back, err)
		return
	}
	var options struct {
		OrderID string `json:"order_id"`
	}
	err = json.Unmarshal(checkout.Options, &options)
	h.to(w, r, h.env("RAZORPAY_BASE_URL")+"/checkout?"+url.Values{
		"order_id": {options.OrderID}, "name": {clinicName}, "description": {"Video consultation"},
		"callback_url": {h.base + "/payments/callback"}, "cancel_url": {h.base + back},
	}.Encode(), err)
}

// shownMail is a mail of a visit and its number among those.
type shownMail struct {
	Number int
	smtptest.Message
}

// received returns what the patient has received of a visit, the latest first. The doctor's
// copies are not among it.
func (h *hospital) received(ctx context.Context, v *visit.Visit) (mails []shownMail, chats []string, err error) {
	if h.panel == nil {
		return nil, nil, nil
	}
	sent, err := h.visits.Messages(ctx, v.ID)
	if err != nil {
		return nil, nil, err
	}
	for _, m := range h.panel.Mail.Messages() {
		if strings.EqualFold(m.Recipients[0], v.Patient.Email) && slices.ContainsFunc(sent, func(s outbox.Status) bool { return strings.Trim(s.ID, "<>") == strings.Trim(m.ID, "<>") }) {
			mails = append(mails, shownMail{len(mails), m})
		}
	}
	for _, m := range h.panel.WhatsApp.Messages() {
		if slices.ContainsFunc(sent, func(s outbox.Status) bool { return s.ID == m.ID }) {
			chats = append(chats, m.Text)
		}
	}
	slices.Reverse(mails)
	slices.Reverse(chats)
	return mails, chats, nil
}

// showMail is the HTML of a mail. It is shown in a frame of its own that can do nothing
// but open links in a new window.
func (h *hospital) showMail(w http.ResponseWriter, r *http.Request, v *visit.Visit) {
	mails, _, err := h.received(r.Context(), v)
	n, wrong := strconv.Atoi(r.PathValue("n"))
	if err == nil && (wrong != nil || n < 0 || n >= len(mails)) {
		err = telemed.ErrNotFound
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	slices.Reverse(mails)
	w.Header().Set("Content-Security-Policy", "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; frame-ancestors 'self'")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(w, strings.Replace(mails[n].HTML, "<head>", `<head><base target="_blank">`, 1))
}

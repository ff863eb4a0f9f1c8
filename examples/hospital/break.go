package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/telemed-go/telemed/examples/internal/local"
	"github.com/telemed-go/telemed/meet/googlemeet/googlemeettest"
	"github.com/telemed-go/telemed/notify/smtp/smtptest"
	"github.com/telemed-go/telemed/notify/whatsapp/whatsapptest"
	"github.com/telemed-go/telemed/payments/razorpay/razorpaytest"
	"github.com/telemed-go/telemed/zoom/zoomtest"
)

// button is something of the panel that can be broken.
type button struct {
	Action, Label string
	do            func(p *panel, ctx context.Context, form url.Values) (done string, err error)
}

// buttons are the panel's, in their order. Killing the server is not among them: it is the
// supervisor's.
var buttons = []button{
	{"lose-order", "Lose the answer to the next order", lose(func(string) local.Fault {
		return local.Fault{Provider: local.Razorpay, Op: razorpaytest.OpCreateOrder}
	})},
	{"lose-meeting", "Lose the answer to the next meeting", lose(func(provider string) local.Fault {
		if provider == local.Zoom {
			return local.Fault{Provider: local.Zoom, Op: zoomtest.OpCreate}
		}
		return local.Fault{Provider: local.Google, Op: googlemeettest.OpInsert}
	})},
	{"lose-mail", "Lose the answer to the next mail", lose(func(string) local.Fault {
		return local.Fault{Provider: local.Mail, Op: smtptest.OpData}
	})},
	{"lose-chat", "Lose the answer to the next WhatsApp", lose(func(string) local.Fault {
		return local.Fault{Provider: local.WhatsApp, Op: whatsapptest.OpSend}
	})},
	{"webhook-five", "Send the last webhook five times", (*panel).sendFive},
	{"webhook-hold", "Hold the webhooks", func(p *panel, _ context.Context, _ url.Values) (string, error) {
		p.Razorpay.HoldWebhooks()
		return "holds the webhooks of payments", nil
	}},
	{"webhook-release", "Release the webhooks", func(p *panel, _ context.Context, _ url.Values) (string, error) {
		p.Razorpay.ReleaseWebhooks()
		return "releases the webhooks of payments", nil
	}},
	{"expire", "Expire the doctor's tokens", func(p *panel, _ context.Context, _ url.Values) (string, error) {
		p.Google.ExpireTokens()
		p.Zoom.ExpireTokens()
		return "expires the doctor's access tokens", nil
	}},
	{"refuse-mail", "Refuse the next mail", func(p *panel, _ context.Context, _ url.Values) (string, error) {
		p.Mail.FailNext(smtptest.Fault{Op: smtptest.OpRcpt, Status: 550, Body: "5.1.1 User unknown"})
		return "has the next mail refused", nil
	}},
	{"fail-chat", "Have the last WhatsApp fail now", (*panel).failLastChat},
}

// errNothingYet is that a button has nothing to break.
var errNothingYet = errors.New("there is nothing of that yet")

// lose carries out the next request of a kind, and loses its answer.
func lose(which func(provider string) local.Fault) func(*panel, context.Context, url.Values) (string, error) {
	return func(p *panel, _ context.Context, form url.Values) (string, error) {
		f := which(form.Get("provider"))
		f.Kind = "lose answer"
		return fmt.Sprintf("loses the next answer of %s to %q", f.Provider, f.Op), p.FailNext(f)
	}
}

// sendFive delivers the visit's last webhook again.
func (p *panel) sendFive(ctx context.Context, form url.Values) (string, error) {
	events := p.Razorpay.Events()
	for _, e := range slices.Backward(events) {
		if order := form.Get("order"); order == "" || !strings.Contains(string(e.Body), order) {
			continue
		}
		for range 5 {
			if _, err := p.Razorpay.Deliver(ctx, e); err != nil {
				return "", err
			}
		}
		return "sends the webhook " + e.Type + " five times", nil
	}
	return "", errNothingYet
}

// failLastChat tells, late, that a message did not arrive after all.
func (p *panel) failLastChat(ctx context.Context, form url.Values) (string, error) {
	id := form.Get("chat")
	for _, m := range p.WhatsApp.Messages() {
		if m.ID == id {
			return "has the WhatsApp " + id + " fail", p.WhatsApp.SendStatus(ctx, id, "failed", 131026)
		}
	}
	return "", errNothingYet
}

// press does what a button says, and notes it at the visit.
func (p *panel) press(ctx context.Context, action string, form url.Values) error {
	for _, b := range buttons {
		if b.Action != action {
			continue
		}
		done, err := b.do(p, ctx, form)
		if err == nil {
			p.note(form.Get("visit"), done)
		}
		return err
	}
	return errNoPage
}

// readSeen asks the demonstration what its providers have seen. It is nil where the
// hospital has real providers.
func (h *hospital) readSeen(ctx context.Context) (*seen, error) {
	address := h.env(seenURL)
	if address == "" {
		return nil, nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var s seen
	return &s, json.NewDecoder(resp.Body).Decode(&s)
}

package main

import (
	"net/url"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/template"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/oauth"
)

// fill makes something of everything that the page shows.
func (c *clinic) fill(t *testing.T, s *pages) {
	t.Helper()
	c.connectDoctors(t, s)
	_, err := notify.Fanout(t.Context(), notify.Message{
		Key: "appt-1/confirmed", To: notify.Recipient{Name: "Asha", Email: "asha@example.org", Phone: "+919876543210"}, Template: template.Confirmed,
		Data: template.Appointment{Key: "appt-1", Patient: "Asha", Doctor: "Dr Rao", Start: time.Now().Add(time.Hour), JoinURL: "https://meet.example/abc"},
	}, c.mail, c.chat)
	require.NoError(t, err)
	first, err := c.gateway.CreateOrder(t.Context(), payments.OrderRequest{Key: "bill_1", Amount: payments.INR(50000)})
	require.NoError(t, err)
	_, err = c.gateway.CreateOrder(t.Context(), payments.OrderRequest{Key: "bill_2", Amount: payments.INR(75000)})
	require.NoError(t, err)
	w := s.world()
	_, err = w.Razorpay.FailPayment(first.ID)
	require.NoError(t, err)
	w.Razorpay.HoldRefunds()
	paid, err := w.Razorpay.Pay(first.ID)
	require.NoError(t, err)
	require.NoError(t, w.Razorpay.WaitWebhooks(t.Context()))
	_, err = c.gateway.Refund(t.Context(), payments.RefundRequest{PaymentID: paid.PaymentID, Key: "refund_1"})
	require.NoError(t, err)
	press(t, s, "/control/chats/reply", url.Values{"phone": {"+919876543210"}, "text": {"Thank you"}})
}

// connectDoctors has a doctor consent at Google and at Zoom, and make a meeting at each.
func (c *clinic) connectDoctors(t *testing.T, s *pages) {
	t.Helper()
	for _, at := range []struct {
		provider oauth.Provider
		allow    func(string) (string, error)
		meetings meet.MeetingProvider
	}{
		{c.google.OAuth(), s.world().Google.Authorize, c.google},
		{c.zoom.OAuth(), s.world().Zoom.Authorize, c.zoom},
	} {
		verifier := oauth2.GenerateVerifier()
		back, err := at.allow(at.provider.AuthCodeURL("state", verifier))
		require.NoError(t, err)
		u, err := url.Parse(back)
		require.NoError(t, err)
		require.Equal(t, "/api/auth/"+at.provider.Name+"/doctor/callback", u.Path)
		token, err := at.provider.Exchange(t.Context(), u.Query().Get("code"), verifier)
		require.NoError(t, err)
		require.NoError(t, store.Set(t.Context(), c.tokens, store.AccountID{Provider: at.provider.Name, Subject: "dr-rao"}, token))
		m, err := at.meetings.Create(t.Context(), "dr-rao", meet.Request{Key: "appt-1", Topic: "Visit", Start: time.Now().Add(time.Hour), Duration: time.Hour})
		require.NoError(t, err)
		require.Contains(t, m.JoinURL, "http://127.0.0.1:")
		page(t, m.JoinURL)
	}
}

// TestBrowser: the pages have no violation that axe finds, on a phone and on a desk, in light
// and in dark; with TELEMED_AUDIT=all, in every state of theirs. All buttons work
// without JavaScript, and with it the page lives.
func TestBrowser(t *testing.T) {
	t.Parallel()
	chromium, err := exec.LookPath("chromium")
	if err != nil || os.Getenv("TELEMED_NODE_MODULES") == "" {
		t.Skip("chromium is missing, or TELEMED_NODE_MODULES is not set: it names a node_modules folder that holds playwright-core and axe-core. " +
			"With them this test looks at every page of the sandbox")
	}
	_, empty := newClinic(t)
	c, full := newClinic(t)
	c.fill(t, full)
	cmd := exec.CommandContext(t.Context(), "node", "testdata/pages.cjs", empty.providers.pages, full.providers.pages)
	cmd.Env = append(os.Environ(), "TELEMED_CHROMIUM="+chromium)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "0 violations")
}

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/smtp"
	"github.com/telemed-go/telemed/notify/template"
	"github.com/telemed-go/telemed/notify/whatsapp"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/razorpay"
	"github.com/telemed-go/telemed/zoom"
)

// clinic is an application that was started with the sandbox's variables.
type clinic struct {
	gateway *razorpay.Client
	mail    *smtp.Client
	chat    *whatsapp.Client
	heard   chan string // what webhooks told
}

// newClinic starts the application first, so that the sandbox knows where it is.
func newClinic(t *testing.T) (*clinic, *pages) {
	t.Helper()
	c := &clinic{heard: make(chan string, 20)}
	mux := http.NewServeMux()
	application := httptest.NewServer(mux)
	t.Cleanup(application.Close)
	p, err := start("127.0.0.1:0", application.URL+"/api/")
	require.NoError(t, err)
	t.Cleanup(p.close)
	s, err := servePages(p, lookup(nil))
	require.NoError(t, err)
	t.Cleanup(s.close)

	getenv := lookup(merge(nil, p.variables(lookup(nil))))
	words, err := template.New(template.Config{Clinic: "City Clinic"})
	require.NoError(t, err)
	c.connect(t, getenv, words)
	c.receive(t, getenv, mux)
	return c, s
}

func (c *clinic) connect(t *testing.T, getenv func(string) string, words notify.Renderer) {
	t.Helper()
	secret := func(name string) telemed.Secret { return telemed.NewSecret(getenv(name)) }
	var err error
	c.gateway, err = razorpay.New(razorpay.Config{
		KeyID: getenv("RAZORPAY_KEY_ID"), KeySecret: secret("RAZORPAY_KEY_SECRET"), BaseURL: getenv("RAZORPAY_BASE_URL"),
		WebhookSecrets: []telemed.Secret{secret("RAZORPAY_WEBHOOK_SECRET")},
	})
	require.NoError(t, err)
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM([]byte(getenv("EMAIL_TLS_CA"))))
	c.mail, err = smtp.New(smtp.Config{
		Addr: net.JoinHostPort(getenv("EMAIL_HOST"), getenv("EMAIL_PORT")), From: getenv("EMAIL_FROM"), Renderer: words,
		Username: getenv("EMAIL_USER"), Password: secret("EMAIL_PASS"), TLS: &tls.Config{RootCAs: roots},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.mail.Shutdown(context.WithoutCancel(t.Context()))) })
	c.chat, err = whatsapp.New(whatsapp.Config{
		PhoneNumberID: getenv("WHATSAPP_PHONE_NUMBER_ID"), Token: secret("WHATSAPP_ACCESS_TOKEN"), BaseURL: getenv("WHATSAPP_BASE_URL"),
		Renderer: words,
	})
	require.NoError(t, err)
}

func (c *clinic) receive(t *testing.T, getenv func(string) string, mux *http.ServeMux) {
	t.Helper()
	paid, err := payments.NewWebhook(payments.WebhookConfig{Parser: c.gateway, Handle: func(_ context.Context, e payments.Event) error {
		c.heard <- "razorpay " + e.Type
		return nil
	}})
	require.NoError(t, err)
	said, err := whatsapp.NewWebhook(whatsapp.WebhookConfig{
		Secrets: []telemed.Secret{telemed.NewSecret(getenv("WHATSAPP_APP_SECRET"))},
		Handle: func(_ context.Context, e whatsapp.Event) error {
			if e.Status != nil {
				c.heard <- "whatsapp " + string(e.Status.State)
			}
			if e.Message != nil {
				c.heard <- "whatsapp text " + e.Message.Text
			}
			return nil
		},
	})
	require.NoError(t, err)
	removed, err := zoom.NewWebhook(zoom.WebhookConfig{
		Secrets: []telemed.Secret{telemed.NewSecret(getenv("ZOOM_WEBHOOK_SECRET"))},
		Handle: func(_ context.Context, e zoom.Event) error {
			c.heard <- "zoom " + e.Name
			return nil
		},
	})
	require.NoError(t, err)
	mux.Handle("/api/payments/webhook", paid)
	mux.Handle("/api/whatsapp", said)
	mux.Handle("/api/auth/zoom/doctor/events", removed)
}

// hears waits until webhooks have told what is wanted, in any order.
func (c *clinic) hears(t *testing.T, want ...string) {
	t.Helper()
	var got []string
	for range want {
		select {
		case what := <-c.heard:
			got = append(got, what)
		case <-time.After(20 * time.Second):
			t.Fatalf("heard %v, want %v", got, want)
		}
	}
	require.ElementsMatch(t, want, got)
}

func page(t *testing.T, address string) string {
	t.Helper()
	resp, err := http.Get(address)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode)
	return string(body)
}

// press sends a form of the page, and returns the page that comes then.
func press(t *testing.T, s *pages, path string, form url.Values) string {
	t.Helper()
	resp, err := http.PostForm(s.providers.pages+path, form)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return string(body)
}

func TestPayment(t *testing.T) {
	t.Parallel()
	c, s := newClinic(t)
	require.Contains(t, page(t, s.providers.pages), "No order was made yet.")
	first, err := c.gateway.CreateOrder(t.Context(), payments.OrderRequest{Key: "bill_1", Amount: payments.INR(50000)})
	require.NoError(t, err)
	shown := page(t, s.providers.pages)
	require.Contains(t, shown, "INR 500.00")
	require.Contains(t, shown, "bill_1")
	checkout := regexp.MustCompile(`href="(http[^"]*/checkout[^"]*)"`).FindStringSubmatch(shown)
	require.NotNil(t, checkout, shown)
	require.Contains(t, page(t, strings.ReplaceAll(checkout[1], "&amp;", "&")), "Pay INR 500.00", "a browser can pay there")

	shown = press(t, s, "/pay", url.Values{"order": {first.ID}})
	c.hears(t, "razorpay payment.authorized", "razorpay payment.captured", "razorpay order.paid")
	require.NotContains(t, shown, "action=\"/pay\"", "nothing is due")
	require.Contains(t, press(t, s, "/pay", url.Values{"order": {first.ID}}), "Order already paid")
	require.NotContains(t, page(t, s.providers.pages), "already paid", "a problem is shown once")
}

func TestMessages(t *testing.T) {
	t.Parallel()
	c, s := newClinic(t)
	_, err := notify.Fanout(t.Context(), notify.Message{
		Key: "appt-1/confirmed", To: notify.Recipient{Name: "Asha", Email: "asha@example.org", Phone: "+919876543210"}, Template: template.Confirmed,
		Data: template.Appointment{Key: "appt-1", Patient: "<b>Asha</b>", Doctor: "Dr Rao", Start: time.Now().Add(time.Hour), JoinURL: "https://meet.example/abc"},
	}, c.mail, c.chat)
	require.NoError(t, err)
	c.hears(t, "whatsapp sent", "whatsapp delivered")
	shown := page(t, s.providers.pages)
	require.Contains(t, shown, "asha@example.org")
	require.Contains(t, shown, "https://meet.example/abc")
	require.Contains(t, shown, "&#43;919876543210")
	require.NotContains(t, shown, "<b>Asha</b>")
	mail := page(t, s.providers.pages+"/mail/0")
	require.Contains(t, mail, "https://meet.example/abc")
	for _, none := range []string{"1", "-1", "x"} {
		resp, err := http.Get(s.providers.pages + "/mail/" + none)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusNotFound, resp.StatusCode)
	}
	press(t, s, "/reply", url.Values{"phone": {"+919876543210"}, "text": {"STOP"}})
	c.hears(t, "whatsapp text STOP")
}

func TestZoomIsRemoved(t *testing.T) {
	t.Parallel()
	c, s := newClinic(t)
	user := regexp.MustCompile(`name="user" value="([^"]+)"`).FindStringSubmatch(page(t, s.providers.pages))
	require.NotNil(t, user)
	press(t, s, "/remove-zoom", url.Values{"user": {user[1]}})
	c.hears(t, "zoom app_deauthorized")
}

// TestStrangersPages: no page of somebody else's presses the buttons or reads the pages.
func TestStrangersPages(t *testing.T) {
	t.Parallel()
	_, s := newClinic(t)
	for name, change := range map[string]func(*http.Request){
		"another site":      func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
		"a name of its own": func(r *http.Request) { r.Host = "evil.example" },
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.providers.pages+"/pay", strings.NewReader("order=order_1"))
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		change(req)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.GreaterOrEqual(t, resp.StatusCode, 400, name)
		require.Empty(t, s.problems.take(), name)
	}
}

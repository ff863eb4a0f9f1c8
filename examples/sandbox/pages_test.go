package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/meet/googlemeet"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/smtp"
	"github.com/telemed-go/telemed/notify/template"
	"github.com/telemed-go/telemed/notify/whatsapp"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/razorpay"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/zoom"
	"github.com/telemed-go/telemed/zoom/zoomtest"
)

// clinic is an application that was started with the sandbox's variables.
type clinic struct {
	gateway *razorpay.Client
	mail    *smtp.Client
	chat    *whatsapp.Client
	google  *googlemeet.Client
	zoom    *zoom.Client
	tokens  *store.Memory
	heard   chan string // what webhooks told

	chatConfig whatsapp.Config
	zoomConfig zoom.Config
}

// newClinic starts the application first, so that the sandbox knows where it is.
func newClinic(t *testing.T) (*clinic, *pages) {
	t.Helper()
	c := &clinic{heard: make(chan string, 1000)}
	mux := http.NewServeMux()
	application := httptest.NewServer(mux)
	t.Cleanup(application.Close)
	p, err := start("127.0.0.1:0", application.URL+"/api/", "", "")
	require.NoError(t, err)
	t.Cleanup(p.close)
	s, err := servePages(p, lookup(nil))
	require.NoError(t, err)
	t.Cleanup(s.close)

	getenv := lookup(merge(nil, p.variables(lookup(nil))))
	words, err := template.New(template.Config{Clinic: "City Clinic", Zone: time.UTC})
	require.NoError(t, err)
	c.connect(t, getenv, words)
	c.receive(t, mux)
	return c, s
}

func (c *clinic) connect(t *testing.T, getenv func(string) string, words notify.Renderer) {
	t.Helper()
	var err error
	c.gateway, err = razorpay.New(razorpay.FromEnv(getenv))
	require.NoError(t, err)
	mail := smtp.FromEnv(getenv)
	mail.Renderer = words
	c.mail, err = smtp.New(mail)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.mail.Shutdown(context.WithoutCancel(t.Context()))) })
	c.chatConfig = whatsapp.FromEnv(getenv)
	c.chatConfig.Renderer = words
	c.chat, err = whatsapp.New(c.chatConfig)
	require.NoError(t, err)

	c.tokens = store.NewMemory()
	c.google, err = googlemeet.New(googlemeet.FromEnv(getenv, c.tokens))
	require.NoError(t, err)
	c.zoomConfig = zoom.FromEnv(getenv, c.tokens)
	c.zoom, err = zoom.New(c.zoomConfig)
	require.NoError(t, err)
	for _, client := range []interface{ Shutdown(context.Context) error }{c.google, c.zoom} {
		t.Cleanup(func() { require.NoError(t, client.Shutdown(context.WithoutCancel(t.Context()))) })
	}
	_, err = store.KeyringFromEnv(getenv, "CLINIC_KEY")
	require.NoError(t, err)
}

func (c *clinic) receive(t *testing.T, mux *http.ServeMux) {
	t.Helper()
	paid, err := payments.NewWebhook(payments.WebhookConfig{Parser: c.gateway, Handle: func(_ context.Context, e payments.Event) error {
		c.heard <- "razorpay " + e.Type
		return nil
	}})
	require.NoError(t, err)
	said, err := whatsapp.NewWebhook(whatsapp.WebhookConfig{
		Secrets: c.chatConfig.WebhookSecrets, VerifyToken: c.chatConfig.VerifyToken,
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
		Secrets: c.zoomConfig.WebhookSecrets,
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

// press sends a form of the page as a browser does, and returns the page that comes then.
func press(t *testing.T, s *pages, path string, form url.Values) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.providers.pages+path, strings.NewReader(form.Encode()))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "text/html,*/*;q=0.8")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode)
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

	shown = press(t, s, "/control/payments", url.Values{"order": {first.ID}, "scenario": {"upi"}})
	c.hears(t, "razorpay payment.authorized", "razorpay payment.captured", "razorpay order.paid")
	require.NotContains(t, shown, "value=\"upi\"", "nothing is due")
	require.Contains(t, press(t, s, "/control/payments", url.Values{"order": {first.ID}, "scenario": {"upi"}}), "Order already paid")
	require.NotContains(t, page(t, s.providers.pages), "Order already paid", "a problem is shown once")
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
	mail := page(t, s.providers.pages+"/mail/1/html")
	require.Contains(t, mail, "https://meet.example/abc")
	for _, none := range []string{"0", "2", "-1", "x", "1/nonsense", "1/file/9", "1/file/x", "2/html"} {
		resp, err := http.Get(s.providers.pages + "/mail/" + none)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusNotFound, resp.StatusCode)
	}
	press(t, s, "/control/chats/reply", url.Values{"phone": {"+919876543210"}, "text": {"STOP"}})
	c.hears(t, "whatsapp text STOP")
}

// TestConsents: a doctor connects both accounts at the addresses that the variables name,
// and makes meetings. Zoom's is gone once the app is removed there.
func TestConsents(t *testing.T) {
	t.Parallel()
	c, s := newClinic(t)
	c.connectDoctors(t, s)
	press(t, s, "/control/consents/revoke", url.Values{"account": {zoomtest.DefaultUser().ID}})
	c.hears(t, "zoom app_deauthorized")
	_, err := c.zoom.Create(t.Context(), "dr-rao", meet.Request{Key: "appt-2", Start: time.Now().Add(time.Hour), Duration: time.Hour})
	require.Error(t, err)
}

// TestStrangersPages: no page of somebody else's presses the buttons or reads the pages.
func TestStrangersPages(t *testing.T) {
	t.Parallel()
	_, s := newClinic(t)
	for name, change := range map[string]func(*http.Request){
		"another site":      func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
		"a name of its own": func(r *http.Request) { r.Host = "evil.example" },
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.providers.pages+"/control/payments", strings.NewReader("order=order_1"))
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		change(req)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.GreaterOrEqual(t, resp.StatusCode, 400, name)
		require.Empty(t, s.notes.take(), name)
	}
}

func sourceOf(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	require.NoError(t, err)
	return string(data)
}

// TestMeetingRoom: a patient who comes first waits for the doctor, one who comes later waits
// for being admitted. The application hears it as Zoom tells it.
func TestMeetingRoom(t *testing.T) {
	t.Parallel()
	c, s := newClinic(t)
	c.connectDoctors(t, s)
	meetings := s.world().meetings()
	require.Len(t, meetings, 2)
	press(t, s, "/control/clock", url.Values{"advance": {"24h"}}) // an application's clock stands
	room := meetings[1].ID
	for _, step := range []struct{ action, name, told, shown string }{
		{"admit", "Asha", "", "cannot be now"},
		{"wait", "Asha", "meeting.participant_jbh_waiting", "Asha waits"},
		{"wait", "Asha", "", "is there already"},
		{"start", "", "meeting.started", "started"},
		{"admit", "Asha", "meeting.participant_admitted meeting.participant_joined", "Asha is inside"},
		{"wait", "Ravi", "meeting.participant_joined_waiting_room", "Ravi waits"},
		{"leave", "Ravi", "meeting.participant_left_waiting_room", "Asha is inside"},
		{"leave", "Asha", "meeting.participant_left", "started"},
		{"end", "", "meeting.ended", "scheduled"},
		{"delete", "", "meeting.deleted", "deleted"},
		{"start", "", "", "it was deleted"},
	} {
		shown := press(t, s, "/control/meetings", url.Values{"meeting": {room}, "action": {step.action}, "name": {step.name}})
		require.Contains(t, shown, step.shown, step)
		var want []string
		for event := range strings.FieldsSeq(step.told) {
			want = append(want, "zoom "+event)
		}
		c.hears(t, want...)
	}
	press(t, s, "/control/meetings", url.Values{"meeting": {meetings[0].ID}, "action": {"delete"}})
	require.Equal(t, "deleted", s.world().meetings()[0].Status)
}

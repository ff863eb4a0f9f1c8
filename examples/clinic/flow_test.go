package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/meet/googlemeet/googlemeettest"
	"github.com/telemed-go/telemed/notify/smtp/smtptest"
	"github.com/telemed-go/telemed/notify/whatsapp/whatsapptest"
	"github.com/telemed-go/telemed/payments/razorpay/razorpaytest"
	"github.com/telemed-go/telemed/realtime/realtimetest"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/zoom/zoomtest"
)

// databaseEnv has the flow's clinic keep its rows in PostgreSQL, if main.go has that line.
const databaseEnv = "DATABASE_URL"

// providers are all five, at the clinic's address.
type providers struct {
	base     string
	key      string
	google   *googlemeettest.Server
	zoom     *zoomtest.Server
	razorpay *razorpaytest.Server
	mail     *smtptest.Server
	whatsapp *whatsapptest.Server
}

func startProviders(t *testing.T, base string) *providers {
	t.Helper()
	return &providers{
		base: base, key: store.NewKey().Reveal(),
		google:   googlemeettest.NewServer(t),
		zoom:     zoomtest.NewServer(t),
		razorpay: razorpaytest.NewServer(t, razorpaytest.Config{WebhookURL: base + "/api/payments/webhook"}),
		mail:     smtptest.NewServer(t, smtptest.Config{Username: "care", Password: "mail-password"}),
		whatsapp: whatsapptest.NewServer(t, whatsapptest.Config{WebhookURL: base + "/api/whatsapp", Statuses: []string{"sent", "delivered"}}),
	}
}

// environ is what the clinic reads.
func (p *providers) environ() map[string]string {
	host, port, _ := net.SplitHostPort(p.mail.Addr())
	return map[string]string{
		"LISTEN": strings.TrimPrefix(p.base, "http://"), "FRONTEND_URL": p.base, "CLINIC_KEY": p.key, databaseEnv: os.Getenv(databaseEnv),
		"GOOGLE_CLIENT_ID": p.google.ClientID(), "GOOGLE_CLIENT_SECRET": p.google.ClientSecret().Reveal(),
		"GOOGLE_REDIRECT_URI": p.base + "/api/auth/google/doctor/callback", "GOOGLE_BASE_URL": p.google.URL(),
		"ZOOM_CLIENT_ID": p.zoom.ClientID(), "ZOOM_CLIENT_SECRET": p.zoom.ClientSecret().Reveal(),
		"ZOOM_REDIRECT_URI": p.base + "/api/auth/zoom/doctor/callback", "ZOOM_BASE_URL": p.zoom.URL(),
		"RAZORPAY_KEY_ID": p.razorpay.KeyID(), "RAZORPAY_KEY_SECRET": p.razorpay.KeySecret().Reveal(),
		"RAZORPAY_WEBHOOK_SECRET": p.razorpay.WebhookSecret().Reveal(), "RAZORPAY_BASE_URL": p.razorpay.URL(),
		"EMAIL_HOST": host, "EMAIL_PORT": port, "EMAIL_USER": "care", "EMAIL_PASS": "mail-password",
		"EMAIL_FROM": "Lotus Clinic <care@lotus.example>", "EMAIL_TLS_CA": string(p.mail.Certificate()),
		"WHATSAPP_PHONE_NUMBER_ID": p.whatsapp.PhoneNumberID(), "WHATSAPP_ACCESS_TOKEN": p.whatsapp.Token().Reveal(),
		"WHATSAPP_APP_SECRET": p.whatsapp.AppSecret().Reveal(), "WHATSAPP_BASE_URL": p.whatsapp.URL(),
	}
}

// clinic is one that runs, with a browser before it.
type clinic struct {
	*testing.T
	*providers
	process *process
	browser *http.Client
}

func openClinic(t *testing.T) *clinic {
	t.Helper()
	c := &clinic{T: t, providers: startProviders(t, "http://"+freePort(t))}
	c.process = newProcess(t, list(c.environ())...)
	require.NoError(t, c.process.Start())
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	c.browser = &http.Client{Jar: jar, Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	c.until("it answers", func() bool {
		resp, err := c.browser.Get(c.base)
		return err == nil && resp.Body.Close() == nil
	})
	return c
}

// until waits for a condition.
func (c *clinic) until(what string, holds func() bool) {
	c.Helper()
	for end := time.Now().Add(30 * time.Second); !holds(); time.Sleep(20 * time.Millisecond) {
		require.True(c, time.Now().Before(end), "never: %s\n%s", what, &c.process.stderr)
	}
}

// reply is what the clinic answered.
type reply struct {
	status   int
	location string
	body     []byte
}

// ask sends a request as whoever the proxy says is logged in.
func (c *clinic) ask(method, address, user string, form url.Values, header ...string) reply {
	c.Helper()
	req, err := http.NewRequestWithContext(c.Context(), method, address, strings.NewReader(form.Encode()))
	require.NoError(c, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if user != "" {
		req.Header.Set("X-Forwarded-User", user)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := c.browser.Do(req)
	require.NoError(c, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(c, err)
	return reply{resp.StatusCode, resp.Header.Get("Location"), body}
}

// page is what a patient's page gets.
type page struct {
	ID, Status string
	Start      time.Time
	JoinURL    string `json:"join_url"`
	Refund     struct{ Status string }
	Checkout   struct {
		OrderID string `json:"order_id"`
	}
	Fields []struct{ Field string }
}

// appointment asks for a page, which must have this status.
func (c *clinic) appointment(want int, method, id, user string, form url.Values, header ...string) (p page) {
	c.Helper()
	got := c.ask(method, c.base+"/api/appointments/"+id, user, form, header...)
	require.Equal(c, want, got.status, "%s", got.body)
	require.NoError(c, json.Unmarshal(got.body, &p))
	return p
}

// shows waits until a patient's page shows something.
func (c *clinic) shows(id, user string, shown func(p page) bool) {
	c.Helper()
	c.until("page of "+id, func() bool { return shown(c.appointment(http.StatusOK, http.MethodGet, id, user, nil)) })
}

// begin is a morning in a few days, an hour later for each n.
func begin(n int) time.Time {
	return time.Now().UTC().Truncate(24 * time.Hour).Add(time.Duration(4*24+n) * time.Hour)
}

func booking(provider string, start time.Time) url.Values {
	return url.Values{
		"doctor": {"dr-rao"}, "provider": {provider}, "start": {start.Format(time.RFC3339)}, "name": {"Asha Verma"}, "zone": {"Asia/Kolkata"},
	}
}

// connects has the doctor connect an account.
func (c *clinic) connects(provider string, authorize func(string) (string, error)) {
	c.Helper()
	asked := c.ask(http.MethodGet, c.base+"/api/auth/"+provider+"/doctor/connect", "dr-rao", nil)
	callback, err := authorize(asked.location)
	require.NoError(c, err)
	end := c.ask(http.MethodGet, callback, "dr-rao", nil)
	require.Equal(c, c.base+"/doctor/settings/integration?provider="+provider+"&success=true", end.location, "%s", end.body)
}

var hidden = regexp.MustCompile(`name="([^"]*)" value="([^"]*)"`)

// pays is a patient's browser on the checkout page, which comes back to the clinic.
func (c *clinic) pays(orderID string) reply {
	c.Helper()
	back := c.base + "/api/payments/callback"
	checkout := c.ask(http.MethodGet, c.razorpay.CheckoutURL(orderID, back), "", nil)
	require.Equal(c, http.StatusOK, checkout.status)
	paid := c.ask(http.MethodPost, c.razorpay.URL()+"/checkout", "", url.Values{"order_id": {orderID}, "callback_url": {back}, "outcome": {"pay"}})
	form := url.Values{}
	for _, field := range hidden.FindAllSubmatch(paid.body, -1) {
		form.Set(string(field[1]), string(field[2]))
	}
	return c.ask(http.MethodPost, back, "", form)
}

// desk logs the receptionist in who sees the dashboard.
func (c *clinic) desk() *realtimetest.Client {
	c.Helper()
	driver, dsn := "sqlite3", "file:"+c.process.Dir+"/clinic.db?_pragma=busy_timeout(10000)"
	if address := os.Getenv(databaseEnv); address != "" {
		driver, dsn = "pgx", address
	}
	db, err := sql.Open(driver, dsn)
	require.NoError(c, err)
	_, err = db.ExecContext(c.Context(), `INSERT INTO staff (login, room) VALUES ('desk', 'clinic-lotus')`)
	require.NoError(c, err)
	require.NoError(c, db.Close())
	stranger := c.dial("somebody")
	answer, err := stranger.EmitAck(c.Context(), "join-clinic", "lotus")
	require.NoError(c, err)
	require.NotContains(c, string(answer), `"ok":true`)
	desk := c.dial("desk")
	answer, err = desk.EmitAck(c.Context(), "join-clinic", "lotus")
	require.NoError(c, err)
	require.Contains(c, string(answer), `"ok":true`)
	return desk
}

func (c *clinic) dial(login string) *realtimetest.Client {
	c.Helper()
	client, err := realtimetest.Dial(c.Context(), c.base, realtimetest.Options{Header: http.Header{"X-Forwarded-User": {login}}})
	require.NoError(c, err)
	c.Cleanup(func() { _ = client.Close() })
	return client
}

// TestFlow is all that the clinic does, from the doctor's consent to the money back.
func TestFlow(t *testing.T) {
	t.Parallel()
	c := openClinic(t)
	c.connects("google", c.google.Authorize)
	c.connects("zoom", c.zoom.Authorize)
	desk := c.desk()
	c.refuses()

	byMail, byChat := booking("google", begin(0)), booking("zoom", begin(1))
	byMail.Set("email", "asha@example.org")
	byChat.Set("phone", "+919876543210")
	asha := c.appointment(http.StatusOK, http.MethodPut, "a-1", "asha", byMail)
	require.Equal(t, "reserved", asha.Status)
	again := c.appointment(http.StatusOK, http.MethodPut, "a-1", "asha", byMail)
	require.Equal(t, asha.Checkout.OrderID, again.Checkout.OrderID)
	c.appointment(http.StatusNotFound, http.MethodPut, "a-1", "ravi", byMail)
	c.appointment(http.StatusNotFound, http.MethodGet, "a-1", "ravi", nil)
	c.appointment(http.StatusNotFound, http.MethodPatch, "a-1", "ravi", byMail)
	c.appointment(http.StatusNotFound, http.MethodDelete, "a-1", "ravi", nil)
	c.appointment(http.StatusConflict, http.MethodPut, "a-2", "ravi", byMail)
	ravi := c.appointment(http.StatusOK, http.MethodPut, "a-2", "ravi", byChat)

	end := c.pays(asha.Checkout.OrderID)
	require.Equal(t, http.StatusSeeOther, end.status, "%s", end.body)
	require.Equal(t, c.base+"/visits?status=booked&visit=a-1", end.location)
	require.Equal(t, http.StatusSeeOther, c.pays(ravi.Checkout.OrderID).status)
	require.Equal(t, []string{"a-1", "a-2"}, c.razorpay.Receipts())
	c.shows("a-1", "asha", func(p page) bool { return p.JoinURL != "" && p.Checkout.OrderID == "" })
	c.shows("a-2", "ravi", func(p page) bool { return p.JoinURL != "" })
	require.Len(t, c.google.Events(), 1)
	require.Len(t, c.zoom.Meetings(), 1)
	c.sees(desk, "new-appointment", "a-1", "a-2")
	c.moves()
	c.cancels()
	c.sees(desk, "appointment-changed", "a-1", "a-2")
	c.tells()
	c.ends()
}

// refuses checks what is not booked.
func (c *clinic) refuses() {
	c.Helper()
	good := booking("google", begin(0))
	good.Set("email", "asha@example.org")
	c.appointment(http.StatusUnauthorized, http.MethodPut, "a-1", "", good)
	c.appointment(http.StatusForbidden, http.MethodPut, "a-1", "asha", good, "Sec-Fetch-Site", "cross-site")
	c.appointment(http.StatusNotFound, http.MethodGet, "a-1", "asha", nil)
	c.appointment(http.StatusNotFound, http.MethodDelete, "a-1", "asha", nil)
	for field, bad := range map[string]string{"start": "tomorrow", "zone": "Mars", "doctor": "dr-who", "provider": "teams", "email": "nobody"} {
		form := booking("google", begin(0))
		form.Set("email", "asha@example.org")
		form.Set(field, bad)
		refused := c.appointment(http.StatusBadRequest, http.MethodPut, "a-1", "asha", form)
		require.NotEmpty(c, refused.Fields)
		require.Contains(c, strings.ToLower(refused.Fields[0].Field), field)
	}
	// Neither the clinic's row nor a visit is left of these.
	c.appointment(http.StatusNotFound, http.MethodGet, "a-1", "asha", nil)
}

// moves has a visit take place a day later.
func (c *clinic) moves() {
	c.Helper()
	later := begin(24)
	c.appointment(http.StatusOK, http.MethodPatch, "a-1", "asha", url.Values{"start": {later.Format(time.RFC3339)}})
	c.shows("a-1", "asha", func(p page) bool { return p.Start.Equal(later) && p.JoinURL != "" })
	require.True(c, c.google.Events()[0].Start.Equal(later))
}

// cancels has a visit not take place, and the money come back.
func (c *clinic) cancels() {
	c.Helper()
	c.appointment(http.StatusOK, http.MethodDelete, "a-2", "ravi", nil)
	c.shows("a-2", "ravi", func(p page) bool { return p.Status == "cancelled" && p.Refund.Status == "processed" })
	c.until("the meeting is deleted", func() bool { return c.zoom.Meetings()[0].Deleted })
	c.appointment(http.StatusConflict, http.MethodPatch, "a-2", "ravi", url.Values{"start": {begin(9).Format(time.RFC3339)}})
}

// sees waits until the dashboard has an event about each of some visits.
func (c *clinic) sees(desk *realtimetest.Client, name string, visits ...string) {
	c.Helper()
	missing := map[string]bool{}
	for _, id := range visits {
		missing[id] = true
	}
	ctx, cancel := context.WithTimeout(c.Context(), 20*time.Second)
	defer cancel()
	for len(missing) > 0 {
		e, err := desk.Next(ctx)
		require.NoError(c, err, "%s %v", name, missing)
		var about struct{ ID string }
		require.NoError(c, json.Unmarshal(e.Data, &about))
		if e.Name == name {
			delete(missing, about.ID)
		}
	}
}

// tells waits until patients have read what they must, and webhooks were taken.
func (c *clinic) tells() {
	c.Helper()
	ctx, cancel := context.WithTimeout(c.Context(), 20*time.Second)
	defer cancel()
	_, err := c.mail.WaitFor(ctx, func(m smtptest.Message) bool { return strings.Contains(m.Text, c.google.Events()[0].JoinURL) })
	require.NoError(c, err, "%s", &c.process.stderr)
	for _, template := range []string{"payment_receipt", "appointment_cancelled"} {
		_, err := c.whatsapp.WaitFor(ctx, func(m whatsapptest.Message) bool { return m.Template == template })
		require.NoError(c, err, "%s", &c.process.stderr)
	}
	require.NoError(c, c.razorpay.WaitWebhooks(ctx))
	require.NoError(c, c.whatsapp.WaitWebhooks(ctx))
	for _, d := range c.razorpay.Deliveries() {
		require.Equal(c, http.StatusOK, d.Status)
	}
	require.NotEmpty(c, c.whatsapp.Deliveries())
	for _, d := range c.whatsapp.Deliveries() {
		require.Equal(c, http.StatusOK, d.Status)
	}
}

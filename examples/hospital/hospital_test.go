package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/internal/leaktest"
	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/payments/razorpay/razorpaytest"
	"github.com/telemed-go/telemed/store"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// start opens a hospital whose doctor is connected to both providers.
func start(t *testing.T) *walk {
	t.Helper()
	s, err := open("127.0.0.1:0", store.NewMemory(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	w := &walk{ctx: t.Context(), out: io.Discard, site: s, staff: newBrowser(s.base), patient: newBrowser(s.base), who: asha}
	t.Cleanup(func() { require.NoError(t, w.close()) })
	for provider, authorize := range map[string]func(string) (string, error){"google": s.world.google.Authorize, "zoom": s.world.zoom.Authorize} {
		_, err := w.connect(provider, authorize)
		require.NoError(t, err)
	}
	return w
}

// booked returns a visit that is paid for.
func booked(t *testing.T, provider string) *walk {
	t.Helper()
	w := start(t)
	_, err := w.book(provider, "en")
	require.NoError(t, err)
	_, err = w.pay()
	require.NoError(t, err)
	return w
}

func TestCheck(t *testing.T) {
	var out strings.Builder
	require.NoError(t, runCheck(t.Context(), &out, slog.New(slog.DiscardHandler)))
	require.Contains(t, out.String(), "all 21 steps are as they should be")
}

// syncBuffer takes the logs of many goroutines.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// Everything that is logged during a whole visit, at any level and by anybody, and everything that
// meeting and payment providers are sent, is searched for what is marked.
func TestCanary(t *testing.T) {
	var logs syncBuffer
	logger := slog.New(slog.NewTextHandler(&logs, &slog.HandlerOptions{Level: slog.LevelDebug - 100, AddSource: true}))
	oldDefault, oldOutput := slog.Default(), log.Writer()
	slog.SetDefault(logger)
	log.SetOutput(&logs)
	t.Cleanup(func() { slog.SetDefault(oldDefault); log.SetOutput(oldOutput) })

	tokens := store.NewMemory()
	s, err := open("127.0.0.1:0", tokens, logger)
	require.NoError(t, err)
	who := visitor{Name: "Canary Patientname", Email: "canary.mail@example.org", Phone: "+919999912345"}
	w := &walk{ctx: t.Context(), out: io.Discard, site: s, staff: newBrowser(s.base), patient: newBrowser(s.base), who: who}

	marked := []string{"Canary", "Patientname", "canary.mail", "9999912345", "mail-password",
		s.world.google.ClientSecret().Reveal(), s.world.zoom.ClientSecret().Reveal(), s.world.razorpay.KeySecret().Reveal(),
		s.world.razorpay.WebhookSecret().Reveal(), s.world.whatsapp.Token().Reveal()}
	for provider, authorize := range map[string]func(string) (string, error){"google": s.world.google.Authorize, "zoom": s.world.zoom.Authorize} {
		_, err := w.connect(provider, authorize)
		require.NoError(t, err)
	}
	for rec, err := range tokens.List(t.Context(), store.Filter{}) {
		require.NoError(t, err)
		marked = append(marked, rec.Token.Access.Reveal(), rec.Token.Refresh.Reveal())
	}
	marked = append(marked, strings.TrimPrefix(w.staff.cookies(), sessionCookie+"="))
	require.NoError(t, w.run())
	for _, visit := range s.visits.all() {
		marked = append(marked, visit.JoinURL)
	}

	var sent strings.Builder
	for _, request := range s.world.google.Requests() {
		fmt.Fprintf(&sent, "%+v\n", request)
	}
	for _, request := range s.world.zoom.Requests() {
		fmt.Fprintf(&sent, "%+v\n", request)
	}
	for _, request := range s.world.razorpay.Requests() {
		fmt.Fprintf(&sent, "%+v\n", request)
	}
	require.NoError(t, w.close())

	require.Greater(t, logs.buf.Len(), 500, "there must be logs to search")
	require.Greater(t, sent.Len(), 2000, "there must be requests to search")
	for i, secret := range marked {
		require.GreaterOrEqual(t, len(secret), 6, "mark %d", i)
		require.NotContains(t, logs.String(), secret, "mark %d is in the logs", i)
	}
	for _, personal := range marked[:4] {
		require.NotContains(t, sent.String(), personal, "a meeting or payment provider was told")
	}
}

func TestBadInputAtEachDoor(t *testing.T) {
	w := start(t)
	form := func(change ...string) url.Values {
		values := w.form("google", "en")
		for i := 0; i < len(change); i += 2 {
			values.Set(change[i], change[i+1])
		}
		return values
	}
	tests := map[string]struct {
		path string
		form url.Values
		code int
		text string
	}{
		"no name":            {"/book", form("name", " "), 400, "is required"},
		"long name":          {"/book", form("name", strings.Repeat("n", 81)), 400, "at most 80"},
		"name of two lines":  {"/book", form("name", "a\r\nBcc: x@y.org"), 400, "one line"},
		"named address":      {"/book", form("email", "A <a@b.org>"), 400, "must be an address"},
		"two addresses":      {"/book", form("email", "a@b.org,c@d.org"), 400, "must be an address"},
		"national number":    {"/book", form("phone", "09876543210"), 400, "plus sign"},
		"unknown zone":       {"/book", form("zone", "Mars/Olympus"), 400, "must be a time zone"},
		"zone of the server": {"/book", form("zone", "Local"), 400, "must be a time zone"},
		"zone as a path":     {"/book", form("zone", "../../etc/passwd"), 400, "must be a time zone"},
		"past":               {"/book", form("start", "2001-01-01T10:00"), 400, "is in the past"},
		"far future":         {"/book", form("start", "2199-01-01T10:00"), 400, "more than a year"},
		"garbage date":       {"/book", form("start", "soon"), 400, "must be a date"},
		"unknown provider":   {"/book", form("provider", "skype"), 400, "must be google or zoom"},
		"empty":              {"/book", nil, 400, "is required"},
		"oversized":          {"/book", form("name", strings.Repeat("n", 70000)), 413, "65536 bytes"},
		"garbage payment":    {"/payments/callback", url.Values{"a": {"b"}}, 400, ""},
		"empty payment":      {"/payments/callback", nil, 400, ""},
		"strange order": {"/payments/callback", url.Values{"razorpay_order_id": {"order_AAAAAAAAAAAAAA"}, "razorpay_payment_id": {"pay_AAAAAAAAAAAAAA"},
			"razorpay_signature": {strings.Repeat("0", 64)}}, 404, "no such visit"},
		"no such visit":          {"/visits/visit-guess/cancel", nil, 404, "no such visit"},
		"no such visit to move":  {"/visits/visit-guess/reschedule", url.Values{"start": {"2030-01-01T10:00"}}, 404, "no such visit"},
		"unsigned webhook":       {"/webhooks/razorpay", nil, 401, ""},
		"path climbing":          {"/visits/..%2f..%2fetc/cancel", nil, 404, "no such visit"},
		"a doctor without login": {"/api/auth/zoom/doctor/disconnect", nil, 401, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := w.patient.post(test.path, test.form)
			require.NoError(t, err)
			require.Equal(t, test.code, got.code, got.body)
			require.Contains(t, got.body, test.text)
		})
	}
	require.Empty(t, w.site.visits.all())
	require.Empty(t, w.site.world.mail.Messages())
	require.Empty(t, w.site.world.google.Events())
	require.Zero(t, w.site.world.razorpay.Count("POST /v1/orders"))
}

func TestOtherSitesMayNotPost(t *testing.T) {
	w := booked(t, "zoom")
	for _, path := range []string{"/book", "/logout", w.visit + "/cancel", "/api/auth/zoom/doctor/disconnect"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.site.base+path, nil)
		require.NoError(t, err)
		req.Header.Set("Origin", "https://evil.example")
		req.Header.Set("Cookie", w.staff.cookies())
		resp, err := w.patient.client.Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusForbidden, resp.StatusCode, path)
	}
	require.Equal(t, confirmed, w.row().Status)
}

// The browser never comes back after paying: the webhook alone books the visit.
func TestTheWebhookAloneConfirms(t *testing.T) {
	w := start(t)
	_, err := w.book("zoom", "en")
	require.NoError(t, err)
	_, err = w.outcome("pay")
	require.NoError(t, err)
	require.NoError(t, w.site.world.razorpay.WaitWebhooks(t.Context()))
	require.Equal(t, confirmed, w.row().Status)
	require.Len(t, w.site.world.zoom.Meetings(), 1)
	require.Len(t, w.site.mails(w.row()), 2)
}

// Browser and webhooks tell of the same payment at the same time, several times.
func TestEverythingAtOnceIsDoneOnce(t *testing.T) {
	w := start(t)
	_, err := w.book("google", "en")
	require.NoError(t, err)
	result, err := w.outcome("pay")
	require.NoError(t, err)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			_, err := w.patient.post("/payments/callback", result)
			require.NoError(t, err)
		})
	}
	wg.Wait()
	require.NoError(t, w.site.world.razorpay.WaitWebhooks(t.Context()))
	require.Equal(t, confirmed, w.row().Status)
	require.Len(t, w.site.world.google.Events(), 1)
	require.Len(t, w.site.world.mail.Messages(), 2)
	require.Len(t, w.site.world.whatsapp.Messages(), 2)
}

// The meeting provider is down when the payment arrives: the money is not lost, and the visit is completed later.
func TestAMeetingThatCannotBeMadeYet(t *testing.T) {
	w := start(t)
	w.site.world.razorpay.HoldWebhooks()
	failing := meetingsDown{w.site.meetings["zoom"], new(int)}
	*failing.left = 1
	w.site.meetings["zoom"] = failing
	_, err := w.book("zoom", "en")
	require.NoError(t, err)
	result, err := w.outcome("pay")
	require.NoError(t, err)
	_, err = w.site.callback(t, w, result)
	require.NoError(t, err)
	page, err := w.patient.get(w.visit) // completes it
	require.NoError(t, err)
	require.Equal(t, string(confirmed), page.status())
	require.Len(t, w.site.world.zoom.Meetings(), 1)
	require.Len(t, w.site.mails(w.row()), 2)
}

// callback posts the outcome without following the redirect to the visit's page.
func (s *site) callback(t *testing.T, w *walk, result url.Values) (int, error) {
	t.Helper()
	client := *w.patient.client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.PostForm(s.base+"/payments/callback", result)
	if err != nil {
		return 0, err
	}
	require.Equal(t, paid, w.row().Status)
	return resp.StatusCode, resp.Body.Close()
}

type meetingsDown struct {
	meet.MeetingProvider
	left *int
}

func (m meetingsDown) Create(ctx context.Context, hostID string, req meet.Request) (*meet.Meeting, error) {
	if *m.left > 0 {
		*m.left--
		return nil, meet.ErrUnavailable
	}
	return m.MeetingProvider.Create(ctx, hostID, req)
}

// A mail server that is down does not keep the visit from taking place.
func TestMailIsSentLater(t *testing.T) {
	w := start(t)
	w.site.world.razorpay.HoldWebhooks()
	_, err := w.book("zoom", "en")
	require.NoError(t, err)
	w.site.world.mail.RejectRecipient(w.who.Email)
	_, err = w.pay()
	require.NoError(t, err)
	require.Equal(t, confirmed, w.row().Status)
	require.Empty(t, w.site.mails(w.row()))
	require.Len(t, w.site.chats(w.row()), 2, "the other channel is not held up")
}

// A patient cancels, and pays all the same on a page that was left open.
func TestPaymentAfterCancelIsGivenBack(t *testing.T) {
	w := start(t)
	_, err := w.book("zoom", "en")
	require.NoError(t, err)
	_, err = w.patient.post(w.visit+"/cancel", nil)
	require.NoError(t, err)
	result, err := w.outcome("pay")
	require.NoError(t, err)
	_, err = w.patient.post("/payments/callback", result)
	require.NoError(t, err)
	require.NoError(t, w.site.world.razorpay.WaitWebhooks(t.Context()))
	payment, err := w.site.gateway.Payment(t.Context(), result.Get("razorpay_payment_id"))
	require.NoError(t, err)
	require.Equal(t, payment.Amount, payment.Refunded)
	require.Equal(t, cancelled, w.row().Status)
	require.Empty(t, w.site.world.zoom.Meetings())
}

// The refund's answer is lost: cancelling again finishes the work and gives the money back once.
func TestCancelGoesOnAfterALostAnswer(t *testing.T) {
	w := booked(t, "google")
	faults := razorpaytest.LostAnswer().On("POST /v1/payments/*/refund").Repeat(3)
	w.site.world.razorpay.Fail(faults)
	page, err := w.patient.post(w.visit+"/cancel", nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusBadGateway, page.code)
	require.Equal(t, confirmed, w.row().Status)

	page, err = w.patient.post(w.visit+"/cancel", nil)
	require.NoError(t, err)
	require.Equal(t, string(cancelled), page.status())
	payment, err := w.site.gateway.Payment(t.Context(), w.row().PaymentID)
	require.NoError(t, err)
	require.Equal(t, w.row().Amount, payment.Refunded)
}

func TestMoveToABadTime(t *testing.T) {
	w := booked(t, "zoom")
	before := w.row()
	for _, start := range []string{"", "soon", "2001-01-01T10:00", "2199-01-01T10:00"} {
		page, err := w.patient.post(w.visit+"/reschedule", url.Values{"start": {start}})
		require.NoError(t, err)
		require.Equal(t, http.StatusBadRequest, page.code, start)
		require.Contains(t, page.body, "start ")
	}
	require.Equal(t, before.Start, w.row().Start)
	require.Len(t, w.site.mails(w.row()), 2)
}

func TestListen(t *testing.T) {
	for _, addr := range []string{"0.0.0.0:3001", ":3001", "example.org:3001", "127.0.0.1", "192.0.2.1:3001"} {
		_, err := listen(addr)
		require.ErrorContains(t, err, "loopback", addr)
	}
	first, err := listen("127.0.0.1:0")
	require.NoError(t, err)
	defer first.Close()
	_, err = listen(first.Addr().String())
	require.ErrorContains(t, err, "another port can be had")
}

func TestServe(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	out, in := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- serve(ctx, in, "127.0.0.1:0", "", slog.New(slog.DiscardHandler)) }()
	line := make([]byte, 200)
	n, err := out.Read(line)
	require.NoError(t, err)
	require.Contains(t, string(line[:n]), "The hospital is open: http://127.0.0.1:")
	cancel()
	require.NoError(t, <-done)
}

// The doctor connects; the process ends; the next one makes a meeting without asking again.
func TestConnectionsOutliveARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens.db")
	for run := range 2 {
		tokens, closeTokens, err := openTokens(t.Context(), path)
		require.NoError(t, err)
		s, err := open("127.0.0.1:0", tokens, slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		w := &walk{ctx: t.Context(), out: io.Discard, site: s, staff: newBrowser(s.base), patient: newBrowser(s.base), who: asha}
		if run == 0 {
			for provider, authorize := range map[string]func(string) (string, error){"google": s.world.google.Authorize, "zoom": s.world.zoom.Authorize} {
				_, err := w.connect(provider, authorize)
				require.NoError(t, err)
			}
		} else {
			s.world.zoom.ExpireTokens() // it was a long night
			for _, provider := range []string{"google", "zoom"} {
				_, err := w.book(provider, "en")
				require.NoError(t, err)
				_, err = w.pay()
				require.NoError(t, err)
				_, err = w.meeting(provider)
				require.NoError(t, err)
			}
		}
		require.NoError(t, w.close())
		require.NoError(t, closeTokens())
	}
	for _, name := range []string{path, path + ".key"} {
		data, err := os.ReadFile(name)
		require.NoError(t, err)
		require.NotContains(t, string(data), "ya29.", "a token lies in clear")
	}
}

// In a real browser: needs Chromium, node and the npm package playwright-core.
func TestBrowser(t *testing.T) {
	modules := os.Getenv("TELEMED_NODE_MODULES")
	if modules == "" {
		t.Skip("TELEMED_NODE_MODULES does not name a node_modules folder with playwright-core in it")
	}
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed")
	}
	s, err := open("127.0.0.1:0", store.NewMemory(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "testdata/visit.cjs", s.base)
	cmd.Env = append(os.Environ(), "TELEMED_CHROMIUM="+chromium)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "visit complete")
}

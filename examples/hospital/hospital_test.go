package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/leaktest"
	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/notify/smtp/smtptest"
	"github.com/telemed-go/telemed/notify/template"
	"github.com/telemed-go/telemed/notify/whatsapp/whatsapptest"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/razorpay/razorpaytest"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/oauth"
	"github.com/telemed-go/telemed/zoom/zoomtest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// newWalk returns a walk through a hospital with these tokens.
func newWalk(t *testing.T, tokens keeping, log *slog.Logger) *walk {
	t.Helper()
	s, err := open("127.0.0.1:0", "", tokens, log)
	require.NoError(t, err)
	return &walk{ctx: t.Context(), out: io.Discard, site: s, staff: newBrowser(s.base), patient: newBrowser(s.base), who: asha}
}

// connectBoth connects the doctor to both providers.
func (w *walk) connectBoth(t *testing.T) {
	t.Helper()
	_, err := w.connect("google", w.site.providers.Google.Authorize)
	require.NoError(t, err)
	_, err = w.connect("zoom", w.site.providers.Zoom.Authorize)
	require.NoError(t, err)
}

// start opens a hospital whose doctor is connected to both providers.
func start(t *testing.T) *walk {
	t.Helper()
	w := newWalk(t, keeping{records: store.NewMemory()}, slog.New(slog.DiscardHandler))
	t.Cleanup(func() { require.NoError(t, w.close()) })
	w.connectBoth(t)
	return w
}

// unpaid returns a visit that is booked.
func unpaid(t *testing.T, provider string) *walk {
	t.Helper()
	w := start(t)
	_, err := w.book(provider, "en")
	require.NoError(t, err)
	return w
}

// booked returns a visit that is paid for.
func booked(t *testing.T, provider string) *walk {
	t.Helper()
	w := unpaid(t, provider)
	_, err := w.pay()
	require.NoError(t, err)
	return w
}

// payAndReturn pays, and returns the page where the patient's browser ends. The webhooks
// have told of the payment then too.
func (w *walk) payAndReturn(t *testing.T) page {
	t.Helper()
	result, err := w.outcome("pay")
	require.NoError(t, err)
	end, err := w.patient.post("/payments/callback", result)
	require.NoError(t, err)
	require.NoError(t, w.site.providers.Razorpay.WaitWebhooks(t.Context()))
	return end
}

// change sends a form of the visit's page.
func (w *walk) change(t *testing.T, action string, form url.Values) page {
	t.Helper()
	end, err := w.patient.post(w.visit+action, form)
	require.NoError(t, err)
	return end
}

func TestCheck(t *testing.T) {
	var out strings.Builder
	require.NoError(t, runCheck(t.Context(), &out, slog.New(slog.DiscardHandler)))
	require.Contains(t, out.String(), "all 22 steps are as they should be")
}

// spy notes every token that is stored.
type spy struct {
	*store.Memory
	mu   sync.Mutex
	seen []string
}

func (s *spy) Put(ctx context.Context, rec store.Record) (string, error) {
	s.mu.Lock()
	s.seen = append(s.seen, rec.Token.Access.Reveal(), rec.Token.Refresh.Reveal())
	s.mu.Unlock()
	return s.Memory.Put(ctx, rec)
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

// canary is a hospital with a marked patient. Everything that is logged from now on, at
// any level and by anybody, is kept.
func canary(t *testing.T) (w *walk, logs *syncBuffer, tokens *spy) {
	t.Helper()
	logs, tokens = &syncBuffer{}, &spy{Memory: store.NewMemory()}
	logger := slog.New(slog.NewTextHandler(logs, &slog.HandlerOptions{Level: slog.LevelDebug - 100, AddSource: true}))
	oldDefault, oldOutput := slog.Default(), log.Writer()
	slog.SetDefault(logger)
	log.SetOutput(logs)
	t.Cleanup(func() { slog.SetDefault(oldDefault); log.SetOutput(oldOutput) })
	w = newWalk(t, keeping{records: tokens}, logger)
	w.who = visitor{Name: "Canary Patientname", Email: "canary.mail@example.org", Phone: "+919999912345"}
	return w, logs, tokens
}

// personal is the marked patient.
var personal = []string{"Canary", "Patientname", "canary.mail", "9999912345"}

// secrets are what must not be logged beside the patient: credentials, tokens, sessions,
// and links that let people in.
func secrets(w *walk, tokens *spy) []string {
	providers := w.site.providers
	mail, _ := providers.MailConfig() // the server runs already
	found := append([]string{mail.Password.Reveal(), providers.Google.ClientSecret().Reveal(), providers.Zoom.ClientSecret().Reveal(),
		providers.Razorpay.KeySecret().Reveal(), providers.Razorpay.WebhookSecret().Reveal(), providers.WhatsApp.Token().Reveal()}, tokens.seen...)
	found = append(found, strings.TrimPrefix(w.staff.cookies(), sessionCookie+"="))
	for _, visit := range w.site.visits.all() {
		found = append(found, visit.Page)
	}
	for _, event := range providers.Google.Events() {
		found = append(found, event.JoinURL)
	}
	for _, m := range providers.Zoom.Meetings() {
		found = append(found, m.Password, fmt.Sprintf("/j/%d", m.ID))
	}
	return found
}

// Everything that is logged during a whole visit is searched for what is marked. So is
// everything that meeting and payment providers are sent.
func TestCanary(t *testing.T) {
	w, logs, tokens := canary(t)
	require.NoError(t, w.run())
	require.GreaterOrEqual(t, len(tokens.seen), 4, "two accounts with two tokens each")
	hidden, sent := secrets(w, tokens), toProviders(w)
	require.NoError(t, w.close())
	requireHidden(t, logs, hidden)
	for provider, text := range sent {
		require.Contains(t, text, needles[provider], "what %s was sent can be searched", provider)
		for _, mark := range personal {
			require.NotContains(t, text, mark, "%s was told", provider)
		}
	}
}

// Errors tell more than successes: the same while everything goes wrong that can.
func TestCanaryWhenThingsFail(t *testing.T) {
	w, logs, tokens := canary(t)
	providers := w.site.providers
	_, err := w.connect("zoom", providers.Zoom.Authorize)
	require.NoError(t, err)
	providers.Razorpay.FailNext(
		razorpaytest.Fault{Op: razorpaytest.OpCreateOrder, Status: 502, Body: "<html>"},
		razorpaytest.Fault{Op: razorpaytest.OpCreateRefund, Cut: true},
	)
	providers.Zoom.FailNext(zoomtest.Fault{Op: zoomtest.OpCreate, LoseAnswer: true}, zoomtest.Fault{Op: zoomtest.OpUpdate, Status: 400, Body: "<html>"})
	providers.Mail.RejectRecipient(w.who.Email)
	providers.WhatsApp.FailNext(
		whatsapptest.Refuse("", 0, 131026, "to +919876543210"), whatsapptest.Fault{LoseAnswer: true}, whatsapptest.Refuse("", 0, 100, "to +919876543210"),
	)
	page, err := w.patient.post("/book", w.form("zoom", "en"))
	require.NoError(t, err)
	require.Equal(t, http.StatusBadGateway, page.code)
	_, err = w.book("zoom", "en")
	require.NoError(t, err)
	_, err = w.forgePayment()
	require.NoError(t, err)
	result, err := w.outcome("pay")
	require.NoError(t, err)
	_, err = w.patient.post("/payments/callback", result)
	require.NoError(t, err)
	require.NoError(t, providers.Razorpay.WaitWebhooks(t.Context()))
	w.fulfills(t)
	w.change(t, "/reschedule", url.Values{"start": {w.row().Start.Add(time.Hour).Format(startLayout)}})
	_, err = w.staff.get("/api/auth/zoom/doctor/callback?" + url.Values{"code": {w.who.Name}, "state": {w.who.Name}}.Encode())
	require.NoError(t, err)
	w.change(t, "/cancel", nil)
	w.wantRefunded(t)
	hidden := append(secrets(w, tokens), result.Get("razorpay_signature"))
	require.NoError(t, w.close())
	require.Contains(t, logs.String(), "message is given up")
	require.Contains(t, logs.String(), "visit is not fulfilled yet")
	requireHidden(t, logs, hidden)
}

// requireHidden searches the logs.
func requireHidden(t *testing.T, logs *syncBuffer, secrets []string) {
	t.Helper()
	require.Greater(t, len(logs.String()), 500, "there must be logs to search")
	for i, mark := range append(secrets, personal...) {
		require.GreaterOrEqual(t, len(mark), 6, "mark %d", i)
		require.NotContains(t, logs.String(), mark, "mark %d is in the logs", i)
	}
}

// needles are in what each provider is sent if it can be read at all.
var needles = map[string]string{"google": "Video consultation", "zoom": "Video consultation", "razorpay": "visit-", "checkout": "Lotus"}

// toProviders is everything that meeting and payment providers were sent, as text.
func toProviders(w *walk) map[string]string {
	sent := map[string]string{}
	for _, request := range w.site.providers.Google.Requests() {
		sent["google"] += fmt.Sprintf("%+v\n", request)
	}
	for _, request := range w.site.providers.Zoom.Requests() {
		sent["zoom"] += fmt.Sprintf("%+v\n", request)
	}
	for _, request := range w.site.providers.Razorpay.Requests() {
		sent["razorpay"] += fmt.Sprintf("%+v\n", request)
	}
	for _, visit := range w.site.visits.all() {
		sent["checkout"] += w.site.checkoutURL(visit) + "\n"
	}
	return sent
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
		"oversized payment":  {"/payments/callback", form("name", strings.Repeat("n", 70000)), 413, "65536 bytes"},
		"garbage payment":    {"/payments/callback", url.Values{"a": {"b"}}, 400, ""},
		"empty payment":      {"/payments/callback", nil, 400, ""},
		"strange order": {"/payments/callback", url.Values{"razorpay_order_id": {"order_AAAAAAAAAAAAAA"}, "razorpay_payment_id": {"pay_AAAAAAAAAAAAAA"},
			"razorpay_signature": {strings.Repeat("0", 64)}}, 400, "signature is wrong"},
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
	require.Empty(t, w.site.providers.Mail.Messages())
	require.Empty(t, w.site.providers.Google.Events())
	require.Zero(t, w.site.providers.Razorpay.Count(razorpaytest.OpCreateOrder))
}

// A form that is sent again books nothing more; one that was changed does.
func TestOneFormIsOneVisit(t *testing.T) {
	w := start(t)
	page, err := w.patient.get("/book")
	require.NoError(t, err)
	form := w.form("zoom", "en")
	form.Set("form", hidden.FindStringSubmatch(page.body)[2])
	pages := make([]string, 4)
	var clicks sync.WaitGroup
	for i := range pages {
		clicks.Go(func() {
			page, err := w.patient.post("/book", form)
			if err != nil {
				t.Error(err)
			}
			pages[i] = page.path
		})
	}
	clicks.Wait()
	require.Len(t, w.site.visits.all(), 1)
	for _, page := range pages {
		require.Equal(t, "/visits/"+w.site.visits.all()[0].Page, page)
	}
	form.Set("name", "Asha Verma's mother")
	page, err = w.patient.post("/book", form)
	require.NoError(t, err)
	require.NotEqual(t, pages[0], page.path)
	require.Len(t, w.site.visits.all(), 2)
}

func TestPagesThatAreNotThere(t *testing.T) {
	w := booked(t, "zoom")
	for _, path := range []string{"/nothing", "/payments/callback", w.visit + "/cancel", w.visit + "/reschedule"} {
		page, err := w.patient.get(path)
		require.NoError(t, err)
		require.Equal(t, http.StatusNotFound, page.code, path)
		require.Contains(t, page.body, "There is no such page.", path)
	}
	w.change(t, "/cancel", nil)
	page := w.change(t, "/reschedule", url.Values{"start": {w.row().Start.Add(time.Hour).Format(startLayout)}})
	require.Equal(t, http.StatusConflict, page.code)
	require.Contains(t, page.body, `href="`+w.visit+`"`)
}

// Whoever the form lets through can be written to: nobody pays and then hears nothing.
func TestWhoBooksCanBeWrittenTo(t *testing.T) {
	w := start(t)
	tests := map[string]struct{ field, value string }{
		"name with a mark that reverses": {"name", "Asha \u202everma"},
		"name with an isolate":           {"name", "Asha \u2066Verma"},
		"long name in Hindi":             {"name", strings.Repeat("आ", 80)},
		"name in Hindi":                  {"name", strings.Repeat("आ", 66)},
		"name of emoji":                  {"name", strings.Repeat("🙂", 80)},
		"name with gaps":                 {"name", "A" + strings.Repeat(" ", 70) + "V"},
		"name that is markup":            {"name", "<b>*Asha* _Verma_</b>"},
		"domain with an underscore":      {"email", "a@b_c.org"},
		"domain with a hyphen":           {"email", "a@-b.org"},
		"domain in Hindi":                {"email", "asha@उदाहरण.भारत"},
		"address literal":                {"email", "a@[192.0.2.1]"},
		"long local part":                {"email", strings.Repeat("a", 65) + "@example.org"},
		"short number":                   {"phone", "+1234567"},
		"long number":                    {"phone", "+123456789012345"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			form := w.form("zoom", "hi")
			form.Set(test.field, test.value)
			page, err := w.patient.post("/book", form)
			require.NoError(t, err)
			if page.code == http.StatusBadRequest {
				require.Contains(t, page.body, `id="wrong-`+test.field+`"`)
				return
			}
			w.visit = page.path
			_, err = w.pay()
			require.NoError(t, err)
			require.Len(t, w.site.mails(w.row()), 2)
			require.Len(t, w.site.chats(w.row()), 2)
		})
	}
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

// After a logout in another window nobody reads patients' names on a dashboard that was
// left open.
func TestLogoutEndsTheDashboard(t *testing.T) {
	w := start(t)
	_, err := w.openDashboard()
	require.NoError(t, err)
	_, err = w.patient.post("/logout", nil) // a stranger's changes nothing
	require.NoError(t, err)
	_, err = w.dashboard.EmitAck(t.Context(), "join-clinic", clinicID)
	require.NoError(t, err)
	_, err = w.staff.post("/logout", nil)
	require.NoError(t, err)
	select {
	case <-w.dashboard.Done():
	case <-time.After(10 * time.Second):
		t.Fatal("the dashboard is still in the clinic's room")
	}
}

// A receipt that is sent late names the time of the payment. Messages in Hindi have no
// English sentences.
func TestWords(t *testing.T) {
	w := start(t)
	_, err := w.book("zoom", "hi")
	require.NoError(t, err)
	_, err = w.pay()
	require.NoError(t, err)
	row := w.row()
	payment, err := w.site.gateway.Payment(t.Context(), row.PaymentID)
	require.NoError(t, err)
	receipt := words(template.PaymentReceived, &row).(template.Payment)
	require.Equal(t, payment.CreatedAt, receipt.PaidAt)

	w.change(t, "/cancel", nil)
	mails := w.site.mails(w.row())
	require.Len(t, mails, 3)
	require.Contains(t, mails[0].Text, "INR 500.00")
	for _, mail := range mails {
		require.NotRegexp(t, "(?i)payment|consultation", mail.Text)
	}
}

// The browser never comes back after paying: the webhook alone books the visit.
func TestTheWebhookAloneConfirms(t *testing.T) {
	w := unpaid(t, "zoom")
	_, err := w.outcome("pay")
	require.NoError(t, err)
	require.NoError(t, w.site.providers.Razorpay.WaitWebhooks(t.Context()))
	require.Equal(t, confirmed, w.row().Status)
	require.Len(t, w.site.providers.Zoom.Meetings(), 1)
	require.Len(t, w.site.mails(w.row()), 2)
}

// Browser and webhooks tell of the same payment at the same time, several times.
func TestEverythingAtOnceIsDoneOnce(t *testing.T) {
	w := unpaid(t, "google")
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
	require.NoError(t, w.site.providers.Razorpay.WaitWebhooks(t.Context()))
	require.Equal(t, confirmed, w.row().Status)
	require.Len(t, w.site.providers.Google.Events(), 1)
	require.Len(t, w.site.providers.Mail.Messages(), 2)
	require.Len(t, w.site.providers.WhatsApp.Messages(), 2)
}

// impatient lets unfinished visits be looked at all the time.
func impatient(t *testing.T, w *walk) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.site.keepFulfilling(ctx, 5*time.Millisecond)
	}()
	t.Cleanup(func() { stop(); <-done })
}

// eventually waits for a condition that keepFulfilling brings about.
func eventually(t *testing.T, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, 10*time.Second, 5*time.Millisecond)
}

// broken is a provider whose next calls fail, as if Zoom did not answer.
type broken struct {
	meet.MeetingProvider
	mu   sync.Mutex
	errs map[string][]error // by method
}

// breakZoom makes the next calls of a method return errs.
func breakZoom(w *walk, method string, errs ...error) *broken {
	b := &broken{MeetingProvider: w.site.meetings["zoom"], errs: map[string][]error{method: errs}}
	w.site.meetings["zoom"] = b
	return b
}

func (b *broken) next(method string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.errs[method]) == 0 {
		return nil
	}
	err := b.errs[method][0]
	b.errs[method] = b.errs[method][1:]
	return err
}

func (b *broken) Create(ctx context.Context, doctorID string, req meet.Request) (*meet.Meeting, error) {
	err := b.next("Create")
	if err != nil && !errors.Is(err, telemed.ErrAmbiguous) {
		return nil, err
	}
	m, realErr := b.MeetingProvider.Create(ctx, doctorID, req)
	return m, errors.Join(err, realErr) // ambiguous: it was made, and nobody knows
}

func (b *broken) Update(ctx context.Context, doctorID, id string, req meet.Request) (*meet.Meeting, error) {
	err := b.next("Update")
	if err != nil && !errors.Is(err, telemed.ErrAmbiguous) {
		return nil, err
	}
	m, realErr := b.MeetingProvider.Update(ctx, doctorID, id, req)
	return m, errors.Join(err, realErr)
}

func (b *broken) Cancel(ctx context.Context, doctorID, id string) error {
	if err := b.next("Cancel"); err != nil {
		return err
	}
	return b.MeetingProvider.Cancel(ctx, doctorID, id)
}

// The provider is down when the payment arrives. The money is not lost, and the visit is
// completed later.
func TestAMeetingThatCannotBeMadeYet(t *testing.T) {
	w := unpaid(t, "zoom")
	breakZoom(w, "Create", telemed.ErrUnavailable, telemed.ErrAmbiguous, telemed.ErrRateLimited)
	page := w.payAndReturn(t)
	require.Contains(t, []string{string(paid), string(confirmed)}, page.status())
	impatient(t, w)
	eventually(t, func() bool { row := w.row(); return row.fulfilled() && row.Status == confirmed })
	require.Len(t, w.site.providers.Zoom.Meetings(), 1)
	require.Len(t, w.site.mails(w.row()), 2)
}

// A mailbox is full. The visit takes place, the webhook is answered 200, and nobody is
// written to for ever.
func TestAMailboxThatRefuses(t *testing.T) {
	w := unpaid(t, "zoom")
	w.site.providers.Mail.RejectRecipient(w.who.Email)
	_, err := w.pay()
	require.NoError(t, err)
	row := w.row()
	require.True(t, row.fulfilled())
	require.Empty(t, w.site.mails(row))
	require.Len(t, w.site.chats(row), 2, "the other channel is not held up")
	for _, delivery := range w.site.providers.Razorpay.Deliveries() {
		require.Equal(t, http.StatusOK, delivery.Status)
	}
}

// The mail server is away for a while: the mails are sent later, once.
func TestMailIsSentLater(t *testing.T) {
	w := unpaid(t, "zoom")
	w.site.providers.Mail.FailNext(smtptest.Fault{Op: smtptest.OpRcpt, Status: 451, Times: 3})
	_, err := w.pay()
	require.NoError(t, err)
	require.Equal(t, confirmed, w.row().Status)
	w.fulfills(t)
	require.Len(t, w.site.mails(w.row()), 2)
	require.Len(t, w.site.providers.Mail.Messages(), 2)
}

// A patient cancels, and pays all the same on a page that was left open.
func TestPaymentAfterCancelIsGivenBack(t *testing.T) {
	w := unpaid(t, "zoom")
	w.change(t, "/cancel", nil)
	w.payAndReturn(t)
	w.wantRefunded(t)
	require.Equal(t, cancelled, w.row().Status)
	require.Empty(t, w.site.providers.Zoom.Meetings())
}

// fulfills waits until nothing of the visit is left to do.
func (w *walk) fulfills(t *testing.T) {
	t.Helper()
	impatient(t, w)
	eventually(t, func() bool { row := w.row(); return row.fulfilled() })
}

// wantRefunded waits until the whole payment was given back, once.
func (w *walk) wantRefunded(t *testing.T) {
	t.Helper()
	w.fulfills(t)
	payment, err := w.site.gateway.Payment(t.Context(), w.row().PaymentID)
	require.NoError(t, err)
	require.Equal(t, w.row().Amount, payment.Refunded)
}

// living are the Zoom meetings that were not deleted.
func (w *walk) living() (ids []int64) {
	for _, m := range w.site.providers.Zoom.Meetings() {
		if !m.Deleted {
			ids = append(ids, m.ID)
		}
	}
	return ids
}

// Whatever fails while a visit is cancelled, the patient sees it cancelled at once, and
// it is finished later.
func TestCancelGoesOn(t *testing.T) {
	tests := map[string]func(w *walk){
		"the refund's answer is lost": func(w *walk) {
			w.site.providers.Razorpay.FailNext(razorpaytest.Fault{Op: razorpaytest.OpCreateRefund, LoseAnswer: true, Times: 3})
		},
		"the gateway is down": func(w *walk) {
			w.site.providers.Razorpay.FailNext(razorpaytest.Fault{Op: razorpaytest.OpCreateRefund, Status: 503, Times: 3})
		},
		"zoom is down": func(w *walk) { breakZoom(w, "Cancel", telemed.ErrUnavailable, telemed.ErrAmbiguous) },
		"mail is down": func(w *walk) {
			w.site.providers.Mail.FailNext(smtptest.Fault{Op: smtptest.OpRcpt, Status: 451}, smtptest.Fault{Op: smtptest.OpMail, Status: 421})
		},
		"nothing is down": func(*walk) {},
	}
	for name, spoil := range tests {
		t.Run(name, func(t *testing.T) {
			w := booked(t, "zoom")
			spoil(w)
			page := w.change(t, "/cancel", nil)
			require.Equal(t, string(cancelled), page.status())
			require.NotContains(t, page.body, `id="join"`)
			w.wantRefunded(t)
			require.Empty(t, w.living(), "the meeting is gone")
			require.Len(t, w.site.mails(w.row()), 3)
		})
	}
}

// The doctor has disconnected: the patient's money goes back all the same.
func TestCancelWithoutADoctor(t *testing.T) {
	w := booked(t, "google")
	_, err := w.staff.post("/api/auth/google/doctor/disconnect", nil)
	require.NoError(t, err)
	page := w.change(t, "/cancel", nil)
	require.Equal(t, string(cancelled), page.status())
	w.wantRefunded(t)
	require.True(t, w.row().MeetingLeft)
}

// Staff gave the money back in the gateway's dashboard before the patient cancelled.
func TestCancelAfterARefundByHand(t *testing.T) {
	w := booked(t, "zoom")
	_, err := w.site.gateway.Refund(t.Context(), payments.RefundRequest{PaymentID: w.row().PaymentID, Key: "by-hand-0001"})
	require.NoError(t, err)
	w.change(t, "/cancel", nil)
	w.wantRefunded(t)
	require.Empty(t, w.living())
}

// The meeting was made without its answer reaching us, and then the patient cancels. It
// does not stay behind.
func TestCancelOfAMeetingThatNobodyKnows(t *testing.T) {
	w := unpaid(t, "zoom")
	breakZoom(w, "Create", slices.Repeat([]error{telemed.ErrAmbiguous}, 3)...)
	w.payAndReturn(t)
	w.change(t, "/cancel", nil)
	w.wantRefunded(t)
	require.Empty(t, w.living())
}

// Paid when the visit should have begun long ago. There is no visit, and the money goes
// back.
func TestPaidTooLate(t *testing.T) {
	w := unpaid(t, "zoom")
	breakZoom(w, "Create", telemed.ErrInvalid)
	page := w.payAndReturn(t)
	require.Equal(t, string(cancelled), page.status())
	w.wantRefunded(t)
}

// The provider moved the meeting, and its answer was lost: the patient is told, once.
func TestMoveGoesOn(t *testing.T) {
	w := booked(t, "zoom")
	breakZoom(w, "Update", telemed.ErrAmbiguous, telemed.ErrUnavailable)
	moved := w.row().Start.Add(3 * time.Hour)
	w.change(t, "/reschedule", url.Values{"start": {moved.Format(startLayout)}})
	w.fulfills(t)
	require.True(t, w.row().MeetingStart.Equal(moved))
	require.Len(t, w.site.mails(w.row()), 3)
}

// The doctor has deleted the meeting by hand before the patient moves it. The patient
// gets a link that works.
func TestMoveOfADeletedMeeting(t *testing.T) {
	for _, provider := range []string{"google", "zoom"} {
		t.Run(provider, func(t *testing.T) {
			w := booked(t, provider)
			before := w.row()
			require.NoError(t, w.site.meetings[provider].Cancel(t.Context(), doctorID, before.MeetingID))
			moved := before.Start.Add(3 * time.Hour)
			_, err := w.patient.post(w.visit+"/reschedule", url.Values{"start": {moved.Format(startLayout)}})
			require.NoError(t, err)
			after := w.row()
			require.True(t, after.fulfilled())
			require.NotEqual(t, before.JoinURL, after.JoinURL)
			meeting, err := w.site.meetings[provider].Get(t.Context(), doctorID, after.MeetingID)
			require.NoError(t, err)
			require.True(t, meeting.Start.Equal(moved))
			mails := w.site.mails(after)
			require.Len(t, mails, 3)
			require.Contains(t, mails[0].Text, after.JoinURL)
		})
	}
}

// A meeting that took a deleted one's place, and nobody heard of it, goes with the visit
// too.
func TestCancelAfterAMoveOfADeletedMeeting(t *testing.T) {
	w := booked(t, "zoom")
	before, zoom := w.row(), w.site.meetings["zoom"]
	require.NoError(t, zoom.Cancel(t.Context(), doctorID, before.MeetingID))
	w.site.meetings["zoom"] = unheard{zoom}
	w.change(t, "/reschedule", url.Values{"start": {before.Start.Add(3 * time.Hour).Format(startLayout)}})
	require.Len(t, w.site.providers.Zoom.Meetings(), 2)
	w.site.meetings["zoom"] = zoom
	w.change(t, "/cancel", nil)
	w.wantRefunded(t)
	for _, m := range w.site.providers.Zoom.Meetings() {
		require.True(t, m.Deleted, "%d", m.ID)
	}
}

// unheard makes meetings whose answers are lost.
type unheard struct{ meet.MeetingProvider }

func (u unheard) Create(ctx context.Context, doctorID string, req meet.Request) (*meet.Meeting, error) {
	if _, err := u.MeetingProvider.Create(ctx, doctorID, req); err != nil {
		return nil, err
	}
	return nil, telemed.ErrAmbiguous
}

// One visit's provider is slow: other patients' payments do not wait for it.
func TestOneSlowProviderHoldsNobodyUp(t *testing.T) {
	w := start(t)
	release := make(chan struct{})
	w.site.meetings["google"] = stuck{w.site.meetings["google"], release}
	_, err := w.book("google", "en")
	require.NoError(t, err)
	slow, err := w.outcome("pay")
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { _, err := w.patient.post("/payments/callback", slow); done <- err }()
	eventually(t, func() bool { return w.row().MeetingAsked })

	other := newBrowser(w.site.base)
	defer other.close()
	walk := &walk{ctx: t.Context(), out: io.Discard, site: w.site, staff: w.staff, patient: other, who: asha}
	_, err = walk.book("zoom", "en")
	require.NoError(t, err)
	result, err := walk.outcome("pay")
	require.NoError(t, err)
	page, err := other.post("/payments/callback", result)
	require.NoError(t, err)
	require.Equal(t, string(confirmed), page.status())
	_, err = w.staff.get("/clinic")
	require.NoError(t, err)
	close(release)
	require.NoError(t, <-done)
}

type stuck struct {
	meet.MeetingProvider
	release chan struct{}
}

func (s stuck) Create(ctx context.Context, doctorID string, req meet.Request) (*meet.Meeting, error) {
	<-s.release
	return s.MeetingProvider.Create(ctx, doctorID, req)
}

// Each address that takes a form is bounded.
func TestLongForm(t *testing.T) {
	w := start(t)
	for _, path := range []string{
		"/book", "/login", "/logout", "/visits/x/reschedule", "/visits/x/cancel", "/payments/callback", "/api/auth/zoom/doctor/disconnect",
	} {
		answer, err := http.Post(w.site.base+path, "application/x-www-form-urlencoded", strings.NewReader(strings.Repeat("a", maxForm+1)))
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, http.StatusRequestEntityTooLarge, answer.StatusCode, path)
	}
}

func TestMoveToABadTime(t *testing.T) {
	w := booked(t, "zoom")
	before := w.row()
	for _, start := range []string{"", "soon", "2001-01-01T10:00", "2199-01-01T10:00"} {
		page := w.change(t, "/reschedule", url.Values{"start": {start}})
		require.Equal(t, http.StatusBadRequest, page.code, start)
		require.Contains(t, page.body, `id="wrong-start"`)
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
	go func() { done <- serve(ctx, in, "127.0.0.1:0", "", "", slog.New(slog.DiscardHandler)) }()
	line := make([]byte, 200)
	n, err := out.Read(line)
	require.NoError(t, err)
	require.Contains(t, string(line[:n]), "The hospital is open: http://127.0.0.1:")
	cancel()
	require.NoError(t, <-done)
}

// The doctor connects, and the process ends. The next one makes a meeting without asking
// again.
func TestConnectionsOutliveARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens.db")
	for run := range 2 {
		tokens, closeTokens, err := openTokens(t.Context(), path)
		require.NoError(t, err)
		w := newWalk(t, tokens, slog.New(slog.DiscardHandler))
		if run == 0 {
			w.connectBoth(t)
			obsolete := oauth.Unsaved{ID: store.AccountID{Provider: "zoom", Subject: doctorID}, Token: store.Token{Access: telemed.NewSecret("ya29.old")}}
			require.NoError(t, tokens.spool.Keep(t.Context(), obsolete))
		} else {
			require.Eventually(t, func() bool {
				for range tokens.spool.List(t.Context()) {
					return false
				}
				return true
			}, time.Minute, 10*time.Millisecond, "what an earlier process left is looked at")
			w.site.providers.Zoom.ExpireTokens() // it was a long night
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

// A doctor on leave uses nothing for a month. The daily job keeps the connections alive.
func TestIdleTokensAreRefreshed(t *testing.T) {
	tokens := store.NewMemory()
	w := newWalk(t, keeping{records: tokens}, slog.New(slog.DiscardHandler))
	t.Cleanup(func() { require.NoError(t, w.close()) })
	w.connectBoth(t)
	before := map[string]store.Token{}
	for _, provider := range []string{"google", "zoom"} {
		rec, err := tokens.Get(t.Context(), store.AccountID{Provider: provider, Subject: doctorID})
		require.NoError(t, err)
		before[provider] = rec.Token
	}
	w.site.refreshIdle(t.Context())
	changed := func(provider string) bool {
		rec, err := tokens.Get(t.Context(), store.AccountID{Provider: provider, Subject: doctorID})
		require.NoError(t, err)
		return !rec.Token.Access.Equal(before[provider].Access)
	}
	require.False(t, changed("google") || changed("zoom"), "in use")

	for provider := range before { // the month goes by
		rec, err := tokens.Get(t.Context(), store.AccountID{Provider: provider, Subject: doctorID})
		require.NoError(t, err)
		rec.UpdatedAt = rec.UpdatedAt.AddDate(0, 0, -31)
		_, err = tokens.Put(t.Context(), rec)
		require.NoError(t, err)
	}
	w.site.refreshIdle(t.Context())
	require.True(t, changed("google") && changed("zoom"))
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
	s, err := open("127.0.0.1:0", "", keeping{records: store.NewMemory()}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "testdata/visit.cjs", s.base)
	cmd.Env = append(os.Environ(), "TELEMED_CHROMIUM="+chromium)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "visit complete")
}

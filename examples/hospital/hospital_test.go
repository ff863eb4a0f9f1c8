package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"go/format"
	"go/scanner"
	"go/token"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/examples/internal/guard"
	"github.com/telemed-go/telemed/examples/internal/local"
	"github.com/telemed-go/telemed/internal/leaktest"
	"github.com/telemed-go/telemed/internal/racetest"
	"github.com/telemed-go/telemed/meet/visit"
	"github.com/telemed-go/telemed/notify/outbox"
	"github.com/telemed-go/telemed/notify/whatsapp/whatsapptest"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/razorpay/razorpaytest"
	"github.com/telemed-go/telemed/zoom/zoomtest"
)

func TestMain(m *testing.M) {
	if os.Getenv(childDB) != "" { // a supervisor kills it
		main()
		return
	}
	leaktest.Main(m)
}

// ward is a hospital in this process, and a walk through it.
type ward struct {
	*walk
	h    *hospital
	stop func() error
}

// newWard opens a hospital whose doctor has connected nothing yet.
func newWard(t *testing.T, o options, providers local.Providers) *ward {
	t.Helper()
	p, err := openPanel(providers)
	require.NoError(t, err)
	o.addr, o.db, o.env, o.pace = "127.0.0.1:0", filepath.Join(p.folder, "hospital.db"), p.getenv, 2*time.Second
	if o.log == nil {
		o.log = slog.New(slog.DiscardHandler)
	}
	h, err := open(t.Context(), o)
	require.NoError(t, err)
	p.follow("http://" + h.listener.Addr().String())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.run(ctx) }()
	w := &ward{walk: newWalker(t.Context(), io.Discard, p, "http://"+h.listener.Addr().String()), h: h}
	w.stop = sync.OnceValue(func() error {
		cancel()
		w.walk.close()
		return errors.Join(<-done, p.close())
	})
	t.Cleanup(func() { require.NoError(t, w.stop()) })
	return w
}

// start opens a hospital whose doctor has connected both providers.
func start(t *testing.T) *ward {
	t.Helper()
	t.Parallel()
	return startAt(t, local.Providers{})
}

func startAt(t *testing.T, providers local.Providers) *ward {
	t.Helper()
	w := newWard(t, options{}, providers)
	w.connectBoth(t)
	return w
}

func (w *ward) connectBoth(t *testing.T) {
	t.Helper()
	_, err := w.connect("google", w.Google.Authorize)
	require.NoError(t, err)
	_, err = w.connect("zoom", w.Zoom.Authorize)
	require.NoError(t, err)
}

// unpaid returns a visit that is reserved.
func unpaid(t *testing.T, provider string) *ward {
	t.Helper()
	w := start(t)
	w.reserves(t, provider)
	return w
}

func (w *ward) reserves(t *testing.T, provider string) {
	t.Helper()
	_, err := w.book(provider, "en")
	require.NoError(t, err)
}

// booked returns a visit that is paid for.
func booked(t *testing.T, provider string) *ward {
	t.Helper()
	w := unpaid(t, provider)
	w.pays(t)
	return w
}

func (w *ward) pays(t *testing.T) {
	t.Helper()
	_, err := w.pay()
	require.NoError(t, err)
}

// reaches waits until the visit is as it should be.
func (w *ward) reaches(t *testing.T, is func(shown) bool) shown {
	t.Helper()
	s, err := w.reach("visit", is)
	require.NoError(t, err)
	return s
}

func (w *ward) is(t *testing.T) shown {
	t.Helper()
	s, err := w.state()
	require.NoError(t, err)
	return s
}

func (w *ward) waits(t *testing.T, what string, is func() bool) {
	t.Helper()
	require.NoError(t, w.until(what, func() (bool, error) { return is(), nil }))
}

// change sends a form of the visit's page.
func (w *ward) change(t *testing.T, action string, form url.Values) page {
	t.Helper()
	end, err := w.patient.post(w.visit+action, form)
	require.NoError(t, err)
	return end
}

func (w *ward) subjects() (all string) {
	for _, m := range w.mails() {
		all += m.Subject + "\n"
	}
	return all
}

// The whole visit, in a process that is killed on the way.
func TestCheck(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	require.NoError(t, runCheck(t.Context(), &out, options{log: slog.New(slog.DiscardHandler)}, true), out.String())
	require.Contains(t, out.String(), "all 23 steps are as they should be")
	require.Equal(t, 1, strings.Count(out.String(), "meetings 1 · charges 1 · mails 1 receipt, 1 confirmed · WhatsApp 1"))
	require.Equal(t, 2, strings.Count(out.String(), "started again"), out.String())
}

// What an application writes of the visit, and of how it is composed, is short: main.go and
// hospital.go have at most 150 lines of code, formatted, and none is long.
func TestComposedInFewLines(t *testing.T) {
	t.Parallel()
	lines := 0
	for _, name := range []string{"main.go", "hospital.go"} {
		source, err := os.ReadFile(name)
		require.NoError(t, err)
		formatted, err := format.Source(source)
		require.NoError(t, err)
		require.Equal(t, string(formatted), string(source), "%s is not formatted", name)
		for i, line := range strings.Split(string(source), "\n") {
			require.LessOrEqual(t, len([]rune(strings.ReplaceAll(line, "\t", "    "))), 120, "%s:%d", name, i+1)
		}
		lines += linesOfCode(source)
	}
	require.LessOrEqual(t, lines, 150)
	require.Greater(t, lines, 100, "the lines are counted")
}

// linesOfCode counts the lines that have code in them, without imports. A text over several
// lines counts with all of them.
func linesOfCode(source []byte) int {
	var s scanner.Scanner
	files := token.NewFileSet()
	file := files.AddFile("", -1, len(source))
	s.Init(file, source, nil, 0)
	code := map[int]bool{}
	importing := false
	for {
		pos, tok, text := s.Scan()
		switch {
		case tok == token.EOF:
			return len(code)
		case tok == token.IMPORT:
			importing = true
		case tok == token.FUNC || tok == token.TYPE || tok == token.VAR || tok == token.CONST:
			importing = false
		}
		if !importing && !(tok == token.SEMICOLON && text == "\n") {
			first := file.Line(pos)
			for line := range 1 + strings.Count(text, "\n") {
				code[first+line] = true
			}
		}
	}
}

// Captured, and neither the browser nor a webhook comes through: whoever looks at the page
// sees the visit booked. Nobody looks: package fulfill asks after a quarter of an hour.
func TestPaidAndNobodyWasTold(t *testing.T) {
	w := unpaid(t, "zoom")
	w.Razorpay.HoldWebhooks()
	_, err := w.outcome("pay")
	require.NoError(t, err)
	require.Equal(t, visit.StatusReserved, w.is(t).Status)
	_, err = w.patient.get(w.visit)
	require.NoError(t, err)
	w.reaches(t, isBooked)
}

// The gateway's account captures by hand.
func TestManualCapture(t *testing.T) {
	t.Parallel()
	gateway := razorpaytest.NewServer(t, razorpaytest.Config{ManualCapture: true})
	w := startAt(t, local.Providers{Razorpay: gateway})
	w.reserves(t, "zoom")
	w.pays(t)
	order, err := w.order()
	require.NoError(t, err)
	paid, err := w.gateway.OrderPayments(t.Context(), order)
	require.NoError(t, err)
	require.Equal(t, payments.PaymentCaptured, paid[0].Status)
}

// Staff gave a part back in the gateway's dashboard before the late webhook came.
func TestAPartIsGivenBackBeforeTheWebhook(t *testing.T) {
	w := unpaid(t, "zoom")
	w.Razorpay.HoldWebhooks()
	_, err := w.outcome("pay")
	require.NoError(t, err)
	part := payments.INR(100)
	_, err = w.gateway.Refund(t.Context(), payments.RefundRequest{PaymentID: w.Razorpay.PaymentIDs()[0], Amount: &part, Key: "part-back-0001"})
	require.NoError(t, err)
	for _, e := range w.Razorpay.Events() {
		status, err := w.Razorpay.Deliver(t.Context(), e)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, status, e.Type)
	}
	w.reaches(t, isBooked)
}

// A refund that is pending is on its way. The patient hears that it is back when it is; one
// that the bank sends back is not told as back.
func TestAPendingRefundIsNotToldAsBack(t *testing.T) {
	t.Parallel()
	for _, processed := range []bool{true, false} {
		t.Run(fmt.Sprint(processed), func(t *testing.T) {
			t.Parallel()
			gateway := razorpaytest.NewServer(t, razorpaytest.Config{PendingRefunds: true})
			w := startAt(t, local.Providers{Razorpay: gateway})
			w.reserves(t, "zoom")
			w.pays(t)
			w.change(t, "/cancel", nil)
			w.reaches(t, func(s shown) bool { return s.Refund.Status == payments.RefundPending })
			w.waits(t, "told", func() bool { return strings.Contains(w.subjects(), "Your refund is on its way") })
			page, err := w.patient.get(w.visit)
			require.NoError(t, err)
			require.Contains(t, page.body, "on its way back to you")
			require.NotContains(t, page.body, "given back")
			require.NotContains(t, w.subjects(), "Refunded")

			refunds, err := w.gateway.PaymentRefunds(t.Context(), w.Razorpay.PaymentIDs()[0])
			require.NoError(t, err)
			require.NoError(t, gateway.SettleRefund(refunds[0].ID, processed))
			if processed {
				w.waits(t, "told", func() bool { return strings.Contains(w.subjects(), "Refunded") })
				return
			}
			w.reaches(t, func(s shown) bool { return s.Refund.Status == payments.RefundFailed })
			page, err = w.patient.get(w.visit)
			require.NoError(t, err)
			require.Contains(t, page.body, "the clinic will call you")
			require.NotContains(t, w.subjects(), "Refunded")
		})
	}
}

// The browser never comes back after paying: the webhook alone books the visit.
func TestTheWebhookAloneConfirms(t *testing.T) {
	w := unpaid(t, "zoom")
	_, err := w.outcome("pay")
	require.NoError(t, err)
	w.reaches(t, isBooked)
	require.Len(t, w.Zoom.Meetings(), 1)
}

// Browser and webhooks tell of the same payment at the same time, several times.
func TestEverythingAtOnceIsDoneOnce(t *testing.T) {
	w := unpaid(t, "google")
	result, err := w.outcome("pay")
	require.NoError(t, err)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := w.patient.post("/payments/callback", result); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	require.NoError(t, w.Razorpay.WaitWebhooks(t.Context()))
	w.reaches(t, isBooked)
	_, err = w.messages("Payment received", "Appointment confirmed")
	require.NoError(t, err)
	_, err = w.counter()
	require.NoError(t, err)
}

// A patient cancels, and pays all the same on a page that was left open.
func TestPaymentAfterCancelIsGivenBack(t *testing.T) {
	w := unpaid(t, "zoom")
	form := url.Values{"outcome": {"pay"}}
	checkout, err := w.patient.get(w.visit + "/pay")
	require.NoError(t, err)
	for _, match := range hidden.FindAllStringSubmatch(checkout.body, -1) {
		form.Set(match[1], match[2])
	}
	w.change(t, "/cancel", nil)
	_, err = w.patient.post(w.Razorpay.URL()+"/checkout", form)
	require.NoError(t, err)
	require.NoError(t, w.Razorpay.WaitWebhooks(t.Context()))
	w.waits(t, "given back", func() bool {
		paid, err := w.gateway.Payment(t.Context(), w.Razorpay.PaymentIDs()[0])
		return err == nil && paid.Refunded == fee
	})
	require.Equal(t, visit.StatusCancelled, w.is(t).Status)
	require.Empty(t, w.Zoom.Meetings())
}

// The clinic cancels: all goes back.
func TestTheClinicCancels(t *testing.T) {
	w := booked(t, "google")
	end, err := w.staff.post("/clinic/visits/"+w.is(t).ID+"/cancel", nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, end.code)
	require.Contains(t, end.body, "cancelled by the clinic", "the timeline is on the page")
	s := w.reaches(t, func(s shown) bool { return s.Refund.Status == payments.RefundProcessed })
	require.Equal(t, fee, s.Refund.Amount)
}

// Two patients want the same time.
func TestTheDoctorHasOneVisitAtATime(t *testing.T) {
	w := booked(t, "zoom")
	form := w.form("google", "en")
	form.Set("start", w.is(t).Start.Format(time.RFC3339))
	page, err := newBrowser(w.base).post("/book", form)
	require.NoError(t, err)
	require.Equal(t, http.StatusBadRequest, page.code)
	require.Contains(t, page.body, "the doctor has another visit then")
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
func canary(t *testing.T) (w *ward, logs *syncBuffer) {
	t.Helper()
	logs = &syncBuffer{}
	logger := slog.New(slog.NewTextHandler(logs, &slog.HandlerOptions{Level: slog.LevelDebug - 100, AddSource: true}))
	oldDefault, oldOutput := slog.Default(), log.Writer()
	slog.SetDefault(logger)
	log.SetOutput(logs)
	t.Cleanup(func() { slog.SetDefault(oldDefault); log.SetOutput(oldOutput) })
	w = newWard(t, options{log: logger}, local.Providers{})
	w.connectBoth(t)
	w.who = visitor{Name: "Canary Patientname", Email: "canary.mail@example.org", Phone: "+919999912345"}
	return w, logs
}

// personal is the marked patient.
var personal = []string{"Canary", "Patientname", "canary.mail", "9999912345"}

// secrets are what must not be logged beside the patient: credentials, sessions, pages, and
// links that let people in.
func (w *ward) secrets() []string {
	found := []string{
		w.env["EMAIL_PASS"], w.env["GOOGLE_CLIENT_SECRET"], w.env["ZOOM_CLIENT_SECRET"], w.env["RAZORPAY_KEY_SECRET"],
		w.env["RAZORPAY_WEBHOOK_SECRET"], w.env["WHATSAPP_ACCESS_TOKEN"], w.env["WHATSAPP_APP_SECRET"], w.env["CLINIC_KEY"],
		strings.TrimPrefix(w.staff.cookies(), sessionCookie+"="), strings.TrimPrefix(w.visit, "/visits/"),
	}
	for _, event := range w.Google.Events() {
		found = append(found, event.JoinURL)
	}
	for _, m := range w.Zoom.Meetings() {
		found = append(found, m.Password, fmt.Sprintf("/j/%d", m.ID))
	}
	return found
}

// needles are in what each provider is sent if it can be read at all.
var needles = map[string]string{"google": "Video consultation", "zoom": "Video consultation", "razorpay": "visit-"}

// Everything that is logged during visits is searched for what is marked. So are everything
// that meeting and payment providers are sent, and the bytes of the database.
func TestCanary(t *testing.T) {
	w, logs := canary(t)
	for _, provider := range []string{"google", "zoom"} {
		w.reserves(t, provider)
		_, err := w.forgePayment()
		require.NoError(t, err)
		w.pays(t)
	}
	_, err := w.host()
	require.NoError(t, err)
	w.change(t, "/reschedule", url.Values{"start": {w.is(t).Start.Add(time.Hour).Format(time.RFC3339)}})
	w.change(t, "/cancel", nil)
	w.reaches(t, func(s shown) bool { return s.Refund.Status == payments.RefundProcessed })
	w.waits(t, "told", func() bool { return strings.Contains(w.subjects(), "Refunded") })
	marks := w.secrets()
	kept, err := filepath.Glob(w.h.db + "*")
	require.NoError(t, err)
	spooled, err := filepath.Glob(w.h.db + ".spool/*")
	require.NoError(t, err)
	for _, name := range append(kept, spooled...) {
		if name == w.h.db+".spool" {
			continue
		}
		data, err := os.ReadFile(name)
		require.NoError(t, err)
		for _, mark := range personal {
			require.NotContains(t, string(data), mark, "lies in clear in the database")
		}
	}
	sent := map[string]string{}
	for _, request := range w.Google.Requests() {
		sent["google"] += fmt.Sprintf("%+v\n", request)
	}
	for _, request := range w.Zoom.Requests() {
		sent["zoom"] += fmt.Sprintf("%+v\n", request)
	}
	for _, request := range w.Razorpay.Requests() {
		sent["razorpay"] += fmt.Sprintf("%+v\n", request)
	}
	require.NoError(t, w.stop())
	requireHidden(t, logs, marks)
	for provider, needle := range needles {
		require.Contains(t, sent[provider], needle, "what %s was sent can be searched", provider)
		for _, mark := range personal {
			require.NotContains(t, sent[provider], mark, "%s was told", provider)
		}
	}
}

// Errors tell more than successes: the same while everything goes wrong that can.
func TestCanaryWhenThingsFail(t *testing.T) {
	w, logs := canary(t)
	w.Zoom.FailNext(zoomtest.Fault{Op: zoomtest.OpCreate, LoseAnswer: true})
	w.Mail.RejectRecipient(w.who.Email)
	w.WhatsApp.FailNext(
		whatsapptest.Refuse("", 0, 131026, "to +919876543210"), whatsapptest.Fault{LoseAnswer: true}, whatsapptest.Refuse("", 0, 100, "to +919876543210"),
	)
	w.reserves(t, "zoom")
	_, err := w.forgePayment()
	require.NoError(t, err)
	result, err := w.outcome("pay")
	require.NoError(t, err)
	_, err = w.patient.post("/payments/callback", result)
	require.NoError(t, err)
	w.reaches(t, func(s shown) bool { return s.Status == visit.StatusBooked })
	w.waits(t, "nobody takes the receipt", func() bool {
		all, err := w.h.visits.Messages(t.Context(), w.is(t).ID)
		return err == nil && len(all) > 0 && (all[0].State == outbox.Failed || all[0].State == outbox.Stuck)
	})
	_, err = w.staff.get("/api/auth/zoom/doctor/callback?" + url.Values{"code": {w.who.Name}, "state": {w.who.Name}}.Encode())
	require.NoError(t, err)
	w.change(t, "/cancel", nil)
	w.reaches(t, func(s shown) bool { return s.Refund.Status == payments.RefundProcessed })
	marks := w.secrets()
	require.NoError(t, w.stop())
	requireHidden(t, logs, marks)
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

func TestListen(t *testing.T) {
	t.Parallel()
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

// The demonstration opens, says where, and leaves nothing behind.
func TestDemonstrate(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	out, in := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- demonstrate(ctx, in, options{addr: "127.0.0.1:0", log: slog.New(slog.DiscardHandler)}) }()
	lines := bufio.NewReader(out)
	word, err := lines.ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, word, "Starting", "there is a word while it starts")
	opened, err := lines.ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, opened, "The hospital is open: http://127.0.0.1:")
	kept, err := lines.ReadString('\n')
	require.NoError(t, err)
	_, after, _ := strings.Cut(kept, "everything in ")
	file, _, _ := strings.Cut(after, ". Stop")
	require.FileExists(t, file)
	cancel()
	require.NoError(t, <-done)
	require.NoDirExists(t, filepath.Dir(file))
}

// In a real browser, through a supervisor, with each button of the panel: needs Chromium, node
// and the npm packages playwright-core and axe-core.
func TestBrowser(t *testing.T) {
	t.Parallel()
	if os.Getenv("TELEMED_NODE_MODULES") == "" {
		t.Skip("TELEMED_NODE_MODULES does not name a node_modules folder with playwright-core in it")
	}
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed")
	}
	alive, end := context.WithCancel(t.Context())
	defer end()
	s, err := supervise(alive, options{addr: "127.0.0.1:0", log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "testdata/visit.cjs", s.base)
	cmd.Env = append(os.Environ(), "TELEMED_CHROMIUM="+chromium)
	if racetest.Enabled { // axe looks at the same pages without it
		cmd.Env = append(cmd.Env, "TELEMED_AUDIT=none")
	}
	out, err := cmd.CombinedOutput()
	end()
	require.NoError(t, s.close())
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "visit complete")
}

var text = regexp.MustCompile(`\{\{t "([^"]+)"|\(t "([^"]+)"`)

// Every text of the pages has a Hindi one, with the same blanks, and none is left over.
func TestHindi(t *testing.T) {
	t.Parallel()
	used := map[string]bool{"%s at the clinic": true, "%s time": true, "Very soon, to try it out": true}
	files, err := filepath.Glob("web/*.html")
	require.NoError(t, err)
	for _, name := range files {
		page, err := os.ReadFile(name)
		require.NoError(t, err)
		for _, match := range text.FindAllStringSubmatch(string(page), -1) {
			used[match[1]+match[2]] = true
		}
	}
	for _, list := range []map[string]string{titles} {
		for _, english := range list {
			used[english] = true
		}
	}
	for _, english := range statuses {
		used[english] = true
	}
	for _, english := range reasons {
		used[english] = true
	}
	for _, b := range buttons {
		used[b.Label] = true
	}
	for english := range used {
		require.Contains(t, hindi, english)
		for _, blank := range []string{"%s", "%d"} {
			require.Equal(t, strings.Count(english, blank), strings.Count(hindi[english], blank), english)
		}
	}
	for english := range hindi { // what fail and postLogin say
		require.True(t, used[english] || strings.HasSuffix(english, "."), "nobody says %q", english)
	}
}

// A login outlives the process, but not its end.
func TestLoginsOutliveTheProcess(t *testing.T) {
	w := start(t)
	page, err := w.staff.get("/clinic")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, page.code)
	o := w.h.options
	o.addr = "127.0.0.1:0"
	next, err := open(t.Context(), o)
	require.NoError(t, err)
	defer next.rows.Close()
	defer next.listener.Close()
	r := httptest.NewRequest(http.MethodGet, "/clinic", nil)
	r.Header.Set("Cookie", w.staff.cookies())
	_, err = next.door.Subject(r)
	require.NoError(t, err)
	next.door.End(httptest.NewRecorder(), r)
	again, err := open(t.Context(), o)
	require.NoError(t, err)
	defer again.rows.Close()
	defer again.listener.Close()
	_, err = again.door.Subject(r)
	require.ErrorIs(t, err, guard.ErrNoSession)
}

// A form of the panel leads to this site alone.
func TestOwnPath(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"/clinic/visits/a": "/clinic/visits/a", "//evil.example": "/", "https://evil.example/": "/", "/\\evil.example": "/", "": "/", "a": "/", "/a?b": "/a",
	} {
		require.Equal(t, want, ownPath(path), path)
	}
}

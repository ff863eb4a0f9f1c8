package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/telemed-go/telemed/payments/razorpay/razorpaytest"
	"github.com/telemed-go/telemed/realtime/realtimetest"
	"github.com/telemed-go/telemed/store"
)

// visitor is the patient whose visit is walked.
type visitor struct{ Name, Email, Phone string }

var asha = visitor{Name: "Asha Verma", Email: "asha@example.org", Phone: "+919876543210"}

// runCheck walks the visit with a hospital of its own and prints one line a step.
func runCheck(ctx context.Context, out io.Writer, log *slog.Logger) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	site, err := open("127.0.0.1:0", "", keeping{records: store.NewMemory()}, log)
	if err != nil {
		return err
	}
	w := &walk{ctx: ctx, out: out, site: site, staff: newBrowser(site.base), patient: newBrowser(site.base), who: asha}
	return errors.Join(w.run(), w.close())
}

// walk goes through the visit as browsers do. It stops at the first step that sees
// something wrong.
type walk struct {
	ctx            context.Context
	out            io.Writer
	site           *site
	staff, patient *browser
	who            visitor
	dashboard      *realtimetest.Client
	visit          string // the path of the visit's page
}

func (w *walk) close() error {
	if w.dashboard != nil {
		_ = w.dashboard.Close()
	}
	w.staff.close()
	w.patient.close()
	return w.site.Close()
}

func (w *walk) run() error {
	steps := []struct {
		name string
		do   func() (string, error)
	}{
		{"doctor connects google", func() (string, error) { return w.connect("google", w.site.providers.Google.Authorize) }},
		{"doctor connects zoom", func() (string, error) { return w.connect("zoom", w.site.providers.Zoom.Authorize) }},
		{"dashboard joins its clinic", w.openDashboard},
		{"bad bookings are refused", w.badBookings},
		{"patient books google, in English", func() (string, error) { return w.book("google", "en") }},
		{"nothing is made before payment", w.nothingYet},
		{"a failed payment books nothing", w.failPayment},
		{"a forged payment books nothing", w.forgePayment},
		{"patient pays", w.pay},
		{"dashboard hears of it", func() (string, error) { return w.hear("new-appointment", "confirmed") }},
		{"meeting is made, without a name", func() (string, error) { return w.meeting("google") }},
		{"mail and WhatsApp arrive", func() (string, error) { return w.messages("Payment received", "Appointment confirmed") }},
		{"patient moves the visit", w.move},
		{"dashboard hears of the move", func() (string, error) { return w.hear("appointment-changed", "confirmed") }},
		{"patient cancels", w.cancel},
		{"dashboard hears of the end", func() (string, error) { return w.hear("appointment-changed", "cancelled") }},
		{"patient books zoom, in Hindi", func() (string, error) { return w.book("zoom", "hi") }},
		{"patient pays again", w.pay},
		{"dashboard hears of that too", func() (string, error) { return w.hear("new-appointment", "confirmed") }},
		{"zoom meeting is made, without a name", func() (string, error) { return w.meeting("zoom") }},
		{"mail and WhatsApp arrive in Hindi", func() (string, error) { return w.messages("भुगतान", "अपॉइंटमेंट") }},
		{"doctor disconnects google", w.disconnect},
	}
	for _, step := range steps {
		saw, err := step.do()
		if err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
		fmt.Fprintf(w.out, "ok  %-38s %s\n", step.name, saw)
	}
	fmt.Fprintf(w.out, "all %d steps are as they should be\n", len(steps))
	return nil
}

func (w *walk) connect(provider string, authorize func(string) (string, error)) (string, error) {
	if _, err := w.staff.post("/login", nil); err != nil {
		return "", err
	}
	consent, err := w.staff.location("/api/auth/" + provider + "/doctor/connect")
	if err != nil {
		return "", err
	}
	if strings.Contains(consent, doctorID) {
		return "", errors.New("the doctor's id is in the provider's address")
	}
	callback, err := authorize(consent)
	if err != nil {
		return "", err
	}
	page, err := w.staff.get(strings.TrimPrefix(callback, w.site.base))
	if err != nil {
		return "", err
	}
	if err := want(page.path, "/doctor/settings/integration?provider="+provider+"&success=true"); err != nil {
		return "", err
	}
	replayed, err := w.staff.get(strings.TrimPrefix(callback, w.site.base))
	if err != nil {
		return "", err
	}
	if err := want(replayed.path, "/doctor/settings/integration?provider="+provider+"&reason=expired&success=false"); err != nil {
		return "", err
	}
	return "ended at " + page.path + "; a replay was refused", nil
}

func (w *walk) openDashboard() (string, error) {
	stranger, err := realtimetest.Dial(w.ctx, w.site.base, realtimetest.Options{})
	if err != nil {
		return "", err
	}
	refused, err := stranger.EmitAck(w.ctx, "join-clinic", clinicID)
	if err = errors.Join(err, stranger.Close()); err != nil {
		return "", err
	}
	if strings.Contains(string(refused), "true") {
		return "", errors.New("a stranger joined the clinic")
	}
	w.dashboard, err = realtimetest.Dial(w.ctx, w.site.base, realtimetest.Options{Header: http.Header{"Cookie": {w.staff.cookies()}}})
	if err != nil {
		return "", err
	}
	joined, err := w.dashboard.EmitAck(w.ctx, "join-clinic", clinicID)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("staff %s, stranger %s", joined, refused), want(string(joined), `{"ok":true}`)
}

// form is a good booking of the provider and language, two days ahead.
func (w *walk) form(provider, language string) url.Values {
	return url.Values{
		"name": {w.who.Name}, "email": {w.who.Email}, "phone": {w.who.Phone}, "language": {language}, "zone": {"Asia/Kolkata"},
		"provider": {provider}, "start": {time.Now().AddDate(0, 0, 2).Format("2006-01-02") + "T10:30"},
	}
}

func (w *walk) badBookings() (string, error) {
	bad := map[string]string{
		"name": "", "email": "nobody", "phone": "98765", "language": "xx", "zone": "Mars/Olympus", "provider": "skype", "start": "2001-01-01T10:00",
	}
	for field, value := range bad {
		form := w.form("google", "en")
		form.Set(field, value)
		page, err := w.patient.post("/book", form)
		if err != nil {
			return "", err
		}
		if page.code != http.StatusBadRequest || !strings.Contains(page.body, `class="wrong"`) {
			return "", fmt.Errorf("a wrong %s is answered with %d", field, page.code)
		}
	}
	return fmt.Sprintf("%d fields, each with a 400 and its problem", len(bad)), want(w.site.providers.Razorpay.Count(razorpaytest.OpCreateOrder), 0)
}

func (w *walk) book(provider, language string) (string, error) {
	page, err := w.patient.post("/book", w.form(provider, language))
	if err != nil {
		return "", err
	}
	if !strings.HasPrefix(page.path, "/visits/") {
		return "", fmt.Errorf("the booking ended at %s with %d", page.path, page.code)
	}
	w.visit = page.path
	return page.status() + ", " + w.row().OrderID, want(page.status(), string(awaitingPayment))
}

// row is the visit as the hospital has it.
func (w *walk) row() appointment {
	a, _ := w.site.visits.ofPage(strings.TrimPrefix(w.visit, "/visits/"))
	return a
}

func (w *walk) nothingYet() (string, error) {
	google, mails := len(w.site.providers.Google.Events()), len(w.site.providers.Mail.Messages())
	return fmt.Sprintf("%d meetings, %d mails", google, mails), errors.Join(want(google, 0), want(mails, 0))
}

var hidden = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)"`)

// outcome presses a button of the checkout page. It returns the form that the browser
// then posts to the hospital.
func (w *walk) outcome(button string) (url.Values, error) {
	checkout, err := w.patient.get(w.site.checkoutURL(w.row()))
	if err != nil {
		return nil, err
	}
	form := url.Values{"outcome": {button}}
	for _, match := range hidden.FindAllStringSubmatch(checkout.body, -1) {
		form.Set(match[1], html.UnescapeString(match[2]))
	}
	back, err := w.patient.post(w.site.providers.Razorpay.URL()+"/checkout", form)
	if err != nil {
		return nil, err
	}
	result := url.Values{}
	for _, match := range hidden.FindAllStringSubmatch(back.body, -1) {
		result.Set(match[1], html.UnescapeString(match[2]))
	}
	if len(result) == 0 {
		return nil, fmt.Errorf("the checkout page answered %d without a form", back.code)
	}
	return result, nil
}

func (w *walk) failPayment() (string, error) {
	result, err := w.outcome("fail")
	if err != nil {
		return "", err
	}
	page, err := w.patient.post("/payments/callback", result)
	if err != nil {
		return "", err
	}
	if !strings.Contains(page.body, "Nothing was taken") || strings.Contains(page.body, w.row().Page) {
		return "", errors.New("the page does not say so, or tells whose visit it is")
	}
	back, err := w.patient.get("/visits/mine")
	if err != nil {
		return "", err
	}
	return "nothing was taken", errors.Join(want(back.path, w.visit), want(back.status(), string(awaitingPayment)))
}

func (w *walk) forgePayment() (string, error) {
	page, err := w.patient.post("/payments/callback", url.Values{
		"razorpay_order_id": {w.row().OrderID}, "razorpay_payment_id": {"pay_00000000000001"},
		"razorpay_signature": {strings.Repeat("ab", 32)},
	})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d", page.code), errors.Join(want(page.code, http.StatusBadRequest), want(string(w.row().Status), string(awaitingPayment)))
}

func (w *walk) pay() (string, error) {
	result, err := w.outcome("pay")
	if err != nil {
		return "", err
	}
	page, err := w.patient.post("/payments/callback", result)
	if err != nil {
		return "", err
	}
	if err := errors.Join(want(page.path, w.visit), want(page.status(), string(confirmed))); err != nil {
		return "", err
	}
	// The webhooks tell the same once more.
	if err := w.site.providers.Razorpay.WaitWebhooks(w.ctx); err != nil {
		return "", err
	}
	if !strings.Contains(page.body, html.EscapeString(w.row().JoinURL)) {
		return "", errors.New("the join link is not on the page")
	}
	return w.row().PaymentID, nil
}

func (w *walk) hear(event, state string) (string, error) {
	ctx, cancel := context.WithTimeout(w.ctx, 5*time.Second)
	defer cancel()
	got, err := w.dashboard.Next(ctx)
	if err != nil {
		return "", err
	}
	var data announcement
	if err := json.Unmarshal(got.Data, &data); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s %s (%s)", got.Name, data.ID, data.Status), errors.Join(
		want(got.Name, event), want(data.ID, w.row().ID), want(data.PatientName, w.who.Name), want(data.Status, state))
}

// meeting checks that there is exactly one for the visit, and that no provider learnt the
// patient's name.
func (w *walk) meeting(provider string) (string, error) {
	row := w.row()
	var ids, titles []string
	for _, event := range w.site.providers.Google.Events() {
		ids, titles = append(ids, event.ID), append(titles, event.Summary)
	}
	for _, m := range w.site.providers.Zoom.Meetings() {
		ids, titles = append(ids, fmt.Sprint(m.ID)), append(titles, m.Topic+m.Agenda)
	}
	found := 0
	for i, id := range ids {
		if id == row.MeetingID {
			found++
		}
		if strings.Contains(titles[i], w.who.Name) {
			return "", errors.New("the patient's name is in a topic")
		}
	}
	return row.MeetingID + " " + row.JoinURL, errors.Join(want(found, 1), want(row.Provider, provider))
}

func (w *walk) messages(subjects ...string) (string, error) {
	row := w.row()
	mails, chats := w.site.mails(row), w.site.chats(row)
	if err := errors.Join(want(len(mails), len(subjects)), want(len(chats), len(subjects))); err != nil {
		return "", err
	}
	var seen strings.Builder
	linked := false
	for i, subject := range subjects {
		if !strings.Contains(strings.ToLower(mails[i].Subject), strings.ToLower(subject)) {
			return "", fmt.Errorf("mail %d is %q", i+1, mails[i].Subject)
		}
		linked = linked || strings.Contains(mails[i].HTML, html.EscapeString(row.JoinURL))
		fmt.Fprintf(&seen, "%q ", mails[i].Subject)
	}
	if !linked || !strings.Contains(strings.Join(chats, "\n"), row.JoinURL) {
		return "", errors.New("the join link is not in mail and WhatsApp")
	}
	return seen.String() + fmt.Sprintf("and %d WhatsApp messages", len(chats)), nil
}

func (w *walk) move() (string, error) {
	before := w.row()
	moved := before.Start.Add(3 * time.Hour)
	page, err := w.patient.post(w.visit+"/reschedule", url.Values{"start": {moved.Format(startLayout)}})
	if err != nil {
		return "", err
	}
	after := w.row()
	return after.Start.Format(time.RFC3339) + ", same link", errors.Join(want(page.code, http.StatusOK),
		want(after.Start.Equal(moved), true), want(after.JoinURL, before.JoinURL), want(after.MeetingID, before.MeetingID),
		want(len(w.site.mails(after)), 3))
}

func (w *walk) cancel() (string, error) {
	page, err := w.patient.post(w.visit+"/cancel", nil)
	if err != nil {
		return "", err
	}
	row := w.row()
	payment, err := w.site.gateway.Payment(w.ctx, row.PaymentID)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s of %s given back", row.RefundID, payment.Refunded), errors.Join(
		want(page.status(), string(cancelled)), want(payment.Refunded, row.Amount), want(len(w.site.mails(row)), 4))
}

func (w *walk) disconnect() (string, error) {
	page, err := w.staff.post("/api/auth/google/doctor/disconnect", nil)
	if err != nil {
		return "", err
	}
	booking, err := w.patient.post("/book", w.form("google", "en"))
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(page.body), errors.Join(want(strings.Contains(page.body, `"connected":false`), true),
		want(booking.code, http.StatusBadRequest))
}

func want[T comparable](got, want T) error {
	if got != want {
		return fmt.Errorf("got %v, want %v", got, want)
	}
	return nil
}

// browser keeps cookies and follows redirects.
type browser struct {
	base   string
	client *http.Client
}

func newBrowser(base string) *browser {
	jar, _ := cookiejar.New(nil) // never fails without options
	return &browser{base: base, client: &http.Client{Jar: jar, Transport: http.DefaultTransport.(*http.Transport).Clone(), Timeout: 20 * time.Second}}
}

func (b *browser) close() { b.client.CloseIdleConnections() }

// page is where a request ended.
type page struct {
	code       int
	path, body string
}

var badge = regexp.MustCompile(`id="status">([^<]*)<`)

// status is what the visit's page shows.
func (p page) status() string {
	if match := badge.FindStringSubmatch(p.body); match != nil {
		return match[1]
	}
	return fmt.Sprintf("no status on page %s (%d)", p.path, p.code)
}

func (b *browser) get(path string) (page, error) { return b.read(b.client.Get(b.address(path))) }

func (b *browser) post(path string, form url.Values) (page, error) {
	return b.read(b.client.PostForm(b.address(path), form))
}

// location returns where a path redirects to.
func (b *browser) location(path string) (string, error) {
	client := *b.client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Get(b.address(path))
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	return resp.Header.Get("Location"), want(resp.StatusCode, http.StatusSeeOther)
}

func (b *browser) address(path string) string {
	if strings.HasPrefix(path, "/") {
		return b.base + path
	}
	return path
}

func (b *browser) read(resp *http.Response, err error) (page, error) {
	if err != nil {
		return page{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return page{code: resp.StatusCode, path: strings.TrimPrefix(resp.Request.URL.String(), b.base), body: string(body)}, err
}

// cookies are those of the hospital, as a header has them.
func (b *browser) cookies() string {
	u, err := url.Parse(b.base)
	if err != nil {
		return ""
	}
	var parts []string
	for _, cookie := range b.client.Jar.Cookies(u) {
		parts = append(parts, cookie.Name+"="+cookie.Value)
	}
	return strings.Join(parts, "; ")
}

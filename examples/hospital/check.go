package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/telemed-go/telemed/meet/visit"
	"github.com/telemed-go/telemed/notify/smtp/smtptest"
	"github.com/telemed-go/telemed/notify/whatsapp/whatsapptest"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/razorpay"
	"github.com/telemed-go/telemed/payments/razorpay/razorpaytest"
	"github.com/telemed-go/telemed/realtime/realtimetest"
)

// visitor is the patient whose visit is walked.
type visitor struct{ Name, Email, Phone string }

var (
	asha   = visitor{Name: "Asha Verma", Email: "asha@example.org", Phone: "+919876543210"}
	bimal  = visitor{Name: "Bimal Sen", Email: "bimal@example.org", Phone: "+919876543211"}
	chitra = visitor{Name: "Chitra Nair", Email: "chitra@example.org", Phone: "+919876543212"}
)

// runCheck walks the visit with a hospital in a process of its own, which it kills on the
// way, and prints one line a step. With quick it leaves out those that wait for long.
func runCheck(ctx context.Context, out io.Writer, o options, quick bool) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Minute)
	defer cancel()
	alive, end := context.WithCancel(ctx)
	defer end()
	o.addr = "127.0.0.1:0"
	super, err := supervise(alive, o)
	if err != nil {
		return err
	}
	w := newWalker(ctx, out, super.panel, super.base)
	w.super, w.quick = super, quick
	err = w.run()
	w.close()
	end()
	return errors.Join(err, super.close())
}

// walk goes through the visit as browsers do. It stops at the first step that sees
// something wrong. What happened it asks the providers.
type walk struct {
	*panel
	ctx            context.Context
	out            io.Writer
	base           string
	super          *supervisor // nil if the hospital is in this process
	staff, patient *browser
	gateway        *razorpay.Client
	who            visitor
	dashboard      *realtimetest.Client
	visit          string // the path of the visit's page
	hour           int    // of the next booking
	quick          bool   // leaves out what takes long
}

func newWalker(ctx context.Context, out io.Writer, p *panel, base string) *walk {
	gateway, _ := razorpay.New(razorpay.FromEnv(p.getenv)) // the hospital has one like it
	return &walk{panel: p, ctx: ctx, out: out, base: base, staff: newBrowser(base), patient: newBrowser(base), gateway: gateway, who: asha}
}

func (w *walk) close() {
	if w.dashboard != nil {
		_ = w.dashboard.Close()
	}
	w.staff.close()
	w.patient.close()
}

type step struct {
	name string
	do   func() (string, error)
	slow bool // others wait in it, for who has died or for their turn
}

func (w *walk) run() error {
	steps := []step{
		{"doctor connects google", func() (string, error) { return w.connect("google", w.Google.Authorize) }, false},
		{"doctor connects zoom", func() (string, error) { return w.connect("zoom", w.Zoom.Authorize) }, false},
		{"dashboard joins its clinic", w.openDashboard, false},
		{"bad bookings are refused", w.badBookings, false},
		{"patient books google, in English", func() (string, error) { return w.book("google", "en") }, false},
		{"nothing is made before payment", w.nothingYet, false},
		{"a failed payment books nothing", w.failPayment, false},
		{"a forged payment books nothing", w.forgePayment, false},
		{"killed between booking and payment", w.dieBeforePayment, false},
		{"killed after the payment", w.dieAfterPayment, false},
		{"killed while the meeting is made", w.dieInTheMeeting, true},
		{"killed while mail is sent", w.dieInTheMail, true},
		{"killed while WhatsApp is sent", w.dieInTheChat, true},
		{"mail and WhatsApp arrive", func() (string, error) { return w.messages("Payment received", "Appointment confirmed") }, false},
		{"the counter", w.counter, false},
		{"meeting is made, without a name", func() (string, error) { return w.meeting("google") }, false},
		{"the doctor starts it", w.host, false},
		{"dashboard joins again", w.openDashboard, false},
		{"patient moves the visit", w.move, false},
		{"dashboard hears of the move", func() (string, error) { return w.hear("appointment-changed", visit.StatusBooked) }, false},
		{"patient cancels", w.cancel, true},
		{"dashboard hears of the end", func() (string, error) { return w.hear("appointment-changed", visit.StatusCancelled) }, true},
		{"another patient books zoom, in Hindi", func() (string, error) { w.who = bimal; return w.book("zoom", "hi") }, false},
		{"and pays", w.pay, false},
		{"dashboard hears of that too", func() (string, error) { return w.hear("new-appointment", visit.StatusBooked) }, false},
		{"mail and WhatsApp arrive in Hindi", func() (string, error) { return w.messages("भुगतान", "अपॉइंटमेंट") }, false},
		{"the counter again", w.counter, true},
		{"zoom meeting is made, without a name", func() (string, error) { return w.meeting("zoom") }, false},
		{"staff breaks all of it beforehand", w.breakAll, true},
		{"a third patient books and pays", w.bookBroken, true},
		{"staff breaks the rest", w.breakRest, true},
		{"the counter, after all of it", w.counter, true},
		{"the timeline tells of it", w.timeline, true},
		{"doctor disconnects google", w.disconnect, false},
	}
	if w.quick {
		steps = slices.DeleteFunc(steps, func(s step) bool { return s.slow })
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

// patience is how long a step may take. Whoever dies while a meeting is made keeps others
// from it for a minute, and those who tried meanwhile come back later.
const patience = 4 * time.Minute

// until waits for what the hospital does by itself.
func (w *walk) until(what string, is func() (bool, error)) error {
	for end := time.Now().Add(patience); ; {
		ok, err := is()
		switch {
		case ok || err != nil:
			return err
		case w.ctx.Err() != nil:
			return w.ctx.Err()
		case time.Now().After(end):
			return fmt.Errorf("%s: not within %s", what, patience)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (w *walk) connect(provider string, authorize func(string) (string, error)) (string, error) {
	if _, err := w.staff.post("/login", nil); err != nil {
		return "", err
	}
	consent, err := w.staff.location("/api/auth/" + provider + "/doctor/connect")
	if err != nil {
		return "", err
	}
	if strings.Contains(consent, doctor.ID) {
		return "", errors.New("the doctor's id is in the provider's address")
	}
	callback, err := authorize(consent)
	if err != nil {
		return "", err
	}
	page, err := w.staff.get(strings.TrimPrefix(callback, w.base))
	if err != nil {
		return "", err
	}
	if err := want(page.path, "/doctor/settings/integration?provider="+provider+"&success=true"); err != nil {
		return "", err
	}
	replayed, err := w.staff.get(strings.TrimPrefix(callback, w.base))
	if err != nil {
		return "", err
	}
	if err := want(replayed.path, "/doctor/settings/integration?provider="+provider+"&reason=expired&success=false"); err != nil {
		return "", err
	}
	return "ended at " + page.path + "; a replay was refused", nil
}

func (w *walk) openDashboard() (string, error) {
	if _, err := w.staff.post("/login", nil); err != nil { // logins do not outlive a process
		return "", err
	}
	if w.dashboard != nil {
		_ = w.dashboard.Close()
	}
	stranger, err := realtimetest.Dial(w.ctx, w.base, realtimetest.Options{})
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
	w.dashboard, err = realtimetest.Dial(w.ctx, w.base, realtimetest.Options{Header: http.Header{"Cookie": {w.staff.cookies()}}})
	if err != nil {
		return "", err
	}
	joined, err := w.dashboard.EmitAck(w.ctx, "join-clinic", clinicID)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("staff %s, stranger %s", joined, refused), want(string(joined), `{"ok":true}`)
}

// form is a good booking of the provider and language, some days ahead, at a time of its own.
func (w *walk) form(provider, language string) url.Values {
	w.hour++
	const aDay = int((lastHour - firstHour) * time.Hour / visitTime)
	start := hours(time.Now())[aDay+w.hour]
	return url.Values{
		"name": {w.who.Name}, "email": {w.who.Email}, "phone": {w.who.Phone}, "language": {language}, "zone": {"Asia/Kolkata"},
		"provider": {provider}, "start": {start.Format(time.RFC3339)},
	}
}

func (w *walk) badBookings() (string, error) {
	bad := map[string]string{"name": "", "email": "nobody", "phone": "98765", "zone": "Mars/Olympus", "provider": "skype", "start": "2001-01-01T10:00:00Z"}
	for field, value := range bad {
		form := w.form("google", "en")
		form.Set(field, value)
		page, err := w.patient.post("/book", form)
		if err != nil {
			return "", err
		}
		if page.code != http.StatusBadRequest || !strings.Contains(page.body, `id="wrong-`+field+`"`) {
			return "", fmt.Errorf("a wrong %s is answered with %d", field, page.code)
		}
	}
	return fmt.Sprintf("%d fields, each with a 400 and its problem", len(bad)), want(w.Razorpay.Count(razorpaytest.OpCreateOrder), 0)
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
	return page.status(), want(page.status(), translate(language, statuses[visit.StatusReserved]))
}

// shown is what the visit's page knows.
type shown struct {
	ID         string
	Status     visit.Status
	Generation int
	Start      time.Time
	JoinURL    string `json:"join_url"`
	Refund     visit.Refund
}

func (w *walk) state() (s shown, err error) {
	page, err := w.patient.get(w.visit + "/state")
	if err == nil {
		err = json.Unmarshal([]byte(page.body), &s)
	}
	return s, err
}

// reach waits until the visit is as it should be.
func (w *walk) reach(what string, is func(shown) bool) (s shown, err error) {
	return s, w.until(what, func() (bool, error) {
		s, err = w.state()
		return err == nil && is(s), err
	})
}

func isBooked(s shown) bool { return s.Status == visit.StatusBooked && s.JoinURL != "" }

func (w *walk) nothingYet() (string, error) {
	google, mails := len(w.Google.Events()), len(w.Mail.Messages())
	return fmt.Sprintf("%d meetings, %d mails", google, mails), errors.Join(want(google, 0), want(mails, 0))
}

// order is the visit's at the gateway.
func (w *walk) order() (string, error) {
	s, err := w.state()
	if err != nil {
		return "", err
	}
	orders, err := w.gateway.OrdersByKey(w.ctx, s.ID)
	if err != nil {
		return "", err
	}
	if len(orders) != 1 {
		return "", fmt.Errorf("%d orders", len(orders))
	}
	return orders[0].ID, nil
}

var hidden = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)"`)

// outcome presses a button of the checkout page. It returns the form that the browser
// then posts to the hospital.
func (w *walk) outcome(button string) (url.Values, error) {
	checkout, err := w.patient.get(w.visit + "/pay")
	if err != nil {
		return nil, err
	}
	form := url.Values{"outcome": {button}}
	for _, match := range hidden.FindAllStringSubmatch(checkout.body, -1) {
		form.Set(match[1], html.UnescapeString(match[2]))
	}
	back, err := w.patient.post(w.Razorpay.URL()+"/checkout", form)
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
	if !strings.Contains(page.body, "is not booked") {
		return "", fmt.Errorf("the browser ended at %s with %d", page.path, page.code)
	}
	back, err := w.patient.get("/visits/mine")
	if err != nil {
		return "", err
	}
	return "not booked", errors.Join(want(back.path, w.visit), want(back.status(), statuses[visit.StatusReserved]))
}

func (w *walk) forgePayment() (string, error) {
	order, err := w.order()
	if err != nil {
		return "", err
	}
	page, err := w.patient.post("/payments/callback", url.Values{
		"razorpay_order_id": {order}, "razorpay_payment_id": {"pay_00000000000001"}, "razorpay_signature": {strings.Repeat("ab", 32)},
	})
	if err != nil {
		return "", err
	}
	s, err := w.state()
	return fmt.Sprintf("%d", page.code), errors.Join(err, want(page.code, http.StatusBadRequest), want(s.Status, visit.StatusReserved))
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
	// The webhooks tell the same once more.
	if err := errors.Join(want(page.path, w.visit), w.Razorpay.WaitWebhooks(w.ctx)); err != nil {
		return "", err
	}
	s, err := w.reach("paid", isBooked)
	return s.JoinURL, err
}

func (w *walk) hear(event string, status visit.Status) (string, error) {
	ctx, cancel := context.WithTimeout(w.ctx, 30*time.Second)
	defer cancel()
	s, err := w.state()
	if err != nil {
		return "", err
	}
	for {
		got, err := w.dashboard.Next(ctx)
		if err != nil {
			return "", err
		}
		var data struct {
			ID, PatientName string
			Status          visit.Status
		}
		if err := json.Unmarshal(got.Data, &data); err != nil {
			return "", err
		}
		if got.Name == event && data.ID == s.ID && data.Status == status {
			return fmt.Sprintf("%s %s (%s)", got.Name, data.ID, data.Status), want(data.PatientName, w.who.Name)
		}
	}
}

// meeting checks that the patient's link leads to a meeting, and that no provider learnt
// the patient's name.
func (w *walk) meeting(provider string) (string, error) {
	s, err := w.state()
	if err != nil {
		return "", err
	}
	var links, titles []string
	for _, event := range w.Google.Events() {
		links, titles = append(links, event.JoinURL), append(titles, event.Summary+event.Description)
	}
	for _, m := range w.Zoom.Meetings() {
		links, titles = append(links, fmt.Sprintf("/j/%d", m.ID)), append(titles, m.Topic+m.Agenda)
	}
	found := 0
	for i, link := range links {
		if strings.Contains(s.JoinURL, link) {
			found++
		}
		if strings.Contains(titles[i], w.who.Name) {
			return "", errors.New("the patient's name is in a topic")
		}
	}
	return provider + " " + s.JoinURL, want(found, 1)
}

// mails and chats are what the patient has received, the earliest first.
func (w *walk) mails() (all []smtptest.Message) {
	for _, m := range w.Mail.Messages() {
		if len(m.Recipients) == 1 && m.Recipients[0] == w.who.Email {
			all = append(all, m)
		}
	}
	return all
}

func (w *walk) chats() (all []whatsapptest.Message) {
	for _, m := range w.WhatsApp.Messages() {
		if m.To == strings.TrimPrefix(w.who.Phone, "+") || m.To == w.who.Phone {
			all = append(all, m)
		}
	}
	return all
}

// messages waits for mails with these subjects, in whatever order a death between them has
// left, and for a chat that has the link as the last of them has.
func (w *walk) messages(subjects ...string) (string, error) {
	err := w.until("mail and WhatsApp", func() (bool, error) { return len(w.mails()) >= len(subjects) && len(w.chats()) >= 1, nil })
	if err != nil {
		return "", err
	}
	var seen strings.Builder
	var last smtptest.Message
	for _, subject := range subjects {
		mails := w.mails()
		i := slices.IndexFunc(mails, func(m smtptest.Message) bool {
			return strings.Contains(strings.ToLower(m.Subject), strings.ToLower(subject))
		})
		if i < 0 {
			return "", fmt.Errorf("there is no mail %q", subject)
		}
		last = mails[i]
		fmt.Fprintf(&seen, "%q ", last.Subject)
	}
	s, err := w.state()
	if err != nil {
		return "", err
	}
	if !strings.Contains(last.HTML, html.EscapeString(s.JoinURL)) || !strings.Contains(w.chats()[0].Text, s.JoinURL) {
		return "", errors.New("the join link is not in mail and WhatsApp")
	}
	return seen.String() + "and WhatsApp, with the link", nil
}

// counter is what there is of a visit that was paid, once everything is quiet.
func (w *walk) counter() (string, error) {
	time.Sleep(w.quiet()) // time enough for what would be sent twice
	order, err := w.order()
	if err != nil {
		return "", err
	}
	paid, err := w.gateway.OrderPayments(w.ctx, order)
	if err != nil {
		return "", err
	}
	charges := 0
	for _, p := range paid {
		if p.Status == payments.PaymentCaptured {
			charges++
		}
	}
	meetings, err := w.living()
	if err != nil {
		return "", err
	}
	kinds := map[string]int{}
	for _, m := range w.mails() {
		kinds[m.Subject]++
	}
	mails, chats := len(w.mails()), len(w.chats())
	return fmt.Sprintf("meetings %d · charges %d · mails %d receipt, %d confirmed · WhatsApp %d", meetings, charges, mails/2, mails-mails/2, chats),
		errors.Join(want(meetings, 1), want(charges, 1), want(len(kinds), 2), want(mails, 2), want(chats, 1))
}

// quiet is how long to wait for what would be done twice: after a death for those who take
// over, else for what waits its turn.
func (w *walk) quiet() time.Duration {
	if w.quick || w.super == nil {
		return pace / 5
	}
	return 3 * pace
}

// living counts the meetings at the time of the visit that were not deleted.
func (w *walk) living() (n int, err error) {
	s, err := w.state()
	for _, e := range w.Google.Events() {
		if e.Start.Equal(s.Start) && e.Status != "cancelled" {
			n++
		}
	}
	for _, m := range w.Zoom.Meetings() {
		if m.Start.Equal(s.Start) && !m.Deleted {
			n++
		}
	}
	return n, err
}

// press presses buttons of the staff's panel.
func (w *walk) press(actions ...string) error {
	s, err := w.state()
	if err != nil && w.visit != "" {
		return err
	}
	staff, err := w.staff.get("/clinic/visits/" + s.ID)
	if err != nil {
		return err
	}
	for _, action := range actions {
		form := url.Values{"visit": {s.ID}, "provider": {"google"}, "back": {"/clinic/visits/" + s.ID}}
		for _, match := range hidden.FindAllStringSubmatch(staff.body, -1) {
			if match[1] == "order" || match[1] == "chat" {
				form.Set(match[1], html.UnescapeString(match[2]))
			}
		}
		page, err := w.staff.post("/demonstration/"+action, form)
		if err != nil {
			return err
		}
		if page.code != http.StatusOK || strings.Contains(page.path, "nothing=") {
			return fmt.Errorf("%s ended at %s with %d", action, page.path, page.code)
		}
	}
	return nil
}

func (w *walk) breakAll() (string, error) {
	return "five answers will be lost, webhooks are held, tokens have expired",
		w.press("lose-order", "lose-meeting", "lose-mail", "lose-chat", "webhook-hold", "expire")
}

func (w *walk) bookBroken() (string, error) {
	w.who = chitra
	booked, err := w.book("google", "en")
	if err != nil {
		return booked, err
	}
	// The order's answer is lost: the page says so, and the next look has the order.
	if err := w.until("order", func() (bool, error) {
		page, err := w.patient.get(w.visit + "/pay")
		return page.code == http.StatusOK, err
	}); err != nil {
		return "", err
	}
	result, err := w.outcome("pay")
	if err != nil {
		return "", err
	}
	if _, err := w.patient.post("/payments/callback", result); err != nil {
		return "", err
	}
	s, err := w.reach("paid", isBooked)
	return s.JoinURL, err
}

func (w *walk) breakRest() (string, error) {
	if err := w.press("webhook-release", "webhook-five", "kill"); err != nil {
		return "", err
	}
	if told, err := w.messages("Payment received", "Appointment confirmed"); err != nil {
		return told, err
	}
	err := w.until("WhatsApp", func() (bool, error) { return w.press("fail-chat") == nil, nil })
	return "webhooks released, five more, a kill, a WhatsApp that failed late", errors.Join(err, w.press("kill"))
}

// timeline looks at the staff's page.
func (w *walk) timeline() (string, error) {
	s, err := w.state()
	if err != nil {
		return "", err
	}
	page, err := w.staff.get("/clinic/visits/" + s.ID)
	if err != nil {
		return "", err
	}
	for _, want := range []string{"booked for", "order_", "pay_", "→ no answer", "webhook payment.captured", "mail server has taken", "wamid.", "kills the server", "is open again"} {
		if !strings.Contains(page.body, want) {
			return "", fmt.Errorf("the timeline has no %q", want)
		}
	}
	return fmt.Sprintf("%d lines", strings.Count(page.body, "<time")), nil
}

func (w *walk) host() (string, error) {
	s, err := w.state()
	if err != nil {
		return "", err
	}
	if _, err := w.staff.post("/login", nil); err != nil {
		return "", err
	}
	stranger, err := w.patient.get("/clinic/visits/" + s.ID + "/host")
	if err != nil {
		return "", err
	}
	link, err := w.staff.location("/clinic/visits/" + s.ID + "/host")
	return "led to " + link, errors.Join(err, want(stranger.code, http.StatusUnauthorized), want(strings.HasPrefix(link, "http"), true))
}

func (w *walk) move() (string, error) {
	before, err := w.state()
	if err != nil {
		return "", err
	}
	moved := before.Start.AddDate(0, 0, 1)
	page, err := w.patient.post(w.visit+"/reschedule", url.Values{"start": {moved.Format(time.RFC3339)}})
	if err != nil {
		return "", err
	}
	after, err := w.reach("moved", func(s shown) bool { return s.Start.Equal(moved) && s.JoinURL != "" })
	if err == nil {
		err = w.until("told", func() (bool, error) { return len(w.mails()) == 3 && len(w.chats()) == 2, nil })
	}
	return after.Start.Format(time.RFC3339) + ", same link", errors.Join(err, want(page.code, http.StatusOK), want(after.JoinURL, before.JoinURL))
}

func (w *walk) cancel() (string, error) {
	if _, err := w.patient.post(w.visit+"/cancel", nil); err != nil {
		return "", err
	}
	s, err := w.reach("given back", func(s shown) bool {
		return s.Status == visit.StatusCancelled && s.Refund.Status == payments.RefundProcessed
	})
	if err != nil {
		return "", err
	}
	err = w.until("told", func() (bool, error) { return len(w.mails()) == 5 && len(w.chats()) == 3, nil })
	gone := w.until("meeting is gone", func() (bool, error) { n, err := w.living(); return n == 0, err })
	return s.Refund.Amount.String() + " given back, the meeting is gone", errors.Join(err, gone, want(s.Refund.Amount, fee))
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

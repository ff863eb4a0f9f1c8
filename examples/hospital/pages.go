package main

import (
	"bytes"
	"crypto/rand"
	"errors"
	"html/template"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/smtp/smtptest"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/connect"
)

var pages = template.Must(template.New("").Funcs(template.FuncMap{
	"when":  func(t time.Time) string { return t.Format("Mon 2 Jan 2006, 15:04 MST") },
	"local": func(t time.Time) string { return t.Format(startLayout) },
	"place": place,
	"flag":  flagged,
}).ParseFS(web, "web/*.html"))

// flagged marks an input that is wrong, for screen readers too, and puts the cursor into
// the first one.
func flagged(wrong problems, field string) template.HTMLAttr {
	if wrong[field] == "" {
		return ""
	}
	attributes := `aria-invalid="true" aria-describedby="wrong-` + field + `"`
	names := []string{"name", "email", "phone", "language", "zone", "start", "provider"}
	first := slices.IndexFunc(names, func(name string) bool { return wrong[name] != "" })
	if first >= 0 && names[first] == field {
		attributes += " autofocus"
	}
	return template.HTMLAttr(attributes) // of constants: field is written in the template
}

// show renders a page whole before the first byte goes out.
func (h *hospital) show(w http.ResponseWriter, code int, page string, data any) {
	var out bytes.Buffer
	if err := pages.ExecuteTemplate(&out, page, data); err != nil {
		h.log.Error("page cannot be shown", slog.String("page", page), slog.Any("error", err))
		http.Error(w, "the page cannot be shown", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(code)
	_, _ = out.WriteTo(w)
}

// problem is a page that says what went wrong, and where to go from there.
type problem struct{ Text, Back string }

// fail answers an error with a page that says what to do. The error's text stays here.
func (h *hospital) fail(w http.ResponseWriter, r *http.Request, err error) { h.failAt(w, r, err, "") }

// failAt is fail for a visit. The page links back to the visit's.
func (h *hospital) failAt(w http.ResponseWriter, r *http.Request, err error, visit string) {
	code, text := http.StatusBadGateway, "Something did not answer. Nothing is lost: please try again in a minute."
	field, wrong := errors.AsType[*telemed.FieldError](err)
	switch {
	case errors.Is(err, errNoPage):
		code, text = http.StatusNotFound, "There is no such page."
	case errors.Is(err, errNoVisit), errors.Is(err, telemed.ErrNotFound):
		code, text = http.StatusNotFound, "There is no such visit."
	case errors.Is(err, telemed.ErrSignature):
		code, text = http.StatusBadRequest, "The payment's signature is wrong. No visit was booked."
	case errors.Is(err, payments.ErrAmountMismatch):
		code, text = http.StatusBadRequest, "The payment is not the one of this visit. Nothing was booked."
	case wrong:
		code, text = http.StatusBadRequest, field.Error()
	case errors.Is(err, errState), errors.Is(err, telemed.ErrConflict):
		code, text = http.StatusConflict, "The visit has changed meanwhile. Please look at its page."
	}
	h.log.LogAttrs(r.Context(), slog.LevelWarn, "request failed", slog.String("route", r.Pattern), slog.Int("status", code), slog.Any("error", err))
	h.show(w, code, "error.html", problem{text, visit})
}

var errNoPage = errors.New("there is no such page")

// showNothing is for every other address. It is also for those that only forms are sent
// to, because a phone may load them again.
func (h *hospital) showNothing(w http.ResponseWriter, r *http.Request) { h.fail(w, r, errNoPage) }

func (h *hospital) showHome(w http.ResponseWriter, r *http.Request) {
	connected, err := h.connected(r.Context())
	if err != nil {
		h.fail(w, r, err)
		return
	}
	h.show(w, http.StatusOK, "home.html", map[string]any{"Connected": connected, "Doctor": doctorName})
}

// bookingPage is the form with what was typed and what is wrong with it.
type bookingPage struct {
	Connected []string
	Values    map[string]string
	Wrong     problems
	Fee       string
}

func (h *hospital) showBooking(w http.ResponseWriter, r *http.Request) {
	connected, err := h.connected(r.Context())
	if err != nil {
		h.fail(w, r, err)
		return
	}
	tomorrow := h.now().AddDate(0, 0, 1)
	values := map[string]string{
		"form": rand.Text(), "zone": "Asia/Kolkata", "language": "en", "start": tomorrow.Format("2006-01-02") + "T10:30",
	}
	if len(connected) > 0 {
		values["provider"] = connected[0]
	}
	h.show(w, http.StatusOK, "book.html", bookingPage{Connected: connected, Values: values, Fee: payments.INR(fee).String()})
}

func (h *hospital) postBooking(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		h.show(w, http.StatusBadRequest, "error.html", problem{Text: "The form cannot be read."})
		return
	}
	connected, err := h.connected(r.Context())
	if err != nil {
		h.fail(w, r, err)
		return
	}
	visit, wrong := parseBooking(r, connected, h.now())
	if len(wrong) > 0 {
		values := map[string]string{}
		for name := range r.PostForm {
			values[name] = r.PostFormValue(name)
		}
		h.show(w, http.StatusBadRequest, "book.html", bookingPage{Connected: connected, Values: values, Wrong: wrong, Fee: payments.INR(fee).String()})
		return
	}
	visit, err = h.book(r.Context(), visit, formKey(r))
	if err != nil {
		h.fail(w, r, err)
		return
	}
	h.guard.SetCookie(w, r, http.Cookie{Name: visitCookie, Value: visit.Page, Path: "/visits/"})
	http.Redirect(w, r, "/visits/"+visit.Page, http.StatusSeeOther)
}

// visitCookie remembers the patient's last visit, for the way back from the payment.
const visitCookie = "hospital_visit"

func (h *hospital) showMine(w http.ResponseWriter, r *http.Request) {
	cookie, err := r.Cookie(visitCookie)
	if err != nil {
		h.fail(w, r, errNoVisit)
		return
	}
	visit, err := h.visits.ofPage(cookie.Value)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/visits/"+visit.Page, http.StatusSeeOther)
}

// ofVisit hands a handler the visit whose page is asked for.
func (h *hospital) ofVisit(next func(http.ResponseWriter, *http.Request, appointment)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		visit, err := h.visits.ofPage(r.PathValue("page"))
		if err != nil {
			h.fail(w, r, err)
			return
		}
		next(w, r, visit)
	}
}

// visitPage is what the patient sees, with the messages as they would arrive, newest
// first.
type visitPage struct {
	appointment
	Doctor, CheckoutURL string
	Mails               []smtptest.Message
	Chats               []string
	NewStart            string // as typed, if it was wrong
	Wrong               problems
	Earliest            time.Time
}

func (h *hospital) showVisit(w http.ResponseWriter, _ *http.Request, visit appointment) {
	h.showVisitPage(w, http.StatusOK, visit, visit.Start.Format(startLayout), nil)
}

func (h *hospital) showVisitPage(w http.ResponseWriter, code int, visit appointment, newStart string, wrong problems) {
	h.show(w, code, "visit.html", visitPage{
		appointment: visit, Doctor: doctorName, CheckoutURL: h.checkoutURL(visit), Mails: h.mails(visit), Chats: h.chats(visit),
		NewStart: newStart, Wrong: wrong, Earliest: h.now().In(visit.Patient.Zone),
	})
}

// mails are the visit's mails as the mail server has them, newest first.
func (h *hospital) mails(visit appointment) []smtptest.Message {
	ids := visit.receipts(notify.Email)
	var found []smtptest.Message
	for _, mail := range slices.Backward(h.providers.Mail.Messages()) {
		if ids[mail.ID] || ids["<"+mail.ID+">"] {
			found = append(found, mail)
		}
	}
	return found
}

// chats are the visit's WhatsApp messages as the patient's phone shows them.
func (h *hospital) chats(visit appointment) []string {
	ids := visit.receipts(notify.WhatsApp)
	var found []string
	for _, message := range slices.Backward(h.providers.WhatsApp.Messages()) {
		if ids[message.ID] {
			found = append(found, message.Text)
		}
	}
	return found
}

// showMail is the HTML of a mail. It is shown in a frame of its own that can do nothing
// but open links in a new window.
func (h *hospital) showMail(w http.ResponseWriter, r *http.Request, visit appointment) {
	mails := h.mails(visit)
	n, err := strconv.Atoi(r.PathValue("n"))
	if err != nil || n < 0 || n >= len(mails) {
		h.fail(w, r, errNoVisit)
		return
	}
	w.Header().Set("Content-Security-Policy", "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; frame-ancestors 'self'")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(w, strings.Replace(mails[n].HTML, "<head>", `<head><base target="_blank">`, 1))
}

func (h *hospital) postReschedule(w http.ResponseWriter, r *http.Request, visit appointment) {
	if err := r.ParseForm(); err != nil {
		h.show(w, http.StatusBadRequest, "error.html", problem{Text: "The form cannot be read."})
		return
	}
	wrong := problems{}
	start := parseStart(r.PostFormValue("start"), visit.Patient.Zone, h.now(), wrong)
	if len(wrong) > 0 {
		h.showVisitPage(w, http.StatusBadRequest, visit, r.PostFormValue("start"), wrong)
		return
	}
	h.afterwards(w, r, visit, h.move(r.Context(), visit.ID, start))
}

func (h *hospital) postCancel(w http.ResponseWriter, r *http.Request, visit appointment) {
	h.afterwards(w, r, visit, h.cancel(r.Context(), visit.ID))
}

// afterwards fulfills what was recorded and goes back to the visit's page, which shows
// how far it got.
func (h *hospital) afterwards(w http.ResponseWriter, r *http.Request, visit appointment, err error) {
	if err != nil {
		h.failAt(w, r, err, "/visits/"+visit.Page)
		return
	}
	h.tryFulfilling(r.Context(), visit.ID)
	http.Redirect(w, r, "/visits/"+visit.Page, http.StatusSeeOther)
}

func (h *hospital) postLogin(w http.ResponseWriter, r *http.Request) {
	if err := h.sessions.Attempt(r); err != nil {
		w.Header().Set("Retry-After", "60")
		h.show(w, http.StatusTooManyRequests, "error.html", problem{Text: "There were too many logins from here. Please try again in a minute."})
		return
	}
	h.sessions.Begin(w, r, doctorID)
	http.Redirect(w, r, "/doctor/settings/integration", http.StatusSeeOther)
}

func (h *hospital) postLogout(w http.ResponseWriter, r *http.Request) {
	if doctor := h.sessions.End(w, r); doctor != "" {
		h.hub.Disconnect(doctor) // dashboards that are still logged in come back by themselves
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// reasons are connect's, in words for the doctor.
var reasons = map[connect.Reason]string{
	connect.ReasonDenied:     "You did not allow it. Nothing was connected.",
	connect.ReasonScope:      "The calendar permission was not ticked. Please connect again and tick it.",
	connect.ReasonExpired:    "That took too long or was used already. Please connect again.",
	connect.ReasonLogin:      "You are not logged in any more. Please log in and connect again.",
	connect.ReasonOtherLogin: "Another doctor logged in meanwhile. Nothing was connected.",
	connect.ReasonInvalid:    "The answer was not one of the provider's. Nothing was connected.",
	connect.ReasonProvider:   "The provider did not answer as it should. Please try again.",
	connect.ReasonConfig:     "The hospital's credentials were refused. Please call the technicians.",
	connect.ReasonNoRefresh:  "The provider gave no lasting permission. Please remove the hospital's access there and connect again.",
	connect.ReasonStore:      "The connection could not be stored. Please try again.",
}

func (h *hospital) showSettings(w http.ResponseWriter, r *http.Request) {
	doctor, err := h.sessions.Subject(r)
	if err != nil {
		h.show(w, http.StatusUnauthorized, "login.html", doctorName)
		return
	}
	var states []connect.State
	for _, name := range []string{"google", "zoom"} {
		state, err := h.accounts.State(r.Context(), store.AccountID{Provider: name, Subject: doctor})
		if err != nil {
			h.fail(w, r, err)
			return
		}
		states = append(states, state)
	}
	query := r.URL.Query()
	h.show(w, http.StatusOK, "settings.html", map[string]any{
		"Doctor": doctorName, "States": states, "Success": query.Get("success") == "true",
		"Problem": reasons[connect.Reason(query.Get("reason"))],
	})
}

func (h *hospital) showClinic(w http.ResponseWriter, r *http.Request) {
	if _, err := h.sessions.Subject(r); err != nil {
		h.show(w, http.StatusUnauthorized, "login.html", doctorName)
		return
	}
	var rows []announcement
	for _, visit := range h.visits.all() {
		if visit.Status == confirmed || visit.Status == cancelled && visit.PaymentID != "" {
			rows = append(rows, announcementOf(&visit))
		}
	}
	h.show(w, http.StatusOK, "clinic.html", map[string]any{"Clinic": clinicName, "ClinicID": clinicID, "Rows": rows})
}

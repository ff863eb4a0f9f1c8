package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/meet/visit"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/template"
)

// joinBefore is how long before the start the button appears.
const joinBefore = 15 * time.Minute

// visitPage is what the patient sees, with the messages as they would arrive.
type visitPage struct {
	*visit.Visit
	Page, Doctor, PayURL                      string
	Days                                      []day
	Chosen                                    string
	Mails                                     []seenMail
	Chats                                     []seenChat
	Wrong                                     problems
	CanMove, CanCancel, Moving, CanJoin, Paid bool
}

// showMine is where the payment page leads back to. Its cookie is the patient's; the address
// tells nothing but how the payment ended.
func (h *hospital) showMine(w http.ResponseWriter, r *http.Request) {
	cookie, err := r.Cookie(visitCookie)
	switch {
	case err != nil:
		h.fail(w, r, telemed.ErrNotFound)
	case r.URL.Query().Get("status") == "unpaid":
		h.show(w, r, http.StatusOK, "failed.html", nil)
	default:
		http.Redirect(w, r, "/visits/"+url.PathEscape(cookie.Value), http.StatusSeeOther)
	}
}

// askFor is how long a page waits for the gateway.
const askFor = 8 * time.Second

// showVisit has the gateway asked while the visit is to be paid: who has paid, and nobody
// was told, sees it here.
func (h *hospital) showVisit(w http.ResponseWriter, r *http.Request, v *visit.Visit) {
	if v.Status == visit.StatusReserved {
		ctx, cancel := context.WithTimeout(r.Context(), askFor)
		defer cancel()
		if checkout, err := h.visits.Checkout(ctx, v.ID); err == nil {
			v = checkout.Visit
		}
	}
	h.showVisitPage(w, r, http.StatusOK, v, "", nil)
}

func (h *hospital) showVisitPage(w http.ResponseWriter, r *http.Request, code int, v *visit.Visit, chosen string, wrong problems) {
	page, now := r.PathValue("page"), time.Now()
	mails, chats, err1 := h.received(r.Context(), v)
	taken, err2 := h.taken(r.Context())
	if err := errors.Join(err1, err2); err != nil {
		h.fail(w, r, err)
		return
	}
	booked := v.Status == visit.StatusBooked
	end := v.Start.Add(v.Duration)
	p := visitPage{
		Visit: v, Page: page, Doctor: v.Doctor.Name, PayURL: h.base + "/visits/" + page + "/pay", Mails: mails, Chats: chats,
		Wrong: wrong, Moving: booked && v.JoinURL == "", Paid: booked || v.Refund.Status != "",
		CanMove: booked && v.Start.After(now), CanCancel: booked && end.After(now) || v.Status == visit.StatusReserved,
		CanJoin: booked && v.JoinURL != "" && now.After(v.Start.Add(-joinBefore)) && now.Before(end.Add(time.Hour)),
	}
	if p.CanMove {
		p.Days, p.Chosen = slots(languageOf(r), zoneOf(v), now, taken), chosen
	}
	h.show(w, r, code, "visit.html", p)
}

// showState is what a script needs of the page.
func (h *hospital) showState(w http.ResponseWriter, r *http.Request, v *visit.Visit) {
	body, err := v.MarshalJSON()
	if err != nil {
		h.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body)
}

// showJoin leads into the meeting, and has the doctor see that the patient is there.
func (h *hospital) showJoin(w http.ResponseWriter, r *http.Request, v *visit.Visit) {
	if v.JoinURL == "" || v.Status != visit.StatusBooked {
		h.fail(w, r, telemed.ErrConflict)
		return
	}
	_, err := h.rows.ExecContext(r.Context(), `UPDATE visits SET waits = $1 WHERE id = $2 AND waits = 0`, time.Now().Unix(), v.ID)
	h.to(w, r, v.JoinURL, err)
}

func (h *hospital) showReceipt(w http.ResponseWriter, r *http.Request, v *visit.Visit) {
	entries, err := h.visits.Timeline(r.Context(), v.ID)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	var payment string
	var at time.Time
	for _, e := range entries {
		if id, found := strings.CutPrefix(e.What, "payment "); found && strings.HasSuffix(id, " captured") {
			payment, at = strings.TrimSuffix(id, " captured"), e.At
		}
	}
	if payment == "" {
		h.fail(w, r, errNoPage)
		return
	}
	h.show(w, r, http.StatusOK, "receipt.html", map[string]any{
		"Visit": v, "Payment": payment, "At": at.In(zoneOf(v)), "Clinic": clinicName, "Page": r.PathValue("page"),
		"Clock": clock(languageOf(r), at.In(zoneOf(v))),
	})
}

// showCalendar is the entry for the patient's calendar, the same as the mail has.
func (h *hospital) showCalendar(w http.ResponseWriter, r *http.Request, v *visit.Visit) {
	if v.Status != visit.StatusBooked {
		h.fail(w, r, telemed.ErrConflict)
		return
	}
	words, err := calendarWords()
	if err != nil {
		h.fail(w, r, err)
		return
	}
	content, err := words.Render(notify.Message{
		Key: v.ID + "/calendar", Template: template.Confirmed,
		To:   notify.Recipient{Name: v.Patient.Name, Email: v.Patient.Email, Phone: v.Patient.Phone, Locale: v.Patient.Locale, Zone: zoneOf(v)},
		Data: template.Appointment{Key: v.ID, Patient: v.Patient.Name, Doctor: v.Doctor.Name, Start: v.Start, Duration: v.Duration, JoinURL: v.JoinURL, Sequence: v.Generation - 1},
	})
	if err == nil && len(content.Files) == 0 {
		err = errNoPage
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/calendar; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="visit.ics"`)
	_, _ = w.Write(content.Files[0].Data)
}

// calendarWords makes the words of calendar entries.
var calendarWords = sync.OnceValues(func() (*template.Set, error) {
	return template.New(template.Config{Clinic: clinicName, Zone: clinicZone, AllowUnreviewed: true})
})

func (h *hospital) postCancel(w http.ResponseWriter, r *http.Request, v *visit.Visit) {
	h.to(w, r, "/visits/"+r.PathValue("page"), h.visits.Cancel(r.Context(), v.ID, visit.ByPatient))
}

func (h *hospital) postReschedule(w http.ResponseWriter, r *http.Request, v *visit.Visit) {
	taken, err := h.taken(r.Context())
	if err != nil {
		h.fail(w, r, err)
		return
	}
	text := r.PostFormValue("start")
	start, problem := parseStart(text, taken)
	wrong := problems{"start": problem}
	if problem == "" {
		err = h.visits.Move(r.Context(), v.ID, start)
		wrong = problemsOf(err)
	}
	if wrong != nil {
		h.showVisitPage(w, r, http.StatusBadRequest, v, text, wrong)
		return
	}
	h.to(w, r, "/visits/"+r.PathValue("page"), err)
}

// showCheckout leads to Razorpay's page on this machine. In production the visit's page
// opens Razorpay's form with checkout.js and these options.
func (h *hospital) showCheckout(w http.ResponseWriter, r *http.Request, v *visit.Visit) {
	back := "/visits/" + r.PathValue("page")
	ctx, cancel := context.WithTimeout(r.Context(), askFor)
	defer cancel()
	checkout, err := h.visits.Checkout(ctx, v.ID)
	if err != nil || checkout.Options == nil { // nothing is to be paid any more
		h.to(w, r, back, err)
		return
	}
	var options struct {
		OrderID string `json:"order_id"`
	}
	err = json.Unmarshal(checkout.Options, &options)
	h.to(w, r, h.env("RAZORPAY_BASE_URL")+"/checkout?"+url.Values{
		"order_id": {options.OrderID}, "name": {clinicName}, "description": {"Video consultation"},
		"callback_url": {h.base + "/payments/callback"}, "cancel_url": {h.base + back},
	}.Encode(), err)
}

// received returns what the patient has received of a visit, the latest first. The doctor's
// copies are not among it.
func (h *hospital) received(ctx context.Context, v *visit.Visit) (mails []seenMail, chats []seenChat, err error) {
	s, err1 := h.readSeen(ctx)
	sent, err2 := h.visits.Messages(ctx, v.ID)
	if err := errors.Join(err1, err2); err != nil || s == nil {
		return nil, nil, err
	}
	ours := map[string]bool{}
	for _, m := range sent {
		ours[notify.Reference(v.ID+"/"+m.Key)] = true
	}
	for _, m := range s.Mails {
		if ours[m.Reference] && strings.EqualFold(m.To, v.Patient.Email) {
			m.Number = len(mails)
			mails = append(mails, m)
		}
	}
	for _, m := range s.Chats {
		if ours[m.Reference] {
			chats = append(chats, m)
		}
	}
	slices.Reverse(mails)
	slices.Reverse(chats)
	return mails, chats, nil
}

// showMail is the HTML of a mail, the first of a visit being 0. It is shown in a frame of its
// own that can do nothing but open links in a new window.
func (h *hospital) showMail(w http.ResponseWriter, r *http.Request, v *visit.Visit) {
	mails, _, err := h.received(r.Context(), v)
	n, wrong := strconv.Atoi(r.PathValue("n"))
	if err == nil && (wrong != nil || n < 0 || n >= len(mails)) {
		err = telemed.ErrNotFound
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	slices.Reverse(mails)
	w.Header().Set("Content-Security-Policy", "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; frame-ancestors 'self'")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(w, strings.Replace(mails[n].HTML, "<head>", `<head><base target="_blank">`, 1))
}

// mailEvents asks the mail relay what it has taken.
type mailEvents struct{ address string }

// Outcome implements notify.Evidence.
func (e mailEvents) Outcome(ctx context.Context, reference string, _ time.Time) (notify.Outcome, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.address+"?"+url.Values{"reference": {reference}}.Encode(), nil)
	if err != nil {
		return notify.OutcomeUnknown, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return notify.OutcomeUnknown, err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusNoContent:
		return notify.OutcomeArrived, nil
	case http.StatusNotFound:
		return notify.OutcomeNotArrived, nil
	}
	return notify.OutcomeUnknown, fmt.Errorf("mail events: status %d", resp.StatusCode)
}

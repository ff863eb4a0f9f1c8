package main

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/meet/visit"
)

// bookingPage is the form with what was typed and what is wrong with it.
type bookingPage struct {
	Connected []string
	Values    map[string]string
	Wrong     problems
	Fee       string
}

func (h *hospital) showBooking(w http.ResponseWriter, r *http.Request) {
	day := time.Now().AddDate(0, 0, 1)
	start := time.Date(day.Year(), day.Month(), day.Day(), 10, 30, 0, 0, time.UTC)
	var visits int // a guess at the next free half hour; Book knows
	if err := h.rows.QueryRowContext(r.Context(), `SELECT count(*) FROM visits`).Scan(&visits); err != nil {
		h.fail(w, r, err)
		return
	}
	start = start.Add(time.Duration(visits%16) * 30 * time.Minute)
	h.showForm(w, r, http.StatusOK, nil, map[string]string{
		"form": rand.Text(), "zone": "Asia/Kolkata", "language": "en", "start": start.Format(startLayout),
	})
}

func (h *hospital) showForm(w http.ResponseWriter, r *http.Request, code int, wrong problems, values map[string]string) {
	connected, err := h.connected(r.Context())
	if err != nil {
		h.fail(w, r, err)
		return
	}
	if len(connected) > 0 && values["provider"] == "" {
		values["provider"] = connected[0]
	}
	h.show(w, code, "book.html", bookingPage{Connected: connected, Values: values, Wrong: wrong, Fee: fee.String()})
}

func (h *hospital) postBooking(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		h.fail(w, r, telemed.ErrInvalid)
		return
	}
	connected, err := h.connected(r.Context())
	if err != nil {
		h.fail(w, r, err)
		return
	}
	req, own := bookingOf(r, connected)
	page, err := h.book(r.Context(), formKey(r), req)
	wrong := problemsOf(err)
	if wrong != nil { // else the form was not looked at
		maps.Copy(wrong, own)
	}
	if wrong != nil {
		values := map[string]string{}
		for name := range r.PostForm {
			values[name] = r.PostFormValue(name)
		}
		h.showForm(w, r, http.StatusBadRequest, wrong, values)
		return
	}
	if err == nil {
		h.door.SetCookie(w, r, http.Cookie{Name: visitCookie, Value: page, Path: "/visits/"})
	}
	h.to(w, r, "/visits/"+page, err)
}

// bookingOf reads the form. What Book looks at is not looked at here. A field that is wrong
// for the hospital alone is left out, so that Book refuses it, with all others that are wrong.
func bookingOf(r *http.Request, connected []string) (visit.Request, problems) {
	field := func(name string) string { return strings.TrimSpace(r.PostFormValue(name)) }
	wrong := problems{}
	zone, err := time.LoadLocation(field("zone"))
	if err != nil {
		zone = time.UTC
	}
	start, problem := parseStart(field("start"), zone)
	if problem != "" {
		wrong["start"] = problem
	}
	req := visit.Request{
		Tenant: clinicID, Doctor: doctor, Provider: field("provider"), Start: start, Duration: 30 * time.Minute, Price: fee,
		Patient: visit.Patient{
			Name: field("name"), Email: field("email"), Phone: strings.ReplaceAll(field("phone"), " ", ""),
			Zone: cmp.Or(field("zone"), "none"), Locale: field("language"),
		},
	}
	if !slices.Contains(connected, req.Provider) {
		req.Provider, wrong["provider"] = "none", "is not connected: the doctor must do that first"
	}
	return req, wrong
}

// startLayout is what <input type="datetime-local"> sends.
const startLayout = "2006-01-02T15:04"

func parseStart(text string, zone *time.Location) (time.Time, string) {
	start, err := time.ParseInLocation(startLayout, text, zone)
	switch {
	case err != nil:
		return time.Time{}, "must be a date and a time"
	case start.After(time.Now().AddDate(1, 0, 0)):
		return time.Time{}, "is more than a year ahead"
	}
	return start, ""
}

// formKey tells a form that is sent twice from one that is filled in twice, or changed and
// sent again.
func formKey(r *http.Request) string {
	if r.PostFormValue("form") == "" {
		return rand.Text()
	}
	sum := sha256.Sum256([]byte(r.PostForm.Encode()))
	return hex.EncodeToString(sum[:])
}

func (h *hospital) postReschedule(w http.ResponseWriter, r *http.Request, v *visit.Visit) {
	text := r.PostFormValue("start")
	start, problem := parseStart(text, zoneOf(v))
	wrong := problems{"start": problem}
	var err error
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

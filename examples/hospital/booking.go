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
	Zones     []string
	ZoneKnown bool // the patient, or the browser, has said it
	Days      []day
	Values    map[string]string
	Wrong     problems
	Fee       string
}

// showBooking shows the free times in the zone that is asked for, else in the clinic's until
// the page knows the browser's.
func (h *hospital) showBooking(w http.ResponseWriter, r *http.Request) {
	zone := r.URL.Query().Get("zone")
	_, err := time.LoadLocation(zone)
	known := zone != "" && zone != "Local" && err == nil
	if !known {
		zone = clinicZone.String()
	}
	h.showForm(w, r, http.StatusOK, bookingPage{
		ZoneKnown: known, Values: map[string]string{"form": rand.Text(), "zone": zone, "language": languageOf(r)},
	})
}

func (h *hospital) showForm(w http.ResponseWriter, r *http.Request, code int, p bookingPage) {
	connected, err1 := h.connected(r.Context())
	taken, err2 := h.taken(r.Context())
	if err := cmp.Or(err1, err2); err != nil {
		h.fail(w, r, err)
		return
	}
	if len(connected) > 0 && p.Values["provider"] == "" {
		p.Values["provider"] = connected[0]
	}
	zone, err := time.LoadLocation(p.Values["zone"])
	if err != nil || p.Values["zone"] == "Local" {
		zone = clinicZone
	}
	p.Zones = zones
	if !slices.Contains(zones, zone.String()) {
		p.Zones = append([]string{zone.String()}, zones...)
	}
	p.Connected, p.Fee, p.Days = connected, fee.String(), slots(languageOf(r), zone, time.Now(), taken)
	h.show(w, r, code, "book.html", p)
}

func (h *hospital) postBooking(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		h.fail(w, r, telemed.ErrInvalid)
		return
	}
	connected, err1 := h.connected(r.Context())
	taken, err2 := h.taken(r.Context())
	if err := cmp.Or(err1, err2); err != nil {
		h.fail(w, r, err)
		return
	}
	req, own := bookingOf(r, connected, taken)
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
		h.showForm(w, r, http.StatusBadRequest, bookingPage{Wrong: wrong, Values: values, ZoneKnown: true})
		return
	}
	if err == nil {
		h.door.SetCookie(w, r, http.Cookie{Name: visitCookie, Value: page, Path: "/visits/"})
		if lang := req.Patient.Locale; lang != languageOf(r) && pageTemplates[lang] != nil {
			h.setLanguage(w, r, lang) // who wants messages in it reads pages in it
		}
	}
	h.to(w, r, "/visits/"+page, err)
}

// bookingOf reads the form. What Book looks at is not looked at here. A field that is wrong
// for the hospital alone is left out, so that Book refuses it, with all others that are wrong.
func bookingOf(r *http.Request, connected []string, taken []interval) (visit.Request, problems) {
	field := func(name string) string { return strings.TrimSpace(r.PostFormValue(name)) }
	wrong := problems{}
	start, problem := parseStart(field("start"), taken)
	if problem != "" {
		wrong["start"] = problem
	}
	req := visit.Request{
		Tenant: clinicID, Doctor: doctor, Provider: field("provider"), Start: start, Duration: visitTime, Price: fee,
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

// parseStart reads a time of the list. It has its zone, so that no clock that is put back makes
// two of it. Book knows whether it is over, or taken.
func parseStart(text string, taken []interval) (time.Time, string) {
	start, err := time.Parse(time.RFC3339, text)
	switch {
	case err != nil:
		return time.Time{}, "must be a time of the list"
	case !offered(start, time.Now(), taken):
		return time.Time{}, "is not one of the doctor's times"
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

// zoneOf is the patient's zone.
func zoneOf(v *visit.Visit) *time.Location {
	zone, err := time.LoadLocation(v.Patient.Zone)
	if err != nil {
		return time.UTC
	}
	return zone
}

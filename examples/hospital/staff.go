package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/telemed-go/telemed/meet/visit"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/outbox"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/connect"
)

// each calls look with each visit that the hospital has, the latest first, and with the time
// since when its patient waits.
func (h *hospital) each(ctx context.Context, look func(v *visit.Visit, waits time.Time)) error {
	rows, err := h.rows.QueryContext(ctx, `SELECT id, waits FROM visits ORDER BY made DESC LIMIT 200`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		var waits int64
		if err := rows.Scan(&id, &waits); err != nil {
			return err
		}
		v, err := h.visits.Get(ctx, id)
		if err != nil {
			return err
		}
		since := time.Time{}
		if waits != 0 {
			since = time.Unix(waits, 0)
		}
		look(v, since)
	}
	return rows.Err()
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
	var states []connect.State
	for _, name := range []string{"google", "zoom"} {
		state, err := h.accounts.State(r.Context(), store.AccountID{Provider: name, Subject: doctor.ID})
		if err != nil {
			h.fail(w, r, err)
			return
		}
		states = append(states, state)
	}
	query := r.URL.Query()
	h.show(w, r, http.StatusOK, "settings.html", map[string]any{
		"Doctor": doctor.Name, "States": states, "Success": query.Get("success") == "true",
		"Problem": reasons[connect.Reason(query.Get("reason"))],
	})
}

// daysVisit is a visit on the doctor's page.
type daysVisit struct {
	*visit.Visit
	Waits time.Time
}

// showDoctor is the list of the day, and what comes after it.
func (h *hospital) showDoctor(w http.ResponseWriter, r *http.Request) {
	var today, later []daysVisit
	y, m, d := time.Now().In(clinicZone).Date()
	tomorrow := time.Date(y, m, d+1, 0, 0, 0, 0, clinicZone)
	err := h.each(r.Context(), func(v *visit.Visit, waits time.Time) {
		switch {
		case v.Status != visit.StatusBooked || v.Start.Before(tomorrow.AddDate(0, 0, -1)):
		case v.Start.Before(tomorrow):
			today = append(today, daysVisit{v, waits})
		default:
			later = append(later, daysVisit{v, waits})
		}
	})
	connected, err2 := h.connected(r.Context())
	if err := errors.Join(err, err2); err != nil {
		h.fail(w, r, err)
		return
	}
	for _, list := range [][]daysVisit{today, later} {
		slices.SortFunc(list, func(a, b daysVisit) int { return a.Start.Compare(b.Start) })
	}
	h.show(w, r, http.StatusOK, "doctor.html", map[string]any{"Doctor": doctor.Name, "Today": today, "Later": later, "Connected": connected})
}

func (h *hospital) showClinic(w http.ResponseWriter, r *http.Request) {
	var paid []*visit.Visit
	err := h.each(r.Context(), func(v *visit.Visit, _ time.Time) {
		if v.Status == visit.StatusBooked || v.Refund.Status != "" {
			paid = append(paid, v)
		}
	})
	if err != nil {
		h.fail(w, r, err)
		return
	}
	words := map[string]string{}
	for status, word := range statuses {
		words[string(status)] = translate(languageOf(r), word)
	}
	said, err := json.Marshal(words)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	h.show(w, r, http.StatusOK, "clinic.html", map[string]any{"Clinic": clinicName, "ClinicID": clinicID, "Visits": paid, "Words": string(said)})
}

// staffPage is a visit with all that was done about it, and the panel that breaks it.
type staffPage struct {
	*visit.Visit
	Messages []outbox.Status
	Timeline []moment
	Counter  *counter
	Buttons  []button
	Armed    []string
	Held     int
	Order    string
	Chat     string
	Nothing  bool // a button had nothing to break
}

func (h *hospital) showClinicVisit(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	v, err1 := h.visits.Get(r.Context(), id)
	messages, err2 := h.visits.Messages(r.Context(), id)
	s, err3 := h.readSeen(r.Context())
	if err := errors.Join(err1, err2, err3); err != nil {
		h.fail(w, r, err)
		return
	}
	t, err := h.trace(r.Context(), v, messages, s)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	p := staffPage{Visit: v, Messages: messages, Timeline: t.moments, Order: t.order, Nothing: r.URL.Query().Has("nothing")}
	if s != nil {
		p.Counter, p.Buttons, p.Held = t.count(), buttons, s.Held
		for _, f := range s.Armed {
			p.Armed = append(p.Armed, f.Provider+" "+f.Op+": "+f.Kind)
		}
		for _, m := range messages {
			if m.Channel == notify.WhatsApp && m.ID != "" {
				p.Chat = m.ID
			}
		}
	}
	h.show(w, r, http.StatusOK, "clinicvisit.html", p)
}

// showHostLink is the doctor's way in. The link is asked for now, and kept nowhere.
func (h *hospital) showHostLink(w http.ResponseWriter, r *http.Request) {
	link, err := h.visits.HostLink(r.Context(), r.PathValue("id"))
	h.to(w, r, link.Reveal(), err)
}

func (h *hospital) postClinicCancel(w http.ResponseWriter, r *http.Request) {
	h.to(w, r, "/clinic/visits/"+r.PathValue("id"), h.visits.Cancel(r.Context(), r.PathValue("id"), visit.ByClinic))
}

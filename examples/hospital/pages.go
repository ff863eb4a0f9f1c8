package main

import (
	"bytes"
	"context"
	"database/sql"
	"embed"
	"errors"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/examples/internal/guard"
	"github.com/telemed-go/telemed/meet/visit"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/connect"
)

//go:embed web
var web embed.FS

var pageTemplates = template.Must(template.New("").Funcs(template.FuncMap{
	"when":  func(v *visit.Visit) string { return v.Start.In(zoneOf(v)).Format("Mon 2 Jan 2006, 15:04 MST") },
	"until": func(v *visit.Visit) string { return v.ReservedUntil.In(zoneOf(v)).Format("15:04 MST") },
	"clock": func(t time.Time) string { return t.UTC().Format("2 Jan 15:04:05") },
	"place": func(provider string) string { return places[provider] },
	"word":  func(s visit.Status) string { return statuses[s] },
	"flag":  flagged,
}).ParseFS(web, "web/*.html"))

// places are the providers' names for people, and statuses what a visit's status is called.
var (
	places   = map[string]string{"google": "Google Meet", "zoom": "Zoom"}
	statuses = map[visit.Status]string{
		visit.StatusReserved: "awaiting payment", visit.StatusBooked: "booked", visit.StatusCancelled: "cancelled",
		visit.StatusLapsed: "not paid in time", visit.StatusGone: "the time is taken",
	}
)

// zoneOf is the patient's zone.
func zoneOf(v *visit.Visit) *time.Location {
	zone, err := time.LoadLocation(v.Patient.Zone)
	if err != nil {
		return time.UTC
	}
	return zone
}

const (
	sessionCookie = "hospital_session"
	visitCookie   = "hospital_visit" // the patient's last visit, for the way back from the payment
	maxForm       = 64 << 10         // bytes
)

// pages are the hospital's own. Those of other sites may not post to them.
func (h *hospital) pages() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", h.showHome)
	mux.HandleFunc("GET /book", h.showBooking)
	mux.HandleFunc("POST /book", h.postBooking)
	mux.HandleFunc("GET /visits/mine", h.showMine)
	mux.HandleFunc("GET /visits/{page}", h.ofVisit(h.showVisit))
	mux.HandleFunc("GET /visits/{page}/state", h.ofVisit(h.showState))
	mux.HandleFunc("GET /visits/{page}/pay", h.ofVisit(h.showCheckout))
	mux.HandleFunc("GET /visits/{page}/mail/{n}", h.ofVisit(h.showMail))
	mux.HandleFunc("POST /visits/{page}/reschedule", h.ofVisit(h.postReschedule))
	mux.HandleFunc("POST /visits/{page}/cancel", h.ofVisit(h.postCancel))
	mux.HandleFunc("POST /login", h.postLogin)
	mux.HandleFunc("POST /logout", h.postLogout)
	mux.HandleFunc("GET /doctor/settings/integration", h.ofStaff(h.showSettings))
	mux.HandleFunc("GET /clinic", h.ofStaff(h.showClinic))
	mux.HandleFunc("GET /clinic/visits/{id}", h.ofStaff(h.showClinicVisit))
	mux.HandleFunc("GET /clinic/visits/{id}/host", h.ofStaff(h.showHostLink))
	mux.HandleFunc("POST /clinic/visits/{id}/cancel", h.ofStaff(h.postClinicCancel))
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) { h.fail(w, r, errNoPage) })
	static, err := fs.Sub(web, "web/static")
	if err != nil {
		panic(err) // the folder is part of the program
	}
	mux.Handle("GET /static/", http.StripPrefix("/static/", guard.Files(static)))
	return guard.Whole(maxForm, http.NewCrossOriginProtection().Handler(mux))
}

// show renders a page whole before the first byte goes out.
func (h *hospital) show(w http.ResponseWriter, code int, page string, data any) {
	var out bytes.Buffer
	if err := pageTemplates.ExecuteTemplate(&out, page, data); err != nil {
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

var errNoPage = errors.New("there is no such page")

// fail answers an error with a page that says what to do. The error's text stays here.
func (h *hospital) fail(w http.ResponseWriter, r *http.Request, err error) {
	code, text, back := http.StatusServiceUnavailable, "Something did not answer. Nothing is lost: please try again in a minute.", ""
	if page := r.PathValue("page"); page != "" {
		back = "/visits/" + page
	}
	switch {
	case errors.Is(err, errNoPage):
		code, text, back = http.StatusNotFound, "There is no such page.", ""
	case errors.Is(err, telemed.ErrNotFound):
		code, text, back = http.StatusNotFound, "There is no such visit.", ""
	case errors.Is(err, visit.ErrTaken):
		code, text = http.StatusConflict, "The doctor has another visit at that time. Please choose another time."
	case errors.Is(err, telemed.ErrInvalid):
		code, text = http.StatusBadRequest, "The form cannot be read."
	case errors.Is(err, telemed.ErrConflict):
		code, text = http.StatusConflict, "The visit has changed meanwhile. Please look at its page."
	}
	h.log.LogAttrs(r.Context(), slog.LevelWarn, "request failed", slog.String("route", r.Pattern), slog.Int("status", code), slog.Any("error", err))
	h.show(w, code, "error.html", problem{text, back})
}

// to answers a form: with the page that shows what came of it, or with what went wrong.
func (h *hospital) to(w http.ResponseWriter, r *http.Request, page string, err error) {
	if err != nil {
		h.fail(w, r, err)
		return
	}
	http.Redirect(w, r, page, http.StatusSeeOther)
}

// connected returns the providers that the doctor has a working account of.
func (h *hospital) connected(ctx context.Context) (names []string, err error) {
	for _, name := range []string{"google", "zoom"} {
		state, err := h.accounts.State(ctx, store.AccountID{Provider: name, Subject: doctor.ID})
		if err != nil {
			return nil, err
		}
		if state.Connected && !state.NeedsReconnect {
			names = append(names, name)
		}
	}
	return names, nil
}

func (h *hospital) showHome(w http.ResponseWriter, r *http.Request) {
	connected, err := h.connected(r.Context())
	if err != nil {
		h.fail(w, r, err)
		return
	}
	h.show(w, http.StatusOK, "home.html", map[string]any{"Connected": connected, "Doctor": doctor.Name})
}

// visitOf returns the visit of a patient's page, or telemed.ErrNotFound.
func (h *hospital) visitOf(ctx context.Context, page string) (*visit.Visit, error) {
	var id string
	err := h.rows.QueryRowContext(ctx, `SELECT id FROM visits WHERE page = $1`, page).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, telemed.ErrNotFound
	} else if err != nil {
		return nil, err
	}
	return h.visits.Get(ctx, id)
}

// latest returns the visits that were paid for, the latest first.
func (h *hospital) latest(ctx context.Context) (all []*visit.Visit, err error) {
	rows, err := h.rows.QueryContext(ctx, `SELECT id FROM visits ORDER BY made DESC LIMIT 200`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		v, err := h.visits.Get(ctx, id)
		if err != nil {
			return nil, err
		}
		if v.Status == visit.StatusBooked || v.Refund.Status != "" {
			all = append(all, v)
		}
	}
	return all, rows.Err()
}

// ofVisit hands a handler the visit whose page is asked for.
func (h *hospital) ofVisit(next func(http.ResponseWriter, *http.Request, *visit.Visit)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, err := h.visitOf(r.Context(), r.PathValue("page"))
		if err != nil {
			h.fail(w, r, err)
			return
		}
		next(w, r, v)
	}
}

// visitPage is what the patient sees, with the messages as they would arrive.
type visitPage struct {
	*visit.Visit
	Page, Doctor, PayURL, NewStart, Earliest string
	Mails                                    []shownMail
	Chats                                    []string
	Wrong                                    problems
	CanMove, CanCancel, Moving               bool
}

// showMine is where the payment page leads back to. Its cookie is the patient's; the address
// tells nothing but how the payment ended.
func (h *hospital) showMine(w http.ResponseWriter, r *http.Request) {
	cookie, err := r.Cookie(visitCookie)
	switch {
	case err != nil:
		h.fail(w, r, telemed.ErrNotFound)
	case r.URL.Query().Get("status") == "unpaid":
		h.show(w, http.StatusOK, "failed.html", nil)
	default:
		http.Redirect(w, r, "/visits/"+cookie.Value, http.StatusSeeOther)
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
	h.showVisitPage(w, r, http.StatusOK, v, v.Start.In(zoneOf(v)).Format(startLayout), nil)
}

func (h *hospital) showVisitPage(w http.ResponseWriter, r *http.Request, code int, v *visit.Visit, newStart string, wrong problems) {
	page, now := r.PathValue("page"), time.Now()
	mails, chats, err := h.received(r.Context(), v)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	booked := v.Status == visit.StatusBooked
	h.show(w, code, "visit.html", visitPage{
		Visit: v, Page: page, Doctor: v.Doctor.Name, PayURL: h.base + "/visits/" + page + "/pay", Mails: mails, Chats: chats,
		NewStart: newStart, Wrong: wrong, Earliest: now.In(zoneOf(v)).Format(startLayout), Moving: booked && v.JoinURL == "",
		CanMove: booked && v.Start.After(now), CanCancel: booked && v.Start.Add(v.Duration).After(now) || v.Status == visit.StatusReserved,
	})
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

func (h *hospital) postCancel(w http.ResponseWriter, r *http.Request, v *visit.Visit) {
	h.to(w, r, "/visits/"+r.PathValue("page"), h.visits.Cancel(r.Context(), v.ID, visit.ByPatient))
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
	h.show(w, http.StatusOK, "settings.html", map[string]any{
		"Doctor": doctor.Name, "States": states, "Success": query.Get("success") == "true",
		"Problem": reasons[connect.Reason(query.Get("reason"))],
	})
}

func (h *hospital) showClinic(w http.ResponseWriter, r *http.Request) {
	visits, err := h.latest(r.Context())
	if err != nil {
		h.fail(w, r, err)
		return
	}
	h.show(w, http.StatusOK, "clinic.html", map[string]any{"Clinic": clinicName, "ClinicID": clinicID, "Visits": visits})
}

// showClinicVisit is the staff's page of a visit, with all that was done about it.
func (h *hospital) showClinicVisit(w http.ResponseWriter, r *http.Request) {
	v, err1 := h.visits.Get(r.Context(), r.PathValue("id"))
	entries, err2 := h.visits.Timeline(r.Context(), r.PathValue("id"))
	messages, err3 := h.visits.Messages(r.Context(), r.PathValue("id"))
	if err := errors.Join(err1, err2, err3); err != nil {
		h.fail(w, r, err)
		return
	}
	h.show(w, http.StatusOK, "clinicvisit.html", map[string]any{"Visit": v, "Timeline": entries, "Messages": messages})
}

// showHostLink is the doctor's way in. The link is asked for now, and kept nowhere.
func (h *hospital) showHostLink(w http.ResponseWriter, r *http.Request) {
	link, err := h.visits.HostLink(r.Context(), r.PathValue("id"))
	h.to(w, r, link.Reveal(), err)
}

func (h *hospital) postClinicCancel(w http.ResponseWriter, r *http.Request) {
	h.to(w, r, "/clinic/visits/"+r.PathValue("id"), h.visits.Cancel(r.Context(), r.PathValue("id"), visit.ByClinic))
}

// fields are the form's, by the names that visit.Request has, in the order of the page.
var fields = [][2]string{
	{"Patient.Name", "name"}, {"Patient.Email", "email"}, {"Patient", "email"}, {"Patient.Phone", "phone"},
	{"Patient.Zone", "zone"}, {"Start", "start"}, {"start", "start"}, {"Provider", "provider"},
}

// problems are what is wrong with a form, by the field's name.
type problems map[string]string

// problemsOf returns what is wrong with a form, nil if the error is about something else.
func problemsOf(err error) problems {
	if errors.Is(err, visit.ErrTaken) {
		return problems{"start": "is taken: the doctor has another visit then"}
	}
	wrong := problems{}
	for _, f := range telemed.Fields(err) {
		for _, field := range fields {
			if field[0] == f.Field && wrong[field[1]] == "" {
				wrong[field[1]] = f.Problem
			}
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return wrong
}

// flagged marks an input that is wrong, for screen readers too, and puts the cursor into
// the first one.
func flagged(wrong problems, field string) template.HTMLAttr {
	if wrong[field] == "" {
		return ""
	}
	attributes := `aria-invalid="true" aria-describedby="wrong-` + field + `"`
	for _, f := range fields {
		if wrong[f[1]] != "" {
			if f[1] == field {
				return template.HTMLAttr(attributes + " autofocus") // of constants alone
			}
			break
		}
	}
	return template.HTMLAttr(attributes)
}

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
	"net/url"
	"strings"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/examples/internal/guard"
	"github.com/telemed-go/telemed/meet/visit"
	"github.com/telemed-go/telemed/store"
)

//go:embed web
var web embed.FS

// pageTemplates are the pages in each language.
var pageTemplates = parsePages()

func parsePages() map[string]*template.Template {
	pages := map[string]*template.Template{}
	for _, lang := range languages {
		funcs := template.FuncMap{
			"lang": func() string { return lang }, "t": func(english string, args ...any) string { return translate(lang, english, args...) },
			"when":   func(v *visit.Visit) string { return clock(lang, v.Start.In(zoneOf(v))) },
			"clinic": func(v *visit.Visit) string { return clinicClock(lang, v.Start, zoneOf(v)) },
			"until": func(v *visit.Visit) string {
				return v.ReservedUntil.In(zoneOf(v)).Format("15:04 ") + zoneName(lang, v.ReservedUntil.In(zoneOf(v)))
			},
			"hour":  func(t time.Time) string { return t.In(clinicZone).Format("15:04") },
			"local": func(t time.Time) string { return clock(lang, t.In(clinicZone)) },
			"utc":   func(t time.Time) string { return strings.TrimSuffix(t.UTC().Format("15:04:05.000"), ".000") },
			"iso":   func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
			"place": func(provider string) string { return places[provider] },
			"word":  func(s visit.Status) string { return translate(lang, statuses[s]) },
			"flag":  flagged,
		}
		pages[lang] = template.Must(template.New("").Funcs(funcs).ParseFS(web, "web/*.html"))
	}
	return pages
}

// places are the providers' names for people, and statuses what a visit's status is called.
var (
	places   = map[string]string{"google": "Google Meet", "zoom": "Zoom"}
	statuses = map[visit.Status]string{
		visit.StatusReserved: "awaiting payment", visit.StatusBooked: "booked", visit.StatusCancelled: "cancelled",
		visit.StatusLapsed: "not paid in time", visit.StatusGone: "the time is taken",
	}
)

// titles are the pages', as the browser's tab has them.
var titles = map[string]string{
	"home.html": "Video visits", "book.html": "Book a video visit", "visit.html": "Your visit", "receipt.html": "Receipt",
	"failed.html": "The payment failed", "error.html": "That did not work", "login.html": "Log in", "settings.html": "Accounts",
	"doctor.html": "The doctor's day", "clinic.html": "Dashboard", "clinicvisit.html": "A visit",
}

const (
	sessionCookie  = "hospital_session"
	visitCookie    = "hospital_visit" // the patient's last visit, for the way back from the payment
	languageCookie = "hospital_language"
	maxForm        = 64 << 10 // bytes
)

// pages are the hospital's own. Those of other sites may not post to them.
func (h *hospital) pages() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", h.showHome)
	mux.HandleFunc("POST /language", h.postLanguage)
	mux.HandleFunc("GET /book", h.showBooking)
	mux.HandleFunc("POST /book", h.postBooking)
	mux.HandleFunc("GET /visits/mine", h.showMine)
	mux.HandleFunc("GET /visits/{page}", h.ofVisit(h.showVisit))
	mux.HandleFunc("GET /visits/{page}/state", h.ofVisit(h.showState))
	mux.HandleFunc("GET /visits/{page}/pay", h.ofVisit(h.showCheckout))
	mux.HandleFunc("GET /visits/{page}/join", h.ofVisit(h.showJoin))
	mux.HandleFunc("GET /visits/{page}/receipt", h.ofVisit(h.showReceipt))
	mux.HandleFunc("GET /visits/{page}/visit.ics", h.ofVisit(h.showCalendar))
	mux.HandleFunc("GET /visits/{page}/mail/{n}", h.ofVisit(h.showMail))
	mux.HandleFunc("POST /visits/{page}/reschedule", h.ofVisit(h.postReschedule))
	mux.HandleFunc("POST /visits/{page}/cancel", h.ofVisit(h.postCancel))
	mux.HandleFunc("POST /login", h.postLogin)
	mux.HandleFunc("POST /logout", h.postLogout)
	mux.HandleFunc("GET /doctor", h.ofStaff(h.showDoctor))
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

// layout is what all pages have around them.
type layout struct {
	Title, Back string
	Here        string // the part of the hospital, for the navigation
	Demo        bool
	Body        template.HTML
}

// show renders a page whole before the first byte goes out.
func (h *hospital) show(w http.ResponseWriter, r *http.Request, code int, page string, data any) {
	lang := languageOf(r)
	var body, out bytes.Buffer
	err := pageTemplates[lang].ExecuteTemplate(&body, page, data)
	if err == nil {
		here, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		err = pageTemplates[lang].ExecuteTemplate(&out, "layout.html", layout{
			Title: translate(lang, titles[page]), Back: backOf(r), Here: here, Demo: h.env(seenURL) != "",
			Body: template.HTML(body.String()), // a template made it
		})
	}
	if err != nil {
		h.log.Error("page cannot be shown", slog.String("page", page), slog.Any("error", err))
		http.Error(w, "the page cannot be shown", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Language", lang)
	w.WriteHeader(code)
	_, _ = out.WriteTo(w)
}

// backOf is the page of a request that shows it again: a form's own page, if it was one.
func backOf(r *http.Request) string {
	path := r.URL.EscapedPath()
	switch {
	case r.Method == http.MethodGet && r.URL.RawQuery != "" && path == "/book":
		return path + "?" + url.Values{"zone": {r.URL.Query().Get("zone")}}.Encode()
	case r.Method == http.MethodGet || path == "/book":
		return path
	case path == "/login" || path == "/logout" || path == "/language":
		return "/"
	}
	return path[:strings.LastIndexByte(path, '/')]
}

// postLanguage has all pages in another language from now on.
func (h *hospital) postLanguage(w http.ResponseWriter, r *http.Request) {
	lang := r.PostFormValue("language")
	if _, known := pageTemplates[lang]; !known {
		lang = languages[0]
	}
	h.setLanguage(w, r, lang)
	back, query, _ := strings.Cut(r.PostFormValue("back"), "?")
	back = ownPath(back)
	if values, err := url.ParseQuery(query); err == nil && len(values) > 0 {
		back += "?" + values.Encode()
	}
	http.Redirect(w, r, back, http.StatusSeeOther)
}

func (h *hospital) setLanguage(w http.ResponseWriter, r *http.Request, lang string) {
	h.door.SetCookie(w, r, http.Cookie{Name: languageCookie, Value: lang, Path: "/", MaxAge: 365 * 24 * 3600})
}

// languageOf is the language that was chosen, or else the first that the browser asks for
// and that there is.
func languageOf(r *http.Request) string {
	if cookie, err := r.Cookie(languageCookie); err == nil && pageTemplates[cookie.Value] != nil {
		return cookie.Value
	}
	for tag := range strings.SplitSeq(r.Header.Get("Accept-Language"), ",") {
		tag, _, _ = strings.Cut(strings.TrimSpace(tag), ";")
		base, _, _ := strings.Cut(tag, "-")
		if pageTemplates[strings.ToLower(base)] != nil {
			return strings.ToLower(base)
		}
	}
	return languages[0]
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
	h.show(w, r, code, "error.html", problem{text, back})
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
	h.show(w, r, http.StatusOK, "home.html", map[string]any{"Connected": connected, "Doctor": doctor.Name})
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

package main

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/telemed-go/telemed/examples/internal/local"
)

//go:embed web/control.txt
var controlText string

// request is one of the control, with its parameters, however they came.
type request struct {
	*world
	*http.Request
	in url.Values
}

// number is a parameter, or usual if there is none.
func (r request) number(name string, usual int) (int, error) {
	text := r.in.Get(name)
	if text == "" {
		return usual, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("%s: %q is no whole number", name, text)
	}
	return n, nil
}

// controls are the routes of the control. A page's forms use them too.
func (s *pages) controls(mux *http.ServeMux) {
	mux.HandleFunc("GET /control", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, controlText) // the client has gone
	})
	for path, tell := range map[string]func(request) (any, error){
		"environment": s.tellEnvironment, "clock": tellClock, "faults": tellFaults, "log": tellLog, "webhooks": tellHooks,
		"mail": tellMail, "chats": tellChats, "payments": tellPayments, "meetings": tellMeetings, "consents": tellConsents,
	} {
		mux.HandleFunc("GET /control/"+path, s.answer("", tell))
	}
	for path, act := range map[string]func(request) (any, error){
		"reset": s.reset, "webhooks/target": s.aimWebhooks, "clock": advanceClock, "faults": addFault, "faults/clear": clearFaults,
		"webhooks/hold": holdWebhooks, "webhooks/release": releaseWebhooks, "webhooks/deliver": deliverWebhook,
		"chats/reply": replyToChat, "chats/status": tellStatus, "payments": playPayment, "refunds": settleRefund,
		"meetings": playMeeting, "consents/allow": allowConsent, "consents/expire": expireTokens, "consents/revoke": revokeConsent,
	} {
		section, _, _ := strings.Cut(path, "/")
		mux.HandleFunc("POST /control/"+path, s.answer(sections[section], act))
	}
	mux.HandleFunc("DELETE /control/faults", s.answer("", clearFaults))
}

// sections are the places of the page to which a form goes back.
var sections = map[string]string{
	"reset": "faults", "clock": "faults", "faults": "faults", "webhooks": "webhooks", "chats": "chats",
	"payments": "payments", "refunds": "payments", "meetings": "meetings", "consents": "consents",
}

// answer serves do. A browser goes back to the page, which tells what came of it; every
// other client gets JSON.
func (s *pages) answer(section string, do func(request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		in, err := parameters(w, r)
		var result any
		if err == nil {
			result, err = do(request{s.world(), r, in})
		}
		if section != "" && strings.Contains(r.Header.Get("Accept"), "text/html") {
			s.notes.add(result, err)
			http.Redirect(w, r, "/#"+section, http.StatusSeeOther)
			return
		}
		status := http.StatusOK
		if err != nil {
			status, result = http.StatusBadRequest, map[string]string{"error": err.Error()}
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.WriteHeader(status)
		encoder := json.NewEncoder(w)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		_ = encoder.Encode(result) // the client has gone
	}
}

// maxParameters is how much a request of the control may be, in bytes.
const maxParameters = 64 << 10

// parameters reads those of the query, of a form, or of a JSON object.
func parameters(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	r.Body = http.MaxBytesReader(w, r.Body, maxParameters)
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind != "application/json" {
		err := r.ParseForm()
		return r.Form, err
	}
	in := r.URL.Query()
	decoder := json.NewDecoder(r.Body)
	decoder.UseNumber()
	var fields map[string]any
	if err := decoder.Decode(&fields); err != nil {
		return nil, errors.New("the body is no JSON object")
	}
	for name, value := range fields {
		switch value.(type) {
		case string, json.Number, bool:
			in.Set(name, fmt.Sprint(value))
		default:
			return nil, fmt.Errorf("%s: is neither a text nor a number", name)
		}
	}
	return in, nil
}

// done is the result of what has nothing to tell.
var done = map[string]string{"done": "yes"}

func (s *pages) tellEnvironment(request) (any, error) {
	all := map[string]string{}
	for _, v := range s.variables(s.getenv) {
		all[v.name] = v.value
	}
	return all, nil
}

func (s *pages) reset(request) (any, error) { return done, s.providers.reset() }

func tellClock(r request) (any, error) {
	return map[string]any{"now": r.now(), "ahead": time.Until(r.now()).Round(time.Second).String()}, nil
}

// maxAdvance is how far one request moves the clock.
const maxAdvance = 10 * 366 * 24 * time.Hour

func advanceClock(r request) (any, error) {
	d, err := time.ParseDuration(r.in.Get("advance"))
	if err != nil || d < 0 || d > maxAdvance {
		return nil, fmt.Errorf("advance: %q is no time from 0 on, such as 90m or 24h", r.in.Get("advance"))
	}
	r.advance(d)
	return tellClock(r)
}

// waiting is a fault as the control tells it.
type waiting struct {
	Provider string `json:"provider"`
	Op       string `json:"op"`
	Kind     string `json:"kind"`
	Times    int    `json:"times"`
	Status   int    `json:"status,omitempty"`
	Delay    string `json:"delay,omitempty"`
}

func tellFaults(r request) (any, error) {
	list := []waiting{}
	for _, f := range r.Pending() {
		shown := waiting{Provider: f.Provider, Op: f.Op, Kind: f.Kind, Times: f.Times, Status: f.Status}
		if f.Times == 0 {
			shown.Times = 1
		}
		if f.Delay > 0 {
			shown.Delay = f.Delay.String()
		}
		list = append(list, shown)
	}
	return list, nil
}

func addFault(r request) (any, error) {
	f := local.Fault{Provider: r.in.Get("provider"), Op: r.in.Get("op"), Kind: strings.ReplaceAll(r.in.Get("kind"), "-", " ")}
	if provider, op, both := strings.Cut(r.in.Get("at"), "/"); both { // the page's choice of both
		f.Provider, f.Op = provider, op
	}
	var err1, err2, err3 error
	f.Times, err1 = r.number("times", 1)
	f.Status, err2 = r.number("status", 0)
	if text := r.in.Get("delay"); text != "" {
		f.Delay, err3 = time.ParseDuration(text)
	}
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	if err := r.FailNext(f); err != nil {
		return nil, err
	}
	return tellFaults(r)
}

func clearFaults(r request) (any, error) {
	r.ClearFaults()
	return done, nil
}

// exchange is a line of the log.
type exchange struct {
	At       time.Time `json:"at"`
	Provider string    `json:"provider"`
	Webhook  bool      `json:"webhook"`
	Op       string    `json:"op"`
	Method   string    `json:"method,omitempty"`
	Path     string    `json:"path,omitempty"`
	Status   int       `json:"status"`
	Body     string    `json:"body,omitempty"`
}

// Short is the path without its query.
func (e exchange) Short() string {
	path, _, _ := strings.Cut(e.Path, "?")
	return path
}

// Detail is what stands behind the line, empty if nothing does.
func (e exchange) Detail() string {
	_, query, _ := strings.Cut(e.Path, "?")
	if text, err := url.QueryUnescape(query); err == nil {
		query = strings.ReplaceAll(text, "&", "\n")
	}
	return strings.TrimSpace(query + "\n\n" + pretty(e.Body))
}

func tellLog(r request) (any, error) {
	list := []exchange{}
	for _, e := range r.wire() {
		for name, value := range map[string]string{"provider": e.Provider, "op": e.Op} {
			if wanted := r.in.Get(name); wanted != "" && wanted != value {
				e.Provider = ""
			}
		}
		if e.Provider != "" {
			list = append(list, exchange{e.At, e.Provider, e.Webhook, e.Op, e.Method, e.Path, e.Status, e.Body})
		}
	}
	return list, nil
}

func tellHooks(r request) (any, error) { return r.listHooks(r.in.Get("provider")) }

// aimWebhooks says where webhooks go: to an application's api by their usual paths, or those
// of one provider to a url.
func (s *pages) aimWebhooks(r request) (any, error) {
	api, provider, target := r.in.Get("api"), r.in.Get("provider"), r.in.Get("url")
	_, known := webhookPaths[provider]
	switch {
	case webAddress(api) && provider == "":
		for name, path := range webhookPaths {
			s.aim(name, strings.TrimRight(api, "/")+path)
		}
	case known && r.in.Has("url") && (target == "" || webAddress(target)):
		s.aim(provider, target)
	default:
		return nil, errors.New("api is required, or provider and url; both are http addresses")
	}
	return done, nil
}

func holdWebhooks(r request) (any, error) { return done, r.holdHooks(r.in.Get("provider")) }

func releaseWebhooks(r request) (any, error) {
	order := r.in.Get("order")
	if !slices.Contains([]string{"", "reversed"}, order) {
		return nil, fmt.Errorf("order: %q is not reversed", order)
	}
	return done, r.releaseHooks(r.Context(), r.in.Get("provider"), order != "")
}

func deliverWebhook(r request) (any, error) {
	times, err := r.number("times", 1)
	if err != nil {
		return nil, err
	}
	statuses, err := r.deliverHook(r.Context(), r.in.Get("id"), r.in.Get("provider"), r.in.Get("type"), times)
	return map[string]any{"statuses": statuses}, err
}

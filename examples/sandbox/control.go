package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/multipart"
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

// control is a route of the control.
type control struct {
	takes string // the names of its parameters, with spaces between them
	do    func(request) (any, error)
}

// told are the controls that tell something, by what follows GET /control/.
func (s *pages) told() map[string]control {
	return map[string]control{
		"environment": {"", s.tellEnvironment},
		"clock":       {"", tellClock},
		"faults":      {"", tellFaults},
		"log":         {"provider op", tellLog},
		"webhooks":    {"provider", tellHooks},
		"mail":        {"to wait", tellMail},
		"chats":       {"phone wait", tellChats},
		"payments":    {"", tellPayments},
		"meetings":    {"", tellMeetings},
		"consents":    {"", tellConsents},
	}
}

// acts are the controls that do something, by what follows POST /control/.
func (s *pages) acts() map[string]control {
	return map[string]control{
		"reset":            {"", s.reset},
		"clock":            {"advance", advanceClock},
		"faults":           {"provider op at kind times status delay", addFault},
		"faults/clear":     {"", clearFaults},
		"webhooks/target":  {"api provider url", s.aimWebhooks},
		"webhooks/hold":    {"provider", holdWebhooks},
		"webhooks/release": {"provider order", releaseWebhooks},
		"webhooks/deliver": {"id provider type times", deliverWebhook},
		"chats/reply":      {"phone name text", replyToChat},
		"chats/status":     {"id status code", tellStatus},
		"payments":         {"order payment scenario", playPayment},
		"refunds":          {"refund status", settleRefund},
		"meetings":         {"meeting action name", playMeeting},
		"consents/allow":   {"url", allowConsent},
		"consents/expire":  {"provider", expireTokens},
		"consents/revoke":  {"account", revokeConsent},
	}
}

// controls serves the routes of the control. A page's forms use them too.
func (s *pages) controls(mux *http.ServeMux) {
	mux.HandleFunc("GET /control", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, controlText) // the client has gone
	})
	for path, c := range s.told() {
		mux.HandleFunc("GET /control/"+path, s.answer("", c))
	}
	for path, c := range s.acts() {
		section, _, _ := strings.Cut(path, "/")
		mux.HandleFunc("POST /control/"+path, s.answer(sections[section], c))
	}
	mux.HandleFunc("DELETE /control/faults", s.answer("", control{"", clearFaults}))
	mux.HandleFunc("/control/", func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, http.StatusNotFound, problem(fmt.Errorf("%s %s is no route: GET /control lists them", r.Method, r.URL.Path)))
	})
}

// sections are the places of the page to which a form goes back.
var sections = map[string]string{
	"reset": "faults", "clock": "faults", "faults": "faults", "webhooks": "webhooks", "chats": "chats",
	"payments": "payments", "refunds": "payments", "meetings": "meetings", "consents": "consents",
}

// answer serves a control. A browser goes back to the page, which tells what came of it;
// every other client gets JSON.
func (s *pages) answer(section string, c control) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		in, err := parameters(w, r, strings.Fields(c.takes))
		var result any
		if err == nil {
			result, err = c.do(request{s.world(), r, in})
		}
		if section != "" && strings.Contains(r.Header.Get("Accept"), "text/html") {
			s.notes.add(result, err)
			http.Redirect(w, r, "/#"+section, http.StatusSeeOther)
			return
		}
		if err != nil {
			writeJSON(w, http.StatusBadRequest, problem(err))
			return
		}
		writeJSON(w, http.StatusOK, result)
	}
}

func problem(err error) map[string]string { return map[string]string{"error": err.Error()} }

func writeJSON(w http.ResponseWriter, status int, result any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(result) // the client has gone
}

// maxParameters is how much a request of the control may be, in bytes.
const maxParameters = 64 << 10

// parameters reads those of the query, of a form, or of a JSON object. A name that is not
// among names is an error: a test whose fault is misspelt must not pass.
func parameters(w http.ResponseWriter, r *http.Request, names []string) (url.Values, error) {
	in, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, fmt.Errorf("the query: %w", err)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxParameters))
	if err != nil {
		return nil, fmt.Errorf("the body: %w", err)
	}
	if len(body) > 0 {
		more, err := bodyParameters(r.Header.Get("Content-Type"), body)
		if err != nil {
			return nil, err
		}
		maps.Copy(in, more)
	}
	for _, name := range slices.Sorted(maps.Keys(in)) {
		switch {
		case slices.Contains(names, name):
		case len(names) == 0:
			return nil, fmt.Errorf("%s: there are no parameters here", name)
		default:
			return nil, fmt.Errorf("%s: is none of the parameters %s", name, strings.Join(names, ", "))
		}
	}
	return in, nil
}

// bodyParameters reads a body that is not empty.
func bodyParameters(contentType string, body []byte) (url.Values, error) {
	kind, more, _ := mime.ParseMediaType(contentType)
	switch kind {
	case "application/json":
		return jsonParameters(body)
	case "application/x-www-form-urlencoded":
		in, err := url.ParseQuery(string(body))
		if err != nil {
			return nil, fmt.Errorf("the form: %w", err)
		}
		return in, nil
	case "multipart/form-data":
		form, err := multipart.NewReader(bytes.NewReader(body), more["boundary"]).ReadForm(maxParameters)
		if err != nil || len(form.File) > 0 {
			return nil, errors.New("the body is no form of texts")
		}
		return form.Value, nil
	}
	return nil, fmt.Errorf("the body is neither a form nor JSON by its Content-Type, %q", contentType)
}

func jsonParameters(body []byte) (url.Values, error) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var fields map[string]any
	if err := decoder.Decode(&fields); err != nil || fields == nil || decoder.Decode(new(any)) != io.EOF {
		return nil, errors.New("the body is no JSON object")
	}
	in := url.Values{}
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
		if f.Delay, err3 = time.ParseDuration(text); err3 != nil || f.Delay < 0 {
			err3 = fmt.Errorf("delay: %q is no time from 0 on, such as 3s", text)
		}
	}
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	switch {
	case f.Times < -1 || f.Times == 0:
		return nil, errors.New("times: is neither from 1 on nor -1, for all until a reset")
	case f.Status != 0 && f.Kind != "fail":
		return nil, errors.New("status: is for the kind fail alone")
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
	case webBase(api) && provider == "" && target == "":
		for name, path := range webhookPaths {
			s.aim(name, strings.TrimRight(api, "/")+path)
		}
	case known && r.in.Has("url") && (target == "" || webAddress(target)):
		s.aim(provider, target)
	default:
		return nil, errors.New("api is required, or provider and url; both are http addresses, and api has no query")
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

package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"html/template"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/telemed-go/telemed/examples/internal/local"
)

var pageTemplates = template.Must(template.New("").Funcs(template.FuncMap{
	"clock": func(t time.Time) string { return t.Local().Format("15:04:05") },
	"day":   func(t time.Time) string { return t.Format("Mon 2 Jan, 15:04 MST") },
	"stamp": func(t time.Time) string { return t.Format(time.RFC3339) },
	"files": func(n int) string { return map[bool]string{true: "1 file", false: strconv.Itoa(n) + " files"}[n == 1] },
	"join":  strings.Join,
}).ParseFS(web, "web/*.html"))

// view is what the page shows, newest first.
type view struct {
	Notes     []note
	API       string
	Now       time.Time
	Ahead     string // empty if the providers' clock is the machine's
	Mails     []mail
	Chats     []chat
	Orders    []order
	Callback  string
	Checkouts map[string]string // by order
	Meetings  []meeting
	Consents  []consent
	Hooks     []hook
	Held      int
	Faults    []waiting
	Wire      []exchange
	Hidden    int // how much of the wire is not shown
	Places    []place
	Kinds     []string
}

// place is where a fault can be.
type place struct {
	Provider string
	Ops      []string
}

// shownExchanges is how much of the wire the page shows.
const shownExchanges = 30

func (s *pages) view() view {
	w := s.world()
	v := view{
		API: s.api, Now: w.now(), Mails: w.mails(), Chats: w.chats(), Orders: w.orders(), Meetings: w.meetings(), Consents: w.consents(),
		Checkouts: map[string]string{}, Kinds: local.Kinds(),
	}
	if ahead := time.Until(v.Now).Round(time.Second); ahead > 0 {
		v.Ahead = ahead.String()
	}
	v.Hooks, _ = w.listHooks("") // all of them
	for _, h := range v.Hooks {
		if h.Held {
			v.Held++
		}
	}
	for _, o := range v.Orders {
		if o.Open() {
			v.Checkouts[o.ID] = w.Razorpay.CheckoutURL(o.ID, s.api+"/payments/callback")
		}
	}
	faults, _ := tellFaults(request{world: w})
	v.Faults, _ = faults.([]waiting)
	for _, name := range local.Names() {
		v.Places = append(v.Places, place{name, local.Operations(name)})
	}
	latest, hidden := w.Latest(shownExchanges, w.zoomTold()...)
	for _, e := range latest {
		v.Wire = append(v.Wire, exchange{e.At, e.Provider, e.Webhook, e.Op, e.Method, e.Path, e.Status, e.Body})
	}
	v.Hidden = hidden
	slices.Reverse(v.Mails)
	slices.Reverse(v.Orders)
	slices.Reverse(v.Meetings)
	slices.Reverse(v.Hooks)
	slices.Reverse(v.Wire)
	return v
}

// pretty indents JSON.
func pretty(body string) string {
	var indented bytes.Buffer
	if json.Indent(&indented, []byte(body), "", "  ") != nil {
		return body
	}
	return indented.String()
}

// overview is the page. Its script asks again and again; what has not changed is not sent.
func (s *pages) overview(w http.ResponseWriter, r *http.Request) {
	v := s.view()
	live := r.Header.Get("X-Live") != ""
	if !live {
		v.Notes = s.notes.take()
	}
	var page bytes.Buffer
	if err := pageTemplates.ExecuteTemplate(&page, "page.html", v); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	sum := sha256.Sum256(page.Bytes())
	tag := `"` + hex.EncodeToString(sum[:8]) + `"`
	if live && r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header().Set("ETag", tag)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(page.Bytes()) // the browser has gone
}

// shownMail is a mail as one of its parts.
type shownMail struct {
	mail
	Part  string
	Parts []string
	Body  string // empty for HTML, which stands in a frame
}

// parts are what a mail has to show.
func (m mail) parts() []string {
	var all []string
	for _, p := range []struct {
		name string
		is   bool
	}{{"html", m.HTML != ""}, {"text", m.Text != ""}, {"calendar", m.Calendar != ""}, {"headers", true}, {"raw", true}} {
		if p.is {
			all = append(all, p.name)
		}
	}
	return all
}

// body is a part as text.
func (m mail) body(part string) string {
	switch part {
	case "text":
		return m.Text
	case "calendar":
		return m.Calendar
	case "raw":
		return string(m.raw)
	case "headers":
		head, _, _ := bytes.Cut(m.raw, []byte("\r\n\r\n"))
		return string(head)
	}
	return ""
}

// showMail is the page of one mail.
func (s *pages) showMail(w http.ResponseWriter, r *http.Request) {
	m, ok := s.mailOf(r)
	if !ok {
		http.NotFound(w, r)
		return
	}
	parts := m.parts()
	part := r.URL.Query().Get("as")
	if !slices.Contains(parts, part) {
		part = parts[0]
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	shown := shownMail{m, part, parts, m.body(part)}
	_ = pageTemplates.ExecuteTemplate(w, "mail.html", shown) // the browser has gone
}

// mailPolicy lets a mail be what it is in a mail program: with its own colours, and nothing
// else of its own.
const mailPolicy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox"

// mailPart is a part of a mail by itself.
func (s *pages) mailPart(w http.ResponseWriter, r *http.Request) {
	m, ok := s.mailOf(r)
	part := r.PathValue("part")
	if !ok || !slices.Contains(m.parts(), part) {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Security-Policy", mailPolicy)
	kind, body := "text/plain; charset=utf-8", m.body(part)
	switch part {
	case "html":
		kind, body = "text/html; charset=utf-8", strings.Replace(m.HTML, "<head>", `<head><base target="_blank">`, 1)
	case "calendar":
		kind = "text/calendar; charset=utf-8"
		w.Header().Set("Content-Disposition", `attachment; filename="invite.ics"`)
	}
	w.Header().Set("Content-Type", kind)
	_, _ = io.WriteString(w, body) // the browser has gone
}

// mailFile is an attachment, to be kept and not to be opened here.
func (s *pages) mailFile(w http.ResponseWriter, r *http.Request) {
	m, ok := s.mailOf(r)
	number, err := strconv.Atoi(r.PathValue("file"))
	if !ok || err != nil || number < 1 || number > len(m.files) {
		http.NotFound(w, r)
		return
	}
	f := m.files[number-1]
	w.Header().Set("Content-Security-Policy", mailPolicy)
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": f.Name}))
	_, _ = w.Write(f.Data) // the browser has gone
}

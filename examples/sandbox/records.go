package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/telemed-go/telemed/notify/smtp/smtptest"
	"github.com/telemed-go/telemed/notify/whatsapp/whatsapptest"
)

// mail is one of the inbox.
type mail struct {
	Number   int                 `json:"number"`
	ID       string              `json:"id"`
	At       time.Time           `json:"at"`
	Sender   string              `json:"sender"`
	To       []string            `json:"to"`
	From     string              `json:"from"`
	Subject  string              `json:"subject"`
	Text     string              `json:"text"`
	HTML     string              `json:"html"`
	Calendar string              `json:"calendar"`
	Files    []file              `json:"files"`
	Header   map[string][]string `json:"header"`
	raw      []byte
	files    []smtptest.File
}

type file struct {
	Number int    `json:"number"`
	Name   string `json:"name"`
	Type   string `json:"type"`
	Size   int    `json:"size"`
}

// mails are those of the inbox, oldest first. They are numbered from 1.
func (w *world) mails() []mail {
	list := []mail{}
	for i, m := range w.Mail.Messages() {
		shown := mail{
			Number: i + 1, ID: m.ID, At: m.At, Sender: m.Sender, To: m.Recipients, Subject: m.Subject, Text: m.Text, HTML: m.HTML,
			Calendar: m.Calendar, Files: []file{}, Header: map[string][]string{}, raw: m.Raw, files: m.Files,
		}
		if m.From != nil {
			shown.From = m.From.String()
		}
		for name, values := range m.Header {
			for _, value := range values {
				shown.Header[name] = append(shown.Header[name], decoded(value))
			}
		}
		for j, f := range m.Files {
			shown.Files = append(shown.Files, file{j + 1, f.Name, f.ContentType, len(f.Data)})
		}
		list = append(list, shown)
	}
	return list
}

func decoded(header string) string {
	text, err := new(mime.WordDecoder).DecodeHeader(header)
	if err != nil {
		return header
	}
	return text
}

// maxWait is how long one request waits for what arrives.
const maxWait = time.Minute

// wait returns a context that ends as the request says: at once if it says nothing.
func (r request) wait() (context.Context, context.CancelFunc, error) {
	text := cmp.Or(r.in.Get("wait"), "0s")
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d > maxWait {
		return nil, nil, fmt.Errorf("wait: %q is no time up to %s, such as 5s", text, maxWait)
	}
	ctx, cancel := context.WithTimeout(r.Context(), d)
	return ctx, cancel, nil
}

// tellMail tells the mails to somebody, or all. It waits for the first one.
func tellMail(r request) (any, error) {
	ctx, cancel, err := r.wait()
	if err != nil {
		return nil, err
	}
	defer cancel()
	to := r.in.Get("to")
	// A mail that does not come in time is no error: the list is empty.
	_, _ = r.Mail.WaitFor(ctx, func(m smtptest.Message) bool { return to == "" || smtptest.To(to)(m) })
	return slices.DeleteFunc(r.mails(), func(m mail) bool {
		return to != "" && !slices.ContainsFunc(m.To, func(address string) bool { return strings.EqualFold(address, to) })
	}), nil
}

// chat is what one person reads and writes.
type chat struct {
	Phone    string `json:"phone"`
	Messages []line `json:"messages"`
}

// line is one message of a chat. Status is that of the clinic's: accepted, sent, delivered,
// read, failed.
type line struct {
	ID       string    `json:"id,omitempty"`
	From     string    `json:"from"` // clinic or patient
	Text     string    `json:"text"`
	Template string    `json:"template,omitempty"`
	Language string    `json:"language,omitempty"`
	Status   string    `json:"status,omitempty"`
	At       time.Time `json:"at"`
}

// Ticks are what a sender sees beside a message.
func (l line) Ticks() string {
	return map[string]string{"accepted": "🕓", "sent": "✓", "delivered": "✓✓", "read": "✓✓", "failed": "⚠"}[l.Status]
}

// chats are all of them, the one with the latest message first.
func (w *world) chats() []chat {
	list := []chat{}
	add := func(phone string, l line) {
		i := slices.IndexFunc(list, func(c chat) bool { return c.Phone == phone })
		if i < 0 {
			i = len(list)
			list = append(list, chat{Phone: phone})
		}
		list[i].Messages = append(list[i].Messages, l)
	}
	states := w.states()
	for _, m := range w.WhatsApp.Messages() {
		add(phoneOf(m), line{
			ID: m.ID, From: "clinic", Text: m.Text, Template: m.Template, Language: m.Language, At: m.At,
			Status: cmp.Or(states[m.ID], "accepted"),
		})
	}
	w.mu.Lock()
	for _, s := range w.said {
		add(s.Phone, line{From: "patient", Text: s.Text, At: s.At})
	}
	w.mu.Unlock()
	for _, c := range list {
		slices.SortStableFunc(c.Messages, func(a, b line) int { return a.At.Compare(b.At) })
	}
	slices.SortStableFunc(list, func(a, b chat) int {
		return b.Messages[len(b.Messages)-1].At.Compare(a.Messages[len(a.Messages)-1].At)
	})
	return list
}

func phoneOf(m whatsapptest.Message) string { return "+" + strings.TrimPrefix(m.To, "+") }

// states are the statuses of the messages: those that were told by themselves, and those
// that were asked for.
func (w *world) states() map[string]string {
	states := map[string]string{}
	for _, e := range w.WhatsApp.Events() {
		states[e.ID] = e.Type
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	maps.Copy(states, w.told)
	return states
}

// tellChats tells the chat with somebody, or all. It waits for the first message.
func tellChats(r request) (any, error) {
	ctx, cancel, err := r.wait()
	if err != nil {
		return nil, err
	}
	defer cancel()
	phone, err := r.phone()
	if err != nil {
		return nil, err
	}
	_, _ = r.WhatsApp.WaitFor(ctx, func(m whatsapptest.Message) bool { return phone == "" || phoneOf(m) == phone })
	return slices.DeleteFunc(r.chats(), func(c chat) bool { return phone != "" && c.Phone != phone }), nil
}

// phone is a number in its one form, empty if there is none. The + of a query or of a form is
// a space unless it is written as %2B.
func (r request) phone() (string, error) {
	text := r.in.Get("phone")
	digits := strings.NewReplacer(" ", "", "-", "").Replace(strings.TrimPrefix(text, "+"))
	switch {
	case digits == "":
		return "", nil
	case strings.Trim(digits, "0123456789") != "":
		return "", fmt.Errorf("phone: %q is no number such as +919876543210", text)
	}
	return "+" + digits, nil
}

func replyToChat(r request) (any, error) {
	text := r.in.Get("text")
	phone, err := r.phone()
	switch {
	case err != nil:
		return nil, err
	case phone == "" || strings.TrimSpace(text) == "":
		return nil, errors.New("phone and text are required")
	}
	r.mu.Lock()
	r.said = append(r.said, said{Phone: phone, Text: text, At: r.now()})
	r.mu.Unlock()
	return done, untaken(r.WhatsApp.SendText(r.Context(), phone, cmp.Or(r.in.Get("name"), "Patient"), text))
}

// untaken says of a webhook that was not taken that what it tells is so nevertheless. It comes
// again, unless webhooks are held.
func untaken(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("it is done, but its webhook was not taken: %w", err)
}

func tellStatus(r request) (any, error) {
	id, state := r.in.Get("id"), r.in.Get("status")
	if !slices.Contains([]string{"sent", "delivered", "read", "failed"}, state) {
		return nil, fmt.Errorf("status: %q is none of sent, delivered, read, failed", state)
	}
	var codes []int
	if state == "failed" {
		code, err := r.number("code", 131026) // the number is not on WhatsApp
		if err != nil {
			return nil, err
		}
		codes = []int{code}
	}
	if !slices.ContainsFunc(r.WhatsApp.Messages(), func(m whatsapptest.Message) bool { return m.ID == id }) {
		return nil, errors.New("id: there is no such message")
	}
	r.mu.Lock()
	r.told[id] = state
	r.mu.Unlock()
	return done, untaken(r.WhatsApp.SendStatus(r.Context(), id, state, codes...))
}

// consent is an account and what it has allowed.
type consent struct {
	Provider  string     `json:"provider"`
	Account   string     `json:"account"`
	Name      string     `json:"name"`
	Scopes    []string   `json:"scopes"`
	Expires   *time.Time `json:"access_token_expires"` // null once it was ended before its time
	Refreshes int        `json:"refreshes"`
	Ended     bool       `json:"ended"`
	Expired   bool       `json:"access_token_expired"`
}

func (w *world) consents() []consent {
	list := []consent{}
	add := func(c consent, expires time.Time) {
		c.Expired = !expires.After(w.now())
		if !expires.IsZero() {
			c.Expires = &expires
		}
		list = append(list, c)
	}
	for _, g := range w.Google.Grants() {
		add(consent{Provider: "google", Account: g.Email, Name: g.Email, Scopes: g.Scopes, Refreshes: g.Refreshes, Ended: g.Ended}, g.Expires)
	}
	for _, g := range w.Zoom.Grants() {
		add(consent{
			Provider: "zoom", Account: g.User.ID, Name: g.User.Name + ", " + g.User.Email, Scopes: g.Scopes, Refreshes: g.Refreshes, Ended: g.Ended,
		}, g.Expires)
	}
	return list
}

func tellConsents(r request) (any, error) { return r.consents(), nil }

// allowConsent is a doctor who clicks Allow. It returns the address that the browser is sent
// back to, and does not open it.
func allowConsent(r request) (any, error) {
	address := r.in.Get("url")
	for base, allow := range map[string]func(string) (string, error){
		r.Google.URL() + "/": r.Google.Authorize, r.Zoom.URL() + "/": r.Zoom.Authorize,
	} {
		if strings.HasPrefix(address, base) {
			// The fake's own client: the address has its host.
			back, err := allow(address)
			return map[string]string{"callback": back}, err
		}
	}
	return nil, errors.New("url: is no consent page of Google's or Zoom's here")
}

func expireTokens(r request) (any, error) {
	switch r.in.Get("provider") {
	case "":
		r.Google.ExpireTokens()
		r.Zoom.ExpireTokens()
	case "google":
		r.Google.ExpireTokens()
	case "zoom":
		r.Zoom.ExpireTokens()
	default:
		return nil, errors.New("provider: is neither google nor zoom")
	}
	return done, nil
}

// revokeConsent is a doctor who removes the app in the account's settings. Zoom tells the
// application of it; Google does not.
func revokeConsent(r request) (any, error) {
	account := r.in.Get("account")
	i := slices.IndexFunc(r.consents(), func(c consent) bool { return c.Account == account })
	if i < 0 {
		return nil, errors.New("account: has consented to nothing")
	}
	if r.consents()[i].Provider == "google" {
		r.Google.RevokeAccess(account)
		return done, nil
	}
	r.Zoom.Uninstall(account)
	return done, r.emitZoom("app_deauthorized", r.Zoom.DeauthorizedEvent(account))
}

// emitZoom sends a webhook of Zoom's, and again until it is taken.
func (w *world) emitZoom(kind string, event map[string]any) error {
	body, err := json.Marshal(event)
	if err != nil {
		return err
	}
	w.zoomHooks.Emit(zoomEvent(kind, body, len(w.zoomHooks.Events())+1))
	return nil
}

// mailOf returns the mail whose number is in a path.
func (s *pages) mailOf(r *http.Request) (mail, bool) {
	all := s.world().mails()
	number, err := strconv.Atoi(r.PathValue("number"))
	if err != nil || number < 1 || number > len(all) {
		return mail{}, false
	}
	return all[number-1], true
}

package main

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/telemed-go/telemed/examples/internal/guard"
	"github.com/telemed-go/telemed/notify/smtp/smtptest"
	"github.com/telemed-go/telemed/notify/whatsapp/whatsapptest"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/zoom/zoomtest"
)

//go:embed web
var web embed.FS

var pageTemplate = template.Must(template.ParseFS(web, "web/page.html"))

const (
	environPath   = "/env"
	sandboxHeader = "X-Telemed-Sandbox" // so that -env knows whom it asks
)

// pages are what a person sees of the providers.
type pages struct {
	*providers
	getenv   func(string) string
	server   *http.Server
	serving  sync.WaitGroup
	problems problems
}

// servePages serves the pages at the address of the providers.
func servePages(p *providers, getenv func(string) string) (*pages, error) {
	listener, err := net.Listen("tcp", p.address(0)) //nolint:noctx // it ends with the pages
	if err != nil {
		return nil, taken(fmt.Errorf("pages: %w", err))
	}
	_, port, _ := net.SplitHostPort(listener.Addr().String()) // it listens there
	p.pages = "http://" + net.JoinHostPort(p.host, port)
	s := &pages{providers: p, getenv: getenv}
	door, err := guard.New(guard.Config{Hosts: []string{net.JoinHostPort(p.host, port), "localhost:" + port, "127.0.0.1:" + port}})
	if err != nil {
		_ = listener.Close()
		return nil, err
	}
	// A page of a stranger must not press these buttons.
	routes := http.NewCrossOriginProtection().Handler(s.routes())
	s.server = &http.Server{Handler: door.Handler(routes), ReadHeaderTimeout: 10 * time.Second}
	s.serving.Go(func() { _ = s.server.Serve(listener) }) // ends with close
	return s, nil
}

func (s *pages) close() {
	_ = s.server.Close()
	s.serving.Wait()
}

func (s *pages) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.overview)
	mux.HandleFunc("GET /mail/{number}", s.mailBody)
	mux.HandleFunc("POST /pay", s.pay)
	mux.HandleFunc("POST /reply", s.reply)
	mux.HandleFunc("POST /remove-zoom", s.removeZoom)
	mux.HandleFunc("GET /style.css", func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, web, "web/style.css") })
	mux.HandleFunc("GET "+environPath, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set(sandboxHeader, "1")
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, export(s.variables(s.getenv))) // the client has gone
	})
	return mux
}

// view is what the page shows, newest first.
type view struct {
	Problems []string
	Mails    []mail
	Chats    []chat
	Orders   []order
	Doctors  []zoomtest.User
}

type mail struct {
	Number int
	smtptest.Message
}

// chat is what one person reads.
type chat struct {
	Phone    string
	Messages []whatsapptest.Message
}

// order is an order of Razorpay's API.
type order struct {
	ID       string `json:"id"`
	Key      string `json:"receipt"`
	Status   string `json:"status"`
	Due      int64  `json:"amount_due"`
	Total    int64  `json:"amount"`
	Currency string `json:"currency"`
	Checkout string `json:"-"` // the page to pay at; empty if nothing is due
}

// Amount is what is due, or what it was if nothing is.
func (o order) Amount() string {
	amount := o.Due
	if amount == 0 {
		amount = o.Total
	}
	return payments.Money{Minor: amount, Currency: payments.Currency(o.Currency)}.String()
}

func (s *pages) overview(w http.ResponseWriter, r *http.Request) {
	v := view{Chats: s.chats(), Doctors: []zoomtest.User{zoomtest.DefaultUser()}}
	for i, m := range slices.Backward(s.mail.Messages()) {
		v.Mails = append(v.Mails, mail{i, m})
	}
	var err error
	if v.Orders, err = s.orders(r.Context()); err != nil {
		s.problems.add(err)
	}
	v.Problems = s.problems.take()
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_ = pageTemplate.Execute(w, v) // the browser has gone
}

func (s *pages) chats() []chat {
	var all []chat
	for _, m := range slices.Backward(s.whatsapp.Messages()) {
		phone := "+" + strings.TrimPrefix(m.To, "+")
		i := slices.IndexFunc(all, func(c chat) bool { return c.Phone == phone })
		if i < 0 {
			i = len(all)
			all = append(all, chat{Phone: phone})
		}
		all[i].Messages = append(all[i].Messages, m)
	}
	return all
}

// orders asks Razorpay, as its dashboard does.
func (s *pages) orders(ctx context.Context) ([]order, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.razorpay.URL()+"/v1/orders?count=100", nil)
	if err != nil {
		return nil, fmt.Errorf("orders: %w", err)
	}
	req.SetBasicAuth(s.razorpay.KeyID(), s.razorpay.KeySecret().Reveal())
	resp, err := s.razorpay.Client().Do(req)
	if err != nil {
		return nil, fmt.Errorf("orders: %w", err)
	}
	defer resp.Body.Close()
	var list struct{ Items []order }
	if err := json.NewDecoder(resp.Body).Decode(&list); err != nil {
		return nil, fmt.Errorf("orders: %w", err)
	}
	for i, o := range list.Items {
		if o.Due > 0 {
			list.Items[i].Checkout = s.razorpay.CheckoutURL(o.ID, s.api+"/payments/callback")
		}
	}
	return list.Items, nil
}

// mailBody shows a mail as a mail program does: with its own colours, and nothing else of
// its own.
func (s *pages) mailBody(w http.ResponseWriter, r *http.Request) {
	number, err := strconv.Atoi(r.PathValue("number"))
	all := s.mail.Messages()
	if err != nil || number < 0 || number >= len(all) {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox allow-popups allow-popups-to-escape-sandbox")
	h.Set("Content-Type", "text/html; charset=utf-8")
	body := all[number].HTML
	if body == "" {
		h.Set("Content-Type", "text/plain; charset=utf-8")
		body = all[number].Text
	}
	_, _ = io.WriteString(w, body) // the browser has gone
}

// pay is a patient who pays and closes the page: the webhook alone tells of it.
func (s *pages) pay(w http.ResponseWriter, r *http.Request) {
	_, err := s.razorpay.Pay(r.PostFormValue("order"))
	s.done(w, r, err)
}

// reply is what a person writes back on WhatsApp: "STOP", for one.
func (s *pages) reply(w http.ResponseWriter, r *http.Request) {
	s.done(w, r, s.whatsapp.SendText(r.Context(), r.PostFormValue("phone"), "Patient", r.PostFormValue("text")))
}

// removeZoom is a doctor who removes the app at Zoom.
func (s *pages) removeZoom(w http.ResponseWriter, r *http.Request) {
	user := r.PostFormValue("user")
	s.zoom.Uninstall(user)
	status, _, err := s.zoom.SendWebhook(s.api+"/auth/zoom/doctor/events", s.zoom.DeauthorizedEvent(user))
	if err == nil && status >= 300 {
		err = fmt.Errorf("the application answered Zoom's notice with %d", status)
	}
	s.done(w, r, err)
}

// done goes back to the page, which shows err.
func (s *pages) done(w http.ResponseWriter, r *http.Request, err error) {
	s.problems.add(err)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// problems wait to be shown once.
type problems struct {
	mu    sync.Mutex
	texts []string
}

func (p *problems) add(err error) {
	if err == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.texts = append(p.texts, err.Error())
}

func (p *problems) take() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	texts := p.texts
	p.texts = nil
	return texts
}

package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/telemed-go/telemed/examples/internal/local"
	"github.com/telemed-go/telemed/store"
)

// panel is what a demonstration has besides the hospital: the providers, all on this
// machine, what they have received, and what was done to them. It outlives the hospital.
type panel struct {
	local.Providers
	env    map[string]string
	folder string // of the database, for as long as it runs
	server *http.Server

	mu   sync.Mutex
	acts []act
}

// act is something that staff did to the demonstration, or that became of its server.
type act struct {
	At    time.Time
	Visit string // empty: it is about all of them
	What  string
}

// seenURL is the variable that says where the hospital reads what the providers have seen.
const seenURL = "DEMONSTRATION_SEEN_URL"

// seen is what the providers have received and done.
type seen struct {
	Mails    []seenMail
	Chats    []seenChat
	Meetings []time.Time         // when those begin that were not cancelled
	Payments map[string][]string // captured, by order
	Wire     []local.Exchange
	Acts     []act
	Armed    []local.Fault // faults that have not shown
	Held     int           // webhooks that wait
}

type seenMail struct {
	Number                                     int // among those of a visit, from 0
	Reference, To, ID, Subject, HTML, Calendar string
	At                                         time.Time
}

type seenChat struct {
	Reference, To, ID, Text string
	At                      time.Time
}

// openPanel starts the providers that are not among these.
func openPanel(providers local.Providers) (*panel, error) {
	p := &panel{Providers: providers}
	var err error
	if p.env, err = p.Environ(); err == nil {
		p.env["CLINIC_KEY"] = store.NewKey().Reveal()
		p.folder, err = os.MkdirTemp("", "hospital-")
	}
	if err == nil {
		err = p.show()
	}
	if err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

// show serves what the providers have seen, at an address that is a secret.
func (p *panel) show() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it ends by close
	if err != nil {
		return err
	}
	path := "/" + rand.Text()
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(p.seen()) })
	p.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	p.env[seenURL] = "http://" + listener.Addr().String() + path
	go func() { _ = p.server.Serve(listener) }()
	return nil
}

func (p *panel) getenv(name string) string { return p.env[name] }

func (p *panel) close() error {
	var err error
	if p.server != nil {
		err = p.server.Close()
	}
	p.Close()
	if p.folder == "" {
		return err
	}
	return errors.Join(err, os.RemoveAll(p.folder))
}

// follow has the providers tell the hospital at an address.
func (p *panel) follow(base string) {
	p.Razorpay.SetWebhookURL(base + "/webhooks/razorpay")
	p.WhatsApp.SetWebhookURL(base + "/webhooks/whatsapp")
}

// note writes down what staff did to a visit, or what became of the server.
func (p *panel) note(visit, what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.acts = append(p.acts, act{time.Now(), visit, what})
}

func (p *panel) seen() seen {
	s := seen{Payments: map[string][]string{}, Wire: p.Wire(), Armed: p.Pending(), Held: len(p.Razorpay.Held())}
	for _, m := range p.Mail.Messages() {
		s.Mails = append(s.Mails, seenMail{0, m.Header.Get(local.ReferenceHeader), m.Recipients[0], m.ID, m.Subject, m.HTML, m.Calendar, m.At})
	}
	for _, m := range p.WhatsApp.Messages() {
		s.Chats = append(s.Chats, seenChat{m.Reference, m.To, m.ID, m.Text, m.At})
	}
	for _, e := range p.Google.Events() {
		if e.Status != "cancelled" {
			s.Meetings = append(s.Meetings, e.Start)
		}
	}
	for _, m := range p.Zoom.Meetings() {
		if !m.Deleted {
			s.Meetings = append(s.Meetings, m.Start)
		}
	}
	for _, e := range p.Razorpay.Events() {
		var paid struct {
			Payload struct {
				Payment struct {
					Entity struct {
						ID      string `json:"id"`
						OrderID string `json:"order_id"`
					}
				}
			}
		}
		if e.Type == "payment.captured" && json.Unmarshal(e.Body, &paid) == nil {
			payment := paid.Payload.Payment.Entity
			s.Payments[payment.OrderID] = append(s.Payments[payment.OrderID], payment.ID)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s.Acts = append(s.Acts, p.acts...)
	return s
}

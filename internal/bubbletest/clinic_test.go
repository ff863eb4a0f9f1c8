package bubbletest

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/meet/googlemeet"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/smtp"
	"github.com/telemed-go/telemed/notify/template"
	"github.com/telemed-go/telemed/notify/whatsapp"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/razorpay"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/zoom"
)

// database is what outlives a process of the clinic.
type database struct {
	*store.Memory

	mu     sync.Mutex
	visits map[string]visit // by the order's key
	heard  []string         // states of WhatsApp messages and refunds
}

// visit is what is known of one.
type visit struct {
	provider string
	start    time.Time
	meeting  *meet.Meeting
	payment  string
}

func (db *database) hear(what string) {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.heard = append(db.heard, what)
}

func (db *database) get(key string) visit {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.visits[key]
}

func (db *database) put(key string, v visit) {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.visits[key] = v
}

// clinic is one process of an application, until it is killed.
type clinic struct {
	t        *testing.T
	db       *database
	life     context.Context
	meetings map[string]meet.MeetingProvider
	google   *googlemeet.Client
	zoom     *zoom.Client
	razorpay *razorpay.Client
	mail     *smtp.Client
	whatsapp *whatsapp.Client
	end      func()
}

var errDead = errors.New("the process is dead")

// mortal is the way of a process to a provider. It ends with the process.
type mortal struct {
	http.RoundTripper
	life context.Context
}

func (m mortal) RoundTrip(r *http.Request) (*http.Response, error) {
	if m.life.Err() != nil {
		return nil, errDead
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer context.AfterFunc(m.life, cancel)()
	resp, err := m.RoundTripper.RoundTrip(r.WithContext(ctx))
	if err != nil {
		cancel()
	}
	return resp, err
}

// mortalClaims are the claims of a process. A dead one writes nothing.
type mortalClaims struct {
	store.Claims
	life context.Context
}

func (m mortalClaims) Claim(ctx context.Context, key string, lease time.Duration) (store.Claim, error) {
	if m.life.Err() != nil {
		return store.Claim{}, errDead
	}
	return m.Claims.Claim(ctx, key, lease)
}

func (m mortalClaims) Complete(ctx context.Context, key, token string, value []byte, keep time.Duration) error {
	if m.life.Err() != nil {
		return errDead
	}
	return m.Claims.Complete(ctx, key, token, value, keep)
}

func (m mortalClaims) Release(ctx context.Context, key, token string) error {
	if m.life.Err() != nil {
		return errDead
	}
	return m.Claims.Release(ctx, key, token)
}

// newClinic starts a process.
func newClinic(t *testing.T, w *world, db *database) *clinic {
	t.Helper()
	life, die := context.WithCancel(context.WithoutCancel(t.Context()))
	c := &clinic{t: t, db: db, life: life}
	c.build(w)
	mux := http.NewServeMux()
	claims := mortalClaims{db, life}
	paid, err := payments.NewWebhook(payments.WebhookConfig{Parser: c.razorpay, Handle: c.money, Claims: claims})
	require.NoError(t, err)
	said, err := whatsapp.NewWebhook(whatsapp.WebhookConfig{Secrets: []telemed.Secret{w.whatsapp.AppSecret()}, Handle: c.status, Claims: claims})
	require.NoError(t, err)
	mux.Handle("/payments/webhook", paid)
	mux.Handle("/whatsapp", said)
	kill := w.open(t, mux)
	c.end = sync.OnceFunc(func() {
		die()
		kill()
		for _, part := range []interface{ Shutdown(context.Context) error }{paid, said, c.google, c.zoom, c.mail} {
			require.NoError(t, part.Shutdown(context.WithoutCancel(t.Context())))
		}
	})
	t.Cleanup(c.end)
	return c
}

func (c *clinic) build(w *world) {
	client := func(of *http.Client) *http.Client { return &http.Client{Transport: mortal{of.Transport, c.life}} }
	claims := mortalClaims{c.db, c.life}
	words, err := template.New(template.Config{Clinic: "City Clinic", Zone: time.UTC})
	require.NoError(c.t, err)
	c.google, err = googlemeet.New(googlemeet.Config{
		ClientID: w.google.ClientID(), ClientSecret: w.google.ClientSecret(), RedirectURL: application + "/google",
		Tokens: c.db, Endpoints: w.google.Endpoints(), HTTPClient: client(w.google.Client()),
	})
	require.NoError(c.t, err)
	c.zoom, err = zoom.New(zoom.Config{
		ClientID: w.zoom.ClientID(), ClientSecret: w.zoom.ClientSecret(), RedirectURL: application + "/zoom",
		Tokens: c.db, Claims: claims, Endpoints: w.zoom.Endpoints(), HTTPClient: client(w.zoom.Client()),
	})
	require.NoError(c.t, err)
	c.razorpay, err = razorpay.New(razorpay.Config{
		KeyID: w.razorpay.KeyID(), KeySecret: w.razorpay.KeySecret(), BaseURL: w.razorpay.URL(),
		WebhookSecrets: []telemed.Secret{w.razorpay.WebhookSecret()}, HTTPClient: client(w.razorpay.Client()),
	})
	require.NoError(c.t, err)
	c.mail, err = smtp.New(smtp.Config{
		Addr: w.mail.Addr(), From: "care@clinic.example", TLS: w.mail.ClientTLS(), Renderer: words, Dial: c.dial(w),
	})
	require.NoError(c.t, err)
	c.whatsapp, err = whatsapp.New(whatsapp.Config{
		PhoneNumberID: w.whatsapp.PhoneNumberID(), Token: w.whatsapp.Token(), BaseURL: w.whatsapp.URL(), Renderer: words,
		HTTPClient: client(w.whatsapp.Client()),
	})
	require.NoError(c.t, err)
	c.meetings = map[string]meet.MeetingProvider{googlemeet.ProviderName: c.google, zoom.ProviderName: c.zoom}
}

// dial connects to the mail server. The connection ends with the process.
func (c *clinic) dial(w *world) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		if c.life.Err() != nil {
			return nil, errDead
		}
		conn, err := w.mail.Dial(ctx, network, addr)
		if err == nil {
			context.AfterFunc(c.life, func() { _ = conn.Close() })
		}
		return conn, err
	}
}

// book opens a visit and returns the order that the patient pays.
func (c *clinic) book(key, provider string, start time.Time) (*payments.Order, error) {
	c.db.put(key, visit{provider: provider, start: start})
	return c.razorpay.CreateOrder(c.t.Context(), payments.OrderRequest{Key: key, Amount: payments.INR(50000)})
}

// money acts on Razorpay's webhooks: what is paid gets its meeting, and the patient is told.
func (c *clinic) money(ctx context.Context, e payments.Event) error {
	switch {
	case e.Type == payments.EventRefundProcessed:
		c.db.hear("refund " + string(e.Refund.Status))
	case e.Type == payments.EventPaymentCaptured && e.Order.IsPaid():
		v := c.db.get(e.Order.Key)
		if v.meeting != nil {
			return nil
		}
		m, err := c.meetings[v.provider].Create(ctx, doctor, v.request(e.Order.Key))
		if err != nil {
			return err
		}
		v.meeting, v.payment = m, e.Payment.ID
		c.db.put(e.Order.Key, v)
		return c.tell(ctx, e.Order.Key, "confirmed", template.Confirmed, v, c.whatsapp, c.mail)
	}
	return nil
}

func (v visit) request(key string) meet.Request {
	return meet.Request{Key: key, Start: v.start, Duration: 30 * time.Minute}
}

// tell sends a message over each channel.
func (c *clinic) tell(ctx context.Context, key, what, name string, v visit, channels ...notify.Notifier) error {
	_, err := notify.Fanout(ctx, notify.Message{
		Key: key + "/" + what, Template: name, To: notify.Recipient{Name: "Asha", Email: "asha@example.org", Phone: "+919876543210"},
		Data: template.Appointment{Key: key, Patient: "Asha", Doctor: "Dr Rao", Start: v.start, JoinURL: v.meeting.JoinURL},
	}, channels...)
	return err
}

// status acts on WhatsApp's webhooks.
func (c *clinic) status(_ context.Context, e whatsapp.Event) error {
	if e.Status != nil {
		c.db.hear("whatsapp " + string(e.Status.State))
	}
	return nil
}

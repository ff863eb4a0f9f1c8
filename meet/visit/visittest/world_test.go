package visittest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/meet/googlemeet"
	"github.com/telemed-go/telemed/meet/googlemeet/googlemeettest"
	"github.com/telemed-go/telemed/meet/visit"
	"github.com/telemed-go/telemed/meet/visit/visittest"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/smtp"
	"github.com/telemed-go/telemed/notify/smtp/smtptest"
	"github.com/telemed-go/telemed/notify/template"
	"github.com/telemed-go/telemed/notify/whatsapp"
	"github.com/telemed-go/telemed/notify/whatsapp/whatsapptest"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/fulfill"
	"github.com/telemed-go/telemed/payments/razorpay"
	"github.com/telemed-go/telemed/payments/razorpay/razorpaytest"
	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/durable"
	"github.com/telemed-go/telemed/store/oauth"
	"github.com/telemed-go/telemed/zoom"
	"github.com/telemed-go/telemed/zoom/zoomtest"
)

const (
	clinicName      = "Lotus Clinic"
	doctorID        = "dr-rao"
	application     = "http://127.0.0.1:3001"
	referenceHeader = "X-Reference"
)

// world is the five providers and a database.
type world struct {
	google   *googlemeettest.Server
	zoom     *zoomtest.Server
	razorpay *razorpaytest.Server
	mail     *smtptest.Server
	whatsapp *whatsapptest.Server
	rows     *durable.Memory
	tokens   *store.Memory
	truth    *razorpay.Client // reads the gateway without any process
	browser  http.RoundTripper
	setup

	mu     sync.Mutex
	shown  map[string]string // what dashboards show of a visit
	noted  map[string]visit.Status
	orders map[string]string // by their id, the visits that they are for
}

// words are the templates, which take a while to read.
var words = sync.OnceValue(func() notify.Renderer {
	zone, err := time.LoadLocation("Asia/Kolkata")
	if err != nil {
		panic(err)
	}
	set, err := template.New(template.Config{Clinic: clinicName, Zone: zone})
	if err != nil {
		panic(err)
	}
	return set
})

// setup is what is special about a world.
type setup struct {
	evidence bool                    // the mail server can be asked
	deaf     bool                    // WhatsApp's reports are not listened to
	spoil    func(cfg *visit.Config) // may be nil
}

// world is visittest.Config.World.
func (s setup) world(door http.RoundTripper) (*visittest.World, error) {
	w := &world{
		rows: durable.NewMemory(), tokens: store.NewMemory(), browser: door, setup: s,
		shown: map[string]string{}, noted: map[string]visit.Status{}, orders: map[string]string{},
	}
	client := &http.Client{Transport: door}
	var errs [5]error
	w.google, errs[0] = googlemeettest.Start(googlemeettest.Config{InMemory: true, HTTPClient: client})
	w.zoom, errs[1] = zoomtest.Start(zoomtest.Config{InMemory: true, HTTPClient: client})
	w.razorpay, errs[2] = razorpaytest.Start(razorpaytest.Config{
		InMemory: true, HTTPClient: client, WebhookURL: application + "/payments/webhook", PendingRefunds: true,
	})
	w.mail, errs[3] = smtptest.Start(smtptest.Config{Addr: "127.0.0.1:587", InMemory: true})
	w.whatsapp, errs[4] = whatsapptest.Start(whatsapptest.Config{
		InMemory: true, HTTPClient: client, WebhookURL: application + "/whatsapp", Statuses: []string{"sent", "delivered"},
	})
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	w.razorpay.HoldWebhooks()
	w.whatsapp.HoldWebhooks()
	if err := w.connect(); err != nil {
		return nil, err
	}
	return &visittest.World{
		New: w.process, Channels: []notify.Channel{notify.Email, notify.WhatsApp}, Pay: w.pay, Events: w.events, Truth: w.is,
		Check: w.check, Close: w.close,
	}, nil
}

func (w *world) close() {
	w.google.Close()
	w.zoom.Close()
	w.razorpay.Close()
	w.mail.Close()
	w.whatsapp.Close()
}

// connect has the doctor connect both accounts.
func (w *world) connect() (err error) {
	w.truth, err = razorpay.New(razorpay.Config{
		KeyID: w.razorpay.KeyID(), KeySecret: w.razorpay.KeySecret(), BaseURL: w.razorpay.URL(), HTTPClient: w.razorpay.Client(),
		WebhookSecrets: []telemed.Secret{w.razorpay.WebhookSecret()},
	})
	if err != nil {
		return err
	}
	google, err := w.newGoogle(w.tokens, w.google.Client())
	if err != nil {
		return err
	}
	zooms, err := w.newZoom(w.tokens, w.tokens, w.zoom.Client())
	if err != nil {
		return err
	}
	defer func() { _ = google.Shutdown(context.Background()) }()
	defer func() { _ = zooms.Shutdown(context.Background()) }()
	if err := w.consent(google.OAuth(), w.google.Authorize); err != nil {
		return err
	}
	return w.consent(zooms.OAuth(), w.zoom.Authorize)
}

func (w *world) consent(provider oauth.Provider, allow func(string) (string, error)) error {
	verifier := oauth2.GenerateVerifier()
	back, err := allow(provider.AuthCodeURL("state", verifier))
	if err != nil {
		return err
	}
	u, err := url.Parse(back)
	if err != nil {
		return err
	}
	ctx := context.Background()
	token, err := provider.Exchange(ctx, u.Query().Get("code"), verifier)
	if err != nil {
		return err
	}
	return store.Set(ctx, w.tokens, store.AccountID{Provider: provider.Name, Subject: doctorID}, token)
}

func (w *world) newGoogle(tokens store.TokenStore, client *http.Client) (*googlemeet.Client, error) {
	return googlemeet.New(googlemeet.Config{
		ClientID: w.google.ClientID(), ClientSecret: w.google.ClientSecret(), RedirectURL: application + "/google",
		Tokens: tokens, Endpoints: w.google.Endpoints(), HTTPClient: client,
	})
}

func (w *world) newZoom(tokens store.TokenStore, claims store.Claims, client *http.Client) (*zoom.Client, error) {
	return zoom.New(zoom.Config{
		ClientID: w.zoom.ClientID(), ClientSecret: w.zoom.ClientSecret(), RedirectURL: application + "/zoom",
		Tokens: tokens, Claims: claims, Endpoints: w.zoom.Endpoints(), HTTPClient: client,
	})
}

// leaves are the providers' clients of one process.
type leaves struct {
	google  *googlemeet.Client
	zoom    *zoom.Client
	gateway *razorpay.Client
	mail    *smtp.Client
	chat    *whatsapp.Client
}

func (w *world) leaves(p *visittest.Process) (l leaves, err error) {
	via := func(of *http.Client) *http.Client { return &http.Client{Transport: p.Transport(of.Transport)} }
	tokens, claims := p.Tokens(w.tokens), p.Claims(w.tokens)
	var errs [5]error
	l.google, errs[0] = w.newGoogle(tokens, via(w.google.Client()))
	l.zoom, errs[1] = w.newZoom(tokens, claims, via(w.zoom.Client()))
	l.gateway, errs[2] = razorpay.New(razorpay.Config{
		KeyID: w.razorpay.KeyID(), KeySecret: w.razorpay.KeySecret(), BaseURL: w.razorpay.URL(), Claims: claims,
		WebhookSecrets: []telemed.Secret{w.razorpay.WebhookSecret()}, HTTPClient: via(w.razorpay.Client()),
	})
	l.mail, errs[3] = smtp.New(smtp.Config{
		Addr: w.mail.Addr(), From: "care@clinic.example", TLS: w.mail.ClientTLS(), Dial: p.Dial(w.mail.Dial), LocalName: "clinic.example",
		ReferenceHeader: referenceHeader,
	})
	l.chat, errs[4] = whatsapp.New(whatsapp.Config{
		PhoneNumberID: w.whatsapp.PhoneNumberID(), Token: w.whatsapp.Token(), BaseURL: w.whatsapp.URL(), Attempts: 1,
		WebhookSecrets: []telemed.Secret{w.whatsapp.AppSecret()}, HTTPClient: via(w.whatsapp.Client()),
	})
	return l, errors.Join(errs[:]...)
}

// process is visittest.World.New: one process of an application.
func (w *world) process(p *visittest.Process) (*visit.Visits, error) {
	l, err := w.leaves(p)
	if err != nil {
		return nil, err
	}
	cfg := visit.Config{
		Store: p.Store(w.rows), Clinic: clinicName, Zone: "Asia/Kolkata", ReturnURL: "https://lotus.example/visits", AccountsURL: "https://lotus.example/settings",
		Meetings: map[string]meet.MeetingProvider{"google": l.google, "zoom": l.zoom}, Gateway: l.gateway, Mail: l.mail, WhatsApp: l.chat,
		Renderer: words(), OnStuck: p.OnStuck, Live: dashboard{w, p}, OnChange: w.onChange(p),
		Refunds: []fulfill.Tier{{Before: day, Percent: 100}, {Percent: 50}},
	}
	if w.evidence {
		cfg.Evidence = map[notify.Channel]notify.Evidence{notify.Email: inbox{w, p}}
	}
	if w.spoil != nil {
		w.spoil(&cfg)
	}
	visits, err := visit.New(cfg)
	if err != nil {
		return nil, err
	}
	report := visits.Report
	if w.deaf {
		report = func(context.Context, notify.Report) error { return nil }
	}
	reports := l.chat.Reports(report)
	mux := http.NewServeMux()
	mux.Handle("/payments/{action}", visits.Payments())
	mux.Handle("/whatsapp", reports)
	p.Handle(mux)
	p.OnShutdown(func(context.Context) error {
		return telemed.Shutdown(10*time.Second, reports, l.google, l.zoom, l.mail)
	})
	return visits, nil
}

// dashboard is the application's live events: what the page shows in the end.
type dashboard struct {
	*world
	p *visittest.Process
}

func (d dashboard) Broadcast(_ context.Context, room string, e realtime.Event) error {
	if err := d.p.Point("before Broadcast"); err != nil {
		return err
	}
	var shown struct{ ID, Status string }
	data, err := json.Marshal(e.Data)
	if err == nil {
		err = json.Unmarshal(data, &shown)
	}
	if err != nil {
		return err
	}
	d.mu.Lock()
	d.shown[shown.ID] = room + " " + shown.Status
	d.mu.Unlock()
	return d.p.Point("after Broadcast")
}

// onChange keeps the application's own column.
func (w *world) onChange(p *visittest.Process) func(context.Context, *visit.Visit) error {
	return func(_ context.Context, v *visit.Visit) error {
		if err := p.Point("before OnChange"); err != nil {
			return err
		}
		w.mu.Lock()
		w.noted[v.ID] = v.Status
		w.mu.Unlock()
		return p.Point("after OnChange")
	}
}

// inbox is a notify.Evidence: whoever runs the mail server can look.
type inbox struct {
	*world
	p *visittest.Process
}

func (i inbox) Outcome(_ context.Context, reference string, sent time.Time) (notify.Outcome, error) {
	if err := i.p.Point("before Outcome"); err != nil {
		return notify.OutcomeUnknown, err
	}
	for _, m := range i.mail.Messages() {
		if m.Header.Get(referenceHeader) == reference {
			return notify.OutcomeArrived, i.p.Point("after Outcome")
		}
	}
	if time.Since(sent) < time.Minute {
		return notify.OutcomeUnknown, nil
	}
	return notify.OutcomeNotArrived, i.p.Point("after Outcome")
}

// pay is visittest.World.Pay.
func (w *world) pay(ctx context.Context, id string, options json.RawMessage) (func(context.Context) error, error) {
	var page struct {
		OrderID string `json:"order_id"`
	}
	if err := json.Unmarshal(options, &page); err != nil {
		return nil, err
	}
	order, err := w.truth.Order(ctx, page.OrderID)
	if err != nil || order.IsPaid() {
		return nil, err
	}
	paid, err := w.razorpay.Pay(page.OrderID)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	w.orders[page.OrderID] = id
	w.mu.Unlock()
	form := url.Values{"razorpay_order_id": {paid.OrderID}, "razorpay_payment_id": {paid.PaymentID}, "razorpay_signature": {paid.Signature}}
	return func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, application+"/payments/callback", strings.NewReader(form.Encode()))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		res, err := w.browser.RoundTrip(req)
		if err == nil && res.StatusCode != http.StatusSeeOther {
			err = fmt.Errorf("callback: %d", res.StatusCode)
		}
		return err
	}, nil
}

// events is visittest.World.Events.
func (w *world) events() (all []visittest.Event) {
	for _, e := range w.razorpay.Events() {
		all = append(all, visittest.Event{ID: e.ID, Do: func(ctx context.Context) error { return taken(w.razorpay.Deliver(ctx, e)) }})
		if e.Type == payments.EventRefundCreated {
			var made struct {
				Payload struct {
					Refund struct{ Entity struct{ ID string } }
				}
			}
			_ = json.Unmarshal(e.Body, &made)
			id := made.Payload.Refund.Entity.ID
			all = append(all, visittest.Event{
				ID: "bank/" + id, Once: true, After: 50 * time.Hour, Do: func(context.Context) error { return w.razorpay.SettleRefund(id, true) },
			})
		}
	}
	all = append(all, w.reconnects()...)
	for n, e := range w.whatsapp.Events() {
		all = append(all, visittest.Event{
			ID: fmt.Sprintf("whatsapp/%d", n), Of: e.ID, Do: func(ctx context.Context) error { return taken(w.whatsapp.Deliver(ctx, e)) },
		})
	}
	return all
}

// reconnects are of a doctor who reads that an account must be connected again: Zoom takes
// a refresh token once, and the answer may be lost.
func (w *world) reconnects() (all []visittest.Event) {
	for rec := range w.tokens.List(context.Background(), store.Filter{Status: store.StatusReconnect}) {
		all = append(all, visittest.Event{
			ID: "reconnect/" + rec.Revision, Once: true, After: time.Hour, Do: func(context.Context) error { return w.connect() },
		})
	}
	return all
}

func taken(status int, err error) error {
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("webhook: %d", status)
	}
	return err
}

// is is visittest.World.Truth.
func (w *world) is(ctx context.Context) (visittest.Truth, error) {
	truth := visittest.Truth{
		Meetings: map[string][]meet.Meeting{}, Payments: map[string][]payments.Payment{}, Refunds: map[string][]payments.Refund{},
	}
	w.seeMeetings(truth.Meetings)
	for id, visitID := range w.orders {
		paid, err := w.truth.OrderPayments(ctx, id)
		if err != nil {
			return truth, err
		}
		for _, p := range paid {
			truth.Payments[visitID] = append(truth.Payments[visitID], *p)
			refunds, err := w.truth.PaymentRefunds(ctx, p.ID)
			if err != nil {
				return truth, err
			}
			for _, r := range refunds {
				truth.Refunds[visitID] = append(truth.Refunds[visitID], *r)
			}
		}
	}
	for _, m := range w.mail.Messages() {
		truth.Messages = append(truth.Messages, notify.Report{Channel: notify.Email, Reference: m.Header.Get(referenceHeader), At: m.At})
	}
	for _, m := range w.whatsapp.Messages() {
		truth.Messages = append(truth.Messages, notify.Report{Channel: notify.WhatsApp, Reference: m.Reference, At: m.At})
	}
	return truth, nil
}

// seeMeetings tells visits apart by how long they last.
func (w *world) seeMeetings(by map[string][]meet.Meeting) {
	see := func(d time.Duration, provider string, start time.Time, cancelled bool) {
		m := meet.Meeting{Provider: provider, Start: start, Status: meet.StatusScheduled, Duration: d}
		if cancelled {
			m.Status = meet.StatusCancelled
		}
		for _, v := range w.visits() {
			if v.Duration == d {
				by[v.ID] = append(by[v.ID], m)
			}
		}
	}
	for _, e := range w.google.Events() {
		see(e.End.Sub(e.Start), "google", e.Start, e.Status == "cancelled")
	}
	for _, m := range w.zoom.Meetings() {
		see(m.Duration, "zoom", m.Start, m.Deleted)
	}
}

// visits are those that were booked.
func (w *world) visits() (all []*visit.Visit) {
	reader, err := visit.New(visit.Config{Store: w.rows, Clinic: clinicName, Zone: "Asia/Kolkata", Renderer: words()})
	if err != nil {
		panic(err)
	}
	for item := range w.rows.List(context.Background(), durable.Filter{Kind: visit.RowKind}) {
		if v, err := reader.Get(context.Background(), item.ID.Name); err == nil {
			all = append(all, v)
		}
	}
	return all
}

// check is visittest.World.Check: the dashboard and the application's column.
func (w *world) check(_ context.Context, visits []*visit.Visit) (problems []string) {
	for _, v := range visits {
		if noted := w.noted[v.ID]; noted != v.Status {
			problems = append(problems, fmt.Sprintf("%s is %s, and the application knows %q", v.ID, v.Status, noted))
		}
		shown := w.shown[v.ID]
		if want := "clinic-lotus " + string(v.Status); shown != want && (shown != "" || v.Status == visit.StatusBooked) {
			problems = append(problems, fmt.Sprintf("%s is %s, and the dashboard shows %q", v.ID, v.Status, shown))
		}
	}
	return problems
}

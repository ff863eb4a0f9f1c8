package fulfill_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/fulfill"
	"github.com/telemed-go/telemed/payments/razorpay"
	"github.com/telemed-go/telemed/payments/razorpay/razorpaytest"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/durable"
)

// world is one schedule: a gateway, rows, three processes that are killed and started
// again, and everything that happens to some bills.
type world struct {
	begin  time.Time
	r      *rand.Rand // under mu
	srv    *razorpaytest.Server
	rows   *durable.Memory
	claims store.Claims     // nil: a memory of each process's own
	truth  *razorpay.Client // reads the gateway without any process
	bills  []*bill

	// The faults that are planted.
	trusts        bool // the application books by what events say
	callbackBooks bool // the application books in its callback too
	rekeys        bool // each try of a refund has a key of its own
	sweepless     bool // rows wait until somebody says look

	deaf    bool // no event and no browser comes through
	tiers   int  // one payment in so many is followed by a refund of a part
	all     sync.WaitGroup
	ops     int
	kills   []int // the operations at which a process dies
	freezes []int // and at which it stands still
	strikes []strike
	killed  int
	running []*process

	mu       sync.Mutex
	refunds  map[string]time.Time // when the gateway ends those that are pending
	seen     int                  // events that are on their way
	todo     []event
	problems []string
	stuck    map[string]bool
}

// strike is that a process dies or stands still at a call which must not be made twice: the
// next one of that kind, whichever bill it is about. An operation taken at random is seldom
// one of those.
type strike struct {
	call   string // how its path ends
	after  bool   // when it has happened, and before anybody knows
	freeze bool
}

// event is something that happens at a time.
type event struct {
	at time.Time
	do func()
}

// bill is what the application and the patient do about one.
type bill struct {
	key       string
	until     time.Time
	gone      bool
	booked    int // effects, idempotent by Key
	booking   int // calls of Fulfill that are under way
	bookedBy  *process
	written   bool // that it is fulfilled
	cancelled bool
	paidAt    time.Time
	askedBack map[string]int64 // by refund key
	byHand    map[string]bool  // payments of which somebody has given back by hand
}

const (
	simTTL   = 8 * time.Second
	simPrice = 50000
	tooBusy  = 20000 // operations in one schedule; a hundred or two are usual
)

var errKilled = errors.New("killed")

// process is one Fulfiller, and what kills it.
type process struct {
	*world
	bills  *fulfill.Fulfiller
	cancel context.CancelFunc
	client *razorpay.Client
	dead   bool      // under world.mu
	stood  bool      // under world.mu; it has stood still at least once
	thaws  time.Time // under world.mu
}

// step is a moment in which a process may die, or stand still until others have taken over
// what it had. It reports whether it is alive.
func (p *process) step() error {
	p.mu.Lock()
	frozen := time.Until(p.thaws)
	p.mu.Unlock()
	time.Sleep(frozen)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead {
		return errKilled
	}
	if p.ops++; p.ops > tooBusy {
		panic("no end of operations")
	}
	if slices.Contains(p.freezes, p.ops) {
		p.freeze()
	}
	if slices.Contains(p.kills, p.ops) {
		p.die()
		return errKilled
	}
	return nil
}

// freeze has the process stand still until others have taken over what it has. mu is held.
func (p *process) freeze() {
	p.stood = true
	p.thaws = time.Now().Add(5 * simTTL)
}

// struck is what a strike does to the process at a call, before it or after it.
func (p *process) struck(req *http.Request, after bool) error {
	if req.Method != http.MethodPost {
		return nil
	}
	p.mu.Lock()
	i := slices.IndexFunc(p.strikes, func(s strike) bool { return s.after == after && strings.HasSuffix(req.URL.Path, s.call) })
	if i >= 0 && !p.dead {
		if p.strikes[i].freeze {
			p.freeze()
		} else {
			p.die()
		}
		p.strikes = slices.Delete(p.strikes, i, i+1)
	}
	p.mu.Unlock()
	return p.step()
}

// die kills the process. mu is held.
func (p *process) die() {
	p.dead = true
	p.killed++
	p.cancel()
}

func around[T any](p *process, op func() (T, error)) (T, error) {
	var none T
	if err := p.step(); err != nil {
		return none, err
	}
	got, err := op()
	if died := p.step(); died != nil {
		return none, died
	}
	return got, err
}

// RoundTrip implements http.RoundTripper.
func (p *process) RoundTrip(req *http.Request) (*http.Response, error) {
	if key := p.keyOf(req.URL.Path); key != "" && p.status(key).State == fulfill.StateLapsed {
		p.problem("%s lapsed and is captured", key)
	}
	time.Sleep(time.Duration(p.n(300)) * time.Millisecond)
	if err := p.struck(req, false); err != nil {
		return nil, err
	}
	return around(p, func() (*http.Response, error) {
		response, err := p.srv.Client().Transport.RoundTrip(req)
		if died := p.struck(req, true); died != nil {
			return nil, died
		}
		return response, err
	})
}

// keyOf returns the bill of a payment that is to be captured.
func (w *world) keyOf(path string) string {
	id, ok := strings.CutSuffix(strings.TrimPrefix(path, "/v1/payments/"), "/capture")
	if !ok {
		return ""
	}
	p, err := w.truth.Payment(context.Background(), id)
	if err != nil {
		return ""
	}
	o, err := w.truth.Order(context.Background(), p.OrderID)
	if err != nil {
		return ""
	}
	return o.Key
}

// dying is the rows as a process sees them.
type dying struct {
	*durable.Memory
	p *process
}

func (d dying) Get(ctx context.Context, id durable.ID) (durable.Item, error) {
	return around(d.p, func() (durable.Item, error) { return d.Memory.Get(ctx, id) })
}

func (d dying) Put(ctx context.Context, item durable.Item) (string, error) {
	if d.p.sweepless && item.Lease.Owner == "" && item.Due.After(time.Now().Add(10*time.Minute)) {
		item.Due = time.Time{}
	}
	return around(d.p, func() (string, error) {
		revision, err := d.Memory.Put(ctx, item)
		if err == nil && bytes.Contains(item.Data, []byte(`"fulfilled":`)) {
			d.p.mu.Lock()
			defer d.p.mu.Unlock()
			d.p.bill(item.ID.Name).written = true
		}
		return revision, err
	})
}

func (d dying) Lease(ctx context.Context, q durable.Query, after string, lease durable.Lease) (items []durable.Item, next string, err error) {
	d.p.mu.Lock()
	dead := d.p.dead
	d.p.mu.Unlock()
	if dead {
		return nil, "", errKilled
	}
	if items, next, err = d.Memory.Lease(ctx, q, after, lease); err == nil && len(items) > 0 {
		err = d.p.step()
	}
	if err != nil {
		return nil, "", err
	}
	return items, next, nil
}

// rekeying is a gateway whose caller forgets under which key it has asked.
type rekeying struct {
	*razorpay.Client
	w *world
}

// Refund implements payments.PaymentGateway.
func (g rekeying) Refund(ctx context.Context, req payments.RefundRequest) (*payments.Refund, error) {
	if g.w.rekeys {
		req.Key += fmt.Sprint("/", g.w.n(1<<30))
	}
	return g.Client.Refund(ctx, req)
}

func (w *world) newClient(transport http.RoundTripper) *razorpay.Client {
	client, err := razorpay.New(razorpay.Config{
		KeyID: w.srv.KeyID(), KeySecret: w.srv.KeySecret(), BaseURL: w.srv.URL(), Claims: w.claims,
		WebhookSecrets: []telemed.Secret{w.srv.WebhookSecret()}, HTTPClient: &http.Client{Transport: transport},
	})
	if err != nil {
		panic(err)
	}
	return client
}

func (w *world) start() *process {
	ctx, cancel := context.WithCancel(context.Background())
	p := &process{world: w, cancel: cancel}
	p.client = w.newClient(p)
	var err error
	p.bills, err = fulfill.New(fulfill.Config{
		Store: dying{w.rows, p}, Gateway: rekeying{p.client, w}, Fulfill: p.book, Notify: p.told, LeaseTTL: simTTL,
		OnStuck: func(item durable.Item) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.stuck[item.ID.Name] = true
		},
	})
	if err != nil {
		panic(err)
	}
	w.all.Go(func() { _ = p.bills.Run(ctx) })
	return p
}

// any returns a process that lives, and starts those that do not.
func (w *world) any() *process {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, p := range w.running {
		if p == nil || p.dead {
			w.running[i] = w.start()
		}
	}
	return w.running[w.r.IntN(len(w.running))]
}

// stop is the end of all processes, as in a deploy.
func (w *world) stop() {
	w.mu.Lock()
	for i, p := range w.running {
		if p != nil {
			p.cancel()
		}
		w.running[i] = nil
	}
	w.mu.Unlock()
}

func (w *world) problem(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.problems = append(w.problems, fmt.Sprintf(format, args...))
}

func (w *world) bill(key string) *bill {
	for _, b := range w.bills {
		if b.key == key {
			return b
		}
	}
	panic(key)
}

// n is a random number below limit.
func (w *world) n(limit int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.r.IntN(limit)
}

// book is the application's Fulfill. It fails, or dies after its effect, now and then.
func (p *process) book(ctx context.Context, paid fulfill.Paid) error {
	if err := p.step(); err != nil || p.trusts {
		return err
	}
	if ctx.Err() != nil { // it stood still
		return ctx.Err()
	}
	order, err := p.truth.Order(ctx, paid.OrderID)
	if err != nil || !order.IsPaid() {
		p.problem("%s is fulfilled and not paid: %v", paid.Key, err)
	}
	b, dice := p.bill(paid.Key), p.n(8)
	p.enter(b)
	time.Sleep(time.Duration(p.n(500)) * time.Millisecond)
	p.mu.Lock()
	defer p.mu.Unlock()
	b.booking--
	switch {
	case b.written:
		p.problems = append(p.problems, paid.Key+" is fulfilled again")
	case b.gone && b.booked == 0:
		return fmt.Errorf("slot: %w", fulfill.ErrGone)
	case dice == 0:
		return errors.New("database is away")
	}
	b.booked = 1
	if dice == 1 {
		p.die()
		return errKilled
	}
	b.bookedBy = p
	return nil
}

// enter begins a booking. There is one at a time, and after one that went well a further one
// only if that process has died or stood still meanwhile.
func (p *process) enter(b *bill) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if by := b.bookedBy; by != nil && !by.dead && !by.stood {
		p.problems = append(p.problems, b.key+" is fulfilled by two, and nobody was taken for dead")
	}
	if b.booking++; b.booking > 1 {
		p.problems = append(p.problems, b.key+" is fulfilled by two at once")
	}
}

// told is the application's Notify: it checks what it is told, and does what a person
// would.
func (p *process) told(ctx context.Context, n fulfill.Notice) error {
	if err := p.step(); err != nil {
		return err
	}
	if ctx.Err() != nil { // it stood still
		return ctx.Err()
	}
	if p.n(6) == 0 {
		return errors.New("mail server is away")
	}
	switch n.Kind {
	case fulfill.NoticeRefunded:
		made, err := p.truth.RefundByID(ctx, n.RefundID)
		// It may have failed since.
		if err != nil || made.Status != payments.RefundProcessed && made.Status != payments.RefundFailed {
			p.problem("%s: told of a refund that is not processed: %v", n.Key, err)
		}
	case fulfill.NoticeRefundFailed:
		keys := []string{n.Refund}
		if n.Refund == "" { // made by hand: what that was in the way of is tried again
			keys = []string{"orphan:" + n.Payment, "tier"}
		}
		for _, key := range keys {
			p.later(time.Duration(p.n(600))*time.Second, func() { p.world.retry(n.Key, key) })
		}
	case fulfill.NoticeOrphan:
		if n.Ask {
			p.later(time.Minute, func() { p.world.refund(n.Key, "ask-"+n.Payment, &n.Amount) })
		}
	case fulfill.NoticeLapsed:
		if b := p.bill(n.Key); b.booked > 0 {
			p.problem("%s lapsed and is booked", n.Key)
		}
	}
	return nil
}

// refund is the application that wants money back.
func (w *world) refund(key, refundKey string, amount *payments.Money) {
	err := w.any().bills.Refund(context.Background(), key, fulfill.RefundRequest{Key: refundKey, Amount: amount})
	if errors.Is(err, telemed.ErrConflict) || errors.Is(err, telemed.ErrInvalid) {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	wanted := int64(-1) // all that was left
	if amount != nil {
		wanted = amount.Minor
	}
	w.bill(key).askedBack[refundKey] = wanted
	if err != nil { // it may be written down, or not: say it again
		w.todo = append(w.todo, event{time.Now().Add(time.Minute), func() { w.refund(key, refundKey, amount) }})
	}
}

// retry is a person who was told that a refund has failed.
func (w *world) retry(key, refundKey string) {
	err := w.any().bills.RetryRefund(context.Background(), key, refundKey)
	if err != nil && !errors.Is(err, telemed.ErrConflict) {
		w.later(time.Minute, func() { w.retry(key, refundKey) })
	}
}

// later has something happen after a while.
func (w *world) later(d time.Duration, do func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.todo = append(w.todo, event{time.Now().Add(d), do})
}

func (w *world) status(key string) fulfill.Status {
	f, err := fulfill.New(fulfill.Config{Store: w.rows, Gateway: w.truth, Fulfill: func(context.Context, fulfill.Paid) error { return nil }})
	if err != nil {
		panic(err)
	}
	s, err := f.Get(context.Background(), key)
	if err != nil && !errors.Is(err, telemed.ErrNotFound) {
		panic(err)
	}
	return s
}

// premade makes an order under the bill's key as other code does: with manual capture, or to
// be paid in parts.
func (w *world) premade(key string, partial bool) string { return w.order(key, simPrice, partial) }

func (w *world) order(key string, amount int, partial bool) string {
	body, _ := json.Marshal(map[string]any{
		"amount": amount, "currency": "INR", "receipt": key, "partial_payment": partial, "payment": map[string]any{"capture": "manual"},
	})
	req, _ := http.NewRequest(http.MethodPost, w.srv.URL()+"/v1/orders", strings.NewReader(string(body)))
	req.SetBasicAuth(w.srv.KeyID(), w.srv.KeySecret().Reveal())
	req.Header.Set("Content-Type", "application/json")
	res, err := w.srv.Client().Do(req)
	if err != nil {
		return ""
	}
	defer res.Body.Close()
	var o struct{ ID string }
	_ = json.NewDecoder(res.Body).Decode(&o)
	return o.ID
}

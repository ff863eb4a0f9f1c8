package fulfill

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/wait"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/store/durable"
)

// Gateway is all of a gateway that a bill may need, from the page on which it is paid to
// its refunds: what cannot be asked for cannot be relied on. A *razorpay.Client is one, a
// *paymentstest.Gateway another. A wrapper embeds it, and so has all of it too.
type Gateway interface {
	payments.PaymentGateway
	payments.OrderFinder
	payments.RefundFinder
	payments.CheckoutProvider
	payments.CallbackParser
	payments.WebhookParser
}

// Config configures a Fulfiller.
type Config struct {
	// Kind is the durable.ID's Kind of the rows. Two Fulfillers over one Store that do not do
	// the same have two, and no Key in common: one of the application beside that of a
	// visit.Visits, say. Event of each takes what is about both. If empty, RowKind.
	Kind string
	// Store keeps the bills' rows. Required.
	Store durable.Store
	// Gateway takes the money. Required, or Tenants.
	Gateway Gateway
	// Tenants returns the gateway of a Bill's Tenant, for clinics with accounts of their own.
	// If nil, all bills are paid over Gateway. It must not be slow. An error is tried again
	// later.
	Tenants func(ctx context.Context, tenant string) (Gateway, error)
	// Fulfill gives what was paid for. It is called until it returns nil, at least once and
	// with the same Key, also after a crash in the middle, so it is idempotent by Key; once
	// nil is written down it is never called again for the bill. ErrGone says that it cannot
	// be had any more. Any other error is tried again later. ctx ends after half of LeaseTTL,
	// and so does the call. Required.
	Fulfill func(ctx context.Context, paid Paid) error
	// Notify is told what the application is to know; see [Notice]. Each notice is told until
	// it returns nil, at least once, one after the other. If nil, nobody is told.
	Notify func(ctx context.Context, n Notice) error

	// LeaveAuthorized leaves authorized payments to somebody else. Otherwise they are
	// captured, if they would pay a bill that is to be fulfilled.
	LeaveAuthorized bool
	// AskAboutOrphans leaves money that buys nothing where it is, until somebody calls
	// Refund. Otherwise it is given back, unless Notice.Ask says why not.
	AskAboutOrphans bool
	// RefundSpeed is how fast money goes back that is wanted back from now on. Zero: normal.
	RefundSpeed payments.RefundSpeed
	// Keep is how long a bill's row is kept once nothing is to be done about it any more. If
	// 0, 400 days: Indian rules want a year at least.
	Keep time.Duration

	// OnStuck is called when something about a bill has failed twelve times in a row, which
	// goes on being tried, and when its row is stuck: a person must look. It must not block.
	// May be nil.
	OnStuck func(item durable.Item)
	// Runner works the rows, among others of the same Store, and its Run is called instead of
	// this package's. If nil, there is one of its own.
	Runner *durable.Runner
	// Workers, LeaseTTL, Observe and Logger are those of durable.RunnerConfig, for a Runner of
	// its own. The gateway has half of LeaseTTL for all calls of one look.
	Workers  int
	LeaseTTL time.Duration
	Observe  func(durable.Event)
	Logger   *slog.Logger
}

// Paid is a bill that is paid.
type Paid struct {
	// Key and Tenant are the bill's, Amount is what it was opened with.
	Key, Tenant string
	Amount      payments.Money
	// OrderID and PaymentIDs are the gateway's: the order that pays it, and the payments of
	// that.
	OrderID    string
	PaymentIDs []string
}

// Fulfiller has bills fulfilled once they are paid. It is safe for concurrent use; any
// number of processes may have one over the same rows.
type Fulfiller struct {
	Writer
	cfg    Config
	policy policy
	runner *durable.Runner
}

// New returns a Fulfiller, or an error that names everything that is wrong with cfg.
func New(cfg Config) (*Fulfiller, error) {
	cfg.Keep, cfg.Kind = cmp.Or(cfg.Keep, 400*24*time.Hour), cmp.Or(cfg.Kind, RowKind)
	var p fault.Problems
	p.NotNil("Store", cfg.Store)
	p.Check(cfg.Gateway != nil || cfg.Tenants != nil, "Gateway", "is required")
	p.Optional("Gateway", cfg.Gateway)
	p.Check(durable.CheckID(durable.ID{Kind: cfg.Kind, Name: "x"}) == nil, "Kind", "is not 1 to 64 characters of a-z, 0-9, _ and -")
	p.Check(cfg.Fulfill != nil, "Fulfill", "is required")
	p.Check(cfg.RefundSpeed == payments.RefundNormal || cfg.RefundSpeed == payments.RefundFast, "RefundSpeed", "is not a refund speed")
	p.Check(cfg.Keep >= 0, "Keep", "is negative")
	if err := p.Err("fulfill"); err != nil {
		return nil, err
	}
	f := &Fulfiller{cfg: cfg}
	f.policy = policy{capture: !cfg.LeaveAuthorized, giveBack: !cfg.AskAboutOrphans, notify: cfg.Notify != nil}
	runner, err := f.newRunner()
	if err != nil {
		return nil, err
	}
	f.runner, f.Writer = runner, Writer{cfg.Store, cfg.Kind, runner.Wake, cfg.Keep, cfg.RefundSpeed}
	return f, nil
}

func (f *Fulfiller) newRunner() (*durable.Runner, error) {
	kind := durable.Kind{Version: version, Plan: f.plan}
	if f.cfg.Runner != nil {
		return f.cfg.Runner, f.cfg.Runner.Add(f.cfg.Kind, kind)
	}
	return durable.NewRunner(durable.RunnerConfig{
		Store: f.cfg.Store, Kinds: map[string]durable.Kind{f.cfg.Kind: kind},
		Workers: f.cfg.Workers, LeaseTTL: f.cfg.LeaseTTL, OnStuck: f.cfg.OnStuck, Observe: f.cfg.Observe, Logger: f.cfg.Logger,
	})
}

// Run does what is to be done about bills until ctx ends, and then finishes what is under
// way; see durable.Runner.Run.
func (f *Fulfiller) Run(ctx context.Context) error { return f.runner.Run(ctx) }

// Runner returns what works the bills: for its Retry, and for an engine that calls its
// Step.
func (f *Fulfiller) Runner() *durable.Runner { return f.runner }

// WithStore returns a Writer over st, such as the rows in the application's own
// transaction.
func (f *Fulfiller) WithStore(st durable.Store) *Writer {
	return &Writer{st, f.kind, f.wake, f.keep, f.speed}
}

// Checkout returns the order that the patient is to pay now, and makes it if there is
// none. Call it for each view of the payment page. The order may be paid already. A bill
// that is fulfilled, cancelled, gone or lapsed is telemed.ErrConflict. Other errors are
// those of payments.PaymentGateway.CreateOrder.
func (f *Fulfiller) Checkout(ctx context.Context, key string) (*payments.Order, error) {
	var req payments.OrderRequest
	var tenant string
	// It is written first: whatever dies now, the sweeps find the order by its key.
	err := f.updateItem(ctx, key, func(item *durable.Item, rec *record) error {
		tenant = item.Tenant
		now := time.Now().UTC()
		if rec.dead() || !rec.Fulfilled.IsZero() || rec.lapses() && !rec.Until.After(now) {
			return fmt.Errorf("fulfill: Checkout: the bill is not to be paid any more: %w", telemed.ErrConflict)
		}
		rec.begin(now)
		req = payments.OrderRequest{Amount: rec.Amount, Key: key, Notes: rec.Notes, Capture: f.captureMode()}
		return nil
	})
	if err != nil {
		return nil, err
	}
	gateway, err := f.gateway(ctx, tenant)
	if err != nil {
		return nil, fmt.Errorf("fulfill: Checkout: %w", err)
	}
	order, err := gateway.CreateOrder(ctx, req)
	if err != nil {
		return nil, fmt.Errorf("fulfill: Checkout: %w", err)
	}
	err = f.update(ctx, key, func(rec *record) error {
		rec.addOrder(orderKnown{ID: order.ID, Amount: order.Amount, Paid: order.IsPaid()})
		if order.IsPaid() {
			rec.Asked++
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return order, nil
}

// begin has the sweeps count from now. One that is late is made now, and the first one is
// never put off by further looks at the payment page.
func (r *record) begin(now time.Time) {
	next := r.nextSweep()
	if late := !next.IsZero() && !next.After(now); late {
		r.Asked++
	} else if !next.IsZero() && r.Sweeps == 0 {
		return
	}
	r.Begun, r.Sweeps = now, 0
}

// captureMode has the gateway take the money at once, so that what becomes of a payment
// does not hang on the account's settings.
func (f *Fulfiller) captureMode() payments.CaptureMode {
	if f.cfg.LeaveAuthorized {
		return payments.CaptureDefault
	}
	return payments.CaptureAutomatic
}

// Look says that something may have happened to a bill. It returns when that is written
// down.
func (f *Fulfiller) Look(ctx context.Context, key string) error {
	return f.update(ctx, key, func(rec *record) error { rec.Asked++; return nil })
}

// Settle is Look for somebody who waits: the payment page's callback. It returns when the
// gateway was asked and what follows from it was done, or that failed, or when ctx ends;
// then what is to be done is done later, and the status says how far it is. After ctx has
// ended it begins nothing more, but what is under way it finishes: half of LeaseTTL at most.
func (f *Fulfiller) Settle(ctx context.Context, key string) (Status, error) {
	if err := f.Look(ctx, key); err != nil {
		return Status{}, err
	}
	for n := 0; ; n++ {
		next, err := f.runner.Step(ctx, f.rowID(key))
		if !errors.Is(err, telemed.ErrConflict) && (err != nil || next.IsZero() || next.After(time.Now())) {
			break
		}
		if wait.For(ctx, wait.Jitter(min(20*time.Millisecond<<min(n, 6), time.Second))) != nil {
			break
		}
	}
	return f.Get(context.WithoutCancel(ctx), key)
}

// gateway returns where a tenant's bills are paid.
func (f *Fulfiller) gateway(ctx context.Context, tenant string) (Gateway, error) {
	if f.cfg.Tenants == nil {
		return f.cfg.Gateway, nil
	}
	gateway, err := f.cfg.Tenants(ctx, tenant)
	if err != nil {
		return nil, fault.OfApplication("Tenants", err)
	}
	if gateway == nil {
		return nil, fmt.Errorf("no gateway of Tenants: %w", telemed.ErrUnavailable)
	}
	return gateway, nil
}

// Event says look for what a webhook tells. It is the Handle of a payments.WebhookConfig.
// What is about no bill of ours is nil.
func (f *Fulfiller) Event(ctx context.Context, e payments.Event) error {
	return f.TenantEvent(ctx, "", e)
}

// TenantEvent is Event for the webhook of one tenant of Config.Tenants.
func (f *Fulfiller) TenantEvent(ctx context.Context, tenant string, e payments.Event) error {
	gateway, err := f.gateway(ctx, tenant)
	if err != nil {
		return fmt.Errorf("fulfill: %w", err)
	}
	key, err := keyOf(ctx, gateway, e)
	if err != nil || key == "" || durable.CheckID(f.rowID(key)) != nil { // none, or another shop's
		return err
	}
	err = f.Look(ctx, key)
	if errors.Is(err, telemed.ErrNotFound) {
		return nil
	}
	return err
}

// keyOf returns the key of the order that an event is about, empty if it is about none. What
// could not be read of the event is read from the gateway.
func keyOf(ctx context.Context, gateway Gateway, e payments.Event) (string, error) {
	var orderID string
	switch {
	case e.Order != nil && e.Order.Key != "":
		return e.Order.Key, nil
	case e.Order != nil && e.Order.ID != "":
		orderID = e.Order.ID
	case e.Payment != nil && e.Payment.OrderID != "":
		orderID = e.Payment.OrderID
	default:
		payment, err := paymentOf(ctx, gateway, e)
		if err != nil || payment == nil {
			return "", notOurs(err)
		}
		orderID = payment.OrderID
	}
	if orderID == "" { // it was paid without an order
		return "", nil
	}
	order, err := gateway.Order(ctx, orderID)
	if err != nil {
		return "", notOurs(err)
	}
	return order.Key, nil
}

// paymentOf reads the payment that an event is about, nil if it is about none.
func paymentOf(ctx context.Context, gateway Gateway, e payments.Event) (*payments.Payment, error) {
	switch {
	case e.Payment != nil && e.Payment.ID != "":
		return gateway.Payment(ctx, e.Payment.ID)
	case e.Refund != nil && e.Refund.PaymentID != "":
		return gateway.Payment(ctx, e.Refund.PaymentID)
	}
	return nil, nil
}

func notOurs(err error) error {
	if err == nil || errors.Is(err, telemed.ErrNotFound) || errors.Is(err, telemed.ErrInvalid) {
		return nil
	}
	return fmt.Errorf("fulfill: %w", err)
}

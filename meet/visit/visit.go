package visit

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/outbox"
	"github.com/telemed-go/telemed/notify/template"
	"github.com/telemed-go/telemed/payments/fulfill"
	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/store/durable"
)

// Config configures Visits. What is nil is not there: a free clinic has no Gateway, a
// walk-in clinic no Meetings, another one no WhatsApp.
type Config struct {
	// Store keeps the rows of visits, bills, messages and doctors' days. Required.
	Store durable.Store
	// Clinic is the clinic's name as patients know it, Zone the IANA name of its zone,
	// "Asia/Kolkata". Required.
	Clinic, Zone string

	// Meetings makes meetings, by the names that Request.Provider has.
	Meetings map[string]meet.MeetingProvider
	// Gateway takes money.
	Gateway fulfill.Gateway
	// Mail and WhatsApp tell patients and doctors. Words are made here, so that the clients
	// need no Renderer of their own.
	Mail, WhatsApp notify.Notifier
	// Live shows visits to the rooms "clinic-" + Tenant.
	Live realtime.Broadcaster
	// ReturnURL is the application's page for patients, https or http on loopback. Required
	// with Gateway: the payment ends there.
	ReturnURL string
	// Tenants returns what another clinic has, for an application that serves several; see
	// Providers. It is asked inside transactions, so it asks neither the network nor the
	// database. An error that matches telemed.ErrNotFound is that there is no such clinic.
	// If nil, all tenants have what Config has.
	Tenants func(ctx context.Context, tenant string) (Providers, error)

	// Evidence is asked whether a message went out whose answer was lost, by channel. Where
	// the channel reports by itself, pass its reports to Visits.Report.
	Evidence map[notify.Channel]notify.Evidence
	// EvidenceWait is how long a message's outcome is unknown before Evidence is asked, or a
	// report is waited for; see outbox.Config. At least twice Grace. If 0, two minutes, or twice
	// Grace if that is longer.
	EvidenceWait time.Duration
	// Spacing is the least time between two messages of a visit: WhatsApp takes one in 6
	// seconds for one person. If 0, 6 seconds.
	Spacing time.Duration
	// AccountsURL is the application's page on which doctors connect their accounts, for the
	// mail that asks them to do it again. Required with Meetings and Mail.
	AccountsURL string
	// Renderer makes the words. It knows the built-in templates of notify/template. If nil,
	// that package does it, for Clinic and Zone.
	Renderer notify.Renderer
	// Brand is how messages look, and what they say of the clinic. Not for a Renderer of the
	// application's own.
	Brand template.Brand
	// Preset is the rule that messages must keep. With template.India2020, Brand.Registration
	// is required, and a request needs its Doctor's Registration and Council.
	Preset template.Preset
	// AllowUnreviewed sends the built-in texts of languages that nobody has reviewed; see
	// template.Config. Not for a Renderer of the application's own.
	AllowUnreviewed bool
	// Reminders is how long before the start the patient is reminded. If nil, a day and an
	// hour before; empty: not at all.
	Reminders []time.Duration
	// Quiet is when reminders wait, by the patient's clock. If zero, from 21:00 until 08:00.
	Quiet outbox.Quiet
	// Refunds are the clinic's terms for a patient who cancels. If nil, all goes back until
	// the start, then nothing.
	Refunds []fulfill.Tier
	// AllowOverlap lets a doctor have several visits at a time.
	AllowOverlap bool

	// ReserveUnpaid is how long hours are reserved for who has not paid. If 0, 15 minutes.
	ReserveUnpaid time.Duration
	// Keep is how long rows are kept after the visit. If 0, 400 days: Indian rules want a
	// year at least.
	Keep time.Duration
	// Grace is how long Run finishes what is under way after its ctx ends. If 0, 15 seconds.
	Grace time.Duration

	// OnChange is called after each change of a visit, at least once for the last one, for
	// the application's own columns. It is idempotent. An error has it called again later.
	OnChange func(ctx context.Context, visit *Visit) error
	// OnStuck is called when a person must look. It must not block. If nil, it is logged as
	// an error.
	OnStuck func(Stuck)
	// Observe is that of durable.RunnerConfig, for all rows. May be nil.
	Observe func(durable.Event)
	// Logger gets what goes wrong without anybody being told by an error. If nil, nothing is
	// logged.
	Logger *slog.Logger
}

// Providers is what one clinic of several has, like the fields of Config. Nothing is taken
// from Config's own: a clinic without a Gateway takes no money, and never another one's.
type Providers struct {
	Clinic, Zone   string
	Meetings       map[string]meet.MeetingProvider
	Gateway        fulfill.Gateway
	Mail, WhatsApp notify.Notifier
	Renderer       notify.Renderer

	Brand           template.Brand
	Preset          template.Preset
	AllowUnreviewed bool
}

// Stuck is something that a person must look at.
type Stuck struct {
	// ID is the visit's; empty if it is about something else.
	ID, Tenant string
	// Why says what has failed, without a person in it.
	Why string
}

// Visits has visits take place: from the booking over the payment, the meeting, the messages
// and the dashboard to a move, a cancel and the money back. It is safe for concurrent use;
// any number of processes may have one over the same rows.
type Visits struct {
	cfg     Config
	own     *clinic
	bills   *fulfill.Fulfiller // nil without a gateway
	queue   *outbox.Outbox
	runner  *durable.Runner
	clinics clinics
	runs    atomic.Bool
}

// New returns Visits, or an error that names everything that is wrong with cfg. It asks
// nobody.
func New(cfg Config) (*Visits, error) {
	cfg = cfg.withDefaults()
	v := &Visits{cfg: cfg}
	own, wrong := newClinic(Providers{
		cfg.Clinic, cfg.Zone, cfg.Meetings, cfg.Gateway, cfg.Mail, cfg.WhatsApp, cfg.Renderer, cfg.Brand, cfg.Preset, cfg.AllowUnreviewed,
	})
	if err := errors.Join(cfg.validate(), wrong); err != nil {
		return nil, err
	}
	v.own = own
	if err := cmp.Or(v.newRunner(), v.newBills(), v.newQueue()); err != nil {
		return nil, err
	}
	return v, nil
}

func (c Config) withDefaults() Config {
	c.ReserveUnpaid = cmp.Or(c.ReserveUnpaid, 15*time.Minute)
	c.Keep = cmp.Or(c.Keep, 400*aDay)
	c.Grace = cmp.Or(c.Grace, 15*time.Second)
	c.EvidenceWait = cmp.Or(c.EvidenceWait, max(2*time.Minute, 2*c.Grace))
	if c.Reminders == nil {
		c.Reminders = []time.Duration{aDay, time.Hour}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func (c Config) validate() error {
	var p fault.Problems
	p.NotNil("Store", c.Store)
	p.Optional("Live", c.Live)
	for channel, evidence := range c.Evidence {
		p.NotNil("Evidence["+string(channel)+"]", evidence)
	}
	p.Check(c.Gateway == nil && c.Tenants == nil || c.ReturnURL != "", "ReturnURL", "is required with Gateway")
	if c.ReturnURL != "" {
		p.Check(isPage(c.ReturnURL), "ReturnURL", "is no https address, nor an http one on loopback")
	}
	if len(c.Meetings) > 0 && c.Mail != nil || c.AccountsURL != "" {
		p.Check(isPage(c.AccountsURL), "AccountsURL", "is no https address, nor an http one on loopback")
	}
	for _, before := range c.Reminders {
		p.Check(before > 0 && before <= 30*aDay, "Reminders", "has one that is not between 0 and 30 days")
	}
	for _, tier := range c.Refunds {
		p.Check(tier.Percent >= 0 && tier.Percent <= 100 && tier.Before >= 0, "Refunds", "has a tier that is not 0 to 100 percent before the start")
	}
	p.Check(c.ReserveUnpaid >= time.Minute && c.ReserveUnpaid <= 7*aDay, "ReserveUnpaid", "is not between a minute and a week")
	p.Check(c.Keep > 0, "Keep", "is negative")
	p.Check(c.Grace >= time.Second && c.Grace <= time.Hour, "Grace", "is not between a second and an hour")
	p.Check(c.Spacing >= 0, "Spacing", "is negative")
	p.Check(c.EvidenceWait >= 2*c.Grace, "EvidenceWait", "is less than twice Grace")
	return p.Err("visit")
}

// newBills makes what takes the money.
func (v *Visits) newBills() (err error) {
	if v.cfg.Gateway == nil && v.cfg.Tenants == nil {
		return nil
	}
	v.bills, err = fulfill.New(fulfill.Config{
		Store: v.cfg.Store, Kind: BillKind, Runner: v.runner, Gateway: v.cfg.Gateway, Tenants: v.gateways(), Fulfill: v.billPaid, Notify: v.billTold,
		OnStuck: v.stuck, Keep: v.cfg.Keep, Logger: v.cfg.Logger,
	})
	return err
}

// newQueue makes what sends messages.
func (v *Visits) newQueue() (err error) {
	v.queue, err = outbox.New(outbox.Config{
		Store: v.cfg.Store, Kind: MessagesKind, Runner: v.runner, Tenants: v.channels, Compose: v.compose, Evidence: v.cfg.Evidence,
		Quiet: v.cfg.Quiet, OnStuck: v.stuck,
		Keep: v.cfg.Keep, LeaseTTL: 2 * v.cfg.Grace, EvidenceWait: v.cfg.EvidenceWait, Spacing: v.cfg.Spacing, Logger: v.cfg.Logger,
	})
	return err
}

func (v *Visits) newRunner() (err error) {
	v.runner, err = durable.NewRunner(durable.RunnerConfig{
		Store: v.cfg.Store, Kinds: map[string]durable.Kind{RowKind: {Version: version, Plan: v.plan}}, OnStuck: v.stuck,
		Workers: workers, LeaseTTL: 2 * v.cfg.Grace, Observe: v.cfg.Observe, Logger: v.cfg.Logger,
	})
	return err
}

// workers is how many rows are worked at once: a provider that is slow keeps the others
// waiting only when all of them wait for it.
const workers = 24

// stuck tells that a person must look at a row.
func (v *Visits) stuck(item durable.Item) {
	v.tellStuck(visitOf(item.ID), item.Tenant, item.ID.Kind+": "+item.Stuck)
}

func (v *Visits) tellStuck(id, tenant, why string) {
	if v.cfg.OnStuck != nil {
		v.cfg.OnStuck(Stuck{id, tenant, why})
		return
	}
	v.cfg.Logger.Error("visit: a person must look", slog.String("id", id), slog.String("tenant", tenant), slog.String("why", why))
}

// errRuns is that Run was called twice.
var errRuns = errors.New("visit: Run runs already")

// Run has everything done until ctx ends, and then finishes what is under way and writes it
// down, for Config.Grace at most. It blocks; main waits for it, before it shuts anything
// else down. A Store that is away is logged and asked again. It returns nil, or an error at
// once if these Visits run already.
func (v *Visits) Run(ctx context.Context) error {
	if v.runs.Swap(true) {
		return errRuns
	}
	defer v.runs.Store(false)
	return v.runner.Run(ctx)
}

func isPage(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Host != "" && u.User == nil && u.Fragment == "" && isEncrypted(u)
}

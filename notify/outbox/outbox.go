package outbox

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/store/durable"
)

// Config configures an Outbox.
type Config struct {
	// Store keeps the rows. It seals what a person is in, as sqlstore and mongostore do.
	// Required.
	Store durable.Store
	// Kind is the durable.ID's Kind of the rows. Two Outboxes over one Store that do not send
	// the same messages have two, and no Group in common: one of the application beside that
	// of a visit.Visits, say. Report of each takes what is about both. If empty, RowKind.
	Kind string
	// Channels deliver, each with one attempt: no notify.Retry, no notify.Fallback. At least
	// one.
	Channels map[notify.Channel]notify.Notifier
	// Tenants returns the channels of a tenant, in an application whose clinics have senders
	// of their own. It is called before each send. If nil, all have Channels.
	Tenants func(ctx context.Context, tenant string) (map[notify.Channel]notify.Notifier, error)
	// Compose says what a message says when it is sent, so that it is true then, and to whom.
	// It returns ErrUntrue if there is nothing to say any more; after another error it is
	// called again later. Key is set by the Outbox. If nil, a message is sent with its own To,
	// Template, Data and Content.
	Compose func(ctx context.Context, m Message) (notify.Message, error)
	// Evidence is asked what became of a message whose outcome is unknown, by channel. A
	// channel whose provider reports by itself needs none: give what it says to Report.
	Evidence map[notify.Channel]notify.Evidence
	// EvidenceWait is how long an outcome is unknown before Evidence is asked, and asked
	// again; on a channel without Evidence, how long a report is waited for. Later than that,
	// a message that did arrive is sent twice. At least LeaseTTL; if 0, two minutes.
	EvidenceWait time.Duration
	// Spacing is the least time between two sends of a group: WhatsApp takes one message in 6
	// seconds for one person. If 0, 6 seconds.
	Spacing time.Duration
	// Quiet is when reminders wait. The zero value is from 21:00 until 08:00.
	Quiet Quiet
	// Keep is how long a group's row is kept once nothing is to be done about it any more. If
	// 0, 400 days: Indian rules want a year at least.
	Keep time.Duration

	// OnStuck is called, at least once, when a person must look; item.Stuck says why. Its row
	// is a group's: a message is expired, was taken by no channel, has an outcome that stays
	// unknown, has failed twelve times in a row, or the row itself is stuck. Or it is a
	// channel's of one tenant, of the Kind [PauseKind]: its credentials are refused, or it has
	// not permitted a message, which is told once a day. It must not block. May be nil.
	OnStuck func(item durable.Item)
	// Runner works the rows, among others of the same Store, and its Run is called instead of
	// this package's. Its LeaseTTL is the LeaseTTL here. If nil, there is one of its own.
	Runner *durable.Runner
	// Workers, LeaseTTL, Observe and Logger are those of durable.RunnerConfig, for a Runner of
	// its own. A send has half of LeaseTTL.
	Workers  int
	LeaseTTL time.Duration
	Observe  func(durable.Event)
	Logger   *slog.Logger
}

// Outbox has messages sent. It is safe for concurrent use; any number of processes may have
// one over the same rows.
type Outbox struct {
	Writer
	cfg    Config
	policy policy
	runner *durable.Runner
	pepper atomic.Pointer[[]byte]
}

// New returns an Outbox, or an error that names everything that is wrong with cfg.
func New(cfg Config) (*Outbox, error) {
	cfg.EvidenceWait = cmp.Or(cfg.EvidenceWait, 2*time.Minute)
	cfg.Spacing = cmp.Or(cfg.Spacing, 6*time.Second)
	cfg.Keep = cmp.Or(cfg.Keep, 400*24*time.Hour)
	cfg.LeaseTTL = cmp.Or(cfg.LeaseTTL, time.Minute)
	cfg.Kind = cmp.Or(cfg.Kind, RowKind)
	cfg.Quiet = cfg.Quiet.withDefaults()
	cfg.Channels, cfg.Evidence = maps.Clone(cfg.Channels), maps.Clone(cfg.Evidence)
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	o := &Outbox{cfg: cfg, policy: policy{quiet: cfg.Quiet, spacing: cfg.Spacing, wait: cfg.EvidenceWait, evidence: cfg.Evidence}}
	runner, err := o.newRunner()
	if err != nil {
		return nil, err
	}
	o.runner = runner
	o.Writer = Writer{store: cfg.Store, kind: cfg.Kind, wake: runner.Wake, keep: cfg.Keep, composes: cfg.Compose != nil}
	if cfg.Tenants == nil {
		o.known = slices.Collect(maps.Keys(cfg.Channels))
	}
	return o, nil
}

func (o *Outbox) newRunner() (*durable.Runner, error) {
	kinds := map[string]durable.Kind{
		o.cfg.Kind: {Version: form.Version, Plan: o.plan},
		PauseKind:  {Version: pauseForm.Version, Plan: o.planPause},
	}
	if shared := o.cfg.Runner; shared != nil {
		return shared, errors.Join(shared.Add(o.cfg.Kind, kinds[o.cfg.Kind]), shared.Add(PauseKind, kinds[PauseKind]))
	}
	cfg := o.cfg
	return durable.NewRunner(durable.RunnerConfig{
		Store: cfg.Store, Kinds: kinds,
		Workers: cfg.Workers, LeaseTTL: cfg.LeaseTTL, OnStuck: cfg.OnStuck, Observe: cfg.Observe, Logger: cfg.Logger,
	})
}

var channelPattern = regexp.MustCompile(`^[a-z0-9_-]{1,32}$`)

func (c Config) validate() error {
	var p fault.Problems
	p.NotNil("Store", c.Store)
	p.Check(durable.CheckID(durable.ID{Kind: c.Kind, Name: "x"}) == nil, "Kind", "is not 1 to 64 characters of a-z, 0-9, _ and -")
	p.Check(!slices.Contains([]string{PauseKind, refKind, optOutKind, pepperKind}, c.Kind), "Kind", "is of other rows of this package")
	p.Check(len(c.Channels) > 0 || c.Tenants != nil, "Channels", "are required")
	for _, channel := range slices.Sorted(maps.Keys(c.Channels)) {
		p.Check(channelPattern.MatchString(string(channel)), "Channels", "has a name that is not 1 to 32 characters of a-z, 0-9, _ and -")
		p.NotNil("Channels["+word(channel)+"]", c.Channels[channel])
	}
	for _, channel := range slices.Sorted(maps.Keys(c.Evidence)) {
		p.NotNil("Evidence["+word(channel)+"]", c.Evidence[channel])
		p.Check(c.Tenants != nil || c.Channels[channel] != nil, "Evidence["+word(channel)+"]", "is of none of Channels")
	}
	p.Check(c.LeaseTTL > 0, "LeaseTTL", "is negative")
	p.Check(c.EvidenceWait >= c.LeaseTTL, "EvidenceWait", "is less than LeaseTTL: a send may still be under way")
	p.Check(c.Spacing >= 0, "Spacing", "is negative")
	p.Check(c.Quiet.valid(), "Quiet", "has a time of day that is not in whole minutes from 0 to 24 hours")
	p.Check(c.Keep >= 0, "Keep", "is negative")
	return p.Err("outbox")
}

// word is a channel's name if it looks like one.
func word(channel notify.Channel) string { return strings.TrimSpace(fault.Word(string(channel))) }

// Run has messages sent until ctx ends, and then finishes what is under way; see
// durable.Runner.Run.
func (o *Outbox) Run(ctx context.Context) error { return o.runner.Run(ctx) }

// Runner returns what works the rows: for its Retry, and for an engine that calls its Step.
func (o *Outbox) Runner() *durable.Runner { return o.runner }

// WithStore returns a Writer over st, such as the rows in the application's own transaction.
func (o *Outbox) WithStore(st durable.Store) *Writer {
	w := o.Writer
	w.store = st
	return &w
}

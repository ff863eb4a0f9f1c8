package durable

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/wait"
)

// RunnerConfig configures a Runner.
type RunnerConfig struct {
	// Store keeps the rows. Required.
	Store Store
	// Kinds are those that this process takes care of, by name. Required.
	Kinds map[string]Kind
	// Workers is how many rows are worked at once. If 0, 8.
	Workers int
	// LeaseTTL is how long a row must have stood still before another process takes it
	// over. An effect has half of it. At least a second; if 0, 60 seconds.
	LeaseTTL time.Duration
	// PollEvery is how long an idle Runner waits before it looks again, ± 20 percent; see
	// Wake. If 0, one second.
	PollEvery time.Duration
	// MaxAttempts is how often an effect may fail, or end its process, before its row is
	// stuck. If 0, 12, which takes about three hours. With 1, whatever is under way in a
	// process that dies is stuck.
	MaxAttempts int
	// OnStuck is called when a row was written down as stuck: a person must look. It must
	// not block, nor call Step for this row: it is in this worker's hands until OnStuck has
	// returned. May be nil.
	OnStuck func(item Item)
	// Observe is called after each effect. It must not block, nor call Step for this row.
	// May be nil.
	Observe func(Event)
	// Logger gets what goes wrong without anybody being told by an error. If nil, nothing
	// is logged.
	Logger *slog.Logger
}

// Event is one effect, and what came of it.
type Event struct {
	ID     ID
	Tenant string
	// Effect is its name. It is "effect" if it has none, and if nobody knows it since the
	// process ended while it ran: whoever takes the row over observes that.
	Effect string
	// Err is why it failed, nil if it did not.
	Err error
	// Took is how long it took.
	Took time.Duration
	// Attempts is how often it has failed by now, Stuck whether that was once too often.
	Attempts int
	Stuck    bool
}

func (c RunnerConfig) withDefaults() RunnerConfig {
	c.Workers = cmp.Or(c.Workers, 8)
	c.LeaseTTL = cmp.Or(c.LeaseTTL, time.Minute)
	c.PollEvery = cmp.Or(c.PollEvery, time.Second)
	c.MaxAttempts = cmp.Or(c.MaxAttempts, 12)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func (c RunnerConfig) validate() error {
	var p fault.Problems
	p.NotNil("Store", c.Store)
	p.Check(len(c.Kinds) > 0, "Kinds", "are required")
	for name, kind := range c.Kinds {
		p.Check(validKind(name), "Kinds", "has a name that is not 1 to 64 characters of a-z, 0-9, _ and -")
		p.Check(kind.Plan != nil, "Kinds["+name+"].Plan", "is required")
		p.Check(kind.Version >= 0, "Kinds["+name+"].Version", "is negative")
	}
	p.Check(c.Workers >= 1 && c.Workers <= MaxLimit, "Workers", "is not between 1 and %d", MaxLimit)
	p.Check(c.LeaseTTL >= time.Second && c.LeaseTTL <= MaxTTL, "LeaseTTL", "is not between a second and a day")
	p.Check(c.LeaseTTL%time.Millisecond == 0, "LeaseTTL", "is not in whole milliseconds")
	p.Check(c.PollEvery > 0, "PollEvery", "is negative")
	p.Check(c.MaxAttempts > 0, "MaxAttempts", "is negative")
	return p.Err("durable: runner")
}

// Runner has the rows of a Store worked. It is safe for concurrent use.
//
// An effect that fails is tried again after 30 seconds, doubled with each attempt up to
// half an hour, ± 20 percent. An error that has RetryDelay() time.Duration, a provider's
// "not now", says itself how long; that, and an error that matches telemed.ErrUnauthorized
// or telemed.ErrReconnect, is nobody's failure and counts as no attempt. A panic counts as
// four. The end of the process counts as one: the first in a row is tried again as soon as
// the lease is dead, a further one after the pause of a failure. After MaxAttempts the row
// is stuck, until somebody calls Retry, or changes it and sets Due. So is at once a row that
// a Fact has made too long to be written down.
type Runner struct {
	cfg      RunnerConfig
	versions map[string]int
	free     chan struct{} // a place for each worker that has nothing to do
	wake     chan struct{}

	// passOver is set while a Store that cannot lease by itself has rows that do not open.
	passOver atomic.Bool

	mu   sync.Mutex
	mine map[ID]*turn // rows in this process's hands
}

// NewRunner returns a Runner, or an error that names everything that is wrong with cfg.
func NewRunner(cfg RunnerConfig) (*Runner, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	r := &Runner{
		cfg: cfg, versions: map[string]int{}, mine: map[ID]*turn{},
		free: make(chan struct{}, cfg.Workers), wake: make(chan struct{}, 1),
	}
	for name, kind := range cfg.Kinds {
		r.versions[name] = kind.Version
	}
	for range cfg.Workers {
		r.free <- struct{}{}
	}
	return r, nil
}

// Run works rows until ctx ends. Then it begins nothing any more and returns when what is
// under way has ended and is written down: half of LeaseTTL for an effect, and at most
// LeaseTTL for a Store that does not answer. It also takes over what dead processes hold,
// and erases rows whose time is over. It returns nil; a Store that fails is logged and
// asked again.
func (r *Runner) Run(ctx context.Context) error {
	var all sync.WaitGroup
	defer all.Wait()
	all.Go(func() { r.watch(ctx, &all) })
	all.Go(func() { r.eraseHourly(ctx) })
	after := ""
	for ctx.Err() == nil {
		places := r.acquire(ctx)
		jobs, next, err := r.take(ctx, places, after)
		if err != nil && ctx.Err() == nil {
			r.cfg.Logger.Warn("durable: rows cannot be taken", slog.Any("error", err))
		}
		after = next
		for _, j := range jobs {
			all.Go(func() {
				defer r.release(1)
				j.run(ctx)
			})
		}
		r.release(places - len(jobs))
		if len(jobs) == 0 { // shares may be small while more is due
			r.idle(ctx)
		}
	}
	return nil
}

// Add has the Runner take care of a further kind. It is called before Run and Step: by
// packages whose rows are to be worked by the application's one Runner.
func (r *Runner) Add(name string, kind Kind) error {
	cfg := r.cfg
	cfg.Kinds = maps.Clone(cfg.Kinds)
	cfg.Kinds[name] = kind
	if err := cfg.validate(); err != nil {
		return err
	}
	r.cfg = cfg
	r.versions[name] = kind.Version
	return nil
}

// acquire waits for a free worker and returns how many there are by then.
func (r *Runner) acquire(ctx context.Context) (places int) {
	select {
	case <-r.free:
	case <-ctx.Done():
		return 0
	}
	const most = 32
	for places = 1; places < most; places++ {
		select {
		case <-r.free:
		default:
			return places
		}
	}
	return places
}

func (r *Runner) release(places int) {
	for range places {
		r.free <- struct{}{}
	}
}

// idle waits for the next look.
func (r *Runner) idle(ctx context.Context) {
	timer := time.NewTimer(jittered(r.cfg.PollEvery))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.wake:
	case <-ctx.Done():
	}
}

// Wake has an idle Runner look now: after a transaction that made a row due, say. It does
// not block. Other processes find the row when they look.
func (r *Runner) Wake() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// take leases at most limit rows that are due.
func (r *Runner) take(ctx context.Context, limit int, after string) (jobs []*job, next string, err error) {
	if limit == 0 {
		return nil, after, nil
	}
	begin := time.Now()
	q := Query{Kinds: r.versions, By: begin, Limit: limit}
	leaser, ok := r.cfg.Store.(Leaser)
	if !ok {
		jobs, err = r.takeOneByOne(ctx, q)
		return jobs, "", err
	}
	ctx, cancel := r.toTheEnd(ctx)
	defer cancel()
	items, next, err := leaser.Lease(ctx, q, after, r.newLease())
	for _, item := range items {
		jobs = append(jobs, r.newJob(item, begin))
	}
	return jobs, next, err
}

// toTheEnd returns a context for the write of a lease, which a shutdown must not cut off:
// nobody would know that the row is leased.
func (r *Runner) toTheEnd(ctx context.Context) (context.Context, context.CancelFunc) {
	return wait.Timeout(context.WithoutCancel(ctx), r.cfg.LeaseTTL/2)
}

// ahead is how far into the list of what is due a process begins at most: all of them
// would want the same rows otherwise.
const ahead = 128

// takeOneByOne is take for a Store that cannot lease by itself.
func (r *Runner) takeOneByOne(ctx context.Context, q Query) (jobs []*job, err error) {
	wanted := q.Limit
	q.Limit = min(wanted+ahead, MaxLimit)
	q.PerTenant = max(1, wanted/2)
	if r.passOver.Load() { // rows that do not open may be in front of the others, for ever
		q.Limit, q.PerTenant = MaxLimit, 0
	}
	ids, err := r.cfg.Store.Due(ctx, q)
	if err != nil {
		return nil, err
	}
	unopened := 0
	defer func() { r.passOver.Store(unopened > 0) }()
	for _, id := range shuffledFrom(ids, wanted) {
		j, err := r.leaseOne(ctx, id, func(item *Item) bool { return isDue(*item, time.Now()) && item.Lease.Owner == "" })
		switch {
		case errors.Is(err, telemed.ErrDecrypt):
			unopened++
			r.cfg.Logger.Warn("durable: row does not open", slog.String("row", id.String()), slog.Any("error", err))
		case err != nil && !errors.Is(err, telemed.ErrConflict) && !errors.Is(err, telemed.ErrNotFound):
			return jobs, err
		}
		if j != nil {
			jobs = append(jobs, j)
		}
		if len(jobs) == wanted {
			break
		}
	}
	return jobs, nil
}

// leaseOne leases a row if it still is as wanted, which may change what is written beside
// the lease. The job is nil if it is not.
func (r *Runner) leaseOne(ctx context.Context, id ID, wanted func(*Item) bool) (*job, error) {
	item, err := r.cfg.Store.Get(ctx, id)
	version, known := r.versions[id.Kind]
	if err != nil || !wanted(&item) || !known || item.Version > version {
		return nil, err
	}
	ctx, cancel := r.toTheEnd(ctx)
	defer cancel()
	begin := time.Now()
	item.Lease = r.newLease()
	if item.Revision, err = r.cfg.Store.Put(ctx, item); err != nil {
		return nil, err
	}
	return r.newJob(item, begin), nil
}

func (r *Runner) newLease() Lease { return Lease{Owner: rand.Text(), TTL: r.cfg.LeaseTTL} }

func isDue(item Item, now time.Time) bool { return !item.Due.IsZero() && !item.Due.After(now) }

// Step works the row id now if it is due, and returns when there is something to do next;
// zero is not before somebody changes the row. It is how another engine drives rows, River
// for instance. A row in other hands is telemed.ErrConflict, and next is when to try
// again. What a dead process holds is not taken over by Step: some process must Run.
func (r *Runner) Step(ctx context.Context, id ID) (next time.Time, err error) {
	var seen Item
	j, err := r.leaseOne(ctx, id, func(item *Item) bool {
		seen = *item
		return isDue(seen, time.Now()) && item.Lease.Owner == ""
	})
	switch {
	case errors.Is(err, telemed.ErrConflict): // others were faster just now
		return time.Now().Add(r.cfg.PollEvery), err
	case err != nil:
		return time.Time{}, err
	case j != nil:
		j.run(ctx)
		return j.item.Due, nil
	case seen.Lease.Owner != "":
		return time.Now().Add(seen.Lease.TTL), fmt.Errorf("durable: %s is in other hands: %w", id, telemed.ErrConflict)
	}
	return seen.Due, nil
}

// Retry has a stuck row tried again, now.
func (r *Runner) Retry(ctx context.Context, id ID) error {
	_, err := Change(ctx, r.cfg.Store, id, func(item *Item) error {
		if item.Revision == "" {
			return fmt.Errorf("durable: %s: %w", id, telemed.ErrNotFound)
		}
		item.Stuck, item.Attempts, item.Due = "", 0, time.Now()
		return nil
	})
	r.Wake()
	return err
}

// eraseEvery is how often rows are erased whose time is over, eraseLimit how many at once.
const (
	eraseEvery = time.Hour
	eraseLimit = 500
)

func (r *Runner) eraseHourly(ctx context.Context) {
	eraser, ok := r.cfg.Store.(Eraser)
	for ok && wait.For(ctx, wait.Jitter(eraseEvery)) == nil {
		for {
			n, err := eraser.Erase(ctx, time.Now(), eraseLimit)
			if err != nil {
				r.cfg.Logger.Warn("durable: rows cannot be erased", slog.Any("error", err))
			}
			if err != nil || n < eraseLimit {
				break
			}
		}
	}
}

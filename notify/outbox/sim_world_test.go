package outbox_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/outbox"
	"github.com/telemed-go/telemed/notify/smtp"
	"github.com/telemed-go/telemed/notify/smtp/smtptest"
	"github.com/telemed-go/telemed/notify/whatsapp"
	"github.com/telemed-go/telemed/notify/whatsapp/whatsapptest"
	"github.com/telemed-go/telemed/store/durable"
)

// mode is what a schedule is lived with.
type mode struct {
	mailEvidence bool // the relay can be asked
	reports      bool // Meta tells what became of a message
}

// world is one schedule: two channels, rows, three processes that are killed and started
// again, and what some visits tell their patients.
type world struct {
	mode
	begin   time.Time
	r       *rand.Rand // under mu
	chat    *whatsapptest.Server
	mail    *smtptest.Server
	rows    *durable.Memory
	visits  []*visit
	all     sync.WaitGroup
	ops     int
	kills   []int // the operations at which a process dies
	freezes []int // and at which it stands still
	killed  int
	running []*process

	mu       sync.Mutex
	seen     int // WhatsApp messages whose reports are on their way
	todo     []event
	problems []string
	told     map[string]bool
	failed   map[string]bool // references that Meta could not deliver in the end
	asked    map[string]int  // for evidence, by reference
	doubled  map[notify.Channel]int
}

// event is something that happens at a time.
type event struct {
	at time.Time
	do func()
}

// visit is what the application wants told about one.
type visit struct {
	group      string
	generation int
	enqueued   []outbox.Message
	dropped    map[int]time.Time // when Drop of older generations than this had returned
}

const (
	simTTL  = 8 * time.Second
	tooBusy = 40000 // operations in one schedule; some hundreds are usual
)

var errKilled = errors.New("killed")

// process is one Outbox with leaves of its own, and what kills it.
type process struct {
	*world
	box    *outbox.Outbox
	post   *smtp.Client
	cancel context.CancelFunc
	dead   bool      // under world.mu
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
		p.thaws = time.Now().Add(5 * simTTL)
	}
	if slices.Contains(p.kills, p.ops) {
		p.dead = true
		p.killed++
		p.cancel()
		return errKilled
	}
	return nil
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
	time.Sleep(time.Duration(p.n(300)) * time.Millisecond)
	return around(p, func() (*http.Response, error) { return p.chat.Client().Transport.RoundTrip(req) })
}

// dial connects to the mail server. What a dead process has not written does not arrive.
func (p *process) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := around(p, func() (net.Conn, error) { return p.mail.Dial(ctx, network, addr) })
	if err != nil {
		return nil, err
	}
	return &mortal{conn, p}, nil
}

// mortal is a connection of a process.
type mortal struct {
	net.Conn
	p *process
}

func (m *mortal) Write(b []byte) (int, error) {
	if err := m.p.step(); err != nil {
		_ = m.Close()
		return 0, err
	}
	return m.Conn.Write(b)
}

func (m *mortal) Read(b []byte) (int, error) {
	n, err := m.Conn.Read(b)
	if died := m.p.step(); died != nil {
		_ = m.Close()
		return 0, died
	}
	return n, err
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
	return around(d.p, func() (string, error) { return d.Memory.Put(ctx, item) })
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

// Outcome implements notify.Evidence: a relay that lists what it took.
func (p *process) Outcome(_ context.Context, reference string, _ time.Time) (notify.Outcome, error) {
	if err := p.step(); err != nil {
		return 0, err
	}
	p.mu.Lock()
	p.asked[reference]++
	silent := p.asked[reference] <= 2 && p.r.IntN(3) == 0
	p.mu.Unlock()
	if silent && p.n(2) == 0 {
		return 0, errors.New("the relay's list is away")
	} else if silent {
		return notify.OutcomeUnknown, nil
	}
	for _, m := range p.mail.Messages() {
		if notify.Reference(keyOf(m)) == reference {
			return notify.OutcomeArrived, nil
		}
	}
	return notify.OutcomeNotArrived, nil
}

// keyOf is a mail's key, which is in the subject here.
func keyOf(m smtptest.Message) string { return strings.TrimPrefix(m.Subject, "Your visit: ") }

func (w *world) start() *process {
	ctx, cancel := context.WithCancel(context.Background())
	p := &process{world: w, cancel: cancel}
	var err error
	p.post, err = smtp.New(smtp.Config{
		Addr: w.mail.Addr(), From: "care@clinic.example", Dial: p.dial, LocalName: "clinic.example", Security: smtp.InsecurePlaintext, IdleTimeout: -1,
	})
	if err != nil {
		panic(err)
	}
	chat, err := whatsapp.New(whatsapp.Config{
		BaseURL: w.chat.URL(), PhoneNumberID: w.chat.PhoneNumberID(), Token: w.chat.Token(), HTTPClient: &http.Client{Transport: p}, Attempts: 1,
	})
	if err != nil {
		panic(err)
	}
	cfg := outbox.Config{
		Store: dying{w.rows, p}, Channels: map[notify.Channel]notify.Notifier{notify.WhatsApp: chat, notify.Email: p.post}, LeaseTTL: simTTL,
		OnStuck: p.alarm,
	}
	if w.mailEvidence {
		cfg.Evidence = map[notify.Channel]notify.Evidence{notify.Email: p}
	}
	if p.box, err = outbox.New(cfg); err != nil {
		panic(err)
	}
	w.all.Go(func() {
		_ = p.box.Run(ctx)
		_ = p.post.Shutdown(context.Background())
	})
	return p
}

func (p *process) alarm(item durable.Item) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if key, _, ok := strings.Cut(item.Stuck, ":"); ok && !p.dead {
		p.told[item.ID.Name+"/"+key] = true
	}
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
	defer w.mu.Unlock()
	for i, p := range w.running {
		if p != nil {
			p.cancel()
		}
		w.running[i] = nil
	}
}

func (w *world) problem(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.problems = append(w.problems, fmt.Sprintf(format, args...))
}

// n is a random number below limit.
func (w *world) n(limit int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.r.IntN(limit)
}

// later has something happen after a while.
func (w *world) later(d time.Duration, do func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.todo = append(w.todo, event{time.Now().Add(d), do})
}

// row tells what is known of a visit, for whoever reads of a problem.
func (w *world) row(group string) string {
	item, err := w.rows.Get(context.Background(), durable.ID{Kind: outbox.RowKind, Name: group})
	var sent bytes.Buffer
	for _, m := range w.chat.Messages() {
		fmt.Fprintf(&sent, "%s whatsapp %s\n", m.At.Format(time.TimeOnly), m.Parameters[2])
	}
	return fmt.Sprintf("%s\n%s\n%s%v %v", item.Audit, item.Data, sent.String(), err, w.begin)
}

func isFinal(err error) bool {
	return err == nil || errors.Is(err, telemed.ErrInvalid) || errors.Is(err, telemed.ErrNotFound)
}

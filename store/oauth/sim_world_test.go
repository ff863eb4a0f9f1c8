package oauth_test

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/oauth"
)

// scenario says what goes wrong in a simulated day.
type scenario struct {
	name string
	// slow has the provider take up to 13 seconds, fail 10 % of dials, and clocks differ
	// by up to 2 minutes.
	slow bool
	// storeErrors, lostAcks and outages are the database's: shares of calls, and outages
	// a day of 1 to 20 minutes, half of which begin when refreshes happen.
	storeErrors, lostAcks float64
	outages               int
	// diskFull has every outage begin when refreshes happen, and refuse only writes.
	diskFull bool
	// badGateways and dropped are the provider's: answers of 502 before, and answers lost
	// after the exchange.
	badGateways, dropped float64
	// kills and deploys are each process's a day.
	kills, deploys int
	// consents are each doctor's a day, given without need while everything goes on.
	consents int
	// stays is a provider with Google's rules: a refresh token is not spent, and access
	// tokens live side by side.
	stays bool
	// spool gives each process a disk that outlives it.
	spool bool
	// watched scenarios are lived through by default. Together they have
	// every kind of fault.
	watched bool
	// mixed has every second process be far from the provider, and set to wait longer for
	// it.
	mixed bool
}

// tally is what came of it.
type tally struct {
	calls, failed, refused, exchanges    int // by callers; of the API; by the provider
	dials, gateways, drops, errors, acks int // faults injected
	kills, deploys, consents             int
	// Tokens whose answer was lost, or whose process was killed before it was saved.
	cut                                   int
	lost, lostUnexplained                 int
	twice, twiceUnexplained, falseReconns int
}

func (a *tally) add(b tally) {
	a.calls += b.calls
	a.failed += b.failed
	a.refused += b.refused
	a.exchanges += b.exchanges
	a.dials += b.dials
	a.gateways += b.gateways
	a.drops += b.drops
	a.errors += b.errors
	a.acks += b.acks
	a.kills += b.kills
	a.deploys += b.deploys
	a.consents += b.consents
	a.cut += b.cut
	a.lost += b.lost
	a.lostUnexplained += b.lostUnexplained
	a.twice += b.twice
	a.twiceUnexplained += b.twiceUnexplained
	a.falseReconns += b.falseReconns
}

// tokens is what a simulated process stands on: a Source, or a pattern that is to be
// shown to fail.
type tokens interface {
	Token(ctx context.Context, id store.AccountID) (store.Token, error)
	Renew(ctx context.Context, id store.AccountID, stale telemed.Secret) (store.Token, error)
	Shutdown(ctx context.Context) error
}

// world is one simulated day: a database, a provider with Zoom's rules, and processes
// that come and go. Everything in it runs in one synctest bubble.
type world struct {
	scenario
	seed  uint64
	build func(p *process, cfg oauth.SourceConfig) tokens
	begin time.Time
	down  []outage

	mu       sync.Mutex
	db       *store.Memory
	accounts map[string]*account
	disks    map[int]*disk
	tally    tally
	crowd    sync.WaitGroup
}

// outage is a time in which the database refuses calls, lets them hang, or takes no
// writes.
type outage struct {
	from, to time.Time
	kind     int
}

const (
	refuses = iota
	hangs
	readOnly
	outageKinds
)

// account is the provider's truth about a doctor. Its tokens are numbered; the last one
// lives.
type account struct {
	live    int
	expires map[int]time.Time
	buyers  map[int]*process // nil: a consent
	cut     map[int]bool     // tokens that no client could have kept
	lost    map[int]bool     // tokens counted as lost
}

// process is one life of one of the three servers.
type process struct {
	*world
	slot     int
	dead     bool
	stopping chan struct{}
	source   tokens
	life     int
	skew     time.Duration
	draws    map[string]uint64
}

// Simulated days have few doctors and many callers, so that all want the same token at
// once.
const (
	simDoctors   = 4
	simProcesses = 3
	simCallers   = 4
	simDay       = 24 * time.Hour
	simCalm      = 3 * time.Hour
)

func newWorld(sc scenario, seed uint64, build func(*process, oauth.SourceConfig) tokens) *world {
	w := &world{
		scenario: sc, seed: seed, build: build, begin: time.Now(), db: store.NewMemory(),
		accounts: map[string]*account{}, disks: map[int]*disk{},
	}
	r := w.random("outages")
	for i := range sc.outages {
		from, kind := w.begin.Add(time.Duration(r.Int64N(int64(simDay)))), i%outageKinds
		if sc.diskFull || i >= sc.outages/2 {
			from = w.aim(r, 15*time.Second)
		}
		if sc.diskFull {
			kind = readOnly
		}
		w.down = append(w.down, outage{from, from.Add(time.Minute + time.Duration(r.Int64N(int64(19*time.Minute)))), kind})
	}
	for slot := range simProcesses {
		w.disks[slot] = &disk{kept: map[string]oauth.Unsaved{}}
	}
	for i := range simDoctors {
		w.accounts[fmt.Sprint("dr-", i)] = &account{
			expires: map[int]time.Time{}, buyers: map[int]*process{}, cut: map[int]bool{}, lost: map[int]bool{},
		}
	}
	return w
}

// calm reports whether the day is over: nothing fails any more.
func (w *world) calm() bool { return time.Since(w.begin) >= simDay }

// random returns a source of its own for each purpose: goroutines that shared one would
// make every run another one.
func (w *world) random(purpose string) *rand.Rand {
	var hash uint64 = 14695981039346656037
	for _, b := range []byte(purpose) {
		hash = (hash ^ uint64(b)) * 1099511628211
	}
	return rand.New(rand.NewPCG(w.seed, hash))
}

// draw returns the next random source of this process for a purpose.
func (p *process) draw(purpose string) *rand.Rand {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.draws[purpose]++
	return p.random(strconv.Itoa(p.slot) + "/" + strconv.Itoa(p.life) + "/" + purpose + "/" + strconv.FormatUint(p.draws[purpose], 10))
}

func (w *world) subject(id store.AccountID) *account { return w.accounts[id.Subject] }

func (w *world) ids() []store.AccountID {
	var ids []store.AccountID
	for i := range simDoctors {
		ids = append(ids, store.AccountID{Provider: "zoom", Subject: fmt.Sprint("dr-", i)})
	}
	return ids
}

// tokenText is the text of an account's n-th token.
func tokenText(kind, subject string, n int) string { return fmt.Sprint(kind, "/", subject, "/", n) }

// parseToken reverses tokenText.
func parseToken(token telemed.Secret) (subject string, n int) {
	parts := strings.Split(token.Reveal(), "/")
	n, err := strconv.Atoi(parts[2])
	if err != nil {
		panic(err)
	}
	return parts[1], n
}

// living is the account's refresh token that works.
func (w *world) living(subject string) string {
	if w.stays {
		return tokenText("refresh", subject, 0)
	}
	return tokenText("refresh", subject, w.accounts[subject].live)
}

// mint makes the account's next token. world.mu is held.
func (w *world) mint(subject string, buyer *process) store.Token {
	a := w.accounts[subject]
	a.live++
	a.buyers[a.live] = buyer
	a.expires[a.live] = time.Now().Add(time.Hour)
	return store.Token{
		Access: telemed.NewSecret(tokenText("access", subject, a.live)), Refresh: telemed.NewSecret(w.living(subject)), Expiry: a.expires[a.live],
	}
}

// connect is a doctor's consent.
func (w *world) connect(id store.AccountID) {
	w.mu.Lock()
	token := w.mint(id.Subject, nil)
	w.mu.Unlock()
	if err := store.Set(context.Background(), w.db, id, token); err != nil {
		panic(err)
	}
}

// works is the API: it takes the newest access token while it lasts, and at Google the
// others as well.
func (w *world) works(id store.AccountID, token store.Token) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	subject, n := parseToken(token.Access)
	a := w.accounts[subject]
	return a == w.subject(id) && (n == a.live || w.stays) && time.Now().Before(a.expires[n])
}

// saved reports whether the account's living token is where it outlives p. world.mu is
// held.
func (p *process) saved(id store.AccountID) bool {
	live := p.living(id.Subject)
	rec, err := p.db.Get(context.Background(), id)
	return err == nil && rec.Token.Refresh.Reveal() == live || p.spool && p.disks[p.slot].has(live)
}

// end marks p as gone, and the tokens that went with it as cut.
func (p *process) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dead = true
	for _, id := range p.ids() {
		a := p.subject(id)
		if a.buyers[a.live] == p && !p.saved(id) {
			p.cutOff(a, a.live)
		}
	}
}

// cutOff notes that nobody can have the account's n-th token. world.mu is held.
func (w *world) cutOff(a *account, n int) {
	if !w.stays && !a.cut[n] {
		a.cut[n] = true
		w.tally.cut++
	}
}

// lose counts the account's living token as lost, once. world.mu is held.
func (w *world) lose(a *account) {
	if a.lost[a.live] {
		return
	}
	a.lost[a.live] = true
	w.tally.lost++
	if !a.cut[a.live] {
		w.tally.lostUnexplained++
	}
}

// alive ends the goroutine if its process was killed: that is how a kill looks from
// inside.
func (p *process) alive() {
	p.mu.Lock()
	dead := p.dead
	p.mu.Unlock()
	if dead {
		runtime.Goexit()
	}
}

// tuning is what a process is set to. A near one waits for less time than a far one
// needs.
func (p *process) tuning() oauth.Tuning {
	switch {
	case !p.mixed:
		return oauth.Tuning{}
	case (p.slot+p.life)%2 == 0:
		return oauth.Tuning{Timeout: time.Minute, LeaseTTL: 3 * time.Minute}
	}
	return oauth.Tuning{Timeout: 5 * time.Second, LeaseTTL: 10 * time.Second}
}

func (p *process) count(n *int) {
	p.mu.Lock()
	*n++
	p.mu.Unlock()
}

// wait lets time go by, or returns why not.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// refreshFor is the provider's token endpoint as p sees it.
func (p *process) refreshFor(ctx context.Context, old store.Token) (store.Token, error) {
	subject, n := parseToken(old.Refresh)
	r := p.draw("refresh/" + subject)
	takes := 20*time.Millisecond + time.Duration(r.Int64N(int64(500*time.Millisecond)))
	if p.mixed {
		takes = time.Duration(r.Int64N(int64(p.tuning().Timeout * 9 / 10)))
	}
	if p.slow && !p.calm() {
		takes = time.Duration(r.Int64N(int64(13 * time.Second)))
		if r.Float64() < 0.1 {
			p.count(&p.tally.dials)
			return store.Token{}, fmt.Errorf("dial: %w", telemed.ErrUnavailable)
		}
	}
	if err := wait(ctx, takes/2); err != nil {
		return store.Token{}, err
	}
	if !p.calm() && r.Float64() < p.badGateways {
		p.count(&p.tally.gateways)
		return store.Token{}, fmt.Errorf("502: %w", telemed.ErrAmbiguous)
	}
	token, bought, err := p.exchange(subject, n, !p.calm() && r.Float64() < p.dropped)
	if err != nil {
		p.alive()
		return store.Token{}, err
	}
	err = wait(ctx, takes/2)
	p.alive()
	if err != nil { // the answer comes to nobody
		p.mu.Lock()
		p.cutOff(p.accounts[subject], bought)
		p.mu.Unlock()
	}
	return token, err
}

// exchange is the moment at which the provider commits. It returns the number of what was
// bought.
func (p *process) exchange(subject string, n int, drop bool) (token store.Token, bought int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.accounts[subject]
	p.tally.exchanges++
	if n != a.live && !p.stays {
		if a.buyers[n+1] != nil { // a new consent in between is nobody's fault
			p.tally.twice++
			if !a.cut[n+1] {
				p.tally.twiceUnexplained++
			}
		}
		return store.Token{}, 0, fmt.Errorf("400: %w", oauth.ErrRejected)
	}
	token = p.mint(subject, p)
	if p.dead {
		p.cutOff(a, a.live)
	}
	if drop {
		p.tally.drops++
		p.cutOff(a, a.live)
		return store.Token{}, 0, fmt.Errorf("connection reset: %w", telemed.ErrAmbiguous)
	}
	return token, a.live, nil
}

// database is the store as a process sees it.
type database struct{ *process }

var errOutage = fmt.Errorf("database: connection refused")

// call lets a call take its time and fail; apply does it.
func (d database) call(ctx context.Context, id store.AccountID, op string, apply func() error) error {
	d.alive()
	r := d.draw(op + id.Subject)
	if err := wait(ctx, time.Millisecond+time.Duration(r.Int64N(int64(10*time.Millisecond)))); err != nil {
		return err
	}
	d.alive()
	now := time.Now()
	for _, outage := range d.down {
		if now.Before(outage.from) || now.After(outage.to) || d.calm() || outage.kind == readOnly && op == "get" {
			continue
		}
		if outage.kind == hangs {
			<-ctx.Done()
		}
		return errOutage
	}
	if !d.calm() && r.Float64() < d.storeErrors {
		d.count(&d.tally.errors)
		return errOutage
	}
	d.mu.Lock()
	err := context.Canceled
	if !d.dead {
		err = apply()
	}
	d.mu.Unlock()
	d.alive()
	if err == nil && op == "put" && !d.calm() && r.Float64() < d.lostAcks {
		d.count(&d.tally.acks)
		return errOutage
	}
	return err
}

func (d database) Get(ctx context.Context, id store.AccountID) (rec store.Record, err error) {
	err = d.call(ctx, id, "get", func() (err error) { rec, err = d.db.Get(ctx, id); return })
	return moved(rec, -d.skew), err
}

func (d database) Put(ctx context.Context, rec store.Record) (revision string, err error) {
	err = d.call(ctx, rec.ID, "put", func() (err error) { revision, err = d.db.Put(ctx, moved(rec, d.skew)); return })
	return revision, err
}

func (d database) Delete(ctx context.Context, id store.AccountID) error {
	return d.call(ctx, id, "delete", func() error { return d.db.Delete(ctx, id) })
}

// moved returns rec with its times moved from one clock to another. A process lives by
// the bubble's clock; what it writes down is by its own, and what it reads was written by
// somebody else's.
func moved(rec store.Record, by time.Duration) store.Record {
	for _, at := range []*time.Time{&rec.Token.Expiry, &rec.UpdatedAt, &rec.Lease.Until} {
		if !at.IsZero() {
			*at = at.Add(by)
		}
	}
	return rec
}

// disk is a Spool that outlives its process.
type disk struct{ kept map[string]oauth.Unsaved }

func (d *disk) has(refresh string) bool { _, ok := d.kept[refresh]; return ok }

// mount is a disk as a process sees it.
type mount struct{ *process }

func (m mount) Keep(_ context.Context, u oauth.Unsaved) error {
	m.alive()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead {
		return context.Canceled
	}
	u.Token.Expiry = u.Token.Expiry.Add(m.skew)
	m.disks[m.slot].kept[u.Token.Refresh.Reveal()] = u
	return nil
}

func (m mount) Drop(_ context.Context, u oauth.Unsaved) error {
	m.alive()
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.disks[m.slot].kept, u.Token.Refresh.Reveal())
	return nil
}

func (m mount) List(context.Context) iter.Seq2[oauth.Unsaved, error] {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []oauth.Unsaved
	for _, u := range m.disks[m.slot].kept {
		u.Token.Expiry = u.Token.Expiry.Add(-m.skew)
		all = append(all, u)
	}
	return func(yield func(oauth.Unsaved, error) bool) {
		for _, u := range all {
			if !yield(u, nil) {
				return
			}
		}
	}
}

package oauth_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"text/tabwriter"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/racetest"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/oauth"
)

// A day of each watched scenario finds what fails often. .ci/run lives through twenty-five
// of every scenario, and its word long through thousands.
var simSeeds = flag.Int("sim.seeds", 1, "simulated days for each scenario")

func seeds() int { return *simSeeds }

var scenarios = []scenario{
	{name: "calm"},
	{name: "busy", slow: true},
	{name: "db", storeErrors: 0.05, lostAcks: 0.02, outages: 6},
	{name: "disk full", slow: true, outages: 30, diskFull: true, watched: true},
	{name: "crash", kills: 7},
	{name: "crash+spool", kills: 7, spool: true},
	{name: "crash, db", storeErrors: 0.05, lostAcks: 0.02, outages: 6, kills: 7},
	{name: "crash, db+spool", storeErrors: 0.05, lostAcks: 0.02, outages: 6, kills: 7, spool: true},
	{name: "net", badGateways: 0.1, dropped: 0.01},
	{name: "deploys", slow: true, storeErrors: 0.05, lostAcks: 0.02, outages: 6, deploys: 20},
	{name: "two settings", mixed: true, storeErrors: 0.05, lostAcks: 0.02, outages: 6, deploys: 20, spool: true, watched: true},
	{name: "deploys+spool", slow: true, storeErrors: 0.05, lostAcks: 0.02, outages: 6, deploys: 20, spool: true},
	{
		name: "all", slow: true, storeErrors: 0.05, lostAcks: 0.02, outages: 6, badGateways: 0.1, dropped: 0.01,
		kills: 7, deploys: 7, consents: 6, spool: true, watched: true,
	},
	{
		name: "all, at Google", slow: true, storeErrors: 0.05, lostAcks: 0.02, outages: 6, badGateways: 0.1, dropped: 0.01,
		kills: 7, deploys: 7, consents: 6, stays: true, watched: true,
	},
}

// TestSimulation lives through days in which everything fails that can. In none of them
// may a token be lost that a client could have kept, a token be spent twice, or a doctor
// be told to reconnect without need; and to serve nobody is no way to get there.
func TestSimulation(t *testing.T) {
	t.Parallel()
	totals := make([]tally, len(scenarios))
	t.Run("scenarios", func(t *testing.T) {
		for i, sc := range scenarios {
			if seeds() == 1 && !sc.watched {
				continue
			}
			t.Run(sc.name, func(t *testing.T) {
				t.Parallel()
				totals[i] = days(t, sc, seeds(), overSource(nil))
				require.Zero(t, totals[i].lostUnexplained, "tokens lost that could have been kept")
				require.Zero(t, totals[i].twiceUnexplained, "tokens spent twice")
				require.Zero(t, totals[i].falseReconns, "doctors told to reconnect without need")
				require.LessOrEqual(t, totals[i].exchanges, 31*simDoctors*seeds(), "more refreshes than hours")
				require.Less(t, totals[i].failed, totals[i].calls/20, "callers without a token that works")
				if sc.name == "calm" {
					require.Zero(t, totals[i].failed)
				}
				if sc.stays || sc.kills == 0 && sc.dropped == 0 && (sc.deploys == 0 || sc.spool) {
					require.Zero(t, totals[i].lost, "nothing was cut that could explain a loss")
				}
			})
		}
	})
	if testing.Verbose() {
		printTable(totals)
	}
}

// TestSimulationFindsTheUsualPatterns shows that the simulation notices a pattern that
// fails often, within a few days.
func TestSimulationFindsTheUsualPatterns(t *testing.T) {
	t.Parallel()
	if racetest.Enabled {
		t.Skip("proves the simulation, not the code: runs without the race detector")
	}
	lost := func(n tally) bool { return n.lostUnexplained > 0 }
	twice := func(n tally) bool { return n.twiceUnexplained > 0 }
	for name, pattern := range map[string]struct {
		scenario scenario
		build    func(*process, oauth.SourceConfig) tokens
		noticed  func(tally) bool
	}{
		"x/oauth2 with a table loses tokens when the database fails": {
			scenarios[2], overNaive, func(n tally) bool { return lost(n) && twice(n) },
		},
		"x/oauth2 with a table loses tokens when callers hang up": {scenarios[1], overNaive, func(n tally) bool { return n.lost > 0 }},
		"x/oauth2 with a table spends tokens twice on a calm day": {scenarios[0], overNaive, twice},
		"a Source that does not try again to save":                {scenarios[2], overSource(func(cfg *oauth.SourceConfig) { cfg.SaveFor = 1 }), lost},
		"a store that forgets how long a lease lives":             {scenario{name: "two settings", mixed: true, deploys: 20}, overForgottenTTL, twice},
		"a lease that goes stale before its holder gives up":      {scenarios[1], overStaleLease, twice},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var total tally
			for seed := range uint64(6) {
				total.add(day(t, pattern.scenario, seed, pattern.build))
				if pattern.noticed(total) {
					return
				}
			}
			t.Errorf("nothing was noticed: %+v", total)
		})
	}
}

func overForgottenTTL(p *process, cfg oauth.SourceConfig) tokens {
	cfg.Store = noTTL{database{p}}
	return mustSource(cfg)
}

func overStaleLease(p *process, cfg oauth.SourceConfig) tokens {
	cfg.Store, cfg.Timeout, cfg.LeaseTTL = database{p}, time.Second, 2*time.Second
	refresh := cfg.Refresh
	cfg.Refresh = func(_ context.Context, old store.Token) (store.Token, error) {
		return refresh(context.Background(), old) // and who minds no timeout
	}
	return mustSource(cfg)
}

// noTTL is a store that does not keep a lease's TTL.
type noTTL struct{ database }

func (f noTTL) Put(ctx context.Context, rec store.Record) (string, error) {
	rec.Lease.TTL = 0
	return f.database.Put(ctx, rec)
}

// days lives through n days and returns what happened in all of them.
func days(t *testing.T, sc scenario, n int, build func(*process, oauth.SourceConfig) tokens) tally {
	var total tally
	for seed := range n {
		of := day(t, sc, uint64(seed), build)
		total.add(of)
		if of.lostUnexplained+of.twiceUnexplained+of.falseReconns > 0 {
			t.Logf("%s, seed %d: %+v", sc.name, seed, of)
		}
	}
	return total
}

// day lives through one day.
func day(t *testing.T, sc scenario, seed uint64, build func(*process, oauth.SourceConfig) tokens) (of tally) {
	synctest.Test(t, func(*testing.T) {
		w := newWorld(sc, seed, build)
		w.live()
		of = w.tally
	})
	return of
}

func mustSource(cfg oauth.SourceConfig) *oauth.Source {
	s, err := oauth.NewSource(cfg)
	if err != nil {
		panic(err)
	}
	return s
}

func overSource(change func(*oauth.SourceConfig)) func(*process, oauth.SourceConfig) tokens {
	return func(p *process, cfg oauth.SourceConfig) tokens {
		if p.spool {
			cfg.Spool = mount{p}
		}
		if change != nil {
			change(&cfg)
		}
		s := mustSource(cfg)
		if _, err := s.Recover(context.Background()); err != nil {
			panic(err)
		}
		return s
	}
}

// live lets a day go by, and three calm hours in which everything can heal.
func (w *world) live() {
	for _, id := range w.ids() {
		w.connect(id)
	}
	var slots sync.WaitGroup
	for slot := range simProcesses {
		slots.Go(func() { w.serve(slot) })
	}
	slots.Go(w.mend)
	for _, id := range w.ids() {
		slots.Go(func() { w.consent(id) })
	}
	slots.Wait()
	w.crowd.Wait()
	time.Sleep(5 * time.Minute) // what a killed process left asleep wakes up and ends
	w.settle()
}

// settle compares what is stored with what lives.
func (w *world) settle() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range w.ids() {
		a := w.subject(id)
		rec, err := w.db.Get(context.Background(), id)
		if err != nil {
			panic(err)
		}
		switch {
		case rec.Token.Refresh.Reveal() != w.living(id.Subject):
			w.lose(a)
		case rec.Status == store.StatusReconnect:
			w.tally.falseReconns++
		}
	}
}

// event is the end of a process's life.
type event struct {
	at   time.Time
	kill bool
}

// schedule spreads deploys over the day, and aims kills at the seconds in which refreshes
// happen.
func (w *world) schedule(slot int) []event {
	r := w.random(fmt.Sprint("schedule/", slot))
	var events []event
	for range w.kills {
		events = append(events, event{w.aim(r, 3500*time.Millisecond), true})
	}
	for range w.deploys {
		events = append(events, event{w.begin.Add(time.Minute + time.Duration(r.Int64N(int64(simDay-time.Hour)))), false})
	}
	slices.SortFunc(events, func(a, b event) int { return a.at.Compare(b.at) })
	return events
}

// aim returns a time within a span after the full five minutes, when refreshes happen.
func (w *world) aim(r *rand.Rand, span time.Duration) time.Time {
	burst := time.Duration(1+r.IntN(286)) * 5 * time.Minute
	return w.begin.Add(burst + time.Duration(r.Int64N(int64(span))))
}

// serve runs one process after the other.
func (w *world) serve(slot int) {
	r := w.random(fmt.Sprint("serve/", slot))
	for life, ev := range w.schedule(slot) {
		p := w.start(slot, life)
		time.Sleep(time.Until(ev.at))
		if ev.kill {
			w.count(&w.tally.kills)
			p.end()
			close(p.stopping)
		} else {
			w.count(&w.tally.deploys)
			p.stop(max(20*time.Second, p.tuning().Timeout+5*time.Second))
		}
		time.Sleep(time.Second + time.Duration(r.Int64N(int64(4*time.Second))))
	}
	p := w.start(slot, 1000)
	time.Sleep(time.Until(w.begin.Add(simDay + simCalm)))
	p.stop(time.Hour)
}

func (w *world) count(n *int) {
	w.mu.Lock()
	*n++
	w.mu.Unlock()
}

// start begins a process: four callers who use every doctor's token each five minutes.
func (w *world) start(slot, life int) *process {
	p := &process{world: w, slot: slot, life: life, stopping: make(chan struct{}), draws: map[string]uint64{}}
	r := w.random(fmt.Sprint("start/", slot, "/", life))
	if w.slow {
		p.skew = (time.Duration(r.Int64N(int64(4*time.Minute))) - 2*time.Minute).Truncate(time.Millisecond)
	}
	cfg := oauth.SourceConfig{Store: database{p}, Provider: "zoom", Refresh: p.refreshFor, Tuning: p.tuning()}
	cfg.OnReconnect = p.flagged
	source := w.build(p, cfg)
	p.source = source
	for caller := range simCallers {
		w.crowd.Go(func() { p.call(source, w.random(fmt.Sprint("call/", slot, "/", life, "/", caller))) })
	}
	return p
}

// flagged checks the verdict against the truth.
func (p *process) flagged(id store.AccountID, _ string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.subject(id)
	if a.cut[a.live] {
		p.lose(a)
		return
	}
	p.tally.falseReconns++
}

// stop is a deploy: the callers end, then the Source is closed.
func (p *process) stop(grace time.Duration) {
	close(p.stopping)
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	_ = p.source.Shutdown(ctx)
	p.end()
}

func (p *process) call(source tokens, r interface{ Int64N(int64) int64 }) {
	for {
		next := time.Now().Truncate(5 * time.Minute).Add(5*time.Minute + time.Duration(r.Int64N(int64(2*time.Second))))
		select {
		case <-p.stopping:
			return
		case <-time.After(time.Until(next)):
		}
		for _, id := range p.ids() {
			p.alive()
			p.use(source, id)
		}
	}
}

// use does what a request of a patient does: it has three seconds and one try after a
// 401.
func (p *process) use(source tokens, id store.AccountID) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	p.count(&p.tally.calls)
	token, err := source.Token(ctx, id)
	if err == nil && !p.works(id, token) {
		p.count(&p.tally.refused)
		token, err = source.Renew(ctx, id, token.Access)
	}
	if err != nil || !p.works(id, token) {
		p.count(&p.tally.failed)
	}
}

// mend has doctors connect again, up to half an hour after they were told to.
func (w *world) mend() {
	for time.Since(w.begin) < simDay+simCalm {
		time.Sleep(30*time.Minute + time.Second)
		for _, id := range w.ids() {
			rec, err := w.db.Get(context.Background(), id)
			if err == nil && rec.Status == store.StatusReconnect {
				w.mourn(id, rec)
				w.connect(id)
			}
		}
	}
}

// consent has a doctor connect again now and then, without need: whatever is bought or
// judged at that moment must not touch the new token.
func (w *world) consent(id store.AccountID) {
	r := w.random("consent/" + id.Subject)
	var times []time.Time
	for range w.consents {
		times = append(times, w.aim(r, 15*time.Second))
	}
	slices.SortFunc(times, time.Time.Compare)
	for _, at := range times {
		time.Sleep(time.Until(at))
		rec, err := w.db.Get(context.Background(), id)
		if err == nil && rec.Status == store.StatusReconnect {
			w.mourn(id, rec)
		}
		w.count(&w.tally.consents)
		w.connect(id)
	}
}

// mourn counts what a new consent is about to replace.
func (w *world) mourn(id store.AccountID, rec store.Record) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if a := w.subject(id); rec.Token.Refresh.Reveal() != w.living(id.Subject) {
		w.lose(a)
		return
	}
	w.tally.falseReconns++
}

// naive is what x/oauth2 and a table make: each caller refreshes under its own context,
// saves once and shrugs.
type naive struct {
	*process
	refresh oauth.RefreshFunc
}

func overNaive(p *process, cfg oauth.SourceConfig) tokens { return naive{p, cfg.Refresh} }

func (n naive) Token(ctx context.Context, id store.AccountID) (store.Token, error) {
	rec, err := database{n.process}.Get(ctx, id)
	if err != nil || rec.Token.Expiry.After(time.Now().Add(10*time.Second)) {
		return rec.Token, err
	}
	return n.renew(ctx, rec)
}

func (n naive) Renew(ctx context.Context, id store.AccountID, _ telemed.Secret) (store.Token, error) {
	rec, err := database{n.process}.Get(ctx, id)
	if err != nil {
		return store.Token{}, err
	}
	return n.renew(ctx, rec)
}

func (n naive) renew(ctx context.Context, rec store.Record) (store.Token, error) {
	token, err := n.refresh(ctx, rec.Token)
	if err != nil {
		if errors.Is(err, oauth.ErrRejected) {
			rec.Status = store.StatusReconnect
			_, _ = database{n.process}.Put(ctx, rec)
		}
		return token, err
	}
	rec.Token = token
	_, _ = database{n.process}.Put(ctx, rec)
	return token, nil
}

func (n naive) Shutdown(context.Context) error { return nil }

func printTable(totals []tally) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "%d days each\tcalls\tfailed\t401\texchanges\tdial\t502\tdropped\tdb errors\tlost acks\tkills\tdeploys\tconsents\tcut\tlost\tunexplained\ttwice\tunexplained\tfalse reconnects\t\n", seeds())
	for i, n := range totals {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t\n", scenarios[i].name,
			n.calls, n.failed, n.refused, n.exchanges, n.dials, n.gateways, n.drops, n.errors, n.acks, n.kills, n.deploys, n.consents,
			n.cut, n.lost, n.lostUnexplained, n.twice, n.twiceUnexplained, n.falseReconns)
	}
	_ = w.Flush()
}

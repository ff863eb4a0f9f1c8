package integration_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/oauth"
)

var killFor = flag.Duration("kill.for", 10*time.Second, "how long processes are killed")

// TestKilled kills processes with SIGKILL, at random and in the middle of exchanges, and
// starts new ones in their place. What a kill may cost is one account whose new token
// was on its way from the provider to the database; whatever else is lost or spent
// twice is a bug, unless a process has waited for the answer for as long as it was told to.
//
// The database is slow to save. With a spool, that costs nothing: only a token that was
// still on the wire may be lost.
func TestKilled(t *testing.T) {
	t.Parallel()
	for _, d := range databases[:2] {
		for _, spool := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/spool=%t", d.name, spool), func(t *testing.T) {
				t.Parallel()
				w := newWar(t, d, spool)
				w.wage(*killFor)
				w.settle()
				w.judge()
				served, failed := w.tally()
				t.Logf("%s: %d kills cut off %d exchanges, %d of them answered; %d refreshes; %d accounts lost by that, all marked with the cause; "+
					"%d calls served by processes that lived, %d refused for the time being",
					*killFor, len(w.dead), len(w.cut()), len(w.answered()), w.provider.fake.Refreshes(), w.lost, served, failed)
				require.NotEmpty(t, w.cut(), "no kill has hit an exchange: nothing is proved")
				if !spool {
					require.NotEmpty(t, w.answered(), "no kill has hit a save: the spool would prove nothing")
				}
			})
		}
	}
}

func newWar(t *testing.T, d database, spool bool) *war {
	t.Helper()
	f := newFleet(t, d, 3*time.Second, 30*time.Millisecond, 48)
	f.cfg.Exchange, f.cfg.SlowSave = hastyTime, 900*time.Millisecond
	if spool {
		f.cfg.Spool, f.cfg.SpoolKey = t.TempDir(), store.NewKey().Reveal()
	}
	// Two runs with one seed aim their kills alike.
	return &war{fleet: f, t: t, random: rand.New(rand.NewPCG(1, 1))}
}

// war is one run of TestKilled.
type war struct {
	*fleet
	t    *testing.T
	lost int // accounts that had to be reconnected

	random *rand.Rand // when whom to kill

	running []*process
	ends    []report
}

// recovery is how long those that are left go on after the last kill: they take the
// leases of the dead over.
const recovery = 15 * time.Second

// wage keeps fleetSize processes running, kills them until the time is over, and lets the
// last ones recover.
func (w *war) wage(d time.Duration) {
	ctx, cancel := context.WithTimeout(w.t.Context(), d+recovery)
	defer cancel()
	targets := make(chan string, 1)
	var exchanges atomic.Int64
	w.provider.onArrival(func(process string) {
		if exchanges.Add(1)%60 == 0 {
			select {
			case targets <- process: // killed within the exchange's latency, or within the save
			default:
			}
		}
	})
	for range fleetSize {
		w.running = append(w.running, w.start(w.t, true))
	}
	repair := time.NewTicker(500 * time.Millisecond)
	defer repair.Stop()
	next := time.NewTimer(w.killPause())
	defer next.Stop()
	peace := time.NewTimer(d)
	defer peace.Stop()
	aims := (<-chan string)(targets)
	for {
		select {
		case <-ctx.Done():
			return
		case <-peace.C:
			next.Stop()
			aims = nil
		case <-repair.C:
			w.reconnect()
		case name := <-aims:
			time.Sleep(time.Duration(w.random.Int64N(int64(200 * time.Millisecond))))
			w.kill(name)
		case <-next.C:
			w.kill("")
			next.Reset(w.killPause())
		}
	}
}

// killPause lets a process live for some seconds, as long as it takes to take a lease
// over.
func (w *war) killPause() time.Duration {
	return time.Second + time.Duration(w.random.Int64N(int64(2*time.Second)))
}

// kill ends the process of that name, or any, and starts another one.
func (w *war) kill(name string) {
	i := w.random.IntN(len(w.running))
	for n, p := range w.running {
		if p.name == name {
			i = n
		}
	}
	p := w.running[i]
	if name != "" && p.name != name {
		return // dead already
	}
	w.fleet.mu.Lock()
	w.dead[p.name] = time.Now()
	w.fleet.mu.Unlock()
	w.tell(p.name + " is killed")
	require.NoError(w.t, p.cmd.Process.Signal(syscall.SIGKILL))
	for range p.reports {
	}
	err := p.cmd.Wait()
	require.ErrorContains(w.t, err, "signal: killed", "%s ended by itself: %s", p.name, p.stderr.String())
	w.running[i] = w.start(w.t, true)
}

// settle ends the processes as a deploy does, and has one more find out about each
// account.
func (w *war) settle() {
	w.ends = stopAll(w.t, w.running)
	cfg := w.cfg
	cfg.Name = "the last process"
	source, _, err := cfg.source(w.tokens, nil)
	require.NoError(w.t, err)
	var group sync.WaitGroup
	outcomes := make([]error, w.cfg.Doctors)
	for n := range outcomes {
		group.Go(func() { outcomes[n] = patiently(w.t.Context(), source, doctorKey(n)) })
	}
	group.Wait()
	require.NoError(w.t, source.Shutdown(w.t.Context()))
	for n, err := range outcomes {
		if !errors.Is(err, telemed.ErrReconnect) {
			require.NoError(w.t, err)
			w.wantLive(doctorKey(n))
		}
	}
	w.reconnect()
	for n := range outcomes {
		w.wantLive(doctorKey(n))
	}
}

// patiently asks again while the database is too slow for a Source in haste.
func patiently(ctx context.Context, source *oauth.Source, key store.AccountID) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for {
		_, err := source.Token(ctx, key)
		if !errors.Is(err, telemed.ErrUnavailable) || ctx.Err() != nil {
			return err
		}
	}
}

// wantLive fails unless the record holds the one refresh token that the provider takes.
func (w *war) wantLive(key store.AccountID) {
	rec, err := w.tokens.Get(w.t.Context(), key)
	require.NoError(w.t, err)
	require.Equal(w.t, store.StatusActive, rec.Status)
	require.Equal(w.t, w.provider.newest(key.Subject), rec.Token.Refresh.Reveal())
}

// reconnect finds the accounts that are marked, checks that each is marked justly and
// with the true cause, and has the doctor consent again.
func (w *war) reconnect() {
	marked := map[store.AccountID]store.Record{}
	for rec, err := range w.tokens.List(w.t.Context(), store.Filter{Status: store.StatusReconnect}) {
		require.NoError(w.t, err)
		marked[rec.ID] = rec
	}
	for n := range w.cfg.Doctors {
		rec, ok := marked[doctorKey(n)]
		if !ok {
			continue
		}
		spent, ok := w.provider.spend(rec.Token.Refresh.Reveal())
		require.True(w.t, ok, "%v is marked, but its token was never spent", rec.ID)
		require.True(w.t, w.cutOff(spent) || w.cameLate(spent.spent), "%s was lost: %s\n%s", rec.ID.Subject, w.story(spent), w.history(rec.ID.Subject))
		require.True(w.t, strings.Contains(rec.Reason, "an earlier refresh may have succeeded"), "%v is marked with %q", rec.ID, rec.Reason)
		w.lost++
		w.provider.connect(w.t, w.tokens, n)
	}
}

// cutOff reports whether the process was killed between the exchange and the save. The
// kill may have come before the exchange arrived: what a process has written to its
// socket outlives it, but not by much.
func (w *war) cutOff(e exchange) bool {
	at, dead := w.killed(e.process)
	return dead && e.arrived.Before(at.Add(inFlight)) && !w.hasSaved(e.process, w.doctor(e.spent), e.arrived) &&
		(w.cfg.Spool == "" || e.answered.IsZero() || at.Before(e.answered.Add(onDisk)))
}

// onDisk is how long an answer may take to be read and spooled, on a machine that is busy.
const onDisk = 300 * time.Millisecond

// answered returns the exchanges that were cut off when the process had their answer.
func (w *war) answered() (found []exchange) {
	for _, e := range w.cut() {
		if at, _ := w.killed(e.process); !e.answered.IsZero() && at.After(e.answered.Add(onDisk)) {
			found = append(found, e)
		}
	}
	return found
}

// inFlight is how long a request may wait to be read, on a machine that is busy.
const inFlight = time.Second

// story tells what became of an exchange, for a failure's message.
func (w *war) story(e exchange) string {
	at, dead := w.killed(e.process)
	saved := w.hasSaved(e.process, w.doctor(e.spent), e.arrived)
	if !dead {
		return fmt.Sprintf("spent by %s, which was never killed and saved: %t", e.process, saved)
	}
	return fmt.Sprintf("spent by %s, which was killed %v later and saved: %t", e.process, at.Sub(e.arrived), saved)
}

func (w *war) doctor(token string) string {
	w.provider.mu.Lock()
	defer w.provider.mu.Unlock()
	return w.provider.owner[token]
}

// cut returns the exchanges whose new token nobody has saved.
func (w *war) cut() []exchange {
	w.provider.mu.Lock()
	ledger := append([]exchange(nil), w.provider.ledger...)
	w.provider.mu.Unlock()
	var found []exchange
	for _, e := range ledger {
		if e.issued != "" && w.cutOff(e) {
			found = append(found, e)
		}
	}
	return found
}

// judge looks at every token that was sent after it was spent.
func (w *war) judge() {
	reuses := w.provider.reuses()
	require.Len(w.t, reuses, w.provider.fake.Reuses(), "the ledger and the provider disagree")
	for _, pair := range reuses {
		first, again := pair[0], pair[1]
		if w.cameLate(first.spent) {
			continue
		}
		require.True(w.t, w.cutOff(first), "a token of %s was %s; and was spent again by %s", w.doctor(first.spent), w.story(first), again.process)
		at, _ := w.killed(first.process)
		require.True(w.t, again.arrived.After(at), "a token of %s was sent by %s while %s was alive", w.doctor(first.spent), again.process, first.process)
	}
}

// tally sums up what the processes report that were not killed.
func (w *war) tally() (served, failed int) {
	for _, end := range w.ends {
		served += end.Served
		failed += len(end.Failed)
		for _, text := range end.Failed {
			require.Regexp(w.t, "the token could not be leased|the next token waits to be saved|provider unavailable(: context deadline exceeded)?$", text,
				"a kill excuses no other failure, nor does a busy machine")
		}
	}
	require.Greater(w.t, served, failed, "most calls must be served")
	return served, failed
}

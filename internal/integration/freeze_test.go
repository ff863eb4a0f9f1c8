package integration_test

import (
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
)

// A process is frozen for longer than an exchange may take, and for less than its lease
// lives.
const (
	frozenLease = 8 * time.Second
	frozenFor   = hastyTime + 1500*time.Millisecond
	// frozenLong is longer than it takes to take a lease over.
	frozenLong = 2*frozenLease + 4*time.Second
)

// TestS1FrozenProcess freezes processes with SIGSTOP in the middle of exchanges, as
// docker pause does and a function platform between two requests. The answer comes while
// nobody runs, and lies in the socket. Nothing may be lost by that, nor spent twice.
func TestS1FrozenProcess(t *testing.T) {
	t.Parallel()
	for _, d := range databases[:2] {
		for _, processes := range []int{1, fleetSize} {
			for _, kills := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%d/kills=%t", d.name, processes, kills), func(t *testing.T) {
					t.Parallel()
					f := newFrost(t, d, processes, kills)
					f.freeze(int(max(*killFor/(20*time.Second), 3)), frozenFor) // the third freezes all
					inFlight := f.inFlight
					served := f.thaw()
					require.Empty(t, f.provider.reuses(), "a spent token was presented")
					require.Empty(t, f.outcomes(), "accounts were lost")
					t.Logf("%d exchanges were answered to frozen processes; %d refreshes; %d calls served", inFlight, f.provider.fake.Refreshes(), served)
					require.Positive(t, inFlight, "no freeze has hit an exchange: nothing is proved")
				})
			}
		}
	}
}

// TestFrozenForLonger freezes one of four processes until others take its leases over.
// What that costs at a provider that ends a grant on reuse is measured, not forbidden; the
// record must say why.
func TestFrozenForLonger(t *testing.T) {
	t.Parallel()
	for _, kills := range []bool{false, true} {
		t.Run(fmt.Sprintf("kills=%t", kills), func(t *testing.T) {
			t.Parallel()
			f := newFrost(t, databases[0], fleetSize, kills)
			f.alone = true
			f.freeze(1, frozenLong)
			inFlight := f.inFlight
			f.thaw()
			lost := f.outcomes()
			t.Logf("%d exchanges were answered to a process frozen for %v: %d tokens presented again, %d accounts lost",
				inFlight, frozenLong, len(f.provider.reuses()), len(lost))
			for key, reason := range lost {
				require.Contains(t, reason, "an earlier refresh may have succeeded", "%s:\n%s", key.Subject, f.history(key.Subject))
			}
			require.True(t, kills || len(lost) == 0, "this provider forgives, and the answer was there in the end")
		})
	}
}

// TestFrozenAlone freezes the only process for as long: nobody takes anything over, so
// that nothing may be lost whatever the provider does.
func TestFrozenAlone(t *testing.T) {
	t.Parallel()
	f := newFrost(t, databases[0], 1, true)
	f.freeze(1, frozenLong)
	f.thaw()
	require.Empty(t, f.provider.reuses(), "a spent token was presented")
	require.Empty(t, f.outcomes(), "accounts were lost")
}

// frost is a fleet that is frozen now and then.
type frost struct {
	*fleet
	*testing.T
	running  []*process
	inFlight int
	alone    bool // freeze one process at a time, never all
}

func newFrost(t *testing.T, d database, processes int, kills bool) *frost {
	t.Helper()
	f := &frost{T: t, fleet: newFleet(t, d, 3*time.Second, 200*time.Millisecond, 30)}
	f.cfg.Exchange, f.cfg.Lease = hastyTime, frozenLease
	f.provider.mu.Lock()
	f.provider.kills = kills
	f.provider.mu.Unlock()
	for range processes {
		f.running = append(f.running, f.start(t, true))
	}
	return f
}

// freeze stops a process n times, each time when its exchange arrives; every third time
// it stops all of them.
func (f *frost) freeze(n int, d time.Duration) {
	for i := range n {
		time.Sleep(time.Second)
		name := f.nextExchange()
		time.Sleep(50 * time.Millisecond) // more follow, for the tokens expire together
		begin := time.Now()
		var frozen []*process
		for _, p := range f.running {
			if p.name == name || !f.alone && i%3 == 2 {
				frozen = append(frozen, p)
				require.NoError(f, p.cmd.Process.Signal(syscall.SIGSTOP))
				f.tell(p.name + " is frozen")
			}
		}
		time.Sleep(d)
		f.inFlight += f.provider.answeredSince(begin, frozen)
		for _, p := range frozen {
			f.tell(p.name + " goes on")
			require.NoError(f, p.cmd.Process.Signal(syscall.SIGCONT))
		}
	}
}

// nextExchange returns the process whose exchange arrives next.
func (f *frost) nextExchange() string {
	arrived := make(chan string, 1)
	f.provider.onArrival(func(process string) {
		select {
		case arrived <- process:
		default:
		}
	})
	defer f.provider.onArrival(nil)
	select {
	case name := <-arrived:
		return name
	case <-f.Context().Done():
		return ""
	}
}

// thaw lets the processes go on for a while and ends them as a deploy does.
func (f *frost) thaw() (served int) {
	time.Sleep(frozenLease)
	for _, end := range stopAll(f.T, f.running) {
		served += end.Served
		for _, text := range end.Failed {
			require.Regexp(f, "the token could not be leased|the next token waits to be saved|provider unavailable(: context deadline exceeded)?$", text,
				"a freeze excuses no other failure, nor does a busy machine")
		}
	}
	return served
}

// outcomes has one more process ask for each token, and returns why which accounts are
// lost. Of all others the store has the one refresh token that the provider takes.
func (f *frost) outcomes() map[store.AccountID]string {
	cfg := f.cfg
	cfg.Name = "the last process"
	source, _, err := cfg.source(f.tokens, nil)
	require.NoError(f, err)
	lost := map[store.AccountID]string{}
	for n := range f.cfg.Doctors {
		key := doctorKey(n)
		err := patiently(f.Context(), source, key)
		rec, readErr := f.tokens.Get(f.Context(), key)
		require.NoError(f, readErr)
		if errors.Is(err, telemed.ErrReconnect) {
			lost[key] = rec.Reason
			continue
		}
		require.NoError(f, err)
		require.Equal(f, f.provider.newest(key.Subject), rec.Token.Refresh.Reveal())
	}
	require.NoError(f, source.Shutdown(f.Context()))
	return lost
}

// onArrival sets what is told of each exchange before it is done.
func (p *provider) onArrival(arrived func(process string)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.arrived = arrived
}

// answeredSince counts the exchanges that were answered to some processes.
func (p *provider) answeredSince(begin time.Time, processes []*process) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.ledger {
		for _, process := range processes {
			if e.process == process.name && e.answered.After(begin) {
				n++
			}
		}
	}
	return n
}

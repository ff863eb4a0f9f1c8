package paymentstest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/telemed-go/telemed/payments"
)

// RunDeduper checks a payments.Deduper against its contract. newDeduper is
// called once for each subtest and returns one with nothing in it; the subtests run in parallel.
func RunDeduper(t *testing.T, newDeduper func(t *testing.T) payments.Deduper) {
	for name, check := range map[string]func(*dedupeSuite){
		"what is claimed is in flight":         (*dedupeSuite).inFlight,
		"what is completed is done":            (*dedupeSuite).done,
		"what is released is free":             (*dedupeSuite).released,
		"a claim takes all keys or none":       (*dedupeSuite).allOrNone,
		"done counts for more than in flight":  (*dedupeSuite).doneFirst,
		"a lease runs out":                     (*dedupeSuite).lease,
		"done is forgotten after its time":     (*dedupeSuite).forgotten,
		"only one of many claims is new":       (*dedupeSuite).race,
		"crossed keys do not block each other": (*dedupeSuite).crossed,
		"a context that ended is heard":        (*dedupeSuite).cancelled,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(&dedupeSuite{t, newDeduper(t)})
		})
	}
}

type dedupeSuite struct {
	*testing.T
	d payments.Deduper
}

// The times of the checks: long is longer than any test, short is waited for.
const (
	long    = time.Hour
	short   = 20 * time.Millisecond
	patient = 10 * time.Second
)

func (s *dedupeSuite) claim(lease time.Duration, want payments.ClaimState, keys ...string) string {
	s.Helper()
	c, err := s.d.Claim(s.Context(), keys, lease)
	s.ok(err, "Claim")
	if c.State != want {
		s.Fatalf("Claim %v: got %q, want %q", keys, c.State, want)
	}
	if want == payments.ClaimNew && c.Token == "" {
		s.Fatalf("Claim %v: a new claim has no token", keys)
	}
	return c.Token
}

func (s *dedupeSuite) ok(err error, doing string) {
	s.Helper()
	if err != nil {
		s.Fatalf("%s: %v", doing, err)
	}
}

// becomesNew claims until the keys are free again.
func (s *dedupeSuite) becomesNew(keys ...string) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), patient)
	defer cancel()
	for {
		c, err := s.d.Claim(ctx, keys, long)
		s.ok(err, "Claim")
		if c.State == payments.ClaimNew {
			return
		}
		select {
		case <-time.After(short / 4):
		case <-ctx.Done():
			s.Fatalf("Claim %v: still %q after %v", keys, c.State, patient)
		}
	}
}

func (s *dedupeSuite) inFlight() {
	s.claim(long, payments.ClaimNew, "a", "b")
	s.claim(long, payments.ClaimInFlight, "a", "b")
	s.claim(long, payments.ClaimInFlight, "b")
	s.claim(long, payments.ClaimNew, "c")
}

func (s *dedupeSuite) done() {
	token := s.claim(long, payments.ClaimNew, "a", "b")
	s.ok(s.d.Complete(s.Context(), []string{"a", "b"}, long), "Complete")
	s.claim(long, payments.ClaimDone, "a")
	s.claim(long, payments.ClaimDone, "b")
	s.ok(s.d.Release(s.Context(), []string{"a", "b"}, token), "Release of what is done")
	s.claim(long, payments.ClaimDone, "a")
	s.ok(s.d.Complete(s.Context(), []string{"never claimed"}, long), "Complete after the lease ran out")
	s.claim(long, payments.ClaimDone, "never claimed")
}

func (s *dedupeSuite) released() {
	first := s.claim(long, payments.ClaimNew, "a", "b")
	s.ok(s.d.Release(s.Context(), []string{"a", "b"}, first), "Release")
	s.claim(long, payments.ClaimNew, "a", "b")
	s.ok(s.d.Release(s.Context(), []string{"a", "b"}, first), "Release by the former holder")
	s.claim(long, payments.ClaimInFlight, "a")
	s.ok(s.d.Release(s.Context(), []string{"a", "b", "unheard of"}, ""), "Release without a token")
	s.claim(long, payments.ClaimInFlight, "b")
}

func (s *dedupeSuite) allOrNone() {
	s.claim(long, payments.ClaimNew, "b")
	s.claim(long, payments.ClaimInFlight, "a", "b", "c")
	s.claim(long, payments.ClaimNew, "a")
	s.claim(long, payments.ClaimNew, "c")
}

func (s *dedupeSuite) doneFirst() {
	s.claim(long, payments.ClaimNew, "flight")
	s.ok(s.d.Complete(s.Context(), []string{"done"}, long), "Complete")
	s.claim(long, payments.ClaimDone, "flight", "done")
	s.claim(long, payments.ClaimDone, "done", "flight")
}

func (s *dedupeSuite) lease() {
	s.claim(short, payments.ClaimNew, "a") // and its holder dies
	s.becomesNew("a")
}

func (s *dedupeSuite) forgotten() {
	s.ok(s.d.Complete(s.Context(), []string{"a"}, short), "Complete")
	s.becomesNew("a")
}

func (s *dedupeSuite) race() {
	var won atomic.Int32
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			c, err := s.d.Claim(s.Context(), []string{"body", fmt.Sprint("evt", i)}, long)
			if err != nil {
				s.Errorf("Claim: %v", err)
			}
			if c.State == payments.ClaimNew {
				won.Add(1)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		s.Errorf("%d claims were new, want 1", won.Load())
	}
}

// crossed is where locks that are taken in the order of the keys deadlock.
func (s *dedupeSuite) crossed() {
	var won atomic.Int32
	var wg sync.WaitGroup
	for i := range 32 {
		keys := []string{"a", "b"}
		if i%2 == 1 {
			keys = []string{"b", "a"}
		}
		wg.Go(func() {
			c, err := s.d.Claim(s.Context(), keys, long)
			if err != nil {
				s.Errorf("Claim: %v", err)
			}
			if c.State == payments.ClaimNew {
				won.Add(1)
			}
		})
	}
	wg.Wait()
	if won.Load() > 1 {
		s.Errorf("%d claims were new, want at most 1", won.Load())
	}
}

func (s *dedupeSuite) cancelled() {
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	if c, err := s.d.Claim(ctx, []string{"a"}, long); err == nil {
		s.Errorf("Claim: got %q and no error", c.State)
	}
}

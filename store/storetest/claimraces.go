package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
)

// claimants is how many goroutines want one key.
const claimants = 16

func oneWinner(c *claimsTest) {
	for round := range 10 {
		key := fmt.Sprint("key-", round)
		var winners []string
		c.race(func(worker int, won func(string)) error {
			claim, err := c.handle(worker).Claim(c.Context(), key, long)
			switch {
			case err != nil:
				return err
			case claim.State == store.ClaimNew:
				won(claim.Token)
			case claim.State != store.ClaimBusy:
				return fmt.Errorf("beside others a Claim is %q", claim.State)
			}
			return nil
		}, &winners)
		if len(winners) != 1 {
			c.Fatalf("%d of %d won a key, want 1", len(winners), claimants)
		}
		c.complete(key, winners[0], "value", long)
		c.wantDone(key, winners[0], "value")
	}
}

// oneTakesOver has all want a key at the moment in which its lease runs out.
func oneTakesOver(c *claimsTest) {
	for round := range 5 {
		key := fmt.Sprint("key-", round)
		began := timed(func() { c.wantNew(key, 20*time.Millisecond) })
		var winners []string
		c.race(func(worker int, won func(string)) error {
			for {
				claim, err := c.handle(worker).Claim(c.Context(), key, long)
				if err == nil && claim.State == store.ClaimNew {
					won(claim.Token)
				}
				if err != nil || claim.State == store.ClaimNew || time.Since(began.answered) > short {
					return err
				}
			}
		}, &winners)
		if len(winners) != 1 {
			c.Fatalf("%d of %d took a key over, want 1", len(winners), claimants)
		}
		c.complete(key, winners[0], "value", long)
	}
}

// comesAndGoes has all use a key as a lock, one after the other: it is there at one moment
// and gone at the next. One has it at a time, and nobody hears of an error.
func comesAndGoes(c *claimsTest) {
	const turns = 4
	var holders atomic.Int32
	began := time.Now()
	together(c.T, claimants, func(worker int) error {
		for turn := 0; turn < turns; {
			claim, err := c.handle(worker).Claim(c.Context(), "lock", long)
			switch {
			case err != nil:
				return err
			case claim.State == store.ClaimBusy && time.Since(began) > 30*patience:
				return errors.New("nobody gives the key back")
			case claim.State == store.ClaimBusy:
				time.Sleep(rand.N(pause))
				continue
			}
			alone := holders.Add(1) == 1
			turn++
			time.Sleep(rand.N(pause))
			holders.Add(-1)
			if err := c.handle(worker).Release(c.Context(), "lock", claim.Token); err != nil {
				return err
			}
			if !alone {
				return errors.New("two hold a key at once")
			}
		}
		return nil
	})
}

// completedOrTakenOver has a holder that is late meet one that takes over: either the one
// has done it, or the other may.
func completedOrTakenOver(c *claimsTest) {
	for round := range 20 {
		key := fmt.Sprint("key-", round)
		var late string
		began := timed(func() { late = c.wantNew(key, time.Millisecond) })
		passed(began, time.Millisecond)
		var (
			completed bool
			winners   []string
		)
		gate := make(chan struct{})
		if round%2 == 0 {
			close(gate)
		}
		c.race(func(worker int, won func(string)) error {
			if worker == 0 {
				if round%2 != 0 {
					close(gate) // the holder has a head start
				}
				err := c.handle(0).Complete(c.Context(), key, late, []byte("late"), long)
				completed = err == nil
				if errors.Is(err, telemed.ErrConflict) {
					return nil
				}
				return err
			}
			<-gate
			claim, err := c.handle(worker).Claim(c.Context(), key, long)
			if err == nil && claim.State == store.ClaimNew {
				won(claim.Token)
			}
			return err
		}, &winners)
		switch {
		case completed && len(winners) == 0:
			c.wantDone(key, late, "late")
		case !completed && len(winners) == 1:
			c.wantBusy(key)
			c.complete(key, winners[0], "value", long)
		default:
			c.Fatalf("the holder completed: %t, and %d took over", completed, len(winners))
		}
	}
}

// race has all claimants work at once and gathers what they won.
func (c *claimsTest) race(work func(worker int, won func(string)) error, winners *[]string) {
	c.Helper()
	var mu sync.Mutex
	won := func(token string) {
		mu.Lock()
		defer mu.Unlock()
		*winners = append(*winners, token)
	}
	together(c.T, claimants, func(worker int) error { return work(worker, won) })
}

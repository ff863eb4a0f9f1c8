package webhook

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
)

const (
	// lease is how long a claim outlives a process that died with it.
	lease = time.Minute
	// renewEvery is how often the claim of a handler that still runs is renewed.
	renewEvery = lease / 3
	// freed is how long a renewed claim that is given back stays; it cannot be less.
	freed = time.Millisecond
)

// The values of a claim that is Done by store.Claims' word.
var (
	valueDone    []byte              // the event was handled
	valueRunning = []byte("running") // a handler still runs; the claim was renewed
	valueFreed   = []byte("freed")   // it failed; the claim is over in a moment
)

// bookTime is how long a call of Claims may take after the event was handled.
const bookTime = 5 * time.Second

// hold is the claim on all keys of one event.
//
// store.Claims has no call that makes a lease longer. Complete does it: it keeps a value
// for as long as it is told, and a claim that is Done can be completed again by its
// token. So a claim is Busy until renewEvery; after that it is Done with the value
// "running" for another lease, again and again, until the handler returns. Whoever claims
// the key reads the value.
type hold struct {
	claims store.Claims
	keys   []heldKey

	stop     chan struct{}
	renewing sync.WaitGroup
	renewed  bool // written by renew, read after renewing.Wait
}

type heldKey struct{ key, token string }

// claim takes all keys of an event, sorted, or none of them. The hold is not nil if the
// state is ClaimNew; it must be completed or released.
func (d *Door) claim(ctx context.Context, e *Event) (*hold, store.ClaimState, error) {
	h := &hold{claims: d.cfg.Claims, stop: make(chan struct{})}
	for _, key := range d.claimKeys(e.Keys) {
		claim, err := h.claims.Claim(ctx, key, lease)
		if err != nil || claim.State != store.ClaimNew {
			return nil, stateOf(claim), errors.Join(err, h.giveBack(ctx))
		}
		h.keys = append(h.keys, heldKey{key, claim.Token})
	}
	h.renewing.Go(func() { h.renew(context.WithoutCancel(ctx)) })
	return h, store.ClaimNew, nil
}

// claimKeys returns the names under which an event is claimed. What cannot be a claim's
// key, or is long, is claimed by its digest.
func (d *Door) claimKeys(keys []string) []string {
	names := make([]string, 0, len(keys))
	for _, key := range keys {
		if len(key) > store.MaxClaimKey/2 || !utf8.ValidString(key) || strings.ContainsFunc(key, unicode.IsControl) {
			key = "sha256:" + Digest([]byte(key))
		}
		names = append(names, d.cfg.Provider+":webhook:"+key)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func stateOf(claim store.Claim) store.ClaimState {
	if claim.State == store.ClaimDone && len(claim.Value) > 0 {
		return store.ClaimBusy
	}
	return claim.State
}

// renew keeps the claim until the handler has returned.
func (h *hold) renew(ctx context.Context) {
	ticker := time.NewTicker(renewEvery)
	defer ticker.Stop()
	for {
		select {
		case <-h.stop:
			return
		case <-ticker.C:
		}
		h.renewed = true
		ctx, cancel := context.WithTimeout(ctx, bookTime)
		err := h.write(ctx, valueRunning, lease)
		cancel()
		if errors.Is(err, telemed.ErrConflict) {
			return // somebody else has it: this process stood still for longer than the lease
		}
	}
}

// end stops renewing and waits until no renewal is on its way: it must not come after
// what complete or release write.
func (h *hold) end() {
	close(h.stop)
	h.renewing.Wait()
}

// complete marks the event as done.
func (h *hold) complete(ctx context.Context, keep time.Duration) error {
	h.end()
	return h.write(ctx, valueDone, keep)
}

// release leaves the event to the next delivery.
func (h *hold) release(ctx context.Context) error {
	h.end()
	if h.renewed {
		return h.write(ctx, valueFreed, freed)
	}
	return h.giveBack(ctx)
}

// write completes all keys with a value.
func (h *hold) write(ctx context.Context, value []byte, keep time.Duration) error {
	var errs []error
	for _, k := range h.keys {
		errs = append(errs, h.claims.Complete(ctx, k.key, k.token, value, keep))
	}
	return errors.Join(errs...)
}

// giveBack releases all keys, also if ctx has ended.
func (h *hold) giveBack(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), bookTime)
	defer cancel()
	var errs []error
	for _, k := range h.keys {
		errs = append(errs, h.claims.Release(ctx, k.key, k.token))
	}
	return errors.Join(errs...)
}

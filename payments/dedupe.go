package payments

import (
	"container/list"
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"time"

	"github.com/telemed-go/telemed"
)

// Deduper remembers which webhooks were handled. It works in two phases, so
// that a webhook whose handler fails is handled again when it is redelivered,
// while one that is being handled is not begun a second time.
//
// An implementation is safe for concurrent use and its Claim is atomic over all
// keys: a unique insert in a database, SETNX in Redis. A host with more than one
// process needs one that they share; [MemoryDeduper] is for a single process.
// paymentstest.RunDeduper checks one.
type Deduper interface {
	// Claim takes all keys for the length of lease, or none of them. The state
	// says which: ClaimDone if any key is completed, else ClaimInFlight if
	// another claim holds any of them and its lease has not run out, else ClaimNew.
	Claim(ctx context.Context, keys []string, lease time.Duration) (Claim, error)
	// Complete remembers keys as done for ttl. It also works after the lease ran
	// out: what is done is done.
	Complete(ctx context.Context, keys []string, ttl time.Duration) error
	// Release gives back the keys that are still held under token. Keys that
	// are done, or held by somebody else by now, are left alone.
	Release(ctx context.Context, keys []string, token string) error
}

// Claim is the answer to a claim.
type Claim struct {
	State ClaimState
	// Token proves a ClaimNew when it is released.
	Token string
}

// ClaimState says whether the caller may go on.
type ClaimState string

// The claim states.
const (
	ClaimNew      ClaimState = "new"       // the keys are the caller's: go on, then Complete or Release
	ClaimInFlight ClaimState = "in-flight" // another delivery is being handled right now
	ClaimDone     ClaimState = "done"      // it was handled before
)

// DefaultMemory is how many keys a MemoryDeduper holds if it is not told.
const DefaultMemory = 100_000

// MemoryDeduper is a Deduper in the memory of one process. It forgets at a
// restart, and it forgets the oldest key that is done when it is full: hold the
// host's own state against [Event.Fact] as well. It is safe for concurrent use.
type MemoryDeduper struct {
	max int

	mu     sync.Mutex
	byKey  map[string]*list.Element
	oldest *list.List // of *entry, in the order of their last change
}

type entry struct {
	key   string
	token string // empty when done
	until time.Time
}

// NewMemoryDeduper returns an empty MemoryDeduper that holds at most maxKeys
// keys; a webhook has two. If 0 or less, DefaultMemory.
func NewMemoryDeduper(maxKeys int) *MemoryDeduper {
	if maxKeys <= 0 {
		maxKeys = DefaultMemory
	}
	return &MemoryDeduper{max: maxKeys, byKey: map[string]*list.Element{}, oldest: list.New()}
}

// Len returns how many keys are held, those that ran out but were not yet cleared included.
func (d *MemoryDeduper) Len() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.oldest.Len()
}

// Claim implements Deduper. It is telemed.ErrUnavailable if all the room is taken by claims in flight.
func (d *MemoryDeduper) Claim(ctx context.Context, keys []string, lease time.Duration) (Claim, error) {
	if err := ctx.Err(); err != nil {
		return Claim{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	if state := d.state(keys, now); state != ClaimNew {
		return Claim{State: state}, nil
	}
	if !d.makeRoom(len(keys), now) {
		return Claim{}, fmt.Errorf("payments: deduper is full of claims in flight: %w", telemed.ErrUnavailable)
	}
	token := rand.Text()
	for _, key := range keys {
		d.put(entry{key: key, token: token, until: now.Add(lease)})
	}
	return Claim{State: ClaimNew, Token: token}, nil
}

// Complete implements Deduper.
func (d *MemoryDeduper) Complete(ctx context.Context, keys []string, ttl time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	for _, key := range keys {
		d.put(entry{key: key, until: now.Add(ttl)})
	}
	d.makeRoom(0, now)
	return nil
}

// Release implements Deduper.
func (d *MemoryDeduper) Release(_ context.Context, keys []string, token string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, key := range keys {
		if element, ok := d.byKey[key]; ok && token != "" && element.Value.(*entry).token == token {
			d.drop(element)
		}
	}
	return nil
}

func (d *MemoryDeduper) state(keys []string, now time.Time) ClaimState {
	state := ClaimNew
	for _, key := range keys {
		element, ok := d.byKey[key]
		if !ok || !now.Before(element.Value.(*entry).until) {
			continue
		}
		if element.Value.(*entry).token == "" {
			return ClaimDone
		}
		state = ClaimInFlight
	}
	return state
}

// makeRoom drops what ran out, then the oldest that are done, until n more fit.
func (d *MemoryDeduper) makeRoom(n int, now time.Time) bool {
	for element := d.oldest.Front(); element != nil; {
		next, e := element.Next(), element.Value.(*entry)
		expired, full := !now.Before(e.until), d.oldest.Len()+n > d.max
		if !expired && !full {
			break
		}
		if expired || e.token == "" {
			d.drop(element)
		}
		element = next
	}
	return d.oldest.Len()+n <= d.max
}

func (d *MemoryDeduper) put(e entry) {
	if old, ok := d.byKey[e.key]; ok {
		d.drop(old)
	}
	d.byKey[e.key] = d.oldest.PushBack(&e)
}

func (d *MemoryDeduper) drop(element *list.Element) {
	delete(d.byKey, element.Value.(*entry).key)
	d.oldest.Remove(element)
}

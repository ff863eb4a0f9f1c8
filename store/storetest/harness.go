package storetest

import (
	"io"
	"testing"

	"github.com/telemed-go/telemed/store"
)

// way is the way in which a clause gets at what it checks.
type way string

const (
	oneHandle      way = "one handle"
	severalHandles way = "several handles"
	restarts       way = "restarts"
)

// handles is how many handles stand for the processes of an application.
const handles = 3

// harness opens the handles for one run of a clause.
type harness[H any] struct {
	*testing.T
	way   way
	open  func() H
	live  []H
	calls int
	lent  bool // whoever opened the handle closes it
}

func newHarness[H any](t *testing.T, way way, open func() H) *harness[H] {
	h := &harness[H]{T: t, way: way, open: open}
	t.Cleanup(h.closeAll)
	n := 1
	if way == severalHandles {
		n = handles
	}
	for range n {
		h.live = append(h.live, open())
	}
	return h
}

func (h *harness[H]) closeAll() {
	for _, handle := range h.live {
		h.close(handle)
	}
	h.live = nil
}

func (h *harness[H]) close(handle H) {
	if closer, ok := any(handle).(io.Closer); ok && !h.lent {
		if err := closer.Close(); err != nil {
			h.Errorf("Close: %v", err)
		}
	}
}

// next returns the handle for one more call. Where there are several, one of them is
// replaced now and then, as in a deployment: what it has opened and closed is its own.
func (h *harness[H]) next() H {
	h.calls++
	switch {
	case h.way == restarts && h.early():
		h.closeAll()
		h.live = []H{h.open()}
	case h.way == severalHandles && h.early() && h.calls%5 == 0:
		one := &h.live[(h.calls+1)%handles]
		h.close(*one)
		*one = h.open()
	}
	return h.handle(h.calls)
}

// early picks the first calls of a clause, and few of the later ones if it has many.
func (h *harness[H]) early() bool { return h.calls < 16 || h.calls%16 == 0 }

// handle returns the handle of a worker of a race.
func (h *harness[H]) handle(worker int) H { return h.live[worker%len(h.live)] }

// clause is one sentence of a contract. T is one run of it.
type clause[T any] struct {
	name string
	race bool // runs once, from many goroutines
	run  func(T)
}

// runClauses runs each clause in a subtest of its own, in each of the three ways.
func runClauses[H, T any](t *testing.T, clauses []clause[T], open func(*testing.T) func() H, run func(*harness[H], clause[T])) {
	t.Helper()
	for _, clause := range clauses {
		t.Run(clause.name, func(t *testing.T) {
			if clause.race {
				run(newHarness(t, severalHandles, open(t)), clause)
				return
			}
			for _, way := range []way{oneHandle, severalHandles, restarts} {
				t.Run(string(way), func(t *testing.T) { run(newHarness(t, way, open(t)), clause) })
			}
		})
	}
}

// runTokens runs a clause of TokenStore, with other accounts beside it.
func runTokens(h *harness[store.TokenStore], clause clause[*tokensTest]) {
	c := &tokensTest{harness: h, seen: map[string]bool{}}
	h.Cleanup(c.neighbours.wait)
	clause.run(c)
	c.wantNeighbours()
}

func runClaims(h *harness[store.Claims], clause clause[*claimsTest]) { clause.run(&claimsTest{h}) }

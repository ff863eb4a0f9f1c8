package fake

import (
	"slices"
	"sync"
)

// Errors says which calls of a double in memory fail. The zero value is ready to use. It
// is safe for concurrent use.
type Errors struct {
	mu      sync.Mutex
	planned []planned
}

type planned struct {
	op    string
	err   error
	after bool
}

// FailNext makes the next calls of op fail before they do anything, each with one of
// errs. An empty op is any. A nil error lets a call through.
func (e *Errors) FailNext(op string, errs ...error) { e.plan(op, errs, false) }

// FailAfter is FailNext for calls that do their work first: the answer is lost.
func (e *Errors) FailAfter(op string, errs ...error) { e.plan(op, errs, true) }

func (e *Errors) plan(op string, errs []error, after bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, err := range errs {
		e.planned = append(e.planned, planned{op, err, after})
	}
}

// Next returns what a call of op fails with: before it does anything, or after. At most
// one of the two is not nil.
func (e *Errors) Next(op string) (before, after error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	i := slices.IndexFunc(e.planned, func(p planned) bool { return p.op == op || p.op == "" })
	if i < 0 {
		return nil, nil
	}
	found := e.planned[i]
	e.planned = slices.Delete(e.planned, i, i+1)
	if found.after {
		return nil, found.err
	}
	return found.err, nil
}

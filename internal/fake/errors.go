package fake

import (
	"fmt"
	"slices"
	"sync"
)

// Errors says which calls of a double in memory fail. The zero value is ready to use. It
// is safe for concurrent use.
type Errors struct {
	// Kit is what the errors begin with, before the operation. If empty, they are
	// returned as they were given.
	Kit string

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

// Do carries out a call of op, unless that is to fail before it does anything. If it is
// to fail after, the answer is lost, also one that is an error.
func Do[T any](e *Errors, op string, call func() (T, error)) (T, error) {
	var none T
	planned := e.next(op)
	if planned.err != nil && !planned.after {
		return none, planned.err
	}
	answer, err := call()
	if planned.err != nil {
		return none, planned.err
	}
	return answer, err
}

func (e *Errors) next(op string) planned {
	e.mu.Lock()
	defer e.mu.Unlock()
	i := slices.IndexFunc(e.planned, func(p planned) bool { return p.op == op || p.op == "" })
	if i < 0 {
		return planned{}
	}
	found := e.planned[i]
	e.planned = slices.Delete(e.planned, i, i+1)
	if found.err != nil && e.Kit != "" {
		found.err = fmt.Errorf("%s: %s: %w", e.Kit, op, found.err)
	}
	return found
}

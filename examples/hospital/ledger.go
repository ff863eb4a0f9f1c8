package main

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/telemed-go/telemed/notify"
)

// ledger stands for the hospital's database. Readers never wait for work that is under
// way.
type ledger struct {
	mu      sync.Mutex
	order   []string // ids, oldest first
	rows    map[string]*row
	byPage  map[string]string
	byOrder map[string]string
	byForm  map[string]string
}

// row is an appointment and the right to work on it, which one goroutine has at a time.
type row struct {
	working chan struct{}
	saved   appointment // guarded by ledger.mu
}

func newLedger() *ledger {
	return &ledger{rows: map[string]*row{}, byPage: map[string]string{}, byOrder: map[string]string{}, byForm: map[string]string{}}
}

var errNoVisit = errors.New("there is no such visit")

// reserve returns the id of the visit that a form books. A form that is sent again, by a
// double click or because the answer was lost, gets the same one. A form without a key,
// "", gets a new one each time.
func (l *ledger) reserve(form string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	id, known := l.byForm[form]
	if !known {
		id = newID()
	}
	if form != "" {
		l.byForm[form] = id
	}
	return id
}

// add records a visit and returns it, or the one that has its id already.
func (l *ledger) add(a appointment) appointment {
	a.Due, a.Sent = map[string]message{}, map[string]*notify.Receipt{}
	l.mu.Lock()
	defer l.mu.Unlock()
	if r, known := l.rows[a.ID]; known {
		return r.saved.clone()
	}
	l.rows[a.ID] = &row{working: make(chan struct{}, 1), saved: a}
	l.order = append(l.order, a.ID)
	l.byPage[a.Page], l.byOrder[a.OrderID] = a.ID, a.ID
	return a.clone()
}

// work runs f on the appointment, while nobody else does. f calls save after each step
// that must not be forgotten. What is there when f returns is saved too.
func (l *ledger) work(ctx context.Context, id string, f func(a *appointment, save func()) error) error {
	l.mu.Lock()
	r, ok := l.rows[id]
	l.mu.Unlock()
	if !ok {
		return errNoVisit
	}
	select {
	case r.working <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-r.working }()
	a := l.copyOf(r)
	save := func() {
		l.mu.Lock()
		r.saved = a.clone()
		l.mu.Unlock()
	}
	defer save()
	return f(&a, save)
}

func (l *ledger) copyOf(r *row) appointment {
	l.mu.Lock()
	defer l.mu.Unlock()
	return r.saved.clone()
}

// find returns a copy of the appointment that an index names.
func (l *ledger) find(index map[string]string, name string) (appointment, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r, ok := l.rows[index[name]]
	if !ok {
		return appointment{}, errNoVisit
	}
	return r.saved.clone(), nil
}

func (l *ledger) ofPage(page string) (appointment, error)   { return l.find(l.byPage, page) }
func (l *ledger) ofOrder(order string) (appointment, error) { return l.find(l.byOrder, order) }

// all returns copies, newest first.
func (l *ledger) all() []appointment {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []appointment
	for _, id := range slices.Backward(l.order) {
		all = append(all, l.rows[id].saved.clone())
	}
	return all
}

package visittest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/meet/visit"
	"github.com/telemed-go/telemed/store/durable"
)

// book books a visit, and plans what happens to it.
func (s *schedule) book(p *Process, t *told) error {
	req := t.Request
	req.ID, req.Start = t.id, t.start
	err := p.visits.Book(p.life, req)
	switch {
	case errors.Is(err, visit.ErrTaken): // the other one was faster
		return nil
	case err != nil:
		return err
	}
	s.mu.Lock()
	t.booked = true
	s.mu.Unlock()
	if t.Pays > 0 {
		for _, again := range []time.Duration{0, 3 * time.Minute, 8 * time.Minute} {
			s.later(t.Pays+again, func(p *Process) error { return s.look(p, t) })
		}
	}
	for i, wish := range t.Wishes {
		s.later(wish.After, func(p *Process) error { return s.wish(p, t, i) })
	}
	return nil
}

// look is the patient who looks at the payment page, and pays if there is something to pay.
func (s *schedule) look(p *Process, t *told) error {
	page, err := p.visits.Checkout(p.life, t.id)
	if err != nil || page.Options == nil {
		return err
	}
	back, err := s.world.Pay(context.Background(), t.id, page.Options)
	if err != nil || back == nil {
		return err
	}
	comes := 1
	if s.random {
		comes = s.n(3)
	}
	for range comes {
		s.later(time.Duration(s.n(3000))*time.Millisecond, func(p *Process) error { return back(p.life) })
	}
	return nil
}

// wish wishes what is next of a visit, if that is not done yet.
func (s *schedule) wish(p *Process, t *told, i int) error {
	if s.nextWish(t) > i {
		return nil
	}
	return s.say(p.life, t, p.visits.WithStore(mortalRows{p, s.rows}), i)
}

// wishNow wishes what is next of some visit, before its time: in the middle of something.
func (s *schedule) wishNow(p *Process) error {
	for _, t := range s.visits {
		if i := s.nextWish(t); i < len(t.Wishes) {
			return s.say(p.life, t, p.visits.WithStore(mortalRows{p, s.rows}), i)
		}
	}
	return nil
}

// interrupt has somebody wish what is next, or a page hold the rows, in the middle of what a
// process does.
func (s *schedule) interrupt() {
	if s.number%8 == 2 {
		s.all.Go(s.openPage)
	} else {
		s.all.Go(func() { s.happen(happening{do: s.wishNow}) })
	}
	time.Sleep(time.Second)
}

// nextWish is the first of the visit's wishes that nobody has wished; there is none before it
// is booked.
func (s *schedule) nextWish(t *told) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !t.booked {
		return len(t.Wishes)
	}
	return t.next
}

func (s *schedule) say(ctx context.Context, t *told, w visit.Writer, i int) (err error) {
	wish := t.Wishes[i]
	if wish.Cancel != "" {
		err = w.Cancel(ctx, t.id, wish.Cancel)
	} else {
		err = w.Move(ctx, t.id, t.start.Add(wish.Move))
	}
	if err != nil && !isOver(err) {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t.next = max(t.next, i+1)
	return nil
}

// page is a page of the application with an open transaction: nobody else writes meanwhile.
type page struct {
	mu   sync.Mutex
	open chan struct{} // nil, or closed when it has ended
}

// wait waits until no page is open.
func (p *page) wait(ctx context.Context) error {
	for {
		p.mu.Lock()
		open := p.open
		p.mu.Unlock()
		if open == nil {
			return nil
		}
		select {
		case <-open:
		case <-ctx.Done():
			return fmt.Errorf("visittest: the rows are held by a transaction: %w: %w", telemed.ErrUnavailable, ctx.Err())
		}
	}
}

func (p *page) isOpen() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.open != nil
}

// openPage has a page of the application open its transaction, wish something if there is
// something to wish, be slow, and commit.
func (s *schedule) openPage() {
	s.page.mu.Lock()
	if s.page.open != nil {
		s.page.mu.Unlock()
		return
	}
	open := make(chan struct{})
	s.page.open = open
	s.page.mu.Unlock()
	defer func() {
		s.page.mu.Lock()
		s.page.open = nil
		s.page.mu.Unlock()
		close(open)
	}()
	tx := &transaction{rows: s.rows, written: map[durable.ID]durable.Item{}}
	wished := func() {}
	for _, t := range s.visits {
		if i := s.nextWish(t); i < len(t.Wishes) {
			before := i
			if s.say(context.Background(), t, s.observer.visits.WithStore(tx), i) != nil {
				return
			}
			s.unsay(t, before)
			wished = func() { s.unsay(t, before+1) }
			break
		}
	}
	time.Sleep(time.Duration(1+s.n(12)) * time.Second)
	if tx.commit(s) == nil {
		wished()
	}
}

func (s *schedule) unsay(t *told, next int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.next = next
}

// transaction is an open transaction over rows that nobody else writes.
type transaction struct {
	rows    rows
	written map[durable.ID]durable.Item
}

func (tx *transaction) Get(ctx context.Context, id durable.ID) (durable.Item, error) {
	if item, ok := tx.written[id]; ok {
		return item.Clone(), nil
	}
	return tx.rows.Get(ctx, id)
}

func (tx *transaction) Put(ctx context.Context, item durable.Item) (string, error) {
	old, err := tx.Get(ctx, item.ID)
	if err != nil && !errors.Is(err, telemed.ErrNotFound) {
		return "", err
	}
	if old.Revision != item.Revision {
		return "", telemed.ErrConflict
	}
	tx.written[item.ID] = item.Clone()
	return item.Revision, nil
}

func (tx *transaction) Due(ctx context.Context, q durable.Query) ([]durable.ID, error) {
	return tx.rows.Due(ctx, q)
}

// commit writes all of it, or nothing if somebody has written after all.
func (tx *transaction) commit(s *schedule) error {
	for id, item := range tx.written {
		now, err := tx.rows.Get(context.Background(), id)
		if err != nil && !errors.Is(err, telemed.ErrNotFound) {
			return err
		}
		if now.Revision != item.Revision {
			return telemed.ErrConflict
		}
	}
	for id, item := range maps.All(tx.written) {
		if _, err := tx.rows.Put(context.Background(), item); err != nil {
			return err
		}
		s.written(id)
	}
	return nil
}

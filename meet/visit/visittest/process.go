package visittest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/telemed-go/telemed/meet/visit"
)

// errDead is what a process gets that has died.
var errDead = errors.New("visittest: the process is dead")

// Process is one process of the application, until it dies. What it hands out leads to what
// outlives processes, and counts: before and after each call lies a point at which the
// process may die or stand still. Nothing goes through it after a death.
type Process struct {
	s      *schedule
	life   context.Context // ends with the process
	cancel context.CancelFunc
	run    context.CancelFunc // ends its Run, as in a deploy
	ended  chan struct{}      // closed when Run has returned

	visits   *visit.Visits
	handler  http.Handler
	shutdown func(context.Context) error
	immortal bool

	mu    sync.Mutex
	dead  bool
	thaws time.Time
}

// Handle gives the process its handler, for callbacks and webhooks; see World. Without it
// nobody answers them.
func (p *Process) Handle(h http.Handler) { p.handler = h }

// OnShutdown has end called when the process has died or was stopped, so that it leaves no
// goroutine behind. What end asks of the network fails after a death.
func (p *Process) OnShutdown(end func(context.Context) error) { p.shutdown = end }

// OnStuck is for visit.Config.OnStuck.
func (p *Process) OnStuck(stuck visit.Stuck) {
	if p.isDead() || p.immortal {
		return
	}
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	p.s.stuck = append(p.s.stuck, stuck)
}

// Point is a moment at which the process may die or stand still, for what an application has
// beside the calls that go through Process: call it before and after an effect, with a name
// that says which, and return its error. It is nil while the process lives.
func (p *Process) Point(name string) error {
	p.mu.Lock()
	frozen := time.Until(p.thaws)
	p.mu.Unlock()
	time.Sleep(frozen)
	if p.isDead() {
		return errDead
	}
	if p.immortal {
		return nil
	}
	switch p.s.step(name) {
	case fateDie:
		p.die()
		return errDead
	case fateInterrupt:
		p.s.interrupt()
	case fateStandStill:
		p.mu.Lock()
		p.thaws = time.Now().Add(standsStill)
		p.mu.Unlock()
	}
	return nil
}

// standsStill is how long a process stands still: long enough for another one to take over
// what it has in hand, at the LeaseTTL of visit.Config.Grace's default.
const standsStill = 150 * time.Second

func (p *Process) isDead() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dead
}

func (p *Process) die() {
	p.mu.Lock()
	p.dead = true
	p.mu.Unlock()
	p.cancel()
}

// around does op between two points.
func around[T any](p *Process, name string, op func() (T, error)) (T, error) {
	var none T
	if err := p.Point("before " + name); err != nil {
		return none, err
	}
	got, err := op()
	if died := p.Point("after " + name); died != nil {
		return none, died
	}
	return got, err
}

func around0(p *Process, name string, op func() error) error {
	_, err := around(p, name, func() (struct{}, error) { return struct{}{}, op() })
	return err
}

// begin builds a process and lets it run.
func (s *schedule) begin() (*Process, error) {
	p, err := s.build(false)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(p.life)
	p.run = cancel
	s.all.Go(func() {
		defer close(p.ended)
		defer p.close()
		if err := p.visits.Run(ctx); err != nil {
			s.problem("Run: %v", err)
		}
	})
	return p, nil
}

func (s *schedule) build(immortal bool) (*Process, error) {
	p := &Process{s: s, immortal: immortal, ended: make(chan struct{})}
	p.life, p.cancel = context.WithCancel(context.Background())
	visits, err := s.world.New(p)
	if err == nil && s.rows == nil {
		err = errors.New("it does not use Process.Store")
	}
	if err != nil {
		p.close()
		return nil, fmt.Errorf("visittest: New: %w", err)
	}
	p.visits = visits
	return p, nil
}

// close ends what is left of the process.
func (p *Process) close() {
	p.cancel()
	if p.shutdown != nil {
		if err := p.shutdown(context.Background()); err != nil && !p.isDead() {
			p.s.problem("shutdown: %v", err)
		}
	}
}

// any returns a process that lives, after those were started that do not.
func (s *schedule) any() (*Process, error) {
	s.starting.Lock()
	defer s.starting.Unlock()
	for i, p := range s.running {
		if p != nil && !p.isDead() {
			continue
		}
		started, err := s.begin()
		if err != nil {
			return nil, err
		}
		s.running[i] = started
	}
	return s.running[s.n(len(s.running))], nil
}

// stop is the end of all processes, as in a deploy: each finishes what is under way.
func (s *schedule) stop() {
	s.starting.Lock()
	stopped := slices.Clone(s.running)
	clear(s.running)
	s.starting.Unlock()
	for _, p := range stopped {
		if p != nil {
			p.run()
		}
	}
	for _, p := range stopped {
		if p != nil {
			<-p.ended
		}
	}
}

package visittest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/meet/visit"
	"github.com/telemed-go/telemed/store/durable"
)

// schedule is one life of some visits.
type schedule struct {
	cfg      Config
	number   int
	told     []Story
	world    *World
	rows     rows
	observer *Process
	all      sync.WaitGroup
	page     page
	random   bool

	interrupts bool   // at the target nobody dies: a page of the application is at work
	target     string // the point at which a process dies, or somebody interrupts
	kills      []int  // the operations at which one dies, stands still
	freezes    []int
	pages      []int // at which a page of the application holds the rows
	middles    []int // at which somebody wishes something
	losses     map[int]loss

	underWay atomic.Int32 // happenings
	starting sync.Mutex
	running  []*Process

	mu     sync.Mutex
	r      *rand.Rand
	ops    int
	wires  int
	count  map[string]int
	seen   map[string]bool
	harm   int // deaths, processes that stood still, and what was lost
	todo   []happening
	heard  map[string]bool // events that are on their way, and what they are of
	visits []*told
	wanted map[string][]wanted
	stuck  []visit.Stuck
	report Report
}

// told is a visit of the schedule.
type told struct {
	Story
	id     string
	start  time.Time
	booked bool
	next   int // the first of Wishes that nobody has wished
}

// wanted is what was wanted of a visit from a time on.
type wanted struct {
	at time.Time
	*visit.Visit
}

// happening is something that happens at a time, in a process.
type happening struct {
	at    time.Time
	tries int
	do    func(p *Process) error
}

type fate int

const (
	fateGoOn fate = iota
	fateDie
	fateStandStill
	fateInterrupt
)

type loss int

const (
	lostNothing loss = iota
	lostRequest
	lostAnswer
)

func newSchedule(cfg Config, number int) *schedule {
	return &schedule{
		cfg: cfg, number: number, running: make([]*Process, 1), r: rand.New(rand.NewPCG(uint64(number), 42)),
		count: map[string]int{}, seen: map[string]bool{}, heard: map[string]bool{}, wanted: map[string][]wanted{},
		report: Report{Points: map[string]int{}},
	}
}

// randomize has everything happen that may.
func (s *schedule) randomize() {
	s.random = true
	for _, i := range s.r.Perm(len(s.cfg.Stories))[:min(1+s.r.IntN(2), len(s.cfg.Stories))] {
		s.told = append(s.told, s.cfg.Stories[i])
	}
	s.running = make([]*Process, 2+s.r.IntN(3))
	most := 500 * len(s.told)
	for range s.r.IntN(4) {
		s.kills = append(s.kills, 1+s.r.IntN(most))
	}
	if s.r.IntN(2) == 0 {
		s.freezes = append(s.freezes, 1+s.r.IntN(most))
	}
	if s.r.IntN(3) == 0 {
		s.pages = append(s.pages, 1+s.r.IntN(most))
	}
	if s.r.IntN(2) == 0 {
		s.middles = append(s.middles, 1+s.r.IntN(most))
	}
	s.losses = map[int]loss{}
	for range s.r.IntN(4) {
		s.losses[1+s.r.IntN(150)] = []loss{lostRequest, lostAnswer, lostAnswer}[s.r.IntN(3)]
	}
}

// tooBusy is how many operations a schedule has at most; some hundred are usual.
const tooBusy = 50000

// step counts an operation, and says what becomes of the process at it.
func (s *schedule) step(name string) fate {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ops++
	if s.ops == tooBusy {
		s.report.NeverEnded++
		s.problemLocked("there is no end of operations")
	}
	s.count[name]++
	at := fmt.Sprintf("%s: %s %d", s.told[0].Name, name, s.count[name])
	s.seen[at] = true
	if slices.Contains(s.pages, s.ops) {
		s.all.Go(s.openPage)
	}
	if slices.Contains(s.middles, s.ops) {
		s.todo = append(s.todo, happening{at: time.Now(), do: s.wishNow})
	}
	switch {
	case at == s.target && s.interrupts:
		return fateInterrupt
	case at == s.target, slices.Contains(s.kills, s.ops):
		s.report.Points[at]++
		s.report.Kills++
		s.harm++
		return fateDie
	case slices.Contains(s.freezes, s.ops):
		s.report.Freezes++
		s.harm++
		return fateStandStill
	}
	return fateGoOn
}

// lost says what is lost of an exchange with a provider.
func (s *schedule) lost() loss {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wires++
	if s.losses[s.wires] != lostNothing {
		s.harm++
	}
	return s.losses[s.wires]
}

// pause is how long an exchange takes.
func (s *schedule) pause() time.Duration { return time.Duration(s.n(300)) * time.Millisecond }

// n is a random number below limit.
func (s *schedule) n(limit int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.r.IntN(limit)
}

func (s *schedule) problem(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.problemLocked(format, args...)
}

func (s *schedule) problemLocked(format string, args ...any) {
	names := ""
	for _, story := range s.told {
		names += " " + story.Name
	}
	how := s.target
	if s.random {
		how = "random"
	}
	s.report.Problems = append(s.report.Problems, fmt.Sprintf("schedule %d (%s:%s): %s", s.number, how, names, fmt.Sprintf(format, args...)))
}

// live lives through the schedule.
func (s *schedule) live() Report {
	time.Sleep(time.Until(time.Now().UTC().Truncate(24 * time.Hour).Add(24 * time.Hour)))
	var err error
	s.world, err = s.cfg.World(door{s})
	if err == nil {
		s.observer, err = s.build(true)
	}
	if err != nil {
		s.problem("%v", err)
		return s.report
	}
	for i, story := range s.told {
		t := &told{Story: story, id: fmt.Sprintf("visit-%06d-%d", max(s.number, 0), i), start: time.Now().Add(story.Starts)}
		s.visits = append(s.visits, t)
		s.later(time.Duration(s.n(2000*i+1))*time.Millisecond, func(p *Process) error { return s.book(p, t) })
	}
	s.goOn(time.Now().Add(40 * 24 * time.Hour))
	s.stop()
	s.all.Wait()
	s.check(context.Background())
	s.observer.close()
	if s.world.Close != nil {
		s.world.Close()
	}
	return s.report
}

// goOn lets things happen until nothing is to happen any more, or until end. While nothing
// is due nobody looks for it, which would take long.
func (s *schedule) goOn(end time.Time) {
	for {
		s.hear()
		next := s.next()
		if next.IsZero() || next.After(end) {
			return
		}
		if pause := time.Until(next); pause > idle {
			s.stop()
			time.Sleep(pause)
		}
		if _, err := s.any(); err != nil {
			s.problem("%v", err)
			return
		}
		for _, due := range s.due() {
			s.all.Go(func() { s.happen(due) })
		}
		time.Sleep(time.Duration(500+s.n(1500)) * time.Millisecond)
	}
}

// idle is for how long nothing must be due for the processes to be stopped meanwhile. What
// they have going in the background, a token that is refreshed, has ended by then.
const idle = 150 * time.Second

// maxTries is how often something is tried that fails.
const maxTries = 100

// happen has something happen in some process, and again later if that fails.
func (s *schedule) happen(h happening) {
	s.underWay.Add(1)
	defer s.underWay.Add(-1)
	p, err := s.any()
	if err == nil {
		err = h.do(p)
	}
	if err == nil {
		return
	}
	if h.tries++; h.tries == maxTries {
		s.problem("something fails again and again: %v", err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	h.at = time.Now().Add(time.Duration(3000+s.r.IntN(7000)) * time.Millisecond)
	s.todo = append(s.todo, h)
}

func (s *schedule) later(d time.Duration, do func(p *Process) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.todo = append(s.todo, happening{at: time.Now().Add(d), do: do})
}

// next is when something is to happen, zero if nothing is.
func (s *schedule) next() (next time.Time) {
	sooner := func(at time.Time) {
		if next.IsZero() || at.Before(next) {
			next = at
		}
	}
	for item := range s.rows.List(context.Background(), durable.Filter{}) {
		if !item.Due.IsZero() {
			sooner(item.Due)
		}
		if item.Lease.Owner != "" {
			sooner(time.Now())
		}
	}
	if s.underWay.Load() > 0 || s.page.isOpen() {
		sooner(time.Now())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.todo {
		sooner(h.at)
	}
	return next
}

// due takes what is to happen now, in any order.
func (s *schedule) due() (all []happening) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.todo = slices.DeleteFunc(s.todo, func(h happening) bool {
		if h.at.After(time.Now()) {
			return false
		}
		all = append(all, h)
		return true
	})
	s.r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// hear puts on their way what providers have had happen.
func (s *schedule) hear() {
	if s.world.Events == nil {
		return
	}
	for _, e := range s.world.Events() {
		if s.heard["event "+e.ID] {
			continue
		}
		s.heard["event "+e.ID] = true
		do := func(p *Process) error { return e.Do(p.life) }
		if e.Once {
			s.later(e.After, do)
			continue
		}
		for range s.comes(e) {
			s.later(e.After+time.Duration(s.n(s.late()))*time.Millisecond, do)
		}
	}
}

// late is how many milliseconds events are late at most. It is less than what evidence is
// waited for.
func (s *schedule) late() int {
	if s.random {
		return 60000
	}
	return 2000
}

// comes says how often an event comes.
func (s *schedule) comes(e Event) int {
	switch first := e.Of != "" && !s.heard["of "+e.Of]; {
	case !s.random:
		return 1
	case first:
		s.heard["of "+e.Of] = true
		return []int{1, 1, 2, 3}[s.n(4)]
	}
	return []int{0, 0, 1, 1, 2, 3}[s.n(6)]
}

// door leads to the handler of a process that lives.
type door struct{ s *schedule }

// RoundTrip implements http.RoundTripper. Who is dead by the end of it has not answered.
func (d door) RoundTrip(req *http.Request) (*http.Response, error) {
	p, err := d.s.any()
	if err != nil {
		return nil, err
	}
	if p.handler == nil {
		return nil, errors.New("visittest: nobody answers: see Process.Handle")
	}
	into := &answer{header: http.Header{}, status: http.StatusOK}
	inner := req.Clone(p.life)
	if inner.Body == nil {
		inner.Body = http.NoBody
	}
	inner.RequestURI = req.URL.RequestURI()
	p.handler.ServeHTTP(into, inner)
	if p.isDead() {
		return nil, errDead
	}
	return &http.Response{
		Status: http.StatusText(into.status), StatusCode: into.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: into.header,
		Body: io.NopCloser(&into.body), ContentLength: int64(into.body.Len()), Request: req,
	}, nil
}

// answer is an http.ResponseWriter in memory.
type answer struct {
	header http.Header
	status int
	wrote  bool
	body   bytes.Buffer
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if !a.wrote {
		a.status, a.wrote = status, true
	}
}

func (a *answer) Write(data []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(data)
}

// isOver reports whether an error is an answer, which asking again does not change.
func isOver(err error) bool {
	return errors.Is(err, telemed.ErrConflict) || errors.Is(err, telemed.ErrInvalid)
}

package realtimetest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/realtime/realtimetest"
)

// brokenJournals are journals with one fault each, the clause that must find it, and what
// it must say.
var brokenJournals = map[string]struct {
	clause, says string
	faults       journalFaults
}{
	"delivers nothing of its own":              {"own entries come back", "delivered 0", journalFaults{dropOwn: true}},
	"delivers twice":                           {"own entries come back", "another one", journalFaults{twice: true}},
	"loses Except":                             {"entries are whole", "not whole", journalFaults{change: func(e *realtime.Entry) { e.Except = nil }}},
	"loses the attachments":                    {"entries are whole", "not whole", journalFaults{change: func(e *realtime.Entry) { e.Attachments = nil }}},
	"loses Volatile":                           {"entries are whole", "not whole", journalFaults{change: func(e *realtime.Entry) { e.Volatile = false }}},
	"loses all arguments but one":              {"entries are whole", "not whole", journalFaults{change: func(e *realtime.Entry) { e.Args = e.Args[:min(1, len(e.Args))] }}},
	"takes every kind for an event":            {"entries are whole", "not whole", journalFaults{change: func(e *realtime.Entry) { e.Kind = realtime.KindEvent }}},
	"joins to nothing":                         {"entries are whole", "not whole", journalFaults{change: func(e *realtime.Entry) { e.Moved = nil }}},
	"rounds numbers":                           {"entries are whole", "not whole", journalFaults{change: roundNumbers}},
	"does not say when":                        {"entries are whole", "not when it was appended", journalFaults{change: func(e *realtime.Entry) { e.At = time.Time{} }}},
	"each process has its own order":           {"one order for all", "two followers differ", journalFaults{ownFirst: true}},
	"one writer's entries change places":       {"one order for all", "order of one writer", journalFaults{swap: true}},
	"calls deliver from many goroutines":       {"one at a time", "at once", journalFaults{atOnce: true}},
	"skips what comes while Follow begins":     {"follow from the past", "delivered", journalFaults{followNow: true}},
	"a short list looks whole":                 {"since", "looks whole", journalFaults{neverMore: true}},
	"Since includes the entry of its position": {"since", "another one", journalFaults{inclusive: true}},
	"Since ignores its limit":                  {"since", "entries", journalFaults{noLimit: true}},
	"UpTo is the last match":                   {"since by rooms", "not how far Since has looked", journalFaults{upToMatch: true}},
	"UpTo is the head":                         {"since by rooms", "UpTo of a short page", journalFaults{upToHead: true}},
	"Since returns all rooms":                  {"since by rooms", "Since for two rooms", journalFaults{allRooms: true}},
	"Since leaves kicks out":                   {"since by rooms", "Since for two rooms", journalFaults{noKicks: true}},
	"Since leaves out what is for everybody":   {"since by rooms", "Since for two rooms", journalFaults{noEverybody: true}},
	"Since applies Except":                     {"since by rooms", "Since for two rooms", journalFaults{applyExcept: true}},
	"At is too late":                           {"time", "At", journalFaults{atLate: true}},
	"At is always the beginning":               {"time", "between two times", journalFaults{atStart: true}},
	"positions begin again":                    {"positions", "given to two entries", journalFaults{reuse: true}},
	"positions hold '~'":                       {"positions", "printable", journalFaults{tilde: true}},
	"a foreign position is the beginning":      {"positions of another journal", "want ErrGap", journalFaults{foreign: true}},
	"Follow waits at a position of the future": {"positions of another journal", "silent about a gap", journalFaults{waits: true}},
	"appends anything":                         {"wrong calls", "want ErrInvalid", journalFaults{anything: true}},
	"the empty position is the beginning":      {"wrong calls", "want ErrInvalid", journalFaults{emptyIsStart: true}},
	"appends with a context that is over":      {"context", "has appended", journalFaults{appendOver: true}},
	"Follow runs on after its context":         {"context", "runs on a second", journalFaults{runsOn: true}},
	"Follow delivers on after its context":     {"context", "Follow", journalFaults{deliversOn: true}},
	"a trim is silent":                         {"gap after a trim", "want ErrGap", journalFaults{silentTrim: true}},
	"a loss is silent":                         {"gap after a loss", "want ErrGap", journalFaults{silentLoss: true}},
	"Follow is silent about a loss":            {"gap after a loss", "silent about a gap", journalFaults{silentFollow: true}},
	"a dead engine is no error":                {"engine away", "want ErrUnavailable", journalFaults{deadIsFine: true}},
	"says that what it appended is not there":  {"engine away", "that it is not", journalFaults{lies: true}},
	"Follow does not wait for its engine":      {"engine away", "Follow returned", journalFaults{givesUp: true}},
	"Follow goes on from now":                  {"engine away", "Follow", journalFaults{resumesNow: true}},
}

type journalFaults struct {
	dropOwn, twice, ownFirst, swap, atOnce, followNow, neverMore, inclusive, noLimit, upToMatch, upToHead, allRooms, noKicks,
	noEverybody, applyExcept, atLate, atStart, reuse, tilde, foreign, waits, anything, emptyIsStart, appendOver, runsOn, deliversOn,
	silentTrim, silentLoss, silentFollow, deadIsFine, lies, givesUp, resumesNow bool
	change func(*realtime.Entry)
}

func roundNumbers(e *realtime.Entry) {
	e.Args = slices.Clone(e.Args)
	for i, arg := range e.Args {
		var n float64
		if json.Unmarshal(arg, &n) == nil {
			e.Args[i] = json.RawMessage(fmt.Sprint(int64(float32(n))))
		}
	}
}

func TestRunJournalFindsEachFault(t *testing.T) {
	t.Parallel()
	for name, broken := range brokenJournals {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, strings.Join(judge(t, broken.faults)[broken.clause], "\n"), broken.says)
		})
	}
}

// The journal that the broken ones are made of has no fault of its own, and no clause is
// skipped.
func TestRunJournalFindsNoFault(t *testing.T) {
	t.Parallel()
	require.Empty(t, judge(t, journalFaults{}))
}

// judge returns what RunJournal says of a journal with these faults, by clause. A bubble's
// time is over at once.
func judge(t *testing.T, faults journalFaults) map[string][]string {
	found := map[string][]string{}
	synctest.Test(t, func(t *testing.T) {
		judge := &recordingT{ctx: t.Context(), found: found}
		realtimetest.RunJournal(judge, func(*recordingT) realtimetest.JournalEngine { return newBrokenEngine(faults) })
		time.Sleep(time.Minute) // what a broken journal has left behind ends
	})
	return found
}

// recordingT is a TB that writes down what a test says.
type recordingT struct {
	ctx      context.Context
	name     string
	mu       sync.Mutex
	found    map[string][]string
	cleanups []func()
}

func (*recordingT) Helper()                    {}
func (t *recordingT) Context() context.Context { return t.ctx }
func (t *recordingT) Cleanup(f func())         { t.cleanups = append(t.cleanups, f) }
func (t *recordingT) Skip(args ...any)         { t.Fatalf("skipped: %s", fmt.Sprint(args...)) }

func (t *recordingT) Errorf(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.found[t.name] = append(t.found[t.name], fmt.Sprintf(format, args...))
}

func (t *recordingT) Fatalf(format string, args ...any) {
	t.Errorf(format, args...)
	runtime.Goexit()
}

func (t *recordingT) Run(name string, f func(*recordingT)) bool {
	ctx, cancel := context.WithCancel(t.ctx)
	child := &recordingT{ctx: ctx, name: name, found: t.found}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(child)
	}()
	<-done
	cancel()
	for _, cleanup := range slices.Backward(child.cleanups) {
		cleanup()
	}
	return len(t.found[name]) == 0
}

// brokenEngine is one fleet: a MemoryJournal at a time, and what is wrong with it.
type brokenEngine struct {
	journalFaults
	mu     sync.Mutex
	inner  *realtime.MemoryJournal
	start  realtime.Position
	lost   chan struct{} // closed when inner is replaced
	left   chan struct{} // closed when it goes away
	away   bool
	back   chan struct{} // closed when it is not away
	opened int
}

func newBrokenEngine(faults journalFaults) realtimetest.JournalEngine {
	e := &brokenEngine{journalFaults: faults, back: make(chan struct{}), left: make(chan struct{})}
	close(e.back)
	e.lose()
	return realtimetest.JournalEngine{Open: e.open, Trim: e.trim, Lose: e.lose, Stop: e.stop, Start: e.resume}
}

func (e *brokenEngine) open() realtime.Journal {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.opened++
	return &brokenJournal{brokenEngine: e, process: e.opened}
}

func (e *brokenEngine) trim() {
	inner, _, _ := e.now()
	for range 300 {
		_, _ = inner.Append(context.Background(), realtime.Entry{
			Kind: realtime.KindEvent, Name: "filler", Args: []json.RawMessage{json.RawMessage(`"` + strings.Repeat("x", 1000) + `"`)},
		})
	}
}

func (e *brokenEngine) lose() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.inner != nil {
		close(e.lost)
	}
	e.inner, e.lost = &realtime.MemoryJournal{MaxBytes: 256 << 10}, make(chan struct{})
	e.start, _ = e.inner.Head(context.Background())
}

// stop returns when everybody has noticed. Without that the engine could be back before a
// Follow that does not wait for it has ended.
func (e *brokenEngine) stop() {
	e.mu.Lock()
	e.away, e.back = true, make(chan struct{})
	close(e.left)
	e.mu.Unlock()
	synctest.Wait()
}

func (e *brokenEngine) resume() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.away = false
	close(e.back)
}

func (e *brokenEngine) now() (inner *realtime.MemoryJournal, lost, back chan struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.inner, e.lost, e.back
}

func (e *brokenEngine) beginning() realtime.Position {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.start
}

func (e *brokenEngine) gone() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.away && !e.deadIsFine {
		return telemed.ErrUnavailable
	}
	return nil
}

// brokenJournal is one process of the fleet.
type brokenJournal struct {
	*brokenEngine
	process  int
	appended atomic.Int64
}

func (j *brokenJournal) Append(ctx context.Context, e realtime.Entry) (realtime.Position, error) {
	inner, _, _ := j.now()
	if err := j.gone(); err != nil && ctx.Err() == nil {
		if j.lies {
			_, _ = inner.Append(ctx, e)
		}
		return "", err
	}
	if j.appendOver && ctx.Err() != nil {
		_, _ = inner.Append(context.WithoutCancel(ctx), e)
	}
	if j.anything && e.Check() != nil {
		e = realtime.Entry{Kind: realtime.KindEvent, Name: "mended"}
	}
	p, err := inner.Append(ctx, e)
	number := j.appended.Add(1)
	switch {
	case err != nil:
		return "", err
	case j.reuse:
		return realtime.Position(fmt.Sprint(number)), nil
	case j.tilde:
		return p + "~", nil
	}
	return p, nil
}

func (j *brokenJournal) Head(ctx context.Context) (realtime.Position, error) {
	inner, _, _ := j.now()
	if err := j.gone(); err != nil {
		return "", err
	}
	return inner.Head(ctx)
}

func (j *brokenJournal) At(ctx context.Context, t time.Time) (realtime.Position, error) {
	inner, _, _ := j.now()
	switch {
	case j.atLate:
		t = t.Add(time.Nanosecond)
	case j.atStart:
		t = time.Time{}
	}
	return inner.At(ctx, t)
}

// known answers what the faults about positions do.
func (j *brokenJournal) known(from realtime.Position) realtime.Position {
	inner, _, _ := j.now()
	_, err := inner.Since(context.Background(), from, nil, 1)
	trimmed := strings.HasPrefix(string(from), strings.TrimSuffix(string(j.beginning()), "0"))
	switch {
	case from == "" && j.emptyIsStart, j.foreign && errors.Is(err, realtime.ErrGap),
		j.silentTrim && trimmed && errors.Is(err, realtime.ErrGap), j.silentLoss && errors.Is(err, realtime.ErrGap):
		oldest, _ := inner.At(context.Background(), time.Time{})
		return oldest
	}
	return from
}

func (j *brokenJournal) Since(ctx context.Context, from realtime.Position, rooms []string, limit int) (realtime.Page, error) {
	inner, _, _ := j.now()
	if err := j.gone(); err != nil {
		return realtime.Page{}, err
	}
	from = j.known(from)
	asked := limit
	switch {
	case j.noLimit && limit > 0:
		asked = limit + 1
	case j.allRooms:
		rooms = nil
	}
	page, err := inner.Since(ctx, from, rooms, asked)
	if err != nil {
		return page, err
	}
	for i := range page.Entries {
		j.spoil(&page.Entries[i])
	}
	page.Entries = slices.DeleteFunc(page.Entries, func(e realtime.Entry) bool {
		return rooms != nil && (j.noKicks && e.Kind == realtime.KindKick || j.noEverybody && len(e.Rooms) == 0 ||
			j.applyExcept && slices.ContainsFunc(e.Except, func(room string) bool { return slices.Contains(rooms, room) }))
	})
	last := len(page.Entries) - 1
	switch {
	case j.neverMore:
		page.More = false
	case j.upToHead:
		page.UpTo, _ = inner.Head(ctx)
	case j.upToMatch && last >= 0:
		page.UpTo = page.Entries[last].Position
	case j.upToMatch:
		page.UpTo = from
	case j.inclusive:
		if before := j.entryAt(from); before != nil && len(page.Entries) < limit {
			page.Entries = append([]realtime.Entry{*before}, page.Entries...)
		}
	}
	return page, nil
}

func (j *brokenJournal) entryAt(p realtime.Position) *realtime.Entry {
	inner, _, _ := j.now()
	page, _ := inner.Since(context.Background(), j.beginning(), nil, 1000)
	for i := range page.Entries {
		if page.Entries[i].Position == p {
			return &page.Entries[i]
		}
	}
	return nil
}

func (j *brokenJournal) spoil(e *realtime.Entry) {
	if j.change != nil {
		j.change(e)
	}
}

func (j *brokenJournal) Follow(ctx context.Context, from realtime.Position, deliver func(realtime.Entry)) error {
	inner, lost, _ := j.now()
	from = j.known(from)
	if j.waits {
		if _, err := inner.Since(ctx, from, nil, 1); errors.Is(err, realtime.ErrGap) {
			<-ctx.Done()
			return ctx.Err()
		}
	}
	if j.followNow {
		from, _ = inner.Head(ctx)
	}
	if j.runsOn {
		defer time.Sleep(3 * time.Second)
	}
	following, cancel := context.WithCancelCause(ctx)
	if j.deliversOn {
		following, cancel = context.WithCancelCause(context.WithoutCancel(ctx))
		go func() { // for some seconds, so that the test ends
			<-ctx.Done()
			time.Sleep(4 * time.Second)
			cancel(ctx.Err())
		}()
	}
	defer cancel(nil)
	go func() {
		select {
		case <-lost:
			if !j.silentFollow {
				cancel(realtime.ErrGap)
			}
		case <-j.left:
			if j.givesUp {
				cancel(telemed.ErrUnavailable)
			}
		case <-following.Done():
		}
	}()
	err := inner.Follow(following, from, j.deliver(following, deliver))
	if cause := context.Cause(following); cause != nil {
		return cause
	}
	return err
}

// deliver puts the faults of Follow before deliver.
func (j *brokenJournal) deliver(ctx context.Context, deliver func(realtime.Entry)) func(realtime.Entry) {
	var wg sync.WaitGroup
	var kept *realtime.Entry
	return func(e realtime.Entry) {
		j.spoil(&e)
		if _, _, back := j.now(); j.gone() != nil {
			select {
			case <-back:
			case <-ctx.Done():
				return
			}
		}
		switch {
		case j.dropOwn && j.process == 1:
			return
		case j.twice:
			deliver(e)
		case j.resumesNow && strings.HasPrefix(e.Name, "after 0"):
			return
		case j.atOnce:
			wg.Go(func() { deliver(e) })
			return
		case j.ownFirst && j.process == 2, j.swap:
			if kept == nil && e.Kind == realtime.KindEvent && strings.HasSuffix(e.Name, " 3") {
				kept = &e
				return
			}
			defer func() {
				if kept != nil {
					deliver(*kept)
					kept = nil
				}
			}()
		}
		deliver(e)
	}
}

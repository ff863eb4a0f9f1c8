package realtimetest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/realtime"
)

// patience is how long a clause waits for what must come.
const patience = 10 * time.Second

// following is a Follow that runs, and what it has delivered.
type following struct {
	c      *journalTest
	cancel context.CancelFunc
	done   chan struct{}
	err    error // once done is closed

	mu      sync.Mutex
	entries []realtime.Entry
	more    chan struct{} // takes one word when there is a further entry
}

func (c *journalTest) follow(j realtime.Journal, from realtime.Position) *following {
	return c.followSlowly(j, from, 0)
}

func (c *journalTest) followSlowly(j realtime.Journal, from realtime.Position, pause time.Duration) *following {
	f := &following{c: c, done: make(chan struct{}), more: make(chan struct{}, 1)}
	var ctx context.Context
	ctx, f.cancel = context.WithCancel(c.Context())
	go func() {
		defer close(f.done)
		f.err = j.Follow(ctx, from, func(e realtime.Entry) {
			f.mu.Lock()
			f.entries = append(f.entries, e)
			f.mu.Unlock()
			select {
			case f.more <- struct{}{}:
			default:
			}
			time.Sleep(pause)
		})
	}()
	c.Cleanup(func() {
		f.cancel()
		select {
		case <-f.done:
		case <-time.After(patience):
		}
	})
	return f
}

func (f *following) all() []realtime.Entry {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.entries)
}

// wait waits until n entries are there.
func (f *following) wait(n int) {
	f.c.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for len(f.all()) < n {
		select {
		case <-f.more:
		case <-f.done:
			if len(f.all()) < n {
				f.c.Fatalf("Follow returned after %d entries of %d: %v", len(f.all()), n, f.err)
			}
		case <-limit.C:
			f.c.Fatalf("Follow has delivered %d entries, want %d", len(f.all()), n)
		}
	}
}

// want waits for what must have been delivered, and that nothing else was.
func (f *following) want(want []realtime.Entry) {
	f.c.Helper()
	f.wait(len(want))
	if got := f.all(); !sameEntries(got, want) {
		f.c.Errorf("Follow: %s", difference(got, want))
	}
}

// end ends the context, and Follow must return within a second.
func (f *following) end() {
	f.c.Helper()
	f.cancel()
	select {
	case <-f.done:
		if !errors.Is(f.err, context.Canceled) && !errors.Is(f.err, realtime.ErrGap) {
			f.c.Errorf("Follow after the end of its context: %v, want context.Canceled", f.err)
		}
	case <-time.After(time.Second):
		f.c.Errorf("Follow runs on a second after the end of its context")
	}
}

func (f *following) wantGap() {
	f.c.Helper()
	select {
	case <-f.done:
		if !errors.Is(f.err, realtime.ErrGap) {
			f.c.Errorf("Follow over a gap: %v, want ErrGap", f.err)
		}
	case <-time.After(patience):
		f.c.Errorf("Follow is silent about a gap")
	}
}

// wantGap checks that p is a gap for Since and for Follow.
func (c *journalTest) wantGap(j realtime.Journal, p realtime.Position) {
	c.Helper()
	if page, err := j.Since(c.Context(), p, nil, 1000); !errors.Is(err, realtime.ErrGap) {
		c.Errorf("Since of a position that is gone or not of this journal: %d entries and %v, want ErrGap", len(page.Entries), err)
	}
	c.follow(j, p).wantGap()
}

func (c *journalTest) wantInvalid(what string, err error) {
	c.Helper()
	if !errors.Is(err, telemed.ErrInvalid) {
		c.Errorf("%s: %v, want ErrInvalid", what, err)
	}
}

func (c *journalTest) wantOver(what string, err error) {
	c.Helper()
	if !errors.Is(err, context.Canceled) || errors.Is(err, telemed.ErrAmbiguous) {
		c.Errorf("%s with a context that is over: %v, want context.Canceled alone", what, err)
	}
}

func (c *journalTest) head(j realtime.Journal) realtime.Position {
	c.Helper()
	p, err := j.Head(c.Context())
	if err != nil {
		c.Fatalf("Head: %v", err)
	}
	return p
}

func (c *journalTest) at(j realtime.Journal, t time.Time) realtime.Position {
	c.Helper()
	p, err := j.At(c.Context(), t)
	if err != nil {
		c.Fatalf("At: %v", err)
	}
	return p
}

func (c *journalTest) since(j realtime.Journal, from realtime.Position, rooms []string, limit int) realtime.Page {
	c.Helper()
	page, err := j.Since(c.Context(), from, rooms, limit)
	if err != nil {
		c.Fatalf("Since: %v", err)
	}
	if len(page.Entries) > limit {
		c.Fatalf("Since with limit %d: %d entries", limit, len(page.Entries))
	}
	c.checkPosition(page.UpTo)
	return page
}

// sinceAll reads page after page.
func (c *journalTest) sinceAll(j realtime.Journal, from realtime.Position, rooms []string, limit int) []realtime.Entry {
	c.Helper()
	var all []realtime.Entry
	for range 10_000 {
		page := c.since(j, from, rooms, limit)
		all = append(all, page.Entries...)
		if !page.More {
			return all
		}
		from = page.UpTo
	}
	c.Fatalf("Since says More for ever")
	return nil
}

// appendAll appends entries and returns them with their positions.
func (c *journalTest) appendAll(j realtime.Journal, entries []realtime.Entry) []realtime.Entry {
	c.Helper()
	kept := slices.Clone(entries)
	for i := range kept {
		p, err := j.Append(c.Context(), entries[i])
		if err != nil {
			c.Fatalf("Append: %v", err)
		}
		c.checkPosition(p)
		kept[i].Position = p
	}
	return kept
}

func (c *journalTest) checkPosition(p realtime.Position) {
	c.Helper()
	bad := len(p) < 1 || len(p) > 64
	for _, r := range p {
		bad = bad || r <= ' ' || r > '}'
	}
	if bad {
		c.Fatalf("a position is no 1 to 64 printable characters without a space and '~'")
	}
}

func event(name, arg, room string) realtime.Entry {
	return realtime.Entry{Kind: realtime.KindEvent, Name: name, Rooms: []string{room}, Args: raws(arg)}
}

func numbered(name string, n int) []realtime.Entry {
	var entries []realtime.Entry
	for i := range n {
		entries = append(entries, event(fmt.Sprint(name, " ", i), fmt.Sprint(i), "clinic-7"))
	}
	return entries
}

func raws(texts ...string) []json.RawMessage {
	var raw []json.RawMessage
	for _, text := range texts {
		raw = append(raw, json.RawMessage(text))
	}
	return raw
}

func sameEntries(got, want []realtime.Entry) bool { return slices.EqualFunc(got, want, sameEntry) }

// sameEntry leaves At out, which Append does not tell, and the spelling of JSON.
func sameEntry(a, b realtime.Entry) bool {
	return a.Position == b.Position && a.Kind == b.Kind && a.Name == b.Name && a.Volatile == b.Volatile &&
		slices.Equal(a.Rooms, b.Rooms) && slices.Equal(a.Except, b.Except) && slices.Equal(a.Moved, b.Moved) &&
		slices.EqualFunc(a.Args, b.Args, sameJSON) && slices.EqualFunc(a.Attachments, b.Attachments, bytes.Equal)
}

func sameJSON(a, b json.RawMessage) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}

// difference says where got and want part.
func difference(got, want []realtime.Entry) string {
	for i := range min(len(got), len(want)) {
		switch {
		case got[i].Position != want[i].Position:
			return fmt.Sprintf("entry %d of %d is another one than of %d", i, len(got), len(want))
		case !sameEntry(got[i], want[i]):
			return fmt.Sprintf("entry %d (%s %q) is not whole", i, want[i].Kind, want[i].Name)
		}
	}
	return fmt.Sprintf("%d entries, want %d", len(got), len(want))
}

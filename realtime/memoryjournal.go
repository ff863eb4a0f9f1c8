package realtime

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/telemed-go/telemed/internal/fault"
)

// MemoryJournal is a Journal of one process, and lives as long as it. Its zero value is
// ready; it must not be copied, and its fields must not change, once it is used. It is
// safe for concurrent use and never answers telemed.ErrUnavailable. It has no goroutine. While
// it keeps something, it has a timer that drops what is old.
//
// A position holds at random which MemoryJournal it is of: after a restart, or in another
// process, the old positions are [ErrGap].
type MemoryJournal struct {
	// MaxBytes is how much memory the entries may take, roughly. If 0 or less, 16 MiB. The
	// newest entry stays in any case.
	MaxBytes int
	// MaxAge is how long an entry stays, and at most a second longer. That holds also if nobody
	// uses the journal any more. If 0 or less, 10 minutes.
	MaxAge time.Duration

	mu      sync.Mutex
	life    string
	entries []Entry // entries[dropped:] are kept; all before are zero
	dropped int     // of entries
	last    uint64  // the number of the newest entry; the first one ever is 1
	bytes   int
	grown   chan struct{} // closed at the next Append; nil if nobody waits
	timer   *time.Timer   // calls expire; nil before the first entry
	armed   bool          // it will
}

var _ Journal = (*MemoryJournal)(nil)

// Append adds e. The error matches telemed.ErrInvalid, or is that of ctx.
func (j *MemoryJournal) Append(ctx context.Context, e Entry) (Position, error) {
	if err := ctx.Err(); err != nil {
		return "", fmt.Errorf("realtime: Append: %w", err)
	}
	if err := e.Check(); err != nil {
		return "", err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.last++
	e.Position, e.At = j.positionLocked(j.last), time.Now()
	if last := len(j.entries) - 1; last >= j.dropped && e.At.Before(j.entries[last].At) {
		e.At = j.entries[last].At // the clock was set back; a search by time needs its order
	}
	j.entries = append(j.entries, e)
	j.bytes += sizeOf(e)
	j.dropLocked(e.At)
	j.armLocked(e.At, 0)
	if j.grown != nil {
		close(j.grown)
		j.grown = nil
	}
	return e.Position, nil
}

// Follow delivers what comes after from. See [Journal] for errors.
func (j *MemoryJournal) Follow(ctx context.Context, from Position, deliver func(Entry)) error {
	number, err := j.place("Follow", from)
	if err != nil {
		return err
	}
	for {
		batch, grown, err := j.after(number)
		if err != nil {
			return fmt.Errorf("realtime: Follow: %w", err)
		}
		for _, entry := range batch {
			if err := ctx.Err(); err != nil {
				return fmt.Errorf("realtime: Follow: %w", err)
			}
			deliver(entry)
			number++
		}
		if grown == nil {
			continue
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return fmt.Errorf("realtime: Follow: %w", ctx.Err())
		}
	}
}

// after returns some entries after number, or what closes when there is one.
func (j *MemoryJournal) after(number uint64) ([]Entry, <-chan struct{}, error) {
	const some = 256
	j.mu.Lock()
	defer j.mu.Unlock()
	kept, err := j.keptLocked(number)
	switch {
	case err != nil:
		return nil, nil, err
	case len(kept) > 0:
		return append([]Entry(nil), kept[:min(len(kept), some)]...), nil, nil
	}
	if j.grown == nil {
		j.grown = make(chan struct{})
	}
	return nil, j.grown, nil
}

// Since returns a page. See [Journal] for errors.
func (j *MemoryJournal) Since(ctx context.Context, from Position, rooms []string, limit int) (Page, error) {
	if err := ctx.Err(); err != nil {
		return Page{}, fmt.Errorf("realtime: Since: %w", err)
	}
	if limit < 1 {
		return Page{}, fault.Invalid("realtime: Since", "limit", "is below 1")
	}
	number, err := j.place("Since", from)
	if err != nil {
		return Page{}, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.dropLocked(time.Now())
	kept, err := j.keptLocked(number)
	if err != nil {
		return Page{}, fmt.Errorf("realtime: Since: %w", err)
	}
	page := Page{UpTo: from}
	for i := range kept {
		if len(page.Entries) == limit {
			page.More = true
			return page, nil
		}
		page.UpTo = kept[i].Position
		if kept[i].Matches(rooms) {
			page.Entries = append(page.Entries, kept[i])
		}
	}
	return page, nil
}

// Head returns the position of the newest entry. The error is that of ctx.
func (j *MemoryJournal) Head(ctx context.Context) (Position, error) {
	if err := ctx.Err(); err != nil {
		return "", fmt.Errorf("realtime: Head: %w", err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.positionLocked(j.last), nil
}

// At returns the position before the first entry of t or later. The error is that of ctx.
func (j *MemoryJournal) At(ctx context.Context, t time.Time) (Position, error) {
	if err := ctx.Err(); err != nil {
		return "", fmt.Errorf("realtime: At: %w", err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.dropLocked(time.Now())
	kept := j.entries[j.dropped:]
	later := sort.Search(len(kept), func(i int) bool { return !kept[i].At.Before(t) })
	return j.positionLocked(j.last - uint64(len(kept)-later)), nil
}

func (j *MemoryJournal) positionLocked(number uint64) Position {
	return Position(j.lifeLocked() + "-" + strconv.FormatUint(number, 10))
}

func (j *MemoryJournal) lifeLocked() string {
	if j.life == "" {
		j.life = rand.Text()
	}
	return j.life
}

// place returns the number of the entry whose position p is; 0 is before the first.
func (j *MemoryJournal) place(op string, p Position) (uint64, error) {
	if p == "" {
		return 0, fault.Invalid("realtime: "+op, "from", "is empty: ask Head")
	}
	life, digits, _ := strings.Cut(string(p), "-")
	number, err := strconv.ParseUint(digits, 10, 64)
	j.mu.Lock()
	defer j.mu.Unlock()
	known := err == nil && life == j.lifeLocked() && number <= j.last
	if !known || p != j.positionLocked(number) { // "007" is no position
		return 0, fmt.Errorf("realtime: %s: %w", op, ErrGap)
	}
	return number, nil
}

// keptLocked returns all that came after number.
func (j *MemoryJournal) keptLocked(number uint64) ([]Entry, error) {
	kept := j.entries[j.dropped:]
	missing := j.last - number
	if missing > uint64(len(kept)) {
		return nil, ErrGap
	}
	return kept[uint64(len(kept))-missing:], nil
}

// dropLocked keeps the bounds. What is dropped is zeroed at once, and its room in the
// slice given back once it is half of it.
func (j *MemoryJournal) dropLocked(now time.Time) {
	maxBytes, oldest := j.MaxBytes, now.Add(-j.maxAge())
	if maxBytes <= 0 {
		maxBytes = 16 << 20
	}
	for j.dropped < len(j.entries) {
		first := &j.entries[j.dropped]
		if len(j.entries)-j.dropped == 1 || j.bytes <= maxBytes {
			if !first.At.Before(oldest) {
				break
			}
		}
		j.bytes -= sizeOf(*first)
		*first = Entry{}
		j.dropped++
	}
	if j.dropped > 64 && j.dropped*2 > len(j.entries) {
		j.entries = append(make([]Entry, 0, cmp.Or(len(j.entries)-j.dropped, 64)), j.entries[j.dropped:]...)
		j.dropped = 0
	}
}

func (j *MemoryJournal) maxAge() time.Duration {
	if j.MaxAge > 0 {
		return j.MaxAge
	}
	return 10 * time.Minute
}

// expireEach is the time between two looks for what is old, so that much traffic costs few.
const expireEach = time.Second

// armLocked sets the timer for the age of the oldest entry, but not within the time of least.
func (j *MemoryJournal) armLocked(now time.Time, least time.Duration) {
	if j.armed || j.dropped == len(j.entries) {
		return
	}
	over := j.entries[j.dropped].At.Add(j.maxAge() + 1).Sub(now)
	if j.armed = true; j.timer == nil {
		j.timer = time.AfterFunc(max(over, least), j.expire)
		return
	}
	j.timer.Reset(max(over, least))
}

func (j *MemoryJournal) expire() {
	j.mu.Lock()
	defer j.mu.Unlock()
	now := time.Now()
	j.armed = false
	j.dropLocked(now)
	j.armLocked(now, expireEach)
}

// sizeOf is roughly what e takes.
func sizeOf(e Entry) int {
	const header, pointer = 256, 24
	size := header + len(e.Name)
	for _, names := range [][]string{e.Rooms, e.Except, e.Moved} {
		for _, name := range names {
			size += pointer + len(name)
		}
	}
	for _, arg := range e.Args {
		size += pointer + len(arg)
	}
	for _, attachment := range e.Attachments {
		size += pointer + len(attachment)
	}
	return size
}

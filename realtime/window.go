package realtime

import (
	"slices"
	"time"
)

// maxWindow is how many bytes of entries a hub keeps, roughly.
const maxWindow = 16 << 20

// window has the newest entries of a journal, without a hole. Entries are numbered as they
// come. What it has handed out stays as it is: readers need no lock.
type window struct {
	age     time.Duration // how long an entry stays, by the journal's clock
	entries []*Entry
	first   uint64 // the number of entries[0]
	bytes   int
	dropped int // bytes of entries that the array behind entries still has

	// now is the journal's time at heard, by the clock of this process.
	now, heard time.Time

	// base is the position before entries[0].
	base Position
	// next has, for each known position, the number of the entry behind it. Known are base,
	// the positions of entries, and extra, at which a search ended without an entry there.
	next  map[Position]uint64
	extra Position
	// rooms has the numbers of the entries of each room, in order. Those for everybody are
	// under that name.
	rooms map[string][]uint64
}

// end is the number of the entry that comes next.
func (w *window) end() uint64 { return w.first + uint64(len(w.entries)) }

// reset empties the window: it begins at base now. The numbers go on.
func (w *window) reset(base Position) {
	w.first, w.entries, w.bytes, w.dropped = w.end(), nil, 0, 0
	w.base, w.extra = base, ""
	w.next = map[Position]uint64{base: w.first}
	w.rooms = make(map[string][]uint64)
}

// seen says that p is behind all entries.
func (w *window) seen(p Position) {
	if _, known := w.next[p]; !known {
		w.extra = p
		w.next[p] = w.end()
	}
}

func (w *window) add(e *Entry) {
	for _, room := range roomsOf(e) {
		if numbers := w.rooms[room]; len(numbers) == 0 || numbers[len(numbers)-1] != w.end() {
			w.rooms[room] = append(numbers, w.end())
		}
	}
	w.entries = append(w.entries, e)
	w.bytes += sizeOf(*e)
	w.next[e.Position] = w.end()
	w.now, w.heard = e.At, time.Now()
	w.trim()
	if w.dropped > maxWindow/4 {
		w.release()
	}
}

// caughtUp says that the journal has no entry behind those of the window at t, by the clock of
// this process. Before, the newest may have been old when it came.
func (w *window) caughtUp(t time.Time) {
	if t.After(w.now) {
		w.now = t
	}
	w.heard = t
}

// trim drops what is over the bounds. The newest entry stays, however large, but not
// however old.
func (w *window) trim() {
	for len(w.entries) > 0 && (w.over() <= 0 || w.bytes > maxWindow && len(w.entries) > 1) {
		w.drop()
	}
}

// over returns when the oldest entry is too old. There must be one.
func (w *window) over() time.Duration {
	return w.entries[0].At.Sub(w.now) + w.age + 1 - time.Since(w.heard)
}

// release gives up what was dropped. It may be in the hands of readers still.
func (w *window) release() {
	w.entries, w.dropped = append([]*Entry(nil), w.entries...), 0
}

// drop forgets the oldest entry. Its position is the base now.
func (w *window) drop() {
	for _, room := range roomsOf(w.entries[0]) {
		numbers := w.rooms[room]
		switch {
		case len(numbers) == 0 || numbers[0] != w.first: // the room is named twice
		case len(numbers) == 1:
			delete(w.rooms, room)
		default:
			w.rooms[room] = numbers[1:]
		}
	}
	delete(w.next, w.base)
	w.base = w.entries[0].Position
	w.bytes -= sizeOf(*w.entries[0])
	w.dropped += sizeOf(*w.entries[0])
	w.entries = w.entries[1:]
	w.first++
	if w.extra != "" && w.next[w.extra] < w.first {
		delete(w.next, w.extra)
		w.extra = ""
	}
}

// roomsOf returns the rooms under which e is found.
func roomsOf(e *Entry) []string {
	if len(e.Rooms) == 0 {
		return everybodyAlone
	}
	return e.Rooms
}

var everybodyAlone = []string{everybody}

// ofRooms returns the entries from a number on that are for one of rooms, in order. What
// others are told costs nothing. It reports false if the first of all entries is gone.
func (w *window) ofRooms(number uint64, rooms ...string) ([]*Entry, bool) {
	if number < w.first {
		return nil, false
	}
	var found []uint64
	for _, room := range rooms {
		numbers := w.rooms[room]
		at, _ := slices.BinarySearch(numbers, number)
		found = append(found, numbers[at:]...)
	}
	slices.Sort(found)
	found = slices.Compact(found)
	entries := make([]*Entry, len(found))
	for i, n := range found {
		entries[i] = w.entries[n-w.first]
	}
	return entries, true
}

// edge is how many entries may be dropped between the moment when a reader finds its place and
// that when it reads on from there.
const edge = 256

// placeAt returns where a reader goes on that has all before a number. What may be dropped
// next, it has in its hands.
func (w *window) placeAt(number uint64) place {
	next := max(number, min(w.first+edge, w.end()))
	return place{older: w.entries[number-w.first : next-w.first], next: next}
}

// from returns the entries from a number on. It reports false if the first of them is gone.
func (w *window) from(number uint64) ([]*Entry, bool) {
	if number < w.first {
		return nil, false
	}
	return w.entries[number-w.first:], true
}

package realtime

import "time"

// maxWindow is how many bytes of entries a hub keeps, roughly.
const maxWindow = 16 << 20

// window has the newest entries of a journal, without a hole. Entries are numbered as they
// come. What it has handed out stays as it is: readers need no lock.
type window struct {
	age     time.Duration // how long an entry stays, by the journal's clock
	entries []*Entry
	first   uint64 // the number of entries[0]
	bytes   int

	// base is the position before entries[0].
	base Position
	// next has, for each known position, the number of the entry behind it. Known are base,
	// the positions of entries, and extra, at which a search ended without an entry there.
	next  map[Position]uint64
	extra Position
}

// end is the number of the entry that comes next.
func (w *window) end() uint64 { return w.first + uint64(len(w.entries)) }

// reset empties the window: it begins at base now. The numbers go on.
func (w *window) reset(base Position) {
	w.first, w.entries, w.bytes = w.end(), nil, 0
	w.base, w.extra = base, ""
	w.next = map[Position]uint64{base: w.first}
}

// seen says that p is behind all entries.
func (w *window) seen(p Position) {
	if _, known := w.next[p]; !known {
		w.extra = p
		w.next[p] = w.end()
	}
}

func (w *window) add(e *Entry) {
	w.entries = append(w.entries, e)
	w.bytes += sizeOf(*e)
	w.next[e.Position] = w.end()
	oldest := e.At.Add(-w.age)
	for len(w.entries) > 1 && (w.bytes > maxWindow || w.entries[0].At.Before(oldest)) {
		w.drop()
	}
}

// drop forgets the oldest entry. Its position is the base now.
func (w *window) drop() {
	delete(w.next, w.base)
	w.base = w.entries[0].Position
	w.bytes -= sizeOf(*w.entries[0])
	w.entries = w.entries[1:]
	w.first++
	if w.extra != "" && w.next[w.extra] < w.first {
		delete(w.next, w.extra)
		w.extra = ""
	}
}

// from returns the entries from a number on. It reports false if the first of them is gone.
func (w *window) from(number uint64) ([]*Entry, bool) {
	if number < w.first {
		return nil, false
	}
	return w.entries[number-w.first:], true
}

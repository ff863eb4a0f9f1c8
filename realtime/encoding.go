package realtime

import (
	"bytes"
	"errors"
	"sync"

	"github.com/telemed-go/telemed/internal/fault"
)

// errPanic is the cause with which a connection ends whose code panicked.
var errPanic = errors.New("panic in the code of the connection")

func (h *Hub) logPanic(cause any) {
	fault.LogPanic(h.cfg.Logger, "realtime: panic, one connection ended", cause)
}

// encodings keeps what each Encoder made of one event.
type encodings struct {
	entry *Entry // without a Journal it has no Position

	mu   sync.Mutex     // shards ask at the same time
	done ways[[]byte]   // nil for an encoder that panicked
	one  [1]way[[]byte] // a hub with one transport allocates no list
}

// ways keeps what was made for each encoder and each suffix of an offset. In most rooms there
// are few, and in some as many as members.
type ways[T any] struct {
	list  []way[T]
	index map[wayKey]int // of all in the list once there are more than fewWays
}

const fewWays = 8

type wayKey struct {
	encoder Encoder
	suffix  string
}

type way[T any] struct {
	wayKey
	made T
}

// find returns what was made, or false.
func (w *ways[T]) find(key wayKey) (made T, known bool) {
	if w.index != nil {
		if at, known := w.index[key]; known {
			return w.list[at].made, true
		}
		return made, false
	}
	for i := range w.list {
		if w.list[i].wayKey == key {
			return w.list[i].made, true
		}
	}
	return made, false
}

func (w *ways[T]) add(key wayKey, made T) {
	w.list = append(w.list, way[T]{key, made})
	switch {
	case w.index != nil:
		w.index[key] = len(w.list) - 1
	case len(w.list) > fewWays:
		w.index = make(map[wayKey]int)
		for i := range w.list {
			w.index[w.list[i].wayKey] = i
		}
	}
}

// reset forgets all, and keeps the room of a few.
func (w *ways[T]) reset() {
	if clear(w.list); w.index != nil {
		w.list, w.index = nil, nil
	}
	w.list = w.list[:0]
}

// length is that of the event's data.
func (e *encodings) length() int { return e.entry.message("").size() }

// size is what an event counts in the backlog of its hub.
func (e *encodings) size() int { return e.length() + len(e.entry.Name) + 100 }

// by returns the message that encoder makes of the event, nil if it panics. Behind the
// position in the offset stands suffix.
func (e *encodings) by(encoder Encoder, suffix string, h *Hub) []byte {
	e.mu.Lock()
	defer e.mu.Unlock()
	key := wayKey{encoder, suffix}
	if message, known := e.done.find(key); known {
		return message
	}
	if e.done.list == nil {
		e.done.list = e.one[:0]
	}
	message := e.encode(encoder, suffix, h)
	e.done.add(key, message)
	return message
}

func (e *encodings) encode(encoder Encoder, suffix string, h *Hub) (message []byte) {
	defer func() {
		if cause := recover(); cause != nil {
			h.logPanic(cause)
			message = nil
		}
	}()
	return encoder.Encode(e.entry.message(suffix))
}

// batch is some broadcasts as one encoder writes them.
type batch struct {
	messages [][]byte
	joined   []byte
	broken   bool // the encoder panicked
}

// batches are those of the broadcasts that a shard is at.
type batches struct{ ways[batch] }

// by returns the batch of an encoder and a suffix for the broadcasts ops.
func (b *batches) by(encoder Encoder, suffix string, ops []op, h *Hub) batch {
	key := wayKey{encoder, suffix}
	if made, known := b.find(key); known {
		return made
	}
	made := batch{messages: make([][]byte, 0, len(ops))}
	for _, o := range ops {
		message := o.event.by(encoder, suffix, h)
		made.messages = append(made.messages, message)
		made.broken = made.broken || message == nil
	}
	made.joined = joined(made.messages)
	b.add(key, made)
	return made
}

func joined(messages [][]byte) []byte {
	if len(messages) == 1 {
		return messages[0]
	}
	return bytes.Join(messages, nil)
}

package realtime

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"sync"
)

// errPanic is the cause with which a connection ends whose code panicked.
var errPanic = errors.New("panic in the code of the connection")

// logPanic says where a panic came from. Its text may be about a patient, save that of the
// runtime's own.
func (h *Hub) logPanic(cause any) {
	log := h.cfg.Logger
	if log == nil {
		log = slog.Default()
	}
	text := fmt.Sprintf("%T", cause)
	if own, ok := cause.(runtime.Error); ok {
		text = own.Error()
	}
	log.Error("realtime: panic, one connection ended", "panic", text, "stack", string(debug.Stack()))
}

// encodings keeps what each Encoder made of one event.
type encodings struct {
	entry *Entry // without a Journal it has no Position

	mu   sync.Mutex // shards ask at the same time
	done []encoding
	one  [1]encoding // a hub with one transport allocates no list
}

type encoding struct {
	encoder Encoder
	suffix  string // of the offset
	message []byte // nil if the encoder panicked
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
	for _, known := range e.done {
		if known.encoder == encoder && known.suffix == suffix {
			return known.message
		}
	}
	if e.done == nil {
		e.done = e.one[:0]
	}
	e.done = append(e.done, encoding{encoder, suffix, e.encode(encoder, suffix, h)})
	return e.done[len(e.done)-1].message
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
	encoder  Encoder
	suffix   string
	messages [][]byte
	joined   []byte
	broken   bool // the encoder panicked
}

// batches are those of the broadcasts that a shard is at: one for each encoder.
type batches []batch

// by returns the batch of an encoder and a suffix for the broadcasts ops.
func (b *batches) by(encoder Encoder, suffix string, ops []op, h *Hub) *batch {
	for i := range *b {
		if (*b)[i].encoder == encoder && (*b)[i].suffix == suffix {
			return &(*b)[i]
		}
	}
	made := batch{encoder: encoder, suffix: suffix, messages: make([][]byte, 0, len(ops))}
	for _, o := range ops {
		message := o.event.by(encoder, suffix, h)
		made.messages = append(made.messages, message)
		made.broken = made.broken || message == nil
	}
	made.joined = joined(made.messages)
	*b = append(*b, made)
	return &(*b)[len(*b)-1]
}

func joined(messages [][]byte) []byte {
	if len(messages) == 1 {
		return messages[0]
	}
	return bytes.Join(messages, nil)
}

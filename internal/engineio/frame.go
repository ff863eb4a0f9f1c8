package engineio

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

var (
	errTooBig  = errors.New("message is longer than the limit")
	errNotUTF8 = errors.New("text message is not UTF-8")
)

// frameReader puts messages together from frames of a client, none of which it
// trusts. Its zero value with in.from and limit is ready.
type frameReader struct {
	in     smallReader
	limit  int
	header [ws.MaxHeaderSize]byte
	state  ws.State
	op     ws.OpCode     // of the message that is being read
	text   *bytes.Buffer // the message so far, nil between long messages
}

// buffers are for messages. What grew large is not kept.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

const keepBuffer = 16 << 10

// next returns a whole message, or a control frame. The bytes are good
// until the next call. After an error or a close frame there is none.
func (f *frameReader) next() (ws.OpCode, []byte, error) {
	if f.text != nil && !f.state.Fragmented() {
		if f.text.Cap() <= keepBuffer {
			buffers.Put(f.text)
		}
		f.text = nil
	}
	for {
		op, payload, err := f.step()
		if err != nil || payload != nil {
			return op, payload, err
		}
	}
}

// step reads one frame; payload is nil if it is not the last of its message.
func (f *frameReader) step() (op ws.OpCode, payload []byte, err error) {
	header, err := ws.ReadHeaderBuffer(&f.in, f.header[:])
	if err != nil {
		return 0, nil, err
	}
	if err := ws.CheckHeader(header, f.state.Set(ws.StateServerSide)); err != nil {
		return 0, nil, err
	}
	if header.OpCode.IsControl() {
		payload = make([]byte, header.Length) // 125 bytes at most
		_, err := io.ReadFull(&f.in, payload)
		ws.Cipher(payload, header.Mask, 0)
		return header.OpCode, payload, err
	}
	return f.data(header)
}

func (f *frameReader) data(header ws.Header) (ws.OpCode, []byte, error) {
	if header.OpCode != ws.OpContinuation {
		f.op = header.OpCode
	}
	if header.OpCode != ws.OpContinuation && header.Fin && header.Length <= int64(min(readSize, f.limit)) {
		return f.short(header)
	}
	if f.text == nil {
		f.text = buffers.Get().(*bytes.Buffer)
		f.text.Reset()
	}
	start := f.text.Len()
	if header.Length > int64(f.limit-start) {
		return 0, nil, errTooBig
	}
	// CopyN grows with what arrives: a header alone reserves nothing.
	if _, err := io.CopyN(f.text, &f.in, header.Length); err != nil {
		return 0, nil, err
	}
	ws.Cipher(f.text.Bytes()[start:], header.Mask, 0)
	if !header.Fin {
		f.state = f.state.Set(ws.StateFragmented)
		return f.op, nil, nil
	}
	f.state = f.state.Clear(ws.StateFragmented)
	if f.text.Len() == 0 {
		return f.op, []byte{}, nil
	}
	return f.valid(f.text.Bytes())
}

// short reads a message that is one frame and needs no buffer.
func (f *frameReader) short(header ws.Header) (ws.OpCode, []byte, error) {
	payload, err := f.in.take(int(header.Length))
	if err != nil {
		return 0, nil, err
	}
	ws.Cipher(payload, header.Mask, 0)
	return f.valid(payload)
}

func (f *frameReader) valid(message []byte) (ws.OpCode, []byte, error) {
	if f.op == ws.OpText && !utf8.Valid(message) {
		return 0, nil, errNotUTF8
	}
	return f.op, message, nil
}

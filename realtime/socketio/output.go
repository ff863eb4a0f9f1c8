package socketio

import (
	"bytes"
	"sync"

	"github.com/gobwas/ws"
)

// output takes a session's messages to its WebSocket, and keeps them for polls until it
// has one. A message is a whole WebSocket frame; polls strip the header.
type output struct {
	mu      sync.Mutex
	ws      *webSocket
	waiting [][]byte
	ready   chan struct{} // has room for one: polls find waiting; nil without polls
}

func (o *output) put(messages [][]byte, joined []byte) (waiting int, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ws != nil {
		return o.ws.put(messages, joined)
	}
	o.waiting = append(o.waiting, messages...)
	select {
	case o.ready <- struct{}{}:
	default:
	}
	return length(messages), nil
}

// attach makes ws the way out, and puts there what waits. It returns how many bytes the
// WebSocket has taken.
func (o *output) attach(ws *webSocket) (sent int, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ws = ws
	messages := o.waiting
	o.waiting = nil
	if len(messages) == 0 {
		return 0, nil
	}
	kept, err := ws.put(messages, bytes.Join(messages, nil))
	return length(messages) - kept, err
}

// take returns a polling payload of what waits, nil if nothing does, and how many bytes
// of messages are in it.
func (o *output) take() (payload []byte, size int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	taken := 0
	for _, message := range o.waiting {
		if taken > 0 && len(payload)+len(message) > maxBatch {
			break
		}
		if taken > 0 {
			payload = append(payload, separator)
		}
		payload = append(payload, packetIn(message)...)
		size += len(message)
		taken++
	}
	clear(o.waiting[:taken])
	if o.waiting = o.waiting[taken:]; len(o.waiting) == 0 {
		o.waiting = nil
	}
	return payload, size
}

// webSocket returns the way out, nil while there are only polls.
func (o *output) webSocket() *webSocket {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.ws
}

// busy reports whether something waits for the WebSocket.
func (o *output) busy() bool {
	ws := o.webSocket()
	return ws != nil && ws.busy()
}

// frameOf returns a frame of the server's, which is never masked.
func frameOf(op ws.OpCode, payload []byte) []byte {
	return ws.MustCompileFrame(ws.NewFrame(op, true, payload))
}

// textFrame is the message that holds an Engine.IO packet.
func textFrame(packet []byte) []byte { return frameOf(ws.OpText, packet) }

// packetIn returns the packet of a message: textFrame backwards.
func packetIn(frame []byte) []byte {
	switch frame[1] {
	case 126:
		return frame[4:]
	case 127:
		return frame[10:]
	}
	return frame[2:]
}

func length(messages [][]byte) (n int) {
	for _, message := range messages {
		n += len(message)
	}
	return n
}

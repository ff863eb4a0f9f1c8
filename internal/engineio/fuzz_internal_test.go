package engineio

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// Bytes from strangers. These tests see the insides because the front door is a
// TCP connection, through which a fuzzer gets nowhere.

// FuzzFrames reads arbitrary bytes as a client's frames.
func FuzzFrames(f *testing.F) {
	for _, frame := range []ws.Frame{
		ws.NewTextFrame([]byte(`42["join-clinic","7"]`)), ws.NewPingFrame(nil), ws.NewCloseFrame(nil), ws.NewBinaryFrame(nil),
		ws.NewFrame(ws.OpText, false, []byte("4")), ws.NewFrame(ws.OpBinary, false, []byte{0xff}), ws.NewFrame(ws.OpContinuation, true, []byte("2")),
		{Header: ws.Header{Fin: true, OpCode: ws.OpText, Length: 1 << 40}},
	} {
		var wire bytes.Buffer
		_ = ws.WriteFrame(&wire, ws.MaskFrameWith(frame, [4]byte{1, 2, 3, 4}))
		f.Add(wire.Bytes())
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		const limit = 100
		frames := frameReader{in: smallReader{from: bytes.NewReader(wire)}, limit: limit}
		for range len(wire) {
			op, payload, err := frames.next()
			if err != nil {
				break
			}
			switch {
			case op == ws.OpText && (len(payload) > limit || !utf8.Valid(payload)):
				t.Fatalf("a message of %d bytes, valid UTF-8: %v", len(payload), utf8.Valid(payload))
			case op == ws.OpBinary && len(payload) > limit:
				t.Fatalf("a message of %d bytes", len(payload))
			case op != ws.OpText && op != ws.OpBinary && op != ws.OpPing && op != ws.OpPong && op != ws.OpClose:
				t.Fatalf("opcode %d", op)
			}
		}
		if frames.text != nil && frames.text.Cap() > max(2*(len(wire)+bytes.MinRead), keepBuffer) {
			t.Fatalf("%d bytes are kept of %d", frames.text.Cap(), len(wire))
		}
	})
}

// FuzzFragments cuts a message anywhere, with pings between, and expects it whole.
func FuzzFragments(f *testing.F) {
	f.Add(`42["join-clinic","7"]`, uint8(3), uint32(0x01020304), false)
	f.Add("आशा 👩‍⚕️", uint8(1), uint32(0), false)
	f.Add("\xff\x00", uint8(0), uint32(1), true)
	f.Fuzz(func(t *testing.T, text string, size uint8, mask uint32, binary bool) {
		kind := ws.OpBinary
		if !binary {
			kind, text = ws.OpText, strings.ToValidUTF8(text, "?")
		}
		var wire bytes.Buffer
		key := [4]byte{byte(mask), byte(mask >> 8), byte(mask >> 16), byte(mask >> 24)}
		write := func(frame ws.Frame) { _ = ws.WriteFrame(&wire, ws.MaskFrameWith(frame, key)) }
		rest, op := []byte(text), kind
		for step := int(size%50) + 1; len(rest) > step; rest = rest[step:] {
			write(ws.NewFrame(op, false, rest[:step]))
			write(ws.NewPingFrame([]byte{size}))
			op = ws.OpContinuation
		}
		write(ws.NewFrame(op, true, rest))

		frames := frameReader{in: smallReader{from: &wire}, limit: len(text)}
		for {
			op, payload, err := frames.next()
			if err != nil {
				t.Fatal(err)
			}
			if op == kind {
				if string(payload) != text {
					t.Fatalf("got %q, want %q", payload, text)
				}
				break
			}
		}
		if _, _, err := frames.next(); err != io.EOF {
			t.Fatalf("got %v behind the message", err)
		}
	})
}

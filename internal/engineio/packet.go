package engineio

import (
	"encoding/base64"

	"github.com/gobwas/ws"
)

// The transports, as the query parameter names them.
const (
	pollingTransport   = "polling"
	webSocketTransport = "websocket"
)

// The first bytes of packets.
const (
	packetOpen    = '0'
	packetClose   = '1'
	packetPing    = '2'
	packetPong    = '3'
	packetMessage = '4'
	packetUpgrade = '5'
	packetNoop    = '6'
	packetBinary  = 'b' // base64, where there are no binary frames
)

// separator stands between the packets of a polling payload.
const separator = '\x1e'

// Whole packets. Nobody changes them.
var (
	pingMessage = textFrame([]byte{packetPing})
	noopMessage = textFrame([]byte{packetNoop})
	noopPacket  = []byte{packetNoop}
	closePacket = []byte{packetClose}
)

// Text returns a text message as Session.Put takes it: the parts one behind the other.
func Text(parts ...[]byte) []byte {
	return frameOf(ws.OpText, append([][]byte{{packetMessage}}, parts...)...)
}

// Binary returns a binary message as Session.Put takes it. Behind a Text it may be part of
// the same message: nothing comes between them then.
func Binary(data []byte) []byte { return frameOf(ws.OpBinary, data) }

// frameOf returns a frame of the server's, which is never masked.
func frameOf(op ws.OpCode, parts ...[]byte) []byte {
	header := ws.Header{Fin: true, OpCode: op}
	for _, part := range parts {
		header.Length += int64(len(part))
	}
	frame := appendHeader(make([]byte, 0, ws.HeaderSize(header)+int(header.Length)), header)
	for _, part := range parts {
		frame = append(frame, part...)
	}
	return frame
}

func appendHeader(frame []byte, h ws.Header) []byte {
	frame = append(frame, 0x80|byte(h.OpCode))
	switch n := h.Length; {
	case n < 126:
		return append(frame, byte(n))
	case n < 1<<16:
		return append(frame, 126, byte(n>>8), byte(n))
	default:
		return append(frame, 127, byte(n>>56), byte(n>>48), byte(n>>40), byte(n>>32), byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
}

// textFrame is the message that holds one packet.
func textFrame(packet []byte) []byte { return frameOf(ws.OpText, packet) }

// appendPackets appends the packets of a message, as polls carry them.
func appendPackets(payload, message []byte) []byte {
	for first := true; len(message) > 0; first = false {
		if !first {
			payload = append(payload, separator)
		}
		op, body, rest := cutFrame(message)
		if op == ws.OpBinary {
			payload = base64.StdEncoding.AppendEncode(append(payload, packetBinary), body)
		} else {
			payload = append(payload, body...)
		}
		message = rest
	}
	return payload
}

// cutFrame takes the first frame off: frameOf backwards.
func cutFrame(message []byte) (op ws.OpCode, body, rest []byte) {
	op = ws.OpCode(message[0] & 0x0f)
	start, n := 2, int(message[1])
	switch n {
	case 126:
		start, n = 4, int(message[2])<<8|int(message[3])
	case 127:
		start, n = 10, 0
		for _, b := range message[2:10] {
			n = n<<8 | int(b)
		}
	}
	return op, message[start : start+n], message[start+n:]
}

// Packets returns the packets of a message that Text and Binary have made, as a poll carries
// them.
func Packets(message []byte) []byte { return appendPackets(nil, message) }

// packet reads one packet of the client. After an error the session must end.
func (s *Session) packet(text []byte) error {
	if len(text) == 0 {
		return ErrGarbage
	}
	switch kind, body := text[0], text[1:]; kind {
	case packetMessage:
		return s.handler.Message(body, false)
	case packetBinary:
		data := make([]byte, base64.StdEncoding.DecodedLen(len(body)))
		n, err := base64.StdEncoding.Decode(data, body)
		if err != nil {
			return ErrGarbage
		}
		return s.handler.Message(data[:n], true)
	case packetPong:
		s.answered()
		return nil
	case packetNoop:
		return nil
	case packetClose:
		s.goodbye(errClientLeft)
		return nil
	}
	return ErrGarbage
}

package socketio

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/telemed-go/telemed/realtime"
)

// The transports, as the query parameter names them.
const (
	pollingTransport   = "polling"
	webSocketTransport = "websocket"
)

// The first bytes of Engine.IO packets.
const (
	packetOpen    = '0'
	packetClose   = '1'
	packetPing    = '2'
	packetPong    = '3'
	packetMessage = '4'
	packetUpgrade = '5'
	packetNoop    = '6'
	packetBinary  = 'b' // base64, in polling payloads
)

// separator stands between the packets of a polling payload.
const separator = '\x1e'

// Whole packets. Nobody changes them.
var (
	pingMessage = textFrame([]byte{packetPing})
	noopPacket  = []byte{packetNoop}
	closePacket = []byte{packetClose}
)

func isPing(message []byte) bool { return bytes.Equal(message, pingMessage) }

// The first bytes of Socket.IO packets, which are the body of Engine.IO messages.
const (
	kindConnect      = '0'
	kindDisconnect   = '1'
	kindEvent        = '2'
	kindAck          = '3'
	kindConnectError = '4'
	kindBinaryEvent  = '5'
	kindBinaryAck    = '6'
)

const (
	defaultNamespace = "/"
	maxNamespace     = 128
	maxAckDigits     = 15 // every such number is exact in JavaScript
)

// packet is a decoded Socket.IO packet.
type packet struct {
	kind      byte
	namespace string
	ack       string // digits; empty if the client wants no acknowledgement
	data      []byte // JSON of the form that kind asks for, or empty where it may be
}

// parsePacket decodes a Socket.IO packet: kind, [namespace ","], [ack id], [JSON].
func parsePacket(text []byte) (packet, error) {
	if len(text) == 0 {
		return packet{}, errGarbage
	}
	p := packet{kind: text[0], namespace: defaultNamespace}
	if p.kind == kindBinaryEvent || p.kind == kindBinaryAck {
		return packet{}, errBinary
	}
	rest := text[1:]
	if len(rest) > 0 && rest[0] == '/' {
		name, after, _ := bytes.Cut(rest, []byte{','})
		if len(name) > maxNamespace {
			return packet{}, errGarbage
		}
		p.namespace, rest = string(name), after
	}
	digits := len(rest) - len(bytes.TrimLeft(rest, "0123456789"))
	if digits > maxAckDigits {
		return packet{}, errGarbage
	}
	p.ack, p.data = string(rest[:digits]), rest[digits:]
	if !p.wellFormed() {
		return packet{}, errGarbage
	}
	return p, nil
}

func (p packet) wellFormed() bool {
	switch p.kind {
	case kindConnect:
		return p.ack == "" && (len(p.data) == 0 || isJSON(p.data, '{'))
	case kindDisconnect:
		return p.ack == "" && len(p.data) == 0
	case kindEvent:
		return isJSON(p.data, '[')
	case kindAck:
		return p.ack != "" && isJSON(p.data, '[')
	}
	return false // kindConnectError is for servers to send
}

func isJSON(data []byte, first byte) bool {
	return len(data) > 0 && data[0] == first && json.Valid(data)
}

// event decodes the data of an event: its name and its arguments.
func (p packet) event() (name string, args []json.RawMessage, err error) {
	var list []json.RawMessage
	if err := json.Unmarshal(p.data, &list); err != nil || len(list) == 0 || !strings.HasPrefix(string(list[0]), `"`) {
		return "", nil, errGarbage
	}
	if err := json.Unmarshal(list[0], &name); err != nil {
		return "", nil, errGarbage
	}
	return name, list[1:], nil
}

// encoder makes messages of the hub's events.
type encoder struct{}

func (encoder) Encode(m realtime.Message) []byte {
	quoted, err := json.Marshal(m.Name)
	if err != nil {
		panic(err) // a string can be encoded
	}
	text := append([]byte{packetMessage, kindEvent, '['}, quoted...)
	for _, arg := range m.JSON() {
		text = append(append(text, ','), arg...)
	}
	if m.Offset != "" {
		quoted, err := json.Marshal(m.Offset)
		if err != nil {
			panic(err) // a string can be encoded
		}
		text = append(append(text, ','), quoted...)
	}
	return textFrame(append(text, ']'))
}

func ackPacket(id string, reply []byte) []byte {
	text := append([]byte{packetMessage, kindAck}, id...)
	return append(append(append(text, '['), reply...), ']')
}

// connectedPacket lets a client in. Without pid it cannot come back.
func connectedPacket(id, pid string) []byte {
	if pid != "" {
		id += `","pid":"` + pid
	}
	return []byte(string([]byte{packetMessage, kindConnect}) + `{"sid":"` + id + `"}`)
}

// comesBack is what a client brings back from an earlier connection.
type comesBack struct {
	PID    string `json:"pid"`
	Offset string `json:"offset"`
}

// comesBack reads the data of a connect packet. Texts of another form are the page's own
// and count as none.
func (p packet) comesBack() (back comesBack) {
	if len(p.data) == 0 || json.Unmarshal(p.data, &back) != nil {
		return comesBack{}
	}
	return back
}

func connectErrorPacket(namespace string) []byte {
	return []byte(string([]byte{packetMessage, kindConnectError}) + namespace + `,{"message":"Invalid namespace"}`)
}

package socketio

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/telemed-go/telemed/internal/engineio"
	"github.com/telemed-go/telemed/realtime"
)

// The first bytes of Socket.IO packets, which are Engine.IO messages.
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
		return packet{}, engineio.ErrGarbage
	}
	p := packet{kind: text[0], namespace: defaultNamespace}
	if p.kind == kindBinaryEvent || p.kind == kindBinaryAck {
		return packet{}, engineio.ErrUnsupported
	}
	rest := text[1:]
	if len(rest) > 0 && rest[0] == '/' {
		name, after, _ := bytes.Cut(rest, []byte{','})
		if len(name) > maxNamespace {
			return packet{}, engineio.ErrGarbage
		}
		p.namespace, rest = string(name), after
	}
	digits := len(rest) - len(bytes.TrimLeft(rest, "0123456789"))
	if digits > maxAckDigits {
		return packet{}, engineio.ErrGarbage
	}
	p.ack, p.data = string(rest[:digits]), rest[digits:]
	if !p.wellFormed() {
		return packet{}, engineio.ErrGarbage
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
		return "", nil, engineio.ErrGarbage
	}
	if err := json.Unmarshal(list[0], &name); err != nil {
		return "", nil, engineio.ErrGarbage
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
	text := append([]byte{kindEvent, '['}, quoted...)
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
	return engineio.Text(append(text, ']'))
}

func ackMessage(id string, reply []byte) []byte {
	return engineio.Text([]byte{kindAck}, []byte(id), []byte{'['}, reply, []byte{']'})
}

// connectedMessage lets a client in. Without pid it cannot come back.
func connectedMessage(id, pid string) []byte {
	if pid != "" {
		id += `","pid":"` + pid
	}
	return engineio.Text([]byte{kindConnect}, []byte(`{"sid":"`+id+`"}`))
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

func connectErrorMessage(namespace string) []byte {
	return engineio.Text([]byte{kindConnectError}, []byte(namespace+`,{"message":"Invalid namespace"}`))
}

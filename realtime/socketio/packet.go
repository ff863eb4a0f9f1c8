package socketio

import (
	"bytes"
	"encoding/json"
	"strconv"

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
	kind        byte // kindEvent and kindAck also with attachments
	attachments int  // how many follow
	namespace   string
	ack         string // digits; empty if no acknowledgement is wanted
	data        []byte // JSON of the form that kind asks for, or empty where it may be
}

// parsePacket decodes a Socket.IO packet: kind, [attachments "-"], [namespace ","], [ack id],
// [JSON]. It allows limit attachments.
func parsePacket(text []byte, limit int) (packet, error) {
	if len(text) == 0 {
		return packet{}, engineio.ErrGarbage
	}
	p := packet{kind: text[0], namespace: defaultNamespace}
	rest := text[1:]
	if p.kind == kindBinaryEvent || p.kind == kindBinaryAck {
		count, after, found := bytes.Cut(rest, []byte{'-'})
		n, err := strconv.ParseUint(string(count[:min(len(count), maxAckDigits)]), 10, 32)
		if err != nil || !found || len(count) > maxAckDigits || n > uint64(limit) {
			return packet{}, engineio.ErrGarbage
		}
		p.kind, p.attachments, rest = p.kind-kindBinaryEvent+kindEvent, int(n), after
	}
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

// list decodes the data of an event or of an acknowledgement. Nothing of it is p's.
func (p packet) list() ([]json.RawMessage, error) {
	var list []json.RawMessage
	if err := json.Unmarshal(p.data, &list); err != nil {
		return nil, engineio.ErrGarbage
	}
	return list, nil
}

// eventName reads the name of an event, which is the first of its list.
func eventName(list []json.RawMessage) (name string, ok bool) {
	if len(list) == 0 || list[0][0] != '"' {
		return "", false
	}
	err := json.Unmarshal(list[0], &name)
	return name, err == nil
}

// messageOf is a packet as the engine sends it, and what follows it.
func messageOf(text []byte, attachments ...[]byte) []byte {
	message := engineio.Text(text)
	for _, data := range attachments {
		message = append(message, engineio.Binary(data)...)
	}
	return message
}

// head begins a packet of the server's.
func head(kind byte, attachments int, namespace, ack string) []byte {
	text := []byte{kind}
	if attachments > 0 {
		text = append(strconv.AppendInt([]byte{kind - kindEvent + kindBinaryEvent}, int64(attachments), 10), '-')
	}
	if namespace != defaultNamespace {
		text = append(append(text, namespace...), ',')
	}
	return append(text, ack...)
}

// eventMessage is an event that wants the acknowledgement ack, if that is not empty.
func eventMessage(namespace, ack string, m realtime.Message) []byte {
	list := make([]json.RawMessage, 0, len(m.Args)+2)
	list = append(append(list, quoted(m.Name)), m.Args...)
	if m.Offset != "" {
		list = append(list, quoted(m.Offset))
	}
	return listMessage(kindEvent, namespace, ack, list, m.Attachments)
}

// ackMessage acknowledges an event of the client's with the arguments of m.
func ackMessage(namespace, ack string, m realtime.Message) []byte {
	return listMessage(kindAck, namespace, ack, m.Args, m.Attachments)
}

func listMessage(kind byte, namespace, ack string, list []json.RawMessage, attachments [][]byte) []byte {
	text := append(head(kind, len(attachments), namespace, ack), '[')
	for i, value := range list {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(text, value...)
	}
	return messageOf(append(text, ']'), attachments...)
}

// connectedMessage lets a client in. Without pid it cannot come back.
func connectedMessage(namespace, id, pid string) []byte {
	if pid != "" {
		id += `","pid":"` + pid
	}
	return messageOf(append(head(kindConnect, 0, namespace, ""), `{"sid":"`+id+`"}`...))
}

// disconnectMessage sends a client out of a namespace. It does not come back by itself.
func disconnectMessage(namespace string) []byte {
	return messageOf(head(kindDisconnect, 0, namespace, ""))
}

// connectErrorMessage refuses a client.
func connectErrorMessage(namespace string, words refusalWords) []byte {
	return messageOf(append(head(kindConnectError, 0, namespace, ""), quoted(words)...))
}

// refusalWords are what a page is told whose connection is refused.
type refusalWords struct {
	Message string          `json:"message"`
	Data    json.RawMessage `json:"data,omitempty"`
}

// quoted encodes what always can be.
func quoted(value any) []byte {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return text
}

// readReturn reads what a client brings back from the data of a connect packet. Texts of
// another form are the page's own and count as none.
func readReturn(auth []byte) realtime.Return {
	var back struct {
		PID    string `json:"pid"`
		Offset string `json:"offset"`
	}
	if json.Unmarshal(auth, &back) != nil {
		return realtime.Return{}
	}
	return realtime.Return(back)
}

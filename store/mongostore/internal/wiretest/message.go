package wiretest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// The opcodes. OP_QUERY is spoken for the very first hello only.
const (
	opReply = 1
	opQuery = 2004
	opMsg   = 2013
)

const (
	headerBytes = 16
	maxMessage  = 48_000_000
)

var errMessage = errors.New("wiretest: message is malformed")

// message is one request.
type message struct {
	id     int32
	opcode int32
	body   bson.Raw
}

func readMessage(r io.Reader) (message, error) {
	var header [headerBytes]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return message{}, err
	}
	length := int32(binary.LittleEndian.Uint32(header[0:]))
	if length < headerBytes || length > maxMessage {
		return message{}, errMessage
	}
	msg := message{
		id:     int32(binary.LittleEndian.Uint32(header[4:])),
		opcode: int32(binary.LittleEndian.Uint32(header[12:])),
	}
	payload := make([]byte, length-headerBytes)
	if _, err := io.ReadFull(r, payload); err != nil {
		return message{}, err
	}
	var err error
	switch msg.opcode {
	case opMsg:
		msg.body, err = parseMsg(payload)
	case opQuery:
		msg.body, err = parseQuery(payload)
	default:
		err = errMessage
	}
	return msg, err
}

// parseMsg folds the document sequences of an OP_MSG into its body, as arrays.
func parseMsg(payload []byte) (bson.Raw, error) {
	if len(payload) < 4 || binary.LittleEndian.Uint32(payload) != 0 { // no checksum, no exhaust
		return nil, errMessage
	}
	var (
		body      bson.Raw
		sequences bson.D
	)
	for rest := payload[4:]; len(rest) > 0; {
		kind := rest[0]
		section, err := sized(rest[1:])
		if err != nil {
			return nil, err
		}
		rest = rest[1+len(section):]
		switch kind {
		case 0:
			body = section
		case 1:
			name, documents, err := sequence(section[4:])
			if err != nil {
				return nil, err
			}
			sequences = append(sequences, bson.E{Key: name, Value: documents})
		default:
			return nil, errMessage
		}
	}
	if body.Validate() != nil {
		return nil, errMessage
	}
	return fold(body, sequences)
}

// sized returns the leading part of data whose length is in its first four bytes.
func sized(data []byte) ([]byte, error) {
	if len(data) < 5 {
		return nil, errMessage
	}
	length := binary.LittleEndian.Uint32(data)
	if length < 5 || uint64(length) > uint64(len(data)) {
		return nil, errMessage
	}
	return data[:length], nil
}

func sequence(data []byte) (name string, documents bson.A, err error) {
	head, rest, ok := bytes.Cut(data, []byte{0})
	if !ok {
		return "", nil, errMessage
	}
	for len(rest) > 0 {
		document, err := sized(rest)
		if err != nil || bson.Raw(document).Validate() != nil {
			return "", nil, errMessage
		}
		documents = append(documents, bson.Raw(document))
		rest = rest[len(document):]
	}
	return string(head), documents, nil
}

func fold(body bson.Raw, sequences bson.D) (bson.Raw, error) {
	if len(sequences) == 0 {
		return body, nil
	}
	elements, err := body.Elements()
	if err != nil {
		return nil, errMessage
	}
	var whole bson.D
	for _, element := range elements {
		whole = append(whole, bson.E{Key: element.Key(), Value: element.Value()})
	}
	return bson.Marshal(append(whole, sequences...))
}

// parseQuery reads an OP_QUERY: flags, collection name, two numbers, document.
func parseQuery(payload []byte) (bson.Raw, error) {
	if len(payload) < 4 {
		return nil, errMessage
	}
	_, rest, ok := bytes.Cut(payload[4:], []byte{0})
	if !ok || len(rest) < 8 {
		return nil, errMessage
	}
	document, err := sized(rest[8:])
	if err != nil || bson.Raw(document).Validate() != nil {
		return nil, errMessage
	}
	if inner, ok := bson.Raw(document).Lookup("$query").DocumentOK(); ok {
		return inner, nil
	}
	return document, nil
}

func writeReply(w io.Writer, request message, reply bson.D) error {
	document, err := bson.Marshal(reply)
	if err != nil {
		return err
	}
	opcode := uint32(opMsg)
	prefix := make([]byte, 5) // flags, and a section of kind 0
	if request.opcode == opQuery {
		opcode = opReply
		prefix = make([]byte, 20) // flags, cursor id, starting from, number returned
		binary.LittleEndian.PutUint32(prefix[16:], 1)
	}
	out := make([]byte, headerBytes, headerBytes+len(prefix)+len(document))
	binary.LittleEndian.PutUint32(out[0:], uint32(headerBytes+len(prefix)+len(document)))
	binary.LittleEndian.PutUint32(out[8:], uint32(request.id))
	binary.LittleEndian.PutUint32(out[12:], opcode)
	out = append(append(out, prefix...), document...)
	_, err = w.Write(out)
	return err
}

package redisstream

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"time"

	"github.com/tinylib/msgp/msgp"
)

// maxDepth is how deep the values of an entry with binary parts may be.
const maxDepth = 64

// maxAttachments is how many binary parts an entry may have.
const maxAttachments = 64

// unpackJSON turns MessagePack into JSON, with placeholders for its binary parts.
func unpackJSON(packed []byte) (text []byte, attachments [][]byte, err error) {
	u := unpacker{rest: packed}
	if err := u.value(0); err != nil || len(u.rest) > 0 {
		return nil, nil, errUnreadable
	}
	return u.text, u.attachments, nil
}

type unpacker struct {
	rest        []byte
	text        []byte
	attachments [][]byte
}

func (u *unpacker) value(depth int) error {
	if depth > maxDepth {
		return errUnreadable
	}
	switch kind := msgp.NextType(u.rest); kind {
	case msgp.MapType:
		return u.object(depth)
	case msgp.ArrayType:
		return u.array(depth)
	case msgp.BinType:
		return u.binary()
	default:
		return u.scalar(kind)
	}
}

// scalar writes a value that holds no other.
func (u *unpacker) scalar(kind msgp.Type) error {
	switch kind {
	case msgp.StrType:
		return read(u, msgp.ReadStringZC, func(value []byte) { u.text = appendJSON(u.text, string(value)) })
	case msgp.IntType:
		return read(u, msgp.ReadInt64Bytes, func(value int64) { u.text = strconv.AppendInt(u.text, value, 10) })
	case msgp.UintType:
		return read(u, msgp.ReadUint64Bytes, func(value uint64) { u.text = strconv.AppendUint(u.text, value, 10) })
	case msgp.Float32Type:
		return read(u, msgp.ReadFloat32Bytes, func(value float32) { u.float(float64(value)) })
	case msgp.Float64Type:
		return read(u, msgp.ReadFloat64Bytes, u.float)
	case msgp.BoolType:
		return read(u, msgp.ReadBoolBytes, func(value bool) { u.text = strconv.AppendBool(u.text, value) })
	case msgp.TimeType:
		return read(u, msgp.ReadTimeBytes, func(value time.Time) {
			u.text = appendJSON(u.text, value.UTC().Format("2006-01-02T15:04:05.000Z"))
		})
	case msgp.NilType:
		u.text = append(u.text, "null"...)
		var err error
		u.rest, err = msgp.ReadNilBytes(u.rest)
		return err
	}
	return errUnreadable
}

// read takes the next value off, as one of msgp's functions reads it.
func read[T any](u *unpacker, next func([]byte) (T, []byte, error), write func(T)) error {
	value, rest, err := next(u.rest)
	if err != nil {
		return errUnreadable
	}
	u.rest = rest
	write(value)
	return nil
}

// float writes what JSON.stringify writes: null for what is no number.
func (u *unpacker) float(value float64) {
	if math.IsNaN(value) || math.IsInf(value, 0) {
		u.text = append(u.text, "null"...)
		return
	}
	encoded, _ := json.Marshal(value)
	u.text = append(u.text, encoded...)
}

func (u *unpacker) binary() error {
	value, rest, err := msgp.ReadBytesZC(u.rest)
	if err != nil || len(u.attachments) == maxAttachments {
		return errUnreadable
	}
	u.text = append(u.text, placeholder(len(u.attachments))...)
	u.attachments, u.rest = append(u.attachments, bytes.Clone(value)), rest
	if len(value) == 0 {
		u.attachments[len(u.attachments)-1] = []byte{}
	}
	return nil
}

func (u *unpacker) array(depth int) error {
	n, rest, err := msgp.ReadArrayHeaderBytes(u.rest)
	if err != nil {
		return errUnreadable
	}
	u.rest = rest
	u.text = append(u.text, '[')
	for i := range n {
		if i > 0 {
			u.text = append(u.text, ',')
		}
		if err := u.value(depth + 1); err != nil {
			return err
		}
	}
	u.text = append(u.text, ']')
	return nil
}

func (u *unpacker) object(depth int) error {
	n, rest, err := msgp.ReadMapHeaderBytes(u.rest)
	if err != nil {
		return errUnreadable
	}
	u.rest = rest
	u.text = append(u.text, '{')
	for i := range n {
		if i > 0 {
			u.text = append(u.text, ',')
		}
		var key []byte
		key, u.rest, err = msgp.ReadStringZC(u.rest)
		if err != nil || string(key) == "_placeholder" { // it would name a part that is not its own
			return errUnreadable
		}
		u.text = append(appendJSON(u.text, string(key)), ':')
		if err := u.value(depth + 1); err != nil {
			return err
		}
	}
	u.text = append(u.text, '}')
	return nil
}

// packJSON turns JSON into MessagePack, with the attachments in place of their
// placeholders. Each attachment must be there once.
func packJSON(text []byte, attachments [][]byte) ([]byte, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	p := packer{decoder: decoder, attachments: attachments}
	packed, err := p.value(nil, 0)
	if err != nil || p.used != len(attachments) || len(attachments) > maxAttachments {
		return nil, errUnreadable
	}
	return packed, nil
}

type packer struct {
	decoder     *json.Decoder
	attachments [][]byte
	used        int
}

func (p *packer) value(packed []byte, depth int) ([]byte, error) {
	token, err := p.decoder.Token()
	if err != nil || depth > maxDepth {
		return nil, errUnreadable
	}
	switch token := token.(type) {
	case json.Delim:
		if token == '[' {
			return p.array(packed, depth)
		}
		return p.object(packed, depth)
	case string:
		return msgp.AppendString(packed, token), nil
	case json.Number:
		return number(packed, token)
	case bool:
		return msgp.AppendBool(packed, token), nil
	}
	return msgp.AppendNil(packed), nil
}

func number(packed []byte, n json.Number) ([]byte, error) {
	if whole, err := n.Int64(); err == nil {
		return msgp.AppendInt64(packed, whole), nil
	}
	value, err := n.Float64()
	if err != nil {
		return nil, errUnreadable
	}
	return msgp.AppendFloat64(packed, value), nil
}

func (p *packer) array(packed []byte, depth int) ([]byte, error) {
	var items []byte
	var err error
	n := uint32(0)
	for ; p.decoder.More(); n++ {
		if items, err = p.value(items, depth+1); err != nil {
			return nil, err
		}
	}
	_, err = p.decoder.Token()
	return append(msgp.AppendArrayHeader(packed, n), items...), err
}

func (p *packer) object(packed []byte, depth int) ([]byte, error) {
	var pairs []byte
	n, marked := uint32(0), false
	for ; p.decoder.More(); n++ {
		key, err := p.decoder.Token()
		name, ok := key.(string)
		if err != nil || !ok {
			return nil, errUnreadable
		}
		marked = marked || name == "_placeholder"
		if marked && name == "num" && n == 1 {
			return p.attachment(packed)
		}
		if pairs, err = p.value(msgp.AppendString(pairs, name), depth+1); err != nil {
			return nil, err
		}
	}
	if _, err := p.decoder.Token(); err != nil || marked {
		return nil, errUnreadable
	}
	return append(msgp.AppendMapHeader(packed, n), pairs...), nil
}

// attachment reads the number of a placeholder and its end.
func (p *packer) attachment(packed []byte) ([]byte, error) {
	token, err := p.decoder.Token()
	n, ok := token.(json.Number)
	end, err2 := p.decoder.Token()
	if err != nil || err2 != nil || !ok || end != json.Delim('}') || n.String() != strconv.Itoa(p.used) || p.used >= len(p.attachments) {
		return nil, errUnreadable
	}
	p.used++
	return msgp.AppendBytes(packed, p.attachments[p.used-1]), nil
}

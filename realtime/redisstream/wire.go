package redisstream

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/store"
)

// The types of the reference, MessageType in
// https://github.com/socketio/socket.io/blob/main/packages/socket.io-adapter/lib/cluster-adapter.ts
const (
	typeBroadcast = "3"
	typeJoin      = "4"
	typeLeave     = "5"
	typeKick      = "6"
)

var kinds = map[string]realtime.Kind{
	typeBroadcast: realtime.KindEvent, typeJoin: realtime.KindJoin, typeLeave: realtime.KindLeave, typeKick: realtime.KindKick,
}

var types = map[realtime.Kind]string{
	realtime.KindEvent: typeBroadcast, realtime.KindJoin: typeJoin, realtime.KindLeave: typeLeave, realtime.KindKick: typeKick,
}

// sealedMark begins the data of a sealed entry. Neither JSON nor base64 begins so.
const sealedMark = "~"

// codec writes and reads the field "data".
type codec struct {
	namespace string
	maxEntry  int
	seal      store.AEAD
}

// message is the data of all types that we know.
type message struct {
	Packet struct {
		Type int               `json:"type"`
		Data []json.RawMessage `json:"data"`
	} `json:"packet"`
	Opts struct {
		Rooms  []string `json:"rooms"`
		Except []string `json:"except"`
		Flags  struct {
			Volatile bool `json:"volatile"`
		} `json:"flags"`
	} `json:"opts"`
	Rooms []string `json:"rooms"`
}

// encode returns type and data of an entry that was checked.
func (c codec) encode(e realtime.Entry) (kind, data string, err error) {
	text := encodeJSON(e)
	kind = types[e.Kind]
	if len(e.Attachments) > 0 {
		packed, err := packJSON(text, e.Attachments)
		if err != nil {
			return "", "", fault.Invalid("redisstream: Append: entry", "Args", "do not fit the Attachments, or are too deep")
		}
		text = base64.StdEncoding.AppendEncode(nil, packed)
	}
	if c.seal != nil {
		sealed, err := c.sealer().Seal(purpose, c.sealID(kind), text)
		if err != nil {
			return "", "", fault.OfApplication("redisstream: Append: Seal", err)
		}
		text = append([]byte(sealedMark), base64.StdEncoding.AppendEncode(nil, sealed)...)
	}
	if len(text) > c.maxEntry {
		return "", "", fault.Invalid("redisstream: Append: entry", "Args", "are longer than an entry of %d bytes", c.maxEntry)
	}
	return kind, string(text), nil
}

const purpose = "live entry"

func (c codec) sealer() store.Sealer { return store.Sealer{AEAD: c.seal, Strict: true} }

// sealID binds what is sealed to the fields that are not.
func (c codec) sealID(kind string) string { return kind + " " + c.namespace }

// encodeJSON writes what JSON.stringify writes in the reference, arguments byte by byte.
func encodeJSON(e realtime.Entry) []byte {
	text := []byte("{")
	if e.Kind == realtime.KindEvent {
		text = append(text, `"packet":{"type":2,"data":[`...)
		text = appendJSON(text, e.Name)
		for _, arg := range e.Args {
			text = append(append(text, ','), arg...)
		}
		text = append(text, `]},`...)
	}
	text = appendJSON(append(text, `"opts":{"rooms":`...), append([]string{}, e.Rooms...))
	text = appendJSON(append(text, `,"except":`...), append([]string{}, e.Except...))
	flags := `,"flags":{}}`
	if e.Volatile {
		flags = `,"flags":{"volatile":true}}`
	}
	text = append(text, flags...)
	switch e.Kind {
	case realtime.KindKick:
		text = append(text, `,"close":true`...)
	case realtime.KindJoin, realtime.KindLeave:
		text = appendJSON(append(text, `,"rooms":`...), e.Moved)
	}
	return append(text, '}')
}

func appendJSON(text []byte, v any) []byte {
	encoded, _ := json.Marshal(v) // strings, which always encode
	return append(text, encoded...)
}

// state says what an entry of the stream is to us.
type state int

const (
	notForUs   state = iota // another namespace, a marker, a type that is none of ours
	forUs                   // an entry
	unreadable              // it should be one
)

// decode reads an entry of the stream, whoever wrote it.
func (c codec) decode(m redis.XMessage) (realtime.Entry, state) {
	text := func(field string) string {
		value, _ := m.Values[field].(string)
		return value
	}
	kind, known := kinds[text("type")]
	if !known || text("nsp") != c.namespace {
		return realtime.Entry{}, notForUs
	}
	e, err := c.decodeData(kind, text("type"), text("data"))
	if err != nil {
		return realtime.Entry{}, unreadable
	}
	e.Position = realtime.Position(m.ID)
	if at, ok := parseID(m.ID); ok {
		e.At = at.time()
	}
	return e, forUs
}

var errUnreadable = errors.New("unreadable")

func (c codec) decodeData(kind realtime.Kind, typ, data string) (realtime.Entry, error) {
	plain, attachments, err := c.open(typ, data)
	if err != nil {
		return realtime.Entry{}, err
	}
	var m message
	if json.Unmarshal(plain, &m) != nil {
		return realtime.Entry{}, errUnreadable
	}
	e := realtime.Entry{Kind: kind, Rooms: m.Opts.Rooms, Except: m.Opts.Except}
	switch kind {
	case realtime.KindEvent:
		if len(m.Packet.Data) == 0 || json.Unmarshal(m.Packet.Data[0], &e.Name) != nil {
			return realtime.Entry{}, errUnreadable
		}
		e.Args, e.Attachments, e.Volatile = m.Packet.Data[1:], attachments, m.Opts.Flags.Volatile
		// Rooms that nobody here can be in are nobody's mistake; the event is checked.
		if (realtime.Entry{Kind: kind, Name: e.Name}).Check() != nil {
			return realtime.Entry{}, errUnreadable
		}
	case realtime.KindJoin, realtime.KindLeave:
		e.Moved = m.Rooms
	}
	return e, nil
}

// open returns the JSON of data, and the binary parts that were in it.
func (c codec) open(typ, data string) (plain []byte, attachments [][]byte, err error) {
	if len(data) > c.maxEntry {
		return nil, nil, errUnreadable
	}
	if sealed, ok := strings.CutPrefix(data, sealedMark); ok != (c.seal != nil) {
		return nil, nil, errUnreadable
	} else if ok {
		stored, err := base64.StdEncoding.DecodeString(sealed)
		if err != nil {
			return nil, nil, errUnreadable
		}
		opened, err := c.sealer().Open(purpose, c.sealID(typ), stored)
		if err != nil {
			return nil, nil, errUnreadable
		}
		data = string(opened)
	}
	if strings.HasPrefix(data, "{") {
		return []byte(data), nil, nil
	}
	packed, err := base64.StdEncoding.DecodeString(data)
	if err != nil {
		return nil, nil, errUnreadable
	}
	return unpackJSON(packed)
}

// placeholder stands in JSON for an attachment.
func placeholder(number int) string {
	return `{"_placeholder":true,"num":` + strconv.Itoa(number) + `}`
}

package realtime

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"

	"github.com/telemed-go/telemed/internal/redact"
)

// Binary is bytes as Data or one of More of an [Event]. Clients of Socket.IO get them as
// they are. Who knows only JSON gets a string in base64, and so does everybody where a
// Binary is inside of another value.
type Binary []byte

// Message is an event as it leaves the hub. It prints without its data.
type Message struct {
	// Name is the event's.
	Name string
	// Args are its arguments, each of them JSON: Data and More of an [Event].
	Args []json.RawMessage
	// Attachments are the binary parts of Args. In the place of each stands
	// {"_placeholder":true,"num":0}, with the index of the attachment.
	Attachments [][]byte
	// Offset is the event's position for a client that can catch up, and empty if it has none.
	Offset string
}

// JSON returns Args with each attachment as a string in base64.
func (m Message) JSON() []json.RawMessage {
	if len(m.Attachments) == 0 {
		return m.Args
	}
	args := make([]json.RawMessage, len(m.Args))
	for i, arg := range m.Args {
		args[i], _ = withoutPlaceholders(arg, func(number int) []byte {
			if number < 0 || number >= len(m.Attachments) {
				return []byte("null")
			}
			return quoted(m.Attachments[number])
		})
	}
	return args
}

// Format tells the same for every verb.
func (m Message) Format(f fmt.State, _ rune) { redact.Format(f, m) }

// LogValue leaves the data out: it is about a patient.
func (m Message) LogValue() slog.Value { return slog.GroupValue(slog.String("name", m.Name)) }

func (m Message) size() int {
	n := length(m.Attachments)
	for _, arg := range m.Args {
		n += len(arg)
	}
	return n
}

func placeholder(number int) json.RawMessage {
	return json.RawMessage(`{"_placeholder":true,"num":` + strconv.Itoa(number) + `}`)
}

// placeholdersFit reports whether args name each of n attachments once, in order.
func placeholdersFit(args []json.RawMessage, n int) bool {
	next, ordered := 0, true
	for _, arg := range args {
		_, err := withoutPlaceholders(arg, func(number int) []byte {
			ordered = ordered && number == next
			next++
			return nil
		})
		ordered = ordered && err == nil
	}
	return ordered && next == n
}

// withoutPlaceholders returns arg with what instead makes of each placeholder in it. As for
// clients of Socket.IO, a placeholder is an object that says "_placeholder": true, whatever
// else it says.
func withoutPlaceholders(arg json.RawMessage, instead func(number int) []byte) (json.RawMessage, error) {
	r := rewriter{decoder: json.NewDecoder(bytes.NewReader(arg)), instead: instead}
	r.decoder.UseNumber()
	if err := r.value(); err != nil {
		return nil, err
	}
	return r.text, nil
}

type rewriter struct {
	decoder *json.Decoder
	text    []byte
	instead func(number int) []byte
}

var errNotJSON = errors.New("not JSON")

func (r *rewriter) value() error {
	token, err := r.decoder.Token()
	if err != nil {
		return errNotJSON
	}
	switch token {
	case json.Delim('['):
		return r.list()
	case json.Delim('{'):
		return r.object()
	}
	r.text = append(r.text, quoted(token)...)
	return nil
}

func (r *rewriter) list() error {
	r.text = append(r.text, '[')
	for n := 0; r.decoder.More(); n++ {
		if n > 0 {
			r.text = append(r.text, ',')
		}
		if err := r.value(); err != nil {
			return err
		}
	}
	r.text = append(r.text, ']')
	return r.end()
}

func (r *rewriter) object() error {
	start, marked, number := len(r.text), false, -1
	r.text = append(r.text, '{')
	for n := 0; r.decoder.More(); n++ {
		if n > 0 {
			r.text = append(r.text, ',')
		}
		key, err := r.decoder.Token()
		if err != nil {
			return errNotJSON
		}
		r.text = append(append(r.text, quoted(key)...), ':')
		at := len(r.text)
		if err := r.value(); err != nil {
			return err
		}
		switch value := string(r.text[at:]); key {
		case "_placeholder":
			marked = value == "true"
		case "num":
			if number, err = strconv.Atoi(value); err != nil {
				number = -1
			}
		}
	}
	r.text = append(r.text, '}')
	if marked {
		r.text = append(r.text[:start], r.instead(number)...)
	}
	return r.end()
}

// end reads the end of a list or an object.
func (r *rewriter) end() error {
	if _, err := r.decoder.Token(); err != nil {
		return errNotJSON
	}
	return nil
}

// quoted encodes what always can be.
func quoted(value any) []byte {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return text
}

package socketio

import (
	"encoding/json"
	"fmt"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/engineio"
	"github.com/telemed-go/telemed/realtime"
)

// Args are the arguments of an event or of its acknowledgement, in the order in which a
// page's listener or callback takes them.
//
// What a client has sent is of strangers: each element is a json.RawMessage, or a
// [realtime.Binary] where the page has sent an ArrayBuffer or a Buffer as the argument. One
// inside of another value has become a string in base64, which encoding/json decodes into
// bytes. [Args.Decode] reads them all.
//
// What the application sends may be anything that encoding/json can encode. A
// realtime.Binary is sent as bytes. As the reply of Config.OnEvent, Args are several values.
type Args []any

// Decode stores the arguments in the values that into points to: bytes into *[]byte or
// *realtime.Binary, all others by encoding/json. A nil pointer passes one over, and so does
// nobody with arguments beyond the last. An error matches telemed.ErrInvalid, and is also
// that of too few arguments; as the answer of Config.OnEvent it becomes "invalid request".
func (a Args) Decode(into ...any) error {
	if len(a) < len(into) {
		return fmt.Errorf("socketio: Args: %d arguments instead of %d: %w", len(a), len(into), telemed.ErrInvalid)
	}
	for i, value := range into {
		if value == nil {
			continue
		}
		if !decodeArg(a[i], value) {
			return fmt.Errorf("socketio: Args: argument %d has another form: %w", i, telemed.ErrInvalid)
		}
	}
	return nil
}

func decodeArg(arg, into any) bool {
	data, binary := arg.(realtime.Binary)
	switch to := into.(type) {
	case *realtime.Binary:
		if binary {
			*to = data
			return true
		}
	case *[]byte:
		if binary {
			*to = data
			return true
		}
	case *any:
		if binary {
			*to = data
			return true
		}
	}
	text, ok := arg.(json.RawMessage)
	if !ok {
		quoted, err := json.Marshal(arg) // the application's own, or bytes that are not wanted as such
		if err != nil {
			return false
		}
		text = quoted
	}
	return json.Unmarshal(text, into) == nil
}

// json returns the argument as JSON, nil if it is none.
func (a Args) json(i int) json.RawMessage {
	if i >= len(a) {
		return nil
	}
	text, _ := a[i].(json.RawMessage)
	return text
}

// readArgs makes Args of a client's list, in which attachments have placeholders. Each has
// one: a client could else have an attachment copied as often as it likes.
func readArgs(list []json.RawMessage, attachments [][]byte) (Args, error) {
	if len(attachments) == 0 {
		args := make(Args, len(list))
		for i, value := range list {
			args[i] = value
		}
		return args, nil
	}
	whole := realtime.Entry{Kind: realtime.KindEvent, Name: "e", Args: list, Attachments: attachments}
	if whole.Check() != nil {
		return nil, engineio.ErrGarbage
	}
	args := make(Args, len(list))
	for i, plain := range (realtime.Message{Args: list, Attachments: attachments}).JSON() {
		args[i] = plain
		if number, ok := placeholderIn(list[i]); ok && number < len(attachments) {
			args[i] = realtime.Binary(attachments[number])
		}
	}
	return args, nil
}

// placeholderIn reports whether an argument is an attachment, and which.
func placeholderIn(arg json.RawMessage) (number int, ok bool) {
	var fields map[string]json.RawMessage
	if arg[0] != '{' || json.Unmarshal(arg, &fields) != nil || string(fields["_placeholder"]) != "true" {
		return 0, false
	}
	err := json.Unmarshal(fields["num"], &number)
	return number, err == nil && number >= 0
}

// message encodes what the application sends. Without a name it is an acknowledgement.
func message(name string, args []any) (realtime.Message, error) {
	event := realtime.Event{Name: name}
	if name == "" {
		event.Name = "acknowledgement"
	}
	if len(args) > 0 {
		event.Data, event.More = args[0], args[1:]
	}
	m, err := event.Encode()
	if err != nil {
		return realtime.Message{}, err
	}
	if len(args) == 0 {
		m.Args = nil
	}
	m.Name = name
	return m, nil
}

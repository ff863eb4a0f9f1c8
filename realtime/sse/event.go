package sse

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/telemed-go/telemed/realtime"
)

// What the transport says itself.
const (
	atName  = "telemed:at" // as the hub calls it, where it tells an offset alone
	gapName = "gap"
	// noOffset is the id without a Journal: who brings it back was here, and has missed
	// whatever came.
	noOffset = "~"
)

// ping is a comment: a line that says nothing.
var ping = []byte(":\n\n")

// event writes one Server-Sent Event. id is left out if it is empty.
func event(id, name string, data []byte) []byte {
	text := make([]byte, 0, len(id)+len(name)+len(data)+32)
	if id != "" {
		text = append(append(append(text, "id: "...), oneLine(id)...), '\n')
	}
	text = append(append(append(text, "event: "...), oneLine(name)...), '\n')
	for line := range bytes.SplitSeq(lineEnds(data), []byte{'\n'}) {
		text = append(append(append(text, "data: "...), line...), '\n')
	}
	return append(text, '\n')
}

// lineEnds makes one kind of line end of all that the standard knows. In JSON they stand
// between values only, and mean nothing.
func lineEnds(data []byte) []byte {
	if bytes.IndexByte(data, '\r') < 0 {
		return data
	}
	data = bytes.ReplaceAll(data, []byte("\r\n"), []byte{'\n'})
	return bytes.ReplaceAll(data, []byte{'\r'}, []byte{'\n'})
}

// oneLine keeps a field within its line. Neither events nor offsets have control characters;
// a Journal of the application's might.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' {
			return -1
		}
		return r
	}, text)
}

// data is what an event carries.
func data(args []json.RawMessage) []byte {
	switch len(args) {
	case 0:
		return []byte("null")
	case 1:
		return args[0]
	}
	list := []byte{'['}
	for i, arg := range args {
		if i > 0 {
			list = append(list, ',')
		}
		list = append(list, arg...)
	}
	return append(list, ']')
}

// retry tells the browser how many milliseconds to wait before it comes again.
func retry(milliseconds int64) []byte {
	return []byte("retry: " + strconv.FormatInt(milliseconds, 10) + "\n\n")
}

// encoder is the realtime.Encoder of Server-Sent Events.
type encoder struct{}

func (encoder) Encode(m realtime.Message) []byte { return event(m.Offset, m.Name, data(m.JSON())) }

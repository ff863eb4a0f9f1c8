package sse

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/realtime"
)

// Whatever an event is called and carries, it is one event, and nothing of it is a field.
func FuzzEvent(f *testing.F) {
	f.Add("n", `{"a":1}`, "1~x")
	f.Add("n\nid: 7", "1\r\rdata: 2\n\nevent: x", "\x00\r")
	f.Add("", "", "")
	f.Add("\r\nretry", "\n", "")
	f.Fuzz(func(t *testing.T, name, data, offset string) {
		text := string(encoder{}.Encode(realtime.Message{Name: name, Args: []json.RawMessage{[]byte(data)}, Offset: offset}))
		require.Equal(t, 1, strings.Count(text, "\n\n"))
		require.True(t, strings.HasSuffix(text, "\n\n"))
		require.NotContains(t, text, "\r")
		var names, ids int
		var lines []string
		for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n\n"), "\n") {
			field, value, found := strings.Cut(line, ": ")
			require.True(t, found, line)
			switch field {
			case "event":
				names++
			case "id":
				ids++
				require.NotContains(t, value, "\x00", "browsers would ignore it")
			case "data":
				lines = append(lines, value)
			default:
				t.Fatalf("line %q", line)
			}
		}
		require.Equal(t, 1, names)
		require.LessOrEqual(t, ids, 1)
		require.Equal(t, strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(data), strings.Join(lines, "\n"))
	})
}

package redisstream_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/realtime/redisstream"
)

func raws(texts ...string) (raw []json.RawMessage) {
	for _, text := range texts {
		raw = append(raw, json.RawMessage(text))
	}
	return raw
}

// What is written is what @socket.io/redis-streams-adapter 0.3.1 writes, byte for byte.
func TestWire(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	j := s.open(func(cfg *redisstream.Config) { cfg.Stream, cfg.Namespace = "socket.io-1", "/clinic" })
	for _, test := range []struct {
		entry      realtime.Entry
		kind, data string
	}{
		{
			realtime.Entry{Kind: realtime.KindEvent, Name: "ev", Args: raws(`{"a":1}`), Rooms: []string{"clinic-42"}}, "3",
			`{"packet":{"type":2,"data":["ev",{"a":1}]},"opts":{"rooms":["clinic-42"],"except":[],"flags":{}}}`,
		},
		{
			realtime.Entry{Kind: realtime.KindEvent, Name: "ev", Except: []string{"a", "b"}, Volatile: true}, "3",
			`{"packet":{"type":2,"data":["ev"]},"opts":{"rooms":[],"except":["a","b"],"flags":{"volatile":true}}}`,
		},
		{
			realtime.Entry{Kind: realtime.KindKick, Rooms: []string{"user-7"}}, "6",
			`{"opts":{"rooms":["user-7"],"except":[],"flags":{}},"close":true}`,
		},
		{
			realtime.Entry{Kind: realtime.KindJoin, Rooms: []string{"a"}, Moved: []string{"r2"}}, "4",
			`{"opts":{"rooms":["a"],"except":[],"flags":{}},"rooms":["r2"]}`,
		},
		{
			// msgpack: {packet:{type:2,data:["b",{f:bin 00ff}]},opts:{rooms:[],except:[],flags:{}}}
			realtime.Entry{
				Kind: realtime.KindEvent, Name: "b", Args: raws(`{"f":{"_placeholder":true,"num":0}}`), Attachments: [][]byte{{0, 255}},
			}, "3", "gqZwYWNrZXSCpHR5cGUCpGRhdGGSoWKBoWbEAgD/pG9wdHODpXJvb21zkKZleGNlcHSQpWZsYWdzgA==",
		},
	} {
		p, err := j.Append(t.Context(), test.entry)
		require.NoError(t, err)
		raw, err := s.client.XRange(t.Context(), "socket.io-1", string(p), string(p)).Result()
		require.NoError(t, err)
		require.Len(t, raw, 1)
		require.Regexp(t, `^[0-9a-f]{16}$`, raw[0].Values["uid"])
		delete(raw[0].Values, "uid")
		require.Equal(t, map[string]any{"nsp": "/clinic", "type": test.kind, "data": test.data}, raw[0].Values)
	}
}

func TestAttachmentsMustFit(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	j := s.open(nil)
	for _, args := range []string{
		`{"_placeholder":true,"num":1}`, `{"_placeholder":true}`, `{"_placeholder":true,"num":0,"more":1}`, `"none"`,
		`[{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]`, `{"num":0,"_placeholder":true}`, `{"_placeholder":true,"num":-1}`,
	} {
		_, err := j.Append(t.Context(), realtime.Entry{
			Kind: realtime.KindEvent, Name: "b", Args: raws(args), Attachments: [][]byte{{1}},
		})
		require.ErrorIs(t, err, telemed.ErrInvalid, args)
	}
}

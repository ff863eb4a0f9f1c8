package redisstream

import (
	"encoding/base64"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"github.com/tinylib/msgp/msgp"

	"github.com/telemed-go/telemed/realtime"
)

// FuzzEntry reads what anybody may have written into the stream. What can be read, and may
// be appended, is the same after it was written and read again.
func FuzzEntry(f *testing.F) {
	for _, data := range []string{
		`{"packet":{"type":2,"data":["ev",{"a":1}]},"opts":{"rooms":["clinic-42"],"except":["x"],"flags":{"volatile":true}}}`,
		`{"opts":{"rooms":["user-7"],"except":[],"flags":{}},"close":true,"rooms":["r"]}`,
		"gqZwYWNrZXSCpHR5cGUCpGRhdGGSoWKBoWbEAgD/pG9wdHODpXJvb21zkKZleGNlcHSQpWZsYWdzgA==",
	} {
		for _, kind := range []string{"3", "4", "6"} {
			f.Add(kind, data, []byte(nil))
		}
	}
	packed, err := base64.StdEncoding.DecodeString("gqZwYWNrZXSCpHR5cGUCpGRhdGGSoWKBoWbEAgD/pG9wdHODpXJvb21zkKZleGNlcHSQpWZsYWdzgA==")
	require.NoError(f, err)
	f.Add("3", "", packed)
	f.Fuzz(func(t *testing.T, kind, data string, packed []byte) {
		if data == "" {
			data = base64.StdEncoding.EncodeToString(packed)
		}
		c := codec{namespace: "/", maxEntry: 1 << 20}
		entry, state := c.decode(redis.XMessage{ID: "1-1", Values: map[string]any{"nsp": "/", "type": kind, "data": data}})
		if state != forUs || entry.Check() != nil {
			return
		}
		kind, written, err := c.encode(entry)
		if err != nil { // too long or too deep as it would be written
			return
		}
		again, state := c.decode(redis.XMessage{ID: "1-1", Values: map[string]any{"nsp": "/", "type": kind, "data": written}})
		require.Equal(t, forUs, state)
		require.Equal(t, plain(entry), plain(again))
	})
}

// plain makes no difference between nil and empty.
func plain(e realtime.Entry) realtime.Entry {
	e.Rooms, e.Except, e.Moved = append([]string{}, e.Rooms...), append([]string{}, e.Except...), append([]string{}, e.Moved...)
	if len(e.Attachments) > 0 { // the spelling of JSON changes on its way through MessagePack
		e.Args = nil
	}
	e.Args = append(e.Args[:0:0], e.Args...)
	return e
}

// A placeholder that Node's application has sent as data would stand for a binary part
// that is not its own.
func TestPlaceholderAsData(t *testing.T) {
	t.Parallel()
	packed, err := packJSON([]byte(`[{"f":1,"n":{"_placeholder":true,"num":0}}]`), [][]byte{{7}})
	require.NoError(t, err)
	text, attachments, err := unpackJSON(packed)
	require.NoError(t, err)
	require.Len(t, attachments, 1)
	require.JSONEq(t, `[{"f":1,"n":{"_placeholder":true,"num":0}}]`, string(text))

	packed = msgp.AppendMapHeader(nil, 2)
	packed = msgp.AppendBool(msgp.AppendString(packed, "_placeholder"), true)
	packed = msgp.AppendInt64(msgp.AppendString(packed, "num"), 0)
	_, _, err = unpackJSON(packed)
	require.Error(t, err)
}

// What is too deep is refused before the stack grows.
func TestTooDeep(t *testing.T) {
	t.Parallel()
	deep := make([]byte, 1_000_000)
	for i := range deep {
		deep[i] = 0x91 // an array of one
	}
	deep[len(deep)-1] = 0xc0 // nil
	_, _, err := unpackJSON(deep)
	require.Error(t, err)
}

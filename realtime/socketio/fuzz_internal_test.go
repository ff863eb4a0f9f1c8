package socketio

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/telemed-go/telemed/internal/engineio"
	"github.com/telemed-go/telemed/realtime"
)

// FuzzPacket decodes arbitrary Socket.IO packets; what is accepted must mean the
// same when it is encoded again.
func FuzzPacket(f *testing.F) {
	for _, text := range []string{
		"0", `0{"token":"x"}`, "0/admin,", "0/admin", "1", `2["join-clinic","7"]`, `212["a",{"b":[null]}]`,
		`2/admin,5["a"]`, `31[]`, `4{"message":"x"}`, `51-["a",{"_placeholder":true,"num":0}]`, "", "2", "2[]", `2[1]`, "29999999999999999[]",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := parsePacket(text)
		if err != nil {
			return
		}
		again := string(p.kind)
		if p.namespace != defaultNamespace {
			again += p.namespace + ","
		}
		again += p.ack + string(p.data)
		second, err := parsePacket([]byte(again))
		if err != nil || second.namespace != p.namespace || second.ack != p.ack || !bytes.Equal(second.data, p.data) {
			t.Fatalf("%q became %q: %+v, %v", text, again, second, err)
		}
		if p.kind != kindEvent {
			return
		}
		if name, args, err := p.event(); err == nil {
			encoded, _ := json.Marshal(args)
			if !json.Valid(engineio.Packets(encoder{}.Encode(realtime.Message{Name: name, Args: []json.RawMessage{encoded}}))[2:]) {
				t.Fatalf("event %q cannot be sent back", name)
			}
		}
	})
}

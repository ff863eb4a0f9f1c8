package socketio

import (
	"bytes"
	"encoding/json"
	"strconv"
	"testing"

	"github.com/telemed-go/telemed/internal/engineio"
	"github.com/telemed-go/telemed/realtime"
)

// FuzzPackets decodes arbitrary Socket.IO packets, with attachments behind them; what is
// accepted must mean the same when it is encoded again.
func FuzzPackets(f *testing.F) {
	for _, text := range []string{
		"0", `0{"token":"x"}`, "0/admin,", "0/admin", "1", `2["join-clinic","7"]`, `212["a",{"b":[null]}]`,
		`2/admin,5["a"]`, `31[]`, `4{"message":"x"}`, `51-["a",{"_placeholder":true,"num":0}]`, "", "2", "2[]", `2[1]`, "29999999999999999[]",
		`52-/admin,7["a",{"_placeholder":true,"num":0},{"b":[{"_placeholder":true,"num":1}]}]`, `62-7[{"_placeholder":true,"num":1},{"_placeholder":true,"num":0}]`,
		`52-["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]`, `51-["a",{"_placeholder":true,"num":9}]`, "5-[]", "51[]", "5999-[]", `50-["a"]`,
	} {
		f.Add([]byte(text), []byte("some bytes"))
	}
	f.Fuzz(func(t *testing.T, text, data []byte) {
		const limit = 3
		p, err := parsePacket(text, limit)
		if err != nil {
			return
		}
		again := string(head(p.kind, p.attachments, p.namespace, p.ack)) + string(p.data)
		second, err := parsePacket([]byte(again), limit)
		if err != nil || second.kind != p.kind || second.attachments != p.attachments || second.namespace != p.namespace ||
			second.ack != p.ack || !bytes.Equal(second.data, p.data) || p.attachments > limit {
			t.Fatalf("%q became %q: %+v, %v", text, again, second, err)
		}
		if p.kind == kindEvent || p.kind == kindAck {
			fuzzArgs(t, p, data)
		}
	})
}

// fuzzArgs sends back what came with a packet.
func fuzzArgs(t *testing.T, p packet, data []byte) {
	t.Helper()
	list, err := p.list()
	if err != nil {
		t.Fatalf("%q was well-formed", p.data)
	}
	var attached [][]byte
	for i := range p.attachments {
		attached = append(attached, append([]byte(strconv.Itoa(i)), data...))
	}
	args, err := readArgs(list, attached)
	if err != nil {
		return
	}
	if got, limit := size(args), 3*len(p.data)+2*p.attachments*(len(data)+10); got > limit {
		t.Fatalf("%d bytes of %q with %d attachments of %d", got, p.data, p.attachments, len(data))
	}
	m, err := message("e", args)
	if err != nil { // a "_placeholder" of the page's own beside an attachment
		if p.attachments == 0 {
			t.Fatal(err)
		}
		return
	}
	wire := eventMessage(p.namespace, p.ack, m)
	first, _, _ := bytes.Cut(engineio.Packets(wire), []byte{0x1e})
	back, err := parsePacket(first[1:], limitOf(m))
	if err != nil || back.namespace != p.namespace || back.ack != p.ack || back.attachments != len(m.Attachments) {
		t.Fatalf("%q came back as %q: %v", p.data, first, err)
	}
}

func limitOf(m realtime.Message) int { return len(m.Attachments) }

func size(args Args) (n int) {
	for _, arg := range args {
		switch value := arg.(type) {
		case json.RawMessage:
			n += len(value)
		case realtime.Binary:
			n += len(value)
		}
	}
	return n
}

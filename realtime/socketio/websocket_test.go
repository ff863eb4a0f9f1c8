package socketio_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/realtime/socketio"
)

func TestSocketFrames(t *testing.T) {
	t.Parallel()
	s := setup(t).connectSocket(t)

	t.Log("a message in fragments, with a ping between them")
	s.frame(ws.NewFrame(ws.OpText, false, []byte(`420["join-`)))
	s.frame(ws.NewPingFrame([]byte("are you there?")))
	s.frame(ws.NewFrame(ws.OpContinuation, false, nil))
	s.frame(ws.NewFrame(ws.OpContinuation, true, []byte(`clinic","7"]`)))
	op, payload := s.read()
	require.Equal(t, ws.OpPong, op)
	require.Equal(t, "are you there?", payload)
	require.Equal(t, `430[{"ok":true}]`, s.text())

	t.Log("a pong that nobody asked for")
	s.frame(ws.NewPongFrame([]byte("x")))
	s.send(`421["join-clinic","9"]`)
	require.Equal(t, `431[{"ok":false,"error":"not permitted"}]`, s.text())

	t.Log("the client closes, and its status comes back")
	s.frame(ws.NewCloseFrame(ws.NewCloseFrameBody(3001, "bye")))
	s.closed(3001)
}

func TestSocketCloses(t *testing.T) {
	t.Parallel()
	text := func(text string) []ws.Frame { return []ws.Frame{ws.NewTextFrame([]byte(text))} }
	for name, test := range map[string]struct {
		frames []ws.Frame
		want   ws.StatusCode
	}{
		"close without status":     {[]ws.Frame{ws.NewCloseFrame(nil)}, 1000},
		"close with half a status": {[]ws.Frame{ws.NewCloseFrame([]byte{3})}, 1002},
		"close with status 1005":   {[]ws.Frame{ws.NewCloseFrame([]byte{0x03, 0xed})}, 1002},
		"close with broken text":   {[]ws.Frame{ws.NewCloseFrame([]byte{0x03, 0xe8, 0xff})}, 1002},
		"Engine.IO close":          {text("1"), 1000},
		"binary frame":             {[]ws.Frame{ws.NewBinaryFrame([]byte{1})}, 1008},
		"text in a binary event":   {append(text(`451-["a",{"_placeholder":true,"num":0}]`), text(`42["b"]`)...), 1008},
		"attachments too long": {append(text(`452-["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`),
			ws.NewBinaryFrame(make([]byte, 600)), ws.NewBinaryFrame(make([]byte, 600))), 1008},
		"base64 packet": {text("bAQID"), 1008},
		"not UTF-8":     {text("42[\"\xff\"]"), 1007},
		"too big":       {text(strings.Repeat("x", 1001)), 1009},
		"too big in fragments": {[]ws.Frame{
			ws.NewFrame(ws.OpText, false, make([]byte, 600)), ws.NewFrame(ws.OpContinuation, true, make([]byte, 600)),
		}, 1009},
		"announces much":             {[]ws.Frame{{Header: ws.Header{Fin: true, OpCode: ws.OpText, Length: 1 << 62}}}, 1009},
		"garbage":                    {text("hello"), 1008},
		"empty message":              {text(""), 1008},
		"connects twice":             {text("40"), 1008},
		"reserved opcode":            {[]ws.Frame{ws.NewFrame(3, true, nil)}, 1002},
		"reserved bit":               {[]ws.Frame{{Header: ws.Header{Fin: true, Rsv: 4, OpCode: ws.OpText}}}, 1002},
		"ping in fragments":          {[]ws.Frame{ws.NewFrame(ws.OpPing, false, nil)}, 1002},
		"long ping":                  {[]ws.Frame{ws.NewPingFrame(make([]byte, 126))}, 1002},
		"continuation of nothing":    {[]ws.Frame{ws.NewFrame(ws.OpContinuation, true, nil)}, 1002},
		"second message in a first":  {[]ws.Frame{ws.NewFrame(ws.OpText, false, nil), ws.NewTextFrame(nil)}, 1002},
		"probe on an open WebSocket": {text("2probe"), 1008},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := setup(t, func(_ *realtime.Config, wire *socketio.Config) { wire.MaxPayload = 1000 })
			s := c.connectSocket(t)
			for _, frame := range test.frames {
				s.frame(frame)
			}
			s.closed(test.want)
			require.Eventually(t, func() bool { return c.hub.Stats().Connections == 0 }, 5*time.Second, time.Millisecond)
		})
	}

	t.Run("frame without mask", func(t *testing.T) {
		t.Parallel()
		s := setup(t).connectSocket(t)
		require.NoError(t, ws.WriteFrame(s.conn, ws.NewTextFrame([]byte("3"))))
		s.closed(1002)
	})
	t.Run("event before connect", func(t *testing.T) {
		t.Parallel()
		s := setup(t).openSocket(t)
		s.send(`420["join-clinic","7"]`)
		s.closed(1008)
	})
	t.Run("TCP ends", func(t *testing.T) {
		t.Parallel()
		c := setup(t)
		s := c.connectSocket(t)
		require.NoError(t, s.conn.Close())
		require.Eventually(t, func() bool { return c.hub.Stats().Connections == 0 }, 5*time.Second, time.Millisecond)
	})
	t.Run("disconnected by the host", func(t *testing.T) {
		t.Parallel()
		c := setup(t)
		s := c.connectSocket(t)
		require.Equal(t, 1, disconnect(t, c.hub, ""))
		require.Equal(t, "41", s.text())
		op, _ := s.read()
		require.Equal(t, ws.OpClose, op)
		s.frame(ws.NewCloseFrame(ws.NewCloseFrameBody(1008, "")))
	})
	t.Run("shut down", func(t *testing.T) {
		t.Parallel()
		c := setup(t)
		s := c.connectSocket(t)
		done := make(chan error, 1)
		go func() { done <- c.hub.Shutdown(within(t)) }()
		s.closed(1001) // we never answer the close frame
		require.NoError(t, <-done)
	})
}

// Firefox sends more than one token, and headers have no case.
func TestHandshakeOfFirefox(t *testing.T) {
	t.Parallel()
	c := setup(t)
	conn := c.sendRaw(t, "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\n"+
		"connection: keep-alive, Upgrade\r\nupgrade: WebSocket\r\n"+
		"sec-websocket-version: 13\r\nsec-websocket-extensions: permessage-deflate\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	require.Equal(t, 101, response.StatusCode)
	require.Equal(t, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", response.Header.Get("Sec-WebSocket-Accept"), "the example of RFC 6455")
	require.Empty(t, response.Header.Get("Sec-WebSocket-Extensions"))
}

// A close frame is the last frame, whatever else is to be sent.
func TestNothingFollowsAClose(t *testing.T) {
	t.Parallel()
	c := setup(t, func(rooms *realtime.Config, _ *socketio.Config) { rooms.MaxPending = 1 << 30 })
	s := c.connectSocket(t)
	s.send(`420["join-clinic","7"]`)
	ctx := within(t)
	var sender sync.WaitGroup
	sender.Go(func() {
		for c.hub.Stats().Connections > 0 {
			if err := c.hub.Broadcast(ctx, "clinic-7", realtime.Event{Name: "e", Data: repeat("x", 1000)}); err != nil {
				t.Error(err)
			}
		}
	})
	for range 10 {
		s.text()
	}
	s.frame(ws.NewPingFrame(nil))
	s.frame(ws.NewCloseFrame(ws.NewCloseFrameBody(1000, "")))
	op := ws.OpText
	for op != ws.OpClose {
		op, _ = s.read()
	}
	_, err := s.r.ReadByte()
	require.ErrorIs(t, err, io.EOF)
	sender.Wait()
}

// Answers to pings, heartbeats, acknowledgements and events come from different
// goroutines, and each arrives whole.
func TestWritersDoNotInterleave(t *testing.T) {
	t.Parallel()
	const count = 300
	c := setup(t, func(rooms *realtime.Config, wire *socketio.Config) {
		rooms.MaxPending, rooms.MaxRefusals = 8<<20, count
		wire.PingInterval = time.Millisecond
	})
	s := c.connectSocket(t)
	s.send(`420["join-clinic","7"]`)
	ctx := within(t)
	var senders sync.WaitGroup
	senders.Go(func() {
		for n := range count {
			for _, frame := range []ws.Frame{
				ws.NewPingFrame([]byte(repeat("p", 120))), ws.NewTextFrame([]byte("3")), ws.NewTextFrame(fmt.Appendf(nil, `42%d["join-clinic","9"]`, n+1)),
			} {
				if err := ws.WriteFrame(s.conn, ws.MaskFrame(frame)); err != nil {
					t.Error(err)
				}
			}
		}
	})
	senders.Go(func() {
		for range count {
			if err := c.hub.Broadcast(ctx, "clinic-7", realtime.Event{Name: "e", Data: repeat("x", 5000)}); err != nil {
				t.Error(err)
			}
			runtime.Gosched()
		}
	})
	event := `42["e","` + repeat("x", 5000) + `"]`
	pongs, acks := 0, 0
	for pongs < count || acks < count+1 {
		op, text := s.read()
		switch {
		case op == ws.OpPong:
			require.Equal(t, repeat("p", 120), text)
			pongs++
		case strings.HasPrefix(text, "43"):
			require.Regexp(t, `^43\d+\[\{"ok":.*\}\]$`, text)
			acks++
		case text != "2":
			require.Equal(t, event, text)
		}
	}
	senders.Wait()
}

func TestUpgrade(t *testing.T) {
	t.Parallel()

	t.Run("ends the poll that waits", func(t *testing.T) {
		t.Parallel()
		c := setup(t)
		p := c.connectPolling(t)
		poll := p.getInBackground(t)
		s := c.dialSocket(t, "&sid="+p.sid, nil)
		s.send("2probe")
		require.Equal(t, "3probe", s.text())
		require.Equal(t, "6", (<-poll).body)
		require.Equal(t, "6", p.get(t).body, "until the upgrade no poll waits long")
		require.Equal(t, "ok", p.post(t, `420["join-clinic","7"]`).body, "and POSTs are still handled")
		s.send("5")
		require.Equal(t, `430[{"ok":true}]`, s.text(), "what waited goes over the WebSocket")
		c.broadcast(t, "clinic-7", "new-appointment", 1)
		require.Equal(t, `42["new-appointment",1]`, s.text())

		p.get(t).refused(t, 400, 3)
		p.post(t, "3").refused(t, 400, 3)
		require.Equal(t, 1, c.hub.Stats().Connections, "late polls do no harm")
		s.send(`421["join-clinic","9"]`)
		require.Equal(t, `431[{"ok":false,"error":"not permitted"}]`, s.text())
	})

	t.Run("goes on polling after a probe that fails", func(t *testing.T) {
		t.Parallel()
		c := setup(t, func(_ *realtime.Config, wire *socketio.Config) { wire.UpgradeTimeout = 500 * time.Millisecond })
		p := c.connectPolling(t)
		// The last two let the time pass.
		for _, script := range [][]string{{"5"}, {"2"}, {"2probe", "2probe"}, {"2probe"}, {}} {
			s := c.dialSocket(t, "&sid="+p.sid, nil)
			for i, text := range script {
				s.send(text)
				if text == "2probe" && i == 0 {
					require.Equal(t, "3probe", s.text())
				}
			}
			op, _ := s.read()
			require.Equal(t, ws.OpClose, op)
		}
		require.Equal(t, "ok", p.post(t, `420["join-clinic","7"]`).body)
		require.Eventually(t, func() bool { return p.get(t).body == `430[{"ok":true}]` }, 5*time.Second, time.Millisecond)
		c.broadcast(t, "clinic-7", "new-appointment", 1)
		got := p.get(t).body
		for got == "6" { // the last probe's
			got = p.get(t).body
		}
		require.Equal(t, `42["new-appointment",1]`, got)
	})

	t.Run("no poll is answered at once for nothing", func(t *testing.T) {
		t.Parallel()
		c := setup(t)
		p := c.connectPolling(t)
		s := c.dialSocket(t, "&sid="+p.sid, nil)
		s.send("2probe")
		require.Equal(t, "3probe", s.text()) // let a proxy swallow it: the client goes on polling
		start := time.Now()
		for range 5 {
			require.Equal(t, "6", p.get(t).body)
		}
		require.Greater(t, time.Since(start), 300*time.Millisecond)
		require.Equal(t, "ok", p.post(t, `427["x"]`).body)
		require.Equal(t, `437[{"ok":false,"error":"unknown event"}]`, p.get(t).body, "what there is to say is said")
	})

	t.Run("one at a time", func(t *testing.T) {
		t.Parallel()
		c := setup(t)
		p := c.connectPolling(t)
		s := c.dialSocket(t, "&sid="+p.sid, nil)
		upgrade := map[string][]string{
			"Connection": {"Upgrade"}, "Upgrade": {"websocket"},
			"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
		}
		second := func() { c.dialSocket(t, "&sid="+p.sid, nil).closed(1008) }
		second()
		s.send("2probe")
		require.Equal(t, "3probe", s.text())
		second()
		s.send("5")
		second()
		s.send(`420["join-clinic","7"]`)
		require.Equal(t, `430[{"ok":true}]`, s.text(), "the first goes on")
		s.send("1")
		s.closed(1000)
		c.request(t, "GET", "transport=websocket&sid="+p.sid, "", upgrade).refused(t, 400, 1)
	})

	t.Run("only for the session's own subject", func(t *testing.T) {
		t.Parallel()
		c := setup(t)
		p := c.openPolling(t, cookie("ada"))
		upgrade := map[string][]string{
			"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Cookie": {"user=bob"},
			"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
		}
		c.request(t, "GET", "transport=websocket&sid="+p.sid, "", upgrade).refused(t, 400, 1)
	})

	t.Run("shut down meanwhile", func(t *testing.T) {
		t.Parallel()
		for _, probed := range []bool{false, true} {
			c := setup(t)
			p := c.connectPolling(t)
			s := c.dialSocket(t, "&sid="+p.sid, nil)
			if probed {
				s.send("2probe")
				require.Equal(t, "3probe", s.text())
			}
			start := time.Now()
			require.NoError(t, c.hub.Shutdown(within(t)))
			require.Less(t, time.Since(start), 5*time.Second, "it does not wait for the upgrade's timeout")
		}
	})
}

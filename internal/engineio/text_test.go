package engineio

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"
)

// The clauses of the protocol's official text, in our words, on the settings that it asks
// for: https://github.com/socketio/engine.io-protocol#test-suite
func TestEngineIOText(t *testing.T) {
	t.Parallel()
	for _, part := range []map[string]func(world){handshakes, pollingMessages, socketMessages, heartbeats, closes, upgrades} {
		for clause, test := range part {
			t.Run(clause, func(t *testing.T) {
				t.Parallel()
				inMemory(t, Config{PingInterval: 300 * time.Millisecond, PingTimeout: 200 * time.Millisecond}, test)
			})
		}
	}
}

var handshakes = map[string]func(world){
	"handshake, polling: the first answer tells the session": func(w world) {
		got := w.ask("GET", poll, "")
		require.Equal(w.t, 200, got.status)
		open := w.parse(got.body)
		require.NotEmpty(w.t, open.SID)
		open.SID = ""
		require.Equal(w.t, opened{"", []string{"websocket"}, 300, 200, 1_000_000}, open)
	},
	"handshake, polling: another revision is refused": func(w world) {
		require.Equal(w.t, 400, w.ask("GET", "transport=polling", "").status)
		require.Equal(w.t, 400, w.ask("GET", "EIO=abc&transport=polling", "").status)
	},
	"handshake, polling: another transport is refused": func(w world) {
		require.Equal(w.t, 400, w.ask("GET", "EIO=4", "").status)
		require.Equal(w.t, 400, w.ask("GET", "EIO=4&transport=abc", "").status)
	},
	"handshake, polling: another method is refused": func(w world) {
		require.Equal(w.t, 400, w.ask("POST", poll, "").status)
		require.Equal(w.t, 400, w.ask("PUT", poll, "").status)
	},
	"handshake, WebSocket: the first message tells the session": func(w world) {
		open := w.parse(w.dial(socket).text())
		require.NotEmpty(w.t, open.SID)
		open.SID = ""
		require.Equal(w.t, opened{"", []string{}, 300, 200, 1_000_000}, open)
	},
	"handshake, WebSocket: another revision is refused": func(w world) {
		for _, query := range []string{"transport=websocket", "EIO=abc&transport=websocket"} {
			_, err := w.tryDial(query)
			require.Equal(w.t, ws.StatusError(400), err)
		}
	},
	"handshake, WebSocket: another transport is refused": func(w world) {
		for _, query := range []string{"EIO=4", "EIO=4&transport=abc"} {
			_, err := w.tryDial(query)
			require.Equal(w.t, ws.StatusError(400), err)
		}
	},
}

// echoed posts payload, and wants it back in the answer to one poll.
func echoed(w world, payload string) {
	w.t.Helper()
	polls := w.open()
	require.Equal(w.t, answer{200, "ok"}, w.ask("POST", polls, payload))
	require.Equal(w.t, answer{200, payload}, w.ask("GET", polls, ""))
}

var pollingMessages = map[string]func(world){
	"message, polling: one text":        func(w world) { echoed(w, "4hello") },
	"message, polling: several texts":   func(w world) { echoed(w, "4one\x1e4two\x1e4three") },
	"message, polling: text and binary": func(w world) { echoed(w, "4hello\x1ebAQIDBA==") },
	"message, polling: garbage ends the session": func(w world) {
		polls := w.open()
		require.Equal(w.t, 400, w.ask("POST", polls, "abc").status)
		require.Equal(w.t, 400, w.ask("GET", polls, "").status)
	},
	"message, polling: two polls at once end the session": func(w world) {
		polls := w.open()
		first := w.begin("GET", polls, "")
		require.Equal(w.t, 400, w.ask("GET", polls, "").status)
		require.Equal(w.t, answer{200, "1"}, <-first)
		require.Equal(w.t, 400, w.ask("GET", polls, "").status)
	},
	"message, polling: a poll that is broken off ends the session": func(w world) {
		polls := w.open()
		ctx, abort := context.WithCancel(w.t.Context())
		go func() { _, _ = w.try(ctx, "GET", polls, "") }()
		synctest.Wait()
		abort()
		synctest.Wait()
		require.Equal(w.t, 400, w.ask("GET", polls, "").status)
	},
}

var socketMessages = map[string]func(world){
	"message, WebSocket: text": func(w world) {
		c := w.openSocket()
		c.send("4hello")
		require.Equal(w.t, "4hello", c.text())
	},
	"message, WebSocket: binary": func(w world) {
		c := w.openSocket()
		c.frame(ws.NewBinaryFrame([]byte{1, 2, 3, 4}))
		op, data := c.read()
		require.Equal(w.t, ws.OpBinary, op)
		require.Equal(w.t, "\x01\x02\x03\x04", data)
	},
	"message, WebSocket: garbage ends the session": func(w world) {
		c := w.openSocket()
		c.send("abc")
		require.Equal(w.t, ws.StatusPolicyViolation, c.closed())
	},
}

var heartbeats = map[string]func(world){
	"heartbeat, polling: who answers stays": func(w world) {
		polls := w.open()
		for range 3 {
			require.Equal(w.t, answer{200, "2"}, w.ask("GET", polls, ""))
			require.Equal(w.t, answer{200, "ok"}, w.ask("POST", polls, "3"))
		}
	},
	"heartbeat, polling: who does not answer is ended": func(w world) {
		polls := w.open()
		time.Sleep(500 * time.Millisecond)
		require.Equal(w.t, 400, w.ask("GET", polls, "").status)
	},
	"heartbeat, WebSocket: who answers stays": func(w world) {
		c := w.openSocket()
		for range 3 {
			require.Equal(w.t, "2", c.text())
			c.send("3")
		}
	},
	"heartbeat, WebSocket: who does not answer is ended": func(w world) {
		start := time.Now()
		c := w.openSocket()
		require.Equal(w.t, "2", c.text())
		op, _ := c.read()
		require.Equal(w.t, ws.OpClose, op)
		require.Equal(w.t, 500*time.Millisecond, time.Since(start))
	},
}

var closes = map[string]func(world){
	"close, polling: the poll that waits gets a noop": func(w world) {
		polls := w.open()
		waiting := w.begin("GET", polls, "")
		require.Equal(w.t, answer{200, "ok"}, w.ask("POST", polls, "1"))
		require.Equal(w.t, answer{200, "6"}, <-waiting)
		synctest.Wait()
		require.Equal(w.t, 400, w.ask("GET", polls, "").status)
	},
	"close, WebSocket: it is closed": func(w world) {
		c := w.openSocket()
		c.send("1")
		require.Equal(w.t, ws.StatusNormalClosure, c.closed())
	},
}

var upgrades = map[string]func(world){
	"upgrade: from polling to WebSocket": func(w world) {
		polls := w.open()
		c := w.probe(polls)
		require.Equal(w.t, answer{200, "6"}, w.ask("GET", polls, ""), "so that the client can end polling")
		c.send("5")
		c.send("4hello")
		require.Equal(w.t, "4hello", c.text())
	},
	"upgrade: polls afterwards are refused": func(w world) {
		polls := w.open()
		c := w.probe(polls)
		c.send("5")
		require.Equal(w.t, 400, w.ask("GET", polls, "").status)
		c.send("4hello")
		require.Equal(w.t, "4hello", c.text())
	},
	"upgrade: a second WebSocket is closed": func(w world) {
		polls := w.open()
		c := w.probe(polls)
		c.send("5")
		second := w.dial(socket + polls[len(poll):])
		require.Equal(w.t, ws.StatusPolicyViolation, second.closed())
		c.send("4hello")
		require.Equal(w.t, "4hello", c.text())
	},
}

func TestTheTextHasAllClauses(t *testing.T) {
	t.Parallel()
	require.Equal(t, 25, len(handshakes)+len(pollingMessages)+len(socketMessages)+len(heartbeats)+len(closes)+len(upgrades))
}

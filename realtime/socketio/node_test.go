package socketio_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/realtime/socketio"
)

// The client of npm, as browsers and Node programs load it, against the server.

func TestNodeVisit(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ transports, ends string }{
		"websocket":              {"websocket", "websocket"},
		"polling":                {"polling", "polling"},
		"default":                {"", "websocket"},
		"polling then websocket": {"polling,websocket", "websocket"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := setup(t, echo)
			appointment := map[string]any{"patientName": "आशा 👩‍⚕️ <&> \u2028", "note": repeat("à", 100_000)}
			node := startNode(t, "visit", c.url, test.transports)

			require.Equal(t, ok, node.step("joined")["answer"])
			for n := range 300 { // while the transport changes
				c.broadcast(t, "clinic-7", "number", n)
			}
			require.Equal(t, map[string]any{"step": "numbers", "ordered": true, "count": 300.0}, node.step("numbers"))
			require.Equal(t, test.ends, node.step("transport")["name"])
			require.JSONEq(t, refusedWith("not permitted"), node.step("refused")["answer"].(string))
			left := node.step("left")
			require.Equal(t, []any{ok, ok}, []any{left["answer"], left["again"]})

			node.step("waiting")
			c.broadcast(t, "clinic-9", "new-appointment", "not for us")
			c.broadcast(t, "clinic-7", "new-appointment", appointment)
			require.Equal(t, encode(t, appointment), node.step("appointment")["data"])
			require.Equal(t, encode(t, appointment), node.step("echo")["data"])

			node.step("connected")
			require.Equal(t, 1, disconnect(t, c.hub, ""))
			back := node.step("reconnected")
			require.Equal(t, []any{ok, true}, []any{back["answer"], back["fresh"]})
			require.Equal(t, "io server disconnect", back["reason"])
			c.broadcast(t, "clinic-7", "new-appointment", "second")
			again := node.step("again")
			require.Equal(t, []any{`"second"`, 300.0}, []any{again["data"], again["numbers"]})
			node.step("bye")
			node.end()
			require.Eventually(t, func() bool { return c.hub.Stats().Connections == 0 }, 5*time.Second, time.Millisecond)
		})
	}
}

// No traffic helps the poll that waits when the upgrade begins: the server must end it by
// itself.
func TestNodeQuietUpgrade(t *testing.T) {
	t.Parallel()
	c := setup(t)
	node := startNode(t, "quiet", c.url, "")
	start := time.Now()
	require.Equal(t, ok, node.step("joined")["answer"])
	require.Less(t, time.Since(start), 15*time.Second, "sooner than the first heartbeat")
	node.end()
}

func TestNodeRefusals(t *testing.T) {
	t.Parallel()
	for _, transport := range transports {
		t.Run(string(transport), func(t *testing.T) {
			t.Parallel()
			c := setup(t)
			node := startNode(t, "refusals", c.url, string(transport))
			require.Equal(t, "Invalid namespace", node.step("namespace")["message"])
			refused := node.step("origin")
			require.Contains(t, []any{"xhr poll error", "websocket error"}, refused["message"])
			if refused["code"] != nil {
				require.Equal(t, 403.0, refused["code"])
			}
			require.Equal(t, map[string]any{"step": "authentication", "message": "not permitted", "retries": false}, node.step("authentication"))
			node.end()
		})
	}
}

func TestNodeShutdown(t *testing.T) {
	t.Parallel()
	for _, transport := range transports {
		t.Run(string(transport), func(t *testing.T) {
			t.Parallel()
			c := setup(t)
			node := startNode(t, "shutdown", c.url, string(transport))
			node.step("connected")
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			require.NoError(t, c.hub.Shutdown(ctx))
			require.Contains(t, []any{"transport close", "transport error"}, node.step("gone")["reason"], "an error if the client is between two polls")
			node.end()
		})
	}
}

// A deploy: the process ends, and a new one knows nothing of the old one's sessions.
func TestNodeRestart(t *testing.T) {
	needNode(t) // before there is a server that a skipped test would leave behind
	t.Parallel()
	for name, transports := range map[string]string{"websocket": "websocket", "polling": "polling", "default": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first, url, stop := process(t)
			l := newLine(t, url)
			node := startNode(t, "restart", l.url, transports)
			require.Equal(t, ok, node.step("joined")["answer"])
			require.Equal(t, 1, first.Stats().Rooms)
			stop()

			second, url, stop := process(t)
			defer stop()
			l.lead(url)
			require.Equal(t, ok, node.step("joined")["answer"])
			require.NoError(t, second.Broadcast(within(t), "clinic-7", realtime.Event{Name: "new-appointment", Data: "after"}))
			require.Equal(t, `["after"]`, node.step("appointments")["data"])
			node.end()
		})
	}
}

// process is an application's process, from its start to the end of stop.
func process(t *testing.T) (hub *realtime.Hub, url string, stop func()) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	hub, err = realtime.NewHub(realtime.Config{Authorize: func(context.Context, realtime.Client, string) error { return nil }})
	require.NoError(t, err)
	sio, err := socketio.New(socketio.Config{Hub: hub})
	require.NoError(t, err)
	server := &http.Server{Handler: sio, ReadHeaderTimeout: 5 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	return hub, "http://" + listener.Addr().String(), func() {
		require.NoError(t, hub.Shutdown(within(t)))
		require.NoError(t, server.Shutdown(within(t)))
		require.ErrorIs(t, <-served, http.ErrServerClosed)
	}
}

// echo answers every event with its first argument.
func echo(_ *realtime.Config, wire *socketio.Config) {
	wire.OnEvent = func(_ context.Context, _ *socketio.Socket, _ string, args socketio.Args) (any, error) {
		return args[0], nil
	}
}

// node is a running script.
type node struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines *bufio.Reader
}

// needNode skips a test where there is no client to run.
func needNode(t *testing.T) {
	t.Helper()
	if os.Getenv("TELEMED_NODE_MODULES") == "" {
		t.Skip("TELEMED_NODE_MODULES is not set: it names a node_modules folder that holds socket.io-client 4")
	}
}

func startNode(t *testing.T, scenario, url, transports string, more ...string) *node {
	t.Helper()
	needNode(t)
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	args := append([]string{filepath.Join("testdata", "client.cjs"), scenario, url, transports}, more...)
	cmd := exec.CommandContext(ctx, "node", args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // killed, unless end has waited for it
	})
	return &node{t, cmd, bufio.NewReader(out)}
}

// step reads the next line and requires that it reports this step. Objects are given as
// JSON.
func (n *node) step(want string) map[string]any {
	n.t.Helper()
	line, err := n.lines.ReadBytes('\n')
	require.NoError(n.t, err, "before step %q", want)
	var fields map[string]any
	require.NoError(n.t, json.Unmarshal(line, &fields))
	require.Equal(n.t, want, fields["step"], "%.300s", line)
	for _, key := range []string{"answer", "again", "data"} {
		if value, present := fields[key]; present {
			fields[key] = encode(n.t, value)
		}
	}
	return fields
}

func (n *node) end() {
	n.t.Helper()
	rest, err := io.ReadAll(n.lines)
	require.NoError(n.t, err)
	require.Empty(n.t, string(rest))
	require.NoError(n.t, n.cmd.Wait())
}

func encode(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	require.NoError(t, err)
	return string(text)
}

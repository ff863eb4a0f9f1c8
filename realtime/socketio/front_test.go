package socketio_test

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/internal/fronttest"
	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/realtime/socketio"
)

// Old and new clients of npm, and Chromium, with and without an nginx in front.

func keeping(rooms *realtime.Config, _ *socketio.Config) { rooms.Journal = &realtime.MemoryJournal{} }

func TestClientVersions(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		module           string
		recovers         bool // it knows connectionStateRecovery
		transports, ends string
	}{
		{"socket.io-client-3.1", false, "", "websocket"},
		{"socket.io-client-3.1", false, "polling", "polling"},
		{"socket.io-client-4.0", false, "", "websocket"},
		{"socket.io-client-4.0", false, "polling", "polling"},
		{"socket.io-client", true, "", "websocket"},
	} {
		t.Run(test.module+" "+test.transports, func(t *testing.T) {
			t.Parallel()
			c := setup(t, keeping)
			away(t, c, newLine(t, c.url), test.module, test.transports, test.recovers, test.ends)
		})
	}
}

// An nginx that hands no WebSocket on leaves polling to clients that may poll.
func TestBehindNginx(t *testing.T) {
	t.Parallel()
	fronttest.Find(t)
	for name, test := range map[string]struct {
		plain            bool
		transports, ends string
	}{
		"whole":            {false, "", "websocket"},
		"whole, websocket": {false, "websocket", "websocket"},
		"plain":            {true, "", "polling"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := setup(t, keeping)
			nginx := fronttest.Start(t, c.url)
			url := nginx.Whole
			if test.plain {
				url = nginx.Plain
			}
			away(t, c, newLine(t, url), "socket.io-client", test.transports, true, test.ends)
		})
	}
}

// away has a client lose its line while events come, and return.
func away(t *testing.T, c clinic, l *line, module, transports string, recovers bool, ends string) {
	t.Helper()
	page := run(t, module, "any.cjs", module, l.url, transports, ends)
	require.Equal(t, false, page.step("connected")["recovered"])
	require.Equal(t, ok, page.step("joined")["answer"])
	c.broadcast(t, "clinic-7", "n", 1)
	require.Equal(t, "1", page.step("n")["data"])

	target := l.to()
	l.lead("")
	l.cut()
	page.step("lost")
	c.broadcast(t, "clinic-7", "n", 2)
	c.broadcast(t, "clinic-7", "n", 3)
	l.lead(target)
	require.Equal(t, recovers, page.step("connected")["recovered"])
	if !recovers {
		require.Equal(t, ok, page.step("joined")["answer"])
	}
	c.broadcast(t, "clinic-7", "n", 4)
	for _, want := range []string{"2", "3", "4"} {
		require.Equal(t, want, page.step("n")["data"])
	}
	c.broadcast(t, "clinic-7", "bye", nil)
	page.step("bye")
	page.end()
}

// The page of the field emits join-clinic once. It is in its room again after its line has
// broken, and has missed nothing.
func TestChromium(t *testing.T) {
	t.Parallel()
	fronttest.Find(t)
	if _, err := exec.LookPath("chromium"); err != nil {
		t.Skip("chromium is not installed")
	}
	c := setup(t, keeping)
	l := newLine(t, fronttest.Start(t, c.url).Whole)
	page := run(t, "playwright-core", "page.cjs", l.url)
	page.step("upgraded")
	require.Eventually(t, func() bool { return c.hub.Stats().Rooms == 1 }, time.Minute, time.Millisecond)
	c.broadcast(t, "clinic-7", "n", 1)
	require.Equal(t, "1", page.step("n")["data"])
	target := l.to()
	l.lead("")
	l.cut()
	page.step("lost")
	c.broadcast(t, "clinic-7", "n", 2)
	l.lead(target)
	require.Equal(t, "2", page.step("n")["data"])
	c.broadcast(t, "clinic-7", "n", 3)
	require.Equal(t, "3", page.step("n")["data"])
	c.broadcast(t, "clinic-7", "bye", nil)
	page.step("bye")
	page.end()
}

// to is where the line leads.
func (l *line) to() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.target
}

// run starts a script of testdata that needs a module of npm.
func run(t *testing.T, module, script string, args ...string) *node {
	t.Helper()
	needNode(t)
	if _, err := os.Stat(filepath.Join(os.Getenv("TELEMED_NODE_MODULES"), module)); err != nil {
		t.Skip("TELEMED_NODE_MODULES names a folder without " + module)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	cmd := exec.CommandContext(ctx, "node", append([]string{filepath.Join("testdata", script)}, args...)...)
	chromium, _ := exec.LookPath("chromium") // "" where no script needs it
	cmd.Env = append(os.Environ(), "TELEMED_CHROMIUM="+chromium)
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

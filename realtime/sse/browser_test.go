package sse_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/realtime/sse"
)

// The EventSource of npm and that of Chromium, over both protocols.

func TestNodeEventSource(t *testing.T) {
	t.Parallel()
	needModule(t, "eventsource")
	f := newFleet(t, overHTTP1)
	life(t, f, start(t, "npm", f.server.URL))
}

func TestChromiumEventSource(t *testing.T) {
	t.Parallel()
	needModule(t, "playwright-core")
	if _, err := exec.LookPath("chromium"); err != nil {
		t.Skip("chromium is not installed")
	}
	first, second := newFleet(t, overHTTP1), newFleet(t, overHTTP2)
	page := start(t, "chromium", first.server.URL, second.server.URL)
	life(t, first, page)
	life(t, second, page)
}

func needModule(t *testing.T, module string) {
	t.Helper()
	modules := os.Getenv("TELEMED_NODE_MODULES")
	if modules == "" {
		t.Skip("TELEMED_NODE_MODULES is not set: it names a node_modules folder that holds eventsource and playwright-core")
	}
	if _, err := os.Stat(filepath.Join(modules, module)); err != nil {
		t.Skip("TELEMED_NODE_MODULES names a folder without " + module)
	}
}

// fleet is an address behind which processes change.
type fleet struct {
	t        *testing.T
	journal  *realtime.MemoryJournal
	server   *httptest.Server
	requests atomic.Int32
	gone     atomic.Bool // nobody may listen any more

	mu  sync.Mutex
	now clinic
}

func newFleet(t *testing.T, begin begin) *fleet {
	t.Helper()
	f := &fleet{t: t, journal: &realtime.MemoryJournal{}}
	f.next(f.journal)
	f.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/live" {
			_, _ = io.WriteString(w, "<!doctype html><title>a page</title><link rel=icon href=data:,>")
			return
		}
		f.requests.Add(1)
		f.process().handler.ServeHTTP(w, r)
	}))
	f.server.Config.ErrorLog = log.New(io.Discard, "", 0) // a browser tries the certificate first
	begin(f.server)
	t.Cleanup(f.server.Close)
	return f
}

func (f *fleet) process() clinic {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

// next starts another process. Connections stay at the one before.
func (f *fleet) next(journal realtime.Journal) clinic {
	f.t.Helper()
	hub, handler := newHandler(f.t, keeping(journal), func(rooms *realtime.Config, _ *sse.Config) {
		rooms.Authorize = func(_ context.Context, who realtime.Client, _ string) error {
			if who.Subject != "ada" || f.gone.Load() {
				return telemed.ErrForbidden
			}
			return nil
		}
	})
	f.t.Cleanup(func() { _ = hub.Shutdown(context.Background()) })
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = clinic{hub: hub, handler: handler}
	return f.now
}

// life is that of one page: deploys, a process that is down, a lost journal, and a kick.
func life(t *testing.T, f *fleet, page *program) {
	t.Helper()
	say := func(data int) {
		_, err := f.journal.Append(t.Context(), realtime.Entry{
			Kind: realtime.KindEvent, Rooms: []string{"clinic-7"}, Name: "n", Args: []json.RawMessage{encode(t, data)},
		})
		require.NoError(t, err)
	}
	page.want("telemed:at")
	say(1)
	require.Equal(t, "1", page.want("n").Data)

	f.next(f.journal)
	f.server.CloseClientConnections()
	say(2)
	say(3)
	require.Equal(t, "2", page.want("n").Data)
	require.Equal(t, "3", page.want("n").Data)

	closed := f.next(f.journal)
	require.NoError(t, closed.hub.Shutdown(t.Context()))
	before := f.requests.Load()
	f.server.CloseClientConnections()
	say(4)
	require.Eventually(t, func() bool { return f.requests.Load() > before+2 }, time.Minute, time.Millisecond, "it tries again and again")
	f.next(f.journal)
	require.Equal(t, "4", page.want("n").Data)

	f.journal = &realtime.MemoryJournal{}
	f.next(f.journal)
	f.server.CloseClientConnections()
	page.want("gap")
	say(5)
	require.Equal(t, "5", page.want("n").Data)

	f.gone.Store(true)
	_, err := f.process().hub.Disconnect(t.Context(), "ada")
	require.NoError(t, err)
	for !page.want("error").Closed {
	}
}

// program is a running script.
type program struct {
	t     *testing.T
	lines *bufio.Reader
}

func start(t *testing.T, args ...string) *program {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute) // t's ends before Cleanup
	cmd := exec.CommandContext(ctx, "node", append([]string{filepath.Join("testdata", "client.cjs")}, args...)...)
	chromium, _ := exec.LookPath("chromium")
	cmd.Env = append(os.Environ(), "TELEMED_CHROMIUM="+chromium)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		if t.Failed() {
			cancel()
		}
		err := cmd.Wait()
		cancel()
		require.True(t, t.Failed() || err == nil, err)
	})
	return &program{t, bufio.NewReader(out)}
}

// step is a line of the script.
type step struct {
	Step   string
	Data   string
	ID     bool
	Closed bool
}

// want returns the next step of that name. In between may be errors of connections, and
// offsets that come alone; nothing else.
func (p *program) want(name string) step {
	p.t.Helper()
	for {
		line, err := p.lines.ReadBytes('\n')
		require.NoError(p.t, err, "before %q", name)
		var got step
		require.NoError(p.t, json.Unmarshal(line, &got))
		if got.Step == name {
			require.Equal(p.t, name != "error", got.ID, "every event has an id")
			return got
		}
		require.Contains(p.t, []string{"error", "telemed:at"}, got.Step, "before %q", name)
		require.False(p.t, got.Closed, "before %q", name)
	}
}

func encode(t *testing.T, value any) json.RawMessage {
	t.Helper()
	text, err := json.Marshal(value)
	require.NoError(t, err)
	return text
}

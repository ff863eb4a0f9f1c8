package redisstream_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/internal/leaktest"
	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/realtime/redisstream"
)

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		child()
		return
	}
	if os.Getenv(serveEnv) != "" {
		serve()
		return
	}
	redis.SetLogger(quiet{})
	leaktest.Main(m)
}

// quiet keeps go-redis from printing each refused connection.
type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}

// server is a redis-server on a socket in a folder of its own.
type server struct {
	testing.TB
	dir, socket string
	cmd         *exec.Cmd
	client      *redis.Client
}

func startServer(t testing.TB) *server {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("redis-server is not installed: apt-get install redis-server")
	}
	dir, err := os.MkdirTemp("", "redis") // the path of a socket must be short
	require.NoError(t, err)
	s := &server{TB: t, dir: dir, socket: filepath.Join(dir, "socket")}
	s.client = redis.NewClient(s.options())
	t.Cleanup(func() {
		require.NoError(t, s.client.Close())
		s.kill()
		require.NoError(t, os.RemoveAll(dir))
	})
	s.start()
	return s
}

func (s *server) options() *redis.Options {
	// Nothing is judged by how fast a busy machine answers.
	return &redis.Options{Network: "unix", Addr: s.socket, ReadTimeout: 20 * time.Second}
}

// start starts it with all that it had written.
func (s *server) start() {
	s.Helper()
	s.cmd = exec.Command("redis-server", "--port", "0", "--unixsocket", s.socket, "--dir", s.dir,
		"--save", "", "--appendonly", "yes", "--appendfsync", "always", "--daemonize", "no")
	log := &bytes.Buffer{}
	s.cmd.Stdout, s.cmd.Stderr = log, log
	require.NoError(s, s.cmd.Start())
	require.Eventually(s, func() bool { return s.client.Ping(context.Background()).Err() == nil }, 20*time.Second, 10*time.Millisecond)
}

func (s *server) kill() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

// open returns the journal of one more process. change may be nil.
func (s *server) open(change func(*redisstream.Config)) *redisstream.Client {
	s.Helper()
	cfg := redisstream.Config{Client: s.client, InsecureClear: true}
	if change != nil {
		change(&cfg)
	}
	j, err := redisstream.New(cfg)
	require.NoError(s, err)
	s.Cleanup(func() { require.NoError(s, j.Shutdown(context.Background())) })
	return j
}

// following collects what a journal delivers.
type following struct {
	testing.TB
	entries chan realtime.Entry
	done    chan error
	cancel  context.CancelFunc
}

func follow(t testing.TB, j realtime.Journal, from realtime.Position) *following {
	ctx, cancel := context.WithCancel(t.Context())
	f := &following{TB: t, entries: make(chan realtime.Entry, 100_000), done: make(chan error, 1), cancel: cancel}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f.done <- j.Follow(ctx, from, func(e realtime.Entry) { f.entries <- e })
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return f
}

func (f *following) next() realtime.Entry {
	f.Helper()
	select {
	case e := <-f.entries:
		return e
	case err := <-f.done:
		require.FailNow(f, "Follow returned", "%v", err)
	case <-time.After(20 * time.Second):
		require.FailNow(f, "nothing was delivered")
	}
	return realtime.Entry{}
}

func (f *following) names(n int) (names []string) {
	f.Helper()
	for range n {
		names = append(names, f.next().Name)
	}
	return names
}

func (f *following) gap() {
	f.Helper()
	select {
	case err := <-f.done:
		require.ErrorIs(f, err, realtime.ErrGap)
	case <-time.After(20 * time.Second):
		require.FailNow(f, "Follow is silent about a gap")
	}
}

func head(t testing.TB, j realtime.Journal) realtime.Position {
	t.Helper()
	p, err := j.Head(t.Context())
	require.NoError(t, err)
	return p
}

func put(t testing.TB, j realtime.Journal, names ...string) (positions []realtime.Position) {
	t.Helper()
	for _, name := range names {
		p, err := j.Append(t.Context(), event(name))
		require.NoError(t, err)
		positions = append(positions, p)
	}
	return positions
}

func event(name string) realtime.Entry {
	return realtime.Entry{Kind: realtime.KindEvent, Name: name, Rooms: []string{"clinic-7"}}
}

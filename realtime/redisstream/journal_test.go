package redisstream_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/realtime/realtimetest"
	"github.com/telemed-go/telemed/realtime/redisstream"
	"github.com/telemed-go/telemed/store"
)

func TestJournal(t *testing.T) {
	t.Parallel()
	realtimetest.RunJournal(t, func(t *testing.T) realtimetest.JournalEngine { return engine(t, nil) })
}

func TestSealedJournal(t *testing.T) {
	t.Parallel()
	seal := keyring(t)
	realtimetest.RunJournal(t, func(t *testing.T) realtimetest.JournalEngine {
		return engine(t, func(cfg *redisstream.Config) { cfg.Seal, cfg.InsecureClear = seal, false })
	})
}

func keyring(t *testing.T) store.AEAD {
	t.Helper()
	ring, err := store.NewKeyring(store.NewKey())
	require.NoError(t, err)
	return ring
}

func engine(t *testing.T, change func(*redisstream.Config)) realtimetest.JournalEngine {
	t.Helper()
	s := startServer(t)
	return realtimetest.JournalEngine{
		Open: func() realtime.Journal { return s.open(change) },
		Trim: func() {
			require.NoError(t, s.client.XAdd(t.Context(), &redis.XAddArgs{Stream: "socket.io", Values: []string{"x", "y"}}).Err())
			require.NoError(t, s.client.XTrimMaxLen(t.Context(), "socket.io", 1).Err())
		},
		Lose:  func() { require.NoError(t, s.client.FlushAll(t.Context()).Err()) },
		Stop:  s.kill,
		Start: s.start,
	}
}

// Entries that were read are lost, and older ones are not: the server was started from a
// dump, or a replica behind it took over. One of two notices it.
func TestOlderDump(t *testing.T) {
	t.Parallel()
	for _, notices := range []string{"who follows", "who has appended"} {
		t.Run(notices, func(t *testing.T) {
			t.Parallel()
			s := startServer(t)
			appends, idle := s.open(nil), s.open(nil)
			start := head(t, idle)
			kept := put(t, idle, "kept 0", "kept 1")
			written := filepath.Join(s.dir, "appendonlydir", "appendonly.aof.1.incr.aof")
			dump, err := os.ReadFile(written)
			require.NoError(t, err)
			var followers []*following
			if notices == "who follows" {
				for range 5 {
					followers = append(followers, follow(t, s.open(nil), start))
				}
			}
			lost := put(t, appends, "lost 0", "lost 1")
			for _, f := range followers {
				f.names(4)
			}
			s.kill()
			require.NoError(t, os.WriteFile(written, dump, 0o600))
			s.start()

			for _, f := range followers {
				f.gap()
			}
			if followers == nil {
				_, err := appends.Since(t.Context(), kept[0], nil, 10)
				require.ErrorIs(t, err, realtime.ErrGap)
			}
			entries, err := s.client.XRange(t.Context(), "socket.io", "-", "+").Result()
			require.NoError(t, err)
			markers := slices.DeleteFunc(entries, func(m redis.XMessage) bool { return m.Values["gap"] == nil })
			require.Len(t, markers, 1, "one for all, or those who have gone on would be told again")
			after := put(t, idle, "after 0", "after 1")
			for _, j := range []*redisstream.Client{idle, s.open(nil)} {
				for _, p := range append([]realtime.Position{start}, append(kept, lost...)...) {
					_, err := j.Since(t.Context(), p, nil, 10)
					require.ErrorIs(t, err, realtime.ErrGap)
					follow(t, j, p).gap()
				}
				page, err := j.Since(t.Context(), after[0], nil, 10)
				require.NoError(t, err)
				require.Len(t, page.Entries, 1)
			}
		})
	}
}

// Who follows is told of a gap by whoever has noticed it first, though its own place is there.
func TestMarkedGapIsForAll(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	j := s.open(nil)
	start := head(t, j)
	require.NoError(t, s.client.XAdd(t.Context(), &redis.XAddArgs{Stream: "socket.io", Values: []string{"uid", "1", "type", "0", "gap", "1"}}).Err())
	follow(t, j, start).gap()
	_, err := j.Since(t.Context(), start, nil, 10)
	require.ErrorIs(t, err, realtime.ErrGap)
	require.EqualValues(t, 2, j.Stats().Gaps)
	require.NotEmpty(t, head(t, j))
}

// A stream is trimmed past a follower while the server was away from it.
func TestTrimmedWhileAway(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	proxy := startProxy(t, s.socket)
	j, other := s.open(func(cfg *redisstream.Config) { cfg.Client = proxy.client }), s.open(func(cfg *redisstream.Config) { cfg.MaxLen = 100 })
	f := follow(t, j, head(t, other))
	put(t, other, "first")
	f.names(1)
	proxy.cut.Store(true)
	proxy.closeAll()
	for n := range 300 {
		put(t, other, fmt.Sprint("n", n))
	}
	proxy.cut.Store(false)
	f.gap()
	require.Empty(t, f.entries, "nothing is delivered beyond the hole")
}

// The answer to an XADD is lost: the entry is there once, and the caller is told that
// nobody knows.
func TestAppendIsSentOnce(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	proxy := startProxy(t, s.socket)
	j := s.open(func(cfg *redisstream.Config) { cfg.Client = proxy.client })
	f := follow(t, s.open(nil), head(t, j))
	put(t, j, "warm")
	proxy.loseAnswer.Store(true)
	_, err := j.Append(t.Context(), event("lost answer"))
	require.ErrorIs(t, err, telemed.ErrAmbiguous)
	require.NotErrorIs(t, err, telemed.ErrUnavailable)
	proxy.loseAnswer.Store(false)
	put(t, j, "after")
	require.Equal(t, []string{"warm", "lost answer", "after"}, f.names(3))
	require.EqualValues(t, 2, j.Stats().Appended)
}

func TestAppendUnavailable(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	j := s.open(nil)
	head(t, j)
	require.NoError(t, s.client.ConfigSet(t.Context(), "maxmemory", "1").Err())
	_, err := j.Append(t.Context(), event("refused"))
	require.ErrorIs(t, err, telemed.ErrUnavailable)
	require.EqualError(t, err, "redisstream: Append: OOM: provider unavailable")
	s.kill()
	_, err = j.Append(t.Context(), event("refused"))
	require.ErrorIs(t, err, telemed.ErrUnavailable)
	require.NotErrorIs(t, err, telemed.ErrAmbiguous)
	require.NotContains(t, err.Error(), s.socket)
}

func TestPassword(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	require.NoError(t, s.client.ConfigSet(t.Context(), "requirepass", "secret").Err())
	wrong, right := s.options(), s.options()
	wrong.Password, right.Password = "wrong-one", "secret"
	for _, options := range []*redis.Options{wrong, s.options()} {
		client := redis.NewClient(options)
		j := s.open(func(cfg *redisstream.Config) { cfg.Client = client })
		_, err := j.Append(t.Context(), event("refused"))
		_, raw := client.Ping(t.Context()).Result()
		require.ErrorIs(t, err, telemed.ErrUnauthorized, "%v", raw)
		require.NotContains(t, err.Error(), "wrong-one")
		require.NoError(t, client.Close())
	}
	client := redis.NewClient(right)
	defer client.Close()
	j := s.open(func(cfg *redisstream.Config) { cfg.Client = client })
	put(t, j, "taken")
}

// A server that stands still is not one that has refused.
func TestPausedServer(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	j := s.open(nil)
	f := follow(t, j, head(t, j))
	put(t, j, "before")
	f.names(1)
	require.NoError(t, s.client.Do(t.Context(), "CLIENT", "PAUSE", "4000", "ALL").Err())
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := j.Append(ctx, event("paused"))
	require.ErrorIs(t, err, telemed.ErrAmbiguous)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Less(t, time.Since(began), 3*time.Second)

	// The context's end must end Follow too, though its connection waits.
	second, end := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- j.Follow(second, "1-1", func(realtime.Entry) {}) }()
	time.Sleep(100 * time.Millisecond)
	end()
	select {
	case err := <-done:
		require.ErrorIs(t, err, context.Canceled)
	case <-time.After(2 * time.Second):
		require.Fail(t, "Follow waits for the server")
	}
	require.Eventually(t, func() bool { return s.client.Ping(t.Context()).Err() == nil }, 20*time.Second, 100*time.Millisecond)
	put(t, j, "after")
	names := f.names(1)
	if names[0] == "paused" { // nobody knew
		names = f.names(1)
	}
	require.Equal(t, []string{"after"}, names)
}

// Redis is away for a minute: few tries, at random moments, and one line in the log.
func TestBackOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var dials atomic.Int32
		client := redis.NewClient(&redis.Options{
			Addr: "192.0.2.1:6379", DialerRetries: 1,
			Dialer: func(context.Context, string, string) (net.Conn, error) {
				dials.Add(1)
				return nil, &net.OpError{Op: "dial", Err: errors.New("refused by asha's laptop")}
			},
		})
		defer client.Close()
		var log strings.Builder
		j, err := redisstream.New(redisstream.Config{Client: client, InsecureClear: true, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		require.NoError(t, err)
		require.Zero(t, j.Stats().Stale)
		done := make(chan error, 1)
		go func() { done <- j.Follow(t.Context(), "1-1", func(realtime.Entry) {}) }()
		time.Sleep(time.Minute)
		// 17 to 30 tries, of one or two dials each.
		require.GreaterOrEqual(t, int(dials.Load()), 17)
		require.LessOrEqual(t, int(dials.Load()), 62)
		require.Greater(t, j.Stats().Stale, 50*time.Second)
		require.NoError(t, j.Shutdown(t.Context()))
		require.ErrorIs(t, <-done, telemed.ErrClosed)
		require.Equal(t, 1, strings.Count(log.String(), "\n"), log.String())
		require.Contains(t, log.String(), "Redis does not answer")
		require.NotContains(t, log.String(), "asha")
		require.Zero(t, j.Stats().Stale)
		_, err = j.Head(t.Context())
		require.ErrorIs(t, err, telemed.ErrClosed)
		time.Sleep(10 * time.Second) // go-redis tries on, and then sees that its client is closed
	})
}

// Entries that nobody can read are counted and passed over.
func TestUnreadEntries(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	j := s.open(func(cfg *redisstream.Config) { cfg.MaxEntry = 1000 })
	start := head(t, j)
	f := follow(t, j, start)
	for _, fields := range [][]string{
		{"nsp", "/", "type", "3", "data", `{"packet":`},
		{"nsp", "/", "type", "3", "data", `{"packet":{"type":2,"data":[]},"opts":{}}`},
		{"nsp", "/", "type", "3", "data", `{"packet":{"type":2,"data":[7]},"opts":{}}`},
		{"nsp", "/", "type", "3", "data", `{"packet":{"type":2,"data":["disconnect"]},"opts":{}}`},
		{"nsp", "/", "type", "3", "data", `{"packet":{"type":2,"data":["` + strings.Repeat("x", 1000) + `"]},"opts":{}}`},
		{"nsp", "/", "type", "3", "data", `{"packet":{"type":2,"data":["a"]},"opts":{"rooms":"clinic-7"}}`},
		{"nsp", "/", "type", "3", "data", "no base64"},
		{"nsp", "/", "type", "3", "data", "gqQ="},
		{"nsp", "/", "type", "3", "data", "~AAAA"},
		{"nsp", "/", "type", "3"},
		{"nsp", "/other", "type", "3", "data", `{`},
		{"nsp", "/", "type", "8", "data", `{`},
		{"type", "0"},
		{"x", "y"},
	} {
		require.NoError(t, s.client.XAdd(t.Context(), &redis.XAddArgs{Stream: "socket.io", Values: fields}).Err())
	}
	put(t, j, "whole")
	require.Equal(t, []string{"whole"}, f.names(1))
	require.Equal(t, redisstream.Stats{Appended: 1, Read: 1, Unread: 10}, j.Stats())
	page, err := j.Since(t.Context(), start, nil, 10)
	require.NoError(t, err)
	require.Len(t, page.Entries, 1)
	_, err = j.Append(t.Context(), realtime.Entry{
		Kind: realtime.KindEvent, Name: "long", Args: raws(`"` + strings.Repeat("x", 1000) + `"`),
	})
	require.ErrorIs(t, err, telemed.ErrInvalid)
}

// Of what is sealed, nothing can be read, and nothing planted is believed.
func TestSealed(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	seal := keyring(t)
	open := func(seal store.AEAD) *redisstream.Client {
		return s.open(func(cfg *redisstream.Config) { cfg.Seal, cfg.InsecureClear = seal, false })
	}
	j, stranger := open(seal), open(keyring(t))
	start := head(t, j)
	put(t, j, "asha")
	put(t, s.open(nil), "planted")
	raw, err := s.client.XRange(t.Context(), "socket.io", "-", "+").Result()
	require.NoError(t, err)
	require.Len(t, raw, 3)
	require.NotContains(t, fmt.Sprint(raw[1]), "asha")
	kick := raw[1].Values
	kick["type"] = "6" // a sealed event is no sealed kick
	require.NoError(t, s.client.XAdd(t.Context(), &redis.XAddArgs{Stream: "socket.io", Values: kick}).Err())
	page, err := j.Since(t.Context(), start, nil, 10)
	require.NoError(t, err)
	require.Len(t, page.Entries, 1)
	require.Equal(t, "asha", page.Entries[0].Name)
	page, err = stranger.Since(t.Context(), start, nil, 10)
	require.NoError(t, err)
	require.Empty(t, page.Entries)
}

func TestNewNamesAllThatIsWrong(t *testing.T) {
	t.Parallel()
	_, err := redisstream.New(redisstream.Config{MaxLen: -1, MaxEntry: -1})
	var names []string
	for _, field := range telemed.Fields(err) {
		names = append(names, field.Field)
	}
	require.Equal(t, []string{"Client", "Seal", "MaxLen", "MaxEntry"}, names)
}

// A page of Since is bounded in what it reads, too.
func TestSinceOfARareRoom(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	j := s.open(func(cfg *redisstream.Config) { cfg.MaxLen = 100_000 })
	start := head(t, j)
	require.NoError(t, s.client.ConfigSet(t.Context(), "appendonly", "no").Err())
	pipe := s.client.Pipeline()
	for n := range 3000 {
		if n%100 == 0 {
			_, err := pipe.Exec(t.Context())
			require.NoError(t, err)
		}
		pipe.XAdd(t.Context(), &redis.XAddArgs{Stream: "socket.io", Values: []string{
			"uid", "1", "nsp", "/", "type", "3",
			"data", `{"packet":{"type":2,"data":["a","` + strings.Repeat("x", 10_000) + `"]},"opts":{"rooms":["other"],"except":[],"flags":{}}}`,
		}})
	}
	_, err := pipe.Exec(t.Context())
	require.NoError(t, err)
	put(t, j, "mine")
	pages, from, found := 0, start, 0
	for more := true; more; pages++ {
		page, err := j.Since(t.Context(), from, []string{"clinic-7"}, 100)
		require.NoError(t, err)
		found += len(page.Entries)
		from, more = page.UpTo, page.More
	}
	require.Equal(t, 1, found)
	require.Greater(t, pages, 2)
	require.Equal(t, head(t, j), from)
}

// proxy stands between a client and the server, and loses what it is told to.
type proxy struct {
	client     *redis.Client
	socket     string
	loseAnswer atomic.Bool // of an XADD: the connection closes instead
	cut        atomic.Bool
	conns      chan net.Conn
}

func startProxy(t *testing.T, socket string) *proxy {
	t.Helper()
	p := &proxy{socket: socket, conns: make(chan net.Conn, 1000)}
	p.client = redis.NewClient(&redis.Options{Dialer: p.dial})
	t.Cleanup(func() {
		require.NoError(t, p.client.Close())
		p.closeAll()
	})
	return p
}

func (p *proxy) closeAll() {
	for {
		select {
		case conn := <-p.conns:
			_ = conn.Close()
		default:
			return
		}
	}
}

func (p *proxy) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	if p.cut.Load() {
		return nil, &net.OpError{Op: "dial", Err: errors.New("cut")}
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", p.socket)
	if err != nil {
		return nil, err
	}
	p.conns <- conn
	return &lossy{Conn: conn, proxy: p}, nil
}

// lossy is a connection that closes once an XADD was answered.
type lossy struct {
	net.Conn
	proxy *proxy
	added bool
}

func (c *lossy) Write(b []byte) (int, error) {
	c.added = c.proxy.loseAnswer.Load() && strings.Contains(strings.ToLower(string(b)), "xadd")
	return c.Conn.Write(b)
}

func (c *lossy) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.added && err == nil {
		_ = c.Conn.Close()
		return 0, net.ErrClosed
	}
	return n, err
}

// childEnv makes this binary a process that appends until it is killed.
const childEnv = "REDISSTREAM_TEST_SOCKET"

func child() {
	client := redis.NewClient(&redis.Options{Network: "unix", Addr: os.Getenv(childEnv)})
	j, err := redisstream.New(redisstream.Config{Client: client, InsecureClear: true})
	if err != nil {
		panic(err)
	}
	for n := 0; ; n++ {
		p, err := j.Append(context.Background(), event(fmt.Sprint("n", n)))
		if err != nil {
			panic(err)
		}
		fmt.Println(p)
	}
}

// A process is killed while it appends: what it was told of is there, in its order.
func TestKilledWriter(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	j := s.open(nil)
	f := follow(t, j, head(t, j))
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), childEnv+"="+s.socket)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var told []realtime.Position
	for lines := bufio.NewScanner(out); lines.Scan(); {
		told = append(told, realtime.Position(lines.Text()))
		if len(told) == 200 {
			require.NoError(t, cmd.Process.Kill())
		}
	}
	_ = cmd.Wait()
	require.GreaterOrEqual(t, len(told), 200)
	for n, p := range told {
		e := f.next()
		require.Equal(t, fmt.Sprint("n", n), e.Name)
		if n < len(told)-1 { // the last line may be cut
			require.Equal(t, p, e.Position)
		}
	}
	put(t, j, "end")
	last := f.next()
	if last.Name != "end" { // appended, and not told any more
		require.Equal(t, fmt.Sprint("n", len(told)), last.Name)
		last = f.next()
	}
	require.Equal(t, "end", last.Name)
}

func BenchmarkAppend(b *testing.B) {
	s := startServer(b)
	require.NoError(b, s.client.ConfigSet(b.Context(), "appendonly", "no").Err())
	j := s.open(nil)
	entry := event("new-appointment")
	entry.Args = raws(`"` + strings.Repeat("x", 200) + `"`)
	b.SetParallelism(8)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := j.Append(context.Background(), entry); err != nil {
				b.Error(err)
			}
		}
	})
}

// BenchmarkFollow reads what is there already, 10,000 entries at a time.
func BenchmarkFollow(b *testing.B) {
	const entries = 10_000
	s := startServer(b)
	require.NoError(b, s.client.ConfigSet(b.Context(), "appendonly", "no").Err())
	j := s.open(func(cfg *redisstream.Config) { cfg.MaxLen = 2 * entries })
	start := head(b, j)
	pipe := s.client.Pipeline()
	for range entries {
		pipe.XAdd(b.Context(), &redis.XAddArgs{Stream: "socket.io", Values: []string{
			"uid", "1", "nsp", "/", "type", "3",
			"data", `{"packet":{"type":2,"data":["a","` + strings.Repeat("x", 200) + `"]},"opts":{"rooms":["clinic-7"],"except":[],"flags":{}}}`,
		}})
	}
	_, err := pipe.Exec(b.Context())
	require.NoError(b, err)
	for b.Loop() {
		f := follow(b, j, start)
		for range entries {
			f.next()
		}
		f.cancel()
	}
	b.ReportMetric(float64(entries*b.N)/b.Elapsed().Seconds(), "entries/s")
}

package redisstream_test

import (
	"context"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/realtime/redisstream"
)

// gauge is how long the answers of a server are.
type gauge struct {
	mu      sync.Mutex
	answers []int
}

func (g *gauge) take() []int {
	g.mu.Lock()
	defer g.mu.Unlock()
	answers := g.answers
	g.answers = nil
	slices.Sort(answers)
	return answers
}

// client returns one whose answers are measured.
func (g *gauge) client(t *testing.T, s *server) *redis.Client {
	t.Helper()
	options := s.options()
	options.Dialer = func(ctx context.Context, _, _ string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, "unix", s.socket)
		return &measured{Conn: conn, gauge: g}, err
	}
	client := redis.NewClient(options)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return client
}

type measured struct {
	net.Conn
	gauge *gauge
	last  int // the answer that grows
}

func (c *measured) Write(b []byte) (int, error) {
	c.gauge.mu.Lock()
	c.gauge.answers = append(c.gauge.answers, 0)
	c.last = len(c.gauge.answers) - 1
	c.gauge.mu.Unlock()
	return c.Conn.Write(b)
}

func (c *measured) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.gauge.mu.Lock()
	defer c.gauge.mu.Unlock()
	if c.last < len(c.gauge.answers) { // not of an answer that was taken meanwhile
		c.gauge.answers[c.last] += max(n, 0)
	}
	return n, err
}

// Whoever reads has a few megabytes of the stream in its hands, however long the entries are.
func TestAnswersAreBounded(t *testing.T) {
	t.Parallel()
	const long, few, most = 1_000_000, 6_000_000, 66_000_000
	s, g := startServer(t), &gauge{}
	require.NoError(t, s.client.ConfigSet(t.Context(), "appendonly", "no").Err())
	j := s.open(func(cfg *redisstream.Config) { cfg.Client = g.client(t, s) })
	start := head(t, j)
	for range 40 {
		require.NoError(t, s.client.XAdd(t.Context(), &redis.XAddArgs{
			Stream: "socket.io", Values: []string{"nsp", "/other", "type", "3", "data", strings.Repeat("x", long)},
		}).Err())
	}
	put(t, j, "last")
	g.take()

	t.Run("Since", func(t *testing.T) {
		page := realtime.Page{UpTo: start, More: true}
		for page.More && len(page.Entries) == 0 {
			var err error
			page, err = j.Since(t.Context(), page.UpTo, nil, 1)
			require.NoError(t, err)
			for _, answer := range g.take() {
				require.Less(t, answer, 4*long, "for one entry")
			}
		}
		require.Equal(t, "last", page.Entries[0].Name)
	})
	t.Run("Follow", func(t *testing.T) {
		require.Equal(t, []string{"last"}, follow(t, j, start).names(1))
		answers := g.take()
		require.Greater(t, answers[len(answers)-1], long)
		require.Less(t, answers[len(answers)-1], few)
	})
	// Nobody can know that long entries follow short ones. It happens once.
	t.Run("long behind short", func(t *testing.T) {
		pipe := s.client.Pipeline()
		for range 300 {
			pipe.XAdd(t.Context(), &redis.XAddArgs{Stream: "socket.io", Values: []string{"nsp", "/other"}})
		}
		for range 80 {
			pipe.XAdd(t.Context(), &redis.XAddArgs{Stream: "socket.io", Values: []string{"nsp", "/other", "data", strings.Repeat("x", long)}})
		}
		from := head(t, j)
		_, err := pipe.Exec(t.Context())
		require.NoError(t, err)
		put(t, j, "last")
		g.take()
		require.Equal(t, []string{"last"}, follow(t, j, from).names(1))
		answers := g.take()
		require.Less(t, answers[len(answers)-1], most)
		require.Less(t, answers[len(answers)-2], few)
	})
}

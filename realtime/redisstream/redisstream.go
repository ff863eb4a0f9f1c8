package redisstream

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/store"
)

// Config says where the stream is. Client, and one of Seal and InsecureClear, are required.
type Config struct {
	// Client is the application's. New takes its Options for two clients of its own, with
	// the same address, user, password and TLS, but without its hooks: one that never
	// repeats a command, and one for each Follow.
	Client *redis.Client

	// Seal encrypts what entries hold, save their kind. store.KeyringFromEnv makes one. All
	// processes need the same keys. An entry that is not sealed is not read.
	Seal store.AEAD
	// InsecureClear writes entries in clear, as Node reads them: names of rooms, subjects
	// and all data.
	InsecureClear bool

	// Stream is the key. If empty, "socket.io".
	Stream string
	// Namespace is Socket.IO's namespace that is read and written. If empty, "/".
	Namespace string
	// MaxLen is how many entries the stream keeps, roughly. Each append trims it, so that
	// Node servers beside it must have the same (maxLen). If 0, 10000.
	MaxLen int64
	// MaxEntry is how many bytes an entry may have. Append refuses more; what is read and
	// has more is passed over. How many are read at once follows from it: 256 MiB of them at
	// most, and no more than 128. If 0, 4 MiB.
	MaxEntry int

	// Logger hears when Redis goes away and comes back, and of entries that cannot be read,
	// without a word of theirs. If nil, nothing is logged.
	Logger *slog.Logger
}

// Stats is a snapshot of a Client. The counters only grow.
type Stats struct {
	Appended uint64 // entries that Redis has confirmed
	Read     uint64 // entries handed to Follow's deliver
	Unread   uint64 // entries that could not be read, and were passed over
	Gaps     uint64 // calls that ended in realtime.ErrGap
	// Stale is how long Follow has not had an answer of Redis. 0: it is in touch, or nobody
	// follows.
	Stale time.Duration
}

// Client is a realtime.Journal in Redis. It is safe for concurrent use.
type Client struct {
	cfg    Config
	uid    string // of this process; Node passes over its own
	client *redis.Client
	codec  codec
	log    *slog.Logger

	ctx  context.Context // ends with Shutdown
	end  context.CancelFunc
	mu   sync.Mutex // of closed and work
	done bool
	work sync.WaitGroup
	seen atomic.Pointer[id] // the newest entry that this process knows to have been there

	appended, read, unread, gaps atomic.Uint64
	stale                        atomic.Int64 // since when, in nanoseconds behind began; 0: it is not
	began                        time.Time    // that clocks which are set do not move
}

var (
	_ realtime.Journal = (*Client)(nil)
	_ realtime.Staler  = (*Client)(nil)
	_ realtime.Roster  = (*Client)(nil)
)

// New returns a Client, or an error that names every wrong field of cfg. It does not
// connect yet. Call Shutdown in the end.
func New(cfg Config) (*Client, error) {
	var p fault.Problems
	p.Check(cfg.Client != nil, "Client", "is required")
	p.Check((cfg.Seal != nil) != cfg.InsecureClear, "Seal", "or InsecureClear is required, and not both")
	p.Check(cfg.MaxLen >= 0, "MaxLen", "is negative")
	p.Check(cfg.MaxEntry >= 0, "MaxEntry", "is negative")
	if err := p.Err("redisstream"); err != nil {
		return nil, err
	}
	cfg.Stream = cmp.Or(cfg.Stream, "socket.io")
	cfg.Namespace = cmp.Or(cfg.Namespace, "/")
	cfg.MaxLen = cmp.Or(cfg.MaxLen, 10_000)
	cfg.MaxEntry = cmp.Or(cfg.MaxEntry, 4<<20)
	random := make([]byte, 8)
	_, _ = rand.Read(random) // never fails
	j := &Client{
		cfg:    cfg,
		uid:    hex.EncodeToString(random),
		client: redis.NewClient(once(cfg.Client.Options())),
		codec:  codec{namespace: cfg.Namespace, maxEntry: cfg.MaxEntry, seal: cfg.Seal},
		log:    cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler)),
		began:  time.Now(),
	}
	j.ctx, j.end = context.WithCancel(context.Background())
	return j, nil
}

// once returns options of a client that sends each command once and heeds its context.
func once(of *redis.Options) *redis.Options {
	options := *of
	options.MaxRetries = -1
	options.ContextTimeoutEnabled = true
	// It would ask the DNS for the server at each New, and hand commands to another one.
	options.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return &options
}

// Stats returns the present numbers.
func (j *Client) Stats() Stats {
	stats := Stats{Appended: j.appended.Load(), Read: j.read.Load(), Unread: j.unread.Load(), Gaps: j.gaps.Load()}
	stats.Stale = j.Stale()
	return stats
}

// Stale returns what stands in Stats.
func (j *Client) Stale() time.Duration {
	since := j.stale.Load()
	if since == 0 {
		return 0
	}
	return max(j.sinceBegan()-time.Duration(since), 1)
}

func (j *Client) sinceBegan() time.Duration { return time.Since(j.began) }

// Shutdown ends every Follow, waits for calls that have begun, or until ctx ends, and
// closes the connections. It may be called again. The Client of Config stays open.
func (j *Client) Shutdown(ctx context.Context) error {
	j.mu.Lock()
	j.done = true
	j.mu.Unlock()
	j.end()
	idle := make(chan struct{})
	go func() {
		j.work.Wait()
		close(idle)
	}()
	var err error
	select {
	case <-idle:
	case <-ctx.Done():
		err = fmt.Errorf("redisstream: Shutdown: %w", ctx.Err())
	}
	if closing := j.client.Close(); closing != nil && !errors.Is(closing, redis.ErrClosed) {
		err = errors.Join(err, &Error{Op: "Shutdown", cause: fault.Cause(closing)})
	}
	return err
}

// begin counts a call that Shutdown waits for, until the returned function is called.
func (j *Client) begin(ctx context.Context, op string) (done func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("redisstream: %s: %w", op, err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.done {
		return nil, fmt.Errorf("redisstream: %s: %w", op, telemed.ErrClosed)
	}
	j.work.Add(1)
	return j.work.Done, nil
}

// ask runs commands and returns when they have, or ctx has ended: a connection waits for
// its answer without looking at the end of a context. What is left runs into the
// connection's own time limit, and Shutdown waits for it.
func ask[T any](ctx context.Context, j *Client, op string, commands func(context.Context) (T, error)) (answer T, err error) {
	done, err := j.begin(ctx, op)
	if err != nil {
		return answer, err
	}
	type answered struct {
		answer T
		err    error
	}
	answers := make(chan answered, 1)
	go func() {
		defer done()
		answer, err := commands(ctx)
		answers <- answered{answer, err}
	}()
	select {
	case got := <-answers:
		// The connection has the deadline of ctx, and may tell it a moment before ctx does.
		if at, ok := ctx.Deadline(); ok && got.err != nil && time.Until(at) < 20*time.Millisecond {
			<-ctx.Done()
			return got.answer, ctx.Err()
		}
		return got.answer, got.err
	case <-ctx.Done():
		return answer, ctx.Err()
	}
}

// saw remembers the newest entry that was there.
func (j *Client) saw(position string) {
	next, ok := parseID(position)
	for ok {
		last := j.seen.Load()
		if last != nil && !last.before(next) || j.seen.CompareAndSwap(last, &next) {
			return
		}
	}
}

package redisstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/realtime"
)

const (
	block    = 5 * time.Second // of one XREAD
	grace    = 2 * time.Second // for its answer to arrive: then the server is dead
	minPause = 50 * time.Millisecond
	maxPause = 5 * time.Second
)

// Follow delivers what comes after from, over a connection of its own. While Redis is away
// it tries again, with growing pauses at random. See realtime.Journal for errors.
func (j *Client) Follow(ctx context.Context, from realtime.Position, deliver func(realtime.Entry)) error {
	if from == "" {
		return fault.Invalid("redisstream: Follow", "from", "is empty: ask Head")
	}
	done, err := j.begin(ctx, "Follow")
	if err != nil {
		return err
	}
	defer done()
	if _, ok := parseID(string(from)); !ok {
		return j.gap("Follow")
	}
	running, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(j.ctx, cancel)()
	defer j.stale.Store(0)
	f := &follower{Client: j, at: string(from), deliver: deliver}
	for pause := minPause; ; pause = min(pause*2, maxPause) {
		before := f.answers
		f.pace = j.newPace() // what was asked for last may have been too much for the time it had
		err := f.read(running)
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("redisstream: Follow: %w", ctx.Err())
		case running.Err() != nil:
			return fmt.Errorf("redisstream: Follow: %w", telemed.ErrClosed)
		case errors.Is(err, errGap):
			return j.gap("Follow")
		}
		j.away(running, err)
		if f.answers > before {
			pause = minPause
		}
		select {
		case <-time.After(pause/2 + rand.N(pause/2)):
		case <-running.Done():
		}
	}
}

// follower is a Follow that runs.
type follower struct {
	*Client
	at      string // the newest entry that was read
	deliver func(realtime.Entry)
	answers int
	pace    pace
}

// read reads until something goes wrong.
func (f *follower) read(ctx context.Context) error {
	options := once(f.cfg.Client.Options())
	options.ReadTimeout, options.PoolSize, options.MinIdleConns = block+grace, 1, 0
	client := redis.NewClient(options)
	defer func() { _ = client.Close() }()
	// A connection waits for its answer without looking at the context.
	stop := context.AfterFunc(ctx, func() { _ = client.Close() })
	defer stop()
	// Ask whether the place is there before the first wait, which may be long.
	if err := f.step(ctx, client, -1); err != nil {
		return err
	}
	for {
		if err := f.step(ctx, client, block); err != nil {
			return err
		}
	}
}

// step reads once. The entry of the place is asked for after the read: if it is there
// still, nothing after it was trimmed before the read.
func (f *follower) step(ctx context.Context, client *redis.Client, wait time.Duration) error {
	pipe := client.Pipeline()
	read := pipe.XRead(ctx, &redis.XReadArgs{Streams: []string{f.cfg.Stream, f.at}, Count: int64(f.pace.count), Block: wait})
	place := pipe.XRangeN(ctx, f.cfg.Stream, f.at, f.at, 1)
	_, _ = pipe.Exec(ctx) // the commands have their errors
	if err := read.Err(); err != nil && !errors.Is(err, redis.Nil) {
		return err
	}
	if err := place.Err(); err != nil {
		return err
	}
	if len(place.Val()) == 0 {
		if f.answers > 0 { // else it may be anybody's invention
			if err := f.markGap(ctx, client, f.at); err != nil {
				return err
			}
		}
		return errGap
	}
	f.answers++
	f.back(ctx)
	f.saw(f.at)
	for _, stream := range read.Val() {
		f.pace.heard(stream.Messages)
		for _, message := range stream.Messages {
			if err := f.take(ctx, message); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *follower) take(ctx context.Context, message redis.XMessage) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if isGap(message) {
		return errGap
	}
	switch entry, state := f.codec.decode(message); state {
	case forUs:
		f.Client.read.Add(1)
		f.deliver(entry)
	case unreadable:
		f.unread.Add(1)
		f.log.LogAttrs(ctx, slog.LevelWarn, "redisstream: an entry cannot be read and is passed over",
			slog.String("position", message.ID))
	}
	f.at = message.ID
	f.saw(f.at)
	return nil
}

// away and back log a change once.
func (j *Client) away(ctx context.Context, err error) {
	if j.stale.CompareAndSwap(0, max(int64(j.sinceBegan()), 1)) {
		j.log.LogAttrs(ctx, slog.LevelWarn, "redisstream: Redis does not answer", slog.String("error", failed("Follow", err).Error()))
	}
}

func (j *Client) back(ctx context.Context) {
	if since := j.stale.Swap(0); since != 0 {
		j.log.LogAttrs(ctx, slog.LevelInfo, "redisstream: Redis answers again",
			slog.Duration("after", j.sinceBegan()-time.Duration(since)))
	}
}

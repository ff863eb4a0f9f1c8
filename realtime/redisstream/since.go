package redisstream

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/realtime"
)

// lookBytes is how many bytes of entries one Since looks at, roughly.
const lookBytes = 8 << 20

// Since returns a page. When it has looked at some megabytes, it asks Redis for no more; what
// it has not looked at comes after Page.UpTo, and More says so. See realtime.Journal for errors.
func (j *Client) Since(ctx context.Context, from realtime.Position, rooms []string, limit int) (realtime.Page, error) {
	var p fault.Problems
	p.Check(from != "", "from", "is empty: ask Head")
	p.Check(limit >= 1, "limit", "is below 1")
	if err := p.Err("redisstream: Since"); err != nil {
		return realtime.Page{}, err
	}
	s := &search{Client: j, pace: j.newPace(), rooms: rooms, limit: limit, page: realtime.Page{UpTo: from, More: true}}
	place, ok := parseID(string(from))
	if !ok {
		return realtime.Page{}, j.gap("Since")
	}
	for s.page.More && len(s.page.Entries) < limit && s.looked < lookBytes {
		whole, err := ask(ctx, j, "Since", func(ctx context.Context) (bool, error) { return s.more(ctx, place) })
		switch {
		case err != nil:
			return realtime.Page{}, failed("Since", err)
		case !whole:
			return realtime.Page{}, j.gap("Since")
		}
	}
	return s.page, nil
}

// search is a Since that runs.
type search struct {
	*Client
	pace   pace
	rooms  []string
	limit  int
	looked int // bytes
	page   realtime.Page
}

// more reads on from UpTo. It reports false at a gap. The read begins with the entry of
// UpTo itself: if that is there, nothing after it was trimmed.
func (s *search) more(ctx context.Context, from id) (whole bool, err error) {
	upTo := string(s.page.UpTo)
	count := s.pace.count
	if s.rooms == nil { // all are for the page; one more tells whether there are more
		count = min(count, s.limit-len(s.page.Entries)+1)
	}
	pipe := s.client.TxPipeline()
	read := pipe.XRangeN(ctx, s.cfg.Stream, upTo, "+", int64(count)+1)
	var seen *redis.XMessageSliceCmd
	last := s.seen.Load()
	if last != nil && from.before(*last) {
		seen = pipe.XRangeN(ctx, s.cfg.Stream, last.String(), last.String(), 1)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return false, err
	}
	found := read.Val()
	if len(found) == 0 || found[0].ID != upTo {
		return false, nil
	}
	if seen != nil && len(seen.Val()) == 0 { // its entry was lost, but an older one was not
		return false, s.markGap(ctx, s.client, last.String())
	}
	s.page.More = len(found) > count
	s.pace.heard(found[1:])
	for _, message := range found[1:] {
		if isGap(message) {
			return false, nil
		}
		if len(s.page.Entries) == s.limit {
			s.page.More = true
			break
		}
		s.page.UpTo = realtime.Position(message.ID)
		s.look(message)
	}
	return true, nil
}

func (s *search) look(message redis.XMessage) {
	s.looked += sizeOf(message)
	if entry, state := s.codec.decode(message); state == forUs && entry.Matches(s.rooms) {
		s.page.Entries = append(s.page.Entries, entry)
	}
}

// Head returns the id of the newest entry. Before the first one it appends a marker.
func (j *Client) Head(ctx context.Context) (realtime.Position, error) {
	position, err := ask(ctx, j, "Head", func(ctx context.Context) (string, error) {
		newest, err := j.client.XRevRangeN(ctx, j.cfg.Stream, "+", "-", 1).Result()
		if err != nil || len(newest) == 0 {
			return j.markIf(ctx, err)
		}
		j.saw(newest[0].ID)
		return newest[0].ID, nil
	})
	if err != nil {
		return "", failed("Head", err)
	}
	return realtime.Position(position), nil
}

func (j *Client) markIf(ctx context.Context, err error) (string, error) {
	if err != nil {
		return "", err
	}
	return j.mark(ctx)
}

// At returns the id of the last entry before t, by the clock of Redis and to the
// millisecond, or of the oldest that is there.
func (j *Client) At(ctx context.Context, t time.Time) (realtime.Position, error) {
	position, err := ask(ctx, j, "At", func(ctx context.Context) (string, error) {
		before := strconv.FormatInt(max(t.UnixMilli()-1, 0), 10)
		pipe := j.client.TxPipeline()
		last := pipe.XRevRangeN(ctx, j.cfg.Stream, before, "-", 1)
		oldest := pipe.XRangeN(ctx, j.cfg.Stream, "-", "+", 1)
		_, err := pipe.Exec(ctx)
		for _, found := range [][]redis.XMessage{last.Val(), oldest.Val()} {
			if err == nil && len(found) > 0 {
				return found[0].ID, nil
			}
		}
		return j.markIf(ctx, err)
	})
	if err != nil {
		return "", failed("At", err)
	}
	return realtime.Position(position), nil
}

// errGap is what a reader finds, before it is told as realtime.ErrGap.
var errGap = errors.New("gap")

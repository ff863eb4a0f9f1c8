package realtime

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"

	"github.com/telemed-go/telemed"
)

// EnterSince is Enter and Join in one, for clients that name all of their rooms when they
// come, and keep an offset but no pid. A transport calls it once. Authorize is asked for
// each room: the client is in all of rooms, or after an error in none, and answer was not
// called. Errors are those of [Conn.Join].
//
// since is what the client brings back from an earlier connection, in any process with the
// same Journal and RecoveryKeys: the offset of the last message that it has got. It is empty
// if the client comes for the first time, and it is not trusted.
//
// EnterSince calls answer and sends the message that it returns. offset is what the client
// must keep, until a message brings a later one. If gap is false and since is not empty, all
// events follow that the client has missed, in order. gap says that they cannot be told: the
// client reads the present state. Without a Config.Journal offset is empty, and gap true if
// since is not empty.
//
// answer must be quick, and must not use the hub.
func (c *Conn) EnterSince(
	ctx context.Context, rooms []string, since string, answer func(offset string, gap bool) []byte,
) error {
	rooms, err := c.mayJoinAll(ctx, rooms)
	if err != nil {
		return err
	}
	var from *place
	if since != "" && c.hub.past != nil {
		from = c.placeOf(ctx, rooms, since)
	}
	c.hub.mu.Lock()
	defer c.hub.mu.Unlock()
	if err := c.mayEnterLocked(); err != nil {
		return err
	}
	missed := c.missedLocked(from, rooms)
	c.presentLocked(rand.Text())
	for _, room := range rooms {
		if err := c.enterLocked(room); err != nil { // the transport has joined others before
			return err
		}
	}
	if c.hub.past == nil {
		c.answerLocked(answer("", since != ""))
		return nil
	}
	if missed == nil {
		c.answerLocked(answer(string(c.hub.past.at)+string(c.suffixLocked()), since != ""))
		return nil
	}
	// The client may lose what follows, and not the answer. So it stays where it is.
	c.hub.stats.Recovered++
	c.answerLocked(answer(since, false))
	c.shard.push(op{kind: opReplay, conn: c, replay: missed})
	c.markLocked(false)
	return nil
}

func (c *Conn) mayEnterLocked() error {
	if _, open := c.hub.conns[c]; !open {
		return fmt.Errorf("realtime: EnterSince: %w", telemed.ErrClosed)
	}
	if c.hub.past != nil && c.hub.past.at == "" {
		return fmt.Errorf("realtime: EnterSince: the journal is away: %w", telemed.ErrUnavailable)
	}
	return nil
}

// mayJoinAll returns rooms without doubles, if the client may join all of them.
func (c *Conn) mayJoinAll(ctx context.Context, rooms []string) ([]string, error) {
	unique := make([]string, 0, len(rooms))
	for _, room := range rooms {
		if slices.Contains(unique, room) {
			continue
		}
		if len(unique) == c.hub.cfg.MaxRooms {
			return nil, fmt.Errorf("realtime: EnterSince: %w", ErrFull)
		}
		if _, err := c.mayJoin(ctx, room); err != nil {
			return nil, err
		}
		unique = append(unique, room)
	}
	return unique, nil
}

// placeOf finds the place of an offset. It is nil unless the offset is of a connection that
// was in the same rooms: what came in others meanwhile was not for the client.
func (c *Conn) placeOf(ctx context.Context, rooms []string, offset string) *place {
	position, sealed, _ := strings.Cut(offset, "~")
	var were []string
	if !c.hub.past.tokens.open(forRooms, sealed, &were) || keyOf(were) != keyOf(rooms) {
		return nil
	}
	return c.hub.placeAfter(ctx, Position(position))
}

// missedLocked returns what came after a place, nil if that cannot be told.
func (c *Conn) missedLocked(from *place, rooms []string) *replay {
	if from == nil || c.hub.past.at == "" {
		return nil
	}
	missed, whole := c.hub.past.window.from(from.next)
	if !whole || c.kickedLocked(from.older, rooms) || c.kickedLocked(missed, rooms) {
		return nil
	}
	return &replay{older: from.older, missed: missed}
}

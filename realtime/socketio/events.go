package socketio

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/realtime"
)

// reply is what an acknowledgement of ours holds. With a Journal, At is the position of a
// join, and Gap says that what came since the client's position cannot be told.
type reply struct {
	OK    bool              `json:"ok"`
	Error string            `json:"error,omitempty"`
	At    realtime.Position `json:"at,omitempty"`
	Gap   bool              `json:"gap,omitempty"`
}

// handle answers an event of the client.
func (s *Socket) handle(ackID, name string, args Args) {
	ctx := s.call()
	defer ctx.end()
	answer := s.dispatch(ctx, ackID, name, args)
	if ackID != "" && answer != nil {
		s.link.conn.Send(answer(ackID))
	}
}

// acknowledgement makes the message that answers an event with an id.
type acknowledgement func(id string) []byte

// with answers with values.
func (s *Socket) with(values ...any) acknowledgement {
	m, err := message("", values)
	if err != nil { // the application's values; our own replies can be encoded
		m, _ = message("", []any{reply{Error: "failed"}})
	}
	return func(id string) []byte { return ackMessage(s.space.name, id, m) }
}

// dispatch lets the application or the hub handle an event and returns the reply, nil if it
// is on its way already.
func (s *Socket) dispatch(ctx context.Context, ackID, name string, args Args) acknowledgement {
	for _, join := range s.space.Joins {
		switch {
		case name == join.Event:
			return s.joinAs(ctx, ackID, join.Prefix, args)
		case name == join.Leave && join.Leave != "":
			return s.with(s.leaveAs(join.Prefix, args))
		}
	}
	if s.space.OnEvent == nil {
		return s.with(reply{Error: "unknown event"})
	}
	answer, err := s.space.OnEvent(ctx, s, name, args)
	switch values, several := answer.(Args); {
	case err != nil:
		return s.with(replyTo(err))
	case several:
		return s.with(values...)
	case answer == nil:
		return s.with(reply{OK: true})
	}
	return s.with(answer)
}

// joinAs returns nil when the client is in the room: the answer goes out together with the
// join. ackID is empty if the client wants none.
func (s *Socket) joinAs(ctx context.Context, ackID, prefix string, args Args) acknowledgement {
	id, ok := roomID(args.json(0))
	since, known := sinceOf(args.json(1))
	if !ok || !known {
		return s.with(replyTo(telemed.ErrInvalid))
	}
	room := s.space.Prefix + prefix + id
	err := s.link.conn.JoinSince(ctx, room, since, func(at realtime.Position, gap bool) []byte {
		if ackID == "" {
			return nil
		}
		return s.with(reply{OK: true, At: at, Gap: gap})(ackID)
	})
	if err != nil {
		return s.with(replyTo(err))
	}
	return nil
}

// sinceOf reads the second argument of a join, {"since": position}. An offset, of which the
// position is the first part, serves as well.
func sinceOf(arg json.RawMessage) (since realtime.Position, ok bool) {
	var options struct {
		Since string `json:"since"`
	}
	if len(arg) > 0 && arg[0] == '{' && json.Unmarshal(arg, &options) != nil {
		return "", false
	}
	position, _, _ := strings.Cut(options.Since, "~")
	return realtime.Position(position), true
}

func (s *Socket) leaveAs(prefix string, args Args) reply {
	id, ok := roomID(args.json(0))
	if !ok {
		return replyTo(telemed.ErrInvalid)
	}
	s.link.conn.Leave(s.space.Prefix + prefix + id)
	return reply{OK: true}
}

// roomID reads the first argument: a non-empty string, or a whole number as databases count.
// The hub checks the rest.
func roomID(arg json.RawMessage) (id string, ok bool) {
	if len(arg) == 0 {
		return "", false
	}
	if len(bytes.Trim(arg, "0123456789")) == 0 {
		return string(arg), true
	}
	err := json.Unmarshal(arg, &id)
	return id, err == nil && id != ""
}

// replyTo speaks of err in fixed words: its own text may hold what the client must not
// know.
func replyTo(err error) reply {
	switch {
	case err == nil:
		return reply{OK: true}
	case errors.Is(err, telemed.ErrUnavailable), errors.Is(err, telemed.ErrClosed), errors.Is(err, context.DeadlineExceeded):
		return reply{Error: "unavailable"}
	case errors.Is(err, realtime.ErrFull):
		return reply{Error: "too many rooms"}
	case errors.Is(err, telemed.ErrInvalid):
		return reply{Error: "invalid request"}
	case errors.Is(err, telemed.ErrForbidden):
		return reply{Error: "not permitted"}
	}
	return reply{Error: "failed"}
}

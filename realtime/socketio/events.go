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

// packet reads one Engine.IO packet of the client. After an error the session must end.
func (s *session) packet(text []byte) error {
	if len(text) == 0 {
		return errGarbage
	}
	switch kind, body := text[0], text[1:]; kind {
	case packetMessage:
		return s.message(body)
	case packetPong:
		s.answered()
		return nil
	case packetNoop:
		return nil
	case packetClose:
		s.goodbye(errClientLeft)
		return nil
	case packetBinary:
		return errBinary
	}
	return errGarbage
}

// message reads one Socket.IO packet of the client. After an error the session must end.
func (s *session) message(text []byte) error {
	p, err := parsePacket(text)
	if err != nil {
		return err
	}
	switch {
	case p.kind == kindConnect && p.namespace != defaultNamespace:
		refusal := textFrame(connectErrorPacket(p.namespace))
		s.hand(0, func() { s.conn.Send(refusal) })
		return nil
	case p.namespace != defaultNamespace, (p.kind == kindConnect) == s.connected:
		return errGarbage
	}
	switch p.kind {
	case kindConnect:
		s.enterNamespace()
		back := p.comesBack()
		s.hand(len(p.data), func() { // without granted rooms only the end of the connection is an error
			_, _ = s.conn.Enter(s.conn.Context(), realtime.Return(back), nil, s.welcome)
		})
	case kindDisconnect: // of a namespace; a client that wants more closes the session itself
		s.leaveNamespace()
		s.hand(0, s.conn.LeaveAll)
	case kindEvent:
		return s.event(p)
	}
	return nil // an acknowledgement: the server asks for none
}

func (s *session) event(p packet) error {
	name, args, err := p.event()
	if err != nil {
		return err
	}
	id := p.ack // p.data is the reader's, and good only now
	s.hand(len(p.data), func() {
		answer := s.dispatch(s.conn.Context(), id, name, args)
		if id != "" && answer != nil {
			s.conn.Send(textFrame(ackPacket(id, answer)))
		}
	})
	return nil
}

// welcome is the answer to a client that enters.
func (s *session) welcome(pid string) []byte {
	return textFrame(connectedPacket(s.conn.Client().ID, pid))
}

// dispatch lets the application or the hub handle an event and returns the reply as JSON,
// nil if it is on its way already.
func (s *session) dispatch(ctx context.Context, id, name string, args []json.RawMessage) []byte {
	for _, join := range s.server.cfg.Joins {
		switch {
		case name == join.Event:
			return s.join(ctx, id, join.Prefix, args)
		case name == join.Leave && join.Leave != "":
			return encodeReply(s.leave(join.Prefix, args))
		}
	}
	if s.server.cfg.OnEvent == nil {
		return encodeReply(reply{Error: "unknown event"})
	}
	answer, err := s.server.cfg.OnEvent(ctx, s.conn.Client(), name, args)
	if err != nil {
		return encodeReply(replyTo(err))
	}
	if answer == nil {
		return encodeReply(reply{OK: true})
	}
	return encodeReply(answer)
}

// join returns nil when the client is in the room: the answer goes out together with the
// join. ackID is empty if the client wants none.
func (s *session) join(ctx context.Context, ackID, prefix string, args []json.RawMessage) []byte {
	id, ok := roomID(args)
	since, known := sinceOf(args)
	if !ok || !known {
		return encodeReply(replyTo(telemed.ErrInvalid))
	}
	err := s.conn.JoinSince(ctx, prefix+id, since, func(at realtime.Position, gap bool) []byte {
		if ackID == "" {
			return nil
		}
		return textFrame(ackPacket(ackID, encodeReply(reply{OK: true, At: at, Gap: gap})))
	})
	if err != nil {
		return encodeReply(replyTo(err))
	}
	return nil
}

// sinceOf reads the second argument of a join, {"since": position}. An offset, of which the
// position is the first part, serves as well.
func sinceOf(args []json.RawMessage) (since realtime.Position, ok bool) {
	if len(args) < 2 {
		return "", true
	}
	var options struct {
		Since string `json:"since"`
	}
	if args[1][0] == '{' && json.Unmarshal(args[1], &options) != nil {
		return "", false
	}
	position, _, _ := strings.Cut(options.Since, "~")
	return realtime.Position(position), true
}

func (s *session) leave(prefix string, args []json.RawMessage) reply {
	id, ok := roomID(args)
	if !ok {
		return replyTo(telemed.ErrInvalid)
	}
	s.conn.Leave(prefix + id)
	return reply{OK: true}
}

// roomID reads the first argument: a non-empty string, or a whole number as
// databases count. The hub checks the rest.
func roomID(args []json.RawMessage) (id string, ok bool) {
	if len(args) == 0 {
		return "", false
	}
	if len(bytes.Trim(args[0], "0123456789")) == 0 {
		return string(args[0]), true
	}
	err := json.Unmarshal(args[0], &id)
	return id, err == nil && id != ""
}

// replyTo speaks of err in fixed words: its own text may hold what the client must not
// know.
func replyTo(err error) reply {
	switch {
	case err == nil:
		return reply{OK: true}
	case errors.Is(err, telemed.ErrUnavailable), errors.Is(err, telemed.ErrClosed):
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

func encodeReply(answer any) []byte {
	text, err := json.Marshal(answer)
	if err != nil { // the application's value; our own replies can be encoded
		return []byte(`{"ok":false,"error":"failed"}`)
	}
	return text
}

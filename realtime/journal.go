package realtime

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/redact"
)

// ErrGap means that a journal cannot tell all that came after a position: it was trimmed,
// or lost entries, or never gave that position out. The reader reads the present state
// and goes on from [Journal.Head].
var ErrGap = errors.New("the journal does not know all that came after this position")

// Journal keeps the live events of the last while in one order that all processes share.
// An application may write its own; realtimetest.RunJournal checks it.
//
// Implementations are safe for concurrent use. Each has bounds, in bytes or in time, and
// drops the oldest entries first.
//
// What an Entry points to belongs to all who have it: nobody changes it, neither before
// nor after Append.
//
// # Errors
//
//   - telemed.ErrInvalid: the call itself is wrong. No entry was appended.
//   - [ErrGap]: see there. A journal that is unsure says ErrGap, never a list with a hole.
//   - telemed.ErrUnavailable: the engine cannot be reached or refused. No entry was
//     appended.
//   - telemed.ErrAmbiguous: of Append only. Nobody knows whether the entry was appended.
//     Whoever appends it again may have it twice.
//   - The error of ctx, once it has ended. From Append it comes alone if nothing was
//     appended, and with telemed.ErrAmbiguous if nobody knows.
//   - telemed.ErrClosed: the journal was shut down.
type Journal interface {
	// Append adds e behind all that is there and returns its position. Its error is nil
	// only if e is kept and every follower will get it. e.Position and e.At are ignored.
	// What [Entry.Check] refuses is telemed.ErrInvalid.
	Append(ctx context.Context, e Entry) (Position, error)

	// Follow calls deliver with each entry after from, in order and once, those of the own
	// process too, until ctx ends. It does not return because the engine is away: it waits,
	// and goes on where it was. It returns the error of ctx, within a second of its end, or
	// ErrGap, or telemed.ErrInvalid for the empty position, or telemed.ErrClosed. deliver is
	// called by one goroutine at a time, and not after Follow has returned; while it runs
	// nothing further is delivered.
	Follow(ctx context.Context, from Position, deliver func(Entry)) error

	// Since returns the entries after from that [Entry.Matches] selects by rooms, the oldest
	// first, at most limit of them. The empty position and a limit below 1 are
	// telemed.ErrInvalid.
	Since(ctx context.Context, from Position, rooms []string, limit int) (Page, error)

	// Head returns the position of the newest entry: what is appended later comes after it.
	// A journal without an entry has a Head too. A Head is an answer of the engine, so it
	// says whether the engine is there.
	Head(ctx context.Context) (Position, error)

	// At returns a position after which all entries of t and later come, for whoever fills a
	// window of time. If the journal does not reach back to t, it is the oldest position
	// that the journal still knows.
	At(ctx context.Context, t time.Time) (Position, error)
}

// Position is a place in a Journal, between two entries; an entry's own position is behind
// it. It is opaque: its bytes say nothing to anybody but the journal, and positions of two
// journals, or of two lives of one, have nothing in common. It has 1 to 64 printable
// characters of ASCII, and neither a space nor '~' among them. No position is given to two
// entries. The empty position is no place.
type Position string

// Kind says what an Entry does.
type Kind string

// The kinds of entries. A reader passes over those that it does not know.
const (
	// KindEvent sends an event to the clients in Rooms, or to everybody.
	KindEvent Kind = "event"
	// KindKick ends the connections of the clients in Rooms.
	KindKick Kind = "kick"
	// KindJoin puts the clients in Rooms into the rooms of Moved. A Node server that shares
	// the journal may append it.
	KindJoin Kind = "join"
	// KindLeave takes the clients in Rooms out of the rooms of Moved, likewise.
	KindLeave Kind = "leave"
)

// Entry is one line of a Journal. It prints without its data and its rooms.
type Entry struct {
	// Position and At, the time of the append by the engine's clock, are set by the journal.
	Position Position
	At       time.Time

	Kind Kind
	// Rooms are whom it concerns: who is in one of them, once. None is everybody, which only
	// an event may be appended for.
	Rooms []string
	// Except are rooms whose clients are left out, also if they are in one of Rooms.
	Except []string

	// Name, Args and Attachments are the event's, as [Message] has them. Each attachment is
	// named once, in order.
	Name        string
	Args        []json.RawMessage
	Attachments [][]byte
	// Volatile events may be dropped for a client that is behind or away.
	Volatile bool

	// Moved are the rooms that the clients enter or leave.
	Moved []string
}

// Page is what [Journal.Since] has found.
type Page struct {
	// Entries are in the journal's order.
	Entries []Entry
	// UpTo is how far the journal has looked: all that comes after it was not looked at. It
	// is not the position of the last of Entries if others came later that did not match.
	// From here the next Since, or Follow, goes on.
	UpTo Position
	// More says that there may be entries after UpTo. If false, UpTo was the end of the
	// journal.
	More bool
}

// Matches reports whether [Journal.Since] returns e for rooms:
//
//   - if rooms is nil, always;
//   - if e is no event: a kick must reach who is not in any of rooms;
//   - if e is for everybody, or for one of rooms.
//
// Except has no say: which of rooms a client is in is for the reader to judge, by Reaches.
func (e Entry) Matches(rooms []string) bool {
	if rooms == nil || e.Kind != KindEvent || len(e.Rooms) == 0 {
		return true
	}
	return slices.ContainsFunc(e.Rooms, func(room string) bool { return slices.Contains(rooms, room) })
}

// Reaches reports whether e concerns a client, of which in says what rooms it is in.
func (e Entry) Reaches(in func(room string) bool) bool {
	return (len(e.Rooms) == 0 || slices.ContainsFunc(e.Rooms, in)) && !slices.ContainsFunc(e.Except, in)
}

// message is what is sent of an event. Behind its position in the offset stands suffix.
func (e *Entry) message(suffix string) Message {
	return Message{Name: e.Name, Args: e.Args, Attachments: e.Attachments, Offset: string(e.Position) + suffix}
}

// Check says whether e may be appended, for those who implement Journal. Errors match
// telemed.ErrInvalid and quote nothing of e.
func (e Entry) Check() error {
	var p fault.Problems
	checkRooms(&p, "Rooms", e.Rooms)
	checkRooms(&p, "Except", e.Except)
	checkRooms(&p, "Moved", e.Moved)
	switch e.Kind {
	case KindEvent:
		e.checkEvent(&p)
	case KindKick, KindJoin, KindLeave:
		p.Check(len(e.Rooms) > 0, "Rooms", "is empty: it would be everybody")
		p.Check(e.Name == "" && len(e.Args) == 0 && len(e.Attachments) == 0, "Name", "and Args are an event's")
	default:
		p.Add("Kind", "is not known")
	}
	moves := e.Kind == KindJoin || e.Kind == KindLeave
	p.Check(moves == (len(e.Moved) > 0), "Moved", "is what KindJoin and KindLeave have, and no other")
	return p.Err("realtime: entry")
}

func (e Entry) checkEvent(p *fault.Problems) {
	p.Required("Name", e.Name)
	p.Check(validName(e.Name), "Name", "is longer than %d bytes, or not plain text", maxName)
	p.Check(!slices.Contains(reservedNames, e.Name), "Name", "is reserved by Socket.IO clients")
	for i, arg := range e.Args {
		if !json.Valid(arg) {
			p.Add("Args["+strconv.Itoa(i)+"]", "is not JSON")
		}
	}
	if len(e.Attachments) > 0 {
		p.Check(placeholdersFit(e.Args, len(e.Attachments)), "Attachments", "are not what the placeholders of Args name")
	}
}

func checkRooms(p *fault.Problems, field string, rooms []string) {
	for i, room := range rooms {
		if CheckRoom(room) != nil {
			p.Add(field+"["+strconv.Itoa(i)+"]", "is no name of a room")
		}
	}
}

// Format tells the same for every verb.
func (e Entry) Format(f fmt.State, _ rune) { redact.Format(f, e) }

// LogValue leaves data and rooms out: they are about patients and staff.
func (e Entry) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("kind", string(e.Kind)), slog.String("name", e.Name), slog.String("position", string(e.Position)),
	)
}

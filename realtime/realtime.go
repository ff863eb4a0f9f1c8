// Package realtime tells browsers what has just happened: an appointment was
// booked, a patient waits. Events go to rooms, and only a connection that the
// application has authorised is in a room.
//
// The package knows rooms, rights and limits, and no wire. A leaf package
// carries the events to browsers; realtime/socketio does so for Socket.IO.
//
//	hub, err := realtime.NewHub(realtime.Config{
//		Authenticate: func(r *http.Request) (string, error) { return sessions.UserID(r) },
//		Authorize: func(ctx context.Context, who realtime.Client, room string) error {
//			return clinics.MayWatch(ctx, who.Subject, room)
//		},
//	})
//	sio, err := socketio.New(socketio.Config{Hub: hub})
//	mux.Handle("/socket.io/", sio)
//
//	event := realtime.Event{Name: "new-appointment", Data: appointment}
//	err = hub.Broadcast(ctx, "clinic-"+id, event)
//
//	err = hub.Shutdown(ctx) // before the http.Server, which waits for the hub's polls
//
// Code that only tells needs a [Broadcaster], not a Hub; realtimetest.Recorder is one for
// tests.
//
// An event is delivered at most once: a browser that is away misses it, and
// reads the present state when it is back.
//
// # Coming back, and several processes
//
// With a [Journal] as Config.Journal every event has a position, and one order in all
// processes that share the journal: Broadcast appends to it, and each hub delivers what it
// reads back. [MemoryJournal] is one for a single process; realtime/redisstream shares one.
// A browser that was away for a moment gets what it has missed, once, in whichever process
// it comes back to, and its rights are asked again. If anything may be missing it is told
// so, and reads the present state: a journal that was trimmed, a key that is not known, a
// subject that was kicked meanwhile. After an [ErrGap] of the journal itself that is so for
// everybody: all connections end, and come back.
//
// # Errors
//
// telemed.ErrInvalid says that the call itself is wrong, telemed.ErrForbidden that the
// application did not authorise, [ErrFull] that a limit is reached and telemed.ErrClosed
// that the hub is shut down or the connection has ended. A connection whose client takes
// nothing any more, or falls behind by more than Config.MaxPending, ends with the cause
// [ErrSlow]. With a Journal it may be behind by all that the hub keeps. A burst, or the
// answers to what a client has asked for, is no reason.
//
// # Security
//
// Without Config.Authorize nobody joins any room, and without Config.Authenticate every
// client is anonymous: its Subject is empty. Rights are asked for when a client joins,
// and who the client is when it connects; an open connection outlives both. Call
// [Hub.Disconnect] when a subject loses a right, logs out, or its login expires. Nothing
// that an event holds is logged, and an [Event] prints without its data.
//
// # Testing
//
// realtime/realtimetest has a recording Broadcaster and a client that speaks
// Socket.IO to an application's own server.
package realtime

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"unicode"
	"unicode/utf8"

	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/redact"
)

// The errors that only live events have.
var (
	// ErrFull means that the hub has as many connections, or the connection as many rooms,
	// as Config allows.
	ErrFull = errors.New("limit reached")
	// ErrSlow is the cause with which a connection ends that does not take its events in
	// time.
	ErrSlow = errors.New("connection too slow")
)

// Broadcaster sends events to everybody in a room. Hub is one; an application that runs
// several processes puts its own in front of several hubs.
//
// Implementations are safe for concurrent use. They do not keep or change ev.Data and
// ev.More after they return, do not wait for slow receivers, and return nil for a room that
// nobody is in. A wrong event or room gives telemed.ErrInvalid, a closed broadcaster
// telemed.ErrClosed, a journal that is away telemed.ErrUnavailable, an ended ctx its error;
// in each of these cases nobody received anything. With telemed.ErrAmbiguous nobody knows:
// whoever sends the event again may send it twice.
type Broadcaster interface {
	Broadcast(ctx context.Context, room string, ev Event) error
}

// Event is what clients of a room receive.
type Event struct {
	// Name is what the client listens for: "new-appointment". Required, at most
	// 128 bytes, without control characters. The names that Socket.IO clients
	// keep for themselves (connect, connect_error, disconnect, disconnecting,
	// newListener, removeListener) are refused.
	Name string
	// Data is encoded by encoding/json, once for all receivers. nil is sent as null, and a
	// [Binary] as bytes.
	Data any
	// More are further arguments behind Data, for pages whose listeners take several.
	More []any
}

// Encode checks the event and returns what is sent of it, without an Offset. It is for
// those who implement Broadcaster. Errors match telemed.ErrInvalid and do not quote the data.
func (e Event) Encode() (Message, error) {
	var p fault.Problems
	p.Required("Name", e.Name)
	p.Check(validName(e.Name), "Name", "is longer than %d bytes, or not plain text", maxName)
	p.Check(!slices.Contains(reservedNames, e.Name), "Name", "is reserved by Socket.IO clients")
	m := Message{Name: e.Name, Args: make([]json.RawMessage, 0, 1+len(e.More))}
	m.add(&p, "Data", e.Data)
	for i, value := range e.More {
		m.add(&p, "More["+strconv.Itoa(i)+"]", value)
	}
	if len(m.Attachments) > 0 {
		p.Check(placeholdersFit(m.Args, len(m.Attachments)), "Data", "or More has a \"_placeholder\" of its own beside a Binary")
	}
	if err := p.Err("event"); err != nil {
		return Message{}, err
	}
	return m, nil
}

// add makes value the next argument.
func (m *Message) add(p *fault.Problems, field string, value any) {
	if bytes, ok := value.(Binary); ok {
		m.Args = append(m.Args, placeholder(len(m.Attachments)))
		m.Attachments = append(m.Attachments, append([]byte{}, bytes...)) // it is the caller's
		return
	}
	arg, err := json.Marshal(value)
	p.Check(err == nil, field, "cannot be encoded as JSON")
	m.Args = append(m.Args, arg)
}

// Format tells the same for every verb.
func (e Event) Format(f fmt.State, _ rune) { redact.Format(f, e) }

// LogValue leaves the data out: it is about a patient.
func (e Event) LogValue() slog.Value { return slog.GroupValue(slog.String("name", e.Name)) }

const maxName = 128

var reservedNames = []string{"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"}

// CheckRoom returns an error that matches telemed.ErrInvalid unless room is a usable
// name: 1 to 128 bytes of UTF-8 without control characters.
func CheckRoom(room string) error {
	var p fault.Problems
	p.Required("room", room)
	p.Check(validName(room), "room", "is longer than %d bytes, or not plain text", maxName)
	return p.Err("realtime")
}

func validName(name string) bool {
	if len(name) > maxName || !utf8.ValidString(name) {
		return false
	}
	for _, r := range name {
		if unicode.IsControl(r) {
			return false
		}
	}
	return true
}

package redisstream_test

import (
	"context"
	"encoding/hex"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/realtime"
)

// spelling is an encoder that writes name and arguments, and attachments in hex.
type spelling struct{}

func (spelling) Encode(m realtime.Message) []byte {
	text := m.Name
	for _, arg := range m.Args {
		text += " " + string(arg)
	}
	for _, attachment := range m.Attachments {
		text += " " + hex.EncodeToString(attachment)
	}
	return []byte(text)
}

// seat is a client of ours.
type seat struct {
	*realtime.Conn
	t *testing.T
}

func takeSeat(t *testing.T, hub *realtime.Hub, subject string, rooms ...string) seat {
	t.Helper()
	conn, err := hub.Connect(t.Context(), subject, spelling{}, nil)
	require.NoError(t, err)
	_, err = conn.Enter(t.Context(), realtime.Return{}, rooms, func(string) []byte { return nil })
	require.NoError(t, err)
	return seat{conn, t}
}

// gets is all that the client must get next.
func (s seat) gets(want ...string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 30*time.Second)
	defer cancel()
	var got []string
	for len(got) < len(want) {
		messages, err := s.Next(ctx)
		require.NoError(s.t, err, "%q", got)
		for _, message := range messages {
			if len(message) > 0 { // the welcome has no words
				got = append(got, string(message))
			}
		}
	}
	require.Equal(s.t, want, got)
}

func (s seat) kicked(cause error) {
	s.t.Helper()
	select {
	case <-s.Context().Done():
		require.ErrorIs(s.t, context.Cause(s.Context()), cause)
	case <-time.After(30 * time.Second):
		require.FailNow(s.t, "nobody is kicked")
	}
}

// A server of Node and ours serve one room: each client of either gets what it must, once,
// whoever sends, and who is sent away is so from both.
func TestNodeAndWeInOneRoom(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	hub, journal, err := hubOf(s.client)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, hub.Shutdown(context.Background()))
		require.NoError(t, journal.Shutdown(context.Background()))
	})
	n := startNode(t, s.socket)
	n.meet(journal)
	desk, other := takeSeat(t, hub, "7", "clinic-7", "clinic-8"), takeSeat(t, hub, "9", "clinic-9")
	emit := func(to realtime.Target, name string, args ...any) {
		t.Helper()
		require.NoError(t, hub.Emit(t.Context(), to, realtime.Event{Name: name, Data: args[0], More: args[1:]}))
	}

	emit(realtime.Target{Rooms: []string{"clinic-7", "clinic-8"}}, "two rooms", 1)
	emit(realtime.Target{Everybody: true, Except: []string{"clinic-8"}}, "but", 2)
	emit(realtime.Target{Everybody: true}, "all", realtime.Binary{0, 255}, "x")
	n.wantEach(map[string][]string{
		"desk": {`two rooms [1]`, `all [{"hex":"00ff"},"x"]`}, "other": {`but [2]`, `all [{"hex":"00ff"},"x"]`},
	})
	desk.gets(`two rooms 1`, `all {"_placeholder":true,"num":0} "x" 00ff`)
	other.gets(`but 2`, `all {"_placeholder":true,"num":0} "x" 00ff`)

	n.do(`{"do":"emit","rooms":["clinic-7","clinic-8"],"args":["two rooms",3]}`)
	n.do(`{"do":"emit","except":["clinic-8"],"args":["but",4]}`)
	n.do(`{"do":"emit","args":["all",{"hex":"00ff"},"y"]}`)
	n.wantEach(map[string][]string{
		"desk": {`two rooms [3]`, `all [{"hex":"00ff"},"y"]`}, "other": {`but [4]`, `all [{"hex":"00ff"},"y"]`},
	})
	desk.gets(`two rooms 3`, `all {"_placeholder":true,"num":0} "y" 00ff`)
	other.gets(`but 4`, `all {"_placeholder":true,"num":0} "y" 00ff`)

	ended, err := hub.Disconnect(t.Context(), "7")
	require.NoError(t, err)
	require.Equal(t, 1, ended)
	desk.kicked(telemed.ErrForbidden)
	n.wantEach(map[string][]string{"desk": {`disconnect ["io server disconnect"]`}})
	n.do(`{"do":"kick","rooms":["user-9"]}`)
	other.kicked(telemed.ErrUnavailable) // it is young
	require.Zero(t, journal.Stats().Unread)
}

// wantEach is what each client of Node must get next, in its order.
func (n *node) wantEach(want map[string][]string) {
	n.Helper()
	got, lines := map[string][]string{}, 0
	for _, of := range want {
		lines += len(of)
	}
	for range lines {
		l := n.next()
		got[l.Who] = append(got[l.Who], l.Name+" "+string(l.Args))
	}
	require.Equal(n, want, got)
}

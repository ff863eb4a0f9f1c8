package socketio_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/realtime/realtimetest"
	"github.com/telemed-go/telemed/realtime/socketio"
)

// What OnConnect emits comes behind the answer, in order, and no room can be joined there.
func TestEmitInOnConnect(t *testing.T) {
	t.Parallel()
	joined := make(chan error, 1)
	late := make(chan socketio.Args, 1)
	c := setup(t, onConnect(func(_ context.Context, s *socketio.Socket, _ json.RawMessage) (socketio.Welcome, error) {
		joined <- s.Join(context.Background(), "clinic-7")
		for n := range 3 {
			if err := s.Emit("e", n); err != nil {
				return socketio.Welcome{}, err
			}
		}
		asked := make(chan struct{})
		go func() {
			close(asked)
			answer, _ := s.EmitWithAck(s.Context(), "question")
			late <- answer
		}()
		<-asked
		return socketio.Welcome{Rooms: []string{"clinic-7"}}, nil
	}))
	s := c.openSocket(t)
	s.send("40")
	require.Contains(t, s.text(), `40{"sid":"`)
	require.ErrorIs(t, <-joined, telemed.ErrInvalid)
	for n := range 3 {
		require.Equal(t, fmt.Sprintf(`42["e",%d]`, n), s.text())
	}
	require.Equal(t, `420["question"]`, s.text())
	s.send(`430["yes"]`, `430["again"]`, `4377["of nothing"]`)
	require.Equal(t, socketio.Args{json.RawMessage(`"yes"`)}, <-late)
}

func TestDisconnectInOnConnect(t *testing.T) {
	t.Parallel()
	c := setup(t, onConnect(func(_ context.Context, s *socketio.Socket, _ json.RawMessage) (socketio.Welcome, error) {
		s.Disconnect()
		return socketio.Welcome{}, nil
	}))
	s := c.openSocket(t)
	s.send("40")
	require.Equal(t, `44{"message":"not permitted"}`, s.text())
}

func TestSocketErrors(t *testing.T) {
	t.Parallel()
	sockets := make(chan *socketio.Socket, 1)
	c := setup(t, keeps(sockets, socketio.Welcome{}))
	client := c.connectSocket(t)
	s := <-sockets
	require.Equal(t, "websocket", s.Transport())
	require.False(t, s.Recovered())
	require.ErrorIs(t, s.Emit("connect"), telemed.ErrInvalid)
	require.ErrorIs(t, s.Emit(""), telemed.ErrInvalid)
	require.ErrorIs(t, s.Emit("e", func() {}), telemed.ErrInvalid)
	require.ErrorIs(t, second(s.EmitWithAck(t.Context(), "e", func() {})), telemed.ErrInvalid)
	require.ErrorIs(t, s.Join(t.Context(), "clinic-9"), telemed.ErrForbidden)
	require.NoError(t, s.Join(t.Context(), "clinic-7"))
	require.Equal(t, 1, c.hub.Stats().Rooms)
	s.Leave("clinic-7")
	require.Zero(t, c.hub.Stats().Rooms)

	over, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, second(s.EmitWithAck(over, "e")), context.Canceled)
	require.Equal(t, `420["e"]`, client.text())
	waits := make(chan error, 300)
	for range 256 {
		go func() { waits <- second(s.EmitWithAck(t.Context(), "e")) }()
	}
	for range 256 {
		client.text()
	}
	require.ErrorIs(t, second(s.EmitWithAck(t.Context(), "e")), realtime.ErrFull)
	require.NoError(t, client.conn.Close())
	for range 256 {
		require.ErrorIs(t, <-waits, telemed.ErrClosed)
	}
}

// An answer is heard while the worker waits for it, and however much the client sends
// besides.
func TestAckOfABusyWorker(t *testing.T) {
	t.Parallel()
	for _, transport := range transports {
		t.Run(string(transport), func(t *testing.T) {
			t.Parallel()
			c := setup(t, func(_ *realtime.Config, wire *socketio.Config) {
				wire.HandlerTimeout = 3 * time.Minute // 300 POSTs under load
				wire.OnEvent = func(ctx context.Context, s *socketio.Socket, name string, _ socketio.Args) (any, error) {
					if name != "ask" {
						return nil, nil
					}
					return s.EmitWithAck(ctx, "question", 1, realtime.Binary("two"))
				}
			})
			client := c.dial(t, realtimetest.Options{Transport: transport})
			answer := make(chan []json.RawMessage, 1)
			go func() {
				got, _ := client.EmitWithAck(within(t), "ask")
				answer <- got
			}()
			question := next(t, client)
			require.Equal(t, []string{"1", `"dHdv"`}, []string{string(question.Data), string(question.More[0])})
			for range 300 { // more than a busy worker has room for
				require.NoError(t, client.Emit(within(t), "other"))
			}
			require.NoError(t, client.Ack(within(t), question, "x", []int{1}))
			require.Equal(t, []json.RawMessage{[]byte(`"x"`), []byte("[1]")}, <-answer)
		})
	}
}

// A handler has its time, and no more.
func TestHandlerTimeout(t *testing.T) {
	t.Parallel()
	c := setup(t, func(_ *realtime.Config, wire *socketio.Config) {
		wire.HandlerTimeout = 20 * time.Millisecond
		wire.OnEvent = func(ctx context.Context, _ *socketio.Socket, _ string, _ socketio.Args) (any, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
	})
	client := c.dial(t, realtimetest.Options{})
	require.Equal(t, refusedWith("unavailable"), ack(t, client, "x"))
	require.Equal(t, ok, ack(t, client, "join-clinic", 7), "and the connection goes on")
}

// A handler that panics ends one connection, in whichever function it is.
func TestPanicInHandlerEndsOneConnection(t *testing.T) {
	t.Parallel()
	c := setup(t, quiet, func(_ *realtime.Config, wire *socketio.Config) {
		wire.OnConnect = func(_ context.Context, s *socketio.Socket, _ json.RawMessage) (socketio.Welcome, error) {
			if s.Client().Subject == "mine" {
				panic("asha")
			}
			return socketio.Welcome{}, nil
		}
		wire.OnEvent = func(context.Context, *socketio.Socket, string, socketio.Args) (any, error) { panic("asha") }
	})
	other := c.dial(t, realtimetest.Options{})
	_, err := realtimetest.Dial(within(t), c.url, realtimetest.Options{Header: cookie("mine")})
	require.Error(t, err)
	client := c.dial(t, realtimetest.Options{})
	_, err = client.EmitAck(within(t), "x")
	require.ErrorIs(t, err, telemed.ErrClosed)
	require.Equal(t, ok, ack(t, other, "join-clinic", 7))
	require.Eventually(t, func() bool { return c.hub.Stats().Connections == 1 }, 5*time.Second, time.Millisecond)
}

func TestArgsDecode(t *testing.T) {
	t.Parallel()
	args := socketio.Args{json.RawMessage(`"7"`), json.RawMessage(`{"a":1}`), realtime.Binary{1, 2}, json.RawMessage(`"AQI="`)}
	var id string
	var value struct{ A int }
	var plain, encoded []byte
	require.NoError(t, args.Decode(&id, &value, &plain, &encoded))
	require.Equal(t, []any{"7", 1, []byte{1, 2}, []byte{1, 2}}, []any{id, value.A, plain, encoded})
	var both realtime.Binary
	var whatever any
	require.NoError(t, args.Decode(nil, &whatever, &both))
	require.Equal(t, []any{map[string]any{"a": 1.0}, realtime.Binary{1, 2}}, []any{whatever, both})
	for _, into := range [][]any{{&value}, {nil, nil, &value}, {nil, nil, nil, nil, nil}} {
		require.ErrorIs(t, args.Decode(into...), telemed.ErrInvalid)
	}
	require.NotContains(t, args.Decode(&value).Error(), "7")
}

// One attachment cannot be named so often that it fills the memory.
func TestAttachmentsAreNotMultiplied(t *testing.T) {
	t.Parallel()
	s := setup(t, echo).connectSocket(t)
	s.send(`451-0["x",` + string(bytes.Repeat([]byte(`{"_placeholder":true,"num":0},`), 1000)) + "0]")
	s.frame(ws.NewBinaryFrame(make([]byte, 900_000)))
	s.closed(ws.StatusPolicyViolation)
}

// A page that was greeted by events of its own is recovered, whatever their last argument
// is, in all its namespaces, with the rooms that it was granted and those that it has
// joined; a room that it has left stays left.
func TestRecoverWithGrantedRooms(t *testing.T) {
	t.Parallel()
	for _, transport := range transports {
		t.Run(string(transport), func(t *testing.T) {
			t.Parallel()
			recovered := make(chan *socketio.Socket, 9)
			c := setup(t, func(rooms *realtime.Config, wire *socketio.Config) {
				rooms.Journal = &realtime.MemoryJournal{}
				wire.OnConnect = func(_ context.Context, s *socketio.Socket, auth json.RawMessage) (socketio.Welcome, error) {
					recovered <- s
					return socketio.Welcome{Subject: "ada", Rooms: []string{"clinic-7", "clinic-8", "clinic-9"}}, s.Emit("hello", "a string")
				}
			})
			client := c.dial(t, realtimetest.Options{Transport: transport})
			socket := <-recovered
			require.Equal(t, `"a string"`, string(next(t, client).Data))
			require.Contains(t, ack(t, client, "leave-clinic", 8), ok[:len(ok)-1])
			require.Contains(t, ack(t, client, "join-clinic", 70), ok[:len(ok)-1])
			require.NoError(t, socket.Emit("bye", "another string"))
			require.NoError(t, socket.Emit("bye"))
			require.NotEmpty(t, next(t, client).Offset)
			require.NotEmpty(t, next(t, client).Offset)
			require.NoError(t, client.Close())
			for _, clinic := range []string{"7", "8", "9", "70", "71"} {
				c.broadcast(t, "clinic-"+clinic, "e", clinic)
			}

			back := c.dial(t, realtimetest.Options{Transport: transport, Recover: client})
			require.True(t, back.Recovered())
			for _, clinic := range []string{"7", "9", "70"} {
				require.Equal(t, clinic, text(t, next(t, back)))
			}
			require.Equal(t, "a string", text(t, next(t, back)))
			socket = <-recovered
			require.Eventually(t, socket.Recovered, 5*time.Second, time.Millisecond)
			require.Equal(t, "ada", socket.Client().Subject)
		})
	}
}

// The hub's Shutdown finds clients that are in no namespace, and those that are refused.
func TestShutdownFindsAll(t *testing.T) {
	t.Parallel()
	c := setup(t, func(rooms *realtime.Config, _ *socketio.Config) {})
	open, refused := c.openSocket(t), c.dialSocket(t, "", cookie("mallory"))
	refused.text()
	require.NoError(t, c.hub.Shutdown(within(t)))
	open.closed(ws.StatusGoingAway)
	refused.closed(ws.StatusGoingAway)
	c.request(t, "GET", "transport=polling", "", nil).refused(t, 503, 3)
}

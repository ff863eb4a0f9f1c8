package socketio_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/realtime/realtimetest"
	"github.com/telemed-go/telemed/realtime/socketio"
)

func TestVisit(t *testing.T) {
	t.Parallel()
	for _, transport := range transports {
		t.Run(string(transport), func(t *testing.T) {
			t.Parallel()
			c := setup(t)
			client := c.dial(t, realtimetest.Options{Transport: transport})

			require.Equal(t, ok, ack(t, client, "join-clinic", "7"))
			require.Equal(t, ok, ack(t, client, "join-clinic", "7"), "to join twice is no error")
			c.broadcast(t, "clinic-7", "new-appointment", map[string]string{"patientName": "आशा 👩‍⚕️"})
			event := next(t, client)
			require.Equal(t, "new-appointment", event.Name)
			require.JSONEq(t, `{"patientName":"आशा 👩‍⚕️"}`, string(event.Data))

			require.Equal(t, ok, ack(t, client, "leave-clinic", "7"))
			c.broadcast(t, "clinic-7", "not-for-us", nil)
			require.Equal(t, ok, ack(t, client, "join-clinic", 70), "an id may be a number")
			c.broadcast(t, "clinic-70", "for-us", nil)
			event = next(t, client)
			require.Equal(t, "for-us", event.Name)
			require.Equal(t, "null", string(event.Data))
		})
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	c := setup(t, func(rooms *realtime.Config, _ *socketio.Config) { rooms.MaxRooms = 2 })
	client := c.dial(t, realtimetest.Options{})
	require.Equal(t, ok, ack(t, client, "join-clinic", "1"))

	for _, test := range []struct {
		name  string
		event string
		args  []any
		want  string
	}{
		{"not permitted", "join-clinic", []any{"9"}, refusedWith("not permitted")},
		{"host cannot tell", "join-clinic", []any{"8"}, refusedWith("unavailable")},
		{"no id", "join-clinic", nil, refusedWith("invalid request")},
		{"empty id", "join-clinic", []any{""}, refusedWith("invalid request")},
		{"null", "join-clinic", []any{nil}, refusedWith("invalid request")},
		{"object", "join-clinic", []any{map[string]string{"$ne": "1"}}, refusedWith("invalid request")},
		{"fraction", "join-clinic", []any{1.5}, refusedWith("invalid request")},
		{"negative", "join-clinic", []any{-1}, refusedWith("invalid request")},
		{"control character", "join-clinic", []any{"7\n"}, refusedWith("invalid request")},
		{"too long", "join-clinic", []any{strings.Repeat("7", 200)}, refusedWith("invalid request")},
		{"long number", "join-clinic", []any{json.RawMessage(strings.Repeat("7", 200))}, refusedWith("invalid request")},
		{"leave nothing", "leave-clinic", nil, refusedWith("invalid request")},
		{"leave where one is not", "leave-clinic", []any{"55"}, ok},
		{"unknown event", "delete-everything", []any{"7"}, refusedWith("unknown event")},
		{"second room", "join-clinic", []any{"2"}, ok},
		{"one room too many", "join-clinic", []any{"3"}, refusedWith("too many rooms")},
	} {
		require.Equal(t, test.want, ack(t, client, test.event, test.args...), test.name)
	}
	require.NoError(t, client.Err(), "none of this ends the connection")
}

func TestNobodyJoinsWithoutAuthorize(t *testing.T) {
	t.Parallel()
	c := setup(t, func(rooms *realtime.Config, _ *socketio.Config) { rooms.Authorize = nil })
	client := c.dial(t, realtimetest.Options{Header: cookie("ada")})
	require.Equal(t, refusedWith("not permitted"), ack(t, client, "join-clinic", "7"))
	require.Zero(t, c.hub.Stats().Rooms)
}

func TestAuthorizeKnowsTheSubject(t *testing.T) {
	t.Parallel()
	for _, transport := range transports {
		t.Run(string(transport), func(t *testing.T) {
			t.Parallel()
			c := setup(t, func(rooms *realtime.Config, _ *socketio.Config) {
				rooms.Authorize = func(_ context.Context, client realtime.Client, room string) error {
					if client.Subject == "ada" && room == "clinic-1" {
						return nil
					}
					return telemed.ErrForbidden
				}
			})
			ada := c.dial(t, realtimetest.Options{Transport: transport, Header: cookie("ada")})
			bob := c.dial(t, realtimetest.Options{Transport: transport, Header: cookie("bob")})
			require.Equal(t, ok, ack(t, ada, "join-clinic", "1"))
			require.Equal(t, refusedWith("not permitted"), ack(t, ada, "join-clinic", "2"))
			require.Equal(t, refusedWith("not permitted"), ack(t, bob, "join-clinic", "1"))

			_, err := realtimetest.Dial(within(t), c.url, realtimetest.Options{Transport: transport, Header: cookie("mallory")})
			refusal, is := errors.AsType[*realtimetest.ConnectError](err)
			require.True(t, is, "%v", err)
			require.Equal(t, realtimetest.ConnectError{Message: "not permitted"}, *refusal)
		})
	}
}

func TestOnEvent(t *testing.T) {
	t.Parallel()
	long := "ü€😀" + repeat("0123456789", 100_000)
	for _, transport := range transports {
		t.Run(string(transport), func(t *testing.T) {
			t.Parallel()
			c := setup(t, func(_ *realtime.Config, wire *socketio.Config) {
				wire.OnEvent = func(_ context.Context, s *socketio.Socket, name string, args socketio.Args) (any, error) {
					switch name {
					case "echo":
						return []any(args), nil
					case "who":
						return s.Client().Subject, nil
					case "forbid":
						return nil, telemed.ErrForbidden
					case "fail":
						return nil, errors.New("patient Asha is not in the database")
					case "unencodable":
						return func() {}, nil
					}
					return nil, nil
				}
			})
			client := c.dial(t, realtimetest.Options{Transport: transport, Header: cookie("ada")})

			quoted, err := json.Marshal(long)
			require.NoError(t, err)
			require.JSONEq(t, "["+string(quoted)+`,{"a":[1]}]`, ack(t, client, "echo", long, map[string][]int{"a": {1}}))
			require.Equal(t, `"ada"`, ack(t, client, "who"))
			require.Equal(t, ok, ack(t, client, "nothing"))
			require.Equal(t, refusedWith("not permitted"), ack(t, client, "forbid"))
			require.Equal(t, refusedWith("failed"), ack(t, client, "fail"))
			require.Equal(t, refusedWith("failed"), ack(t, client, "unencodable"))
		})
	}
}

func TestJoins(t *testing.T) {
	t.Parallel()
	c := setup(t, func(_ *realtime.Config, wire *socketio.Config) {
		wire.Joins = []socketio.Join{{Event: "watch", Prefix: "ward-"}, {Event: "join-clinic", Leave: "bye", Prefix: "clinic-"}}
	})
	client := c.dial(t, realtimetest.Options{})
	require.Equal(t, ok, ack(t, client, "watch", "3"))
	require.Equal(t, ok, ack(t, client, "join-clinic", "3"))
	require.Equal(t, ok, ack(t, client, "bye", "3"))
	require.Equal(t, refusedWith("unknown event"), ack(t, client, "", "3"), "an absent Leave is not an event without a name")
	c.broadcast(t, "clinic-3", "no", nil)
	c.broadcast(t, "ward-3", "yes", nil)
	require.Equal(t, "yes", next(t, client).Name)
}

func TestDisconnect(t *testing.T) {
	t.Parallel()
	for _, transport := range transports {
		t.Run(string(transport), func(t *testing.T) {
			t.Parallel()
			c := setup(t)
			ada := c.dial(t, realtimetest.Options{Transport: transport, Header: cookie("ada")})
			bob := c.dial(t, realtimetest.Options{Transport: transport, Header: cookie("bob")})
			require.Equal(t, 1, disconnect(t, c.hub, "ada"))
			_, err := ada.Next(within(t))
			require.ErrorIs(t, err, telemed.ErrClosed)
			require.Equal(t, ok, ack(t, bob, "join-clinic", "7"))
		})
	}
}

// Somebody logs out after Authenticate has let the request in and before the hub
// knows the connection, which Disconnect therefore does not find.
func TestLogoutDuringHandshake(t *testing.T) {
	t.Parallel()
	for _, transport := range transports {
		t.Run(string(transport), func(t *testing.T) {
			t.Parallel()
			var hub atomic.Pointer[realtime.Hub]
			var loggedOut atomic.Bool
			c := setup(t, func(rooms *realtime.Config, _ *socketio.Config) {
				rooms.Authenticate = func(*http.Request) (string, error) {
					if loggedOut.Swap(true) {
						return "", errors.New("no session")
					}
					require.Zero(t, disconnect(t, hub.Load(), "ada"))
					return "ada", nil
				}
			})
			hub.Store(c.hub)
			_, err := realtimetest.Dial(within(t), c.url, realtimetest.Options{Transport: transport})
			refusal, is := errors.AsType[*realtimetest.HandshakeError](err)
			require.True(t, is, "%v", err)
			require.Equal(t, realtimetest.HandshakeError{Status: 403, Code: 4, Reason: "Forbidden"}, *refusal)
			require.Zero(t, c.hub.Stats().Connections)
		})
	}
}

// Somebody else is logged in when the hub knows the connection.
func TestSubjectChangesDuringHandshake(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	c := setup(t, func(rooms *realtime.Config, _ *socketio.Config) {
		rooms.Authenticate = func(*http.Request) (string, error) { return []string{"ada", ""}[asked.Add(1)-1], nil }
	})
	c.request(t, "GET", "transport=polling", "", nil).refused(t, 403, 4)
	require.Zero(t, c.hub.Stats().Connections)
}

// guesses is a payload of n joins of a room that is refused.
func guesses(n int) string {
	return strings.TrimSuffix(strings.Repeat(`42["join-clinic","9"]`+"\x1e", n), "\x1e")
}

// TestGuessing: a client that goes on after so many refusals is cut off, over either
// transport.
func TestGuessing(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	count := func(rooms *realtime.Config, _ *socketio.Config) {
		authorize := rooms.Authorize
		rooms.Authorize = func(ctx context.Context, client realtime.Client, room string) error {
			asked.Add(1)
			return authorize(ctx, client, room)
		}
	}
	c := setup(t, count)
	p := c.connectPolling(t)
	require.Equal(t, "ok", p.post(t, guesses(64)).body)
	require.Eventually(t, func() bool { return asked.Load() == 64 }, 5*time.Second, time.Millisecond)
	require.Equal(t, 1, c.hub.Stats().Connections)
	p.post(t, guesses(10)) // which may be answered before the guesses are
	p.gone(t)
	require.EqualValues(t, 65, asked.Load())

	s := c.connectSocket(t)
	for range 70 {
		s.send(guesses(1))
	}
	require.Equal(t, "41", s.text())
	s.closed(ws.StatusPolicyViolation)
	require.EqualValues(t, 2*65, asked.Load())
}

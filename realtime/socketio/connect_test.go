package socketio_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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

// onConnect is a server with this OnConnect in "/" and "/staff".
func onConnect(f func(context.Context, *socketio.Socket, json.RawMessage) (socketio.Welcome, error)) func(*realtime.Config, *socketio.Config) {
	return func(_ *realtime.Config, wire *socketio.Config) {
		wire.OnConnect = f
		wire.Namespaces = map[string]socketio.Namespace{"/staff": {OnConnect: f}}
	}
}

// keeps is an OnConnect that keeps the Socket, and what it got.
func keeps(sockets chan *socketio.Socket, welcome socketio.Welcome) func(*realtime.Config, *socketio.Config) {
	return onConnect(func(_ context.Context, s *socketio.Socket, _ json.RawMessage) (socketio.Welcome, error) {
		sockets <- s
		return welcome, nil
	})
}

// What an error of the application's becomes for the page. None of it is the error's text.
func TestOnConnectRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err  error
		want string // empty: the connection ends, and the page comes back
	}{
		"forbidden":        {fmt.Errorf("asha: %w", telemed.ErrForbidden), `{"message":"not permitted"}`},
		"anything":         {errors.New("asha is not in the database"), `{"message":"failed"}`},
		"invalid":          {telemed.ErrInvalid, `{"message":"invalid request"}`},
		"words":            {fmt.Errorf("asha: %w", &realtime.Refusal{Message: "too old", Data: []int{1}}), `{"message":"too old","data":[1]}`},
		"no words":         {&realtime.Refusal{}, `{"message":"not permitted"}`},
		"data of no JSON":  {&realtime.Refusal{Message: "x", Data: func() {}}, `{"message":"x"}`},
		"unavailable":      {telemed.ErrUnavailable, ""},
		"the time is over": {context.DeadlineExceeded, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := setup(t, onConnect(func(context.Context, *socketio.Socket, json.RawMessage) (socketio.Welcome, error) {
				return socketio.Welcome{Subject: "ada", Rooms: []string{"clinic-7"}}, test.err
			}))
			s := c.openSocket(t)
			for _, namespace := range []string{"", "/staff,"} {
				s.send("40" + namespace)
				if test.want == "" {
					s.closed(ws.StatusGoingAway)
					return
				}
				require.Equal(t, "44"+namespace+test.want, s.text())
			}
			require.Equal(t, 1, c.hub.Stats().Connections, "one for Disconnect to find")
			require.Zero(t, c.hub.Stats().Rooms)
			s.send(`42["join-clinic",7]`) // it is in no namespace, and may not know yet
			s.send("40")
			require.Equal(t, "44"+test.want, s.text())
		})
	}
}

// Rooms that are none are a fault of the application's.
func TestOnConnectGrantsNoRoom(t *testing.T) {
	t.Parallel()
	c := setup(t, keeps(make(chan *socketio.Socket, 1), socketio.Welcome{Rooms: []string{"\n"}}))
	s := c.openSocket(t)
	s.send("40")
	require.Equal(t, `44{"message":"invalid request"}`, s.text())
}

// Who goes on to ask is not heard any more.
func TestManyRefusalsEndTheSession(t *testing.T) {
	t.Parallel()
	s := setup(t).openSocket(t)
	for range 17 {
		s.send("40/none")
		require.Equal(t, `44/none,{"message":"Invalid namespace"}`, s.text())
	}
	s.closed(ws.StatusPolicyViolation)
}

// Authenticate refuses where a page hears it, and asks to come back where it cannot tell.
func TestAuthenticateRefuses(t *testing.T) {
	t.Parallel()
	var answer atomic.Pointer[error]
	c := setup(t, func(rooms *realtime.Config, _ *socketio.Config) {
		rooms.Authenticate = func(*http.Request) (string, error) { return "", *answer.Load() }
	})
	for _, transport := range transports {
		for want, err := range map[string]error{
			"not permitted": errors.New("asha"), "log in again": &realtime.Refusal{Message: "log in again"},
		} {
			answer.Store(&err)
			_, got := realtimetest.Dial(within(t), c.url, realtimetest.Options{Transport: transport})
			refusal, is := errors.AsType[*realtimetest.ConnectError](got)
			require.True(t, is, "%v", got)
			require.Equal(t, want, refusal.Message)
		}
		away := fmt.Errorf("sessions: %w", telemed.ErrUnavailable)
		answer.Store(&away)
		_, err := realtimetest.Dial(within(t), c.url, realtimetest.Options{Transport: transport})
		refusal, is := errors.AsType[*realtimetest.HandshakeError](err)
		require.True(t, is, "%v", err)
		require.Equal(t, 503, refusal.Status)
	}
	refused := telemed.ErrForbidden
	answer.Store(&refused)
	s := c.openSocket(t)
	s.send("40")
	require.Equal(t, `44{"message":"not permitted"}`, s.text())
	s.closed(ws.StatusPolicyViolation)
	require.Eventually(t, func() bool { return c.hub.Stats().Connections == 0 }, 5*time.Second, time.Millisecond)
}

// A token that is looked at while its owner logs out lets nobody in.
func TestLogoutDuringOnConnect(t *testing.T) {
	t.Parallel()
	deciding, decided := make(chan struct{}), make(chan struct{})
	c := setup(t, onConnect(func(context.Context, *socketio.Socket, json.RawMessage) (socketio.Welcome, error) {
		deciding <- struct{}{}
		<-decided
		return socketio.Welcome{Subject: "ada"}, nil
	}))
	s := c.openSocket(t)
	s.send("40")
	<-deciding
	require.Zero(t, disconnect(t, c.hub, "ada"))
	decided <- struct{}{}
	op, text := s.read()
	require.True(t, op == ws.OpClose || text == `44{"message":"not permitted"}`, text)
	require.Eventually(t, func() bool { return disconnect(t, c.hub, "ada") == 0 }, 5*time.Second, time.Millisecond)
}

// Subjects of Authenticate and of OnConnect must not differ.
func TestOnConnectCannotChangeTheSubject(t *testing.T) {
	t.Parallel()
	c := setup(t, quiet, keeps(make(chan *socketio.Socket, 9), socketio.Welcome{Subject: "ada"}))
	client := c.dial(t, realtimetest.Options{Header: cookie("ada")})
	require.Equal(t, refusedWith("unknown event"), ack(t, client, "x"))
	_, err := realtimetest.Dial(within(t), c.url, realtimetest.Options{Header: cookie("bob")})
	require.ErrorContains(t, err, "not permitted")
}

// A client leaves and enters as it likes, over one session, and its old Socket is dead.
func TestNamespacesShareOneEngine(t *testing.T) {
	t.Parallel()
	for _, subject := range []string{"", "ada"} {
		sockets := make(chan *socketio.Socket, 9)
		c := setup(t, keeps(sockets, socketio.Welcome{Rooms: []string{"clinic-7"}}))
		s := c.dialSocket(t, "", cookie(subject))
		require.Contains(t, s.text(), `0{"sid":`)
		for round := range 3 {
			s.send("40/staff") // first, in the first round
			require.Contains(t, s.text(), `40/staff,{"sid":"`)
			staff := <-sockets
			s.send("40")
			require.Contains(t, s.text(), `40{"sid":"`)
			main := <-sockets
			require.Eventually(t, func() bool { return c.hub.Stats().Connections == 2 }, 5*time.Second, time.Millisecond, round)
			require.NotEqual(t, staff.Client().ID, main.Client().ID)
			require.Equal(t, subject, staff.Client().Subject)

			s.send("41/staff")
			<-staff.Context().Done()
			require.NoError(t, main.Emit("e", 1))
			require.Equal(t, `42["e",1]`, s.text())
			for _, err := range []error{
				staff.Emit("e"), staff.Join(t.Context(), "clinic-7"),
				second(staff.EmitWithAck(t.Context(), "e")),
			} {
				require.ErrorIs(t, err, telemed.ErrClosed)
			}
			staff.Leave("clinic-7")
			staff.Disconnect()
			s.send("41")
			<-main.Context().Done()
			require.Eventually(t, func() bool { return c.hub.Stats().Connections == 1 }, 5*time.Second, time.Millisecond)
			require.Zero(t, c.hub.Stats().Rooms)
			s.send(`42/staff,["late"]`, `451-["late",{"_placeholder":true,"num":0}]`)
			s.frame(ws.NewBinaryFrame([]byte{1}))
		}
		require.Equal(t, 1, disconnect(t, c.hub, subject), "between two namespaces, too")
		s.closed(ws.StatusPolicyViolation)
	}
}

func second[T any](_ T, err error) error { return err }

// Without namespace a client must come back in time.
func TestLeavingStartsTheConnectTimeout(t *testing.T) {
	t.Parallel()
	c := setup(t, func(_ *realtime.Config, wire *socketio.Config) { wire.ConnectTimeout = 2 * time.Second })
	s := c.connectSocket(t)
	s.send("41")
	s.closed(ws.StatusPolicyViolation)
}

// Who is kicked is told so in each namespace, and by Socket.Disconnect in one.
func TestKickSaysStayAway(t *testing.T) {
	t.Parallel()
	for _, transport := range transports {
		t.Run(string(transport), func(t *testing.T) {
			t.Parallel()
			c := setup(t)
			client := c.dial(t, realtimetest.Options{Transport: transport, Header: cookie("ada")})
			require.Equal(t, ok, ack(t, client, "join-clinic", 7))
			c.broadcast(t, "clinic-7", "e", 1)
			require.Equal(t, "e", next(t, client).Name)
			require.Equal(t, 1, disconnect(t, c.hub, "ada"))
			<-client.Done()
			require.ErrorContains(t, client.Err(), "disconnected the client from the namespace")
			require.Eventually(t, func() bool { return c.hub.Stats().Connections == 0 }, 5*time.Second, time.Millisecond)
		})
	}
	t.Run("two namespaces", func(t *testing.T) {
		t.Parallel()
		sockets := make(chan *socketio.Socket, 2)
		c := setup(t, keeps(sockets, socketio.Welcome{}))
		s := c.openSocket(t)
		s.send("40")
		s.text()
		<-sockets
		s.send("40/staff")
		s.text()
		staff := <-sockets
		for n := range 3 {
			require.NoError(t, staff.Emit("e", n))
		}
		staff.Disconnect()
		for n := range 3 {
			require.Equal(t, fmt.Sprintf(`42/staff,["e",%d]`, n), s.text(), "what was emitted before comes first")
		}
		require.Equal(t, "41/staff,", s.text())
		<-staff.Context().Done()
		require.ErrorIs(t, staff.Emit("e"), telemed.ErrClosed)
		s.send("40/staff")
		require.Contains(t, s.text(), "40/staff,")
		require.Equal(t, 2, disconnect(t, c.hub, ""))
		require.ElementsMatch(t, []string{"41", "41/staff,"}, []string{s.text(), s.text()})
		s.closed(ws.StatusPolicyViolation)
	})
}

// Whoever is in many namespaces is told so of each, in whatever order their ends are heard.
func TestKickTellsEachNamespace(t *testing.T) {
	t.Parallel()
	for _, transport := range []string{"websocket", "polling"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			const spaces = 20
			c := setup(t, func(_ *realtime.Config, wire *socketio.Config) {
				wire.Namespaces = map[string]socketio.Namespace{}
				for n := range spaces {
					wire.Namespaces[fmt.Sprintf("/ward-%d", n)] = socketio.Namespace{}
				}
			})
			for range 20 {
				told := c.kickedFromWards(t, transport, spaces)
				require.Len(t, told, spaces, "%q", told)
				for _, text := range told {
					require.Regexp(t, `^41/ward-\d+,$`, text)
				}
			}
		})
	}
}

// kickedFromWards enters so many namespaces and returns what a kick says.
func (c clinic) kickedFromWards(t *testing.T, transport string, spaces int) (told []string) {
	t.Helper()
	ward := func(n int) string { return fmt.Sprintf("40/ward-%d,", n) }
	if transport == "polling" {
		p := c.openPolling(t, nil)
		for n := range spaces {
			require.Equal(t, "ok", p.post(t, ward(n)).body)
			require.Contains(t, p.get(t).body, ward(n))
		}
		require.Equal(t, spaces, disconnect(t, c.hub, ""))
		for len(told) < spaces {
			told = append(told, strings.Split(p.get(t).body, "\x1e")...)
		}
		return told
	}
	s := c.openSocket(t)
	for n := range spaces {
		s.send(ward(n))
		require.Contains(t, s.text(), ward(n))
	}
	require.Equal(t, spaces, disconnect(t, c.hub, ""))
	for range spaces {
		told = append(told, s.text())
	}
	return told
}

// Whoever is refused costs the application one question, however often the client polls, and
// is counted once. The session ends with the answer, and nobody is asked about what has ended.
func TestRefusedSessionAsksOnce(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	c := setup(t, func(rooms *realtime.Config, _ *socketio.Config) {
		rooms.Authenticate = func(*http.Request) (string, error) {
			asked.Add(1)
			return "", &realtime.Refusal{Message: "log in again"}
		}
	})
	p := c.openPolling(t, nil)
	require.Equal(t, "ok", p.post(t, "40").body)
	require.Equal(t, `44{"message":"log in again"}`, p.get(t).body)
	for range 5 {
		p.get(t).refused(t, http.StatusBadRequest, 1)
		p.request(t, "POST", p.query(), "40", nil).refused(t, http.StatusBadRequest, 1)
	}
	require.EqualValues(t, 1, asked.Load())
	require.EqualValues(t, 1, c.hub.Stats().Refused)
	require.Zero(t, c.hub.Stats().Connections)
}

// While the application cannot tell who polls, the client is to come back.
func TestAuthenticateAwayDuringASession(t *testing.T) {
	t.Parallel()
	var away atomic.Bool
	c := setup(t, func(rooms *realtime.Config, _ *socketio.Config) {
		rooms.Authenticate = func(*http.Request) (string, error) {
			if away.Load() {
				return "", telemed.ErrUnavailable
			}
			return "ada", nil
		}
	})
	p := c.openPolling(t, nil)
	away.Store(true)
	p.get(t).refused(t, http.StatusServiceUnavailable, 3)
	away.Store(false)
	require.Equal(t, "ok", p.post(t, "40").body)
	p.get(t)
}

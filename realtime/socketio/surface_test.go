package socketio_test

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/realtime/realtimetest"
	"github.com/telemed-go/telemed/realtime/socketio"
)

// withToken lets in who has the right token, as asha, and tells the others why not.
func withToken(_ context.Context, s *socketio.Socket, auth json.RawMessage) (socketio.Welcome, error) {
	var fields struct{ Token string }
	if json.Unmarshal(auth, &fields) != nil || fields.Token != "right" {
		return socketio.Welcome{}, &realtime.Refusal{Message: "please log in", Data: map[string]int{"code": 7}}
	}
	return socketio.Welcome{Subject: "asha", Rooms: []string{"clinic-7"}}, s.Emit("greeting", s.Client().ID != "", s.Transport())
}

// surface is what the script "surface" talks to.
func surface(seen chan<- socketio.Args) func(*realtime.Config, *socketio.Config) {
	count := 0
	onEvent := func(ctx context.Context, s *socketio.Socket, name string, args socketio.Args) (any, error) {
		switch name {
		case "swap":
			swapped := make(socketio.Args, len(args))
			for i, arg := range args {
				swapped[len(args)-1-i] = arg
			}
			return swapped, nil
		case "ask-me":
			go func() {
				answer, err := s.EmitWithAck(ctx, "late")
				if err == nil {
					seen <- answer
				}
			}()
			answer, err := s.EmitWithAck(ctx, "question", 1, "two")
			seen <- answer
			return len(answer), err
		case "count":
			count++
			return nil, nil
		case "counted":
			if count != 300 {
				return nil, telemed.ErrInvalid
			}
			return count, nil
		case "kick-me":
			if err := s.Emit("picture", realtime.Binary{9}, "last"); err != nil {
				return nil, err
			}
			s.Disconnect()
			return nil, nil
		}
		return s.Client().Subject, nil
	}
	return func(_ *realtime.Config, wire *socketio.Config) {
		wire.OnConnect, wire.OnEvent = withToken, onEvent
		wire.Namespaces = map[string]socketio.Namespace{"/staff": {OnConnect: withToken, OnEvent: onEvent, Prefix: "staff-"}}
	}
}

// The client of npm, as pages have it, meets all that an application may say to it.
func TestNodeSurface(t *testing.T) {
	needNode(t)
	t.Parallel()
	for name, transports := range map[string]string{"websocket": "websocket", "polling": "polling", "default": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seen := make(chan socketio.Args, 1)
			c := setup(t, surface(seen))
			node := startNode(t, "surface", c.url, transports)

			require.Equal(t, map[string]any{
				"step": "refused", "message": "please log in", "data": `{"code":7}`, "retries": false,
			}, node.step("refused"))
			node.anyOrder("connected", "greeting")
			require.Equal(t, `[{"x":3},"two",1]`, node.step("several")["answer"])
			echoed := node.step("binary")
			require.Equal(t, []any{[]any{1.0, 2.0, 3.0}, "BA=="}, []any{echoed["bytes"], echoed["deep"]}, "bytes inside of a value are a string")
			answer := <-seen
			require.Equal(t, socketio.Args{json.RawMessage(`"two"`), json.RawMessage("1"), realtime.Binary{7, 8}}, answer)
			require.Equal(t, "3", node.step("asked")["answer"])

			staff := node.step("staff")
			require.Equal(t, []any{true, true, `"asha"`}, []any{staff["same"], staff["id"], staff["answer"]})
			require.Equal(t, 2, c.hub.Stats().Connections)
			require.NoError(t, c.hub.Broadcast(within(t), "clinic-7", realtime.Event{
				Name: "picture", Data: realtime.Binary{5, 6}, More: []any{"x-ray"},
			}))
			require.Equal(t, map[string]any{"step": "picture", "bytes": []any{5.0, 6.0}, "name": "x-ray"}, node.step("picture"))
			c.broadcast(t, "staff-clinic-7", "news", "for the staff")
			require.Equal(t, `["for the staff"]`, node.step("staff news")["data"])
			c.broadcast(t, "clinic-7", "all-said", nil)
			left := node.step("left")
			require.Equal(t, []any{`"still here"`, true}, []any{left["answer"], left["connected"]})

			node.anyOrder("greeting", "counted", "ready")
			require.Equal(t, 1, disconnect(t, c.hub, "asha"))
			require.Equal(t, map[string]any{"step": "kicked", "reason": "io server disconnect", "retries": false}, node.step("kicked"))
			node.step("greeting")
			require.Equal(t, map[string]any{"step": "picture", "bytes": []any{9.0}, "name": "last"}, node.step("picture"))
			require.Equal(t, map[string]any{"step": "sent away", "reason": "io server disconnect", "retries": false}, node.step("sent away"))
			node.end()
			require.Eventually(t, func() bool { return c.hub.Stats().Connections == 0 }, 5*time.Second, time.Millisecond)
		})
	}
}

// anyOrder reads steps that may come in either order.
func (n *node) anyOrder(steps ...string) {
	n.t.Helper()
	for len(steps) > 0 {
		line, err := n.lines.ReadBytes('\n')
		require.NoError(n.t, err)
		var fields struct{ Step string }
		require.NoError(n.t, json.Unmarshal(line, &fields))
		i := slices.Index(steps, fields.Step)
		require.GreaterOrEqual(n.t, i, 0, "%.300s", line)
		steps = slices.Delete(steps, i, i+1)
	}
}

// A page that is let in with rooms needs no join, and is in them when it comes back.
func TestRoomsAtConnect(t *testing.T) {
	t.Parallel()
	for _, transport := range transports {
		t.Run(string(transport), func(t *testing.T) {
			t.Parallel()
			c := setup(t, surface(nil))
			options := realtimetest.Options{Transport: transport, Auth: map[string]string{"token": "right"}}
			for range 2 {
				client := c.dial(t, options)
				c.broadcast(t, "clinic-7", "news", 1)
				require.Equal(t, "greeting", next(t, client).Name)
				require.Equal(t, "news", next(t, client).Name)
				require.Equal(t, `"asha"`, ack(t, client, "who"))
				require.NoError(t, client.Close())
			}
			options.Auth = map[string]string{"token": "wrong"}
			_, err := realtimetest.Dial(within(t), c.url, options)
			require.ErrorContains(t, err, "please log in")
		})
	}
}

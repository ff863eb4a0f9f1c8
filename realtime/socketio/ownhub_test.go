package socketio_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/realtime/realtimetest"
	"github.com/telemed-go/telemed/realtime/socketio"
)

func mayJoin(_ context.Context, client realtime.Client, room string) error {
	if client.Subject == "ada" && room == "clinic-7" {
		return nil
	}
	return telemed.ErrForbidden
}

func loggedIn(r *http.Request) (string, error) {
	if r.Header.Get("X-User") == "mallory" {
		return "", errors.New("mallory is not welcome")
	}
	return r.Header.Get("X-User"), nil
}

func as(user string) realtimetest.Options {
	return realtimetest.Options{Header: http.Header{"X-User": {user}}}
}

// Without a Hub the server asks the application's functions through one of its own, sends
// to it, and ends it.
func TestServerWithAHubOfItsOwn(t *testing.T) {
	t.Parallel()
	live, err := socketio.New(socketio.Config{Authorize: mayJoin, Authenticate: loggedIn})
	require.NoError(t, err)
	server := httptest.NewServer(live)
	t.Cleanup(server.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()

	ada, err := realtimetest.Dial(ctx, server.URL, as("ada"))
	require.NoError(t, err)
	answer, err := ada.EmitAck(ctx, "join-clinic", "7")
	require.NoError(t, err)
	require.JSONEq(t, `{"ok":true}`, string(answer))
	bob, err := realtimetest.Dial(ctx, server.URL, as("bob"))
	require.NoError(t, err)
	answer, err = bob.EmitAck(ctx, "join-clinic", "7")
	require.NoError(t, err)
	require.JSONEq(t, `{"ok":false,"error":"not permitted"}`, string(answer))
	_, err = realtimetest.Dial(ctx, server.URL, as("mallory"))
	require.Error(t, err)

	require.NoError(t, live.Broadcast(ctx, "clinic-7", realtime.Event{Name: "new-appointment", Data: "appt-42"}))
	event, err := ada.Next(ctx)
	require.NoError(t, err)
	require.Equal(t, "new-appointment", event.Name)
	require.ErrorIs(t, live.Broadcast(ctx, "", realtime.Event{Name: "x"}), telemed.ErrInvalid)

	ended, err := live.Hub().Disconnect(t.Context(), "bob")
	require.NoError(t, err)
	require.Equal(t, 1, ended, "who has logged out hears nothing more")
	_, err = bob.Next(ctx)
	require.Error(t, err)

	require.NoError(t, live.Shutdown(ctx))
	_, err = ada.Next(ctx)
	require.Error(t, err)
	require.NoError(t, ctx.Err(), "the connection has ended, and not the test's patience")
	require.ErrorIs(t, live.Broadcast(ctx, "clinic-7", realtime.Event{Name: "x"}), telemed.ErrClosed)
	_, err = realtimetest.Dial(ctx, server.URL, as("ada"))
	require.Error(t, err)
	require.NoError(t, live.Shutdown(ctx), "again")
}

// A Hub that was given goes on after the server's Shutdown: another may use it.
func TestServerLeavesAHubThatItWasGiven(t *testing.T) {
	t.Parallel()
	hub, err := realtime.NewHub(realtime.Config{Authorize: mayJoin, Authenticate: loggedIn})
	require.NoError(t, err)
	live, err := socketio.New(socketio.Config{Hub: hub})
	require.NoError(t, err)
	server := httptest.NewServer(live)
	t.Cleanup(server.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	ada, err := realtimetest.Dial(ctx, server.URL, as("ada"))
	require.NoError(t, err)
	_, err = ada.EmitAck(ctx, "join-clinic", "7")
	require.NoError(t, err)

	require.Same(t, hub, live.Hub())
	require.NoError(t, live.Shutdown(ctx))
	require.NoError(t, live.Broadcast(ctx, "clinic-7", realtime.Event{Name: "new-appointment"}))
	event, err := ada.Next(ctx)
	require.NoError(t, err)
	require.Equal(t, "new-appointment", event.Name)
	require.NoError(t, hub.Shutdown(ctx))
}

// Two answers to one question are none.
func TestHubAndFunctionsTogetherAreRefused(t *testing.T) {
	t.Parallel()
	hub, err := realtime.NewHub(realtime.Config{})
	require.NoError(t, err)
	for _, test := range []struct {
		cfg    socketio.Config
		fields []string
	}{
		{socketio.Config{}, []string{"Authorize"}},
		{socketio.Config{Authenticate: loggedIn}, []string{"Authorize"}},
		{socketio.Config{Hub: hub, Authorize: mayJoin}, []string{"Authorize"}},
		{socketio.Config{Hub: hub, Authenticate: loggedIn}, []string{"Authenticate"}},
		{socketio.Config{Hub: hub, Authorize: mayJoin, Authenticate: loggedIn}, []string{"Authorize", "Authenticate"}},
	} {
		_, err := socketio.New(test.cfg)
		require.ErrorIs(t, err, telemed.ErrInvalid)
		var fields []string
		for _, field := range telemed.Fields(err) {
			fields = append(fields, field.Field)
		}
		require.Equal(t, test.fields, fields)
	}
	_, err = socketio.New(socketio.Config{Authorize: mayJoin})
	require.NoError(t, err, "without Authenticate all are anonymous")
}

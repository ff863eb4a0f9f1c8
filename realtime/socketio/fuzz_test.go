package socketio_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/realtime/socketio"
)

// FuzzPost posts arbitrary payloads into an open session.
func FuzzPost(f *testing.F) {
	for _, body := range []string{
		`420["join-clinic","7"]`, `42["leave-clinic",7]` + "\x1e3\x1e6", "1", "41", "40/x,", "", "\x1e\x1e", "bAQID", "2probe", "5",
		`451-["a",{"_placeholder":true,"num":0}]`, "4\xff", `42["join-clinic"` + "\x1e" + `,"7"]`,
	} {
		f.Add(body)
	}
	hub, err := realtime.NewHub(realtime.Config{Authorize: func(_ context.Context, _ realtime.Client, room string) error {
		if !strings.HasPrefix(room, "clinic-") || realtime.CheckRoom(room) != nil {
			panic("the hub asks for " + room)
		}
		return nil
	}})
	require.NoError(f, err)
	f.Cleanup(func() { require.NoError(f, hub.Shutdown(context.Background())) })
	sio, err := socketio.New(socketio.Config{Hub: hub, MaxPayload: 200})
	require.NoError(f, err)
	serve := func(method, query, body string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		sio.ServeHTTP(w, httptest.NewRequest(method, "/socket.io/?EIO=4&transport=polling"+query, strings.NewReader(body)))
		return w
	}

	f.Fuzz(func(t *testing.T, body string) {
		var opened struct{ SID string }
		require.NoError(t, json.Unmarshal(serve("GET", "", "").Body.Bytes()[1:], &opened))
		sid := "&sid=" + opened.SID
		require.Equal(t, http.StatusOK, serve("POST", sid, "40").Code)
		require.Equal(t, http.StatusOK, serve("GET", sid, "").Code)

		switch got := serve("POST", sid, body); got.Code {
		case http.StatusOK:
			require.Equal(t, "ok", got.Body.String())
		case http.StatusBadRequest, http.StatusRequestEntityTooLarge:
			require.True(t, json.Valid(got.Body.Bytes()))
		default:
			t.Fatalf("status %d", got.Code)
		}
		serve("POST", sid, "1")
		require.NotEqual(t, http.StatusOK, serve("POST", sid, "1").Code, "a POST after the close")
	})
}

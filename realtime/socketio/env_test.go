package socketio_test

import (
	"context"
	"fmt"
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

// The pages that may connect stand in CORS_ORIGIN. In an application getenv is os.Getenv.
func ExampleFromEnv() {
	env := map[string]string{"CORS_ORIGIN": "*"}
	getenv := func(name string) string { return env[name] }
	// Your session, or a header that the proxy in front sets over whatever a browser sent.
	loggedIn := func(r *http.Request) (string, error) { return r.Header.Get("X-Forwarded-User"), nil }
	mayJoin := func(_ context.Context, client realtime.Client, room string) error {
		if client.Subject == "ada" && room == "clinic-7" {
			return nil
		}
		return telemed.ErrForbidden
	}
	_, err := socketio.New(socketio.FromEnv(getenv, loggedIn, mayJoin))
	fmt.Println(err)

	env["CORS_ORIGIN"] = "https://clinic.example, http://localhost:5173"
	live, err := socketio.New(socketio.FromEnv(getenv, loggedIn, mayJoin))
	if err != nil {
		panic(err)
	}
	server := httptest.NewServer(live)
	defer server.Close()
	ctx := context.Background()
	header := http.Header{"X-Forwarded-User": {"ada"}, "Origin": {"http://localhost:5173"}}
	dashboard, err := realtimetest.Dial(ctx, server.URL, realtimetest.Options{Header: header})
	if err != nil {
		panic(err)
	}
	answer, err := dashboard.EmitAck(ctx, "join-clinic", "7")
	fmt.Printf("%s %v\n", answer, err)
	if err := live.Broadcast(ctx, "clinic-7", realtime.Event{Name: "new-appointment", Data: "appt-42"}); err != nil {
		panic(err)
	}
	event, err := dashboard.Next(ctx)
	fmt.Printf("%s %s %v\n", event.Name, event.Data, err)
	fmt.Println(telemed.Shutdown(10*time.Second, live, server.Config))
	// Output:
	// socketio: AllowedOrigins have no "*": name the origins of the pages, or set AllowAnyOrigin in code if the rooms are public: correct CORS_ORIGIN
	// {"ok":true} <nil>
	// new-appointment "appt-42" <nil>
	// <nil>
}

func TestOriginsFromEnv(t *testing.T) {
	t.Parallel()
	nobody := func(context.Context, realtime.Client, string) error { return telemed.ErrForbidden }
	for value, want := range map[string][]string{
		"":                       nil,
		" , ,":                   nil,
		"https://clinic.example": {"https://clinic.example"},
		"https://a.example,, http://localhost:5173 ,": {"https://a.example", "http://localhost:5173"},
	} {
		cfg := socketio.FromEnv(func(string) string { return value }, nil, nobody)
		require.Equal(t, want, cfg.AllowedOrigins, "%q", value)
		require.False(t, cfg.AllowAnyOrigin)
		_, err := socketio.New(cfg)
		require.NoError(t, err)
	}
	for _, value := range []string{"*", "https://clinic.example,*", "true", "https://*.clinic.example", "https://clinic.example/", "clinic.example"} {
		_, err := socketio.New(socketio.FromEnv(func(string) string { return value }, nil, nobody))
		require.Len(t, telemed.Fields(err), 1, "%q: %v", value, err)
		require.Equal(t, "AllowedOrigins", telemed.Fields(err)[0].Field)
		require.ErrorContains(t, err, "AllowAnyOrigin")
		require.ErrorContains(t, err, ": correct CORS_ORIGIN")
	}
	cfg := socketio.FromEnv(func(string) string { return "*" }, nil, nobody)
	cfg.AllowAnyOrigin = true // in code, but the variable is wrong all the same
	_, err := socketio.New(cfg)
	require.ErrorIs(t, err, telemed.ErrInvalid)
}

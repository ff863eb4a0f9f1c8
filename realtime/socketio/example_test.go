package socketio_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/realtime/realtimetest"
	"github.com/telemed-go/telemed/realtime/socketio"
)

// A hospital where everybody who is logged in may watch clinic 7.
func Example() {
	ctx := context.Background()
	live, err := socketio.New(socketio.Config{
		AllowedOrigins: []string{"https://clinic.example"},

		Authenticate: func(r *http.Request) (string, error) { return r.Header.Get("X-User"), nil },
		Authorize: func(_ context.Context, client realtime.Client, room string) error {
			if client.Subject == "" || room != "clinic-7" {
				return telemed.ErrForbidden
			}
			return nil
		},
	})
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", live)
	server := httptest.NewServer(mux)
	defer server.Close()
	defer live.Shutdown(ctx)

	// A browser has socket.io-client; a test has this one.
	dashboard, err := realtimetest.Dial(ctx, server.URL, realtimetest.Options{Header: http.Header{"X-User": {"ada"}}})
	if err != nil {
		panic(err)
	}
	for _, clinic := range []string{"7", "8"} {
		answer, err := dashboard.EmitAck(ctx, "join-clinic", clinic)
		fmt.Printf("join %s: %s %v\n", clinic, answer, err)
	}

	appointment := map[string]string{"patientName": "Asha", "time": "10:30"}
	if err := live.Broadcast(ctx, "clinic-7", realtime.Event{Name: "new-appointment", Data: appointment}); err != nil {
		panic(err)
	}
	event, err := dashboard.Next(ctx)
	fmt.Printf("%s %s %v\n", event.Name, event.Data, err)
	// Output:
	// join 7: {"ok":true} <nil>
	// join 8: {"ok":false,"error":"not permitted"} <nil>
	// new-appointment {"patientName":"Asha","time":"10:30"} <nil>
}

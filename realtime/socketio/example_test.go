package socketio_test

import (
	"context"
	"encoding/json"
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

// A doctor's page has a token, and is in its room as soon as it is let in.
func ExampleConfig_onConnect() {
	ctx := context.Background()
	live, err := socketio.New(socketio.Config{
		Authorize: func(context.Context, realtime.Client, string) error { return telemed.ErrForbidden },
		OnConnect: func(_ context.Context, s *socketio.Socket, auth json.RawMessage) (socketio.Welcome, error) {
			var page struct{ Token string }
			if json.Unmarshal(auth, &page) != nil || page.Token != "ada's" {
				return socketio.Welcome{}, &realtime.Refusal{Message: "please log in"}
			}
			return socketio.Welcome{Subject: "ada", Rooms: []string{"clinic-7"}}, s.Emit("hello", "ada", 2)
		},
		OnEvent: func(_ context.Context, s *socketio.Socket, name string, args socketio.Args) (any, error) {
			var patient string
			if err := args.Decode(&patient); err != nil {
				return nil, err
			}
			return socketio.Args{name + " by " + s.Client().Subject, patient}, nil
		},
	})
	if err != nil {
		panic(err)
	}
	server := httptest.NewServer(live)
	defer server.Close()
	defer live.Shutdown(ctx)

	_, err = realtimetest.Dial(ctx, server.URL, realtimetest.Options{Auth: map[string]string{"token": "old"}})
	fmt.Println(err)
	page, err := realtimetest.Dial(ctx, server.URL, realtimetest.Options{Auth: map[string]string{"token": "ada's"}})
	if err != nil {
		panic(err)
	}
	hello, err := page.Next(ctx)
	fmt.Printf("%s %s %s %v\n", hello.Name, hello.Data, hello.More, err)
	answer, err := page.EmitWithAck(ctx, "call", "Asha")
	fmt.Printf("%s %v\n", answer, err)
	if err := live.Broadcast(ctx, "clinic-7", realtime.Event{Name: "new-appointment", Data: 1}); err != nil {
		panic(err)
	}
	event, err := page.Next(ctx)
	fmt.Println(event.Name, err)
	// Output:
	// realtimetest: Dial: refused with the message "please log in"
	// hello "ada" [2] <nil>
	// ["call by ada" "Asha"] <nil>
	// new-appointment <nil>
}

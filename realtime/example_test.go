package realtime_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/realtime"
)

// events carries a hub's events as Server-Sent Events: what it takes to write a
// transport.
type events struct{ hub *realtime.Hub }

// Encode makes one Server-Sent Event; the data has no line breaks.
func (events) Encode(m realtime.Message) []byte {
	return fmt.Appendf(nil, "event: %s\ndata: %s\n\n", m.Name, m.JSON()[0])
}

func (e events) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	subject, err := e.hub.Authenticate(r)
	if err != nil {
		http.Error(w, "forbidden", http.StatusForbidden)
		return
	}
	conn, err := e.hub.Connect(r.Context(), subject, e, nil)
	if err != nil {
		http.Error(w, "full", http.StatusServiceUnavailable)
		return
	}
	defer conn.Close(nil)
	if again, err := e.hub.Authenticate(r); err != nil || again != subject { // logged out meanwhile
		http.Error(w, "forbidden", http.StatusForbidden)
		return
	}
	if err := conn.Join(r.Context(), r.URL.Query().Get("room")); err != nil {
		http.Error(w, "forbidden", http.StatusForbidden)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	conn.Do(func() { e.copy(w, r, conn) })
}

func (e events) copy(w http.ResponseWriter, r *http.Request, conn *realtime.Conn) {
	flush := http.NewResponseController(w).Flush
	for flush() == nil {
		messages, err := conn.Next(r.Context())
		if err != nil { // the hub ended it, or the browser left
			return
		}
		for _, message := range messages {
			if _, err := w.Write(message); err != nil {
				return
			}
		}
	}
}

// A hub with a transport of the application's own. realtime/socketio has one for
// Socket.IO.
func Example() {
	ctx := context.Background()
	hub, err := realtime.NewHub(realtime.Config{
		Authorize: func(_ context.Context, _ realtime.Client, room string) error {
			if room != "clinic-7" {
				return telemed.ErrForbidden
			}
			return nil
		},
	})
	if err != nil {
		panic(err)
	}
	server := httptest.NewServer(events{hub})
	defer server.Close()

	refused := watch(server.URL, "clinic-8")
	fmt.Println("clinic-8:", refused.Status)
	_ = refused.Body.Close()

	stream := watch(server.URL, "clinic-7")
	fmt.Println("clinic-7:", stream.Status)
	for _, room := range []string{"clinic-8", "clinic-7"} {
		err := hub.Broadcast(ctx, room, realtime.Event{Name: "new-appointment", Data: map[string]string{"room": room}})
		if err != nil {
			panic(err)
		}
	}
	lines := bufio.NewScanner(stream.Body)
	for range 2 {
		lines.Scan()
		fmt.Println(lines.Text())
	}
	fmt.Println("shut down:", hub.Shutdown(ctx))
	_ = stream.Body.Close()
	// Output:
	// clinic-8: 403 Forbidden
	// clinic-7: 200 OK
	// event: new-appointment
	// data: {"room":"clinic-7"}
	// shut down: <nil>
}

func watch(url, room string) *http.Response {
	response, err := http.Get(url + "?room=" + room)
	if err != nil {
		panic(err)
	}
	return response
}

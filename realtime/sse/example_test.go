package sse_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/realtime/sse"
)

// A dashboard loses its connection, and misses nothing.
func Example() {
	hub, err := realtime.NewHub(realtime.Config{
		Journal:   &realtime.MemoryJournal{},
		Authorize: func(_ context.Context, _ realtime.Client, room string) error { return nil },
	})
	if err != nil {
		panic(err)
	}
	live, err := sse.New(sse.Config{Hub: hub, AllowedOrigins: []string{"https://clinic.example"}})
	if err != nil {
		panic(err)
	}
	server := httptest.NewServer(live) // an application says mux.Handle("/live", live)
	defer server.Close()
	defer hub.Shutdown(context.Background()) // first, for the server waits for its streams

	// A browser does all this by new EventSource("/live?room=clinic-7").
	last := hear(server.URL, "")
	for _, patient := range []string{"Asha", "Ravi"} {
		event := realtime.Event{Name: "new-appointment", Data: map[string]string{"patientName": patient}}
		if err := hub.Broadcast(context.Background(), "clinic-7", event); err != nil {
			panic(err)
		}
	}
	hear(server.URL, last)
	hear(server.URL, "a position that the journal does not know")
	// Output:
	// telemed:at null
	// telemed:at null
	// new-appointment {"patientName":"Asha"}
	// new-appointment {"patientName":"Ravi"}
	// gap null
}

// hear prints what comes, up to Ravi's appointment or the first event of a page that has
// missed none, and returns the id of the last event.
func hear(url, lastEventID string) (id string) {
	request, err := http.NewRequest(http.MethodGet, url+"/live?room=clinic-7", nil)
	if err != nil {
		panic(err)
	}
	request.Header.Set("Last-Event-ID", lastEventID)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		panic(err)
	}
	defer answer.Body.Close()
	name := ""
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		switch field, value, _ := strings.Cut(lines.Text(), ": "); field {
		case "id":
			id = value
		case "event":
			name = value
		case "data":
			fmt.Println(name, value)
			if strings.Contains(value, "Ravi") || name == "gap" || lastEventID == "" {
				return id
			}
		}
	}
	return id
}

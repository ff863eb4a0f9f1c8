package realtimetest_test

import (
	"context"
	"fmt"

	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/realtime/realtimetest"
)

// Desk is a part of an application: it tells the clinic of what it books.
type Desk struct{ Live realtime.Broadcaster }

func (d Desk) Book(ctx context.Context, clinic, patient string) error {
	return d.Live.Broadcast(ctx, "clinic-"+clinic, realtime.Event{
		Name: "new-appointment",
		Data: map[string]string{"patientName": patient},
	})
}

// What the application broadcasts is looked at without a server.
func ExampleRecorder() {
	var sent realtimetest.Recorder
	desk := Desk{Live: &sent}
	if err := desk.Book(context.Background(), "7", "Asha"); err != nil {
		fmt.Println(err)
	}
	for _, b := range sent.All() {
		fmt.Printf("%s: %s %s\n", b.Room, b.Name, b.Data)
	}
	// Output: clinic-7: new-appointment {"patientName":"Asha"}
}

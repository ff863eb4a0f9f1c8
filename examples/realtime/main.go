// Command realtime shows a clinic's dashboard without a browser. A client joins the room
// of its own clinic, is refused at another one, and hears of a new appointment.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/realtime/realtimetest"
	"github.com/telemed-go/telemed/realtime/socketio"
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	live, err := socketio.New(socketio.Config{Authorize: mayWatch})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", live)
	server := httptest.NewServer(mux) // on loopback; an application has its own http.Server
	defer server.Close()
	fmt.Fprintln(out, "listening on", server.URL)
	err = watch(ctx, out, live, server.URL)
	return errors.Join(err, live.Shutdown(ctx)) // it ends before the server that it stands on
}

// mayWatch stands for a look into the application's database.
func mayWatch(_ context.Context, _ realtime.Client, room string) error {
	if room != "clinic-mumbai" {
		return telemed.ErrForbidden
	}
	return nil
}

func watch(ctx context.Context, out io.Writer, live realtime.Broadcaster, url string) error {
	dashboard, err := realtimetest.Dial(ctx, url, realtimetest.Options{})
	if err != nil {
		return err
	}
	defer dashboard.Close()
	for _, clinic := range []string{"mumbai", "delhi"} {
		answer, err := dashboard.EmitAck(ctx, "join-clinic", clinic)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "join-clinic %s: %s\n", clinic, answer)
	}
	appointment := map[string]string{"patientName": "Asha", "time": "10:30"}
	if err := live.Broadcast(ctx, "clinic-mumbai", realtime.Event{Name: "new-appointment", Data: appointment}); err != nil {
		return err
	}
	event, err := dashboard.Next(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "the dashboard hears %s: %s\n", event.Name, event.Data)
	return nil
}

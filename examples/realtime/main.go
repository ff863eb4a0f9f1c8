// Command realtime shows a clinic's dashboard without a browser: a client joins
// the room of its own clinic, is refused at another one, and hears of a new
// appointment.
//
//	go run ./examples/realtime
//	go run ./examples/realtime -listen 127.0.0.1:3001   stays, for a socket.io-client of yours
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/realtime/realtimetest"
	"github.com/telemed-go/telemed/realtime/socketio"
)

func main() {
	listen := flag.String("listen", "", "address to stay at; if empty, the example ends by itself")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, *listen); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, listen string) error {
	hub, err := realtime.NewHub(realtime.Config{Authorize: mayWatch})
	if err != nil {
		return err
	}
	sio, err := socketio.New(socketio.Config{Hub: hub})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", sio)
	address := listen
	if address == "" {
		address = "127.0.0.1:0"
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }() // ends with server.Shutdown
	url := "http://" + listener.Addr().String()
	fmt.Fprintln(out, "listening on", url)

	err = watch(ctx, out, hub, url)
	if err == nil && listen != "" {
		<-ctx.Done()
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return errors.Join(err, hub.Shutdown(end), server.Shutdown(end)) // the hub first: it ends the polls
}

// mayWatch stands for a look into the host's database.
func mayWatch(_ context.Context, _ realtime.Client, room string) error {
	if room != "clinic-mumbai" {
		return realtime.ErrForbidden
	}
	return nil
}

func watch(ctx context.Context, out io.Writer, hub *realtime.Hub, url string) error {
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
	if err := hub.Broadcast(ctx, "clinic-mumbai", realtime.Event{Name: "new-appointment", Data: appointment}); err != nil {
		return err
	}
	event, err := dashboard.Next(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "the dashboard hears %s: %s\n", event.Name, event.Data)
	return nil
}

// Echo is the server that the official test suite of Socket.IO's protocol wants: see the
// folder docs/socket.io-protocol of github.com/socketio/socket.io.
//
//	go run ./realtime/socketio/internal/echo -addr 127.0.0.1:3000
//
// A client in "/" or "/custom" gets an event "auth" with what it has sent to connect. What it
// sends as "message" comes back as "message-back", and what it sends as "message-with-ack" as
// the acknowledgement.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/realtime/socketio"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:3000", "where to listen")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := serve(ctx, *addr)
	if stop(); err != nil {
		log.Fatal(err)
	}
}

// serve serves until ctx ends.
func serve(ctx context.Context, addr string) error {
	live, err := socketio.New(config())
	if err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", live)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { _ = telemed.Shutdown(5*time.Second, live, server) })
	log.Print("listening on http://", listener.Addr())
	if err := server.Serve(listener); err != http.ErrServerClosed {
		return err
	}
	return nil
}

func config() socketio.Config {
	return socketio.Config{
		Authorize:    func(context.Context, realtime.Client, string) error { return nil },
		OnConnect:    greet,
		OnEvent:      answer,
		Namespaces:   map[string]socketio.Namespace{"/custom": {OnConnect: greet, OnEvent: answer}},
		PingInterval: 300 * time.Millisecond, PingTimeout: 200 * time.Millisecond,
		ConnectTimeout: 1500 * time.Millisecond, // longer than three heartbeats
	}
}

// greetAfter is how long the event "auth" comes behind the answer that lets a client in. The
// suite looks for each message only when it has read the one before: of two that come in one
// piece it misses the second.
const greetAfter = 40 * time.Millisecond

func greet(_ context.Context, s *socketio.Socket, auth json.RawMessage) (socketio.Welcome, error) {
	time.AfterFunc(greetAfter, func() { _ = s.Emit("auth", auth) }) // it may have left meanwhile
	return socketio.Welcome{}, nil
}

func answer(_ context.Context, s *socketio.Socket, name string, args socketio.Args) (any, error) {
	switch name {
	case "message":
		return nil, s.Emit("message-back", args...)
	case "message-with-ack":
		return args, nil
	}
	return nil, nil
}

// Command echo sends each message of a client back, text and binary: it is the server that
// the official text of the protocol wants to be run against.
//
//	go run ./internal/engineio/echo -addr 127.0.0.1:3000
//
// https://github.com/socketio/engine.io-protocol#test-suite
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"net"
	"net/http"
	"os/signal"
	"syscall"
	"time"

	"github.com/telemed-go/telemed/internal/engineio"
	"github.com/telemed-go/telemed/internal/fault"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:3000", "where to listen")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", *addr)
	if err != nil {
		log.Fatal(err) //nolint:gocritic // there is nothing to stop yet
	}
	if err := serve(ctx, listener); err != nil {
		log.Fatal(err)
	}
}

// serve answers until ctx ends.
func serve(ctx context.Context, listener net.Listener) error {
	var p fault.Problems
	engine := engineio.New(engineio.Config{
		Open:         func(s *engineio.Session, _ *http.Request) (engineio.Handler, error) { return echo{s}, nil },
		PingInterval: 300 * time.Millisecond,
		PingTimeout:  200 * time.Millisecond,
		MaxPayload:   1_000_000,
	}, &p)
	if err := p.Err("echo"); err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/engine.io/", engine)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() {
		<-ctx.Done()
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		ended <- errors.Join(engine.Shutdown(limit), server.Shutdown(limit))
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-ended
}

// echo sends back what a session hears, before the POST that it came in is answered.
type echo struct{ session *engineio.Session }

// Message implements engineio.Handler.
func (e echo) Message(data []byte, binary bool) error {
	if binary {
		e.session.Send(engineio.Binary(data))
	} else {
		e.session.Send(engineio.Text(data))
	}
	e.session.Wait() // whoever sends faster than it reads is not read meanwhile
	return nil
}

// Wait implements engineio.Handler.
func (e echo) Wait() { e.session.Wait() }

// Beat implements engineio.Handler.
func (echo) Beat() {}

// Closed implements engineio.Handler.
func (echo) Closed(error) {}

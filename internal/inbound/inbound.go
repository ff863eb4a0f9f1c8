// Package inbound reads the bodies of requests for all handlers of this module.
//
// net/http waits for the rest of a body that nobody has read before it answers, for as
// long as the connection's read deadline allows. Without one, a client that announces a
// body and never sends it holds a goroutine and a connection for good, whatever the
// handler does, and also with a GET. So each handler reads the whole body with Read, or
// calls Bound before it refuses to, or wraps itself in Handler. Only a body that has
// arrived to its end lifts the deadline again.
package inbound

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"time"
)

// Time is how long a body may take to arrive, from the call of Bound or Read on.
const Time = 10 * time.Second

// maxIgnored is how many bytes of a body Handler takes: what a form of a page may have.
const maxIgnored = 64 << 10

// Bound sets the deadline for the body of r, if there is one. It stays in force until
// Read has seen the body's end, and net/http does not wait longer either. A ReadTimeout
// of the server that is shorter is left as it is.
//
// A ResponseWriter of a middleware needs an Unwrap method, as http.ResponseController
// wants it. Without one there is no deadline but the server's own.
func Bound(w http.ResponseWriter, r *http.Request) {
	if r.Body != nil && r.Body != http.NoBody && !hasShorterTimeout(r) {
		// http.ErrNotSupported says that there is no connection, as in a test.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(Time))
	}
}

// Read reads the body of r to its end, at most limit bytes. The deadline of Bound, and
// the server's own, end with the body: what the handler does afterwards may take longer.
// Status says how to answer an error. The deadline of a body that failed stays in force,
// and the connection is given up.
func Read(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	return ReadUntil(context.Background(), w, r, limit)
}

// ReadUntil is Read that gives up when ctx ends.
func ReadUntil(ctx context.Context, w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if r.Body == nil || r.Body == http.NoBody { // nil is of a request that a test has made by hand
		return nil, nil
	}
	Bound(w, r)
	cut := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(cut)
		_ = http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0))
	})
	defer func() {
		if !stop() {
			<-cut // w must not be used after the handler has returned
		}
	}()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err != nil {
		w.Header().Set("Connection", "close")
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, err
	}
	// net/http has done it at the body's end, unless a middleware had read the body before
	// Bound: then a wait would end as if the client had gone.
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	return body, nil
}

// Status is the HTTP status for an error of Read: 413 for a body that is too long, 408
// for one that came too slowly, 400 for one that broke off.
func Status(err error) int {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return http.StatusRequestEntityTooLarge
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return http.StatusRequestTimeout
	}
	return http.StatusBadRequest
}

// Handler is for a next that has no use for a body. It reads one to its end, up to 64
// KiB, before it calls next, and answers with Status and a line of text if that fails.
func Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := Read(w, r, maxIgnored); err != nil {
			w.Header().Set("Cache-Control", "no-store")
			http.Error(w, "the body of the request is too long, too slow or broken off", Status(err))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hasShorterTimeout reports whether the server gives a request less time than Time.
func hasShorterTimeout(r *http.Request) bool {
	server, _ := r.Context().Value(http.ServerContextKey).(*http.Server)
	return server != nil && server.ReadTimeout > 0 && server.ReadTimeout <= Time
}

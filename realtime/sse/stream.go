package sse

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/telemed-go/telemed/realtime"
)

// The causes with which a stream ends, besides those of package realtime.
var (
	errLeft    = errors.New("listener left")
	errNoFlush = errors.New("the ResponseWriter cannot flush")
)

const (
	// maxPart is how many bytes must be taken within WriteTimeout.
	maxPart = 64 << 10
	// closeWait is how long a listener may take for the rest when its connection has ended.
	closeWait = time.Second
)

// stream is the answer to one request.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	request context.Context
	cfg     Config

	mu  sync.Mutex
	bye time.Time // when the rest must have been taken; zero while the connection goes on
}

// newStream takes the server's own WriteTimeout off: HTTP/2 resets a stream when it is over,
// also if nothing is written then.
func newStream(w http.ResponseWriter, r *http.Request, cfg Config) *stream {
	s := &stream{w: w, control: http.NewResponseController(w), request: r.Context(), cfg: cfg}
	s.due(time.Time{})
	return s
}

// due sets when what is written must have been taken.
func (s *stream) due(at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.bye.IsZero() {
		at = s.bye
	}
	// http.ErrNotSupported says that there is no connection, as in a test.
	_ = s.control.SetWriteDeadline(at)
}

// hurry leaves the listener a moment once ctx has ended, also if a write waits for it. After
// release it does nothing.
func (s *stream) hurry(ctx context.Context) (release func()) {
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		s.mu.Lock()
		s.bye = time.Now().Add(closeWait)
		s.mu.Unlock()
		s.due(time.Time{})
	})
	return func() {
		if !stop() {
			<-done // w must not be used after the handler has returned
		}
	}
}

func (s *stream) refuse(status int) {
	s.due(time.Now().Add(s.cfg.WriteTimeout))
	s.w.WriteHeader(status)
}

// open sends the headers.
func (s *stream) open(retryAfter time.Duration) error {
	h := s.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // nginx would keep events until it has enough of them
	s.due(time.Now().Add(s.cfg.WriteTimeout))
	if err := s.control.Flush(); err != nil {
		return err
	}
	spread := retryAfter/2 + rand.N(retryAfter+1)
	return s.write(context.Background(), [][]byte{retry(spread.Milliseconds())})
}

// later is a stream that ends at once.
func (s *stream) later() {
	if err := s.open(3 * s.cfg.Retry); errors.Is(err, http.ErrNotSupported) {
		s.w.WriteHeader(http.StatusInternalServerError)
	}
}

// serve writes the events of conn until one of both has ended.
func (s *stream) serve(conn *realtime.Conn) {
	defer s.hurry(conn.Context())()
	err := s.open(s.cfg.Retry)
	if errors.Is(err, http.ErrNotSupported) {
		s.cfg.Logger.Error("sse: a middleware cannot flush: it needs an Unwrap or a Flush method")
		s.w.Header().Del("Content-Type")
		s.w.WriteHeader(http.StatusInternalServerError)
		conn.Close(errNoFlush)
		return
	}
	for err == nil {
		var messages [][]byte
		if messages, err = s.next(conn); err == nil {
			err = s.write(conn.Context(), messages)
		}
	}
	s.due(time.Now().Add(s.cfg.WriteTimeout)) // for the end of the answer
}

// next waits for events. If none come, it returns a comment.
func (s *stream) next(conn *realtime.Conn) ([][]byte, error) {
	ctx, cancel := context.WithTimeout(s.request, s.cfg.PingInterval)
	defer cancel()
	messages, err := conn.Next(ctx)
	if err == nil || s.request.Err() != nil || conn.Context().Err() != nil {
		return messages, err
	}
	conn.Mark() // the journal would forget where a quiet listener is
	return [][]byte{ping}, nil
}

// write writes and flushes. After ctx has ended, no further part is written.
func (s *stream) write(ctx context.Context, messages [][]byte) error {
	size := 0
	s.due(time.Now().Add(s.cfg.WriteTimeout))
	for _, message := range messages {
		for len(message) > 0 {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			part := message[:min(len(message), maxPart-size)]
			message, size = message[len(part):], size+len(part)
			if _, err := s.w.Write(part); err != nil {
				return err
			}
			if size == maxPart {
				if err := s.flush(); err != nil {
					return err
				}
				s.due(time.Now().Add(s.cfg.WriteTimeout))
				size = 0
			}
		}
	}
	return s.flush()
}

// flush finds out whether the listener takes what was written. In between no deadline
// applies.
func (s *stream) flush() error {
	if err := s.control.Flush(); err != nil {
		return err
	}
	s.due(time.Time{})
	return nil
}

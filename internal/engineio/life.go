package engineio

import (
	"context"
	"errors"
	"sync"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
)

// errPanic is the cause with which a session ends whose code panicked.
var errPanic = errors.New("panic in the code of the session")

// life is when a session ends, and what is done for it until then. It makes contexts and
// channels only if somebody asks for one: most sessions are idle, and many.
type life struct {
	session *Session

	lock     sync.Mutex
	ended    bool
	work     int32 // calls of do and run that have not returned
	cause    error // of the end
	ctx      context.Context
	cancel   context.CancelCauseFunc
	finished chan struct{} // if not nil, it is closed when the session has ended and work is 0
}

// Context ends when the session does; context.Cause tells why.
func (l *life) Context() context.Context {
	l.lock.Lock()
	defer l.lock.Unlock()
	if l.ctx == nil {
		l.ctx, l.cancel = context.WithCancelCause(context.Background())
		if l.ended {
			l.cancel(l.cause)
		}
	}
	return l.ctx
}

// Done is closed when the session has ended.
func (l *life) Done() <-chan struct{} { return l.Context().Done() }

// Finished is closed when the session has ended and nothing is done for it any more.
func (l *life) Finished() <-chan struct{} {
	l.lock.Lock()
	defer l.lock.Unlock()
	if l.finished == nil {
		l.finished = make(chan struct{})
		if l.ended && l.work == 0 {
			close(l.finished)
		}
	}
	return l.finished
}

func (l *life) isOver() bool {
	l.lock.Lock()
	defer l.lock.Unlock()
	return l.ended
}

// why returns the cause of the end, nil before.
func (l *life) why() error {
	l.lock.Lock()
	defer l.lock.Unlock()
	return l.cause
}

// Close ends the session with cause, or with telemed.ErrClosed if cause is nil. The first
// call counts. A WebSocket is closed with the status that RFC 6455 has for the cause.
func (l *life) Close(cause error) {
	if cause == nil {
		cause = telemed.ErrClosed
	}
	handler, first := l.end(cause)
	if !first {
		return
	}
	go l.run(l.session.finish)
	if handler != nil {
		handler.Closed(cause)
	}
}

func (l *life) end(cause error) (handler Handler, first bool) {
	l.lock.Lock()
	defer l.lock.Unlock()
	if l.ended {
		return nil, false
	}
	l.ended, l.cause = true, cause
	l.work++ // for finish
	if l.cancel != nil {
		l.cancel(cause)
	}
	return l.session.handler, true
}

// handle gives the session its handler. If it has ended meanwhile, the handler hears of it.
func (l *life) handle(handler Handler) {
	l.lock.Lock()
	ended := l.ended
	l.session.handler = handler
	l.lock.Unlock()
	if ended {
		handler.Closed(l.why())
	}
}

// do runs f in the caller's goroutine. It reports false, and does not run f, if the session
// has ended.
func (l *life) do(f func()) bool {
	if !l.hold() {
		return false
	}
	defer l.free()
	f()
	return true
}

// start runs f in a goroutine. It reports false, and does not run f, if the session has
// ended.
func (l *life) start(f func()) bool {
	if !l.hold() {
		return false
	}
	go l.run(f)
	return true
}

func (l *life) run(f func()) {
	defer l.free()
	defer l.guard()
	f()
}

// guard is deferred in goroutines of the package: no net/http is above to recover. A panic
// ends the session and not the program.
func (l *life) guard() {
	if cause := recover(); cause != nil {
		l.session.server.logPanic(cause)
		l.Close(errPanic)
	}
}

func (l *life) hold() bool {
	l.lock.Lock()
	defer l.lock.Unlock()
	if l.ended {
		return false
	}
	l.work++
	return true
}

func (l *life) free() {
	l.lock.Lock()
	defer l.lock.Unlock()
	if l.work--; l.work == 0 && l.ended && l.finished != nil {
		close(l.finished)
	}
}

func (s *Server) logPanic(cause any) {
	fault.LogPanic(s.cfg.Logger, "engineio: panic, one session ended", cause)
}

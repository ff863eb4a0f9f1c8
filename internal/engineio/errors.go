package engineio

import "errors"

// The causes with which a session ends that others ask for.
var (
	// ErrSlow says that the peer takes nothing any more.
	ErrSlow = errors.New("session too slow")
	// ErrGarbage says that a message of the client breaks the protocol, as a Handler may find.
	ErrGarbage = errors.New("packet breaks the protocol")
	// ErrUnsupported says that a Handler has no use for binary messages.
	ErrUnsupported = errors.New("binary messages are not supported")
)

// The other causes with which a session ends.
var (
	errPingTimeout = errors.New("no answer to a heartbeat")
	errNoConnect   = errors.New("client did not connect to a namespace")
	errOverlap     = errors.New("two polls or two POSTs at once")
	errTooMany     = errors.New("too many packets in one POST")
	errClientLeft  = errors.New("client closed")
	errPollLost    = errors.New("poll could not be answered")
	errFull        = errors.New("too many sessions")
	errSecond      = errors.New("a second WebSocket of one session")
	errSocketLost  = errors.New("WebSocket broke")
)

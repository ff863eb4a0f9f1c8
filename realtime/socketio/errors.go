package socketio

import "errors"

// The causes with which a session ends, besides those of package realtime.
var (
	errPingTimeout = errors.New("no answer to a heartbeat")
	errNoConnect   = errors.New("client did not connect to a namespace")
	errOverlap     = errors.New("two polls or two POSTs at once")
	errGarbage     = errors.New("packet breaks the protocol")
	errTooMany     = errors.New("too many packets in one POST")
	errBinary      = errors.New("binary packets are not supported")
	errClientLeft  = errors.New("client closed")
	errPollLost    = errors.New("poll could not be answered")
	errSocketLost  = errors.New("WebSocket broke")
)

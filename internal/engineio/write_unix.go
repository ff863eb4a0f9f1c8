//go:build unix

package engineio

import (
	"errors"
	"net"
	"syscall"
)

// rawSocket is the socket below a connection. One goroutine at a time writes to it.
type rawSocket struct {
	raw syscall.RawConn
	try func(fd uintptr) bool // made once, so that a write allocates nothing

	b   []byte
	n   int
	err error
}

// open makes s the socket below conn, unless its bytes are not those of conn, as under TLS.
func (s *rawSocket) open(conn net.Conn) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return
	}
	s.raw = raw
	s.try = func(fd uintptr) bool {
		s.n, s.err = syscall.Write(int(fd), s.b)
		return true
	}
}

func (s *rawSocket) there() bool { return s.raw != nil }

// write writes as much of b as the socket takes at once.
func (s *rawSocket) write(b []byte) (n int, err error) {
	s.b, s.n, s.err = b, 0, nil
	err = s.raw.Write(s.try)
	s.b = nil
	if errors.Is(s.err, syscall.EAGAIN) || errors.Is(s.err, syscall.EINTR) {
		s.err = nil
	}
	return max(s.n, 0), errors.Join(err, s.err)
}

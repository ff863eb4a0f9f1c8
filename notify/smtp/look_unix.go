//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package smtp

import (
	"errors"
	"net"
	"syscall"
)

// look returns what tells, without waiting, whether the socket of nc is empty and open. It
// is nil if nc is no socket.
func look(nc net.Conn) func() bool {
	socket, ok := nc.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return nil
	}
	var b [1]byte
	var empty bool
	peek := func(fd uintptr) bool {
		// It does not wait: no socket of the runtime does.
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK)
		empty = errors.Is(err, syscall.EAGAIN)
		return true
	}
	return func() bool { return raw.Read(peek) == nil && empty }
}

//go:build !unix

package socketio

import (
	"net"
	"syscall"
)

func rawConn(net.Conn) syscall.RawConn { return nil }

func tryWrite(syscall.RawConn, []byte) (n int, err error) { return 0, nil }

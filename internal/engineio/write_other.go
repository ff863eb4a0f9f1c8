//go:build !unix

package engineio

import "net"

// rawSocket is not there: only unix has it.
type rawSocket struct{}

func newRawSocket(net.Conn) *rawSocket { return nil }

func (*rawSocket) write([]byte) (n int, err error) { return 0, nil }

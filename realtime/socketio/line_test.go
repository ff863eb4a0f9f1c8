package socketio_test

import (
	"io"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// line is a TCP connection to a server that can be cut, and lead to another one.
type line struct {
	t        *testing.T
	url      string
	listener net.Listener

	mu     sync.Mutex
	target string
	budget int // how many bytes the server may send on a connection; below 0: any
	open   map[net.Conn]struct{}
	closed bool
}

func newLine(t *testing.T, target string) *line {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := &line{
		t: t, url: "http://" + listener.Addr().String(), listener: listener, target: target,
		budget: -1, open: make(map[net.Conn]struct{}),
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() { l.carry(conn) })
		}
	})
	t.Cleanup(func() {
		l.mu.Lock()
		l.closed = true
		l.mu.Unlock()
		_ = listener.Close()
		l.cut()
		running.Wait()
	})
	return l
}

// lead has new connections lead to target, a URL; to nowhere if it is empty.
func (l *line) lead(target string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.target = target
}

// breakAfter has new connections break after so many bytes of the server's; below 0 is never.
func (l *line) breakAfter(bytes int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.budget = bytes
}

// cut breaks all connections.
func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for conn := range l.open {
		_ = conn.Close()
	}
}

// keep reports false if the line is closed.
func (l *line) keep(conn net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		_ = conn.Close()
		return false
	}
	l.open[conn] = struct{}{}
	return true
}

// admit keeps a client's connection and says where it leads: after a lead and a cut, none is
// left that leads where the line did before.
func (l *line) admit(client net.Conn) (target string, budget int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return "", 0
	}
	l.open[client] = struct{}{}
	return l.target, l.budget
}

func (l *line) drop(conn net.Conn) {
	_ = conn.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, conn)
}

func (l *line) carry(client net.Conn) {
	defer l.drop(client)
	target, budget := l.admit(client)
	if target == "" {
		return
	}
	server, err := net.Dial("tcp", target[len("http://"):])
	if err != nil {
		return
	}
	defer l.drop(server)
	if !l.keep(server) {
		return
	}
	var up sync.WaitGroup
	up.Go(func() {
		_, _ = io.Copy(server, client)
		_ = server.Close()
	})
	var from io.Reader = server
	if budget >= 0 {
		from = io.LimitReader(server, int64(budget))
	}
	_, _ = io.Copy(client, from)
	_ = client.Close()
	_ = server.Close()
	up.Wait()
}

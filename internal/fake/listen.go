package fake

import (
	"context"
	"fmt"
	"net"
	"sync"
)

// Listener listens on TCP or in memory. It keeps its connections, so that Close ends
// them too. It is safe for concurrent use.
type Listener struct {
	tcp    net.Listener // nil in memory
	addr   string
	dialed chan net.Conn // in memory: what Accept has not taken yet
	done   chan struct{}

	mu     sync.Mutex
	open   map[*tracked]struct{}
	total  int
	closed bool
}

// memoryName is where a Listener in memory is if it was given no address. It is
// loopback, so that clients take it without TLS. Nobody listens there on TCP.
const memoryName = "127.0.0.1:1"

// Listen listens at addr, "host:port". If addr is empty, at a free port of 127.0.0.1. In
// memory addr is only a name.
func Listen(addr string, inMemory bool) (*Listener, error) {
	l := &Listener{addr: addr, done: make(chan struct{}), open: map[*tracked]struct{}{}}
	if inMemory {
		if l.addr == "" {
			l.addr = memoryName
		}
		if _, _, err := net.SplitHostPort(l.addr); err != nil {
			return nil, fmt.Errorf("listen: %w", err)
		}
		l.dialed = make(chan net.Conn)
		return l, nil
	}
	if l.addr == "" {
		l.addr = "127.0.0.1:0"
	}
	tcp, err := new(net.ListenConfig).Listen(context.Background(), "tcp", l.addr)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	l.tcp, l.addr = tcp, reachable(l.addr, tcp.Addr())
	return l, nil
}

// reachable is where a client on this machine finds what listens at asked.
func reachable(asked string, actual net.Addr) string {
	host, _, _ := net.SplitHostPort(asked) // Listen has read it
	_, port, _ := net.SplitHostPort(actual.String())
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// Address is "host:port", as a client on this machine writes it.
func (l *Listener) Address() string { return l.addr }

// Host is Address without its port.
func (l *Listener) Host() string {
	host, _, _ := net.SplitHostPort(l.addr)
	return host
}

// Addr implements net.Listener.
func (l *Listener) Addr() net.Addr {
	if l.tcp != nil {
		return l.tcp.Addr()
	}
	return memoryAddr(l.addr)
}

// Dial connects to the listener, whatever the network and the address are. It has the
// form of http.Transport's DialContext.
func (l *Listener) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	if l.tcp != nil {
		return new(net.Dialer).DialContext(ctx, "tcp", l.addr)
	}
	client, server := pipe(memoryAddr("client"), l.Addr())
	select {
	case l.dialed <- server:
		return client, nil
	case <-l.done:
		return nil, &net.OpError{Op: "dial", Net: "memory", Addr: l.Addr(), Err: net.ErrClosed}
	case <-ctx.Done():
		return nil, &net.OpError{Op: "dial", Net: "memory", Addr: l.Addr(), Err: ctx.Err()}
	}
}

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	nc, err := l.accept()
	if err != nil {
		return nil, err
	}
	c := &tracked{Conn: nc, of: l}
	if !l.admit(c) {
		_ = nc.Close()
		return nil, net.ErrClosed
	}
	return c, nil
}

func (l *Listener) accept() (net.Conn, error) {
	if l.tcp != nil {
		return l.tcp.Accept()
	}
	select {
	case nc := <-l.dialed:
		return nc, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *Listener) admit(c *tracked) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.total++
	l.open[c] = struct{}{}
	return true
}

// Total is how many connections were accepted so far.
func (l *Listener) Total() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total
}

// Close implements net.Listener. It ends the connections too, and may be called again.
func (l *Listener) Close() error {
	for _, c := range l.end() {
		_ = c.Close()
	}
	return nil
}

func (l *Listener) end() []*tracked {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	close(l.done)
	if l.tcp != nil {
		_ = l.tcp.Close() // it is open
	}
	var open []*tracked
	for c := range l.open {
		open = append(open, c)
	}
	return open
}

// tracked is a connection that its listener knows of.
type tracked struct {
	net.Conn
	of *Listener
}

func (c *tracked) Close() error {
	c.of.mu.Lock()
	delete(c.of.open, c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}

package fake

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// pipe returns the two ends of a connection in memory. Unlike those of net.Pipe, writes
// do not wait for a reader: a client that pipelines commands and a server that answers
// them at once would wait for each other.
func pipe(from, to net.Addr) (client, server net.Conn) {
	up, down := newHalf(), newHalf()
	return &memoryConn{in: down, out: up, local: from, remote: to},
		&memoryConn{in: up, out: down, local: to, remote: from}
}

// memoryAddr is the address of a connection in memory.
type memoryAddr string

func (memoryAddr) Network() string  { return "memory" }
func (a memoryAddr) String() string { return string(a) }

// memoryConn is one end of a connection in memory.
type memoryConn struct {
	in, out       *half
	local, remote net.Addr
}

var _ net.Conn = (*memoryConn)(nil)

func (c *memoryConn) Read(p []byte) (int, error)  { return c.in.read(p) }
func (c *memoryConn) Write(p []byte) (int, error) { return c.out.write(p) }
func (c *memoryConn) LocalAddr() net.Addr         { return c.local }
func (c *memoryConn) RemoteAddr() net.Addr        { return c.remote }

// Close ends both directions. The other end can still read what was written before.
func (c *memoryConn) Close() error {
	c.out.change(func(h *half) { h.ended = true })
	c.in.change(func(h *half) { h.abandoned, h.data = true, nil })
	return nil
}

func (c *memoryConn) SetDeadline(t time.Time) error {
	_ = c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}

func (c *memoryConn) SetReadDeadline(t time.Time) error {
	c.in.change(func(h *half) { h.readBy = t })
	return nil
}

func (c *memoryConn) SetWriteDeadline(t time.Time) error {
	c.out.change(func(h *half) { h.writeBy = t })
	return nil
}

// capacity is how much a writer may be ahead of its reader.
const capacity = 64 << 10

// half is one direction of a connection in memory.
type half struct {
	mu              sync.Mutex
	changed         chan struct{} // closed and replaced at every change
	data            []byte
	ended           bool // the writer has closed
	abandoned       bool // the reader has closed
	readBy, writeBy time.Time
}

func newHalf() *half { return &half{changed: make(chan struct{})} }

func (h *half) change(edit func(*half)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	edit(h)
	h.signal()
}

// signal wakes who waits. The caller holds h.mu.
func (h *half) signal() {
	close(h.changed)
	h.changed = make(chan struct{})
}

func (h *half) read(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		switch {
		case h.abandoned:
			return 0, net.ErrClosed
		case passed(h.readBy):
			return 0, os.ErrDeadlineExceeded
		case len(p) == 0:
			return 0, nil
		case len(h.data) > 0:
			n := copy(p, h.data)
			h.data = h.data[n:]
			h.signal()
			return n, nil
		case h.ended:
			return 0, io.EOF
		}
		h.wait(h.readBy)
	}
}

func (h *half) write(p []byte) (written int, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		switch {
		case h.ended:
			return written, net.ErrClosed
		case passed(h.writeBy):
			return written, os.ErrDeadlineExceeded
		case h.abandoned:
			return written, &net.OpError{Op: "write", Net: "memory", Err: syscall.EPIPE}
		case len(p) == 0:
			return written, nil
		case len(h.data) < capacity:
			n := min(len(p), capacity-len(h.data))
			h.data = append(h.data, p[:n]...)
			written, p = written+n, p[n:]
			h.signal()
			continue
		}
		h.wait(h.writeBy)
	}
}

func passed(deadline time.Time) bool { return !deadline.IsZero() && !time.Now().Before(deadline) }

// wait returns after the next change or at the deadline. It holds h.mu before and after.
func (h *half) wait(deadline time.Time) {
	changed := h.changed
	h.mu.Unlock()
	defer h.mu.Lock()
	var late <-chan time.Time
	if !deadline.IsZero() {
		timer := time.NewTimer(time.Until(deadline))
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-changed:
	case <-late:
	}
}

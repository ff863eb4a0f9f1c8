package integration_test

import (
	"bytes"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// slowProxy passes requests on at once and holds answers back for a while, so that many of
// those who asked are dead or frozen by then.
type slowProxy struct {
	listener net.Listener
	to       string
	latency  time.Duration
	lost     *atomic.Int64 // answers to whoever was dead
	conns    sync.WaitGroup

	mu   sync.Mutex
	open []net.Conn
}

// slowly returns the address of a proxy before another one's.
func slowly(t *testing.T, to string, latency time.Duration, lost *atomic.Int64) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &slowProxy{listener: listener, to: to, latency: latency, lost: lost}
	p.conns.Go(p.accept)
	t.Cleanup(func() {
		_ = listener.Close()
		p.mu.Lock()
		for _, conn := range p.open {
			_ = conn.Close()
		}
		p.mu.Unlock()
		p.conns.Wait()
	})
	return listener.Addr().String()
}

// slowURL is slowly for the address of a web server.
func slowURL(t *testing.T, to string, latency time.Duration, lost *atomic.Int64) string {
	t.Helper()
	u, err := url.Parse(to)
	require.NoError(t, err)
	return "http://" + slowly(t, u.Host, latency, lost)
}

func (p *slowProxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		p.open = append(p.open, client)
		p.mu.Unlock()
		p.conns.Go(func() { p.pass(client) })
	}
}

// pass ends when the server does, or has nothing to answer to a client that has gone.
func (p *slowProxy) pass(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", p.to)
	if err != nil {
		return
	}
	defer server.Close()
	var gone atomic.Bool
	p.conns.Go(func() {
		_, _ = io.Copy(server, client)
		gone.Store(true)
		_ = server.SetReadDeadline(time.Now().Add(time.Second)) // for what was asked
	})
	buffer := make([]byte, 64<<10)
	for {
		n, err := server.Read(buffer)
		if n > 0 {
			time.Sleep(p.latency)
			if gone.Load() {
				p.lost.Add(1)
				return
			}
			if _, err := client.Write(p.here(buffer[:n])); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// here has links lead to the proxy. Ports of the system's choice are equally long.
func (p *slowProxy) here(answer []byte) []byte {
	own := p.listener.Addr().String()
	if len(own) != len(p.to) {
		return answer
	}
	return bytes.ReplaceAll(answer, []byte(p.to), []byte(own))
}

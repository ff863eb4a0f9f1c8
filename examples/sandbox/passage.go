package main

import (
	"context"
	"io"
	"net"
	"sync"
)

// dial connects to a server, whatever the network and the address are.
type dial func(ctx context.Context, network, addr string) (net.Conn, error)

// passage leads from a port that stays to a server that is replaced: a reset makes new
// servers, and no port is given back meanwhile.
type passage struct {
	listener net.Listener
	life     context.Context
	end      context.CancelFunc
	running  sync.WaitGroup

	mu  sync.Mutex
	now *server // nil before lead
}

// server is where a passage leads for a while.
type server struct {
	dial    dial
	carried sync.WaitGroup // its connections
}

// openPassage listens at addr. Who comes before lead waits.
func openPassage(addr string) (*passage, error) {
	listener, err := net.Listen("tcp", addr) //nolint:noctx // it ends with the passage
	if err != nil {
		return nil, err
	}
	p := &passage{listener: listener}
	p.life, p.end = context.WithCancel(context.Background()) // ended by close
	return p, nil
}

// lead says where connections lead from now on. Those that are there end with their server:
// the last one is returned, nil if there was none.
func (p *passage) lead(to dial) (last *server) {
	p.mu.Lock()
	defer p.mu.Unlock()
	last, p.now = p.now, &server{dial: to}
	if last == nil {
		p.running.Go(p.accept)
	}
	return last
}

func (p *passage) close() {
	p.end()
	_ = p.listener.Close() // it is open
	p.running.Wait()
}

// accept ends with the listener.
func (p *passage) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		now := p.now
		now.carried.Add(1)
		p.mu.Unlock()
		p.running.Go(func() {
			defer now.carried.Done()
			p.carry(client, now.dial)
		})
	}
}

// carry takes bytes to and fro until one side has gone.
func (p *passage) carry(client net.Conn, to dial) {
	defer client.Close()
	server, err := to(p.life, "tcp", "")
	if err != nil {
		return
	}
	defer server.Close()
	defer context.AfterFunc(p.life, func() {
		_ = client.Close()
		_ = server.Close()
	})()
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(client, server) // one side has gone
		_ = client.Close()
	})
	_, _ = io.Copy(server, client) // one side has gone
	_ = server.Close()
	back.Wait()
}

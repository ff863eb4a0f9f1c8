package visittest

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
	"unicode"
)

// errCut is what a process gets whose request or answer was lost.
var errCut = errors.New("visittest: the connection was cut")

// Transport returns the process's way to a provider over HTTP. Requests and answers get lost
// on it now and then. The answer is read whole, so that no death lies within its body.
func (p *Process) Transport(to http.RoundTripper) http.RoundTripper { return mortalTransport{p, to} }

type mortalTransport struct {
	p  *Process
	to http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (m mortalTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	return around(m.p, req.Method+" "+pattern(req.URL.Path), func() (*http.Response, error) {
		lost := m.p.s.lost()
		time.Sleep(m.p.s.pause())
		if lost == lostRequest {
			return nil, errCut
		}
		res, err := m.send(req)
		if err == nil && lost == lostAnswer {
			_ = res.Body.Close()
			return nil, errCut
		}
		return res, err
	})
}

// send sends the request as long as the process lives, and reads the answer.
func (m mortalTransport) send(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(req.Context())
	defer cancel()
	defer context.AfterFunc(m.p.life, cancel)()
	res, err := m.to.RoundTrip(req.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil {
		return nil, err
	}
	res.Body, res.Request = io.NopCloser(strings.NewReader(string(body))), req
	return res, nil
}

// pattern is a path without the ids in it.
func pattern(path string) string {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		if len(part) > 5 && strings.ContainsFunc(part, unicode.IsDigit) || len(part) > 20 {
			parts[i] = "*"
		}
	}
	return strings.Join(parts, "/")
}

// Dial returns the process's way to a mail server, as smtp.Config.Dial. Each write and each
// read on a connection lies between two points.
func (p *Process) Dial(to func(ctx context.Context, network, addr string) (net.Conn, error)) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := around(p, "dial", func() (net.Conn, error) {
			if p.s.lost() == lostRequest {
				return nil, errCut
			}
			return to(ctx, network, addr)
		})
		if err != nil {
			return nil, err
		}
		made := &mortalConn{Conn: conn, p: p}
		made.forget = context.AfterFunc(p.life, func() { _ = conn.Close() })
		return made, nil
	}
}

type mortalConn struct {
	net.Conn
	p      *Process
	forget func() bool
}

func (c *mortalConn) Write(data []byte) (int, error) {
	return around(c.p, "SMTP write", func() (int, error) {
		if c.p.s.lost() == lostRequest {
			_ = c.Conn.Close()
			return 0, errCut
		}
		return c.Conn.Write(data)
	})
}

func (c *mortalConn) Read(data []byte) (int, error) {
	return around(c.p, "SMTP read", func() (int, error) {
		n, err := c.Conn.Read(data)
		if err == nil && c.p.s.lost() == lostAnswer {
			_ = c.Conn.Close()
			return 0, errCut
		}
		return n, err
	})
}

func (c *mortalConn) Close() error {
	c.forget()
	return c.Conn.Close()
}

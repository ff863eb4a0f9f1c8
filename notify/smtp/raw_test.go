package smtp_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"maps"
	"net"
	"net/http/httptest"
	"net/textproto"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// rawServer is a mail server that misbehaves in ways no library would let it.
// It answers each stage of the dialogue with the reply of its script, or with
// the usual one.
type rawServer struct {
	ln   net.Listener
	tls  *tls.Config
	root *x509.CertPool

	extensions []string // offered at EHLO
	// Answers every BDAT, whose octets are then read as commands.
	noBDAT string
	// "" for the usual reply, or a reply, or hang or drop.
	script   func(conn int, stage string) string
	wrap     func(conn int, nc net.Conn) net.Conn // around each connection
	secured  func(conn int) (extensions []string) // offered at EHLO under TLS; nil: the same
	mu       sync.Mutex                           // guards what follows
	open     map[net.Conn]bool                    //
	conns    int                                  //
	commands []string                             // as they came, of all connections
	accepted []string                             // whole messages, dots unstuffed
	mails    map[string]int                       // how many each recipient has got
	wg       sync.WaitGroup                       //
	done     chan struct{}                        // closed at the test's end
}

const (
	hang = "\x00hang"
	drop = "\x00drop"
)

// startRaw runs the server until the test ends; edit it before that in setup.
func startRaw(t testing.TB, setup func(*rawServer)) *rawServer {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	issuer := httptest.NewTLSServer(nil) // has a certificate for 127.0.0.1
	s := &rawServer{
		ln: ln, tls: &tls.Config{Certificates: issuer.TLS.Certificates}, root: x509.NewCertPool(),
		extensions: []string{"PIPELINING", "CHUNKING", "SIZE", "SMTPUTF8", "8BITMIME"},
		open:       map[net.Conn]bool{}, mails: map[string]int{}, done: make(chan struct{}),
	}
	s.root.AddCert(issuer.Certificate())
	issuer.Close()
	setup(s)
	s.wg.Go(s.accept)
	t.Cleanup(func() {
		close(s.done)
		_ = ln.Close()
		s.mu.Lock()
		for nc := range s.open {
			_ = nc.Close()
		}
		s.mu.Unlock()
		s.wg.Wait()
	})
	return s
}

func (s *rawServer) addr() string           { return s.ln.Addr().String() }
func (s *rawServer) clientTLS() *tls.Config { return &tls.Config{RootCAs: s.root} }

func (s *rawServer) accept() {
	for {
		nc, err := s.ln.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		n := s.conns
		s.conns++
		s.open[nc] = true
		s.mu.Unlock()
		s.wg.Go(func() {
			defer nc.Close()
			var conn net.Conn = nc
			if s.wrap != nil {
				conn = s.wrap(n, nc)
			}
			(&rawConn{server: s, n: n, nc: conn}).serve()
		})
	}
}

func (s *rawServer) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns
}

func (s *rawServer) messages() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.accepted...)
}

func (s *rawServer) got() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.mails)
}

func (s *rawServer) seen() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.commands...)
}

type rawConn struct {
	server *rawServer
	n      int
	nc     net.Conn
	r      *bufio.Reader
	secure bool
	mail   bool     // in a transaction
	to     []string // and its recipients
	chunks bytes.Buffer
}

// say answers stage and reports whether the dialogue goes on, and with what code.
func (c *rawConn) say(stage, usual string) (code string, ok bool) {
	reply := ""
	if c.server.script != nil {
		reply = c.server.script(c.n, stage)
	}
	switch reply {
	case "":
		reply = usual
	case hang:
		<-c.server.done
		return "", false
	case drop:
		return "", false
	}
	_, err := io.WriteString(c.nc, reply+"\r\n")
	return reply[:min(3, len(reply))], err == nil
}

func (c *rawConn) serve() {
	c.r = bufio.NewReader(c.nc)
	if _, ok := c.say("greeting", "220 raw ready"); !ok {
		return
	}
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		c.server.mu.Lock()
		c.server.commands = append(c.server.commands, line)
		c.server.mu.Unlock()
		if !c.handle(line) {
			return
		}
	}
}

func (c *rawConn) handle(line string) bool {
	verb, rest, _ := strings.Cut(line, " ")
	var ok bool
	switch verb {
	case "EHLO":
		_, ok = c.say("ehlo", c.offer())
	case "STARTTLS":
		if _, ok = c.say("starttls", "220 go"); ok {
			ok = c.handshake()
		}
	case "AUTH":
		_, ok = c.say("auth", "235 2.7.0 welcome")
	case "MAIL":
		if c.mail {
			_, ok = c.say("nested", "503 5.5.1 nested MAIL command")
			break
		}
		var code string
		code, ok = c.say("mail", "250 2.1.0 ok")
		c.mail, c.to = code == "250", nil
	case "RCPT":
		if !c.mail {
			_, ok = c.say("early", "503 5.5.1 need MAIL")
			break
		}
		var code string
		code, ok = c.say("rcpt", "250 2.1.5 ok")
		if code == "250" {
			c.to = append(c.to, strings.TrimSuffix(strings.TrimPrefix(rest, "TO:<"), ">"))
		}
	case "DATA":
		usual := "354 go on"
		if len(c.to) == 0 {
			usual = "503 5.5.1 need RCPT"
		}
		var code string
		if code, ok = c.say("data", usual); ok && code == "354" {
			ok = c.dotted()
		}
	case "BDAT":
		switch {
		case c.server.noBDAT != "":
			_, err := io.WriteString(c.nc, c.server.noBDAT+"\r\n")
			ok = err == nil
		case rest == "0": // as Postfix does
			_, ok = c.say("bdat", "551 5.7.1 Bad null BDAT request")
		default:
			ok = c.chunk(rest)
		}
	case "RSET":
		c.mail, c.to = false, nil
		c.chunks.Reset()
		_, ok = c.say("rset", "250 2.0.0 reset")
	case "NOOP":
		_, ok = c.say("noop", "250 2.0.0 here")
	case "QUIT":
		_, _ = c.say("quit", "221 bye")
		return false
	default:
		_, ok = c.say("unknown", "500 5.5.1 what?")
	}
	return ok
}

func (c *rawConn) offer() string {
	extensions := c.server.extensions
	if c.secure && c.server.secured != nil {
		extensions = c.server.secured(c.n)
	}
	lines := append([]string{"raw"}, extensions...)
	for i := range lines {
		sep := "-"
		if i == len(lines)-1 {
			sep = " "
		}
		lines[i] = "250" + sep + lines[i]
	}
	return strings.Join(lines, "\r\n")
}

func (c *rawConn) handshake() bool {
	if c.server.script != nil && c.server.script(c.n, "handshake") == hang {
		<-c.server.done
		return false
	}
	secured := tls.Server(c.nc, c.server.tls)
	if secured.Handshake() != nil {
		return false
	}
	c.nc, c.r, c.secure = secured, bufio.NewReader(secured), true
	return true
}

// body lets the script stop before the message is read.
func (c *rawConn) body() bool {
	switch c.peek("body") {
	case hang:
		<-c.server.done
		return false
	case drop:
		return false
	}
	return true
}

func (c *rawConn) dotted() bool {
	if !c.body() {
		return false
	}
	raw, err := io.ReadAll(textproto.NewReader(c.r).DotReader())
	if err != nil {
		return false
	}
	return c.keep(strings.ReplaceAll(string(raw), "\n", "\r\n"))
}

func (c *rawConn) chunk(rest string) bool {
	size, last, _ := strings.Cut(rest, " ")
	n, err := strconv.Atoi(size)
	if err != nil || last != "LAST" && last != "" || last == "LAST" && !c.body() {
		return false
	}
	if _, err := io.CopyN(&c.chunks, c.r, int64(n)); err != nil {
		return false
	}
	if len(c.to) == 0 {
		c.chunks.Reset()
		_, ok := c.say("early", "503 5.5.1 need RCPT")
		return ok
	}
	if last == "" {
		_, ok := c.say("bdat", "250 2.0.0 "+size+" octets")
		return ok
	}
	defer c.chunks.Reset()
	return c.keep(c.chunks.String())
}

func (c *rawConn) keep(msg string) bool {
	if reply := c.peek("final"); !strings.HasPrefix(reply, "4") && !strings.HasPrefix(reply, "5") {
		c.server.mu.Lock()
		c.server.accepted = append(c.server.accepted, msg)
		for _, to := range c.to {
			c.server.mails[to]++
		}
		c.server.mu.Unlock()
	}
	_, ok := c.say("final", "250 2.0.0 ok queued as 4XYZ")
	c.mail, c.to = false, nil
	return ok && c.peek("idle") != drop
}

func (c *rawConn) peek(stage string) string {
	if c.server.script == nil {
		return ""
	}
	return c.server.script(c.n, stage)
}

// script answers the stages in replies, on every connection.
func script(replies map[string]string) func(int, string) string {
	return func(_ int, stage string) string { return replies[stage] }
}

// resetting resets the connection once so many bytes were read from it or written to it.
type resetting struct {
	net.Conn
	read, write int
}

func (c *resetting) Read(p []byte) (int, error) {
	if c.read == 0 {
		c.reset()
		return 0, io.ErrClosedPipe
	}
	if c.read > 0 {
		p = p[:min(len(p), c.read)]
	}
	n, err := c.Conn.Read(p)
	if c.read > 0 {
		c.read -= n
	}
	return n, err
}

func (c *resetting) Write(p []byte) (int, error) {
	if c.write < 0 || len(p) <= c.write {
		n, err := c.Conn.Write(p)
		if c.write > 0 {
			c.write -= n
		}
		return n, err
	}
	_, _ = c.Conn.Write(p[:c.write])
	c.reset()
	return 0, io.ErrClosedPipe
}

func (c *resetting) reset() {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // RST instead of FIN
	}
	_ = c.Conn.Close()
}

// Package smtptest is an SMTP server on loopback that keeps what it receives,
// for tests and for trying a program without a mail account.
//
//	fake := smtptest.NewServer(t)
//	mail, err := smtp.New(smtp.Config{Addr: fake.Addr(), From: "Clinic <care@clinic.example>", TLS: fake.ClientTLS()})
//	…
//	msg, err := fake.WaitFor(ctx, smtptest.To("asha@example.org"))
//	fmt.Println(msg.Subject, msg.Text)
//
// It speaks STARTTLS with a certificate of its own, AUTH PLAIN and LOGIN,
// PIPELINING, CHUNKING, SIZE and SMTPUTF8, and refuses mail that a strict server
// would: lines over 998 octets, bare line feeds, bytes beyond ASCII, broken MIME.
//
// # Errors
//
// FailNext makes it fail as servers do, once for each [Fault]; RejectRecipient
// refuses an address for good; Config.Greylist refuses each address the first time.
//
// # Security
//
// It listens on 127.0.0.1 only and writes nothing to disk.
package smtptest

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	gosmtp "github.com/emersion/go-smtp"
)

// Config says how the server behaves. The zero value offers STARTTLS, takes any
// credentials and also mail without them, before TLS or after.
type Config struct {
	// Username and Password are the only credentials that are taken, and are
	// required to send mail. If both are empty, any are taken and none required.
	Username, Password string
	// Mechanisms are the AUTH mechanisms that are offered under TLS. If nil, PLAIN and LOGIN.
	Mechanisms []string
	// NoStartTLS stops it from offering STARTTLS, as a server that knows no better
	// or somebody in the middle does. It then offers no AUTH either.
	NoStartTLS bool
	// ImplicitTLS speaks TLS from the first byte, as on port 465.
	ImplicitTLS bool
	// NoSMTPUTF8 refuses addresses beyond ASCII.
	NoSMTPUTF8 bool
	// Greylist refuses each pair of sender and recipient the first time, with 451 4.7.1.
	Greylist bool
	// MaxMessageBytes is announced as SIZE and held. If 0, 32 MiB.
	MaxMessageBytes int64
}

// TB is the part of testing.TB that NewServer needs.
type TB interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, args ...any)
}

// Server is a running SMTP server. It is safe for concurrent use.
type Server struct {
	cfg      Config
	server   *gosmtp.Server
	listener *listener
	cert     *certificate
	served   chan struct{} // closed when the accept loop has ended
	done     chan struct{} // closed by Close, to free what hangs
	once     sync.Once

	mu        sync.Mutex
	messages  []Message
	forgotten int           // messages that Reset took away
	arrived   chan struct{} // closed and replaced whenever messages grows
	faults    []Fault
	rejected  map[string]bool
	greeted   map[string]bool
}

// Start starts a server on a free port of 127.0.0.1. End it with Close.
func Start(cfg Config) (*Server, error) {
	cert, err := newCertificate()
	if err != nil {
		return nil, fmt.Errorf("smtptest: make a certificate: %w", err)
	}
	base, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("smtptest: listen: %w", err)
	}
	if cfg.Mechanisms == nil {
		cfg.Mechanisms = []string{"PLAIN", "LOGIN"}
	}
	if cfg.MaxMessageBytes == 0 {
		cfg.MaxMessageBytes = 32 << 20
	}
	s := &Server{
		cfg: cfg, cert: cert,
		listener: &listener{Listener: base, open: map[net.Conn]struct{}{}},
		served:   make(chan struct{}),
		done:     make(chan struct{}),
		rejected: map[string]bool{},
		greeted:  map[string]bool{},
	}
	s.server = s.protocol()
	go s.serve()
	return s, nil
}

// NewServer is Start for tests: it fails tb if the server does not start, and
// closes it at tb's end. Of cfg the first is used, or the zero Config.
func NewServer(tb TB, cfg ...Config) *Server {
	tb.Helper()
	s, err := Start(append(cfg, Config{})[0])
	if err != nil {
		tb.Fatalf("%v", err)
		return nil
	}
	tb.Cleanup(s.Close)
	return s
}

func (s *Server) protocol() *gosmtp.Server {
	server := gosmtp.NewServer(gosmtp.BackendFunc(s.session))
	server.Domain = "mail.test"
	server.ErrorLog = log.New(io.Discard, "", 0)
	server.MaxMessageBytes = s.cfg.MaxMessageBytes
	server.EnableSMTPUTF8 = !s.cfg.NoSMTPUTF8
	server.ReadTimeout, server.WriteTimeout = time.Minute, time.Minute
	if !s.cfg.NoStartTLS {
		server.TLSConfig = s.cert.server()
	}
	return server
}

func (s *Server) serve() {
	defer close(s.served)
	var l net.Listener = s.listener
	if s.cfg.ImplicitTLS {
		l = tls.NewListener(l, s.cert.server())
	}
	_ = s.server.Serve(l) // ends with the listener
}

// Close ends the server and every connection, and waits for both.
func (s *Server) Close() {
	s.once.Do(func() {
		close(s.done)
		_ = s.listener.Close()
		<-s.served
		s.listener.closeAll()
		_ = s.server.Shutdown(context.Background()) // only waits: everything is closed
	})
}

// Addr is "127.0.0.1:port", for smtp.Config.Addr.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// ClientTLS returns a new TLS configuration that trusts the server's
// certificate, for smtp.Config.TLS.
func (s *Server) ClientTLS() *tls.Config { return s.cert.client() }

// Connections is how many connections were made so far.
func (s *Server) Connections() int { return s.listener.count() }

// Messages returns what was accepted, oldest first.
func (s *Server) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.messages)
}

// Reset forgets the messages, and the faults that have not shown.
func (s *Server) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgotten += len(s.messages)
	s.messages, s.faults = nil, nil
}

// WaitFor returns the first accepted message that match takes, waiting for it
// until ctx ends.
func (s *Server) WaitFor(ctx context.Context, match func(Message) bool) (Message, error) {
	for seen := 0; ; {
		s.mu.Lock()
		fresh := s.messages[max(0, seen-s.forgotten):]
		seen = s.forgotten + len(s.messages)
		if s.arrived == nil {
			s.arrived = make(chan struct{})
		}
		arrived := s.arrived
		s.mu.Unlock()
		if i := slices.IndexFunc(fresh, match); i >= 0 {
			return fresh[i], nil
		}
		select {
		case <-arrived:
		case <-ctx.Done():
			return Message{}, ctx.Err()
		}
	}
}

// To matches mail whose envelope names address, in any case of letters.
func To(address string) func(Message) bool {
	return func(m Message) bool {
		return slices.ContainsFunc(m.Recipients, func(to string) bool { return strings.EqualFold(to, address) })
	}
}

func (s *Server) keep(m Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages = append(s.messages, m)
	if s.arrived != nil {
		close(s.arrived)
		s.arrived = nil
	}
}

// listener keeps its connections, so that Close can end them.
type listener struct {
	net.Listener
	mu    sync.Mutex
	open  map[net.Conn]struct{}
	total int
}

func (l *listener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total++
	c := &tracked{Conn: nc, of: l}
	l.open[c] = struct{}{}
	return c, nil
}

func (l *listener) closeAll() {
	l.mu.Lock()
	open := make([]net.Conn, 0, len(l.open))
	for c := range l.open {
		open = append(open, c)
	}
	l.mu.Unlock()
	for _, c := range open {
		_ = c.Close()
	}
}

func (l *listener) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total
}

type tracked struct {
	net.Conn
	of *listener
}

func (c *tracked) Close() error {
	c.of.mu.Lock()
	delete(c.of.open, c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}

// errAborted is a message that did not come whole.
var errAborted = errors.New("the message was not finished")

func readWhole(r io.Reader, limit int64) ([]byte, error) {
	raw, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, errAborted
	}
	return bytes.Clone(raw), nil
}

// Package smtptest is an SMTP server on loopback that keeps what it receives,
// for tests and for trying a program without a mail account.
//
//	fake := smtptest.NewServer(t)
//	mail, err := smtp.New(smtp.Config{
//		Addr: fake.Addr(), From: "Clinic <care@clinic.example>", TLS: fake.ClientTLS(),
//	})
//	…
//	msg, err := fake.WaitFor(ctx, smtptest.To("asha@example.org"))
//	fmt.Println(msg.Subject, msg.Text)
//
// It speaks STARTTLS with a certificate of its own, AUTH (see Config.Mechanisms),
// PIPELINING, CHUNKING, SIZE, 8BITMIME and SMTPUTF8. It takes what Postfix and Exim
// take of other clients, a mail without Subject or Date too, and refuses what cannot be
// read: lines over 998 octets, bare line feeds, a header beyond ASCII without SMTPUTF8,
// broken MIME. [Message.Check] is stricter, for a test of one's own mail. A program in another language finds the certificate in
// [Server.Certificate].
//
// # Errors
//
// FailNext makes it fail as servers do, as a [Fault] says; RejectRecipient
// refuses an address for good; Config.Greylist refuses each address the first time.
//
// # Security
//
// It listens on 127.0.0.1, or where Config.Addr says, and writes nothing to disk.
//
// # Testing
//
// With Config.InMemory a whole story fits into a testing/synctest bubble: hours pass at
// once.
package smtptest

import (
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

	"github.com/telemed-go/telemed/internal/fake"
)

// Config says how the server behaves. The zero value offers STARTTLS, takes any
// credentials and also mail without them, before TLS or after.
type Config struct {
	// Addr is where to listen, "host:port". If empty, at a free port of 127.0.0.1.
	Addr string
	// InMemory listens nowhere: only Server.Dial leads there.
	InMemory bool

	// Username and Password are the only credentials that are taken, and are
	// required to send mail. If both are empty, any are taken and none required.
	Username, Password string
	// Mechanisms are the AUTH mechanisms that are offered under TLS, of PLAIN, LOGIN,
	// SCRAM-SHA-256, XOAUTH2 and OAUTHBEARER. If nil, PLAIN and LOGIN. For the last two
	// Password is the token. SCRAM wants Username and Password to be set.
	Mechanisms []string
	// WrongSignature ends SCRAM with the signature of a server that does not know the
	// password.
	WrongSignature bool
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
	listener *fake.Listener
	cert     *fake.Certificate
	script   fake.Script
	messages fake.Log[Message]
	served   chan struct{}   // closed when the accept loop has ended
	life     context.Context // ended by Close, to free what waits
	end      context.CancelFunc

	mu       sync.Mutex
	rejected map[string]bool
	greeted  map[string]bool
}

// Start starts a server. End it with Close.
func Start(cfg Config) (*Server, error) {
	listener, err := fake.Listen(cfg.Addr, cfg.InMemory)
	if err != nil {
		return nil, fmt.Errorf("smtptest: %w", err)
	}
	cert, err := fake.NewCertificate(listener.Host())
	if err != nil {
		_ = listener.Close()
		return nil, fmt.Errorf("smtptest: %w", err)
	}
	if cfg.Mechanisms == nil {
		cfg.Mechanisms = []string{"PLAIN", "LOGIN"}
	}
	if cfg.MaxMessageBytes == 0 {
		cfg.MaxMessageBytes = 32 << 20
	}
	s := &Server{
		cfg: cfg, cert: cert, listener: listener, served: make(chan struct{}),
		rejected: map[string]bool{}, greeted: map[string]bool{},
	}
	s.life, s.end = context.WithCancel(context.Background()) // ended by Close
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

// protocol begins the sessions of session.go, which use the Server that begins them.
func (s *Server) protocol() *gosmtp.Server {
	server := gosmtp.NewServer(gosmtp.BackendFunc(s.session))
	server.Domain = "mail.test"
	server.ErrorLog = log.New(io.Discard, "", 0)
	server.MaxMessageBytes = s.cfg.MaxMessageBytes
	server.EnableSMTPUTF8 = !s.cfg.NoSMTPUTF8
	server.MaxLineLength = 12288 // RFC 4954, 4: that of AUTH
	server.ReadTimeout, server.WriteTimeout = time.Minute, time.Minute
	if !s.cfg.NoStartTLS {
		server.TLSConfig = s.cert.Server()
	}
	return server
}

func (s *Server) serve() {
	defer close(s.served)
	var l net.Listener = s.listener
	if s.cfg.ImplicitTLS {
		l = tls.NewListener(l, s.cert.Server())
	}
	_ = s.server.Serve(l) // ends with the listener
}

// Close ends the server and every connection, and waits for both. It may be called again.
func (s *Server) Close() {
	s.end()
	_ = s.listener.Close()
	<-s.served
	_ = s.server.Shutdown(context.Background()) // only waits: everything is closed
}

// Addr is "host:port", for smtp.Config.Addr.
func (s *Server) Addr() string { return s.listener.Address() }

// Dial connects to the server, whatever the network and the address are. It is for
// smtp.Config.Dial.
func (s *Server) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	return s.listener.Dial(ctx, network, addr)
}

// ClientTLS returns a new TLS configuration that trusts the server's
// certificate, for smtp.Config.TLS.
func (s *Server) ClientTLS() *tls.Config { return s.cert.Client() }

// Certificate returns the server's certificate in PEM.
func (s *Server) Certificate() []byte { return s.cert.PEM() }

// Connections is how many connections were made so far.
func (s *Server) Connections() int { return s.listener.Total() }

// Messages returns what was accepted, oldest first.
func (s *Server) Messages() []Message { return s.messages.All() }

// Reset forgets the messages, and the faults that have not shown.
func (s *Server) Reset() {
	s.script.Reset()
	s.messages.Reset()
}

// WaitFor returns the first accepted message that match takes, waiting for it
// until ctx ends.
func (s *Server) WaitFor(ctx context.Context, match func(Message) bool) (Message, error) {
	return s.messages.WaitFor(ctx, match)
}

// To matches mail whose envelope names address, in any case of letters.
func To(address string) func(Message) bool {
	return func(m Message) bool {
		return slices.ContainsFunc(m.Recipients, func(to string) bool { return strings.EqualFold(to, address) })
	}
}

// errAborted is a message that did not come whole, or that nobody is to hear of.
var errAborted = errors.New("the connection has ended")

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
// broken MIME. [Message.Check] is stricter, for a test of one's own mail. A program in
// another language finds the certificate in [Server.Certificate].
//
// # Real servers
//
// With Config.Like it greets, offers, answers and refuses as Postfix, Exim or npm's
// smtp-server does, word by word. The three have been asked, and are asked again by this
// project's tests, which start them and compare. They differ in what breaks clients:
//
//   - Postfix answers an empty BDAT with 551 5.7.1, a broken one with 521 and the end of the
//     connection, and 554 5.5.1 to DATA or BDAT when no recipient was taken.
//   - Exim says no enhanced codes, answers 550 to an unknown user without a word about the
//     user, and hangs up at RSET between two BDAT.
//   - smtp-server has no CHUNKING, takes parameters of MAIL that it did not offer, offers
//     AUTH before TLS and then refuses it, and hangs up on who speaks before its greeting.
//   - Each gives up after so many unknown commands: the 21st, the 4th, the 10th.
//   - None of them minds commands that come all at once where PIPELINING is not offered.
//
// Config.Hide takes single offers away, and Config.IdleTimeout is how patient it is.
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
	"net"
	"slices"
	"strings"
	"sync"
	"time"

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
	// Like is the server that it resembles. If 0, none.
	Like Like
	// Hide holds keywords of EHLO, upper case, that are not offered: CHUNKING, PIPELINING,
	// 8BITMIME. BDAT is then refused. Commands that come all at once are taken nevertheless,
	// as real servers take them.
	Hide []string
	// IdleTimeout is how long a command is waited for. Then the server says 421 and goes. If
	// 0, a minute.
	IdleTimeout time.Duration
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
	manners  *manners
	listener *fake.Listener
	cert     *fake.Certificate
	script   fake.Script
	messages fake.Log[Message]
	commands fake.Log[Command]
	served   sync.WaitGroup  // the accept loop and the connections
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
	if cfg.IdleTimeout == 0 {
		cfg.IdleTimeout = time.Minute
	}
	s := &Server{
		cfg: cfg, cert: cert, listener: listener, manners: cfg.Like.manners(),
		rejected: map[string]bool{}, greeted: map[string]bool{},
	}
	s.life, s.end = context.WithCancel(context.Background()) // ended by Close
	s.served.Go(s.serve)
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

// serve ends with the listener.
func (s *Server) serve() {
	for {
		nc, err := s.listener.Accept()
		if err != nil {
			return
		}
		begun := &session{server: s, manners: s.manners, secure: s.cfg.ImplicitTLS}
		if begun.secure {
			nc = tls.Server(nc, s.cert.Server())
		}
		begun.attach(nc)
		s.served.Go(begun.talk)
	}
}

// Close ends the server and every connection, and waits for both. It may be called again.
func (s *Server) Close() {
	s.end()
	_ = s.listener.Close()
	s.served.Wait()
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

// Command is a command of an operation, as it was replied to. What was in it is not kept.
type Command struct {
	// Op is one of the operations.
	Op string
	// Status is the reply's code. It is 0 if there was none, or half of one.
	Status int
	// At is when it was replied to, by this machine's clock.
	At time.Time
}

// Commands returns the commands of all operations, oldest first.
func (s *Server) Commands() []Command { return s.commands.All() }

// Reset forgets the messages, the commands, and the faults that have not shown.
func (s *Server) Reset() {
	s.script.Reset()
	s.commands.Reset()
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

package smtp

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/mail"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/notify"
)

// Security says how the connection is kept private. The zero value is the safe one.
type Security int

const (
	// StartTLS begins in the clear and upgrades before anything else is said; a
	// server that does not offer it gets no mail. Ports 587 and 25.
	StartTLS Security = iota
	// ImplicitTLS speaks TLS from the first byte. Port 465.
	ImplicitTLS
	// InsecureOpportunistic upgrades if the server offers it, and otherwise sends the
	// mail in the clear: whoever is between can take the offer away, and read and
	// change the mail. For servers that are reached over a network of your own.
	// Credentials are never sent without TLS: with them, such a server is an error.
	InsecureOpportunistic
	// InsecurePlaintext never encrypts. For a relay on the same machine only; New
	// refuses credentials with it.
	InsecurePlaintext
)

// Config is what New needs. The server is Addr; who sends is From.
type Config struct {
	// Addr is the server, "host:port". Required. 587 is for StartTLS, 465 for ImplicitTLS.
	Addr string
	// From is who the mail comes from, "Clinic <care@clinic.example>", also in the envelope.
	// Required.
	From string

	// Username and Password are for AUTH SCRAM-SHA-256, PLAIN or LOGIN, of which the first
	// that the server offers is used. Both or neither, unless there is a Token. With them, a
	// server that does not offer AUTH is an error.
	Username string
	Password telemed.Secret
	// Token takes the place of Password: it returns an OAuth 2.0 access token of Username's
	// for AUTH XOAUTH2 or OAUTHBEARER, as Gmail and Exchange Online want it. It is called
	// once for each connection, within DialTimeout, by many goroutines at once. If the server
	// refuses the token it is called once more, and what it returns is tried if it is another.
	//
	// An error of its is found by errors.Is, and its text is not repeated. One that matches
	// telemed.ErrReconnect, ErrUnauthorized, ErrForbidden or ErrInvalid counts as
	// telemed.ErrUnauthorized, any other as telemed.ErrUnavailable.
	Token func(ctx context.Context) (string, error)
	// ReplyTo is where answers go, like From. If empty, to From.
	ReplyTo string
	// BounceTo is the envelope's sender, a bare address that hears of mails that could not be
	// delivered after they were accepted. If empty, the address of From.
	BounceTo string
	// ReferenceHeader names the header that tells the relay [notify.Reference] of the
	// message's Key, so that its events name the message. It begins with "X-". Relays want
	// it differently:
	//
	//	X-Mailin-Tag                                   Brevo: a tag
	//	X-PM-Tag                                       Postmark: a tag
	//	X-Mailgun-Tag                                  Mailgun: a tag
	//	X-SES-MESSAGE-TAGS: reference=%s               Amazon SES: a tag with a name
	//	X-SMTPAPI: {"unique_args":{"reference":"%s"}}  SendGrid: JSON
	//
	// A name alone stands for "name: %s". The header may reach the recipient. If empty,
	// there is none, and nobody can ask what became of a mail whose answer was lost.
	ReferenceHeader string
	// Renderer makes the words of messages that name a Template. If nil, every message needs
	// a Content.
	Renderer notify.Renderer

	// Sign reads a composed message and returns the fields that go ahead of it, each with its
	// line end: the Sign of dkim.Signer. It may be called by many goroutines at once. The
	// message is rendered while it is read. One of more than 64 KiB is not held whole but
	// rendered again when it is sent: a notify.File with Open is opened twice. If it was not
	// the same both times, or Sign returns no fields, the message is not sent, which is
	// telemed.ErrInvalid. So it is if Sign fails, and that is telemed.ErrUnavailable, to be
	// tried again, unless its error matches ErrInvalid, ErrUnauthorized, ErrForbidden or
	// ErrReconnect. If nil, none is signed.
	Sign func(message io.Reader) (fields string, err error)

	// Security is how the connection is encrypted. If 0, StartTLS, which is required to
	// succeed.
	Security Security
	// TLS is copied. If nil, the system's roots and the host of Addr; TLS 1.2 is the least
	// in any case.
	TLS *tls.Config
	// LocalName is what the client calls itself to the server. If empty, its IP address.
	LocalName string

	// Dial makes the connection to Addr; TLS comes on top of it. It may be called by many
	// goroutines at once. If nil, that of a net.Dialer. With the Dial of smtptest.Server
	// there is no network.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// DialTimeout bounds the way to a usable connection: TCP, TLS and AUTH together. If 0,
	// 15 seconds.
	DialTimeout time.Duration
	// CommandTimeout bounds each answer. If 0, 30 seconds.
	CommandTimeout time.Duration
	// DataTimeout bounds the sending of the message's bytes and the wait for its acceptance,
	// together with the envelope where all of it leaves at once. If 0, 2 minutes.
	DataTimeout time.Duration

	// MaxConns is how many connections may be in use at once; further messages wait. If 0, 4.
	// While the server says that it is too much, there are fewer.
	MaxConns int
	// MaxMessages is how many messages a connection carries before it is replaced. If 0, 500,
	// as with Exim; a relay that wants fewer says so in its manual.
	MaxMessages int
	// IdleTimeout is how long an unused connection is kept. If 0, 30 seconds; if negative,
	// none is kept.
	IdleTimeout time.Duration
	// DisableChunking sends with DATA to servers that offer CHUNKING (BDAT) but mishandle
	// it. One that does not know BDAT after all needs no setting: it gets DATA once it has
	// refused.
	DisableChunking bool
	// DisablePipelining waits for each answer on servers that offer PIPELINING but mishandle
	// it.
	DisablePipelining bool

	// Logger gets a line for every connection and every message, with the message's
	// key and without anything personal, at debug level. If nil, nothing is logged.
	Logger *slog.Logger

	env *fault.Env // of FromEnv
}

// Client sends e-mail through one server. It is safe for concurrent use. Make
// one with New and end it with Shutdown.
type Client struct {
	cfg        Config
	host       string
	from       *mail.Address
	replyTo    *mail.Address
	reference  reference
	ids        *messageIDs
	tls        *tls.Config
	log        *slog.Logger
	pool       *pool
	noChunking atomic.Bool // the server offered BDAT and refused it
}

var _ notify.Notifier = (*Client)(nil)

// New checks cfg and returns a Client. It reports everything that is wrong at
// once, in an error that matches telemed.ErrInvalid, and does not connect; see
// [Client.Verify].
func New(cfg Config) (*Client, error) {
	var p fault.Problems
	p.From(cfg.env)
	p.Optional("Renderer", cfg.Renderer)
	c := &Client{cfg: cfg.withDefaults()}
	c.host = checkAddr(&p, cfg.Addr)
	c.from = checkSender(&p, "From", cfg.From)
	p.Required("From", cfg.From)
	c.replyTo = checkSender(&p, "ReplyTo", cfg.ReplyTo)
	p.Check(cfg.BounceTo == "" || notify.ValidEmail(cfg.BounceTo), "BounceTo", "is not a bare e-mail address")
	c.reference = checkReference(&p, cfg.ReferenceHeader)
	cfg.checkCredentials(&p)
	p.Check(cfg.Security >= StartTLS && cfg.Security <= InsecurePlaintext, "Security", "is none of the constants")
	p.Check(validLocalName(cfg.LocalName), "LocalName", "is not a host name or address literal")
	for field, n := range map[string]int64{
		"DialTimeout": int64(cfg.DialTimeout), "CommandTimeout": int64(cfg.CommandTimeout), "DataTimeout": int64(cfg.DataTimeout),
		"MaxConns": int64(cfg.MaxConns), "MaxMessages": int64(cfg.MaxMessages),
	} {
		p.Check(n >= 0, field, "is negative")
	}
	if err := p.Err("smtp"); err != nil {
		return nil, err
	}
	c.ids = newMessageIDs(c.from.Address)
	c.tls = clientTLS(cfg.TLS, c.host)
	c.log = c.cfg.Logger
	c.pool = newPool(c.cfg.MaxConns, c.cfg.IdleTimeout, c.dial)
	return c, nil
}

func (cfg Config) withDefaults() Config {
	if cfg.Dial == nil {
		cfg.Dial = new(net.Dialer).DialContext
	}
	cfg.DialTimeout = cmp.Or(cfg.DialTimeout, 15*time.Second)
	cfg.CommandTimeout = cmp.Or(cfg.CommandTimeout, 30*time.Second)
	cfg.DataTimeout = cmp.Or(cfg.DataTimeout, 2*time.Minute)
	cfg.MaxConns = cmp.Or(cfg.MaxConns, 4)
	cfg.MaxMessages = cmp.Or(cfg.MaxMessages, 500)
	cfg.IdleTimeout = cmp.Or(cfg.IdleTimeout, 30*time.Second)
	cfg.Logger = cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler))
	return cfg
}

func clientTLS(base *tls.Config, host string) *tls.Config {
	if base == nil {
		base = &tls.Config{}
	}
	base = base.Clone()
	base.ServerName = cmp.Or(base.ServerName, host)
	base.MinVersion = max(base.MinVersion, tls.VersionTLS12)
	if base.ClientSessionCache == nil {
		// A connection is replaced now and then. The next one proves by a ticket that it is
		// the same server, and no certificate is looked at again.
		base.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	}
	return base
}

func checkAddr(p *fault.Problems, addr string) string {
	if addr == "" {
		p.Required("Addr", addr)
		return ""
	}
	host, port, err := net.SplitHostPort(addr)
	number, portErr := strconv.ParseUint(port, 10, 16)
	p.Check(err == nil && validHost(host) && portErr == nil && number > 0, "Addr", `is not "host:port"`)
	return host
}

// validHost refuses what people write in place of a host: an address with a scheme, a user
// or a second port.
func validHost(host string) bool {
	_, notIP := netip.ParseAddr(host)
	return host != "" && !strings.ContainsAny(host, " /@") && (notIP == nil || !strings.Contains(host, ":"))
}

func checkSender(p *fault.Problems, field, value string) *mail.Address {
	if value == "" {
		return nil
	}
	address, err := mail.ParseAddress(value)
	if err != nil || !notify.ValidEmail(address.Address) || !validName(address.Name) {
		p.Add(field, `is not an address such as "Clinic <care@clinic.example>"`)
		return nil
	}
	return address
}

// validName asks the rules for a recipient's name about a sender's.
func validName(name string) bool {
	probe := notify.Message{Key: "k", Template: "t", To: notify.Recipient{Name: name}}
	return probe.Validate("") == nil
}

func (cfg Config) checkCredentials(p *fault.Problems) {
	password := cfg.Password.Reveal()
	p.Check(cfg.Username == "" || password != "" || cfg.Token != nil, "Password", "is required with a Username")
	p.Check(cfg.Username != "" || password == "", "Username", "is required with a Password")
	p.Check(cfg.Username != "" || cfg.Token == nil, "Username", "is required with a Token")
	p.Check(password == "" || cfg.Token == nil, "Token", "takes the place of Password: set one of them")
	p.Check(cfg.Security != InsecurePlaintext || password == "" && cfg.Token == nil, "Security", "is InsecurePlaintext, and credentials are never sent without TLS")
	p.Check(validCredential(cfg.Username), "Username", "has a NUL, \\x01 or line break or is longer than 4096 bytes")
	p.Check(validCredential(password), "Password", "has a NUL, \\x01 or line break or is longer than 4096 bytes")
}

// Notify composes msg and hands it to the server. See notify.Notifier for the
// contract; the receipt's ID is the Message-ID, which is the same whenever the
// same Key is sent to the same address again.
func (c *Client) Notify(ctx context.Context, msg notify.Message) (*notify.Receipt, error) {
	l, err := c.letter(ctx, msg)
	if err != nil {
		return nil, err
	}
	defer l.free()
	if err := c.deliver(ctx, l); err != nil {
		c.log.LogAttrs(ctx, slog.LevelDebug, "message not sent", slog.Any("message", msg), slog.String("error", err.Error()))
		return nil, err
	}
	if c.log.Enabled(ctx, slog.LevelDebug) { // else msg would be copied to memory for nothing
		c.log.LogAttrs(ctx, slog.LevelDebug, "message accepted", slog.Any("message", msg), slog.String("id", l.id))
	}
	return &notify.Receipt{Channel: notify.Email, ID: l.id, At: time.Now(), Refused: l.refused}, nil
}

func (c *Client) letter(ctx context.Context, msg notify.Message) (*letter, error) {
	if err := msg.Validate(notify.Email); err != nil {
		return nil, err
	}
	if err := c.checkHeader(msg.Mail); err != nil {
		return nil, err
	}
	content := msg.Content
	if content == nil {
		if c.cfg.Renderer == nil {
			return nil, fault.Invalid("smtp", "Content", "is required, as there is no Renderer")
		}
		rendered, err := c.cfg.Renderer.Render(msg)
		if err != nil {
			return nil, err
		}
		if err := rendered.Validate(notify.Email); err != nil {
			return nil, err
		}
		content = rendered
	}
	return c.compose(ctx, msg, content, time.Now())
}

// deliver sends l, again over another connection if the one it got from the
// pool had died while idle, or the server refused BDAT: in both cases it was not taken.
func (c *Client) deliver(ctx context.Context, l *letter) error {
	for {
		if err := c.attempt(ctx, l); !errors.Is(err, errStale) && !errors.Is(err, errNoChunking) {
			return err
		}
	}
}

// attempt sends l over one connection, and gives it back also if the goroutine ends in a
// function of the application's.
func (c *Client) attempt(ctx context.Context, l *letter) (err error) {
	conn, err := c.pool.get(ctx)
	if err != nil {
		return err
	}
	whole := false
	defer func() {
		conn.broken = conn.broken || !whole
		c.pool.put(conn, err)
	}()
	err = ofOneOf(l, conn.send(ctx, l))
	whole = true
	return err
}

// Verify connects, or uses an idle connection, and asks the server whether it is
// there. It proves address, TLS and credentials, and sends no mail. Call it at
// start-up or from a health check.
func (c *Client) Verify(ctx context.Context) error {
	for {
		conn, err := c.pool.get(ctx)
		if err != nil {
			return err
		}
		err = conn.noop(ctx)
		c.pool.put(conn, err)
		if !errors.Is(err, errStale) {
			return err
		}
	}
}

// Shutdown waits until the messages under way are through, or until ctx ends, then
// closes every connection. Calls that come later fail with telemed.ErrClosed. It
// returns ctx's error if it had to cut messages off. Calling it again is allowed.
func (c *Client) Shutdown(ctx context.Context) error { return c.pool.close(ctx) }

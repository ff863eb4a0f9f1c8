package smtp

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/notify"
)

// conn is one connection. One goroutine uses it at a time; kill may be called by any.
type conn struct {
	client *Client // for its configuration and its log

	raw *gate // deadlines and closing act here, below TLS
	r   *bufio.Reader
	w   *bufio.Writer
	tls bool
	ext map[string]string // what EHLO offered, upper case, with parameters

	chunks bool // the server took a BDAT on this connection
	broken bool // do not use again
	// A message was refused, and RSET was answered by 250, as anything is. Further ones go by
	// DATA: no other command than DATA is answered by 354.
	mistrusted bool
	used       int       // messages carried
	reused     bool      // came from the pool's idle ones, so it may have died there
	idle       time.Time // since when, while it is among those

	look func() bool // whether the socket is empty, without waiting; nil if it cannot be told

	expiry  *time.Timer // of the pool, as is what follows
	watched bool        // expiry is set

	mu    sync.Mutex
	ended bool // the context in charge has ended: no deadline may be set later than now
}

// gate is the network below TLS. While it is shut, a read finds what TLS has at hand, and
// nothing of what is in the socket.
type gate struct {
	net.Conn
	shut bool
}

func (g *gate) Read(p []byte) (int, error) {
	if g.shut {
		return 0, os.ErrDeadlineExceeded // TLS goes on after it
	}
	return g.Conn.Read(p)
}

// dial makes a connection that is ready for MAIL.
func (c *Client) dial(ctx context.Context) (*conn, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.cfg.DialTimeout, errDialTimeout)
	defer cancel()
	raw, err := c.cfg.Dial(ctx, "tcp", c.cfg.Addr)
	if err != nil {
		return nil, lost(ctx, "connect", telemed.ErrUnavailable, err)
	}
	k, ready := &conn{client: c, raw: &gate{Conn: raw}, look: look(raw)}, false
	defer func() {
		if !ready { // also if Config.Token panics
			k.kill()
		}
	}()
	stop := k.bindTo(ctx)
	defer stop()
	if err := k.open(ctx); err != nil {
		return nil, err
	}
	c.log.LogAttrs(ctx, slog.LevelDebug, "connected", slog.Bool("tls", k.tls))
	ready = true
	return k, nil
}

// open goes through greeting, EHLO, TLS and AUTH.
func (k *conn) open(ctx context.Context) error {
	c := k.client
	if c.cfg.Security == ImplicitTLS {
		if err := k.handshake(ctx, "connect"); err != nil {
			return err
		}
	} else {
		k.attach(k.raw)
	}
	if _, err := k.expect(ctx, "greeting", 220, c.cfg.CommandTimeout); err != nil {
		return err
	}
	if err := k.hello(ctx); err != nil {
		return err
	}
	if err := k.secure(ctx); err != nil {
		return err
	}
	if c.cfg.Username == "" {
		return nil
	}
	return k.authenticate(ctx)
}

// attach puts the SMTP dialogue on nc. Nothing of the one before it stays.
func (k *conn) attach(nc net.Conn) {
	if k.r != nil {
		k.r.Reset(nc)
		k.w.Reset(nc)
		return
	}
	k.r = bufio.NewReaderSize(nc, maxReplyLine)
	k.w = bufio.NewWriterSize(nc, 16<<10)
}

func (k *conn) hello(ctx context.Context) error {
	r, err := k.cmd(ctx, "ehlo", 250, "EHLO "+k.localName())
	if err != nil {
		return err
	}
	k.ext = map[string]string{}
	for _, line := range r.lines[min(1, len(r.lines)):] {
		name, params, _ := strings.Cut(line, " ")
		k.ext[strings.ToUpper(name)] = strings.ToUpper(params)
	}
	return nil
}

// localName is the configured one or the address literal of RFC 5321, 4.1.3.
func (k *conn) localName() string {
	if k.client.cfg.LocalName != "" {
		return k.client.cfg.LocalName
	}
	local, err := netip.ParseAddrPort(k.raw.LocalAddr().String())
	if err != nil {
		return "localhost"
	}
	ip := local.Addr().Unmap().WithZone("")
	if ip.Is6() {
		return "[IPv6:" + ip.String() + "]"
	}
	return "[" + ip.String() + "]"
}

// secure upgrades the connection as Config.Security demands, and greets again:
// what was offered before TLS could have been written by anyone (RFC 3207, 4.2).
func (k *conn) secure(ctx context.Context) error {
	security := k.client.cfg.Security
	if k.tls || security == InsecurePlaintext {
		return nil
	}
	if _, offered := k.ext["STARTTLS"]; !offered {
		switch {
		case security == StartTLS:
			return failed("starttls", telemed.ErrUnauthorized, "the server does not offer STARTTLS, which is required")
		case k.client.cfg.Username != "":
			return failed("starttls", telemed.ErrUnauthorized, "the server does not offer STARTTLS, and credentials are never sent without TLS")
		}
		return nil
	}
	if _, err := k.cmd(ctx, "starttls", 220, "STARTTLS"); err != nil {
		return err
	}
	if k.r.Buffered() > 0 { // it would be read as if it had come through TLS
		return failed("starttls", telemed.ErrUnavailable, "somebody sent answers ahead of the TLS handshake")
	}
	if err := k.handshake(ctx, "starttls"); err != nil {
		return err
	}
	return k.hello(ctx)
}

func (k *conn) handshake(ctx context.Context, op string) error {
	secured := tls.Client(k.raw, k.client.tls)
	if err := secured.HandshakeContext(ctx); err != nil {
		return refusedTLS(ctx, op, err)
	}
	k.tls = true
	k.attach(secured)
	return nil
}

// refusedTLS makes the error of a handshake that failed. Where the other side is not who it
// should be, or does not speak TLS as it should, no repetition helps and a person must act:
// that counts as a refusal of credentials, the server's this time.
func refusedTLS(ctx context.Context, op string, err error) error {
	e := lost(ctx, op, telemed.ErrUnavailable, err)
	if ctx.Err() != nil {
		return e
	}
	e.Reason = "the TLS handshake failed"
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		e.Reason, e.kind = "the server's certificate is not trusted, is of another name or has expired", telemed.ErrUnauthorized
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		e.Reason, e.kind = "the server does not speak TLS on this port", telemed.ErrUnauthorized
	}
	// The alert's type is not exported. An internal error of the server's may pass.
	if alert, ok := errors.AsType[*net.OpError](err); ok && alert.Op == "remote error" && !strings.Contains(err.Error(), "internal error") {
		e.Reason, e.kind = "the server refuses the TLS handshake", telemed.ErrUnauthorized
	}
	return e
}

func validLocalName(name string) bool {
	if inner, ok := strings.CutPrefix(name, "["); ok {
		ip, err := netip.ParseAddr(strings.TrimPrefix(strings.TrimSuffix(inner, "]"), "IPv6:"))
		return err == nil && ip.Zone() == "" && strings.HasSuffix(name, "]")
	}
	return name == "" || isASCII(name) && notify.ValidEmail("x@"+name)
}

// gaze is how long quiet waits where it must.
const gaze = time.Millisecond

// quiet reports whether an idle connection lives and the server has said nothing since the
// last answer. A line that nobody asked for, a second thought about the last message for
// instance, would be read as the answer to the next command, and every verdict would move
// to the wrong message.
//
// What counts is above TLS, for below it session tickets lie about. So the socket is looked
// into, and only if there is something in it, or no telling, a read waits.
func (k *conn) quiet() bool {
	k.raw.shut = k.look != nil && k.look()
	defer func() { k.raw.shut = false }()
	if !k.raw.shut {
		k.setTimeout(gaze)
	}
	_, err := k.r.Peek(1)
	return errors.Is(err, os.ErrDeadlineExceeded)
}

// unasked reports whether the server has said more than it was asked, and if so gives the
// connection up. Which of its lines answers what is then unknown, and no RSET mends that:
// the 250 to it may be one that was left over.
func (k *conn) unasked() bool {
	if k.r.Buffered() == 0 {
		return false
	}
	k.broken = true
	return true
}

// silent is an error if the server has said more than it was asked, or has gone. It looks
// into the socket too, where that takes no time.
func (k *conn) silent(op string) error {
	if k.unasked() || k.look != nil && !k.look() && !k.quiet() {
		gone := !k.unasked()
		k.broken = true
		if gone {
			return failed(op, telemed.ErrUnavailable, "the server closed the connection")
		}
		return failed(op, telemed.ErrUnavailable, outOfStep)
	}
	return nil
}

// disputed reports whether the server has said more than it was asked, and part of it is not
// what it said last, a yes or a no. Which of the lines is the verdict is then unknown. If all
// say the same, that is the verdict, and the connection is given up all the same.
func (k *conn) disputed(yes bool) bool {
	for k.unasked() {
		rest, _ := k.r.Peek(k.r.Buffered())
		if bytes.IndexByte(rest, '\n') < 0 {
			return true // a line that is not out whole
		}
		line, _ := k.r.ReadSlice('\n')
		code, _, _, ok := parseLine(bytes.TrimRight(line, "\r\n"))
		if !ok || (code < 400) != yes {
			return true
		}
	}
	return false
}

// cmd sends one line and reads its answer, which must have the code want.
func (k *conn) cmd(ctx context.Context, op string, want int, line string) (reply, error) {
	if err := k.write(ctx, op, line+"\r\n"); err != nil {
		return reply{}, err
	}
	return k.expect(ctx, op, want, k.client.cfg.CommandTimeout)
}

// write sends text whole, and nothing after an answer that was not asked for.
func (k *conn) write(ctx context.Context, op, text string) error {
	if k.unasked() {
		return failed(op, telemed.ErrUnavailable, outOfStep)
	}
	k.setTimeout(k.client.cfg.CommandTimeout)
	_, _ = k.w.WriteString(text) // flush has its error
	return k.flush(ctx, op)
}

// put writes a line that goes out with the next flush, which has its error.
func (k *conn) put(line string) {
	_, _ = k.w.WriteString(line)
	_, _ = k.w.WriteString("\r\n")
}

func (k *conn) flush(ctx context.Context, op string) error {
	if err := k.w.Flush(); err != nil {
		k.broken = true
		return lost(ctx, op, telemed.ErrUnavailable, err)
	}
	return nil
}

// expect reads an answer and makes an error of any code but want.
func (k *conn) expect(ctx context.Context, op string, want int, patience time.Duration) (reply, error) {
	r, err := k.answer(ctx, op, telemed.ErrUnavailable, patience)
	return r, k.wanted(op, r, err, want)
}

// wanted makes an error of any answer whose code is not want; err is that of reading it.
func (k *conn) wanted(op string, r reply, err error, want int) error {
	switch {
	case err != nil:
		return err
	case r.code == want:
		return nil
	case r.code < 400: // not an answer to this
		return k.lostStep(op, r, telemed.ErrUnavailable)
	}
	return refused(op, r)
}

// outOfStep is the Reason for answers that do not fit their commands.
const outOfStep = "the server's answers do not fit the commands"

// lostStep gives the connection up after an answer that its command cannot have. The
// answer is no verdict on anything; kind says what is known without it.
func (k *conn) lostStep(op string, r reply, kind error) error {
	k.broken = true
	return &Error{Op: op, Code: r.code, Reason: outOfStep, kind: kind}
}

// answer reads one reply, for which it waits so long, or, if patience is 0, as long as was
// set before. kind is what it means if none comes. After a lost connection or a 421, which
// announces one, the connection is not used again.
func (k *conn) answer(ctx context.Context, op string, kind error, patience time.Duration) (reply, error) {
	if patience > 0 && !k.heard() {
		k.setTimeout(patience)
	}
	r, err := readReply(k.r)
	if err != nil {
		k.broken = true
		return reply{}, lost(ctx, op, kind, err)
	}
	if r.code == 421 {
		k.broken = true
	}
	return r, nil
}

// heard reports whether a reply of one line is at hand, so that nothing is waited for.
func (k *conn) heard() bool {
	p, _ := k.r.Peek(k.r.Buffered())
	return len(p) > 3 && p[3] != '-' && bytes.IndexByte(p, '\n') >= 0
}

// setTimeout gives the next reads and writes d from now, unless the context has ended.
func (k *conn) setTimeout(d time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.ended {
		_ = k.raw.SetDeadline(time.Now().Add(d))
	}
}

// bindTo makes every read and write fail from the moment ctx ends, until stop is
// called; stop makes the connection ready for the next context.
func (k *conn) bindTo(ctx context.Context) (stop func()) {
	end := context.AfterFunc(ctx, func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.ended = true
		_ = k.raw.SetDeadline(time.Unix(1, 0))
	})
	return func() {
		if !end() { // it has run or is running: the connection is in the middle of something
			k.broken = true
		}
	}
}

// kill closes the connection at once, whatever it is doing.
func (k *conn) kill() { _ = k.raw.Close() }

// quit says goodbye without waiting for an answer, and closes.
func (k *conn) quit() {
	k.setTimeout(time.Second)
	_, _ = k.w.WriteString("QUIT\r\n")
	_ = k.w.Flush()
	k.kill()
}

// sizeLimit returns the largest message that the server takes in bytes, 0 if it does not
// say.
func (k *conn) sizeLimit() int64 {
	limit, err := strconv.ParseInt(strings.TrimSpace(k.ext["SIZE"]), 10, 64)
	if err != nil || limit < 0 {
		return 0
	}
	return limit
}

func (k *conn) offers(extension string) bool {
	_, ok := k.ext[extension]
	return ok
}

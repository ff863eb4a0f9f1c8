package smtp

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/notify"
)

var (
	// errStale is a connection that died while it was idle. Nothing was sent over it.
	errStale = errors.New("smtp: the idle connection was dead")
	// errNoChunking is a server that offered BDAT and refused it. It took no message.
	errNoChunking = errors.New("smtp: the server refuses BDAT")
)

// send hands l to the server. The envelope goes first, in one write where the
// server allows it, and the message follows when the recipient was accepted:
// the answer proves that the connection lives, so that a failure before it is
// surely harmless, and a refused recipient costs no upload. Everything is in
// memory, and a message ends with a length or a dot that is only written when
// all before it was, so the server never takes half of one. No byte that a person wrote
// goes out before the server has agreed to take it, by 354 to DATA or 250 to the first
// BDAT of the connection: behind a command that it does not know, it would read the
// message as commands, and whoever wrote the message would speak in our name.
func (k *conn) send(ctx context.Context, l *letter) error {
	stop := k.bindTo(ctx)
	defer stop()
	if err := k.fits(l); err != nil {
		return err
	}
	chunking := k.offers("CHUNKING") && !k.client.cfg.DisableChunking && !k.client.noChunking.Load()
	rest, err := k.envelope(ctx, l, chunking)
	if err != nil {
		return err
	}
	k.used++
	if chunking {
		return k.chunk(ctx, rest)
	}
	return k.data(ctx, l)
}

// fits refuses what the server said beforehand that it will not take.
func (k *conn) fits(l *letter) error {
	if l.beyondASCII() && !k.offers("SMTPUTF8") {
		return failed("mail", notify.ErrRecipient, "the server does not take addresses beyond ASCII")
	}
	if limit := k.sizeLimit(); limit > 0 && int64(len(l.body)) > limit {
		return tooLarge(failed("mail", telemed.ErrInvalid, "the message is larger than the server takes"))
	}
	return nil
}

func tooLarge(e *Error) *Error {
	e.Err = &telemed.FieldError{Field: "Content", Problem: "is larger than the server takes"}
	return e
}

// envelope sends MAIL and RCPT, and DATA if the message will not go by BDAT. If it will,
// the first one on a connection begins here with a chunk that is its opening line,
// Mime-Version: whether the server knows BDAT shows before it has a byte that a person
// wrote. The chunk costs a round trip where there is no PIPELINING. It is not an empty
// chunk, which Postfix refuses. rest is what of the body is still to be sent.
func (k *conn) envelope(ctx context.Context, l *letter, chunking bool) (rest []byte, err error) {
	rest = l.body
	steps := []step{
		{"mail", 250, "MAIL FROM:<" + l.from + ">" + k.mailParams(l)},
		{"rcpt", 250, "RCPT TO:<" + l.to + ">"},
	}
	switch {
	case !chunking:
		steps = append(steps, step{"data", 354, "DATA"})
	case !k.chunks:
		opening, _, _ := bytes.Cut(l.body, []byte("\r\n"))
		rest = l.body[len(opening)+2:] // a message has more than one header line
		steps = append(steps, step{opFirstChunk, 250, bdat(len(opening)+2) + "\r\n" + string(opening)})
	}
	group := 1
	if k.offers("PIPELINING") && !k.client.cfg.DisablePipelining {
		group = len(steps)
	}
	for ; len(steps) > 0; steps = steps[min(group, len(steps)):] {
		if err := k.pipeline(ctx, steps[:min(group, len(steps))]); err != nil {
			return nil, err
		}
	}
	return rest, nil
}

// opFirstChunk is the step whose answer shows whether the server knows BDAT.
const opFirstChunk = "bdat"

func bdat(length int) string { return "BDAT " + strconv.Itoa(length) }

type step struct {
	op   string
	want int
	line string
}

func (k *conn) mailParams(l *letter) string {
	var params string
	if k.offers("SIZE") {
		params += " SIZE=" + strconv.Itoa(len(l.body))
	}
	if l.beyondASCII() {
		params += " BODY=8BITMIME SMTPUTF8"
	}
	return params
}

// pipeline sends steps at once and reads an answer to each. The first that is not
// as wanted decides; those behind it are read all the same, to stay in step.
func (k *conn) pipeline(ctx context.Context, steps []step) error {
	var lines strings.Builder
	for _, s := range steps {
		lines.WriteString(s.line + "\r\n")
	}
	if err := k.write(ctx, steps[0].op, lines.String()); err != nil {
		return k.stale(ctx, steps[0].op, err)
	}
	var first error
	for _, s := range steps {
		r, err := k.answer(ctx, s.op, telemed.ErrUnavailable, k.client.cfg.CommandTimeout)
		if err != nil {
			return cmp.Or(first, k.stale(ctx, s.op, err))
		}
		switch {
		case first == nil && s.op == "mail" && r.code == 421 && k.reused:
			return errStale
		case first != nil && r.code == 354:
			k.broken = true // it waits for a message to nobody: leave it without a dot
			return first
		case r.code < 400 && (first != nil || !accepted(s, r)):
			// No server takes a recipient without a sender, or a message without a recipient.
			return k.lostStep(s.op, r, telemed.ErrUnavailable)
		case first == nil:
			first = k.judge(s, r)
		}
	}
	if first != nil {
		k.reset(ctx)
	}
	return first
}

// judge reads the answer to one step. A refusal of the first BDAT of a connection that is
// not of BDAT is about the message, and DATA would get it too.
func (k *conn) judge(s step, r reply) error {
	switch {
	case s.op == opFirstChunk && r.code < 400:
		if k.unasked() { // it answers the chunk too: it has read that as a command
			return k.withoutChunking()
		}
		k.chunks = true
		return nil
	case r.code < 400:
		return nil
	case s.op != opFirstChunk:
		return k.verdict(s.op, r)
	case refusesBDAT(r):
		return k.withoutChunking()
	}
	return k.verdict("data", r)
}

// refusesBDAT reports whether r refuses the command and not the message. 551 and 555 are
// what servers say that know BDAT and not this use of it.
func refusesBDAT(r reply) bool { return r.code/10 == 50 || r.code == 551 || r.code == 555 }

// withoutChunking remembers that this server's mail goes by DATA. The connection is not
// used again, for who knows what the server has read the chunk as.
func (k *conn) withoutChunking() error {
	k.broken = true
	k.client.noChunking.Store(true)
	return errNoChunking
}

// accepted takes 251 and 252 for RCPT, "will forward" and "will try", for a yes.
func accepted(s step, r reply) bool {
	return r.code == s.want || s.op == "rcpt" && (r.code == 251 || r.code == 252)
}

// stale turns the loss of an idle connection into errStale: the first step of an
// envelope got no answer, so it is safe to begin anew. The caller's end is not a loss.
func (k *conn) stale(ctx context.Context, op string, err error) error {
	if !k.reused || ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded) || (op != "mail" && op != "noop") {
		return err
	}
	return errStale
}

// verdict makes the error of a refusal.
func (k *conn) verdict(op string, r reply) error {
	e := refused(op, r)
	if e.kind == telemed.ErrInvalid {
		return tooLarge(e)
	}
	return e
}

// reset ends a transaction that was refused. Without it the next message on this
// connection would be answered "nested MAIL command".
func (k *conn) reset(ctx context.Context) {
	if k.broken {
		return
	}
	if _, err := k.cmd(ctx, "rset", 250, "RSET"); err != nil {
		k.broken = true
	}
}

// chunk sends body with its length ahead (RFC 3030): a connection that breaks on the way
// leaves the server with too few bytes, which it throws away.
func (k *conn) chunk(ctx context.Context, body []byte) error {
	r, err := k.commit(ctx, []byte(bdat(len(body))+" LAST\r\n"), body)
	if err != nil {
		return err
	}
	if refusesBDAT(r) { // it took one and not this one
		return k.withoutChunking()
	}
	return k.conclude(ctx, r)
}

// data sends the message with a dot more before each line that begins with one,
// and the final dot. All its lines end with CRLF, the last one too.
func (k *conn) data(ctx context.Context, l *letter) error {
	stuffed := bytes.ReplaceAll(l.body, []byte("\r\n."), []byte("\r\n.."))
	r, err := k.commit(ctx, stuffed, []byte(".\r\n"))
	if err != nil {
		return err
	}
	return k.conclude(ctx, r)
}

// commit sends the message's bytes and reads the answer. Until the last byte is
// out the server cannot have taken the message; from then on a lost answer is
// ambiguous.
func (k *conn) commit(ctx context.Context, parts ...[]byte) (reply, error) {
	if k.unasked() {
		return reply{}, failed("data", telemed.ErrUnavailable, outOfStep)
	}
	k.setTimeout(k.client.cfg.DataTimeout)
	for _, part := range parts {
		if _, err := k.w.Write(part); err != nil {
			k.broken = true
			return reply{}, lost(ctx, "data", telemed.ErrUnavailable, err)
		}
	}
	if err := k.w.Flush(); err != nil {
		k.broken = true
		return reply{}, lost(ctx, "data", telemed.ErrUnavailable, err)
	}
	return k.answer(ctx, "data", telemed.ErrAmbiguous, k.client.cfg.DataTimeout)
}

// conclude reads the verdict on the message. After a refusal the transaction is
// over for DATA by RFC 5321, and for BDAT by RFC 3030 only after RSET.
func (k *conn) conclude(ctx context.Context, r reply) error {
	if r.code == 250 {
		return nil
	}
	if r.code < 400 {
		return k.lostStep("data", r, telemed.ErrAmbiguous)
	}
	k.reset(ctx)
	return k.verdict("data", r)
}

// noop asks whether the server is there.
func (k *conn) noop(ctx context.Context) error {
	stop := k.bindTo(ctx)
	defer stop()
	r, err := k.cmd(ctx, "noop", 250, "NOOP")
	if err != nil && (r.code == 0 || r.code == 421) {
		k.broken = true
		return k.stale(ctx, "noop", err)
	}
	return err
}

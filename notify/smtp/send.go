package smtp

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/notify"
)

var (
	// errStale is a connection that died while it was idle. Nothing was sent over it.
	errStale = errors.New("smtp: the idle connection was dead")
	// errNoChunking is a server that offered BDAT and refused it. It took no message.
	errNoChunking = errors.New("smtp: the server refuses BDAT")
)

// send hands l to the server. A message ends with a length that was told before, or with a
// dot that is only written when all before it was, so the server never takes half of one.
//
// No byte that a person wrote goes out before the server has agreed to take it, by 354 to
// DATA or 250 to the first BDAT of the connection: behind a command that it does not know,
// it would read the message as commands, and whoever wrote the message would speak in our
// name. On a connection that has taken a chunk, all goes out at once.
func (k *conn) send(ctx context.Context, l *letter) error {
	stop := k.bindTo(ctx)
	defer stop()
	if err := k.fits(l); err != nil {
		return err
	}
	chunking := k.offers("CHUNKING") && !k.client.cfg.DisableChunking && !k.client.noChunking.Load() && !k.mistrusted
	if chunking && k.chunks && k.pipelines() && k.warm() && l.size <= maxWhole && l.whole() && len(l.copies) == 0 && !l.speaks() {
		return k.oneFlight(ctx, l)
	}
	begun, err := k.envelope(ctx, l, chunking)
	if err != nil {
		return err
	}
	k.used++
	if chunking {
		return k.chunk(ctx, l, begun)
	}
	return k.data(ctx, l)
}

// ofOneOf turns a refusal of a letter to several people into one that is not about the first
// of them: the server does not say for whose address it refused the letter.
func ofOneOf(l *letter, err error) error {
	if e, ok := errors.AsType[*Error](err); ok && e.Op == "data" && e.kind == notify.ErrRecipient && len(l.copies) > 0 {
		e.kind = telemed.ErrForbidden
	}
	return err
}

func (k *conn) pipelines() bool { return k.offers("PIPELINING") && !k.client.cfg.DisablePipelining }

// warmth is how long a connection is taken to live without being asked.
const warmth = 5 * time.Second

// warm reports whether the server was heard a moment ago. If the connection has died since,
// unnoticed, a message that was sent over it whole is one of which nobody knows; an envelope
// that was is not.
func (k *conn) warm() bool { return time.Since(k.idle) < warmth }

// fits refuses what the server said beforehand that it will not take.
func (k *conn) fits(l *letter) error {
	if l.beyondASCII() && !k.offers("SMTPUTF8") {
		return notTaken(l.foreign)
	}
	if limit := k.sizeLimit(); limit > 0 && l.size > limit {
		return tooLarge(failed("mail", telemed.ErrInvalid, "the message is larger than the server takes"))
	}
	return nil
}

// notTaken is the error of an address beyond ASCII in field, at a server without SMTPUTF8.
// Only To is about the recipient; one of the Config wants a person.
func notTaken(field string) *Error {
	const reason = "the server does not take addresses beyond ASCII"
	switch {
	case field == "To.Email":
		return failed("mail", notify.ErrRecipient, reason)
	case !strings.HasPrefix(field, "Mail."):
		return failed("mail", telemed.ErrForbidden, reason+", such as Config."+field)
	}
	e := failed("mail", telemed.ErrInvalid, reason)
	e.Err = &telemed.FieldError{Field: field, Problem: "is beyond ASCII, which the server does not take"}
	return e
}

func tooLarge(e *Error) *Error {
	e.Err = &telemed.FieldError{Field: "Content", Problem: "is larger than the server takes"}
	return e
}

// envelope sends MAIL and RCPT, and DATA if the message will not go by BDAT. If it will,
// the first one on a connection begins here with a chunk that is its opening line,
// MIME-Version: whether the server knows BDAT shows before it has a byte that a person
// wrote. The chunk costs a round trip where there is no PIPELINING. It is not an empty
// chunk, which Postfix refuses. begun is how many bytes of the message it took.
func (k *conn) envelope(ctx context.Context, l *letter, chunking bool) (begun int, err error) {
	steps := append(make([]step, 0, 3), k.mail(l), k.rcpt(l))
	if len(l.copies) > 0 { // the message waits until its first recipient was taken
		if err := k.withCopies(ctx, l, steps); err != nil {
			return 0, err
		}
		steps = steps[:0]
	}
	switch {
	case !chunking:
		steps = append(steps, step{"data", 354, "DATA"})
	case !k.chunks:
		opening, _, _ := bytes.Cut(l.head, []byte("\r\n")) // a message has more than one header line
		begun = len(opening) + 2
		steps = append(steps, step{opFirstChunk, 250, bdat(int64(begun)) + "\r\n" + string(opening)})
	}
	return begun, k.inGroups(ctx, steps)
}

// withCopies sends an envelope of several recipients. A copy that is refused is noted.
func (k *conn) withCopies(ctx context.Context, l *letter, steps []step) error {
	l.refused = nil
	if err := k.inGroups(ctx, steps); err != nil {
		return err
	}
	for rest := l.copies; len(rest) > 0; {
		group := 1
		if k.pipelines() {
			group = min(len(rest), 50)
		}
		if err := k.copyGroup(ctx, l, rest[:group]); err != nil {
			return err
		}
		rest = rest[group:]
	}
	return nil
}

// copyGroup sends RCPT for further recipients at once and reads an answer to each. A 421 is
// the end of the connection and not about one of them.
func (k *conn) copyGroup(ctx context.Context, l *letter, group []copyTo) error {
	if k.unasked() {
		return failed("rcpt", telemed.ErrUnavailable, outOfStep)
	}
	k.setTimeout(k.client.cfg.CommandTimeout)
	for _, to := range group {
		k.put("RCPT TO:<" + to.address + ">")
	}
	if err := k.flush(ctx, "rcpt"); err != nil {
		return err
	}
	for _, to := range group {
		r, err := k.answer(ctx, "rcpt", telemed.ErrUnavailable, k.client.cfg.CommandTimeout)
		if err != nil {
			return err
		}
		s := step{op: "rcpt", want: 250}
		switch {
		case r.code < 400 && !accepted(s, r):
			return k.lostStep("rcpt", r, telemed.ErrUnavailable)
		case r.code == 421:
			k.broken = true
			return k.verdict("rcpt", r)
		case r.code >= 400:
			l.refused = append(l.refused, refusedCopy(to, r))
		}
	}
	return nil
}

func refusedCopy(to copyTo, r reply) error {
	e := refused("rcpt", r)
	e.Err = &telemed.FieldError{Field: to.field, Problem: "was refused by the server"}
	return e
}

// inGroups sends steps, all at once or one by one, and reads an answer to each.
func (k *conn) inGroups(ctx context.Context, steps []step) error {
	group := 1
	if k.pipelines() {
		group = max(1, len(steps))
	}
	for ; len(steps) > 0; steps = steps[min(group, len(steps)):] {
		if err := k.pipeline(ctx, steps[:min(group, len(steps))]); err != nil {
			return err
		}
	}
	return nil
}

func (k *conn) mail(l *letter) step {
	return step{"mail", 250, "MAIL FROM:<" + l.bounce + ">" + k.mailParams(l)}
}

func (k *conn) rcpt(l *letter) step { return step{"rcpt", 250, "RCPT TO:<" + l.to + ">"} }

// opFirstChunk is the step whose answer shows whether the server knows BDAT.
const opFirstChunk = "bdat"

func bdat(length int64) string { return "BDAT " + strconv.FormatInt(length, 10) }

type step struct {
	op   string
	want int
	line string
}

func (k *conn) mailParams(l *letter) string {
	var params string
	if k.offers("SIZE") {
		params += " SIZE=" + strconv.FormatInt(l.size, 10)
	}
	if l.beyondASCII() {
		params += " BODY=8BITMIME SMTPUTF8"
	}
	return params
}

// pipeline sends steps at once and reads an answer to each.
func (k *conn) pipeline(ctx context.Context, steps []step) error {
	k.setTimeout(k.client.cfg.CommandTimeout)
	if k.unasked() {
		return failed(steps[0].op, telemed.ErrUnavailable, outOfStep)
	}
	for _, s := range steps {
		k.put(s.line)
	}
	if err := k.flush(ctx, steps[0].op); err != nil {
		return k.stale(ctx, steps[0].op, err)
	}
	return k.answers(ctx, steps, telemed.ErrUnavailable)
}

// oneFlight sends the envelope and the message at once. Until the last byte is out the server
// cannot have taken the message, and it goes over another connection; from then on a lost
// answer is ambiguous, be it the first.
func (k *conn) oneFlight(ctx context.Context, l *letter) error {
	if k.unasked() {
		return errStale
	}
	steps := [...]step{k.mail(l), k.rcpt(l), {"data", 250, bdat(l.size) + " LAST"}}
	k.setTimeout(k.client.cfg.DataTimeout)
	for _, s := range steps {
		k.put(s.line)
	}
	_, _ = k.w.Write(l.head) // flush has its error
	if err := k.flush(ctx, "mail"); err != nil {
		return k.stale(ctx, "mail", err)
	}
	k.used++
	return k.answers(ctx, steps[:], telemed.ErrAmbiguous)
}

// answers reads an answer to each of steps. The first that is not as wanted decides; those
// behind it are read all the same, to stay in step. kind is what it means if one does not
// come, or if they contradict each other: no server takes a recipient without a sender, or
// a message without a recipient, and none says both yes and no to one message.
func (k *conn) answers(ctx context.Context, steps []step, kind error) error {
	patience := k.client.cfg.CommandTimeout
	if kind == telemed.ErrAmbiguous {
		patience = 0 // one time for the message and all its answers is set
	}
	var first error
	for _, s := range steps {
		r, err := k.answer(ctx, s.op, kind, patience)
		if err != nil {
			return cmp.Or(first, k.stale(ctx, s.op, err))
		}
		switch {
		case first == nil && s.op == "mail" && k.worn(r):
			k.broken = true
			if kind != telemed.ErrAmbiguous {
				return errStale
			}
			// It may go on and take the message.
			first, patience = errStale, min(leaving, k.client.cfg.DataTimeout)
		case first != nil && r.code == 354:
			k.broken = true // it waits for a message to nobody: leave it without a dot
			return first
		case r.code < 400 && (first != nil || !accepted(s, r)):
			return k.lostStep(s.op, r, kind)
		case first == nil:
			first = k.judge(s, r)
		}
	}
	last := steps[len(steps)-1]
	if !errors.Is(first, errNoChunking) && k.disputed(first == nil) {
		return k.lostStep(last.op, reply{}, kind)
	}
	if first != nil {
		k.recover(ctx, steps)
	}
	return first
}

// worn reports whether a refusal of MAIL may be about this connection alone. Relays that count
// its messages say so by 421, or by another temporary code at each MAIL from then on. If a new
// connection is refused the same, that is the verdict.
func (k *conn) worn(r reply) bool { return r.code == 421 && k.reused || r.code/100 == 4 && k.used > 0 }

// leaving is how long a server that says 421 is waited for: it hangs up.
const leaving = 5 * time.Second

// recover readies the connection for the next message after a refusal. Where it was of more
// than an envelope, or of DATA, too many answers were under way to be sure that each was read
// as what it was: the connection is given up. So it is if RSET is not answered as it should.
func (k *conn) recover(ctx context.Context, steps []step) {
	for _, s := range steps {
		k.broken = k.broken || s.op != "mail" && s.op != "rcpt"
	}
	if k.broken {
		return
	}
	k.mistrusted = true
	if _, err := k.cmd(ctx, "rset", 250, "RSET"); err != nil {
		k.broken = true
	}
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
	case s.chunk() && refusesBDAT(r):
		return k.withoutChunking()
	case s.op == opFirstChunk:
		return k.verdict("data", r)
	}
	return k.verdict(s.op, r)
}

// chunk reports whether the step is a BDAT.
func (s step) chunk() bool { return s.op == opFirstChunk || s.op == "data" && s.want == 250 }

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
	if errors.Is(err, telemed.ErrAmbiguous) {
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

// chunk sends what is left of the message, with its length ahead (RFC 3030): a connection
// that breaks on the way leaves the server with too few bytes, which it throws away.
func (k *conn) chunk(ctx context.Context, l *letter, begun int) error {
	r, err := k.commit(ctx, func() error {
		k.put(bdat(l.size-int64(begun)) + " LAST")
		return l.writeTo(ctx, k.w, begun)
	})
	if err != nil {
		return err
	}
	if refusesBDAT(r) { // it took one and not this one
		return k.withoutChunking()
	}
	return k.conclude(r)
}

// data sends the message with a dot more before each line that begins with one,
// and the final dot. All its lines end with CRLF, the last one too.
func (k *conn) data(ctx context.Context, l *letter) error {
	r, err := k.commit(ctx, func() error {
		if err := l.writeTo(ctx, &stuffer{w: k.w}, 0); err != nil {
			return err
		}
		k.put(".")
		return nil
	})
	if err != nil {
		return err
	}
	return k.conclude(r)
}

// commit sends the message's bytes and reads the answer. Until the last byte is
// out the server cannot have taken the message; from then on a lost answer is
// ambiguous.
func (k *conn) commit(ctx context.Context, body func() error) (reply, error) {
	if err := k.silent("data"); err != nil {
		return reply{}, err
	}
	k.setTimeout(k.client.cfg.DataTimeout)
	if err := body(); err != nil {
		k.broken = true // closed without a dot, or with a chunk that is not whole
		if e := ofFile("data", err); e != nil {
			return reply{}, e
		}
		return reply{}, lost(ctx, "data", telemed.ErrUnavailable, err)
	}
	if err := k.flush(ctx, "data"); err != nil {
		return reply{}, err
	}
	return k.answer(ctx, "data", telemed.ErrAmbiguous, k.client.cfg.DataTimeout)
}

// conclude reads the verdict on the message. After a refusal the connection is given up: the
// answer may be an earlier one's, come late, and the message's own still under way.
func (k *conn) conclude(r reply) error {
	if k.disputed(r.code < 400) {
		return k.lostStep("data", reply{}, telemed.ErrAmbiguous)
	}
	if r.code == 250 {
		return nil
	}
	if r.code < 400 {
		return k.lostStep("data", r, telemed.ErrAmbiguous)
	}
	k.broken = true
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

package smtp

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/telemed-go/telemed/notify"
)

// letter is a composed e-mail: the envelope and the bytes that go between. Up to maxWhole
// they are in memory. Those of a longer one are only counted, and written again to the
// connection, piece by piece, whenever they are sent.
type letter struct {
	from, to string
	id       string   // with angle brackets
	bounce   string   // who is told of it later: MAIL FROM
	copies   []copyTo // further recipients, each once
	refused  []error  // of copies, by the server that took the letter
	size     int64
	head     []byte  // its first bytes, all of them up to maxWhole
	start    int     // how many of them are the header that we write
	buffer   *[]byte // where head is, from the pool
	// The sums of the files that are opened, by their place, if the letter is signed. What was
	// signed and what is sent must be the same.
	sums map[int]string

	bodies, inline, attached []part
	boundary                 string // how those of multiparts begin

	files    int64 // how long all files are, in base64
	opens    bool  // one is opened when it is sent
	counting bool  // files are counted and not written

	foreign string // the field of the first address beyond ASCII, "" if there is none
}

// copyTo is a recipient beside the first, and the field that it is from.
type copyTo struct{ address, field string }

// maxWhole is how long a message may be that is kept in memory and leaves in one flight with
// its envelope.
const maxWhole = 64 << 10

var buffers = sync.Pool{New: func() any { return new(make([]byte, 0, 8<<10)) }}

// whole reports whether all of it is in memory.
func (l *letter) whole() bool { return l.size == int64(len(l.head)) }

// beyondASCII reports whether the envelope or the header needs SMTPUTF8 (RFC 6531).
func (l *letter) beyondASCII() bool { return l.foreign != "" }

// noMail is the Mail of a message that has none.
var noMail = &notify.Mail{}

// envelopeOf fills in who else gets it, and who is told if it does not arrive.
func (l *letter) envelopeOf(c *Client, m *notify.Mail) {
	l.addCopies("Mail.Cc[", m.Cc)
	l.addCopies("Mail.Bcc[", m.Bcc)
	l.noteForeign("To.Email", l.to)
	l.noteForeign("From", l.from)
	l.bounce = cmp.Or(wireAddress(m.BounceTo), wireAddress(c.cfg.BounceTo), l.from)
	if m.BounceTo == "" {
		l.noteForeign("BounceTo", l.bounce)
	}
	l.noteForeign("Mail.BounceTo", l.bounce)
	replyTo, field := c.answersTo(m)
	l.noteForeign(field, wireAddress(replyTo.Email))
	for _, to := range l.copies {
		l.noteForeign(to.field, to.address)
	}
}

func (l *letter) noteForeign(field, address string) {
	if l.foreign == "" && !isASCII(address) {
		l.foreign = field
	}
}

func (l *letter) addCopies(field string, to []notify.Recipient) {
	for i, r := range to {
		address := wireAddress(r.Email)
		known := sameAddress(address, l.to) ||
			slices.ContainsFunc(l.copies, func(c copyTo) bool { return sameAddress(c.address, address) })
		if !known {
			l.copies = append(l.copies, copyTo{address, field + strconv.Itoa(i) + "].Email"})
		}
	}
}

// sameAddress takes capital letters for small ones in ASCII. Beyond that, letters that
// Unicode folds to each other, such as the Kelvin sign and k, make different addresses.
func sameAddress(a, b string) bool {
	return a == b || isASCII(a) && isASCII(b) && strings.EqualFold(a, b)
}

// free gives the memory back. The letter is not used again.
func (l *letter) free() {
	if l.buffer != nil && cap(l.head) > 2*maxWhole {
		l.buffer, l.head = nil, nil // the pool is for the short ones
	}
	if l.buffer != nil {
		*l.buffer = l.head[:0]
		buffers.Put(l.buffer)
		l.buffer, l.head = nil, nil
	}
}

// measure renders the letter to learn how long it is, and keeps its beginning. It goes to
// also too, unless that is nil. Files are only counted if the letter is longer than maxWhole
// with them, or they are opened when it is sent, and nothing else asks for them: then
// nothing can fail.
func (l *letter) measure(ctx context.Context, begin func(*header), also *bufio.Writer) error {
	l.buffer = buffers.Get().(*[]byte)
	h := header{line: (*l.buffer)[:0]}
	begin(&h)
	l.head, l.start, l.size = h.line, len(h.line), int64(len(h.line))
	l.counting = also == nil && (l.opens || l.files > maxWhole)
	defer func() { l.counting = false }()
	if also != nil {
		_, _ = also.Write(h.line) // the last write has its error
	}
	return l.render(ctx, &measurer{l, also})
}

// measurer counts what is written and keeps the beginning.
type measurer struct {
	l    *letter
	also *bufio.Writer
}

func (m *measurer) Write(p []byte) (int, error) {
	count(m.l, p)
	if m.also == nil {
		return len(p), nil
	}
	return m.also.Write(p)
}

// WriteString spares io.WriteString a copy.
func (m *measurer) WriteString(p string) (int, error) {
	count(m.l, p)
	if m.also == nil {
		return len(p), nil
	}
	return m.also.WriteString(p)
}

func count[T string | []byte](l *letter, p T) {
	l.size += int64(len(p))
	if !l.counting { // what comes behind a file that is counted is not at its place
		l.head = append(l.head, p[:min(len(p), max(0, maxWhole-len(l.head)))]...)
	}
}

// writeTo writes what comes after the first skip bytes. After an error w has got fewer bytes
// than it was told, and the last line is not whole.
func (l *letter) writeTo(ctx context.Context, w io.Writer, skip int) error {
	if l.whole() {
		_, err := w.Write(l.head[skip:])
		return err
	}
	rest := &remainder{w: w, skip: skip, left: l.size}
	if _, err := rest.Write(l.head[:l.start]); err != nil {
		return err
	}
	if err := l.render(ctx, rest); err != nil {
		return err
	}
	if rest.left > 0 {
		return errLength
	}
	return nil
}

// remainder passes on what comes after the first skip bytes, of not more than left in all.
type remainder struct {
	w    io.Writer
	skip int
	left int64
}

func (r *remainder) Write(p []byte) (int, error) {
	if r.left -= int64(len(p)); r.left < 0 {
		return 0, errLength
	}
	skipped := min(len(p), r.skip)
	r.skip -= skipped
	n, err := r.w.Write(p[skipped:])
	return skipped + n, err
}

// speaks reports whether a line of the letter could be read as the command RCPT, without
// which no mail goes anywhere. Such a letter goes out only once its recipient was taken:
// some servers refuse the message behind a refused recipient and then read it as commands,
// and whoever wrote it would send mail in our name.
func (l *letter) speaks() bool {
	for line := range bytes.Lines(l.head) {
		if line[0] > ' ' && line[0]|' ' != 'r' { // almost all: it is cheaper to see this first
			continue
		}
		line = bytes.TrimLeft(line, " \t\v\f\r\x00")
		if len(line) >= 4 && bytes.EqualFold(line[:4], []byte("RCPT")) {
			return true
		}
	}
	return false
}

// stuffer doubles the dot at the beginning of each line, for DATA.
type stuffer struct {
	w      io.Writer
	inLine bool
}

func (s *stuffer) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		if !s.inLine && rest[0] == '.' {
			if _, err := s.w.Write([]byte(".")); err != nil {
				return 0, err
			}
		}
		end := bytes.Index(rest, []byte("\n.")) + 1
		if end == 0 {
			end = len(rest)
		}
		if _, err := s.w.Write(rest[:end]); err != nil {
			return 0, err
		}
		s.inLine = rest[end-1] != '\n'
		rest = rest[end:]
	}
	return len(p), nil
}

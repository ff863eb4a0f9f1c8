package smtp

import (
	"context"
	"encoding/base64"
	"io"
	"mime/quotedprintable"

	"github.com/telemed-go/telemed/notify"
)

// part is a body or a file of a mail.
type part struct {
	kind string // Content-Type
	more string // further fields of its header, each with its line end

	text   string // of a body
	base64 bool   // how the text is encoded, in place of quoted-printable

	file  *notify.File // nil for a body
	index int          // of the file
}

func (p *part) encoding() string {
	if p.base64 || p.file != nil {
		return "base64"
	}
	return "quoted-printable"
}

// render writes what comes behind the header that we write (RFC 2046, 5.1): bodies that say
// the same are alternatives, images lie beside the HTML that shows them, and files are
// attached to all that. It ends with a line end. The same letter comes out the same each time.
func (l *letter) render(ctx context.Context, w io.Writer) error {
	m := mimeWriter{ctx: ctx, l: l, w: w}
	mixed := m.open("mixed", len(l.attached) > 0)
	related := m.open("related", len(l.inline) > 0)
	alternative := m.open("alternative", len(l.bodies) > 1)
	m.parts(l.bodies)
	m.close(alternative)
	m.parts(l.inline)
	m.close(related)
	m.parts(l.attached)
	m.close(mixed)
	return m.err
}

// mimeWriter writes the parts of l to w, up to the first error.
type mimeWriter struct {
	ctx   context.Context
	l     *letter
	w     io.Writer
	err   error
	depth int // how many multiparts are open
}

func (m *mimeWriter) write(pieces ...string) {
	for _, piece := range pieces {
		if m.err == nil {
			_, m.err = io.WriteString(m.w, piece)
		}
	}
}

// boundary is that of the multipart at the given depth. No line of a part begins like it:
// neither encoding leaves a "=_" in a text.
func (m *mimeWriter) boundary(depth int) (prefix, number string) {
	return m.l.boundary, "123"[depth-1 : depth]
}

// open begins a multipart, if it is needed, and returns whether it was.
func (m *mimeWriter) open(kind string, needed bool) bool {
	if needed {
		m.delimit()
		m.depth++
		prefix, number := m.boundary(m.depth)
		m.write("Content-Type: multipart/", kind, ";\r\n boundary=\"", prefix, number, "\"\r\n")
	}
	return needed
}

// close ends a multipart that was opened.
func (m *mimeWriter) close(opened bool) {
	if opened {
		prefix, number := m.boundary(m.depth)
		m.write("\r\n--", prefix, number, "--\r\n")
		m.depth--
	}
}

// delimit begins the next part of the multipart that is open.
func (m *mimeWriter) delimit() {
	if m.depth > 0 {
		prefix, number := m.boundary(m.depth)
		m.write("\r\n--", prefix, number, "\r\n")
	}
}

func (m *mimeWriter) parts(parts []part) {
	for i := range parts {
		p := &parts[i]
		m.delimit()
		m.write("Content-Type: ", p.kind, "\r\nContent-Transfer-Encoding: ", p.encoding(), "\r\n", p.more, "\r\n")
		if m.err == nil {
			m.err = m.content(p)
		}
	}
}

func (m *mimeWriter) content(p *part) error {
	switch {
	case p.file == nil && !p.base64:
		return copyText(quotedprintable.NewWriter(m.w), p.text)
	case p.file == nil:
		return copyText(&base64Lines{w: m.w}, p.text)
	case m.l.counting:
		m.l.size += base64Length(fileSize(p.file))
		return nil
	}
	return m.l.copyFile(m.ctx, &base64Lines{w: m.w}, p)
}

// copyText encodes text piece by piece, so that it is not copied to memory of its own.
func copyText(w io.WriteCloser, text string) error {
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	piece := (*buffer)[:cap(*buffer)]
	for text != "" {
		n := copy(piece, text)
		if _, err := w.Write(piece[:n]); err != nil {
			return err
		}
		text = text[n:]
	}
	return w.Close()
}

// bytesPerLine of a file are the 76 letters of a line of base64 (RFC 2045, 6.8).
const bytesPerLine = 57

// base64Lines encodes to w, in lines that each have their end.
type base64Lines struct {
	w    io.Writer
	err  error // of w
	rest [bytesPerLine]byte
	n    int // how much there is of rest, the beginning of a line
	out  [16 * (76 + 2)]byte
}

func (e *base64Lines) Write(p []byte) (int, error) {
	taken := len(p)
	if e.n > 0 {
		n := copy(e.rest[e.n:], p)
		e.n += n
		p = p[n:]
		if e.n < bytesPerLine {
			return taken, e.err
		}
		e.encode(e.rest[:])
	}
	whole := len(p) - len(p)%bytesPerLine
	e.encode(p[:whole])
	e.n = copy(e.rest[:], p[whole:])
	return taken, e.err
}

// Close writes the last line, which may be a short one.
func (e *base64Lines) Close() error {
	e.encode(e.rest[:e.n])
	return e.err
}

// encode writes whole lines, and a last one that may be short.
func (e *base64Lines) encode(p []byte) {
	for len(p) > 0 && e.err == nil {
		out := e.out[:0]
		for len(p) > 0 && len(out) < len(e.out) {
			n := min(len(p), bytesPerLine)
			out = append(base64.StdEncoding.AppendEncode(out, p[:n]), '\r', '\n')
			p = p[n:]
		}
		_, e.err = e.w.Write(out)
	}
}

// base64Length is how long n bytes are in such lines.
func base64Length(n int64) int64 {
	return (n+2)/3*4 + (n+bytesPerLine-1)/bytesPerLine*2
}

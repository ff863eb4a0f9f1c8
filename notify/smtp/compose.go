package smtp

import (
	"cmp"
	"context"
	"encoding/base64"
	"math/bits"
	"mime"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"github.com/telemed-go/telemed/notify"
)

// compose makes the MIME message: its header in header.go, its parts in mime.go.
func (c *Client) compose(ctx context.Context, msg notify.Message, content *notify.Content, now time.Time) (*letter, error) {
	l := &letter{from: wireAddress(c.from.Address), to: wireAddress(msg.To.Email), id: c.ids.of(msg)}
	l.envelopeOf(c, cmp.Or(msg.Mail, noMail))
	token, _, _ := strings.Cut(l.id[1:], "@")
	l.boundary = "=_" + token
	l.addBodies(content)
	for i := range content.Files {
		l.addFile(i, &content.Files[i])
	}
	begin := func(h *header) { c.writeHeader(h, l, msg, content.Subject, now) }
	if c.cfg.Sign == nil {
		_ = l.measure(ctx, begin, nil) // it has no error
		return l, nil
	}
	if err := l.sign(ctx, c.cfg.Sign, begin); err != nil {
		l.free()
		return nil, err
	}
	return l, nil
}

// addBodies adds the same message as text, HTML and invitation: the last that a
// mail program understands is what it shows, so the richest comes last.
func (l *letter) addBodies(content *notify.Content) {
	text := unixLines(content.Text)
	if !strings.HasSuffix(text, "\n") {
		text += "\n" // a mail ends with a whole line
	}
	l.bodies = append(make([]part, 0, 2), textPart("text/plain; charset=UTF-8", text))
	if content.HTML != "" {
		l.bodies = append(l.bodies, textPart("text/html; charset=UTF-8", unixLines(content.HTML)))
	}
	for _, file := range content.Files {
		if kind, ok := calendarType(file); ok && file.Open == nil && file.ContentID == "" {
			l.bodies = append(l.bodies, part{kind: kind, text: string(file.Data), base64: true})
		}
	}
}

// calendarType returns the content type of an invitation. A file is also shown as one only
// if it says a method, as mail programs ask for.
func calendarType(file notify.File) (string, bool) {
	media, params, err := mime.ParseMediaType(file.ContentType)
	if err != nil || media != "text/calendar" || params["method"] == "" || !utf8.Valid(file.Data) {
		return "", false
	}
	if charset := strings.ToLower(params["charset"]); charset != "" && charset != "utf-8" && charset != "us-ascii" {
		return "", false
	}
	params["charset"] = "UTF-8"
	return mime.FormatMediaType(media, params), true
}

// addFile attaches a file, or puts an image beside the HTML that shows it.
func (l *letter) addFile(i int, file *notify.File) {
	l.weigh(file)
	media, params, _ := mime.ParseMediaType(file.ContentType) // Validate has parsed it before
	p := part{kind: mime.FormatMediaType(media, params), file: file, index: i}
	name := map[string]string{"filename": file.Name}
	if file.ContentID == "" {
		p.more = "Content-Disposition: " + mime.FormatMediaType("attachment", name) + "\r\n"
		l.attached = append(l.attached, p)
		return
	}
	p.more = "Content-Disposition: " + mime.FormatMediaType("inline", name) + "\r\nContent-ID: <" + file.ContentID + ">\r\n"
	l.inline = append(l.inline, p)
}

// unixLines returns text with lines that end by \n alone: a lone \r is a line's end too.
func unixLines(text string) string {
	if !strings.Contains(text, "\r") {
		return text
	}
	return strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
}

// textPart keeps Latin text readable on the wire, and Hindi short: in quoted-printable a
// Devanagari letter takes nine bytes, in base64 four. At a quarter base64 is shorter by a
// tenth. Quoted-printable ends lines as a mail does by itself.
func textPart(kind, text string) part {
	if bytesBeyondASCII(text) > len(text)/4 {
		return part{kind: kind, text: strings.ReplaceAll(text, "\n", "\r\n"), base64: true}
	}
	return part{kind: kind, text: text}
}

// formatAddress writes an address with its display name. The address is from
// ValidEmail, so it needs no quoting.
func formatAddress(name, address string) string {
	switch {
	case name == "":
		return address
	case plain(name):
		return `"` + name + `" <` + address + ">"
	}
	return encodeWords("Reply-To", name) + " <" + address + ">"
}

// plain reports whether text can stand in a header, also between quotes, as it
// is: it survives folding at its spaces, and nothing in it reads as an encoded word.
func plain(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return !strings.Contains(text, "=?") && !strings.Contains(text, "  ") && strings.TrimSpace(text) == text
}

// encodeWords writes text as encoded words (RFC 2047) of whole runes, with spaces to fold
// at between them. The first fits on a line of 76 octets behind the header's name, and so do
// all others on a line of their own.
func encodeWords(name, text string) string {
	const around = len(": =?UTF-8?B??=")
	chunk := min(39, (76-around-len(name))/4*3) // bytes: three are four in base64
	var words []string
	for len(text) > 0 {
		end := min(chunk, len(text))
		for end < len(text) && !utf8.RuneStart(text[end]) {
			end--
		}
		words = append(words, "=?UTF-8?B?"+base64.StdEncoding.EncodeToString([]byte(text[:end]))+"?=")
		text = text[end:]
	}
	return strings.Join(words, " ")
}

// asciiDomain returns a domain in the letters that every server takes, or one that stands
// in for it, if it has none.
func asciiDomain(domain string) string {
	if domain, ok := aLabels(domain); ok {
		return domain
	}
	return "mail.invalid"
}

// wireAddress writes the domain of an address as every server takes it. Only a local part
// beyond ASCII needs SMTPUTF8, and then the domain stays as it is too.
func wireAddress(address string) string {
	at := strings.LastIndexByte(address, '@')
	if isASCII(address) || !isASCII(address[:at]) {
		return address
	}
	if domain, ok := aLabels(address[at+1:]); ok {
		return address[:at+1] + domain
	}
	return address
}

// aLabels returns a domain in the ASCII of https://www.rfc-editor.org/rfc/rfc5891.
func aLabels(domain string) (string, bool) {
	if isASCII(domain) {
		return domain, true
	}
	domain, err := idna.Lookup.ToASCII(domain)
	return domain, err == nil
}

func isASCII(text string) bool { return bytesBeyondASCII(text) == 0 }

// bytesBeyondASCII counts them, eight at once.
func bytesBeyondASCII(text string) (n int) {
	const highBits = 0x8080808080808080
	for ; len(text) >= 8; text = text[8:] {
		p := text[:8]
		word := uint64(p[0]) | uint64(p[1])<<8 | uint64(p[2])<<16 | uint64(p[3])<<24 |
			uint64(p[4])<<32 | uint64(p[5])<<40 | uint64(p[6])<<48 | uint64(p[7])<<56
		n += bits.OnesCount64(word & highBits)
	}
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			n++
		}
	}
	return n
}

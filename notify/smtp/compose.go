package smtp

import (
	"cmp"
	"context"
	"encoding/base64"
	"io"
	"mime"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"gopkg.in/gomail.v2"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/notify"
)

// compose makes the MIME message. The header of the mail is written here, see header.go;
// gomail nests and encodes the parts. What it trusts its caller with is settled before:
// content types are ASCII, file names are RFC 2231 parameters of our own, and what it
// writes to does not fail, so that it cannot send half a message: see letter.
func (c *Client) compose(ctx context.Context, msg notify.Message, content *notify.Content, now time.Time) (l *letter, err error) {
	defer func() {
		if cause := recover(); cause != nil { // its text could hold the message
			l, err = nil, failed("compose", telemed.ErrInvalid, "the message cannot be composed")
		}
	}()
	l = &letter{from: wireAddress(c.from.Address), to: wireAddress(msg.To.Email), id: c.ids.of(msg)}
	l.envelopeOf(c, cmp.Or(msg.Mail, noMail))
	m := gomail.NewMessage()
	m.SetDateHeader("Date", now)
	addBodies(m, content)
	for i := range content.Files {
		addFile(m, l, i, &content.Files[i])
	}
	l.mime = m
	begin := func(h *header) { c.writeHeader(h, l, msg, content.Subject) }
	if c.cfg.Sign != nil {
		if err := l.sign(ctx, c.cfg.Sign, begin); err != nil {
			return nil, err
		}
	} else if !l.measure(begin, nil) {
		return nil, failed("compose", telemed.ErrInvalid, "the message cannot be composed")
	}
	return l, nil
}

// addBodies adds the same message as text, HTML and invitation: the last that a
// mail program understands is what it shows, so the richest comes last.
func addBodies(m *gomail.Message, content *notify.Content) {
	text := unixLines(content.Text)
	if !strings.HasSuffix(text, "\n") {
		text += "\r\n" // a mail ends with a whole line
	}
	body, encoding := bodyOf(text)
	m.SetBody("text/plain", body, encoding)
	if content.HTML != "" {
		body, encoding := bodyOf(unixLines(content.HTML))
		m.AddAlternative("text/html", body, encoding)
	}
	for _, file := range content.Files {
		if kind, ok := calendarType(file); ok && file.Open == nil && file.ContentID == "" {
			m.AddAlternative(kind, string(file.Data), gomail.SetPartEncoding(gomail.Base64))
		}
	}
}

// calendarType returns the content type of an invitation as gomail wants it,
// which is without the charset: it adds UTF-8 itself. A file is also shown as
// invitation only if it says a method, as mail programs ask for.
func calendarType(file notify.File) (string, bool) {
	media, params, err := mime.ParseMediaType(file.ContentType)
	if err != nil || media != "text/calendar" || params["method"] == "" || !utf8.Valid(file.Data) {
		return "", false
	}
	if charset := strings.ToLower(params["charset"]); charset != "" && charset != "utf-8" && charset != "us-ascii" {
		return "", false
	}
	delete(params, "charset")
	return mime.FormatMediaType(media, params), true
}

// addFile attaches a file, or puts an image beside the HTML that shows it.
func addFile(m *gomail.Message, l *letter, i int, file *notify.File) {
	add, disposition := m.Attach, "attachment"
	if file.ContentID != "" {
		add, disposition = m.Embed, "inline"
	}
	media, params, _ := mime.ParseMediaType(file.ContentType) // Validate has parsed it before
	header := map[string][]string{
		"Content-Type":              {mime.FormatMediaType(media, params)},
		"Content-Disposition":       {mime.FormatMediaType(disposition, map[string]string{"filename": file.Name})},
		"Content-Transfer-Encoding": {string(gomail.Base64)},
	}
	if file.ContentID != "" {
		header["Content-ID"] = []string{"<" + file.ContentID + ">"}
	}
	l.weigh(file)
	add("file", gomail.SetHeader(header), gomail.SetCopyFunc(func(w io.Writer) error {
		l.copyFile(w, i, file)
		return nil
	}))
}

// lines gives text the line ends of a mail, CRLF, whatever it had.
func lines(text string) string {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	text = strings.ReplaceAll(text, "\r", "\n")
	return strings.ReplaceAll(text, "\n", "\r\n")
}

// unixLines returns text with lines that end by \n alone: a lone \r is a line's end too.
func unixLines(text string) string {
	if !strings.Contains(text, "\r") {
		return text
	}
	return strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
}

// bodyOf keeps Latin text readable on the wire, and Hindi short: in quoted-printable a
// Devanagari letter takes nine bytes, in base64 four. At a quarter base64 is shorter by a
// tenth; below, it is not worth its cost, which is an allocation for each line. Quoted-printable
// ends lines as a mail does by itself.
func bodyOf(text string) (string, gomail.PartSetting) {
	if bytesBeyondASCII(text) > len(text)/4 {
		return lines(text), gomail.SetPartEncoding(gomail.Base64)
	}
	return text, gomail.SetPartEncoding(gomail.QuotedPrintable)
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

// bytesBeyondASCII counts them. It passes over eight bytes of ASCII at once.
func bytesBeyondASCII(text string) (n int) {
	for len(text) >= 8 {
		p := text[:8]
		text = text[8:]
		if p[0]|p[1]|p[2]|p[3]|p[4]|p[5]|p[6]|p[7] >= utf8.RuneSelf {
			n += oneByOne(p)
		}
	}
	return n + oneByOne(text)
}

func oneByOne(text string) (n int) {
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			n++
		}
	}
	return n
}

package smtp

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/notify"
)

// header is the beginning of a mail, which is written into line.
type header struct{ line []byte }

// maxLine is how long a line should be (RFC 5322, 2.1.1), and may be with encoded words.
const maxLine = 76

// field writes a header, folded at spaces. The value is ASCII on one line without two
// spaces in a row or at an end.
func (h *header) field(name, value string) {
	h.line = append(append(h.line, name...), ':')
	h.line = h.words(len(name)+1, value)
	h.line = append(h.line, "\r\n"...)
}

// words writes a space and value, on a line that has so many bytes already.
func (h *header) words(column int, value string) []byte {
	line := h.line
	for first := true; value != ""; first = false {
		word, rest, _ := strings.Cut(value, " ")
		if !first && column+1+len(word) > maxLine {
			line = append(line, "\r\n"...)
			column = 0
		}
		line = append(append(line, ' '), word...)
		column += 1 + len(word)
		value = rest
	}
	return line
}

// text writes a header of words, which are encoded if they must be.
func (h *header) text(name, text string, plain bool) {
	if !plain {
		text = encodeWords(name, text)
	}
	h.field(name, text)
}

// writeHeader writes the header, but for what belongs to the parts, which comes behind it.
// It begins with a field that is the same for all: see envelope.
func (c *Client) writeHeader(h *header, l *letter, msg notify.Message, subject string, now time.Time) {
	h.field("MIME-Version", "1.0")
	h.field("Date", now.Format(time.RFC1123Z))
	h.field("Message-ID", l.id)
	h.field("From", formatAddress(c.from.Name, l.from))
	h.field("To", formatAddress(msg.To.Name, l.to))
	h.text("Subject", subject, plain(subject))
	m := cmp.Or(msg.Mail, noMail)
	if replyTo, _ := c.answersTo(m); replyTo.Email != "" {
		h.field("Reply-To", formatAddress(replyTo.Name, wireAddress(replyTo.Email)))
	}
	if len(m.Cc) > 0 {
		h.field("Cc", formatAddresses(m.Cc))
	}
	if c.reference.name != "" {
		h.field(c.reference.name, c.reference.value(msg))
	}
	h.unsubscribe(m)
	h.own(m.Header)
}

// answersTo is where answers go, and the field that says so.
func (c *Client) answersTo(m *notify.Mail) (to notify.Recipient, field string) {
	switch {
	case m.ReplyTo.Email != "":
		return m.ReplyTo, "Mail.ReplyTo.Email"
	case c.replyTo != nil:
		return notify.Recipient{Name: c.replyTo.Name, Email: c.replyTo.Address}, "ReplyTo"
	}
	return notify.Recipient{}, ""
}

func formatAddresses(to []notify.Recipient) string {
	list := make([]string, len(to))
	for i, r := range to {
		list[i] = formatAddress(r.Name, wireAddress(r.Email))
	}
	return strings.Join(list, ", ")
}

func (h *header) unsubscribe(m *notify.Mail) {
	if len(m.Unsubscribe) > 0 {
		h.field("List-Unsubscribe", "<"+strings.Join(m.Unsubscribe, ">, <")+">")
	}
	if m.OneClick {
		h.field("List-Unsubscribe-Post", "List-Unsubscribe=One-Click")
	}
}

// own writes the application's headers, in the order of their names, and that no vacation
// notice is wanted in return (RFC 3834), unless the application says something else of it.
func (h *header) own(header map[string]string) {
	automatic := false
	for _, name := range slices.Sorted(maps.Keys(header)) {
		automatic = automatic || strings.EqualFold(name, "Auto-Submitted")
		value := header[name]
		h.text(name, value, plainHeader(value) && strings.TrimSpace(value) == value)
	}
	if !automatic {
		h.field("Auto-Submitted", "auto-generated")
	}
}

// checkHeader refuses the name that Config.ReferenceHeader has.
func (c *Client) checkHeader(m *notify.Mail) error {
	if m == nil || c.reference.name == "" {
		return nil
	}
	for name := range m.Header {
		if strings.EqualFold(name, c.reference.name) {
			return fault.Invalid("smtp", "Mail.Header["+name+"]", "is the name of Config.ReferenceHeader")
		}
	}
	return nil
}

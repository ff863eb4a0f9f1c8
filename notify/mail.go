package notify

import (
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/telemed-go/telemed/internal/fault"
)

// Mail is what an e-mail has besides its words and its recipient. Other channels do not
// look at it. Its zero value adds nothing.
type Mail struct {
	// Cc get the same mail, and everybody sees their names and addresses. Bcc get it too, and
	// nobody sees that they do. Only Name and Email of them are looked at. At most 99
	// together. Who is there twice, or is To, gets one mail.
	//
	// If To is refused nobody gets the mail. If one of these is refused the others get it,
	// and Receipt.Refused names who does not. A local part beyond ASCII that the server does
	// not take is ErrInvalid, for it stands in the header too.
	Cc, Bcc []Recipient
	// ReplyTo is where answers go, by Name and Email. If zero, where the channel's Config says.
	ReplyTo Recipient
	// BounceTo is the envelope's sender, a bare address that is told if the mail cannot be
	// delivered after all. If empty, the one that the channel's Config says.
	BounceTo string

	// Unsubscribe is how the recipient ends such mails, the best way first: an "https" or a
	// "mailto" URI each, at most four, for the header List-Unsubscribe of
	// https://www.rfc-editor.org/rfc/rfc2369.
	Unsubscribe []string
	// OneClick says that the one https URI of Unsubscribe takes a POST with the body
	// "List-Unsubscribe=One-Click" and asks nothing back:
	// https://www.rfc-editor.org/rfc/rfc8058. Mailbox providers ask for it, and for a DKIM
	// signature that covers both headers.
	OneClick bool

	// Header holds headers of the application's own, of one line of at most 900 bytes each.
	// A name begins with "X-" or is one of Auto-Submitted, Feedback-ID, Importance,
	// In-Reply-To, List-Id, Organization, Precedence, Priority and References, in any case.
	// Those with "X-" and Organization take any text, which is encoded if it must be; the
	// others take printable ASCII.
	Header map[string]string
}

// The limits of a Mail. A header of one word stays under the 998 octets of RFC 5322, and
// its name leaves room for an encoded word on a line of 76.
const (
	maxCopies      = 99
	maxUnsubscribe = 4
	maxHeaderName  = 40
	maxHeader      = 900
)

func (m *Mail) problems(p *fault.Problems) {
	if m == nil {
		return
	}
	copies(p, "Mail.Cc", m.Cc)
	copies(p, "Mail.Bcc", m.Bcc)
	p.Check(len(m.Cc)+len(m.Bcc) <= maxCopies, "Mail.Bcc", "is, with Cc, of more than %d recipients", maxCopies)
	checkLine(p, "Mail.ReplyTo.Name", m.ReplyTo.Name, maxName)
	p.Check(m.ReplyTo.Email != "" || m.ReplyTo.Name == "", "Mail.ReplyTo.Email", "is required with a name")
	p.Check(m.ReplyTo.Email == "" || ValidEmail(m.ReplyTo.Email), "Mail.ReplyTo.Email", "is not a bare e-mail address")
	p.Check(m.BounceTo == "" || ValidEmail(m.BounceTo), "Mail.BounceTo", "is not a bare e-mail address")
	m.unsubscribeProblems(p)
	m.headerProblems(p)
}

func copies(p *fault.Problems, field string, to []Recipient) {
	for i, r := range to {
		path := field + "[" + strconv.Itoa(i) + "]"
		checkLine(p, path+".Name", r.Name, maxName)
		p.Check(ValidEmail(r.Email), path+".Email", "is not a bare e-mail address")
	}
}

func (m *Mail) unsubscribeProblems(p *fault.Problems) {
	p.Check(len(m.Unsubscribe) <= maxUnsubscribe, "Mail.Unsubscribe", "has more than %d URIs", maxUnsubscribe)
	web := 0
	for i, uri := range m.Unsubscribe {
		scheme, ok := unsubscribeScheme(uri)
		p.Check(ok, "Mail.Unsubscribe["+strconv.Itoa(i)+"]", "is not an https or mailto URI in ASCII without spaces, commas and angle brackets")
		if ok && scheme == "https" {
			web++
		}
	}
	p.Check(!m.OneClick || web == 1, "Mail.OneClick", "needs exactly one https URI in Unsubscribe")
}

func unsubscribeScheme(uri string) (string, bool) {
	if len(uri) > maxHeader || strings.IndexFunc(uri, func(r rune) bool { return r <= ' ' || r > '~' }) >= 0 || strings.ContainsAny(uri, "<>,\"\\") {
		return "", false
	}
	u, err := url.Parse(uri)
	if err != nil {
		return "", false
	}
	switch u.Scheme {
	case "https":
		return u.Scheme, u.Hostname() != "" && u.User == nil
	case "mailto":
		address, err := url.PathUnescape(u.Opaque)
		return u.Scheme, err == nil && ValidEmail(address)
	}
	return "", false
}

var ownHeader = regexp.MustCompile(`^[Xx]-[A-Za-z0-9_-]+$`)

// The headers beside X-… that may be set, in lower case. All others are the composer's, the
// transport's, or a signature's.
var (
	plainHeaders = []string{
		"auto-submitted", "feedback-id", "importance", "in-reply-to", "list-id", "precedence", "priority", "references",
	}
	wordHeaders = []string{"organization"}
)

func (m *Mail) headerProblems(p *fault.Problems) {
	seen := map[string]bool{}
	for name, value := range m.Header {
		lower := strings.ToLower(name)
		own := ownHeader.MatchString(name) || slices.Contains(wordHeaders, lower)
		if len(name) > maxHeaderName || !own && !slices.Contains(plainHeaders, lower) {
			// The name is not quoted: it may be anything.
			p.Add("Mail.Header", `has a name that neither begins with "X-" nor is one of those that may be set`)
			continue
		}
		field := "Mail.Header[" + name + "]"
		p.Check(!seen[lower], field, "is there twice")
		seen[lower] = true
		p.Check(strings.TrimSpace(value) != "", field, "is empty")
		checkLine(p, field, value, maxHeader)
		p.Check(own || plainValue(value), field, "is not printable ASCII with single spaces")
	}
}

// plainValue reports whether a header's value survives folding, and nobody decodes it.
func plainValue(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return !strings.Contains(text, "=?") && !strings.Contains(text, "  ") && strings.TrimSpace(text) == text
}

package notify

import (
	"mime"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/telemed-go/telemed/internal/fault"
)

var userIDPattern = regexp.MustCompile(`^[A-Z]{2}\.[A-Za-z0-9.]{1,128}$`)

// The limits that Validate holds, in bytes. They keep every header line of an
// e-mail under the 998 octets that RFC 5322 allows.
const (
	maxKey      = 512
	maxName     = 256
	maxSubject  = 500
	maxFileName = 200
	maxType     = 200
)

// Validate reports everything that is wrong with m for channel c, or nil. The error
// matches telemed.ErrInvalid, names each field by a *telemed.FieldError ("To.Email") and
// holds no value of one. Content is checked too, if it is given; Template and Data are
// the Renderer's to check.
func (m Message) Validate(c Channel) error {
	var p fault.Problems
	p.Required("Key", m.Key)
	p.Check(len(m.Key) <= maxKey, "Key", "is longer than %d bytes", maxKey)
	p.Check(m.Content != nil || m.Template != "", "Template", "is required if there is no Content")
	checkLine(&p, "To.Name", m.To.Name, maxName)
	switch c {
	case Email:
		p.Required("To.Email", m.To.Email)
		p.Check(m.To.Email == "" || ValidEmail(m.To.Email), "To.Email", "is not a bare e-mail address")
		m.Mail.problems(&p)
	case WhatsApp:
		p.Check(m.To.Phone != "" || m.To.WhatsAppUserID != "", "To.Phone", "is required")
		p.Check(m.To.WhatsAppUserID == "" || userIDPattern.MatchString(m.To.WhatsAppUserID), "To.WhatsAppUserID", "is no user id of Meta's")
		p.Check(m.To.Phone == "" || ValidPhone(m.To.Phone), "To.Phone", "is not an E.164 number")
	}
	if m.Content != nil {
		m.Content.problems(&p, c)
	}
	return p.Err("notify")
}

// Validate reports everything that is wrong with c as the content of a message
// on the channel, or nil; leaves call it on what a Renderer made. The error is
// like that of [Message.Validate], and its fields begin with "Content."; for a nil c
// it is "Template", which rendered to nothing.
func (c *Content) Validate(channel Channel) error {
	var p fault.Problems
	if c == nil {
		p.Add("Template", "renders to nothing")
	} else {
		c.problems(&p, channel)
	}
	return p.Err("notify")
}

func (c *Content) problems(p *fault.Problems, channel Channel) {
	switch channel {
	case Email:
		p.Required("Content.Subject", c.Subject)
		checkLine(p, "Content.Subject", c.Subject, maxSubject)
		p.Required("Content.Text", c.Text)
		p.Check(utf8.ValidString(c.Text), "Content.Text", "is not UTF-8")
		p.Check(utf8.ValidString(c.HTML), "Content.HTML", "is not UTF-8")
		for i, file := range c.Files {
			file.problems(p, "Content.Files["+strconv.Itoa(i)+"]")
		}
		c.inlineProblems(p)
	case WhatsApp:
		if c.WhatsApp == nil {
			p.Add("Content.WhatsApp", "is required")
			return
		}
		p.Check(templateName(c.WhatsApp.Name), "Content.WhatsApp.Name", "is not lower-case letters, digits and underscores")
		p.Required("Content.WhatsApp.Language", c.WhatsApp.Language)
	}
}

func (f File) problems(p *fault.Problems, path string) {
	p.Required(path+".Name", f.Name)
	checkLine(p, path+".Name", f.Name, maxFileName)
	p.Check(!strings.ContainsAny(f.Name, `/\`), path+".Name", "has a slash or backslash")
	p.Check(validType(f.ContentType), path+".ContentType", "is not the MIME type of a file")
	p.Check(f.Open == nil || len(f.Data) == 0, path+".Data", "is there together with Open")
	p.Check(f.Open == nil || f.Size >= 0, path+".Size", "is negative")
	p.Check(f.Open == nil || f.Size <= maxFile, path+".Size", "is more than %d", int64(maxFile))
	p.Check(f.Open != nil || f.Size == 0, path+".Open", "is required with a Size: it may have been lost in a queue")
}

// maxFile is more than any server takes. It keeps sums of sizes from overflowing.
const maxFile = 1 << 40

var contentID = regexp.MustCompile(`^[A-Za-z0-9._+@-]{1,100}$`)

func (c *Content) inlineProblems(p *fault.Problems) {
	seen := map[string]bool{}
	for i, file := range c.Files {
		if file.ContentID == "" {
			continue
		}
		path := "Content.Files[" + strconv.Itoa(i) + "].ContentID"
		p.Check(contentID.MatchString(file.ContentID), path, "is not 1 to 100 letters, digits and marks of ._+@-")
		p.Check(!seen[file.ContentID], path, "is there twice")
		p.Check(c.HTML != "", path, "needs HTML that shows it")
		seen[file.ContentID] = true
	}
}

// checkLine refuses what may not stand in a header: it is one line of UTF-8 text.
func checkLine(p *fault.Problems, field, value string, limit int) {
	p.Check(len(value) <= limit, field, "is longer than %d bytes", limit)
	p.Check(utf8.ValidString(value), field, "is not UTF-8")
	p.Check(strings.IndexFunc(value, breaksLine) < 0, field, "has a control character or line break")
}

// breaksLine finds controls, the line and paragraph separators of Unicode, and
// the marks that reverse the direction of what follows: they make "fdp.exe" of "exe.pdf".
func breaksLine(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' ||
		(r >= '\u202a' && r <= '\u202e') || (r >= '\u2066' && r <= '\u2069')
}

// validType accepts a type and parameters in printable ASCII. A multipart or
// message type would need a structure of its own inside.
func validType(text string) bool {
	if len(text) > maxType || strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) >= 0 {
		return false
	}
	media, params, err := mime.ParseMediaType(text)
	if err != nil || strings.HasPrefix(media, "multipart/") || strings.HasPrefix(media, "message/") {
		return false
	}
	kind, sub, ok := strings.Cut(media, "/")
	if !ok || kind == "" || sub == "" {
		return false
	}
	for _, value := range params {
		if !utf8.ValidString(value) || strings.IndexFunc(value, breaksLine) >= 0 {
			return false
		}
	}
	return mime.FormatMediaType(media, params) != ""
}

func templateName(name string) bool {
	if name == "" || len(name) > 512 {
		return false
	}
	for _, r := range name {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' {
			return false
		}
	}
	return true
}

// ValidPhone reports whether text is an E.164 number as this module takes it:
// a plus sign, a digit from 1 to 9, and 6 to 14 digits more; no spaces.
func ValidPhone(text string) bool {
	digits, plus := strings.CutPrefix(text, "+")
	if !plus || len(digits) < 7 || len(digits) > 15 || digits[0] == '0' {
		return false
	}
	for i := range len(digits) {
		if digits[i] < '0' || digits[i] > '9' {
			return false
		}
	}
	return true
}

// ValidEmail reports whether text is a bare e-mail address, local@domain, that
// a mail server can be asked to deliver to. Letters beyond ASCII are allowed
// (RFC 6531); quoted local parts, comments and address literals are not.
func ValidEmail(text string) bool {
	at := strings.LastIndexByte(text, '@')
	if at < 0 || len(text) > 254 || !utf8.ValidString(text) {
		return false
	}
	local, domain := text[:at], text[at+1:]
	return len(local) <= 64 && validLocal(local) && validDomain(domain)
}

func validLocal(local string) bool {
	for atom := range strings.SplitSeq(local, ".") {
		if atom == "" || strings.IndexFunc(atom, func(r rune) bool { return !inAtom(r) }) >= 0 {
			return false
		}
	}
	return true
}

func inAtom(r rune) bool {
	if r >= utf8.RuneSelf {
		return unicode.IsGraphic(r) && !unicode.IsSpace(r)
	}
	return isAlphanumeric(r) || strings.ContainsRune("!#$%&'*+-/=?^_`{|}~", r)
}

func validDomain(domain string) bool {
	for label := range strings.SplitSeq(domain, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, r := range label {
			beyond := r >= utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsDigit(r))
			if !beyond && !isAlphanumeric(r) && r != '-' {
				return false
			}
		}
	}
	return true
}

func isAlphanumeric(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

package smtp

import (
	"regexp"
	"strings"

	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/notify"
)

// referenceMark is where the reference stands in Config.ReferenceHeader.
const referenceMark = "%s"

// maxReferenceHeader keeps the line under the 998 octets of RFC 5322.
const maxReferenceHeader = 200

// referenceName is a header that no standard gives a meaning: nothing that a mail program
// or a signature looks at can be set by it.
var referenceName = regexp.MustCompile(`^[Xx]-[A-Za-z0-9_-]+$`)

// reference is a header that holds a message's reference. Its zero value is none.
type reference struct{ name, format string }

// checkReference reads Config.ReferenceHeader.
func checkReference(p *fault.Problems, header string) reference {
	if header == "" {
		return reference{}
	}
	name, format, whole := strings.Cut(header, ":")
	if !whole {
		format = referenceMark
	}
	format = strings.TrimSpace(format)
	p.Check(len(header) <= maxReferenceHeader, "ReferenceHeader", "is longer than %d bytes", maxReferenceHeader)
	p.Check(referenceName.MatchString(name), "ReferenceHeader", `is not the name of a header of its own, like "X-Mailin-Tag"`)
	p.Check(strings.Count(format, referenceMark) == 1, "ReferenceHeader", "does not have one %s behind its colon", referenceMark)
	p.Check(plainHeader(header), "ReferenceHeader", "is not printable ASCII, or has two spaces in a row")
	return reference{name, format}
}

// plainHeader reports whether text can stand in a header as it is, also folded.
func plainHeader(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return !strings.Contains(text, "=?") && !strings.Contains(text, "  ")
}

// value is the header's for a message.
func (r reference) value(msg notify.Message) string {
	return strings.Replace(r.format, referenceMark, notify.Reference(msg.Key), 1)
}

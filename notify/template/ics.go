package template

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// invite is one calendar entry as iTIP sends it (RFC 5545, RFC 5546).
type invite struct {
	uid, summary, description, url string
	start, end, stamp              time.Time
	sequence                       int
	cancelled                      bool
	organizer, organizerName       string // a mail address; if empty, nobody who could be answered
	attendee, attendeeName         string // a mail address; if empty, none
}

// uid identifies an appointment for calendars. The clinic is in it because two
// clinics' appointments may have the same key. The doctor's entry is another one than the
// patient's: both may be in one calendar, and say different things.
func uid(clinic, key string, doctors bool) string {
	what := "telemed appointment\x00"
	if doctors {
		what = "telemed appointment of a doctor\x00"
	}
	sum := sha256.Sum256([]byte(what + clinic + "\x00" + key))
	return hex.EncodeToString(sum[:16]) + "@telemed.invalid"
}

func (v *invite) method() string {
	if v.cancelled {
		return "CANCEL"
	}
	return "REQUEST"
}

// encode writes the calendar file.
func (v *invite) encode() []byte {
	var c calendar
	c.line("BEGIN", "VCALENDAR")
	c.line("VERSION", "2.0")
	c.line("PRODID", "-//telemed//notify//EN")
	c.line("METHOD", v.method())
	c.line("BEGIN", "VEVENT")
	c.line("UID", v.uid)
	c.line("SEQUENCE", strconv.Itoa(v.sequence))
	c.line("DTSTAMP", utc(v.stamp))
	c.line("LAST-MODIFIED", utc(v.stamp))
	c.line("DTSTART", utc(v.start))
	c.line("DTEND", utc(v.end))
	c.line("SUMMARY", escape(v.summary))
	c.line("DESCRIPTION", escape(v.description))
	if v.url != "" {
		c.line("LOCATION", escape(v.url))
		c.line("URL", v.url)
	}
	c.line("ORGANIZER"+named(v.organizerName), mailto(v.organizer))
	if v.attendee != "" {
		c.line("ATTENDEE;ROLE=REQ-PARTICIPANT;PARTSTAT=ACCEPTED;RSVP=FALSE"+named(v.attendeeName), mailto(v.attendee))
	}
	c.line("STATUS", map[bool]string{false: "CONFIRMED", true: "CANCELLED"}[v.cancelled])
	if !v.cancelled {
		c.alarm(v.summary)
	}
	c.line("END", "VEVENT")
	c.line("END", "VCALENDAR")
	return []byte(c.String())
}

// alarm rings 15 minutes before the start.
func (c *calendar) alarm(summary string) {
	c.line("BEGIN", "VALARM")
	c.line("ACTION", "DISPLAY")
	c.line("DESCRIPTION", escape(summary))
	c.line("TRIGGER", "-PT15M")
	c.line("END", "VALARM")
}

func utc(t time.Time) string { return t.UTC().Format("20060102T150405Z") }

// mailto returns an address as a URI. The protocol demands an organizer; one
// without an address is written as calendars write it that have none to give.
func mailto(address string) string {
	if address == "" {
		return "invalid:nomail"
	}
	return "mailto:" + uriEscapes.Replace(address)
}

// uriEscapes keeps a local part from being read as something else than an address (RFC
// 6068).
var uriEscapes = strings.NewReplacer("%", "%25", "?", "%3F", "#", "%23", "&", "%26")

// named returns the parameter that shows a name for an address.
func named(name string) string {
	if name == "" {
		return ""
	}
	// Escaped by RFC 6868.
	return `;CN="` + strings.NewReplacer("^", "^^", `"`, "^'", "\n", "^n").Replace(clean(name)) + `"`
}

var textEscapes = strings.NewReplacer(`\`, `\\`, ";", `\;`, ",", `\,`, "\n", `\n`)

// escape writes a value of type TEXT (RFC 5545, 3.3.11).
func escape(text string) string { return textEscapes.Replace(clean(text)) }

// clean makes CRLF a LF and drops what no content line may hold.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' || r == utf8.RuneError {
			return -1
		}
		return r
	}, text)
}

// calendar collects content lines.
type calendar struct{ strings.Builder }

// line writes a content line, folded so that no line is longer than 75 octets
// and no character is cut (RFC 5545, 3.1).
func (c *calendar) line(name, value string) {
	rest, room := name+":"+value, 75
	for len(rest) > room {
		cut := room
		for !utf8.RuneStart(rest[cut]) {
			cut--
		}
		c.WriteString(rest[:cut])
		c.WriteString("\r\n ")
		rest, room = rest[cut:], 74 // the space counts
	}
	c.WriteString(rest)
	c.WriteString("\r\n")
}

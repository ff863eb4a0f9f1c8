package template

import (
	"strings"
	"time"
)

// Page is the dot of every template.
type Page struct {
	// Data is the message's, as the application gave it.
	Data any
	// To is the recipient's name. May be empty.
	To string
	// Clinic is that of the data, or else of the configuration.
	Clinic string
	// Brand is that of the configuration, with its colours filled in.
	Brand Brand
	// Lang is the locale of the translation, a BCP 47 tag.
	Lang string
	// Subject is the finished subject; empty in the subject itself.
	Subject string

	words *words
	zone  *time.Location // the recipient's, or else the clinic's
	home  *time.Location // the clinic's
	now   time.Time
}

// Dir is the direction of the language's script: "ltr" or "rtl".
func (p *Page) Dir() string {
	switch language(p.Lang) {
	case "ar", "fa", "he", "ks", "ps", "sd", "ur":
		return "rtl"
	}
	return "ltr"
}

// When returns a time in words: "Monday, 2 March 2026, 10:30 AM IST". It is in the
// recipient's zone, or else in the clinic's.
func (p *Page) When(t time.Time) string { return p.words.time(t.In(p.zone)) }

// Until tells how far away a time is: "in 40 minutes", "in 5 hours", "tomorrow", "in 3
// days", or "now" if it is past. Days are those of the zone of When.
func (p *Page) Until(t time.Time) string { return p.words.soon.until(p.now.In(p.zone), t.In(p.zone)) }

// ClinicTime is When in the clinic's zone. It is empty if clocks show the same there at
// that time.
func (p *Page) ClinicTime(t time.Time) string {
	_, here := t.In(p.zone).Zone()
	_, there := t.In(p.home).Zone()
	if here == there {
		return ""
	}
	return p.words.time(t.In(p.home))
}

// Date returns the day in words, in the zone of When: "2 March 2026".
func (p *Page) Date(t time.Time) string { return p.words.date(t.In(p.zone)) }

// Minutes returns a duration in whole minutes, rounded up.
func (p *Page) Minutes(d time.Duration) int { return int((d + time.Minute - 1) / time.Minute) }

// Money returns an amount in the smallest unit of its ISO 4217 currency as people
// read it: "₹1,23,456.00".
func (p *Page) Money(minor int64, currency string) string { return money(minor, currency) }

// Padding follows the preheader, so that an inbox shows nothing of the page behind it.
func (p *Page) Padding() string { return strings.Repeat("\u00a0\u200c", 60) }

package template

import "time"

// Page is the dot of every template.
type Page struct {
	// Data is the message's, as the application gave it.
	Data any
	// To is the recipient's name. May be empty.
	To string
	// Clinic is that of the data, or else of the configuration.
	Clinic string
	// Lang is the locale of the translation, a BCP 47 tag.
	Lang string
	// Subject is the finished subject; empty in the subject itself.
	Subject string

	words *words
	zone  *time.Location // the recipient's; nil for that of the time
	home  *time.Location // the clinic's; nil for none
}

// Dir is the direction of the language's script: "ltr" or "rtl".
func (p *Page) Dir() string {
	switch language(p.Lang) {
	case "ar", "fa", "he", "ks", "ps", "sd", "ur":
		return "rtl"
	}
	return "ltr"
}

// When returns a time in words, in the recipient's zone: "Monday, 2 March 2026, 10:30 AM
// IST".
func (p *Page) When(t time.Time) string { return p.words.time(p.local(t)) }

// ClinicTime is When in the clinic's zone. It is empty if clocks show the same there at
// that time.
func (p *Page) ClinicTime(t time.Time) string {
	if p.home == nil {
		return ""
	}
	_, here := p.local(t).Zone()
	_, there := t.In(p.home).Zone()
	if here == there {
		return ""
	}
	return p.words.time(t.In(p.home))
}

// Date returns the day in words, in the recipient's zone: "2 March 2026".
func (p *Page) Date(t time.Time) string { return p.words.date(p.local(t)) }

// Minutes returns a duration in whole minutes, rounded up.
func (p *Page) Minutes(d time.Duration) int { return int((d + time.Minute - 1) / time.Minute) }

// Money returns an amount in the smallest unit of its ISO 4217 currency as people
// read it: "₹1,23,456.00".
func (p *Page) Money(minor int64, currency string) string { return money(minor, currency) }

func (p *Page) local(t time.Time) time.Time {
	if p.zone == nil {
		return t
	}
	return t.In(p.zone)
}

package main

import (
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/telemed-go/telemed/notify"
)

// problems are what is wrong with a form, by the field's name.
type problems map[string]string

func (p problems) check(ok bool, field, problem string) {
	if !ok && p[field] == "" {
		p[field] = problem
	}
}

// parseBooking reads the booking form. connected are the providers that the doctor has an
// account of.
func parseBooking(r *http.Request, connected []string, now time.Time) (appointment, problems) {
	wrong := problems{}
	field := func(name string) string { return strings.TrimSpace(r.PostFormValue(name)) }
	name, email, number := field("name"), field("email"), strings.ReplaceAll(field("phone"), " ", "")
	wrong.check(name != "", "name", "is required")
	wrong.check(utf8.RuneCountInString(name) <= 80 && len(name) <= maxName && oneLine(name), "name", "must be one line of at most 80 characters, or 66 in Hindi")
	wrong.check(notify.ValidEmail(email), "email", "must be an address like asha@example.org")
	wrong.check(notify.ValidPhone(number), "phone", "must have a plus sign and the country's code, like +919876543210")
	language := field("language")
	wrong.check(language == "en" || language == "hi", "language", "must be en or hi")
	zone, err := parseZone(field("zone"))
	wrong.check(err == nil, "zone", "must be a time zone like Asia/Kolkata")
	provider := field("provider")
	wrong.check(provider == "google" || provider == "zoom", "provider", "must be google or zoom")
	isConnected := false
	for _, name := range connected {
		isConnected = isConnected || name == provider
	}
	wrong.check(isConnected, "provider", "is not connected: the doctor must do that first")
	start := parseStart(field("start"), zone, now, wrong)
	return appointment{
		Patient:  patient{Name: name, Email: email, Phone: number, Locale: language, Zone: zone},
		Provider: provider, Start: start,
	}, wrong
}

// formKey tells a form that is sent twice from one that is filled in twice, or changed
// and sent again.
func formKey(r *http.Request) string {
	if r.PostFormValue("form") == "" {
		return ""
	}
	return r.PostForm.Encode()
}

// parseZone refuses "" and "Local". LoadLocation takes them, but they mean this server's
// zone.
func parseZone(name string) (*time.Location, error) {
	if name == "" || name == "Local" {
		return time.UTC, errState
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return time.UTC, err
	}
	return zone, nil
}

// startLayout is what <input type="datetime-local"> sends.
const startLayout = "2006-01-02T15:04"

func parseStart(text string, zone *time.Location, now time.Time, wrong problems) time.Time {
	start, err := time.ParseInLocation(startLayout, text, zone)
	wrong.check(err == nil, "start", "must be a date and a time")
	wrong.check(start.After(now), "start", "is in the past")
	wrong.check(start.Before(now.AddDate(1, 0, 0)), "start", "is more than a year ahead")
	return start
}

// maxName is how many bytes of a name the templates take.
const maxName = 200

// oneLine refuses what a mail's header cannot have: controls, separators, and marks that
// change the direction of text.
func oneLine(text string) bool {
	return utf8.ValidString(text) && strings.IndexFunc(text, func(r rune) bool {
		return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' ||
			(r >= '\u202a' && r <= '\u202e') || (r >= '\u2066' && r <= '\u2069')
	}) < 0
}

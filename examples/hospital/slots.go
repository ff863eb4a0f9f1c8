package main

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/telemed-go/telemed/meet/visit"
)

// The doctor's hours, by the clinic's clock.
const (
	visitTime = 30 * time.Minute
	firstHour = 9
	lastHour  = 18
	daysAhead = 7
)

// clinicZone is where the clinic is.
var clinicZone = mustZone("Asia/Kolkata")

func mustZone(name string) *time.Location {
	zone, err := time.LoadLocation(name)
	if err != nil {
		panic(err) // the program brings the zones along
	}
	return zone
}

// zones are those that the list offers. The browser's own is added.
var zones = []string{
	"Asia/Kolkata", "Asia/Dubai", "Asia/Kathmandu", "Asia/Dhaka", "Asia/Colombo", "Asia/Karachi", "Asia/Riyadh", "Asia/Qatar", "Asia/Kuwait",
	"Asia/Singapore", "Asia/Kuala_Lumpur", "Asia/Bangkok", "Asia/Hong_Kong", "Asia/Tokyo", "Australia/Perth", "Australia/Sydney",
	"Pacific/Auckland", "Africa/Nairobi", "Africa/Johannesburg", "Africa/Lagos", "Europe/London", "Europe/Berlin", "Europe/Paris",
	"Europe/Moscow", "America/New_York", "America/Toronto", "America/Chicago", "America/Denver", "America/Los_Angeles", "America/Sao_Paulo", "UTC",
}

// slot is a time that can be booked.
type slot struct{ Value, Text string }

// day is one of the patient's.
type day struct {
	Name  string
	Slots []slot
}

// interval is when the doctor has a visit.
type interval struct{ start, end time.Time }

// taken is when the doctor has visits from now on. It is a guess: Book knows.
func (h *hospital) taken(ctx context.Context) (all []interval, err error) {
	err = h.each(ctx, func(v *visit.Visit, _ time.Time) {
		if end := v.Start.Add(v.Duration); (v.Status == visit.StatusBooked || v.Status == visit.StatusReserved) && end.After(time.Now()) {
			all = append(all, interval{v.Start, end})
		}
	})
	return all, err
}

func free(start time.Time, taken []interval) bool {
	for _, t := range taken {
		if start.Before(t.end) && start.Add(visitTime).After(t.start) {
			return false
		}
	}
	return true
}

// slots are the free times of the coming days in a patient's zone, each by the clinic's clock
// too where that differs. The first one is so soon that the whole visit can be tried.
func slots(lang string, zone *time.Location, now time.Time, taken []interval) []day {
	soon := verySoon(now, taken)
	days := []day{{translate(lang, "Very soon, to try it out"), []slot{slotAt(lang, soon, zone)}}}
	for _, start := range hours(now) {
		if start.Before(now.Add(time.Hour)) || start.Equal(soon) || !free(start, taken) {
			continue
		}
		name := dayName(lang, start.In(zone))
		if days[len(days)-1].Name != name {
			days = append(days, day{Name: name})
		}
		last := &days[len(days)-1]
		last.Slots = append(last.Slots, slotAt(lang, start, zone))
	}
	return days
}

// hours are the doctor's times from the morning of this day on, by the clinic's clock.
func hours(now time.Time) (starts []time.Time) {
	for n := range daysAhead {
		date := now.In(clinicZone).AddDate(0, 0, n)
		open := time.Date(date.Year(), date.Month(), date.Day(), firstHour, 0, 0, 0, clinicZone)
		for start := open; start.Before(open.Add((lastHour - firstHour) * time.Hour)); start = start.Add(visitTime) {
			starts = append(starts, start)
		}
	}
	return starts
}

// soonStep is what the times that come very soon are multiples of.
const soonStep = 5 * time.Minute

// verySoon is the first free time, whatever the doctor's hours are.
func verySoon(now time.Time, taken []interval) time.Time {
	soon := now.Add(2 * soonStep).Truncate(soonStep)
	for !free(soon, taken) {
		soon = soon.Add(soonStep)
	}
	return soon
}

// offered reports whether a list has, or had when the patient got it, this time. Taken ones are
// among them: Book knows of those, and so it does of what is over.
func offered(start, now time.Time, taken []interval) bool {
	if start.Equal(start.Truncate(soonStep)) && !start.After(verySoon(now, taken)) {
		return true
	}
	return slices.ContainsFunc(hours(now), start.Equal)
}

func slotAt(lang string, start time.Time, zone *time.Location) slot {
	text := clock(lang, start.In(zone))
	if other := clinicClock(lang, start, zone); other != "" {
		text += " · " + other
	}
	return slot{start.UTC().Format(time.RFC3339), text}
}

// clinicClock is a start by the clinic's clock, or "" if the patient's shows the same.
func clinicClock(lang string, start time.Time, zone *time.Location) string {
	_, theirs := start.In(zone).Zone()
	at := start.In(clinicZone)
	if _, ours := at.Zone(); ours == theirs {
		return ""
	}
	text := at.Format("15:04 ") + zoneName(lang, at)
	if at.YearDay() != start.In(zone).YearDay() {
		text = dayName(lang, at) + ", " + text
	}
	return translate(lang, "%s at the clinic", text)
}

// clock is a time in words, with its zone.
func clock(lang string, t time.Time) string {
	return dayName(lang, t) + t.Format(", 15:04 ") + zoneName(lang, t)
}

func dayName(lang string, t time.Time) string {
	if lang == "hi" {
		return fmt.Sprintf("%s, %d %s", hindiDays[t.Weekday()], t.Day(), hindiMonths[t.Month()-1])
	}
	return t.Format("Monday 2 January")
}

// zoneName is what people call the zone of a time.
func zoneName(lang string, t time.Time) string {
	name, _ := t.Zone()
	if name != "" && name[0] != '+' && name[0] != '-' {
		return name
	}
	city := strings.ReplaceAll(path.Base(t.Location().String()), "_", " ")
	return translate(lang, "%s time", city)
}

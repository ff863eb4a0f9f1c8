package googlemeettest

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
)

// recurrence is one line of an event's recurrence (RFC 5545, 3.8.5): a rule, or the days
// that are named one by one.
type recurrence struct {
	out  bool // it takes instances away
	rule *rule
	days []time.Time
}

var errRecurrence = errors.New("not a recurrence")

// parseRecurrence reads a line; zone is that of the event.
func parseRecurrence(line string, zone *time.Location) (recurrence, error) {
	head, value, _ := strings.Cut(line, ":")
	name, params, _ := strings.Cut(head, ";")
	switch name {
	case "RRULE", "EXRULE":
		r, err := parseRule(value, zone)
		if params != "" {
			err = errRecurrence
		}
		return recurrence{out: name == "EXRULE", rule: r}, err
	case "RDATE", "EXDATE":
		days, err := parseDays(value, params, zone)
		return recurrence{out: name == "EXDATE", days: days}, err
	}
	return recurrence{}, errRecurrence // DTSTART and DTEND too: those are start and end
}

func parseDays(value, params string, zone *time.Location) ([]time.Time, error) {
	for param := range strings.SplitSeq(params, ";") {
		if name, found := strings.CutPrefix(param, "TZID="); found {
			if !knownZone(name) {
				return nil, errRecurrence
			}
			zone, _ = time.LoadLocation(name) // it is known
		}
	}
	var days []time.Time
	for text := range strings.SplitSeq(value, ",") {
		day, err := parseStamp(text, zone)
		if err != nil {
			return nil, err
		}
		days = append(days, day)
	}
	return days, nil
}

// The forms of a time in a rule and in the id of an instance.
const (
	stampForm = "20060102T150405Z"
	dayForm   = "20060102"
)

func parseStamp(text string, zone *time.Location) (time.Time, error) {
	if t, err := time.Parse(stampForm, text); err == nil {
		return t, nil
	}
	if t, err := time.ParseInLocation("20060102T150405", text, zone); err == nil {
		return t, nil
	}
	if t, err := time.ParseInLocation(dayForm, text, zone); err == nil {
		return t, nil
	}
	return time.Time{}, errRecurrence
}

// rule is an RRULE by days or longer. Google has no shorter ones.
type rule struct {
	freq            string
	interval, count int
	until           time.Time
	first           time.Weekday
	days            []ordinalDay
	monthDays       []int
	months          []int
	yearDays        []int
	positions       []int
}

// ordinalDay is "2TU", the second Tuesday; n is 0 for every one.
type ordinalDay struct {
	n   int
	day time.Weekday
}

var weekdays = []string{"SU", "MO", "TU", "WE", "TH", "FR", "SA"}

func parseRule(text string, zone *time.Location) (*rule, error) {
	r := &rule{interval: 1, first: time.Monday}
	seen := map[string]bool{}
	for part := range strings.SplitSeq(text, ";") {
		name, value, _ := strings.Cut(part, "=")
		if seen[name] || value == "" || r.set(name, value, zone) != nil {
			return nil, errRecurrence
		}
		seen[name] = true
	}
	if r.freq == "" || seen["COUNT"] && seen["UNTIL"] {
		return nil, errRecurrence
	}
	return r, nil
}

func (r *rule) set(name, value string, zone *time.Location) error {
	var err error
	switch name {
	case "FREQ":
		r.freq = value
		if !slices.Contains([]string{"DAILY", "WEEKLY", "MONTHLY", "YEARLY"}, value) {
			err = errRecurrence
		}
	case "INTERVAL":
		r.interval, err = positive(value)
	case "COUNT":
		r.count, err = positive(value)
	case "UNTIL":
		r.until, err = parseStamp(value, zone)
		if len(value) == len(dayForm) {
			r.until = r.until.AddDate(0, 0, 1).Add(-time.Second) // that day too
		}
	case "WKST":
		i := slices.Index(weekdays, value)
		if r.first = time.Weekday(i); i < 0 {
			err = errRecurrence
		}
	case "BYDAY":
		r.days, err = parseWeekdays(value)
	case "BYMONTHDAY":
		r.monthDays, err = numbers(value, 31)
	case "BYMONTH":
		r.months, err = numbers(value, 12)
	case "BYYEARDAY":
		r.yearDays, err = numbers(value, 366)
	case "BYSETPOS":
		r.positions, err = numbers(value, 366)
	default:
		if !strings.HasPrefix(name, "X-") { // of calendars that came before
			err = errRecurrence
		}
	}
	return err
}

func positive(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, errRecurrence
	}
	return n, nil
}

func numbers(text string, most int) ([]int, error) {
	var all []int
	for part := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(part)
		if err != nil || n == 0 || n > most || n < -most {
			return nil, errRecurrence
		}
		all = append(all, n)
	}
	return all, nil
}

func parseWeekdays(text string) ([]ordinalDay, error) {
	var all []ordinalDay
	for part := range strings.SplitSeq(text, ",") {
		if len(part) < 2 {
			return nil, errRecurrence
		}
		count, name := part[:len(part)-2], part[len(part)-2:]
		day := slices.Index(weekdays, name)
		n, err := strconv.Atoi(count)
		if day < 0 || count != "" && (err != nil || n == 0 || n > 53 || n < -53) {
			return nil, errRecurrence
		}
		all = append(all, ordinalDay{n, time.Weekday(day)})
	}
	return all, nil
}

// maxInstances is how many instances of an event there are at most, as with a series that
// never ends.
const maxInstances = 730

// starts returns when the instances begin that are before end, if that is not zero. As
// with Google, the event's own start is one of them even if the rule does not have it.
func (r *rule) starts(start, end time.Time) []time.Time {
	all, counted := []time.Time{start}, 0
	if slices.ContainsFunc(r.period(start, 0), start.Equal) {
		counted = 1
	}
	periods := 10 * maxInstances
	if r.freq == "YEARLY" {
		periods = 400 // then the calendar begins anew: what has not come will not
	}
	for n := 0; n < periods && len(all) < maxInstances; n += r.interval {
		days := r.period(start, n)
		for _, at := range days {
			switch {
			case !at.After(start):
				continue
			case r.count > 0 && counted >= r.count, !r.until.IsZero() && at.After(r.until), !end.IsZero() && !at.Before(end):
				return all
			}
			all = append(all, at)
			counted++
		}
	}
	return all
}

// period returns the instances in the n-th day, week, month or year from that of start.
func (r *rule) period(start time.Time, n int) []time.Time {
	year, month, day := start.Date()
	hour, minute, second := start.Clock()
	date := func(y int, m time.Month, d int) time.Time {
		return time.Date(y, m, d, hour, minute, second, 0, start.Location())
	}
	var from, to time.Time
	switch r.freq {
	case "DAILY":
		from, to = date(year, month, day+n), date(year, month, day+n+1)
	case "WEEKLY":
		back := (int(start.Weekday()) - int(r.first) + 7) % 7
		from, to = date(year, month, day-back+7*n), date(year, month, day-back+7*n+7)
	case "MONTHLY":
		from, to = date(year, month+time.Month(n), 1), date(year, month+time.Month(n+1), 1)
	case "YEARLY":
		from, to = date(year+n, 1, 1), date(year+n+1, 1, 1)
	}
	var found []time.Time
	for i := 0; ; i++ {
		at := date(from.Year(), from.Month(), from.Day()+i)
		if !at.Before(to) {
			return r.positioned(found)
		}
		if r.has(at, start) {
			found = append(found, at)
		}
	}
}

// has reports whether a day fits. What the rule does not say, the start says.
func (r *rule) has(at, start time.Time) bool {
	monthLength := time.Date(at.Year(), at.Month()+1, 0, 0, 0, 0, 0, time.UTC).Day()
	yearLength := time.Date(at.Year(), 12, 31, 0, 0, 0, 0, time.UTC).YearDay()
	byDay := len(r.days)+len(r.monthDays)+len(r.yearDays) > 0
	switch {
	case len(r.months) > 0 && !slices.Contains(r.months, int(at.Month())),
		len(r.monthDays) > 0 && !fromEitherEnd(r.monthDays, at.Day(), monthLength),
		len(r.yearDays) > 0 && !fromEitherEnd(r.yearDays, at.YearDay(), yearLength),
		len(r.days) > 0 && !r.hasWeekday(at, monthLength, yearLength):
		return false
	case byDay || r.freq == "DAILY":
		return true
	case r.freq == "WEEKLY":
		return at.Weekday() == start.Weekday()
	case r.freq == "YEARLY" && len(r.months) == 0 && at.Month() != start.Month():
		return false
	}
	return at.Day() == start.Day()
}

// fromEitherEnd reports whether list has a number, counted from 1 or, below 0, from the
// end.
func fromEitherEnd(list []int, n, length int) bool {
	return slices.Contains(list, n) || slices.Contains(list, n-length-1)
}

func (r *rule) hasWeekday(at time.Time, monthLength, yearLength int) bool {
	n, length := at.Day(), monthLength
	if r.freq == "YEARLY" && len(r.months) == 0 {
		n, length = at.YearDay(), yearLength
	}
	return slices.ContainsFunc(r.days, func(d ordinalDay) bool {
		return d.day == at.Weekday() && (d.n == 0 || r.freq == "WEEKLY" || r.freq == "DAILY" || d.n == (n+6)/7 || -d.n == (length-n)/7+1)
	})
}

func (r *rule) positioned(found []time.Time) []time.Time {
	if len(r.positions) == 0 {
		return found
	}
	var kept []time.Time
	for i, at := range found {
		if fromEitherEnd(r.positions, i+1, len(found)) {
			kept = append(kept, at)
		}
	}
	return kept
}

// occurrences returns when the instances of a recurring event begin, in order, before
// end if that is not zero.
func occurrences(lines []any, start, end time.Time) []time.Time {
	var all, out []time.Time
	for _, line := range lines {
		r, err := parseRecurrence(str(line), start.Location())
		if err != nil {
			continue // checkRecurrence lets none through
		}
		days := r.days
		if r.rule != nil {
			days = r.rule.starts(start, end)
		}
		if r.out {
			out = append(out, days...)
		} else {
			all = append(all, days...)
		}
	}
	if len(all) == 0 {
		all = []time.Time{start}
	}
	all = slices.DeleteFunc(all, func(at time.Time) bool { return slices.ContainsFunc(out, at.Equal) })
	slices.SortFunc(all, time.Time.Compare)
	return slices.CompactFunc(all, time.Time.Equal)
}

package googlemeettest

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// quickAdd makes an event of a sentence. It reads less than Google does: a day, a time,
// and until when. See
// https://developers.google.com/workspace/calendar/api/v3/reference/events/quickAdd.
func quickAdd(a *access) reply {
	if strings.TrimSpace(a.query.Get("text")) == "" {
		return *badParameter("text", "required", "Missing text parameter.")
	}
	summary, day := cutDay(a.query.Get("text"), a.engine.Now().In(a.zone))
	summary, from, to, timed := cutTime(summary, day)
	doc := object{"summary": strings.Join(strings.Fields(summary), " ")}
	if timed {
		doc["start"] = object{"dateTime": from.Format(time.RFC3339)}
		doc["end"] = object{"dateTime": to.Format(time.RFC3339)}
	} else {
		doc["start"] = object{"date": day.Format(time.DateOnly)}
		doc["end"] = object{"date": day.AddDate(0, 0, 1).Format(time.DateOnly)}
	}
	return a.add(doc)
}

var dayPattern = regexp.MustCompile(`(?i)\b(?:on )?(today|tomorrow|\d{4}-\d{2}-\d{2}|` +
	`(?:January|February|March|April|May|June|July|August|September|October|November|December) \d{1,2}(?:,? \d{4})?)\b`)

// cutDay takes the day out of a sentence. Without one it is today.
func cutDay(sentence string, now time.Time) (rest string, day time.Time) {
	today := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, now.Location())
	found := dayPattern.FindStringSubmatchIndex(sentence)
	if found == nil {
		return sentence, today
	}
	rest = sentence[:found[0]] + sentence[found[1]:]
	named := strings.ReplaceAll(strings.ToLower(sentence[found[2]:found[3]]), ",", "")
	switch {
	case named == "today":
		return rest, today
	case named == "tomorrow":
		return rest, today.AddDate(0, 0, 1)
	}
	for _, form := range []string{time.DateOnly, "January 2 2006"} {
		if day, err := time.ParseInLocation(form, named, now.Location()); err == nil {
			return rest, day
		}
	}
	if day, err := time.ParseInLocation("January 2", named, now.Location()); err == nil {
		day = day.AddDate(today.Year(), 0, 0)
		if day.Before(today) {
			day = day.AddDate(1, 0, 0) // the next one
		}
		return rest, day
	}
	return sentence, today
}

var timePattern = regexp.MustCompile(`(?i)\b(?:at )?(\d{1,2})(?::(\d{2}))? ?(am|pm)(?: ?- ?(\d{1,2})(?::(\d{2}))? ?(am|pm))?\b`)

// cutTime takes the time out of a sentence. An event without an end is an hour long.
func cutTime(sentence string, day time.Time) (rest string, from, to time.Time, timed bool) {
	found := timePattern.FindStringSubmatch(sentence)
	if found == nil {
		return sentence, day, day, false
	}
	rest = strings.Replace(sentence, found[0], "", 1)
	from = clock(day, found[1], found[2], found[3])
	to = from.Add(time.Hour)
	if found[4] != "" {
		to = clock(day, found[4], found[5], found[6])
		if to.Before(from) {
			to = to.AddDate(0, 0, 1) // past midnight
		}
	}
	return rest, from, to, true
}

func clock(day time.Time, hours, minutes, half string) time.Time {
	hour, _ := strconv.Atoi(hours)
	minute, _ := strconv.Atoi(minutes) // none is 0
	hour %= 12
	if strings.EqualFold(half, "pm") {
		hour += 12
	}
	return time.Date(day.Year(), day.Month(), day.Day(), hour, minute, 0, 0, day.Location())
}

package template

import (
	"fmt"
	"time"
)

// soon are the words for how far away a time is.
type soon struct {
	now, tomorrow        string
	minutes, hours, days func(n int) string
}

func plural(n int, one, more string) string {
	if n == 1 {
		return fmt.Sprintf(one, n)
	}
	return fmt.Sprintf(more, n)
}

// nextDay is how far away tomorrow is at least: "in 5 hours" is better than that at night.
const nextDay = 6 * time.Hour

// until tells how far away t is, in one unit, by the clock that both times are given in:
// minutes up to an hour and a half, hours on the same day and for nextDay, then days of the
// calendar.
func (s *soon) until(now, t time.Time) string {
	left := t.Sub(now)
	minutes := int((left + 30*time.Second) / time.Minute)
	days := daysBetween(now, t)
	switch {
	case minutes < 1:
		return s.now
	case minutes == 60:
		return s.hours(1)
	case minutes < 90:
		return s.minutes(minutes)
	case days == 0 || left < nextDay:
		return s.hours(int((left + 30*time.Minute) / time.Hour))
	case days == 1:
		return s.tomorrow
	}
	return s.days(days)
}

// daysBetween counts midnights, also where a day has 23 hours.
func daysBetween(from, to time.Time) int {
	return int(midnight(to).Sub(midnight(from)) / (24 * time.Hour))
}

func midnight(t time.Time) time.Time {
	year, month, day := t.Date()
	return time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
}

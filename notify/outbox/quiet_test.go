package outbox

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func at(t *testing.T, zone, text string) time.Time {
	t.Helper()
	loc, err := time.LoadLocation(zone)
	require.NoError(t, err)
	parsed, err := time.ParseInLocation("2006-01-02 15:04", text, loc)
	require.NoError(t, err)
	return parsed
}

// TestMoment: when a reminder goes. Times are those of its zone.
func TestMoment(t *testing.T) {
	t.Parallel()
	const none = ""
	for name, test := range map[string]struct {
		zone, now, due, latest, notAfter, want string // want empty: never
	}{
		"by day":                        {"Asia/Kolkata", "2026-03-01 10:00", "2026-03-02 15:00", none, none, "2026-03-02 15:00"},
		"20:59 is not quiet":            {"Asia/Kolkata", "2026-03-01 10:00", "2026-03-02 20:59", none, none, "2026-03-02 20:59"},
		"21:00 is":                      {"Asia/Kolkata", "2026-03-01 10:00", "2026-03-02 21:00", none, none, "2026-03-03 08:00"},
		"so is 07:59":                   {"Asia/Kolkata", "2026-03-01 10:00", "2026-03-02 07:59", none, none, "2026-03-02 08:00"},
		"08:00 is not":                  {"Asia/Kolkata", "2026-03-01 10:00", "2026-03-02 08:00", none, none, "2026-03-02 08:00"},
		"later, at Latest":              {"Asia/Kolkata", "2026-03-01 10:00", "2026-03-02 07:00", "2026-03-02 08:00", none, "2026-03-02 08:00"},
		"earlier":                       {"Asia/Kolkata", "2026-03-01 10:00", "2026-03-02 07:00", "2026-03-02 07:59", none, "2026-03-01 20:59"},
		"earlier, before midnight":      {"Asia/Kolkata", "2026-03-01 10:00", "2026-03-01 23:00", "2026-03-02 06:00", none, "2026-03-01 20:59"},
		"earlier, or it were no use":    {"Asia/Kolkata", "2026-03-01 10:00", "2026-03-02 07:00", none, "2026-03-02 07:30", "2026-03-01 20:59"},
		"too late for earlier":          {"Asia/Kolkata", "2026-03-01 22:00", "2026-03-02 07:00", "2026-03-02 07:30", "2026-03-02 09:00", "2026-03-02 08:00"},
		"too late for both":             {"Asia/Kolkata", "2026-03-01 22:00", "2026-03-02 07:00", "2026-03-02 06:30", "2026-03-02 07:30", none},
		"after an outage, by day":       {"Asia/Kolkata", "2026-03-02 11:00", "2026-03-02 07:00", none, none, "2026-03-02 11:00"},
		"after an outage, by night":     {"Asia/Kolkata", "2026-03-02 23:00", "2026-03-02 15:00", none, none, "2026-03-03 08:00"},
		"after an outage, too late":     {"Asia/Kolkata", "2026-03-02 11:00", "2026-03-02 07:00", none, "2026-03-02 10:00", none},
		"the clock goes forward":        {"Europe/London", "2026-03-28 12:00", "2026-03-28 23:00", none, none, "2026-03-29 08:00"},
		"earlier than it goes forward":  {"Europe/London", "2026-03-28 12:00", "2026-03-29 02:30", "2026-03-29 07:00", none, "2026-03-28 20:59"},
		"the clock goes back":           {"Europe/London", "2026-10-24 12:00", "2026-10-25 01:30", none, none, "2026-10-25 08:00"},
		"at midnight it goes forward":   {"Africa/Cairo", "2026-04-23 12:00", "2026-04-23 22:00", none, none, "2026-04-24 08:00"},
		"east of the date line":         {"Pacific/Honolulu", "2026-03-01 10:00", "2026-03-01 22:00", none, none, "2026-03-02 08:00"},
		"west of the date line":         {"Pacific/Kiritimati", "2026-03-01 10:00", "2026-03-01 22:00", none, none, "2026-03-02 08:00"},
		"half an hour of summer time":   {"Australia/Lord_Howe", "2026-10-03 12:00", "2026-10-04 02:15", none, none, "2026-10-04 08:00"},
		"a day that there was not":      {"Pacific/Apia", "2011-12-29 12:00", "2011-12-29 22:00", none, none, "2011-12-31 08:00"},
		"earlier than that day":         {"Pacific/Apia", "2011-12-29 12:00", "2011-12-31 06:00", "2011-12-31 07:00", none, "2011-12-29 20:59"},
		"a quarter of an hour off":      {"Asia/Kathmandu", "2026-03-01 10:00", "2026-03-01 21:00", none, none, "2026-03-02 08:00"},
		"the last day of February":      {"Asia/Kolkata", "2028-02-28 10:00", "2028-02-28 22:00", none, none, "2028-02-29 08:00"},
		"the year ends":                 {"Asia/Kolkata", "2026-12-31 10:00", "2026-12-31 23:30", none, none, "2027-01-01 08:00"},
		"earlier than the month begins": {"Asia/Kolkata", "2026-04-30 10:00", "2026-05-01 03:00", "2026-05-01 04:00", none, "2026-04-30 20:59"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			parse := func(text string) time.Time {
				if text == none {
					return time.Time{}
				}
				return at(t, test.zone, text)
			}
			m := Message{Category: Reminder, NotBefore: parse(test.due), NotAfter: parse(test.notAfter), Latest: parse(test.latest)}.kept()
			zone, err := location(test.zone)
			require.NoError(t, err)
			got, ok := m.moment(Quiet{}.withDefaults(), zone, parse(test.now))
			require.Equal(t, test.want != none, ok, got)
			if ok {
				require.Equal(t, test.want, got.In(zone).Format("2006-01-02 15:04"))
			}
			m.Category = Notice
			got, _ = m.moment(Quiet{}.withDefaults(), zone, time.Time{})
			require.True(t, m.NotBefore.Equal(got), "what has happened is told at any hour")
		})
	}
}

// TestNeverQuiet: whatever the zone and the hour, a reminder goes outside of quiet hours,
// not before now, and not after NotAfter.
func TestNeverQuiet(t *testing.T) {
	t.Parallel()
	for _, zone := range []string{
		"Asia/Kolkata", "Europe/London", "Pacific/Apia", "America/St_Johns", "Africa/Cairo", "America/Santiago", "Pacific/Chatham", "Asia/Beirut", "UTC",
	} {
		loc, err := time.LoadLocation(zone)
		require.NoError(t, err)
		for _, q := range []Quiet{{}, {22 * time.Hour, 7*time.Hour + 30*time.Minute}, {13 * time.Hour, 15 * time.Hour}, {18 * time.Hour, 24 * time.Hour}, {time.Hour, time.Hour}} {
			q = q.withDefaults()
			for hour := range 366 * 8 {
				now := time.Date(2011, 1, 1, 3*hour, 0, 0, 0, time.UTC)
				m := Message{Category: Reminder, NotBefore: now.Add(5 * time.Hour), Latest: now.Add(9 * time.Hour), NotAfter: now.Add(11 * time.Hour)}.kept()
				got, ok := m.moment(q, loc, now)
				require.False(t, ok && q.contains(got.In(loc)), "%s %s %v", zone, got, q)
				require.False(t, ok && (got.Before(now) || got.After(m.NotAfter)), "%s %s", zone, got)
				if by := m.NotBefore.In(loc); !q.contains(by) {
					require.True(t, ok && got.Equal(m.NotBefore), "%s %s", zone, by)
				}
			}
		}
	}
}

package template_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/notify/template"
)

func TestUntil(t *testing.T) {
	t.Parallel()
	c := newClock(t)
	for left, want := range map[time.Duration][2]string{
		-time.Hour: {"now", "अभी"}, 0: {"now", "अभी"}, 29 * time.Second: {"now", "अभी"}, 30 * time.Second: {"in 1 minute", "1 मिनट में"},
		40 * time.Minute: {"in 40 minutes", "40 मिनट में"}, 40*time.Minute + 31*time.Second: {"in 41 minutes", "41 मिनट में"},
		time.Hour: {"in 1 hour", "1 घंटे में"}, 75 * time.Minute: {"in 75 minutes", "75 मिनट में"},
		90 * time.Minute: {"in 2 hours", "2 घंटों में"}, 10 * time.Hour: {"in 10 hours", "10 घंटों में"},
		11 * time.Hour: {"tomorrow", "कल"}, 24 * time.Hour: {"tomorrow", "कल"}, 34*time.Hour + 29*time.Minute: {"tomorrow", "कल"},
		34*time.Hour + 31*time.Minute: {"in 2 days", "2 दिनों में"}, 10 * 24 * time.Hour: {"in 10 days", "10 दिनों में"},
	} {
		for i, locale := range []string{"en", "hi"} {
			require.Equal(t, want[i], c.until(t, left, start, nil, locale), "%v", left)
		}
	}
	// 00:30 in the clinic is the evening before in New York, and the night is short.
	require.Equal(t, "in 5 hours", c.until(t, 5*time.Hour, start.Add(-10*time.Hour), nil, "en"), "not tomorrow, though it is")
	require.Equal(t, "tomorrow", c.until(t, 11*time.Hour, start, nil, "en"))
	require.Equal(t, "tomorrow", c.until(t, 20*time.Hour, start, nil, "en"))
	require.Equal(t, "tomorrow", c.until(t, 10*time.Hour, start, eastern, "en"), "the patient's day")
}

// clock is a set of templates, made once, and the time that it tells.
type clock struct {
	set *template.Set
	now time.Time
}

func newClock(t *testing.T) *clock {
	t.Helper()
	c, cfg := &clock{}, config()
	cfg.Now = func() time.Time { return c.now }
	c.set = newSet(t, cfg)
	return c
}

// until returns how a reminder says that an appointment at that time is so far away.
func (c *clock) until(t *testing.T, left time.Duration, at time.Time, zone *time.Location, locale string) string {
	t.Helper()
	c.now = at.Add(-left).UTC()
	a := appointment()
	a.Start = at.UTC()
	msg := message(template.Reminder, locale, a)
	msg.To.Zone = zone
	return render(t, c.set, msg).WhatsApp.Body[2]
}

// TestUntilAcrossSummerTime: a day of 23 hours is a day.
func TestUntilAcrossSummerTime(t *testing.T) {
	t.Parallel()
	newYork, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Skip("this machine has no time zones:", err)
	}
	c := newClock(t)
	at := time.Date(2026, time.March, 9, 0, 10, 0, 0, newYork) // clocks went ahead on the 8th
	require.Equal(t, "tomorrow", c.until(t, 23*time.Hour, at, newYork, "en"))
	require.Equal(t, "in 2 days", c.until(t, 24*time.Hour, at, newYork, "en"), "the 7th, 23:10")
}

// TestTimesInEveryLanguage: the hours of a day, the months, and how far away a time is, as
// a translator reads them.
func TestTimesInEveryLanguage(t *testing.T) {
	t.Parallel()
	c := newClock(t)
	for _, locale := range languages(t) {
		var lines []string
		reminder := func(at time.Time) []string {
			a := appointment()
			a.Start = at
			return render(t, c.set, message(template.Reminder, locale, a)).WhatsApp.Body
		}
		for hour := range 24 {
			lines = append(lines, reminder(time.Date(2026, time.March, 2+hour%7, hour, 5, 0, 0, ist))[3])
		}
		for month := time.January; month <= time.December; month++ {
			lines = append(lines, reminder(time.Date(2026, month, 1, 12, 0, 0, 0, ist))[3])
		}
		for _, left := range []time.Duration{
			0, time.Minute, 40 * time.Minute, time.Hour, 5 * time.Hour, 24 * time.Hour, 72 * time.Hour,
		} {
			lines = append(lines, c.until(t, left, start, nil, locale))
		}
		golden(t, "times."+locale+".txt", strings.Join(lines, "\n")+"\n")
	}
}

package template_test

import (
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/notify/template"
)

// TestZoneNames: people read the name of a clock that they know.
func TestZoneNames(t *testing.T) {
	t.Parallel()
	if _, err := time.LoadLocation("Asia/Dubai"); err != nil {
		t.Skip("this machine has no time zones:", err)
	}
	set := newSet(t, config())
	for zone, want := range map[string]string{
		"Asia/Kolkata": "IST", "Asia/Dubai": "Gulf time", "Asia/Muscat": "Gulf time", "Asia/Kathmandu": "Nepal time",
		"Asia/Singapore": "Singapore time", "Asia/Dhaka": "Dhaka time", "America/Sao_Paulo": "Sao Paulo time",
		"America/Argentina/Buenos_Aires": "Buenos Aires time", "Europe/London": "GMT", "Australia/Sydney": "AEDT",
	} {
		require.Equal(t, want, clockOf(t, set, zoneOf(t, zone), start), zone)
	}
	require.Equal(t, "BST", clockOf(t, set, zoneOf(t, "Europe/London"), start.AddDate(0, 3, 0)), "in summer")
	for offset, want := range map[time.Duration]string{
		4 * time.Hour: "Gulf time", 5*time.Hour + 45*time.Minute: "Nepal time", 0: "GMT", 3 * time.Hour: "GMT+3",
		-3*time.Hour - 30*time.Minute: "GMT-3:30",
	} {
		for _, name := range []string{"", "+04", "UTC+04:00", "UTC-3"} {
			require.Equal(t, want, clockOf(t, set, time.FixedZone(name, int(offset/time.Second)), start), "%s %v", name, offset)
		}
	}
}

// TestNoOffsetForPeople: no zone of the database is shown as an offset, in any language.
func TestNoOffsetForPeople(t *testing.T) {
	t.Parallel()
	if _, err := time.LoadLocation("Asia/Dubai"); err != nil {
		t.Skip("this machine has no time zones:", err)
	}
	set, offset := newSet(t, config()), regexp.MustCompile(`(UTC|GMT)?[+-]\d\d?(:?\d\d)?\b`)
	for _, zone := range []string{
		"Asia/Dubai", "Asia/Kathmandu", "Asia/Dhaka", "Asia/Colombo", "Asia/Yangon", "Asia/Kabul", "Asia/Riyadh", "Asia/Tashkent",
		"Asia/Bangkok", "Asia/Almaty", "America/Bogota", "America/Lima", "Africa/Casablanca", "Atlantic/Azores", "Pacific/Chatham",
	} {
		for _, locale := range languages(t) {
			msg := message(template.Confirmed, locale, appointment())
			msg.To.Zone = zoneOf(t, zone)
			got := render(t, set, msg)
			require.NotRegexp(t, offset, got.Subject, "%s in %s", zone, locale)
			require.NotRegexp(t, offset, got.WhatsApp.Body[2], "%s in %s", zone, locale)
		}
	}
}

// TestBothClocks: who has another clock than the clinic reads both, in each form and
// language; who has the same reads one, whatever the zone is called.
func TestBothClocks(t *testing.T) {
	t.Parallel()
	set := newSet(t, config())
	for _, name := range []string{template.Confirmed, template.Rescheduled, template.Cancelled, template.Reminder, template.VisitWaiting, template.DoctorBooked} {
		for _, locale := range languages(t) {
			msg := message(name, locale, appointment())
			both := 0
			for _, zone := range []*time.Location{nil, ist, time.FixedZone("X", 5*3600+1800), eastern} {
				msg.To.Zone = zone
				got := render(t, set, msg)
				for _, form := range []string{got.Text, got.HTML, got.WhatsApp.Body[2] + got.WhatsApp.Body[min(3, len(got.WhatsApp.Body)-1)]} {
					require.Contains(t, form, "10:30", "the clinic's clock")
					if zone == eastern {
						require.Contains(t, form, "12:00", "the reader's clock, %s in %s", name, locale)
						both++
					} else {
						require.NotContains(t, form, "12:00")
					}
				}
			}
			require.Equal(t, 3, both)
		}
	}
}

func zoneOf(t *testing.T, name string) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation(name)
	require.NoError(t, err)
	return zone
}

// clockOf returns how a time's zone is shown in a message without a second clock.
func clockOf(t *testing.T, set *template.Set, zone *time.Location, at time.Time) string {
	t.Helper()
	a := appointment()
	a.Start = at
	msg := message(template.Confirmed, "en", a)
	msg.To.Zone = zone
	found := regexp.MustCompile(`confirmed: .* [AP]M (.*), City Clinic$`).FindStringSubmatch(render(t, set, msg).Subject)
	require.NotNil(t, found)
	return found[1]
}

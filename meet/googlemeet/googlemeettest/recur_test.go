package googlemeettest

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestOccurrences: the examples of RFC 5545, 3.8.5.3, and what Google does beyond it.
func TestOccurrences(t *testing.T) {
	t.Parallel()
	zone, err := time.LoadLocation("America/New_York")
	require.NoError(t, err)
	for lines, test := range map[string]struct{ start, want string }{
		"RRULE:FREQ=DAILY;COUNT=3":                                               {"1997-09-02", "09-02 09-03 09-04"},
		"RRULE:FREQ=DAILY;INTERVAL=10;COUNT=3":                                   {"1997-09-02", "09-02 09-12 09-22"},
		"RRULE:FREQ=DAILY;UNTIL=19970904T130000Z":                                {"1997-09-02", "09-02 09-03 09-04"},
		"RRULE:FREQ=DAILY;UNTIL=19970903":                                        {"1997-09-02", "09-02 09-03"},
		"RRULE:FREQ=WEEKLY;INTERVAL=2;WKST=SU;BYDAY=TU,TH;COUNT=4":               {"1997-09-02", "09-02 09-04 09-16 09-18"},
		"RRULE:FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=MO":               {"1997-08-05", "08-05 08-10 08-19 08-24"},
		"RRULE:FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=SU":               {"1997-08-05", "08-05 08-17 08-19 08-31"},
		"RRULE:FREQ=MONTHLY;COUNT=3;BYDAY=1FR":                                   {"1997-09-05", "09-05 10-03 11-07"},
		"RRULE:FREQ=MONTHLY;COUNT=3;BYDAY=-2MO":                                  {"1997-09-22", "09-22 10-20 11-17"},
		"RRULE:FREQ=MONTHLY;COUNT=3;BYMONTHDAY=-3":                               {"1997-09-28", "09-28 10-29 11-28"},
		"RRULE:FREQ=MONTHLY;COUNT=3;BYMONTHDAY=31":                               {"1997-08-31", "08-31 10-31 12-31"},
		"RRULE:FREQ=MONTHLY;COUNT=3;BYDAY=TU,WE,TH;BYSETPOS=3":                   {"1997-09-04", "09-04 10-07 11-06"},
		"RRULE:FREQ=YEARLY;COUNT=3;BYMONTH=6,7":                                  {"1997-06-10", "06-10 07-10 06-10"},
		"RRULE:FREQ=YEARLY;COUNT=2;BYDAY=20MO":                                   {"1997-05-19", "05-19 05-18"},
		"RRULE:FREQ=YEARLY;COUNT=3;BYYEARDAY=1,100":                              {"1997-01-01", "01-01 04-10 01-01"},
		"RRULE:FREQ=YEARLY;COUNT=2;BYMONTH=2;BYMONTHDAY=29":                      {"1996-02-29", "02-29 02-29"},
		"RRULE:FREQ=DAILY;COUNT=3\nEXDATE;TZID=America/New_York:19970903T090000": {"1997-09-02", "09-02 09-04"},
		"RDATE:19970910T130000Z\nRRULE:FREQ=DAILY;COUNT=2":                       {"1997-09-02", "09-02 09-03 09-10"},
		"RRULE:FREQ=DAILY;COUNT=4\nEXRULE:FREQ=DAILY;INTERVAL=2;COUNT=4":         {"1997-09-02", "09-03 09-05"},
		// The start is an instance although the rule does not have it, and does not count.
		"RRULE:FREQ=WEEKLY;COUNT=2;BYDAY=TU": {"2020-06-08", "06-08 06-09 06-16"},
		// Clocks change, and the visit stays at nine.
		"RRULE:FREQ=WEEKLY;COUNT=3": {"2031-03-02", "03-02 03-09 03-16"},
	} {
		start, err := time.ParseInLocation(time.DateOnly+" 15", test.start+" 09", zone)
		require.NoError(t, err)
		var all []any
		for line := range strings.SplitSeq(lines, "\n") {
			all = append(all, line)
		}
		var got []string
		for _, at := range occurrences(all, start, time.Time{}) {
			require.Equal(t, 9, at.In(zone).Hour(), lines)
			got = append(got, at.In(zone).Format("01-02"))
		}
		require.Equal(t, test.want, strings.Join(got, " "), lines)
	}
}

// FuzzRecurrence: whatever a rule says, it ends, and soon.
func FuzzRecurrence(f *testing.F) {
	for _, line := range []string{
		"RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "RRULE:FREQ=DAILY;INTERVAL=2147483647", "EXDATE;VALUE=DATE:20310101,20310102", "FOO",
		"RRULE:FREQ=WEEKLY;BYDAY=-1SU,2MO;BYSETPOS=-1;WKST=SU", "RRULE:FREQ=MONTHLY;BYDAY=MO;UNTIL=99991231",
	} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		if _, err := parseRecurrence(line, time.UTC); err != nil {
			return
		}
		start := time.Date(2031, 3, 14, 9, 0, 0, 0, time.UTC)
		began := time.Now()
		found := occurrences([]any{line}, start, time.Time{})
		require.LessOrEqual(t, len(found), max(maxInstances, strings.Count(line, ",")+1))
		require.Less(t, time.Since(began), 5*time.Second)
	})
}

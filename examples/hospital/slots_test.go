package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What a list offers can be booked, until it is over, and nothing else can. Whatever the
// patient's clock does, each time is in the list once.
func TestSlots(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"Asia/Kolkata", "America/New_York", "America/Santiago", "Australia/Lord_Howe", "Pacific/Kiritimati", "UTC"} {
		zone := mustZone(name)
		// The nights in which clocks are put back and forth are among the first week's.
		for _, now := range []string{"2026-10-29T20:00:00Z", "2027-03-12T03:29:59Z", "2027-04-01T18:31:00Z", "2026-12-31T18:29:00Z"} {
			now, err := time.Parse(time.RFC3339, now)
			require.NoError(t, err)
			taken := []interval{{now.Truncate(time.Hour), now.Add(time.Hour)}, {now.Add(26 * time.Hour).Truncate(time.Hour), now.Add(27 * time.Hour).Truncate(time.Hour)}}
			texts := map[string]bool{}
			for n, day := range slots("en", zone, now, taken) {
				for _, s := range day.Slots {
					start, err := time.Parse(time.RFC3339, s.Value)
					require.NoError(t, err)
					require.True(t, offered(start, now, taken), s.Value)
					require.True(t, offered(start, start.Add(-time.Second), nil), "the page was open for long: %s", s.Value)
					require.False(t, offered(start.Add(time.Second), now, taken), s.Value)
					require.True(t, start.After(now) && free(start, taken), s.Value)
					require.False(t, texts[s.Text], "%s in %s", s.Text, name)
					texts[s.Text] = true
					if n > 0 {
						require.Contains(t, s.Text, day.Name)
					}
				}
			}
			require.Greater(t, len(texts), 90)
		}
	}
}

package visit

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/notify/outbox"
	"github.com/telemed-go/telemed/notify/template"
)

// A confirmation that is queued waits for a meeting that is made anew, and is dropped only if
// the visit is not to take place, or is another one by now.
func TestConfirmationWaitsForTheMeeting(t *testing.T) {
	t.Parallel()
	start := time.Date(2030, 3, 4, 10, 0, 0, 0, time.UTC)
	booked := func(change func(*record)) *record {
		r := &record{
			Request: Request{ID: "appt-1", Provider: "google"}, Start: start, Gen: 1, Kept: 1,
			Meeting: meeting{ID: "m", JoinURL: "https://meet.example/m", Start: start},
		}
		if change != nil {
			change(r)
		}
		return r
	}
	for name, c := range map[string]struct {
		change func(*record)
		want   error
	}{
		"ready":              {nil, nil},
		"at an older start":  {func(r *record) { r.Meeting.Start = start.Add(-time.Hour) }, telemed.ErrUnavailable},
		"deleted":            {func(r *record) { r.useUp(r.key()) }, telemed.ErrUnavailable},
		"hours not kept yet": {func(r *record) { r.Kept = 0 }, telemed.ErrUnavailable},
		"moved":              {func(r *record) { r.Gen = 2 }, outbox.ErrUntrue},
		"cancelled":          {func(r *record) { r.Cancelled = &cancelled{At: start} }, outbox.ErrUntrue},
	} {
		for _, says := range []string{template.Confirmed, template.DoctorBooked, template.Reminder} {
			_, err := new(Visits).says(t.Context(), booked(c.change), outbox.Message{Template: says, Generation: 1})
			require.ErrorIs(t, err, c.want, "%s, %s", name, says)
		}
	}
}

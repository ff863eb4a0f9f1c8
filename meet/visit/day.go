package visit

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/store/durable"
)

// ErrTaken means that the doctor has another visit at that time. It comes with
// telemed.ErrConflict.
var ErrTaken = fault.Tagged(telemed.ErrConflict, errors.New("the doctor has another visit at that time"))

// DayKind is the durable.ID's Kind of a doctor's day.
const DayKind = "day"

// day is a row of its own: whose hours a doctor's day (UTC) has. A visit over midnight is in
// both days. Days are written in their order, so that no two visits wait for each other.
type day struct {
	Hours []hours `json:"hours,omitempty"`
}

// hours are those of one generation of a visit. They lapse at Until; if that is zero they
// are kept.
type hours struct {
	Visit string    `json:"visit"`
	Gen   int       `json:"gen"`
	From  time.Time `json:"from"`
	To    time.Time `json:"to"`
	Until time.Time `json:"until,omitzero"`
}

var dayForm = durable.Form[day]{Name: "visit: day", Version: 1}

const aDay = 24 * time.Hour

// reserve has the hours of a generation reserved until a time, or kept if that is zero.
// ErrTaken leaves no more than hours that lapse.
func reserve(ctx context.Context, st durable.Store, doctorID string, mine hours) error {
	return eachDay(ctx, st, doctorID, mine.From, mine.To, func(d *day) error {
		now := time.Now()
		d.Hours = slices.DeleteFunc(d.Hours, func(h hours) bool {
			return !h.Until.IsZero() && !h.Until.After(now) || h.Visit == mine.Visit && h.Gen == mine.Gen
		})
		for _, h := range d.Hours {
			if h.Visit != mine.Visit && h.From.Before(mine.To) && mine.From.Before(h.To) {
				return ErrTaken
			}
		}
		d.Hours = append(d.Hours, mine)
		return nil
	})
}

// free gives up the hours of a generation.
func free(ctx context.Context, st durable.Store, doctorID, visit string, s slot, duration time.Duration) error {
	return eachDay(ctx, st, doctorID, s.Start, s.Start.Add(duration), func(d *day) error {
		d.Hours = slices.DeleteFunc(d.Hours, func(h hours) bool { return h.Visit == visit && h.Gen == s.Gen })
		return nil
	})
}

// eachDay changes the rows of the days from one time to another.
func eachDay(ctx context.Context, st durable.Store, doctorID string, from, to time.Time, change func(*day) error) error {
	for date := from.UTC().Truncate(aDay); date.Before(to); date = date.Add(aDay) {
		id := durable.ID{Kind: DayKind, Name: date.Format(time.DateOnly) + "/" + doctorID}
		_, err := durable.Change(ctx, st, id, func(item *durable.Item) error {
			item.EraseAt = date.Add(8 * aDay)
			return dayForm.Edit(item, func(d *day, _ *durable.Trail) error { return change(d) })
		})
		if err != nil {
			return err
		}
	}
	return nil
}

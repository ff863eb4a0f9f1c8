package outbox

import "time"

// Quiet is when nobody is to be disturbed, by the clock of the recipient's zone: from From
// until Until, as durations since midnight in whole minutes. The zero value is from 21:00
// until 08:00. If both are the same, there are no quiet hours.
type Quiet struct{ From, Until time.Duration }

func (q Quiet) withDefaults() Quiet {
	if q == (Quiet{}) {
		return Quiet{21 * time.Hour, 8 * time.Hour}
	}
	return q
}

func (q Quiet) valid() bool {
	ok := func(d time.Duration) bool { return d >= 0 && d <= 24*time.Hour && d%time.Minute == 0 }
	return ok(q.From) && ok(q.Until) && q.Until-q.From < 24*time.Hour
}

// contains reports whether t, in its own zone, is in the quiet hours.
func (q Quiet) contains(t time.Time) bool {
	clock := time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute
	if q.From <= q.Until {
		return q.From <= clock && clock < q.Until
	}
	return clock >= q.From || clock < q.Until
}

// end is when the quiet hours that t is in are over. A zone may have left that day out, or
// that hour: package time then gives one nearby.
func (q Quiet) end(t time.Time) time.Time {
	end := t
	for day := 0; !end.After(t); day++ {
		end = onDay(t, day, q.Until)
	}
	return q.leave(end, gap)
}

// before is the last minute before the quiet hours that t is in.
func (q Quiet) before(t time.Time) time.Time {
	begin := onDay(t, 0, q.From)
	for day := -1; begin.After(t); day-- {
		begin = onDay(t, day, q.From)
	}
	return q.leave(begin.Add(-time.Minute), -gap)
}

// gap is what zones leave out of an hour or of a day, or a part of it.
const gap = 30 * time.Minute

func (q Quiet) leave(t time.Time, by time.Duration) time.Time {
	for n := 0; q.contains(t) && n < 4; n++ {
		t = t.Add(by)
	}
	return t
}

func onDay(t time.Time, day int, clock time.Duration) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day()+day, 0, int(clock/time.Minute), 0, 0, t.Location())
}

// moment is when a message is to be sent, seen from now, and never a time before that is not
// quiet. ok is false if there is no such time before NotAfter.
func (m *message) moment(q Quiet, zone *time.Location, now time.Time) (at time.Time, ok bool) {
	at = m.NotBefore
	if m.Category == Reminder && zone != nil {
		at = m.loud(q, at.In(zone), now.In(zone))
	}
	if at.Before(now) {
		at = now
	}
	return at, m.NotAfter.IsZero() || !at.After(m.NotAfter)
}

// loud is a time for what is due at the time due, outside of quiet hours.
func (m *message) loud(q Quiet, due, now time.Time) time.Time {
	at := due
	if q.contains(due) {
		at = q.end(due)
		latest := m.Latest
		if latest.IsZero() {
			latest = m.NotAfter
		}
		if !latest.IsZero() && at.After(latest) {
			at = q.before(due)
		}
	}
	if at.Before(now) { // it comes late
		if at = now; q.contains(now) {
			at = q.end(now)
		}
	}
	return at
}

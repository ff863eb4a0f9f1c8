package visit

import (
	"time"
)

// action is what is done about a visit next.
type action string

const (
	actOpen      action = "open the bill"
	actKeep      action = "keep the hours"
	actClose     action = "close the bill"
	actMake      action = "make the meeting"
	actMove      action = "move the meeting"
	actCancel    action = "cancel the meeting"
	actFree      action = "free the hours"
	actTell      action = "tell"
	actBroadcast action = "broadcast"
	actChange    action = "OnChange"
	actWait      action = "wait"
)

// step is one action, and for actWait when to decide again; zero is not before somebody
// changes the visit.
type step struct {
	action action
	at     time.Time
}

// policy is what the clinic has.
type policy struct {
	overlap, live, change bool
	untold                int // how many notes are not queued
}

// decide is the table in the package's comment. It is a pure function.
func decide(r *record, p policy, now time.Time) step {
	for _, a := range []struct {
		action action
		due    bool
	}{
		{actOpen, !r.dead() && !r.Request.Price.IsZero() && r.Opened.IsZero()},
		{actKeep, r.booked() && r.Kept != r.Gen},
		{actClose, r.dead() && !r.Opened.IsZero() && r.Closed.IsZero()},
		{actMake, r.toMake(now)},
		{actMove, r.toMove(now)},
		{actCancel, r.toCancel(now)},
		{actFree, !p.overlap && len(r.stale()) > 0},
		{actTell, r.Dropped != r.Gen || p.untold > 0},
		{actBroadcast, p.live && r.shows() && r.Shown != r.face()},
		{actChange, p.change && r.Noted != r.face()},
	} {
		if a.due && r.Rests.Ready(string(a.action), now) {
			return step{action: a.action}
		}
	}
	return step{actWait, r.wakeAt(now)}
}

// toMake reports whether the meeting is to be made. After the end nobody needs one.
func (r *record) toMake(now time.Time) bool {
	made := r.Meeting.JoinURL != "" && !r.Meeting.Gone
	return r.booked() && r.Kept == r.Gen && r.wantsMeeting() && !made && now.Before(r.end())
}

// toMove reports whether the meeting is at another time than the visit.
func (r *record) toMove(now time.Time) bool {
	made := r.Meeting.JoinURL != "" && !r.Meeting.Gone
	return r.booked() && r.Kept == r.Gen && made && !r.Meeting.Start.Equal(r.Start) && now.Before(r.end())
}

// toCancel reports whether there may be a meeting that nobody wants.
func (r *record) toCancel(now time.Time) bool {
	return r.dead() && r.Meeting.Asked && !r.Meeting.Gone && now.Before(r.end())
}

// stale returns the hours that are held and not wanted any more.
func (r *record) stale() (slots []slot) {
	for _, s := range r.Slots {
		if r.dead() || r.Kept == r.Gen && s.Gen != r.Gen {
			slots = append(slots, s)
		}
	}
	return slots
}

// wakeAt is when decide may say something else than now, zero for never.
func (r *record) wakeAt(now time.Time) (next time.Time) {
	times := []time.Time{r.Rests.Next(now)}
	if r.booked() && !r.met() {
		times = append(times, r.Start.Add(-near))
	}
	for _, at := range times {
		if at.After(now) && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next
}

// near is how long before the start a patient is told that the link is still to come.
const near = 2 * time.Hour

// shows reports whether dashboards see the visit: from the time on when it was booked. They
// may have seen it although nobody has noted it, when somebody has died.
func (r *record) shows() bool { return r.Request.Price.IsZero() || r.Paid != nil }

// face is what a dashboard shows of a visit.
func (r *record) face() string {
	text := string(r.status()) + " " + stamp(r.Start)
	if r.Meeting.JoinURL != "" && !r.Meeting.Gone {
		text += " " + r.Meeting.ID
	}
	if back := r.back(); back.Status != "" {
		text += " " + string(back.Status)
	}
	return text
}

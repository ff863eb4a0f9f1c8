package outbox

import (
	"fmt"
	"slices"
	"time"

	"github.com/telemed-go/telemed/notify"
)

// action is what is done about a group next.
type action string

const (
	actLost  action = "note a death"
	actDrop  action = "drop"
	actStick action = "ask a person"
	actAgain action = "have it sent again"
	actClear action = "clear"
	actTell  action = "tell"
	actAsk   action = "ask for evidence"
	actSend  action = "send"
	actWait  action = "wait"
)

// step is one action and what it needs.
type step struct {
	action  action
	key     string         // of the message
	channel notify.Channel // but for drop, clear and tell
	reason  string         // why it is dropped or stuck, or what is told
	at      time.Time      // when to decide again; zero: not before somebody changes the row
}

// policy is what the application has chosen.
type policy struct {
	quiet    Quiet
	spacing  time.Duration
	wait     time.Duration // for evidence
	evidence map[notify.Channel]notify.Evidence
	zones    map[string]*time.Location
}

// Why a message is dropped.
const (
	dropStale      = "older generation"
	dropErased     = "erased"
	dropUntrue     = "not true any more"
	dropOptedOut   = "opted out"
	dropSuperseded = "superseded by a newer reminder"
	dropQuiet      = "no time outside of quiet hours"
	dropExpired    = "expired"
)

// Why a message is stuck.
const (
	stuckUnknown = "outcome unknown"
	stuckRefused = "no channel could take it"
)

const (
	// maxCopies is how many sends of a message on one channel may have an unknown outcome.
	maxCopies = 3
	// asksFor is how many waits for evidence pass before an unknown outcome stays unknown.
	asksFor = 5
	// stuckAfter is after how many failures in a row a person is told.
	stuckAfter = 12
)

// decide is the table in the package's comment. It is a pure function.
func decide(r *record, p policy, now time.Time) step {
	for _, rule := range []func(*record, *message, policy, time.Time) (step, bool){
		decideLost, decideDrop, decideUnknown, decideClear, decideTell, decideAsk,
	} {
		for _, m := range r.Messages {
			if s, ok := rule(r, m, p, now); ok {
				s.key = m.Key
				return s
			}
		}
	}
	if s, ok := r.toSend(p, now); ok {
		return s
	}
	return step{action: actWait, at: r.wakeAt(p, now)}
}

// decideLost: who sends a message notes what came of it. One that is still being sent, while
// nobody has the row in hand, has died in the middle.
func decideLost(_ *record, m *message, _ policy, _ time.Time) (step, bool) {
	w, ok := m.live()
	return step{action: actLost, channel: w.Channel}, ok && w.state() == waySending
}

// decideDrop: what waits and will never be sent.
func decideDrop(r *record, m *message, p policy, now time.Time) (step, bool) {
	if !m.waits() {
		return step{}, false
	}
	reason := m.toDrop(r, p, now)
	return step{action: actDrop, reason: reason}, reason != ""
}

func (m *message) toDrop(r *record, p policy, now time.Time) string {
	_, ok := m.moment(p.quiet, p.zones[m.Zone], now)
	switch {
	case m.Generation > 0 && m.Generation < r.Generation:
		return dropStale
	case r.superseded(m, p, now):
		return dropSuperseded
	case !m.NotAfter.IsZero() && now.After(m.NotAfter):
		return dropExpired
	case !ok:
		return dropQuiet
	}
	return ""
}

// superseded reports whether a newer reminder of the series is due by now, or was sent.
func (r *record) superseded(m *message, p policy, now time.Time) bool {
	if m.Category != Reminder {
		return false
	}
	return slices.ContainsFunc(r.Messages, func(o *message) bool {
		if o.Category != Reminder || o.Series != m.Series || !o.NotBefore.After(m.NotBefore) {
			return false
		}
		if _, live := o.live(); live {
			return true
		}
		at, ok := o.moment(p.quiet, p.zones[o.Zone], now)
		return o.waits() && ok && !at.After(now) && !(o.Generation > 0 && o.Generation < r.Generation)
	})
}

// decideUnknown: an outcome that stays unknown.
func decideUnknown(_ *record, m *message, p policy, now time.Time) (step, bool) {
	w, ok := m.live()
	if !ok || w.state() != wayUnknown || !m.Stuck.IsZero() || now.Before(p.givesUp(w)) {
		return step{}, false
	}
	if m.Dropped.IsZero() && (m.Category == Once || w.Copies+1 >= maxCopies) {
		return step{action: actStick, channel: w.Channel, reason: stuckUnknown}, true
	}
	return step{action: actAgain, channel: w.Channel}, true
}

// givesUp is when an unknown outcome is not waited for any longer.
func (p policy) givesUp(w way) time.Time {
	if p.evidence[w.Channel] == nil {
		return w.Lost.Add(p.wait)
	}
	return w.Lost.Add(asksFor * p.wait)
}

// asksAt is when evidence is asked for next.
func (p policy) asksAt(w way) time.Time {
	if at := w.Lost.Add(p.wait); at.After(w.Ask.At) {
		return at
	}
	return w.Ask.At
}

// decideClear: what was sent a while ago needs nothing of a person any more.
func decideClear(_ *record, m *message, _ policy, now time.Time) (step, bool) {
	at := m.clearAt()
	return step{action: actClear}, !at.IsZero() && !at.After(now) && !m.Cleared
}

// decideTell: what a person is to know.
func decideTell(_ *record, m *message, _ policy, _ time.Time) (step, bool) {
	alarm := m.alarm()
	return step{action: actTell, reason: alarm}, alarm != "" && alarm != m.Told
}

// alarm says why a person must look, empty if nobody must.
func (m *message) alarm() string {
	switch {
	case m.arrived():
		return ""
	case m.Reason == dropExpired:
		return dropExpired
	case !m.Stuck.IsZero():
		return m.Reason
	case m.failed():
		return stuckRefused
	case !m.waits():
		return ""
	}
	for _, w := range m.Ways {
		if w.state() == wayFree && w.Rest.N >= stuckAfter {
			return fmt.Sprintf("%s failed %d times", w.Channel, stuckAfter)
		}
	}
	return ""
}

// decideAsk: an unknown outcome of which somebody may know.
func decideAsk(_ *record, m *message, p policy, now time.Time) (step, bool) {
	w, ok := m.live()
	asks := ok && w.state() == wayUnknown && p.evidence[w.Channel] != nil && m.Stuck.IsZero() && !p.asksAt(w).After(now)
	return step{action: actAsk, channel: w.Channel}, asks
}

// toSend returns the send that is next if it is due: of several that are, the one that has
// waited longest.
func (r *record) toSend(p policy, now time.Time) (step, bool) {
	if r.spaced(p).After(now) {
		return step{}, false
	}
	var next *message
	var channel notify.Channel
	for _, m := range r.Messages {
		c, at, ok := m.next(p, now)
		if ok && !at.After(now) && (next == nil || m.NotBefore.Before(next.NotBefore)) {
			next, channel = m, c
		}
	}
	if next == nil {
		return step{}, false
	}
	return step{action: actSend, key: next.Key, channel: channel}, true
}

// next is the channel that a message takes next, and when. A channel that rests is waited
// for, as notify.Fallback does; one whose credentials are refused only if there is no other.
func (m *message) next(p policy, now time.Time) (channel notify.Channel, at time.Time, ok bool) {
	if !m.waits() {
		return "", at, false
	}
	due, ok := m.moment(p.quiet, p.zones[m.Zone], now)
	for _, c := range m.left() {
		w := m.way(c)
		opens := later(later(due, w.Rest.At), w.Paused)
		if channel == "" || opens.Before(at) {
			channel, at = c, opens
		}
		if !w.Paused.After(now) {
			return c, opens, ok
		}
	}
	return channel, at, ok
}

// spaced is when the next send of the group may begin.
func (r *record) spaced(p policy) (at time.Time) {
	for _, m := range r.Messages {
		for _, w := range m.Ways {
			if w.wasOut() {
				at = later(at, w.Begun.Add(p.spacing))
			}
		}
	}
	return at
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// wakeAt is when decide may say something else than now, zero for never.
func (r *record) wakeAt(p policy, now time.Time) (wake time.Time) {
	sooner := func(at time.Time) {
		if at.After(now) && (wake.IsZero() || at.Before(wake)) {
			wake = at
		}
	}
	for _, m := range r.Messages {
		if !m.Cleared {
			sooner(m.clearAt())
		}
		if w, ok := m.live(); ok && w.state() == wayUnknown && m.Stuck.IsZero() {
			sooner(p.givesUp(w))
			if p.evidence[w.Channel] != nil {
				sooner(p.asksAt(w))
			}
		}
		if _, at, ok := m.next(p, now); ok {
			sooner(later(at, r.spaced(p)))
			for _, w := range m.Ways {
				sooner(w.Paused)
			}
			if !m.NotAfter.IsZero() {
				sooner(m.NotAfter.Add(time.Millisecond))
			}
		}
	}
	return wake
}

package oauth

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/store"
)

var (
	someone = store.AccountID{Provider: "zoom", Subject: "dr-rao"}
	noon    = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	errDown = errors.New("database is down")
)

// aView is an attempt of "me" at noon whose account has a token that has run out. Nobody
// holds the lease.
func aView(s state, change func(*view)) view {
	v := view{
		id: someone, owner: "me", tuning: Tuning{}.withDefaults(), now: noon, state: s, since: noon,
		deadline: noon.Add(time.Minute), leasedAt: noon, boughtAt: noon,
		record: store.Record{
			ID: someone, Status: store.StatusActive, UpdatedAt: noon.Add(-time.Hour),
			Token: store.Token{Access: telemed.NewSecret("access"), Refresh: telemed.NewSecret("refresh"), Expiry: noon.Add(-time.Minute)},
		},
	}
	if change != nil {
		change(&v)
	}
	return v
}

// limited is an error of a provider that says when to come again.
type limited struct{ after time.Duration }

func (limited) Error() string               { return "busy" }
func (limited) Is(target error) bool        { return target == telemed.ErrRateLimited }
func (l limited) RetryDelay() time.Duration { return l.after }

func (v *view) heldBy(owner string) { v.record.Lease.Owner = owner }

func (v *view) rejectedTwice() { v.rejections = 2 }

func (v *view) marks(at time.Time) {
	v.record.Status, v.record.UpdatedAt, v.markedAt = store.StatusReconnect, at, at
}

// TestDecide is the table at attempt, row by row.
func TestDecide(t *testing.T) {
	t.Parallel()
	past := func(v *view) { v.now = v.deadline.Add(time.Second) }
	for _, row := range []struct {
		name   string
		state  state
		change func(*view)
		want   action
		pause  time.Duration
		err    error // matched by what callers get
	}{
		{name: "nothing is known", state: stateUnread, want: actRead},

		{name: "a token that works", state: stateSeen, want: actUseToken,
			change: func(v *view) { v.record.Token.Expiry = noon.Add(time.Hour) }},
		{name: "a token that works, while closing", state: stateSeen, want: actUseToken,
			change: func(v *view) { v.record.Token.Expiry, v.closing = noon.Add(time.Hour), true }},
		{name: "a token that is to be refreshed early", state: stateSeen, want: actAcquire,
			change: func(v *view) { v.record.Token.Expiry = noon.Add(4 * time.Minute) }},
		{name: "the token that was refused", state: stateSeen, want: actAcquire,
			change: func(v *view) { v.record.Token.Expiry, v.stale = noon.Add(time.Hour), v.record.Token.Access }},
		{name: "another token than the one that was refused", state: stateSeen, want: actUseToken,
			change: func(v *view) { v.record.Token.Expiry, v.stale = noon.Add(time.Hour), telemed.NewSecret("old") }},
		{name: "the doctor must reconnect", state: stateSeen, want: actReconnect,
			change: func(v *view) { v.record.Status, v.record.UpdatedAt = store.StatusReconnect, noon.Add(-time.Minute) }},
		{name: "the doctor must reconnect, by a clock that is ahead", state: stateSeen, want: actReconnect,
			change: func(v *view) { v.record.Status, v.record.UpdatedAt = store.StatusReconnect, noon.Add(time.Minute) }},
		{name: "the doctor must reconnect, and it was tried an hour ago", state: stateSeen, want: actAcquire,
			change: func(v *view) { v.record.Status = store.StatusReconnect }},
		{name: "nobody's lease", state: stateSeen, want: actAcquire},
		{name: "nobody's lease, while closing", state: stateSeen, want: actGiveUp, err: telemed.ErrClosed,
			change: func(v *view) { v.closing = true }},
		{name: "our own lease, of before a pause", state: stateSeen, want: actAcquire,
			change: func(v *view) { v.heldBy("me"); v.since = time.Time{} }},
		{name: "our own lease, while closing", state: stateSeen, want: actRelease, err: telemed.ErrClosed,
			change: func(v *view) { v.heldBy("me"); v.closing = true }},
		{name: "our own lease, perhaps by takeover, while closing", state: stateSeen, want: actGiveUp, err: telemed.ErrClosed,
			change: func(v *view) { v.heldBy("me"); v.closing, v.takenOver = true, true }},
		{name: "refused just now", state: stateSeen, want: actGiveUp, err: telemed.ErrInvalid,
			change: func(v *view) { v.paused = telemed.ErrInvalid }},
		{name: "refused just now, between two exchanges of ours", state: stateSeen, want: actAcquire,
			change: func(v *view) { v.paused, v.tries = telemed.ErrInvalid, 1 }},
		{name: "another's lease", state: stateSeen, want: actWait, pause: 50 * time.Millisecond,
			change: func(v *view) { v.heldBy("other") }},
		{name: "another's lease, for a while", state: stateSeen, want: actWait, pause: 2 * time.Second,
			change: func(v *view) { v.heldBy("other"); v.waits = 6 }},
		{name: "another's lease that stands still, of before TTLs were kept", state: stateSeen, want: actTakeOver,
			change: func(v *view) { v.heldBy("other"); v.since = noon.Add(-time.Minute) }},
		{name: "another's lease that stands still, a moment too short", state: stateSeen, want: actWait, pause: 50 * time.Millisecond,
			change: func(v *view) { v.heldBy("other"); v.since = noon.Add(-time.Minute + 1) }},
		{name: "another's lease with a shorter TTL", state: stateSeen, want: actTakeOver, change: func(v *view) {
			v.heldBy("other")
			v.record.Lease.TTL, v.since = 10*time.Second, noon.Add(-10*time.Second)
		}},
		{name: "another's lease with a longer TTL", state: stateSeen, want: actWait, pause: 50 * time.Millisecond, change: func(v *view) {
			v.heldBy("other")
			v.record.Lease.TTL, v.since = 10*time.Minute, noon.Add(-10*time.Minute+1)
		}},
		{name: "another's lease, by a clock that is a day behind", state: stateSeen, want: actWait, pause: 50 * time.Millisecond,
			change: func(v *view) { v.heldBy("other"); v.record.Lease.Until = noon.Add(-24 * time.Hour) }},
		{name: "another's lease, and the store has failed since", state: stateSeen, want: actWait, pause: 50 * time.Millisecond,
			change: func(v *view) { v.heldBy("other"); v.since = time.Time{} }},
		{name: "another's lease, for too long", state: stateSeen, want: actGiveUp, err: telemed.ErrUnavailable,
			change: func(v *view) { past(v); v.heldBy("other"); v.since = v.now }},
		{name: "another's lease, for too long, but it lives longer than ours", state: stateSeen, want: actWait, pause: 50 * time.Millisecond,
			change: func(v *view) { past(v); v.heldBy("other"); v.since, v.record.Lease.TTL = v.now, 10*time.Minute }},
		{name: "another's lease that stands still, while closing", state: stateSeen, want: actGiveUp, err: telemed.ErrClosed,
			change: func(v *view) { v.heldBy("other"); v.since, v.closing = noon.Add(-time.Hour), true }},

		{name: "rejected twice, and the lease is ours", state: stateSeen, want: actMark,
			change: func(v *view) { v.heldBy("me"); v.rejectedTwice() }},
		{name: "rejected twice, and the lease is ours, while closing", state: stateSeen, want: actMark,
			change: func(v *view) { v.heldBy("me"); v.rejectedTwice(); v.closing = true }},
		{name: "rejected twice, and somebody has brought a token", state: stateSeen, want: actUseToken,
			change: func(v *view) { v.rejectedTwice(); v.record.Token.Expiry = noon.Add(time.Hour) }},
		{name: "rejected twice, and the lease is another's", state: stateSeen, want: actGiveUp, err: telemed.ErrUnavailable,
			change: func(v *view) { v.heldBy("other"); v.rejectedTwice() }},
		{name: "rejected twice, and the lease is another's that stands still", state: stateSeen, want: actGiveUp, err: telemed.ErrUnavailable,
			change: func(v *view) { v.heldBy("other"); v.rejectedTwice(); v.since = noon.Add(-time.Hour) }},
		{name: "rejected twice, and the lease is nobody's", state: stateSeen, want: actGiveUp, err: telemed.ErrUnavailable,
			change: func(v *view) { v.rejectedTwice() }},
		{name: "rejected twice, and our mark was written", state: stateSeen, want: actAnnounce,
			change: func(v *view) { v.rejectedTwice(); v.marks(noon) }},
		{name: "rejected twice, and another's mark was written", state: stateSeen, want: actReconnect,
			change: func(v *view) { v.rejectedTwice(); v.marks(noon); v.markedAt = noon.Add(-time.Second) }},
		{name: "rejected twice, an hour after the first mark", state: stateSeen, want: actMark,
			change: func(v *view) { v.heldBy("me"); v.rejectedTwice(); v.record.Status = store.StatusReconnect }},

		{name: "no such account", state: stateAbsent, want: actGiveUp, err: telemed.ErrNotConnected},
		{name: "the key is missing", state: stateUnopened, want: actGiveUp, err: telemed.ErrDecrypt,
			change: func(v *view) { v.err = telemed.ErrDecrypt }},

		{name: "the store fails", state: stateStoreFailed, want: actWait, pause: 50 * time.Millisecond,
			change: func(v *view) { v.err = errDown }},
		{name: "the store fails for too long", state: stateStoreFailed, want: actGiveUp, err: telemed.ErrUnavailable,
			change: func(v *view) { past(v); v.err = errDown }},
		{name: "the store fails, while closing", state: stateStoreFailed, want: actGiveUp, err: telemed.ErrClosed,
			change: func(v *view) { v.err, v.closing = errDown, true }},
		{name: "the mark fails", state: stateStoreFailed, want: actWait, pause: 200 * time.Millisecond,
			change: func(v *view) { v.err = errDown; v.rejectedTwice() }},
		{name: "the mark fails for the third time", state: stateStoreFailed, want: actGiveUp, err: errDown,
			change: func(v *view) { v.err, v.waits = errDown, 2; v.rejectedTwice() }},
		{name: "the mark fails for the third time, after two exchanges", state: stateStoreFailed, want: actGiveUp, pause: shortestCooldown, err: errDown,
			change: func(v *view) { v.err, v.waits, v.tries = errDown, 2, 2; v.rejectedTwice() }},

		{name: "we have the lease", state: stateOwned, want: actExchange,
			change: func(v *view) { v.heldBy("me") }},
		{name: "we have the lease, while closing", state: stateOwned, want: actRelease, err: telemed.ErrClosed,
			change: func(v *view) { v.heldBy("me"); v.closing = true }},
		{name: "we have the lease, as it seems since long", state: stateOwned, want: actWait, pause: 50 * time.Millisecond,
			change: func(v *view) { v.heldBy("me"); v.leasedAt = noon.Add(-21 * time.Second) }},
		{name: "we took the lease over", state: stateOwned, want: actGrace, pause: 30 * time.Second,
			change: func(v *view) { v.heldBy("me"); v.takenOver, v.record.Lease.TTL = true, time.Minute }},
		{name: "we took over a lease, and both are short", state: stateOwned, want: actGrace, pause: 6 * time.Second, change: func(v *view) {
			v.heldBy("me")
			v.takenOver, v.tuning.LeaseTTL, v.record.Lease.TTL = true, 8*time.Second, 8*time.Second
		}},
		{name: "we took over a lease that is longer than ours", state: stateOwned, want: actGrace, pause: 30 * time.Second, change: func(v *view) {
			v.heldBy("me")
			v.takenOver, v.tuning.LeaseTTL, v.record.Lease.TTL = true, 8*time.Second, time.Minute
		}},
		{name: "we took the lease over, as it seems since long", state: stateOwned, want: actWait, pause: 50 * time.Millisecond,
			change: func(v *view) { v.heldBy("me"); v.takenOver, v.leasedAt = true, noon.Add(-21*time.Second) }},
		{name: "we took the lease over, while closing", state: stateOwned, want: actGiveUp, err: telemed.ErrClosed,
			change: func(v *view) { v.heldBy("me"); v.takenOver, v.closing = true, true }},

		{name: "rejected once", state: stateExchangeFailed, want: actWait, pause: confirmAfter,
			change: func(v *view) { v.err, v.tries, v.rejections = fmt.Errorf("400: %w", ErrRejected), 1, 1 }},
		{name: "rejected once, while closing", state: stateExchangeFailed, want: actRelease, pause: shortestCooldown, err: ErrRejected,
			change: func(v *view) { v.err, v.tries, v.rejections, v.closing = ErrRejected, 1, 1, true }},
		{name: "rejected twice", state: stateExchangeFailed, want: actRead,
			change: func(v *view) { v.err, v.tries = ErrRejected, 2; v.rejectedTwice() }},
		{name: "rejected twice, as too many are", state: stateExchangeFailed, want: actRelease, pause: breakerPause, err: telemed.ErrUnavailable,
			change: func(v *view) { v.err, v.tries, v.disbelieved = ErrRejected, 2, true; v.rejectedTwice() }},
		{name: "nobody knows", state: stateExchangeFailed, want: actWait, pause: 400 * time.Millisecond,
			change: func(v *view) { v.err, v.tries = telemed.ErrAmbiguous, 1 }},
		{name: "nobody knows, for the third time", state: stateExchangeFailed, want: actRelease, pause: shortestCooldown, err: telemed.ErrAmbiguous,
			change: func(v *view) { v.err, v.tries = telemed.ErrAmbiguous, 3 }},
		{name: "nobody knows, for the third time, beside a rejection", state: stateExchangeFailed, want: actWait, pause: 1600 * time.Millisecond,
			change: func(v *view) { v.err, v.tries, v.rejections = telemed.ErrAmbiguous, 3, 1 }},
		{name: "refused for the application", state: stateExchangeFailed, want: actRelease, pause: shortestCooldown, err: telemed.ErrUnauthorized,
			change: func(v *view) { v.err, v.tries = telemed.ErrUnauthorized, 1 }},
		{name: "refused for the request", state: stateExchangeFailed, want: actRelease, pause: shortestCooldown, err: telemed.ErrInvalid,
			change: func(v *view) { v.err, v.tries = telemed.ErrInvalid, 1 }},
		{name: "refused for the third time", state: stateExchangeFailed, want: actRelease, pause: 2 * time.Minute, err: telemed.ErrInvalid,
			change: func(v *view) { v.err, v.tries, v.refusals = telemed.ErrInvalid, 1, 2 }},
		{name: "refused for the thousandth time", state: stateExchangeFailed, want: actRelease, pause: longestCooldown, err: telemed.ErrInvalid,
			change: func(v *view) { v.err, v.tries, v.refusals = telemed.ErrInvalid, 1, 1000 }},
		{name: "refused while the token works for a bit", state: stateExchangeFailed, want: actRelease, pause: 5 * time.Second, err: telemed.ErrInvalid,
			change: func(v *view) {
				v.err, v.tries, v.record.Token.Expiry = telemed.ErrInvalid, 1, noon.Add(useMargin+5*time.Second)
			}},
		{name: "rejected twice again, as too many are", state: stateExchangeFailed, want: actRelease, pause: longestCooldown, err: telemed.ErrUnavailable,
			change: func(v *view) { v.err, v.tries, v.disbelieved, v.refusals = ErrRejected, 2, true, 9; v.rejectedTwice() }},
		{name: "too often, for a second", state: stateExchangeFailed, want: actWait, pause: time.Second,
			change: func(v *view) { v.err, v.tries = limited{time.Second}, 1 }},
		{name: "too often, for a minute", state: stateExchangeFailed, want: actRelease, pause: time.Minute, err: telemed.ErrRateLimited,
			change: func(v *view) { v.err, v.tries = limited{time.Minute}, 1 }},
		{name: "too often, for a year", state: stateExchangeFailed, want: actRelease, pause: maxRetryAfter, err: telemed.ErrRateLimited,
			change: func(v *view) { v.err, v.tries = limited{365 * 24 * time.Hour}, 1 }},
		{name: "cut off", state: stateExchangeFailed, want: actRelease, err: telemed.ErrClosed,
			change: func(v *view) { v.err, v.tries, v.closing, v.cut = telemed.ErrAmbiguous, 1, true, true }},

		{name: "marked", state: stateMarked, want: actAnnounce},
		{name: "marked again", state: stateMarked, want: actReconnect,
			change: func(v *view) { v.known = true }},
		{name: "marked again, as it turns out", state: stateSeen, want: actReconnect,
			change: func(v *view) { v.rejectedTwice(); v.marks(noon); v.known = true }},

		{name: "bought", state: stateBought, want: actSave},
		{name: "bought, while closing", state: stateBought, want: actSave,
			change: func(v *view) { v.closing, v.cut = true, true }},
		{name: "not saved", state: stateNotSaved, want: actSaveLater, pause: 50 * time.Millisecond},
		{name: "not saved, while closing", state: stateNotSaved, want: actSaveLater, pause: 100 * time.Millisecond,
			change: func(v *view) { v.saveWaits, v.closing = 1, true }},
		{name: "not saved for hours", state: stateNotSaved, want: actSaveLater, pause: 10 * time.Second,
			change: func(v *view) { v.saveWaits, v.boughtAt = 1000, noon.Add(-23*time.Hour) }},
		{name: "not saved for hours, with a short lease", state: stateNotSaved, want: actSaveLater, pause: 2 * time.Second,
			change: func(v *view) { v.saveWaits, v.tuning.LeaseTTL = 1000, 8*time.Second }},
		{name: "not saved for a day", state: stateNotSaved, want: actAbandon,
			change: func(v *view) { v.saveWaits, v.boughtAt = 1000, noon.Add(-24*time.Hour-1) }},
		{name: "not saved, and cut off", state: stateNotSaved, want: actAbandon,
			change: func(v *view) { v.cut = true }},

		{name: "no state at all", state: "", want: actGiveUp, err: telemed.ErrUnavailable},
	} {
		t.Run(string(row.state)+"/"+row.name, func(t *testing.T) {
			t.Parallel()
			got := decide(aView(row.state, row.change))
			require.Equal(t, row.want, got.action)
			require.Equal(t, row.pause, got.pause)
			require.ErrorIs(t, got.err, row.err)
			if got.err != nil {
				require.NotContains(t, got.err.Error(), someone.Subject)
			}
		})
	}
}

// TestDecideWhileClosing tries every state with whatever may be known in it: a wait that
// Shutdown ends at once would be begun again and again, and nothing may be spent any
// more.
func TestDecideWhileClosing(t *testing.T) {
	t.Parallel()
	states := []state{
		stateUnread, stateSeen, stateAbsent, stateUnopened, stateStoreFailed, stateOwned,
		stateExchangeFailed, stateMarked, stateBought, stateNotSaved,
	}
	seen := map[action]bool{}
	for _, s := range states {
		for i := range 1 << 8 {
			is := func(bit int) bool { return i>>bit&1 == 1 }
			v := aView(s, func(v *view) {
				v.closing, v.cut, v.err = true, is(0), fault.Tagged(telemed.ErrUnavailable, errDown)
				if is(1) {
					v.heldBy("me")
				}
				if is(2) {
					v.heldBy("other")
				}
				if is(3) {
					v.since = noon.Add(-time.Hour)
				}
				if is(4) {
					v.rejectedTwice()
				}
				if is(5) {
					v.err = ErrRejected
				}
				v.takenOver, v.disbelieved = is(6), is(7)
			})
			step := decide(v)
			seen[step.action] = true
			require.NotContains(t, []action{actWait, actGrace, actAcquire, actTakeOver, actExchange}, step.action, "%+v", v)
		}
	}
	require.Len(t, seen, 8, "%v", seen)
}

// TestLeaseWords are the records that are written.
func TestLeaseWords(t *testing.T) {
	t.Parallel()
	rec := aView(stateSeen, nil).record
	held := withOwner(rec, "me", time.Minute+1, true, noon)
	require.Equal(t, store.Lease{Owner: "me", Until: noon.Add(time.Minute), TTL: time.Minute + time.Millisecond, Tainted: true}, held.Lease)
	require.True(t, withOwner(held, "you", time.Minute, false, noon).Lease.Tainted, "nobody unsays it")
	require.Equal(t, rec.UpdatedAt, held.UpdatedAt, "the token has not changed")
	require.Equal(t, store.Lease{Tainted: true}, withoutOwner(held, false).Lease)
	require.Equal(t, store.Lease{}, withoutOwner(withOwner(rec, "me", time.Minute, false, noon), false).Lease)

	require.Equal(t, reasonRejected, withMark(rec, false, noon).Reason)
	mark := withMark(held, false, noon)
	require.Equal(t, store.StatusReconnect, mark.Status)
	require.Equal(t, reasonTainted, mark.Reason)
	require.Equal(t, noon, mark.UpdatedAt)
	require.Equal(t, rec.Token, mark.Token, "kept")

	next := store.Token{Access: telemed.NewSecret("next")}
	want := store.Record{ID: someone, Token: next, Status: store.StatusActive, UpdatedAt: noon}
	require.Equal(t, want, withToken(rec, next, "me", false, noon))
	require.Equal(t, want, withToken(held, next, "me", false, noon), "the lease is given back, and a taint from before is over")
	require.Equal(t, want, withToken(withOwner(rec, "you", time.Minute, false, noon), next, "me", false, noon))
	want.Lease.Tainted = true
	require.Equal(t, want, withToken(held, next, "me", true, noon), "the old token may be presented once more")
	require.Equal(t, want, withToken(held, next, "you", false, noon), "somebody else may spend the old token right now")
	require.Equal(t, want, withToken(mark, next, "me", false, noon), "or has")
	require.Equal(t, want, withToken(withoutOwner(withOwner(held, "you", time.Minute, true, noon), true), next, "me", false, noon), "or has tried, and given it back")
}

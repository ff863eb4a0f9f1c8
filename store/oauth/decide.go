package oauth

import (
	"errors"
	"fmt"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/store"
)

// state is how far an attempt has come. The table at attempt says what follows from each.
type state string

const (
	stateUnread         state = "unread"
	stateSeen           state = "seen"
	stateAbsent         state = "absent"
	stateUnopened       state = "unopened"
	stateStoreFailed    state = "store failed"
	stateOwned          state = "owned"
	stateExchangeFailed state = "exchange failed"
	stateMarked         state = "marked"
	stateBought         state = "bought"
	stateNotSaved       state = "not saved"
	stateEnded          state = "ended"
)

// action is what an attempt does next. Each is a method of attempt.
type action string

const (
	actRead      action = "read"       // the record
	actWait      action = "wait"       // and then read; Shutdown ends it
	actUseToken  action = "use token"  // the one of the record; ends the attempt
	actReconnect action = "reconnect"  // the doctor must; ends the attempt
	actAcquire   action = "acquire"    // the lease
	actTakeOver  action = "take over"  // the lease of somebody who looks dead
	actGrace     action = "grace"      // wait, so that this one can still save
	actExchange  action = "exchange"   // the refresh token for a new token
	actMark      action = "mark"       // the account for reconnecting
	actAnnounce  action = "announce"   // that it is marked; ends the attempt
	actRelease   action = "release"    // the lease; ends the attempt
	actSave      action = "save"       // the new token
	actSaveLater action = "save later" // wait, and then save; callers are served meanwhile
	actAbandon   action = "abandon"    // the new token, to the spool; ends the attempt
	actGiveUp    action = "give up"    // ends the attempt, and leaves the lease where it is
)

// step is one action and what it needs.
type step struct {
	action action
	// pause is how long to wait. For actRelease and actGiveUp, how long the account is then
	// left alone.
	pause time.Duration
	// err is what callers get, if the step ends the attempt without a token.
	err error
}

// view is all that an attempt knows when it decides. It is values alone: time is what
// this process sees, and no other machine's clock decides.
type view struct {
	id     store.AccountID
	owner  string         // the attempt's name in a lease
	stale  telemed.Secret // an access token that does not work, whatever its expiry says; zero: none
	tuning Tuning         // with its defaults

	now     time.Time
	closing bool // Shutdown has begun: nothing is begun any more
	cut     bool // Shutdown has given up waiting: nothing is finished any more

	state state
	err   error // why the store or the exchange failed

	record store.Record // as it was read or written last
	// Since when it stands still, with the store answering all the while; zero: unknown.
	since time.Time
	// The lease was taken over, and its former holder has had no time yet to save.
	takenOver bool
	leasedAt  time.Time // when the write of the own lease began
	deadline  time.Time // until when to wait for the lease
	waits     int       // pauses since the last exchange
	tries     int       // exchanges

	refusals int   // earlier attempts at this record that failed
	paused   error // why one that ended just now has the record left alone

	// What came of exchanges of the record's refresh token.
	rejections  int
	reason      string    // why it was rejected, if the provider gave one that we know
	tainted     bool      // it may be spent
	disbelieved bool      // the provider rejects too many accounts to be believed
	markedAt    time.Time // UpdatedAt of the mark that was written, if perhaps in vain
	known       bool      // the record said so before that mark

	boughtAt  time.Time // zero: nothing was bought yet
	saveWaits int       // pauses since then
}

const (
	// exchangeTries is how often an exchange is tried in one attempt, rejections apart.
	exchangeTries = 3
	// markTries is how often the store may fail when an account is to be marked.
	markTries = 3
	// confirmAfter is how long after a rejection the provider is asked again.
	confirmAfter = 2 * time.Second
	// maxPoll is the longest pause between two looks at the store, and between two
	// exchanges.
	maxPoll = 2 * time.Second
	// shortestCooldown is how long an account is left alone after its refresh has failed.
	// It doubles with each attempt that fails, up to longestCooldown.
	shortestCooldown = 30 * time.Second
	longestCooldown  = 15 * time.Minute
	// breakerPause is how long an account is left alone whose rejection was not believed.
	breakerPause = time.Minute
	// maxRetryAfter is the longest wait that a provider may ask for.
	maxRetryAfter = 5 * time.Minute
)

var (
	errBusy      = errors.New("another process is refreshing it")
	errSlowStore = errors.New("the store takes too long")
)

// decide returns what an attempt does next. It is a pure function. While the Source is
// closing it returns no step that Shutdown would have to wait for, unless a token is
// bought already.
func decide(v view) step {
	switch v.state {
	case stateUnread:
		return step{action: actRead}
	case stateSeen:
		return v.whenSeen()
	case stateAbsent:
		return v.giveUp(telemed.ErrNotConnected)
	case stateUnopened:
		return v.giveUp(v.err)
	case stateStoreFailed:
		return v.whenStoreFailed()
	case stateOwned:
		return v.whenOwned()
	case stateExchangeFailed:
		return v.whenExchangeFailed()
	case stateMarked:
		return v.whenMarked()
	case stateBought:
		return step{action: actSave}
	case stateNotSaved:
		return v.whenNotSaved()
	}
	return v.giveUp(fault.Tagged(telemed.ErrUnavailable, fmt.Errorf("the refresh is in no state: %q", v.state)))
}

// whenSeen decides over a record that was read just now.
func (v view) whenSeen() step {
	others := isOthers(v.record, v.owner)
	switch {
	case usable(v.record.Token, v.now, v.tuning.early(v.record), v.stale):
		return step{action: actUseToken}
	case v.rejections > 1:
		return v.whenRejected()
	case v.tuning.leftAlone(v.record, v.now):
		return step{action: actReconnect}
	case v.paused != nil && v.tries == 0 && v.record.Lease.Owner != v.owner:
		return step{action: actGiveUp, err: v.paused}
	case v.closing && v.record.Lease.Owner == v.owner && !v.takenOver:
		return step{action: actRelease, err: errClosed}
	case v.closing:
		return step{action: actGiveUp, err: errClosed}
	case others && v.stoodStill():
		return step{action: actTakeOver}
	case others:
		return v.wait(errBusy)
	}
	return step{action: actAcquire}
}

// whenRejected decides over an account whose token the provider has rejected twice.
// Without the lease there is no verdict: whoever has it may be about to save the token
// that killed ours.
func (v view) whenRejected() step {
	switch {
	case !v.markedAt.IsZero() && v.record.UpdatedAt.Equal(v.markedAt) && v.record.Lease.Owner == "":
		return v.whenMarked() // our own write, whose answer was lost
	case v.record.Lease.Owner == v.owner:
		return step{action: actMark}
	case v.tuning.leftAlone(v.record, v.now):
		return step{action: actReconnect}
	}
	return v.giveUp(fault.Tagged(telemed.ErrUnavailable, errBusy))
}

// whenMarked decides over a record that says by our own write that the account must be
// connected again. Whoever wrote so first has told.
func (v view) whenMarked() step {
	if v.known {
		return step{action: actReconnect}
	}
	return step{action: actAnnounce}
}

func (v view) whenStoreFailed() step {
	switch {
	case v.closing:
		return step{action: actGiveUp, err: errClosed}
	case v.rejections > 1 && v.waits >= markTries-1:
		return v.giveUp(fault.Tagged(telemed.ErrUnavailable, v.err))
	case v.rejections > 1:
		return step{action: actWait, pause: poll(v.waits + 2)}
	}
	return v.wait(v.err)
}

// whenOwned decides over a lease that was written just now. One that took too long to be
// told is no hold: others may have watched it for as long.
func (v view) whenOwned() step {
	switch {
	case v.closing && v.takenOver:
		return step{action: actGiveUp, err: errClosed} // its former holder may still save
	case v.closing:
		return step{action: actRelease, err: errClosed}
	case v.now.Sub(v.leasedAt) > 2*v.tuning.storeTimeout():
		return v.wait(errSlowStore)
	case v.takenOver:
		return step{action: actGrace, pause: takeoverPause(v.tuning.leaseTTL(v.record))}
	}
	return step{action: actExchange}
}

func (v view) whenExchangeFailed() step {
	switch {
	case v.rejections > 1 && v.disbelieved:
		err := fmt.Errorf("oauth: %s: the provider rejects too many accounts to be believed: %w", v.id, telemed.ErrUnavailable)
		return step{action: actRelease, pause: max(breakerPause, v.cooldown()), err: err}
	case v.rejections > 1:
		return step{action: actRead} // does the record still hold the token that was rejected?
	case v.cut:
		return step{action: actRelease, err: errClosed}
	case v.closing || !v.worthAnother():
		return step{action: actRelease, pause: v.cooldown(), err: v.err}
	case errors.Is(v.err, ErrRejected):
		return step{action: actWait, pause: confirmAfter}
	}
	return step{action: actWait, pause: max(poll(v.tries+2), retryAfter(v.err))}
}

// worthAnother reports whether a failed exchange is worth another try soon.
func (v view) worthAnother() bool {
	switch {
	case errors.Is(v.err, ErrRejected):
		return true
	case errors.Is(v.err, telemed.ErrUnauthorized), errors.Is(v.err, telemed.ErrInvalid), retryAfter(v.err) > maxPoll:
		return false
	}
	return v.tries < exchangeTries+v.rejections
}

func (v view) whenNotSaved() step {
	if v.cut || v.now.Sub(v.boughtAt) > v.tuning.SaveFor {
		return step{action: actAbandon}
	}
	return step{action: actSaveLater, pause: min(backoff(v.saveWaits), maxSavePause(v.tuning.LeaseTTL))}
}

// stoodStill reports whether the lease's holder looks dead: this process has seen the
// record unchanged for the lease's TTL.
func (v view) stoodStill() bool {
	return !v.since.IsZero() && v.now.Sub(v.since) >= v.tuning.leaseTTL(v.record)
}

// wait has the attempt look again soon, or give up if it has waited too long for the
// lease. A lease that lives longer than ours is waited for longer.
func (v view) wait(err error) step {
	longer := max(v.tuning.leaseTTL(v.record)-v.tuning.LeaseTTL, 0)
	if v.now.After(v.deadline.Add(2 * longer)) {
		return v.giveUp(fmt.Errorf("the token could not be leased: %w", fault.Tagged(telemed.ErrUnavailable, err)))
	}
	return step{action: actWait, pause: poll(v.waits)}
}

// giveUp ends the attempt. If it has asked the provider, it does so no more for a while.
func (v view) giveUp(err error) step {
	s := step{action: actGiveUp, err: fmt.Errorf("oauth: %s: %w", v.id, err)}
	if v.tries > 0 {
		s.pause = v.cooldown()
	}
	return s
}

// cooldown is how long an account is left alone whose refresh has failed: as long as the
// provider wishes, and longer with each time. While a token still works, the pause ends
// with it, because then callers need a new one.
func (v view) cooldown() time.Duration {
	pause := min(shortestCooldown<<min(v.refusals, 10), longestCooldown)
	if works := v.record.Token.Expiry.Sub(v.now) - useMargin; works > 0 {
		pause = min(pause, works)
	}
	return max(pause, retryAfter(v.err))
}

// ambiguous reports whether the refresh token may be spent after err.
func ambiguous(err error) bool {
	for _, sure := range []error{
		ErrRejected, telemed.ErrUnauthorized, telemed.ErrInvalid, telemed.ErrUnavailable, telemed.ErrRateLimited,
	} {
		if errors.Is(err, sure) {
			return false
		}
	}
	return true
}

// retryAfter is how long the provider wants to be left alone, 0 if it did not say.
func retryAfter(err error) time.Duration {
	var delayed interface{ RetryDelay() time.Duration }
	if errors.As(err, &delayed) {
		return min(max(delayed.RetryDelay(), 0), maxRetryAfter)
	}
	return 0
}

// poll is the n-th pause: 50 ms, doubled up to maxPoll.
func poll(n int) time.Duration { return min(backoff(n), maxPoll) }

// backoff is the n-th pause without a limit: 50 ms, doubled up to ten times.
func backoff(n int) time.Duration { return 50 * time.Millisecond << min(n, 10) }

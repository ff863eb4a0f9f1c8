package oauth

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/wait"
	"github.com/telemed-go/telemed/store"
)

// attempt is one attempt at a refresh: it wins the account's lease, exchanges the refresh
// token, and saves what it bought. Many callers wait for its result.
//
// Two rules keep a rotating token from being spent twice or lost:
//
//   - Nobody exchanges without the lease. It is won by compare-and-set, and lost only to
//     somebody who has watched the record stand still for the lease's TTL, on a clock of
//     their own.
//   - What was bought is saved over whatever revision is there, as long as the record
//     still holds the token that was spent for it. The token decides, not the lease.
//
// An attempt is in one of these states. decide chooses the step that follows; its method
// takes it and sets the next state. The first line that fits holds.
//
//	state            what is known                                        step
//	unread           nothing, or it is a pause old                        read
//	seen             the token works                                      use token, end
//	                 rejected twice, and our mark is the first            announce, end
//	                 rejected twice, and our mark was there before        reconnect, end
//	                 rejected twice, and the lease is ours                mark
//	                 rejected twice, and others have marked the account   reconnect, end
//	                 rejected twice                                       give up, end
//	                 the doctor must reconnect, and it was tried lately   reconnect, end
//	                 another attempt has failed just now                  give up, end
//	                 closing, and the lease is ours, not taken over       release, end
//	                 closing                                              give up, end
//	                 the lease is another's, and has stood still          take over
//	                 the lease is another's                               wait, or give up
//	                 the lease is nobody's, or ours                       acquire
//	absent           the account is not connected                         give up, end
//	unopened         the keys do not open the record                      give up, end
//	store failed     closing                                              give up, end
//	                 whether a write has landed is not known              wait, or give up
//	owned            closing, and the lease was taken over                give up, end
//	                 closing                                              release, end
//	                 the lease is ours, but was told late                 wait, or give up
//	                 the lease is ours, and was taken over                grace
//	                 the lease is ours                                    exchange
//	exchange failed  rejected twice, as too many accounts are             release, end
//	                 rejected twice                                       read
//	                 closing, or another try is worth nothing             release, end
//	                 another try may go better                            wait
//	marked           the record says reconnect since now                  announce, end
//	                 the record says reconnect, and did before            reconnect, end
//	bought           a new token                                          save
//	not saved        SaveFor is over, or Shutdown gives up                abandon, end
//	                 the store failed                                     save later
//
// An attempt that has exchanged in vain has the account left alone for a while when it
// ends. A save that succeeds ends the attempt too. So does one that finds the account gone:
// it has the grant withdrawn that it bought. Neither wait nor grace follows while the Source
// is closing.
type attempt struct {
	shared *shared
	result *result
	view   view
	saving saving

	answered bool // the callers have their result
}

// newAttempt returns an attempt that begins by reading the record.
func newAttempt(s *shared, id store.AccountID, stale telemed.Secret, r *result) *attempt {
	a := &attempt{shared: s, result: r, view: view{
		id: id, owner: rand.Text(), stale: stale, tuning: s.cfg.Tuning, state: stateUnread,
	}}
	a.restartClock(2*a.view.tuning.LeaseTTL + a.view.tuning.Timeout)
	return a
}

// newRecovery returns an attempt that begins by saving what another process bought.
func newRecovery(s *shared, u Unsaved, r *result) *attempt {
	a := newAttempt(s, u.ID, telemed.Secret{}, r)
	a.buy(u)
	a.saving.spooled = true
	return a
}

// run is the whole attempt.
func (a *attempt) run() {
	none := fmt.Errorf("oauth: %s: the refresh ended without a result: %w", a.view.id, telemed.ErrUnavailable)
	defer a.finish(store.Token{}, none)
	for a.view.state != stateEnded {
		a.do(decide(a.look()))
	}
}

// look returns the view as of now.
func (a *attempt) look() view {
	a.view.now = time.Now()
	a.view.closing = a.shared.pending.isClosing()
	a.view.cut = a.shared.run.Err() != nil
	return a.view
}

func (a *attempt) do(s step) {
	switch s.action {
	case actRead:
		a.read()
	case actWait:
		a.wait(s.pause)
	case actAcquire:
		a.acquire()
	case actTakeOver:
		a.takeOver()
	case actGrace:
		a.grace(s.pause)
	case actExchange:
		a.exchange()
	case actMark:
		a.mark()
	case actSave:
		a.save()
	case actSaveLater:
		a.saveLater(s.pause)
	default:
		a.end(s)
	}
}

// end takes the last step.
func (a *attempt) end(s step) {
	a.view.state = stateEnded
	switch s.action {
	case actUseToken:
		a.finish(a.view.record.Token, nil)
	case actReconnect:
		a.finish(store.Token{}, reconnectError(a.view.record))
	case actAnnounce:
		a.announce()
	case actRelease:
		a.release(s.pause, s.err)
	case actAbandon:
		a.saving.abandon()
		a.finish(a.saving.Token, nil)
	default:
		a.leaveAlone(a.view.record, s.pause, s.err)
	}
}

// leaveAlone ends the attempt with an error, and has the account left alone for a while.
func (a *attempt) leaveAlone(rec store.Record, pause time.Duration, cause error) {
	a.shared.memory.refuse(rec, pause, cause)
	if pause > 0 {
		cause = &pausedError{cause, pause}
	}
	a.finish(store.Token{}, cause)
}

// finish gives the callers their result. Only the first call counts. Before a token is
// saved nobody else may refresh: then the attempt is joined until it ends.
func (a *attempt) finish(token store.Token, err error) {
	if a.answered {
		return
	}
	a.answered = true
	if err == nil && a.saving.withoutAccess(token) {
		token, err = store.Token{}, fmt.Errorf("oauth: %s: %w", a.view.id, fault.Tagged(telemed.ErrUnavailable, errNoAccess))
	}
	a.result.token, a.result.err = token, err
	if a.view.boughtAt.IsZero() {
		a.shared.pending.remove(a.view.id, a.result)
	}
	close(a.result.done)
}

func (a *attempt) read() {
	rec, err := a.shared.get(a.view.id, a.view.tuning.storeTimeout())
	switch {
	case errors.Is(err, telemed.ErrNotFound):
		a.shared.memory.forget(a.view.id)
		a.view.state = stateAbsent
	case errors.Is(err, telemed.ErrDecrypt):
		a.view.state, a.view.err = stateUnopened, err
	case err != nil:
		a.storeFailed(err)
	default:
		a.see(rec)
		a.view.state = stateSeen
	}
}

// see takes in what the record holds now.
func (a *attempt) see(rec store.Record) {
	v := &a.view
	if v.since.IsZero() || rec.Revision != v.record.Revision {
		v.since = time.Now()
	}
	// What came of exchanges was about another token.
	if !rec.Token.Refresh.Equal(v.record.Token.Refresh) {
		v.rejections, v.reason, v.tainted, v.disbelieved, v.markedAt, v.known = 0, "", false, false, time.Time{}, false
	}
	v.record, v.refusals, v.paused = rec, a.shared.memory.refusals(rec), a.shared.paused(rec)
}

// storeFailed also forgets since when the record stands still: a store that fails may
// hide that it moved.
func (a *attempt) storeFailed(err error) {
	a.view.state, a.view.err, a.view.since = stateStoreFailed, err, time.Time{}
}

// wait waits before anything is spent. Shutdown ends it.
func (a *attempt) wait(d time.Duration) {
	if a.pause(d) {
		a.view.state = stateUnread
		a.view.waits++
	}
}

// pause waits with jitter, and reports whether the time is over; false means that the
// Source is closing.
func (a *attempt) pause(d time.Duration) bool {
	timer := time.NewTimer(wait.Jitter(d))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-a.shared.pending.closing:
		return false
	}
}

func (a *attempt) acquire() {
	ttl := a.view.tuning.LeaseTTL
	if a.view.takenOver { // again: whether the takeover was written is not known
		ttl = max(ttl, a.view.tuning.leaseTTL(a.view.record))
	}
	a.writeLease(ttl)
}

// takeOver takes the lease of somebody who may have spent the token, which taints it.
// That one may also wait for a store that could be read and not written; grace gives it
// time to save. The lease keeps the longer TTL of the two for that.
func (a *attempt) takeOver() {
	a.view.takenOver, a.view.tainted = true, true
	a.shared.cfg.Logger.Warn("oauth: lease of a silent process taken over", slog.Any("account", a.view.id))
	a.writeLease(max(a.view.tuning.LeaseTTL, a.view.tuning.leaseTTL(a.view.record)))
}

func (a *attempt) writeLease(ttl time.Duration) {
	begin := time.Now()
	rec, err := a.shared.put(withOwner(a.view.record, a.view.owner, ttl, a.view.tainted, begin), a.view.tuning.storeTimeout())
	if err != nil {
		a.storeFailed(err)
		return
	}
	a.see(rec)
	a.view.state, a.view.leasedAt = stateOwned, begin
}

func (a *attempt) grace(d time.Duration) {
	a.restartClock(a.view.tuning.leaseTTL(a.view.record))
	if a.pause(d) {
		a.view.state, a.view.takenOver = stateUnread, false
	}
}

// restartClock gives the attempt time to win the lease.
func (a *attempt) restartClock(d time.Duration) {
	a.view.waits, a.view.deadline = 0, time.Now().Add(d)
}

// exchange spends the refresh token, once. It is bounded by Timeout and independent of
// any caller. A process that stood still meanwhile reads on: the answer may be here. One
// that stood still before sends nothing any more, once others may have taken the lease over:
// the token may be spent, and its successor with it.
func (a *attempt) exchange() {
	ctx, cancel := wait.Timeout(wait.BeginBy(a.shared.run, a.view.leasedAt.Add(a.view.tuning.LeaseTTL)), a.view.tuning.Timeout)
	defer cancel()
	if err := a.shared.credentials.begin(time.Now(), a.view.tuning.Timeout); err != nil {
		a.exchangeFailed(err)
		return
	}
	spent := a.view.record.Token
	var token store.Token
	err := guarded(a.shared.cfg.Logger, "Refresh", func() (err error) {
		token, err = a.shared.cfg.Refresh(ctx, spent.Clone())
		return err
	})
	token, err = completed(token.Inherit(spent), spent, err)
	a.learn(err)
	if err != nil {
		a.exchangeFailed(err)
		return
	}
	a.buy(Unsaved{ID: a.view.id, Spent: spent, Token: token})
}

// learn notes what an exchange says of the application's credentials.
func (a *attempt) learn(err error) {
	switch {
	case errors.Is(err, telemed.ErrUnauthorized):
		a.shared.credentials.refuse(a.view.id, err, time.Now())
	case err == nil, errors.Is(err, ErrRejected):
		a.shared.credentials.accept()
	}
}

var errNoAccess = errors.New("the refresh brought no access token")

// completed returns what a refresh brought. A new refresh token is kept whatever the error
// is, because the one that was spent for it is dead: the old access token goes with it, as
// expired.
func completed(token, spent store.Token, err error) (store.Token, error) {
	switch {
	case !token.Refresh.Equal(spent.Refresh) && token.Access.IsZero():
		token.Access, token.Expiry = spent.Access, millis(time.Now())
		return token, nil
	case err == nil && token.Access.IsZero():
		return token, fault.Tagged(telemed.ErrAmbiguous, errNoAccess)
	}
	return token, err
}

// buy notes that there is a new token to be saved.
func (a *attempt) buy(u Unsaved) {
	a.view.state, a.view.boughtAt = stateBought, time.Now()
	a.saving = saving{
		shared: a.shared, owner: a.view.owner, Unsaved: u, tainted: a.view.tainted, renewed: !a.view.stale.IsZero(),
	}
}

func (a *attempt) exchangeFailed(err error) {
	v := &a.view
	v.state, v.err = stateExchangeFailed, err
	v.tries++
	v.tainted = v.tainted || ambiguous(err)
	a.restartClock(2*v.tuning.LeaseTTL + v.tuning.Timeout)
	if !errors.Is(err, ErrRejected) {
		return
	}
	v.rejections++
	if answer, ok := errors.AsType[*Error](err); ok {
		v.reason = answer.reason
	}
	if v.rejections > 1 {
		v.disbelieved = !a.believe()
	}
}

// believe asks the breaker whether the account may be marked for being rejected.
func (a *attempt) believe() bool {
	verdict := a.shared.breaker.reject(a.view.id, time.Now())
	if verdict.opened {
		a.shared.cfg.Logger.Error("oauth: the provider rejects too many accounts; none is marked",
			slog.String("provider", a.shared.cfg.Provider), slog.Int("rejected", verdict.rejected))
		if hook := a.shared.cfg.OnBreaker; hook != nil {
			tell(a.shared.cfg.Logger, "OnBreaker", func() { hook(verdict.rejected) })
		}
	}
	return verdict.believed
}

// mark writes StatusReconnect into the record. If it is there already, the account is left
// alone for another while.
func (a *attempt) mark() {
	rec := withMark(a.view.record, a.view.tainted, time.Now())
	rec.Reason = cmp.Or(a.view.reason, rec.Reason)
	a.view.markedAt, a.view.known = rec.UpdatedAt, a.view.record.Status == store.StatusReconnect
	rec, err := a.shared.put(rec, a.view.tuning.storeTimeout())
	if err != nil {
		a.storeFailed(err)
		return
	}
	a.see(rec)
	a.view.state = stateMarked
}

// announce tells who wants to know that the account was marked.
func (a *attempt) announce() {
	id, reason := a.view.id, a.view.record.Reason
	a.shared.cfg.Logger.Warn("oauth: account must be connected again", slog.Any("account", id), slog.String("reason", reason))
	if hook := a.shared.cfg.OnReconnect; hook != nil {
		tell(a.shared.cfg.Logger, "OnReconnect", func() { hook(id, reason) })
	}
	a.finish(store.Token{}, reconnectError(a.view.record))
}

// release gives the lease back, and has the account left alone for a while. The taint
// stays.
func (a *attempt) release(pause time.Duration, cause error) {
	rec, err := a.shared.put(withoutOwner(a.view.record, a.view.tainted), a.view.tuning.storeTimeout())
	if err != nil {
		a.shared.cfg.Logger.Warn("oauth: lease could not be given back; it ends by itself", slog.Any("account", a.view.id))
	}
	a.leaveAlone(rec, pause, cause)
}

// save tries to save the new token, which the spool gets first: nobody may kill this
// process before one of them has it. While callers wait for it, the store gets no longer
// than they do.
func (a *attempt) save() {
	a.saving.spool()
	timeout := a.view.tuning.storeTimeout()
	if !a.answered {
		timeout = min(saveInline, timeout)
	}
	kept, err := a.saving.try(timeout)
	switch {
	case err == nil:
		a.view.state = stateEnded
		a.finish(kept, nil)
		a.saving.settle()
	case errors.Is(err, telemed.ErrNotConnected): // disconnected meanwhile: not to be brought back
		a.view.state = stateEnded
		a.shared.memory.forget(a.view.id)
		a.finish(store.Token{}, err)
		a.saving.withdraw()
	default:
		a.view.state = stateNotSaved
		a.saving.failed(err)
	}
}

// saveLater waits, and serves the callers when they have waited for saveInline. Shutdown
// does not end it until it gives up.
func (a *attempt) saveLater(d time.Duration) {
	d = wait.Jitter(d)
	if left := saveInline - time.Since(a.view.boughtAt); left > 0 {
		d = min(d, left)
	} else {
		a.finish(a.saving.Token, nil)
	}
	if wait.For(a.shared.run, d) == nil {
		a.view.state = stateBought
		a.view.saveWaits++
	}
}

func reconnectError(rec store.Record) error {
	return fmt.Errorf("oauth: %s: %w: %s", rec.ID, telemed.ErrReconnect, rec.Reason)
}

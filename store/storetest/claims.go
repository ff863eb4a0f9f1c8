package storetest

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
)

// claimsTest is one run of a clause of Claims.
type claimsTest struct{ *harness[store.Claims] }

// long is a lease or keeping time that does not run out within a test.
const long = time.Hour

// claim asks for key and checks that the answer is of a form that the contract knows.
func (c *claimsTest) claim(key string, lease time.Duration) store.Claim {
	c.Helper()
	claim, err := c.next().Claim(c.Context(), key, lease)
	if err != nil {
		c.Fatalf("Claim: %v", err)
	}
	if problem := malformed(claim); problem != "" {
		c.Fatalf("Claim: an answer %q %s", claim.State, problem)
	}
	return claim
}

// malformed says what is wrong with an answer, whatever was asked.
func malformed(claim store.Claim) string {
	switch claim.State {
	case store.ClaimNew, store.ClaimDone:
		if claim.Token == "" || len(claim.Token) > store.MaxClaimToken {
			return "has no token, or one that is too long"
		}
	case store.ClaimBusy:
		if claim.Token != "" {
			return "tells the holder's token"
		}
	default:
		return "is none that the contract knows"
	}
	switch {
	case len(claim.Value) > 0 && claim.State != store.ClaimDone:
		return "has a value"
	case claim.Expired && claim.State != store.ClaimNew:
		return "has Expired set"
	}
	return ""
}

// wantNew claims a key that must be free and never have run out, and returns its token.
func (c *claimsTest) wantNew(key string, lease time.Duration) string {
	c.Helper()
	claim := c.claim(key, lease)
	switch {
	case claim.State != store.ClaimNew:
		c.Fatalf("Claim of a key that nobody has: %q, want %q", claim.State, store.ClaimNew)
	case claim.Expired:
		c.Errorf("Claim: Expired is set, though nobody's lease ran out")
	}
	return claim.Token
}

func (c *claimsTest) wantBusy(key string) {
	c.Helper()
	if claim := c.claim(key, long); claim.State != store.ClaimBusy {
		c.Fatalf("Claim of a key that somebody holds: %q, want %q", claim.State, store.ClaimBusy)
	}
}

func (c *claimsTest) wantDone(key, token, value string) {
	c.Helper()
	claim := c.claim(key, long)
	switch {
	case claim.State != store.ClaimDone:
		c.Fatalf("Claim of a key that was completed: %q, want %q", claim.State, store.ClaimDone)
	case claim.Token != token:
		c.Error("Claim: the token is not the one that the key was completed with")
	case string(claim.Value) != value:
		c.Errorf("Claim: a value of %d bytes is not the one of %d bytes that was given", len(claim.Value), len(value))
	}
}

func (c *claimsTest) complete(key, token, value string, keep time.Duration) {
	c.Helper()
	if err := c.next().Complete(c.Context(), key, token, []byte(value), keep); err != nil {
		c.Fatalf("Complete: %v", err)
	}
}

// wantRefused completes with a token that must not be accepted.
func (c *claimsTest) wantRefused(what, key, token string) {
	c.Helper()
	err := c.next().Complete(c.Context(), key, token, []byte("refused"), long)
	wantErr(c.T, "Complete with "+what, err, telemed.ErrConflict)
}

func (c *claimsTest) release(key, token string) {
	c.Helper()
	if err := c.next().Release(c.Context(), key, token); err != nil {
		c.Fatalf("Release: %v", err)
	}
}

// span is when a call began and when it was answered.
type span struct{ asked, answered time.Time }

func timed(call func()) span {
	begun := time.Now()
	call()
	return span{begun, time.Now()}
}

const (
	// short is a lease or keeping time whose end a test waits for.
	short = 60 * time.Millisecond
	// tolerance is how far the clocks may run apart within it.
	tolerance = 5 * time.Millisecond
	// patience is how late after its end a key may still be held.
	patience = time.Second
	// pause is how long a test waits between two looks.
	pause = 3 * time.Millisecond
)

// over claims key again and again until it is New. d, which began with a call, must be
// over then, and not long since.
func (c *claimsTest) over(key string, began span, d time.Duration) store.Claim {
	c.Helper()
	for {
		var claim store.Claim
		now := timed(func() { claim = c.claim(key, long) })
		if claim.State == store.ClaimNew {
			if early := began.asked.Add(d).Sub(now.answered); early > tolerance {
				c.Errorf("the key is New %v before its %v are over", early, d)
			}
			return claim
		}
		if now.asked.After(began.answered.Add(d + patience)) {
			c.Fatalf("the key is %q %v after its %v were over", claim.State, patience, d)
		}
		time.Sleep(pause)
	}
}

// passed waits until d, which began with a call, is over, and asks nobody.
func passed(began span, d time.Duration) { time.Sleep(time.Until(began.answered.Add(d + tolerance))) }

func newBusyDone(c *claimsTest) {
	token := c.wantNew("key", long)
	c.wantBusy("key")
	other := c.wantNew("another key", long)
	c.wantBusy("key")
	c.complete("key", token, "value", long)
	c.wantDone("key", token, "value")
	c.wantDone("key", token, "value")
	c.wantBusy("another key")
	c.complete("another key", other, "another value", long)
	c.wantDone("key", token, "value")
	c.wantDone("another key", other, "another value")
	c.wantRefused("a token of nothing", "a third key", token)
	c.wantNew("a third key", long)
}

func release(c *claimsTest) {
	first := c.wantNew("key", long)
	other := c.wantNew("another key", long)
	c.release("key", first)
	c.wantRefused("the token of a key that was released", "key", first)
	second := c.wantNew("key", long) // and Expired is not set: nobody has done it
	c.release("key", first)
	c.wantBusy("key")
	c.complete("key", second, "value", long)
	c.release("key", second)
	c.wantDone("key", second, "value")
	c.wantBusy("another key")
	c.release("another key", other)
	c.release("another key", other)
	c.release("nobody's key", other)
	c.wantNew("another key", long)
}

// claimTokens has others than the holder try, with tokens that are nearly right.
func claimTokens(c *claimsTest) {
	token, other := c.wantNew("key", long), c.wantNew("another key", long)
	seen := map[string]bool{token: true, other: true}
	if len(seen) != 2 {
		c.Fatal("two keys have the same token")
	}
	strangers := map[string]string{
		"another key's token": other, "a made-up token": rand.Text(), "other case": swapCase(token), "a padded token": token + " ",
		"a prefix": token[:len(token)-1], "a pattern": "%", "a longer token": token + "A",
	}
	for what, stranger := range strangers {
		if stranger == token || len(stranger) > store.MaxClaimToken {
			continue
		}
		c.wantRefused(what, "key", stranger)
		c.release("key", stranger)
		c.wantBusy("key")
	}
	c.complete("key", token, "value", long)
	for what, stranger := range strangers {
		if stranger != token && len(stranger) <= store.MaxClaimToken {
			c.wantRefused(what+" over Done", "key", stranger)
		}
	}
	c.wantDone("key", token, "value")
	for range 5 {
		c.release("another key", other)
		other = c.wantNew("another key", long)
		if seen[other] {
			c.Fatal("a token came back")
		}
		seen[other] = true
	}
}

func completeOverDone(c *claimsTest) {
	token := c.wantNew("key", long)
	for _, value := range []string{"made", "made", "cancelled", "", "made", "made"} {
		c.complete("key", token, value, long)
		c.wantDone("key", token, value)
	}
	// The keeping time begins anew, in both directions.
	began := timed(func() { c.complete("key", token, "a while", short) })
	c.complete("key", token, "an hour", long)
	passed(began, short)
	c.wantDone("key", token, "an hour")
	began = timed(func() { c.complete("key", token, "an hour", short) })
	c.over("key", began, short)
}

func leaseRunsOut(c *claimsTest) {
	var first, second store.Claim
	began := timed(func() { first = c.claim("key", short) })
	second = c.over("key", began, short)
	if !second.Expired {
		c.Error("Claim: Expired is not set, though a lease ran out")
	}
	if first.Token == second.Token {
		c.Error("Claim: a key that is taken over keeps its token")
	}
	c.wantBusy("key")
	c.complete("key", second.Token, "value", long)
	c.wantDone("key", second.Token, "value")

	began = timed(func() { c.wantNew("released", short) })
	second = c.over("released", began, short)
	c.release("released", second.Token)
	c.wantNew("released", long)
}

func keepRunsOut(c *claimsTest) {
	token := c.wantNew("key", long)
	began := timed(func() { c.complete("key", token, "value", short) })
	claim := c.over("key", began, short)
	if claim.Expired {
		c.Error("Claim: Expired is set, though the key was completed")
	}
	c.wantRefused("the token of what is kept no more", "key", token)
	c.wantBusy("key")
}

// completeAfterLease has holders who are late, while nobody else wants the key.
func completeAfterLease(c *claimsTest) {
	var completed, released string
	began := timed(func() {
		completed = c.wantNew("completed", short)
		released = c.wantNew("released", short)
	})
	passed(began, short)
	c.complete("completed", completed, "value", long)
	c.wantDone("completed", completed, "value")
	c.release("released", released)
	c.wantNew("released", long)
}

// takenOver has a holder come back who was taken for dead.
func takenOver(c *claimsTest) {
	var late string
	began := timed(func() { late = c.wantNew("key", short) })
	holder := c.over("key", began, short).Token
	c.wantRefused("a token that was taken over", "key", late)
	c.release("key", late)
	c.wantBusy("key")
	c.complete("key", holder, "value", long)
	c.wantRefused("an old token over Done", "key", late)
	c.release("key", late)
	c.wantDone("key", holder, "value")
}

func longTimes(c *claimsTest) {
	for key, d := range map[string]time.Duration{
		"a month": 31 * 24 * time.Hour, "a year": 366 * 24 * time.Hour, "the longest": store.MaxClaimTime,
	} {
		token := c.wantNew(key, d)
		c.wantBusy(key)
		c.complete(key, token, "value", d)
		c.wantDone(key, token, "value")
	}
	began := timed(func() { c.wantNew("the shortest", time.Millisecond) })
	c.over("the shortest", began, time.Millisecond)
}

func claimContexts(c *claimsTest) {
	token := c.wantNew("key", long)
	ended := cancelled(c.T)
	_, err := c.next().Claim(ended, "another key", long)
	wantErr(c.T, "Claim with an ended context", err, context.Canceled)
	wantErr(c.T, "Complete with an ended context", c.next().Complete(ended, "key", token, nil, long), context.Canceled)
	wantErr(c.T, "Release with an ended context", c.next().Release(ended, "key", token), context.Canceled)
	if purger, ok := c.next().(store.ClaimsPurger); ok {
		_, err := purger.PurgeClaims(ended)
		wantErr(c.T, "PurgeClaims with an ended context", err, context.Canceled)
	}
	c.wantBusy("key")
	c.wantNew("another key", long)
	c.complete("key", token, "value", long)

	expired, cancel := context.WithDeadline(c.Context(), time.Unix(0, 0))
	defer cancel()
	_, err = c.next().Claim(expired, "key", long)
	wantErr(c.T, "Claim after the deadline", err, context.DeadlineExceeded)
}

// purge has keys in each state, and expects three of them to go.
func purge(c *claimsTest) {
	if _, ok := c.next().(store.ClaimsPurger); !ok {
		c.Skip("this one does not implement store.ClaimsPurger")
	}
	kept := c.wantNew("done and kept", long)
	c.complete("done and kept", kept, "value", long)
	c.wantNew("busy", long)
	var gone string
	began := timed(func() {
		for _, key := range []string{"gone 1", "gone 2", "gone 3"} {
			gone = c.wantNew(key, long)
			c.complete(key, gone, "value", short)
		}
		c.wantNew("ran out", short)
	})
	passed(began, short)
	for _, want := range []int{3, 0} {
		n, err := c.next().(store.ClaimsPurger).PurgeClaims(c.Context())
		if err != nil || n != want {
			c.Errorf("PurgeClaims: %d, %v, want %d, nil", n, err, want)
		}
	}
	c.wantRefused("the token of a key that was purged", "gone 3", gone)
	c.wantNew("gone 1", long)
	c.wantDone("done and kept", kept, "value")
	c.wantBusy("busy")
	if claim := c.claim("ran out", long); claim.State != store.ClaimNew || !claim.Expired {
		c.Error("PurgeClaims: it is forgotten that a lease ran out just now")
	}
}

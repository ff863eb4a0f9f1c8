// Package storetest checks a [store.TokenStore], [store.Claims] or durable.Store against its
// contract.
//
// An application that keeps its tokens in a database of its own choice runs the suites
// that the stores of this module pass:
//
//	func TestStore(t *testing.T) {
//		storetest.RunShared(t, func(t *testing.T) func() store.TokenStore {
//			table := newTable(t)
//			return func() store.TokenStore { return openStore(t, table) }
//		})
//	}
//
// What the contracts forbid costs a doctor the connection in production, or has a meeting
// made twice: a write that is lost when two processes meet, a revision that comes back,
// two ids that a collation takes for one.
//
// RunShared, RunClaims and RunDurable open several handles on one place, and open them
// again: a cache or a lock of the store's own passes in one process, and loses updates
// between two. Run is for a store of which there is one handle only.
package storetest

import (
	"testing"

	"github.com/telemed-go/telemed/store"
)

// Run is RunShared for a store that has one handle, and no restart: a double in memory,
// or a wrapper around a store that passes RunShared. A lock of the store's own passes
// here for compare-and-set. open is called once for each subtest, must return an empty
// store, and cleans up with t.Cleanup; Run closes nothing.
func Run(t *testing.T, open func(t *testing.T) store.TokenStore) {
	t.Helper()
	for _, clause := range tokenClauses {
		t.Run(clause.name, func(t *testing.T) {
			st := open(t)
			h := newHarness(t, oneHandle, func() store.TokenStore { return st })
			h.lent = true
			runTokens(h, clause)
		})
	}
}

// RunShared checks [store.TokenStore], clause by clause, each in a subtest of its own.
//
// open is called once for each subtest and makes an empty place for records. The function
// that it returns opens one more handle on that same place, as another process would, or
// the same one after a restart. A handle that implements io.Closer is closed before a
// restart, and at the end of its subtest at the latest. Everything else is cleaned up
// with t.Cleanup.
//
// Most clauses run three times: through one handle, through several in turn, of which one
// is replaced now and then, and with a restart between any two calls. Beside each clause
// other accounts are written to, whose ids look like those of the clause. A store that
// implements [store.Lister] is checked for that too, with 2,100 records. Some clauses use
// many goroutines, so run them with -race.
func RunShared(t *testing.T, open func(t *testing.T) func() store.TokenStore) {
	t.Helper()
	runClauses(t, tokenClauses, open, runTokens)
}

var tokenClauses = []clause[*tokensTest]{
	{"get what was put", false, getPut},
	{"absent", false, absent},
	{"delete", false, deletes},
	{"every field", false, everyField},
	{"times", false, times},
	{"zero fields", false, zeroFields},
	{"bounds", false, bounds},
	{"conflicts write nothing", false, conflicts},
	{"a revision never comes back", false, revisions},
	{"keys are exact", false, exactKeys},
	{"subjects of every kind", false, subjects},
	{"invalid keys", false, invalidKeys},
	{"nothing is shared with the caller", false, aliasing},
	{"context", false, contexts},
	{"list", false, list},
	{"list of many", true, listOfMany},
	{"one of many creates", true, createRace},
	{"no increment is lost", true, incrementRace},
	{"many accounts at once", true, accountsRace},
	{"a refresh and a disconnect", true, deleteRace},
}

// RunClaims checks [store.Claims], clause by clause, each in a subtest of its own:
//
//	func TestClaims(t *testing.T) {
//		storetest.RunClaims(t, func(t *testing.T) func() store.Claims {
//			table := newTable(t)
//			return func() store.Claims { return openClaims(t, table) }
//		})
//	}
//
// open is as for [RunShared], and so are the three ways in which most clauses run. Claims
// that implement [store.ClaimsPurger] are checked for that too. Some clauses wait for
// leases of a tenth of a second to run out; some use many goroutines, so run them with
// -race.
func RunClaims(t *testing.T, open func(t *testing.T) func() store.Claims) {
	t.Helper()
	runClauses(t, claimClauses, open, runClaims)
}

var claimClauses = []clause[*claimsTest]{
	{"new busy done", false, newBusyDone},
	{"release", false, release},
	{"tokens", false, claimTokens},
	{"complete over done", false, completeOverDone},
	{"a lease runs out", false, leaseRunsOut},
	{"a keeping time runs out", false, keepRunsOut},
	{"complete after the lease", false, completeAfterLease},
	{"taken over", false, takenOver},
	{"long times", false, longTimes},
	{"keys are exact", false, exactClaimKeys},
	{"keys of every kind", false, everyClaimKey},
	{"values are whole", false, wholeValues},
	{"nothing is shared with the caller", false, claimAliasing},
	{"bounds", false, claimBounds},
	{"context", false, claimContexts},
	{"purge", false, purge},
	{"one winner", true, oneWinner},
	{"one takes over", true, oneTakesOver},
	{"comes and goes", true, comesAndGoes},
	{"completed or taken over", true, completedOrTakenOver},
}

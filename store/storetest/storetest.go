// Package storetest checks a [store.TokenStore] or [store.Claims] against its contract.
//
// An application that keeps its tokens in a database of its own choice runs the suites
// that the stores of this module pass:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) store.TokenStore { return newRedisStore(t) })
//	}
//
// What the contracts forbid costs a doctor the connection in production, or has a meeting
// made twice: a write that is lost when two processes meet, a revision that comes back,
// two ids that a collation takes for one.
//
// Run is one process, and gets one store for each subtest. A lock of the store's own
// therefore passes for compare-and-set, and loses updates between two processes: the
// comparison must be the database's. RunClaims opens several handles on one place, and
// opens them again.
package storetest

import (
	"testing"

	"github.com/telemed-go/telemed/store"
)

// Run checks the stores that open returns, clause by clause, each in a subtest of its
// own. open is called once for each subtest, must return an empty store, and cleans up
// with t.Cleanup. A store that implements [store.Lister] is checked for that too. The
// subtests run one after the other; some use the store from many goroutines, so run them
// with -race.
func Run(t *testing.T, open func(t *testing.T) store.TokenStore) {
	t.Helper()
	for _, test := range []struct {
		name string
		run  func(t *testing.T, st store.TokenStore)
	}{
		{"get what was put", getPut},
		{"absent", absent},
		{"delete", deletes},
		{"every field", everyField},
		{"times", times},
		{"zero fields", zeroFields},
		{"bounds", bounds},
		{"conflicts write nothing", conflicts},
		{"a revision never comes back", revisions},
		{"keys are exact", exactKeys},
		{"subjects of every kind", subjects},
		{"invalid keys", invalidKeys},
		{"nothing is shared with the caller", aliasing},
		{"context", contexts},
		{"one of many creates", createRace},
		{"no increment is lost", incrementRace},
		{"a refresh and a disconnect", deleteRace},
		{"list", list},
		{"list while writing", listWhileWriting},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
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
// open is called once for each subtest and makes an empty place for claims. The function
// that it returns opens one more handle on that same place, as another process would, or
// the same one after a restart. A handle that implements io.Closer is closed before a
// restart, and at the end of its subtest at the latest.
//
// Most clauses run three times: through one handle, through several in turn, and with a
// restart between any two calls. Claims that implement [store.ClaimsPurger] are checked
// for that too. Some clauses wait for leases of a tenth of a second to run out; some use
// many goroutines, so run them with -race.
func RunClaims(t *testing.T, open func(t *testing.T) func() store.Claims) {
	t.Helper()
	for _, clause := range claimClauses {
		t.Run(clause.name, func(t *testing.T) {
			if clause.race {
				clause.run(newClaimsTest(t, severalHandles, open(t)))
				return
			}
			for _, way := range []claimWay{oneHandle, severalHandles, restarts} {
				t.Run(string(way), func(t *testing.T) { clause.run(newClaimsTest(t, way, open(t))) })
			}
		})
	}
}

var claimClauses = []struct {
	name string
	race bool // runs once, from many goroutines
	run  func(*claimsTest)
}{
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
	{"completed or taken over", true, completedOrTakenOver},
}

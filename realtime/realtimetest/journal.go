package realtimetest

import (
	"context"

	"github.com/telemed-go/telemed/realtime"
)

// TB is what RunJournal needs of a *testing.T.
type TB[T any] interface {
	Helper()
	Context() context.Context
	Cleanup(f func())
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Skip(args ...any)
	Run(name string, f func(t T)) bool
}

// JournalEngine is what the journals of one fleet stand on: a database, a broker, or the
// memory of one process. Clauses about what is nil are skipped.
type JournalEngine struct {
	// Open returns the journal of one more process. Required. For an engine that is one
	// process it may return the same journal each time.
	Open func() realtime.Journal
	// Trim has the engine drop all entries that are there now, as its bounds would. It may
	// append others for that.
	Trim func()
	// Lose has the engine lose all entries at once, and go on empty.
	Lose func()
	// Stop takes the engine away from all journals, and Start brings it back with all that
	// it had.
	Stop, Start func()
}

// RunJournal checks a realtime.Journal against its contract, one subtest for each clause.
// engine returns an empty engine each time; what it opens it closes by t.Cleanup.
//
//	func TestJournal(t *testing.T) {
//		realtimetest.RunJournal(t, func(t *testing.T) realtimetest.JournalEngine { … })
//	}
//
// It waits at most ten seconds for anything, and takes some seconds in all.
func RunJournal[T TB[T]](t T, engine func(t T) JournalEngine) {
	t.Helper()
	for _, clause := range journalClauses {
		t.Run(clause.name, func(t T) {
			c := &journalTest{tb: t, JournalEngine: engine(t)}
			c.another = func() JournalEngine { return engine(t) }
			clause.run(c)
		})
	}
}

// tb is TB without Run.
type tb interface {
	Helper()
	Context() context.Context
	Cleanup(f func())
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Skip(args ...any)
}

// journalTest is one run of a clause.
type journalTest struct {
	tb
	JournalEngine
	another func() JournalEngine // of another fleet
}

var journalClauses = []struct {
	name string
	run  func(*journalTest)
}{
	{"own entries come back", ownEntries},
	{"entries are whole", wholeEntries},
	{"one order for all", oneOrder},
	{"one at a time", oneAtATime},
	{"follow from the past", followFromThePast},
	{"since", since},
	{"since by rooms", sinceByRooms},
	{"time", byTime},
	{"positions", positions},
	{"positions of another journal", foreignPositions},
	{"wrong calls", wrongCalls},
	{"context", contexts},
	{"gap after a trim", gapAfterTrim},
	{"gap after a loss", gapAfterLoss},
	{"engine away", engineAway},
}

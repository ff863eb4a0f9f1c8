package durable

import (
	"context"
	"time"
)

// Kind says what is to be done about the rows of one kind.
type Kind struct {
	// Version is that of Item.Data which Plan and the effects read and write. Rows of a
	// later version are left to processes that know them.
	Version int
	// Plan says what is to be done about item, whose Revision is current, at now. It is
	// pure: it changes nothing and asks nobody, so that it can be called at any time, more
	// than once. An error counts as a failed attempt. Required.
	Plan func(item Item, now time.Time) (Effect, error)
}

// Effect is the next thing to be done about a row. The zero value is that nothing is.
type Effect struct {
	// Name says which, in logs and where a row is stuck: "send confirmation".
	Name string
	// Do does it. Its ctx ends when half of the lease is over; whatever it does must end by
	// then. What it found out is the Fact, also beside an error; nil is that there is
	// nothing to write down. If Do is nil, nothing is to be done before At.
	//
	// With an error the effect is tried again later, see [Runner]. An outcome that is
	// unknown is no error for the Runner but a Fact, since only Plan can say what follows.
	Do func(ctx context.Context) (Fact, error)
	// Ahead changes the row before Do begins: "is being sent". Then a death in the middle
	// can be told from one before. If nil, nothing is written before: Do can be repeated.
	//
	// Plan may have something else done after such a death: to look what happened. Its
	// success sets Item.Attempts to 0, so that the kind itself counts in Data how often Do
	// has been begun in vain.
	Ahead Fact
	// At is when to look again if Do is nil. Zero: not before somebody changes the row and
	// sets Due.
	At time.Time
}

// Fact writes down what is known into a row, whatever the row says by now: another
// process may have written meanwhile. It only adds, so that applying it twice is the same
// as once. It may change Data, Audit, EraseAt and Version; what else it changes is not
// looked at. An error counts as one of Do. A row that it makes too long is stuck.
//
// It comes late if the process stood still, and then to a row that others have gone on
// with. If nobody has the row in hand, it is due at once, so that Plan learns of it.
type Fact func(item *Item) error

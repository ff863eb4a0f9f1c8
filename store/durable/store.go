package durable

import (
	"context"
	"iter"
	"time"

	"github.com/telemed-go/telemed/internal/fault"
)

// Store keeps rows. Three methods are enough; what else a database can do is asked for by
// type assertion: [Leaser], [LeaseLister], [Eraser], [Lister].
//
// Implementations are safe for concurrent use by many processes and honour ctx. What was
// answered holds for every process at once, and after a restart. They call [CheckID] and
// [CheckItem] first and return a telemed.FieldError, before anything is written. A row
// that is sealed and does not open is telemed.ErrDecrypt. Another error leaves open
// whether a Put happened, unless it matches telemed.ErrUnavailable or
// telemed.ErrConflict: then it did not.
//
// storetest.RunDurable checks an implementation.
type Store interface {
	// Get returns the row, or telemed.ErrNotFound.
	Get(ctx context.Context, id ID) (Item, error)
	// Put writes item over the row whose revision is item.Revision, or creates it if that
	// is empty, and returns the new revision: random, never used before. If the row is not
	// there, has another revision, or is there and should not be, it is
	// telemed.ErrConflict.
	Put(ctx context.Context, item Item) (revision string, err error)
	// Due returns ids of rows that fit q, soonest due first. It is a hint: a row may have
	// been changed since. A row that fits is never left out for ever.
	Due(ctx context.Context, q Query) ([]ID, error)
}

// Query says which rows are asked for.
type Query struct {
	// Kinds maps a kind to the highest Item.Version that the caller reads. Rows of other
	// kinds and of later versions do not fit. Required.
	Kinds map[string]int
	// By is the time at which rows are due: Item.Due is set, and not after it. Required
	// unless Leased is set.
	By time.Time
	// Limit is how many are returned at most, 1 to MaxLimit. Required.
	Limit int
	// PerTenant is how many of one tenant are returned at most. If 0, as many as fit.
	PerTenant int
	// Leased asks for the rows that have a lease, due or not. Without it, a row that has
	// one does not fit.
	Leased bool
}

// MaxLimit is the largest Query.Limit.
const MaxLimit = 1000

// CheckQuery names what is wrong with q. Stores call it first.
func CheckQuery(q Query) error {
	var p fault.Problems
	p.Check(len(q.Kinds) > 0, "Kinds", "are required")
	for kind := range q.Kinds {
		p.Check(validKind(kind), "Kinds", "has a name that is not 1 to 64 characters of a-z, 0-9, _ and -")
	}
	p.Check(q.Leased || !q.By.IsZero(), "By", "is required")
	checkTime(&p, "By", q.By)
	p.Check(q.Limit >= 1 && q.Limit <= MaxLimit, "Limit", "is not between 1 and %d", MaxLimit)
	p.Check(q.PerTenant >= 0, "PerTenant", "is negative")
	return p.Err("durable: query")
}

// CheckLease names what is wrong with a lease that is to be taken.
func CheckLease(lease Lease) error {
	var p fault.Problems
	p.Required("Lease.Owner", lease.Owner)
	checkLease(&p, lease)
	return p.Err("durable: lease")
}

// Leaser is a Store that finds rows and leases them at once, so that workers do not get
// into each other's way.
type Leaser interface {
	// Lease gives lease to at most q.Limit rows that are due, and returns them whole, with
	// their new revision. It takes turns between tenants: it serves those that come after
	// the tenant after, in their order, and then from the first one on; of n tenants that
	// have a due row, each gets about a share of q.Limit. next is the after of the next
	// call. q.PerTenant and q.Leased are not looked at. Rows that do not open are left
	// out, and the error, beside the others, is telemed.ErrDecrypt.
	Lease(ctx context.Context, q Query, after string, lease Lease) (items []Item, next string, err error)
}

// LeaseLister is a Store that tells in one call what is leased.
type LeaseLister interface {
	// Leases returns every lease on a row of these kinds and versions.
	Leases(ctx context.Context, kinds map[string]int) ([]Held, error)
}

// Held is a lease on a row.
type Held struct {
	ID       ID
	Revision string
	Lease    Lease
}

// Eraser is a Store that deletes rows whose time is over.
type Eraser interface {
	// Erase deletes rows with an EraseAt that is not after by, whatever their state, at
	// most limit, and returns how many.
	Erase(ctx context.Context, by time.Time, limit int) (int, error)
}

// Lister is a Store that tells what it has.
type Lister interface {
	// List yields rows that fit filter in the order of their names, and at most one error,
	// last. The body of the loop may use the Store. Rows that are written meanwhile may be
	// there or not.
	List(ctx context.Context, filter Filter) iter.Seq2[Item, error]
}

// Filter says which rows are listed. The zero value fits all.
type Filter struct {
	// Kind and Tenant, if not empty, are those of the rows.
	Kind, Tenant string
	// Stuck asks for rows that are stuck.
	Stuck bool
}

// Fits reports whether item is listed.
func (f Filter) Fits(item Item) bool {
	return (f.Kind == "" || f.Kind == item.ID.Kind) && (f.Tenant == "" || f.Tenant == item.Tenant) && (!f.Stuck || item.Stuck != "")
}

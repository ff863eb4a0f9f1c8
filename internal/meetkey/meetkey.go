// Package meetkey remembers what became of the Key of a meeting, in all processes of an
// application, so that one Key has one meeting whatever a provider's list says.
//
// A [Record] goes from nothing to [Asked], [Made] and [Cancelled]. It is a value that
// store.Claims keeps. Whoever may change it holds a second claim meanwhile, the lock.
// Asked is written before the provider is asked: whoever finds it and has the lock knows
// that there may be a meeting, and in which account.
package meetkey

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/wait"
	"github.com/telemed-go/telemed/store"
)

// State is how far a Key has come. Empty means that nothing is known of it.
type State string

const (
	// Asked means that the provider was asked to make the meeting, and that nobody has
	// written down whether it did.
	Asked State = "asked"
	// Made means that the meeting was made.
	Made State = "made"
	// Cancelled means that the meeting was cancelled. There will be no other.
	Cancelled State = "cancelled"
)

// Record is what is known of a Key, or of a meeting by its id.
type Record struct {
	State State `json:"state,omitempty"`
	// Meeting is the id of the meeting.
	Meeting string `json:"meeting,omitempty"`
	// Account is the provider's id of the account that it is in. Empty if nobody knew.
	Account string `json:"account,omitempty"`
	// Key names the record of the meeting's Key. It is set in a record by id alone.
	Key string `json:"key,omitempty"`
	// Over is when the request that asked for it has ended, or will have at the latest.
	Over time.Time `json:"over,omitzero"`
}

// Records keeps what is known of Keys and meetings. It is safe for concurrent use.
type Records struct {
	// Claims keeps the records.
	Claims store.Claims
	// Prefix begins the keys of its claims: "zoom:meeting:".
	Prefix string
	// Forgets is true if Claims is the memory of this process, which knows nothing of
	// others and of what was before.
	Forgets bool
}

// NewRecords returns the Records of a client. Their Claims are those that it was given, or
// its TokenStore if that implements store.Claims, or memory.
func NewRecords(prefix string, claims store.Claims, tokens store.TokenStore) Records {
	if claims == nil {
		claims, _ = tokens.(store.Claims)
	}
	if claims == nil {
		return Records{Claims: store.NewMemory(), Prefix: prefix, Forgets: true}
	}
	return Records{Claims: claims, Prefix: prefix}
}

// Absence is what a provider's word is worth that it knows no such meeting.
type Absence int

const (
	// Believed means that the account says so that the meeting was made in.
	Believed Absence = iota
	// Elsewhere means that the meeting was made in another account.
	Elsewhere
	// Unknown means that nobody knows in which account it was made, or which one says so.
	Unknown
)

// Absent judges a provider's word that it knows no such meeting, by what is written down
// of the meeting. The doctor's account was asked before the call and is now; empty if that
// is not known. A meeting of which nothing is written down is none of this application's,
// unless Forgets is set.
func (b Records) Absent(known Record, asked, now string) Absence {
	unheard := known == (Record{}) && !b.Forgets
	switch {
	case now == "" || asked != "" && asked != now || known.Account == "" && !unheard:
		return Unknown
	case known.Account != now && !unheard:
		return Elsewhere
	}
	return Believed
}

const (
	// lease is how long a process that died keeps others from a record at most.
	lease = time.Minute
	// margin is how long before the end of its lease a holder stops: it writes down then
	// what it knows, which takes noteTime twice at most.
	margin = 2 * noteTime
	// noteTime bounds what is written, also if the caller has gone.
	noteTime = 5 * time.Second
	// aftermath is how long a record is kept after the start of its meeting.
	aftermath = 366 * 24 * time.Hour
)

// recordLease is how long a process that died while it read keeps a record busy.
func recordLease() time.Duration { return 5 * time.Second }

// The pauses between two looks at a claim that is busy.
const (
	firstPause   = 10 * time.Millisecond
	longestPause = 250 * time.Millisecond
)

// AskAgain is how long to wait after fault.UnderWay. Whoever asks waits for the holder, so
// that it is not often.
const AskAgain = 2 * time.Second

// take claims a key as soon as it is not busy. If it still is when ctx ends, the error
// matches fault.UnderWay.
func (b Records) take(ctx context.Context, key string, lease func() time.Duration) (store.Claim, error) {
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		claim, err := b.Claims.Claim(ctx, key, lease())
		switch {
		case err != nil && pause > firstPause && ctx.Err() != nil:
			return store.Claim{}, fault.Tagged(fault.UnderWay, err)
		case err != nil || claim.State != store.ClaimBusy:
			return claim, err
		}
		if err := wait.For(ctx, wait.Jitter(pause)); err != nil {
			return store.Claim{}, fault.Tagged(fault.UnderWay, err)
		}
	}
}

// Entry is a record under lock. It is for one goroutine.
type Entry struct {
	// Record is what is known.
	Record Record

	records     Records
	key         string
	lock, token string // the tokens of both claims
	written     bool   // the record is Done by store.Claims' word
	until       time.Time
}

// Open returns the record under a name, locked, and waits for whoever has the lock until
// ctx ends: the error matches fault.UnderWay then. Close it.
//
// The lock is for no longer than ctx has time, and the margin. So a process that dies keeps
// a caller with little time waiting for as little. It is long enough: what the holder asks
// for has begun by Deadline, and who has the lock next knows when that was.
func (b Records) Open(ctx context.Context, name string) (*Entry, error) {
	e := &Entry{records: b, key: b.Prefix + name}
	lock, err := b.take(ctx, e.lockKey(), func() time.Duration {
		e.until = time.Now().Add(lease - margin)
		if end, ok := ctx.Deadline(); ok && end.Before(e.until) {
			e.until = end
		}
		return max(time.Until(e.until), 0) + margin
	})
	if err != nil {
		return nil, err
	}
	e.lock = lock.Token
	record, err := b.take(ctx, e.key, recordLease)
	if err == nil {
		e.token, e.written = record.Token, record.State == store.ClaimDone
		e.Record, err = decode(record)
	}
	if err != nil {
		e.Close(ctx)
		return nil, err
	}
	return e, nil
}

func (e *Entry) lockKey() string { return e.key + ":lock" }

var errUnread = errors.New("what is kept of the meeting cannot be read")

func decode(claim store.Claim) (Record, error) {
	var r Record
	if len(claim.Value) == 0 {
		return r, nil
	}
	if json.Unmarshal(claim.Value, &r) != nil {
		return r, errUnread
	}
	return r, nil
}

// Deadline is when the lock's holder must have ended what it does. It is not after the
// deadline of Open's ctx.
func (e *Entry) Deadline() time.Time { return e.until }

// Undo returns a context for taking back what was done, also if ctx has ended. It leaves time
// to write that down before the lease ends.
func (e *Entry) Undo(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithDeadline(context.WithoutCancel(ctx), e.until.Add(margin-noteTime))
}

// Write writes the record down, also if ctx has ended. It is kept until a year after
// start, and a cancelled one for as long as store.Claims allows. That something was asked
// for is not written after the lease: somebody may know more by then.
func (e *Entry) Write(ctx context.Context, r Record, start time.Time) error {
	var by time.Time
	if r.State == Asked {
		by = e.end()
	}
	err := e.records.write(ctx, e.key, e.token, r, keep(r, start), by)
	if errors.Is(err, telemed.ErrConflict) { // its own lease ran out, and somebody looked
		e.token, err = e.records.put(ctx, e.key, r, keep(r, start))
	}
	if err != nil {
		return err
	}
	e.Record, e.written = r, true
	return nil
}

// Clear forgets the record: what was asked for did surely not happen. After the lease it
// does nothing but return an error: another holder may have asked for it since.
func (e *Entry) Clear(ctx context.Context) error {
	if !e.written {
		return nil // Close releases it
	}
	e.Record = Record{}
	return e.records.write(ctx, e.key, e.token, Record{}, time.Millisecond, e.end())
}

// end is when the lease ends.
func (e *Entry) end() time.Time { return e.until.Add(margin) }

// Close gives the lock back. It may be called again.
func (e *Entry) Close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTime)
	defer cancel()
	if e.token != "" && !e.written {
		_ = e.records.Claims.Release(ctx, e.key, e.token) // else its lease runs out
		e.token = ""
	}
	if e.lock != "" {
		_ = e.records.Claims.Release(ctx, e.lockKey(), e.lock) // else its lease runs out
		e.lock = ""
	}
}

func keep(r Record, start time.Time) time.Duration {
	if r.State == Cancelled {
		return store.MaxClaimTime
	}
	return min(max(time.Until(start), 0)+aftermath, store.MaxClaimTime)
}

// writeTries is how often a record is written at most. Writing it twice does no harm.
const writeTries = 3

var errLate = errors.New("the lease is over")

// write writes a record, but not after by, if that is set. A token does not tell those apart
// who have read the same record.
func (b Records) write(ctx context.Context, key, token string, r Record, keep time.Duration, by time.Time) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTime)
	defer cancel()
	value, err := json.Marshal(r)
	if err != nil {
		return err
	}
	for try := 1; ; try++ {
		if !by.IsZero() && wait.Over(by) {
			return errLate
		}
		err := b.Claims.Complete(ctx, key, token, value, keep)
		if err == nil || try == writeTries || errors.Is(err, telemed.ErrConflict) || wait.For(ctx, wait.Jitter(100*time.Millisecond)) != nil {
			return err
		}
	}
}

// Read returns the record under a name as it is, without a lock. It is zero if there is
// none.
func (b Records) Read(ctx context.Context, name string) (Record, error) {
	claim, err := b.take(ctx, b.Prefix+name, recordLease)
	if err != nil {
		return Record{}, err
	}
	if claim.State == store.ClaimNew {
		e := Entry{records: b, key: b.Prefix + name, token: claim.Token}
		e.Close(ctx)
	}
	return decode(claim)
}

// Note writes a record that says the same whoever writes it: it needs no lock.
func (b Records) Note(ctx context.Context, name string, r Record, start time.Time) error {
	_, err := b.put(ctx, b.Prefix+name, r, keep(r, start))
	return err
}

// put writes a record whose token it asks for.
func (b Records) put(ctx context.Context, key string, r Record, keep time.Duration) (token string, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTime)
	defer cancel()
	claim, err := b.take(ctx, key, recordLease)
	if err != nil {
		return "", err
	}
	return claim.Token, b.write(ctx, key, claim.Token, r, keep, time.Time{})
}

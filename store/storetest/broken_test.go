package storetest_test

import (
	"context"
	"iter"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/suitetest"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/storetest"
)

// broken are stores with one fault each, and the clause that must find it.
var broken = map[string]struct {
	clause string
	open   func() store.TokenStore
}{
	"counts revisions":    {"a revision never comes back", func() store.TokenStore { return newBroken(broke{counter: true}) }},
	"overwrites":          {"conflicts write nothing", func() store.TokenStore { return newBroken(broke{overwrite: true}) }},
	"compares, then sets": {"no increment is lost", func() store.TokenStore { return newBroken(broke{twoSteps: true}) }},
	"folds case":          {"keys are exact", func() store.TokenStore { return newBroken(broke{fold: strings.ToLower}) }},
	"pads": {"keys are exact", func() store.TokenStore {
		return newBroken(broke{fold: func(s string) string { return strings.TrimRight(s, " ") }})
	}},
	"forgets the taint": {"every field", func() store.TokenStore {
		return newBroken(broke{change: func(r *store.Record) { r.Lease.Tainted = false }})
	}},
	"forgets how long a lease lives": {"every field", func() store.TokenStore {
		return newBroken(broke{change: func(r *store.Record) { r.Lease.TTL = 0 }})
	}},
	"counts a lease's milliseconds in 32 bits": {"every field", func() store.TokenStore {
		return newBroken(broke{change: func(r *store.Record) {
			r.Lease.TTL = time.Duration(int32(r.Lease.TTL.Milliseconds())) * time.Millisecond
		}})
	}},
	"keeps seconds": {"times", func() store.TokenStore {
		return newBroken(broke{change: func(r *store.Record) { r.UpdatedAt = r.UpdatedAt.Truncate(1e9) }})
	}},
	"shares maps":             {"nothing is shared with the caller", func() store.TokenStore { return newBroken(broke{share: true}) }},
	"ignores the context":     {"context", func() store.TokenStore { return newBroken(broke{noContext: true}) }},
	"takes any key":           {"invalid keys", func() store.TokenStore { return newBroken(broke{anyKey: true}) }},
	"brings back the deleted": {"a refresh and a disconnect", func() store.TokenStore { return newBroken(broke{upsert: true}) }},
	"cuts a token": {"bounds", func() store.TokenStore {
		return newBroken(broke{change: func(r *store.Record) {
			r.Token.Access = telemed.NewSecret(cutAt(40_000)(r.Token.Access.Reveal()))
		}})
	}},
	"cuts a token by a byte": {"bounds", func() store.TokenStore {
		return newBroken(broke{change: func(r *store.Record) {
			if data, _ := store.EncodeToken(r.Token); len(data) == store.MaxToken {
				r.Token.Access = telemed.NewSecret(r.Token.Access.Reveal()[1:])
			}
		}})
	}},
	"cuts a reason": {"bounds", func() store.TokenStore {
		return newBroken(broke{change: func(r *store.Record) { r.Reason = cutAt(255)(r.Reason) }})
	}},
	"has no bounds":            {"bounds", func() store.TokenStore { return newBroken(broke{noBounds: true}) }},
	"creates over what exists": {"one of many creates", func() store.TokenStore { return newBroken(broke{replaces: true}) }},
	"drops what has expired":   {"times", func() store.TokenStore { return newBroken(broke{ttl: true}) }},
	"reads a copy that lags":   {"get what was put", func() store.TokenStore { return newBroken(broke{lags: true}) }},
	"lists the deleted": {"list", func() store.TokenStore {
		return newIndexed(func(_, first store.Record, _ bool) (store.Record, bool) { return first, true })
	}},
	"lists by an old status": {"list", func() store.TokenStore {
		return newIndexed(func(rec, first store.Record, there bool) (store.Record, bool) {
			rec.Status = first.Status
			return rec, there
		})
	}},
}

// TestBroken is the child's side of TestFindsWhatIsBroken.
func TestBroken(t *testing.T) {
	name := suitetest.Broken(t)
	if b, ok := broken[name]; ok {
		storetest.Run(t, func(*testing.T) store.TokenStore { return b.open() })
		return
	}
	storetest.RunClaims(t, func(*testing.T) func() store.Claims { return newBrokenClaims(brokenClaims[name].faults) })
}

// TestFindsWhatIsBroken runs the suite over broken stores in other processes, where it
// may fail.
func TestFindsWhatIsBroken(t *testing.T) {
	t.Parallel()
	clauses := map[string]string{}
	for name, b := range broken {
		clauses[name] = b.clause
	}
	for name, b := range brokenClaims {
		clauses[name] = b.clause
	}
	suitetest.Finds(t, clauses)
}

type broke struct {
	counter, overwrite, twoSteps, share, noContext, anyKey, upsert, replaces, ttl, lags, noBounds bool

	fold   func(string) string
	change func(*store.Record)
}

// brokenStore is a store of its own with the faults of broke.
type brokenStore struct {
	broke
	mu      sync.Mutex
	records map[store.AccountID]store.Record
	before  map[store.AccountID]store.Record // what the last Put has replaced
	last    atomic.Int64
}

func newBroken(b broke) *brokenStore {
	if b.fold == nil {
		b.fold = func(s string) string { return s }
	}
	if b.change == nil {
		b.change = func(*store.Record) {}
	}
	return &brokenStore{broke: b, records: map[store.AccountID]store.Record{}, before: map[store.AccountID]store.Record{}}
}

func (b *brokenStore) check(ctx context.Context, key *store.AccountID) error {
	if err := key.Validate(); err != nil && !b.anyKey {
		return err
	}
	if !b.noContext && ctx.Err() != nil {
		return ctx.Err()
	}
	key.Subject = b.fold(key.Subject)
	return nil
}

func (b *brokenStore) Get(ctx context.Context, key store.AccountID) (store.Record, error) {
	asked := key
	if err := b.check(ctx, &key); err != nil {
		return store.Record{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	rec, ok := b.records[key]
	if !ok || b.ttl && !rec.Token.Expiry.IsZero() && rec.Token.Expiry.Before(time.Now()) {
		return store.Record{}, telemed.ErrNotFound
	}
	if old, moved := b.before[key]; b.lags && moved {
		delete(b.before, key) // the next read is right
		rec = old
	}
	rec.ID = asked
	return b.copied(rec), nil
}

func (b *brokenStore) Put(ctx context.Context, rec store.Record) (string, error) {
	key := rec.ID
	if err := b.check(ctx, &key); err != nil {
		return "", err
	}
	if err := store.CheckRecord(rec); err != nil && !b.noBounds && !b.anyKey {
		return "", err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	old, ok := b.records[key]
	fits := old.Revision == rec.Revision || b.overwrite || b.upsert && !ok || b.replaces && rec.Revision == ""
	if !fits {
		return "", telemed.ErrConflict
	}
	if b.twoSteps {
		b.mu.Unlock()
		runtime.Gosched()
		b.mu.Lock()
	}
	rec = b.copied(rec)
	b.change(&rec)
	rec.Revision = strconv.FormatInt(b.last.Add(1), 10)
	if b.counter && !ok {
		rec.Revision = "1"
	}
	if b.counter && ok {
		n, _ := strconv.Atoi(old.Revision)
		rec.Revision = strconv.Itoa(n + 1)
	}
	if ok {
		b.before[key] = old
	}
	b.records[key] = rec
	return rec.Revision, nil
}

func (b *brokenStore) copied(rec store.Record) store.Record {
	if b.share {
		return rec
	}
	data, _ := store.EncodeToken(rec.Token)
	rec.Token, _ = store.DecodeToken(data)
	return rec
}

func (b *brokenStore) Delete(ctx context.Context, key store.AccountID) error {
	if err := b.check(ctx, &key); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.records, key)
	return nil
}

// indexed is a store whose List goes by what was first put under a key.
type indexed struct {
	*brokenStore
	first map[store.AccountID]store.Record
	list  func(rec, first store.Record, there bool) (store.Record, bool)
}

func newIndexed(list func(rec, first store.Record, there bool) (store.Record, bool)) *indexed {
	return &indexed{newBroken(broke{}), map[store.AccountID]store.Record{}, list}
}

func (i *indexed) Put(ctx context.Context, rec store.Record) (string, error) {
	if _, ok := i.first[rec.ID]; !ok {
		i.first[rec.ID] = rec
	}
	return i.brokenStore.Put(ctx, rec)
}

func (i *indexed) List(ctx context.Context, filter store.Filter) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		if ctx.Err() != nil {
			yield(store.Record{}, ctx.Err())
			return
		}
		for key, first := range i.first {
			rec, there := i.records[key]
			entry, listed := i.list(rec, first, there)
			if listed && filter.Match(entry) {
				if there {
					entry = i.copied(rec)
				}
				if !yield(entry, nil) {
					return
				}
			}
		}
	}
}

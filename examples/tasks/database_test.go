package tasks_test

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/durable"
	"github.com/telemed-go/telemed/store/storetest"
)

// keyValue stands for a database that is neither SQL nor MongoDB, and can do one thing
// that is needed: it writes a key only over the version that the caller has read.
type keyValue struct {
	mu   sync.Mutex
	rows map[string]pair
}

type pair struct {
	value   []byte
	version string
}

func (db *keyValue) get(key string) (pair, bool) {
	db.mu.Lock()
	defer db.mu.Unlock()
	found, ok := db.rows[key]
	return found, ok
}

// putIf writes if the key has this version. "" is that there is no such key.
func (db *keyValue) putIf(key, version string, value []byte) (string, bool) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.rows[key].version != version {
		return "", false
	}
	written := pair{value, rand.Text()} // random: a version never comes back
	db.rows[key] = written
	return written.version, true
}

func (db *keyValue) all() (found []pair) {
	db.mu.Lock()
	defer db.mu.Unlock()
	for _, row := range db.rows {
		found = append(found, row)
	}
	return found
}

// ownRows is a durable.Store over it, in three methods.
type ownRows struct{ db *keyValue }

func (s ownRows) Get(ctx context.Context, id durable.ID) (durable.Item, error) {
	if err := cmp.Or(durable.CheckID(id), ctx.Err()); err != nil {
		return durable.Item{}, err
	}
	found, ok := s.db.get(id.String())
	if !ok {
		return durable.Item{}, fmt.Errorf("ownrows: %s: %w", id, telemed.ErrNotFound)
	}
	return decodeRow(found)
}

func decodeRow(of pair) (item durable.Item, err error) {
	err = json.Unmarshal(of.value, &item)
	item.Revision = of.version
	return item, err
}

func (s ownRows) Put(ctx context.Context, item durable.Item) (string, error) {
	if err := cmp.Or(durable.CheckItem(item), ctx.Err()); err != nil {
		return "", err
	}
	old, err := s.Get(ctx, item.ID)
	if err != nil && !errors.Is(err, telemed.ErrNotFound) {
		return "", err
	}
	conflict := fmt.Errorf("ownrows: %s: %w", item.ID, telemed.ErrConflict)
	if err == nil && old.Tenant != item.Tenant { // it does not change
		return "", conflict
	}
	value, err := json.Marshal(durable.Kept(item))
	if err != nil {
		return "", err
	}
	revision, written := s.db.putIf(item.ID.String(), item.Revision, value)
	if !written {
		return "", conflict
	}
	return revision, nil
}

// Due reads all rows here. A database has an index on due.
func (s ownRows) Due(ctx context.Context, q durable.Query) (ids []durable.ID, err error) {
	if err := cmp.Or(durable.CheckQuery(q), ctx.Err()); err != nil {
		return nil, err
	}
	var fitting []durable.Item
	for _, row := range s.db.all() {
		item, err := decodeRow(row)
		if err != nil {
			return nil, err
		}
		version, known := q.Kinds[item.ID.Kind]
		due := q.Leased || !item.Due.IsZero() && !item.Due.After(q.By)
		if known && item.Version <= version && due && q.Leased == (item.Lease.Owner != "") {
			fitting = append(fitting, item)
		}
	}
	slices.SortFunc(fitting, func(a, b durable.Item) int { return a.Due.Compare(b.Due) })
	perTenant := map[string]int{}
	for _, item := range fitting {
		if len(ids) < q.Limit && (q.PerTenant == 0 || perTenant[item.Tenant] < q.PerTenant) {
			perTenant[item.Tenant]++
			ids = append(ids, item.ID)
		}
	}
	return ids, nil
}

// The conformance kit checks them, and the claims that NewClaims makes of them.
func TestOwnDatabase(t *testing.T) {
	t.Parallel()
	storetest.RunDurable(t, func(*testing.T) func() durable.Store {
		db := &keyValue{rows: map[string]pair{}}
		return func() durable.Store { return ownRows{db} } // one more process
	})
}

// Rows and claims in a database of one's own are all that meet/visit, payments/fulfill,
// notify/outbox and zoom need of one. Where accounts are connected, a store.TokenStore is
// needed too: the Example of storetest is one.
func Example_database() {
	ctx := context.Background()
	keys, err := store.NewKeyring(store.NewKey()) // store.KeyringFromEnv in production
	if err != nil {
		panic(err)
	}
	rows := durable.Sealed(ownRows{&keyValue{rows: map[string]pair{}}}, keys) // for visit.Config.Store
	// These are for zoom.Config.Claims and the webhooks.
	claims := durable.NewClaims(rows)

	id := durable.ID{Kind: "reminder", Name: "appt-42"}
	_, err = durable.Change(ctx, rows, id, func(item *durable.Item) error {
		item.Due = time.Now()
		return nil
	})
	fmt.Println("written:", err)
	due, err := rows.Due(ctx, durable.Query{Kinds: map[string]int{"reminder": 0}, By: time.Now(), Limit: 10})
	fmt.Println("due:", due, err)
	mine, err := claims.Claim(ctx, "appt-42", time.Minute)
	fmt.Println(mine.State, err)
	others, err := claims.Claim(ctx, "appt-42", time.Minute)
	fmt.Println(others.State, err)
	// Output:
	// written: <nil>
	// due: [reminder/appt-42] <nil>
	// new <nil>
	// busy <nil>
}

package storetest_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"testing"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/storetest"
)

// redis stands for an application's own database: it keeps bytes under keys, and can
// compare before it sets.
type redis struct {
	mu   sync.Mutex
	rows map[string]row
}

type row struct {
	token    []byte
	rec      store.Record // without Token: a database has columns for it
	revision string
}

// redisStore is an application's own TokenStore.
type redisStore struct{ db *redis }

func newRedis() *redis { return &redis{rows: map[string]row{}} }

func name(key store.AccountID) string { return key.Provider + ":" + key.Subject }

func (s redisStore) Get(ctx context.Context, key store.AccountID) (store.Record, error) {
	if err := validate(ctx, key); err != nil {
		return store.Record{}, err
	}
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	found, ok := s.db.rows[name(key)]
	if !ok {
		return store.Record{}, telemed.ErrNotFound
	}
	rec := found.rec
	var err error
	rec.Token, err = store.DecodeToken(found.token)
	rec.Revision = found.revision
	return rec, err
}

func (s redisStore) Put(ctx context.Context, rec store.Record) (string, error) {
	if err := validate(ctx, rec.ID); err != nil {
		return "", err
	}
	if err := store.CheckRecord(rec); err != nil {
		return "", err
	}
	token, err := store.EncodeToken(rec.Token)
	if err != nil {
		return "", err
	}
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	if s.db.rows[name(rec.ID)].revision != rec.Revision {
		return "", telemed.ErrConflict
	}
	revision := rand.Text()
	rec.Token = store.Token{}
	s.db.rows[name(rec.ID)] = row{token, rec, revision}
	return revision, nil
}

func (s redisStore) Delete(ctx context.Context, key store.AccountID) error {
	if err := validate(ctx, key); err != nil {
		return err
	}
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	delete(s.db.rows, name(key))
	return nil
}

func validate(ctx context.Context, key store.AccountID) error {
	if err := key.Validate(); err != nil {
		return err
	}
	return ctx.Err()
}

// An application checks its own store in its own tests, and then uses it like any other.
func Example() {
	_ = func(t *testing.T) { // func TestRedisStore(t *testing.T)
		storetest.RunShared(t, func(*testing.T) func() store.TokenStore {
			db := newRedis()
			return func() store.TokenStore { return redisStore{db} }
		})
	}

	ctx, tokens := context.Background(), redisStore{newRedis()}
	doctor := store.AccountID{Provider: "zoom", Subject: "doctor-7"}
	err := store.Set(ctx, tokens, doctor, store.Token{Refresh: telemed.NewSecret("refresh")})
	fmt.Println(err)
	rec, err := tokens.Get(ctx, doctor)
	fmt.Println(rec.Status, rec.Token.Refresh, err)
	// Output:
	// <nil>
	// active [redacted] <nil>
}

// An application checks its own Claims in its own tests. Here a Memory stands for them:
// each handle is the same one, for it has no other process and no restart.
func ExampleRunClaims() {
	_ = func(t *testing.T) { // func TestClaims(t *testing.T)
		storetest.RunClaims(t, func(*testing.T) func() store.Claims {
			memory := store.NewMemory()
			return func() store.Claims { return memory }
		})
	}
	var claims store.Claims = store.NewMemory()
	_, purges := claims.(store.ClaimsPurger)
	fmt.Println("PurgeClaims is checked:", purges)
	// Output:
	// PurgeClaims is checked: false
}

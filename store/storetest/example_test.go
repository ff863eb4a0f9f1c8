package storetest_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/storetest"
)

// redis stands for a host's own database: it keeps bytes under keys, and can compare before it sets.
type redis struct {
	mu   sync.Mutex
	rows map[string]row
}

type row struct {
	token    []byte
	rec      store.Record // without Token: a database has columns for it
	revision string
}

// redisStore is a host's own TokenStore.
type redisStore struct{ db *redis }

func newRedisStore() redisStore { return redisStore{&redis{rows: map[string]row{}}} }

func name(key store.Key) string { return key.Provider + ":" + key.Subject }

func (s redisStore) Get(ctx context.Context, key store.Key) (store.Record, error) {
	if err := validate(ctx, key); err != nil {
		return store.Record{}, err
	}
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	found, ok := s.db.rows[name(key)]
	if !ok {
		return store.Record{}, store.ErrNotFound
	}
	rec := found.rec
	var err error
	rec.Token, err = store.DecodeToken(found.token)
	rec.Revision = found.revision
	return rec, err
}

func (s redisStore) Put(ctx context.Context, rec store.Record) (string, error) {
	if err := validate(ctx, rec.Key); err != nil {
		return "", err
	}
	token, err := store.EncodeToken(rec.Token)
	if err != nil {
		return "", err
	}
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	if s.db.rows[name(rec.Key)].revision != rec.Revision {
		return "", store.ErrConflict
	}
	revision := rand.Text()
	rec.Token = store.Token{}
	s.db.rows[name(rec.Key)] = row{token, rec, revision}
	return revision, nil
}

func (s redisStore) Delete(ctx context.Context, key store.Key) error {
	if err := validate(ctx, key); err != nil {
		return err
	}
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	delete(s.db.rows, name(key))
	return nil
}

func validate(ctx context.Context, key store.Key) error {
	if err := key.Validate(); err != nil {
		return err
	}
	return ctx.Err()
}

// TestRedisStore is what a host writes; each subtest gets an empty store.
func TestRedisStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) store.TokenStore { return redisStore{&redis{rows: map[string]row{}}} })
}

// A host writes three methods, and TestRedisStore above checks them. All that package store does
// stands on them.
func Example() {
	ctx := context.Background()
	st := redisStore{&redis{rows: map[string]row{}}}
	key := store.Key{Provider: "zoom", Subject: "dr-rao"}

	err := store.Set(ctx, st, key, store.Token{Access: store.NewSecret("a"), Refresh: store.NewSecret("r")})
	rec, _ := st.Get(ctx, key)
	fmt.Println(rec.Status, rec.Token.Refresh, err)

	_, err = st.Put(ctx, store.Record{Key: key}) // as if there were no record yet
	fmt.Println(errors.Is(err, store.ErrConflict))
	// Output:
	// active [redacted] <nil>
	// true
}

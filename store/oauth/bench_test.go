package oauth_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/internal/racetest"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/oauth"
)

// instant is a store that costs nothing, so that what is measured is ours.
type instant struct {
	store.TokenStore
	rec store.Record
}

func (i instant) Get(context.Context, store.AccountID) (store.Record, error) { return i.rec, nil }

// BenchmarkToken is the fast path: a token that works, and one read of the store.
func BenchmarkToken(b *testing.B) {
	rec := store.Record{ID: doctor, Token: token("a"), Status: store.StatusActive, UpdatedAt: time.Now(), Revision: "r"}
	s, err := oauth.NewSource(oauth.SourceConfig{Store: instant{rec: rec}, Provider: "zoom", Refresh: newRotating().refresh})
	require.NoError(b, err)
	defer func() { require.NoError(b, s.Shutdown(context.Background())) }()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second) // as a request has one
	defer cancel()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Token(ctx, doctor); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTokenParallel(b *testing.B) {
	rec := store.Record{ID: doctor, Token: token("a"), Status: store.StatusActive, UpdatedAt: time.Now(), Revision: "r"}
	s, err := oauth.NewSource(oauth.SourceConfig{Store: instant{rec: rec}, Provider: "zoom", Refresh: newRotating().refresh})
	require.NoError(b, err)
	defer func() { require.NoError(b, s.Shutdown(context.Background())) }()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		for pb.Next() {
			if _, err := s.Token(ctx, doctor); err != nil {
				b.Error(err)
			}
		}
	})
}

// BenchmarkSealed reads a sealed token: HKDF, AES-256-GCM and JSON.
func BenchmarkSealed(b *testing.B) {
	st := store.Sealed(store.NewMemory(), ring(b, store.NewKey()))
	require.NoError(b, store.Set(context.Background(), st, doctor, token("a")))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := st.Get(context.Background(), doctor); err != nil {
			b.Fatal(err)
		}
	}
}

// TestFastPath holds what the benchmark promises.
func TestFastPath(t *testing.T) {
	if racetest.Enabled {
		t.Skip("the race detector allocates")
	}
	rec := store.Record{ID: doctor, Token: token("a"), Status: store.StatusActive, UpdatedAt: time.Now(), Revision: "r"}
	counting := &countingStore{instant: instant{rec: rec}}
	s, err := oauth.NewSource(oauth.SourceConfig{Store: counting, Provider: "zoom", Refresh: newRotating().refresh})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Shutdown(context.Background())) }()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	allocs := testing.AllocsPerRun(100, func() {
		if _, err := s.Token(ctx, doctor); err != nil {
			t.Fatal(err)
		}
	})
	require.LessOrEqual(t, allocs, 4.0, "what a bound on the read costs")
	require.Equal(t, 101, counting.gets, "one read for each token")
}

type countingStore struct {
	instant
	gets int
}

func (c *countingStore) Get(ctx context.Context, id store.AccountID) (store.Record, error) {
	c.gets++
	return c.instant.Get(ctx, id)
}

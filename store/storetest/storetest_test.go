package storetest_test

import (
	"testing"

	"github.com/telemed-go/telemed/internal/leaktest"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/storetest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func TestMemory(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) store.TokenStore { return store.NewMemory() })
}

// TestWithoutList runs the suite over a store with nothing but the three methods, which
// writes tokens down.
func TestWithoutList(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) store.TokenStore { return newBroken(broke{}) })
}

// TestRedisStore keeps the example honest.
func TestRedisStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) store.TokenStore { return newRedisStore() })
}

func TestMemoryClaims(t *testing.T) {
	t.Parallel()
	storetest.RunClaims(t, func(*testing.T) func() store.Claims {
		memory := store.NewMemory()
		return func() store.Claims { return memory }
	})
}

// TestSoundClaims runs the suite over the double of broken_test.go without a fault.
func TestSoundClaims(t *testing.T) {
	t.Parallel()
	storetest.RunClaims(t, func(*testing.T) func() store.Claims { return newBrokenClaims(claimFaults{}) })
}

package storetest_test

import (
	"testing"

	"github.com/telemed-go/telemed/internal/leaktest"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/durable"
	"github.com/telemed-go/telemed/store/storetest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func TestMemory(t *testing.T) {
	t.Parallel()
	storetest.RunShared(t, func(*testing.T) func() store.TokenStore {
		memory := store.NewMemory()
		return func() store.TokenStore { return memory }
	})
}

// TestSoundTokens runs the suite over the double of brokentokens_test.go without a fault.
func TestSoundTokens(t *testing.T) {
	t.Parallel()
	storetest.RunShared(t, func(*testing.T) func() store.TokenStore { return newBrokenTokens(tokenFaults{}) })
}

// TestWithoutList runs the suite over a store with nothing but the three methods, of
// which there is one handle. Nobody closes it.
func TestWithoutList(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) store.TokenStore {
		return struct{ store.TokenStore }{newBrokenTokens(tokenFaults{})()}
	})
}

// TestRunClosesNothing has a store that whoever opened it closes.
func TestRunClosesNothing(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) store.TokenStore {
		st := newBrokenTokens(tokenFaults{})().(*tokensHandle)
		t.Cleanup(func() {
			if st.handles != 1 {
				t.Error("Run closed the store")
			}
		})
		return st
	})
}

// TestRedisStore keeps the example honest.
func TestRedisStore(t *testing.T) {
	t.Parallel()
	storetest.RunShared(t, func(*testing.T) func() store.TokenStore {
		db := newRedis()
		return func() store.TokenStore { return redisStore{db} }
	})
}

func TestMemoryClaims(t *testing.T) {
	t.Parallel()
	storetest.RunClaims(t, func(*testing.T) func() store.Claims {
		memory := store.NewMemory()
		return func() store.Claims { return memory }
	})
}

// TestSoundClaims runs the suite over the double of brokenclaims_test.go without a fault.
func TestSoundClaims(t *testing.T) {
	t.Parallel()
	storetest.RunClaims(t, func(*testing.T) func() store.Claims { return newBrokenClaims(claimFaults{}) })
}

func TestDurableMemory(t *testing.T) {
	t.Parallel()
	storetest.RunDurable(t, func(*testing.T) func() durable.Store {
		memory := durable.NewMemory()
		return func() durable.Store { return memory }
	})
}

func TestDurableSealed(t *testing.T) {
	t.Parallel()
	keys, err := store.NewKeyring(store.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	storetest.RunDurable(t, func(*testing.T) func() durable.Store {
		memory := durable.NewMemory()
		return func() durable.Store { return durable.Sealed(memory, keys) }
	})
}

// TestDurableOfThreeMethods runs the suite over a store with nothing but Get, Put and Due.
func TestDurableOfThreeMethods(t *testing.T) {
	t.Parallel()
	storetest.RunDurable(t, func(*testing.T) func() durable.Store {
		memory := durable.NewMemory()
		return func() durable.Store { return struct{ durable.Store }{memory} }
	})
}

// TestSoundRows runs the suite over the double of brokendurable_test.go without a fault.
func TestSoundRows(t *testing.T) {
	t.Parallel()
	storetest.RunDurable(t, func(*testing.T) func() durable.Store { return newBrokenRows(rowFaults{}) })
}

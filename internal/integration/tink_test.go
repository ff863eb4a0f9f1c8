package integration_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/storetest"
)

// Neither module knows the other one: the methods fit.
var _ store.AEAD = tink.AEAD(nil)

// TestTink seals with a keyset of Tink's, and changes its key as an application does.
func TestTink(t *testing.T) {
	t.Parallel()
	manager := keyset.NewManager()
	addKey(t, manager)
	old := primitive(t, manager)

	t.Run("contract", func(t *testing.T) {
		t.Parallel()
		storetest.Run(t, func(*testing.T) store.TokenStore { return store.SealedStrict(store.NewMemory(), old) })
	})

	t.Run("rotation", func(t *testing.T) {
		t.Parallel()
		inner := store.NewMemory()
		want := store.Token{Access: telemed.NewSecret("access"), Refresh: telemed.NewSecret("refresh")}
		require.NoError(t, store.Set(t.Context(), store.SealedStrict(inner, old), doctorKey(1), want))
		oldKey := primaryKey(t, manager)
		addKey(t, manager)
		resealed, err := store.Reseal(t.Context(), store.SealedStrict(inner, primitive(t, manager)))
		require.NoError(t, err)
		require.Equal(t, 1, resealed)
		require.NoError(t, manager.Delete(oldKey))
		rec, err := store.SealedStrict(inner, primitive(t, manager)).Get(t.Context(), doctorKey(1))
		require.NoError(t, err)
		require.Equal(t, "refresh", rec.Token.Refresh.Reveal())
		_, err = store.SealedStrict(inner, old).Get(t.Context(), doctorKey(1))
		require.ErrorIs(t, err, telemed.ErrDecrypt, "Tink's own error is tagged")
	})
}

// addKey adds a key to the keyset, which seals from now on.
func addKey(t *testing.T, manager *keyset.Manager) {
	t.Helper()
	id, err := manager.Add(aead.AES256GCMKeyTemplate())
	require.NoError(t, err)
	require.NoError(t, manager.SetPrimary(id))
}

func primaryKey(t *testing.T, manager *keyset.Manager) uint32 {
	t.Helper()
	handle, err := manager.Handle()
	require.NoError(t, err)
	entry, err := handle.Primary()
	require.NoError(t, err)
	return entry.KeyID()
}

func primitive(t *testing.T, manager *keyset.Manager) tink.AEAD {
	t.Helper()
	handle, err := manager.Handle()
	require.NoError(t, err)
	sealer, err := aead.New(handle)
	require.NoError(t, err)
	return sealer
}

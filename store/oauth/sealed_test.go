package oauth_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/oauth"
)

func ring(t testing.TB, keys ...telemed.Secret) *store.Keyring {
	t.Helper()
	r, err := store.NewKeyring(keys...)
	require.NoError(t, err)
	return r
}

func numbered(i int) store.AccountID {
	return store.AccountID{Provider: "zoom", Subject: fmt.Sprint("dr-", i)}
}

func token(access string) store.Token {
	return store.Token{Access: telemed.NewSecret(access), Refresh: telemed.NewSecret("refresh-" + access), Expiry: time.Now().Add(time.Hour).UTC().Truncate(time.Millisecond)}
}

// A deploy with the wrong key must not send every doctor to the settings page.
func TestWrongKeyIsNoReasonToReconnect(t *testing.T) {
	t.Parallel()
	inner, provider := store.NewMemory(), newRotating()
	expired := provider.connect("dr-rao")
	expired.Expiry = time.Now().Add(-time.Hour)
	require.NoError(t, store.Set(t.Context(), store.Sealed(inner, ring(t, store.NewKey())), doctor, expired))
	s, err := oauth.NewSource(oauth.SourceConfig{
		Store: store.Sealed(inner, ring(t, store.NewKey())), Provider: "zoom", Refresh: provider.refresh,
	})
	require.NoError(t, err)
	_, err = s.Token(t.Context(), doctor)
	require.ErrorIs(t, err, telemed.ErrDecrypt)
	require.NotErrorIs(t, err, telemed.ErrReconnect)
	require.NoError(t, s.Shutdown(context.Background()))
	rec, err := inner.Get(t.Context(), doctor)
	require.NoError(t, err)
	require.Equal(t, store.StatusActive, rec.Status)
	require.Zero(t, provider.count())
}

// A process without the keys, as each one of the version before encryption was switched
// on, must neither send ciphertext to the provider nor take the account for revoked.
func TestSealedRecordsInAStoreThatDoesNotOpenThem(t *testing.T) {
	t.Parallel()
	for name, expiry := range map[string]time.Time{"works": time.Now().Add(time.Hour), "expired": time.Now().Add(-time.Hour)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inner, provider := store.NewMemory(), newRotating()
			kept := provider.connect("dr-rao")
			kept.Expiry = expiry
			require.NoError(t, store.Set(t.Context(), store.Sealed(inner, ring(t, store.NewKey())), doctor, kept))
			before, err := inner.Get(t.Context(), doctor)
			require.NoError(t, err)

			s, err := oauth.NewSource(oauth.SourceConfig{Store: inner, Provider: "zoom", Refresh: provider.refresh})
			require.NoError(t, err)
			defer s.Shutdown(context.Background())
			_, err = s.Token(t.Context(), doctor)
			require.ErrorIs(t, err, telemed.ErrDecrypt)
			require.ErrorIs(t, store.Set(t.Context(), inner, doctor, token("consent")), telemed.ErrDecrypt, "what is there cannot be kept")

			after, err := inner.Get(t.Context(), doctor)
			require.NoError(t, err)
			require.Equal(t, before, after)
			require.Zero(t, provider.count())
		})
	}
}

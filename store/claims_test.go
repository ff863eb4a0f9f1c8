package store_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
)

// TestMemoryIsFull has more keys than a Memory holds. storetest runs the suite of the
// contract over it.
func TestMemoryIsFull(t *testing.T) {
	t.Parallel()
	const most = 100_000
	fill := func(t *testing.T, m *store.Memory, done bool) {
		for n := range most {
			key := fmt.Sprint("key-", n)
			claim, err := m.Claim(t.Context(), key, time.Hour)
			if done && err == nil {
				err = m.Complete(t.Context(), key, claim.Token, nil, time.Hour)
			}
			if err != nil {
				require.NoError(t, err)
			}
		}
	}
	state := func(t *testing.T, m *store.Memory, key string) store.ClaimState {
		claim, err := m.Claim(t.Context(), key, time.Hour)
		require.NoError(t, err)
		return claim.State
	}
	t.Run("of what is done", func(t *testing.T) {
		t.Parallel()
		m := store.NewMemory()
		fill(t, m, true)
		require.Equal(t, store.ClaimDone, state(t, m, "key-0"))
		require.Equal(t, store.ClaimNew, state(t, m, "one more"))
		require.Equal(t, store.ClaimDone, state(t, m, "key-1"))
		require.Equal(t, store.ClaimNew, state(t, m, "key-0"), "the oldest went")
	})
	t.Run("of what is busy", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			m := store.NewMemory()
			fill(t, m, false)
			_, err := m.Claim(t.Context(), "one more", time.Hour)
			require.ErrorIs(t, err, telemed.ErrUnavailable)
			require.Equal(t, store.ClaimBusy, state(t, m, "key-0"))

			time.Sleep(time.Hour)
			claim, err := m.Claim(t.Context(), "key-0", time.Hour)
			require.NoError(t, err)
			require.True(t, claim.Expired)
			_, err = m.Claim(t.Context(), "one more", time.Hour)
			require.ErrorIs(t, err, telemed.ErrUnavailable, "that a lease ran out is to be told")
			time.Sleep(time.Hour + time.Second)
			require.Equal(t, store.ClaimNew, state(t, m, "one more"))
		})
	})
}

func TestCheckClaims(t *testing.T) {
	t.Parallel()
	err := errors.Join(store.CheckClaim("", 0), store.CheckComplete(strings.Repeat("k", 513), "", make([]byte, 4097), -1), store.CheckRelease("a\n", strings.Repeat("t", 65)))
	require.EqualError(t, err, `store: claim: key is required; lease is less than a millisecond
store: complete: key is longer than 512 bytes; token is required; value is longer than 4096 bytes; keep is less than a millisecond
store: release: key is not UTF-8 without control characters; token is longer than 64 bytes`)
}

func TestClaimIsNotPrinted(t *testing.T) {
	t.Parallel()
	claim := store.Claim{State: store.ClaimDone, Token: "canary", Value: []byte("canary")}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		require.Equal(t, "{state:done expired:false}", fmt.Sprintf(verb, claim))
	}
}

func TestSealer(t *testing.T) {
	t.Parallel()
	keys := ring(t, store.NewKey())
	sealing, strict, bare := store.Sealer{AEAD: keys}, store.Sealer{AEAD: keys, Strict: true}, store.Sealer{}
	for _, s := range []store.Sealer{sealing, strict, bare} {
		empty, err := s.Seal("claim", "key", nil)
		require.NoError(t, err)
		require.Equal(t, []byte{}, empty, "no database takes it for NULL")
		value, err := s.Open("claim", "key", empty)
		require.NoError(t, err)
		require.Empty(t, value)
	}
	for _, value := range []string{"v", "value", string(make([]byte, 10_000))} {
		sealed, err := sealing.Seal("claim", "key", []byte(value))
		require.NoError(t, err)
		if len(value) > 1 {
			require.NotContains(t, string(sealed), value)
		}
		inClear, err := bare.Seal("claim", "key", []byte(value))
		require.NoError(t, err)
		require.Len(t, inClear, len(value)+1)
		for _, c := range []struct {
			by     store.Sealer
			stored []byte
			opens  bool
		}{
			{sealing, sealed, true}, {strict, sealed, true}, {bare, sealed, false},
			{sealing, inClear, true}, {strict, inClear, false}, {bare, inClear, true},
			{bare, []byte{2}, false}, {sealing, sealed[:len(sealed)-1], false},
			{store.Sealer{AEAD: ring(t, store.NewKey())}, sealed, false},
		} {
			got, err := c.by.Open("claim", "key", c.stored)
			if c.opens {
				require.NoError(t, err)
				require.Equal(t, value, string(got))
				continue
			}
			require.ErrorIs(t, err, telemed.ErrDecrypt)
		}
		for _, place := range [][2]string{{"claim", "key2"}, {"claim2", "key"}, {"claimk", "ey"}} {
			_, err := sealing.Open(place[0], place[1], sealed)
			require.ErrorIs(t, err, telemed.ErrDecrypt, "a value that was moved to another place")
		}
	}
	_, err := store.Sealer{AEAD: brokenAEAD{}}.Seal("claim", "key", []byte("value"))
	require.ErrorIs(t, err, errDown)
}

// brokenAEAD is a key management service that does not answer.
type brokenAEAD struct{}

func (brokenAEAD) Encrypt(_, _ []byte) ([]byte, error) { return nil, errDown }
func (brokenAEAD) Decrypt(_, _ []byte) ([]byte, error) { return nil, errDown }

package store_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/faultytest"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/storetest"
)

func ring(t testing.TB, keys ...telemed.Secret) *store.Keyring {
	t.Helper()
	r, err := store.NewKeyring(keys...)
	require.NoError(t, err)
	return r
}

// threeMethods hides everything of a store but what TokenStore asks for.
type threeMethods struct{ store.TokenStore }

func TestStores(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(t *testing.T) store.TokenStore{
		"Memory": func(*testing.T) store.TokenStore { return store.NewMemory() },
		"Sealed": func(t *testing.T) store.TokenStore { return store.Sealed(store.NewMemory(), ring(t, store.NewKey())) },
		"SealedStrict": func(t *testing.T) store.TokenStore {
			return store.SealedStrict(store.NewMemory(), ring(t, store.NewKey(), store.NewKey()))
		},
		"Sealed without List": func(t *testing.T) store.TokenStore {
			return store.Sealed(threeMethods{store.NewMemory()}, ring(t, store.NewKey()))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.RunShared(t, func(t *testing.T) func() store.TokenStore {
				st := open(t) // the one place of a Memory is the Memory
				return func() store.TokenStore { return st }
			})
		})
	}
}

func TestSealedListsIfTheStoreDoes(t *testing.T) {
	t.Parallel()
	_, lists := store.Sealed(store.NewMemory(), ring(t, store.NewKey())).(store.Lister)
	require.True(t, lists)
	_, lists = store.Sealed(threeMethods{store.NewMemory()}, ring(t, store.NewKey())).(store.Lister)
	require.False(t, lists)
}

func TestNewKeyring(t *testing.T) {
	t.Parallel()
	good := store.NewKey()
	for name, keys := range map[string][]telemed.Secret{
		"none": nil, "empty": {{}}, "passphrase": {telemed.NewSecret("correct horse battery staple")},
		"short": {telemed.NewSecret(base64.StdEncoding.EncodeToString(make([]byte, 16)))}, "twice": {good, good},
		"zeros":       {telemed.NewSecret(base64.StdEncoding.EncodeToString(make([]byte, 32)))},
		"the same, 7": {good, telemed.NewSecret(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32)))},
	} {
		_, err := store.NewKeyring(keys...)
		require.ErrorIs(t, err, telemed.ErrInvalid, name)
	}
	_, err := store.NewKeyring(telemed.NewSecret("x"), good, telemed.NewSecret("y"))
	require.Len(t, telemed.Fields(err), 2)
	require.NotEqual(t, good.Reveal(), store.NewKey().Reveal())
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		require.Equal(t, "{keys:1}", fmt.Sprintf(verb, ring(t, good)))
	}
}

func TestKeyring(t *testing.T) {
	t.Parallel()
	r := ring(t, store.NewKey())
	sealed, err := r.Encrypt([]byte("token"), []byte("owner"))
	require.NoError(t, err)
	again, err := r.Encrypt([]byte("token"), []byte("owner"))
	require.NoError(t, err)
	require.NotEqual(t, sealed, again, "each has a nonce of its own")
	opened, err := r.Decrypt(sealed, []byte("owner"))
	require.NoError(t, err)
	require.Equal(t, "token", string(opened))

	_, err = r.Decrypt(sealed, []byte("owner2"))
	require.ErrorIs(t, err, telemed.ErrDecrypt)
	for i := range sealed { // no byte may be changed, no part left out
		damaged := bytes.Clone(sealed)
		damaged[i] ^= 1
		_, err = r.Decrypt(damaged, []byte("owner"))
		require.ErrorIs(t, err, telemed.ErrDecrypt)
		_, err = r.Decrypt(sealed[:i], []byte("owner"))
		require.ErrorIs(t, err, telemed.ErrDecrypt)
	}
}

// TestRotation is the three deploys that change a key, with processes of two versions at
// once.
func TestRotation(t *testing.T) {
	t.Parallel()
	oldKey, newKey := store.NewKey(), store.NewKey()
	before, first, second, third := ring(t, oldKey), ring(t, oldKey, newKey), ring(t, newKey, oldKey), ring(t, newKey)
	for name, test := range map[string]struct{ writer, reader store.AEAD }{
		"before reads first": {first, before}, "first reads before": {before, first},
		"first reads second": {second, first}, "second reads first": {first, second},
		"second reads third": {third, second}, "third reads second": {second, third},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := store.NewMemory()
			require.NoError(t, store.Set(t.Context(), store.Sealed(st, test.writer), doctor, token("a")))
			rec, err := store.Sealed(st, test.reader).Get(t.Context(), doctor)
			require.NoError(t, err)
			require.Equal(t, "a", rec.Token.Access.Reveal())
		})
	}
	t.Run("reseal", func(t *testing.T) {
		t.Parallel()
		st := store.NewMemory()
		for i := range 5 {
			require.NoError(t, store.Set(t.Context(), store.Sealed(st, before), numbered(i), token("a")))
		}
		_, err := store.Sealed(st, third).Get(t.Context(), numbered(0))
		require.ErrorIs(t, err, telemed.ErrDecrypt)
		n, err := store.Reseal(t.Context(), store.Sealed(st, second))
		require.NoError(t, err)
		require.Equal(t, 5, n)
		for i := range 5 {
			rec, err := store.SealedStrict(st, third).Get(t.Context(), numbered(i))
			require.NoError(t, err)
			require.Equal(t, "a", rec.Token.Access.Reveal())
		}
	})
}

func numbered(i int) store.AccountID {
	return store.AccountID{Provider: "zoom", Subject: fmt.Sprint("dr-", i)}
}

func token(access string) store.Token {
	return store.Token{Access: telemed.NewSecret(access), Refresh: telemed.NewSecret("refresh-" + access), Expiry: time.Now().Add(time.Hour)}
}

func TestResealWhileOthersWrite(t *testing.T) {
	t.Parallel()
	st := faultytest.New()
	key := store.NewKey()
	sealed := store.Sealed(st, ring(t, key))
	// Not sealed yet.
	require.NoError(t, store.Set(t.Context(), st.Memory, numbered(0), token("clear")))
	require.NoError(t, store.Set(t.Context(), st.Memory, numbered(1), token("gone")))
	writes := 0
	st.Fail(func(op string) error {
		if op != "put" || writes > 0 {
			return nil
		}
		writes++ // between the list and the write a refresh lands, and another doctor disconnects
		return errors.Join(
			store.Set(t.Context(), st.Memory, numbered(0), token("newer")), st.Memory.Delete(t.Context(), numbered(1)))
	}, nil)
	n, err := store.Reseal(t.Context(), sealed)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	rec, err := store.SealedStrict(st.Memory, ring(t, key)).Get(t.Context(), numbered(0))
	require.NoError(t, err)
	require.Equal(t, "newer", rec.Token.Access.Reveal())
	_, err = st.Memory.Get(t.Context(), numbered(1))
	require.ErrorIs(t, err, telemed.ErrNotFound)

	_, err = store.Reseal(t.Context(), threeMethods{st})
	require.ErrorIs(t, err, errors.ErrUnsupported)
	st.Fail(down, nil)
	_, err = store.Reseal(t.Context(), sealed)
	require.ErrorIs(t, err, errDown)
}

func TestResealGoesOnBehindWhatDoesNotOpen(t *testing.T) {
	t.Parallel()
	st := store.NewMemory()
	for i := range 4 {
		key := store.NewKey()
		require.NoError(t, store.Set(t.Context(), store.Sealed(st, ring(t, key)), numbered(i), token("a")))
	}
	mine := store.NewKey()
	require.NoError(t, store.Set(t.Context(), store.Sealed(st, ring(t, mine)), numbered(9), token("a")))
	n, err := store.Reseal(t.Context(), store.Sealed(st, ring(t, mine)))
	require.Equal(t, 1, n)
	require.ErrorIs(t, err, telemed.ErrDecrypt)
	require.EqualError(t, err, "store: Reseal: store: 4 records left out of the list: record cannot be decrypted")
}

func TestSealedHidesAndBinds(t *testing.T) {
	t.Parallel()
	inner, key := store.NewMemory(), store.NewKey()
	sealed := store.Sealed(inner, ring(t, key))
	full := token("canary-access")
	full.Scopes, full.Extra = []string{"canary-scope"}, map[string]string{"canary": "canary"}
	full.Account = store.Account{ID: "canary-id", Email: "canary@x.example"}
	require.NoError(t, store.Set(t.Context(), sealed, doctor, full))
	rec, err := inner.Get(t.Context(), doctor)
	require.NoError(t, err)
	written, err := store.EncodeToken(rec.Token)
	require.NoError(t, err)
	ciphertext, err := base64.StdEncoding.DecodeString(rec.Token.Access.Reveal())
	require.NoError(t, err)
	require.NotContains(t, string(written)+string(ciphertext), "canary")
	require.WithinDuration(t, full.Expiry, rec.Token.Expiry, time.Millisecond, "readable: stores list by it")
	require.Equal(t, store.StatusActive, rec.Status)

	moved := rec // the attacker copies the row of a doctor to a row of their own
	moved.ID.Subject, moved.Revision = "dr-evil", ""
	_, err = inner.Put(t.Context(), moved)
	require.NoError(t, err)
	_, err = sealed.Get(t.Context(), moved.ID)
	require.ErrorIs(t, err, telemed.ErrDecrypt)
	require.NotContains(t, err.Error(), "dr-evil")

	shifted := rec // the same bytes, cut elsewhere
	shifted.ID = store.AccountID{Provider: "zoomd", Subject: "r-rao"}
	shifted.Revision = ""
	_, err = inner.Put(t.Context(), shifted)
	require.NoError(t, err)
	_, err = sealed.Get(t.Context(), shifted.ID)
	require.ErrorIs(t, err, telemed.ErrDecrypt)

	_, err = store.Sealed(inner, ring(t, store.NewKey())).Get(t.Context(), doctor)
	require.ErrorIs(t, err, telemed.ErrDecrypt)

	counted := faultytest.New()
	err = store.Set(t.Context(), store.Sealed(counted, ring(t, key)), doctor, store.Token{Access: telemed.NewSecret(string(make([]byte, 60_000)))})
	require.ErrorIs(t, err, telemed.ErrInvalid, "too large is an error, not a cut")
	require.Equal(t, 1, counted.Gets(), "and trying again does not make it smaller")
}

func TestTokensInClear(t *testing.T) {
	t.Parallel()
	inner, r := store.NewMemory(), ring(t, store.NewKey())
	require.NoError(t, store.Set(t.Context(), inner, doctor, token("clear")))
	rec, err := store.Sealed(inner, r).Get(t.Context(), doctor)
	require.NoError(t, err)
	require.Equal(t, "clear", rec.Token.Access.Reveal())
	_, err = store.SealedStrict(inner, r).Get(t.Context(), doctor)
	require.ErrorIs(t, err, telemed.ErrDecrypt)

	_, err = store.Sealed(inner, r).Put(t.Context(), rec)
	require.NoError(t, err)
	_, err = store.SealedStrict(inner, r).Get(t.Context(), doctor)
	require.NoError(t, err)
}

// A record that was moved here while others were sealed again is left as it is, and the
// rest is done.
func TestResealGoesOnWhenARecordIsSpoilt(t *testing.T) {
	t.Parallel()
	inner, keys := faultytest.New(), ring(t, store.NewKey())
	st := store.Sealed(inner, keys)
	for i := range 3 {
		require.NoError(t, store.Set(t.Context(), st, numbered(i), token("a")))
	}
	spoilt := false
	inner.Fail(func(op string) error {
		if op == "put" && !spoilt {
			spoilt = true
			rec, err := inner.Memory.Get(t.Context(), numbered(1))
			require.NoError(t, err)
			rec.Token.Access = telemed.NewSecret("c3BvaWx0")
			_, err = inner.Memory.Put(t.Context(), rec)
			require.NoError(t, err)
		}
		return nil
	}, nil)
	n, err := store.Reseal(t.Context(), st)
	require.ErrorIs(t, err, telemed.ErrDecrypt)
	require.Equal(t, 2, n)
}

func TestATokenThatIsNoText(t *testing.T) {
	t.Parallel()
	st := store.Sealed(store.NewMemory(), ring(t, store.NewKey()))
	err := store.Set(t.Context(), st, doctor, token("access-\xff"))
	require.ErrorIs(t, err, telemed.ErrInvalid)
	require.EqualError(t, err, "store: Set: store: Record.Token is not UTF-8")
}

func FuzzSealedBytes(f *testing.F) {
	key := telemed.NewSecret(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7, 8}, 16)))
	r := ring(f, key)
	sealed, err := r.Encrypt([]byte("token"), []byte("owner"))
	require.NoError(f, err)
	f.Add(sealed, "owner")
	f.Add(sealed[:5], "owner")
	f.Add([]byte{1}, "")
	f.Fuzz(func(t *testing.T, data []byte, owner string) {
		plaintext, err := r.Decrypt(data, []byte(owner))
		if err == nil && string(plaintext) == "token" && owner == "owner" {
			return // what was sealed above
		}
		require.ErrorIs(t, err, telemed.ErrDecrypt, "nobody forges a ciphertext")

		inner := store.NewMemory()
		_, err = inner.Put(t.Context(), store.Record{ID: doctor, Token: store.Token{Type: "sealed.v1", Access: telemed.NewSecret(string(data))}})
		if !utf8.Valid(data) {
			require.ErrorIs(t, err, telemed.ErrInvalid)
			return
		}
		require.NoError(t, err)
		_, err = store.Sealed(inner, r).Get(t.Context(), doctor)
		require.ErrorIs(t, err, telemed.ErrDecrypt)
	})
}

func FuzzDecodeToken(f *testing.F) {
	full := token("a")
	full.Scopes, full.Extra, full.Account = []string{"s"}, map[string]string{"k": "v"}, store.Account{ID: "i", Email: "e"}
	seed, err := store.EncodeToken(full)
	require.NoError(f, err)
	f.Add(seed)
	f.Add([]byte(`{"v":1,"expiry":-1}`))
	f.Add([]byte(`{"v":2}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, data []byte) {
		decoded, err := store.DecodeToken(data)
		if err != nil {
			require.EqualError(t, err, "store: these bytes are not a token", "bytes are never quoted")
			return
		}
		encoded, err := store.EncodeToken(decoded)
		if err != nil {
			return // grown over the limit by escapes
		}
		again, err := store.DecodeToken(encoded)
		require.NoError(t, err)
		require.True(t, again.Access.Equal(decoded.Access) && again.Refresh.Equal(decoded.Refresh))
		require.True(t, again.Expiry.Equal(decoded.Expiry))
		require.Equal(t, len(decoded.Scopes), len(again.Scopes))
	})
}

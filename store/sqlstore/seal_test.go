package sqlstore_test

import (
	"database/sql/driver"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/sqlstore"
)

func newKeyring(t *testing.T, keys ...telemed.Secret) *store.Keyring {
	t.Helper()
	r, err := store.NewKeyring(keys...)
	require.NoError(t, err)
	return r
}

// TestInClearAlready switches sealing on over tables that hold a token and a value in
// clear.
func TestInClearAlready(t *testing.T) {
	t.Parallel()
	fake, db := newFakeDB(t)
	stored, value := `{"v":1,"access":"canary"}`, "\x00canary"
	fake.query = func(q query) ([][]driver.Value, error) {
		if strings.HasPrefix(q.text, "SELECT claim_key") {
			return [][]driver.Value{claimRow("key", "token", true, value, false)}, nil
		}
		return [][]driver.Value{row(asha, stored)}, nil
	}
	fake.exec = func(q query) (int64, error) {
		switch {
		case strings.HasPrefix(q.text, "INSERT INTO "+sqlstore.DefaultClaimsTable):
			return 0, nil // it is there
		case strings.Contains(q.text, sqlstore.DefaultClaimsTable):
			value = string(q.args[0].([]byte))
		default:
			stored = string(q.args[0].([]byte))
		}
		return 1, nil
	}
	cfg := sqlstore.Config{DB: db, Dialect: sqlstore.SQLite, Seal: newKeyring(t, store.NewKey())}
	sealing, err := sqlstore.New(cfg)
	require.NoError(t, err)
	cfg.SealStrict = true
	strict, err := sqlstore.New(cfg)
	require.NoError(t, err)

	_, err = strict.Get(t.Context(), asha)
	require.ErrorIs(t, err, telemed.ErrDecrypt)
	_, err = strict.Claim(t.Context(), "key", time.Minute)
	require.ErrorIs(t, err, telemed.ErrDecrypt)
	require.NotContains(t, err.Error(), "canary")

	rec, err := sealing.Get(t.Context(), asha)
	require.NoError(t, err)
	require.Equal(t, "canary", rec.Token.Access.Reveal())
	claim, err := sealing.Claim(t.Context(), "key", time.Minute)
	require.NoError(t, err)
	require.Equal(t, "canary", string(claim.Value))

	_, err = sealing.Put(t.Context(), rec)
	require.NoError(t, err)
	require.NoError(t, sealing.Complete(t.Context(), "key", "token", claim.Value, time.Minute))
	require.NotContains(t, stored+value, "canary")
	rec, err = strict.Get(t.Context(), asha)
	require.NoError(t, err)
	require.Equal(t, "canary", rec.Token.Access.Reveal())
	claim, err = strict.Claim(t.Context(), "key", time.Minute)
	require.NoError(t, err)
	require.Equal(t, "canary", string(claim.Value))

	// A process whose Config says InsecureClear does not take a sealed token for a
	// revoked one.
	unsealed := open(t, db, sqlstore.SQLite)
	_, err = store.GetOpen(t.Context(), unsealed, asha)
	require.ErrorIs(t, err, telemed.ErrDecrypt)
	_, err = unsealed.Claim(t.Context(), "key", time.Minute)
	require.ErrorIs(t, err, telemed.ErrDecrypt)
	for _, err := range strict.List(t.Context(), store.Filter{}) {
		require.NoError(t, err)
	}
}

// claimsTable is a table of Done claims under a key ring. Its methods answer reseal's
// statements.
type claimsTable struct {
	values map[string]string
	change func(key string) // before a value is replaced
}

func (c *claimsTable) query(q query) ([][]driver.Value, error) {
	if strings.HasPrefix(q.text, "SELECT provider") {
		return nil, nil // no tokens
	}
	if strings.Contains(q.text, "ORDER BY") {
		var page [][]driver.Value
		for n := range len(c.values) {
			if key := fmt.Sprint("key-", n); key > q.args[0].(string) {
				page = append(page, []driver.Value{key})
			}
		}
		return page, nil
	}
	key := q.args[0].(string)
	value, ok := c.values[key]
	if !ok {
		return nil, nil
	}
	return [][]driver.Value{claimRow(key, "token", true, value, false)}, nil
}

func (c *claimsTable) exec(q query) (int64, error) {
	key := q.args[1].(string)
	if c.change != nil {
		c.change(key)
	}
	if c.values[key] != string(q.args[3].([]byte)) {
		return 0, nil
	}
	c.values[key] = string(q.args[0].([]byte))
	return 1, nil
}

// TestReseal gives claims to a new key, while one is completed anew by a process that has
// not got it first yet, and one does not open.
func TestReseal(t *testing.T) {
	t.Parallel()
	oldKey, newKey := store.NewKey(), store.NewKey()
	sealed := func(key string, aead store.AEAD, value string) string {
		stored, err := store.Sealer{AEAD: aead}.Seal("claim", key, []byte(value))
		require.NoError(t, err)
		return string(stored)
	}
	before := newKeyring(t, oldKey)
	table := &claimsTable{values: map[string]string{
		"key-0": sealed("key-0", before, "zero"), "key-1": "\x00in clear",
		"key-2": sealed("key-2", newKeyring(t, store.NewKey()), "lost"), "key-3": sealed("key-3", before, "made"),
	}}
	changed := false
	table.change = func(key string) {
		if key == "key-3" && !changed {
			changed = true
			table.values[key] = sealed(key, before, "cancelled")
		}
	}
	fake, db := newFakeDB(t)
	fake.exec, fake.query = table.exec, table.query
	cfg := sqlstore.Config{DB: db, Dialect: sqlstore.PostgreSQL, Seal: newKeyring(t, newKey, oldKey)}
	st, err := sqlstore.New(cfg)
	require.NoError(t, err)
	n, err := store.Reseal(t.Context(), st)
	require.ErrorIs(t, err, telemed.ErrDecrypt)
	require.EqualError(t, err, "store: Reseal: sqlstore: ResealClaims: 1 claims left as they are: record cannot be decrypted")
	require.Equal(t, 3, n)

	cfg.Seal, cfg.SealStrict = newKeyring(t, newKey), true
	st, err = sqlstore.New(cfg)
	require.NoError(t, err)
	fake.exec = func(query) (int64, error) { return 0, nil }
	for key, want := range map[string]string{"key-0": "zero", "key-1": "in clear", "key-3": "cancelled"} {
		claim, err := st.Claim(t.Context(), key, time.Minute)
		require.NoError(t, err)
		require.Equal(t, want, string(claim.Value))
	}

	n, err = open(t, db, sqlstore.PostgreSQL).ResealClaims(t.Context())
	require.NoError(t, err)
	require.Zero(t, n, "there is nothing to seal with")
}

package store_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/faultytest"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/oauth"
)

func TestSet(t *testing.T) {
	t.Parallel()
	old := token("old")
	old.Scopes, old.Extra, old.Account = []string{"a"}, map[string]string{"k": "old", "kept": "yes"}, store.Account{ID: "1", Email: "e"}
	for name, test := range map[string]struct {
		account string
		refresh string
		want    string
		extra   map[string]string
	}{
		"keeps the refresh token of the same account":   {"1", "", "refresh-old", map[string]string{"k": "new", "kept": "yes"}},
		"takes a new refresh token":                     {"1", "new", "new", map[string]string{"k": "new", "kept": "yes"}},
		"mixes no accounts":                             {"2", "", "", map[string]string{"k": "new"}},
		"mixes no accounts of which one is not known":   {"", "", "", map[string]string{"k": "new"}},
		"takes the refresh token of an account unknown": {"", "new", "new", map[string]string{"k": "new"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := store.NewMemory()
			require.NoError(t, store.Set(t.Context(), st, doctor, old))
			rec, err := st.Get(t.Context(), doctor)
			require.NoError(t, err)
			rec.Status, rec.Reason, rec.Lease = store.StatusReconnect, "why", store.Lease{Owner: "o", Tainted: true}
			_, err = st.Put(t.Context(), rec)
			require.NoError(t, err)

			next := store.Token{
				Access: telemed.NewSecret("new"), Refresh: telemed.NewSecret(test.refresh), Account: store.Account{ID: test.account},
				Scopes: []string{"b"}, Extra: map[string]string{"k": "new"},
			}
			require.NoError(t, store.Set(t.Context(), st, doctor, next))
			rec, err = st.Get(t.Context(), doctor)
			require.NoError(t, err)
			require.Equal(t, "new", rec.Token.Access.Reveal())
			require.Equal(t, test.want, rec.Token.Refresh.Reveal())
			require.Equal(t, test.extra, rec.Token.Extra)
			require.Equal(t, []string{"b"}, rec.Token.Scopes)
			require.Equal(t, store.StatusActive, rec.Status)
			require.Empty(t, rec.Reason)
			require.Empty(t, rec.Lease)
			require.Equal(t, rec.UpdatedAt, rec.UpdatedAt.Truncate(time.Millisecond))
		})
	}
}

func TestSetOverAStoreThatFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := faultytest.New()
		begin := time.Now()
		st.Fail(func(string) error {
			if time.Since(begin) < time.Second {
				return errDown
			}
			return nil
		}, nil)
		require.NoError(t, store.Set(t.Context(), st, doctor, token("a")), "the code is spent: trying again is all there is")

		st.Fail(nil, func(op string) error { // lands, and does not say so
			if op == "put" && time.Since(begin) < 2*time.Second {
				return errDown
			}
			return nil
		})
		require.NoError(t, store.Set(t.Context(), st, doctor, token("b")))
		rec, err := st.Get(t.Context(), doctor)
		require.NoError(t, err)
		require.Equal(t, "b", rec.Token.Access.Reveal())

		st.Fail(down, nil)
		begin = time.Now()
		require.ErrorIs(t, store.Set(t.Context(), st, doctor, token("c")), errDown)
		require.Less(t, time.Since(begin), 3*time.Second)
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		require.Error(t, store.Set(ended, st, doctor, token("c")))
		require.ErrorIs(t, store.Set(t.Context(), st, store.AccountID{}, token("c")), telemed.ErrInvalid)
	})
}

// TestTokensHide prints what an application may print, in every way.
func TestTokensHide(t *testing.T) {
	t.Parallel()
	full := token("canary")
	full.Account = store.Account{ID: "canary", Email: "canary"}
	id := store.AccountID{Provider: "zoom", Subject: "canary"}
	var out strings.Builder
	logger := slog.New(slog.NewJSONHandler(&out, nil))
	text := slog.New(slog.NewTextHandler(&out, nil))
	for _, value := range []any{full, id, store.Record{ID: id, Token: full}, oauth.Unsaved{ID: id, Token: full}, full.Account, &full} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
			fmt.Fprintf(&out, verb, value)
		}
		logger.Info("x", "value", value)
		text.Info("x", "value", value)
	}
	require.NotContains(t, out.String(), "canary")
	require.NotContains(t, out.String(), fmt.Sprintf("%x", "canary"))
	_, err := store.EncodeToken(store.Token{Access: telemed.NewSecret(strings.Repeat("canary", 20_000))})
	require.Error(t, err)
	require.NotContains(t, err.Error(), "canary")
	require.NotErrorIs(t, err, errors.ErrUnsupported)
}

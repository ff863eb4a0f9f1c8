package durable_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/durable"
	"github.com/telemed-go/telemed/store/storetest"
)

func TestClaimsKeepTheContract(t *testing.T) {
	t.Parallel()
	t.Run("in memory", func(t *testing.T) {
		t.Parallel()
		storetest.RunClaims(t, func(*testing.T) func() store.Claims {
			rows := durable.NewMemory()
			return func() store.Claims { return durable.NewClaims(rows) }
		})
	})
	t.Run("three methods, sealed", func(t *testing.T) {
		t.Parallel()
		keys, err := store.NewKeyring(store.NewKey())
		require.NoError(t, err)
		storetest.RunClaims(t, func(*testing.T) func() store.Claims {
			rows := struct{ durable.Store }{durable.NewMemory()}
			return func() store.Claims { return durable.NewClaims(durable.Sealed(rows, keys)) }
		})
	})
}

// losing is a Store whose answers to Put are lost, or whose requests, or whose races.
type losing struct {
	*durable.Memory
	after, before, races atomic.Int32 // how many more
	puts                 atomic.Int32
}

var errAnswerLost = errors.New("connection reset")

func (l *losing) Put(ctx context.Context, item durable.Item) (string, error) {
	l.puts.Add(1)
	if l.races.Add(-1) >= 0 {
		return "", telemed.ErrConflict
	}
	if l.before.Add(-1) >= 0 {
		return "", errAnswerLost
	}
	revision, err := l.Memory.Put(ctx, item)
	if err == nil && l.after.Add(-1) >= 0 {
		return "", errAnswerLost
	}
	return revision, err
}

// TestClaimsLoseAnswers looks once what has become of a write.
func TestClaimsLoseAnswers(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(*losing){
		"the answer":  func(l *losing) { l.after.Store(1) },
		"the request": func(l *losing) { l.before.Store(1) },
	} {
		synctest.Test(t, func(t *testing.T) {
			rows := &losing{Memory: durable.NewMemory()}
			claims := durable.NewClaims(rows)
			lose(rows)
			claim, err := claims.Claim(t.Context(), "key", time.Hour)
			require.NoError(t, err, name)
			require.Equal(t, store.ClaimNew, claim.State)
			require.False(t, claim.Expired)
			lose(rows)
			require.NoError(t, claims.Complete(t.Context(), "key", claim.Token, []byte("made"), time.Hour))
			again, err := claims.Claim(t.Context(), "key", time.Hour)
			require.NoError(t, err)
			require.Equal(t, store.Claim{State: store.ClaimDone, Token: claim.Token, Value: []byte("made")}, again)
			lose(rows)
			claim, err = claims.Claim(t.Context(), "another", time.Hour)
			require.NoError(t, err)
			lose(rows)
			require.NoError(t, claims.Release(t.Context(), "another", claim.Token))
			claim, err = claims.Claim(t.Context(), "another", time.Hour)
			require.NoError(t, err)
			require.Equal(t, store.ClaimNew, claim.State)
			require.False(t, claim.Expired, "it was released")
		})
	}
	synctest.Test(t, func(t *testing.T) { // nobody knows: not twice in a row
		rows := &losing{Memory: durable.NewMemory()}
		rows.before.Store(9)
		_, err := durable.NewClaims(rows).Claim(t.Context(), "key", time.Hour)
		require.ErrorIs(t, err, errAnswerLost)
		require.NotErrorIs(t, err, telemed.ErrUnavailable)
		require.EqualValues(t, 2, rows.puts.Load())
	})
}

// TestClaimsLoseRaces goes on until it is told what is there, twenty times.
func TestClaimsLoseRaces(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rows := &losing{Memory: durable.NewMemory()}
		claims := durable.NewClaims(rows)
		rows.races.Store(19)
		claim, err := claims.Claim(t.Context(), "key", time.Hour)
		require.NoError(t, err)
		rows.races.Store(19)
		require.NoError(t, claims.Complete(t.Context(), "key", claim.Token, nil, time.Hour))
		rows.races.Store(20)
		_, err = claims.Claim(t.Context(), "another", time.Hour)
		require.ErrorIs(t, err, telemed.ErrUnavailable)
		require.NotErrorIs(t, err, telemed.ErrConflict)
	})
}

// TestClaimsAreErased with the rows of a Runner, but not while anybody has to learn of them.
func TestClaimsAreErased(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, rows := t.Context(), durable.NewMemory()
		claims := durable.NewClaims(rows)
		for _, key := range []string{"dies", "done", "released"} {
			claim, err := claims.Claim(ctx, key, time.Minute)
			require.NoError(t, err)
			switch key {
			case "done":
				require.NoError(t, claims.Complete(ctx, key, claim.Token, []byte("made"), 48*time.Hour))
			case "released":
				require.NoError(t, claims.Release(ctx, key, claim.Token))
			}
		}
		erased := func() int {
			n, err := rows.Erase(ctx, time.Now(), 100)
			require.NoError(t, err)
			return n
		}
		require.Equal(t, 1, erased(), "what was released")
		time.Sleep(23 * time.Hour)
		require.Zero(t, erased())
		claim, err := claims.Claim(ctx, "dies", time.Minute)
		require.NoError(t, err)
		require.True(t, claim.Expired, "the next one learns of it")
		require.NoError(t, claims.Release(ctx, "dies", claim.Token))
		time.Sleep(24 * time.Hour)
		require.Equal(t, 1, erased(), "what was released")
		claim, err = claims.Claim(ctx, "done", time.Minute)
		require.NoError(t, err)
		require.Equal(t, store.ClaimDone, claim.State)
		time.Sleep(26 * time.Hour)
		require.Equal(t, 1, erased())
	})
}

// TestClaimsOfLongKeys: a name that is made of a key is no other key's.
func TestClaimsOfLongKeys(t *testing.T) {
	t.Parallel()
	claims := durable.NewClaims(durable.NewMemory())
	for _, key := range []string{
		strings.Repeat("k", 253), strings.Repeat("k", 254), strings.Repeat("k", 255), strings.Repeat("k", 256),
		strings.Repeat("k", 512), strings.Repeat("k", 511) + "l", "=k", "#k",
		fmt.Sprintf("#%x", sha256.Sum256([]byte(strings.Repeat("k", 512)))),
	} {
		claim, err := claims.Claim(t.Context(), key, time.Hour)
		require.NoError(t, err)
		require.Equal(t, store.ClaimNew, claim.State, "%d", len(key))
	}
}

// TestClaimsOfAStrangersRow: a row that says something else is not taken for a free key.
func TestClaimsOfAStrangersRow(t *testing.T) {
	t.Parallel()
	for name, item := range map[string]durable.Item{
		"nonsense":          {Data: []byte("{")},
		"another key's row": {Data: []byte(`{"key":"other"}`)},
		"a later version":   {Data: []byte(`{"key":"key"}`), Version: 2},
	} {
		rows := durable.NewMemory()
		item.ID = durable.ID{Kind: "telemed_claim", Name: "=key"}
		_, err := rows.Put(t.Context(), item)
		require.NoError(t, err)
		claims := durable.NewClaims(rows)
		_, claimErr := claims.Claim(t.Context(), "key", time.Hour)
		completeErr := claims.Complete(t.Context(), "key", "token", nil, time.Hour)
		releaseErr := claims.Release(t.Context(), "key", "token")
		for _, err := range []error{claimErr, completeErr, releaseErr} {
			require.Error(t, err, name)
			require.NotErrorIs(t, err, telemed.ErrConflict, name)
		}
	}
}

// A database for which somebody wrote the three methods of a Store has Claims too: here two
// processes want to make one meeting.
func ExampleNewClaims() {
	ctx := context.Background()
	rows := durable.NewMemory() // or a Store of your own
	first, second := durable.NewClaims(rows), durable.NewClaims(rows)

	claim, err := first.Claim(ctx, "make:visit-42", time.Minute)
	if err != nil {
		fmt.Println(err)
		return
	}
	other, err := second.Claim(ctx, "make:visit-42", time.Minute)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("first:", claim.State, "second:", other.State)
	if err := first.Complete(ctx, "make:visit-42", claim.Token, []byte("meeting 82000000001"), 24*time.Hour); err != nil {
		fmt.Println(err)
		return
	}
	other, err = second.Claim(ctx, "make:visit-42", time.Minute)
	fmt.Println("second:", other.State, string(other.Value), err)
	// Output:
	// first: new second: busy
	// second: done meeting 82000000001 <nil>
}

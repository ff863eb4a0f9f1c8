package mongostore_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/mongostore"
	"github.com/telemed-go/telemed/store/mongostore/internal/wiretest"
	"github.com/telemed-go/telemed/store/storetest"
)

func TestClaims(t *testing.T) {
	t.Parallel()
	keys := newKeyring(t, store.NewKey())
	storetest.RunClaims(t, func(t *testing.T) func() store.Claims {
		uri := start(t).URI()
		return func() store.Claims { return openHandle(t, uri, mongostore.Config{Seal: keys, SealStrict: true}) }
	})
}

// TestClaimsEndByTheServersClock has a server whose clock runs far from the client's.
func TestClaimsEndByTheServersClock(t *testing.T) {
	t.Parallel()
	srv := start(t)
	now := time.Date(1999, 12, 31, 23, 59, 59, int(123*time.Millisecond), time.UTC)
	srv.SetClock(func() time.Time { return now })
	claims := open(t, srv.URI())
	ctx := t.Context()
	first, err := claims.Claim(ctx, "key", time.Minute)
	require.NoError(t, err)
	require.False(t, first.Expired)

	now = now.Add(time.Minute - time.Millisecond)
	busy, err := claims.Claim(ctx, "key", time.Minute)
	require.NoError(t, err)
	require.Equal(t, store.Claim{State: store.ClaimBusy}, busy)

	now = now.Add(time.Millisecond)
	second, err := claims.Claim(ctx, "key", time.Minute)
	require.NoError(t, err)
	require.Equal(t, store.ClaimNew, second.State)
	require.True(t, second.Expired)
	require.NoError(t, claims.Complete(ctx, "key", second.Token, []byte("value"), time.Minute+time.Nanosecond))

	now = now.Add(time.Minute)
	done, err := claims.Claim(ctx, "key", time.Minute)
	require.NoError(t, err)
	require.Equal(t, store.Claim{State: store.ClaimDone, Token: second.Token, Value: []byte("value")}, done, "rounded up")
	now = now.Add(time.Millisecond)
	third, err := claims.Claim(ctx, "key", time.Minute)
	require.NoError(t, err)
	require.Equal(t, store.ClaimNew, third.State)
	require.False(t, third.Expired)

	now = now.Add(time.Minute + 24*time.Hour - time.Millisecond)
	purged, err := claims.PurgeClaims(ctx)
	require.NoError(t, err)
	require.Zero(t, purged, "the next one is to learn that a lease ran out, for a day")
	now = now.Add(time.Millisecond)
	purged, err = claims.PurgeClaims(ctx)
	require.NoError(t, err)
	require.Equal(t, 1, purged)
}

// TestPurgeLeavesStrangersAlone has a ClaimsCollection that was named by mistake.
func TestPurgeLeavesStrangersAlone(t *testing.T) {
	t.Parallel()
	srv := start(t)
	claims := open(t, srv.URI())
	collection := connect(t, srv.URI()).Database("hospital").Collection(mongostore.DefaultClaimsCollection)
	for _, stranger := range []bson.D{
		{{Key: "name", Value: "Dr. Asha Patel"}}, {{Key: "token", Value: "t"}}, {{Key: "token", Value: "t"}, {Key: "until", Value: "1999"}},
	} {
		_, err := collection.InsertOne(t.Context(), stranger)
		require.NoError(t, err)
	}
	purged, err := claims.PurgeClaims(t.Context())
	require.NoError(t, err)
	require.Zero(t, purged)
}

func TestClaimLosesAnswers(t *testing.T) {
	t.Parallel()
	for _, retry := range []bool{true, false} {
		for _, c := range []struct {
			name   string
			fault  wiretest.Fault
			landed bool // without the driver's help
		}{
			{"applied, then cut", wiretest.CutAfter, true},
			{"cut before", wiretest.CutBefore, false},
			{"at a member that stepped down", wiretest.NotPrimary, false},
			{"two upserts meet", wiretest.Collide, true},
		} {
			t.Run(fmt.Sprintf("%s, retryWrites=%t", c.name, retry), func(t *testing.T) {
				t.Parallel()
				srv := start(t)
				claims := open(t, fmt.Sprintf("%s&retryWrites=%t", srv.URI(), retry))
				srv.SetFault(once("findAndModify", c.fault))
				claim, err := claims.Claim(t.Context(), "key", time.Hour)
				require.Equal(t, 1, srv.Stats().Faults)
				if !retry && !c.landed {
					require.ErrorIs(t, err, telemed.ErrAmbiguous)
					require.Zero(t, claim)
					return
				}
				require.NoError(t, err)
				require.Equal(t, store.ClaimNew, claim.State)
				require.False(t, claim.Expired)

				srv.SetFault(once("update", c.fault))
				err = claims.Complete(t.Context(), "key", claim.Token, []byte("value"), time.Hour)
				if err != nil {
					require.ErrorIs(t, err, telemed.ErrAmbiguous)
					require.NoError(t, claims.Complete(t.Context(), "key", claim.Token, []byte("value"), time.Hour), "again, with the same arguments")
				}
				done, err := claims.Claim(t.Context(), "key", time.Hour)
				require.NoError(t, err)
				require.Equal(t, "value", string(done.Value))
			})
		}
	}
	t.Run("upserts meet for ever", func(t *testing.T) {
		t.Parallel()
		srv := start(t)
		srv.SetFault(func(wiretest.Command) wiretest.Fault { return wiretest.Collide })
		_, err := open(t, srv.URI()).Claim(t.Context(), "key", time.Hour)
		require.ErrorIs(t, err, telemed.ErrUnavailable, "nothing was written")
	})
}

// TestInClearAlready switches sealing on over a token and a value in clear.
func TestInClearAlready(t *testing.T) {
	t.Parallel()
	srv := start(t)
	unsealed := open(t, srv.URI())
	require.NoError(t, store.Set(t.Context(), unsealed, doctor, store.Token{Access: telemed.NewSecret("canary"), Refresh: telemed.NewSecret("canary")}))
	claim, err := unsealed.Claim(t.Context(), "key", time.Hour)
	require.NoError(t, err)
	require.NoError(t, unsealed.Complete(t.Context(), "key", claim.Token, []byte("canary"), time.Hour))

	keys := newKeyring(t, store.NewKey())
	strict := openSealed(t, srv, keys)
	_, err = strict.Get(t.Context(), doctor)
	require.ErrorIs(t, err, telemed.ErrDecrypt)
	_, err = strict.Claim(t.Context(), "key", time.Hour)
	require.ErrorIs(t, err, telemed.ErrDecrypt)

	db := connect(t, srv.URI()).Database("hospital")
	sealing, err := mongostore.New(mongostore.Config{Database: db, Seal: keys})
	require.NoError(t, err)
	rec, err := sealing.Get(t.Context(), doctor)
	require.NoError(t, err)
	require.Equal(t, "canary", rec.Token.Access.Reveal())
	n, err := store.Reseal(t.Context(), sealing)
	require.NoError(t, err)
	require.Equal(t, 2, n)

	rec, err = strict.Get(t.Context(), doctor)
	require.NoError(t, err)
	require.Equal(t, "canary", rec.Token.Access.Reveal())
	done, err := strict.Claim(t.Context(), "key", time.Hour)
	require.NoError(t, err)
	require.Equal(t, "canary", string(done.Value))
	for collection, field := range map[string]string{mongostore.DefaultCollection: "token", mongostore.DefaultClaimsCollection: "value"} {
		raw, err := db.Collection(collection).FindOne(t.Context(), bson.D{}).Raw()
		require.NoError(t, err)
		_, stored := raw.Lookup(field).Binary()
		require.NotEmpty(t, stored)
		require.NotContains(t, string(stored), "canary")
	}
	_, err = store.GetOpen(t.Context(), unsealed, doctor)
	require.ErrorIs(t, err, telemed.ErrDecrypt)
	_, err = unsealed.Claim(t.Context(), "key", time.Hour)
	require.ErrorIs(t, err, telemed.ErrDecrypt)
	n, err = unsealed.ResealClaims(t.Context())
	require.NoError(t, err)
	require.Zero(t, n, "there is nothing to seal with")
}

// secondThought does something else before it encrypts for the first time.
type secondThought struct {
	store.AEAD
	once      sync.Once
	meanwhile func()
}

func (i *secondThought) Encrypt(plaintext, associatedData []byte) ([]byte, error) {
	i.once.Do(i.meanwhile)
	return i.AEAD.Encrypt(plaintext, associatedData)
}

// TestReseal gives claims to a new key, while one is completed anew by a process that has
// not got it first yet, one is released and one does not open.
func TestReseal(t *testing.T) {
	t.Parallel()
	srv := start(t)
	oldKey, newKey := store.NewKey(), store.NewKey()
	ring := &secondThought{AEAD: newKeyring(t, newKey, oldKey)}
	before, during := openSealed(t, srv, newKeyring(t, oldKey)), openSealed(t, srv, ring)
	lost := openSealed(t, srv, newKeyring(t, store.NewKey()))
	tokens := map[string]string{}
	const total = 205 // more than a page
	for n := range total {
		by, key := before, fmt.Sprintf("key-%03d", n)
		if n == 0 {
			by = lost
		}
		claim, err := by.Claim(t.Context(), key, time.Hour)
		require.NoError(t, err)
		require.NoError(t, by.Complete(t.Context(), key, claim.Token, []byte("made"), time.Hour))
		tokens[key] = claim.Token
	}
	_, err := before.Claim(t.Context(), "key-busy", time.Hour)
	require.NoError(t, err)
	// A page is read; what is changed now is not what was read.
	ring.meanwhile = func() {
		assert.NoError(t, before.Complete(t.Context(), "key-001", tokens["key-001"], []byte("cancelled"), time.Hour))
	}
	n, err := store.Reseal(t.Context(), during)
	require.ErrorIs(t, err, telemed.ErrDecrypt)
	require.Equal(t, total-1, n)

	after := openSealed(t, srv, newKeyring(t, newKey))
	for key := range tokens {
		claim, err := after.Claim(t.Context(), key, time.Hour)
		switch key {
		case "key-000":
			require.ErrorIs(t, err, telemed.ErrDecrypt)
			continue
		case "key-001":
			require.NoError(t, err, key)
			require.Equal(t, "cancelled", string(claim.Value))
		}
		require.NoError(t, err, key)
		require.Equal(t, tokens[key], claim.Token)
	}
}

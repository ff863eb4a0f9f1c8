package mongostore_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/mongostore"
	"github.com/telemed-go/telemed/store/mongostore/internal/wiretest"
)

var expiry = time.Date(2026, 11, 24, 10, 0, 0, int(250*time.Millisecond), time.UTC)

// seedToken is a googleMeetToken. Node.js writes numbers as doubles.
func seedToken(name string, expires time.Time) bson.D {
	return bson.D{
		{Key: "access_token", Value: "access-" + name}, {Key: "refresh_token", Value: "refresh-" + name},
		{Key: "scope", Value: "openid https://www.googleapis.com/auth/calendar.events"}, {Key: "token_type", Value: "Bearer"},
		{Key: "expiry_date", Value: float64(expires.UnixMilli())},
	}
}

func seedDoctor(id any, token any) bson.D {
	return bson.D{
		{Key: "_id", Value: id}, {Key: "name", Value: "Dr. Asha Patel"},
		{Key: "googleMeetConnected", Value: true}, {Key: "googleMeetToken", Value: token},
	}
}

// seeded returns a server, a collection with the doctors, and an empty store.
func seeded(t *testing.T, doctors ...bson.D) (*wiretest.Server, *mongo.Collection, store.TokenStore) {
	t.Helper()
	srv := start(t)
	collection := connect(t, srv.URI()).Database("hospital").Collection("doctors")
	for _, doctor := range doctors {
		_, err := collection.InsertOne(t.Context(), doctor)
		require.NoError(t, err)
	}
	return srv, collection, store.NewMemory()
}

func TestImportSeed(t *testing.T) {
	t.Parallel()

	t.Run("of another provider", func(t *testing.T) {
		t.Parallel()
		zoom := func(name string, connected any, token any) bson.D {
			return bson.D{{Key: "_id", Value: name}, {Key: "zoomConnected", Value: connected}, {Key: "zoomToken", Value: token}}
		}
		answered := bson.D{
			{Key: "access_token", Value: "a"}, {Key: "refresh_token", Value: "r"}, {Key: "expires_in", Value: 3599}, {Key: "scope", Value: "b c"},
		}
		_, collection, tokens := seeded(t, zoom("one", true, answered), zoom("two", false, answered), zoom("none", nil, nil),
			zoom("bad", true, "text"), seedDoctor("google", seedToken("seed", expiry)))
		cfg := mongostore.SeedImport{Doctors: collection, Tokens: tokens, Provider: "zoom", TokenField: "zoomToken"}
		report, err := mongostore.ImportSeed(t.Context(), cfg)
		require.ErrorContains(t, err, "its token is not one")
		require.Equal(t, mongostore.SeedReport{Seen: 3, Imported: 2, Failed: 1}, report)
		cfg.ConnectedField = "zoomConnected"
		report, err = mongostore.ImportSeed(t.Context(), cfg)
		require.Error(t, err)
		require.Equal(t, mongostore.SeedReport{Seen: 2, Kept: 1, Failed: 1}, report)
		rec, err := tokens.Get(t.Context(), store.AccountID{Provider: "zoom", Subject: "one"})
		require.NoError(t, err)
		require.True(t, rec.Token.Expiry.IsZero(), "it is refreshed before use")
		require.Equal(t, []string{"b", "c"}, rec.Token.Scopes)
	})

	t.Run("every token once", func(t *testing.T) {
		t.Parallel()
		object := bson.NewObjectID()
		var doctors []bson.D
		for i := range 150 { // more than a batch of the cursor
			doctors = append(doctors, seedDoctor(fmt.Sprintf("doctor-%03d", i), seedToken(fmt.Sprint(i), expiry)))
		}
		gone := seedDoctor("doctor-gone", seedToken("gone", expiry))
		gone[2].Value = false
		doctors = append(doctors, seedDoctor(object, seedToken("object", expiry)), gone)
		srv, collection, tokens := seeded(t, doctors...)
		cfg := mongostore.SeedImport{Doctors: collection, Tokens: tokens}

		report, err := mongostore.ImportSeed(t.Context(), cfg)
		require.NoError(t, err)
		require.Equal(t, mongostore.SeedReport{Seen: 151, Imported: 151}, report)
		rec, err := tokens.Get(t.Context(), store.AccountID{Provider: "google", Subject: object.Hex()})
		require.NoError(t, err)
		require.Equal(t, "access-object", rec.Token.Access.Reveal())
		require.Equal(t, "refresh-object", rec.Token.Refresh.Reveal())
		require.Equal(t, []string{"openid", "https://www.googleapis.com/auth/calendar.events"}, rec.Token.Scopes)
		require.Equal(t, "Bearer", rec.Token.Type)
		require.Equal(t, expiry, rec.Token.Expiry)
		require.Equal(t, store.StatusActive, rec.Status)
		_, err = tokens.Get(t.Context(), store.AccountID{Provider: "google", Subject: "doctor-gone"})
		require.ErrorIs(t, err, telemed.ErrNotFound)

		again, err := mongostore.ImportSeed(t.Context(), cfg)
		require.NoError(t, err)
		require.Equal(t, mongostore.SeedReport{Seen: 151, Kept: 151}, again)
		unchanged, err := tokens.Get(t.Context(), rec.ID)
		require.NoError(t, err)
		require.Equal(t, rec.Revision, unchanged.Revision)

		require.Zero(t, srv.OpenCursors())
		for _, command := range srv.Commands() {
			require.Contains(t, []string{"insert", "find", "getMore"}, command.Name, "doctors are read only")
			if command.Name == "find" {
				_, err := command.Body.Lookup("projection").Document().LookupErr("googleMeetToken")
				require.NoError(t, err, "patients' and doctors' data stays where it is")
			}
			if command.Name != "insert" {
				batch, ok := command.Body.Lookup("batchSize").AsInt64OK()
				require.True(t, ok && batch <= 100, "a batch of 16 MB outlives its cursor's ten minutes")
			}
		}
	})

	t.Run("what is there already", func(t *testing.T) {
		t.Parallel()
		noRefresh := func(token bson.D) bson.D { return append(bson.D{token[0]}, token[2:]...) }
		_, collection, tokens := seeded(t,
			seedDoctor("older", seedToken("seed", expiry)),
			seedDoctor("newer", seedToken("seed", expiry)),
			seedDoctor("reconnect", seedToken("seed", expiry)),
			seedDoctor("poorer", noRefresh(seedToken("seed", expiry))),
			seedDoctor("known", seedToken("seed", expiry)),
			seedDoctor("incomplete", noRefresh(seedToken("seed", expiry))),
		)
		for subject, expires := range map[string]time.Time{
			"older": expiry.Add(-time.Millisecond), "newer": expiry.Add(time.Hour),
			"reconnect": expiry.Add(-time.Hour), "poorer": expiry.Add(-time.Hour), "known": expiry.Add(-time.Hour),
		} {
			rec := store.Record{ID: store.AccountID{Provider: "google", Subject: subject}, Status: store.StatusReconnect, Token: store.Token{
				Access: telemed.NewSecret("access-own"), Refresh: telemed.NewSecret("refresh-own"), Expiry: expires,
			}}
			if subject == "known" {
				rec.Token.Account.ID = "account"
			}
			_, err := tokens.Put(t.Context(), rec)
			require.NoError(t, err)
		}
		report, err := mongostore.ImportSeed(t.Context(), mongostore.SeedImport{Doctors: collection, Tokens: tokens})
		require.NoError(t, err)
		require.Equal(t, mongostore.SeedReport{Seen: 6, Imported: 2, Kept: 3, Incomplete: 1}, report)
		for subject, want := range map[string]string{
			"older": "refresh-seed", "newer": "refresh-own", "reconnect": "refresh-seed", "poorer": "refresh-own", "known": "refresh-own",
		} {
			rec, err := tokens.Get(t.Context(), store.AccountID{Provider: "google", Subject: subject})
			require.NoError(t, err)
			require.Equal(t, want, rec.Token.Refresh.Reveal(), subject)
			require.Equal(t, want == "refresh-seed", rec.Status == store.StatusActive, subject)
		}
	})

	t.Run("a newer token that arrives meanwhile", func(t *testing.T) {
		t.Parallel()
		_, collection, tokens := seeded(t, seedDoctor("doctor", seedToken("seed", expiry)))
		key := store.AccountID{Provider: "google", Subject: "doctor"}
		busy := &interrupted{TokenStore: tokens, before: func() {
			require.NoError(t, store.Set(t.Context(), tokens, key, store.Token{Access: telemed.NewSecret("fresh"), Refresh: telemed.NewSecret("fresh"), Expiry: expiry.Add(time.Hour)}))
		}}
		report, err := mongostore.ImportSeed(t.Context(), mongostore.SeedImport{Doctors: collection, Tokens: busy})
		require.NoError(t, err)
		require.Equal(t, mongostore.SeedReport{Seen: 1, Kept: 1}, report)
		rec, err := tokens.Get(t.Context(), key)
		require.NoError(t, err)
		require.Equal(t, "fresh", rec.Token.Refresh.Reveal())
	})

	t.Run("garbage is named by a hash", func(t *testing.T) {
		t.Parallel()
		bad := func(field string, value any) bson.D {
			token := seedToken("canary", expiry)
			for i := range token {
				if token[i].Key == field {
					token[i].Value = value
				}
			}
			return token
		}
		_, collection, tokens := seeded(t,
			seedDoctor("good", seedToken("good", expiry)),
			seedDoctor("canary-1", "canary"),
			seedDoctor("canary-2", nil),
			seedDoctor("canary-3", bson.D{}),
			seedDoctor("canary-4", bad("access_token", 42)),
			seedDoctor("canary-5", bad("expiry_date", "canary")),
			seedDoctor("canary-6", bad("expiry_date", -1.0)),
			seedDoctor("canary-7", bad("expiry_date", 1e300)),
			seedDoctor(42, seedToken("canary", expiry)),
			seedDoctor("canary\n", seedToken("canary", expiry)),
			seedDoctor("whole", bad("expiry_date", expiry.UnixMilli())),
			seedDoctor("date", bad("expiry_date", bson.NewDateTimeFromTime(expiry))),
		)
		report, err := mongostore.ImportSeed(t.Context(), mongostore.SeedImport{Doctors: collection, Tokens: tokens})
		require.Equal(t, mongostore.SeedReport{Seen: 12, Imported: 3, Failed: 9}, report)
		require.ErrorContains(t, err, "mongostore: ImportSeed: document #")
		require.NotContains(t, err.Error(), "canary")
		for _, subject := range []string{"good", "whole", "date"} {
			rec, err := tokens.Get(t.Context(), store.AccountID{Provider: "google", Subject: subject})
			require.NoError(t, err)
			require.Equal(t, expiry, rec.Token.Expiry)
		}
	})

	t.Run("a host's own subjects and provider", func(t *testing.T) {
		t.Parallel()
		_, collection, tokens := seeded(t, seedDoctor(int32(7), seedToken("seven", expiry)), seedDoctor(int32(8), seedToken("eight", expiry)))
		report, err := mongostore.ImportSeed(t.Context(), mongostore.SeedImport{
			Doctors: collection, Tokens: tokens, Provider: "google-meet",
			Subject: func(id bson.RawValue) (string, error) {
				if id.Int32() == 8 {
					return "", errors.New("canary")
				}
				return fmt.Sprint("doctor-", id.Int32()), nil
			},
		})
		require.ErrorContains(t, err, "document #")
		require.NotContains(t, err.Error(), "canary")
		require.Equal(t, mongostore.SeedReport{Seen: 2, Imported: 1, Failed: 1}, report)
		_, err = tokens.Get(t.Context(), store.AccountID{Provider: "google-meet", Subject: "doctor-7"})
		require.NoError(t, err)
	})

	t.Run("bad arguments and a server that fails", func(t *testing.T) {
		t.Parallel()
		_, err := mongostore.ImportSeed(t.Context(), mongostore.SeedImport{})
		require.EqualError(t, err, "mongostore: ImportSeed: Doctors is required; Tokens is required")
		srv, collection, tokens := seeded(t, seedDoctor("doctor", seedToken("seed", expiry)))
		srv.SetFault(func(wiretest.Command) wiretest.Fault { return wiretest.NotPrimary })
		_, err = mongostore.ImportSeed(t.Context(), mongostore.SeedImport{Doctors: collection, Tokens: tokens})
		require.ErrorIs(t, err, telemed.ErrUnavailable)
	})
}

// interrupted has something happen between the first Get and the Put after it.
type interrupted struct {
	store.TokenStore
	before func()
}

func (i *interrupted) Put(ctx context.Context, rec store.Record) (string, error) {
	if i.before != nil {
		i.before()
		i.before = nil
	}
	return i.TokenStore.Put(ctx, rec)
}

package mongostore_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/durable"
	"github.com/telemed-go/telemed/store/mongostore"
	"github.com/telemed-go/telemed/store/mongostore/internal/wiretest"
	"github.com/telemed-go/telemed/store/storetest"
)

func TestNew(t *testing.T) {
	t.Parallel()
	keys := newKeyring(t, store.NewKey())
	db := connect(t, start(t).URI()).Database("hospital")
	for _, c := range []struct {
		cfg  mongostore.Config
		want string
	}{
		{mongostore.Config{}, "mongostore: Database is required; Seal is required, or InsecureClear"},
		{mongostore.Config{Database: db}, "mongostore: Seal is required, or InsecureClear"},
		{mongostore.Config{Database: db, Seal: keys, InsecureClear: true}, "mongostore: InsecureClear is set beside Seal"},
		{mongostore.Config{Database: db, SealStrict: true, InsecureClear: true}, "mongostore: SealStrict is set without Seal"},
		{mongostore.Config{Database: db, Seal: keys, Collection: "a", ClaimsCollection: "a"}, "mongostore: ClaimsCollection is the same as Collection"},
		{mongostore.Config{Database: db, Seal: keys, RowsCollection: mongostore.DefaultClaimsCollection}, "mongostore: RowsCollection is the same as another collection"},
		{mongostore.Config{Database: db, Seal: keys}, ""},
		{mongostore.Config{Database: db, Seal: keys, SealStrict: true}, ""},
		{mongostore.Config{Database: db, InsecureClear: true}, ""},
	} {
		_, err := mongostore.New(c.cfg)
		if c.want == "" {
			require.NoError(t, err)
			continue
		}
		require.EqualError(t, err, c.want)
		require.ErrorIs(t, err, telemed.ErrInvalid)
	}
}

// TestRealServer runs the suite on a MongoDB of the developer's own.
func TestRealServer(t *testing.T) {
	t.Parallel()
	uri := os.Getenv("MONGO_URI")
	if uri == "" {
		t.Skip("MONGO_URI is not set, so there is no real MongoDB to test on; it names a deployment in which a database may be created and dropped")
	}
	database := func(t *testing.T) string {
		name := "telemed_test_" + rand.Text()[:10]
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			defer cancel()
			require.NoError(t, connect(t, uri).Database(name).Drop(ctx))
		})
		return name
	}
	openAt := func(t *testing.T, database string) *mongostore.Store {
		st, err := mongostore.New(mongostore.Config{Database: connect(t, uri).Database(database), InsecureClear: true})
		require.NoError(t, err)
		return st
	}
	storetest.RunShared(t, func(t *testing.T) func() store.TokenStore {
		name := database(t)
		return func() store.TokenStore { return openAt(t, name) }
	})
	storetest.RunClaims(t, func(t *testing.T) func() store.Claims {
		name := database(t)
		return func() store.Claims { return openAt(t, name) }
	})
	storetest.RunDurable(t, func(t *testing.T) func() durable.Store {
		name := database(t)
		return func() durable.Store { return openAt(t, name).Rows() }
	})
}

// TestPinned has a client that is configured for everything that loses tokens.
func TestPinned(t *testing.T) {
	t.Parallel()
	srv := start(t)
	client := connect(t, srv.URI(), options.Client().
		SetReadPreference(readpref.SecondaryPreferred()).
		SetReadConcern(readconcern.Available()).
		SetWriteConcern(writeconcern.W1()).
		SetBSONOptions(&options.BSONOptions{UseJSONStructTags: true, OmitEmpty: true, ObjectIDAsHexString: true}))
	tokens, err := mongostore.New(mongostore.Config{Database: client.Database("hospital"), Collection: "tokens", ClaimsCollection: "claims", InsecureClear: true})
	require.NoError(t, err)
	visit(t, tokens)

	for _, command := range srv.Commands() {
		body := command.Body
		name, _ := body.Lookup(command.Name).StringValueOK()
		require.Contains(t, []string{"tokens", "claims"}, name)
		if mode, ok := body.Lookup("$readPreference", "mode").StringValueOK(); ok {
			require.Equal(t, "primary", mode)
		}
		concern := "writeConcern"
		want := bson.M{"w": "majority"}
		if command.Name == "find" {
			concern, want = "readConcern", bson.M{"level": "majority"}
		}
		var got bson.M
		require.NoError(t, body.Lookup(concern).Unmarshal(&got), command.Name)
		delete(got, "afterClusterTime")
		require.Equal(t, want, got, command.Name)
	}
	require.Len(t, srv.Commands(), 6+4)
}

// visit makes one call of each kind.
func visit(t *testing.T, tokens *mongostore.Store) {
	t.Helper()
	ctx := t.Context()
	rec := store.Record{ID: doctor, Status: store.StatusActive, Token: store.Token{Access: telemed.NewSecret("a")}}
	var err error
	rec.Revision, err = tokens.Put(ctx, rec)
	require.NoError(t, err)
	rec.Revision, err = tokens.Put(ctx, rec)
	require.NoError(t, err)
	got, err := tokens.Get(ctx, doctor)
	require.NoError(t, err)
	require.Equal(t, rec.Revision, got.Revision)
	listed := 0
	for _, err := range tokens.List(ctx, store.Filter{}) {
		require.NoError(t, err)
		listed++
	}
	require.Equal(t, 1, listed)
	require.NoError(t, tokens.Delete(ctx, doctor))
	_, err = tokens.Get(ctx, doctor)
	require.ErrorIs(t, err, telemed.ErrNotFound)
	visitClaims(t, ctx, tokens)
}

// visitClaims makes one call of each kind.
func visitClaims(t *testing.T, ctx context.Context, claims *mongostore.Store) {
	t.Helper()
	claim, err := claims.Claim(ctx, "key", time.Hour)
	require.NoError(t, err)
	require.Equal(t, store.ClaimNew, claim.State)
	require.NoError(t, claims.Complete(ctx, "key", claim.Token, []byte("value"), time.Hour))
	require.NoError(t, claims.Release(ctx, "key", claim.Token))
	purged, err := claims.PurgeClaims(ctx)
	require.NoError(t, err)
	require.Zero(t, purged)
}

// TestOutsideTransactions calls the store in an application's transaction, of which it
// must not be a part.
func TestOutsideTransactions(t *testing.T) {
	t.Parallel()
	srv := start(t)
	client := connect(t, srv.URI())
	tokens, err := mongostore.New(mongostore.Config{Database: client.Database("hospital"), InsecureClear: true})
	require.NoError(t, err)
	session, err := client.StartSession()
	require.NoError(t, err)
	defer session.EndSession(t.Context())
	require.NoError(t, session.StartTransaction())
	ctx := mongo.NewSessionContext(t.Context(), session)

	_, err = tokens.Put(ctx, store.Record{ID: doctor, Status: store.StatusActive})
	require.NoError(t, err)
	_, err = tokens.Get(ctx, doctor)
	require.NoError(t, err)
	for _, err := range tokens.List(ctx, store.Filter{}) {
		require.NoError(t, err)
	}
	require.NoError(t, tokens.Delete(ctx, doctor))
	visitClaims(t, ctx, tokens)
	for _, command := range srv.Commands() {
		require.Zero(t, command.Body.Lookup("autocommit").Type, command.Name)
	}
}

// once makes one fault at the first command of that name.
func once(name string, fault wiretest.Fault) func(wiretest.Command) wiretest.Fault {
	done := false
	return func(command wiretest.Command) wiretest.Fault {
		if done || command.Name != name {
			return wiretest.NoFault
		}
		done = true
		return fault
	}
}

func TestLostAnswers(t *testing.T) {
	t.Parallel()
	for _, retry := range []bool{true, false} {
		for _, c := range []struct {
			name    string
			command string
			fault   wiretest.Fault
			landed  bool // without the driver's help
		}{
			{"insert applied, then cut", "insert", wiretest.CutAfter, true},
			{"insert cut before", "insert", wiretest.CutBefore, false},
			{"insert at a member that stepped down", "insert", wiretest.NotPrimary, false},
			{"update applied, then cut", "update", wiretest.CutAfter, true},
			{"update cut before", "update", wiretest.CutBefore, false},
			{"update at a member that stepped down", "update", wiretest.NotPrimary, false},
		} {
			t.Run(fmt.Sprintf("%s, retryWrites=%t", c.name, retry), func(t *testing.T) {
				t.Parallel()
				srv := start(t)
				tokens := open(t, fmt.Sprintf("%s&retryWrites=%t", srv.URI(), retry))
				rec := store.Record{ID: doctor, Status: store.StatusActive}
				if c.command == "update" {
					revision, err := tokens.Put(t.Context(), rec)
					require.NoError(t, err)
					rec.Revision = revision
				}
				srv.SetFault(once(c.command, c.fault))
				rec.Reason = "after the fault"
				revision, err := tokens.Put(t.Context(), rec)
				srv.SetFault(nil)
				require.Equal(t, 1, srv.Stats().Faults)

				stored, getErr := tokens.Get(t.Context(), doctor)
				if !retry && !c.landed {
					require.ErrorIs(t, err, telemed.ErrAmbiguous)
					require.NotErrorIs(t, err, telemed.ErrConflict)
					require.Empty(t, revision)
					require.NotEqual(t, rec.Reason, stored.Reason)
					return
				}
				require.NoError(t, err)
				require.NoError(t, getErr)
				require.Equal(t, revision, stored.Revision)
				require.Equal(t, rec.Reason, stored.Reason)
			})
		}
	}
}

func TestErrorsSayNothingPrivate(t *testing.T) {
	t.Parallel()
	private := store.AccountID{Provider: "zoom", Subject: "asha.patel@hospital.example"}
	always := func(fault wiretest.Fault) func(wiretest.Command) wiretest.Fault {
		return func(wiretest.Command) wiretest.Fault { return fault }
	}
	calls := map[string]func(context.Context, *mongostore.Store) error{
		"Get": func(ctx context.Context, tokens *mongostore.Store) error {
			_, err := tokens.Get(ctx, private)
			return err
		},
		"Put": func(ctx context.Context, tokens *mongostore.Store) error {
			_, err := tokens.Put(ctx, store.Record{ID: private, Token: store.Token{Access: telemed.NewSecret("canary")}})
			return err
		},
		"Delete": func(ctx context.Context, tokens *mongostore.Store) error { return tokens.Delete(ctx, private) },
		"List": func(ctx context.Context, tokens *mongostore.Store) (err error) {
			for _, err = range tokens.List(ctx, store.Filter{}) {
			}
			return err
		},
		"Claim": func(ctx context.Context, claims *mongostore.Store) error {
			_, err := claims.Claim(ctx, "asha", time.Hour)
			return err
		},
		"Complete": func(ctx context.Context, claims *mongostore.Store) error {
			return claims.Complete(ctx, "asha", "token", []byte("canary"), time.Hour)
		},
		"Release": func(ctx context.Context, claims *mongostore.Store) error { return claims.Release(ctx, "asha", "token") },
		"PurgeClaims": func(ctx context.Context, claims *mongostore.Store) error {
			_, err := claims.PurgeClaims(ctx)
			return err
		},
	}
	// Each call has a client of its own: the driver pauses after a failure, and the
	// pauses go by side by side.
	check := func(t *testing.T, uri string, code int) {
		t.Helper()
		for op, call := range calls {
			t.Run(op, func(t *testing.T) {
				t.Parallel()
				err := call(t.Context(), open(t, uri))
				typed, ok := errors.AsType[*mongostore.Error](err)
				require.True(t, ok, err)
				require.Equal(t, op, typed.Op)
				require.Equal(t, code, typed.Code)
				for _, text := range []string{err.Error(), fmt.Sprintf("%+v", err), fmt.Sprintf("%#v", err)} {
					require.NotContains(t, text, "asha")
					require.NotContains(t, text, "canary")
					require.NotContains(t, text, "127.0.0.1")
				}
				for below := errors.Unwrap(err); below != nil; below = errors.Unwrap(below) {
					require.NotRegexp(t, `asha|canary|127\.0\.0\.1`, below.Error(), "the driver's words")
				}
				kind := telemed.ErrAmbiguous
				if op == "Get" || op == "List" {
					kind = telemed.ErrUnavailable
				}
				require.ErrorIs(t, err, kind)
			})
		}
	}
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		srv := start(t)
		srv.SetFault(always(wiretest.NotPrimary))
		check(t, srv.URI(), 10107)
	})
	t.Run("cut", func(t *testing.T) {
		t.Parallel()
		srv := start(t)
		srv.SetFault(always(wiretest.CutAfter))
		check(t, srv.URI(), 0)
	})
	t.Run("nobody there", func(t *testing.T) {
		t.Parallel()
		srv, err := wiretest.Start()
		require.NoError(t, err)
		require.NoError(t, srv.Close())
		check(t, srv.URI()+"&serverSelectionTimeoutMS=50", 0)
	})
}

func TestForeignDocuments(t *testing.T) {
	t.Parallel()
	for name, foreign := range map[string]bson.D{
		"token is no token":     {{Key: "provider", Value: "zoom"}, {Key: "subject", Value: "doctor-1"}, {Key: "token", Value: []byte("canary")}, {Key: "rev", Value: "r"}},
		"token is a text":       {{Key: "provider", Value: "zoom"}, {Key: "subject", Value: "doctor-1"}, {Key: "token", Value: "canary"}, {Key: "rev", Value: "r"}},
		"nothing but a subject": {{Key: "subject", Value: "canary"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := connect(t, start(t).URI()).Database("hospital")
			_, err := db.Collection(mongostore.DefaultCollection).InsertOne(t.Context(), append(bson.D{{Key: "_id", Value: "zoom:doctor-1"}}, foreign...))
			require.NoError(t, err)
			tokens, err := mongostore.New(mongostore.Config{Database: db, InsecureClear: true})
			require.NoError(t, err)

			good := store.AccountID{Provider: "zoom", Subject: "doctor-2"}
			_, err = tokens.Put(t.Context(), store.Record{ID: good, Status: store.StatusActive})
			require.NoError(t, err)

			_, err = tokens.Get(t.Context(), doctor)
			require.Error(t, err)
			require.NotErrorIs(t, err, telemed.ErrNotFound)
			require.NotErrorIs(t, err, telemed.ErrDecrypt)
			require.NotContains(t, err.Error(), "canary")
			var (
				listed  []store.AccountID
				listErr error
			)
			for rec, err := range tokens.List(t.Context(), store.Filter{}) {
				require.NoError(t, listErr, "the error comes last")
				if listErr = err; err == nil {
					listed = append(listed, rec.ID)
				}
			}
			require.Equal(t, []store.AccountID{good}, listed)
			require.Error(t, listErr)
			require.NotContains(t, listErr.Error(), "canary")
		})
	}
}

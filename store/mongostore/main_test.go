package mongostore_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/leaktest"
	"github.com/telemed-go/telemed/internal/racetest"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/mongostore"
	"github.com/telemed-go/telemed/store/mongostore/internal/wiretest"
	"github.com/telemed-go/telemed/store/storetest"
)

func TestMain(m *testing.M) {
	if text := os.Getenv(fireEnv); text != "" {
		if err := burn(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if os.Getenv(serveEnv) != "" {
		if err := serveWire(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	leaktest.Main(m)
}

func start(t *testing.T) *wiretest.Server {
	t.Helper()
	srv, err := wiretest.Start()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, srv.Close()) })
	return srv
}

// connect returns a client that is gone with the test.
func connect(t *testing.T, uri string, more ...*options.ClientOptions) *mongo.Client {
	t.Helper()
	client, err := mongo.Connect(append([]*options.ClientOptions{options.Client().ApplyURI(uri)}, more...)...)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(t, client.Disconnect(ctx))
	})
	return client
}

func open(t *testing.T, uri string) *mongostore.Store {
	t.Helper()
	tokens, err := mongostore.New(mongostore.Config{Database: connect(t, uri).Database("hospital"), InsecureClear: true})
	require.NoError(t, err)
	return tokens
}

// handle is a Store with a client of its own, as a process has one.
type handle struct {
	*mongostore.Store
	client *mongo.Client
}

// openHandle returns a Store that cfg describes, in a database at uri.
func openHandle(t *testing.T, uri string, cfg mongostore.Config) handle {
	t.Helper()
	client, err := mongo.Connect(options.Client().ApplyURI(uri))
	require.NoError(t, err)
	cfg.Database = client.Database("hospital")
	st, err := mongostore.New(cfg)
	require.NoError(t, err)
	return handle{st, client}
}

// Close ends the process.
func (h handle) Close() error { return h.client.Disconnect(context.Background()) }

// TestStore has one handle: what several of them do, and restarts, is the same as in
// TestSealed, whose calls of the database are these. The race detector watches that one.
func TestStore(t *testing.T) {
	t.Parallel()
	if racetest.Enabled {
		t.Skip("TestSealed has the same calls: runs without the race detector")
	}
	storetest.Run(t, func(t *testing.T) store.TokenStore { return open(t, start(t).URI()) })
}

func TestSealed(t *testing.T) {
	t.Parallel()
	keys := newKeyring(t, store.NewKey())
	storetest.RunShared(t, func(t *testing.T) func() store.TokenStore {
		uri := start(t).URI()
		return func() store.TokenStore { return openHandle(t, uri, mongostore.Config{Seal: keys, SealStrict: true}) }
	})
}

func newKeyring(t *testing.T, keys ...telemed.Secret) *store.Keyring {
	t.Helper()
	ring, err := store.NewKeyring(keys...)
	require.NoError(t, err)
	return ring
}

// openSealed returns a store that takes nothing in clear.
func openSealed(t *testing.T, srv *wiretest.Server, keys store.AEAD) *mongostore.Store {
	t.Helper()
	st, err := mongostore.New(mongostore.Config{Database: connect(t, srv.URI()).Database("hospital"), Seal: keys, SealStrict: true})
	require.NoError(t, err)
	return st
}

package mongostore

import (
	"context"
	"iter"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/store"
)

// Config configures a Store.
type Config struct {
	// Database is the application's. The Store never disconnects its client. Required.
	Database *mongo.Database

	// Seal encrypts tokens, the values of claims and the data of rows before they are
	// written down: a
	// store.Keyring, a Tink keyset, or a key management service. Required, or
	// InsecureClear.
	Seal store.AEAD
	// SealStrict refuses what is in the database in clear: telemed.ErrDecrypt. Without
	// it, such a token or value is passed through, and sealed when it is next written.
	// Set it once store.Reseal has been through: whoever can write to the database could
	// plant a token in clear otherwise.
	SealStrict bool
	// InsecureClear writes tokens and values in clear. Whoever reads the database or a
	// backup of it can act as every doctor.
	InsecureClear bool

	// Collection is the name of the collection of tokens. It must not have a default
	// collation: one that takes "Doc" and "doc" for the same merges two doctors. If
	// empty, DefaultCollection.
	Collection string
	// ClaimsCollection is the name of the collection of claims. It must not have a
	// default collation either. If empty, DefaultClaimsCollection.
	ClaimsCollection string
	// RowsCollection is the name of the collection of durable rows. It must not have a
	// default collation either. If empty, DefaultRowsCollection.
	RowsCollection string
}

const (
	// DefaultCollection is the collection of tokens if Config names none.
	DefaultCollection = "oauth_tokens"
	// DefaultClaimsCollection is the collection of claims if Config names none.
	DefaultClaimsCollection = "telemed_claims"
	// DefaultRowsCollection is the collection of durable rows if Config names none.
	DefaultRowsCollection = "telemed_rows"
)

func (c *Config) setDefaults() {
	if c.Collection == "" {
		c.Collection = DefaultCollection
	}
	if c.ClaimsCollection == "" {
		c.ClaimsCollection = DefaultClaimsCollection
	}
	if c.RowsCollection == "" {
		c.RowsCollection = DefaultRowsCollection
	}
}

func (c *Config) check() error {
	var p fault.Problems
	p.Check(c.Database != nil, "Database", "is required")
	p.Check(c.Collection != c.ClaimsCollection, "ClaimsCollection", "is the same as Collection")
	p.Check(c.RowsCollection != c.Collection && c.RowsCollection != c.ClaimsCollection, "RowsCollection", "is the same as another collection")
	p.Check(c.Seal != nil || c.InsecureClear, "Seal", "is required, or InsecureClear")
	p.Optional("Seal", c.Seal)
	p.Check(c.Seal == nil || !c.InsecureClear, "InsecureClear", "is set beside Seal")
	p.Check(c.Seal != nil || !c.SealStrict, "SealStrict", "is set without Seal")
	return p.Err("mongostore")
}

// Store keeps tokens and claims in two MongoDB collections, and durable rows in a third;
// see [Store.Rows]. It is a store.TokenStore and store.Lister, and store.Claims,
// store.ClaimsPurger and store.ClaimsResealer. It is safe for concurrent use, by many
// processes too.
type Store struct {
	tokens listingStore
	claims *claims
	rows   *Rows
}

var (
	_ listingStore         = (*Store)(nil)
	_ store.Claims         = (*Store)(nil)
	_ store.ClaimsPurger   = (*Store)(nil)
	_ store.ClaimsResealer = (*Store)(nil)
)

type listingStore interface {
	store.TokenStore
	store.Lister
}

// New returns a Store, or an error that names everything that is wrong with cfg. It does
// not ask the database.
func New(cfg Config) (*Store, error) {
	cfg.setDefaults()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	sealer := store.Sealer{AEAD: cfg.Seal, Strict: cfg.SealStrict}
	return &Store{
		tokens: sealed(&tokens{cfg.Database.Collection(cfg.Collection, pinned())}, cfg),
		claims: &claims{cfg.Database.Collection(cfg.ClaimsCollection, pinned()), sealer},
		rows:   &Rows{cfg.Database.Collection(cfg.RowsCollection, pinned()), sealer},
	}, nil
}

func sealed(collection *tokens, cfg Config) listingStore {
	switch {
	case cfg.Seal == nil:
		return collection
	case cfg.SealStrict:
		return store.SealedStrict(collection, cfg.Seal).(listingStore) // it lists, as collection does
	}
	return store.Sealed(collection, cfg.Seal).(listingStore)
}

// pinned are the options that hold whatever the application's client is configured to.
func pinned() *options.CollectionOptionsBuilder {
	return options.Collection().
		SetWriteConcern(writeconcern.Majority()).
		SetReadConcern(readconcern.Majority()).
		SetReadPreference(readpref.Primary()).
		SetRegistry(bson.NewRegistry()).
		SetBSONOptions(&options.BSONOptions{})
}

// Rows returns the durable rows.
func (s *Store) Rows() *Rows { return s.rows }

// Get implements store.TokenStore.
func (s *Store) Get(ctx context.Context, key store.AccountID) (store.Record, error) {
	return s.tokens.Get(ctx, key)
}

// Put implements store.TokenStore. If the server's answer is lost, Put looks once whether
// the write has landed.
func (s *Store) Put(ctx context.Context, rec store.Record) (string, error) {
	return s.tokens.Put(ctx, rec)
}

// Delete implements store.TokenStore.
func (s *Store) Delete(ctx context.Context, key store.AccountID) error {
	return s.tokens.Delete(ctx, key)
}

// List implements store.Lister, ordered by provider and subject. It reads page after page
// and leaves no cursor open while the caller works on a record. A document that is not a
// record does not hide the others: the first one is the error at the end.
func (s *Store) List(ctx context.Context, filter store.Filter) iter.Seq2[store.Record, error] {
	return s.tokens.List(ctx, filter)
}

// Claim implements store.Claims. If the server's answer is lost, Claim looks once whether
// the key is the caller's. If that is not to be learnt either, the error matches
// telemed.ErrAmbiguous: the key may be Busy until the lease has run out.
func (s *Store) Claim(ctx context.Context, key string, lease time.Duration) (store.Claim, error) {
	return s.claims.claim(ctx, key, lease)
}

// Complete implements store.Claims. An error that matches telemed.ErrAmbiguous leaves
// open whether it happened: call it again with the same arguments.
func (s *Store) Complete(ctx context.Context, key, token string, value []byte, keep time.Duration) error {
	return s.claims.complete(ctx, key, token, value, keep)
}

// Release implements store.Claims.
func (s *Store) Release(ctx context.Context, key, token string) error {
	return s.claims.release(ctx, key, token)
}

// PurgeClaims implements store.ClaimsPurger. It reads the whole collection.
func (s *Store) PurgeClaims(ctx context.Context) (int, error) { return s.claims.purge(ctx) }

// ResealClaims implements store.ClaimsResealer, for store.Reseal.
func (s *Store) ResealClaims(ctx context.Context) (int, error) { return s.claims.reseal(ctx) }

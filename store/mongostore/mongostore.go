package mongostore

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/store"
)

// DefaultCollection is the name of the collection if the host chooses none.
const DefaultCollection = "oauth_tokens"

// Config configures a Store.
type Config struct {
	// Database is the host's. The Store never disconnects its client. Required.
	Database *mongo.Database
	// Collection is the collection's name. It must not have a default collation: one
	// that takes "Doc" and "doc" for the same merges two doctors. If empty, DefaultCollection.
	Collection string
}

// Store is a store.TokenStore and store.Lister in a MongoDB collection. It is safe for
// concurrent use, by many processes too.
type Store struct {
	tokens *mongo.Collection
}

var (
	_ store.TokenStore = (*Store)(nil)
	_ store.Lister     = (*Store)(nil)
)

// New returns a Store, or an error that names what is wrong with cfg. It does not ask the database.
func New(cfg Config) (*Store, error) {
	if cfg.Database == nil {
		return nil, fault.Invalid("mongostore", "Database", "is required")
	}
	if cfg.Collection == "" {
		cfg.Collection = DefaultCollection
	}
	return &Store{tokens: cfg.Database.Collection(cfg.Collection, pinned())}, nil
}

// pinned are the options that hold whatever the host's client is configured to.
func pinned() *options.CollectionOptionsBuilder {
	return options.Collection().
		SetWriteConcern(writeconcern.Majority()).
		SetReadConcern(readconcern.Majority()).
		SetReadPreference(readpref.Primary()).
		SetRegistry(bson.NewRegistry()).
		SetBSONOptions(&options.BSONOptions{})
}

// alone returns ctx without the host's session, which may be in a transaction.
func alone(ctx context.Context) context.Context {
	if mongo.SessionFromContext(ctx) == nil {
		return ctx
	}
	return mongo.NewSessionContext(ctx, nil)
}

// Get implements store.TokenStore.
func (s *Store) Get(ctx context.Context, key store.AccountID) (store.Record, error) {
	if err := key.Validate(); err != nil {
		return store.Record{}, err
	}
	raw, err := s.find(ctx, key)
	switch {
	case errors.Is(err, mongo.ErrNoDocuments):
		return store.Record{}, fmt.Errorf("mongostore: Get: %s: %w", key, telemed.ErrNotFound)
	case err != nil:
		return store.Record{}, failed("Get", err)
	}
	rec, err := read(raw)
	switch {
	case err != nil:
		return store.Record{}, fmt.Errorf("mongostore: Get: %w", err)
	case rec.ID != key:
		return store.Record{}, errMerged
	}
	return rec, nil
}

// errMerged keeps one doctor from another's token in a collection that was made with a collation.
var errMerged = errors.New("mongostore: Get: the collection takes different keys for the same one: it has a collation")

func (s *Store) find(ctx context.Context, key store.AccountID) (bson.Raw, error) {
	return s.tokens.FindOne(alone(ctx), bson.D{{Key: "_id", Value: id(key)}}).Raw()
}

// Put implements store.TokenStore. If the server's answer is lost, Put looks once
// whether the write has landed.
func (s *Store) Put(ctx context.Context, rec store.Record) (string, error) {
	if err := rec.ID.Validate(); err != nil {
		return "", err
	}
	revision := rand.Text()
	doc, err := encode(rec, revision)
	if err != nil {
		return "", err
	}
	written, err := s.write(alone(ctx), doc, rec.Revision)
	if err != nil || !written {
		if err := s.outcome(ctx, rec, revision, err); err != nil {
			return "", err
		}
	}
	return revision, nil
}

// write reports false if another document than the one expected is there, or none.
func (s *Store) write(ctx context.Context, doc *document, over string) (bool, error) {
	if over == "" {
		_, err := s.tokens.InsertOne(ctx, doc)
		if mongo.IsDuplicateKeyError(err) {
			return false, nil
		}
		return err == nil, err
	}
	result, err := s.tokens.ReplaceOne(ctx, bson.D{{Key: "_id", Value: doc.ID}, {Key: "rev", Value: over}}, doc)
	if err != nil {
		return false, err
	}
	return result.MatchedCount == 1, nil
}

// outcome finds out what became of a write that was refused, failed or was not answered.
// nil means that it has landed: its answer was lost and the driver or a proxy sent it again.
func (s *Store) outcome(ctx context.Context, rec store.Record, revision string, err error) error {
	stored, _ := s.find(ctx, rec.ID)
	there, _ := stored.Lookup("rev").StringValueOK()
	switch {
	case there == revision:
		return nil
	case err == nil:
		return fmt.Errorf("mongostore: Put: %s: %w", rec.ID, telemed.ErrConflict)
	}
	return failed("Put", err)
}

// Delete implements store.TokenStore.
func (s *Store) Delete(ctx context.Context, key store.AccountID) error {
	if err := key.Validate(); err != nil {
		return err
	}
	if _, err := s.tokens.DeleteOne(alone(ctx), bson.D{{Key: "_id", Value: id(key)}}); err != nil {
		return failed("Delete", err)
	}
	return nil
}

// pageSize is how many documents a page of List holds at most.
const pageSize = 200

// List implements store.Lister, ordered by provider and subject. It reads page after
// page and leaves no cursor open while the caller works on a record. A document that is not a
// record does not hide the others: the first one is the error at the end.
func (s *Store) List(ctx context.Context, filter store.Filter) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		var bad error
		last := ""
		for {
			page, err := s.page(alone(ctx), filter, last)
			if err != nil {
				yield(store.Record{}, failed("List", err))
				return
			}
			for _, raw := range page {
				last, _ = raw.Lookup("_id").StringValueOK() // $gt finds texts only
				rec, err := read(raw)
				if err != nil {
					bad = cmp.Or(bad, fmt.Errorf("mongostore: List: %w", err))
				} else if !yield(rec, nil) {
					return
				}
			}
			if len(page) < pageSize {
				break
			}
		}
		if bad != nil {
			yield(store.Record{}, bad)
		}
	}
}

func (s *Store) page(ctx context.Context, filter store.Filter, last string) ([]bson.Raw, error) {
	query := bson.D{{Key: "_id", Value: bson.D{{Key: "$gt", Value: last}}}}
	if filter.Provider != "" {
		query = append(query, bson.E{Key: "provider", Value: filter.Provider})
	}
	if filter.Status != "" {
		query = append(query, bson.E{Key: "status", Value: string(filter.Status)})
	}
	sorted := options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}).SetLimit(pageSize)
	cursor, err := s.tokens.Find(ctx, query, sorted)
	if err != nil {
		return nil, err
	}
	var page []bson.Raw
	err = cursor.All(ctx, &page)
	return page, err
}

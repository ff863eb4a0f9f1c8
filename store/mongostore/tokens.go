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

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
)

// tokens is the collection of tokens, as it is written down.
type tokens struct{ collection *mongo.Collection }

// Get implements store.TokenStore.
func (s *tokens) Get(ctx context.Context, key store.AccountID) (store.Record, error) {
	if err := key.Validate(); err != nil {
		return store.Record{}, err
	}
	raw, err := s.find(ctx, key)
	switch {
	case errors.Is(err, mongo.ErrNoDocuments):
		return store.Record{}, fmt.Errorf("mongostore: Get: %s: %w", key, telemed.ErrNotFound)
	case err != nil:
		return store.Record{}, unavailable("Get", err)
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

// errMerged keeps one doctor from another's token in a collection that was made with a
// collation.
var errMerged = errors.New("mongostore: Get: the collection takes different keys for the same one: it has a collation")

func (s *tokens) find(ctx context.Context, key store.AccountID) (bson.Raw, error) {
	return s.collection.FindOne(alone(ctx), bson.D{{Key: "_id", Value: id(key)}}).Raw()
}

// Put implements store.TokenStore.
func (s *tokens) Put(ctx context.Context, rec store.Record) (string, error) {
	if err := store.CheckRecord(rec); err != nil {
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
func (s *tokens) write(ctx context.Context, doc *document, over string) (bool, error) {
	if over == "" {
		_, err := s.collection.InsertOne(ctx, doc)
		if mongo.IsDuplicateKeyError(err) {
			return false, nil
		}
		return err == nil, err
	}
	result, err := s.collection.ReplaceOne(ctx, bson.D{{Key: "_id", Value: doc.ID}, {Key: "rev", Value: over}}, doc)
	if err != nil {
		return false, err
	}
	return result.MatchedCount == 1, nil
}

// outcome finds out what became of a write that was refused, failed or was not answered.
// nil means that it has landed: its answer was lost and the driver or a proxy sent it
// again.
func (s *tokens) outcome(ctx context.Context, rec store.Record, revision string, err error) error {
	stored, _ := s.find(ctx, rec.ID)
	there, _ := stored.Lookup("rev").StringValueOK()
	switch {
	case there == revision:
		return nil
	case err == nil:
		return fmt.Errorf("mongostore: Put: %s: %w", rec.ID, telemed.ErrConflict)
	}
	return ambiguous("Put", err)
}

// Delete implements store.TokenStore.
func (s *tokens) Delete(ctx context.Context, key store.AccountID) error {
	if err := key.Validate(); err != nil {
		return err
	}
	if _, err := s.collection.DeleteOne(alone(ctx), bson.D{{Key: "_id", Value: id(key)}}); err != nil {
		return ambiguous("Delete", err)
	}
	return nil
}

// pageSize is how many documents a page of List holds at most.
const pageSize = 200

// List implements store.Lister.
func (s *tokens) List(ctx context.Context, filter store.Filter) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		var bad error
		last := ""
		for {
			page, err := s.page(alone(ctx), filter, last)
			if err != nil {
				yield(store.Record{}, unavailable("List", err))
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

// alone returns ctx without the application's session, which may be in a transaction.
func alone(ctx context.Context) context.Context {
	if mongo.SessionFromContext(ctx) == nil {
		return ctx
	}
	return mongo.NewSessionContext(ctx, nil)
}

func (s *tokens) page(ctx context.Context, filter store.Filter, last string) ([]bson.Raw, error) {
	query := bson.D{{Key: "_id", Value: bson.D{{Key: "$gt", Value: last}}}}
	if filter.Provider != "" {
		query = append(query, bson.E{Key: "provider", Value: filter.Provider})
	}
	if filter.Status != "" {
		query = append(query, bson.E{Key: "status", Value: string(filter.Status)})
	}
	sorted := options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}).SetLimit(pageSize)
	cursor, err := s.collection.Find(ctx, query, sorted)
	if err != nil {
		return nil, err
	}
	var page []bson.Raw
	err = cursor.All(ctx, &page)
	return page, err
}

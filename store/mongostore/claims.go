package mongostore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
)

// claims is the collection of claims.
//
// One command decides each step: an upsert that changes a document only if it has ended,
// or an update or delete that names the token. The server compares with $$NOW, its own
// clock.
type claims struct {
	collection *mongo.Collection
	sealer     store.Sealer
}

// claimDocument is a claim as it is written down.
type claimDocument struct {
	Key   string `bson:"_id"`
	Token string `bson:"token"`
	Done  bool   `bson:"done"`
	Value []byte `bson:"value"`
	// Until is when the lease or the keeping time ends.
	Until bson.DateTime `bson:"until"`
	// Expired is set if Token took over from a holder that did neither complete nor
	// release.
	Expired bool `bson:"expired"`
}

func (c *claims) claim(ctx context.Context, key string, lease time.Duration) (store.Claim, error) {
	if err := store.CheckClaim(key, lease); err != nil {
		return store.Claim{}, err
	}
	token := rand.Text()
	for range upsertTries {
		var found claimDocument
		err := c.upsert(ctx, key, token, lease).Decode(&found)
		switch {
		case err == nil:
			return c.answer(found, key, token)
		case !mongo.IsDuplicateKeyError(err):
			return c.outcome(ctx, key, token, err)
		}
	}
	return store.Claim{}, fmt.Errorf("mongostore: Claim: others were faster, again and again: %w", telemed.ErrUnavailable)
}

// upsertTries is how often in a row two upserts of one key may meet. The server tries by
// itself before it refuses one.
const upsertTries = 20

// upsert writes a document with token if there is none or the one that is there has
// ended, and returns the document as it is then.
func (c *claims) upsert(ctx context.Context, key, token string, lease time.Duration) *mongo.SingleResult {
	none := bson.NewDateTimeFromTime(time.UnixMilli(0))
	ended := op("$lte", bson.A{op("$ifNull", bson.A{"$until", none}), "$$NOW"})
	unlessHeld := func(field string, value any) bson.E {
		return bson.E{Key: field, Value: op("$cond", bson.A{ended, value, "$" + field})}
	}
	update := mongo.Pipeline{op("$set", bson.D{
		unlessHeld("token", op("$literal", token)),
		unlessHeld("expired", op("$eq", bson.A{"$done", false})), // without a document it is not equal
		unlessHeld("done", false),
		unlessHeld("value", op("$literal", []byte{})),
		unlessHeld("until", after(lease)),
	})}
	return c.collection.FindOneAndUpdate(alone(ctx), byKey(key), update,
		options.FindOneAndUpdate().SetUpsert(true).SetReturnDocument(options.After))
}

func op(name string, value any) bson.D { return bson.D{{Key: name, Value: value}} }

// after is d from now on, by the server's clock. It rounds up: no lease ends early.
func after(d time.Duration) bson.D {
	return op("$add", bson.A{"$$NOW", int64((d + time.Millisecond - 1) / time.Millisecond)})
}

func byKey(key string) bson.D { return bson.D{{Key: "_id", Value: key}} }

func byToken(key, token string) bson.D {
	return bson.D{{Key: "_id", Value: key}, {Key: "token", Value: token}}
}

func (c *claims) answer(found claimDocument, key, token string) (store.Claim, error) {
	switch {
	case found.Key != key:
		return store.Claim{}, errMergedClaims
	case found.Token == token:
		return store.Claim{State: store.ClaimNew, Token: token, Expired: found.Expired}, nil
	case !found.Done:
		return store.Claim{State: store.ClaimBusy}, nil
	}
	value, err := c.sealer.Open(claimPurpose, key, found.Value)
	if err != nil {
		return store.Claim{}, fmt.Errorf("mongostore: Claim: %w", err)
	}
	return store.Claim{State: store.ClaimDone, Token: found.Token, Value: value}, nil
}

// claimPurpose binds sealed values to what they are.
const claimPurpose = "claim"

// errMergedClaims keeps two things from being taken for one in a collection that was made
// with a collation.
var errMergedClaims = errors.New("mongostore: Claim: the collection takes different keys for the same one: it has a collation")

// outcome finds out what became of a claim whose answer was lost: a document with our
// token is our doing.
func (c *claims) outcome(ctx context.Context, key, token string, err error) (store.Claim, error) {
	var found claimDocument
	lookErr := c.collection.FindOne(alone(ctx), byToken(key, token)).Decode(&found)
	if lookErr == nil && found.Token == token {
		return c.answer(found, key, token)
	}
	return store.Claim{}, ambiguous("Claim", err)
}

func (c *claims) complete(ctx context.Context, key, token string, value []byte, keep time.Duration) error {
	if err := store.CheckComplete(key, token, value, keep); err != nil {
		return err
	}
	stored, err := c.sealer.Seal(claimPurpose, key, value)
	if err != nil {
		return fmt.Errorf("mongostore: Complete: %w", err)
	}
	result, err := c.collection.UpdateOne(alone(ctx), byToken(key, token), mongo.Pipeline{op("$set", bson.D{
		{Key: "done", Value: true}, {Key: "value", Value: op("$literal", stored)}, {Key: "until", Value: after(keep)},
	})})
	switch {
	case err != nil:
		return ambiguous("Complete", err)
	case result.MatchedCount == 0:
		return fmt.Errorf("mongostore: Complete: the claim is not under this token: %w", telemed.ErrConflict)
	}
	return nil
}

func (c *claims) release(ctx context.Context, key, token string) error {
	if err := store.CheckRelease(key, token); err != nil {
		return err
	}
	if _, err := c.collection.DeleteOne(alone(ctx), append(byToken(key, token), bson.E{Key: "done", Value: false})); err != nil {
		return ambiguous("Release", err)
	}
	return nil
}

// purge passes over documents that are no claims, in case the collection has others too.
func (c *claims) purge(ctx context.Context) (int, error) {
	const day = int64(24 * time.Hour / time.Millisecond)
	// A key that nobody completed stays for a day, for the next one to learn of it.
	latest := op("$subtract", bson.A{"$$NOW", op("$cond", bson.A{"$done", int64(0), day})})
	result, err := c.collection.DeleteMany(alone(ctx), bson.D{
		{Key: "token", Value: op("$gt", "")},
		{Key: "until", Value: op("$gt", bson.NewDateTimeFromTime(time.UnixMilli(0)))},
		{Key: "$expr", Value: op("$lte", bson.A{"$until", latest})},
	})
	if err != nil {
		return 0, ambiguous("PurgeClaims", err)
	}
	return int(result.DeletedCount), nil
}

// reseal seals the values that are kept with the first key.
func (c *claims) reseal(ctx context.Context) (int, error) {
	resealed, unopened := 0, 0
	if c.sealer.AEAD == nil {
		return 0, nil
	}
	for last := ""; ; {
		page, err := c.page(alone(ctx), last)
		if err != nil {
			return resealed, unavailable("ResealClaims", err)
		}
		for _, found := range page {
			last = found.Key
			switch written, err := c.resealOne(alone(ctx), found); {
			case errors.Is(err, telemed.ErrDecrypt):
				unopened++
			case err != nil:
				return resealed, err
			case written:
				resealed++
			}
		}
		if len(page) < pageSize {
			break
		}
	}
	if unopened > 0 {
		return resealed, fmt.Errorf("mongostore: ResealClaims: %d claims left as they are: %w", unopened, telemed.ErrDecrypt)
	}
	return resealed, nil
}

// page returns claims that are Done, still kept and not empty, in the order of keys.
func (c *claims) page(ctx context.Context, last string) (page []claimDocument, err error) {
	cursor, err := c.collection.Find(ctx, bson.D{
		{Key: "_id", Value: op("$gt", last)}, {Key: "done", Value: true}, {Key: "value", Value: op("$gt", []byte{})},
		{Key: "$expr", Value: op("$gt", bson.A{"$until", "$$NOW"})},
	}, options.Find().SetSort(byIDUpwards).SetLimit(pageSize))
	if err != nil {
		return nil, err
	}
	err = cursor.All(ctx, &page)
	return page, err
}

var byIDUpwards = bson.D{{Key: "_id", Value: 1}}

// resealOne tries again if the claim is completed anew meanwhile: that may be the work of
// a process that has not got the new key first yet.
func (c *claims) resealOne(ctx context.Context, found claimDocument) (written bool, err error) {
	for range upsertTries {
		value, err := c.sealer.Open(claimPurpose, found.Key, found.Value)
		if err != nil {
			return false, err
		}
		stored, err := c.sealer.Seal(claimPurpose, found.Key, value)
		if err != nil {
			return false, fmt.Errorf("mongostore: ResealClaims: %w", err)
		}
		same := append(byToken(found.Key, found.Token), bson.E{Key: "done", Value: true}, bson.E{Key: "value", Value: found.Value})
		result, err := c.collection.UpdateOne(ctx, same, mongo.Pipeline{op("$set", bson.D{{Key: "value", Value: op("$literal", stored)}})})
		if err != nil {
			return false, ambiguous("ResealClaims", err)
		}
		if result.MatchedCount == 1 {
			return true, nil
		}
		err = c.collection.FindOne(ctx, append(byKey(found.Key), bson.E{Key: "done", Value: true})).Decode(&found)
		if errors.Is(err, mongo.ErrNoDocuments) {
			return false, nil
		}
		if err != nil {
			return false, unavailable("ResealClaims", err)
		}
	}
	return false, fmt.Errorf("mongostore: ResealClaims: a claim is completed again and again: %w", telemed.ErrUnavailable)
}

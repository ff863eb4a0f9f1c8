package mongostore

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/durable"
)

// Rows keeps durable rows in a collection. It is a durable.Store and everything that one
// may be besides: durable.Leaser, LeaseLister, Eraser and Lister. It is safe for
// concurrent use, by many processes too.
//
// Get and Put take part in the session of their context, so that a row commits with the
// application's transaction or not at all. Everything else is outside of it.
type Rows struct {
	collection *mongo.Collection
	sealer     store.Sealer
}

var (
	_ durable.Store       = (*Rows)(nil)
	_ durable.Leaser      = (*Rows)(nil)
	_ durable.LeaseLister = (*Rows)(nil)
	_ durable.Eraser      = (*Rows)(nil)
	_ durable.Lister      = (*Rows)(nil)
)

// Get implements durable.Store.
func (r *Rows) Get(ctx context.Context, id durable.ID) (durable.Item, error) {
	if err := durable.CheckID(id); err != nil {
		return durable.Item{}, err
	}
	raw, err := r.find(ctx, id)
	switch {
	case errors.Is(err, mongo.ErrNoDocuments):
		return durable.Item{}, fmt.Errorf("mongostore: Get: %s: %w", id, telemed.ErrNotFound)
	case err != nil:
		return durable.Item{}, unavailable("Get", err)
	}
	item, err := r.read(raw)
	switch {
	case err != nil:
		return durable.Item{}, fmt.Errorf("mongostore: Get: %w", err)
	case item.ID != id:
		return durable.Item{}, errMergedRows
	}
	return item, nil
}

// errMergedRows keeps two rows from being taken for one in a collection that was made with
// a collation.
var errMergedRows = errors.New("mongostore: Get: the collection takes different rows for the same one: it has a collation")

func (r *Rows) find(ctx context.Context, id durable.ID) (bson.Raw, error) {
	return r.collection.FindOne(ctx, byKey(id.String())).Raw()
}

// Put implements durable.Store. If the server's answer is lost, Put looks once whether the
// write has landed. In a transaction a telemed.ErrConflict ends it, and
// Session.WithTransaction begins it again.
func (r *Rows) Put(ctx context.Context, item durable.Item) (string, error) {
	if err := durable.CheckItem(item); err != nil {
		return "", err
	}
	doc, err := r.encode(item, rand.Text())
	if err != nil {
		return "", err
	}
	written, err := r.write(ctx, doc, item.Revision)
	if err != nil || !written {
		if err := r.outcome(ctx, item.ID, doc.Revision, err); err != nil {
			return "", err
		}
	}
	return doc.Revision, nil
}

// write reports false if another document than the one expected is there, or none.
func (r *Rows) write(ctx context.Context, doc *rowDocument, over string) (bool, error) {
	if over == "" {
		_, err := r.collection.InsertOne(ctx, doc)
		if mongo.IsDuplicateKeyError(err) {
			return false, nil
		}
		return err == nil, err
	}
	same := bson.D{{Key: "_id", Value: doc.ID}, {Key: "rev", Value: over}, {Key: "tenant", Value: doc.Tenant}}
	result, err := r.collection.ReplaceOne(ctx, same, doc)
	if err != nil {
		return false, err
	}
	return result.MatchedCount == 1, nil
}

// codeWriteConflict is of a transaction that somebody else was faster than.
const codeWriteConflict = 112

// outcome finds out what became of a write that was refused, failed or was not answered.
// nil means that it has landed.
func (r *Rows) outcome(ctx context.Context, id durable.ID, revision string, err error) error {
	if code(err) == codeWriteConflict {
		return newError("Put", telemed.ErrConflict, err)
	}
	stored, _ := r.find(ctx, id)
	there, _ := stored.Lookup("rev").StringValueOK()
	switch {
	case there == revision:
		return nil
	case err == nil:
		return fmt.Errorf("mongostore: Put: %s: %w", id, telemed.ErrConflict)
	}
	return ambiguous("Put", err)
}

// ofKinds is the condition that rows are of these kinds, and not of a later version.
func ofKinds(kinds map[string]int) bson.E {
	var alternatives bson.A
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		alternatives = append(alternatives, bson.D{{Key: "kind", Value: kind}, {Key: "version", Value: op("$lte", int64(kinds[kind]))}})
	}
	return bson.E{Key: "$or", Value: alternatives}
}

// isLeased and isFree are conditions on a row's lease.
var (
	isLeased = bson.E{Key: "owner", Value: op("$gt", "")}
	isFree   = bson.E{Key: "owner", Value: ""}
)

// isDue is the condition that a row is due at by. A row with nothing to do has no date.
func isDue(by time.Time) bson.E {
	return bson.E{Key: "due", Value: op("$lte", bson.NewDateTimeFromTime(by))}
}

var soonestFirst = bson.D{{Key: "due", Value: 1}, {Key: "_id", Value: 1}}

// Due implements durable.Store. With PerTenant it reads page after page, each without the
// tenants that have enough.
func (r *Rows) Due(ctx context.Context, q durable.Query) ([]durable.ID, error) {
	if err := durable.CheckQuery(q); err != nil {
		return nil, err
	}
	fits := bson.D{ofKinds(q.Kinds), isFree, isDue(q.By)}
	if q.Leased {
		fits = bson.D{ofKinds(q.Kinds), isLeased}
	}
	var ids []durable.ID
	seen, taken, enough := bson.A{}, map[string]int{}, bson.A{}
	for {
		page, err := r.page(alone(ctx), append(slices.Clip(fits),
			bson.E{Key: "_id", Value: op("$nin", seen)}, bson.E{Key: "tenant", Value: op("$nin", enough)}), soonestFirst, q.Limit-len(ids))
		if err != nil {
			return nil, unavailable("Due", err)
		}
		wanted := q.Limit - len(ids)
		for _, raw := range page {
			id, tenant := rowID(raw), text(raw, "tenant")
			seen = append(seen, id.String())
			if q.PerTenant > 0 && taken[tenant] == q.PerTenant {
				continue
			}
			ids = append(ids, id)
			if taken[tenant]++; taken[tenant] == q.PerTenant {
				enough = append(enough, tenant)
			}
		}
		if len(page) < wanted || len(ids) == q.Limit {
			return ids, nil
		}
	}
}

// page returns at most limit documents without what is long.
func (r *Rows) page(ctx context.Context, filter, order bson.D, limit int) (page []bson.Raw, err error) {
	short := bson.D{}
	for _, name := range []string{"kind", "name", "tenant", "owner", "ttl", "rev"} {
		short = append(short, bson.E{Key: name, Value: 1})
	}
	cursor, err := r.collection.Find(ctx, filter, options.Find().SetSort(order).SetLimit(int64(limit)).SetProjection(short))
	if err != nil {
		return nil, err
	}
	err = cursor.All(ctx, &page)
	return page, err
}

// Lease implements durable.Leaser. It takes one row at a time, of the next tenant each. A
// row whose lease was written and not answered is looked for once; if that fails too, the
// row waits until its lease is dead.
func (r *Rows) Lease(ctx context.Context, q durable.Query, after string, lease durable.Lease) (items []durable.Item, next string, err error) {
	q.Leased = false
	if err := cmp.Or(durable.CheckQuery(q), durable.CheckLease(lease)); err != nil {
		return nil, after, err
	}
	ctx, next = alone(ctx), after
	var unopened error
	for n, bounded := 0, true; n < q.Limit; {
		fits := bson.D{ofKinds(q.Kinds), isFree, isDue(q.By)}
		if bounded {
			fits = append(fits, bson.E{Key: "tenant", Value: op("$gt", next)})
		}
		raw, err := r.leaseOne(ctx, fits, lease)
		switch {
		case errors.Is(err, mongo.ErrNoDocuments) && bounded:
			bounded = false // the first tenant again
			continue
		case errors.Is(err, mongo.ErrNoDocuments):
			return items, next, unopened
		case err != nil:
			return items, next, errors.Join(unopened, ambiguous("Lease", err))
		}
		n++
		// If the first one is the one that was served last, it is the only one.
		bounded = bounded || text(raw, "tenant") != next
		next = text(raw, "tenant")
		item, err := r.read(raw)
		if err != nil {
			unopened = cmp.Or(unopened, fmt.Errorf("mongostore: Lease: %w", err))
			continue
		}
		items = append(items, item)
	}
	return items, next, unopened
}

// byTenant has the first tenant's row that is due soonest first.
var byTenant = bson.D{{Key: "tenant", Value: 1}, {Key: "due", Value: 1}, {Key: "_id", Value: 1}}

func (r *Rows) leaseOne(ctx context.Context, fits bson.D, lease durable.Lease) (bson.Raw, error) {
	revision := rand.Text()
	raw, err := r.collection.FindOneAndUpdate(ctx, fits, mongo.Pipeline{op("$set", bson.D{
		{Key: "owner", Value: op("$literal", lease.Owner)}, {Key: "ttl", Value: op("$literal", lease.TTL.Milliseconds())},
		{Key: "rev", Value: op("$literal", revision)},
	})}, options.FindOneAndUpdate().SetSort(byTenant).SetReturnDocument(options.After)).Raw()
	if err == nil || errors.Is(err, mongo.ErrNoDocuments) {
		return raw, err
	}
	ours := bson.D{{Key: "owner", Value: lease.Owner}, {Key: "rev", Value: revision}}
	if found, lookErr := r.collection.FindOne(ctx, ours).Raw(); lookErr == nil {
		return found, nil
	}
	return nil, err
}

// Leases implements durable.LeaseLister.
func (r *Rows) Leases(ctx context.Context, kinds map[string]int) ([]durable.Held, error) {
	if len(kinds) == 0 {
		return nil, ctx.Err()
	}
	page, err := r.page(alone(ctx), bson.D{ofKinds(kinds), isLeased}, byIDUpwards, 0)
	if err != nil {
		return nil, unavailable("Leases", err)
	}
	held := make([]durable.Held, 0, len(page))
	for _, raw := range page {
		ttl, _ := raw.Lookup("ttl").AsInt64OK()
		lease := durable.Lease{Owner: text(raw, "owner"), TTL: time.Duration(ttl) * time.Millisecond}
		held = append(held, durable.Held{ID: rowID(raw), Revision: text(raw, "rev"), Lease: lease})
	}
	return held, nil
}

// Erase implements durable.Eraser.
func (r *Rows) Erase(ctx context.Context, by time.Time, limit int) (int, error) {
	if limit <= 0 {
		return 0, ctx.Err()
	}
	over := bson.E{Key: "eraseAt", Value: op("$lte", bson.NewDateTimeFromTime(by))}
	page, err := r.page(alone(ctx), bson.D{over}, byIDUpwards, limit)
	if err != nil {
		return 0, unavailable("Erase", err)
	}
	ids := bson.A{}
	for _, raw := range page {
		ids = append(ids, raw.Lookup("_id"))
	}
	if len(ids) == 0 {
		return 0, nil
	}
	result, err := r.collection.DeleteMany(alone(ctx), bson.D{{Key: "_id", Value: op("$in", ids)}, over})
	if err != nil {
		return 0, ambiguous("Erase", err)
	}
	return int(result.DeletedCount), nil
}

// List implements durable.Lister. It reads page after page and leaves no cursor open while
// the caller works on a row. A document that is not a row, or does not open, does not hide
// the others: the first one is the error at the end.
func (r *Rows) List(ctx context.Context, filter durable.Filter) iter.Seq2[durable.Item, error] {
	return func(yield func(durable.Item, error) bool) {
		var bad error
		last := ""
		for {
			page, err := r.whole(alone(ctx), filter, last)
			if err != nil {
				yield(durable.Item{}, unavailable("List", err))
				return
			}
			for _, raw := range page {
				last = text(raw, "_id")
				item, err := r.read(raw)
				if err != nil {
					bad = cmp.Or(bad, fmt.Errorf("mongostore: List: %w", err))
				} else if !yield(item, nil) {
					return
				}
			}
			if len(page) < pageSize {
				break
			}
		}
		if bad != nil {
			yield(durable.Item{}, bad)
		}
	}
}

// whole returns a page of a list.
func (r *Rows) whole(ctx context.Context, filter durable.Filter, last string) (page []bson.Raw, err error) {
	query := bson.D{{Key: "_id", Value: op("$gt", last)}}
	if filter.Kind != "" {
		query = append(query, bson.E{Key: "kind", Value: filter.Kind})
	}
	if filter.Tenant != "" {
		query = append(query, bson.E{Key: "tenant", Value: filter.Tenant})
	}
	if filter.Stuck {
		query = append(query, bson.E{Key: "stuck", Value: op("$gt", "")})
	}
	cursor, err := r.collection.Find(ctx, query, options.Find().SetSort(byIDUpwards).SetLimit(pageSize))
	if err != nil {
		return nil, err
	}
	err = cursor.All(ctx, &page)
	return page, err
}

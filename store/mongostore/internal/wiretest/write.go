package wiretest

import (
	"bytes"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
)

func (s *Server) insert(body bson.Raw) (bson.D, *failure) {
	if refused := only("insert", body, append([]string{"insert", "documents", "ordered"}, common...)...); refused != nil {
		return nil, refused
	}
	c, refused := s.collection(body)
	if refused != nil {
		return nil, refused
	}
	inserted, refused := documents(body, "documents")
	if refused != nil {
		return nil, refused
	}
	for i, document := range inserted {
		id, err := document.LookupErr("_id")
		if err != nil {
			return nil, &failure{codeBadValue, "a document has no _id"}
		}
		if _, taken := c.byID[idKey(id)]; taken {
			return ok(bson.E{Key: "n", Value: int32(i)}, duplicate(i, id)), nil
		}
		c.byID[idKey(id)] = slices.Clone(document)
	}
	return ok(bson.E{Key: "n", Value: int32(len(inserted))}), nil
}

// duplicate quotes the key, as MongoDB does: a store must not pass that on.
func duplicate(index int, id bson.RawValue) bson.E {
	return bson.E{Key: "writeErrors", Value: bson.A{bson.D{
		{Key: "index", Value: int32(index)}, {Key: "code", Value: int32(codeDuplicateKey)},
		{Key: "errmsg", Value: "E11000 duplicate key error dup key: { _id: " + id.String() + " }"},
	}}}
}

func (s *Server) update(body bson.Raw) (bson.D, *failure) {
	if refused := only("update", body, append([]string{"update", "updates", "ordered"}, common...)...); refused != nil {
		return nil, refused
	}
	c, refused := s.collection(body)
	if refused != nil {
		return nil, refused
	}
	updates, refused := documents(body, "updates")
	if refused != nil {
		return nil, refused
	}
	matched, modified := int32(0), int32(0)
	for _, one := range updates {
		if refused := only("update", one, "q", "u"); refused != nil {
			return nil, refused
		}
		found, refused := c.matching(one.Lookup("q"), s.now())
		if refused != nil {
			return nil, refused
		}
		if len(found) == 0 {
			continue
		}
		changed, refused := c.change(found[0], one.Lookup("u"), s.now())
		if refused != nil {
			return nil, refused
		}
		matched++
		if !bytes.Equal(changed, found[0]) {
			modified++
		}
	}
	return ok(bson.E{Key: "n", Value: matched}, bson.E{Key: "nModified", Value: modified}), nil
}

// change puts what an update makes of a document in its place. It knows replacements and
// pipelines, no update operators.
func (c *collection) change(old bson.Raw, update bson.RawValue, now bson.DateTime) (bson.Raw, *failure) {
	changed, refused := updated(old, update, now)
	if refused != nil {
		return nil, refused
	}
	id := old.Lookup("_id")
	if !id.Equal(changed.Lookup("_id")) {
		return nil, &failure{codeBadValue, "an update must leave the _id as it is"}
	}
	c.byID[idKey(id)] = changed
	return changed, nil
}

func updated(old bson.Raw, update bson.RawValue, now bson.DateTime) (bson.Raw, *failure) {
	if stages, ok := update.ArrayOK(); ok {
		return runPipeline(old, stages, now)
	}
	replacement, ok := update.DocumentOK()
	if !ok || operator(replacement) {
		return nil, &failure{codeNotImplemented, "wiretest knows replacements and pipelines only"}
	}
	return slices.Clone(replacement), nil
}

// findAndModify updates one document, or creates it from the filter, which names the _id
// alone then.
func (s *Server) findAndModify(body bson.Raw) (bson.D, *failure) {
	known := append([]string{"findAndModify", "query", "update", "new", "upsert", "sort"}, common...)
	if refused := only("findAndModify", body, known...); refused != nil {
		return nil, refused
	}
	c, refused := s.collection(body)
	if refused != nil {
		return nil, refused
	}
	found, refused := c.matching(body.Lookup("query"), s.now())
	if refused == nil {
		refused = sortBy(found, body.Lookup("sort"))
	}
	if refused != nil {
		return nil, refused
	}
	upsert, _ := body.Lookup("upsert").BooleanOK()
	if len(found) == 0 && !upsert {
		return modified(bson.D{{Key: "n", Value: int32(0)}, {Key: "updatedExisting", Value: false}}, nil), nil
	}
	var old, base bson.Raw
	result := bson.D{{Key: "n", Value: int32(1)}, {Key: "updatedExisting", Value: len(found) > 0}}
	if len(found) > 0 {
		old, base = found[0], found[0]
	} else {
		query := body.Lookup("query").Document()
		if refused := only("query of an upsert", query, "_id"); refused != nil {
			return nil, refused
		}
		base = query
		result = append(result, bson.E{Key: "upserted", Value: query.Lookup("_id")})
	}
	changed, refused := c.change(base, body.Lookup("update"), s.now())
	if refused != nil {
		return nil, refused
	}
	if after, _ := body.Lookup("new").BooleanOK(); after {
		return modified(result, changed), nil
	}
	return modified(result, old), nil
}

func modified(result bson.D, value bson.Raw) bson.D {
	if value == nil {
		return ok(bson.E{Key: "lastErrorObject", Value: result}, bson.E{Key: "value", Value: nil})
	}
	return ok(bson.E{Key: "lastErrorObject", Value: result}, bson.E{Key: "value", Value: value})
}

func (s *Server) remove(body bson.Raw) (bson.D, *failure) {
	if refused := only("delete", body, append([]string{"delete", "deletes", "ordered"}, common...)...); refused != nil {
		return nil, refused
	}
	c, refused := s.collection(body)
	if refused != nil {
		return nil, refused
	}
	deletes, refused := documents(body, "deletes")
	if refused != nil {
		return nil, refused
	}
	gone := int32(0)
	for _, one := range deletes {
		if refused := only("delete", one, "q", "limit"); refused != nil {
			return nil, refused
		}
		found, refused := c.matching(one.Lookup("q"), s.now())
		if refused != nil {
			return nil, refused
		}
		if limit := one.Lookup("limit").AsInt64(); limit > 0 && len(found) > 1 {
			found = found[:1]
		}
		for _, document := range found {
			delete(c.byID, idKey(document.Lookup("_id")))
			gone++
		}
	}
	return ok(bson.E{Key: "n", Value: gone}), nil
}

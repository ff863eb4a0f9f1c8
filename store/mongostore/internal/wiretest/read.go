package wiretest

import (
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// cursor holds what a find has not returned yet.
type cursor struct {
	namespace string
	rest      []bson.Raw
}

// collection holds documents by the bytes of their _id.
type collection struct {
	byID map[string]bson.Raw
}

func idKey(id bson.RawValue) string { return string(byte(id.Type)) + string(id.Value) }

// collection returns the one that the command's first field names. The caller holds s.mu.
func (s *Server) collection(body bson.Raw) (*collection, *failure) {
	first, err := body.IndexErr(0)
	if err != nil {
		return nil, &failure{codeBadValue, "command is empty"}
	}
	return s.named(body, first.Value())
}

func (s *Server) named(body bson.Raw, value bson.RawValue) (*collection, *failure) {
	name, ok := value.StringValueOK()
	db, okDB := body.Lookup("$db").StringValueOK()
	if !ok || !okDB {
		return nil, &failure{codeBadValue, "collection is not named"}
	}
	namespace := db + "." + name
	if s.collections[namespace] == nil {
		s.collections[namespace] = &collection{byID: map[string]bson.Raw{}}
	}
	return s.collections[namespace], nil
}

const defaultBatch = 101

func (s *Server) find(body bson.Raw) (bson.D, *failure) {
	known := append([]string{"find", "filter", "limit", "singleBatch", "batchSize", "sort", "projection"}, common...)
	if refused := only("find", body, known...); refused != nil {
		return nil, refused
	}
	c, refused := s.collection(body)
	if refused != nil {
		return nil, refused
	}
	if sort, ok := body.Lookup("sort").DocumentOK(); ok {
		if refused := only("sort", sort, "_id"); refused != nil || sort.Lookup("_id").AsInt64() != 1 {
			return nil, &failure{codeNotImplemented, "wiretest sorts by _id upwards only"}
		}
	}
	found, refused := c.matching(body.Lookup("filter"), s.now())
	if refused != nil {
		return nil, refused
	}
	if limit, ok := body.Lookup("limit").AsInt64OK(); ok && limit > 0 {
		found = found[:min(int(limit), len(found))]
	}
	found, refused = project(found, body.Lookup("projection"))
	if refused != nil {
		return nil, refused
	}
	name, _ := body.Lookup("find").StringValueOK()
	db, _ := body.Lookup("$db").StringValueOK()
	batch, rest := batch(found, body.Lookup("batchSize"), defaultBatch)
	if single, _ := body.Lookup("singleBatch").BooleanOK(); single {
		rest = nil
	}
	id := int64(0)
	if len(rest) > 0 {
		s.lastCursor++
		id = s.lastCursor
		s.cursors[id] = &cursor{db + "." + name, rest}
	}
	return cursorReply("firstBatch", id, db+"."+name, batch), nil
}

func (s *Server) getMore(body bson.Raw) (bson.D, *failure) {
	if refused := only("getMore", body, append([]string{"getMore", "collection", "batchSize"}, common...)...); refused != nil {
		return nil, refused
	}
	id, _ := body.Lookup("getMore").Int64OK()
	open := s.cursors[id]
	if open == nil {
		return nil, &failure{codeCursorNotFound, "cursor not found"}
	}
	next, rest := batch(open.rest, body.Lookup("batchSize"), len(open.rest))
	open.rest = rest
	if len(rest) == 0 {
		delete(s.cursors, id)
		id = 0
	}
	return cursorReply("nextBatch", id, open.namespace, next), nil
}

func (s *Server) killCursors(body bson.Raw) (bson.D, *failure) {
	ids, ok1 := body.Lookup("cursors").ArrayOK()
	values, err := ids.Values()
	if !ok1 || err != nil {
		return nil, &failure{codeBadValue, "cursors is malformed"}
	}
	killed := bson.A{}
	for _, value := range values {
		id, _ := value.Int64OK()
		delete(s.cursors, id)
		killed = append(killed, id)
	}
	return ok(bson.E{Key: "cursorsKilled", Value: killed}), nil
}

// project keeps _id and the fields that are named with a number other than 0.
func project(found []bson.Raw, value bson.RawValue) ([]bson.Raw, *failure) {
	projection, ok := value.DocumentOK()
	if !ok {
		return found, nil
	}
	names, err := projection.Elements()
	if err != nil {
		return nil, &failure{codeBadValue, "projection is malformed"}
	}
	kept := make([]bson.Raw, len(found))
	for i, document := range found {
		only := bson.D{{Key: "_id", Value: document.Lookup("_id")}}
		for _, name := range names {
			if keep, ok := name.Value().AsInt64OK(); !ok || keep == 0 {
				return nil, &failure{codeNotImplemented, "wiretest projects by inclusion only"}
			}
			if field, err := document.LookupErr(name.Key()); err == nil && name.Key() != "_id" {
				only = append(only, bson.E{Key: name.Key(), Value: field})
			}
		}
		if kept[i], err = bson.Marshal(only); err != nil {
			return nil, &failure{codeBadValue, "document is malformed"}
		}
	}
	return kept, nil
}

// OpenCursors returns how many cursors a client has left open.
func (s *Server) OpenCursors() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.cursors)
}

func batch(found []bson.Raw, size bson.RawValue, fallback int) (batch, rest []bson.Raw) {
	n := fallback
	if asked, ok := size.AsInt64OK(); ok && asked > 0 {
		n = int(asked)
	}
	n = min(n, len(found))
	return found[:n], found[n:]
}

func cursorReply(batchName string, id int64, namespace string, batch []bson.Raw) bson.D {
	array := bson.A{}
	for _, document := range batch {
		array = append(array, document)
	}
	return ok(bson.E{Key: "cursor", Value: bson.D{
		{Key: "id", Value: id}, {Key: "ns", Value: namespace}, {Key: batchName, Value: array},
	}})
}

// matching returns the documents that fit the filter, ordered by _id.
func (c *collection) matching(value bson.RawValue, now bson.DateTime) ([]bson.Raw, *failure) {
	var filter []bson.RawElement
	if value.Type != 0 {
		document, ok := value.DocumentOK()
		if !ok {
			return nil, &failure{codeBadValue, "filter is not a document"}
		}
		var err error
		if filter, err = document.Elements(); err != nil {
			return nil, &failure{codeBadValue, "filter is malformed"}
		}
	}
	var found []bson.Raw
	for _, document := range c.byID {
		fits, refused := matches(document, filter, now)
		if refused != nil {
			return nil, refused
		}
		if fits {
			found = append(found, document)
		}
	}
	slices.SortFunc(found, func(a, b bson.Raw) int { return compare(a.Lookup("_id"), b.Lookup("_id")) })
	return found, nil
}

func matches(document bson.Raw, filter []bson.RawElement, now bson.DateTime) (bool, *failure) {
	for _, condition := range filter {
		if condition.Key() == "$expr" {
			value, refused := (&evaluation{document, now}).value(condition.Value())
			if refused != nil || !truth(value) {
				return false, refused
			}
			continue
		}
		if strings.HasPrefix(condition.Key(), "$") {
			return false, &failure{codeNotImplemented, "wiretest does not know " + condition.Key()}
		}
		field := document.Lookup(condition.Key())
		fits, refused := holds(field, condition.Value())
		if refused != nil || !fits {
			return false, refused
		}
	}
	return true, nil
}

// holds knows equality and $gt.
func holds(field, want bson.RawValue) (bool, *failure) {
	inner, isDocument := want.DocumentOK()
	if !isDocument || !operator(inner) {
		return field.Equal(want), nil
	}
	if refused := only("filter", inner, "$gt"); refused != nil {
		return false, refused
	}
	bound := inner.Lookup("$gt")
	return typeOrder(field) == typeOrder(bound) && compare(field, bound) > 0, nil
}

func operator(document bson.Raw) bool {
	first, err := document.IndexErr(0)
	return err == nil && strings.HasPrefix(first.Key(), "$")
}

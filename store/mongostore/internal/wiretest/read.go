package wiretest

import (
	"iter"
	"maps"
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
	found, refused := c.matching(body.Lookup("filter"), s.now())
	if refused == nil {
		refused = sortBy(found, body.Lookup("sort"))
	}
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
	for _, document := range c.candidates(filter) {
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

// candidates returns the one document that a filter names, or all.
func (c *collection) candidates(filter []bson.RawElement) iter.Seq2[string, bson.Raw] {
	for _, condition := range filter {
		inner, isDocument := condition.Value().DocumentOK()
		if condition.Key() != "_id" || isDocument && operator(inner) {
			continue
		}
		return func(yield func(string, bson.Raw) bool) {
			key := idKey(condition.Value())
			if document, ok := c.byID[key]; ok {
				yield(key, document)
			}
		}
	}
	return maps.All(c.byID)
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
		if condition.Key() == "$or" {
			if fits, refused := matchesAny(document, condition.Value(), now); refused != nil || !fits {
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

// matchesAny is $or.
func matchesAny(document bson.Raw, value bson.RawValue, now bson.DateTime) (bool, *failure) {
	array, _ := value.ArrayOK()
	alternatives, err := array.Values()
	if err != nil || len(alternatives) == 0 {
		return false, &failure{codeBadValue, "$or must be a nonempty array"}
	}
	for _, alternative := range alternatives {
		filter, ok := alternative.DocumentOK()
		elements, err := filter.Elements()
		if !ok || err != nil {
			return false, &failure{codeBadValue, "$or holds something else than documents"}
		}
		if fits, refused := matches(document, elements, now); refused != nil || fits {
			return fits, refused
		}
	}
	return false, nil
}

// holds knows equality and one of $gt, $lte, $in and $nin.
func holds(field, want bson.RawValue) (bool, *failure) {
	inner, isDocument := want.DocumentOK()
	if !isDocument || !operator(inner) {
		return field.Equal(want), nil
	}
	elements, err := inner.Elements()
	if err != nil || len(elements) != 1 {
		return false, &failure{codeNotImplemented, "wiretest knows one operator for a field only"}
	}
	bound := elements[0].Value()
	same := typeOrder(field) == typeOrder(bound) // dates are compared with dates only
	switch name := elements[0].Key(); name {
	case "$gt":
		return same && compare(field, bound) > 0, nil
	case "$lte":
		return same && compare(field, bound) <= 0, nil
	case "$in", "$nin":
		array, ok := bound.ArrayOK()
		values, err := array.Values()
		if !ok || err != nil {
			return false, &failure{codeBadValue, name + " needs an array"}
		}
		if field.IsZero() { // for these two, what is missing is null
			field = bson.RawValue{Type: bson.TypeNull}
		}
		return slices.ContainsFunc(values, field.Equal) == (name == "$in"), nil
	}
	return false, &failure{codeNotImplemented, "wiretest does not know filter." + elements[0].Key()}
}

// sortBy sorts documents, which are in the order of their _id, by fields upwards.
func sortBy(found []bson.Raw, value bson.RawValue) *failure {
	sort, ok := value.DocumentOK()
	if !ok {
		return nil
	}
	keys, err := sort.Elements()
	if err != nil {
		return &failure{codeBadValue, "sort is malformed"}
	}
	for _, key := range keys {
		if key.Value().AsInt64() != 1 || strings.ContainsAny(key.Key(), ".$") {
			return &failure{codeNotImplemented, "wiretest sorts by whole fields upwards only"}
		}
	}
	slices.SortStableFunc(found, func(a, b bson.Raw) int {
		for _, key := range keys {
			if order := compare(a.Lookup(key.Key()), b.Lookup(key.Key())); order != 0 {
				return order
			}
		}
		return 0
	})
	return nil
}

func operator(document bson.Raw) bool {
	first, err := document.IndexErr(0)
	return err == nil && strings.HasPrefix(first.Key(), "$")
}

package wiretest

import (
	"bytes"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

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
	for _, update := range updates {
		hit, changed, refused := c.replace(update)
		if refused != nil {
			return nil, refused
		}
		matched, modified = matched+hit, modified+changed
	}
	return ok(bson.E{Key: "n", Value: matched}, bson.E{Key: "nModified", Value: modified}), nil
}

// replace applies one replacement. It knows neither upserts nor update operators.
func (c *collection) replace(update bson.Raw) (matched, modified int32, refused *failure) {
	if refused := only("update", update, "q", "u"); refused != nil {
		return 0, 0, refused
	}
	replacement, ok := update.Lookup("u").DocumentOK()
	if !ok || operator(replacement) {
		return 0, 0, &failure{codeNotImplemented, "wiretest knows replacements only"}
	}
	found, refused := c.matching(update.Lookup("q"))
	if refused != nil || len(found) == 0 {
		return 0, 0, refused
	}
	old := found[0]
	id := old.Lookup("_id")
	if !id.Equal(replacement.Lookup("_id")) {
		return 0, 0, &failure{codeBadValue, "a replacement must carry the same _id"}
	}
	c.byID[idKey(id)] = slices.Clone(replacement)
	if bytes.Equal(old, replacement) {
		return 1, 0, nil
	}
	return 1, 1, nil
}

func operator(document bson.Raw) bool {
	first, err := document.IndexErr(0)
	return err == nil && strings.HasPrefix(first.Key(), "$")
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
		found, refused := c.matching(one.Lookup("q"))
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

package wiretest

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// The error codes of expressions.
const (
	codeNoSuchOperator = 168
	codeTypeMismatch   = 14
)

// evaluation computes aggregation expressions over one document.
type evaluation struct {
	document bson.Raw
	now      bson.DateTime
}

// runPipeline runs an update's pipeline, of which it knows $set. Within a stage all
// expressions see the document as it was before it.
func runPipeline(document bson.Raw, stages bson.RawArray, now bson.DateTime) (bson.Raw, *failure) {
	values, err := stages.Values()
	if err != nil || len(values) == 0 {
		return nil, &failure{codeBadValue, "a pipeline is malformed"}
	}
	for _, value := range values {
		stage, ok := value.DocumentOK()
		if !ok {
			return nil, &failure{codeBadValue, "a stage is not a document"}
		}
		if refused := only("a stage", stage, "$set"); refused != nil {
			return nil, refused
		}
		fields, ok := stage.Lookup("$set").DocumentOK()
		if !ok {
			return nil, &failure{codeBadValue, "$set is not a document"}
		}
		var refused *failure
		if document, refused = (&evaluation{document, now}).set(fields); refused != nil {
			return nil, refused
		}
	}
	return document, nil
}

// set returns the document with fields changed in their places, and new ones at the end.
func (e *evaluation) set(fields bson.Raw) (bson.Raw, *failure) {
	var changed bson.D
	old, err := e.document.Elements()
	added, err2 := fields.Elements()
	if err != nil || err2 != nil {
		return nil, &failure{codeBadValue, "a document is malformed"}
	}
	for _, element := range old {
		changed = append(changed, bson.E{Key: element.Key(), Value: element.Value()})
	}
	for _, element := range added {
		name := element.Key()
		value, refused := e.value(element.Value())
		switch {
		case refused != nil:
			return nil, refused
		case value.Type == missing, strings.ContainsAny(name, ".$"):
			return nil, &failure{codeNotImplemented, "wiretest sets no paths, and nothing to what is missing"}
		}
		at := slices.IndexFunc(changed, func(e bson.E) bool { return e.Key == name })
		if at < 0 {
			changed = append(changed, bson.E{Key: name, Value: value})
		} else {
			changed[at].Value = value
		}
	}
	raw, err := bson.Marshal(changed)
	if err != nil {
		return nil, &failure{codeBadValue, "a document is malformed"}
	}
	return raw, nil
}

// value computes an expression: a field, a variable, an operator, or a constant.
func (e *evaluation) value(expression bson.RawValue) (bson.RawValue, *failure) {
	if text, ok := expression.StringValueOK(); ok && strings.HasPrefix(text, "$") {
		return e.named(text)
	}
	document, ok := expression.DocumentOK()
	if !ok {
		if expression.Type == bson.TypeArray {
			return bson.RawValue{}, &failure{codeNotImplemented, "wiretest does not know arrays in expressions"}
		}
		return expression, nil
	}
	elements, err := document.Elements()
	if err != nil || len(elements) != 1 || !strings.HasPrefix(elements[0].Key(), "$") {
		return bson.RawValue{}, &failure{codeNotImplemented, "wiretest does not know documents in expressions"}
	}
	if elements[0].Key() == "$literal" {
		return elements[0].Value(), nil
	}
	return e.operator(elements[0].Key(), elements[0].Value())
}

func (e *evaluation) named(text string) (bson.RawValue, *failure) {
	switch {
	case text == "$$NOW":
		return raw(e.now), nil
	case strings.HasPrefix(text, "$$"), strings.Contains(text, "."):
		return bson.RawValue{}, &failure{codeNotImplemented, "wiretest does not know " + text}
	}
	return e.document.Lookup(text[1:]), nil
}

// operator computes an operator. Those that are known have a fixed number of arguments.
// $cond leaves out what it does not choose.
func (e *evaluation) operator(name string, value bson.RawValue) (bson.RawValue, *failure) {
	arity := map[string]int{"$cond": 3, "$ifNull": 2, "$eq": 2, "$lte": 2, "$gt": 2, "$add": 2, "$subtract": 2}[name]
	if arity == 0 {
		return bson.RawValue{}, &failure{codeNoSuchOperator, "wiretest does not know " + name}
	}
	array, ok := value.ArrayOK()
	arguments, err := array.Values()
	if !ok || err != nil || len(arguments) != arity {
		return bson.RawValue{}, &failure{codeBadValue, name + " has another number of arguments"}
	}
	first, refused := e.value(arguments[0])
	if refused != nil {
		return bson.RawValue{}, refused
	}
	switch {
	case name == "$cond" && truth(first):
		return e.value(arguments[1])
	case name == "$cond":
		return e.value(arguments[2])
	case name == "$ifNull" && first.Type != missing && first.Type != bson.TypeNull:
		return first, nil
	}
	second, refused := e.value(arguments[1])
	if refused != nil {
		return bson.RawValue{}, refused
	}
	switch name {
	case "$ifNull":
		return second, nil
	case "$eq":
		return raw(compare(first, second) == 0), nil
	case "$lte":
		return raw(compare(first, second) <= 0), nil
	case "$gt":
		return raw(compare(first, second) > 0), nil
	}
	return shifted(name, first, second)
}

// shifted adds or subtracts milliseconds. It knows a date first and a whole number
// second.
func shifted(name string, date, number bson.RawValue) (bson.RawValue, *failure) {
	ms, ok := number.AsInt64OK()
	if date.Type != bson.TypeDateTime || !ok || number.Type == bson.TypeDouble {
		return bson.RawValue{}, &failure{codeTypeMismatch, "wiretest shifts a date by a whole number only"}
	}
	if name == "$subtract" {
		ms = -ms
	}
	return raw(bson.DateTime(date.DateTime() + ms)), nil
}

// raw returns the BSON of a date or a boolean.
func raw(value any) bson.RawValue {
	kind, data, err := bson.MarshalValue(value)
	if err != nil {
		panic("wiretest: " + err.Error()) // dates and booleans
	}
	return bson.RawValue{Type: kind, Value: data}
}

// truth is how MongoDB reads any value as a boolean.
func truth(v bson.RawValue) bool {
	switch v.Type {
	case missing, bson.TypeNull, bson.TypeUndefined:
		return false
	case bson.TypeBoolean:
		return v.Boolean()
	case bson.TypeInt32, bson.TypeInt64, bson.TypeDouble:
		return v.AsFloat64() != 0
	}
	return true
}

// compare orders values as MongoDB does: by type, and within one of those that are known
// here by value.
func compare(a, b bson.RawValue) int {
	if byType := cmp.Compare(typeOrder(a), typeOrder(b)); byType != 0 {
		return byType
	}
	switch a.Type {
	case bson.TypeString:
		return cmp.Compare(a.StringValue(), b.StringValue())
	case bson.TypeInt32, bson.TypeInt64, bson.TypeDouble:
		return cmp.Compare(a.AsFloat64(), b.AsFloat64())
	case bson.TypeDateTime:
		return cmp.Compare(a.DateTime(), b.DateTime())
	case bson.TypeBinary:
		subtype, data := a.Binary()
		subtype2, data2 := b.Binary()
		return cmp.Or(cmp.Compare(len(data), len(data2)), cmp.Compare(subtype, subtype2), bytes.Compare(data, data2))
	}
	return bytes.Compare(a.Value, b.Value)
}

// typeOrder is the order of types:
// https://www.mongodb.com/docs/manual/reference/bson-type-comparison-order/
func typeOrder(v bson.RawValue) int {
	switch v.Type {
	case bson.TypeInt32, bson.TypeInt64, bson.TypeDouble:
		return 2
	}
	return slices.Index([]bson.Type{
		missing, bson.TypeNull, bson.TypeDouble, bson.TypeString, bson.TypeEmbeddedDocument, bson.TypeArray,
		bson.TypeBinary, bson.TypeObjectID, bson.TypeBoolean, bson.TypeDateTime,
	}, v.Type)
}

// missing is the type of a field that is not there.
const missing bson.Type = 0

package googlemeettest

import (
	"encoding/json"
	"strings"
)

// mask is a parsed "fields" parameter, "id,conferenceData(entryPoints/uri)": what is not
// named is left out of the answer. A name without anything below it stands for all that
// is below. See
// https://developers.google.com/workspace/calendar/api/guides/performance#partial.
type mask map[string]mask

// parseMask reports false if text is not a mask.
func parseMask(text string) (mask, bool) {
	p := &maskParser{rest: text}
	m, ok := p.list()
	return m, ok && p.rest == ""
}

type maskParser struct{ rest string }

func (p *maskParser) list() (mask, bool) {
	m := mask{}
	for {
		if !p.item(m) {
			return nil, false
		}
		if !p.take(',') {
			return m, true
		}
	}
}

// item reads name, name/item or name(list).
func (p *maskParser) item(into mask) bool {
	end := strings.IndexAny(p.rest, ",/()")
	if end < 0 {
		end = len(p.rest)
	}
	name := p.rest[:end]
	p.rest = p.rest[end:]
	if name == "" {
		return false
	}
	below := mask{}
	switch {
	case p.take('/'):
		if !p.item(below) {
			return false
		}
	case p.take('('):
		list, ok := p.list()
		if !ok || !p.take(')') {
			return false
		}
		below = list
	}
	if into[name] == nil {
		into[name] = below
	} else {
		for key, value := range below {
			into[name][key] = value
		}
	}
	return true
}

func (p *maskParser) take(b byte) bool {
	if p.rest == "" || p.rest[0] != b {
		return false
	}
	p.rest = p.rest[1:]
	return true
}

func (m mask) apply(value any) any {
	if len(m) == 0 || m["*"] != nil {
		return value
	}
	switch value := value.(type) {
	case object:
		kept := object{}
		for name, below := range m {
			if inner, ok := value[name]; ok {
				kept[name] = below.apply(inner)
			}
		}
		return kept
	case []any:
		kept := make([]any, len(value))
		for i, inner := range value {
			kept[i] = m.apply(inner)
		}
		return kept
	}
	return value
}

// merge applies a patch: null removes, objects are merged, all else is replaced, lists
// too. See https://developers.google.com/workspace/calendar/api/guides/performance#patch.
func merge(doc, change object) {
	for name, value := range change {
		inner, isObject := value.(object)
		old, wasObject := doc[name].(object)
		switch {
		case value == nil:
			delete(doc, name)
		case isObject && wasObject:
			merge(old, inner)
		default:
			doc[name] = value
		}
	}
}

// clone copies a document, so that answers and stored events share nothing.
func clone(doc object) object {
	var copied object
	encoded, _ := json.Marshal(doc) // it was JSON
	_ = json.Unmarshal(encoded, &copied)
	return copied
}

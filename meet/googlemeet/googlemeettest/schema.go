package googlemeettest

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// schema is the form of a JSON value, as Google's description of the API has it: see
// https://www.googleapis.com/discovery/v1/apis/calendar/v3/rest.
type schema struct {
	kind       string // "string", "boolean", "integer", "array", "object"
	properties map[string]*schema
	any        *schema  // of properties whose names are free
	items      *schema  // of an array
	values     []string // that a string may have; nil: any
	min, max   float64  // of an integer, if max is not 0
}

func text(values ...string) *schema { return &schema{kind: "string", values: values} }

func listOf(items *schema) *schema { return &schema{kind: "array", items: items} }

func number(low, high float64) *schema { return &schema{kind: "integer", min: low, max: high} }

func properties(of map[string]*schema) *schema { return &schema{kind: "object", properties: of} }

var (
	flag    = &schema{kind: "boolean"}
	integer = &schema{kind: "integer"}
	texts   = &schema{kind: "object", any: text()}
	nothing = &schema{kind: "object"}
)

// readBody parses a body and checks its form.
func (a *access) readBody(form *schema) (object, *reply) {
	var value any
	if json.Unmarshal(a.in.body, &value) != nil {
		return nil, new(apiError(http.StatusBadRequest, "parseError", "Parse Error"))
	}
	if _, ok := value.(object); !ok {
		return nil, new(apiError(http.StatusBadRequest, "parseError", "Parse Error"))
	}
	if a.cfg.Lenient {
		form.prune(value)
	}
	read, failure := form.read("", value)
	if failure != nil {
		return nil, failure
	}
	return read.(object), nil
}

// prune takes away the names that are not known.
func (s *schema) prune(value any) {
	switch value := value.(type) {
	case object:
		maps.DeleteFunc(value, func(name string, _ any) bool { return s.properties[name] == nil && s.any == nil })
		for name, inner := range value {
			if form := s.properties[name]; form != nil {
				form.prune(inner)
			}
		}
	case []any:
		for _, inner := range value {
			if s.items != nil {
				s.items.prune(inner)
			}
		}
	}
}

// read returns the value with its numbers as numbers, or what Google answers to one of
// another form. null fits everything: a patch removes by it.
func (s *schema) read(at string, value any) (any, *reply) {
	switch value := value.(type) {
	case nil:
		return nil, nil
	case object:
		if s.kind == "object" {
			return s.readObject(at, value)
		}
	case []any:
		if s.kind == "array" {
			return s.readList(at, value)
		}
	case bool:
		if s.kind == "boolean" {
			return value, nil
		}
	case float64:
		if s.kind == "integer" && value == math.Trunc(value) {
			return s.readNumber(at, value)
		}
	case string:
		return s.readText(at, value)
	}
	return nil, s.mismatch(at, value)
}

func (s *schema) mismatch(at string, value any) *reply {
	shown, _ := json.Marshal(value) // it was JSON
	return malformed(fmt.Sprintf("Invalid value at '%s' (TYPE_%s), %s", at, strings.ToUpper(s.kind), shown))
}

// malformed is the answer to what does not fit the description of the API.
func malformed(message string) *reply {
	out := apiError(http.StatusBadRequest, "badRequest", message)
	out.doc.(object)["error"].(object)["status"] = "INVALID_ARGUMENT"
	return &out
}

func (s *schema) readObject(at string, value object) (any, *reply) {
	read := object{}
	for name, inner := range value {
		form := s.properties[name]
		if form == nil {
			form = s.any
		}
		if form == nil {
			place := ""
			if at != "" {
				place = " at '" + at + "'"
			}
			return nil, malformed(fmt.Sprintf("Invalid JSON payload received. Unknown name %q%s: Cannot find field.", name, place))
		}
		checked, failure := form.read(strings.TrimPrefix(at+"."+name, "."), inner)
		if failure != nil {
			return nil, failure
		}
		read[name] = checked
	}
	return read, nil
}

func (s *schema) readList(at string, value []any) (any, *reply) {
	read := make([]any, len(value))
	for i, inner := range value {
		checked, failure := s.items.read(fmt.Sprintf("%s[%d]", at, i), inner)
		if failure != nil {
			return nil, failure
		}
		read[i] = checked
	}
	return read, nil
}

func (s *schema) readNumber(at string, value float64) (any, *reply) {
	if s.max != 0 && (value < s.min || value > s.max) {
		return nil, new(apiError(http.StatusBadRequest, "invalid", fmt.Sprintf("Invalid value for: %s: %v", at, value)))
	}
	return value, nil
}

// readText also reads a number in quotes, which is how JSON has those of 64 bits.
func (s *schema) readText(at, value string) (any, *reply) {
	if s.kind == "integer" {
		if n, err := strconv.ParseInt(value, 10, 64); err == nil {
			return s.readNumber(at, float64(n))
		}
	}
	if s.kind != "string" {
		return nil, s.mismatch(at, value)
	}
	if s.values != nil && !slices.Contains(s.values, value) {
		return nil, new(apiError(http.StatusBadRequest, "invalid", "Invalid value for: "+at+": "+value+" is not a valid value"))
	}
	return value, nil
}

// covers reports whether all names of a mask are known.
func (s *schema) covers(m mask) bool {
	if s.kind == "array" {
		return s.items.covers(m)
	}
	for name, below := range m {
		form := s.properties[name]
		if form == nil {
			form = s.any
		}
		if name == "*" {
			continue
		}
		if form == nil || !form.covers(below) {
			return false
		}
	}
	return true
}

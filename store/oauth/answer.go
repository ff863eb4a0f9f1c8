package oauth

import (
	"bytes"
	"encoding/json"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/telemed-go/telemed/internal/fault"
)

// answer is what a token endpoint answered, as far as it can be read. A server that sends
// a new token has spent the old one: nothing that stands beside the new one may keep it
// from being read. So neither the Content-Type nor the form of other members matters.
type answer struct {
	// members has the values by name, as JSON. A name in capitals is there in small
	// letters too.
	members map[string]json.RawMessage
	// foreign is true if the answer is not the object of an OAuth server and nothing else.
	foreign bool
}

// maxNeighbour is how many bytes of one thing are kept beside the tokens. They all must
// fit into store.MaxToken.
const maxNeighbour = 8 << 10

const space = " \t\r\n"

// readAnswer reads JSON, or else a form. It takes what it can of an answer that was cut.
func readAnswer(body []byte) answer {
	body = bytes.TrimSpace(bytes.TrimPrefix(bytes.TrimSpace(body), []byte("\ufeff")))
	if at := findObject(body); at >= 0 {
		return answer{members: readObject(body[at:]), foreign: at > 0}
	}
	a := answer{members: readForm(string(body))}
	a.foreign = a.access() == "" && a.text("error") == "" // prose with an equals sign in it
	return a
}

// findObject returns where the first JSON object begins, or -1. Scripts and styles in a
// page have braces too, but no quote after them.
func findObject(body []byte) int {
	for at, c := range body {
		if c != '{' {
			continue
		}
		if inside := bytes.TrimLeft(body[at+1:], space); len(inside) > 0 && (inside[0] == '"' || inside[0] == '}') {
			return at
		}
	}
	return -1
}

// readObject reads the members of the object that data begins with. It goes on after what
// is no JSON, and ends where data does.
func readObject(data []byte) map[string]json.RawMessage {
	members := map[string]json.RawMessage{}
	s := scanner{data[1:]}
	for s.seek() {
		name, ok := s.quoted()
		if !ok || !s.colon() {
			continue
		}
		if value, ok := s.value(); ok {
			keep(members, unquote(name), value)
		}
	}
	return members
}

// keep adds a member. Of two with one name the last counts, unless it is empty.
func keep(members map[string]json.RawMessage, name string, value json.RawMessage) {
	_, known := members[name]
	if known && (string(value) == "null" || string(value) == `""`) {
		return
	}
	members[name] = value
	small := strings.ToLower(name)
	if _, known := members[small]; !known {
		members[small] = value
	}
}

// scanner reads what is left of an object.
type scanner struct{ left []byte }

// seek goes to the next name. It returns false at the object's end.
func (s *scanner) seek() bool {
	at := bytes.IndexAny(s.left, `"}`)
	if at < 0 || s.left[at] == '}' {
		return false
	}
	s.left = s.left[at:]
	return true
}

// quoted reads a text with its quotes. It returns false if the text was cut.
func (s *scanner) quoted() ([]byte, bool) {
	for at := 1; at < len(s.left); at++ {
		switch s.left[at] {
		case '\\':
			at++
		case '"':
			return s.take(at + 1), true
		}
	}
	s.left = nil
	return nil, false
}

// colon goes behind a colon, if one comes next.
func (s *scanner) colon() bool {
	s.left = bytes.TrimLeft(s.left, space)
	if len(s.left) == 0 || s.left[0] != ':' {
		return false
	}
	s.left = bytes.TrimLeft(s.left[1:], space)
	return true
}

// value reads a value of any kind. It returns false if the value was cut.
func (s *scanner) value() ([]byte, bool) {
	switch {
	case len(s.left) == 0:
		return nil, false
	case s.left[0] == '"':
		return s.quoted()
	case s.left[0] == '{' || s.left[0] == '[':
		return s.nested()
	}
	at := bytes.IndexAny(s.left, ",}"+space)
	if at < 0 {
		s.left = nil
		return nil, false
	}
	return s.take(at), true
}

// nested reads an object or an array.
func (s *scanner) nested() ([]byte, bool) {
	whole, depth := s.left, 0
	for len(s.left) > 0 {
		switch s.left[0] {
		case '"':
			if _, ok := s.quoted(); !ok {
				return nil, false
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		s.left = s.left[1:]
		if depth == 0 {
			return whole[:len(whole)-len(s.left)], true
		}
	}
	return nil, false
}

func (s *scanner) take(n int) []byte {
	taken := s.left[:n]
	s.left = s.left[n:]
	return taken
}

// unescaped undoes the escapes that a text may have which is no JSON: one with a line
// break in it, or with an escape that JSON does not know.
var unescaped = strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\/`, `/`, `\n`, "\n", `\r`, "\r", `\t`, "\t")

// unquote returns what a text in quotes says.
func unquote(quoted []byte) string {
	var text string
	if json.Unmarshal(quoted, &text) == nil {
		return text
	}
	return strings.ToValidUTF8(unescaped.Replace(string(quoted[1:len(quoted)-1])), "\ufffd")
}

// readForm reads name=value&name=value. A page is no form, and neither is prose.
func readForm(body string) map[string]json.RawMessage {
	members := map[string]json.RawMessage{}
	if strings.HasPrefix(body, "<") {
		return members
	}
	for pair := range strings.SplitSeq(body, "&") {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" || fault.Word(name) == "" {
			continue
		}
		if plain, err := url.QueryUnescape(value); err == nil {
			value = plain
		}
		if quoted, err := json.Marshal(value); err == nil {
			keep(members, name, quoted)
		}
	}
	return members
}

// text returns a member that is a text, else "".
func (a answer) text(name string) string {
	if value := a.members[name]; len(value) > 1 && value[0] == '"' {
		return unquote(value)
	}
	return ""
}

// secret returns a token: a text, or a number as it is written.
func (a answer) secret(name string) string {
	if value := a.members[name]; len(value) > 0 && value[0] >= '0' && value[0] <= '9' {
		return string(value)
	}
	return a.text(name)
}

func (a answer) access() string  { return a.secret("access_token") }
func (a answer) refresh() string { return a.secret("refresh_token") }

// small returns a text that is short enough to be kept beside the tokens, else "".
func (a answer) small(name string) string {
	if text := a.text(name); len(text) <= maxNeighbour {
		return text
	}
	return ""
}

const (
	// assumedLife is how long a token lives whose answer does not say so, or not in a
	// number that makes sense. Without an assumption it would be refreshed before each use.
	assumedLife = time.Hour
	// longestLife is what is believed of an answer that says more.
	longestLife = 366 * 24 * time.Hour
)

// life returns how long the access token lives.
func (a answer) life() time.Duration {
	text := strings.TrimSpace(string(a.members["expires_in"]))
	if strings.HasPrefix(text, `"`) {
		text = strings.TrimSpace(a.text("expires_in"))
	}
	seconds, err := strconv.ParseFloat(text, 64)
	switch {
	case err != nil && !math.IsInf(seconds, 1):
		return assumedLife
	case !(seconds >= 1): // NaN is none
		return assumedLife
	case seconds >= longestLife.Seconds():
		return longestLife
	}
	return time.Duration(seconds * float64(time.Second))
}

// scopes returns the scopes that the answer says were granted, nil if it says nothing.
func (a answer) scopes() []string {
	value, said := a.members["scope"]
	if !said {
		return nil
	}
	var granted any
	if text := a.text("scope"); text != "" {
		granted = text
	} else if json.Unmarshal(value, &granted) != nil {
		granted = nil
	}
	return scopesOf(granted)
}

// scopesOf returns the scopes in a text, or in an array of texts. It never returns nil:
// what cannot be read is not granted.
func scopesOf(granted any) []string {
	scopes, length := []string{}, 0
	list, isList := granted.([]any)
	if !isList {
		list = []any{granted}
	}
	for _, one := range list {
		text, _ := one.(string)
		scopes, length = append(scopes, strings.Fields(text)...), length+len(text)
	}
	if length > maxNeighbour {
		return []string{}
	}
	return scopes
}

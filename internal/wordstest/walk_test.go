//go:build !race

package wordstest

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// patient is what no error may say, whatever the case. The last one is in this
// application's secrets.
var patient = []string{"canary", "9198123", "asha", "verma", "s3cret"}

// says returns all that err can be made to say: at each depth of Unwrap by each verb, as
// JSON, and by both handlers of slog.
func says(err error) map[string]string {
	said := map[string]string{}
	walk(err, "", said)
	return said
}

func walk(err error, above string, said map[string]string) {
	if err == nil || strings.Count(above, ">") > 12 {
		return
	}
	at := above + fmt.Sprintf("%T", err)
	said[at+" Error"] = err.Error()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%T"} {
		text := fmt.Sprintf(verb, err)
		said[at+" "+verb] = text
		if verb == "%x" {
			said[at+" %x, read"] = unhex(text)
		}
	}
	said[at+" in a struct"] = fmt.Sprintf("%+v", struct{ E error }{err})
	if data, failed := json.Marshal(err); failed == nil {
		said[at+" JSON"] = string(data)
	} else {
		said[at+" JSON"] = failed.Error()
	}
	said[at+" slog"] = logged(err)
	switch u := err.(type) {
	case interface{ Unwrap() error }:
		walk(u.Unwrap(), at+">", said)
	case interface{ Unwrap() []error }:
		for i, below := range u.Unwrap() {
			walk(below, fmt.Sprintf("%s>%d ", at, i), said)
		}
	}
}

func logged(err error) string {
	var b strings.Builder
	for _, handler := range []slog.Handler{slog.NewJSONHandler(&b, nil), slog.NewTextHandler(&b, nil)} {
		slog.New(handler).Info("it failed", "error", err, "inside", struct{ E error }{err}, slog.Group("g", "error", err))
	}
	return b.String()
}

// unhex reads what %x makes of a text.
func unhex(text string) string {
	read, err := hex.DecodeString(text)
	if err != nil {
		return text
	}
	return string(read)
}

// leaks are the places where a word came through, each told once.
type leaks map[string]string

func (l leaks) look(what, answer string, err error) {
	for how, text := range says(err) {
		l.lookAt(what+": "+how, answer, text)
	}
}

func (l leaks) lookAt(place, answer, text string) {
	text = strings.ToLower(text)
	for _, word := range patient {
		if strings.Contains(text, word) {
			l[place] = fmt.Sprintf("%q after %s: %.200s", word, answer, text)
			return
		}
	}
}

func (l leaks) report(t *testing.T) {
	t.Helper()
	for place, what := range l {
		t.Errorf("%s: %s", place, what)
	}
}

// The walk itself finds what is planted: below Unwrap, in a field, in a text.
func TestTheWalkFindsThem(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{
		"text":   fmt.Errorf("no such patient: %s", "Asha"),
		"below":  outer{fmt.Errorf("canary")},
		"field":  &field{Word: "canary"},
		"joined": fmt.Errorf("%w, %w", outer{nil}, outer{outer{fmt.Errorf("+919812345678")}}),
	} {
		found := leaks{}
		found.look(name, "a plant", err)
		if len(found) == 0 {
			t.Errorf("%s: nothing was found", name)
		}
	}
	clean := leaks{}
	clean.look("clean", "", outer{fmt.Errorf("400 (invalid_grant): grant was rejected")})
	clean.report(t)
}

type outer struct{ err error }

func (outer) Error() string                { return "failed" }
func (o outer) Unwrap() error              { return o.err }
func (outer) Format(f fmt.State, _ rune)   { _, _ = f.Write([]byte("failed")) }
func (outer) MarshalJSON() ([]byte, error) { return []byte("{}"), nil }

type field struct{ Word string }

func (*field) Error() string { return "failed" }

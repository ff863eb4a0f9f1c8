package whatsapptest

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

var scripts = map[string]*unicode.RangeTable{
	"en": unicode.Latin, "hi": unicode.Devanagari, "mr": unicode.Devanagari,
	"ta": unicode.Tamil, "te": unicode.Telugu, "bn": unicode.Bengali,
}

// TestBuiltinBodiesAreWhatMetaTakes: 1024 characters, nothing that begins or ends with a
// parameter, no parameter left out, no two of them side by side, no body twice.
// https://developers.facebook.com/documentation/business-messaging/whatsapp/templates/components
func TestBuiltinBodiesAreWhatMetaTakes(t *testing.T) {
	t.Parallel()
	beside, spaces := regexp.MustCompile(`\}\}\s*\{\{`), regexp.MustCompile(`\n{3}| {5}|\t`)
	seen := map[string]string{}
	for _, b := range Builtin() {
		at := b.Language + "/" + b.Name
		require.LessOrEqual(t, utf8.RuneCountInString(b.Body), 1024, at)
		for n := 1; n <= b.parameters(); n++ {
			require.Equal(t, 1, strings.Count(b.Body, fmt.Sprintf("{{%d}}", n)), "%s: {{%d}}", at, n)
		}
		require.NotRegexp(t, beside, b.Body, at)
		require.NotRegexp(t, spaces, b.Body, at)
		require.NotContains(t, seen, b.Body, at)
		seen[b.Body] = at
		if b.Name == "one_time_password" {
			continue // Meta writes the text of an authentication template
		}
		require.False(t, strings.HasPrefix(b.Body, "{{") || strings.HasSuffix(b.Body, "}}"), at)
		// Meta wants words around parameters, and does not say how many. Providers count
		// at least twice as many as parameters, and one.
		words := 0
		for _, word := range strings.Fields(placeholder.ReplaceAllString(b.Body, "")) {
			if strings.IndexFunc(word, unicode.IsLetter) >= 0 {
				words++
			}
		}
		require.GreaterOrEqual(t, words, 2*b.parameters()+1, at)
	}
}

// TestBuiltinBodiesSayTheSame: every language has the templates of English with as many
// parameters, and is written in its own script.
func TestBuiltinBodiesSayTheSame(t *testing.T) {
	t.Parallel()
	parameters := map[string]map[string]int{}
	for _, b := range Builtin() {
		if parameters[b.Language] == nil {
			parameters[b.Language] = map[string]int{}
		}
		parameters[b.Language][b.Name] = b.parameters()
		require.Contains(t, scripts, b.Language)
		for _, r := range placeholder.ReplaceAllString(b.Body, "") {
			require.True(t, !unicode.IsLetter(r) && !unicode.IsMark(r) || unicode.Is(scripts[b.Language], r),
				"%s/%s has %q", b.Language, b.Name, r)
		}
	}
	require.Len(t, parameters, len(scripts))
	for language, found := range parameters {
		require.Equal(t, parameters["en"], found, language)
	}
}

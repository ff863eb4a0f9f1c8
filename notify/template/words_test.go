package template

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

var placeholder = regexp.MustCompile(`\{\{.*?\}\}|\{\w+\}|%[ds]`)

// TestEveryLanguageSaysTheSame: the keys of English, and its placeholders in each text.
func TestEveryLanguageSaysTheSame(t *testing.T) {
	t.Parallel()
	all, err := catalogues()
	require.NoError(t, err)
	placeholders := func(text string) []string {
		found := placeholder.FindAllString(text, -1)
		slices.Sort(found)
		return found
	}
	for locale, c := range all {
		require.Len(t, c.texts, len(all["en"].texts), locale)
		for key, english := range all["en"].texts {
			require.Contains(t, c.texts, key, locale)
			require.Equal(t, placeholders(english), placeholders(c.texts[key]), "%s: %s", locale, key)
			require.True(t, key == "reviewed" || c.texts[key] != "", "%s: %s is empty", locale, key)
			require.Equal(t, strings.Count(english, " | "), strings.Count(c.texts[key], " | "), "%s: %s counts", locale, key)
		}
		require.Zero(t, c.words.parts[0].from, "%s: the clock begins at midnight", locale)
	}
}

// scripts are what the languages are written in.
var scripts = map[string]*unicode.RangeTable{
	"en": unicode.Latin, "hi": unicode.Devanagari, "mr": unicode.Devanagari,
	"ta": unicode.Tamil, "te": unicode.Telugu, "bn": unicode.Bengali,
}

// TestEveryLanguageHasItsScript: no English was left, and no other language slipped in.
func TestEveryLanguageHasItsScript(t *testing.T) {
	t.Parallel()
	all, err := catalogues()
	require.NoError(t, err)
	require.Len(t, all, len(scripts))
	for locale, c := range all {
		for key, text := range c.texts {
			if key == "reviewed" {
				continue // names, in any script
			}
			for _, r := range placeholder.ReplaceAllString(text, "") {
				require.True(t, !unicode.IsLetter(r) && !unicode.IsMark(r) || unicode.Is(scripts[locale], r),
					"%s: %s has %q", locale, key, r)
			}
		}
	}
}

// TestTextsAreShort holds what an inbox and a phone show without cutting. A title may
// be the header of a WhatsApp template, and a button's label its button: Meta takes 60
// and 25 characters.
func TestTextsAreShort(t *testing.T) {
	t.Parallel()
	all, err := catalogues()
	require.NoError(t, err)
	for locale, c := range all {
		for name, shape := range shapes {
			title := placeholder.ReplaceAllString(c.texts[name+".title"], "1 February 2026")
			require.LessOrEqual(t, utf8.RuneCountInString(title), 60, "%s: %s.title", locale, name)
			subject := placeholder.ReplaceAllString(c.texts[name+".subject"], "")
			require.LessOrEqual(t, utf8.RuneCountInString(subject), 50, "%s: %s.subject", locale, name)
			if shape.button != "" {
				label := c.texts[shape.button]
				require.LessOrEqual(t, utf8.RuneCountInString(label), 25, "%s: %s", locale, shape.button)
			}
		}
	}
}

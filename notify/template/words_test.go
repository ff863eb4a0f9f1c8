package template

import (
	"regexp"
	"slices"
	"testing"

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
		}
	}
}

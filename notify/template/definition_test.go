package template_test

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/template"
)

var place = regexp.MustCompile(`\{\{(.*?)\}\}`)

// TestDefinitions: what is registered fits what is called, and Meta's rules: each parameter
// has one place, a body begins and ends with words, and no two parameters stand side by side.
func TestDefinitions(t *testing.T) {
	t.Parallel()
	set := newSet(t, config())
	all := template.Definitions()
	require.Len(t, all, len(set.Names())*len(languages(t)))
	bodies := map[string]string{}
	for _, d := range all {
		call := render(t, set, message(d.Name, d.Language, dataFor(d.Name))).WhatsApp
		what := d.Name + " in " + d.Language
		require.Equal(t, []string{d.Name, d.Language}, []string{call.Name, call.Language})
		require.Len(t, d.Example, len(call.Body), what)
		require.Equal(t, d.Language == "en", d.Reviewed, what)
		if d.Name == template.OneTimePassword {
			require.Equal(t, "AUTHENTICATION", d.Category)
			require.Empty(t, d.Body)
			require.Equal(t, []string{"482913"}, call.Body)
			require.Equal(t, []notify.WhatsAppButton{{URL: "482913"}}, call.Buttons)
			continue
		}
		require.Equal(t, "UTILITY", d.Category)
		require.Empty(t, call.Buttons)
		places := map[string]int{}
		for _, found := range place.FindAllStringSubmatch(d.Body, -1) {
			places[found[1]]++
		}
		require.Len(t, places, len(call.Body), "%s: %s", what, d.Body)
		for i := range call.Body {
			require.Equal(t, 1, places[strconv.Itoa(i+1)], "%s: {{%d}} in %s", what, i+1, d.Body)
		}
		require.False(t, strings.HasPrefix(d.Body, "{{"), what)
		require.NotRegexp(t, `\}\}[\s.,;:!?।]*$`, d.Body, what)
		require.NotRegexp(t, `\}\}\s*\{\{`, d.Body, what)
		require.NotContains(t, d.Body, "\n\n\n")
		require.LessOrEqual(t, utf8.RuneCountInString(d.Body), 1024)
		require.NotContains(t, bodies, d.Body, "Meta refuses %s: another name has the same body", what)
		bodies[d.Body] = what
		// Meta wants words around parameters, and does not say how many. Providers count at
		// least twice as many as parameters, and one.
		words := len(strings.Fields(place.ReplaceAllString(d.Body, "")))
		require.GreaterOrEqual(t, words, 2*len(call.Body)+1, what)
	}
	all[0].Example[0] = "changed"
	require.NotEqual(t, "changed", template.Definitions()[0].Example[0])
}

// TestOwnCode: a template of the application can be of Meta's category for codes.
func TestOwnCode(t *testing.T) {
	t.Parallel()
	cfg := withFiles("en/lab_ready.whatsapp", "lab_code en code\n{{.Data.Test}}")
	call := render(t, newSet(t, cfg), message("lab_ready", "en", labReady{"17", "https://clinic.example/r"})).WhatsApp
	require.Equal(t, []string{"lab_code", "17"}, []string{call.Name, call.Buttons[0].URL})
	cfg = withFiles("en/lab_ready.whatsapp", "lab_code en code\n{{.Data.Test}}\nmore")
	_, err := template.New(cfg)
	require.ErrorContains(t, err, "has one parameter, which is the code")
	_, err = newSet(t, config()).Render(message(template.OneTimePassword, "en", template.Code{Code: strings.Repeat("1", 16), ValidFor: 1}))
	require.Equal(t, []string{"Data.Code"}, fields(t, err))
}

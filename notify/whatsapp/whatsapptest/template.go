package whatsapptest

import (
	"embed"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Template is an approved template.
type Template struct {
	// Name and Language are what a message calls it by.
	Name, Language string
	// Body is its text, with parameters {{1}}, {{2}} and so on.
	Body string
}

//go:embed bodies
var bodies embed.FS

// Builtin returns the templates that package notify/template calls, in each of its
// languages. Nobody has reviewed those that are not English.
func Builtin() []Template { return slices.Clone(builtin()) }

var builtin = sync.OnceValue(func() []Template {
	var all []Template
	entries, _ := bodies.ReadDir("bodies")
	for _, entry := range entries {
		text, _ := bodies.ReadFile("bodies/" + entry.Name())
		for line := range strings.Lines(string(text)) {
			name, body, ok := strings.Cut(strings.TrimSpace(line), ": ")
			if !ok || line[0] == '#' {
				continue
			}
			all = append(all, Template{
				Name: name, Language: strings.TrimSuffix(entry.Name(), ".txt"), Body: strings.ReplaceAll(body, `\n`, "\n"),
			})
		}
	}
	return all
})

var placeholder = regexp.MustCompile(`\{\{([0-9]{1,2})\}\}`)

// parameters returns how many parameters the body has.
func (t Template) parameters() int {
	most := 0
	for _, found := range placeholder.FindAllStringSubmatch(t.Body, -1) {
		n, _ := strconv.Atoi(found[1])
		most = max(most, n)
	}
	return most
}

// text returns the body as the recipient reads it.
func (t Template) text(values []string) string {
	return placeholder.ReplaceAllStringFunc(t.Body, func(mark string) string {
		n, _ := strconv.Atoi(strings.Trim(mark, "{}"))
		if n < 1 || n > len(values) {
			return mark
		}
		return values[n-1]
	})
}

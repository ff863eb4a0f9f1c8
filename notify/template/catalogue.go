package template

import (
	"embed"
	"fmt"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"
)

//go:embed words
var wordFiles embed.FS

// catalogue is one language: every text of the built-in templates.
type catalogue struct {
	locale string
	texts  map[string]string
	words  words
}

// reviewed tells whether somebody who speaks the language has read the file.
func (c *catalogue) reviewed() bool { return c.texts["reviewed"] != "" }

// catalogues are the built-in languages by their tags.
var catalogues = sync.OnceValues(func() (map[string]*catalogue, error) {
	entries, err := wordFiles.ReadDir("words")
	if err != nil {
		return nil, err
	}
	all := map[string]*catalogue{}
	for _, entry := range entries {
		text, err := wordFiles.ReadFile(path.Join("words", entry.Name()))
		if err != nil {
			return nil, err
		}
		c, err := parseCatalogue(strings.TrimSuffix(entry.Name(), ".txt"), string(text))
		if err != nil {
			return nil, fmt.Errorf("words/%s: %w", entry.Name(), err)
		}
		all[c.locale] = c
	}
	return all, nil
})

// parseCatalogue reads lines "key: text". A line that begins with # is a comment.
func parseCatalogue(locale, source string) (*catalogue, error) {
	c := &catalogue{locale: locale, texts: map[string]string{}}
	for number, line := range strings.Split(source, "\n") {
		if strings.TrimSpace(line) == "" || line[0] == '#' {
			continue
		}
		key, text, ok := strings.Cut(line, ":")
		if _, twice := c.texts[key]; !ok || twice {
			return nil, fmt.Errorf("line %d is not a new key, a colon and a text", number+1)
		}
		c.texts[key] = strings.TrimSpace(text)
	}
	return c, c.tables()
}

// tables makes the words that times need.
func (c *catalogue) tables() error {
	w := &c.words
	w.texts = c.texts
	months, days := strings.Split(c.texts["months"], ", "), strings.Split(c.texts["days"], ", ")
	if len(months) != len(w.months) || len(days) != len(w.days) {
		return fmt.Errorf("there are %d months and %d days", len(months), len(days))
	}
	copy(w.months[:], months)
	copy(w.days[:], days)
	for part := range strings.SplitSeq(c.texts["clock"], ", ") {
		hour, name, _ := strings.Cut(part, " ")
		from, err := strconv.Atoi(hour)
		if err != nil || name == "" {
			return fmt.Errorf("clock: %q is not an hour and a name", part)
		}
		w.parts = append(w.parts, dayPart{from, name})
	}
	w.soon = soon{
		now: c.texts["soon.now"], tomorrow: c.texts["soon.tomorrow"],
		minutes: c.counts("soon.minutes"), hours: c.counts("soon.hours"), days: c.counts("soon.days"),
	}
	return nil
}

// counts reads "one | more".
func (c *catalogue) counts(key string) func(int) string {
	one, more, _ := strings.Cut(c.texts[key], " | ")
	return func(n int) string { return plural(n, one, more) }
}

// dayPart is the name of the hours from one on.
type dayPart struct {
	from int
	name string
}

// clock writes a time of day.
func (w *words) clock(t time.Time) string {
	name := ""
	for _, part := range w.parts {
		if t.Hour() >= part.from {
			name = part.name
		}
	}
	return strings.NewReplacer("{time}", t.Format("3:04"), "{part}", name).Replace(w.texts["clock.form"])
}

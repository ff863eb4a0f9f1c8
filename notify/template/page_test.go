package template_test

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestReadable checks what a mail needs to be read on a phone and by a screen reader.
func TestReadable(t *testing.T) {
	t.Parallel()
	set := newSet(t, config())
	for _, name := range set.Names() {
		page := render(t, set, message(name, "hi", dataFor(name))).HTML
		nodes, _, err := parseHTML(page)
		require.NoError(t, err)
		headings := 0
		for _, n := range nodes {
			if n.name == "h1" {
				headings++
			}
			require.NotContains(t, []string{"script", "img", "link", "iframe", "form", "object"}, n.name)
		}
		require.Equal(t, 1, headings, "one h1")
		require.Contains(t, page, `<html lang="hi" dir="ltr">`)
		require.Contains(t, page, `width=device-width`)
		require.Contains(t, page, "max-width:600px")
		require.Contains(t, page, `<div style="display:none;max-height:0;overflow:hidden">`, "preheader")
		require.Less(t, len(page), 100_000, "Gmail cuts mails that are longer")
		require.GreaterOrEqual(t, contrasts(t, page), 5, "pairs of colours that were checked")
	}
}

// TestPageNamesItsLanguage: a screen reader takes the voice from it, and a browser the
// font where the named ones are not installed.
func TestPageNamesItsLanguage(t *testing.T) {
	t.Parallel()
	set := newSet(t, config())
	fonts := map[string]string{
		"en": "Noto Sans", "hi": "Noto Sans Devanagari", "mr": "Noto Sans Devanagari",
		"ta": "Noto Sans Tamil", "te": "Noto Sans Telugu", "bn": "Noto Sans Bengali",
	}
	for _, locale := range languages(t) {
		require.Contains(t, fonts, locale)
		for _, name := range set.Names() {
			page := render(t, set, message(name, locale, dataFor(name))).HTML
			require.Contains(t, page, `<html lang="`+locale+`" dir="ltr">`, name)
			families := family.FindAllStringSubmatch(page, -1)
			require.NotEmpty(t, families)
			for _, found := range families {
				require.Contains(t, found[1], `'`+fonts[locale]+`'`, "%s in %s", name, locale)
				require.Contains(t, found[1], `'Nirmala UI'`, "what Windows has for India")
			}
		}
	}
}

var family = regexp.MustCompile(`font-family:([^;"]+)`)

var (
	opening = regexp.MustCompile(`<(/?)([a-z0-9]+)([^>]*)>`)
	style   = regexp.MustCompile(`style="([^"]*)"`)
)

// contrasts walks the page with the colours that each element inherits, and
// returns how many elements it checked (WCAG 2.2, 1.4.3: at least 4.5 to 1).
func contrasts(t *testing.T, page string) int {
	t.Helper()
	type colours struct{ text, ground string }
	stack, checked := []colours{{"#000000", "#ffffff"}}, 0
	for _, tag := range opening.FindAllStringSubmatch(page, -1) {
		if tag[2] == "meta" || tag[2] == "br" {
			continue
		}
		if tag[1] == "/" {
			stack = stack[:len(stack)-1]
			continue
		}
		now := stack[len(stack)-1]
		if found := style.FindStringSubmatch(tag[3]); found != nil {
			for declaration := range strings.SplitSeq(found[1], ";") {
				switch property, value, _ := strings.Cut(declaration, ":"); property {
				case "color":
					now.text = value
				case "background-color":
					now.ground = value
				}
			}
			require.GreaterOrEqual(t, ratio(t, now.text, now.ground), 4.5, "%s on %s in <%s>", now.text, now.ground, tag[2])
			checked++
		}
		stack = append(stack, now)
	}
	require.Len(t, stack, 1, "every element is closed")
	return checked
}

func ratio(t *testing.T, a, b string) float64 {
	t.Helper()
	bright, dark := luminance(t, a), luminance(t, b)
	if bright < dark {
		bright, dark = dark, bright
	}
	return (bright + 0.05) / (dark + 0.05)
}

func luminance(t *testing.T, colour string) float64 {
	t.Helper()
	require.Regexp(t, `^#[0-9a-f]{6}$`, colour)
	sum := 0.0
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n, err := strconv.ParseUint(colour[1+2*i:3+2*i], 16, 8)
		require.NoError(t, err)
		c := float64(n) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}

package whatsapptest

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/telemed-go/telemed/notify/template"
)

// Template is an approved template.
type Template struct {
	// Name and Language are what a message calls it by.
	Name, Language string
	// Body is its text, with parameters {{1}}, {{2}} and so on.
	Body string
	// Category is Meta's. An "AUTHENTICATION" template has a button that copies the code,
	// and a call fills it. If empty, "UTILITY".
	Category string
}

// authentication is the category of one-time passwords.
const authentication = "AUTHENTICATION"

// codeBody is the body that Meta gives to authentication templates. Meta translates it.
const codeBody = "*{{1}}* is your verification code. For your security, do not share this code."

// Builtin returns the templates that package notify/template calls, in all its languages,
// with the bodies of template.Definitions. The body of a one-time password is Meta's, here in
// English.
func Builtin() []Template {
	var all []Template
	for _, d := range template.Definitions() {
		t := Template{Name: d.Name, Language: d.Language, Body: d.Body, Category: d.Category}
		if d.Category == authentication {
			t.Body = codeBody
		}
		all = append(all, t)
	}
	return all
}

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

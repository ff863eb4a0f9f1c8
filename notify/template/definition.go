package template

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/telemed-go/telemed/notify"
)

// Definition is a WhatsApp template that the built-in texts call. An application registers
// it at Meta under the same name before the first message. See
// https://developers.facebook.com/docs/whatsapp/business-management-api/message-templates.
type Definition struct {
	// Name and Language are what a message calls it by.
	Name, Language string
	// Category is Meta's: "UTILITY", or "AUTHENTICATION" for OneTimePassword.
	Category string
	// Body is the text with its parameters {{1}}, {{2}} and so on. It is made of the words of
	// the e-mail. It is empty for AUTHENTICATION: Meta writes that body by itself, and the
	// template has one button, of type OTP and otp_type COPY_CODE.
	Body string
	// Example holds a value for each parameter, which Meta asks for. There is no person in it.
	Example []string
	// Reviewed tells whether somebody who speaks the language has read its texts.
	Reviewed bool
}

// Definitions returns all built-in WhatsApp templates in all languages, by name and then by
// language. Those of Config.FS are the application's own, and not among them.
func Definitions() []Definition {
	all := slices.Clone(definitions())
	for i := range all {
		all[i].Example = slices.Clone(all[i].Example)
	}
	return all
}

var definitions = sync.OnceValue(func() (all []Definition) {
	languages, err := catalogues()
	if err != nil {
		return nil // New reports it
	}
	clinic := time.FixedZone("IST", 5*3600+1800)
	set, err := New(Config{Clinic: "Lotus Clinic", Zone: clinic, AllowUnreviewed: true, Now: sampleTime})
	if err != nil {
		return nil // so does every other New
	}
	for _, name := range slices.Sorted(maps.Keys(shapes)) {
		for _, locale := range slices.Sorted(maps.Keys(languages)) {
			all = append(all, set.definition(name, languages[locale]))
		}
	}
	return all
})

func (s *Set) definition(name string, c *catalogue) Definition {
	d := Definition{Name: name, Language: c.locale, Category: "UTILITY", Reviewed: c.reviewed()}
	data := samples(name)[0]
	if content, err := s.render(s.templates[name][c.locale], notify.Message{Template: name, Data: data}, data); err == nil {
		d.Example = content.WhatsApp.Body
	}
	if shapes[name].code {
		d.Category = "AUTHENTICATION"
		return d
	}
	d.Body = (&builder{c: c}).chatBody(name, shapes[name])
	return d
}

package template

import (
	"errors"
	"maps"
	"sync"
	"time"
)

// builtins are the built-in templates as they are without files of an application's. Each is
// parsed and tried when it is first needed in a process, and all Sets share it: an
// application may have a Set for each of many clinics.
type builtins struct {
	src  *sources
	made map[string]func() (*translation, error) // by locale/name
}

var builtinsOnce = sync.OnceValues(func() (*builtins, error) {
	src, err := builtinSources()
	if err != nil {
		return nil, err
	}
	all := &builtins{src: src, made: map[string]func() (*translation, error){}}
	for name, locales := range src.names() {
		for _, locale := range locales {
			all.made[locale+"/"+name] = sync.OnceValues(func() (*translation, error) { return src.tried(name, locale) })
		}
	}
	return all, nil
})

// tried parses a built-in template and renders its samples for a clinic that fills every
// place.
func (s *sources) tried(name, locale string) (*translation, error) {
	t, err := s.parse(name, locale)
	if err != nil {
		return nil, err
	}
	set := &Set{cfg: Config{Clinic: "Sample Clinic", Zone: time.UTC, Locale: "en", Now: sampleTime, Brand: Brand{
		LogoURL: "https://clinic.example/logo.png", Address: "1 Sample Road", Phone: "+91 22 5550 0100",
		Registration: "12345", GSTIN: "27AAAAA0000A1Z5",
	}}}
	var errs []error
	for _, example := range samples(name) {
		errs = append(errs, set.try(name, t, example))
	}
	return t, errors.Join(errs...)
}

// clone returns sources that files of an application's may be added to.
func (s *sources) clone() *sources {
	return &sources{
		files: maps.Clone(s.files), folder: maps.Clone(s.folder), unreviewed: maps.Clone(s.unreviewed), own: map[string]bool{},
	}
}

// layered reports whether the application has a layout that a locale's e-mails use.
func (s *sources) layered(locale string) bool {
	for _, l := range append(chain(locale), "en") {
		if s.own[l+"/"+layoutName] {
			return true
		}
	}
	return s.own["/"+layoutName]
}

// shared returns the built-in template, or nil if the application has files that change it.
func (s *sources) shared(name, locale string) func() (*translation, error) {
	if s.own[locale+"/"+name] || s.layered(locale) {
		return nil
	}
	all, err := builtinsOnce()
	if err != nil {
		return nil // New has reported it
	}
	return all.made[locale+"/"+name]
}

// unsent reports whether nobody is sent a template in a locale, because its texts are not
// reviewed, and no file of the application's is to be tried with it.
func (s *Set) unsent(src *sources, name, locale string) bool {
	return !s.cfg.AllowUnreviewed && src.unreviewed[locale+"/"+name+"."+kindSubject] && !src.own[name] && src.shared(name, locale) != nil
}

// withUnsent returns s with the templates that New had no need of.
func (s *Set) withUnsent() *Set {
	shown := *s
	shown.templates = map[string]map[string]*translation{}
	for name, all := range s.templates {
		shown.templates[name] = maps.Clone(all)
		for locale, made := range s.later[name] {
			if t, err := made(); err == nil { // the tests of this package make all
				shown.templates[name][locale] = t
			}
		}
	}
	return &shown
}

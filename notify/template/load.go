package template

import (
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	texttemplate "text/template"
)

// The kinds of a template's files, which are their extensions.
const (
	kindSubject  = "subject"
	kindText     = "txt"
	kindHTML     = "html"
	kindWhatsApp = "whatsapp"
	kindSummary  = "summary"
)

var kinds = []string{kindSubject, kindText, kindHTML, kindWhatsApp, kindSummary}

var (
	filePattern   = regexp.MustCompile(`^([A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8})*)/([a-z0-9_]{1,100})\.([a-z]+)$`)
	headerPattern = regexp.MustCompile(`^([a-z0-9_]{1,512}) ([a-z]{2,3}(?:_[A-Za-z]{2,4})?)( code)?$`)
)

const layoutName = "layout"

// translation is one template in one language.
type translation struct {
	locale string // as its folder is spelt
	// reviewed tells whether every file may be sent without Config.AllowUnreviewed.
	reviewed bool
	// builtin tells whether no file is the application's, builtinChat whether the call is not.
	builtin, builtinChat bool

	subject *texttemplate.Template
	text    *texttemplate.Template
	html    *htmltemplate.Template
	summary *texttemplate.Template
	chat    *chat
}

// chat is a WhatsApp template's call. Each parameter is a template of its own,
// so that nothing in a value can begin another parameter.
type chat struct {
	name, language string
	body           []*texttemplate.Template
	code           bool // the body's only parameter is a one-time password
}

// sources maps a path, lower case in its locale, to a file's text.
type sources struct {
	files  map[string]string
	folder map[string]string // a locale in lower case, as its folder is spelt
	// unreviewed holds the built-in files, and whether nobody has reviewed them.
	unreviewed map[string]bool
	// own holds what the application has files of: "locale/template", "template", and
	// "/layout" for the layout of all.
	own map[string]bool
}

// read adds the files of fsys over those that are there.
func (s *sources) read(fsys fs.FS) error {
	return fs.WalkDir(fsys, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		if base := path.Base(name); strings.HasPrefix(base, ".") && base != "." {
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if entry.IsDir() {
			return nil
		}
		return s.add(fsys, name)
	})
}

func (s *sources) add(fsys fs.FS, name string) error {
	text, err := fs.ReadFile(fsys, name)
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	if name == layoutName+".html" {
		s.files[name], s.own["/"+layoutName] = string(text), true
		return nil
	}
	parts := filePattern.FindStringSubmatch(name)
	if parts == nil || !slices.Contains(kinds, parts[3]) || parts[2] == layoutName && parts[3] != kindHTML {
		return fmt.Errorf("%s is not named <locale>/<template>.<kind>, kind one of %s", name, strings.Join(kinds, ", "))
	}
	locale := strings.ToLower(parts[1])
	s.folder[locale] = parts[1]
	file := locale + "/" + parts[2] + "." + parts[3]
	s.files[file] = string(text)
	s.own[locale+"/"+parts[2]], s.own[parts[2]] = true, true
	delete(s.unreviewed, file)
	return nil
}

// names returns the templates, sorted, each with its locales.
func (s *sources) names() map[string][]string {
	found := map[string][]string{}
	for file := range s.files {
		locale, rest, ok := strings.Cut(file, "/")
		if !ok {
			continue
		}
		name, _, _ := strings.Cut(rest, ".")
		if name != layoutName && !slices.Contains(found[name], locale) {
			found[name] = append(found[name], locale)
		}
	}
	for _, locales := range found {
		slices.Sort(locales)
	}
	return found
}

// parse makes the translation of name in locale.
func (s *sources) parse(name, locale string) (*translation, error) {
	t := &translation{locale: s.folder[locale], reviewed: true, builtin: true}
	for _, kind := range kinds {
		file := locale + "/" + name + "." + kind
		unreviewed, builtin := s.unreviewed[file]
		_, there := s.files[file]
		t.reviewed = t.reviewed && !unreviewed
		t.builtin = t.builtin && (builtin || !there)
		t.builtinChat = t.builtinChat || kind == kindWhatsApp && builtin
	}
	var errs []error
	text := func(kind string) *texttemplate.Template {
		source, ok := s.files[locale+"/"+name+"."+kind]
		if !ok {
			return nil
		}
		if kind != kindText {
			source = strings.TrimSpace(source)
		}
		parsed, err := parseText(locale+"/"+name+"."+kind, source)
		errs = append(errs, err)
		return parsed
	}
	t.subject, t.text, t.summary = text(kindSubject), text(kindText), text(kindSummary)
	var err error
	t.html, err = s.parseHTML(name, locale)
	errs = append(errs, err)
	t.chat, err = s.parseChat(name, locale)
	errs = append(errs, err)
	if (t.subject == nil) != (t.text == nil) || t.text == nil && (t.html != nil || t.summary != nil) {
		errs = append(errs, fmt.Errorf("%s/%s: an e-mail needs both .subject and .txt", locale, name))
	}
	return t, errors.Join(errs...)
}

func parseText(name, source string) (*texttemplate.Template, error) {
	return texttemplate.New(name).Option("missingkey=error").Parse(source)
}

func (s *sources) parseHTML(name, locale string) (*htmltemplate.Template, error) {
	source, ok := s.files[locale+"/"+name+".html"]
	if !ok {
		return nil, nil
	}
	set := htmltemplate.New(locale + "/" + name + ".html").Option("missingkey=error").
		Funcs(htmltemplate.FuncMap{
			"mso":   mso,
			"pair":  func(label string, value any) pair { return pair{label, value, Brand{}.filled()} },
			"pair2": func(label string, value any, brand Brand) pair { return pair{label, value, brand} },
		})
	layouts := []string{s.files[layoutName+".html"]}
	for _, l := range slices.Backward(append(chain(locale), "en")) {
		layouts = append(layouts, s.files[l+"/"+layoutName+".html"])
	}
	for _, text := range append(layouts, source) {
		if _, err := set.Parse(text); err != nil {
			return nil, err
		}
	}
	return set, nil
}

// mso returns what only Outlook on Windows reads: it gives a button its width there.
func mso() htmltemplate.HTML {
	return `<!--[if mso]><i style="mso-font-width:150%;mso-text-raise:21pt">&#8195;</i><![endif]-->`
}

// pair is what the blocks "row" and "button" are given.
type pair struct {
	Label string
	Value any
	Brand Brand
}

func (s *sources) parseChat(name, locale string) (*chat, error) {
	file := locale + "/" + name + "." + kindWhatsApp
	source, ok := s.files[file]
	if !ok {
		return nil, nil
	}
	lines := strings.Split(strings.TrimSpace(strings.ReplaceAll(source, "\r\n", "\n")), "\n")
	header := headerPattern.FindStringSubmatch(strings.TrimSpace(lines[0]))
	if header == nil {
		return nil, fmt.Errorf("%s: the first line is not the name and the language of a WhatsApp template", file)
	}
	c := &chat{name: header[1], language: header[2], code: header[3] != ""}
	for i, line := range lines[1:] {
		parsed, err := parseText(fmt.Sprintf("%s {{%d}}", file, i+1), line)
		if err != nil {
			return nil, err
		}
		c.body = append(c.body, parsed)
	}
	if c.code && len(c.body) != 1 {
		return nil, fmt.Errorf("%s: a template with a code has one parameter, which is the code", file)
	}
	return c, nil
}

// has returns the kinds of files that t was made of.
func (t *translation) has() string {
	var found []string
	for kind, there := range map[string]bool{
		kindText: t.text != nil, kindHTML: t.html != nil, kindSummary: t.summary != nil, kindWhatsApp: t.chat != nil,
	} {
		if there {
			found = append(found, kind)
		}
	}
	slices.Sort(found)
	return strings.Join(found, ", ")
}

// chain returns the tags that stand for locale, longest first: hi-deva-in, hi-deva, hi.
func chain(locale string) []string {
	tag := strings.ToLower(strings.ReplaceAll(locale, "_", "-"))
	var tags []string
	for tag != "" {
		tags = append(tags, tag)
		tag = tag[:max(0, strings.LastIndexByte(tag, '-'))]
	}
	return tags
}

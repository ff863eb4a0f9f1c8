package template

import (
	"cmp"
	"embed"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io/fs"
	"maps"
	"reflect"
	"slices"
	"strings"
	texttemplate "text/template"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/notify"
)

//go:embed templates
var builtin embed.FS

// Config is what New needs.
type Config struct {
	// Clinic is the clinic's name as patients know it, up to 200 bytes. It is also part of
	// what identifies calendar entries: an entry made under another name is not moved any
	// more. Required.
	Clinic string
	// Zone is where the clinic is. Recipients without a zone read times in it. Those with
	// another clock read an appointment's start by both. The zone that a time.Time carries
	// counts for nothing, since databases give UTC. Required.
	Zone *time.Location

	// Locale is the default, a BCP 47 tag that every template has. If empty, "en".
	Locale string
	// Organizer is the clinic's bare e-mail address. Calendar entries name it as
	// whom to answer. If empty, they name the clinic without an address.
	Organizer string
	// FS holds the application's templates, laid over the built-in ones file by file; see
	// the package's comment. It is read once. If nil, there are the built-in ones.
	FS fs.FS
	// Brand is how messages look, and what they say of the clinic besides its name.
	Brand Brand
	// Preset is the rule that messages must keep. If empty, none.
	Preset Preset
	// AllowUnreviewed sends the built-in texts of languages that nobody who speaks them has
	// reviewed: all but English. If false, their readers get the default locale. Texts of FS
	// are the application's own, and are always sent: a translation is reviewed once FS has
	// all of its files.
	AllowUnreviewed bool
	// Samples holds, for each template of FS that is not built in, sample data of
	// the type that it takes, without anything of a true patient.
	Samples map[string]any
	// Now tells the time for calendar files, and for how soon a reminder's appointment
	// starts. If nil, time.Now.
	Now func() time.Time
}

// Set is a set of templates. It implements notify.Renderer and is safe for concurrent
// use.
type Set struct {
	cfg       Config
	templates map[string]map[string]*translation // by name, then locale in lower case
	types     map[string]reflect.Type
	examples  map[string][]any // what each template is tried with: all fields, and the fewest
	// later are the built-in templates that nobody is sent, by name and locale, for Preview.
	later map[string]map[string]func() (*translation, error)
}

var _ notify.Renderer = (*Set)(nil)

// New reads, parses and tries all templates. It reports everything that is wrong with them
// at once. A wrong Config field is telemed.ErrInvalid. Built-in templates that no file of
// Config.FS changes are made once in a process, when somebody may first be sent them: many
// Sets cost little.
func New(cfg Config) (*Set, error) {
	if cfg.Locale == "" {
		cfg.Locale = "en"
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	var p fault.Problems
	requiredLine(&p, "Clinic", cfg.Clinic)
	p.Check(cfg.Zone != nil, "Zone", "is required: recipients whose zone is not known read times in it")
	p.Optional("FS", cfg.FS)
	cfg.Brand.check(&p)
	cfg.Preset.check(&p, cfg.Brand)
	p.Check(cfg.Organizer == "" || notify.ValidEmail(cfg.Organizer), "Organizer", "is not a bare e-mail address")
	if err := p.Err("template"); err != nil {
		return nil, err
	}
	src, err := load(cfg.FS)
	if err != nil {
		return nil, fmt.Errorf("template: %w", err)
	}
	s := &Set{
		cfg: cfg, templates: map[string]map[string]*translation{}, types: map[string]reflect.Type{}, examples: map[string][]any{},
		later: map[string]map[string]func() (*translation, error){},
	}
	var errs []error
	names := src.names()
	for _, name := range slices.Sorted(maps.Keys(names)) {
		errs = append(errs, s.add(src, name, names[name]))
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Samples)) {
		if _, ok := names[name]; !ok {
			errs = append(errs, fmt.Errorf("%s: Samples has data, but there is no such template", name))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("template: %w", err)
	}
	return s, nil
}

// load returns the built-in files with the application's over them.
func load(application fs.FS) (*sources, error) {
	all, err := builtinsOnce()
	if err != nil {
		return nil, err
	}
	src := all.src.clone()
	if application == nil {
		return src, nil
	}
	return src, src.read(application)
}

func builtinSources() (*sources, error) {
	files, err := fs.Sub(builtin, "templates")
	if err != nil {
		return nil, err
	}
	src := &sources{files: map[string]string{}, folder: map[string]string{}, unreviewed: map[string]bool{}, own: map[string]bool{}}
	if err := src.read(files); err != nil {
		return nil, err
	}
	src.own = map[string]bool{} // nothing is the application's yet
	return src, src.build()
}

// add parses a template in all its locales and tries each with sample data.
func (s *Set) add(src *sources, name string, locales []string) error {
	examples := samples(name)
	if examples == nil {
		sample, ok := s.cfg.Samples[name]
		if !ok || sample == nil {
			return fmt.Errorf("%s: Samples has no data to try it with", name)
		}
		examples = []any{indirect(sample)}
	}
	s.types[name], s.examples[name] = reflect.TypeOf(examples[0]), examples
	s.templates[name], s.later[name] = map[string]*translation{}, map[string]func() (*translation, error){}
	var errs []error
	for _, locale := range locales {
		if s.unsent(src, name, locale) {
			s.later[name][locale] = src.shared(name, locale)
			continue
		}
		errs = append(errs, s.addLocale(src, name, locale))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return s.complete(name)
}

func (s *Set) addLocale(src *sources, name, locale string) error {
	if made := src.shared(name, locale); made != nil {
		t, err := made()
		s.templates[name][locale] = t
		return err
	}
	t, err := src.parse(name, locale)
	if err != nil {
		return err
	}
	s.templates[name][locale] = t
	var errs []error
	for _, example := range s.examples[name] {
		errs = append(errs, s.try(name, t, example))
	}
	return errors.Join(errs...)
}

// complete checks that the default locale is there and that no locale lacks a kind that
// another one has.
func (s *Set) complete(name string) error {
	fallback := s.find(name, "")
	if fallback == nil {
		return fmt.Errorf("%s: there is no translation for the default locale %q", name, s.cfg.Locale)
	}
	for locale, t := range s.templates[name] {
		if t.has() != fallback.has() {
			return fmt.Errorf("%s: locale %s has %s, but %s has %s", name, locale, t.has(), fallback.locale, fallback.has())
		}
	}
	return nil
}

// try renders once, in the recipient's zone and in another one.
func (s *Set) try(name string, t *translation, data any) error {
	for _, zone := range []*time.Location{nil, time.FixedZone("", 5*3600+45*60)} {
		msg := notify.Message{To: notify.Recipient{Name: "Sample", Email: "sample@example.org", Zone: zone}, Template: name, Data: data}
		content, err := s.render(t, msg, data)
		if err != nil {
			return fmt.Errorf("%s/%s does not take its sample: %w", t.locale, name, err)
		}
		if strings.Contains(content.HTML, "ZgotmplZ") {
			return fmt.Errorf("%s/%s.html puts a value where html/template cannot make it safe", t.locale, name)
		}
	}
	return nil
}

// Names returns the names of all templates, sorted.
func (s *Set) Names() []string { return slices.Sorted(maps.Keys(s.templates)) }

// Render makes the words of msg by msg.Template, msg.Data and msg.To. The error
// matches telemed.ErrInvalid, names the wrong field and holds nothing of the data.
func (s *Set) Render(msg notify.Message) (*notify.Content, error) {
	t := s.find(msg.Template, msg.To.Locale)
	if t == nil {
		return nil, fault.Invalid("template", "Template", "is not the name of a template")
	}
	data := indirect(msg.Data)
	if got, want := reflect.TypeOf(data), s.types[msg.Template]; got != want {
		return nil, fault.Invalid("template: "+msg.Template, "Data", "is %s, not %s", typeName(got), want)
	}
	if err := s.check(msg, data); err != nil {
		return nil, err
	}
	content, err := s.render(t, msg, data)
	if err != nil {
		return nil, fault.Invalid("template: "+msg.Template, "Data", "does not fit %s", err.(*partError).part)
	}
	return content, nil
}

// find returns the translation of name that is nearest to locale.
func (s *Set) find(name, locale string) *translation {
	for _, tag := range append(chain(locale), chain(s.cfg.Locale)...) {
		if t := s.templates[name][tag]; t != nil && (t.reviewed || s.cfg.AllowUnreviewed) {
			return t
		}
	}
	return nil
}

func (s *Set) check(msg notify.Message, data any) error {
	var p fault.Problems
	checkLine(&p, "To.Name", msg.To.Name, 256)
	if v := validates(data); v != nil {
		if err := v.Validate(); err != nil {
			fields := telemed.Fields(err)
			p.Check(len(fields) > 0, "Data", "is refused by its Validate method")
			for _, field := range fields {
				p.Add("Data."+field.Field, "%s", field.Problem)
			}
		}
	}
	if r, ok := data.(registered); ok {
		registration, council := r.registered()
		s.cfg.Preset.checkDoctor(&p, msg.Template, registration, council)
	}
	return p.Err("template: " + msg.Template)
}

// validates returns data, or a pointer to a copy of it, if that has the method Validate.
func validates(data any) validator {
	if v, ok := data.(validator); ok {
		return v
	}
	pointer := reflect.New(reflect.TypeOf(data))
	pointer.Elem().Set(reflect.ValueOf(data))
	v, _ := reflect.TypeAssert[validator](pointer)
	return v
}

// partError says which part failed. Its cause is shown for sample data only: it may quote
// a value.
type partError struct {
	part string
	err  error
}

func (e *partError) Error() string { return e.part + ": " + e.err.Error() }
func (e *partError) Unwrap() error { return e.err }

// render executes all parts of t. Every error is a *partError.
func (s *Set) render(t *translation, msg notify.Message, data any) (*notify.Content, error) {
	page := s.page(t, msg, data)
	content := &notify.Content{}
	var err error
	if t.text != nil {
		if content.Subject, err = line(kindSubject, t.subject, page); err != nil {
			return nil, err
		}
		page.Subject = content.Subject
		if content.Text, err = text(kindText, t.text, page); err != nil {
			return nil, err
		}
	}
	if t.html != nil {
		if content.HTML, err = html(t.html, page); err != nil {
			return nil, err
		}
	}
	if t.summary != nil {
		file, err := s.invite(t, msg, page, content.Text)
		if err != nil {
			return nil, err
		}
		content.Files = []notify.File{*file}
	}
	if t.chat != nil {
		if content.WhatsApp, err = t.chat.call(page); err != nil {
			return nil, err
		}
	}
	return content, nil
}

func (s *Set) page(t *translation, msg notify.Message, data any) *Page {
	page := &Page{
		Data: data, To: msg.To.Name, Clinic: s.cfg.Clinic, Brand: s.cfg.Brand.filled(), Lang: t.locale,
		words: wordsFor(t.locale), zone: cmp.Or(msg.To.Zone, s.cfg.Zone), home: s.cfg.Zone, now: s.cfg.Now(),
	}
	if c, ok := data.(clinical); ok {
		page.Clinic = first(c.clinic(), page.Clinic)
	}
	return page
}

func first(texts ...string) string {
	for _, text := range texts {
		if strings.TrimSpace(text) != "" {
			return text
		}
	}
	return ""
}

func text(part string, t *texttemplate.Template, page *Page) (string, error) {
	var b strings.Builder
	if err := t.Execute(&b, page); err != nil {
		return "", &partError{part, err}
	}
	return b.String(), nil
}

// line is text that ends in a header or a title.
func line(part string, t *texttemplate.Template, page *Page) (string, error) {
	made, err := text(part, t, page)
	if err != nil {
		return "", err
	}
	made = strings.TrimSpace(made)
	if made == "" || !oneLine(made) {
		return "", &partError{part, errors.New("is empty or has a control character or line break")}
	}
	return made, nil
}

func html(t *htmltemplate.Template, page *Page) (string, error) {
	var b strings.Builder
	if err := t.ExecuteTemplate(&b, "page", page); err != nil {
		return "", &partError{kindHTML, err}
	}
	return b.String(), nil
}

// call makes the parameters as Meta takes them: not empty, and without line
// breaks, tabs and runs of spaces.
func (c *chat) call(page *Page) (*notify.WhatsAppTemplate, error) {
	made := &notify.WhatsAppTemplate{Name: c.name, Language: c.language}
	for i, parameter := range c.body {
		part := fmt.Sprintf("%s parameter %d", kindWhatsApp, i+1)
		value, err := text(part, parameter, page)
		if err != nil {
			return nil, err
		}
		value = strings.Join(strings.Fields(value), " ")
		if value == "" || !oneLine(value) {
			return nil, &partError{part, errors.New("is empty or has a control character")}
		}
		made.Body = append(made.Body, value)
	}
	if c.code {
		made.Buttons = []notify.WhatsAppButton{{URL: made.Body[0]}} // the button that copies it
	}
	return made, nil
}

// defaultDuration is how long a calendar entry lasts if nobody says.
const defaultDuration = 30 * time.Minute

func (s *Set) invite(t *translation, msg notify.Message, page *Page, description string) (*notify.File, error) {
	a, ok := page.Data.(Appointment)
	if !ok {
		return nil, &partError{kindSummary, errors.New("only an Appointment makes a calendar entry")}
	}
	summary, err := line(kindSummary, t.summary, page)
	if err != nil {
		return nil, err
	}
	duration := a.Duration
	if duration == 0 {
		duration = defaultDuration
	}
	entry := entries[msg.Template]
	v := &invite{
		uid: uid(s.cfg.Clinic, a.Key, entry.doctors), summary: summary, description: description, url: a.JoinURL,
		start: a.Start, end: a.Start.Add(duration), stamp: s.cfg.Now(),
		sequence: s.sequence(entry, a.Sequence), cancelled: entry.cancels,
		organizer: s.cfg.Organizer, organizerName: page.Clinic,
	}
	if notify.ValidEmail(msg.To.Email) {
		v.attendee, v.attendeeName = msg.To.Email, msg.To.Name
	}
	return &notify.File{
		Name: "invite.ics", ContentType: "text/calendar; charset=utf-8; method=" + v.method(), Data: v.encode(),
	}, nil
}

// sequence is the number of a calendar entry, which grows with each change: a calendar drops
// what has a lower number than it knows. An application that does not count gets the
// seconds since 2024.
func (s *Set) sequence(e entry, counted int) int {
	if counted == 0 && e.moves {
		since := s.cfg.Now().Sub(time.Date(2024, time.January, 1, 0, 0, 0, 0, time.UTC))
		counted = max(1, int(since/time.Second))
	}
	if e.cancels {
		counted++ // above the last move, whose number it shares
	}
	return counted
}

// indirect follows a pointer, so that Data may be one.
func indirect(data any) any {
	v := reflect.ValueOf(data)
	if v.Kind() == reflect.Pointer && !v.IsNil() {
		return v.Elem().Interface()
	}
	return data
}

func typeName(t reflect.Type) string {
	if t == nil {
		return "nil"
	}
	return t.String()
}

package template

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	htmltemplate "html/template"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/telemed-go/telemed/internal/inbound"
	"github.com/telemed-go/telemed/notify"
)

//go:embed preview/page.html
var previewPage string

//go:embed preview/page.css
var previewStyle string

var previewTemplate = htmltemplate.Must(htmltemplate.New("preview").Parse(strings.Replace(previewPage, "{{.Style}}", previewStyle, 1)))

// Preview shows all templates in all languages, in every form that they have, on one page:
// for developers and translators. It shows sample values and no message that was ever sent.
// Texts that nobody has reviewed are shown too. Mount it where patients do not come. It
// answers GET and HEAD at the address where it is mounted, and needs no script.
func (s *Set) Preview() http.Handler {
	shown := s.withUnsent()
	shown.cfg.Now = sampleTime
	return inbound.Handler(http.HandlerFunc(shown.servePreview))
}

// choice is what a page shows of each template.
type choice struct {
	Language string // empty: all
	Few      bool   // the fewest fields that the data may have
	Abroad   bool   // the reader has another clock than the clinic
}

func choiceOf(q url.Values) choice {
	return choice{Language: strings.ToLower(q.Get("language")), Few: q.Get("data") == "few", Abroad: q.Get("clock") == "abroad"}
}

// link is the address of a mail's page.
func (c choice) link(name, locale string) string {
	q := url.Values{"mail": {name}, "language": {locale}}
	if c.Few {
		q.Set("data", "few")
	}
	if c.Abroad {
		q.Set("clock", "abroad")
	}
	return "?" + q.Encode()
}

// servePreview shows the page, or one mail for a frame of it.
func (s *Set) servePreview(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Robots-Tag", "noindex")
	q := r.URL.Query()
	if q.Has("mail") {
		s.serveMail(w, r, q)
		return
	}
	hash := sha256.Sum256([]byte(previewStyle))
	header.Set("Content-Security-Policy", "default-src 'none'; style-src 'sha256-"+base64.StdEncoding.EncodeToString(hash[:])+
		"'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	_ = previewTemplate.Execute(w, s.sheet(choiceOf(q))) // the reader has gone
}

func (s *Set) serveMail(w http.ResponseWriter, r *http.Request, q url.Values) {
	c := choiceOf(q)
	t := s.templates[q.Get("mail")][c.Language]
	if t == nil || t.html == nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; img-src "+s.logoSource()+
		"; form-action 'none'; base-uri 'none'; frame-ancestors 'self'; sandbox")
	content, err := s.sample(q.Get("mail"), t, c)
	if err != nil { // New has tried it
		http.Error(w, "the template does not take its sample", http.StatusInternalServerError)
		return
	}
	_, _ = w.Write([]byte(content.HTML)) // the reader has gone
}

// logoSource is where a mail may load its logo from.
func (s *Set) logoSource() string {
	u, err := url.Parse(s.cfg.Brand.LogoURL)
	if err != nil || u.Host == "" {
		return "'none'"
	}
	return u.Scheme + "://" + u.Host
}

// abroad has another clock than any clinic in India.
var abroad = time.FixedZone("", 4*3600)

// sample renders a template with its sample data.
func (s *Set) sample(name string, t *translation, c choice) (*notify.Content, error) {
	data := s.examples[name][0]
	if c.Few {
		data = s.examples[name][len(s.examples[name])-1]
	}
	to := notify.Recipient{Name: "Sample Reader", Email: "sample@example.org"}
	if c.Abroad {
		to.Zone = abroad
	}
	return s.render(t, notify.Message{To: to, Template: name, Data: data}, data)
}

// sheet is what the page shows.
type sheet struct {
	Clinic    string
	Choice    choice
	Languages []languageOption
	Templates []previewed
}

// languageOption is a language that can be chosen.
type languageOption struct{ Tag, Name string }

// previewed is a template in the languages that were chosen.
type previewed struct {
	Name  string
	Forms []forms
}

// forms are what a template is in one language.
type forms struct {
	ID, Tag, Dir, Language, Review string
	Subject, Text, Calendar        string
	Frame                          string // the address of the HTML; empty if there is none
	Call, Chat, Problem            string
	Parameters                     []string
}

func (s *Set) sheet(c choice) *sheet {
	page := &sheet{Clinic: s.cfg.Clinic, Choice: c}
	tags := map[string]string{}
	for _, name := range s.Names() {
		shown := previewed{Name: name}
		for _, tag := range slices.Sorted(maps.Keys(s.templates[name])) {
			t := s.templates[name][tag]
			tags[tag] = languageName(t.locale)
			if c.Language == "" || c.Language == tag {
				shown.Forms = append(shown.Forms, s.forms(name, t, c))
			}
		}
		if len(shown.Forms) > 0 {
			page.Templates = append(page.Templates, shown)
		}
	}
	for _, tag := range slices.Sorted(maps.Keys(tags)) {
		page.Languages = append(page.Languages, languageOption{tag, tags[tag]})
	}
	return page
}

// forms renders one translation.
func (s *Set) forms(name string, t *translation, c choice) forms {
	f := forms{ID: name + "-" + t.locale, Tag: t.locale, Language: languageName(t.locale), Review: t.review()}
	f.Dir = (&Page{Lang: t.locale}).Dir()
	plain := *t
	plain.html = nil // its frame renders it when it is looked at
	content, err := s.sample(name, &plain, c)
	if err != nil { // New has tried it with the same data
		f.Problem = err.Error()
		return f
	}
	f.Subject, f.Text = content.Subject, content.Text
	if t.html != nil {
		f.Frame = c.link(name, t.locale)
	}
	for _, file := range content.Files {
		f.Calendar = strings.ReplaceAll(string(file.Data), "\r\n", "\n")
	}
	if call := content.WhatsApp; call != nil {
		f.Call, f.Parameters = call.Name+" "+call.Language, call.Body
		f.Chat = t.chatText(name, call)
	}
	return f
}

var chatPlace = regexp.MustCompile(`\{\{[0-9]+\}\}`)

// chatText is what the recipient reads, if the body is one of Definitions.
func (t *translation) chatText(name string, call *notify.WhatsAppTemplate) string {
	c := catalogueOf(t.locale)
	if !t.builtinChat || c == nil {
		return ""
	}
	if len(call.Buttons) > 0 {
		return "Meta's own text, with the code and a button that copies it."
	}
	body := (&builder{c: c}).chatBody(name, shapes[name])
	return chatPlace.ReplaceAllStringFunc(body, func(mark string) string {
		n, err := strconv.Atoi(strings.Trim(mark, "{}"))
		if err != nil || n < 1 || n > len(call.Body) {
			return mark
		}
		return call.Body[n-1]
	})
}

// review says who has read the texts.
func (t *translation) review() string {
	c := catalogueOf(t.locale)
	switch {
	case !t.builtin:
		return "The application's own, at least in part."
	case t.reviewed && c != nil:
		return "Reviewed by " + c.texts["reviewed"] + "."
	}
	return "Nobody has reviewed it: it is sent with AllowUnreviewed only."
}

func languageName(locale string) string {
	if c := catalogueOf(locale); c != nil {
		return fmt.Sprintf("%s (%s)", c.texts["language"], locale)
	}
	return locale
}

// catalogueOf returns the built-in language of a locale, or nil.
func catalogueOf(locale string) *catalogue {
	all, err := catalogues()
	if err != nil {
		return nil // New has reported it
	}
	return all[strings.ToLower(locale)]
}

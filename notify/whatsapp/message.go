package whatsapp

import (
	"maps"
	"slices"
	"strconv"

	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/notify"
)

// callOf is the call of a message of package notify.
func callOf(t *notify.WhatsAppTemplate) Call {
	call := Call{Name: t.Name, Language: t.Language}
	for _, value := range t.Body {
		call.Body = append(call.Body, Parameter{Text: value})
	}
	for _, name := range slices.Sorted(maps.Keys(t.Named)) {
		call.Body = append(call.Body, Parameter{Name: name, Text: t.Named[name]})
	}
	if h := t.Header; h != nil {
		call.Header = &Parameter{
			Name: h.Name, Text: h.Text, Document: mediaOf(h.Document), Image: mediaOf(h.Image), Video: mediaOf(h.Video),
		}
	}
	for _, b := range t.Buttons {
		call.Buttons = append(call.Buttons, CallButton{Index: b.Index, URL: b.URL, Payload: b.Payload})
	}
	return call
}

func mediaOf(f *notify.WhatsAppFile) *Media {
	if f == nil {
		return nil
	}
	return &Media{ID: f.ID, Link: f.Link, Filename: f.Filename}
}

// checkCall names what Meta would refuse whatever the template is.
func checkCall(t *notify.WhatsAppTemplate) error {
	var p fault.Problems
	p.Check(languagePattern.MatchString(t.Language), "Content.WhatsApp.Language", languageForm)
	for i, value := range t.Body {
		if problem := parameterProblem(value); problem != "" {
			p.Add("Content.WhatsApp.Body["+strconv.Itoa(i)+"]", "%s", problem)
		}
	}
	p.Check(len(t.Body) == 0 || len(t.Named) == 0, "Content.WhatsApp.Named", "is given beside Body")
	for _, name := range slices.Sorted(maps.Keys(t.Named)) {
		if !parameterName.MatchString(name) { // it may be anything then
			p.Add("Content.WhatsApp.Named", "has a name that %s", nameForm)
			continue
		}
		if problem := parameterProblem(t.Named[name]); problem != "" {
			p.Add("Content.WhatsApp.Named["+name+"]", "%s", problem)
		}
	}
	call := callOf(t)
	if call.Header != nil {
		call.Header.problems(&p, "Content.WhatsApp.Header")
	}
	checkButtons(&p, "Content.WhatsApp.Buttons", call.Buttons)
	return p.Err("whatsapp")
}

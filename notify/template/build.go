package template

import (
	"strconv"
	"strings"
)

const para = `<p style="margin:0 0 16px">`

// html writes the source of an e-mail's HTML.
func (b *builder) html(name string, s shape) string {
	var w strings.Builder
	w.WriteString(`{{define "preheader"}}` + b.say(name+".intro") + "{{end}}\n")
	w.WriteString(`{{define "content"}}<h1 style="margin:0 0 16px;font-size:22px;line-height:1.3">` + b.say(name+".title") + "</h1>\n")
	w.WriteString(para + b.greeting(s) + "</p>\n" + para + b.say(name+".intro") + "</p>\n")
	w.WriteString(b.htmlRows(s))
	if s.link != "" {
		w.WriteString(b.htmlButton(s))
	}
	if after := b.after(name); after != "" {
		w.WriteString(para + after + "</p>\n")
	}
	if s.note {
		w.WriteString("{{with .Data.Note}}" + para + "{{.}}</p>{{end}}\n")
	}
	if s.manage {
		for _, link := range manageLinks {
			w.WriteString(`{{with .Data.` + link.field + `}}` + para + `<a class="link" href="{{.}}" style="color:#4e54c8">` +
				b.say(link.key) + "</a></p>{{end}}\n")
		}
	}
	w.WriteString("{{end}}")
	return w.String()
}

var manageLinks = []struct{ key, field string }{
	{"manage.calendar", "CalendarURL"}, {"manage.reschedule", "RescheduleURL"}, {"manage.cancel", "CancelURL"},
}

func (b *builder) htmlRows(s shape) string {
	if s.rows == "" {
		return ""
	}
	var w strings.Builder
	w.WriteString("<table cellpadding=\"0\" cellspacing=\"0\" style=\"margin:0 0 16px\">\n")
	if s.list {
		w.WriteString("{{range .Data.Visits}}{{template \"row\" (pair ($.When .Start) .Patient)}}\n{{end}}")
	}
	b.rowsOf(s, func(key, when, value string) {
		if key == "lines" {
			w.WriteString("{{range .Data.Lines}}{{template \"row\" (pair .Text ($.Money .Amount $.Data.Currency))}}\n{{end}}")
			return
		}
		w.WriteString(conditional(when, `{{template "row" (pair `+strconv.Quote(b.label(key))+` `+value+`)}}`) + "\n")
		if timeRow(key) {
			w.WriteString(`{{with .ClinicTime .Data.Start}}<tr><td></td><td class="muted" style="padding:0 0 6px;color:#4b5563">` +
				b.say("at.clinic") + "</td></tr>{{end}}\n")
		}
	})
	w.WriteString("</table>\n")
	return w.String()
}

func (b *builder) htmlButton(s shape) string {
	source := `{{if ` + s.link + `}}{{template "button" (pair2 ` + strconv.Quote(b.say(s.button)) + ` ` + s.link + ` .Brand)}}
<p class="muted" style="margin:0 0 16px;font-size:14px;overflow-wrap:anywhere;color:#4b5563">` + b.say("fallback") +
		` <a class="link" href="{{` + s.link + `}}" style="color:#4e54c8">{{` + s.link + `}}</a></p>`
	if s.private {
		source += "\n" + para + b.say("private") + "</p>"
	}
	if s.later {
		source += "{{else}}" + para + b.say("link.later") + "</p>"
	}
	return source + "{{end}}\n"
}

// text writes the source of an e-mail's plain text.
func (b *builder) text(name string, s shape) string {
	var w strings.Builder
	w.WriteString(b.greeting(s) + "\n\n" + b.say(name+".intro") + "\n")
	if s.rows != "" {
		b.textRows(&w, s)
	}
	if s.link != "" {
		source := "{{if " + s.link + "}}\n" + b.say(s.button+".text") + ": {{" + s.link + "}}\n"
		if s.private {
			source += b.say("private") + "\n"
		}
		if s.later {
			source += "{{else}}\n" + b.say("link.later") + "\n"
		}
		w.WriteString(source + "{{end}}")
	}
	if after := b.after(name); after != "" {
		w.WriteString("\n" + after + "\n")
	}
	if s.note {
		w.WriteString("{{with .Data.Note}}\n{{.}}\n{{end}}")
	}
	if s.manage {
		for _, link := range manageLinks {
			w.WriteString("{{with .Data." + link.field + "}}\n" + b.say(link.key) + ": {{.}}\n{{end}}")
		}
	}
	w.WriteString("\n-- \n" + b.footer("\n") + "\n")
	return w.String()
}

func (b *builder) textRows(w *strings.Builder, s shape) {
	w.WriteString("\n")
	if s.list {
		w.WriteString("{{range .Data.Visits}}{{$.When .Start}}: {{.Patient}}\n{{end}}")
	}
	b.rowsOf(s, func(key, when, value string) {
		if key == "lines" {
			w.WriteString("{{range .Data.Lines}}{{.Text}}: {{$.Money .Amount $.Data.Currency}}\n{{end}}")
			return
		}
		row := b.label(key) + ": {{" + value + "}}"
		if timeRow(key) {
			row += "{{with .ClinicTime .Data.Start}} (" + b.say("at.clinic") + "){{end}}"
		}
		w.WriteString(conditional(when, row+"\n"))
	})
}

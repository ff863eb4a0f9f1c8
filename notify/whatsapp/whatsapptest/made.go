package whatsapptest

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

var anyPlace = regexp.MustCompile(`\{\{\s*([a-z0-9_]+)\s*\}\}`)

// part returns a component of the template, which may not be there.
func (m *made) part(kind string) part {
	for _, p := range m.Components {
		if strings.EqualFold(p.Type, kind) {
			return p
		}
	}
	return part{}
}

// text is the body as the recipient reads it.
func (m *made) text(values []string, named map[string]string) string {
	next := 0
	return anyPlace.ReplaceAllStringFunc(m.part("BODY").Text, func(mark string) string {
		if value, ok := named[strings.Trim(mark, "{} ")]; ok {
			return value
		}
		if next++; next > len(values) {
			return mark
		}
		return values[next-1]
	})
}

// check compares a call with the template.
func (m *made) check(c *wireCall) *problem {
	for _, component := range c.Template.Components {
		for _, p := range component.Parameters {
			if broken(p.Text) {
				return &problem{code: 132018, text: "Param text cannot have new-line/tab characters or more than 4 consecutive spaces"}
			}
		}
	}
	for _, check := range []func(*wireCall) *problem{m.checkHeader, m.checkBody, m.checkButtons} {
		if p := check(c); p != nil {
			return p
		}
	}
	return nil
}

func (m *made) checkHeader(c *wireCall) *problem {
	header := m.part("HEADER")
	want := header.Format
	if want == "LOCATION" || want == "TEXT" && !anyPlace.MatchString(header.Text) {
		want = ""
	}
	got := ""
	for _, component := range c.Template.Components {
		if component.Type == "header" && len(component.Parameters) > 0 {
			got = strings.ToUpper(component.Parameters[0].Type)
		}
	}
	switch {
	case got == want:
		return nil
	case want == "":
		return tooMany()
	case got == "":
		got = "UNKNOWN"
	}
	return &problem{
		code: 132012, text: "Parameter format does not match format in the created template",
		details: "header: Format mismatch, expected " + want + ", received " + got,
	}
}

func tooMany() *problem {
	return &problem{code: 132000, text: "Number of parameters does not match the expected number of params"}
}

func (m *made) checkBody(c *wireCall) *problem {
	var want []string
	for _, found := range anyPlace.FindAllStringSubmatch(m.part("BODY").Text, -1) {
		if !slices.Contains(want, found[1]) {
			want = append(want, found[1])
		}
	}
	count := 0
	for _, component := range c.Template.Components {
		if component.Type != "body" {
			continue
		}
		for _, p := range component.Parameters {
			count++
			if strings.EqualFold(m.Format, "NAMED") && !slices.Contains(want, p.Name) {
				return &problem{code: 100, text: "Invalid parameter", details: "Parameter name is missing or empty"}
			}
		}
	}
	if count != len(want) {
		return tooMany()
	}
	return nil
}

// checkButtons asks for what addresses and codes need.
func (m *made) checkButtons(c *wireCall) *problem {
	for i, b := range m.part("BUTTONS").Buttons {
		kind, _ := b["type"].(string)
		url, _ := b["url"].(string)
		if !(kind == "URL" && anyPlace.MatchString(url)) && kind != "COPY_CODE" {
			continue
		}
		filled := slices.ContainsFunc(c.Template.Components, func(component wireComponent) bool {
			return component.Type == "button" && fmt.Sprint(component.Index) == fmt.Sprint(i) && len(component.Parameters) == 1
		})
		if !filled {
			return &problem{
				code: 131008, text: "Required parameter is missing",
				details: fmt.Sprintf("buttons: Button at index %d of type %s requires a parameter", i, title(kind)),
			}
		}
	}
	return nil
}

func title(kind string) string { return kind[:1] + strings.ToLower(kind[1:]) }

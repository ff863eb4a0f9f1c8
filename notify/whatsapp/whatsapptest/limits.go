package whatsapptest

import (
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// wireInteractive is as much of an interactive message as has limits. See
// https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/interactive-list-messages.
type wireInteractive struct {
	Type   string
	Header *struct{ Type, Text string }
	Body   *struct{ Text string }
	Footer *struct{ Text string }
	Action struct {
		Button  string
		Buttons []struct {
			Reply struct{ ID, Title string }
		}
		Sections []struct {
			Title string
			Rows  []struct{ ID, Title, Description string }
		}
		Parameters struct {
			Text string `json:"display_text"`
			URL  string
		}
	}
}

// limits finds the first thing that Meta refuses.
type limits struct{ details string }

func (l *limits) check(ok bool, format string, args ...any) {
	if !ok && l.details == "" {
		l.details = fmt.Sprintf(format, args...)
	}
}

// length checks how many characters a text has.
func (l *limits) length(what, text string, least, most int) {
	n := utf8.RuneCountInString(text)
	l.check(n >= least && n <= most, "%s length invalid. Min length: %d, Max length: %d", what, least, most)
}

// most checks a text of a list.
func (l *limits) most(what, text string, most int) {
	l.check(utf8.RuneCountInString(text) <= most, "%s is too long. Max length is %d", what, most)
}

func checkInteractive(body []byte) *problem {
	var call struct{ Interactive wireInteractive }
	if json.Unmarshal(body, &call) != nil {
		return &problem{code: 100, text: "Invalid parameter"}
	}
	m := &call.Interactive
	bodiless := m.Type == "product" || m.Type == "catalog_message"
	if m.Body == nil && !bodiless {
		return &problem{code: 131008, text: "Required parameter is missing", details: "The parameter interactive['body'] is required."}
	}
	var l limits
	m.checkFrame(&l)
	switch m.Type {
	case "button":
		m.checkReplies(&l)
	case "list":
		m.checkList(&l)
	case "cta_url":
		l.length("Button display_text", m.Action.Parameters.Text, 1, 20)
		l.length("Button url", m.Action.Parameters.URL, 1, 2000)
	}
	if l.details == "" {
		return nil
	}
	return &problem{code: 131009, text: "Parameter value is not valid", details: l.details}
}

func (m *wireInteractive) checkFrame(l *limits) {
	longest := 1024
	if m.Type == "list" {
		longest = 4096
	}
	if m.Body != nil {
		l.length("Body text", m.Body.Text, 1, longest)
	}
	if m.Footer != nil {
		l.length("Footer text", m.Footer.Text, 0, 60)
	}
	if m.Header != nil && m.Header.Type == "text" {
		l.length("Header text", m.Header.Text, 1, 60)
	}
}

func (m *wireInteractive) checkReplies(l *limits) {
	count := len(m.Action.Buttons)
	l.check(count >= 1 && count <= 3, "Invalid buttons count. Min allowed buttons: 1, Max allowed buttons: 3")
	ids, titles := map[string]bool{}, map[string]bool{}
	for _, b := range m.Action.Buttons {
		l.length("Button title", b.Reply.Title, 1, 20)
		l.length("Button id", b.Reply.ID, 1, 256)
		l.check(!ids[b.Reply.ID] && !titles[b.Reply.Title], "Buttons have the same id or title")
		ids[b.Reply.ID], titles[b.Reply.Title] = true, true
	}
}

func (m *wireInteractive) checkList(l *limits) {
	l.check(m.Header == nil || m.Header.Type == "text", "Header type invalid. Allowed types: text")
	l.length("Button label", m.Action.Button, 1, 20)
	count := len(m.Action.Sections)
	l.check(count >= 1 && count <= 10, "Invalid sections count. Min allowed sections: 1, Max allowed sections: 10")
	rows, ids := 0, map[string]bool{}
	for _, section := range m.Action.Sections {
		l.check(section.Title != "" || count == 1, "Section title is required")
		l.most("Section title", section.Title, 24)
		l.check(len(section.Rows) > 0, "Section has no rows")
		for _, row := range section.Rows {
			rows++
			l.check(row.Title != "" && row.ID != "", "Row title and id are required")
			l.most("Row title", row.Title, 24)
			l.most("Row id", row.ID, 200)
			l.most("Row description", row.Description, 72)
			l.check(!ids[row.ID], "Rows have the same id")
			ids[row.ID] = true
		}
	}
	l.check(rows <= 10, "Total row count exceed max allowed count: 10")
}

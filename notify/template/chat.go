package template

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// chatValues are the parameters of WhatsApp calls, as the texts of the words hold them too.
var chatValues = map[string]string{
	"doctor": "{{.Data.Doctor}}", "patient": "{{.Data.Patient}}", "clinic": "{{.Clinic}}", "until": "{{.Until .Data.Start}}",
	"amount": "{{.Money .Data.Amount .Data.Currency}}", "url": "{{.Data.URL}}", "reference": "{{.Data.Reference}}",
	"paidat": "{{.When .Data.PaidAt}}", "at": "{{.When .Data.At}}", "code": "{{.Data.Code}}", "provider": "{{.Data.Provider}}",
	"day": "{{.Date .Data.Day}}", "count": "{{len .Data.Visits}}",
}

// chatLabels are the rows that a parameter may stand in, by the keys of their labels.
var chatLabels = map[string][]string{
	"time": {"time", "newtime", "oldtime"}, "amount": {"amount", "refund"}, "reference": {"paymentid"},
	"paidat": {"paidon"}, "at": {"begun", "refundedon"}, "doctor": {"doctor"}, "patient": {"patient"}, "clinic": {"clinic"},
}

// parameter returns the source of a parameter.
func (b *builder) parameter(key string) string {
	switch key {
	case "time":
		return "{{.When .Data.Start}}{{with .ClinicTime .Data.Start}} (" + b.say("at.clinic") + "){{end}}"
	case "link":
		return "{{or .Data.JoinURL " + strconv.Quote(b.say("link.later")) + "}}"
	}
	return chatValues[key]
}

// parameters returns the sources of all parameters, the greeting's first.
func (b *builder) parameters(s shape) (all []string) {
	if !s.nobody {
		all = append(all, "{{or .To "+reader(s)+"}}")
	}
	for key := range strings.FieldsSeq(s.chat) {
		all = append(all, b.parameter(key))
	}
	return all
}

// chat writes the source of a WhatsApp call.
func (b *builder) chat(name string, s shape) string {
	header := name + " " + b.c.locale
	if s.code {
		header += " code"
	}
	return strings.Join(append([]string{header}, b.parameters(s)...), "\n")
}

// chatBody writes the body that is registered at Meta, from the texts of the e-mail. What
// the texts do not say stands in rows. Meta wants a body to begin and to end with words.
func (b *builder) chatBody(name string, s shape) string {
	told := b.say(name + ".intro")
	if s.list {
		told = b.say(name+".title") + "\n" + told
	}
	after, closing := b.after(name), b.say("footer")
	if strings.Contains(told+after, chatValues["clinic"]) {
		closing = plainSentences(closing)
	}
	parts := []string{b.greeting(s), told, b.chatRows(s, told+after+closing), after, closing}
	if s.private && strings.Contains(s.chat, "link") {
		parts[3] = b.say("private")
	}
	parts = slices.DeleteFunc(parts, func(part string) bool { return part == "" })
	body := strings.Join(parts, "\n\n")
	for i, source := range b.parameters(s) {
		body = strings.ReplaceAll(body, source, "{{"+strconv.Itoa(i+1)+"}}")
	}
	return body
}

// chatRows has a line for each parameter that said does not show.
func (b *builder) chatRows(s shape, said string) string {
	var rows []string
	for key := range strings.FieldsSeq(s.chat) {
		value := b.parameter(key)
		if strings.Contains(said, value) {
			continue
		}
		label := b.say(s.button + ".text")
		if key != "link" && key != "url" {
			label = b.chatLabel(key, s)
		}
		rows = append(rows, label+": "+value)
	}
	return strings.Join(rows, "\n")
}

func (b *builder) chatLabel(key string, s shape) string {
	rows := strings.Fields(s.rows)
	for _, label := range chatLabels[key] {
		if slices.Contains(rows, label) {
			return b.say(label)
		}
	}
	return b.say(key)
}

var sentenceEnd = regexp.MustCompile(`[.।] `)

// plainSentences drops the sentences that have an action in them.
func plainSentences(text string) string {
	var plain []string
	for text != "" {
		sentence := text
		if end := sentenceEnd.FindStringIndex(text); end != nil {
			sentence = text[:end[1]]
		}
		text = text[len(sentence):]
		if !strings.Contains(sentence, "{{") {
			plain = append(plain, strings.TrimSpace(sentence))
		}
	}
	return strings.Join(plain, " ")
}

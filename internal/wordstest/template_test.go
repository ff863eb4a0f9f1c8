//go:build !race

package wordstest

import (
	"errors"
	"fmt"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/template"
)

// letter is data of an application's own. Its method fails, and quotes, where a template
// asks for it.
type letter struct {
	Word, Asks string
	Refuse     bool
}

func (l letter) Say(part string) (string, error) {
	if l.Asks == part {
		return "", errors.New("no such illness: " + l.Word)
	}
	return "all is well", nil
}

// Nth fails in the template's own code, which quotes its arguments.
func (l letter) Nth(part string) []string {
	if l.Asks == part+" index" {
		return nil
	}
	return []string{"a", "b"}
}

func (l letter) Validate() error {
	if l.Refuse {
		return fmt.Errorf("%s is not a patient of ours", l.Word)
	}
	return nil
}

var parts = []string{"subject", "txt", "html", "whatsapp"}

func ownTemplates() fstest.MapFS {
	own := fstest.MapFS{}
	for _, part := range parts {
		text := fmt.Sprintf(`{{.Data.Say %q}} {{index (.Data.Nth %q) 1}} {{.Data.Word}}`, part, part)
		switch part {
		case "html":
			text = `{{define "preheader"}}{{end}}{{define "content"}}` + text + `{{end}}`
		case "whatsapp":
			text = "letter en\n" + text
		}
		own["en/letter."+part] = &fstest.MapFile{Data: []byte(text)}
	}
	return own
}

// What people type reaches no error of a template that refuses it or fails over it.
func TestNoWordOfAMessageComesBack(t *testing.T) {
	t.Parallel()
	typed := append([]string{"asha\ncanary", "asha\x00canary", "\xffcanary asha", "<script>canary", "{{canary}}", string(make([]byte, 600)) + "asha"}, words...)
	set, err := template.New(template.Config{
		Clinic: "City Clinic", Zone: time.UTC, FS: ownTemplates(), Samples: map[string]any{"letter": letter{Word: "sample"}},
	})
	require.NoError(t, err)
	found, failed := leaks{}, 0
	render := func(what string, m notify.Message) {
		if _, err := set.Render(m); err != nil {
			failed++
			found.look("template "+what, fmt.Sprintf("%q", m.Template), err)
		}
	}
	now := time.Now()
	for _, word := range typed {
		good := template.Appointment{Key: "k", Patient: "P", Doctor: "D", Start: now}
		for what, data := range map[string]any{
			"Appointment": template.Appointment{Key: word, Patient: word, Doctor: word, Clinic: word, JoinURL: word, Note: word, Start: now, Sequence: -1},
			"Payment":     template.Payment{Patient: word, Clinic: word, Amount: -919812345678, Currency: word, Reference: word, Item: word, PaidAt: now},
			"Refund": template.Refund{
				Patient: word, Clinic: word, Amount: -919812345678, Of: 1, Currency: word, Reference: word, Item: word, Note: word, At: now,
			},
			"Reconnection": template.Reconnection{Doctor: word, Clinic: word, Provider: word, URL: word, Next: now},
			"text":         word, "map": map[string]string{word: word}, "error": errors.New(word), "nil": nil,
		} {
			for _, name := range set.Names() {
				render(what, notify.Message{Key: word, Template: name, Data: data, To: notify.Recipient{Name: word, Locale: word}})
			}
		}
		render("name of a template", notify.Message{Template: word, Data: good})
		render("Name", notify.Message{Template: template.Confirmed, Data: good, To: notify.Recipient{Name: word + "\n"}})
		render("Validate", notify.Message{Template: "letter", Data: letter{Word: word, Refuse: true}})
		for _, part := range parts {
			for _, asks := range []string{part, part + " index"} {
				before := failed
				render(asks, notify.Message{Template: "letter", Data: letter{Word: word, Asks: asks}})
				require.Greater(t, failed, before, "%s did not fail", asks)
			}
		}
	}
	require.Greater(t, failed, 300)
	found.report(t)
}

package template_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/leaktest"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/template"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

var (
	ist     = time.FixedZone("IST", 5*3600+1800)
	eastern = time.FixedZone("EST", -5*3600)
	start   = time.Date(2026, time.March, 2, 10, 30, 0, 0, ist)
	written = time.Date(2026, time.February, 20, 8, 0, 0, 0, time.UTC)
)

func config() template.Config {
	return template.Config{
		Clinic: "City Clinic", Zone: ist, Organizer: "care@clinic.example", AllowUnreviewed: true, Now: func() time.Time { return written },
	}
}

func newSet(tb testing.TB, cfg template.Config) *template.Set {
	tb.Helper()
	set, err := template.New(cfg)
	require.NoError(tb, err)
	return set
}

func appointment() template.Appointment {
	return template.Appointment{
		Key: "appt-42", Patient: "Asha Rao", Doctor: "Dr Mehta", Start: start, Duration: 30 * time.Minute,
		JoinURL: "https://meet.example/abc-defg-hij?pwd=x&lang=hi", Previous: start.Add(-24 * time.Hour),
	}
}

func receipt() template.Payment {
	return template.Payment{
		Patient: "Asha Rao", Amount: 12345600, Currency: "INR", Reference: "pay_29QQoUBi66xm2f",
		PaidAt: start.Add(-48 * time.Hour), Item: "Video consultation",
	}
}

func refund() template.Refund {
	return template.Refund{
		Patient: "Asha Rao", Amount: 25000, Of: 50000, Currency: "INR", Reference: "rfnd_29QQoUBi66xm2f",
		At: start.Add(-time.Hour), Item: "Video consultation", Note: "The clinic had to cancel.",
	}
}

func reconnection() template.Reconnection {
	return template.Reconnection{Doctor: "Dr Mehta", Provider: "Zoom", URL: "https://clinic.example/accounts", Next: start}
}

// dataFor returns data that a built-in template takes.
func dataFor(name string) any {
	switch name {
	case template.PaymentReceived:
		return receipt()
	case template.RefundPending, template.Refunded:
		return refund()
	case template.PaymentAsked, template.PaymentFailed:
		return template.PaymentDue{
			Patient: "Asha Rao", Amount: 50000, Currency: "INR", Item: "Video consultation", URL: "https://clinic.example/pay", Until: start,
		}
	case template.OneTimePassword:
		return template.Code{Code: "482913", ValidFor: 10 * time.Minute}
	case template.DocumentReady:
		return template.Document{
			Patient: "Asha Rao", Doctor: "Dr Mehta", Title: "Prescription", URL: "https://clinic.example/documents",
			Registration: "12345", Council: "Maharashtra Medical Council",
		}
	case template.TodaysList:
		return template.DayList{
			Doctor: "Dr Mehta", Day: start, URL: "https://clinic.example/today", Visits: []template.Slot{{Start: start, Patient: "Asha Rao"}},
		}
	case template.Reconnect:
		return reconnection()
	}
	return appointment()
}

func message(name, locale string, data any) notify.Message {
	return notify.Message{
		Key: "appt-42/" + name, Template: name, Data: data,
		To: notify.Recipient{Name: "Asha Rao", Email: "asha@example.org", Phone: "+919876543210", Locale: locale},
	}
}

func render(tb testing.TB, set *template.Set, msg notify.Message) *notify.Content {
	tb.Helper()
	content, err := set.Render(msg)
	require.NoError(tb, err)
	return content
}

// fields returns the paths that err names.
func fields(tb testing.TB, err error) []string {
	tb.Helper()
	require.ErrorIs(tb, err, telemed.ErrInvalid)
	var names []string
	for _, f := range telemed.Fields(err) {
		names = append(names, f.Field)
	}
	slices.Sort(names)
	return names
}

// node is an element with what of its attributes must not change with the data.
type node struct {
	name, href, style string
	attrs             []string
}

// parseHTML returns the elements of a page and its texts; it fails on what is not
// well-formed.
func parseHTML(page string) (nodes []node, texts []string, err error) {
	d := xml.NewDecoder(strings.NewReader(page))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return nodes, texts, nil
		}
		if err != nil {
			return nil, nil, fmt.Errorf("page does not parse: %w", err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			n := node{name: token.Name.Local}
			for _, a := range token.Attr {
				n.attrs = append(n.attrs, a.Name.Local)
				switch a.Name.Local {
				case "href":
					n.href = a.Value
				case "style":
					n.style = a.Value
				}
			}
			nodes = append(nodes, n)
		case xml.CharData:
			texts = append(texts, string(token))
		case xml.Comment:
			if !strings.HasPrefix(string(token), "[if mso]>") {
				return nil, nil, errors.New("page holds a comment")
			}
		case xml.ProcInst:
			return nil, nil, fmt.Errorf("page holds %T", token)
		}
	}
}

// property is a content line of a calendar file.
type property struct{ name, params, value string }

// parseICS unfolds a calendar file and checks its form.
func parseICS(data []byte) ([]property, error) {
	text := string(data)
	if strings.Count(text, "\n") != strings.Count(text, "\r\n") || strings.Count(text, "\r") != strings.Count(text, "\r\n") || !strings.HasSuffix(text, "\r\n") {
		return nil, errors.New("a line does not end with CRLF")
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\r\n"), "\r\n") {
		if len(line) > 75 || line == "" || strings.ToValidUTF8(line, "") != line {
			return nil, fmt.Errorf("line %q is empty, longer than 75 octets, or cuts a character", line)
		}
	}
	var props []property
	for line := range strings.SplitSeq(strings.TrimSuffix(strings.ReplaceAll(text, "\r\n ", ""), "\r\n"), "\r\n") {
		end := unquotedColon(line)
		if end < 0 {
			return nil, fmt.Errorf("line %q has no value", line)
		}
		name, params, _ := strings.Cut(line[:end], ";")
		props = append(props, property{name, params, line[end+1:]})
	}
	return props, nil
}

func unquotedColon(line string) int {
	quoted := false
	for i, r := range line {
		switch {
		case r == '"':
			quoted = !quoted
		case r == ':' && !quoted:
			return i
		}
	}
	return -1
}

func names(props []property) []string {
	var all []string
	for _, p := range props {
		all = append(all, p.name)
	}
	return all
}

func value(props []property, name string) string {
	for _, p := range props {
		if p.name == name {
			return p.value
		}
	}
	return ""
}

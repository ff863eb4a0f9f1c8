package notify_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/notify"
)

// personal is a message in which all that is a patient's says zkmark or is 98765….
func personal() notify.Message {
	return notify.Message{
		Key: "appt-42/confirmed", Template: "appointment_confirmed", Data: map[string]string{"patient": "zkmark"},
		To: notify.Recipient{Name: "zkmark", Email: "zkmark@example.org", Phone: "+919876543210", Locale: "hi-IN"},
		Content: &notify.Content{
			Subject: "zkmark", Text: "zkmark", HTML: "zkmark",
			Files:    []notify.File{{Name: "zkmark.pdf", ContentType: "application/pdf; name=zkmark", Data: []byte("zkmark")}},
			WhatsApp: &notify.WhatsAppTemplate{Name: "appointment_confirmed", Language: "hi", Body: []string{"zkmark"}},
		},
		Mail: &notify.Mail{
			Cc: []notify.Recipient{{Name: "zkmark", Email: "zkmark@example.org"}}, Bcc: []notify.Recipient{{Email: "zkmark@example.com"}},
			ReplyTo: notify.Recipient{Email: "zkmark@clinic.example"}, BounceTo: "zkmark@bounce.example", OneClick: true,
			Unsubscribe: []string{"https://zkmark.example"}, Header: map[string]string{"X-Zkmark": "zkmark"},
		},
	}
}

func TestPrintsNothingPersonal(t *testing.T) {
	t.Parallel()
	msg := personal()
	file := msg.Content.Files[0]
	for name, c := range map[string]struct {
		values []any // as a value, behind a pointer, in what an application may have
		want   string
	}{
		"message":   {[]any{msg, &msg, []notify.Message{msg}, struct{ Queued notify.Message }{msg}, map[string]any{"x": &msg}}, "{key:appt-42/confirmed template:appointment_confirmed}"},
		"recipient": {[]any{msg.To, &msg.To, []notify.Recipient{msg.To}, struct{ To notify.Recipient }{msg.To}}, "{email:true phone:true locale:hi-IN}"},
		"content":   {[]any{*msg.Content, msg.Content, []notify.Content{*msg.Content}, struct{ C notify.Content }{*msg.Content}}, "{text:6 html:6 files:1 whatsapp:{name:appointment_confirmed language:hi parameters:1}}"},
		"file":      {[]any{file, &file, msg.Content.Files, struct{ F notify.File }{file}}, "{bytes:6}"},
		"mail":      {[]any{*msg.Mail, msg.Mail, []notify.Mail{*msg.Mail}, struct{ M notify.Mail }{*msg.Mail}}, "{cc:1 bcc:1 unsubscribe:1 header:1}"},
		"template":  {[]any{*msg.Content.WhatsApp, msg.Content.WhatsApp, []notify.WhatsAppTemplate{*msg.Content.WhatsApp}}, "{name:appointment_confirmed language:hi parameters:1}"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i, value := range c.values {
				for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%c", "%t", "%10.3s", "%!"} {
					quiet(t, fmt.Sprintf(verb, value), verb)
				}
				if i < 2 {
					require.Equal(t, c.want, fmt.Sprint(value))
				}
			}
			for _, value := range c.values[:2] {
				var log strings.Builder
				slog.New(slog.NewTextHandler(&log, nil)).Info("x", "value", value)
				slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "value", value)
				quiet(t, log.String(), "log")
			}
		})
	}
}

func quiet(t *testing.T, text, how string) {
	t.Helper()
	for _, mark := range []string{"zkmark", "Zkmark", "7a6b6d61726b", "7A6B6D61726B", "122 107 109", "0x7a, 0x6b", "9876543210"} {
		require.NotContains(t, text, mark, how)
	}
}

func TestNothingPrintsAsNothing(t *testing.T) {
	t.Parallel()
	require.Equal(t, "<nil>", fmt.Sprint((*notify.Content)(nil)))
	require.Equal(t, "{key:k template:}", fmt.Sprint(notify.Message{Key: "k"}))
	require.Equal(t, "{email:false phone:false locale:}", fmt.Sprint(notify.Recipient{}))
}

// An application may keep a message in a queue of its own as JSON: nothing is hidden from
// that.
func TestMessageThroughJSON(t *testing.T) {
	t.Parallel()
	want := personal()
	want.Data = map[string]any{"patient": "zkmark"}
	raw, err := json.Marshal(want)
	require.NoError(t, err)
	var got notify.Message
	require.NoError(t, json.Unmarshal(raw, &got))
	require.Equal(t, want, got)
}

package notify_test

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/notify"
)

func valid() notify.Message {
	return notify.Message{
		Key: "appt-42/confirmed",
		To:  notify.Recipient{Name: "Asha Rao", Email: "asha@example.org", Phone: "+919876543210"},
		Content: &notify.Content{
			Subject: "Confirmed", Text: "See you.", HTML: "<p>See you.</p>",
			Files:    []notify.File{{Name: "invite.ics", ContentType: "text/calendar; method=REQUEST", Data: []byte("x")}},
			WhatsApp: &notify.WhatsAppTemplate{Name: "appointment_confirmed", Language: "en"},
		},
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		edit            func(*notify.Message)
		email, whatsapp []string // the fields that are wrong on each channel
	}{
		"good":            {func(*notify.Message) {}, nil, nil},
		"template only":   {func(m *notify.Message) { m.Content, m.Template = nil, "x" }, nil, nil},
		"empty":           {func(m *notify.Message) { *m = notify.Message{} }, []string{"Key", "Template", "To.Email"}, []string{"Key", "Template", "To.Phone"}},
		"long key":        {func(m *notify.Message) { m.Key = strings.Repeat("k", 513) }, []string{"Key"}, []string{"Key"}},
		"name":            {func(m *notify.Message) { m.To.Name = "a\nb" }, []string{"To.Name"}, []string{"To.Name"}},
		"name not UTF-8":  {func(m *notify.Message) { m.To.Name = "\xff" }, []string{"To.Name"}, []string{"To.Name"}},
		"long name":       {func(m *notify.Message) { m.To.Name = strings.Repeat("n", 257) }, []string{"To.Name"}, []string{"To.Name"}},
		"address":         {func(m *notify.Message) { m.To.Email, m.To.Phone = "asha", "98765" }, []string{"To.Email"}, []string{"To.Phone"}},
		"no subject":      {func(m *notify.Message) { m.Content.Subject = "" }, []string{"Content.Subject"}, nil},
		"two-line":        {func(m *notify.Message) { m.Content.Subject = "a\r\nb" }, []string{"Content.Subject"}, nil},
		"long subject":    {func(m *notify.Message) { m.Content.Subject = strings.Repeat("s", 501) }, []string{"Content.Subject"}, nil},
		"no text":         {func(m *notify.Message) { m.Content.Text = "" }, []string{"Content.Text"}, nil},
		"not UTF-8":       {func(m *notify.Message) { m.Content.Text, m.Content.HTML = "\xff", "\xfe" }, []string{"Content.Text", "Content.HTML"}, nil},
		"no file name":    {func(m *notify.Message) { m.Content.Files[0].Name = "" }, []string{"Content.Files[0].Name"}, nil},
		"file path":       {func(m *notify.Message) { m.Content.Files[0].Name = "../etc/passwd" }, []string{"Content.Files[0].Name"}, nil},
		"file type":       {func(m *notify.Message) { m.Content.Files[0].ContentType = "pdf" }, []string{"Content.Files[0].ContentType"}, nil},
		"no file type":    {func(m *notify.Message) { m.Content.Files[0].ContentType = "" }, []string{"Content.Files[0].ContentType"}, nil},
		"multipart file":  {func(m *notify.Message) { m.Content.Files[0].ContentType = "multipart/mixed; boundary=x" }, []string{"Content.Files[0].ContentType"}, nil},
		"hidden break":    {func(m *notify.Message) { m.Content.Files[0].ContentType = "text/x; name*=utf-8''%0D%0AX:" }, []string{"Content.Files[0].ContentType"}, nil},
		"no whatsapp":     {func(m *notify.Message) { m.Content.WhatsApp = nil }, nil, []string{"Content.WhatsApp"}},
		"template's name": {func(m *notify.Message) { m.Content.WhatsApp.Name = "Appointment" }, nil, []string{"Content.WhatsApp.Name"}},
		"no language":     {func(m *notify.Message) { m.Content.WhatsApp.Language = "" }, nil, []string{"Content.WhatsApp.Language"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			msg := valid()
			c.edit(&msg)
			for channel, want := range map[notify.Channel][]string{notify.Email: c.email, notify.WhatsApp: c.whatsapp} {
				err := msg.Validate(channel)
				var fields []string
				for _, e := range telemed.Fields(err) {
					fields = append(fields, e.Field)
				}
				require.ElementsMatch(t, want, fields, "%s: %v", channel, err)
				if len(want) == 0 {
					require.NoError(t, err)
					continue
				}
				require.ErrorIs(t, err, telemed.ErrInvalid)
				if msg.Content != nil {
					require.Equal(t, msg.Content.Validate(channel) == nil, !strings.Contains(strings.Join(want, " "), "Content"))
				}
			}
		})
	}
}

func TestValidPhone(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"+919876543210", "+1234567", "+123456789012345"} {
		require.True(t, notify.ValidPhone(good), good)
	}
	for _, bad := range []string{"", "+", "919876543210", "+0919876543210", "+123456", "+1234567890123456", "+91 98765 43210", "+91-9876543210", "++919876543210", "+९१९८७६५४३२१०", "+919876543210\n", "+91987654321a"} {
		require.False(t, notify.ValidPhone(bad), bad)
	}
}

func TestValidEmail(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"asha@example.org", "a.b+c@d.example", "o'neil@example.org", "a@localhost", "आशा@उदाहरण.भारत", "x@xn--p1b6ci4b4b3a.example", "a_b%c@1.example"} {
		require.True(t, notify.ValidEmail(good), good)
	}
	for _, bad := range []string{"", "@", "a@", "@b", "a", "a@b@c", "a b@c", "a@b c", ".a@b", "a.@b", "a..b@c", "a@.b", "a@b.", "a@b..c", "a@-b", "a@b-", "<a@b>", "a@b>", "a,b@c", `"a"@b`, `a\b@c`, "a@[1.2.3.4]", "a(x)@b", "a@b\r\n", "a\x00@b", "a\u200b@b", "a\u00a0@b", "a@b_c", "\xff@b", strings.Repeat("a", 65) + "@b", "a@" + strings.Repeat("b", 64), "a@" + strings.Repeat("b.", 130) + "c"} {
		require.False(t, notify.ValidEmail(bad), bad)
	}
}

func TestLogValuesHoldNothingPersonal(t *testing.T) {
	t.Parallel()
	var logged strings.Builder
	log := slog.New(slog.NewTextHandler(&logged, nil))
	log.Info("x", "message", valid(), "to", valid().To)
	require.Contains(t, logged.String(), "appt-42/confirmed")
	for _, personal := range []string{"Asha", "asha", "98765", "Confirmed", "See you"} {
		require.NotContains(t, logged.String(), personal)
	}
}

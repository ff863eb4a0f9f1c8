package smtp_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/smtp"
	"github.com/telemed-go/telemed/notify/smtp/smtptest"
)

const invite = "BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nSUMMARY:परामर्श\r\nEND:VCALENDAR\r\n"

func TestContentArrives(t *testing.T) {
	t.Parallel()
	fake, client := pair(t, smtptest.Config{}, nil)
	for name, c := range map[string]*notify.Content{
		"text only":  {Subject: "Hello", Text: "a\r\nb\rc\nd"},
		"hindi":      {Subject: "आपकी मुलाक़ात की पुष्टि हो गई है, कृपया समय पर आइए", Text: "नमस्ते आशा,\nसोमवार को मिलते हैं।\n", HTML: "<p lang=hi>सोमवार</p>"},
		"long lines": {Subject: strings.Repeat("x", 500), Text: strings.Repeat("y", 5000) + "\n" + strings.Repeat("z ", 5000)},
		"dots":       {Subject: ".", Text: ".\n..\n.\r\n.\r\nQUIT\n", HTML: ".\r\n"},
		"lookalike":  {Subject: "=?utf-8?q?=0D=0ABcc:_x@y.example?=", Text: "--boundary\n\nContent-Type: text/html\n"},
		"spaces":     {Subject: "  a   b  ", Text: " \n\t\n  end  "},
		"files": {Subject: "Files", Text: "see below", HTML: "<p>see below</p>", Files: []notify.File{
			{Name: "रिपोर्ट.pdf", ContentType: "application/pdf", Data: []byte("%PDF\x00\xff")},
			{Name: `a"; filename="evil.exe`, ContentType: "application/octet-stream", Data: nil},
			{Name: strings.Repeat("क", 60) + ".txt", ContentType: "text/plain; charset=utf-16; format=flowed", Data: []byte("x\ny\r")},
			{Name: "invite.ics", ContentType: "text/calendar; charset=UTF-8; method=REQUEST", Data: []byte(invite)},
		}},
		"file only in text": {Subject: "One", Text: "one", Files: []notify.File{{Name: "a.bin", ContentType: "application/x-b", Data: make([]byte, 1<<20)}}},
	} {
		msg := message(name)
		msg.Content = c
		msg.To.Name = `आशा "Dr." Rao, <x@y.example>`
		receipt, err := client.Notify(t.Context(), msg)
		require.NoError(t, err, name)
		got, err := fake.WaitFor(t.Context(), func(m smtptest.Message) bool { return "<"+m.ID+">" == receipt.ID })
		require.NoError(t, err)
		same(t, msg, got)
	}
}

// A header line that has encoded words in it holds 76 octets at most (RFC 2047, 2).
func TestEncodedWordsFitOnALine(t *testing.T) {
	t.Parallel()
	fake, client := pair(t, smtptest.Config{}, func(cfg *smtp.Config) {
		cfg.From, cfg.ReplyTo = strings.Repeat("अस्पताल ", 9)+"<care@clinic.example>", strings.Repeat("क", 60)+" <desk@clinic.example>"
	})
	for n := range 80 {
		msg := message("line")
		msg.To.Name, msg.Content.Subject = strings.Repeat("आ", n+1), strings.Repeat("x", n%3)+strings.Repeat("प", n+1)
		_, err := client.Notify(t.Context(), msg)
		require.NoError(t, err)
	}
	for _, got := range fake.Messages() {
		header, _, _ := strings.Cut(string(got.Raw), "\r\n\r\n")
		for line := range strings.SplitSeq(header, "\r\n") {
			require.True(t, !strings.Contains(line, "=?") || len(line) <= 76, "%d: %s", len(line), line)
		}
	}
}

// same checks that got says what msg does, and nothing else.
func same(t *testing.T, msg notify.Message, got smtptest.Message) {
	t.Helper()
	c := msg.Content
	require.Equal(t, c.Subject, got.Subject)
	require.Equal(t, strings.TrimSuffix(unixLines(c.Text), "\n")+"\n", unixLines(got.Text))
	require.Equal(t, unixLines(c.HTML), unixLines(got.HTML))
	require.Equal(t, []string{msg.To.Email}, got.Recipients)
	require.Len(t, got.To, 1)
	require.Equal(t, msg.To.Email, got.To[0].Address)
	require.Equal(t, msg.To.Name, got.To[0].Name)
	require.Equal(t, "care@clinic.example", got.From.Address)
	require.Len(t, got.Files, len(c.Files))
	for i, file := range c.Files {
		require.Equal(t, file.Name, got.Files[i].Name)
		require.Equal(t, string(file.Data), string(got.Files[i].Data))
		if strings.Contains(file.ContentType, "method=REQUEST") {
			require.Equal(t, string(file.Data), got.Calendar)
		}
	}
	header := slices.Sorted(maps.Keys(got.Header))
	header = slices.DeleteFunc(header, func(name string) bool { return name == "Content-Transfer-Encoding" })
	require.Equal(t, []string{"Auto-Submitted", "Content-Type", "Date", "From", "Message-Id", "Mime-Version", "Subject", "To"}, header)
}

func unixLines(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
}

// Nothing of a message becomes a header, a recipient or a command.
func TestInjection(t *testing.T) {
	t.Parallel()
	fake, client := pair(t, smtptest.Config{}, nil)
	for _, evil := range []string{"x\r\nBcc: y@z.example", "x\nX-Evil: 1", "x\rX-Evil: 1", "x\x00y", "x\u2028y", "\xff", "x\r\n.\r\nMAIL FROM:<y@z.example>", "evil\u202efdp.exe"} {
		for name, edit := range map[string]func(*notify.Message){
			"To.Name":                      func(m *notify.Message) { m.To.Name = evil },
			"To.Email":                     func(m *notify.Message) { m.To.Email = evil + "@example.org" },
			"To.Email domain":              func(m *notify.Message) { m.To.Email = "asha@" + evil },
			"To.Email tail":                func(m *notify.Message) { m.To.Email = "asha@example.org" + evil },
			"Content.Subject":              func(m *notify.Message) { m.Content.Subject = evil },
			"Content.Files[0].Name":        func(m *notify.Message) { m.Content.Files[0].Name = evil },
			"Content.Files[0].ContentType": func(m *notify.Message) { m.Content.Files[0].ContentType = "text/plain; x=" + evil },
			"Content.Files[0].ContentType ": func(m *notify.Message) {
				m.Content.Files[0].ContentType = "text/" + evil
			},
		} {
			msg := withFiles("injection")
			edit(&msg)
			_, err := client.Notify(t.Context(), msg)
			require.ErrorIs(t, err, telemed.ErrInvalid, "%s = %q", name, evil)
			require.NotContains(t, err.Error(), evil)
		}
	}
	for _, address := range []string{"asha", "a b@c.example", "<a@b.example>", "a@b.example> SIZE=1", "a@b.example,c@d.example", `"a b"@c.example`, "a@[127.0.0.1]", "a..b@c.example", "a@-b.example", "a@b..example", "Asha <a@b.example>"} {
		msg := message("injection")
		msg.To.Email = address
		_, err := client.Notify(t.Context(), msg)
		require.ErrorIs(t, err, telemed.ErrInvalid, address)
	}
	require.Empty(t, fake.Messages())
}

// Text is free, however much it looks like something else.
func TestTextIsData(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(*smtp.Config){"chunks": nil, "data": func(cfg *smtp.Config) { cfg.DisableChunking = true }} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake, client := pair(t, smtptest.Config{}, edit)
			for _, text := range []string{"x\r\n.\r\nMAIL FROM:<y@z.example>\r\n", "x\n.\n.\r\n", "\x00\x01\x7f", ".", "=\r\n=20", "\r\r\n\n"} {
				msg := message("text " + text)
				msg.Content.Text = text
				_, err := client.Notify(t.Context(), msg)
				require.NoError(t, err)
				all := fake.Messages()
				same(t, msg, all[len(all)-1])
			}
		})
	}
}

func TestMessageID(t *testing.T) {
	t.Parallel()
	_, client := pair(t, smtptest.Config{}, nil)
	id := func(edit func(*notify.Message)) string {
		msg := message("appt-42/confirmed")
		edit(&msg)
		receipt, err := client.Notify(t.Context(), msg)
		require.NoError(t, err)
		return receipt.ID
	}
	first := id(func(*notify.Message) {})
	require.Equal(t, first, id(func(m *notify.Message) { m.Content.Subject = "Reworded"; m.To.Email = "ASHA@example.org" }))
	require.NotEqual(t, first, id(func(m *notify.Message) { m.Key = "appt-43/confirmed" }))
	require.NotEqual(t, first, id(func(m *notify.Message) { m.To.Email = "ravi@example.org" }))
	require.Regexp(t, `^<[a-z2-7]{32}@clinic\.example>$`, first)
	require.NotContains(t, first, "42")
}

func TestAddressBeyondASCII(t *testing.T) {
	t.Parallel()
	msg := message("eai")
	msg.To.Email = "आशा@उदाहरण.भारत"

	fake, client := pair(t, smtptest.Config{}, nil)
	_, err := client.Notify(t.Context(), msg)
	require.NoError(t, err)
	require.Equal(t, []string{msg.To.Email}, fake.Messages()[0].Recipients)
	require.Equal(t, msg.To.Email, fake.Messages()[0].To[0].Address)

	fake, client = pair(t, smtptest.Config{NoSMTPUTF8: true}, nil)
	_, err = client.Notify(t.Context(), msg)
	require.ErrorIs(t, err, notify.ErrRecipient)
	require.Empty(t, fake.Messages())
	_, err = client.Notify(t.Context(), message("ascii"))
	require.NoError(t, err)
}

func TestTooLarge(t *testing.T) {
	t.Parallel()
	server := startRaw(t, func(s *rawServer) { s.extensions = []string{"SIZE 2000"} })
	client := newClient(t, server.addr(), plaintext)
	msg := message("large")
	msg.Content.Text = strings.Repeat("long ", 1000)
	_, err := client.Notify(t.Context(), msg)
	require.ErrorIs(t, err, telemed.ErrInvalid)
	field, ok := errors.AsType[*telemed.FieldError](err)
	require.True(t, ok)
	require.Equal(t, "Content", field.Field)
	for _, command := range server.seen() {
		require.NotContains(t, command, "MAIL")
	}
	_, err = client.Notify(t.Context(), message("small"))
	require.NoError(t, err)
}

type renderer func(notify.Message) (*notify.Content, error)

func (f renderer) Render(msg notify.Message) (*notify.Content, error) { return f(msg) }

func TestRenderer(t *testing.T) {
	t.Parallel()
	templated := message("rendered")
	templated.Content, templated.Template = nil, "appointment_confirmed"
	broken := errors.New("no such template")
	for name, c := range map[string]struct {
		renderer notify.Renderer
		want     error
	}{
		"none": {nil, telemed.ErrInvalid},
		"good": {renderer(func(m notify.Message) (*notify.Content, error) {
			return &notify.Content{Subject: m.Template, Text: "x"}, nil
		}), nil},
		"failing": {renderer(func(notify.Message) (*notify.Content, error) { return nil, broken }), broken},
		"nothing": {renderer(func(notify.Message) (*notify.Content, error) { return nil, nil }), telemed.ErrInvalid},
		"two-line subject": {renderer(func(notify.Message) (*notify.Content, error) {
			return &notify.Content{Subject: "a\r\nBcc: b@c.example", Text: "x"}, nil
		}), telemed.ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake, client := pair(t, smtptest.Config{}, func(cfg *smtp.Config) { cfg.Renderer = c.renderer })
			_, err := client.Notify(t.Context(), templated)
			require.ErrorIs(t, err, c.want)
			if c.want == nil {
				require.Equal(t, "appointment_confirmed", fake.Messages()[0].Subject)
			} else {
				require.Empty(t, fake.Messages())
			}
		})
	}
}

// FuzzNotify sends whatever passes the checks to a strict server, which must
// read exactly that; the rest must be ErrInvalid.
func FuzzNotify(f *testing.F) {
	f.Add("Asha Rao", "asha@example.org", "Confirmed", "Dear Asha", "<p>Dear Asha</p>", "a.pdf", "application/pdf", []byte("x"))
	f.Add("x\r\nBcc: y", "a\r\n@b.example", "a\r\nb", ".\r\n", "\r\n.\r\n", "a\"b", "text/calendar; method=REQUEST", []byte(invite))
	f.Add("आशा", "आशा@example.org", "=?utf-8?q?x?=", "\x00", "", "क.txt", "text/plain; charset=\"x y\"", []byte(nil))
	f.Add(`"`, "a@b", " a ", " ", " ", " ", "text/x; name*=utf-8''%0D%0A", []byte("\r"))
	fake, client := pair(f, smtptest.Config{}, plaintext)
	f.Fuzz(func(t *testing.T, name, email, subject, text, html, file, kind string, data []byte) {
		msg := notify.Message{
			Key: "fuzz", To: notify.Recipient{Name: name, Email: email},
			Content: &notify.Content{Subject: subject, Text: text, HTML: html, Files: []notify.File{{Name: file, ContentType: kind, Data: data}}},
		}
		fake.Reset()
		_, err := client.Notify(t.Context(), msg)
		all := fake.Messages()
		if err != nil {
			require.ErrorIs(t, err, telemed.ErrInvalid)
			require.Empty(t, all)
			return
		}
		require.Len(t, all, 1)
		got := all[0]
		got.Calendar = ""
		msg.Content.Files[0].ContentType = ""
		same(t, msg, got)
	})
}

// The server takes mail without these, but what we send has each of them once.
func TestHeaderIsWhole(t *testing.T) {
	t.Parallel()
	fake, client := pair(t, smtptest.Config{}, nil)
	_, err := client.Notify(t.Context(), message("whole"))
	require.NoError(t, err)
	require.NoError(t, fake.Messages()[0].Check())
}

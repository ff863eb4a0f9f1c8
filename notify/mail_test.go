package notify_test

import (
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/notify"
)

func wholeMail() notify.Message {
	return notify.Message{
		Key: "k", To: notify.Recipient{Email: "asha@example.org"},
		Content: &notify.Content{Subject: "s", Text: "t", HTML: `<img src="cid:logo">`, Files: []notify.File{
			{Name: "logo.png", ContentType: "image/png", Data: []byte("x"), ContentID: "logo"},
			{Name: "scan.pdf", ContentType: "application/pdf", Size: 3, Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("pdf")), nil }},
		}},
		Mail: &notify.Mail{
			Cc: []notify.Recipient{{Name: "Ravi", Email: "ravi@example.org"}}, Bcc: []notify.Recipient{{Email: "file@clinic.example"}},
			ReplyTo: notify.Recipient{Name: "Desk", Email: "desk@clinic.example"}, BounceTo: "bounce+1@clinic.example",
			Unsubscribe: []string{"https://clinic.example/u?t=1", "mailto:stop@clinic.example?subject=stop"}, OneClick: true,
			Header: map[string]string{"X-Visit": "दौरा", "Feedback-ID": "a:b:c:clinic", "auto-submitted": "auto-replied", "X-JSON": `{"a":"b"}`},
		},
	}
}

// What is wrong with a mail is named by its field, whole and before any network.
func TestMailValidate(t *testing.T) {
	t.Parallel()
	require.NoError(t, wholeMail().Validate(notify.Email))
	header := func(name, value string) func(*notify.Message) {
		return func(m *notify.Message) { m.Mail.Header = map[string]string{name: value} }
	}
	cases := map[string][]func(*notify.Message){
		"Mail.Cc[0].Email":   {func(m *notify.Message) { m.Mail.Cc[0].Email = "" }, func(m *notify.Message) { m.Mail.Cc[0].Email = "a@b>\r\nRCPT" }},
		"Mail.Cc[0].Name":    {func(m *notify.Message) { m.Mail.Cc[0].Name = "x\r\nBcc: y" }},
		"Mail.Bcc[0].Email":  {func(m *notify.Message) { m.Mail.Bcc[0].Email = "a@b.example,c@d.example" }},
		"Mail.Bcc":           {func(m *notify.Message) { m.Mail.Bcc = many(99) }},
		"Mail.ReplyTo.Email": {func(m *notify.Message) { m.Mail.ReplyTo.Email = "" }, func(m *notify.Message) { m.Mail.ReplyTo.Email = "x" }},
		"Mail.ReplyTo.Name":  {func(m *notify.Message) { m.Mail.ReplyTo.Name = "\x00" }},
		"Mail.BounceTo":      {func(m *notify.Message) { m.Mail.BounceTo = "a b@c.example" }, func(m *notify.Message) { m.Mail.BounceTo = "a@b.example> X" }},
		"Mail.Unsubscribe": {func(m *notify.Message) {
			m.Mail.Unsubscribe = append(m.Mail.Unsubscribe, "mailto:a@b.example", "mailto:c@b.example", "mailto:d@b.example")
		}},
		"Mail.OneClick": {
			func(m *notify.Message) { m.Mail.Unsubscribe = nil },
			func(m *notify.Message) { m.Mail.Unsubscribe = m.Mail.Unsubscribe[1:] },
			func(m *notify.Message) { m.Mail.Unsubscribe[1] = "https://clinic.example/v" },
		},
		"Content.Files[0].ContentID": {
			func(m *notify.Message) { m.Content.Files[0].ContentID = "a>\r\nX: y" },
			func(m *notify.Message) { m.Content.HTML = "" },
		},
		"Content.Files[1].ContentID": {func(m *notify.Message) { m.Content.Files[1].ContentID = "logo" }},
		"Content.Files[1].Data":      {func(m *notify.Message) { m.Content.Files[1].Data = []byte("x") }},
		"Content.Files[1].Size":      {func(m *notify.Message) { m.Content.Files[1].Size = -1 }, func(m *notify.Message) { m.Content.Files[1].Size = 1 << 62 }},
		"Content.Files[1].Open":      {func(m *notify.Message) { m.Content.Files[1].Open = nil }},
		"Mail.Header[X-A]": {
			header("X-A", ""), header("X-A", " "), header("X-A", "a\r\nBcc: b"), header("X-A", "a\nb"), header("X-A", "a\x00"),
			header("X-A", "\xff"), header("X-A", strings.Repeat("a", 901)), header("X-A", "a\u2028b"),
		},
		"Mail.Header[References]": {header("References", "<ä@b>"), header("References", "=?utf-8?q?x?="), header("References", " <a@b>"), header("References", "a  b")},
	}
	for _, uri := range []string{"", "http://clinic.example", "https://", "https://u:p@clinic.example", "javascript:x", "https://a.example/\r\nBcc: x", "https://a.example/>", "https://a.example/a,b", "https://ä.example", "mailto:x", "mailto:", "https://a.example/" + strings.Repeat("a", 900)} {
		cases["Mail.Unsubscribe[1]"] = append(cases["Mail.Unsubscribe[1]"], func(m *notify.Message) { m.Mail.Unsubscribe[1] = uri })
	}
	for _, name := range []string{
		"From", "to", "CC", "bcc", "Bcc", "Reply-To", "Sender", "Return-Path", "Subject", "DATE", "message-id", "Mime-Version", "Content-Type", "content-disposition",
		"Content-Transfer-Encoding", "List-Unsubscribe", "list-unsubscribe-post", "DKIM-Signature", "ARC-Seal", "Received", "Resent-To", "Authentication-Results",
		"", "X", "X-", "X-A ", " X-A", "X A", "X-A:", "X-A\r\nBcc", "X-Ä", "X-" + strings.Repeat("a", 39), "Organization\n",
	} {
		cases["Mail.Header"] = append(cases["Mail.Header"], header(name, "x"))
	}
	for field, edits := range cases {
		for i, edit := range edits {
			msg := wholeMail()
			edit(&msg)
			err := msg.Validate(notify.Email)
			require.ErrorIs(t, err, telemed.ErrInvalid, "%s %d", field, i)
			require.Len(t, telemed.Fields(err), 1, "%s %d: %v", field, i, err)
			require.Equal(t, field, telemed.Fields(err)[0].Field, i)
		}
	}
	twice := wholeMail()
	twice.Mail.Header = map[string]string{"X-A": "1", "x-a": "2"}
	require.ErrorIs(t, twice.Validate(notify.Email), telemed.ErrInvalid)
	other := wholeMail()
	other.Mail.Cc[0].Email, other.To.Phone = "", "+919876543210"
	other.Content.WhatsApp = &notify.WhatsAppTemplate{Name: "a", Language: "en"}
	require.NoError(t, other.Validate(notify.WhatsApp), "another channel does not look at it")
}

func many(n int) []notify.Recipient {
	all := make([]notify.Recipient, n)
	for i := range all {
		all[i].Email = "a@b.example"
	}
	return all
}

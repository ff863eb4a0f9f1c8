package smtp_test

import (
	"bytes"
	"encoding/base64"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/smtp/smtptest"
)

// leaves reads a mail as a program of another hand would: the type of each part, with those
// that it is in, and what it says.
func leaves(t *testing.T, raw []byte) (kinds []string, contents []string) {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	require.NoError(t, err)
	var walk func(within string, header func(string) string, body io.Reader)
	walk = func(within string, header func(string) string, body io.Reader) {
		kind, params, err := mime.ParseMediaType(header("Content-Type"))
		require.NoError(t, err)
		if strings.HasPrefix(kind, "multipart/") {
			parts := multipart.NewReader(body, params["boundary"])
			for {
				part, err := parts.NextRawPart()
				if err == io.EOF {
					return
				}
				require.NoError(t, err)
				walk(within+strings.TrimPrefix(kind, "multipart/")+" ", part.Header.Get, part)
			}
		}
		switch header("Content-Transfer-Encoding") {
		case "base64":
			body = base64.NewDecoder(base64.StdEncoding, body)
		case "quoted-printable":
			body = quotedprintable.NewReader(body)
		default:
			t.Errorf("%s is not encoded", kind)
		}
		content, err := io.ReadAll(body)
		require.NoError(t, err)
		kinds = append(kinds, within+kind)
		contents = append(contents, strings.ReplaceAll(string(content), "\r\n", "\n"))
	}
	walk("", m.Header.Get, m.Body)
	return kinds, contents
}

// Parts lie in each other as RFC 2046 wants it, with no multipart of a single one.
func TestParts(t *testing.T) {
	t.Parallel()
	fake, client := pair(t, smtptest.Config{}, nil)
	const text, html, invitation = "text/plain", "text/html", "text/calendar"
	file := notify.File{Name: "a.pdf", ContentType: "application/pdf", Data: []byte("%PDF")}
	image := notify.File{Name: "l.png", ContentType: "image/png", Data: []byte("png"), ContentID: "l"}
	event := notify.File{Name: "i.ics", ContentType: "text/calendar; method=REQUEST", Data: []byte(invite)}
	for name, c := range map[string]struct {
		html  string
		files []notify.File
		want  []string
	}{
		"text":     {"", nil, []string{text}},
		"html":     {"<p>", nil, []string{"alternative " + text, "alternative " + html}},
		"a file":   {"", []notify.File{file}, []string{"mixed " + text, "mixed application/pdf"}},
		"an image": {"<p>", []notify.File{image}, []string{"related alternative " + text, "related alternative " + html, "related image/png"}},
		"event":    {"", []notify.File{event}, []string{"mixed alternative " + text, "mixed alternative " + invitation, "mixed " + invitation}},
		"all": {"<p>", []notify.File{file, image, event}, []string{
			"mixed related alternative " + text, "mixed related alternative " + html, "mixed related alternative " + invitation,
			"mixed related image/png", "mixed application/pdf", "mixed " + invitation,
		}},
	} {
		msg := message(name)
		msg.Content = &notify.Content{Subject: "S", Text: "text", HTML: c.html, Files: c.files}
		receipt, err := client.Notify(t.Context(), msg)
		require.NoError(t, err)
		got, err := fake.WaitFor(t.Context(), func(m smtptest.Message) bool { return "<"+m.ID+">" == receipt.ID })
		require.NoError(t, err)
		kinds, _ := leaves(t, got.Raw)
		require.Equal(t, c.want, kinds, name)
		require.True(t, bytes.HasSuffix(got.Raw, []byte("\r\n")))
	}
}

// Whoever knows the boundaries of a mail cannot end a part in it: a mail with the same key
// has them again.
func TestNoTextEndsAPart(t *testing.T) {
	t.Parallel()
	fake, client := pair(t, smtptest.Config{}, nil)
	first := withFiles("boundaries")
	_, err := client.Notify(t.Context(), first)
	require.NoError(t, err)
	raw := string(fake.Messages()[0].Raw)
	_, after, ok := strings.Cut(raw, `boundary="`)
	require.True(t, ok)
	boundary, _, _ := strings.Cut(after, `"`)
	token := strings.TrimSuffix(boundary, "1")
	require.NotEqual(t, boundary, token)

	var evil strings.Builder
	for _, number := range []string{"1", "2", "3"} {
		for _, end := range []string{"", "--"} {
			evil.WriteString("--" + token + number + end + "\nContent-Type: text/html\n\n<p>evil</p>\n")
		}
	}
	hindi := evil.String() + strings.Repeat("क", evil.Len())
	for _, text := range []string{evil.String(), hindi} {
		msg := withFiles("boundaries")
		msg.Content.Text, msg.Content.HTML = text, text
		msg.Content.Files[0].Data = []byte(text)
		_, err := client.Notify(t.Context(), msg)
		require.NoError(t, err)
		got := fake.Messages()[len(fake.Messages())-1].Raw
		require.Contains(t, string(got), `boundary="`+boundary+`"`)
		_, contents := leaves(t, got)
		want := []string{text, text, text, text, string(msg.Content.Files[1].Data)}
		require.Len(t, contents, len(want))
		for i := range want {
			require.True(t, strings.TrimSuffix(want[i], "\n") == strings.TrimSuffix(contents[i], "\n"), "part %d", i)
		}
	}
}

package smtp_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/smtp/smtptest"
)

// What mailparser reads in a mail.
type parsed struct {
	To, Cc, Bcc, ReplyTo []struct{ Name, Email string }
	Subject, Text, HTML  string
	Unsubscribe          struct{ URL, Mail string }
	Own                  string
	Files                []struct {
		Name, Type, CID string
		Related         bool
		Data            []byte
	}
}

// TestMailparser: a parser that is not ours reads each mail as it was meant, and sees no Bcc.
func TestMailparser(t *testing.T) {
	t.Parallel()
	if os.Getenv("TELEMED_NODE_MODULES") == "" {
		t.Skip("TELEMED_NODE_MODULES is not set: it names a node_modules folder that holds mailparser. " +
			"With it this test proves that npm's mailparser reads the mails as they were meant")
	}
	fake, client := pair(t, smtptest.Config{}, nil)
	scan := &source{size: 100_000}
	whole := opened("whole", scan, 100_000)
	whole.Content.Subject, whole.Content.HTML = "आपकी मुलाक़ात की पुष्टि हो गई है", `<p>सोमवार <img src="cid:logo@clinic"></p>`
	whole.Content.Files = append(whole.Content.Files,
		notify.File{Name: "लोगो.png", ContentType: "image/png", Data: []byte("\x89PNG"), ContentID: "logo@clinic"},
		notify.File{Name: "invite.ics", ContentType: "text/calendar; method=REQUEST", Data: []byte(invite)})
	whole.Mail = withCopies("x").Mail
	whole.Mail.ReplyTo = notify.Recipient{Name: `Desk, "Ward" 2`, Email: "desk@clinic.example"}
	whole.Mail.Unsubscribe, whole.Mail.OneClick = []string{"https://clinic.example/u?t=1", "mailto:stop@clinic.example"}, true
	whole.Mail.Header = map[string]string{"X-Visit": strings.Repeat("दौरा ", 40) + "1"}
	for _, msg := range []notify.Message{message("plain"), whole} {
		_, err := client.Notify(t.Context(), msg)
		require.NoError(t, err)
		all := fake.Messages()
		got := parseMail(t, all[len(all)-1].Raw)
		require.Equal(t, msg.Content.Subject, got.Subject)
		require.Equal(t, strings.TrimSpace(msg.Content.Text), strings.TrimSpace(got.Text))
		require.Equal(t, msg.Content.HTML, strings.TrimSpace(got.HTML))
		require.Equal(t, msg.To.Email, got.To[0].Email)
		require.Empty(t, got.Bcc)
		if msg.Mail == nil {
			require.Empty(t, got.Files)
			continue
		}
		require.Len(t, got.Cc, 3)
		require.Equal(t, "रवि", got.Cc[0].Name)
		require.Equal(t, msg.Mail.ReplyTo.Name, got.ReplyTo[0].Name)
		require.Equal(t, msg.Mail.Unsubscribe[0], got.Unsubscribe.URL)
		require.Equal(t, "stop@clinic.example", got.Unsubscribe.Mail)
		require.Equal(t, msg.Mail.Header["X-Visit"], decoded(t, got.Own), "mailparser decodes only the headers it knows")
		files := map[string]string{}
		for _, file := range got.Files {
			files[file.Name] = string(file.Data)
			require.Equal(t, file.Name == "लोगो.png", file.Related && file.CID == "logo@clinic", file.Name)
		}
		require.Equal(t, "\x89PNG", files["लोगो.png"])
		require.Equal(t, invite, files["invite.ics"])
		require.Len(t, files["scan.pdf"], scan.size)
	}
}

func parseMail(t *testing.T, raw []byte) parsed {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "node", filepath.Join("testdata", "mailparser.mjs"))
	cmd.Stdin, cmd.Stderr = bytes.NewReader(raw), os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err)
	var got parsed
	require.NoError(t, json.Unmarshal(out, &got))
	return got
}

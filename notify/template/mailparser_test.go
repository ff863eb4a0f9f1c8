package template_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/smtp"
	"github.com/telemed-go/telemed/notify/smtp/smtptest"
)

// TestMailparser: a mail parser that is not ours reads every template's mail, in each
// language, as its words are, with the invitation if it has one.
func TestMailparser(t *testing.T) {
	t.Parallel()
	if os.Getenv("TELEMED_NODE_MODULES") == "" {
		t.Skip("TELEMED_NODE_MODULES is not set: it names a node_modules folder that holds mailparser. " +
			"With it this test proves that npm's mailparser reads every template's mail")
	}
	set, fake := newSet(t, config()), smtptest.NewServer(t)
	client, err := smtp.New(smtp.Config{Addr: fake.Addr(), From: "City Clinic <care@clinic.example>", TLS: fake.ClientTLS()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Shutdown(context.Background())) })
	folder, args, wants := t.TempDir(), []string{filepath.Join("testdata", "mailparser.mjs")}, []*notify.Content{}
	for _, name := range set.Names() {
		for _, locale := range []string{"en", "hi"} {
			msg := message(name, locale, dataFor(name))
			msg.To.Email = "asha@example.org"
			msg.Content = render(t, set, msg)
			wants = append(wants, msg.Content)
			_, err := client.Notify(t.Context(), msg)
			require.NoError(t, err)
			file := filepath.Join(folder, name+"."+locale)
			require.NoError(t, os.WriteFile(file, fake.Messages()[len(wants)-1].Raw, 0o600))
			args = append(args, file)
		}
	}
	cmd := exec.CommandContext(t.Context(), "node", args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err)
	lines := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
	require.Len(t, lines, len(wants))
	for i, line := range lines {
		var got struct {
			Subject, Text, HTML string
			Files               []struct {
				Type string
				Data []byte
			}
		}
		require.NoError(t, json.Unmarshal(line, &got), args[i+1])
		require.Equal(t, wants[i].Subject, got.Subject, args[i+1])
		require.Equal(t, strings.TrimSpace(wants[i].Text), strings.TrimSpace(got.Text), args[i+1])
		require.Equal(t, strings.TrimSpace(wants[i].HTML), strings.TrimSpace(got.HTML), args[i+1])
		require.Equal(t, len(wants[i].Files) == 0, len(got.Files) == 0, args[i+1])
		for _, file := range got.Files {
			require.Equal(t, "text/calendar", file.Type, args[i+1])
			require.Equal(t, string(wants[i].Files[0].Data), string(file.Data), args[i+1])
		}
	}
}

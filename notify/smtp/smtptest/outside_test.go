package smtptest_test

import (
	"context"
	"net"
	"net/smtp"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/notify/smtp/smtptest"
)

// Go's own client adds nothing to what it is given, and real servers take that.
func TestTakesWhatNetSMTPSends(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ mail, text string }{
		"no Subject":    {"From: a@clinic.example\r\nTo: b@example.org\r\n\r\nHello\r\n", "Hello\n"},
		"no header":     {"\r\nHello\r\n", "Hello\n"},
		"8-bit UTF-8":   {"Subject: s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nनमस्ते\r\n", "नमस्ते\n"},
		"8-bit Latin-1": {"Subject: s\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGr\xfc\xdfe\r\n", "Grüße\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := smtptest.NewServer(t, smtptest.Config{NoStartTLS: true})
			require.NoError(t, smtp.SendMail(server.Addr(), nil, "a@clinic.example", []string{"b@example.org"}, []byte(c.mail)))
			require.Len(t, server.Messages(), 1)
			require.Equal(t, c.text, server.Messages()[0].Text)
		})
	}
}

// Python's smtplib sends a text of Latin-1 as it is where 8BITMIME is offered.
func TestTakesWhatSmtplibSends(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not there")
	}
	server := smtptest.NewServer(t, smtptest.Config{NoStartTLS: true})
	runOutside(t, server, python, "testdata/smtplib_send.py")
	mails := server.Messages()
	require.Len(t, mails, 3)
	require.Equal(t, "Hello\n", mails[0].Text)
	require.Equal(t, "नमस्ते\n", mails[1].Text)
	require.Equal(t, "Grüße\n", mails[2].Text)
}

func TestTakesWhatNodemailerSends(t *testing.T) {
	t.Parallel()
	if os.Getenv("TELEMED_NODE_MODULES") == "" {
		t.Skip("TELEMED_NODE_MODULES is not set: it names a node_modules folder that holds nodemailer")
	}
	server := smtptest.NewServer(t, smtptest.Config{NoStartTLS: true})
	runOutside(t, server, "node", "testdata/nodemailer_send.cjs")
	mails := server.Messages()
	require.Len(t, mails, 3)
	require.Empty(t, mails[0].Subject)
	require.Equal(t, "Grüße\n", mails[1].Text)
	require.Equal(t, "रिपोर्ट", mails[2].Subject)
	require.Len(t, mails[2].Files, 1)
	require.NoError(t, mails[2].Check())
}

// runOutside runs another program's client, which is told host and port of the server.
func runOutside(t *testing.T, server *smtptest.Server, program, script string) {
	t.Helper()
	host, port, err := net.SplitHostPort(server.Addr())
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, script, host, port).CombinedOutput()
	require.NoError(t, err, string(out))
}

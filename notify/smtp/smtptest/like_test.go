package smtptest_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/smtp"
	"github.com/telemed-go/telemed/notify/smtp/smtptest"
)

var likes = map[string]smtptest.Like{
	"none": 0, "Postfix": smtptest.LikePostfix, "Exim": smtptest.LikeExim, "smtp-server": smtptest.LikeSMTPServer,
}

// TestLike: what the client makes of each server's own words. That they are its words,
// TestMailLike of internal/integration asks the servers themselves.
func TestLike(t *testing.T) {
	t.Parallel()
	for name, like := range likes {
		for _, hide := range [][]string{nil, {"CHUNKING"}, {"PIPELINING"}, {"CHUNKING", "PIPELINING", "8BITMIME"}} {
			t.Run(name+"/without "+strings.Join(hide, " "), func(t *testing.T) {
				t.Parallel()
				server := smtptest.NewServer(t, smtptest.Config{
					Like: like, Hide: hide, Username: "care", Password: "letmein", MaxMessageBytes: 20_000, NoSMTPUTF8: true,
				})
				server.RejectRecipient("gone@example.org")
				client := newClient(t, server, "letmein")
				for range 2 { // the second time on a connection that has taken mail
					refusedBy(t, client, "gone@example.org", "text", notify.ErrRecipient)
					refusedBy(t, client, "asha@example.org", strings.Repeat("text ", 5000), telemed.ErrInvalid)
					refusedBy(t, client, "आशा@example.org", "text", notify.ErrRecipient)
					server.Reset()
					_, err := client.Notify(t.Context(), message())
					require.NoError(t, err)
					require.Len(t, server.Messages(), 1)
				}
				_, err := newClient(t, server, "wrong").Notify(t.Context(), message())
				require.ErrorIs(t, err, telemed.ErrUnauthorized)
			})
		}
		t.Run(name+"/greylisted", func(t *testing.T) {
			t.Parallel()
			server := smtptest.NewServer(t, smtptest.Config{Like: like, Greylist: true})
			client := newClient(t, server, "any")
			_, err := client.Notify(t.Context(), message())
			var e *smtp.Error
			require.ErrorAs(t, err, &e)
			require.True(t, e.Temporary(), e)
			_, err = client.Notify(t.Context(), message())
			require.NoError(t, err)
		})
	}
}

func refusedBy(t *testing.T, client *smtp.Client, to, text string, want error) {
	t.Helper()
	msg := message()
	msg.To.Email, msg.Content.Text = to, text
	_, err := client.Notify(t.Context(), msg)
	require.ErrorIs(t, err, want)
}

// converse says lines in the clear and returns the first line of each reply, "gone" for none.
func converse(t *testing.T, server *smtptest.Server, lines ...string) []string {
	t.Helper()
	nc, err := server.Dial(t.Context(), "tcp", server.Addr())
	require.NoError(t, err)
	defer func() { _ = nc.Close() }()
	r := bufio.NewReader(nc)
	replies := []string{listen(r)}
	for _, line := range lines {
		_, _ = io.WriteString(nc, line) // the reply decides
		replies = append(replies, listen(r))
	}
	return replies
}

func listen(r *bufio.Reader) string {
	first := ""
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return "gone"
		}
		if first == "" {
			first = strings.TrimRight(line, "\r\n")
		}
		if line[3] == ' ' {
			return first
		}
	}
}

// A server says goodbye to who is silent for too long, and the client begins anew.
func TestIdle(t *testing.T) {
	t.Parallel()
	for name, like := range likes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server := smtptest.NewServer(t, smtptest.Config{InMemory: true, Like: like, IdleTimeout: 5 * time.Minute})
				begin := time.Now()
				said := converse(t, server, "EHLO a.example\r\n", "", "")
				require.Equal(t, []string{"421", "gone"}, []string{said[2][:3], said[3]})
				require.GreaterOrEqual(t, time.Since(begin), 5*time.Minute)

				client, err := smtp.New(smtp.Config{
					Addr: server.Addr(), From: "care@clinic.example", TLS: server.ClientTLS(), Dial: server.Dial, IdleTimeout: time.Hour,
				})
				require.NoError(t, err)
				for range 2 {
					_, err = client.Notify(t.Context(), message())
					require.NoError(t, err)
					time.Sleep(10 * time.Minute)
				}
				require.Equal(t, 3, server.Connections())
				require.NoError(t, client.Shutdown(context.Background()))
			})
		})
	}
}

// Nothing ends a message but a dot on a line of its own, between CRLF (the rest is how
// another message is smuggled in), and of dots in front of lines one is taken away.
func TestDots(t *testing.T) {
	t.Parallel()
	server := smtptest.NewServer(t, smtptest.Config{NoStartTLS: true})
	begin := []string{"EHLO a.example\r\n", "MAIL FROM:<a@b.example>\r\n", "RCPT TO:<c@d.example>\r\n", "DATA\r\n"}
	said := converse(t, server, append(begin, "Subject: s\r\n\r\n..\r\n...x\r\n"+strings.Repeat("y", 900)+"\r\n.\r\n")...)
	require.Equal(t, "250", said[5][:3])
	require.Equal(t, ".\n..x\n"+strings.Repeat("y", 900)+"\n", server.Messages()[0].Text)
	for _, end := range []string{"\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r"} {
		said = converse(t, server, append(begin, "Subject: s\r\n\r\nt"+end+"MAIL FROM:<x@y.example>\r\n.\r\n")...)
		require.Equal(t, "554", said[5][:3], "%q is part of the message, which then has a bare line feed", end)
	}
	require.Len(t, server.Messages(), 1)
}

// A chunk that is refused is swallowed all the same, and what it holds is never a command.
func TestRefusedChunks(t *testing.T) {
	t.Parallel()
	for name, like := range likes {
		if like == smtptest.LikeSMTPServer { // it does not know the command
			continue
		}
		server := smtptest.NewServer(t, smtptest.Config{NoStartTLS: true, Like: like, MaxMessageBytes: 10})
		said := converse(t, server, "EHLO a.example\r\n", "BDAT 6 LAST\r\nQUIT\r\n", "MAIL FROM:<a@b.example>\r\n",
			"BDAT 6\r\nQUIT\r\n", "RCPT TO:<c@d.example>\r\n", "BDAT 12 LAST\r\nQUIT\r\nQUIT\r\n", "NOOP\r\n")
		for i, want := range []string{"220", "250", "503", "250", "5", "250", "552", "250"} {
			require.Equal(t, want, said[i][:len(want)], "%s: %d", name, i)
		}
		require.Empty(t, server.Messages())
	}
}

// A line has its limit, and nothing that a client says stops the server.
func TestNonsense(t *testing.T) {
	t.Parallel()
	for name, like := range likes {
		server := smtptest.NewServer(t, smtptest.Config{Like: like})
		said := converse(t, server, strings.Repeat("x", 20_000))
		require.Regexp(t, "^[45]", said[1], name)
		for _, line := range []string{
			"", " ", "AUTH", "MAIL FROM:<a@b> SIZE=99999999999999999999", "BDAT -1", "BDAT 99999999999999999999", "RCPT TO:<@>", "EHLO", "STARTTLS now",
			"MAIL FROM:<@b.example>", "MAIL FROM:a@b.example",
		} {
			require.Regexp(t, "^[2345]", converse(t, server, "EHLO a.example\r\n", line+"\r\n")[2], "%s: %q", name, line)
		}
		require.Equal(t, "250", converse(t, server, "EHLO a.example\r\n", "NOOP\r\n")[2][:3])
	}
	server := smtptest.NewServer(t)
	nc, err := net.Dial("tcp", server.Addr())
	require.NoError(t, err)
	require.NoError(t, nc.Close())
}

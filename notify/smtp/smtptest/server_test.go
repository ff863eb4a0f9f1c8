package smtptest_test

import (
	"context"
	"crypto/tls"
	gosmtp "net/smtp"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/leaktest"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/smtp"
	"github.com/telemed-go/telemed/notify/smtp/smtptest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

const good = "From: a@b.example\r\nTo: asha@example.org\r\nSubject: =?utf-8?q?caf=C3=A9?=\r\nDate: Mon, 02 Jan 2006 15:04:05 -0700\r\n" +
	"Message-ID: <1@b.example>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nna=C3=AFve\r\n"

// send delivers raw as another client would, the standard library's.
func send(t *testing.T, server *smtptest.Server, raw string) error {
	t.Helper()
	c, err := gosmtp.Dial(server.Addr())
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, c.StartTLS(withName(server.ClientTLS())))
	require.NoError(t, c.Mail("a@b.example"))
	if err := c.Rcpt("asha@example.org"); err != nil {
		return err
	}
	w, err := c.Data()
	require.NoError(t, err)
	_, err = w.Write([]byte(raw))
	require.NoError(t, err)
	return w.Close()
}

func withName(cfg *tls.Config) *tls.Config {
	cfg.ServerName = "127.0.0.1"
	return cfg
}

func TestKeepsWhatItReceives(t *testing.T) {
	t.Parallel()
	server := smtptest.NewServer(t)
	require.NoError(t, send(t, server, good))
	got, err := server.WaitFor(t.Context(), smtptest.To("ASHA@example.org"))
	require.NoError(t, err)
	require.Equal(t, "café", got.Subject)
	require.Equal(t, "naïve\n", got.Text)
	require.Equal(t, "1@b.example", got.ID)
	require.Equal(t, "a@b.example", got.Sender)
	require.True(t, got.TLS)
	require.Equal(t, good, string(got.Raw))
	server.Reset()
	require.Empty(t, server.Messages())
}

func TestRefusesWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	server := smtptest.NewServer(t, smtptest.Config{NoSMTPUTF8: true})
	for name, edit := range map[string][2]string{
		"long line":       {"na=C3=AFve", strings.Repeat("x", 999)},
		"eight bits":      {"na=C3=AFve", "naïve"},
		"NUL":             {"na=C3=AFve", "\x00"},
		"bad date":        {"Date: Mon", "Date: Someday"},
		"two subjects":    {"Subject: ", "Subject: x\r\nSubject: "},
		"bad sender":      {"From: a@b.example", "From: @"},
		"bad recipient":   {"To: asha@", "To: @"},
		"8 bits, as 7":    {"quoted-printable\r\n\r\nna=C3=AFve", "7bit\r\n\r\nnaïve"},
		"8-bit header":    {"=?utf-8?q?caf=C3=A9?=", "café"},
		"other charset":   {"charset=utf-8", "charset=us-ascii"},
		"no content type": {"Content-Type: text/plain", "Content-Type: "},
		"not UTF-8":       {"na=C3=AFve", "na=FFve"},
		"bad encoding":    {"quoted-printable", "base64"},
		"open multipart":  {"text/plain; charset=utf-8", "multipart/mixed; boundary=x"},
		"no header":       {"From: a@b.example", "no header"},
	} {
		err := send(t, server, strings.Replace(good, edit[0], edit[1], 1))
		var refused *textproto.Error
		require.ErrorAs(t, err, &refused, name)
		require.Equal(t, 554, refused.Code, name)
	}
	require.Empty(t, server.Messages())
}

// What a server takes may still be less than an application should send.
func TestCheck(t *testing.T) {
	t.Parallel()
	server := smtptest.NewServer(t)
	require.NoError(t, send(t, server, good))
	require.NoError(t, server.Messages()[0].Check())
	for _, name := range []string{"From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type"} {
		server.Reset()
		mail := strings.Replace(good, "na=C3=AFve", "naive", 1)
		require.NoError(t, send(t, server, strings.Replace(mail, name+": ", "X-"+name+": ", 1)), name)
		require.ErrorContains(t, server.Messages()[0].Check(), "header "+textproto.CanonicalMIMEHeaderKey(name), name)
	}
	server.Reset()
	eight := strings.Replace(good, "quoted-printable\r\n\r\nna=C3=AFve", "8bit\r\n\r\nnaïve", 1)
	require.NoError(t, send(t, server, eight))
	require.ErrorContains(t, server.Messages()[0].Check(), "beyond ASCII")
}

// TestTakesWhatItAnnounces: 8BITMIME, and mail of programs that write less of a header.
func TestTakesWhatItAnnounces(t *testing.T) {
	t.Parallel()
	server := smtptest.NewServer(t, smtptest.Config{NoSMTPUTF8: true})
	plain := strings.Replace(good, "na=C3=AFve", "naive", 1)
	for _, test := range []struct{ mail, want string }{
		{strings.Replace(good, "quoted-printable\r\n\r\nna=C3=AFve", "8bit\r\n\r\nनमस्ते", 1), "नमस्ते\n"},
		{strings.Replace(plain, "utf-8\r\nContent-T", "US-ASCII\r\nContent-T", 1), "naive\n"},
		{strings.Replace(plain, "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n", "", 1), "naive\n"},
	} {
		require.NoError(t, send(t, server, test.mail))
		all := server.Messages()
		require.Equal(t, test.want, all[len(all)-1].Text)
	}
	require.Len(t, server.Messages(), 3)
}

func TestFaults(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault smtptest.Fault
		want  error
		kept  int
	}{
		"no service":           {smtptest.Fault{Op: smtptest.OpConnect, Status: 421, Body: "4.3.2 Not now"}, telemed.ErrRateLimited, 0},
		"no connection":        {smtptest.Fault{Op: smtptest.OpConnect, LoseRequest: true}, telemed.ErrUnavailable, 0},
		"login":                {smtptest.Fault{Op: smtptest.OpLogin, Status: 535, Body: "5.7.8 Who is that?"}, telemed.ErrUnauthorized, 0},
		"login, cut":           {smtptest.Fault{Op: smtptest.OpLogin, Cut: true}, telemed.ErrUnavailable, 0},
		"sender":               {smtptest.Fault{Op: smtptest.OpMail, Status: 550, Body: "5.7.1 Sender not permitted"}, telemed.ErrForbidden, 0},
		"too many connections": {smtptest.Fault{Op: smtptest.OpMail, Status: 421, Body: "4.7.0 Too many connections, closing"}, telemed.ErrRateLimited, 0},
		"recipient":            {smtptest.Fault{Op: smtptest.OpRcpt, Status: 550, Body: "5.1.1 User unknown"}, notify.ErrRecipient, 0},
		"greylist":             {smtptest.Fault{Op: smtptest.OpRcpt, Status: 451, Body: "4.7.1 Greylisted"}, telemed.ErrRateLimited, 0},
		"temporary":            {smtptest.Fault{Op: smtptest.OpRcpt, Status: 451, Body: "4.3.0 Temporary lookup failure"}, telemed.ErrUnavailable, 0},
		"message":              {smtptest.Fault{Op: smtptest.OpData, Status: 554, Body: "5.7.1 Spam"}, telemed.ErrForbidden, 0},
		"lost on its way":      {smtptest.Fault{Op: smtptest.OpData, LoseRequest: true}, telemed.ErrAmbiguous, 0},
		"lost answer":          {smtptest.Fault{Op: smtptest.OpData, LoseAnswer: true}, telemed.ErrAmbiguous, 1},
		"cut answer":           {smtptest.Fault{Op: smtptest.OpData, Cut: true}, telemed.ErrAmbiguous, 1},
		"cut refusal":          {smtptest.Fault{Op: smtptest.OpData, Cut: true, Status: 451, Body: "4.3.0 Disk full"}, telemed.ErrAmbiguous, 1},
		"another answer":       {smtptest.Fault{Op: smtptest.OpData, LoseAnswer: true, Status: 451, Body: "4.3.0 Disk full"}, telemed.ErrUnavailable, 1},
		"any":                  {smtptest.Fault{LoseRequest: true}, telemed.ErrUnavailable, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := smtptest.NewServer(t, smtptest.Config{Username: "care", Password: "letmein"})
			server.FailNext(c.fault)
			client := newClient(t, server, "letmein")
			_, err := client.Notify(t.Context(), message())
			require.ErrorIs(t, err, c.want)
			require.Len(t, server.Messages(), c.kept)
			_, err = client.Notify(t.Context(), message())
			require.NoError(t, err, "a fault shows once")
		})
	}
}

func newClient(t *testing.T, server *smtptest.Server, password string) *smtp.Client {
	t.Helper()
	client, err := smtp.New(smtp.Config{
		Addr: server.Addr(), From: "care@clinic.example", TLS: server.ClientTLS(),
		Username: "care", Password: telemed.NewSecret(password),
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Shutdown(context.Background())) })
	return client
}

func message() notify.Message {
	return notify.Message{Key: "k", To: notify.Recipient{Email: "asha@example.org"}, Content: &notify.Content{Subject: "s", Text: "t"}}
}

func TestHangEndsWithClose(t *testing.T) {
	t.Parallel()
	server, err := smtptest.Start(smtptest.Config{})
	require.NoError(t, err)
	server.FailNext(smtptest.Fault{Op: smtptest.OpData, Hang: true})
	client := newClient(t, server, "any")
	done := make(chan error, 1)
	go func() {
		_, err := client.Notify(context.Background(), message())
		done <- err
	}()
	require.Eventually(t, func() bool { return server.Connections() == 1 }, 5*time.Second, time.Millisecond)
	server.Close()
	require.Error(t, <-done)
	server.Close() // again
	require.Empty(t, server.Messages())
}

func TestGreylist(t *testing.T) {
	t.Parallel()
	server := smtptest.NewServer(t, smtptest.Config{Greylist: true})
	client := newClient(t, server, "any")
	_, err := client.Notify(t.Context(), message())
	require.ErrorIs(t, err, telemed.ErrRateLimited)
	_, err = client.Notify(t.Context(), message())
	require.NoError(t, err)
}

func TestWaitForEndsWithItsContext(t *testing.T) {
	t.Parallel()
	server := smtptest.NewServer(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err := server.WaitFor(ctx, smtptest.To("nobody@example.org"))
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestWaitForWhatComesLater(t *testing.T) {
	t.Parallel()
	server := smtptest.NewServer(t)
	client := newClient(t, server, "any")
	sent := make(chan error, 1)
	go func() {
		_, err := client.Notify(context.Background(), message())
		sent <- err
	}()
	got, err := server.WaitFor(t.Context(), smtptest.To("asha@example.org"))
	require.NoError(t, err)
	require.Equal(t, "s", got.Subject)
	require.NoError(t, <-sent)
}

// Reset does not make a WaitFor that is under way overlook the next mail.
func TestWaitForAfterReset(t *testing.T) {
	t.Parallel()
	server := smtptest.NewServer(t)
	require.NoError(t, send(t, server, good))
	looked := make(chan struct{})
	var once sync.Once
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	found := make(chan error, 1)
	go func() {
		_, err := server.WaitFor(ctx, func(m smtptest.Message) bool {
			defer once.Do(func() { close(looked) })
			return m.ID == "2@b.example"
		})
		found <- err
	}()
	<-looked
	server.Reset()
	require.NoError(t, send(t, server, strings.Replace(good, "<1@", "<2@", 1)))
	require.NoError(t, <-found)
}

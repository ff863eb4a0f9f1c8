package smtp_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/notify/smtp"
	"github.com/telemed-go/telemed/notify/smtp/smtptest"
)

func credentials(cfg *smtp.Config) { cfg.Username, cfg.Password = "care", telemed.NewSecret("letmein") }

func TestStartTLSIsRequired(t *testing.T) {
	t.Parallel()
	fake, client := pair(t, smtptest.Config{NoStartTLS: true}, nil)
	_, err := client.Notify(t.Context(), message("clear"))
	require.ErrorIs(t, err, telemed.ErrUnauthorized)
	require.NotErrorIs(t, err, telemed.ErrUnavailable, "no repetition helps")
	require.Contains(t, err.Error(), "STARTTLS")
	require.Empty(t, fake.Messages())
}

// A server that takes passwords in the clear does not get one.
func TestNoCredentialsInTheClear(t *testing.T) {
	t.Parallel()
	for name, security := range map[string]smtp.Security{"required": smtp.StartTLS, "opportunistic": smtp.InsecureOpportunistic} {
		for _, offer := range []string{"AUTH LOGIN", "AUTH PLAIN LOGIN"} {
			t.Run(name+"/"+offer, func(t *testing.T) {
				t.Parallel()
				server := startRaw(t, func(s *rawServer) { s.extensions = []string{offer} })
				client := newClient(t, server.addr(), func(cfg *smtp.Config) { credentials(cfg); cfg.Security = security })
				_, err := client.Notify(t.Context(), message("clear"))
				require.Error(t, err)
				require.Error(t, client.Verify(t.Context()))
				for _, command := range server.seen() {
					require.True(t, strings.HasPrefix(command, "EHLO "), "the client said %q", command)
				}
			})
		}
	}
}

func TestSecurity(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		server smtptest.Config
		edit   func(*smtp.Config)
		want   error // nil: the mail arrives
		tls    bool
	}{
		"starttls":                {smtptest.Config{}, nil, nil, true},
		"implicit":                {smtptest.Config{ImplicitTLS: true}, func(c *smtp.Config) { c.Security = smtp.ImplicitTLS }, nil, true},
		"opportunistic, offered":  {smtptest.Config{}, func(c *smtp.Config) { c.Security = smtp.InsecureOpportunistic; credentials(c) }, nil, true},
		"opportunistic, not":      {smtptest.Config{NoStartTLS: true}, func(c *smtp.Config) { c.Security = smtp.InsecureOpportunistic }, nil, false},
		"plaintext":               {smtptest.Config{}, plaintext, nil, false},
		"login only":              {smtptest.Config{Username: "care", Password: "letmein", Mechanisms: []string{"LOGIN"}}, credentials, nil, true},
		"wrong password":          {smtptest.Config{Username: "care", Password: "other"}, credentials, telemed.ErrUnauthorized, true},
		"wrong password to login": {smtptest.Config{Username: "care", Password: "other", Mechanisms: []string{"LOGIN"}}, credentials, telemed.ErrUnauthorized, true},
		"auth not offered":        {smtptest.Config{Mechanisms: []string{}}, credentials, telemed.ErrUnauthorized, true},
		"unknown mechanisms":      {smtptest.Config{Mechanisms: []string{"CRAM-MD5"}}, credentials, telemed.ErrUnauthorized, true},
		"credentials missing":     {smtptest.Config{Username: "care", Password: "letmein"}, nil, telemed.ErrUnauthorized, true},
		"unknown certificate":     {smtptest.Config{}, func(c *smtp.Config) { c.TLS = nil }, telemed.ErrUnauthorized, true},
		"wrong host":              {smtptest.Config{}, func(c *smtp.Config) { c.TLS.ServerName = "mail.example.org" }, telemed.ErrUnauthorized, true},
		"expired certificate":     {smtptest.Config{}, func(c *smtp.Config) { c.TLS.Time = func() time.Time { return time.Now().AddDate(50, 0, 0) } }, telemed.ErrUnauthorized, true},
		"tls to plaintext port":   {smtptest.Config{}, func(c *smtp.Config) { c.Security = smtp.ImplicitTLS }, telemed.ErrUnauthorized, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake, client := pair(t, c.server, c.edit)
			_, err := client.Notify(t.Context(), message("secure"))
			if c.want != nil {
				require.ErrorIs(t, err, c.want)
				require.NotContains(t, err.Error(), "letmein")
				require.Empty(t, fake.Messages())
				return
			}
			require.NoError(t, err)
			require.NoError(t, client.Verify(t.Context()))
			require.Equal(t, c.tls, fake.Messages()[0].TLS)
		})
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	t.Parallel()
	server := startRaw(t, func(s *rawServer) {
		s.extensions = []string{"STARTTLS"}
		s.tls.MinVersion, s.tls.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	})
	client := newClient(t, server.addr(), func(cfg *smtp.Config) {
		cfg.TLS = server.clientTLS()
		cfg.TLS.MinVersion = tls.VersionTLS10
	})
	require.ErrorIs(t, client.Verify(t.Context()), telemed.ErrUnauthorized)
}

// Answers that somebody slipped in before TLS are not read as the server's.
func TestInjectedAnswers(t *testing.T) {
	t.Parallel()
	server := startRaw(t, func(s *rawServer) {
		s.extensions = []string{"STARTTLS"}
		s.script = script(map[string]string{"starttls": "220 go\r\n250-evil\r\n250 AUTH PLAIN"})
	})
	client := newClient(t, server.addr(), func(cfg *smtp.Config) { credentials(cfg); cfg.TLS = server.clientTLS() })
	_, err := client.Notify(t.Context(), message("injected"))
	require.ErrorIs(t, err, telemed.ErrUnavailable)
	require.Contains(t, err.Error(), "ahead of the TLS handshake")
}

// What is offered before TLS counts for nothing after it.
func TestExtensionsAreAskedForAgain(t *testing.T) {
	t.Parallel()
	server := startRaw(t, func(s *rawServer) {
		s.extensions = []string{"STARTTLS", "AUTH PLAIN", "CHUNKING", "PIPELINING"}
		s.secured = func(int) []string { return []string{"AUTH LOGIN"} }
		s.script = func(_ int, stage string) string {
			if stage == "auth" {
				return "535 5.7.8 no"
			}
			return ""
		}
	})
	client := newClient(t, server.addr(), func(cfg *smtp.Config) { credentials(cfg); cfg.TLS = server.clientTLS() })
	require.ErrorIs(t, client.Verify(t.Context()), telemed.ErrUnauthorized)
	seen := server.seen()
	require.Equal(t, "AUTH LOGIN", seen[len(seen)-1])
}

// sniffer keeps every byte that the client sends before and under TLS.
type sniffer struct {
	net.Conn
	mu   *sync.Mutex
	seen *bytes.Buffer
}

func (s sniffer) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen.Write(p[:n])
	return n, err
}

func TestNothingPersonalOnTheWireOrInLogs(t *testing.T) {
	t.Parallel()
	var (
		wire, logged bytes.Buffer
		mu           sync.Mutex
	)
	server := startRaw(t, func(s *rawServer) {
		s.extensions = []string{"STARTTLS", "AUTH PLAIN", "PIPELINING", "CHUNKING"}
		s.wrap = func(_ int, nc net.Conn) net.Conn { return sniffer{nc, &mu, &wire} }
		s.script = func(conn int, stage string) string {
			if conn == 1 && stage == "final" {
				return "550 5.7.1 spam from asha@example.org"
			}
			return ""
		}
	})
	for range 2 {
		client := newClient(t, server.addr(), func(cfg *smtp.Config) {
			credentials(cfg)
			cfg.TLS = server.clientTLS()
			cfg.Logger = slog.New(slog.NewJSONHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
		})
		_, _ = client.Notify(t.Context(), message("appt-42/confirmed"))
		require.NotContains(t, fmt.Sprintf("%v %+v %#v", client, client, client), "letmein")
	}
	require.Len(t, server.messages(), 1)
	mu.Lock()
	defer mu.Unlock()
	for _, secret := range []string{"asha", "Asha", "letmein", "AUTH", "MAIL", "Monday"} {
		require.NotContains(t, wire.String(), secret)
		require.NotContains(t, logged.String(), secret)
	}
	require.Contains(t, logged.String(), "appt-42/confirmed")
}

func TestNewNamesEveryProblem(t *testing.T) {
	t.Parallel()
	good := smtp.Config{Addr: "mail.example.org:587", From: "care@clinic.example"}
	for name, c := range map[string]struct {
		edit   func(*smtp.Config)
		fields []string
	}{
		"nothing":               {func(c *smtp.Config) { *c = smtp.Config{} }, []string{"Addr", "From"}},
		"no port":               {func(c *smtp.Config) { c.Addr = "mail.example.org" }, []string{"Addr"}},
		"no host":               {func(c *smtp.Config) { c.Addr = ":25" }, []string{"Addr"}},
		"two senders":           {func(c *smtp.Config) { c.From = "a@b.example, c@d.example" }, []string{"From"}},
		"injected sender":       {func(c *smtp.Config) { c.From = "\"x\r\nBcc: y@z.example\" <a@b.example>" }, []string{"From"}},
		"encoded line break":    {func(c *smtp.Config) { c.From = "=?utf-8?q?x=0D=0ABcc:?= <a@b.example>" }, []string{"From"}},
		"reply to nowhere":      {func(c *smtp.Config) { c.ReplyTo = "nowhere" }, []string{"ReplyTo"}},
		"user without password": {func(c *smtp.Config) { c.Username = "care" }, []string{"Password"}},
		"password without user": {func(c *smtp.Config) { c.Password = telemed.NewSecret("letmein") }, []string{"Username"}},
		"credentials in clear":  {func(c *smtp.Config) { credentials(c); plaintext(c) }, []string{"Security"}},
		"NUL in password":       {func(c *smtp.Config) { c.Username, c.Password = "care", telemed.NewSecret("let\x00me") }, []string{"Password"}},
		"unknown security":      {func(c *smtp.Config) { c.Security = 9 }, []string{"Security"}},
		"injected local name":   {func(c *smtp.Config) { c.LocalName = "x\r\nMAIL FROM:<>" }, []string{"LocalName"}},
		"negative":              {func(c *smtp.Config) { c.DialTimeout, c.MaxConns = -1, -1 }, []string{"DialTimeout", "MaxConns"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := good
			c.edit(&cfg)
			client, err := smtp.New(cfg)
			require.Nil(t, client)
			require.ErrorIs(t, err, telemed.ErrInvalid)
			var fields []string
			for _, e := range telemed.Fields(err) {
				fields = append(fields, e.Field)
			}
			require.ElementsMatch(t, c.fields, fields)
			require.NotContains(t, err.Error(), "letme")
		})
	}
	_, err := smtp.New(smtp.Config{})
	require.EqualError(t, err, "smtp: Addr is required; From is required")
	for _, name := range []string{"", "clinic.example", "localhost", "[127.0.0.1]", "[IPv6:::1]"} {
		cfg := good
		cfg.LocalName = name
		_, err := smtp.New(cfg)
		require.NoError(t, err)
	}
}

func TestErrorIsTyped(t *testing.T) {
	t.Parallel()
	fake, client := pair(t, smtptest.Config{}, nil)
	fake.RejectRecipient("ASHA@example.org")
	_, err := client.Notify(t.Context(), message("typed"))
	e, ok := errors.AsType[*smtp.Error](err)
	require.True(t, ok)
	require.Equal(t, "rcpt", e.Op)
	require.Equal(t, 550, e.Code)
	require.False(t, e.Temporary())
	require.Equal(t, "smtp: rcpt: 550 (5.1.1): recipient cannot be reached", err.Error())

	fake.FailNext(outOfOrder)
	_, err = client.Notify(t.Context(), message("typed"))
	e, ok = errors.AsType[*smtp.Error](err)
	require.True(t, ok)
	require.True(t, e.Temporary())
}

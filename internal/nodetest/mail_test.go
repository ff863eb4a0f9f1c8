package nodetest

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fake"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/smtp"
	"github.com/telemed-go/telemed/notify/smtp/smtptest"
)

// mailServers are servers of npm's smtp-server in a process of their own, each of a kind.
type mailServers struct {
	ports map[string]int
	roots *x509.CertPool
	came  chan taken
}

// taken is a message as the server saw it.
type taken struct {
	Server, From string
	Params       any // an object, or false
	To           []string
	Login        string // mechanism and user
	Secure       bool
	Raw          []byte
}

func (m taken) param(name string) any {
	params, _ := m.Params.(map[string]any)
	return params[name]
}

// startMailServers starts one for each name in kinds, with options of smtp-server.
func startMailServers(t *testing.T, kinds map[string]map[string]any) *mailServers {
	t.Helper()
	if os.Getenv("TELEMED_NODE_MODULES") == "" {
		t.Skip("TELEMED_NODE_MODULES is not set: it names a node_modules folder that holds smtp-server. " +
			"With it this test proves that smtp-server takes the client's mail, and that the client understands what it says")
	}
	cert, err := fake.NewCertificate("mail.test")
	require.NoError(t, err)
	s := &mailServers{roots: cert.Client().RootCAs, came: make(chan taken, 100)}
	var servers []map[string]any
	for name, options := range kinds {
		servers = append(servers, map[string]any{"name": name, "port": 0, "options": options})
	}
	key, err := x509.MarshalPKCS8PrivateKey(cert.Server().Certificates[0].PrivateKey)
	require.NoError(t, err)
	files := filepath.Join(t.TempDir(), "mail.pem")
	require.NoError(t, os.WriteFile(files, append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), cert.PEM()...), 0o600))
	config, err := json.Marshal(map[string]any{"key": files, "cert": files, "servers": servers})
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), "node", filepath.Join("testdata", "mailserver.cjs"), string(config))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Wait() }) // the context has ended it
	lines := bufio.NewReader(out)
	var first struct{ Ready map[string]int }
	line, err := lines.ReadBytes('\n')
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(line, &first))
	s.ports = first.Ready
	go s.listen(lines)
	return s
}

func (s *mailServers) listen(lines *bufio.Reader) {
	defer close(s.came)
	for {
		line, err := lines.ReadBytes('\n')
		var m taken
		if err != nil || json.Unmarshal(line, &m) != nil {
			return
		}
		s.came <- m
	}
}

func (s *mailServers) client(t *testing.T, server string, edit func(*smtp.Config)) *smtp.Client {
	t.Helper()
	require.Contains(t, s.ports, server)
	cfg := smtp.Config{
		Addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(s.ports[server])), From: "City Clinic <care@clinic.example>",
		Username: "care", Password: telemed.NewSecret("letmein"),
		TLS: &tls.Config{RootCAs: s.roots, ServerName: "mail.test", MinVersion: tls.VersionTLS12},
	}
	if server == "implicit" {
		cfg.Security = smtp.ImplicitTLS
	}
	if edit != nil {
		edit(&cfg)
	}
	client, err := smtp.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Shutdown(context.Background())) })
	return client
}

func letterTo(to, text string) notify.Message {
	return notify.Message{Key: to, To: notify.Recipient{Name: "आशा", Email: to}, Content: &notify.Content{Subject: "पुष्टि", Text: text}}
}

func withToken(token string) func(*smtp.Config) {
	return func(cfg *smtp.Config) {
		cfg.Password = telemed.Secret{}
		cfg.Token = func(context.Context) (string, error) { return token, nil }
	}
}

var mailKinds = map[string]map[string]any{
	"all":           {"size": 20_000_000},
	"login":         {"authMethods": []string{"LOGIN"}},
	"token":         {"authMethods": []string{"XOAUTH2"}},
	"implicit":      {"secure": true},
	"enhanced":      {"hideENHANCEDSTATUSCODES": false},
	"no pipelining": {"hidePIPELINING": true},
	"small":         {"size": 20_000},
	"hidden small":  {"size": 20_000, "hideSize": true, "rejectOversized": true},
	"no utf8":       {"hideSMTPUTF8": true},
	"no starttls":   {"hideSTARTTLS": true},
}

// TestMailServer: smtp-server sees what was meant, and the client what it says to that.
func TestMailServer(t *testing.T) {
	t.Parallel()
	s := startMailServers(t, mailKinds)
	t.Run("taken", func(t *testing.T) {
		for server, c := range map[string]struct {
			login string
			edit  func(*smtp.Config)
		}{
			"all": {login: "PLAIN care"}, "login": {login: "LOGIN care"}, "token": {login: "XOAUTH2 care", edit: withToken("token-1")},
			"implicit": {login: "PLAIN care"}, "enhanced": {login: "PLAIN care"}, "no pipelining": {login: "PLAIN care"},
		} {
			client := s.client(t, server, c.edit)
			for _, to := range []string{"asha@example.org", "आशा@example.org", "rao@example.org"} {
				_, err := client.Notify(t.Context(), letterTo(to, ".\n..two\nनमस्ते\n"))
				require.NoError(t, err, "%s: %s", server, to)
				got := <-s.came
				require.Equal(t, []any{server, "care@clinic.example", []string{to}, c.login, true}, []any{got.Server, got.From, got.To, got.Login, got.Secure})
				require.Equal(t, strings.HasPrefix(to, "आ"), got.param("SMTPUTF8") == true, server)
				if server == "all" {
					require.Equal(t, strconv.Itoa(len(got.Raw)), got.param("SIZE"), "what was announced is what came")
				}
				mail := readMail(t, got.Raw)
				require.Equal(t, ".\n..two\nनमस्ते\n", mail.Text)
			}
		}
	})
	t.Run("refused", func(t *testing.T) { s.refuses(t) })
	require.Empty(t, s.came, "nothing else was taken")
}

// readMail reads a message by way of smtptest, which takes what can be read in one way only.
func readMail(t *testing.T, raw []byte) smtptest.Message {
	t.Helper()
	server := smtptest.NewServer(t, smtptest.Config{NoStartTLS: true})
	deliverRaw(t, server.Addr(), raw)
	require.Len(t, server.Messages(), 1)
	require.NoError(t, server.Messages()[0].Check())
	return server.Messages()[0]
}

// refuses asks for each refusal, and on the same client whether the next message goes.
func (s *mailServers) refuses(t *testing.T) {
	large := strings.Repeat("0123456789", 3000)
	for name, c := range map[string]struct {
		server, from, to, text string
		edit                   func(*smtp.Config)
		want                   error
		op                     string
	}{
		"MAIL, for good":       {from: "s550-5.7.1@clinic.example", want: telemed.ErrForbidden, op: "mail"},
		"MAIL, for now":        {from: "s451-4.3.0@clinic.example", want: telemed.ErrUnavailable, op: "mail"},
		"MAIL, login wanted":   {from: "s530-5.7.0@clinic.example", want: telemed.ErrUnauthorized, op: "mail"},
		"RCPT, for good":       {to: "r550-5.1.1@example.org", want: notify.ErrRecipient, op: "rcpt"},
		"RCPT, policy":         {to: "r550-5.7.1@example.org", want: telemed.ErrForbidden, op: "rcpt"},
		"RCPT, for now":        {to: "r450-4.2.0@example.org", want: telemed.ErrUnavailable, op: "rcpt"},
		"RCPT, greylisted":     {to: "r451-4.7.1@example.org", want: telemed.ErrRateLimited, op: "rcpt"},
		"RCPT, hourly limit":   {to: "limit@example.org", want: telemed.ErrRateLimited, op: "rcpt"},
		"DATA, for good":       {to: "d554-5.6.0@example.org", want: telemed.ErrForbidden, op: "data"},
		"DATA, no such person": {to: "d550-5.1.1@example.org", want: notify.ErrRecipient, op: "data"},
		"DATA, for now":        {to: "d451-4.3.0@example.org", want: telemed.ErrUnavailable, op: "data"},
		"closing":              {to: "r421-4.3.2@example.org", want: telemed.ErrRateLimited, op: "rcpt"},
		"enhanced by itself":   {server: "enhanced", to: "gone@example.org", want: notify.ErrRecipient, op: "rcpt"},
		"one by one":           {server: "no pipelining", to: "gone@example.org", want: notify.ErrRecipient, op: "rcpt"},
		"size announced":       {server: "small", text: large, want: telemed.ErrInvalid, op: "mail"},
		"size not announced":   {server: "hidden small", text: large, want: telemed.ErrInvalid, op: "data"},
		"SMTPUTF8":             {server: "no utf8", to: "आशा@example.org", want: notify.ErrRecipient, op: "mail"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.server == "" {
				c.server = "all"
			}
			client := s.client(t, c.server, func(cfg *smtp.Config) {
				if c.from != "" {
					cfg.From = c.from
				}
			})
			if c.to == "" {
				c.to = "asha@example.org"
			}
			for range 2 { // on a connection that has refused once, too
				_, err := client.Notify(t.Context(), letterTo(c.to, c.text+"text"))
				require.ErrorIs(t, err, c.want)
				var e *smtp.Error
				require.ErrorAs(t, err, &e)
				require.Equal(t, c.op, e.Op)
				if c.from == "" {
					_, err = client.Notify(t.Context(), letterTo("next@example.org", "next"))
					require.NoError(t, err)
					require.Equal(t, []string{"next@example.org"}, (<-s.came).To)
				}
			}
		})
	}
	for name, c := range map[string]struct {
		server string
		edit   func(*smtp.Config)
	}{
		"wrong password":        {"all", func(cfg *smtp.Config) { cfg.Password = telemed.NewSecret("wrong") }},
		"wrong password, LOGIN": {"login", func(cfg *smtp.Config) { cfg.Password = telemed.NewSecret("wrong") }},
		"wrong token":           {"token", withToken("token-2")},
		"no such mechanism":     {"token", nil},
		"no login":              {"all", func(cfg *smtp.Config) { cfg.Username, cfg.Password = "", telemed.Secret{} }},
		"no STARTTLS":           {"no starttls", nil},
		"not trusted":           {"all", func(cfg *smtp.Config) { cfg.TLS.RootCAs = x509.NewCertPool() }},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.client(t, c.server, c.edit).Notify(t.Context(), letterTo("asha@example.org", "text"))
			require.ErrorIs(t, err, telemed.ErrUnauthorized)
		})
	}
}

// deliverRaw sends raw by DATA, without a client's own ideas.
func deliverRaw(t *testing.T, addr string, raw []byte) {
	t.Helper()
	nc, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
	require.NoError(t, err)
	defer nc.Close()
	require.NoError(t, nc.SetDeadline(time.Now().Add(time.Minute)))
	r := bufio.NewReader(nc)
	say := func(text string) {
		_, err := io.WriteString(nc, text)
		require.NoError(t, err)
	}
	hear := func(code string) {
		for {
			line, err := r.ReadString('\n')
			require.NoError(t, err)
			require.Equal(t, code, line[:3], line)
			if line[3] == ' ' {
				return
			}
		}
	}
	hear("220")
	for _, line := range []string{"EHLO clinic.example", "MAIL FROM:<a@clinic.example> BODY=8BITMIME SMTPUTF8", "RCPT TO:<b@example.org>"} {
		say(line + "\r\n")
		hear("250")
	}
	say("DATA\r\n")
	hear("354")
	stuffed := strings.ReplaceAll("\r\n"+string(raw), "\r\n.", "\r\n..")
	say(stuffed[2:] + ".\r\n")
	hear("250")
}

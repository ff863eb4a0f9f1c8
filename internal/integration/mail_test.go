package integration_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/smtp"
)

// mailServers are real servers, each with a port for every situation.
type mailServers struct {
	folder string
	addrs  map[string]string
	roots  *x509.CertPool
	boxes  map[string]*mailBox
}

// mailBox is what one server has delivered. Each file is read once.
type mailBox struct {
	folder string
	mu     sync.Mutex
	read   map[string]bool
	byID   map[string][]string // files by reference
}

// theMailServers returns those of .ci/mailservers.
func theMailServers(t *testing.T) *mailServers {
	t.Helper()
	folder := os.Getenv("TELEMED_MAIL_SERVERS")
	if folder == "" {
		t.Skip("TELEMED_MAIL_SERVERS is not set: .ci/mailservers starts Postfix, Exim and smtp-server and says it")
	}
	s := &mailServers{folder: folder, addrs: map[string]string{}, roots: x509.NewCertPool(), boxes: map[string]*mailBox{}}
	for _, host := range []string{"postfix", "exim", "node"} {
		s.boxes[host] = &mailBox{folder: filepath.Join(folder, "box", host, "new"), read: map[string]bool{}, byID: map[string][]string{}}
	}
	lines, err := os.ReadFile(filepath.Join(folder, "servers"))
	require.NoError(t, err)
	for line := range strings.Lines(string(lines)) {
		name, addr, _ := strings.Cut(strings.TrimSpace(line), " ")
		s.addrs[name] = addr
	}
	pem, err := os.ReadFile(filepath.Join(folder, "ca.pem"))
	require.NoError(t, err)
	require.True(t, s.roots.AppendCertsFromPEM(pem))
	return s
}

// client returns one with the defaults of the package, as far as a server on loopback allows.
func (s *mailServers) client(t *testing.T, server string, edit func(*smtp.Config)) *smtp.Client {
	t.Helper()
	addr, ok := s.addrs[server]
	require.True(t, ok, "there is no %s", server)
	cfg := smtp.Config{
		Addr: addr, From: "City Clinic <care@clinic.example>", Username: "care", Password: telemed.NewSecret("letmein"),
		ReferenceHeader: "X-Ref",
		TLS:             &tls.Config{RootCAs: s.roots, ServerName: "mail.test", MinVersion: tls.VersionTLS12},
	}
	if strings.HasSuffix(server, "-implicit") {
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

// usual are the servers that take mail with TLS and credentials, whatever its size.
func (s *mailServers) usual() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(s.addrs)), func(server string) bool {
		return slices.Contains([]string{"no-tls", "strict", "small", "idle", "scram"}, kindOf(server))
	})
}

// kindOf is "no-tls" of "exim-no-tls".
func kindOf(server string) string {
	_, kind, _ := strings.Cut(server, "-")
	return kind
}

// find returns the files that a server has delivered with a key.
func (s *mailServers) find(t *testing.T, server, key string) []string {
	t.Helper()
	host, _, _ := strings.Cut(server, "-")
	box := s.boxes[host]
	box.mu.Lock()
	defer box.mu.Unlock()
	entries, err := os.ReadDir(box.folder)
	if err != nil && !errors.Is(err, os.ErrNotExist) { // made with the first mail
		require.NoError(t, err)
	}
	for _, entry := range entries {
		if !box.read[entry.Name()] {
			box.add(t, entry.Name())
		}
	}
	return box.byID[notify.Reference(key)]
}

func (box *mailBox) add(t *testing.T, name string) {
	t.Helper()
	box.read[name] = true
	f, err := os.Open(filepath.Join(box.folder, name))
	require.NoError(t, err)
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan() && lines.Text() != ""; {
		if id, ok := strings.CutPrefix(lines.Text(), "X-Ref: "); ok {
			box.byID[id] = append(box.byID[id], f.Name())
		}
	}
}

// arrived waits for one mail and returns its file.
func (s *mailServers) arrived(t *testing.T, server, key string) string {
	t.Helper()
	var files []string
	require.Eventually(t, func() bool { files = s.find(t, server, key); return len(files) > 0 }, time.Minute, 50*time.Millisecond)
	require.Len(t, files, 1)
	return files[0]
}

type readMail struct {
	ID, From, Subject, Text, HTML string
	To                            []string
	Files                         []struct{ Name, Type, SHA256 string }
}

// read has a parser that is not ours read mails.
func read(t *testing.T, files []string) []readMail {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "node", append([]string{"mailread.mjs"}, files...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err)
	var mails []readMail
	for decoder := json.NewDecoder(bytes.NewReader(out)); decoder.More(); {
		var m readMail
		require.NoError(t, decoder.Decode(&m))
		mails = append(mails, m)
	}
	require.Len(t, mails, len(files))
	return mails
}

var mailKey atomic.Int64

func mailMessage(size int) notify.Message {
	scan := make([]byte, size)
	for i := range scan {
		scan[i] = byte(i * 7)
	}
	return notify.Message{
		Key: fmt.Sprintf("%d-%d", time.Now().UnixNano(), mailKey.Add(1)),
		To:  notify.Recipient{Name: "आशा Rao", Email: "asha@example.org"},
		Content: &notify.Content{
			Subject: "Appointment confirmed · पुष्टि", Text: ".\nDear Asha,\n.. see you on Monday.\nनमस्ते\n", HTML: "<p>See you on Monday.</p>",
			Files: []notify.File{{Name: "रिपोर्ट.pdf", ContentType: "application/pdf", Data: scan}},
		},
	}
}

// sentMail is a mail that a server has taken, and what the client says of it.
type sentMail struct {
	server, id string
	msg        notify.Message
}

// Every way to talk to a real server, with the settings that an application has by default.
// The mails arrive once and whole, as a parser that is not ours reads them.
func TestMailArrives(t *testing.T) {
	t.Parallel()
	s := theMailServers(t)
	var mu sync.Mutex
	var sent []sentMail
	t.Run("sent", func(t *testing.T) {
		for _, server := range s.usual() {
			for name, edit := range map[string]func(*smtp.Config){
				"defaults":     nil,
				"data":         func(cfg *smtp.Config) { cfg.DisableChunking = true },
				"step by step": func(cfg *smtp.Config) { cfg.DisablePipelining = true },
			} {
				t.Run(server+"/"+name, func(t *testing.T) {
					t.Parallel()
					client := s.client(t, server, edit)
					for _, size := range []int{100, 300, 0, 200 << 10} {
						msg := mailMessage(size)
						receipt, err := client.Notify(t.Context(), msg)
						require.NoError(t, err)
						mu.Lock()
						sent = append(sent, sentMail{server, receipt.ID, msg})
						mu.Unlock()
					}
				})
			}
		}
	})
	require.NotEmpty(t, sent)
	files := make([]string, len(sent))
	for i, mail := range sent {
		files[i] = s.arrived(t, mail.server, mail.msg.Key)
	}
	for i, got := range read(t, files) {
		requireWhole(t, sent[i], got)
	}
}

func requireWhole(t *testing.T, want sentMail, got readMail) {
	t.Helper()
	content := want.msg.Content
	sum := sha256.Sum256(content.Files[0].Data)
	require.Equal(t, want.id, got.ID, want.server)
	require.Equal(t, []string{"asha@example.org"}, got.To, want.server)
	require.Equal(t, content.Subject, got.Subject, want.server)
	require.Equal(t, content.Text, got.Text, want.server)
	require.Contains(t, got.HTML, content.HTML, want.server)
	require.Len(t, got.Files, 1, want.server)
	require.Equal(t, "रिपोर्ट.pdf", got.Files[0].Name, want.server)
	require.Equal(t, hex.EncodeToString(sum[:]), got.Files[0].SHA256, want.server)
}

// A refusal is of what the server refuses, and the next message on the same connection goes.
func TestMailVerdicts(t *testing.T) {
	t.Parallel()
	s := theMailServers(t)
	for _, server := range s.usual() {
		t.Run(server, func(t *testing.T) {
			t.Parallel()
			client := s.client(t, server, nil)
			var taken, refused []string
			for range 2 { // on a new connection and on one that has taken mail
				for to, want := range map[string]error{
					"gone@example.org": notify.ErrRecipient, "full@example.org": telemed.ErrUnavailable, "grey@example.org": telemed.ErrRateLimited,
					"limit@example.org": telemed.ErrRateLimited, "other@elsewhere.example": telemed.ErrForbidden,
				} {
					msg, next := mailMessage(0), mailMessage(0)
					msg.To.Email = to
					_, err := client.Notify(t.Context(), msg)
					require.ErrorIs(t, err, want, to)
					require.Equal(t, to == "limit@example.org", notify.RetryAfter(err) >= time.Hour, to)
					_, err = client.Notify(t.Context(), next)
					require.NoError(t, err)
					taken, refused = append(taken, next.Key), append(refused, msg.Key)
				}
			}
			for _, key := range taken {
				s.arrived(t, server, key)
			}
			for _, key := range refused {
				require.Empty(t, s.find(t, server, key))
			}
		})
	}
}

// The ways to log in that Postfix passes on to a server of passwords.
func TestMailLogin(t *testing.T) {
	t.Parallel()
	s := theMailServers(t)
	token := func(token string) func(*smtp.Config) {
		return func(cfg *smtp.Config) {
			cfg.Password, cfg.Token = telemed.Secret{}, func(context.Context) (string, error) { return token, nil }
		}
	}
	for name, c := range map[string]struct {
		server string
		edit   func(*smtp.Config)
		want   error
	}{
		"SCRAM":                 {"postfix-scram", nil, nil},
		"SCRAM, wrong password": {"postfix-scram", func(cfg *smtp.Config) { cfg.Password = telemed.NewSecret("other") }, telemed.ErrUnauthorized},
		"XOAUTH2":               {"postfix", token("token-1"), nil},
		"XOAUTH2, wrong token":  {"postfix", token("token-2"), telemed.ErrUnauthorized},
		"XOAUTH2, not offered":  {"postfix-scram", token("token-1"), telemed.ErrUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			msg := mailMessage(0)
			_, err := s.client(t, c.server, c.edit).Notify(t.Context(), msg)
			require.ErrorIs(t, err, c.want)
			if c.want == nil {
				s.arrived(t, c.server, msg.Key)
			}
		})
	}
}

// What a server cannot or will not, is said by the kind that fits.
func TestMailSettings(t *testing.T) {
	t.Parallel()
	s := theMailServers(t)
	utf8 := mailMessage(0)
	utf8.To.Email = "आशा@example.org"
	for _, host := range []string{"postfix", "exim", "node"} {
		for name, c := range map[string]struct {
			server string
			edit   func(*smtp.Config)
			msg    notify.Message
			want   error
		}{
			"no STARTTLS":          {"-no-tls", nil, mailMessage(0), telemed.ErrUnauthorized},
			"wrong password":       {"", func(cfg *smtp.Config) { cfg.Password = telemed.NewSecret("other") }, mailMessage(0), telemed.ErrUnauthorized},
			"unknown certificate":  {"", func(cfg *smtp.Config) { cfg.TLS.RootCAs = x509.NewCertPool() }, mailMessage(0), telemed.ErrUnauthorized},
			"expired certificate":  {"", func(cfg *smtp.Config) { cfg.TLS.Time = func() time.Time { return time.Now().AddDate(1, 0, 0) } }, mailMessage(0), telemed.ErrUnauthorized},
			"another name":         {"-implicit", func(cfg *smtp.Config) { cfg.TLS.ServerName = "mail.example.org" }, mailMessage(0), telemed.ErrUnauthorized},
			"not TLS on this port": {"", func(cfg *smtp.Config) { cfg.Security = smtp.ImplicitTLS }, mailMessage(0), telemed.ErrUnauthorized},
			"too large":            {"-small", nil, mailMessage(100 << 10), telemed.ErrInvalid},
			"HELO":                 {"-strict", func(cfg *smtp.Config) { cfg.LocalName = "clinic" }, mailMessage(0), telemed.ErrForbidden},
			"HELO that is good":    {"-strict", func(cfg *smtp.Config) { cfg.LocalName = "clinic.example" }, mailMessage(0), nil},
			"HELO by address":      {"-strict", nil, mailMessage(0), nil},
			"SMTPUTF8":             {"", nil, utf8, nil},
			"no SMTPUTF8":          {"-no-utf8", nil, utf8, notify.ErrRecipient},
		} {
			server := host + c.server
			if server == "node-strict" { // it takes every HELO
				continue
			}
			t.Run(host+"/"+name, func(t *testing.T) {
				t.Parallel()
				client := s.client(t, server, c.edit)
				_, err := client.Notify(t.Context(), c.msg)
				if c.want != nil {
					require.ErrorIs(t, err, c.want)
					return
				}
				require.NoError(t, err)
				s.arrived(t, server, c.msg.Key)
			})
		}
	}
}

// cutting ends a connection after so many bytes from the server or to it.
type cutting struct {
	net.Conn
	left *int64
	mu   *sync.Mutex
	read bool
}

func (c *cutting) take(p []byte) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if *c.left <= 0 {
		_ = c.Close()
		return nil, net.ErrClosed
	}
	p = p[:min(int64(len(p)), *c.left)]
	*c.left -= int64(len(p))
	return p, nil
}

func (c *cutting) Read(p []byte) (int, error) {
	if c.read {
		var err error
		if p, err = c.take(p[:min(20, len(p))]); err != nil {
			return 0, err
		}
	}
	return c.Conn.Read(p)
}

func (c *cutting) Write(p []byte) (int, error) {
	if c.read {
		return c.Conn.Write(p)
	}
	whole := len(p)
	p, err := c.take(p)
	if err != nil {
		return 0, err
	}
	n, err := c.Conn.Write(p)
	if err == nil && n < whole {
		_ = c.Close()
		return n, net.ErrClosed
	}
	return n, err
}

// Wherever a connection ends, no verdict is wrong: what counts as sent has arrived once, and
// what counts as not sent has not arrived. In the clear each byte counts by itself; with TLS
// a record does, so there the cuts are wider.
func TestMailIsCut(t *testing.T) {
	t.Parallel()
	s := theMailServers(t)
	plain := func(cfg *smtp.Config) {
		cfg.Security, cfg.Username, cfg.Password = smtp.InsecurePlaintext, "", telemed.Secret{}
	}
	for _, c := range []struct {
		name, server string
		first, step  int64
		edit         func(*smtp.Config)
	}{ // Exim takes its time, so it is asked by two
		{"postfix, BDAT", "postfix-no-tls", 20, 20, plain},
		{"postfix, DATA", "postfix-no-tls", 20, 20, func(cfg *smtp.Config) { plain(cfg); cfg.DisableChunking = true }},
		{"exim, BDAT, odd", "exim-no-tls", 20, 40, plain},
		{"exim, BDAT, even", "exim-no-tls", 40, 40, plain},
		{"exim, DATA, odd", "exim-no-tls", 20, 40, func(cfg *smtp.Config) { plain(cfg); cfg.DisableChunking = true }},
		{"exim, DATA, even", "exim-no-tls", 40, 40, func(cfg *smtp.Config) { plain(cfg); cfg.DisableChunking = true }},
		{"smtp-server", "node-no-tls", 20, 20, plain},
		{"postfix, TLS", "postfix", 1200, 200, nil},
		{"exim, TLS", "exim", 1200, 200, nil},
	} {
		for _, side := range []string{"from the server", "to the server"} {
			t.Run(c.name+"/"+side, func(t *testing.T) {
				t.Parallel()
				verdicts, kinds := map[string]string{}, map[string]int{}
				for n, uncut := c.first, false; !uncut; n += c.step {
					uncut = s.cutAt(t, c.server, c.edit, side, n, func(key, verdict string) {
						verdicts[key], kinds[verdict] = verdict, kinds[verdict]+1
					})
					require.Less(t, n, int64(60_000))
				}
				t.Log(kinds)
				require.Positive(t, kinds["taken"])
				require.Positive(t, kinds["not taken"])
				require.Equal(t, side == "from the server", kinds["unknown"] > 0, "%v", kinds)
				s.requireVerdicts(t, c.server, verdicts)
			})
		}
	}
}

// cutAt sends two messages over a connection that is cut after n bytes, the second in one
// flight, and reports whether it was not cut after all.
func (s *mailServers) cutAt(
	t *testing.T, server string, edit func(*smtp.Config), side string, n int64, verdict func(key, verdict string),
) (uncut bool) {
	t.Helper()
	left, conns := n, 0
	client := s.client(t, server, func(cfg *smtp.Config) {
		if edit != nil {
			edit(cfg)
		}
		cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			nc, err := new(net.Dialer).DialContext(ctx, network, addr)
			if conns++; err != nil || conns > 1 {
				return nc, err
			}
			return &cutting{Conn: nc, left: &left, mu: new(sync.Mutex), read: side == "from the server"}, nil
		}
	})
	for range 2 {
		msg := mailMessage(10)
		_, err := client.Notify(t.Context(), msg)
		switch {
		case errors.Is(err, telemed.ErrAmbiguous):
			verdict(msg.Key, "unknown")
		case err != nil:
			require.ErrorIs(t, err, telemed.ErrUnavailable)
			verdict(msg.Key, "not taken")
		default:
			verdict(msg.Key, "taken")
		}
	}
	require.NoError(t, client.Shutdown(t.Context()))
	return left > 0 && conns == 1
}

func (s *mailServers) requireVerdicts(t *testing.T, server string, verdicts map[string]string) {
	t.Helper()
	for key, verdict := range verdicts {
		if verdict == "taken" {
			s.arrived(t, server, key)
		}
	}
	for key, verdict := range verdicts { // later than the last that was taken
		n := len(s.find(t, server, key))
		require.LessOrEqual(t, n, 1, key)
		require.False(t, verdict == "not taken" && n > 0, key)
	}
}

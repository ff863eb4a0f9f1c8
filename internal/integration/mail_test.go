package integration_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
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
}

// theMailServers returns those of .ci/mailservers.
func theMailServers(t *testing.T) *mailServers {
	t.Helper()
	folder := os.Getenv("TELEMED_MAIL_SERVERS")
	if folder == "" {
		t.Skip("TELEMED_MAIL_SERVERS is not set: Postfix and Exim are not on this machine, or not started by .ci/mailservers")
	}
	s := &mailServers{folder: folder, addrs: map[string]string{}, roots: x509.NewCertPool()}
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

// box returns what a server has delivered, by reference, as files.
func (s *mailServers) box(t *testing.T, server string) map[string][]string {
	t.Helper()
	host, _, _ := strings.Cut(server, "-")
	files, err := filepath.Glob(filepath.Join(s.folder, "box", host, "new", "*"))
	require.NoError(t, err)
	box := map[string][]string{}
	for _, file := range files {
		f, err := os.Open(file)
		require.NoError(t, err)
		for lines := bufio.NewScanner(f); lines.Scan() && lines.Text() != ""; {
			if id, ok := strings.CutPrefix(lines.Text(), "X-Ref: "); ok {
				box[id] = append(box[id], file)
			}
		}
		require.NoError(t, f.Close())
	}
	return box
}

// arrived waits for one mail and returns its file.
func (s *mailServers) arrived(t *testing.T, server, key string) string {
	t.Helper()
	var files []string
	require.Eventually(t, func() bool { files = s.box(t, server)[notify.Reference(key)]; return len(files) > 0 }, 30*time.Second, 50*time.Millisecond)
	require.Len(t, files, 1)
	return files[0]
}

type readMail struct {
	ID, From, Subject, Text, HTML string
	To                            []string
	Files                         []struct{ Name, Type, SHA256 string }
}

// read has a parser that is not ours read a mail.
func read(t *testing.T, file string) readMail {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "node", "mailread.mjs", file)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err)
	var m readMail
	require.NoError(t, json.Unmarshal(out, &m))
	return m
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

// Every way to talk to a real server, with the settings that an application has by default.
// The mails arrive once and whole, as a parser that is not ours reads them.
func TestMailArrives(t *testing.T) {
	t.Parallel()
	s := theMailServers(t)
	for server := range s.addrs {
		if strings.HasSuffix(server, "-no-tls") || strings.HasSuffix(server, "-strict") || strings.HasSuffix(server, "-small") {
			continue
		}
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
					got := read(t, s.arrived(t, server, msg.Key))
					sum := sha256.Sum256(msg.Content.Files[0].Data)
					require.Equal(t, receipt.ID, got.ID)
					require.Equal(t, []string{"asha@example.org"}, got.To)
					require.Equal(t, msg.Content.Subject, got.Subject)
					require.Equal(t, msg.Content.Text, got.Text)
					require.Contains(t, got.HTML, msg.Content.HTML)
					require.Len(t, got.Files, 1)
					require.Equal(t, "रिपोर्ट.pdf", got.Files[0].Name)
					require.Equal(t, hex.EncodeToString(sum[:]), got.Files[0].SHA256)
				}
			})
		}
	}
}

// A refusal is of what the server refuses, and the next message on the same connection goes.
func TestMailVerdicts(t *testing.T) {
	t.Parallel()
	s := theMailServers(t)
	for server := range s.addrs {
		if strings.HasSuffix(server, "-no-tls") || strings.HasSuffix(server, "-strict") || strings.HasSuffix(server, "-small") {
			continue
		}
		t.Run(server, func(t *testing.T) {
			t.Parallel()
			client := s.client(t, server, nil)
			for range 2 { // on a new connection and on one that has taken mail
				for to, want := range map[string]error{
					"gone@example.org": notify.ErrRecipient, "full@example.org": telemed.ErrUnavailable, "grey@example.org": telemed.ErrRateLimited,
					"limit@example.org": telemed.ErrRateLimited, "other@elsewhere.example": telemed.ErrForbidden,
				} {
					msg := mailMessage(0)
					msg.To.Email = to
					_, err := client.Notify(t.Context(), msg)
					require.ErrorIs(t, err, want, to)
					require.Equal(t, to == "limit@example.org", notify.RetryAfter(err) >= time.Hour, to)
					next := mailMessage(0)
					_, err = client.Notify(t.Context(), next)
					require.NoError(t, err)
					s.arrived(t, server, next.Key)
				}
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
	for _, host := range []string{"postfix", "exim"} {
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
			t.Run(host+"/"+name, func(t *testing.T) {
				t.Parallel()
				server := host + c.server
				if _, ok := s.addrs[server]; !ok {
					t.Skipf("%s is not on this machine", server)
				}
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
// what counts as not sent has not arrived.
func TestMailIsCut(t *testing.T) {
	t.Parallel()
	s := theMailServers(t)
	for _, server := range []string{"postfix", "postfix-no-chunking", "exim", "exim-no-chunking"} {
		if _, ok := s.addrs[server]; !ok {
			continue
		}
		for _, side := range []string{"from the server", "to the server"} {
			t.Run(server+"/"+side, func(t *testing.T) {
				t.Parallel()
				verdicts, kinds := map[string]string{}, map[string]int{}
				for n, uncut := int64(1200), false; !uncut; n += 20 {
					left, conns := n, 0
					client := s.client(t, server, func(cfg *smtp.Config) {
						cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
							nc, err := new(net.Dialer).DialContext(ctx, network, addr)
							if conns++; err != nil || conns > 1 {
								return nc, err
							}
							return &cutting{Conn: nc, left: &left, mu: new(sync.Mutex), read: side == "from the server"}, nil
						}
					})
					for range 2 { // the second is in one flight
						msg := mailMessage(10)
						_, err := client.Notify(t.Context(), msg)
						verdict := "taken"
						switch {
						case errors.Is(err, telemed.ErrAmbiguous):
							verdict = "unknown"
						case err != nil:
							verdict = "not taken"
							require.ErrorIs(t, err, telemed.ErrUnavailable)
						}
						verdicts[msg.Key], kinds[verdict] = verdict, kinds[verdict]+1
					}
					uncut = left > 0 && conns == 1
					require.NoError(t, client.Shutdown(t.Context()))
					require.Less(t, n, int64(60_000))
				}
				require.Positive(t, kinds["taken"])
				require.Positive(t, kinds["not taken"])
				require.Equal(t, side == "from the server", kinds["unknown"] > 0, "%v", kinds)
				for key, verdict := range verdicts {
					if verdict == "taken" {
						s.arrived(t, server, key)
					}
				}
				box := s.box(t, server) // later than the last that was taken
				for key, verdict := range verdicts {
					n := len(box[notify.Reference(key)])
					require.LessOrEqual(t, n, 1, key)
					require.False(t, verdict == "not taken" && n > 0, key)
				}
			})
		}
	}
}

package integration_test

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"io"
	"net"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/notify/smtp/smtptest"
)

// dialogue is a script of commands, and on which port of a server they are said.
type dialogue struct {
	port  string // "" or "-no-tls" for instance
	tls   bool   // after STARTTLS
	early bool   // the first command is said before the greeting
	say   []string
}

const (
	hello   = "EHLO clinic.example"
	sender  = "MAIL FROM:<care@clinic.example>"
	patient = "RCPT TO:<asha@example.org>"
	unknown = "RCPT TO:<nobody@example.org>"
	nothing = "" // says nothing and hears a reply
)

// chunk is a BDAT. A server that does not take its bytes as a chunk answers a NOOP.
func chunk(last string) string { return "BDAT 6" + last + "\r\nNOOP\r\n" }

func plain(password string) string {
	return "AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00care\x00"+password))
}

var dialogues = map[string]dialogue{
	"hello":                {say: []string{hello, "NOOP", "QUIT", nothing}},
	"hello, TLS":           {tls: true, say: []string{hello, "QUIT"}},
	"HELO":                 {port: "-no-tls", say: []string{"HELO clinic.example", sender, "QUIT"}},
	"no name":              {port: "-no-tls", say: []string{"EHLO", "HELO", hello}},
	"no hello":             {port: "-no-tls", say: []string{sender, "NOOP"}},
	"RCPT first":           {port: "-no-tls", say: []string{hello, patient, "NOOP"}},
	"DATA first":           {port: "-no-tls", say: []string{hello, "DATA", sender, "DATA"}},
	"two senders":          {port: "-no-tls", say: []string{hello, sender, sender, "RSET", sender}},
	"bad sender":           {port: "-no-tls", say: []string{hello, "MAIL FROM:", "MAIL FROM:<"}},
	"no sender":            {port: "-no-tls", say: []string{hello, "MAIL", "MAIL FROM:<>"}},
	"unknown parameter":    {port: "-no-tls", say: []string{hello, sender + " FOO=1"}},
	"unknown body":         {port: "-no-tls", say: []string{hello, sender + " BODY=FOO", sender + " BODY=8BITMIME"}},
	"other parameters":     {port: "-no-tls", say: []string{hello, sender + " AUTH=<> BODY=7BIT SIZE=10", patient + " FOO=1"}},
	"bad recipient":        {port: "-no-tls", say: []string{hello, sender, "RCPT TO:<", "RCPT"}},
	"empty recipient":      {port: "-no-tls", say: []string{hello, sender, "RCPT TO:<>"}},
	"unknown recipient":    {port: "-no-tls", say: []string{hello, sender, unknown, patient, "RSET", patient}},
	"refused, then DATA":   {port: "-no-tls", say: []string{hello, sender, unknown, "DATA"}},
	"unknown commands":     {port: "-no-tls", say: append([]string{hello}, slices.Repeat([]string{"FOO"}, 22)...)},
	"commands with little": {port: "-no-tls", say: []string{hello, "VRFY asha@example.org", "NOOP x", "HELP", "EXPN asha"}},
	"DATA":                 {port: "-no-tls", say: []string{hello, sender, patient, "DATA", "Subject: s\r\n\r\nt\r\n.", "NOOP", patient, sender}},
	"BDAT":                 {port: "-no-tls", say: []string{hello, sender, patient, "BDAT 14\r\nSubject: s\r\n\r\n", chunk(" LAST"), sender}},
	"BDAT first":           {port: "-no-tls", say: []string{hello, chunk(""), "RSET", "NOOP"}},
	"BDAT to nobody":       {port: "-no-tls", say: []string{hello, sender, chunk(""), "NOOP"}},
	"refused, then BDAT":   {port: "-no-tls", say: []string{hello, sender, unknown, chunk(" LAST"), "RSET", sender}},
	"empty BDAT":           {port: "-no-tls", say: []string{hello, sender, patient, "BDAT 0", "RSET", "NOOP"}},
	"empty BDAT LAST":      {port: "-no-tls", say: []string{hello, sender, patient, "BDAT 14\r\nSubject: s\r\n\r\n", "BDAT 0 LAST", sender}},
	"BDAT, bad":            {port: "-no-tls", say: []string{hello, sender, patient, "BDAT x", "NOOP"}},
	"BDAT, none":           {port: "-no-tls", say: []string{hello, sender, patient, "BDAT", "NOOP"}},
	"DATA in BDAT":         {port: "-no-tls", say: []string{hello, sender, patient, chunk(""), "DATA"}},
	"MAIL in BDAT":         {port: "-no-tls", say: []string{hello, sender, patient, chunk(""), sender}},
	"RCPT in BDAT":         {port: "-no-tls", say: []string{hello, sender, patient, chunk(""), patient}},
	"size":                 {port: "-small", say: []string{hello, sender + " SIZE=30000", sender + " SIZE=x"}},
	"size of DATA":         {port: "-small", say: []string{hello, sender, patient, "DATA", strings.Repeat("0123456789\r\n", 3000) + ".", "NOOP"}},
	"size of BDAT":         {port: "-small", say: []string{hello, sender, patient, "BDAT 30000\r\n" + strings.Repeat("0123456789", 3000), "RSET", sender}},
	"no SMTPUTF8":          {port: "-no-utf8", say: []string{hello, sender + " SMTPUTF8", sender, "RCPT TO:<आशा@example.org>"}},
	"no CHUNKING":          {port: "-no-chunking", say: []string{hello, "BDAT x", "NOOP"}},
	"no 8BITMIME":          {port: "-neither", say: []string{hello}},
	"login first":          {tls: true, say: []string{hello, sender}},
	"no pipelining":        {port: "-no-pipelining", say: []string{hello + "\r\nNOOP\r\nNOOP", nothing, nothing}},
	"ahead of EHLO":        {port: "-no-tls", say: []string{hello + "\r\nNOOP", nothing, "NOOP"}},
	"ahead of greeting":    {port: "-no-tls", early: true, say: []string{hello, "NOOP"}},
	"idle":                 {port: "-idle", say: []string{hello, nothing, nothing}},
	"no STARTTLS":          {port: "-no-tls", say: []string{hello, "STARTTLS", "NOOP"}},
	"TLS twice":            {tls: true, say: []string{hello, "STARTTLS", "STARTTLS x"}},
	"login":                {tls: true, say: []string{hello, plain("letmein"), plain("letmein"), "AUTH"}},
	"login, wrong":         {tls: true, say: []string{hello, plain("wrong"), plain("letmein")}},
	"login, odd":           {tls: true, say: []string{hello, "AUTH FOO", "AUTH PLAIN !", "NOOP"}},
	"login in the clear":   {say: []string{hello, plain("letmein"), "NOOP"}},
	"login in a mail":      {tls: true, say: []string{hello, plain("letmein"), sender, plain("letmein")}},
}

// hold has a dialogue with a server and returns its replies, "closed" after the last.
func (d dialogue) hold(t *testing.T, addr string, trust *tls.Config) []string {
	t.Helper()
	nc, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
	require.NoError(t, err)
	defer func() { _ = nc.Close() }()
	require.NoError(t, nc.SetDeadline(time.Now().Add(time.Minute)))
	r := bufio.NewReader(nc)
	if d.early {
		_, _ = io.WriteString(nc, d.say[0]+"\r\n")
	}
	replies := []string{hear(r)}
	if d.tls {
		for _, line := range []string{hello, "STARTTLS"} {
			_, _ = io.WriteString(nc, line+"\r\n")
			require.Regexp(t, `^2`, hear(r))
		}
		nc = tls.Client(nc, trust)
		r = bufio.NewReader(nc)
	}
	for i, line := range d.say {
		if line != nothing && (!d.early || i > 0) {
			if !strings.HasPrefix(line, "BDAT") || !strings.Contains(line, "\r\n") {
				line += "\r\n"
			}
			_, _ = io.WriteString(nc, line) // what is heard decides
		}
		if replies = append(replies, hear(r)); replies[len(replies)-1] == "closed" {
			break
		}
	}
	return replies
}

// hear reads a reply, its lines joined by "|".
func hear(r *bufio.Reader) string {
	var lines []string
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return "closed"
		}
		line = strings.TrimRight(line, "\r\n")
		lines = append(lines, line)
		if len(line) < 4 || line[3] == ' ' {
			return strings.Join(lines, "|")
		}
	}
}

// likes are what smtptest is told to resemble, with what the configuration of each real
// server says. A server without CHUNKING has no port without it.
var likes = map[string]smtptest.Config{
	"postfix": {Like: smtptest.LikePostfix, Mechanisms: []string{"PLAIN", "XOAUTH2"}},
	"exim":    {Like: smtptest.LikeExim, Mechanisms: []string{"PLAIN"}},
	"node":    {Like: smtptest.LikeSMTPServer, Mechanisms: []string{"LOGIN", "PLAIN"}},
}

// fakeOf starts smtptest as the server at a port is configured.
func fakeOf(t *testing.T, host, port string) *smtptest.Server {
	t.Helper()
	cfg := likes[host]
	cfg.MaxMessageBytes = 20_000_000
	open := false // who may send without a login is everybody's own setting
	switch port {
	case "-no-tls":
		cfg.NoStartTLS, open = true, true
	case "-idle":
		cfg.NoStartTLS, open, cfg.IdleTimeout = true, true, time.Second
	case "-small":
		cfg.MaxMessageBytes, open = 20_000, true
	case "-no-utf8":
		cfg.NoSMTPUTF8, open = true, true
	case "-no-pipelining":
		cfg.Hide, open = []string{"PIPELINING"}, true
	case "-no-chunking":
		cfg.Hide = []string{"CHUNKING"}
	case "-neither":
		cfg.Hide = []string{"CHUNKING", "PIPELINING", "8BITMIME"}
		if host == "exim" { // which always offers that
			cfg.Hide = cfg.Hide[:2]
		}
	}
	if !open {
		cfg.Username, cfg.Password = "care", "letmein"
	}
	fake := smtptest.NewServer(t, cfg)
	fake.RejectRecipient("nobody@example.org")
	return fake
}

// changing is what no two answers have in common.
var changing = regexp.MustCompile(`queued as \w+|id=[\w-]+|4\.96 .*`)

func withoutIDs(replies []string) []string {
	same := make([]string, len(replies))
	for i, r := range replies {
		same[i] = strings.TrimSpace(changing.ReplaceAllString(r, "…"))
	}
	return same
}

// TestMailLike: smtptest answers as the real server does, word by word.
func TestMailLike(t *testing.T) {
	t.Parallel()
	s := theMailServers(t)
	for name, d := range dialogues {
		for host := range likes {
			if _, ok := s.addrs[host+d.port]; !ok {
				require.Equal(t, "node-no-chunking", host+d.port)
				continue
			}
			if name == "login first" && host != "node" { // Postfix and Exim demand it by settings
				continue
			}
			t.Run(host+"/"+name, func(t *testing.T) {
				t.Parallel()
				right := d.hold(t, s.addrs[host+d.port], &tls.Config{RootCAs: s.roots, ServerName: "mail.test"})
				fake := fakeOf(t, host, d.port)
				trust := fake.ClientTLS()
				trust.ServerName = "127.0.0.1"
				said := d.hold(t, fake.Addr(), trust)
				require.Equal(t, withoutIDs(right), withoutIDs(said), "%q", d.say)
			})
		}
	}
}

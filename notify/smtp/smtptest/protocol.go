package smtptest

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/emersion/go-sasl"
)

// domain is what the server calls itself.
const domain = "mail.test"

// maxLine is the longest line that RFC 4954, 4 has: that of AUTH.
const maxLine = 12288

// reply is what is said to a command: lines with their codes, separated by "\n". A session
// that gets nil for one has ended, without a word. It is an error for go-sasl.
type reply struct {
	text string
	end  bool // of the connection
}

func (r *reply) Error() string { return r.text }

func (r *reply) code() int {
	code, _ := strconv.Atoi(r.text[:min(3, len(r.text))])
	return code
}

// say makes a reply of a text of manners. With holds pairs of what stands in braces and what
// is put in.
func (s *session) say(text string, with ...string) *reply {
	with = append(with, "{host}", domain, "{name}", s.name, "{size}", strconv.FormatInt(s.server.cfg.MaxMessageBytes, 10))
	return &reply{text: strings.NewReplacer(with...).Replace(text)}
}

func (s *session) write(r *reply) error {
	_ = s.nc.SetWriteDeadline(time.Now().Add(time.Minute))
	_, err := io.WriteString(s.nc, strings.ReplaceAll(r.text, "\n", "\r\n")+"\r\n")
	return err
}

// talk is a connection from greeting to end.
func (s *session) talk() {
	defer func() { _ = s.nc.Close() }()
	if s.manners.tooSoon != "" && s.spokenTo() {
		_ = s.write(s.say(s.manners.tooSoon)) // it is the end in any case
		return
	}
	answer := s.say(s.manners.greeting, "{date}", time.Now().UTC().Format(time.RFC1123Z))
	for answer != nil && s.write(answer) == nil && !answer.end {
		answer = s.next()
	}
}

// spokenTo waits for a moment whether the client speaks first.
func (s *session) spokenTo() bool {
	_ = s.nc.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	_, err := s.r.Peek(1)
	return err == nil
}

// next carries out the next command.
func (s *session) next() *reply {
	line, failed := s.line()
	if failed != nil {
		return failed
	}
	if line == nil {
		return nil
	}
	verb, arg, _ := strings.Cut(*line, " ")
	if do := command(verb); do != nil {
		return do(s, strings.TrimSpace(arg))
	}
	return s.unknown()
}

func (s *session) unknown() *reply {
	if s.strange++; s.strange >= s.manners.patience {
		return &reply{text: s.say(s.manners.tooMany).text, end: true}
	}
	return s.say(s.manners.unknown)
}

// line reads a line. It is nil if there is none, and then the reply says why, if anything
// is to be said.
func (s *session) line() (*string, *reply) {
	_ = s.nc.SetReadDeadline(time.Now().Add(s.server.cfg.IdleTimeout))
	raw, err := s.r.ReadSlice('\n')
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, &reply{text: s.say(s.manners.idle).text, end: true}
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, &reply{text: s.say(s.manners.tooLong).text, end: true}
	case err != nil:
		return nil, nil
	}
	line := strings.TrimRight(string(raw), "\r\n")
	return &line, nil
}

// command returns what carries out a verb, and nil for one that is unknown.
func command(verb string) func(*session, string) *reply {
	switch strings.ToUpper(verb) {
	case "EHLO":
		return (*session).ehlo
	case "HELO":
		return (*session).helo
	case "STARTTLS":
		return (*session).startTLS
	case "AUTH":
		return (*session).auth
	case "MAIL":
		return (*session).mail
	case "RCPT":
		return (*session).rcpt
	case "DATA":
		return (*session).data
	case "BDAT":
		return (*session).bdat
	case "RSET":
		return (*session).rset
	case "NOOP":
		return func(s *session, _ string) *reply { return s.say(s.manners.noop) }
	case "VRFY":
		return func(s *session, arg string) *reply { return s.say(s.manners.vrfy, "{arg}", arg) }
	case "EXPN":
		return func(s *session, _ string) *reply { return s.say(s.manners.expn) }
	case "HELP":
		return func(s *session, _ string) *reply { return s.say(s.manners.help) }
	case "QUIT":
		return func(s *session, _ string) *reply { return &reply{text: s.say(s.manners.quit).text, end: true} }
	}
	return nil
}

func (s *session) rset(string) *reply {
	if s.chunked && s.manners.rsetInChunksEnds {
		return nil
	}
	s.forget()
	return s.say(s.manners.rset)
}

func (s *session) helo(name string) *reply {
	if name == "" {
		return s.say(s.manners.heloBare)
	}
	return s.greeted(name, func() *reply { return s.say(s.manners.helo) })
}

func (s *session) ehlo(name string) *reply {
	if name == "" {
		return s.say(s.manners.ehloBare)
	}
	return s.greeted(name, func() *reply {
		lines := append([]string{s.say(s.manners.hello).text}, s.offers()...)
		for i := range lines {
			lines[i] = "250-" + lines[i]
		}
		lines[len(lines)-1] = "250 " + lines[len(lines)-1][4:]
		return &reply{text: strings.Join(lines, "\n")}
	})
}

// greeted takes the first EHLO of a connection for what OpConnect is about.
func (s *session) greeted(name string, answer func() *reply) *reply {
	if s.known {
		s.name = name
		s.forget()
		return answer()
	}
	r := s.perform(OpConnect, func() *reply { s.name = name; return answer() })
	s.known = r != nil && r.code() == 250
	return r
}

// offers are the keywords of EHLO with their parameters.
func (s *session) offers() []string {
	cfg := s.server.cfg
	var offers []string
	for _, keyword := range s.manners.keywords {
		switch keyword {
		case "STARTTLS":
			if cfg.NoStartTLS || s.secure {
				continue
			}
		case "AUTH":
			if !s.offersAuth() {
				continue
			}
			keyword += " " + strings.Join(cfg.Mechanisms, " ")
		case "SIZE":
			keyword += " " + strconv.FormatInt(cfg.MaxMessageBytes, 10)
		}
		if s.server.has(strings.Fields(keyword)[0]) {
			offers = append(offers, keyword)
		}
	}
	return offers
}

func (s *session) offersAuth() bool {
	cfg := s.server.cfg
	inClear := cfg.Like == LikeSMTPServer && !cfg.NoStartTLS
	return len(cfg.Mechanisms) > 0 && (s.secure || inClear)
}

// has reports whether a keyword is neither hidden nor foreign to the server.
func (s *Server) has(keyword string) bool {
	if keyword == "PIPECONNECT" { // Exim's, for a client that pipelines from the beginning
		return s.has("PIPELINING")
	}
	return slices.Contains(s.manners.keywords, keyword) && !slices.Contains(s.cfg.Hide, keyword) &&
		(keyword != "SMTPUTF8" || !s.cfg.NoSMTPUTF8)
}

func (s *session) startTLS(arg string) *reply {
	switch {
	case arg != "":
		return s.say(s.manners.tlsArgument)
	case s.secure:
		return s.say(s.manners.tlsTwice)
	case s.server.cfg.NoStartTLS:
		return s.say(s.manners.tlsAbsent)
	}
	if s.write(s.say(s.manners.tlsReady)) != nil {
		return nil
	}
	_ = s.nc.SetDeadline(time.Now().Add(time.Minute))
	secured := tls.Server(s.nc, s.server.cert.Server())
	if secured.Handshake() != nil {
		return nil
	}
	s.attach(secured)
	s.secure, s.name, s.user, s.authed = true, "", "", false
	s.forget()
	return s.next()
}

// attach puts the dialogue on nc. What has been read ahead belongs to nobody.
func (s *session) attach(nc net.Conn) { s.nc, s.r = nc, bufio.NewReaderSize(nc, maxLine) }

func (s *session) auth(arg string) *reply {
	m, words := s.manners, strings.Fields(arg)
	switch {
	case s.name == "" && m.noHello != "":
		return s.say(m.noHello)
	case s.begun && (m.inMailFirst || !s.authed):
		return s.say(m.loginInMail)
	case s.authed:
		return s.say(m.loginAgain)
	case !s.secure:
		return s.say(m.loginInClear)
	case len(words) == 0:
		return s.say(m.loginBare)
	}
	server, err := s.mechanism(strings.ToUpper(words[0]))
	if err != nil {
		return s.refusal(err)
	}
	var response []byte
	if len(words) > 1 {
		if response, err = decodeResponse(words[1]); err != nil {
			return s.say(m.notCode)
		}
	}
	return s.exchange(server, response)
}

// exchange goes through a mechanism to its end.
func (s *session) exchange(server sasl.Server, response []byte) *reply {
	for {
		challenge, done, err := server.Next(response)
		if err != nil {
			return s.refusal(err)
		}
		if done {
			s.authed = true
			return s.say(s.manners.login)
		}
		if s.write(&reply{text: "334 " + base64.StdEncoding.EncodeToString(challenge)}) != nil {
			return nil
		}
		line, failed := s.line()
		switch {
		case line == nil:
			return failed
		case *line == "*":
			return s.say(s.manners.loginCancelled)
		}
		if response, err = decodeResponse(*line); err != nil {
			return s.say(s.manners.notCode)
		}
	}
}

// refusal is err if that is an answer, and else the usual one.
func (s *session) refusal(err error) *reply {
	if errors.Is(err, errAborted) {
		return nil
	}
	if r, ok := errors.AsType[*reply](err); ok {
		return r
	}
	return s.say(s.manners.loginBad)
}

func decodeResponse(text string) ([]byte, error) {
	if text == "=" {
		return []byte{}, nil
	}
	return base64.StdEncoding.DecodeString(text)
}

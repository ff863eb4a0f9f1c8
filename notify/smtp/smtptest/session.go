package smtptest

import (
	"crypto/subtle"
	"errors"
	"io"
	"strings"

	"github.com/emersion/go-sasl"
	gosmtp "github.com/emersion/go-smtp"
)

// session is one connection's dialogue, from EHLO to EHLO.
type session struct {
	server *Server
	conn   *gosmtp.Conn
	user   string
	authed bool

	leaving error // the 421 that it said

	from string
	utf8 bool
	to   []string
}

var _ gosmtp.AuthSession = (*session)(nil)

func (s *Server) session(c *gosmtp.Conn) (gosmtp.Session, error) {
	begun := &session{server: s, conn: c}
	if _, secure := c.TLSConnectionState(); secure && !s.cfg.ImplicitTLS {
		return begun, nil // the second EHLO, after STARTTLS
	}
	if err := begun.perform(OpConnect, func() error { return nil }); err != nil {
		return nil, err
	}
	return begun, nil
}

func (s *session) AuthMechanisms() []string { return s.server.cfg.Mechanisms }

func (s *session) Auth(mechanism string) (sasl.Server, error) {
	check := func(user, password string) error {
		return s.perform(OpLogin, func() error { return s.login(user, password) })
	}
	switch mechanism {
	case sasl.Plain:
		return sasl.NewPlainServer(func(_, user, password string) error { return check(user, password) }), nil
	case sasl.Login:
		return &loginServer{check: check}, nil
	}
	return nil, gosmtp.ErrAuthUnknownMechanism
}

func (s *session) login(user, password string) error {
	cfg := s.server.cfg
	if cfg.requiresAuth() && (!same(user, cfg.Username) || !same(password, cfg.Password)) {
		return gosmtp.ErrAuthFailed
	}
	s.user, s.authed = user, true
	return nil
}

func (cfg Config) requiresAuth() bool { return cfg.Username != "" || cfg.Password != "" }

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// loginServer is the AUTH LOGIN mechanism, which go-sasl has for clients only.
type loginServer struct {
	check func(user, password string) error
	asked int
	user  string
}

func (l *loginServer) Next(response []byte) (challenge []byte, done bool, err error) {
	if response == nil && l.asked == 0 {
		l.asked = 1
		return []byte("Username:"), false, nil
	}
	switch l.asked {
	case 0, 1:
		l.user, l.asked = string(response), 2
		return []byte("Password:"), false, nil
	case 2:
		l.asked = 3
		return nil, true, l.check(l.user, string(response))
	}
	return nil, false, errors.New("smtptest: too many answers to AUTH LOGIN")
}

func (s *session) Mail(from string, opts *gosmtp.MailOptions) error {
	return s.perform(OpMail, func() error { return s.mail(from, opts) })
}

func (s *session) mail(from string, opts *gosmtp.MailOptions) error {
	if s.server.cfg.requiresAuth() && !s.authed {
		return answer(530, 5, 7, 0, "Authentication required")
	}
	s.from, s.utf8, s.to = from, opts.UTF8, nil
	return nil
}

func (s *session) Rcpt(to string, _ *gosmtp.RcptOptions) error {
	return s.perform(OpRcpt, func() error { return s.rcpt(to) })
}

func (s *session) rcpt(to string) error {
	if s.server.refuses(to) {
		return noSuchMailbox(to)
	}
	if s.server.greylists(s.from, to) {
		return comeBack(to)
	}
	s.to = append(s.to, to)
	return nil
}

func (s *Server) refuses(to string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rejected[strings.ToLower(to)]
}

func (s *Server) greylists(from, to string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	pair := strings.ToLower(from + " " + to)
	known := s.greeted[pair]
	s.greeted[pair] = true
	return s.cfg.Greylist && !known
}

func (s *session) Data(r io.Reader) error {
	fault := s.server.script.Next(OpData)
	if fault.LoseRequest {
		s.pause(fault)
		_, _ = io.ReadFull(r, make([]byte, 64))
		return s.hangUp()
	}
	raw, err := io.ReadAll(io.LimitReader(r, s.server.cfg.MaxMessageBytes+1))
	if err != nil {
		return errAborted
	}
	return s.play(fault, func() error { return s.keep(raw) })
}

func (s *session) keep(raw []byte) error {
	msg, err := parse(raw, s.utf8)
	if err != nil {
		return answer(554, 5, 6, 0, err.Error())
	}
	_, msg.TLS = s.conn.TLSConnectionState()
	msg.Username, msg.Sender, msg.Recipients = s.user, s.from, s.to
	s.server.messages.Add(msg)
	return nil
}

func (s *session) Reset() { s.from, s.to = "", nil }

func (s *session) Logout() error { return nil }

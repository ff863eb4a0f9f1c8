package smtptest

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/emersion/go-sasl"
	gosmtp "github.com/emersion/go-smtp"

	"github.com/telemed-go/telemed/internal/fake"
)

// session is one connection's dialogue, from EHLO to EHLO.
type session struct {
	server *Server
	conn   *gosmtp.Conn
	user   string
	authed bool

	leaving error // the 421 that it said

	from string
	utf8 bool // announced with MAIL
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

// perform carries out a command as its fault wants it.
func (s *session) perform(op string, do func() error) error {
	return s.play(s.server.script.Next(op), do)
}

func (s *session) play(f fake.Fault, do func() error) error {
	if s.leaving != nil {
		return s.leaving
	}
	if !s.pause(f) || f.LoseRequest {
		return s.hangUp()
	}
	var err error
	if f.Done() {
		err = do()
	}
	if f.Lost() {
		return s.hangUp()
	}
	if f.Status != 0 {
		err = &gosmtp.SMTPError{Code: f.Status, EnhancedCode: gosmtp.NoEnhancedCode, Message: f.Body}
	}
	if f.Status == 421 {
		s.leaving = err
	}
	if f.Cut {
		s.sendHalf(err)
		return s.hangUp()
	}
	return err
}

// pause waits as the fault says, and reports whether the command is to go on.
func (s *session) pause(f fake.Fault) bool {
	if f.Hang {
		ctx, gone := context.WithCancel(s.server.life)
		defer gone()
		_ = s.conn.Conn().SetReadDeadline(time.Time{})
		go func() {
			defer gone()
			_, _ = io.Copy(io.Discard, s.conn.Conn()) // until one side closes it
		}()
		return fake.Pause(ctx, f)
	}
	return f.Delay <= 0 || fake.Pause(s.server.life, f)
}

// hangUp ends the connection. What go-smtp replies then reaches nobody.
func (s *session) hangUp() error {
	_ = s.conn.Conn().Close()
	return errAborted
}

func (s *session) sendHalf(refusal error) {
	reply := "250 2.0.0 OK: as you wish"
	if e, ok := refusal.(*gosmtp.SMTPError); ok {
		reply = fmt.Sprintf("%d %s", e.Code, e.Message)
	}
	_, _ = io.WriteString(s.conn.Conn(), reply[:len(reply)/2]) // nobody reads if this fails
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
	case mechanismSCRAM:
		return s.scram()
	case mechanismXOAUTH2, mechanismOAuthBearer:
		return &tokenServer{mechanism: mechanism, check: check}, nil
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
	msg.Username, msg.Sender, msg.Recipients, msg.At = s.user, s.from, s.to, time.Now()
	s.server.messages.Add(msg)
	return nil
}

func (s *session) Reset() { s.from, s.to = "", nil }

func (s *session) Logout() error { return nil }

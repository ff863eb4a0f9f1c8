package smtptest

import (
	"bufio"
	"context"
	"crypto/subtle"
	"errors"
	"io"
	"net"
	"slices"
	"time"

	"github.com/emersion/go-sasl"

	"github.com/telemed-go/telemed/internal/fake"
)

// session is one connection's dialogue. protocol.go reads commands and says the answers,
// envelope.go and data.go are about mail.
type session struct {
	server  *Server
	manners *manners

	nc      net.Conn
	r       *bufio.Reader
	secure  bool
	known   bool   // greeted once
	name    string // of EHLO, empty before it and after STARTTLS
	strange int    // unknown commands

	user   string
	authed bool

	leaving *reply // the 421 that it said

	begun bool // by MAIL
	from  string
	utf8  bool // announced with MAIL
	to    []string

	refused *reply // to the last RCPT that was not taken

	chunked  bool // a BDAT was taken, and not the last
	fault    fake.Fault
	raw      []byte
	tooLarge bool
}

// perform carries out a command as its fault wants it.
func (s *session) perform(op string, do func() *reply) *reply {
	return s.note(op, s.play(s.server.script.Next(op), do))
}

// note keeps what was replied to a command.
func (s *session) note(op string, r *reply) *reply {
	c := Command{Op: op, At: time.Now()}
	if r != nil {
		c.Status = r.code()
	}
	s.server.commands.Add(c)
	return r
}

func (s *session) play(f fake.Fault, do func() *reply) *reply {
	if s.leaving != nil {
		return s.leaving
	}
	if !s.pause(f) || f.LoseRequest {
		return s.hangUp()
	}
	var r *reply
	if f.Done() {
		r = do()
	}
	if f.Lost() {
		return s.hangUp()
	}
	if f.Status != 0 {
		r = answer(f.Status, f.Body)
	}
	if f.Status == 421 {
		s.leaving = r
	}
	if f.Cut {
		_, _ = io.WriteString(s.nc, r.text[:len(r.text)/2]) // nobody reads if this fails
		return s.hangUp()
	}
	return r
}

// pause waits as the fault says, and reports whether the command is to go on.
func (s *session) pause(f fake.Fault) bool {
	if f.Hang {
		ctx, gone := context.WithCancel(s.server.life)
		defer gone()
		_ = s.nc.SetReadDeadline(time.Time{})
		go func() {
			defer gone()
			_, _ = io.Copy(io.Discard, s.nc) // until one side closes it
		}()
		return fake.Pause(ctx, f)
	}
	return f.Delay <= 0 || fake.Pause(s.server.life, f)
}

// hangUp ends the connection.
func (s *session) hangUp() *reply {
	_ = s.nc.Close()
	return nil
}

func (s *session) mechanism(name string) (sasl.Server, error) {
	if !slices.Contains(s.server.cfg.Mechanisms, name) {
		return nil, s.say(s.manners.noMechanism, "{arg}", name)
	}
	check := func(user, password string) error {
		return s.login(user, func() bool {
			cfg := s.server.cfg
			return !cfg.requiresAuth() || same(user, cfg.Username) && same(password, cfg.Password)
		})
	}
	switch name {
	case sasl.Plain:
		return sasl.NewPlainServer(func(_, user, password string) error { return check(user, password) }), nil
	case sasl.Login:
		return &loginServer{check: check}, nil
	case mechanismSCRAM:
		return s.scram()
	case mechanismXOAUTH2, mechanismOAuthBearer:
		return &tokenServer{mechanism: name, check: check}, nil
	}
	return nil, s.say(s.manners.noMechanism, "{arg}", name)
}

// login asks right whether user is who he says, as the fault of OpLogin wants it. Its error
// is the refusal, or errAborted.
func (s *session) login(user string, right func() bool) error {
	r := s.perform(OpLogin, func() *reply {
		if !right() {
			return s.say(s.manners.loginBad)
		}
		s.user = user
		return s.say(s.manners.login)
	})
	switch {
	case r == nil:
		return errAborted
	case r.code() >= 400:
		return r
	}
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

package smtptest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	gosmtp "github.com/emersion/go-smtp"

	"github.com/telemed-go/telemed/internal/fake"
)

// The operations, for Fault.
const (
	OpConnect = "connect" // the EHLO with which a connection begins
	OpLogin   = "login"   // AUTH
	OpMail    = "mail"    // MAIL: the sender
	OpRcpt    = "rcpt"    // RCPT: one recipient
	OpData    = "data"    // the message, by DATA or BDAT
)

// Fault is something that goes wrong with commands. What a zero Fault fits passes
// unharmed.
type Fault struct {
	// Op is the operation that it is for. If empty, any.
	Op string
	// Times is how many commands it is for: one if 0, all until Reset if negative.
	Times int
	// Status, if not 0, is the reply's code and Body its text, such as 550 and "5.1.1
	// User unknown". The command is not carried out. 421 is the reply to all that follows
	// on the connection too. Header is nothing: SMTP has none.
	Status int
	Header http.Header
	Body   string
	// LoseRequest ends the connection, and the command is not carried out. With OpData it
	// ends while the message is on its way. To the client that looks like LoseAnswer if
	// the message is so short that all of it was under way.
	LoseRequest bool
	// LoseAnswer carries the command out and ends the connection. With a Status, that is
	// the reply in place of the true one.
	LoseAnswer bool
	// Cut carries the command out, sends half of the reply and ends the connection.
	Cut bool
	// Hang replies nothing until the client or the server goes, and the command is not
	// carried out.
	Hang bool
	// Delay is waited for before all else, unless the server goes.
	Delay time.Duration
}

// FailNext makes coming commands go wrong. Faults are tried in the order in which they
// were given. The first that fits a command is used up by it.
func (s *Server) FailNext(faults ...Fault) {
	for _, f := range faults {
		s.script.FailNext(fake.Fault(f))
	}
}

// RejectRecipient refuses mail to address from now on, with 550 5.1.1.
func (s *Server) RejectRecipient(address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rejected[strings.ToLower(address)] = true
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

func answer(code, class, subject, detail int, text string) error {
	return &gosmtp.SMTPError{Code: code, EnhancedCode: gosmtp.EnhancedCode{class, subject, detail}, Message: text}
}

// The texts repeat the address as real servers' do, so that a client that quotes them is
// found out.
func noSuchMailbox(to string) error {
	return answer(550, 5, 1, 1, "<"+to+">: Recipient address rejected: User unknown")
}

func comeBack(to string) error {
	return answer(451, 4, 7, 1, "<"+to+">: Greylisted, please try again later")
}

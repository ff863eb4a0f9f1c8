package smtptest

import (
	"strings"

	gosmtp "github.com/emersion/go-smtp"
)

// Fault is one way to fail, once.
type Fault int

// The faults, by the moment they show.
const (
	// RefuseLogin refuses the credentials of the next connection with 535 5.7.8,
	// or the next mail on one that has logged in before with 530 5.7.0.
	RefuseLogin Fault = iota + 1
	// RefuseSender answers the next MAIL with 550 5.7.1: the account may not send this.
	RefuseSender
	// TooManyConnections answers the next MAIL, and every later one on that connection, with 421 4.7.0.
	TooManyConnections
	// RefuseRecipient answers the next RCPT with 550 5.1.1: no such mailbox.
	RefuseRecipient
	// Greylist answers the next RCPT with 451 4.7.1: come back later.
	Greylist
	// TemporaryFailure answers the next RCPT with 451 4.3.0: the server's own trouble.
	TemporaryFailure
	// RefuseMessage reads the next message and answers 554 5.7.1: it looks like spam.
	RefuseMessage
	// DropBeforeEnd closes the connection while the next message is on its way, and
	// does not keep it. To the client it looks like DropAfterEnd if the message is so
	// short that all of it was in flight.
	DropBeforeEnd
	// DropAfterEnd keeps the next message, and closes the connection instead of saying so.
	DropAfterEnd
	// Hang reads the next message and never answers. It is not kept.
	Hang
)

// FailNext queues faults. Each shows once, at the first moment that fits it, and
// before the ones queued behind it.
func (s *Server) FailNext(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, faults...)
}

// RejectRecipient refuses mail to address from now on, with 550 5.1.1.
func (s *Server) RejectRecipient(address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rejected[strings.ToLower(address)] = true
}

// take removes the fault at the head of the queue and returns it, if it is one of these.
func (s *Server) take(these ...Fault) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, fault := range these {
		if len(s.faults) > 0 && s.faults[0] == fault {
			s.faults = s.faults[1:]
			return fault
		}
	}
	return 0
}

func answer(code, class, subject, detail int, text string) error {
	return &gosmtp.SMTPError{Code: code, EnhancedCode: gosmtp.EnhancedCode{class, subject, detail}, Message: text}
}

// The texts repeat the address as real servers' do, so that a client that quotes them is found out.
func noSuchMailbox(to string) error {
	return answer(550, 5, 1, 1, "<"+to+">: Recipient address rejected: User unknown")
}

func comeBack(to string) error {
	return answer(451, 4, 7, 1, "<"+to+">: Greylisted, please try again later")
}

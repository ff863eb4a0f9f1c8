package smtptest

import (
	"fmt"
	"net/http"
	"strings"
	"time"

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

// Pending returns the faults that have not shown, each with the Times that are left. A test
// whose fault is still there has not seen the request that it was for.
func (s *Server) Pending() []Fault {
	var left []Fault
	for _, f := range s.script.Pending() {
		left = append(left, Fault(f))
	}
	return left
}

// ClearFaults drops the faults that have not shown, and nothing else.
func (s *Server) ClearFaults() { s.script.Reset() }

// RejectRecipient refuses mail to address from now on, with 550 5.1.1.
func (s *Server) RejectRecipient(address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rejected[strings.ToLower(address)] = true
}

func answer(code int, text string) *reply { return &reply{text: fmt.Sprintf("%d %s", code, text)} }

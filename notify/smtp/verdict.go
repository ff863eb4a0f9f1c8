package smtp

import (
	"regexp"
	"strings"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/notify"
)

// limitPause is how long a limit on what may be sent in an hour or a day is waited for, at
// least. No server says when it ends.
const limitPause = time.Hour

// kindOf says what a refusal means: the table of the package comment, row by row, of which
// the first that fits decides. wait is how long to leave the server alone, 0 if unknown.
// Codes are those of https://www.rfc-editor.org/rfc/rfc5321#section-4.2.3 and
// https://www.rfc-editor.org/rfc/rfc3463.
func kindOf(op string, r reply) (wait time.Duration, kind error) {
	switch code := r.code; {
	case code == 530, code == 534, code == 535, code == 538, code/100 == 5 && op == "auth":
		return 0, telemed.ErrUnauthorized
	case code/100 != 5:
		return 0, temporary(op, r)
	case op == "ehlo", op == "starttls", op == "noop":
		return 0, telemed.ErrUnavailable
	case r.is("3.4"), r.is("2.3"):
		return 0, telemed.ErrInvalid
	case sendingLimit(r):
		return limitPause, telemed.ErrRateLimited
	case code == 552 && !r.is("2.2"):
		return 0, telemed.ErrInvalid
	case aboutRecipient(op, r):
		return 0, notify.ErrRecipient
	}
	return 0, telemed.ErrForbidden
}

// temporary tells "too many" from "broken" among the answers 4yz. None is about the
// recipient alone: a mailbox that is full or greylists is tried again.
func temporary(op string, r reply) error {
	switch {
	case r.code == 454 && (op == "auth" || op == "starttls"): // TLS or the passwords are out of order
		return telemed.ErrUnavailable
	case r.code == 421, r.code == 454, r.class("7"), r.is("2.1"), r.is("3.2"), r.is("4.5"), r.is("5.3"):
		return telemed.ErrRateLimited
	}
	return telemed.ErrUnavailable
}

// aboutRecipient reports whether a refusal is of the address. 5.1.7 and 5.1.8 are about the
// sender's, which many servers refuse at RCPT only.
func aboutRecipient(op string, r reply) bool {
	if op != "rcpt" && op != "data" || r.is("1.7") || r.is("1.8") {
		return false
	}
	if r.class("1") || r.class("2") || r.code == 556 {
		return true
	}
	return op == "rcpt" && (r.code == 550 || r.code == 551 || r.code == 553) && !r.class("7")
}

// The words of servers that tell a limit on the sender by a code which means something
// else by itself, most often that the mailbox does not exist.
var (
	wordsOfLimit  = regexp.MustCompile(`limit|quota|max|exceed|too many`)
	wordsOfPeriod = regexp.MustCompile(`\b(hour|hours|hourly|day|daily|24h)\b`)
	wordsOfSender = regexp.MustCompile(`sending|outgoing|outbound|outmail|submission`)
	wordsOfRate   = regexp.MustCompile(`\b(messages?|mails?|e-?mails?|recipients?) (per|an?) (minute|hour|day)\b`)
)

// sendingLimit reports whether a refusal for good is of how much the sender may send. Such
// an answer at RCPT says nothing about the address: whoever strikes that out loses a patient.
func sendingLimit(r reply) bool {
	switch {
	case r.is("4.5"), r.is("1.90"): // Gmail's and Exchange Online's daily limits
		return true
	case r.is("2.2"), r.is("1.1"):
		return false
	}
	text := strings.ToLower(strings.Join(r.lines, " "))
	limit := wordsOfLimit.MatchString(text) && (wordsOfPeriod.MatchString(text) || wordsOfSender.MatchString(text))
	return wordsOfRate.MatchString(text) || limit && !strings.Contains(text, "size")
}

package smtp

import (
	"bufio"
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/notify"
)

// What real servers say, each at the stage at which they say it.
func TestG25KindOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		op, line string
		want     error
		wait     time.Duration
	}{
		// A person must act.
		{"mail", "530 5.7.0 Must issue a STARTTLS command first", telemed.ErrUnauthorized, 0},
		{"data", "535 5.7.8 Authentication credentials invalid", telemed.ErrUnauthorized, 0},
		{"rcpt", "534 5.7.9 Please log in with your web browser", telemed.ErrUnauthorized, 0},
		{"auth", "504 5.5.4 Unrecognized authentication type", telemed.ErrUnauthorized, 0},
		{"auth", "550 5.7.0 Account disabled", telemed.ErrUnauthorized, 0},
		{"greeting", "554 5.7.1 Service unavailable; client host blocked", telemed.ErrForbidden, 0},
		{"greeting", "521 does not accept mail", telemed.ErrForbidden, 0},
		{"rcpt", "554 5.7.1 Relay access denied", telemed.ErrForbidden, 0},
		{"rcpt", "550 5.7.1 Unable to relay", telemed.ErrForbidden, 0},
		{"rcpt", "504 5.5.2 Helo command rejected: need fully-qualified hostname", telemed.ErrForbidden, 0},
		{"rcpt", "550 5.1.8 Sender address rejected: Domain not found", telemed.ErrForbidden, 0},
		{"rcpt", "501 5.1.7 Bad sender address syntax", telemed.ErrForbidden, 0},
		{"rcpt", "503 5.5.1 need MAIL before RCPT", telemed.ErrForbidden, 0},
		{"data", "550 5.7.1 unusual amount of mail in the last 24 hours", telemed.ErrForbidden, 0},
		{"data", "554 5.6.0 Malformed message", telemed.ErrForbidden, 0},
		// A limit on the sender, told as something else.
		{"rcpt", "550 5.4.5 Daily sending quota exceeded", telemed.ErrRateLimited, time.Hour},
		{"data", "550 5.4.5 Come back tomorrow", telemed.ErrRateLimited, time.Hour},
		{"rcpt", "550 Domain clinic.example has exceeded the max emails per hour (150/150 (100%)) allowed.", telemed.ErrRateLimited, time.Hour},
		{"rcpt", "552 5.2.0 User has exceeded its 24-hour sending limit. Messages to 25 recipients out of 25", telemed.ErrRateLimited, time.Hour},
		{"rcpt", "550 User has exceeded outgoing email quota", telemed.ErrRateLimited, time.Hour},
		{"rcpt", "554 5.7.1 Recipient address rejected: Email Sending Quota Exceeded", telemed.ErrRateLimited, time.Hour},
		{"data", "554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException", telemed.ErrRateLimited, time.Hour},
		{"data", "550 5.1.90 Your message can't be sent because you've reached your daily limit", telemed.ErrRateLimited, time.Hour},
		{"data", "554 5.7.1 Data command rejected: only 10 messages per day", telemed.ErrRateLimited, time.Hour},
		{"data", "550 send spam mail rejected: exceeded hour limit", telemed.ErrRateLimited, time.Hour},
		{"mail", "550 Too many messages today: hourly maximum", telemed.ErrRateLimited, time.Hour},
		// The recipient's.
		{"rcpt", "550 5.1.1 User unknown", notify.ErrRecipient, 0},
		{"rcpt", "550 No such user here", notify.ErrRecipient, 0},
		{"rcpt", "551 User not local", notify.ErrRecipient, 0},
		{"rcpt", "553 sorry, no mailbox here by that name", notify.ErrRecipient, 0},
		{"rcpt", "556 5.1.10 Recipient address has null MX", notify.ErrRecipient, 0},
		{"data", "556 domain does not accept mail", notify.ErrRecipient, 0},
		{"rcpt", "552 5.2.2 Mailbox quota exceeded", notify.ErrRecipient, 0},
		{"data", "552 5.2.2 Over quota: daily limit of the mailbox", notify.ErrRecipient, 0},
		{"rcpt", "550 5.2.1 Mailbox disabled", notify.ErrRecipient, 0},
		{"rcpt", "550 mailbox full, quota exceeded", notify.ErrRecipient, 0},
		{"data", "550 5.1.1 nobody", notify.ErrRecipient, 0},
		// Too large.
		{"mail", "552 5.3.4 Message size exceeds fixed maximum", telemed.ErrInvalid, 0},
		{"data", "552 Message size exceeds the limit for outgoing mail", telemed.ErrInvalid, 0},
		{"data", "554 5.2.3 Message is larger than the mailbox takes", telemed.ErrInvalid, 0},
		// Too much at once.
		{"greeting", "421 4.7.0 Too many connections", telemed.ErrRateLimited, 0},
		{"mail", "421 Try later", telemed.ErrRateLimited, 0},
		{"mail", "454 Throttling failure: Maximum sending rate exceeded", telemed.ErrRateLimited, 0},
		{"data", "454 Throttling failure: Daily message quota exceeded", telemed.ErrRateLimited, 0},
		{"rcpt", "451 4.7.1 Greylisting in action", telemed.ErrRateLimited, 0},
		{"rcpt", "450 4.2.1 The user is receiving mail too quickly", telemed.ErrRateLimited, 0},
		{"rcpt", "452 4.5.3 Too many recipients", telemed.ErrRateLimited, 0},
		{"mail", "451 4.3.2 System not accepting network messages", telemed.ErrRateLimited, 0},
		{"mail", "451 4.4.5 System congestion", telemed.ErrRateLimited, 0},
		// Later.
		{"auth", "454 4.7.0 Temporary authentication failure", telemed.ErrUnavailable, 0},
		{"starttls", "454 4.7.0 TLS not available due to temporary reason", telemed.ErrUnavailable, 0},
		{"rcpt", "452 4.2.2 Mailbox full", telemed.ErrUnavailable, 0},
		{"data", "452 4.3.1 Insufficient system storage", telemed.ErrUnavailable, 0},
		{"data", "451 Requested action aborted", telemed.ErrUnavailable, 0},
		{"ehlo", "502 5.5.1 not implemented", telemed.ErrUnavailable, 0},
		{"starttls", "501 5.5.4 Syntax error", telemed.ErrUnavailable, 0},
		{"noop", "550 5.7.1 no", telemed.ErrUnavailable, 0},
		{"noop", "530 5.7.0 Authentication required", telemed.ErrUnauthorized, 0},
	} {
		r, err := readReply(bufio.NewReader(strings.NewReader(c.line + "\r\n")))
		require.NoError(t, err)
		e := refused(c.op, r)
		require.ErrorIs(t, e, c.want, "%s: %s", c.op, c.line)
		require.Equal(t, c.wait, notify.RetryAfter(e), "%s: %s", c.op, c.line)
	}
}

// A server that wants fewer connections gets fewer, down to one, and more again once it
// takes messages.
func TestPoolSlowsDown(t *testing.T) {
	t.Parallel()
	verdict := error(refused("greeting", reply{code: 421}))
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	p := newPool(4, -1, func(context.Context) (*conn, error) {
		if verdict != nil {
			return nil, verdict
		}
		k := &conn{client: &Client{}, raw: &gate{Conn: near}}
		k.attach(near)
		return k, nil
	})
	free := func() int { return cap(p.slots) - len(p.slots) }
	for _, want := range []int{3, 2, 1, 1} {
		_, err := p.get(t.Context())
		require.ErrorIs(t, err, telemed.ErrRateLimited)
		require.Equal(t, want, free())
	}
	for _, other := range []error{telemed.ErrUnavailable, notify.ErrRecipient, errStale} {
		p.slots <- struct{}{}
		p.release(other)
		require.Equal(t, 1, free(), "neither slower nor faster")
	}
	verdict = nil
	for n := range 35 {
		k, err := p.get(t.Context())
		require.NoError(t, err)
		k.broken = true
		p.put(k, nil)
		require.Equal(t, min(4, 1+(n+1)/steady), free(), "after %d messages", n+1)
	}
	verdict = errors.Join(telemed.ErrRateLimited)
	_, err := p.get(t.Context())
	require.ErrorIs(t, err, telemed.ErrRateLimited)
	require.NoError(t, p.close(t.Context()), "slots that are out of use do not hold it up")
}

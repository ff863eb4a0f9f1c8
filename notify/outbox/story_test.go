package outbox_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/outbox"
	"github.com/telemed-go/telemed/notify/smtp/smtptest"
	"github.com/telemed-go/telemed/notify/whatsapp/whatsapptest"
)

func TestSentAndRead(t *testing.T) {
	story(t, nil, func(c *clinic) {
		c.enqueue(message("confirmed"), message("confirmed"))
		c.wait(2 * time.Second)
		s := c.is("confirmed", "sent")
		require.Equal(t, notify.WhatsApp, s.Channel)
		require.Equal(t, c.chat.Messages()[0].ID, s.ID)
		require.Contains(t, string(c.row(group).Data), phone, "mail may have to take it")
		c.reported("read")
		c.reported("sent")
		c.reported("delivered")
		c.is("confirmed", "delivered")
		require.NotContains(t, string(c.row(group).Data), phone)
		c.enqueue(message("confirmed"))
		c.wait(time.Hour)
		c.got(1, 0)
		require.Empty(t, c.alarms())
	})
}

func TestNoPersonIsKeptForLong(t *testing.T) {
	story(t, nil, func(c *clinic) {
		c.enqueue(message("confirmed"))
		c.wait(71 * time.Hour)
		require.Contains(t, string(c.row(group).Data), email)
		c.wait(2 * time.Hour)
		require.NotContains(t, string(c.row(group).Data), email)
		c.reported("failed", 131026)
		c.wait(time.Hour)
		c.is("confirmed", "failed: no channel could take it")
		c.got(1, 0)
		require.Equal(t, []string{"outbox/visit-42 confirmed: no channel could take it"}, c.alarms())
	})
}

func TestAnotherChannelAfterARefusal(t *testing.T) {
	story(t, nil, func(c *clinic) {
		c.chat.FailNext(whatsapptest.Refuse("", 0, 131026, ""))
		c.enqueue(message("confirmed"), message("no phone", func(m *outbox.Message) { m.Key, m.To.Phone = "no-phone", "" }))
		c.wait(10 * time.Second)
		require.Equal(t, notify.Email, c.is("confirmed", "sent").Channel)
		c.is("no-phone", "sent")
		c.got(0, 2)
		c.mail.RejectRecipient(email)
		c.enqueue(message("moved", byMail))
		c.wait(time.Minute)
		c.is("moved", "failed: no channel could take it")
		require.Len(t, c.alarms(), 1)
	})
}

// A message that Meta took and could not deliver goes by mail, once, however often and in
// whatever order that is told.
func TestAnotherChannelAfterALaterFailure(t *testing.T) {
	story(t, nil, func(c *clinic) {
		c.enqueue(message("confirmed"))
		c.wait(time.Hour)
		c.reported("failed", 131026)
		c.reported("failed", 131026)
		c.wait(time.Minute)
		c.reported("sent")
		c.reported("failed", 131026)
		c.wait(time.Hour)
		require.Equal(t, notify.Email, c.is("confirmed", "sent").Channel)
		c.got(1, 1)
	})
}

func TestWhatHasArrivedHasNotFailed(t *testing.T) {
	story(t, nil, func(c *clinic) {
		c.stop()
		c.start()
		c.enqueue(message("confirmed"))
		c.wait(time.Second)
		c.reported("delivered")
		c.reported("failed", 131026)
		c.wait(time.Hour)
		c.is("confirmed", "delivered")
		c.got(1, 0)

		// The other way round mail may be on its way already; here it is not.
		c.enqueue(message("moved"))
		c.wait(2 * time.Second)
		c.stop()
		c.reported("failed", 131026)
		c.reported("delivered")
		c.start()
		c.wait(time.Hour)
		c.is("moved", "delivered")
		c.got(1, 0)
	})
}

func TestALostAnswerAndAReport(t *testing.T) {
	story(t, nil, func(c *clinic) {
		c.chat.FailNext(whatsapptest.Fault{LoseAnswer: true})
		c.enqueue(message("confirmed"), message("otp", of(outbox.Once)))
		c.wait(time.Minute)
		c.is("confirmed", "unknown")
		c.is("otp", "sent")
		require.NoError(t, c.chat.SendStatus(c.Context(), c.chat.Messages()[0].ID, "sent"))
		c.wait(time.Hour)
		c.is("confirmed", "sent")
		c.got(2, 0)
	})
}

func TestALostAnswerAndNoReport(t *testing.T) {
	story(t, nil, func(c *clinic) {
		c.chat.FailNext(whatsapptest.Fault{LoseAnswer: true}, whatsapptest.Fault{LoseRequest: true})
		c.enqueue(message("confirmed"), message("otp", of(outbox.Once)))
		c.wait(time.Hour)
		c.is("confirmed", "sent")
		c.is("otp", "stuck: outcome unknown")
		require.Equal(t, []string{"outbox/visit-42 otp: outcome unknown"}, c.alarms())
		sent := c.chat.Messages()
		require.Equal(t, sent[0].Reference, sent[1].Reference)
		c.got(2, 0)

		require.NoError(t, c.Retry(c.Context(), group, "otp"))
		require.ErrorIs(t, c.Retry(c.Context(), group, "confirmed"), telemed.ErrConflict)
		require.ErrorIs(t, c.Retry(c.Context(), group, "nothing"), telemed.ErrNotFound)
		c.wait(time.Minute)
		c.is("otp", "sent")
		c.got(1, 0)
	})
}

func TestAServerThatAlwaysLosesItsAnswer(t *testing.T) {
	story(t, nil, func(c *clinic) {
		c.mail.FailNext(smtptest.Fault{Op: smtptest.OpData, LoseAnswer: true, Times: -1})
		c.enqueue(message("confirmed", byMail))
		c.wait(24 * time.Hour)
		c.is("confirmed", "stuck: outcome unknown")
		require.Len(t, c.alarms(), 1)
		c.got(0, 3)
	})
}

// TestASendThatIsInVainEachTime has what carries the message lose it each time, as a process
// does that dies of it. It is not begun again for ever at the pace of the evidence.
func TestASendThatIsInVainEachTime(t *testing.T) {
	mails := func(c *clinic, cfg *outbox.Config) {
		cfg.Evidence = map[notify.Channel]notify.Evidence{notify.Email: &events{clinic: c, outcome: notify.OutcomeNotArrived}}
	}
	for name, test := range map[string]struct {
		channels func(*outbox.Message)
		alarms   []string
		state    string
	}{
		"one channel": {byMail, []string{"outbox/visit-42 confirmed: email failed 12 times"}, ""},
		"two":         {func(m *outbox.Message) { m.Channels = []notify.Channel{notify.Email, notify.WhatsApp} }, nil, "sent"},
	} {
		t.Run(name, func(t *testing.T) {
			story(t, mails, func(c *clinic) {
				c.mail.FailNext(smtptest.Fault{Op: smtptest.OpData, LoseRequest: true, Times: -1})
				c.enqueue(message("confirmed", test.channels))
				c.wait(3 * time.Minute)
				require.Equal(t, 1, c.asked)
				c.wait(24 * time.Hour)
				require.Less(t, c.asked, 70)
				require.Equal(t, test.alarms, c.alarms())
				if test.state != "" {
					require.Equal(t, notify.WhatsApp, c.is("confirmed", test.state).Channel)
					c.got(1, 0)
				}
			})
		})
	}
}

// events is a mail relay's list of events, as an Evidence.
type events struct {
	*clinic
	outcome notify.Outcome
	err     error
}

func TestEvidence(t *testing.T) {
	var relay *events
	mails := func(c *clinic, cfg *outbox.Config) {
		relay = &events{clinic: c}
		cfg.Evidence = map[notify.Channel]notify.Evidence{notify.Email: relay}
	}
	story(t, mails, func(c *clinic) {
		lose := smtptest.Fault{Op: smtptest.OpData, LoseAnswer: true}
		// It has arrived.
		relay.outcome = notify.OutcomeArrived
		c.mail.FailNext(lose)
		c.enqueue(message("confirmed", byMail))
		c.wait(time.Hour)
		c.is("confirmed", "sent")
		require.Equal(t, 1, c.asked)
		c.got(0, 1)
		// It has not, which makes Once safe.
		relay.outcome = notify.OutcomeNotArrived
		c.mail.FailNext(smtptest.Fault{Op: smtptest.OpData, LoseRequest: true})
		c.enqueue(message("otp", byMail, of(outbox.Once)))
		c.wait(time.Hour)
		c.is("otp", "sent")
		c.got(0, 1)
		// Nobody knows, for long, or it cannot be asked.
		for key, err := range map[string]error{"receipt": nil, "moved": errors.New(email)} {
			relay.outcome, relay.err, c.asked = notify.OutcomeUnknown, err, 0
			c.mail.FailNext(lose)
			c.enqueue(message(key, byMail))
			c.wait(9 * time.Minute)
			c.is(key, "unknown")
			require.GreaterOrEqual(t, c.asked, 4)
			c.wait(time.Hour)
			c.is(key, "sent")
			c.got(0, 2)
		}
		require.Empty(t, c.alarms())
	})
}

// Outcome implements notify.Evidence.
func (e *events) Outcome(_ context.Context, reference string, sent time.Time) (notify.Outcome, error) {
	e.asked++
	require.Len(e, reference, 64)
	require.WithinDuration(e, time.Now(), sent, time.Hour)
	return e.outcome, e.err
}

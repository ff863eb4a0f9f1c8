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
	"github.com/telemed-go/telemed/store/durable"
)

// Bubbles begin at 05:30 in India: in quiet hours, which are over at 08:00.
func TestQuietHours(t *testing.T) {
	story(t, nil, func(c *clinic) {
		c.enqueue(message("confirmed"), message("reminder", of(outbox.Reminder)), message("otp", of(outbox.Once)),
			message("zoneless", of(outbox.Reminder), func(m *outbox.Message) { m.Zone, m.Series = "", "x" }))
		require.Equal(t, 2*time.Hour+30*time.Minute, time.Until(c.is("reminder", "due").At))
		c.wait(2 * time.Hour)
		c.is("reminder", "due")
		c.got(3, 0)
		c.wait(31 * time.Minute)
		c.got(1, 0)

		// At eight it would be too late: the visit is at half past eight.
		c.enqueue(message("early", of(outbox.Reminder), in(23*time.Hour), func(m *outbox.Message) {
			m.Latest, m.NotAfter = time.Now().Add(22*time.Hour+30*time.Minute), time.Now().Add(24*time.Hour+30*time.Minute)
		}))
		require.Equal(t, 12*time.Hour+58*time.Minute, time.Until(c.is("early", "due").At).Round(time.Minute))
		c.wait(13 * time.Hour)
		c.is("early", "sent")
		c.got(1, 0)
		// At night there is no time before any more.
		c.wait(2 * time.Hour)
		c.enqueue(message("late", of(outbox.Reminder), in(8*time.Hour), until(8*time.Hour)))
		c.wait(time.Minute)
		c.is("late", "dropped: no time outside of quiet hours")
		c.got(0, 0)
		require.Empty(t, c.alarms())
	})
}

func TestAfterAnOutageTheNewestReminder(t *testing.T) {
	story(t, nil, func(c *clinic) {
		reminder := func(key string, d time.Duration, series string) outbox.Message {
			return message(key, of(outbox.Reminder), in(d), until(60*time.Hour), func(m *outbox.Message) { m.Series = series })
		}
		c.enqueue(message("confirmed"), reminder("in-a-day", 30*time.Hour, ""), reminder("in-an-hour", 53*time.Hour, ""),
			reminder("soon", 57*time.Hour, ""), reminder("doctor", 30*time.Hour, "doctor"))
		c.wait(time.Minute)
		c.got(1, 0)
		c.stop()
		time.Sleep(54 * time.Hour) // 11:30 in India
		c.start()
		c.wait(time.Minute)
		c.is("in-a-day", "dropped: superseded by a newer reminder")
		c.is("in-an-hour", "sent")
		c.is("soon", "due")
		c.is("doctor", "sent")
		c.got(2, 0)
		c.stop()
		time.Sleep(6 * time.Hour)
		c.start()
		c.wait(time.Minute)
		c.is("soon", "dropped: expired")
		c.got(0, 0)
		require.Equal(t, []string{"outbox/visit-42 soon: expired"}, c.alarms())
	})
}

func TestDropByGeneration(t *testing.T) {
	story(t, nil, func(c *clinic) {
		later := func(key string, generation int) outbox.Message {
			return message(key, in(time.Hour), func(m *outbox.Message) { m.Generation = generation })
		}
		require.NoError(t, c.Drop(c.Context(), group, 2), "nothing is due")
		c.enqueue(message("confirmed"), later("one", 1), later("two", 2), later("none", 0))
		c.wait(time.Minute)
		require.NoError(t, c.Drop(c.Context(), group, 2))
		require.NoError(t, c.Drop(c.Context(), group, 1))
		c.enqueue(later("stale", 1))
		c.wait(2 * time.Hour)
		c.is("confirmed", "sent")
		c.is("one", "dropped: older generation")
		c.is("stale", "dropped: older generation")
		c.is("two", "sent")
		c.is("none", "sent")
		c.got(3, 0)
		require.NotContains(t, string(c.row(group).Data), "about your visit: stale")
	})
}

// A message that may be out is not sent again once it is not true any more.
func TestDropOfAnUnknownOutcome(t *testing.T) {
	story(t, nil, func(c *clinic) {
		c.mail.FailNext(smtptest.Fault{Op: smtptest.OpData, LoseAnswer: true}, smtptest.Fault{Op: smtptest.OpData, LoseAnswer: true})
		c.enqueue(message("confirmed", byMail), message("link", byMail, of(outbox.Once)))
		c.wait(time.Minute)
		require.NoError(t, c.Drop(c.Context(), group, 2))
		c.is("confirmed", "unknown")
		c.wait(time.Hour)
		c.is("confirmed", "dropped: older generation")
		c.is("link", "stuck: outcome unknown")
		c.got(0, 2)
	})
}

// away is Meta in maintenance.
var away = func() whatsapptest.Fault {
	f := whatsapptest.Refuse("", 0, 131016, "")
	f.Times = -1
	return f
}()

func TestExpired(t *testing.T) {
	story(t, nil, func(c *clinic) {
		c.chat.FailNext(away)
		c.enqueue(message("confirmed", until(time.Hour)))
		c.wait(2 * time.Hour)
		c.is("confirmed", "dropped: expired")
		c.got(0, 0)
		require.Equal(t, []string{"outbox/visit-42 confirmed: expired"}, c.alarms())
	})
}

func TestWhoSaidStop(t *testing.T) {
	story(t, nil, func(c *clinic) {
		require.NoError(t, c.chat.SendText(c.Context(), phone, "Zkmark", "Stop."))
		stopped := time.Now()
		time.Sleep(time.Second)
		require.NoError(t, c.Report(c.Context(), notify.Report{Channel: notify.WhatsApp, State: notify.ReportStopped}), "nobody knows who")
		c.enqueue(message("confirmed"), message("reminder", of(outbox.Reminder), byMail, func(m *outbox.Message) { m.Zone = "" }),
			message("otp", of(outbox.Once), func(m *outbox.Message) { m.Channels = m.Channels[:1] }))
		c.wait(time.Minute)
		require.Equal(t, notify.Email, c.is("confirmed", "sent").Channel)
		c.is("reminder", "dropped: opted out")
		c.is("otp", "dropped: opted out")
		c.got(0, 1)

		require.NoError(t, c.Allow(c.Context(), notify.WhatsApp, phone))
		require.NoError(t, c.Allow(c.Context(), notify.WhatsApp, "+4915112345678"))
		again := notify.Report{Channel: notify.WhatsApp, State: notify.ReportStopped, At: stopped, Address: phone}
		require.NoError(t, c.Report(c.Context(), again), "the same report, again")
		c.enqueue(message("moved"))
		c.wait(time.Minute)
		c.got(1, 0)
		again.At = time.Now()
		require.NoError(t, c.Report(c.Context(), again))
		c.enqueue(message("cancelled"))
		c.wait(time.Minute)
		c.got(0, 1)
		require.Empty(t, c.alarms())
		require.ErrorIs(t, c.Allow(c.Context(), "", ""), telemed.ErrInvalid)
	})
}

// Meta's limit of one pair of numbers is waited for, longer each time, and mail is not taken.
func TestNotNow(t *testing.T) {
	story(t, nil, func(c *clinic) {
		limited := whatsapptest.Refuse("", 0, 131056, "")
		limited.Times = 3
		c.chat.FailNext(limited)
		c.enqueue(message("confirmed"))
		c.wait(2 * time.Minute)
		require.Equal(t, 3, c.chat.Count(whatsapptest.OpSend))
		c.got(0, 0)
		c.wait(30 * time.Second)
		c.got(1, 0)
	})
}

func TestAChannelThatIsAwayForHours(t *testing.T) {
	story(t, nil, func(c *clinic) {
		c.chat.FailNext(away)
		c.enqueue(message("confirmed"), message("alone", func(m *outbox.Message) { m.Channels = m.Channels[:1] }))
		c.wait(2 * time.Hour)
		c.is("confirmed", "due")
		c.got(0, 0)
		c.wait(4 * time.Hour)
		require.Equal(t, notify.Email, c.is("confirmed", "sent").Channel)
		c.is("alone", "due")
		require.Equal(t, []string{"outbox/visit-42 alone: whatsapp failed 12 times"}, c.alarms())
		c.got(0, 1)
		c.chat.Reset()
		c.seen[0] = 0
		c.wait(time.Hour)
		c.is("alone", "sent")
		require.Empty(t, c.alarms())
		c.got(1, 0)
	})
}

// refusing is a channel whose credentials are refused while a test says so.
type refusing struct {
	notify.Notifier
	err   error
	calls int
}

func (r *refusing) Notify(ctx context.Context, msg notify.Message) (*notify.Receipt, error) {
	r.calls++
	if r.err != nil {
		return nil, r.err
	}
	return r.Notifier.Notify(ctx, msg)
}

func TestRefusedCredentialsPauseTheChannel(t *testing.T) {
	var chat *refusing
	story(t, func(c *clinic, cfg *outbox.Config) {
		chat = &refusing{Notifier: c.sender, err: telemed.ErrUnauthorized}
		cfg.Channels[notify.WhatsApp] = chat
		cfg.Workers = 1
	}, func(c *clinic) {
		alone := func(m *outbox.Message) { m.Channels = m.Channels[:1] }
		of := func(group string) func(*outbox.Message) { return func(m *outbox.Message) { m.Group = group } }
		c.enqueue(message("a", of("visit-1")), message("b", of("visit-2")), message("c", alone), message("d", alone, of("visit-4")))
		c.wait(time.Minute)
		require.Equal(t, 1, chat.calls)
		require.Equal(t, []string{"outbox-pause/whatsapp/clinic credentials refused"}, c.alarms())
		c.got(0, 2)
		c.wait(time.Hour)
		require.LessOrEqual(t, chat.calls, 8, "one tries, each ten minutes")
		require.GreaterOrEqual(t, chat.calls, 6)
		require.Empty(t, c.alarms())
		chat.err = nil
		c.wait(12 * time.Minute)
		c.is("c", "sent")
		c.got(2, 0)
		// It is well, and may fail again.
		chat.err = telemed.ErrUnauthorized
		c.enqueue(message("e", alone))
		c.wait(time.Minute)
		require.Len(t, c.alarms(), 1)
	})
}

func TestForbidden(t *testing.T) {
	story(t, nil, func(c *clinic) {
		c.chat.FailNext(whatsapptest.Refuse("", 0, 131031, ""))
		c.enqueue(message("confirmed"))
		c.wait(time.Minute)
		require.Equal(t, notify.Email, c.is("confirmed", "sent").Channel)
		require.Equal(t, []string{"outbox-pause/whatsapp/clinic not permitted"}, c.alarms())
		c.chat.FailNext(whatsapptest.Refuse("", 0, 131031, ""))
		c.enqueue(message("receipt"))
		c.wait(time.Minute)
		require.Empty(t, c.alarms(), "once a day")
		// Without another channel it waits for somebody to mend it.
		c.mail.FailNext(smtptest.Fault{Op: smtptest.OpRcpt, Status: 554, Body: "5.7.1 no"})
		c.enqueue(message("moved", byMail))
		c.wait(10 * time.Second)
		c.is("moved", "due")
		c.wait(time.Minute)
		c.is("moved", "sent")
		c.got(0, 3)
		require.Equal(t, []string{"outbox-pause/email/clinic not permitted"}, c.alarms())
		c.wait(24 * time.Hour)
		c.chat.FailNext(whatsapptest.Refuse("", 0, 131031, ""), whatsapptest.Refuse("", 0, 190, ""))
		c.enqueue(message("next"), message("last"))
		c.wait(time.Minute)
		require.ElementsMatch(t, []string{"outbox-pause/whatsapp/clinic not permitted", "outbox-pause/whatsapp/clinic credentials refused"}, c.alarms())
	})
}

func TestSpacing(t *testing.T) {
	story(t, nil, func(c *clinic) {
		c.enqueue(message("one"), message("two"), message("three"), message("other", func(m *outbox.Message) { m.Group = "visit-43" }))
		c.wait(time.Minute)
		var last time.Time
		for _, m := range c.chat.Messages() {
			if m.Reference != notify.Reference("visit-43/other") {
				require.GreaterOrEqual(t, m.At.Sub(last), 6*time.Second)
				last = m.At
			}
		}
		c.got(4, 0)
	})
}

func TestCompose(t *testing.T) {
	untrue, broken := false, true
	story(t, func(c *clinic, cfg *outbox.Config) {
		cfg.Compose = func(_ context.Context, m outbox.Message) (notify.Message, error) {
			require.Equal(c, "clinic", m.Tenant)
			require.JSONEq(c, `{"visit":42}`, string(m.Data))
			switch {
			case broken:
				return notify.Message{}, errors.New("cannot read " + phone)
			case untrue:
				return notify.Message{}, outbox.ErrUntrue
			}
			return notify.Message{To: notify.Recipient{Phone: phone}, Content: words("as it is now")}, nil
		}
	}, func(c *clinic) {
		thin := func(key string) outbox.Message {
			return outbox.Message{Key: key, Group: group, Tenant: "clinic", Channels: []notify.Channel{notify.WhatsApp}, Data: []byte(`{"visit":42}`)}
		}
		c.enqueue(thin("confirmed"))
		c.wait(10 * time.Second)
		c.is("confirmed", "due")
		broken = false
		c.wait(time.Minute)
		c.is("confirmed", "sent")
		require.Contains(t, c.chat.Messages()[0].Text, "as it is now")
		untrue = true
		c.enqueue(thin("moved"))
		c.wait(time.Minute)
		c.is("moved", "dropped: not true any more")
		c.got(1, 0)
	})
}

func TestTemplateAndData(t *testing.T) {
	var seen notify.Message
	story(t, func(_ *clinic, cfg *outbox.Config) {
		cfg.Channels[notify.Email] = notify.NotifierFunc(func(_ context.Context, msg notify.Message) (*notify.Receipt, error) {
			seen = msg
			return &notify.Receipt{Channel: notify.Email, ID: "1", At: time.Now()}, nil
		})
	}, func(c *clinic) {
		c.enqueue(message("confirmed", byMail, func(m *outbox.Message) {
			m.Content, m.Template, m.Data = nil, "lab_ready", []byte(`{"test":"blood"}`)
		}))
		c.wait(time.Minute)
		require.Equal(t, "visit-42/confirmed", seen.Key)
		require.Equal(t, []any{"lab_ready", map[string]any{"test": "blood"}, "Asia/Kolkata", email}, []any{seen.Template, seen.Data, seen.To.Zone.String(), seen.To.Email})
	})
}

func TestTenants(t *testing.T) {
	down := true
	story(t, func(c *clinic, cfg *outbox.Config) {
		cfg.Channels = nil
		cfg.Tenants = func(_ context.Context, tenant string) (map[notify.Channel]notify.Notifier, error) {
			if down {
				return nil, errors.New("database is away")
			}
			require.Equal(c, "clinic", tenant)
			return map[notify.Channel]notify.Notifier{notify.Email: c.post}, nil
		}
	}, func(c *clinic) {
		c.enqueue(message("confirmed"))
		c.wait(10 * time.Second)
		c.is("confirmed", "due")
		down = false
		c.wait(time.Minute)
		require.Equal(t, notify.Email, c.is("confirmed", "sent").Channel)
		require.ErrorIs(t, c.Enqueue(c.Context(), message("moved", func(m *outbox.Message) { m.Tenant = "other" })), telemed.ErrConflict)
	})
}

// Two Outboxes over one Store send their own messages, and each takes reports about both.
func TestTwoKinds(t *testing.T) {
	story(t, nil, func(c *clinic) {
		passwords, err := outbox.New(outbox.Config{
			Store: c.rows, Kind: "passwords", Channels: map[notify.Channel]notify.Notifier{notify.WhatsApp: c.sender}, EvidenceWait: time.Hour,
		})
		require.NoError(t, err)
		otp := message("otp", of(outbox.Once), func(m *outbox.Message) { m.Group, m.Channels = "login-1", m.Channels[:1] })
		require.NoError(t, passwords.Enqueue(c.Context(), otp))
		c.wait(time.Minute)
		c.got(0, 0)
		_, err = passwords.Runner().Step(c.Context(), durable.ID{Kind: "passwords", Name: "login-1"})
		require.NoError(t, err)
		c.reported("delivered")
		all, err := passwords.Get(c.Context(), "login-1")
		require.NoError(t, err)
		require.Equal(t, outbox.Delivered, all[0].State)
		c.enqueue(message("confirmed"))
		c.wait(time.Minute)
		require.NoError(t, passwords.Report(c.Context(), notify.Report{
			Channel: notify.WhatsApp, State: notify.ReportRead, Reference: notify.Reference("visit-42/confirmed"),
		}))
		c.is("confirmed", "delivered")
		c.got(2, 0)
	})
}

func TestErase(t *testing.T) {
	story(t, nil, func(c *clinic) {
		require.NoError(t, c.Erase(c.Context(), group), "it holds nobody")
		c.chat.FailNext(whatsapptest.Fault{}, whatsapptest.Fault{LoseAnswer: true})
		c.enqueue(message("confirmed"), message("unknown"), message("later", in(time.Hour)))
		c.wait(time.Minute)
		require.NoError(t, c.Erase(c.Context(), group))
		require.NoError(t, c.Erase(c.Context(), group))
		for _, personal := range []string{phone, email, "Zkmark", c.chat.Messages()[0].ID} {
			require.NotContains(t, string(c.row(group).Data), personal)
		}
		c.is("unknown", "dropped: erased")
		c.reported("sent")
		require.NotContains(t, string(c.row(group).Data), "wamid")
		c.is("confirmed", "sent")
		c.is("unknown", "sent")
		c.is("later", "dropped: erased")
		c.enqueue(message("later"))
		require.ErrorIs(t, c.Retry(c.Context(), group, "later"), telemed.ErrConflict)
		c.wait(2 * time.Hour)
		c.got(2, 0)
	})
}

// Two processes with leaves of their own; one stands still in the middle of a send.
func TestAProcessThatStoodStill(t *testing.T) {
	var froze time.Duration
	story(t, func(c *clinic, cfg *outbox.Config) {
		cfg.Channels[notify.Email] = notify.NotifierFunc(func(ctx context.Context, msg notify.Message) (*notify.Receipt, error) {
			if froze == 0 {
				froze = 10 * time.Minute
				receipt, err := c.post.Notify(ctx, msg)
				time.Sleep(froze)
				return receipt, err
			}
			return c.post.Notify(ctx, msg)
		})
	}, func(c *clinic) {
		other, err := outbox.New(outbox.Config{
			Store: c.rows, Channels: map[notify.Channel]notify.Notifier{notify.WhatsApp: c.sender, notify.Email: c.post}, EvidenceWait: 20 * time.Minute,
		})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(context.Background())
		c.enqueue(message("confirmed", byMail))
		time.Sleep(2 * time.Second)
		go func() { _ = other.Run(ctx) }()
		time.Sleep(5 * time.Minute)
		c.is("confirmed", "unknown")
		time.Sleep(time.Hour)
		cancel()
		c.wait(time.Minute)
		c.is("confirmed", "sent")
		c.got(0, 1)
	})
}

// freezing is a Store in whose last write before a send a process stands still.
type freezing struct {
	*durable.Memory
	last time.Duration
}

func (f *freezing) Put(ctx context.Context, item durable.Item) (string, error) {
	revision, err := f.Memory.Put(ctx, item)
	if item.ID.Kind == "message-ref" {
		time.Sleep(f.last)
		f.last = 0
	}
	return revision, err
}

// A process that stands still before it sends does not send when it goes on, also by a
// Notifier that does not look at its context, and nothing after its time.
func TestAProcessThatStoodStillBefore(t *testing.T) {
	rows, sent := &freezing{last: 31 * time.Second}, 0
	story(t, func(c *clinic, cfg *outbox.Config) {
		rows.Memory = c.rows
		cfg.Store = rows
		cfg.Channels[notify.Email] = notify.NotifierFunc(func(context.Context, notify.Message) (*notify.Receipt, error) {
			sent++
			return &notify.Receipt{Channel: notify.Email, ID: "1", At: time.Now()}, nil
		})
	}, func(c *clinic) {
		c.enqueue(message("confirmed", byMail))
		time.Sleep(40 * time.Second)
		c.wait(0)
		require.Equal(c, 1, sent, "the second time")
		require.GreaterOrEqual(c, time.Since(c.is("confirmed", "sent").At), 8*time.Second)
		require.LessOrEqual(c, time.Since(c.is("confirmed", "sent").At), 10*time.Second)
		rows.last = 10 * time.Second
		c.enqueue(message("late", byMail, until(5*time.Second)))
		c.wait(time.Minute)
		c.is("late", "dropped: expired")
		require.Equal(c, 1, sent)
	})
}

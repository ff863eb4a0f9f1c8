package outbox_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/outbox"
	"github.com/telemed-go/telemed/store/durable"
)

// to is for a person at an address, by WhatsApp and then by mail.
func to(key, number, user string) outbox.Message {
	return message(key, func(m *outbox.Message) { m.To.Phone, m.To.WhatsAppUserID = number, user })
}

// TestStopAtAnotherAddress: whatever address of a person Meta has the stop from, no address
// of that person gets anything more, and Allow at any of them ends it at all.
func TestStopAtAnotherAddress(t *testing.T) {
	for name, test := range map[string]struct{ number, user, stops, allows string }{
		"the number as Meta spells it": {"+5511987654321", "", "551187654321", "+551187654321"},
		"a number and a user id":       {"+919876500077", "", "IN.77", "in.77"},
		"a hidden number":              {"+919876500078", "", "IN.78", "IN.78"},
		"a user id alone":              {"", "IN.78", "IN.78", "IN.78"},
		"a user id, and the number":    {"", "IN.77", "+919876500077", "+919876500077"},
		"Meta does not know both":      {"+919876500042", "IN.42", "IN.42", "IN.42"},
	} {
		t.Run(name, func(t *testing.T) {
			story(t, nil, func(c *clinic) {
				c.enqueue(to("confirmed", test.number, test.user))
				c.wait(time.Minute)
				c.got(1, 0)
				require.NoError(t, c.chat.SendText(c.Context(), test.stops, "Zkmark", "stop"))
				reminder := to("reminder", test.number, test.user)
				reminder.Category, reminder.Zone = outbox.Reminder, ""
				c.enqueue(to("moved", test.number, test.user), reminder)
				c.wait(time.Minute)
				c.got(0, 1)
				c.is("reminder", "dropped: opted out")
				for _, address := range []string{test.number, test.user} {
					if address != "" && (address == test.stops || test.user == "") {
						out, err := c.OptedOut(c.Context(), notify.WhatsApp, address)
						require.NoError(t, err)
						require.True(t, out)
					}
				}
				require.NoError(t, c.Allow(c.Context(), notify.WhatsApp, test.allows))
				c.enqueue(to("again", test.number, test.user))
				c.wait(time.Minute)
				c.got(1, 0)
			})
		})
	}
}

// TestStopBeforeTheFirstMessage: Meta spells the number in another way, and nobody can know
// whose it is before something was sent. From then on it holds.
func TestStopBeforeTheFirstMessage(t *testing.T) {
	story(t, nil, func(c *clinic) {
		require.NoError(t, c.chat.SendText(c.Context(), "551187654321", "Zkmark", "stop"))
		c.enqueue(to("confirmed", "+5511987654321", ""))
		c.wait(time.Minute)
		c.got(1, 0)
		c.enqueue(to("moved", "+5511987654321", ""))
		c.wait(time.Minute)
		c.got(0, 1)
	})
}

// TestReportsLinkToo: the answer to the send was lost, and the report tells whose message
// it was.
func TestReportsLinkToo(t *testing.T) {
	story(t, nil, func(c *clinic) {
		report := notify.Report{Channel: notify.WhatsApp, Reference: notify.Reference("visit-42/confirmed"), State: notify.ReportSent, KnownAs: []string{"IN.9"}}
		c.enqueue(message("confirmed"))
		c.wait(time.Minute)
		c.got(1, 0)
		require.NoError(t, c.Report(c.Context(), report))
		require.NoError(t, c.Report(c.Context(), notify.Report{Channel: notify.WhatsApp, State: notify.ReportStopped, Address: "IN.9"}))
		c.enqueue(message("moved"))
		c.wait(time.Minute)
		c.got(0, 1)
	})
}

// TestAnotherNumber: the old number may be a stranger's. What was said there holds at the
// new one, and nobody is told anything at the old one until a person allows it.
func TestAnotherNumber(t *testing.T) {
	const old, fresh = "+919876500077", "+919876500099"
	story(t, nil, func(c *clinic) {
		c.enqueue(to("confirmed", old, ""))
		c.wait(time.Minute)
		c.got(1, 0)
		require.NoError(t, c.chat.SendText(c.Context(), old, "Zkmark", "stop"))
		time.Sleep(time.Second)
		require.NoError(t, c.chat.SendNumberChange(c.Context(), old, fresh))
		moved := time.Now()
		for _, address := range []string{fresh, "IN.77"} {
			out, err := c.OptedOut(c.Context(), notify.WhatsApp, address)
			require.NoError(t, err)
			require.True(t, out, "what was said at the old number")
		}
		reminder := to("reminder", old, "")
		reminder.Category, reminder.Zone = outbox.Reminder, ""
		c.enqueue(reminder)
		c.wait(time.Minute)
		c.is("reminder", "dropped: opted out")
		c.got(0, 0)
		require.NoError(t, c.Allow(c.Context(), notify.WhatsApp, fresh))
		c.enqueue(to("by-mail", old, ""))
		c.enqueue(message("alone", func(m *outbox.Message) { m.To.Phone, m.Channels = old, m.Channels[:1] }))
		c.enqueue(to("new-number", fresh, ""))
		c.wait(time.Minute)
		c.got(1, 1)
		require.Equal(t, fresh, c.chat.Messages()[1].To)
		c.is("alone", "failed: no channel could take it")
		require.Equal(t, []string{"outbox/visit-42 alone: no channel could take it"}, c.alarms())

		out, err := c.OptedOut(c.Context(), notify.WhatsApp, old)
		require.NoError(t, err)
		require.True(t, out, "a stranger's, maybe")
		require.NoError(t, c.Allow(c.Context(), notify.WhatsApp, old))
		report := notify.Report{Channel: notify.WhatsApp, State: notify.ReportMoved, At: moved, Address: old, NewAddress: fresh}
		require.NoError(t, c.Report(c.Context(), report), "the same report, again")
		c.enqueue(to("hers-again", old, ""))
		c.wait(time.Minute)
		c.got(1, 0)
		// Who has the old number now is another person.
		require.NoError(t, c.chat.SendText(c.Context(), fresh, "Zkmark", "stop"))
		out, err = c.OptedOut(c.Context(), notify.WhatsApp, old)
		require.NoError(t, err)
		require.False(t, out)
	})
}

// TestBackAtTheOldNumber: a person who returns to a number is told things there again, and
// what was said at the other one holds. Late reports of the way there change nothing.
func TestBackAtTheOldNumber(t *testing.T) {
	const old, fresh = "+919876500077", "+919876500099"
	story(t, nil, func(c *clinic) {
		away := notify.Report{Channel: notify.WhatsApp, State: notify.ReportMoved, At: time.Now(), Address: old, NewAddress: fresh}
		require.NoError(t, c.Report(c.Context(), away))
		c.enqueue(to("away", old, ""))
		c.wait(time.Minute)
		c.got(0, 1)
		back := notify.Report{Channel: notify.WhatsApp, State: notify.ReportMoved, At: time.Now(), Address: fresh, NewAddress: old}
		for _, r := range []notify.Report{back, back, away} {
			require.NoError(t, c.Report(c.Context(), r))
		}
		c.enqueue(to("back", old, ""), to("left", fresh, ""))
		c.wait(time.Minute)
		c.got(1, 1)
		require.Equal(t, old, c.chat.Messages()[0].To)
		stop := notify.Report{Channel: notify.WhatsApp, State: notify.ReportStopped, At: time.Now(), Address: old}
		require.NoError(t, c.Report(c.Context(), stop))
		again := away
		again.At = time.Now()
		require.NoError(t, c.Report(c.Context(), again))
		out, err := c.OptedOut(c.Context(), notify.WhatsApp, fresh)
		require.NoError(t, err)
		require.True(t, out)
	})
}

// TestRowsThatTheVersionBeforeReads: only what that one would send wrongly is hidden from it.
func TestRowsThatTheVersionBeforeReads(t *testing.T) {
	for name, c := range map[string]struct {
		change func(m *outbox.Message)
		want   int
	}{
		"as before": {func(*outbox.Message) {}, 1},
		"a user id": {func(m *outbox.Message) { m.To.WhatsAppUserID = "IN.1" }, 2},
		"a header":  {func(m *outbox.Message) { m.Content.WhatsApp.Header = &notify.WhatsAppHeader{Text: "x"} }, 2},
		"names":     {func(m *outbox.Message) { m.Content.WhatsApp.Named = map[string]string{"a": "b"} }, 2},
		"buttons":   {func(m *outbox.Message) { m.Content.WhatsApp.Buttons = []notify.WhatsAppButton{{URL: "x"}} }, 2},
	} {
		box, rows := desk(t)
		require.NoError(t, box.Enqueue(t.Context(), message("k", c.change)))
		item, err := rows.Get(t.Context(), durable.ID{Kind: outbox.RowKind, Name: group})
		require.NoError(t, err)
		require.Equal(t, c.want, item.Version, name)
	}
}

// TestLateReportOfTheNumberThatWasLeft: what is told late of a message to the old number
// does not make one person of the patient and of whoever has that number now.
func TestLateReportOfTheNumberThatWasLeft(t *testing.T) {
	const old, fresh = "+919876500077", "+919876500099"
	story(t, nil, func(c *clinic) {
		optedOut := func(address string) bool {
			out, err := c.OptedOut(c.Context(), notify.WhatsApp, address)
			require.NoError(t, err)
			return out
		}
		c.enqueue(to("confirmed", old, ""))
		c.wait(time.Minute)
		c.got(1, 0)
		require.NoError(t, c.Report(c.Context(), notify.Report{
			Channel: notify.WhatsApp, State: notify.ReportMoved, At: time.Now(), Address: old, NewAddress: fresh, KnownAs: []string{"IN.77"},
		}))
		late := notify.Report{
			Channel: notify.WhatsApp, Reference: notify.Reference("visit-42/confirmed"), State: notify.ReportDelivered, At: time.Now(),
			KnownAs: []string{old, "IN.77"},
		}
		require.NoError(t, c.Report(c.Context(), late))
		time.Sleep(time.Second)
		stranger := notify.Report{
			Channel: notify.WhatsApp, State: notify.ReportStopped, At: time.Now(), Address: old, KnownAs: []string{"IN.99"},
		}
		require.NoError(t, c.Report(c.Context(), stranger))
		require.True(t, optedOut("IN.99"), "the stranger's stop holds")
		require.False(t, optedOut(fresh))
		require.False(t, optedOut("IN.77"))
		time.Sleep(time.Second)
		require.NoError(t, c.Allow(c.Context(), notify.WhatsApp, "IN.99"))
		require.NoError(t, c.Report(c.Context(), notify.Report{
			Channel: notify.WhatsApp, State: notify.ReportStopped, At: time.Now(), Address: "IN.77",
		}))
		require.True(t, optedOut(fresh))
		require.False(t, optedOut("IN.99"))
	})
}

// TestBackWithAUserID: a number that a person returns to is that person's again in all.
func TestBackWithAUserID(t *testing.T) {
	const old, fresh = "+919876500077", "+919876500099"
	story(t, nil, func(c *clinic) {
		for _, r := range []notify.Report{{Address: old, NewAddress: fresh}, {Address: fresh, NewAddress: old}} {
			r.Channel, r.State, r.At, r.KnownAs = notify.WhatsApp, notify.ReportMoved, time.Now(), []string{"IN.77"}
			require.NoError(t, c.Report(c.Context(), r))
			time.Sleep(time.Second)
		}
		require.NoError(t, c.Report(c.Context(), notify.Report{
			Channel: notify.WhatsApp, State: notify.ReportStopped, At: time.Now(), Address: "IN.77",
		}))
		out, err := c.OptedOut(c.Context(), notify.WhatsApp, old)
		require.NoError(t, err)
		require.True(t, out)
	})
}

// slow is a Store that does something before it answers the n-th time.
type slow struct {
	durable.Store
	n    int
	then func()
}

func (s *slow) Get(ctx context.Context, id durable.ID) (durable.Item, error) {
	if s.n--; s.n == 0 {
		s.then()
	}
	return s.Store.Get(ctx, id)
}

// TestStopAroundAMove: who says stop just before taking another number has said it there
// too, whatever comes first and however late.
func TestStopAroundAMove(t *testing.T) {
	const old, fresh = "+919876500077", "+919876500099"
	said := time.Now().Add(-time.Hour)
	stop := notify.Report{Channel: notify.WhatsApp, State: notify.ReportStopped, At: said, Address: old}
	moved := notify.Report{Channel: notify.WhatsApp, State: notify.ReportMoved, At: said.Add(time.Minute), Address: old, NewAddress: fresh}
	optedOut := func(box *outbox.Outbox, address string) bool {
		out, err := box.OptedOut(t.Context(), notify.WhatsApp, address)
		require.NoError(t, err)
		return out
	}
	box, _ := desk(t)
	require.NoError(t, box.Report(t.Context(), moved))
	require.NoError(t, box.Report(t.Context(), stop))
	require.True(t, optedOut(box, fresh), "the stop is late")

	box, _ = desk(t)
	require.NoError(t, box.Report(t.Context(), moved))
	stranger := stop
	stranger.At = moved.At.Add(time.Hour)
	require.NoError(t, box.Report(t.Context(), stranger))
	require.False(t, optedOut(box, fresh), "somebody else's")

	// The number of the read between which both are told is not known here.
	for n := 1; n < 12; n++ {
		box, rows := desk(t)
		require.NoError(t, box.Report(t.Context(), notify.Report{Channel: notify.WhatsApp, State: notify.ReportStopped, Address: "+919876500001"}))
		at := &slow{Store: rows, n: n, then: func() { require.NoError(t, box.Report(t.Context(), stop)) }}
		other, _ := desk(t, func(cfg *outbox.Config) { cfg.Store = at })
		if err := other.Report(t.Context(), moved); err != nil {
			require.NoError(t, other.Report(t.Context(), moved), "the provider repeats it")
		}
		require.True(t, at.n > 0 || optedOut(box, fresh), "read %d", n)
	}
}

// TestStopThatComesAgain: a stop from before Allow is over at each address, also at one that
// is known only since.
func TestStopThatComesAgain(t *testing.T) {
	said := time.Now().Add(-time.Hour)
	box, _ := desk(t)
	stop := notify.Report{Channel: notify.WhatsApp, State: notify.ReportStopped, At: said, Address: phone}
	require.NoError(t, box.Report(t.Context(), stop))
	require.NoError(t, box.Allow(t.Context(), notify.WhatsApp, phone))
	stop.KnownAs = []string{"IN.42"}
	require.NoError(t, box.Report(t.Context(), stop))
	for _, address := range []string{phone, "IN.42"} {
		out, err := box.OptedOut(t.Context(), notify.WhatsApp, address)
		require.NoError(t, err)
		require.False(t, out, address)
	}
	stop.At = time.Now()
	require.NoError(t, box.Report(t.Context(), stop))
	out, err := box.OptedOut(t.Context(), notify.WhatsApp, "IN.42")
	require.NoError(t, err)
	require.True(t, out)
}

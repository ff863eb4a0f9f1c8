package outbox_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
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

// TestNoPersonInTheClear: whatever goes wrong, nobody is in a log, an error, an audit trail,
// the name of a row or a text that says what is stuck. Only Data, which a Store seals, has
// persons in it.
func TestNoPersonInTheClear(t *testing.T) {
	var mu sync.Mutex
	var seen strings.Builder
	note := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(&seen, format+"\n", args...)
	}
	var log bytes.Buffer
	personal := errors.New("no row for Zkmark Rao, " + phone + ", " + email)
	composes := personal
	var relay *events
	story(t, func(c *clinic, cfg *outbox.Config) {
		relay = &events{clinic: c, err: personal}
		cfg.Evidence = map[notify.Channel]notify.Evidence{notify.Email: relay}
		cfg.Logger = slog.New(slog.NewTextHandler(&lockedWriter{w: &log, mu: &mu}, &slog.HandlerOptions{Level: slog.LevelDebug}))
		cfg.Observe = func(e durable.Event) { note("%v %+v %#v", e.Err, e, e.Err) }
		cfg.OnStuck = func(item durable.Item) { note("%v %s %s", item, item.Stuck, item.Audit) }
		cfg.Compose = func(_ context.Context, m outbox.Message) (notify.Message, error) {
			note("%v %+v %s", m, m, m)
			return notify.Message{To: m.To, Content: m.Content}, composes
		}
	}, func(c *clinic) {
		c.enqueue(message("confirmed"), message("reminder", of(outbox.Reminder)), message("receipt", byMail), message("otp", of(outbox.Once), until(time.Hour)))
		c.wait(time.Minute)
		composes = nil
		limited := whatsapptest.Refuse("", 0, 130429, "")
		c.chat.FailNext(limited, whatsapptest.Refuse("", 0, 131026, ""), whatsapptest.Refuse("", 0, 190, ""), whatsapptest.Fault{LoseAnswer: true})
		c.mail.FailNext(smtptest.Fault{Op: smtptest.OpRcpt, Status: 450, Body: "4.2.1 <" + email + "> gets too much"}, smtptest.Fault{Op: smtptest.OpData, LoseAnswer: true})
		c.wait(time.Hour)
		c.enqueue(message("one"), message("two"), message("three")) // for what is left to go wrong
		c.wait(time.Hour)
		c.enqueue(message("paid"))
		c.wait(time.Minute)
		require.Equal(t, notify.WhatsApp, c.is("paid", "sent").Channel)
		require.NoError(t, c.chat.SendText(c.Context(), phone, "Zkmark", "stop"))
		c.enqueue(message("moved"), message("second", of(outbox.Reminder)))
		c.wait(4 * time.Hour)
		c.mail.RejectRecipient(email)
		c.enqueue(message("cancelled", byMail))
		err := c.Enqueue(c.Context(), message("cancelled"))
		require.ErrorIs(t, err, telemed.ErrConflict)
		note("%v %+v", err, err)
		c.wait(time.Hour)
		all, err := c.Get(c.Context(), group)
		require.NoError(t, err)
		note("%v %+v", all, all)
		for item := range c.rows.List(c.Context(), durable.Filter{}) {
			note("%s %s %s %s", item.ID, item.Tenant, item.Stuck, item.Audit)
		}
		require.Contains(t, string(c.row(group).Data), "wamid")
		require.Contains(t, string(c.row(group).Data), phone, "a person may have to look")
	})
	text := seen.String() + log.String()
	require.Contains(t, text, "Compose failed with a")
	require.Contains(t, text, "is refused by email")
	require.Contains(t, text, "credentials refused")
	require.Contains(t, text, "opt-out/")
	for _, canary := range []string{"Zkmark", "zkmark", phone[1:], "76500042", "wamid", "about your visit", "Iyer"} {
		require.NotContains(t, text, canary)
	}
}

type lockedWriter struct {
	w  *bytes.Buffer
	mu *sync.Mutex
}

func (l *lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

package outbox_test

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/outbox"
	"github.com/telemed-go/telemed/store/durable"
)

// keptRow is a row as it was written once.
type keptRow struct {
	ID      durable.ID
	Tenant  string          `json:",omitempty"`
	Due     time.Time       `json:",omitzero"`
	Version int             //
	Audit   json.RawMessage `json:",omitempty"`
	Data    json.RawMessage
}

// TestRowsOfTheFirstFormat: testdata/rows.json was written by the first version of this
// package. Whatever the format becomes, such rows are read, and what they want is done.
func TestRowsOfTheFirstFormat(t *testing.T) {
	data, err := os.ReadFile("testdata/rows.json")
	require.NoError(t, err)
	var rows []keptRow
	require.NoError(t, json.Unmarshal(data, &rows))
	story(t, nil, func(c *clinic) {
		c.stop()
		for _, r := range rows {
			_, err := c.rows.Put(c.Context(), durable.Item{ID: r.ID, Tenant: r.Tenant, Due: r.Due, Version: r.Version, Audit: compact(t, r.Audit), Data: compact(t, r.Data)})
			require.NoError(t, err)
		}
		time.Sleep(5 * time.Minute)
		for key, state := range map[string]string{
			"sent": "sent", "lost": "delivered", "refused": "sent", "stuck": "stuck: outcome unknown", "unknown": "unknown",
			"stale": "dropped: older generation", "due": "due", "reminder": "due", "paused": "due",
		} {
			c.is(key, state)
		}
		// The same message is the same, and another one is not.
		again := func(key string) outbox.Message {
			return message(key, func(m *outbox.Message) { m.Channels = m.Channels[:1] })
		}
		require.NoError(t, c.Enqueue(c.Context(), message("sent"), again("lost"), message("refused"), again("unknown")))
		require.ErrorIs(t, c.Enqueue(c.Context(), again("sent")), telemed.ErrConflict)
		// What a provider says of them is understood.
		report := notify.Report{Channel: notify.WhatsApp, Reference: notify.Reference("visit-42/sent"), State: notify.ReportRead}
		require.NoError(t, c.Report(c.Context(), report))
		c.is("sent", "delivered")

		c.start()
		c.wait(4 * time.Hour)
		c.is("unknown", "dropped: older generation")
		c.is("due", "sent")
		c.is("reminder", "sent")
		c.is("paused", "sent")
		c.got(3, 0)
		require.NoError(t, c.Retry(c.Context(), group, "stuck"))
		c.wait(time.Minute)
		c.is("stuck", "dropped: older generation")
		// Who said stop still has.
		c.enqueue(message("moved", func(m *outbox.Message) { m.Generation, m.To.Phone = 0, "+919876500043" }))
		c.wait(time.Minute)
		c.got(0, 1)
		require.Contains(t, string(c.row(group).Data), `"later":{"of":"another version"}`, "a field that is not known here")
	})
}

func compact(t *testing.T, data []byte) []byte {
	if data == nil {
		return nil
	}
	var b bytes.Buffer
	require.NoError(t, json.Compact(&b, data))
	return b.Bytes()
}

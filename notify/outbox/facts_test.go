package outbox

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/store/durable"
)

// TestFactsComeLate: a worker that stood still tells what came of its send when another one
// has gone on. What is farther holds, in any order, and twice is as once.
func TestFactsComeLate(t *testing.T) {
	t.Parallel()
	const c = notify.WhatsApp
	type fact func(r *record, m *message)
	accepted := func(r *record, m *message) { m.accept(r, c, "wamid.1", noon) }
	lost := func(n int) fact { return func(r *record, m *message) { m.lose(r, c, n) } }
	free := func(n int) fact {
		return func(_ *record, m *message) { m.free(c, n, func(w *way) { w.Rest = durable.Rest{N: 1, At: noon} }) }
	}
	gaveUp := func(r *record, m *message) { m.giveUp(r, c) }
	report := func(state notify.ReportState, id string) fact {
		return func(r *record, m *message) {
			m.merge(r, notify.Report{Channel: c, State: state, ID: id, At: noon})
		}
	}
	sending := func(n int) way { return way{N: n, Begun: ago(1), State: waySending} }
	unknown := way{N: 1, Begun: ago(1), State: wayUnknown, Lost: ago(1)}
	for name, test := range map[string]struct {
		is    way
		facts []fact
		want  wayState
	}{
		"sent":                                {sending(1), []fact{accepted}, waySent},
		"lost":                                {sending(1), []fact{lost(1)}, wayUnknown},
		"not sent":                            {sending(1), []fact{free(1)}, wayFree},
		"not sent after all":                  {unknown, []fact{free(1)}, wayFree},
		"the last send was not sent":          {sending(2), []fact{free(1)}, waySending},
		"the last send was lost":              {sending(2), []fact{lost(1)}, waySending},
		"lost, and given up already":          {way{N: 1}, []fact{lost(1)}, wayFree},
		"the last send was sent":              {sending(2), []fact{accepted, lost(2), free(2)}, waySent},
		"sent, and given up already":          {way{N: 1}, []fact{accepted}, waySent},
		"given up, and reported":              {unknown, []fact{gaveUp, report(notify.ReportSent, "wamid.1")}, waySent},
		"sent is not given up":                {sending(1), []fact{accepted, gaveUp}, waySent},
		"delivered, and late":                 {sending(1), []fact{report(notify.ReportDelivered, "wamid.1"), lost(1), accepted, report(notify.ReportSent, "wamid.1")}, wayDelivered},
		"failed, and late":                    {sending(1), []fact{accepted, report(notify.ReportFailed, "wamid.1"), report(notify.ReportSent, "wamid.1")}, wayFailed},
		"failed, and delivered":               {sending(1), []fact{accepted, report(notify.ReportFailed, "wamid.1"), report(notify.ReportRead, "wamid.1")}, wayDelivered},
		"another copy failed":                 {sending(1), []fact{accepted, report(notify.ReportFailed, "wamid.2")}, waySent},
		"failed before its answer":            {unknown, []fact{report(notify.ReportFailed, "wamid.1")}, wayFailed},
		"failed, and is to be sent":           {way{N: 1}, []fact{report(notify.ReportFailed, "wamid.1")}, wayFree},
		"of a channel that was not taken":     {way{Channel: notify.Email, N: 1, State: waySending}, []fact{report(notify.ReportDelivered, "x")}, wayFree},
		"of a state that is not known so far": {sending(1), []fact{accepted, report("deleted", "wamid.1")}, waySent},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			apply := func(twice bool) *message {
				r := &record{Messages: []*message{due(on(test.is))}}
				for _, f := range test.facts {
					f(r, r.Messages[0])
					if twice {
						f(r, r.Messages[0])
					}
				}
				return r.Messages[0]
			}
			once, err := json.Marshal(timeless(apply(false)))
			require.NoError(t, err)
			twice, err := json.Marshal(timeless(apply(true)))
			require.NoError(t, err)
			require.Equal(t, string(once), string(twice))
			require.Equal(t, test.want, apply(false).way(c).state())
		})
	}
}

// timeless takes out what is the time of the test.
func timeless(m *message) *message {
	for i := range m.Ways {
		if w := &m.Ways[i]; time.Since(w.Lost) < time.Hour {
			w.Lost = noon
		}
	}
	return m
}

// TestTheRowHasRoom: whatever becomes known of the messages of a full group, its row can be
// written.
func TestTheRowHasRoom(t *testing.T) {
	t.Parallel()
	r := &record{}
	for r.fits() {
		r.Messages = append(r.Messages, due(func(m *message) { m.Key, m.Sum = strings.Repeat("k", 100), strings.Repeat("s", 64) }))
	}
	r.Messages = r.Messages[1:]
	require.Greater(t, len(r.Messages), 100)
	for _, m := range r.Messages {
		m.Reason, m.Told, m.Dropped, m.Stuck = dropSuperseded, stuckRefused, noon, noon
		for _, c := range m.Channels {
			when := noon.Add(time.Millisecond)
			m.Ways = append(m.Ways, way{
				Channel: c, N: 1 << 20, Begun: when, State: waySending, Lost: when, Copies: 3, Why: notify.ErrRecipient.Error(),
				Rest: durable.Rest{N: 1 << 20, At: when}, Ask: durable.Rest{N: 1 << 20, At: when}, Paused: when, ID: strings.Repeat("<", maxID/6), Sent: when, Delivered: when, Failed: when,
			})
		}
	}
	data, err := json.Marshal(r)
	require.NoError(t, err)
	require.LessOrEqual(t, len(data), maxGroup)
}

// TestChannelsOnce: each channel is taken once, and none after one that has arrived.
func TestChannelsOnce(t *testing.T) {
	t.Parallel()
	m := due(on(way{N: 1, Failed: noon}), on(way{Channel: notify.Email, State: wayRefused}))
	require.Empty(t, m.left())
	require.True(t, m.failed())
	m = due(on(way{State: wayRefused}))
	require.Equal(t, []notify.Channel{notify.Email}, m.left())
	m.clear()
	require.Empty(t, m.left(), "nobody is in it any more")
	m = due(on(way{N: 1, Failed: noon, Delivered: noon}))
	require.False(t, m.waits())
	require.True(t, slices.Equal(m.left(), []notify.Channel{notify.Email}))
}

package outbox

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/store/durable"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// ago is so many minutes before noon.
func ago(minutes int) time.Time { return noon.Add(-time.Duration(minutes) * time.Minute) }

// due is a notice that is due, by WhatsApp and then by mail.
func due(change ...func(m *message)) *message {
	m := &message{
		Key: "a", Generation: 1, Category: Notice, Channels: []notify.Channel{notify.WhatsApp, notify.Email}, NotBefore: ago(10),
		To: &person{Phone: "+919876500042"}, Sum: "x",
	}
	for _, c := range change {
		c(m)
	}
	return m
}

func on(w way) func(*message) {
	if w.Channel == "" {
		w.Channel = notify.WhatsApp
	}
	return func(m *message) { m.Ways = append(m.Ways, w) }
}

func alone(m *message) { m.Channels = m.Channels[:1] }

// TestDecide is the table in the package's comment, line by line.
func TestDecide(t *testing.T) {
	t.Parallel()
	unknown := way{State: wayUnknown, N: 1, Begun: ago(3), Lost: ago(2)}
	fresh := way{State: wayUnknown, N: 1, Begun: ago(1), Lost: ago(1)}
	sent := way{N: 1, Begun: ago(3), State: waySending, Sent: ago(3)}
	reminder := func(key string, minutes int) func(*message) {
		return func(m *message) { m.Key, m.Category, m.NotBefore = key, Reminder, ago(minutes) }
	}
	at := func(d time.Duration) step { return step{action: actWait, at: noon.Add(d)} }
	sends := step{action: actSend, key: "a", channel: notify.WhatsApp}
	mails := step{action: actSend, key: "a", channel: notify.Email}
	for name, test := range map[string]struct {
		messages   []*message
		generation int
		evidence   bool
		want       step
	}{
		"nothing":                     {want: step{action: actWait}},
		"due":                         {messages: []*message{due()}, want: sends},
		"not yet":                     {messages: []*message{due(func(m *message) { m.NotBefore = ago(-5) })}, want: at(5 * time.Minute)},
		"not before it expires":       {messages: []*message{due(func(m *message) { m.NotBefore, m.NotAfter = ago(-5), ago(-2) })}, want: step{action: actDrop, key: "a", reason: dropQuiet}},
		"a death":                     {messages: []*message{due(on(way{State: waySending, N: 1}))}, want: step{action: actLost, key: "a", channel: notify.WhatsApp}},
		"a death of what is stale":    {messages: []*message{due(on(way{State: waySending, N: 1}))}, generation: 2, want: step{action: actLost, key: "a", channel: notify.WhatsApp}},
		"stale":                       {messages: []*message{due()}, generation: 2, want: step{action: actDrop, key: "a", reason: dropStale}},
		"of no generation":            {messages: []*message{due(func(m *message) { m.Generation = 0 })}, generation: 2, want: sends},
		"of this generation":          {messages: []*message{due()}, generation: 1, want: sends},
		"expired":                     {messages: []*message{due(func(m *message) { m.NotAfter = ago(1) })}, want: step{action: actDrop, key: "a", reason: dropExpired}},
		"not expired yet":             {messages: []*message{due(func(m *message) { m.NotAfter = noon })}, want: sends},
		"superseded":                  {messages: []*message{due(reminder("b", 9)), due(reminder("a", 10))}, want: step{action: actDrop, key: "a", reason: dropSuperseded}},
		"superseded by what was sent": {messages: []*message{due(reminder("b", 9), on(sent)), due(reminder("a", 10))}, want: step{action: actDrop, key: "a", reason: dropSuperseded}},
		"another series":              {messages: []*message{due(reminder("b", 9), func(m *message) { m.Series = "doctor" }), due(reminder("a", 10))}, want: sends},
		"the newer one is not due":    {messages: []*message{due(reminder("b", -9)), due(reminder("a", 10))}, want: sends},
		"the newer one is stale":      {messages: []*message{due(reminder("b", 9), func(m *message) { m.Dropped, m.Cleared = noon, true }), due(reminder("a", 10))}, want: sends},
		"unknown for long":            {messages: []*message{due(on(unknown))}, want: step{action: actAgain, key: "a", channel: notify.WhatsApp}},
		"unknown for long, once":      {messages: []*message{due(on(unknown), func(m *message) { m.Category = Once })}, want: step{action: actStick, key: "a", channel: notify.WhatsApp, reason: stuckUnknown}},
		"unknown too often":           {messages: []*message{due(on(way{State: wayUnknown, Lost: ago(2), Copies: 2}))}, want: step{action: actStick, key: "a", channel: notify.WhatsApp, reason: stuckUnknown}},
		"unknown for a while":         {messages: []*message{due(on(fresh))}, want: at(time.Minute)},
		"unknown, and it is asked":    {messages: []*message{due(on(unknown))}, evidence: true, want: step{action: actAsk, key: "a", channel: notify.WhatsApp}},
		"unknown, and it was asked":   {messages: []*message{due(on(way{State: wayUnknown, Lost: ago(2), Ask: durable.Rest{At: ago(-1)}}))}, evidence: true, want: at(time.Minute)},
		"asked for long":              {messages: []*message{due(on(way{State: wayUnknown, Lost: ago(10)}))}, evidence: true, want: step{action: actAgain, key: "a", channel: notify.WhatsApp}},
		"unknown does not hold up":    {messages: []*message{due(on(fresh), func(m *message) { m.Key = "b" }), due()}, want: sends},
		"the oldest first":            {messages: []*message{due(func(m *message) { m.Key, m.NotBefore = "b", ago(9) }), due()}, want: sends},
		"spaced":                      {messages: []*message{due(func(m *message) { m.Key = "b" }, alone, on(way{Begun: noon.Add(-2 * time.Second), Sent: noon}), func(m *message) { m.Cleared = true }), due()}, want: at(4 * time.Second)},
		"a refusal takes no time":     {messages: []*message{due(on(way{State: wayRefused, Begun: noon}))}, want: mails},
		"rests":                       {messages: []*message{due(on(way{Rest: durable.Rest{N: 1, At: ago(-1)}}))}, want: at(time.Minute)},
		"paused, and by mail":         {messages: []*message{due(on(way{Paused: ago(-1)}))}, want: mails},
		"paused, and alone":           {messages: []*message{due(on(way{Paused: ago(-1)}), alone)}, want: at(time.Minute)},
		"the pause is over":           {messages: []*message{due(on(way{Paused: noon}), alone)}, want: sends},
		"both are paused":             {messages: []*message{due(on(way{Paused: ago(-2)}), on(way{Channel: notify.Email, Paused: ago(-1)}))}, want: at(time.Minute)},
		"failed later":                {messages: []*message{due(on(way{Begun: ago(3), Sent: ago(3), Failed: ago(1)}))}, want: mails},
		"failed, and has arrived":     {messages: []*message{due(on(way{Begun: ago(2), Failed: ago(1), Delivered: ago(1)}))}, want: step{action: actClear, key: "a"}},
		"failed twice":                {messages: []*message{due(on(way{Failed: ago(1)}), on(way{Channel: notify.Email, State: wayRefused}))}, want: step{action: actTell, key: "a", reason: stuckRefused}},
		"sent":                        {messages: []*message{due(on(sent))}, want: step{action: actWait, at: ago(3).Add(fallbackFor)}},
		"sent a while ago":            {messages: []*message{due(on(way{Begun: ago(3 * 24 * 60), Sent: ago(3)}))}, want: step{action: actClear, key: "a"}},
		"sent, and of no use any more": {
			messages: []*message{due(on(sent), func(m *message) { m.NotAfter = ago(1) })}, want: step{action: actClear, key: "a"},
		},
		"stuck":                 {messages: []*message{due(on(unknown), func(m *message) { m.Stuck, m.Reason = noon, stuckUnknown })}, want: step{action: actTell, key: "a", reason: stuckUnknown}},
		"stuck, and told":       {messages: []*message{due(on(unknown), func(m *message) { m.Stuck, m.Reason, m.Told = noon, stuckUnknown, stuckUnknown })}, want: step{action: actWait}},
		"stuck, and it arrived": {messages: []*message{due(on(way{State: wayUnknown, Lost: ago(9), Sent: ago(1)}), func(m *message) { m.Stuck, m.Reason = noon, stuckUnknown }, alone, func(m *message) { m.Cleared = true })}, want: step{action: actWait}},
		"expired, and told":     {messages: []*message{due(func(m *message) { m.Dropped, m.Reason, m.Told, m.Cleared = noon, dropExpired, dropExpired, true })}, want: step{action: actWait}},
		"expired, and not told": {messages: []*message{due(func(m *message) { m.Dropped, m.Reason, m.Cleared = noon, dropExpired, true })}, want: step{action: actTell, key: "a", reason: dropExpired}},
		"twelve failures":       {messages: []*message{due(on(way{Rest: durable.Rest{N: 12, At: ago(-1)}}), alone)}, want: step{action: actTell, key: "a", reason: "whatsapp failed 12 times"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := policy{quiet: Quiet{}.withDefaults(), spacing: 6 * time.Second, wait: 2 * time.Minute}
			if test.evidence {
				p.evidence = map[notify.Channel]notify.Evidence{notify.WhatsApp: nobody{}}
			}
			require.Equal(t, test.want, decide(&record{Generation: test.generation, Messages: test.messages}, p, noon))
		})
	}
}

type nobody struct{ notify.Evidence }

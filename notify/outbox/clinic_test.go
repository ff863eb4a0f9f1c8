package outbox_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/outbox"
	"github.com/telemed-go/telemed/notify/smtp"
	"github.com/telemed-go/telemed/notify/smtp/smtptest"
	"github.com/telemed-go/telemed/notify/whatsapp"
	"github.com/telemed-go/telemed/notify/whatsapp/whatsapptest"
	"github.com/telemed-go/telemed/store/durable"
)

const (
	phone = "+919876500042"
	email = "zkmark@example.org"
	group = "visit-42"
)

// people are those whom Meta knows by more than the number that they gave to the clinic.
var people = []whatsapptest.Person{
	{Phone: "+5511987654321", WaID: "551187654321"},
	{Phone: "+919876500077", UserID: "IN.77"},
	{Phone: "+919876500078", UserID: "IN.78", Hidden: true},
}

// clinic is an application with one process, and what its patient has got.
type clinic struct {
	*testing.T
	*outbox.Outbox
	chat    *whatsapptest.Server
	mail    *smtptest.Server
	sender  *whatsapp.Client
	post    *smtp.Client
	reports *whatsapp.Webhook
	rows    *durable.Memory
	stop    func()

	mu    sync.Mutex
	stuck []string
	asked int
	seen  []int // how much of each channel a test has looked at
}

// direct sends requests to a handler without a network.
type direct struct{ http.Handler }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	recorder := httptest.NewRecorder()
	d.ServeHTTP(recorder, r)
	return recorder.Result(), nil
}

// story runs one in a bubble, from the first of January 2000, 05:30 in India.
func story(t *testing.T, change func(c *clinic, cfg *outbox.Config), tell func(c *clinic)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &clinic{T: t, rows: durable.NewMemory(), seen: []int{0, 0}}
		c.mail = smtptest.NewServer(t, smtptest.Config{Addr: "mail.clinic.example:587", InMemory: true})
		c.chat = whatsapptest.NewServer(t, whatsapptest.Config{
			InMemory: true, WebhookURL: "http://clinic.example/reports", People: people,
			HTTPClient: &http.Client{Transport: direct{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { c.reports.ServeHTTP(w, r) })}},
		})
		c.leaves()
		cfg := outbox.Config{
			Store: c.rows, OnStuck: c.alarm,
			Channels: map[notify.Channel]notify.Notifier{notify.WhatsApp: c.sender, notify.Email: c.post},
		}
		if change != nil {
			change(c, &cfg)
		}
		var err error
		c.Outbox, err = outbox.New(cfg)
		require.NoError(t, err)
		c.reports = c.sender.Reports(c.Report)
		c.start()
		defer func() {
			c.stop()
			require.NoError(t, c.post.Shutdown(context.Background()))
			require.NoError(t, c.reports.Shutdown(context.Background()))
		}()
		tell(c)
	})
}

func (c *clinic) leaves() {
	var err error
	c.post, err = smtp.New(smtp.Config{
		Addr: c.mail.Addr(), From: "care@clinic.example", TLS: c.mail.ClientTLS(), Dial: c.mail.Dial, LocalName: "clinic.example",
	})
	require.NoError(c, err)
	c.sender, err = whatsapp.New(whatsapp.Config{
		BaseURL: c.chat.URL(), PhoneNumberID: c.chat.PhoneNumberID(), Token: c.chat.Token(), HTTPClient: c.chat.Client(), Attempts: 1,
		WebhookSecrets: []telemed.Secret{c.chat.AppSecret()},
	})
	require.NoError(c, err)
}

// alarm is a person who must look.
func (c *clinic) alarm(item durable.Item) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stuck = append(c.stuck, item.ID.String()+" "+item.Stuck)
}

// alarms are what a person was told since the last call.
func (c *clinic) alarms() (told []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	told, c.stuck = c.stuck, nil
	return told
}

// words are a message that both channels can take.
func words(key string) *notify.Content {
	return &notify.Content{
		Subject: "Your visit: " + key, Text: "Zkmark, this is about your visit: " + key,
		WhatsApp: &notify.WhatsAppTemplate{Name: "appointment_cancelled", Language: "en", Body: []string{"Zkmark", "Dr. Iyer", key, "City Clinic"}},
	}
}

// message is for the patient, by WhatsApp and then by mail.
func message(key string, change ...func(m *outbox.Message)) outbox.Message {
	m := outbox.Message{
		Key: key, Group: group, Tenant: "clinic", Generation: 1, Category: outbox.Notice,
		Channels: []notify.Channel{notify.WhatsApp, notify.Email}, Zone: "Asia/Kolkata",
		To: notify.Recipient{Name: "Zkmark Rao", Phone: phone, Email: email}, Content: words(key),
	}
	for _, c := range change {
		c(&m)
	}
	return m
}

func byMail(m *outbox.Message) { m.Channels = []notify.Channel{notify.Email} }

func of(category outbox.Category) func(*outbox.Message) {
	return func(m *outbox.Message) { m.Category = category }
}

func in(d time.Duration) func(*outbox.Message) {
	return func(m *outbox.Message) { m.NotBefore = time.Now().Add(d) }
}

func until(d time.Duration) func(*outbox.Message) {
	return func(m *outbox.Message) { m.NotAfter = time.Now().Add(d) }
}

func (c *clinic) enqueue(messages ...outbox.Message) {
	c.Helper()
	require.NoError(c, c.Enqueue(c.Context(), messages...))
}

// start has messages sent until stop.
func (c *clinic) start() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		_ = c.Outbox.Run(ctx)
		close(done)
	}()
	c.stop = func() { cancel(); <-done }
}

// wait lets time pass. While nothing is due for long, nobody looks for it: a second is a
// second also in a bubble.
func (c *clinic) wait(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		pause := time.Until(end)
		for item := range c.rows.List(c.Context(), durable.Filter{}) {
			if !item.Due.IsZero() {
				pause = min(pause, time.Until(item.Due))
			}
			if item.Lease.Owner != "" {
				pause = 0
			}
		}
		if pause > time.Minute {
			c.stop()
			time.Sleep(pause)
			c.start()
		}
		time.Sleep(min(time.Until(end), 5*time.Second))
	}
	synctest.Wait()
}

// got checks what the patient has got since the last call, by each channel.
func (c *clinic) got(chats, mails int) {
	c.Helper()
	seen := []int{len(c.chat.Messages()), len(c.mail.Messages())}
	require.Equal(c, []int{chats, mails}, []int{seen[0] - c.seen[0], seen[1] - c.seen[1]}, "WhatsApp and mail")
	c.seen = seen
}

// is checks the state of a message, and the reason if there is one.
func (c *clinic) is(key, state string) outbox.Status {
	c.Helper()
	all, err := c.Get(c.Context(), group)
	require.NoError(c, err)
	for _, s := range all {
		if s.Key == key {
			got := string(s.State)
			if s.Reason != "" {
				got = fmt.Sprintf("%s: %s", s.State, s.Reason)
			}
			require.Equal(c, state, got, key)
			return s
		}
	}
	require.Fail(c, "no such message", key)
	return outbox.Status{}
}

// reported has Meta tell what became of the last message.
func (c *clinic) reported(state string, codes ...int) {
	c.Helper()
	all := c.chat.Messages()
	require.NoError(c, c.chat.SendStatus(c.Context(), all[len(all)-1].ID, state, codes...))
}

// row is a group's row, in clear.
func (c *clinic) row(group string) durable.Item {
	item, err := c.rows.Get(c.Context(), durable.ID{Kind: outbox.RowKind, Name: group})
	require.NoError(c, err)
	return item
}

package outbox_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/outbox"
	"github.com/telemed-go/telemed/notify/smtp"
	"github.com/telemed-go/telemed/notify/smtp/smtptest"
	"github.com/telemed-go/telemed/notify/whatsapp"
	"github.com/telemed-go/telemed/notify/whatsapp/whatsapptest"
	"github.com/telemed-go/telemed/store/durable"
)

// A patient is told on WhatsApp that a visit is confirmed. Meta takes the message and cannot
// deliver it, so that it goes by mail.
func Example() {
	meta, err := whatsapptest.Start(whatsapptest.Config{})
	if err != nil {
		panic(err)
	}
	defer meta.Close()
	server, err := smtptest.Start(smtptest.Config{})
	if err != nil {
		panic(err)
	}
	defer server.Close()
	chat, err := whatsapp.New(whatsapp.Config{
		BaseURL: meta.URL(), PhoneNumberID: meta.PhoneNumberID(), Token: meta.Token(),
		Attempts:       1, // the Outbox repeats
		WebhookSecrets: []telemed.Secret{meta.AppSecret()},
	})
	if err != nil {
		panic(err)
	}
	mail, err := smtp.New(smtp.Config{Addr: server.Addr(), From: "City Clinic <care@clinic.example>", TLS: server.ClientTLS()})
	if err != nil {
		panic(err)
	}

	box, err := outbox.New(outbox.Config{
		Store:    durable.NewMemory(), // sqlstore's or mongostore's in production
		Channels: map[notify.Channel]notify.Notifier{notify.WhatsApp: chat, notify.Email: mail},
		Spacing:  time.Millisecond, // for this example alone
		OnStuck:  func(item durable.Item) { fmt.Println("a person must look:", item.Stuck) },
	})
	if err != nil {
		panic(err)
	}
	reports := chat.Reports(box.Report)
	pages := httptest.NewServer(reports)
	defer pages.Close()
	meta.SetWebhookURL(pages.URL)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- box.Run(ctx) }()

	err = box.Enqueue(ctx, outbox.Message{
		Group: "visit-42", Key: "confirmed", Generation: 1, Channels: []notify.Channel{notify.WhatsApp, notify.Email},
		To: notify.Recipient{Name: "Asha Rao", Phone: "+919876543210", Email: "asha@example.org"},
		Content: &notify.Content{
			Subject: "Your visit is confirmed", Text: "Your visit is confirmed. Monday, 10:30.",
			WhatsApp: &notify.WhatsAppTemplate{
				Name: "appointment_confirmed", Language: "en", Body: []string{"Asha", "Dr. Iyer", "Monday, 10:30", "City Clinic", "https://clinic.example/v/42"},
			},
		},
	})
	if err != nil {
		panic(err)
	}
	sent, err := meta.WaitFor(ctx, func(whatsapptest.Message) bool { return true })
	if err != nil {
		panic(err)
	}
	fmt.Println("WhatsApp:", sent.Template)
	fmt.Println(meta.SendStatus(ctx, sent.ID, "failed", 131026)) // she does not use it any more
	letter, err := server.WaitFor(ctx, smtptest.To("asha@example.org"))
	if err != nil {
		panic(err)
	}
	fmt.Println("mail:", letter.Subject)

	stop()
	fmt.Println(<-done)
	fmt.Println(mail.Shutdown(context.Background()), reports.Shutdown(context.Background()))
	status, err := box.Get(context.Background(), "visit-42")
	if err != nil {
		panic(err)
	}
	fmt.Println(status[0].State, status[0].Channel)
	// Output:
	// WhatsApp: appointment_confirmed
	// <nil>
	// mail: Your visit is confirmed
	// <nil>
	// <nil> <nil>
	// sent email
}

// newBox returns an Outbox whose channel prints, and what runs it once.
func newBox(change func(cfg *outbox.Config)) (box *outbox.Outbox, work func(group string)) {
	cfg := outbox.Config{
		Store: durable.NewMemory(), Spacing: time.Nanosecond, // for these examples alone
		Channels: map[notify.Channel]notify.Notifier{
			notify.Email: notify.NotifierFunc(func(_ context.Context, msg notify.Message) (*notify.Receipt, error) {
				fmt.Println("sent:", msg.Key)
				return &notify.Receipt{Channel: notify.Email, ID: "1", At: time.Now()}, nil
			}),
		},
	}
	if change != nil {
		change(&cfg)
	}
	box, err := outbox.New(cfg)
	if err != nil {
		panic(err)
	}
	return box, func(group string) {
		if _, err := box.Runner().Step(context.Background(), durable.ID{Kind: outbox.RowKind, Name: group}); err != nil {
			panic(err)
		}
	}
}

// letter is a mail about a visit.
func letter(key string, generation int) outbox.Message {
	return outbox.Message{
		Group: "visit-42", Key: key, Generation: generation, Channels: []notify.Channel{notify.Email},
		To: notify.Recipient{Email: "asha@example.org"}, Content: &notify.Content{Subject: key, Text: "Your visit."},
	}
}

// What a provider reports settles a message, and so does a person who wants no more: give
// Report to whatsapp.Client.Reports, or to the webhook of a mail relay.
func ExampleOutbox_Report() {
	box, work := newBox(nil)
	ctx := context.Background()
	if err := box.Enqueue(ctx, letter("confirmed", 1)); err != nil {
		panic(err)
	}
	work("visit-42")
	err := box.Report(ctx, notify.Report{
		Channel: notify.Email, State: notify.ReportDelivered, Reference: notify.Reference("visit-42/confirmed"), At: time.Now(),
	})
	if err != nil {
		panic(err) // it could not be kept: have the relay repeat it
	}
	status, err := box.Get(ctx, "visit-42")
	if err != nil {
		panic(err)
	}
	fmt.Println(status[0].State)

	stop := notify.Report{Channel: notify.Email, State: notify.ReportStopped, Address: "asha@example.org", At: time.Now()}
	if err := box.Report(ctx, stop); err != nil {
		panic(err)
	}
	reminder := letter("reminder", 1)
	reminder.Category = outbox.Reminder
	if err := box.Enqueue(ctx, reminder); err != nil {
		panic(err)
	}
	work("visit-42")
	status, err = box.Get(ctx, "visit-42")
	if err != nil {
		panic(err)
	}
	fmt.Println(status[1].State, status[1].Reason)
	// Output:
	// sent: visit-42/confirmed
	// delivered
	// dropped opted out
}

// A person who wants messages again has said so.
func ExampleOutbox_Allow() {
	box, _ := newBox(nil)
	fmt.Println(box.Allow(context.Background(), notify.WhatsApp, "+919876543210"))
	// Output: <nil>
}

// What the application sends by itself asks first. A person who has said stop at one address
// has said it at all by which the provider knows them.
func ExampleOutbox_OptedOut() {
	box, _ := newBox(nil)
	ctx := context.Background()
	stop := notify.Report{
		Channel: notify.WhatsApp, State: notify.ReportStopped, At: time.Now(), Address: "IN.123", KnownAs: []string{"+919876543210"},
	}
	fmt.Println(box.Report(ctx, stop)) // by whatsapp.Client.Reports
	for _, address := range []string{"+919876543210", "+919876543211"} {
		fmt.Println(box.OptedOut(ctx, notify.WhatsApp, address))
	}
	// Output:
	// <nil>
	// true <nil>
	// false <nil>
}

// relay is a mail relay that can be asked what it took: by its events' API, in production,
// where they are found by the message's reference.
type relay map[string]bool

// Outcome implements notify.Evidence.
func (r relay) Outcome(_ context.Context, reference string, _ time.Time) (notify.Outcome, error) {
	if r[reference] {
		return notify.OutcomeArrived, nil
	}
	return notify.OutcomeNotArrived, nil
}

// The relay took a one-time password, and its answer was lost. Evidence settles it: nobody
// gets it twice, and nobody is asked.
func Example_evidence() {
	took := relay{}
	box, work := newBox(func(cfg *outbox.Config) {
		cfg.Evidence = map[notify.Channel]notify.Evidence{notify.Email: took}
		cfg.EvidenceWait, cfg.LeaseTTL = time.Second, time.Second // two minutes and one, by default
		cfg.Channels[notify.Email] = notify.NotifierFunc(func(_ context.Context, msg notify.Message) (*notify.Receipt, error) {
			fmt.Println("sent:", msg.Key)
			took[notify.Reference(msg.Key)] = true
			return nil, fmt.Errorf("the connection broke: %w", telemed.ErrAmbiguous)
		})
	})
	password := letter("otp", 0)
	password.Category = outbox.Once
	if err := box.Enqueue(context.Background(), password); err != nil {
		panic(err)
	}
	for range 2 {
		work("visit-42")
		status, err := box.Get(context.Background(), "visit-42")
		if err != nil {
			panic(err)
		}
		fmt.Println(status[0].State)
		time.Sleep(1100 * time.Millisecond)
	}
	// Output:
	// sent: visit-42/otp
	// unknown
	// sent
}

// A visit is moved: in the same transaction, reminders of the old time are dropped and the
// patient is told of the new one.
func ExampleOutbox_WithStore() {
	rows := durable.NewMemory() // sqlstore's, in production
	box, work := newBox(func(cfg *outbox.Config) { cfg.Store = rows })
	tomorrow := letter("reminder-1", 1)
	tomorrow.NotBefore = time.Now().Add(24 * time.Hour)
	ctx := context.Background()
	if err := box.Enqueue(ctx, tomorrow); err != nil {
		panic(err)
	}
	// tx is sqlstore.Rows.WithTx: if the transaction is rolled back, nothing is written.
	move := func(tx durable.Store) error {
		writer := box.WithStore(tx)
		if err := writer.Drop(ctx, "visit-42", 2); err != nil {
			return err
		}
		return writer.Enqueue(ctx, letter("moved-2", 2))
	}
	if err := move(rows); err != nil {
		panic(err)
	}
	work("visit-42")
	status, err := box.Get(ctx, "visit-42")
	if err != nil {
		panic(err)
	}
	for _, s := range status {
		fmt.Println(s.Key, s.State)
	}
	// Output:
	// sent: visit-42/moved-2
	// reminder-1 dropped
	// moved-2 sent
}

// What was said of a visit before it was cancelled is dropped.
func ExampleWriter_Drop() {
	box, work := newBox(nil)
	ctx := context.Background()
	if err := box.Enqueue(ctx, letter("reminder", 1), letter("receipt", 0)); err != nil {
		panic(err)
	}
	if err := box.Drop(ctx, "visit-42", 2); err != nil {
		panic(err)
	}
	work("visit-42")
	status, err := box.Get(ctx, "visit-42")
	if err != nil {
		panic(err)
	}
	for _, s := range status {
		fmt.Println(s.Key, s.State, s.Reason)
	}
	// Output:
	// sent: visit-42/receipt
	// reminder dropped older generation
	// receipt sent
}

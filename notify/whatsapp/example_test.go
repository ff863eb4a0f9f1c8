package whatsapp_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/template"
	"github.com/telemed-go/telemed/notify/whatsapp"
	"github.com/telemed-go/telemed/notify/whatsapp/whatsapptest"
	"github.com/telemed-go/telemed/store"
)

func Example() {
	srv, err := whatsapptest.Start(whatsapptest.Config{}) // graph.facebook.com in a program
	if err != nil {
		panic(err)
	}
	defer srv.Close()

	kolkata := time.FixedZone("IST", 5*3600+1800)
	words, err := template.New(template.Config{Clinic: "City Clinic", Zone: kolkata})
	if err != nil {
		panic(err)
	}
	chat, err := whatsapp.New(whatsapp.Config{
		PhoneNumberID: srv.PhoneNumberID(),
		Token:         srv.Token(),
		Renderer:      words,
		BaseURL:       srv.URL(),

		WebhookSecrets: []telemed.Secret{srv.AppSecret()},
		VerifyToken:    telemed.NewSecret("chosen when the address was registered"),
	})
	if err != nil {
		panic(err)
	}
	reports := chat.Reports(func(_ context.Context, r notify.Report) error {
		fmt.Println(r.State, r.Reference == notify.Reference("appt-42/confirmed"))
		return nil
	})
	webhooks := httptest.NewServer(reports)
	defer webhooks.Close()
	srv.SetWebhookURL(webhooks.URL)

	ctx := context.Background()
	receipt, err := chat.Notify(ctx, notify.Message{
		Key:      "appt-42/confirmed",
		To:       notify.Recipient{Name: "Asha Rao", Phone: "+919876543210"},
		Template: template.Confirmed,
		Data: template.Appointment{
			Key: "appt-42", Patient: "Asha Rao", Doctor: "Dr Mehta",
			Start: time.Date(2026, time.March, 2, 10, 30, 0, 0, kolkata), JoinURL: "https://meet.example/abc",
		},
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(srv.Messages()[0].Text)
	if err := srv.SendStatus(ctx, receipt.ID, "read"); err != nil {
		panic(err)
	}
	// Output:
	// Hello Asha Rao,
	//
	// Your video consultation is confirmed.
	//
	// Doctor: Dr Mehta
	// Time: Monday, 2 March 2026, 10:30 AM IST
	// Join here: https://meet.example/abc
	//
	// The link is for you alone. Please do not share it.
	//
	// This message was sent automatically by City Clinic. Please do not send medical details in an answer.
	// read true
}

// What a caller does next depends on the sentinel; what a person needs is in the *Error.
func ExampleError() {
	srv, err := whatsapptest.Start(whatsapptest.Config{})
	if err != nil {
		panic(err)
	}
	defer srv.Close()
	chat, err := whatsapp.New(whatsapp.Config{PhoneNumberID: srv.PhoneNumberID(), Token: srv.Token(), BaseURL: srv.URL()})
	if err != nil {
		panic(err)
	}
	srv.FailNext(whatsapptest.Refuse(whatsapptest.OpSend, 0, 131026, "Message undeliverable"))
	_, err = chat.Notify(context.Background(), notify.Message{
		Key: "appt-42/paid", To: notify.Recipient{Phone: "+919876543210"},
		Content: &notify.Content{WhatsApp: &notify.WhatsAppTemplate{
			Name: "payment_receipt", Language: "en", Body: []string{"Asha", "₹500.00", "City Clinic", "pay_1", "2 March 2026"},
		}},
	})
	fmt.Println(err)
	fmt.Println(errors.Is(err, notify.ErrRecipient))
	if e, ok := errors.AsType[*whatsapp.Error](err); ok {
		fmt.Println(e.Code, e.RequestID)
	}
	// Output:
	// whatsapp: Notify: 400 (code 131026): recipient cannot be reached [request id AfKeTraceId0123456789ab]
	// true
	// 131026 AfKeTraceId0123456789ab
}

// A patient answers, and Meta sends the request again because a status in it could not be
// stored. What was handled is not handled again.
func ExampleNewWebhook() {
	srv, err := whatsapptest.Start(whatsapptest.Config{})
	if err != nil {
		panic(err)
	}
	defer srv.Close()
	database := errors.New("database is down")
	webhook, err := whatsapp.NewWebhook(whatsapp.WebhookConfig{
		Secrets:     []telemed.Secret{srv.AppSecret()},
		VerifyToken: telemed.NewSecret("chosen when the address was registered"),
		Claims:      store.NewMemory(), // Claims in the database, once there are two processes
		Handle: func(_ context.Context, e whatsapp.Event) error {
			switch {
			case e.Message != nil:
				fmt.Println("patient:", e.Message.Text)
			case e.Status != nil && e.Status.Reference == "":
				return whatsapp.Permanent(errors.New("not a message of ours"))
			case e.Status != nil:
				fmt.Println("message is", e.Status.State, "-", database)
				return database
			}
			return nil
		},
		Unread: func(_ context.Context, e whatsapp.UnreadEvent) error {
			fmt.Println("for a person to look at:", len(e.Part), "bytes")
			return nil
		},
	})
	if err != nil {
		panic(err)
	}
	server := httptest.NewServer(webhook)
	defer server.Close()
	srv.SetWebhookURL(server.URL)

	ctx := context.Background()
	fmt.Println(srv.Subscribe(ctx, "chosen when the address was registered"))
	request := []byte(`{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":{
		"messages":[{"id":"wamid.1","from":"919876543210","type":"text","text":{"body":"thank you"}},{"id":"wamid.2","text":7}],
		"statuses":[{"id":"wamid.3","status":"read","biz_opaque_callback_data":"ref"},{"id":"wamid.4","status":"read"}]}}]}]}`)
	fmt.Println(srv.SendRaw(ctx, request))
	database = nil
	fmt.Println(srv.SendRaw(ctx, request))
	fmt.Println(webhook.Shutdown(ctx)) // after the server's own
	// Output:
	// <nil>
	// message is read - database is down
	// patient: thank you
	// for a person to look at: 25 bytes
	// whatsapptest: the webhook answered 500
	// message is read - <nil>
	// <nil>
	// <nil>
}

// A patient who answers STOP is told nothing more on WhatsApp. The application keeps the
// address, and asks before it sends.
func ExampleClient_Reports() {
	srv, err := whatsapptest.Start(whatsapptest.Config{})
	if err != nil {
		panic(err)
	}
	defer srv.Close()
	chat, err := whatsapp.New(whatsapp.Config{
		PhoneNumberID: srv.PhoneNumberID(), Token: srv.Token(), BaseURL: srv.URL(),
		WebhookSecrets: []telemed.Secret{srv.AppSecret()},
		VerifyToken:    telemed.NewSecret("chosen when the address was registered"),
	})
	if err != nil {
		panic(err)
	}
	var kept error
	reports := chat.Reports(func(_ context.Context, r notify.Report) error {
		fmt.Println(r.State, r.Address)
		return kept
	})
	server := httptest.NewServer(reports)
	defer server.Close()
	srv.SetWebhookURL(server.URL)

	ctx := context.Background()
	fmt.Println(srv.SendText(ctx, "+919876543210", "Asha", "Will it hurt to stop?"))
	fmt.Println(srv.SendText(ctx, "+919876543210", "Asha", "बंद करो"))
	kept = errors.New("database is down")
	fmt.Println(srv.SendText(ctx, "+919876543211", "Ravi", "STOP"))
	kept = nil
	fmt.Println(srv.SendText(ctx, "+919876543211", "Ravi", "STOP")) // Meta says it again by itself
	fmt.Println(reports.Shutdown(ctx))                              // after the server's own
	// Output:
	// <nil>
	// stopped +919876543210
	// <nil>
	// stopped +919876543211
	// whatsapptest: the webhook answered 500
	// stopped +919876543211
	// <nil>
	// <nil>
}

func ExampleMeansStop() {
	fmt.Println(whatsapp.MeansStop("Stop."), whatsapp.MeansStop("don't stop"), whatsapp.MeansStop("cancel"))
	// Output: true false false
}

package tasks_test

import (
	"context"
	"fmt"
	"log"
	"strings"
	"time"

	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/meet/meettest"
	"github.com/telemed-go/telemed/meet/visit"
	"github.com/telemed-go/telemed/notify/notifytest"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/paymentstest"
	"github.com/telemed-go/telemed/realtime/realtimetest"
	"github.com/telemed-go/telemed/store/durable"
)

// A visit step by step. The application chooses one name, the visit's ID; all else that
// makes a call repeatable follows from it. Each wish is said twice here, and done once.
func Example_visit() {
	ctx := context.Background()
	gateway, google := paymentstest.NewGateway(), meettest.New()
	mail, live := &notifytest.Recorder{}, &realtimetest.Recorder{}
	rows := durable.NewMemory() // sqlstore.Store.Rows in production
	visits, err := visit.New(visit.Config{
		Store: rows, Clinic: "Lotus Clinic", Zone: "Asia/Kolkata", Gateway: gateway, Mail: mail, Live: live,
		Meetings:  map[string]meet.MeetingProvider{"google": google},
		ReturnURL: "https://lotus.example/visits", AccountsURL: "https://lotus.example/doctor/settings/integration",
		Spacing: time.Millisecond, // between two messages, for this example
	})
	if err != nil {
		log.Fatal(err)
	}
	work := func() { // what visits.Run does by itself, for all visits, in any number of processes
		for next := time.Now(); !next.IsZero() && time.Until(next) < time.Second; {
			time.Sleep(time.Until(next))
			if next, err = visits.Step(ctx, "appt-42"); err != nil {
				log.Fatal(err)
			}
		}
	}

	start := time.Now().AddDate(0, 0, 3).Truncate(time.Hour)
	request := visit.Request{
		ID: "appt-42", Tenant: "lotus", Provider: "google", Start: start, Duration: 30 * time.Minute, Price: payments.INR(50000),
		Doctor:  visit.Doctor{ID: "dr-rao", Name: "Dr Meera Rao", Email: "rao@lotus.example"},
		Patient: visit.Patient{Name: "Asha Verma", Email: "asha@example.org"},
	}
	fmt.Println("booked:", visits.Book(ctx, request), visits.Book(ctx, request))
	work()
	page, _ := visits.Checkout(ctx, "appt-42") // for each view of the page
	again, _ := visits.Checkout(ctx, "appt-42")
	fmt.Println("to be paid, by one order:", page.Visit.Status, string(page.Options) == string(again.Options))
	confirmation, err := gateway.Pay(gateway.Orders()[0].ID)
	if err != nil {
		log.Fatal(err)
	}
	// The webhook, the callback and a sweep say the same: look.
	fmt.Println("paid:", visits.Retry(ctx, "appt-42"))
	work()
	fmt.Println("moved:", visits.Move(ctx, "appt-42", start.Add(time.Hour)), visits.Move(ctx, "appt-42", start.Add(time.Hour)))
	work()
	fmt.Println("cancelled:", visits.Cancel(ctx, "appt-42", visit.ByClinic), visits.Cancel(ctx, "appt-42", visit.ByClinic))
	work()

	fmt.Println("\nIts rows, by durable.ID:")
	for item, err := range rows.List(ctx, durable.Filter{}) {
		// There are also the doctor's day, and rows by which reports are matched.
		if item.ID.Name == "appt-42" {
			fmt.Println(" ", item.ID, err)
		}
	}
	fmt.Println("What was done, by Key:")
	for _, m := range google.Meetings() {
		fmt.Println("  meeting appt-42:", m.Status)
	}
	refunds, _ := gateway.PaymentRefunds(ctx, confirmation.PaymentID)
	fmt.Println("  order", gateway.Orders()[0].Key+", its", refunds[0].Notes, refunds[0].Status)
	for _, m := range mail.Messages() {
		fmt.Println("  mail", strings.ReplaceAll(m.Key, refunds[0].ID, "rfnd_…"))
	}
	for _, event := range live.All() {
		fmt.Println("  event", event.Name, "in", event.Room)
	}
	// Output:
	// booked: <nil> <nil>
	// to be paid, by one order: reserved true
	// paid: <nil>
	// moved: <nil> <nil>
	// cancelled: <nil> <nil>
	//
	// Its rows, by durable.ID:
	//   visit/appt-42 <nil>
	//   visit-bill/appt-42 <nil>
	//   visit-messages/appt-42 <nil>
	// What was done, by Key:
	//   meeting appt-42: cancelled
	//   order appt-42, its map[refund:cancelled/0/0] processed
	//   mail appt-42/receipt
	//   mail appt-42/booked/1/email
	//   mail appt-42/doctor/1
	//   mail appt-42/booked/2/email
	//   mail appt-42/doctor/2
	//   mail appt-42/cancelled/email
	//   mail appt-42/doctor-cancelled
	//   mail appt-42/refund/rfnd_…/done
	//   event new-appointment in clinic-lotus
	//   event appointment-changed in clinic-lotus
	//   event appointment-changed in clinic-lotus
	//   event appointment-changed in clinic-lotus
}

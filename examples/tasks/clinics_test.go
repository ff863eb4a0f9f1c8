package tasks_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/meet/meettest"
	"github.com/telemed-go/telemed/meet/visit"
	"github.com/telemed-go/telemed/notify/notifytest"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/paymentstest"
	"github.com/telemed-go/telemed/store/durable"
)

// clinicAccounts is what one clinic has of its own. An application makes the clients of
// each clinic once, when it starts or when the clinic signs up: zoom.New, razorpay.New,
// smtp.New and whatsapp.New with that clinic's keys.
type clinicAccounts struct {
	name, zone string
	meetings   *meettest.Provider
	gateway    *paymentstest.Gateway
	mail       *notifytest.Recorder
}

func newClinicAccounts(name, zone string) *clinicAccounts {
	return &clinicAccounts{name, zone, meettest.New(), paymentstest.NewGateway(), &notifytest.Recorder{}}
}

// Several clinics with their own accounts, in one process and one database. Request.Tenant
// says whose visit it is, and Config.Tenants what that clinic has: nothing is ever taken
// from another one.
func Example_clinics() {
	ctx := context.Background()
	clinics := map[string]*clinicAccounts{
		"lotus":  newClinicAccounts("Lotus Clinic", "Asia/Kolkata"),
		"harbor": newClinicAccounts("Harbor Clinic", "Asia/Dubai"),
	}
	visits, err := visit.New(visit.Config{
		Store: durable.NewMemory(), Clinic: "Telemed", Zone: "Asia/Kolkata",
		Tenants: func(_ context.Context, tenant string) (visit.Providers, error) {
			c, ok := clinics[tenant]
			if !ok {
				return visit.Providers{}, telemed.ErrNotFound
			}
			return visit.Providers{
				Clinic: c.name, Zone: c.zone, Meetings: map[string]meet.MeetingProvider{"zoom": c.meetings},
				Gateway: c.gateway, Mail: c.mail,
			}, nil
		},
		ReturnURL: "https://telemed.example/visits", AccountsURL: "https://telemed.example/doctor/settings/integration",
		Spacing: time.Millisecond, // between two messages, for this example
	})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	// Each clinic registers its own address at Razorpay.
	mux.Handle("/api/payments/{tenant}/{action}", visits.Payments())

	for _, tenant := range []string{"lotus", "harbor", "nobody"} {
		err := visits.Book(ctx, visit.Request{
			ID: tenant + "-1", Tenant: tenant, Provider: "zoom", Start: time.Now().Add(72 * time.Hour), Duration: 30 * time.Minute,
			Price: payments.INR(50000), Patient: visit.Patient{Name: "Asha Verma", Email: "asha@example.org"},
			// A doctor of two clinics has two ids: an account is connected for one of them.
			Doctor: visit.Doctor{ID: tenant + "/dr-rao", Name: "Dr Meera Rao"},
		})
		fmt.Println("booked at", tenant+":", err)
	}
	if _, err := visits.Checkout(ctx, "lotus-1"); err != nil {
		log.Fatal(err)
	}
	lotus, harbor := clinics["lotus"], clinics["harbor"]
	order := lotus.gateway.Orders()[0]
	if _, err := lotus.gateway.Pay(order.ID); err != nil {
		log.Fatal(err)
	}
	header, body := lotus.gateway.Webhook(payments.Event{ID: "evt_1", Type: payments.EventOrderPaid, Order: order})
	for _, tenant := range []string{"harbor", "nobody", "lotus"} {
		r := httptest.NewRequest(http.MethodPost, "/api/payments/"+tenant+"/webhook", bytes.NewReader(body))
		r.Header = header.Clone()
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		fmt.Println("Lotus's webhook at", tenant+":", w.Code)
	}
	// This is what visits.Run does.
	for next := time.Now(); !next.IsZero() && time.Until(next) < time.Second; {
		time.Sleep(time.Until(next))
		if next, err = visits.Step(ctx, "lotus-1"); err != nil {
			log.Fatal(err)
		}
	}
	known, err := visits.Get(ctx, "lotus-1")
	fmt.Println(known.Status, err)
	fmt.Println("Lotus: meetings", len(lotus.meetings.Meetings()), "mails", len(lotus.mail.Messages()))
	fmt.Println("Harbor: meetings", len(harbor.meetings.Meetings()), "mails", len(harbor.mail.Messages()))
	// Output:
	// booked at lotus: <nil>
	// booked at harbor: <nil>
	// booked at nobody: visit: Tenant is no clinic of Config.Tenants
	// Lotus's webhook at harbor: 401
	// Lotus's webhook at nobody: 404
	// Lotus's webhook at lotus: 200
	// booked <nil>
	// Lotus: meetings 1 mails 2
	// Harbor: meetings 0 mails 0
}

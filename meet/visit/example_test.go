package visit_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/meet/meettest"
	"github.com/telemed-go/telemed/meet/visit"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/notifytest"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/paymentstest"
	"github.com/telemed-go/telemed/store/durable"
)

// lotus is a clinic in memory: an application has sqlstore, googlemeet, razorpay and smtp.
func lotus(gateway *paymentstest.Gateway, mail notify.Notifier, ready chan<- string) (*visit.Visits, error) {
	return visit.New(visit.Config{
		OnChange: func(_ context.Context, v *visit.Visit) error {
			if v.JoinURL != "" {
				ready <- v.ID
			}
			return nil
		},
		Store: durable.NewMemory(), Clinic: "Lotus Clinic", Zone: "Asia/Kolkata", Mail: mail, Gateway: gateway,
		Meetings:  map[string]meet.MeetingProvider{"google": meettest.New()},
		ReturnURL: "https://lotus.example/visits", AccountsURL: "https://lotus.example/doctor/settings/integration",
	})
}

// A visit is booked, paid for, given a meeting, and told of.
func Example() {
	ctx, stop := context.WithCancel(context.Background())
	gateway, mail, ready := paymentstest.NewGateway(), &notifytest.Recorder{}, make(chan string, 1)
	visits, err := lotus(gateway, mail, ready)
	if err != nil {
		panic(err)
	}
	ended := make(chan error)
	go func() { ended <- visits.Run(ctx) }()

	err = visits.Book(ctx, visit.Request{
		ID: "appt-42", Provider: "google", Start: time.Now().Add(72 * time.Hour), Duration: 30 * time.Minute, Price: payments.INR(50000),
		Doctor:  visit.Doctor{ID: "dr-rao", Name: "Dr Meera Rao"},
		Patient: visit.Patient{Name: "Asha Verma", Email: "asha@example.org", Zone: "Asia/Kolkata"},
	})
	fmt.Println(err)
	page, err := visits.Checkout(ctx, "appt-42") // for the page's checkout.js
	fmt.Println(page.Visit.Status, err)

	// The patient pays, and the browser never comes back.
	order, _ := gateway.WaitFor(ctx, func(o *payments.Order) bool { return o.Key == "appt-42" })
	if _, err := gateway.Pay(order.ID); err != nil {
		panic(err)
	}
	// The webhook would tell, at visits.Payments(), and else a sweep asks. A button asks now:
	err = visits.Retry(ctx, "appt-42")
	fmt.Println(<-ready, err)
	first, err := mail.WaitFor(ctx, func(notify.Message) bool { return true })
	fmt.Println(first.Content.Subject, err)
	known, err := visits.Get(ctx, "appt-42")
	fmt.Println(known.Status, known.JoinURL != "", err)
	stop()
	fmt.Println(<-ended)
	// Output:
	// <nil>
	// reserved <nil>
	// appt-42 <nil>
	// Payment received: ₹500.00, Lotus Clinic <nil>
	// booked true <nil>
	// <nil>
}

// A page of the application writes its own row and the visit in one transaction, or neither.
func ExampleHandler() {
	visits, err := lotus(paymentstest.NewGateway(), &notifytest.Recorder{}, nil)
	if err != nil {
		panic(err)
	}
	rows := durable.NewMemory() // sqlstore.Store.InTx in production
	inTx := func(_ context.Context, do func(durable.Store) error) error { return do(rows) }
	loggedIn := func(r *http.Request) (string, error) { return r.Header.Get("X-Forwarded-User"), nil }
	cancel := func(r *http.Request, tx durable.Store, visits visit.Writer, user, id string) error {
		// UPDATE appointments SET cancelled = TRUE WHERE id = id AND patient = user
		return visits.Cancel(r.Context(), id, visit.ByPatient)
	}
	mux := http.NewServeMux()
	mux.Handle("DELETE /api/appointments/{id}", visit.Handler(visits, inTx, loggedIn, cancel))

	for _, user := range []string{"", "asha"} {
		r := httptest.NewRequest(http.MethodDelete, "/api/appointments/appt-42", nil)
		r.Header.Set("X-Forwarded-User", user)
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		fmt.Print(w.Code, " ", w.Body)
	}
	// Output:
	// 401 {"error":"not logged in"}
	// 404 {"error":"not found"}
}

// What is wished of a visit after it was booked. Each wish can be said again.
func ExampleVisits_Move() {
	visits, err := lotus(paymentstest.NewGateway(), &notifytest.Recorder{}, nil)
	if err != nil {
		panic(err)
	}
	ctx, start := context.Background(), time.Date(2032, 3, 2, 10, 30, 0, 0, time.FixedZone("IST", 19800))
	req := visit.Request{
		ID: "appt-42", Provider: "google", Start: start, Duration: 30 * time.Minute,
		Doctor:  visit.Doctor{ID: "dr-rao", Name: "Dr Meera Rao"},
		Patient: visit.Patient{Name: "Asha Verma", Email: "asha@example.org"},
	}
	fmt.Println(visits.Book(ctx, req))
	other := req
	other.ID = "appt-43"
	fmt.Println(errors.Is(visits.Book(ctx, other), visit.ErrTaken))
	fmt.Println(visits.Move(ctx, "appt-42", start.Add(time.Hour)))
	fmt.Println(visits.Cancel(ctx, "appt-42", visit.ByPatient))
	fmt.Println(visits.Book(ctx, other))
	fmt.Println(errors.Is(visits.Move(ctx, "appt-42", start), telemed.ErrConflict))

	entries, err := visits.Timeline(ctx, "appt-42")
	for _, entry := range entries {
		fmt.Println(entry.Of, entry.What)
	}
	fmt.Println(err)
	// Output:
	// <nil>
	// true
	// <nil>
	// <nil>
	// <nil>
	// true
	// visit booked for 2032-03-02T05:00:00Z
	// visit moved to 2032-03-02T06:00:00Z
	// visit cancelled by the patient
	// <nil>
}

package tasks_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
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

// frontDesk is an application that is to be tested: it asks for interfaces.
type frontDesk struct{ meetings meet.MeetingProvider }

// errLater is what its page says when the provider is away.
var errLater = errors.New("the link follows by mail")

func (d frontDesk) link(ctx context.Context, appointment string, start time.Time) (string, error) {
	m, err := d.meetings.Create(ctx, "dr-rao", meet.Request{Key: appointment, Start: start, Duration: 30 * time.Minute})
	switch {
	case errors.Is(err, telemed.ErrUnavailable), errors.Is(err, telemed.ErrAmbiguous):
		return "", errLater
	case err != nil:
		return "", err
	}
	return m.JoinURL, nil
}

// A double in memory fails as it is told: before it has done anything, or after.
func TestLink(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(*meettest.Provider){
		"the provider is away": func(p *meettest.Provider) { p.FailNext(meettest.OpCreate, telemed.ErrUnavailable) },
		"the answer is lost":   func(p *meettest.Provider) { p.FailAfter(meettest.OpCreate, telemed.ErrAmbiguous) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			provider, start := meettest.New(), time.Now().Add(time.Hour)
			desk := frontDesk{provider}
			fail(provider)
			if _, err := desk.link(t.Context(), "appt-42", start); !errors.Is(err, errLater) {
				t.Fatal(err)
			}
			if link, err := desk.link(t.Context(), "appt-42", start); err != nil || link == "" {
				t.Fatal(err)
			}
			if n := len(provider.Meetings()); n != 1 {
				t.Fatalf("%d meetings", n)
			}
		})
	}
}

// A bubble of testing/synctest has a clock of its own: four days take no time. With
// Config.InMemory, zoomtest, googlemeettest, razorpaytest, smtptest and whatsapptest fit
// into one too, with real HTTP and SMTP; visittest.Explore kills processes in it.
func TestReminders(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gateway, mail := paymentstest.NewGateway(), &notifytest.Recorder{}
		visits, err := visit.New(visit.Config{
			Store: durable.NewMemory(), Clinic: "Lotus Clinic", Zone: "Asia/Kolkata", Gateway: gateway, Mail: mail,
			Meetings:  map[string]meet.MeetingProvider{"zoom": meettest.New()},
			ReturnURL: "https://lotus.example/visits", AccountsURL: "https://lotus.example/settings",
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, end := t.Context(), time.Now().Add(96*time.Hour)
		err = visits.Book(ctx, visit.Request{
			ID: "appt-42", Provider: "zoom", Start: time.Now().Add(83 * time.Hour), Duration: 30 * time.Minute, Price: payments.INR(50000),
			Doctor: visit.Doctor{ID: "dr-rao", Name: "Dr Meera Rao"}, Patient: visit.Patient{Name: "Asha Verma", Email: "asha@example.org"},
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := visits.Checkout(ctx, "appt-42"); err != nil {
			t.Fatal(err)
		}
		// No webhook comes: a sweep finds the payment.
		if _, err := gateway.Pay(gateway.Orders()[0].ID); err != nil {
			t.Fatal(err)
		}
		// What visits.Run does, without asking each second.
		for next := time.Now(); !next.IsZero() && next.Before(end); {
			time.Sleep(time.Until(next))
			if next, err = visits.Step(ctx, "appt-42"); err != nil {
				t.Fatal(err)
			}
		}
		var told []string
		for _, m := range mail.Messages() {
			told = append(told, strings.TrimPrefix(m.Key, "appt-42/"))
		}
		if want := []string{"receipt", "booked/1/email", "reminder/1/24h0m0s", "reminder/1/1h0m0s"}; !slices.Equal(told, want) {
			t.Errorf("told %q, want %q", told, want)
		}
	})
}

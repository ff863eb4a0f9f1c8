package visit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/meet/meettest"
	"github.com/telemed-go/telemed/meet/visit"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/notifytest"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/fulfill"
	"github.com/telemed-go/telemed/payments/paymentstest"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/durable"
)

func fields(err error) (names []string) {
	for _, f := range telemed.Fields(err) {
		names = append(names, f.Field)
	}
	return names
}

func TestConfig(t *testing.T) {
	t.Parallel()
	_, err := visit.New(visit.Config{
		Zone: "IST", Gateway: paymentstest.NewGateway(), Mail: &notifytest.Recorder{}, Meetings: map[string]meet.MeetingProvider{"": meettest.New()},
		Reminders: []time.Duration{0}, Refunds: []fulfill.Tier{{Percent: 101}}, ReserveUnpaid: time.Second, Keep: -1, Grace: time.Millisecond,
	})
	require.ElementsMatch(t, []string{
		"Store", "ReturnURL", "AccountsURL", "Reminders", "Refunds", "ReserveUnpaid", "Keep", "Grace", "Clinic", "Zone", "Meetings",
	}, fields(err))
	for _, page := range []string{"http://lotus.example", "lotus.example", "https://u@lotus.example", "https://lotus.example/#x"} {
		_, err := visit.New(visit.Config{Store: durable.NewMemory(), Clinic: "Lotus", Zone: "Asia/Kolkata", Gateway: paymentstest.NewGateway(), ReturnURL: page})
		require.Equal(t, []string{"ReturnURL"}, fields(err), page)
	}
	_, err = visit.New(visit.Config{Store: durable.NewMemory(), Clinic: "Lotus", Zone: "Asia/Kolkata", Renderer: noWords{}})
	require.Contains(t, fields(err), "Renderer")
}

// noWords is a Renderer that knows no template.
type noWords struct{}

func (noWords) Names() []string                                { return nil }
func (noWords) Render(notify.Message) (*notify.Content, error) { return nil, telemed.ErrInvalid }

func TestWhatIsWrongIsRefusedAtBook(t *testing.T) {
	story(t, nil, func(c *clinic) {
		for field, change := range map[string]func(r *visit.Request){
			"ID":             func(r *visit.Request) { r.ID = strings.Repeat("x", 41) },
			"Provider":       func(r *visit.Request) { r.Provider = "webex" },
			"Start":          func(r *visit.Request) { r.Start = time.Now() },
			"Duration":       func(r *visit.Request) { r.Duration = 25 * time.Hour },
			"Price":          func(r *visit.Request) { r.Price = payments.INR(50) },
			"Doctor.ID":      func(r *visit.Request) { r.Doctor.ID = "" },
			"Doctor.Name":    func(r *visit.Request) { r.Doctor.Name = "Dr\nRao" },
			"Doctor.Email":   func(r *visit.Request) { r.Doctor.Email = "rao" },
			"Doctor.Zone":    func(r *visit.Request) { r.Doctor.Zone = "Local" },
			"Patient.Name":   func(r *visit.Request) { r.Patient.Name = strings.Repeat("x", 201) },
			"Patient.Email":  func(r *visit.Request) { r.Patient.Email = "asha" },
			"Patient.Phone":  func(r *visit.Request) { r.Patient.Phone = "9876543210" },
			"Patient.Zone":   func(r *visit.Request) { r.Patient.Zone = "Asia/Nowhere" },
			"Patient":        func(r *visit.Request) { r.Patient.Email, r.Patient.Phone = "", "" },
			"Patient.Locale": func(r *visit.Request) { r.Patient.Locale = "hi IN!" },
			"Tenant":         func(r *visit.Request) { r.Tenant = strings.Repeat("x", 129) },
			"Start ":         func(r *visit.Request) { r.Start = time.Now().AddDate(10, 0, 0) },
		} {
			field = strings.TrimSpace(field)
			req := request("appt-1")
			change(&req)
			err := c.Book(c.Context(), req)
			require.Equal(c, []string{field}, fields(err), "%s: %v", field, err)
			require.ErrorIs(c, err, telemed.ErrInvalid)
			require.NotContains(c, err.Error(), "Asha")
		}
		for item := range c.rows.List(c.Context(), durable.Filter{}) {
			c.Fatalf("%v was written", item)
		}
		require.Equal(c, []string{"ID"}, fields(c.Book(c.Context(), visit.Request{ID: ""}))[:1])
		require.ErrorIs(c, c.Move(c.Context(), "nobody", start()), telemed.ErrNotFound)
		require.ErrorIs(c, c.Cancel(c.Context(), "nobody", visit.ByClinic), telemed.ErrNotFound)
		require.ErrorIs(c, c.Cancel(c.Context(), "nobody", ""), telemed.ErrInvalid)
		_, err := c.Get(c.Context(), "nobody")
		require.ErrorIs(c, err, telemed.ErrNotFound)
	})
}

func TestWishesThatCannotBe(t *testing.T) {
	story(t, nil, func(c *clinic) {
		require.NoError(c, c.Book(c.Context(), request(theVisit)))
		other := request(theVisit)
		other.Patient.Name = "Ravi"
		require.ErrorIs(c, c.Book(c.Context(), other), telemed.ErrConflict)
		require.ErrorIs(c, c.Move(c.Context(), theVisit, time.Now()), telemed.ErrInvalid)
		require.ErrorIs(c, c.Move(c.Context(), theVisit, time.Now().AddDate(10, 0, 0)), telemed.ErrInvalid)
		c.pay(theVisit)
		second := request("appt-43")
		second.Start, second.Price = start().Add(time.Hour), payments.Money{}
		require.NoError(c, c.Book(c.Context(), second))
		require.ErrorIs(c, c.Move(c.Context(), "appt-43", start().Add(-10*time.Minute)), visit.ErrTaken)
		require.NoError(c, c.Move(c.Context(), "appt-43", start().Add(50*time.Minute)), "its own hours are in nobody's way")
		c.wait(time.Until(start().Add(time.Minute)))
		require.ErrorIs(c, c.Move(c.Context(), theVisit, start().Add(time.Hour)), telemed.ErrConflict)
		require.ErrorIs(c, c.Erase(c.Context(), theVisit), telemed.ErrConflict)
		require.NoError(c, c.Cancel(c.Context(), theVisit, visit.ByPatient), "nothing goes back any more")
		c.wait(2 * time.Hour)
		require.Zero(c, c.is(theVisit, visit.StatusCancelled).Refund)
		require.ErrorIs(c, c.Cancel(c.Context(), "appt-43", visit.ByPatient), telemed.ErrConflict, "it is over")
	})
}

func TestRunTwiceIsAnError(t *testing.T) {
	story(t, nil, func(c *clinic) {
		c.wait(time.Second)
		require.Error(c, c.Visits.Run(c.Context()))
	})
}

// TestTenants: each clinic has its own accounts, and nobody else's.
func TestTenants(t *testing.T) {
	lotus, palm := paymentstest.NewGateway(), paymentstest.NewGateway()
	mail := &notifytest.Recorder{}
	story(t, func(cfg *visit.Config) {
		google := cfg.Meetings
		cfg.Gateway, cfg.Mail, cfg.WhatsApp = nil, nil, nil
		cfg.Tenants = func(_ context.Context, tenant string) (visit.Providers, error) {
			switch tenant {
			case "lotus":
				return visit.Providers{Clinic: "Lotus", Zone: "Asia/Kolkata", Meetings: google, Gateway: lotus, Mail: mail, Renderer: cfg.Renderer}, nil
			case "palm":
				return visit.Providers{Clinic: "Palm", Zone: "Asia/Dubai", Gateway: palm, Mail: mail, Renderer: cfg.Renderer}, nil
			case "broken":
				return visit.Providers{}, errors.New("of Asha")
			}
			return visit.Providers{}, telemed.ErrNotFound
		}
	}, func(c *clinic) {
		require.NoError(c, c.Book(c.Context(), request(theVisit)))
		walkIn := request("appt-43")
		walkIn.Tenant, walkIn.Doctor.ID = "palm", "dr-pal"
		require.Equal(c, []string{"Provider"}, fields(c.Book(c.Context(), walkIn)))
		walkIn.Provider = ""
		require.NoError(c, c.Book(c.Context(), walkIn))
		for id, gateway := range map[string]*paymentstest.Gateway{theVisit: lotus, "appt-43": palm} {
			_, err := c.Checkout(c.Context(), id)
			require.NoError(c, err)
			require.Len(c, gateway.Orders(), 1)
			require.Equal(c, id, gateway.Orders()[0].Key)
			_, err = gateway.Pay(gateway.Orders()[0].ID)
			require.NoError(c, err)
		}
		c.wait(time.Hour)
		c.is(theVisit, visit.StatusBooked)
		c.is("appt-43", visit.StatusBooked)
		unknown := request("appt-44")
		unknown.Tenant = "rose"
		require.Equal(c, []string{"Tenant"}, fields(c.Book(c.Context(), unknown)))
		unknown.Tenant = "broken"
		err := c.Book(c.Context(), unknown)
		require.Error(c, err)
		require.NotContains(c, err.Error(), "Asha")
	})
}

// TestNobodyIsInTheClear: no person is in a log, a trail, an error or the clear columns.
func TestNobodyIsInTheClear(t *testing.T) {
	var logs bytes.Buffer
	story(t, func(cfg *visit.Config) {
		cfg.Logger, cfg.OnStuck = slog.New(slog.NewJSONHandler(&logs, &slog.HandlerOptions{Level: slog.LevelDebug})), nil
	}, func(c *clinic) {
		persons := []string{"Asha", "asha@", "9876543210", "Meera", "rao@"}
		c.google.Connect("somebody-else")
		require.NoError(c, c.Book(c.Context(), request(theVisit)))
		c.pay(theVisit)
		c.mail.FailNext(notifytest.OpNotify, telemed.ErrUnavailable, notify.ErrRecipient)
		c.wait(26 * time.Hour)
		c.google.Connect("dr-rao")
		c.Connected(c.Context(), store.AccountID{Provider: "google", Subject: "dr-rao"}, store.Account{})
		c.wait(time.Until(start().Add(-30 * time.Minute)))
		require.NoError(c, c.Cancel(c.Context(), theVisit, visit.ByClinic))
		c.wait(time.Hour)
		for item, err := range c.rows.List(c.Context(), durable.Filter{}) {
			require.NoError(c, err)
			for _, person := range persons {
				require.NotContains(c, fmt.Sprintf("%v %s %s %s", item, item.Audit, item.ID, item.Stuck), person, item.ID.Kind)
			}
		}
		v := c.is(theVisit, visit.StatusCancelled)
		page, err := json.Marshal(v)
		require.NoError(c, err)
		for _, text := range []string{string(page), fmt.Sprintf("%v %+v %#v", v, *v, v), fmt.Sprintf("%v %+v", request(theVisit), request(theVisit)), logs.String()} {
			for _, person := range persons {
				require.NotContains(c, text, person)
			}
		}
		require.NotEmpty(c, logs.String())
	})
}

// TestOnChangeIsCalledUntilItIsDone: the application's own columns follow.
func TestOnChangeIsCalledUntilItIsDone(t *testing.T) {
	failures := 2
	story(t, func(cfg *visit.Config) {
		next := cfg.OnChange
		cfg.OnChange = func(ctx context.Context, v *visit.Visit) error {
			if failures--; failures >= 0 {
				return errors.New("the application's database is away")
			}
			return next(ctx, v)
		}
	}, func(c *clinic) {
		req := request(theVisit)
		req.Price = payments.Money{}
		require.NoError(c, c.Book(c.Context(), req))
		c.wait(time.Hour)
		require.NotEmpty(c, c.changes)
		require.Len(c, c.chats(), 1, "nothing waits for it")
	})
}

func TestHostLink(t *testing.T) {
	story(t, nil, func(c *clinic) {
		require.NoError(c, c.Book(c.Context(), request(theVisit)))
		_, err := c.HostLink(c.Context(), theVisit)
		require.ErrorIs(c, err, telemed.ErrNotFound)
		c.pay(theVisit)
		c.wait(time.Minute)
		link, err := c.HostLink(c.Context(), theVisit)
		require.NoError(c, err)
		require.NotEmpty(c, link.Reveal())
		for _, m := range c.mail.Messages() {
			require.NotContains(c, m.Content.Text, link.Reveal())
		}
	})
}

// TestStep: an engine of the application's own drives the rows, and looks again when Step
// says so. Nothing that is done about one row waits for another one's sweep.
func TestStep(t *testing.T) {
	story(t, nil, func(c *clinic) {
		c.stop()
		require.NoError(c, c.Book(c.Context(), request(theVisit)))
		c.pay(theVisit)
		drive := func() {
			for next := time.Now(); !next.IsZero() && time.Until(next) < 10*time.Second; {
				time.Sleep(time.Until(next))
				var err error
				next, err = c.Step(c.Context(), theVisit)
				require.NoError(c, err)
				for _, kind := range []string{visit.RowKind, visit.BillKind, visit.MessagesKind} {
					row, err := c.rows.Get(c.Context(), durable.ID{Kind: kind, Name: theVisit})
					require.True(c, err != nil || row.Due.IsZero() || !next.IsZero() && !next.After(row.Due), kind)
				}
			}
		}
		begin := time.Now()
		drive()
		c.is(theVisit, visit.StatusBooked)
		require.Equal(c, []string{"appointment_confirmed"}, c.chats())
		require.NoError(c, c.Cancel(c.Context(), theVisit, visit.ByClinic))
		drive()
		require.Equal(c, payments.RefundProcessed, c.is(theVisit, visit.StatusCancelled).Refund.Status)
		require.Less(c, time.Since(begin), 5*time.Minute)
		_, err := c.Step(c.Context(), "nobody")
		require.ErrorIs(c, err, telemed.ErrNotFound)
		c.start()
	})
}

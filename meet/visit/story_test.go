package visit_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/meet/meettest"
	"github.com/telemed-go/telemed/meet/visit"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/notifytest"
	"github.com/telemed-go/telemed/notify/template"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/fulfill"
	"github.com/telemed-go/telemed/payments/paymentstest"
	"github.com/telemed-go/telemed/realtime/realtimetest"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/durable"
)

const theVisit = "appt-42"

// words are the templates, which take a while to read.
var words = sync.OnceValue(func() notify.Renderer {
	zone, err := time.LoadLocation("Asia/Kolkata")
	if err != nil {
		panic(err)
	}
	set, err := template.New(template.Config{Clinic: "Lotus Clinic", Zone: zone})
	if err != nil {
		panic(err)
	}
	return set
})

// clinic is an application with one process.
type clinic struct {
	*testing.T
	*visit.Visits
	rows       *durable.Memory
	google     *meettest.Provider
	gateway    *paymentstest.Gateway
	mail, chat *notifytest.Recorder
	live       *realtimetest.Recorder
	change     func(*visit.Config)
	stop       func()

	mu      sync.Mutex
	stuck   []string
	changes []visit.Status
}

// story runs one in a bubble: its days take no time. It begins on 2000-01-01, 00:00 UTC.
func story(t *testing.T, change func(*visit.Config), tell func(c *clinic)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &clinic{
			T: t, rows: durable.NewMemory(), google: meettest.New(), gateway: paymentstest.NewGateway(),
			mail: &notifytest.Recorder{Channel: notify.Email}, chat: &notifytest.Recorder{Channel: notify.WhatsApp}, live: &realtimetest.Recorder{},
		}
		c.change = change
		c.start()
		defer func() { c.stop() }()
		tell(c)
	})
}

func (c *clinic) start() {
	c.Helper()
	cfg := visit.Config{
		Store: c.rows, Clinic: "Lotus Clinic", Zone: "Asia/Kolkata", ReturnURL: "https://lotus.example/visits", AccountsURL: "https://lotus.example/settings",
		Meetings: map[string]meet.MeetingProvider{"google": c.google}, Gateway: c.gateway, Mail: c.mail, WhatsApp: c.chat, Live: c.live,
		Refunds: []fulfill.Tier{{Before: 24 * time.Hour, Percent: 100}, {Before: 12 * time.Hour, Percent: 50}},
		OnStuck: func(s visit.Stuck) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.stuck = append(c.stuck, s.ID+" "+s.Why)
		},
		OnChange: func(_ context.Context, v *visit.Visit) error {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.changes = append(c.changes, v.Status)
			return nil
		},
	}
	cfg.Renderer = words()
	if c.change != nil {
		c.change(&cfg)
	}
	visits, err := visit.New(cfg)
	require.NoError(c, err)
	ctx, cancel := context.WithCancel(c.Context())
	done := make(chan error, 1)
	go func() { done <- visits.Run(ctx) }()
	c.Visits, c.stop = visits, func() {
		cancel()
		require.NoError(c, <-done)
	}
}

// start is ten in the morning in Kolkata, three days from the beginning.
func start() time.Time { return time.Date(2000, 1, 4, 10, 0, 0, 0, time.FixedZone("", 19800)) }

func request(id string) visit.Request {
	return visit.Request{
		ID: id, Tenant: "lotus", Provider: "google", Start: start(), Duration: 30 * time.Minute, Price: payments.INR(50000),
		Doctor:  visit.Doctor{ID: "dr-rao", Name: "Dr Meera Rao", Email: "rao@lotus.example"},
		Patient: visit.Patient{Name: "Asha Verma", Email: "asha@example.org", Phone: "+919876543210", Zone: "Asia/Kolkata"},
	}
}

// pay is the patient on the payment page, whose browser comes back.
func (c *clinic) pay(id string) {
	c.Helper()
	page, err := c.Checkout(c.Context(), id)
	require.NoError(c, err)
	require.True(c, json.Valid(page.Options), string(page.Options))
	orders, err := c.gateway.OrdersByKey(c.Context(), id)
	require.NoError(c, err)
	require.Len(c, orders, 1)
	paid, err := c.gateway.Pay(orders[0].ID)
	require.NoError(c, err)
	status, body, _ := c.callback(paid, "application/json")
	require.Equal(c, 200, status, body)
}

// wait lets a time go by. While nothing is due nobody looks for it, which takes long.
func (c *clinic) wait(d time.Duration) {
	c.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); {
		next := c.next()
		if pause := time.Until(next); next.IsZero() || pause > 2*time.Minute {
			c.stop()
			time.Sleep(min(pause, time.Until(end)))
			if next.IsZero() {
				time.Sleep(time.Until(end))
			}
			c.start()
			continue
		}
		time.Sleep(min(10*time.Second, time.Until(end)))
	}
	time.Sleep(3 * time.Second)
	synctest.Wait()
}

// next is when the first row is due, zero if none is.
func (c *clinic) next() (next time.Time) {
	for item := range c.rows.List(c.Context(), durable.Filter{}) {
		if !item.Due.IsZero() && (next.IsZero() || item.Due.Before(next)) {
			next = item.Due
		}
	}
	return next
}

// is checks where a visit stands.
func (c *clinic) is(id string, want visit.Status) *visit.Visit {
	c.Helper()
	v, err := c.Get(c.Context(), id)
	require.NoError(c, err)
	require.Equal(c, want, v.Status)
	return v
}

// subjects are those of the mails to an address, and texts how many messages a phone got.
func (c *clinic) subjects(address string) (all []string) {
	for _, m := range c.mail.Messages() {
		if m.To.Email == address {
			all = append(all, m.Content.Subject)
		}
	}
	return all
}

func (c *clinic) chats() (all []string) {
	for _, m := range c.chat.Messages() {
		all = append(all, m.Content.WhatsApp.Name)
	}
	return all
}

func (c *clinic) events() (all []string) {
	for _, b := range c.live.All() {
		data, err := json.Marshal(b.Data)
		require.NoError(c, err)
		var e struct {
			ID, Status string
			Generation int
		}
		require.NoError(c, json.Unmarshal(data, &e))
		all = append(all, fmt.Sprintf("%s %s %s %s/%d", b.Room, b.Name, e.ID, e.Status, e.Generation))
	}
	return all
}

// meetings are those that were not cancelled.
func (c *clinic) meetings() (all []meet.Meeting) {
	for _, m := range c.google.Meetings() {
		if m.Status != meet.StatusCancelled {
			all = append(all, m)
		}
	}
	return all
}

func TestPaidTakesPlace(t *testing.T) {
	story(t, nil, func(c *clinic) {
		require.NoError(c, c.Book(c.Context(), request(theVisit)))
		c.is(theVisit, visit.StatusReserved)
		c.pay(theVisit)
		c.wait(time.Minute)
		v := c.is(theVisit, visit.StatusBooked)
		require.NotEmpty(c, v.JoinURL)
		require.Len(c, c.meetings(), 1)
		require.True(c, c.meetings()[0].Start.Equal(start()))
		require.Equal(c, []string{"payment_receipt", "appointment_confirmed"}, names(c.mail.Messages()))
		require.Equal(c, []string{"appointment_confirmed"}, c.chats())
		require.Len(c, c.subjects("rao@lotus.example"), 1)
		require.Equal(c, []string{"clinic-lotus new-appointment appt-42 booked/1"}, c.events())
		c.wait(4 * 24 * time.Hour)
		require.Equal(c, []string{"appointment_confirmed", "appointment_reminder", "appointment_reminder"}, c.chats())
		require.Empty(c, c.stuck)
		require.Contains(c, c.changes, visit.StatusBooked)
		again, err := c.Checkout(c.Context(), theVisit)
		require.NoError(c, err)
		require.Nil(c, again.Options)
	})
}

// names are the WhatsApp templates that mails would have had, without the doctor's.
func names(messages []notify.Message) (all []string) {
	for _, m := range messages {
		if m.To.Email == "asha@example.org" {
			all = append(all, m.Content.WhatsApp.Name)
		}
	}
	return all
}

func TestNobodyPaysAndItLapses(t *testing.T) {
	story(t, nil, func(c *clinic) {
		require.NoError(c, c.Book(c.Context(), request(theVisit)))
		other := request("appt-43")
		require.ErrorIs(c, c.Book(c.Context(), other), visit.ErrTaken)
		c.wait(16 * time.Minute)
		c.is(theVisit, visit.StatusLapsed)
		require.NoError(c, c.Book(c.Context(), other))
		c.wait(24 * time.Hour)
		require.Empty(c, c.mail.Messages())
		require.Empty(c, c.google.Meetings())
	})
}

func TestMoved(t *testing.T) {
	story(t, nil, func(c *clinic) {
		require.NoError(c, c.Book(c.Context(), request(theVisit)))
		c.pay(theVisit)
		c.wait(time.Minute)
		link := c.is(theVisit, visit.StatusBooked).JoinURL
		later := start().Add(24 * time.Hour)
		require.NoError(c, c.Move(c.Context(), theVisit, later))
		require.NoError(c, c.Move(c.Context(), theVisit, later))
		c.wait(time.Minute)
		v := c.is(theVisit, visit.StatusBooked)
		require.True(c, v.Start.Equal(later))
		require.Equal(c, link, v.JoinURL)
		require.True(c, c.meetings()[0].Start.Equal(later))
		require.NoError(c, c.Book(c.Context(), request(theVisit)), "a late retry of the first request")
		free := request("appt-43")
		require.NoError(c, c.Book(c.Context(), free), "the old hours are free")
		c.wait(6 * 24 * time.Hour)
		require.Equal(c, []string{"appointment_confirmed", "appointment_rescheduled", "appointment_reminder", "appointment_reminder"}, c.chats())
		require.Equal(c, []string{"payment_receipt", "appointment_confirmed", "appointment_rescheduled"}, names(c.mail.Messages()))
		require.Len(c, c.subjects("rao@lotus.example"), 2)
	})
}

func TestCancelledByThePatientHalfGoesBack(t *testing.T) {
	story(t, nil, func(c *clinic) {
		require.NoError(c, c.Book(c.Context(), request(theVisit)))
		c.pay(theVisit)
		c.wait(time.Until(start().Add(-20 * time.Hour)))
		require.NoError(c, c.Cancel(c.Context(), theVisit, visit.ByPatient))
		require.NoError(c, c.Cancel(c.Context(), theVisit, visit.ByClinic))
		require.NoError(c, c.Book(c.Context(), request("appt-43")), "the hours are free at once")
		c.wait(time.Hour)
		v := c.is(theVisit, visit.StatusCancelled)
		require.Equal(c, visit.Refund{Amount: payments.INR(25000), Status: payments.RefundProcessed}, v.Refund)
		require.Empty(c, v.JoinURL)
		require.Empty(c, c.meetings())
		c.wait(4 * 24 * time.Hour)
		require.Equal(c, []string{"appointment_confirmed", "appointment_reminder", "appointment_cancelled"}, c.chats())
		require.Contains(c, names(c.mail.Messages()), "payment_refunded")
		require.Len(c, c.subjects("rao@lotus.example"), 2)
		require.ErrorIs(c, c.Move(c.Context(), theVisit, start()), telemed.ErrConflict)
	})
}

func TestCancelledByTheClinicAllGoesBackAndThatTakesTime(t *testing.T) {
	story(t, nil, func(c *clinic) {
		c.gateway.HoldRefunds()
		require.NoError(c, c.Book(c.Context(), request(theVisit)))
		c.pay(theVisit)
		c.wait(time.Until(start().Add(-time.Hour)))
		require.NoError(c, c.Cancel(c.Context(), theVisit, visit.ByClinic))
		c.wait(10 * time.Minute)
		v := c.is(theVisit, visit.StatusCancelled)
		require.Equal(c, visit.Refund{Amount: payments.INR(50000), Status: payments.RefundPending}, v.Refund)
		require.ErrorIs(c, c.Erase(c.Context(), theVisit), telemed.ErrConflict)
		require.Contains(c, names(c.mail.Messages()), "payment_refund_pending")
		require.NotContains(c, names(c.mail.Messages()), "payment_refunded")
		c.settle(theVisit, true)
		c.wait(2 * 24 * time.Hour)
		require.Contains(c, names(c.mail.Messages()), "payment_refunded")
		require.Equal(c, payments.RefundProcessed, c.is(theVisit, visit.StatusCancelled).Refund.Status)
	})
}

// settle ends the refunds of a visit at the gateway.
func (c *clinic) settle(id string, processed bool) {
	c.Helper()
	orders, err := c.gateway.OrdersByKey(c.Context(), id)
	require.NoError(c, err)
	paid, err := c.gateway.OrderPayments(c.Context(), orders[0].ID)
	require.NoError(c, err)
	refunds, err := c.gateway.PaymentRefunds(c.Context(), paid[0].ID)
	require.NoError(c, err)
	for _, r := range refunds {
		require.NoError(c, c.gateway.SettleRefund(r.ID, processed))
	}
}

func TestPaidAfterSomebodyElseHasTheHours(t *testing.T) {
	story(t, nil, func(c *clinic) {
		require.NoError(c, c.Book(c.Context(), request(theVisit)))
		page, err := c.Checkout(c.Context(), theVisit)
		require.NoError(c, err)
		require.NotNil(c, page.Options)
		c.wait(20 * time.Minute)
		require.NoError(c, c.Book(c.Context(), request("appt-43")))
		orders, err := c.gateway.OrdersByKey(c.Context(), theVisit)
		require.NoError(c, err)
		_, err = c.gateway.Pay(orders[0].ID)
		require.NoError(c, err)
		c.wait(5 * 24 * time.Hour)
		v := c.is(theVisit, visit.StatusLapsed)
		require.Equal(c, visit.Refund{Amount: payments.INR(50000), Status: payments.RefundProcessed}, v.Refund)
		require.Contains(c, names(c.mail.Messages()), "payment_refunded")
	})
}

func TestADoctorsAccountMustBeConnectedAgain(t *testing.T) {
	story(t, nil, func(c *clinic) {
		c.google.Connect("somebody-else")
		for _, id := range []string{"appt-1", "appt-2"} {
			req := request(id)
			req.Price = payments.Money{}
			if id == "appt-2" {
				req.Start = req.Start.Add(time.Hour)
			}
			require.NoError(c, c.Book(c.Context(), req))
		}
		c.wait(24 * time.Hour)
		require.Len(c, c.subjects("rao@lotus.example"), 1, "told once")
		require.Empty(c, c.subjects("asha@example.org"))
		require.True(c, c.is("appt-1", visit.StatusBooked).Waits)
		c.google.Connect("dr-rao")
		c.Connected(c.Context(), store.AccountID{Provider: "google", Subject: "dr-rao"}, store.Account{})
		c.wait(time.Minute)
		require.Len(c, c.meetings(), 2)
		require.False(c, c.is("appt-1", visit.StatusBooked).Waits)
		require.Len(c, c.subjects("asha@example.org"), 2)
	})
}

func TestTheStartIsNearAndThereIsNoMeeting(t *testing.T) {
	story(t, nil, func(c *clinic) {
		c.google.Connect("somebody-else")
		req := request(theVisit)
		req.Price = payments.Money{}
		require.NoError(c, c.Book(c.Context(), req))
		c.wait(time.Until(start().Add(-119 * time.Minute)))
		require.Equal(c, []string{"appointment_waiting"}, c.chats())
		require.Equal(c, []string{theVisit + " meeting: the visit is near and has none"}, c.stuck)
		c.google.Connect("dr-rao")
		c.wait(40 * time.Minute) // it finds out by itself
		require.Equal(c, []string{"appointment_waiting", "appointment_confirmed"}, c.chats()[:2])
	})
}

func TestAWalkInNeedsNothing(t *testing.T) {
	story(t, func(cfg *visit.Config) {
		*cfg = visit.Config{Store: cfg.Store, Clinic: "Lotus Clinic", Zone: "Asia/Kolkata"}
	}, func(c *clinic) {
		req := request(theVisit)
		req.Provider, req.Price, req.Tenant = "", payments.Money{}, ""
		require.NoError(c, c.Book(c.Context(), req))
		c.wait(time.Minute)
		c.is(theVisit, visit.StatusBooked)
		require.NoError(c, c.Cancel(c.Context(), theVisit, visit.ByClinic))
		c.wait(time.Minute)
		c.is(theVisit, visit.StatusCancelled)
		item, err := c.rows.Get(c.Context(), durable.ID{Kind: visit.RowKind, Name: theVisit})
		require.NoError(c, err)
		require.Zero(c, item.Due)
	})
}

func TestTheDoctorDeletesTheMeetingAndItIsMoved(t *testing.T) {
	story(t, nil, func(c *clinic) {
		req := request(theVisit)
		req.Price = payments.Money{}
		require.NoError(c, c.Book(c.Context(), req))
		c.wait(time.Minute)
		first := c.is(theVisit, visit.StatusBooked).JoinURL
		require.NoError(c, c.google.Cancel(c.Context(), "dr-rao", c.meetings()[0].ID))
		require.NoError(c, c.Move(c.Context(), theVisit, start().Add(time.Hour)))
		c.wait(5 * time.Minute)
		require.Len(c, c.meetings(), 1)
		require.NotEqual(c, first, c.is(theVisit, visit.StatusBooked).JoinURL)
	})
}

func TestErase(t *testing.T) {
	story(t, nil, func(c *clinic) {
		require.NoError(c, c.Book(c.Context(), request(theVisit)))
		c.pay(theVisit)
		c.wait(time.Minute)
		require.ErrorIs(c, c.Erase(c.Context(), theVisit), telemed.ErrConflict)
		c.wait(5 * 24 * time.Hour)
		require.NoError(c, c.Erase(c.Context(), theVisit))
		require.NoError(c, c.Erase(c.Context(), theVisit))
		for item, err := range c.rows.List(c.Context(), durable.Filter{}) {
			require.NoError(c, err)
			for _, person := range []string{"Asha", "asha@", "98765", "Meera", "rao@"} {
				require.NotContains(c, string(item.Data)+string(item.Audit)+item.ID.Name, person, item.ID.Kind)
			}
		}
		entries, err := c.Timeline(c.Context(), theVisit)
		require.NoError(c, err)
		require.Greater(c, len(entries), 10)
		require.Equal(c, "booked for 2000-01-04T04:30:00Z", entries[0].What)
	})
}

// strict is a provider that refuses a Key that comes with another start, as Zoom's client
// does.
type strict struct {
	meet.MeetingProvider
	mu     sync.Mutex
	starts map[string]time.Time
}

func strictly(cfg *visit.Config) {
	cfg.Meetings = map[string]meet.MeetingProvider{"google": &strict{MeetingProvider: cfg.Meetings["google"], starts: map[string]time.Time{}}}
}

func (s *strict) Create(ctx context.Context, doctorID string, req meet.Request) (*meet.Meeting, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known, ok := s.starts[req.Key]; ok && !known.Equal(req.Start) {
		return nil, telemed.ErrConflict
	}
	made, err := s.MeetingProvider.Create(ctx, doctorID, req)
	if err == nil || errors.Is(err, telemed.ErrAmbiguous) {
		s.starts[req.Key] = req.Start
	}
	return made, err
}

// A provider knows a Key with the start that it was first asked for.
func TestMovedWhileNobodyKnowsWhetherThereIsAMeeting(t *testing.T) {
	story(t, strictly, func(c *clinic) {
		c.google.FailAfter(meettest.OpCreate, telemed.ErrAmbiguous)
		req := request(theVisit)
		req.Price = payments.Money{}
		require.NoError(c, c.Book(c.Context(), req))
		time.Sleep(10 * time.Second)
		require.Len(c, c.meetings(), 1)
		later := start().Add(24 * time.Hour)
		require.NoError(c, c.Move(c.Context(), theVisit, later))
		c.wait(5 * time.Minute)
		require.Len(c, c.google.Meetings(), 1)
		require.True(c, c.meetings()[0].Start.Equal(later))
		require.NotEmpty(c, c.is(theVisit, visit.StatusBooked).JoinURL)
		require.Equal(c, []string{"appointment_confirmed"}, c.chats())
	})
}

// The start that a meeting was asked for passes, and none was made.
func TestMovedPastTheStartThatNoMeetingWasMadeFor(t *testing.T) {
	story(t, strictly, func(c *clinic) {
		c.google.FailNext(meettest.OpCreate, slices.Repeat([]error{telemed.ErrUnavailable}, 8)...)
		req := request(theVisit)
		req.Price, req.Start = payments.Money{}, time.Now().Add(15*time.Minute)
		require.NoError(c, c.Book(c.Context(), req))
		time.Sleep(time.Minute)
		require.NoError(c, c.Move(c.Context(), theVisit, start()))
		c.wait(3 * time.Hour)
		require.Len(c, c.google.Meetings(), 1)
		require.True(c, c.meetings()[0].Start.Equal(start()))
		require.NotEmpty(c, c.is(theVisit, visit.StatusBooked).JoinURL)
	})
}

func TestCancelledWhileNobodyKnowsWhetherThereIsAMeeting(t *testing.T) {
	story(t, strictly, func(c *clinic) {
		c.google.FailAfter(meettest.OpCreate, telemed.ErrAmbiguous)
		req := request(theVisit)
		req.Price = payments.Money{}
		require.NoError(c, c.Book(c.Context(), req))
		time.Sleep(10 * time.Second)
		require.NoError(c, c.Move(c.Context(), theVisit, start().Add(time.Hour)))
		require.NoError(c, c.Cancel(c.Context(), theVisit, visit.ByClinic))
		c.wait(5 * time.Minute)
		require.Len(c, c.google.Meetings(), 1)
		require.Empty(c, c.meetings())
	})
}

// A broadcast that failed may have been seen all the same.
func TestCancelledWhileNobodyKnowsWhatTheDashboardShows(t *testing.T) {
	story(t, nil, func(c *clinic) {
		c.live.FailAfter(realtimetest.OpBroadcast, telemed.ErrUnavailable)
		req := request(theVisit)
		req.Price = payments.Money{}
		require.NoError(c, c.Book(c.Context(), req))
		time.Sleep(5 * time.Second)
		require.NoError(c, c.Cancel(c.Context(), theVisit, visit.ByClinic))
		c.wait(5 * time.Minute)
		require.Equal(c, []string{
			"clinic-lotus new-appointment appt-42 booked/1", "clinic-lotus appointment-changed appt-42 cancelled/2",
		}, c.events())
	})
}

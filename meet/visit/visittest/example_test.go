package visittest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/meet/meettest"
	"github.com/telemed-go/telemed/meet/visit"
	"github.com/telemed-go/telemed/meet/visit/visittest"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/notifytest"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/paymentstest"
	"github.com/telemed-go/telemed/store/durable"
)

// memory is an application whose providers are in memory.
type memory struct {
	rows     *durable.Memory
	meetings *meettest.Provider
	gateway  *paymentstest.Gateway
	mail     *notifytest.Recorder
}

func newMemory(http.RoundTripper) (*visittest.World, error) {
	m := &memory{
		rows: durable.NewMemory(), meetings: meettest.New(), gateway: paymentstest.NewGateway(), mail: &notifytest.Recorder{Channel: notify.Email},
	}
	return &visittest.World{New: m.process, Channels: []notify.Channel{notify.Email}, Pay: m.pay, Truth: m.truth}, nil
}

// process builds the application as main does, over what p makes of the providers.
func (m *memory) process(p *visittest.Process) (*visit.Visits, error) {
	return visit.New(visit.Config{
		Store: p.Store(m.rows), Clinic: clinicName, Zone: "Asia/Kolkata",
		ReturnURL: "https://lotus.example/visits", AccountsURL: "https://lotus.example/settings",
		Meetings: map[string]meet.MeetingProvider{"google": p.Meetings(m.meetings)},
		Gateway:  p.Gateway(m.gateway), Mail: p.Notifier(m.mail), Renderer: words(),
		Evidence: map[notify.Channel]notify.Evidence{notify.Email: m.mail},
		OnStuck:  p.OnStuck,
	})
}

// pay is the patient. No browser comes back: a look at the gateway finds the payment.
func (m *memory) pay(_ context.Context, id string, _ json.RawMessage) (func(context.Context) error, error) {
	orders, err := m.gateway.OrdersByKey(context.Background(), id)
	if err != nil || orders[0].IsPaid() {
		return nil, err
	}
	_, err = m.gateway.Pay(orders[0].ID)
	return nil, err
}

// truth is what the providers have.
func (m *memory) truth(ctx context.Context) (visittest.Truth, error) {
	truth := visittest.Truth{
		Meetings: map[string][]meet.Meeting{}, Payments: map[string][]payments.Payment{}, Refunds: map[string][]payments.Refund{},
	}
	for _, order := range m.gateway.Orders() {
		truth.Meetings[order.Key] = m.meetings.Meetings() // one visit is explored at a time
		paid, err := m.gateway.OrderPayments(ctx, order.ID)
		if err != nil {
			return truth, err
		}
		for _, p := range paid {
			truth.Payments[order.Key] = append(truth.Payments[order.Key], *p)
			refunds, err := m.gateway.PaymentRefunds(ctx, p.ID)
			if err != nil {
				return truth, err
			}
			for _, r := range refunds {
				truth.Refunds[order.Key] = append(truth.Refunds[order.Key], *r)
			}
		}
	}
	for _, msg := range m.mail.Messages() {
		truth.Messages = append(truth.Messages, notify.Report{Channel: notify.Email, Reference: notify.Reference(msg.Key)})
	}
	return truth, nil
}

// An application explores itself in a test of its own. Several bubbles are added up.
func ExampleExplore() {
	var all visittest.Report
	_ = func(t *testing.T) { // func TestVisitsSurvive
		for part := range 4 {
			synctest.Test(t, func(t *testing.T) {
				all.Add(visittest.Explore(t, visittest.Config{
					World: newMemory, Stories: cancelledStory(), First: 1000 * part, Schedules: 1000,
				}))
			})
		}
		t.Log(all) // what went wrong is an error of t
	}

	all.Add(visittest.Report{Schedules: 1000, Kills: 812, Points: map[string]int{"cancelled: after Notify 1": 1}})
	all.Add(visittest.Report{Schedules: 1000, Kills: 794, Points: map[string]int{"cancelled: after Notify 1": 1}})
	fmt.Println(all)
	// Output:
	// 2000 schedules, 1 points, 1606 kills, 0 freezes: twice 0 mails, 0 chats, 0 meetings, 0 charges, 0 refunds; 0 lost, 0 ghosts, 0 never ended, 0 stuck
}

func cancelledStory() []visittest.Story {
	return []visittest.Story{{
		Name: "cancelled", Request: request("google", 30, 50000), Starts: 3 * day, Pays: time.Minute,
		Wishes: []visittest.Wish{{After: 2 * time.Hour, Cancel: visit.ByClinic}},
	}}
}

func TestMemory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		report := visittest.Explore(t, visittest.Config{World: newMemory, Stories: cancelledStory(), Schedules: 12})
		require.Equal(t, 12, report.Schedules)
		require.NotEmpty(t, report.Points)
	})
}

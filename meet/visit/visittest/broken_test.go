package visittest_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/meet/visit"
	"github.com/telemed-go/telemed/meet/visit/visittest"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/fulfill"
)

// witness is a visittest.TB that a test looks at.
type witness struct {
	t      *testing.T
	errors []string
}

func (w *witness) Helper() {}

func (w *witness) Errorf(format string, args ...any) {
	w.errors = append(w.errors, fmt.Sprintf(format, args...))
}

func (w *witness) Fatalf(format string, args ...any) { w.t.Fatalf(format, args...) }

// keyless makes another meeting whenever it is asked.
type keyless struct{ meet.MeetingProvider }

func (k keyless) Create(ctx context.Context, doctorID string, req meet.Request) (*meet.Meeting, error) {
	req.Key += rand.Text()
	return k.MeetingProvider.Create(ctx, doctorID, req)
}

// forgetful makes another order and another refund whenever it is asked.
type forgetful struct{ fulfill.Gateway }

func (f forgetful) CreateOrder(ctx context.Context, req payments.OrderRequest) (*payments.Order, error) {
	req.Key += rand.Text()[:5]
	return f.Gateway.CreateOrder(ctx, req)
}

func (f forgetful) Refund(ctx context.Context, req payments.RefundRequest) (*payments.Refund, error) {
	req.Key += rand.Text()[:5]
	return f.Gateway.Refund(ctx, req)
}

func (f forgetful) PaymentRefunds(context.Context, string) ([]*payments.Refund, error) {
	return nil, nil
}

// liar says that no mail has arrived.
type liar struct{}

func (liar) Outcome(context.Context, string, time.Time) (notify.Outcome, error) {
	return notify.OutcomeNotArrived, nil
}

// TestFinds: an application that does not keep a promise is found out.
func TestFinds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		setup     setup
		at        string
		schedules int
		want      string
		count     func(visittest.Report) int
	}{
		"a meeting is made anew": {
			setup: setup{evidence: true, spoil: func(cfg *visit.Config) { cfg.Meetings["zoom"] = keyless{cfg.Meetings["zoom"]} }},
			at:    "free: after POST /v2/users/me/meetings 1", want: "has 2 meetings", count: func(r visittest.Report) int { return r.MeetingTwice },
		},
		"an order is made anew": {
			setup: setup{evidence: true, spoil: func(cfg *visit.Config) { cfg.Gateway = forgetful{cfg.Gateway} }},
			at:    "kept: after POST /v1/orders 1", want: "was paid", count: func(r visittest.Report) int { return r.ChargeTwice },
		},
		"reports are not listened to": {
			setup: setup{evidence: true, deaf: true},
			at:    "kept: after POST /v24.0/*/messages 1", want: "came again by whatsapp", count: func(r visittest.Report) int { return r.ChatTwice },
		},
		"evidence is wrong": {
			setup: setup{evidence: true, spoil: func(cfg *visit.Config) { cfg.Evidence[notify.Email] = liar{} }},
			at:    "kept: after SMTP write", schedules: 12, want: "came again by email", count: func(r visittest.Report) int { return r.MailTwice },
		},
		"nobody hears of what is stuck": {
			setup: setup{evidence: true, spoil: func(cfg *visit.Config) {
				cfg.OnStuck = func(visit.Stuck) {}
				cfg.Mail = notify.NotifierFunc(func(context.Context, notify.Message) (*notify.Receipt, error) { return nil, notify.ErrRecipient })
			}},
			at: "kept: after Broadcast 1", want: "nobody was told", count: func(r visittest.Report) int { return r.Stuck },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				seen := &witness{t: t}
				found := visittest.Explore(seen, visittest.Config{
					World: c.setup.world, Stories: stories(), Schedules: max(1, c.schedules), At: c.at,
				})
				require.Contains(t, strings.Join(seen.errors, "\n"), c.want)
				require.Positive(t, c.count(found))
				require.Equal(t, seen.errors, found.Problems)
			})
		})
	}
}

package visittest

import (
	"context"
	"fmt"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/fulfill"
)

// What an application fakes in memory, without a wire, goes through the wrappers below. Each
// call lies between two points, and its answer is lost now and then.

// provided is around for a call of a provider in memory.
func provided[T any](p *Process, name string, op func() (T, error)) (T, error) {
	return around(p, name, func() (T, error) {
		lost := p.s.lost()
		time.Sleep(p.s.pause())
		var none T
		if lost == lostRequest {
			return none, fmt.Errorf("%w: %w", telemed.ErrUnavailable, errCut)
		}
		got, err := op()
		if err == nil && lost == lostAnswer {
			return none, fmt.Errorf("%w: %w", telemed.ErrAmbiguous, errCut)
		}
		return got, err
	})
}

// Notifier returns a channel as the process sees it.
func (p *Process) Notifier(to notify.Notifier) notify.Notifier {
	return notify.NotifierFunc(func(ctx context.Context, m notify.Message) (*notify.Receipt, error) {
		return provided(p, "Notify", func() (*notify.Receipt, error) { return to.Notify(ctx, m) })
	})
}

// Meetings returns a provider of meetings as the process sees it.
func (p *Process) Meetings(to meet.MeetingProvider) meet.MeetingProvider {
	return mortalMeetings{p, to}
}

type mortalMeetings struct {
	p  *Process
	to meet.MeetingProvider
}

func (m mortalMeetings) Create(ctx context.Context, doctorID string, req meet.Request) (*meet.Meeting, error) {
	return provided(m.p, "Create meeting", func() (*meet.Meeting, error) { return m.to.Create(ctx, doctorID, req) })
}

func (m mortalMeetings) Get(ctx context.Context, doctorID, id string) (*meet.Meeting, error) {
	return provided(m.p, "Get meeting", func() (*meet.Meeting, error) { return m.to.Get(ctx, doctorID, id) })
}

func (m mortalMeetings) Update(ctx context.Context, doctorID, id string, req meet.Request) (*meet.Meeting, error) {
	return provided(m.p, "Update meeting", func() (*meet.Meeting, error) { return m.to.Update(ctx, doctorID, id, req) })
}

func (m mortalMeetings) Cancel(ctx context.Context, doctorID, id string) error {
	_, err := provided(m.p, "Cancel meeting", func() (struct{}, error) { return struct{}{}, m.to.Cancel(ctx, doctorID, id) })
	return err
}

// Gateway returns a gateway as the process sees it.
func (p *Process) Gateway(to fulfill.Gateway) fulfill.Gateway { return mortalGateway{to, p} }

type mortalGateway struct {
	fulfill.Gateway
	p *Process
}

func (m mortalGateway) CreateOrder(ctx context.Context, req payments.OrderRequest) (*payments.Order, error) {
	return provided(m.p, "CreateOrder", func() (*payments.Order, error) { return m.Gateway.CreateOrder(ctx, req) })
}

func (m mortalGateway) Payment(ctx context.Context, id string) (*payments.Payment, error) {
	return provided(m.p, "Payment", func() (*payments.Payment, error) { return m.Gateway.Payment(ctx, id) })
}

func (m mortalGateway) VerifyPayment(ctx context.Context, c payments.Confirmation) (*payments.Payment, error) {
	return provided(m.p, "VerifyPayment", func() (*payments.Payment, error) { return m.Gateway.VerifyPayment(ctx, c) })
}

func (m mortalGateway) Capture(ctx context.Context, req payments.CaptureRequest) (*payments.Payment, error) {
	return provided(m.p, "Capture", func() (*payments.Payment, error) { return m.Gateway.Capture(ctx, req) })
}

func (m mortalGateway) Refund(ctx context.Context, req payments.RefundRequest) (*payments.Refund, error) {
	return provided(m.p, "Refund", func() (*payments.Refund, error) { return m.Gateway.Refund(ctx, req) })
}

func (m mortalGateway) Order(ctx context.Context, id string) (*payments.Order, error) {
	return provided(m.p, "Order", func() (*payments.Order, error) { return m.Gateway.Order(ctx, id) })
}

func (m mortalGateway) OrdersByKey(ctx context.Context, key string) ([]*payments.Order, error) {
	return provided(m.p, "OrdersByKey", func() ([]*payments.Order, error) { return m.Gateway.OrdersByKey(ctx, key) })
}

func (m mortalGateway) OrderPayments(ctx context.Context, id string) ([]*payments.Payment, error) {
	return provided(m.p, "OrderPayments", func() ([]*payments.Payment, error) { return m.Gateway.OrderPayments(ctx, id) })
}

func (m mortalGateway) RefundByID(ctx context.Context, id string) (*payments.Refund, error) {
	return provided(m.p, "RefundByID", func() (*payments.Refund, error) { return m.Gateway.RefundByID(ctx, id) })
}

func (m mortalGateway) PaymentRefunds(ctx context.Context, id string) ([]*payments.Refund, error) {
	return provided(m.p, "PaymentRefunds", func() ([]*payments.Refund, error) { return m.Gateway.PaymentRefunds(ctx, id) })
}

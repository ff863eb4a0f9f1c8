package razorpay

import (
	"context"
	"errors"
	"log/slog"
	"time"
	"unicode/utf8"

	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/rest"
	"github.com/telemed-go/telemed/payments"
)

// do makes the call and decodes the answer into out. Every error is an *Error.
func (c *Client) do(ctx context.Context, req call, out any) error {
	if req.repeat {
		ctx = rest.Repeatable(ctx)
	}
	start := time.Now()
	answer, err := c.send(ctx, req)
	if err == nil {
		err = answer.Decode(out)
	}
	if err != nil {
		err = newError(req.op, err)
	}
	c.log(ctx, req.op, err, time.Since(start))
	return err
}

func (c *Client) log(ctx context.Context, op string, err error, took time.Duration) {
	if !c.logger.Enabled(ctx, slog.LevelDebug) {
		return
	}
	attrs := []slog.Attr{slog.String("op", op), slog.Duration("took", took), slog.Bool("ok", err == nil)}
	if e, ok := errors.AsType[*Error](err); ok {
		attrs = append(attrs, slog.Int("status", e.Status), slog.String("request_id", e.RequestID))
	}
	c.logger.LogAttrs(ctx, slog.LevelDebug, "razorpay call", attrs...)
}

// bounded gives a call of the application an end if its context has none.
func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, rest.DefaultTimeout)
}

func checkID(op, field, id, prefix string) error {
	var p fault.Problems
	requireID(&p, field, id, prefix)
	return p.Err("razorpay: " + op)
}

func requireID(p *fault.Problems, field, id, prefix string) {
	p.Check(validID(id, prefix), field, "is not %s_ with letters and digits", prefix)
}

// The limits that Razorpay sets to the notes of an order or a refund.
const (
	maxNotes = 15
	maxNote  = 256
)

// minPaise is the least that Razorpay takes or gives back in rupees: INR 1.00.
const minPaise = 100

// checkMoney has an amount refused that Razorpay would refuse later: when there is an order
// already, or when the patient has paid.
func checkMoney(p *fault.Problems, field string, m payments.Money) {
	p.Check(m.Minor > 0, field, "must be more than zero")
	p.Check(m.Currency != "INR" || m.Minor <= 0 || m.Minor >= minPaise, field, "is less than INR 1.00")
	if exponent, _ := m.Currency.Exponent(); exponent == 3 {
		p.Check(m.Minor%10 == 0, field, "must end in 0: of three digits behind the point the last cannot be charged")
	}
}

func checkNotes(p *fault.Problems, notes map[string]string) {
	p.Check(len(notes) <= maxNotes, "Notes", "has more than %d pairs", maxNotes)
	for key, value := range notes {
		if !utf8.ValidString(key) || !utf8.ValidString(value) {
			p.Add("Notes", "has a key or value that is not UTF-8")
			return
		}
		if utf8.RuneCountInString(key) > maxNote || utf8.RuneCountInString(value) > maxNote {
			p.Add("Notes", "has a key or value of more than %d characters", maxNote)
			return
		}
	}
}

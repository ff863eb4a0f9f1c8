package razorpay

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/rest"
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

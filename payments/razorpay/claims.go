package razorpay

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/wait"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/store"
)

const (
	// orderLease is how long a claim outlives a call that died with it, or that did not get
	// to know what became of its order. It is less than rest.DefaultTimeout, so that whoever
	// waits for it gets its turn. A call ends before: after orderTime and bookTime.
	orderLease = 25 * time.Second
	orderTime  = 20 * time.Second
	// bookTime is how long it may take to note what came of an order.
	bookTime = 3 * time.Second
	// Between two looks at a claim that somebody else holds.
	firstLook, longestLook = 20 * time.Millisecond, 500 * time.Millisecond
)

// The outcomes of a claim that stop a call.
var (
	errHeld    = fault.Tagged(telemed.ErrAmbiguous, errors.New("the order is being made by another call"))
	errForeign = fault.Tagged(payments.ErrKeyConflict, errors.New("key has an order of another account"))
)

// heldOrder is the claim on a Key.
type heldOrder struct {
	key string
	store.Claim
}

// orderOnce makes the order of a Key, or returns the one that was made, in this process or
// in another one. While another call makes it, it waits.
func (c *Client) orderOnce(ctx context.Context, op string, req payments.OrderRequest) (*payments.Order, error) {
	order, err := c.claimOrder(ctx, op, req)
	if !hasKind(err, errHeld) {
		return order, err
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	for pause := firstLook; ; pause = min(2*pause, longestLook) {
		if ended := wait.For(ctx, wait.Jitter(pause)); ended != nil {
			return nil, &Error{Op: op, kind: errHeld, cause: fault.Cause(ended)}
		}
		if order, err = c.claimOrder(ctx, op, req); !hasKind(err, errHeld) {
			return order, err
		}
	}
}

// claimOrder is one try to claim a Key, and what follows if that succeeds. It ends within
// the lease, which counts from its beginning.
func (c *Client) claimOrder(ctx context.Context, op string, req payments.OrderRequest) (*payments.Order, error) {
	ctx, cancel := context.WithTimeout(ctx, orderTime)
	defer cancel()
	held := heldOrder{key: "razorpay:" + string(c.Mode()) + ":order:" + req.Key}
	var err error
	if held.Claim, err = c.claims.Claim(ctx, held.key, orderLease); err != nil {
		return nil, &Error{Op: op, kind: telemed.ErrUnavailable, cause: fault.Cause(err)}
	}
	switch held.State {
	case store.ClaimDone:
		return c.claimedOrder(ctx, op, string(held.Value))
	case store.ClaimNew:
		return c.makeHeld(ctx, op, req, held)
	}
	return nil, refuse(op, errHeld)
}

// makeHeld makes the order of a Key that is ours. If an earlier holder may have made it, it
// is looked up first.
func (c *Client) makeHeld(ctx context.Context, op string, req payments.OrderRequest, held heldOrder) (*payments.Order, error) {
	if held.Expired || c.forgetful {
		order, err := c.lookUp(ctx, op, req)
		if err == nil {
			return c.complete(ctx, op, held, order)
		}
		if !errors.Is(err, telemed.ErrNotFound) {
			if !held.Expired { // else an earlier holder may have made it
				c.release(ctx, held)
			}
			return nil, err
		}
	}
	order, err := c.makeOrder(ctx, op, req)
	switch {
	case err == nil && fits(order, req):
		return c.complete(ctx, op, held, order)
	case err != nil && !errors.Is(err, telemed.ErrAmbiguous):
		c.release(ctx, held)
	}
	return order, err // what is still open is looked up when the lease has run out
}

// claimedOrder reads the order that a Key was used for.
func (c *Client) claimedOrder(ctx context.Context, op, id string) (*payments.Order, error) {
	order, err := c.order(ctx, op, id)
	if errors.Is(err, telemed.ErrNotFound) {
		return nil, refuse(op, errForeign)
	}
	return order, err
}

// complete notes the order of a Key. If it cannot be noted, the order is looked up by its
// receipt when the lease has run out. If somebody else has the Key by now, for this process
// stood still, the order to be paid is theirs: then the error is errHeld.
func (c *Client) complete(ctx context.Context, op string, held heldOrder, order *payments.Order) (*payments.Order, error) {
	err := c.note(ctx, "razorpay order could not be noted", func(ctx context.Context) error {
		return c.claims.Complete(ctx, held.key, held.Token, []byte(order.ID), store.MaxClaimTime)
	})
	if errors.Is(err, telemed.ErrConflict) {
		return nil, refuse(op, errHeld)
	}
	return order, nil
}

// release lets the next call make the order at once. If that fails, the next call waits for
// the lease.
func (c *Client) release(ctx context.Context, held heldOrder) {
	_ = c.note(ctx, "razorpay order could not be released", func(ctx context.Context) error {
		return c.claims.Release(ctx, held.key, held.Token)
	})
}

// note writes down what came of an order, also if ctx has ended or ends meanwhile.
func (c *Client) note(ctx context.Context, failure string, write func(context.Context) error) error {
	err := write(ctx)
	if err != nil && ctx.Err() != nil {
		detached, cancel := context.WithTimeout(context.WithoutCancel(ctx), bookTime)
		defer cancel()
		err = write(detached)
	}
	if err != nil {
		c.logger.LogAttrs(ctx, slog.LevelWarn, failure, slog.Any("error", err))
	}
	return err
}

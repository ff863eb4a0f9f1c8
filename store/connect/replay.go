package connect

import (
	"context"
	"time"

	"github.com/telemed-go/telemed/store"
)

// once lets the first callback of a flow pass, and no other one until the flow has
// expired. The claim is completed before the code is spent: a callback that dies in
// between is not repeated, for nobody knows whether the provider has seen the code.
func (c *route) once(ctx context.Context, f flow) error {
	ctx, cancel := context.WithTimeout(ctx, exchangeTime)
	defer cancel()
	key := "connect:" + c.provider.Name + ":" + f.State
	left := max(time.Until(time.Unix(f.Expires, 0)), time.Second)
	claim, err := c.cfg.Claims.Claim(ctx, key, left)
	switch {
	case err != nil:
		return &FlowError{Reason: ReasonStore, Err: err}
	case claim.State != store.ClaimNew || claim.Expired:
		return &FlowError{Reason: ReasonExpired}
	}
	if err := c.cfg.Claims.Complete(ctx, key, claim.Token, nil, left); err != nil {
		return &FlowError{Reason: ReasonStore, Err: err}
	}
	return nil
}

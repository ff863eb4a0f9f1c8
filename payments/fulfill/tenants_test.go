package fulfill_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/fulfill"
	"github.com/telemed-go/telemed/payments/paymentstest"
	"github.com/telemed-go/telemed/store/durable"
)

// TestTenants: each clinic's bills are paid to its own account, and nobody else's.
func TestTenants(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gateways := map[string]*paymentstest.Gateway{"lotus": paymentstest.NewGateway(), "palm": paymentstest.NewGateway()}
		booked := map[string]string{}
		bills, err := fulfill.New(fulfill.Config{
			Store: durable.NewMemory(),
			Tenants: func(_ context.Context, tenant string) (fulfill.Gateway, error) {
				if g := gateways[tenant]; g != nil {
					return g, nil
				}
				return nil, telemed.ErrNotFound
			},
			Fulfill: func(_ context.Context, p fulfill.Paid) error { booked[p.Key] = p.Tenant; return nil },
		})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- bills.Run(ctx) }()
		for tenant, gateway := range gateways {
			key := "bill-" + tenant
			require.NoError(t, bills.Open(t.Context(), fulfill.Bill{Key: key, Tenant: tenant, Amount: payments.INR(50000)}))
			order, err := bills.Checkout(t.Context(), key)
			require.NoError(t, err)
			for other, g := range gateways {
				found, err := g.OrdersByKey(t.Context(), key)
				require.NoError(t, err)
				require.Equal(t, other == tenant, len(found) == 1)
			}
			_, err = gateway.Pay(order.ID)
			require.NoError(t, err)
			require.NoError(t, bills.TenantEvent(t.Context(), tenant, payments.Event{Order: &payments.Order{ID: order.ID}}))
		}
		time.Sleep(time.Minute)
		require.Equal(t, map[string]string{"bill-lotus": "lotus", "bill-palm": "palm"}, booked)

		require.NoError(t, bills.Open(t.Context(), fulfill.Bill{Key: "bill-x", Tenant: "x", Amount: payments.INR(50000)}))
		_, err = bills.Checkout(t.Context(), "bill-x")
		require.ErrorIs(t, err, telemed.ErrNotFound)
		require.ErrorIs(t, bills.TenantEvent(t.Context(), "x", payments.Event{}), telemed.ErrNotFound)
		cancel()
		require.NoError(t, <-done)
	})
}

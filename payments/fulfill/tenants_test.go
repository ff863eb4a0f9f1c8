package fulfill_test

import (
	"context"
	"sync"
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

// bookings are what was booked, by whatever worker.
type bookings struct {
	mu  sync.Mutex
	all []string
}

func (b *bookings) add(of string, paid fulfill.Paid) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all = append(b.all, of+" "+paid.Key)
}

func (b *bookings) are(t *testing.T, want ...string) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	require.ElementsMatch(t, want, b.all)
}

// TestTenants: each clinic's bills are paid to its own account, and nobody else's.
func TestTenants(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gateways := map[string]*paymentstest.Gateway{"lotus": paymentstest.NewGateway(), "palm": paymentstest.NewGateway()}
		var booked bookings
		bills, err := fulfill.New(fulfill.Config{
			Store: durable.NewMemory(),
			Tenants: func(_ context.Context, tenant string) (fulfill.Gateway, error) {
				if g := gateways[tenant]; g != nil {
					return g, nil
				}
				return nil, telemed.ErrNotFound
			},
			Fulfill: func(_ context.Context, p fulfill.Paid) error { booked.add(p.Tenant, p); return nil },
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
		booked.are(t, "lotus bill-lotus", "palm bill-palm")

		require.NoError(t, bills.Open(t.Context(), fulfill.Bill{Key: "bill-x", Tenant: "x", Amount: payments.INR(50000)}))
		_, err = bills.Checkout(t.Context(), "bill-x")
		require.ErrorIs(t, err, telemed.ErrNotFound)
		require.ErrorIs(t, bills.TenantEvent(t.Context(), "x", payments.Event{}), telemed.ErrNotFound)
		cancel()
		require.NoError(t, <-done)
	})
}

// TestTwoOverOneStore: an application's own bills, and those of another part of it, are not
// fulfilled by each other.
func TestTwoOverOneStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rows, gateway := durable.NewMemory(), paymentstest.NewGateway()
		var booked bookings
		var ended []chan error
		ctx, cancel := context.WithCancel(t.Context())
		of := func(kind string) *fulfill.Fulfiller {
			f, err := fulfill.New(fulfill.Config{Store: rows, Kind: kind, Gateway: gateway, Fulfill: func(_ context.Context, p fulfill.Paid) error {
				booked.add(kind, p)
				return nil
			}})
			require.NoError(t, err)
			done := make(chan error, 1)
			go func() { done <- f.Run(ctx) }()
			ended = append(ended, done)
			return f
		}
		own, other := of(""), of("shop-bill")
		require.NoError(t, own.Open(ctx, fulfill.Bill{Key: "bill-1", Amount: price}))
		require.NoError(t, other.Open(ctx, fulfill.Bill{Key: "bill-2", Amount: price}))
		for key, f := range map[string]*fulfill.Fulfiller{"bill-1": own, "bill-2": other} {
			order, err := f.Checkout(ctx, key)
			require.NoError(t, err)
			_, err = gateway.Pay(order.ID)
			require.NoError(t, err)
			for _, each := range []*fulfill.Fulfiller{own, other} { // both hear of both
				require.NoError(t, each.Event(ctx, payments.Event{Order: order}))
			}
		}
		time.Sleep(time.Minute)
		cancel()
		for _, done := range ended {
			require.NoError(t, <-done)
		}
		booked.are(t, " bill-1", "shop-bill bill-2")
		_, err := rows.Get(t.Context(), durable.ID{Kind: "shop-bill", Name: "bill-2"})
		require.NoError(t, err)
		_, err = fulfill.New(fulfill.Config{Store: rows, Kind: "Shop bill", Gateway: gateway, Fulfill: func(context.Context, fulfill.Paid) error { return nil }})
		require.ErrorIs(t, err, telemed.ErrInvalid)
	})
}

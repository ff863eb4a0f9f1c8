package fulfill_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/fulfill"
	"github.com/telemed-go/telemed/payments/paymentstest"
	"github.com/telemed-go/telemed/payments/razorpay"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/durable"
)

func never(context.Context, fulfill.Paid) error { return nil }

// desk is a Fulfiller over a gateway in memory, which nobody runs.
func desk(t *testing.T, change ...func(*fulfill.Config)) (*fulfill.Fulfiller, *durable.Memory, *paymentstest.Gateway) {
	t.Helper()
	rows, gateway := durable.NewMemory(), paymentstest.NewGateway()
	cfg := fulfill.Config{Store: rows, Gateway: gateway, Fulfill: never}
	for _, c := range change {
		c(&cfg)
	}
	f, err := fulfill.New(cfg)
	require.NoError(t, err)
	return f, rows, gateway
}

// paid is a bill that was paid, in the desk's rows.
func paid(t *testing.T, f *fulfill.Fulfiller, gateway *paymentstest.Gateway) {
	t.Helper()
	require.NoError(t, f.Open(t.Context(), fulfill.Bill{Key: theBill, Tenant: "clinic", Amount: price}))
	o, err := f.Checkout(t.Context(), theBill)
	require.NoError(t, err)
	_, err = gateway.Pay(o.ID)
	require.NoError(t, err)
	s, err := f.Settle(t.Context(), theBill)
	require.NoError(t, err)
	require.Equal(t, fulfill.StateFulfilled, s.State)
}

var (
	_ fulfill.Gateway = (*razorpay.Client)(nil)
	_ fulfill.Gateway = (*paymentstest.Gateway)(nil)
)

func TestConfig(t *testing.T) {
	t.Parallel()
	_, err := fulfill.New(fulfill.Config{Keep: -1, RefundSpeed: "soon"})
	for _, field := range []string{"Store", "Gateway", "Fulfill", "Keep", "RefundSpeed"} {
		require.ErrorContains(t, err, field)
	}
	require.ErrorIs(t, err, telemed.ErrInvalid)
}

// TestWhatCannotWorkIsRefusedAtOnce, and nothing is written.
func TestWhatCannotWorkIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	f, rows, gateway := desk(t)
	for field, b := range map[string]fulfill.Bill{
		"Key":      {Amount: price},
		"Key ":     {Key: strings.Repeat("k", 41), Amount: price},
		"Key  ":    {Key: "bill\n42", Amount: price},
		"Amount":   {Key: theBill},
		"Amount ":  {Key: theBill, Amount: payments.INR(99)},
		"Amount  ": {Key: theBill, Amount: payments.Money{Minor: 500, Currency: "XXX"}},
		"Notes":    {Key: theBill, Amount: price, Notes: map[string]string{"n": strings.Repeat("x", 300)}},
		"Tenant":   {Key: theBill, Amount: price, Tenant: strings.Repeat("t", 200)},
		"Until":    {Key: theBill, Amount: price, Until: time.Now().Add(-time.Minute)},
		"Until ":   {Key: theBill, Amount: price, Until: time.Now().AddDate(11, 0, 0)},
	} {
		wrong, ok := errors.AsType[*telemed.FieldError](f.Open(t.Context(), b))
		require.Truef(t, ok, "%s", field)
		require.Equal(t, strings.TrimSpace(field), wrong.Field)
	}
	for range rows.List(t.Context(), durable.Filter{}) {
		t.Error("a row was written")
	}
	for _, call := range []func() error{
		func() error { return f.Look(t.Context(), theBill) },
		func() error { return f.Cancel(t.Context(), theBill) },
		func() error { return f.Refund(t.Context(), theBill, fulfill.RefundRequest{Key: "all"}) },
		func() error { return f.RetryRefund(t.Context(), theBill, "all") },
		func() error { _, err := f.Checkout(t.Context(), theBill); return err },
		func() error { _, err := f.Settle(t.Context(), theBill); return err },
		func() error { _, err := f.Get(t.Context(), theBill); return err },
	} {
		require.ErrorIs(t, call(), telemed.ErrNotFound)
	}
	paid(t, f, gateway)
	before, err := rows.Get(t.Context(), durable.ID{Kind: fulfill.RowKind, Name: theBill})
	require.NoError(t, err)
	for field, req := range map[string]fulfill.RefundRequest{
		"Key":       {},
		"Key ":      {Key: strings.Repeat("k", 65)},
		"Key  ":     {Key: "a\x00b"},
		"Key   ":    {Key: "orphan:pay_1"},
		"Amount":    {Key: "nothing", Amount: new(payments.INR(0))}, // of a tier that gives nothing back
		"Amount ":   {Key: "tier", Amount: &payments.Money{Minor: 100}},
		"Amount  ":  {Key: "tier", Amount: new(payments.INR(-100))},
		"Amount   ": {Key: "tier", Amount: new(payments.INR(50))}, // less than a rupee
	} {
		wrong, ok := errors.AsType[*telemed.FieldError](f.Refund(t.Context(), theBill, req))
		require.Truef(t, ok, "%s", field)
		require.Equal(t, strings.TrimSpace(field), wrong.Field)
	}
	require.ErrorIs(t, f.Refund(t.Context(), theBill, fulfill.RefundRequest{Key: "more", Amount: new(payments.INR(50100))}), telemed.ErrConflict)
	require.ErrorIs(t, f.Refund(t.Context(), theBill, fulfill.RefundRequest{Key: "other", Amount: &payments.Money{Minor: 100, Currency: "USD"}}), telemed.ErrConflict)
	after, err := rows.Get(t.Context(), before.ID)
	require.NoError(t, err)
	require.Equal(t, before, after)
}

func TestOpenAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, _, _ := desk(t)
		b := fulfill.Bill{Key: theBill, Tenant: "clinic", Amount: price, Until: time.Now().Add(time.Minute)}
		require.NoError(t, f.Open(t.Context(), b))
		time.Sleep(time.Hour)
		require.NoError(t, f.Open(t.Context(), b), "over by now, but open")
		_, err := f.Checkout(t.Context(), theBill)
		require.ErrorIs(t, err, telemed.ErrConflict, "it lapses as soon as somebody looks")
		b.Amount = payments.INR(60000)
		require.ErrorIs(t, f.Open(t.Context(), b), payments.ErrKeyConflict)
		b.Amount, b.Tenant = price, "another"
		require.ErrorIs(t, f.Open(t.Context(), b), payments.ErrKeyConflict)
	})
}

// TestKeysOfRefundsDiffer: no two bills share one, whatever stands in their keys.
func TestKeysOfRefundsDiffer(t *testing.T) {
	t.Parallel()
	f, _, gateway := desk(t)
	for bill, refund := range map[string]string{"clinic/a": "b", "clinic": "a/b", "clinic/a/b": "0"} {
		require.NoError(t, f.Open(t.Context(), fulfill.Bill{Key: bill, Amount: price}))
		o, err := f.Checkout(t.Context(), bill)
		require.NoError(t, err)
		_, err = gateway.Pay(o.ID)
		require.NoError(t, err)
		_, err = f.Settle(t.Context(), bill)
		require.NoError(t, err)
		require.NoError(t, f.Refund(t.Context(), bill, fulfill.RefundRequest{Key: refund}))
		s, err := f.Settle(t.Context(), bill)
		require.NoError(t, err)
		require.Equal(t, price, s.GivenBack)
	}
}

// TestWhatOthersHaveWrittenStays: fields that this version does not know are kept, and rows
// of a later version are left alone.
func TestWhatOthersHaveWrittenStays(t *testing.T) {
	t.Parallel()
	f, rows, gateway := desk(t)
	paid(t, f, gateway)
	id := durable.ID{Kind: fulfill.RowKind, Name: theBill}
	_, err := durable.Change(t.Context(), rows, id, func(item *durable.Item) error {
		item.Data = append([]byte(`{"added_later":{"x":[1,2]},`), item.Data[1:]...)
		return nil
	})
	require.NoError(t, err)
	require.NoError(t, f.Refund(t.Context(), theBill, fulfill.RefundRequest{Key: "all"}))
	item, err := rows.Get(t.Context(), id)
	require.NoError(t, err)
	require.Contains(t, string(item.Data), `"added_later":{"x":[1,2]}`)

	_, err = durable.Change(t.Context(), rows, id, func(item *durable.Item) error { item.Version = 99; return nil })
	require.NoError(t, err)
	require.ErrorIs(t, f.Look(t.Context(), theBill), errors.ErrUnsupported)
	_, err = f.Get(t.Context(), theBill)
	require.ErrorIs(t, err, errors.ErrUnsupported)
	_, err = durable.Change(t.Context(), rows, id, func(item *durable.Item) error { item.Version, item.Data = 1, []byte("{"); return nil })
	require.NoError(t, err)
	require.ErrorIs(t, f.Look(t.Context(), theBill), telemed.ErrInvalid)
	require.ErrorIs(t, f.Event(t.Context(), payments.Event{Order: &payments.Order{Key: theBill}}), telemed.ErrInvalid, "it is ours, and not forgotten")
}

// TestKeep: a row is not erased while something may still have to be done about it.
func TestKeep(t *testing.T) {
	t.Parallel()
	f, rows, gateway := desk(t, func(cfg *fulfill.Config) { cfg.Keep = time.Minute })
	until := time.Now().Add(30 * 24 * time.Hour)
	require.NoError(t, f.Open(t.Context(), fulfill.Bill{Key: "reserved", Amount: price, Until: until}))
	paid(t, f, gateway)
	for name, least := range map[string]time.Time{"reserved": until, theBill: time.Now().Add(96 * time.Hour)} {
		item, err := rows.Get(t.Context(), durable.ID{Kind: fulfill.RowKind, Name: name})
		require.NoError(t, err)
		require.WithinRange(t, item.EraseAt, least, least.Add(2*time.Minute))
	}
}

// TestEventOfOthers: what is about no bill of ours is not sent again.
func TestEventOfOthers(t *testing.T) {
	t.Parallel()
	f, _, gateway := desk(t)
	foreign, err := gateway.CreateOrder(t.Context(), payments.OrderRequest{Key: "shop-1", Amount: price})
	require.NoError(t, err)
	_, err = gateway.Pay(foreign.ID)
	require.NoError(t, err)
	paid(t, f, gateway)
	ours := gateway.Orders()[1]
	for name, e := range map[string]payments.Event{
		"nothing":            {},
		"another's key":      {Order: &payments.Order{Key: "shop-1"}},
		"no key of a row":    {Order: &payments.Order{Key: "shop\n1"}},
		"another's payment":  {Payment: &payments.Payment{ID: "pay_1", OrderID: foreign.ID}},
		"an unknown order":   {Payment: &payments.Payment{ID: "pay_1", OrderID: "order_gone"}},
		"an unknown payment": {Refund: &payments.Refund{PaymentID: "pay_gone"}},
	} {
		require.NoError(t, f.Event(t.Context(), e), name)
	}
	gateway.FailNext(paymentstest.OpOrder, telemed.ErrUnavailable)
	e := payments.Event{Order: &payments.Order{ID: ours.ID}} // its key could not be read
	require.ErrorIs(t, f.Event(t.Context(), e), telemed.ErrUnavailable, "let it come again")
	require.NoError(t, f.Event(t.Context(), e))
	s, err := f.Get(t.Context(), theBill)
	require.NoError(t, err)
	_, err = f.Runner().Step(t.Context(), durable.ID{Kind: fulfill.RowKind, Name: theBill})
	require.NoError(t, err)
	after, err := f.Get(t.Context(), theBill)
	require.NoError(t, err)
	require.True(t, after.Looked.After(s.Looked), "it was looked at")
}

// TestCanary: neither rows nor logs, errors and audit trails hold what the bill's notes, the
// gateway and the application's errors say.
func TestCanary(t *testing.T) {
	t.Parallel()
	const canary = "Asha Rao"
	ring, err := store.NewKeyring(store.NewKey())
	require.NoError(t, err)
	var log bytes.Buffer
	var events []durable.Event
	calls := 0
	f, rows, gateway := desk(t, func(cfg *fulfill.Config) {
		cfg.Store = durable.Sealed(cfg.Store, ring)
		cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
		cfg.Observe = func(e durable.Event) { events = append(events, e) }
		cfg.Fulfill = func(context.Context, fulfill.Paid) error {
			if calls++; calls == 1 {
				return errors.New("duplicate key (name) = " + canary)
			}
			return nil
		}
	})
	b := fulfill.Bill{Key: theBill, Amount: price, Notes: map[string]string{"for": canary}}
	require.NoError(t, f.Open(t.Context(), b))
	o, err := f.Checkout(t.Context(), theBill)
	require.NoError(t, err)
	_, err = gateway.Pay(o.ID)
	require.NoError(t, err)
	for range 2 {
		_, err = f.Settle(t.Context(), theBill)
		require.NoError(t, err)
	}
	require.Equal(t, 2, calls)
	for item := range rows.List(t.Context(), durable.Filter{}) {
		whole, err := json.Marshal(item)
		require.NoError(t, err)
		require.NotContains(t, string(whole), canary)
		require.NotContains(t, string(item.Data), o.ID, "it is sealed")
		require.Contains(t, string(item.Audit), "paid by "+o.ID)
		require.NotContains(t, string(item.Audit), canary)
	}
	require.Contains(t, log.String(), "Fulfill failed")
	require.NotContains(t, log.String(), canary)
	failures := 0
	for _, e := range events {
		if e.Err != nil {
			failures++
			require.NotContains(t, e.Err.Error(), canary)
		}
	}
	require.Equal(t, 1, failures)
}

func TestTiers(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	terms := fulfill.Tiers{{12 * time.Hour, 50}, {24 * time.Hour, 100}, {time.Hour, -5}, {2 * time.Hour, 10}}
	for before, want := range map[time.Duration]int64{
		48 * time.Hour: 33333, 24 * time.Hour: 33333, 24*time.Hour - 1: 16666, 12 * time.Hour: 16666,
		11 * time.Hour: 3333, time.Hour: 0, -time.Hour: 0,
	} {
		require.Equal(t, payments.INR(want), terms.Refund(payments.INR(33333), start, start.Add(-before)), before)
	}
	require.Equal(t, payments.INR(0), fulfill.Tiers(nil).Refund(price, start, start))
	require.Equal(t, price, fulfill.Tiers{{0, 300}}.Refund(price, start, start))
	huge := payments.Money{Minor: 1<<63 - 1, Currency: "INR"}
	require.Equal(t, huge, fulfill.Tiers{{0, 100}}.Refund(huge, start, start))
}

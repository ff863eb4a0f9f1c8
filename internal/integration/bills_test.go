package integration_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/fulfill"
	"github.com/telemed-go/telemed/payments/razorpay"
	"github.com/telemed-go/telemed/payments/razorpay/razorpaytest"
	"github.com/telemed-go/telemed/store/durable"
	"github.com/telemed-go/telemed/store/sqlstore"
)

// gatewayConfig is Razorpay on loopback.
type gatewayConfig struct{ URL, KeyID, KeySecret string }

func (g gatewayConfig) client() (*razorpay.Client, error) {
	return razorpay.New(razorpay.Config{KeyID: g.KeyID, KeySecret: telemed.NewSecret(g.KeySecret), BaseURL: g.URL})
}

// bills is the Fulfiller of a child, or of the test.
func (c childConfig) bills(rows durable.Store, book func(context.Context, fulfill.Paid) error) (*fulfill.Fulfiller, error) {
	client, err := c.Gateway.client()
	if err != nil {
		return nil, err
	}
	return fulfill.New(fulfill.Config{
		Store: rows, Gateway: client, Fulfill: book, Workers: 4, LeaseTTL: rowsTTL, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
}

// fulfilBills works bills until the input ends.
func (c *child) fulfilBills(rows *sqlstore.Rows) error {
	bills, err := c.childConfig.bills(rows, func(ctx context.Context, paid fulfill.Paid) error { return c.effect(ctx, paid.Key, 1) })
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		defer stop()
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		}
	}()
	return bills.Run(ctx)
}

// billsWar is processes that fulfil bills and are killed and frozen.
type billsWar struct {
	*rowsWar
	srv     *razorpaytest.Server
	gateway *razorpay.Client
	bills   *fulfill.Fulfiller

	mu      sync.Mutex
	booked  map[string]int
	written map[string]bool // known to be fulfilled
	again   []string        // booked after that
}

// TestBillsUnderFire kills and freezes processes that fulfil bills of one table. Each bill
// that is paid and not cancelled is booked, never again once that is written down, no other
// is, and what buys nothing goes back once.
func TestBillsUnderFire(t *testing.T) {
	t.Parallel()
	for _, d := range databases[:3] {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			w := newBillsWar(t, d)
			var all []string
			hits := max(20, int(*killFor/(3*time.Second)))
			for n := range hits {
				for range 3 {
					all = append(all, w.bill(len(all)))
				}
				time.Sleep(200*time.Millisecond + time.Duration(w.random.Int64N(int64(300*time.Millisecond))))
				if n%2 == 0 {
					w.kill()
				} else {
					w.freeze()
				}
				for n, key := range all {
					w.note(n, key)
				}
			}
			w.thaws.Wait()
			for n, key := range all {
				w.ends(n, key)
			}
			stopAll(t, w.running)
			require.Empty(t, w.again)
			t.Logf("%d bills, %d kills, %d freezes", len(all), w.killed, hits-w.killed)
		})
	}
}

func newBillsWar(t *testing.T, d database) *billsWar {
	t.Helper()
	srv := razorpaytest.NewServer(t)
	srv.HoldWebhooks()
	dsn := d.dsn(t)
	tables := d.tables(t, d.open(t, dsn))
	w := &billsWar{srv: srv, booked: map[string]int{}, written: map[string]bool{}, rowsWar: &rowsWar{
		T: t, rows: openStore(t, tables).Rows(), random: rand.New(rand.NewPCG(3, 3)), frozen: map[string]time.Time{}, hits: map[string][]hit{},
	}}
	desk := httptest.NewServer(http.HandlerFunc(w.book))
	t.Cleanup(desk.Close)
	w.fleet = &fleet{dead: map[string]time.Time{}, gave: map[string]bool{}, cfg: childConfig{
		Driver: d.driver, Dialect: d.dialect, DSN: dsn, Table: tables.Table, RowsTable: tables.RowsTable, Effects: desk.URL,
		Gateway: &gatewayConfig{srv.URL(), srv.KeyID(), srv.KeySecret().Reveal()},
	}}
	var err error
	w.gateway, err = w.fleet.cfg.Gateway.client()
	require.NoError(t, err)
	w.bills, err = w.fleet.cfg.bills(w.rows, func(context.Context, fulfill.Paid) error { return errors.New("not here") })
	require.NoError(t, err)
	for range fleetSize {
		w.running = append(w.running, w.start(t, true))
	}
	return w
}

// book is where the processes book.
func (w *billsWar) book(rw http.ResponseWriter, req *http.Request) {
	key := req.FormValue("row")
	w.mu.Lock()
	w.booked[key]++
	if w.written[key] {
		w.again = append(w.again, key)
	}
	w.mu.Unlock()
	time.Sleep(effectTime)
	rw.WriteHeader(http.StatusNoContent)
}

// What becomes of a bill.
const (
	billPaid = iota
	billCancelled
	billUnpaid
	billHalfBack
	billFates
)

// bill opens a bill, pays it, and says look, as its webhooks would.
func (w *billsWar) bill(n int) string {
	ctx, key := w.Context(), fmt.Sprintf("bill-%06d", n)
	require.NoError(w, w.bills.Open(ctx, fulfill.Bill{Key: key, Tenant: fmt.Sprint("clinic-", n%3), Amount: payments.INR(50000)}))
	o, err := w.bills.Checkout(ctx, key)
	require.NoError(w, err)
	if n%billFates == billCancelled {
		require.NoError(w, w.bills.Cancel(ctx, key))
	}
	if n%billFates != billUnpaid {
		_, err = w.srv.Pay(o.ID)
		require.NoError(w, err)
	}
	for range 2 {
		require.NoError(w, w.bills.Look(ctx, key))
	}
	return key
}

// note notes whether a bill is known to be fulfilled, and has half of some given back.
func (w *billsWar) note(n int, key string) fulfill.Status {
	s, err := w.bills.Get(w.Context(), key)
	require.NoError(w, err)
	if s.State != fulfill.StateFulfilled {
		return s
	}
	w.mu.Lock()
	w.written[key] = true
	w.mu.Unlock()
	if n%billFates == billHalfBack {
		require.NoError(w, w.bills.Refund(w.Context(), key, fulfill.RefundRequest{Key: "half", Amount: new(payments.INR(25000))}))
	}
	return s
}

// ends waits for the end of a bill, and looks at it.
func (w *billsWar) ends(n int, key string) {
	want, taken, back := fulfill.StateFulfilled, int64(50000), int64(0)
	switch n % billFates {
	case billCancelled:
		want, back = fulfill.StateCancelled, 50000
	case billUnpaid:
		want, taken = fulfill.StateOpen, 0
	case billHalfBack:
		back = 25000
	}
	var s fulfill.Status
	eventually(w.T, func() bool {
		s = w.note(n, key)
		item, err := w.rows.Get(w.Context(), durable.ID{Kind: fulfill.RowKind, Name: key})
		require.NoError(w, err)
		return s.State == want && s.Taken.Minor == taken && s.GivenBack.Minor == back && item.Lease.Owner == ""
	}, &s)
	w.mu.Lock()
	defer w.mu.Unlock()
	require.Equal(w, want == fulfill.StateFulfilled, w.booked[key] > 0, key)
	made := int64(0)
	orders, err := w.gateway.OrdersByKey(w.Context(), key)
	require.NoError(w, err)
	for _, o := range orders {
		all, err := w.gateway.OrderPayments(w.Context(), o.ID)
		require.NoError(w, err)
		for _, p := range all {
			made += p.Refunded.Minor
		}
	}
	require.Equal(w, back, made, "%s: as the gateway says", key)
}

// eventually waits for a condition, in the test's own goroutine.
func eventually(t *testing.T, holds func() bool, state any) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !holds(); time.Sleep(50 * time.Millisecond) {
		require.Truef(t, time.Now().Before(end), "%+v", state)
	}
}

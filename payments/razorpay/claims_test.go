package razorpay_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/razorpay"
	"github.com/telemed-go/telemed/payments/razorpay/razorpaytest"
	"github.com/telemed-go/telemed/store"
)

var bill = payments.OrderRequest{Amount: payments.INR(50000), Key: "bill_0001"}

// process is one more process of the application, on common Claims.
func process(t *testing.T, srv *razorpaytest.Server, claims store.Claims) *razorpay.Client {
	t.Helper()
	return clientOf(t, srv, func(cfg *razorpay.Config) { cfg.Claims, cfg.HTTPClient = claims, srv.Client() })
}

// TestP8OneKeyTwoProcesses: 16 calls of two processes make one order, with one request that
// makes and none that searches. Whoever was not first reads it.
func TestP8OneKeyTwoProcesses(t *testing.T) {
	t.Parallel()
	for range 5 {
		srv, claims := razorpaytest.NewServer(t), store.NewMemory()
		processes := []*razorpay.Client{process(t, srv, claims), process(t, srv, claims)}
		srv.FailNext(on(postOrder, razorpaytest.Fault{Delay: 50 * time.Millisecond}))
		ids := make([]string, 16)
		var wg sync.WaitGroup
		for i := range ids {
			wg.Go(func() {
				o, err := processes[i%2].CreateOrder(t.Context(), bill)
				if err != nil {
					t.Error(err)
					return
				}
				ids[i] = o.ID
			})
		}
		wg.Wait()
		for _, id := range ids {
			require.Equal(t, ids[0], id)
		}
		require.Equal(t, 1, srv.Count(postOrder))
		require.Zero(t, srv.Count(listOrders))
		requireOnce(t, srv)
	}
}

// TestOneRoundTrip: the common case asks Razorpay once, and so does each call after it.
func TestOneRoundTrip(t *testing.T) {
	t.Parallel()
	srv := razorpaytest.NewServer(t)
	client := process(t, srv, store.NewMemory())
	first, err := client.CreateOrder(t.Context(), bill)
	require.NoError(t, err)
	require.Len(t, srv.Requests(), 1)
	pay(t, srv, first)
	again, err := client.CreateOrder(t.Context(), bill)
	require.NoError(t, err)
	require.Equal(t, first.ID, again.ID)
	require.True(t, again.IsPaid(), "as it is now, not as it was")
	require.Len(t, srv.Requests(), 2)
	dearer := bill
	dearer.Amount = payments.INR(60000)
	_, err = client.CreateOrder(t.Context(), dearer)
	require.ErrorIs(t, err, payments.ErrKeyConflict)
	require.Equal(t, 1, srv.Count(postOrder))
}

// TestLeaseRanOut: what an earlier process did with a Key is looked up by its receipt, and
// only what is not there is made.
func TestLeaseRanOut(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		made bool // by the process that died
		then payments.Money
		want error
	}{
		"the order was made":                   {true, bill.Amount, nil},
		"it was not":                           {false, bill.Amount, nil},
		"it was made, and another amount then": {true, payments.INR(60000), payments.ErrKeyConflict},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv := razorpaytest.NewServer(t, razorpaytest.Config{InMemory: true})
				claims := store.NewMemory()
				_, err := claims.Claim(t.Context(), "razorpay:test:order:"+bill.Key, 25*time.Second)
				require.NoError(t, err) // and died
				if tc.made {
					_, err := process(t, srv, store.NewMemory()).CreateOrder(t.Context(), bill)
					require.NoError(t, err)
				}
				begin, req := time.Now(), bill
				req.Amount = tc.then
				for range 2 { // with what is known now, the second asks for the order itself
					_, err = process(t, srv, claims).CreateOrder(t.Context(), req)
					require.ErrorIs(t, err, tc.want)
				}
				require.InDelta(t, 25, time.Since(begin).Seconds(), 1)
				require.Equal(t, 1, srv.Count(postOrder))
				require.Equal(t, 1, srv.Count(listOrders))
				require.Len(t, srv.Receipts(), 1)
			})
		})
	}
}

// TestListLags: an order whose answer was lost is not in Razorpay's list yet. Nobody makes
// another one before the list has caught up.
func TestListLags(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := razorpaytest.NewServer(t, razorpaytest.Config{InMemory: true})
		claims := store.NewMemory()
		client := process(t, srv, claims)
		srv.FailNext(on(postOrder, lostAnswer), on(listOrders, razorpaytest.Fault{Status: 200, Body: `{"items":[]}`}))
		_, err := client.CreateOrder(t.Context(), bill)
		require.ErrorIs(t, err, telemed.ErrAmbiguous)
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = process(t, srv, claims).CreateOrder(short, bill)
		require.ErrorIs(t, err, telemed.ErrAmbiguous)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 1, srv.Count(postOrder))
		o, err := process(t, srv, claims).CreateOrder(t.Context(), bill)
		require.NoError(t, err)
		require.Equal(t, 1, srv.Count(postOrder))
		require.NotEmpty(t, o.ID)
		requireOnce(t, srv)
	})
}

// TestKeyIsFreeAgain: what surely did not happen does not hold the Key.
func TestKeyIsFreeAgain(t *testing.T) {
	t.Parallel()
	srv := razorpaytest.NewServer(t)
	client := process(t, srv, store.NewMemory())
	srv.FailNext(on(postOrder, razorpaytest.Refuse("", 400, "Amount exceeds maximum amount allowed.")))
	_, err := client.CreateOrder(t.Context(), bill)
	require.ErrorIs(t, err, telemed.ErrInvalid)
	srv.FailNext(on(postOrder, rateLimited(time.Hour)))
	_, err = client.CreateOrder(t.Context(), bill)
	require.ErrorIs(t, err, telemed.ErrRateLimited)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = client.CreateOrder(ended, bill)
	require.ErrorIs(t, err, context.Canceled)
	_, err = client.CreateOrder(t.Context(), bill)
	require.NoError(t, err)
	requireOnce(t, srv)
}

// TestOrderOfAnotherAccount: two accounts on one memory are told, not mixed up.
func TestOrderOfAnotherAccount(t *testing.T) {
	t.Parallel()
	claims := store.NewMemory()
	_, err := process(t, razorpaytest.NewServer(t), claims).CreateOrder(t.Context(), bill)
	require.NoError(t, err)
	_, err = process(t, razorpaytest.NewServer(t), claims).CreateOrder(t.Context(), bill)
	require.EqualError(t, err, "razorpay: CreateOrder: key has an order of another account")
	require.ErrorIs(t, err, payments.ErrKeyConflict)
}

// TestUniqueReceiptNeedsNoClaims: then Razorpay itself sees to it.
func TestUniqueReceiptNeedsNoClaims(t *testing.T) {
	t.Parallel()
	srv := razorpaytest.NewServer(t, razorpaytest.Config{UniqueReceipt: true})
	client := clientOf(t, srv, func(cfg *razorpay.Config) { cfg.UniqueReceipt, cfg.Claims = true, &broken{claim: true} })
	order(t, client)
	order(t, clientOf(t, srv, func(cfg *razorpay.Config) { cfg.UniqueReceipt = true }))
	requireOnce(t, srv)
}

// broken are Claims of a database that fails.
type broken struct {
	*store.Memory
	claim, complete, release bool
	completed                atomic.Int32
}

var errDatabase = errors.New("the password is Canary")

func (b *broken) Claim(ctx context.Context, key string, lease time.Duration) (store.Claim, error) {
	if b.claim {
		return store.Claim{}, errDatabase
	}
	return b.Memory.Claim(ctx, key, lease)
}

func (b *broken) Complete(ctx context.Context, key, token string, value []byte, keep time.Duration) error {
	b.completed.Add(1)
	if b.complete {
		return errDatabase
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return b.Memory.Complete(ctx, key, token, value, keep)
}

func (b *broken) Release(ctx context.Context, key, token string) error {
	if b.release {
		return errDatabase
	}
	return b.Memory.Release(ctx, key, token)
}

// TestDatabaseIsDown: without a claim nothing is asked for, and an order that is made is
// returned whatever becomes of its note.
func TestDatabaseIsDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := razorpaytest.NewServer(t, razorpaytest.Config{InMemory: true})
		var log bytes.Buffer
		client := func(claims store.Claims) *razorpay.Client {
			return clientOf(t, srv, func(cfg *razorpay.Config) {
				cfg.Claims, cfg.HTTPClient, cfg.Logger = claims, srv.Client(), slog.New(slog.NewTextHandler(&log, nil))
			})
		}
		_, err := client(&broken{Memory: store.NewMemory(), claim: true}).CreateOrder(t.Context(), bill)
		require.ErrorIs(t, err, telemed.ErrUnavailable)
		require.NotContains(t, fmt.Sprintf("%v %+v", err, err), "Canary")
		require.Empty(t, srv.Requests())

		claims := &broken{Memory: store.NewMemory(), complete: true}
		made, err := client(claims).CreateOrder(t.Context(), bill)
		require.NoError(t, err)
		require.Contains(t, log.String(), "razorpay order could not be noted")
		claims.complete = false
		again, err := client(claims).CreateOrder(t.Context(), bill)
		require.NoError(t, err, "looked up when the lease has run out")
		require.Equal(t, made.ID, again.ID)
		requireOnce(t, srv)
	})
}

// overtaken are Claims whose Key somebody else took and completed while the holder stood
// still.
type overtaken struct {
	*store.Memory
	theirs string
	once   sync.Once
}

func (o *overtaken) Complete(ctx context.Context, key, token string, value []byte, keep time.Duration) error {
	taken := false
	o.once.Do(func() { taken = true })
	if !taken {
		return o.Memory.Complete(ctx, key, token, value, keep)
	}
	if err := o.Memory.Complete(ctx, key, token, []byte(o.theirs), keep); err != nil {
		return err
	}
	return fmt.Errorf("complete: %w", telemed.ErrConflict)
}

// TestOvertaken: a process that stood still does not hand out the order that it made, but
// the one that the others know.
func TestOvertaken(t *testing.T) {
	t.Parallel()
	srv := razorpaytest.NewServer(t)
	theirs := order(t, process(t, srv, store.NewMemory()))
	got, err := process(t, srv, &overtaken{Memory: store.NewMemory(), theirs: theirs.ID}).CreateOrder(t.Context(), bill)
	require.NoError(t, err)
	require.Equal(t, theirs.ID, got.ID)
	require.Len(t, srv.Receipts(), 2, "the spare one was made")
}

// hangUp ends the caller's context as soon as an answer is there.
type hangUp struct {
	http.RoundTripper
	cancel context.CancelFunc
}

func (h hangUp) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := h.RoundTripper.RoundTrip(r)
	if r.Method == http.MethodPost {
		h.cancel()
	}
	return response, err
}

// TestCallerHangsUp: the order is noted although the caller went.
func TestCallerHangsUp(t *testing.T) {
	t.Parallel()
	srv := razorpaytest.NewServer(t, razorpaytest.Config{InMemory: true})
	claims := &broken{Memory: store.NewMemory()}
	ctx, cancel := context.WithCancel(t.Context())
	client := clientOf(t, srv, func(cfg *razorpay.Config) {
		cfg.Claims, cfg.HTTPClient = claims, &http.Client{Transport: hangUp{srv.Client().Transport, cancel}}
	})
	made, err := client.CreateOrder(ctx, bill)
	if err != nil { // the end came before the answer was read
		require.ErrorIs(t, err, telemed.ErrAmbiguous)
		return
	}
	require.EqualValues(t, 2, claims.completed.Load())
	again, err := process(t, srv, claims).CreateOrder(t.Context(), bill)
	require.NoError(t, err)
	require.Equal(t, made.ID, again.ID)
	require.Zero(t, srv.Count(listOrders))
}

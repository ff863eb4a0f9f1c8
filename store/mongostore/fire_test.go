package mongostore_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/fulfill"
	"github.com/telemed-go/telemed/payments/razorpay"
	"github.com/telemed-go/telemed/payments/razorpay/razorpaytest"
	"github.com/telemed-go/telemed/store/mongostore"
)

// fireHits is how often a process is killed or frozen. .ci/run says more.
var fireHits = flag.Int("fire.hits", 4, "kills and freezes of processes over durable rows")

const (
	// fireEnv holds a fireConfig. The test binary that finds it is one of the processes and
	// runs no tests.
	fireEnv       = "TELEMED_MONGOSTORE_CHILD"
	fireProcesses = 3
	fireLease     = 2 * time.Second
	// bookingTime is long enough for a process to be hit in the middle.
	bookingTime = 100 * time.Millisecond
)

// fireConfig tells a process where everything is.
type fireConfig struct{ Mongo, Desk, Gateway, KeyID, KeySecret string }

// bills is the Fulfiller of a process, or of the test.
func (c fireConfig) bills(client *mongo.Client, book func(context.Context, fulfill.Paid) error) (*fulfill.Fulfiller, error) {
	gateway, err := razorpay.New(razorpay.Config{KeyID: c.KeyID, KeySecret: telemed.NewSecret(c.KeySecret), BaseURL: c.Gateway})
	if err != nil {
		return nil, err
	}
	st, err := mongostore.New(mongostore.Config{Database: client.Database("hospital"), InsecureClear: true})
	if err != nil {
		return nil, err
	}
	return fulfill.New(fulfill.Config{Store: st.Rows(), Gateway: gateway, Fulfill: book, Workers: 4, LeaseTTL: fireLease})
}

// burn is a process: it fulfils bills until its input ends.
func burn(text string) error {
	var c fireConfig
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return err
	}
	client, err := mongo.Connect(options.Client().ApplyURI(c.Mongo))
	if err != nil {
		return err
	}
	bills, err := c.bills(client, func(ctx context.Context, paid fulfill.Paid) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Desk+"?key="+url.QueryEscape(paid.Key), nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		return resp.Body.Close()
	})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		defer stop()
		_, _ = io.Copy(io.Discard, os.Stdin)
	}()
	return bills.Run(ctx)
}

// fire is processes that are killed and frozen.
type fire struct {
	*testing.T
	cfg     fireConfig
	srv     *razorpaytest.Server
	bills   *fulfill.Fulfiller
	random  *rand.Rand
	running []*exec.Cmd
	thaws   sync.WaitGroup

	mu      sync.Mutex
	booked  map[string]int
	written map[string]bool
	again   []string // booked when that was written down already
}

// TestBillsUnderFire kills and freezes processes that fulfil bills over one collection. It
// proves this package and not MongoDB: the server is wiretest.
func TestBillsUnderFire(t *testing.T) {
	t.Parallel()
	f := newFire(t)
	var keys []string
	for n := range *fireHits {
		for range 3 {
			keys = append(keys, f.bill(len(keys)))
		}
		time.Sleep(200*time.Millisecond + time.Duration(f.random.Int64N(int64(300*time.Millisecond))))
		victim := f.random.IntN(len(f.running))
		if n%2 == 0 {
			f.kill(victim)
		} else {
			f.freeze(victim)
		}
		for _, key := range keys {
			f.state(key)
		}
	}
	f.thaws.Wait()
	for n, key := range keys {
		f.ends(n, key)
	}
	require.Empty(t, f.again)
	t.Logf("%d bills, %d kills and freezes", len(keys), *fireHits)
}

func newFire(t *testing.T) *fire {
	t.Helper()
	f := &fire{T: t, srv: razorpaytest.NewServer(t), random: rand.New(rand.NewPCG(5, 5)), booked: map[string]int{}, written: map[string]bool{}}
	f.srv.HoldWebhooks()
	desk := httptest.NewServer(http.HandlerFunc(f.book))
	t.Cleanup(desk.Close)
	f.cfg = fireConfig{start(t).URI(), desk.URL, f.srv.URL(), f.srv.KeyID(), f.srv.KeySecret().Reveal()}
	var err error
	f.bills, err = f.cfg.bills(connect(t, f.cfg.Mongo), func(context.Context, fulfill.Paid) error { return errors.New("not here") })
	require.NoError(t, err)
	for range fireProcesses {
		f.running = append(f.running, f.process())
	}
	return f
}

// process starts a process, which ends with the test at the latest.
func (f *fire) process() *exec.Cmd {
	text, err := json.Marshal(f.cfg)
	require.NoError(f, err)
	self, err := os.Executable()
	require.NoError(f, err)
	cmd := exec.CommandContext(f.Context(), self)
	cmd.Env = append(os.Environ(), fireEnv+"="+string(text))
	cmd.Stderr = os.Stderr
	_, err = cmd.StdinPipe()
	require.NoError(f, err)
	require.NoError(f, cmd.Start())
	f.Cleanup(func() { _ = cmd.Wait() })
	return cmd
}

func (f *fire) kill(victim int) {
	require.NoError(f, f.running[victim].Process.Kill())
	f.running[victim] = f.process()
}

// freeze stops a process for longer than its leases live.
func (f *fire) freeze(victim int) {
	frozen := f.running[victim].Process
	require.NoError(f, frozen.Signal(syscall.SIGSTOP))
	f.thaws.Go(func() {
		time.Sleep(2 * fireLease)
		_ = frozen.Signal(syscall.SIGCONT) // it may have been killed since
	})
}

// book is where the processes book.
func (f *fire) book(w http.ResponseWriter, r *http.Request) {
	key := r.FormValue("key")
	f.mu.Lock()
	f.booked[key]++
	if f.written[key] {
		f.again = append(f.again, key)
	}
	f.mu.Unlock()
	time.Sleep(bookingTime)
	w.WriteHeader(http.StatusNoContent)
}

// bill opens the nth bill: one of three is cancelled before it is paid, one is not paid.
func (f *fire) bill(n int) string {
	ctx, key := f.Context(), fmt.Sprintf("bill-%06d", n)
	require.NoError(f, f.bills.Open(ctx, fulfill.Bill{Key: key, Amount: payments.INR(50000)}))
	order, err := f.bills.Checkout(ctx, key)
	require.NoError(f, err)
	if n%3 == 1 {
		require.NoError(f, f.bills.Cancel(ctx, key))
	}
	if n%3 != 2 {
		_, err = f.srv.Pay(order.ID)
		require.NoError(f, err)
	}
	require.NoError(f, f.bills.Look(ctx, key))
	return key
}

// state returns what is known of a bill.
func (f *fire) state(key string) fulfill.Status {
	s, err := f.bills.Get(f.Context(), key)
	require.NoError(f, err)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.written[key] = f.written[key] || s.State == fulfill.StateFulfilled
	return s
}

// ends waits for the end of the nth bill.
func (f *fire) ends(n int, key string) {
	want := []fulfill.State{fulfill.StateFulfilled, fulfill.StateCancelled, fulfill.StateOpen}[n%3]
	back := []int64{0, 50000, 0}[n%3]
	require.Eventually(f, func() bool {
		s := f.state(key)
		return s.State == want && s.GivenBack.Minor == back
	}, 2*time.Minute, 50*time.Millisecond, "%s", key)
	f.mu.Lock()
	defer f.mu.Unlock()
	require.Equal(f, want == fulfill.StateFulfilled, f.booked[key] > 0, key)
}

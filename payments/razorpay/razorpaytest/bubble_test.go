package razorpaytest_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/razorpay"
	"github.com/telemed-go/telemed/payments/razorpay/razorpaytest"
)

// direct sends requests to a handler without a network.
type direct struct{ http.Handler }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	recorder := httptest.NewRecorder()
	d.ServeHTTP(recorder, r)
	return recorder.Result(), nil
}

// TestStoryInABubble: an order's answer hangs, it is found again, and its webhooks come
// once the application is up. It takes half an hour, and no time.
func TestStoryInABubble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		down, told := 2, 0
		webhook := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if down--; down >= 0 {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			told++
		})
		srv := razorpaytest.NewServer(t, razorpaytest.Config{
			InMemory: true, TLS: true, WebhookURL: "https://clinic.example/webhooks", HTTPClient: &http.Client{Transport: direct{webhook}},
		})
		client, err := razorpay.New(razorpay.Config{
			KeyID: srv.KeyID(), KeySecret: srv.KeySecret(), BaseURL: srv.URL(), HTTPClient: srv.Client(),
		})
		require.NoError(t, err)

		begin := time.Now()
		srv.FailNext(razorpaytest.Fault{Op: razorpaytest.OpCreateOrder, Hang: true, Delay: time.Minute})
		req := payments.OrderRequest{Amount: payments.INR(50000), Key: "bill_1"}
		_, err = client.CreateOrder(t.Context(), req)
		require.ErrorIs(t, err, telemed.ErrAmbiguous)
		require.GreaterOrEqual(t, time.Since(begin), 20*time.Second)
		o, err := client.CreateOrder(t.Context(), req)
		require.NoError(t, err)
		time.Sleep(time.Until(begin.Add(30 * time.Minute)))
		_, err = srv.Pay(o.ID)
		require.NoError(t, err)
		require.NoError(t, srv.WaitWebhooks(t.Context()))
		require.Equal(t, 3, told)
		require.Len(t, srv.Deliveries(), 5)

		found, err := srv.WaitFor(t.Context(), func(r razorpaytest.Request) bool { return r.Op == razorpaytest.OpCreateOrder && r.Status == 200 })
		require.NoError(t, err)
		require.Contains(t, found.Body, "bill_1")
		require.Equal(t, "Basic", found.Scheme)
		srv.Reset()
		require.Empty(t, srv.Requests())
		require.Contains(t, string(srv.Certificate()), "BEGIN CERTIFICATE")
		conn, err := srv.Dial(t.Context(), "tcp", "api.razorpay.com:443")
		require.NoError(t, err)
		require.NoError(t, conn.Close())
	})
}

func TestRefuse(t *testing.T) {
	t.Parallel()
	a := api{t, razorpaytest.NewServer(t)}
	a.srv.FailNext(
		razorpaytest.Refuse(razorpaytest.OpPayment, 400, "no"), razorpaytest.Refuse("", 503, "not now"),
		razorpaytest.Fault{Op: razorpaytest.OpOrder, Times: -1, Status: 500, Body: "{}"},
	)
	for _, want := range []struct {
		path, code, description string
		status                  int
	}{
		{"/v1/orders", "SERVER_ERROR", "not now", 503},
		{"/v1/payments/pay_1", "BAD_REQUEST_ERROR", "no", 400},
	} {
		status, doc := a.get(want.path)
		require.Equal(t, want.status, status)
		require.Equal(t, want.description, description(doc))
		require.Equal(t, want.code, doc["error"].(map[string]any)["code"])
	}
	for range 3 {
		status, _ := a.get("/v1/orders/order_1")
		require.Equal(t, 500, status, "until Reset")
	}
}

// TestDayOfRedelivery: an event that is not taken comes again for a day, with pauses that
// double. Then the endpoint is disabled.
func TestDayOfRedelivery(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		up       time.Duration // when the application is there again
		disabled bool
	}{
		"down for an hour":     {time.Hour, false},
		"down for twelve":      {12 * time.Hour, false},
		"down for the day":     {25 * time.Hour, true},
		"down for a long time": {100 * time.Hour, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				up := false
				webhook := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					if !up {
						w.WriteHeader(http.StatusBadGateway)
					}
				})
				srv := razorpaytest.NewServer(t, razorpaytest.Config{
					InMemory: true, WebhookURL: "https://clinic.example/webhooks", HTTPClient: &http.Client{Transport: direct{webhook}},
				})
				_, err := srv.Pay(bubbleOrder(t, srv))
				require.NoError(t, err)
				srv.Advance(tc.up)
				down := len(srv.Deliveries())
				up = true
				srv.Advance(25 * time.Hour)
				require.NoError(t, srv.WaitWebhooks(t.Context()))
				require.Equal(t, tc.disabled, srv.WebhookDisabled())
				taken := 0
				for _, d := range srv.Deliveries()[down:] {
					require.Equal(t, http.StatusOK, d.Status)
					taken++
				}
				if tc.disabled {
					require.Zero(t, taken, "what was waiting is lost")
					require.InDelta(t, 3*20, down, 3, "three events, twenty attempts in a day")
					srv.SetWebhookURL("https://clinic.example/webhooks")
					require.False(t, srv.WebhookDisabled())
					return
				}
				require.Equal(t, 3, taken)
			})
		})
	}
}

// bubbleOrder makes an order in a bubble.
func bubbleOrder(t *testing.T, srv *razorpaytest.Server) string {
	t.Helper()
	client, err := razorpay.New(razorpay.Config{KeyID: srv.KeyID(), KeySecret: srv.KeySecret(), BaseURL: srv.URL(), HTTPClient: srv.Client()})
	require.NoError(t, err)
	o, err := client.CreateOrder(t.Context(), payments.OrderRequest{Amount: payments.INR(50000), Key: "bill_1"})
	require.NoError(t, err)
	return o.ID
}

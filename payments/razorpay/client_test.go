package razorpay_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/razorpay"
	"github.com/telemed-go/telemed/payments/razorpay/razorpaytest"
)

func TestNewNamesAllProblems(t *testing.T) {
	t.Parallel()
	_, err := razorpay.New(razorpay.Config{BaseURL: "http://api.razorpay.com", WebhookSecrets: []telemed.Secret{telemed.NewSecret(" ")}})
	require.ErrorIs(t, err, telemed.ErrInvalid)
	require.Equal(t, "razorpay: KeyID is required; KeySecret is required; "+
		"WebhookSecrets[0] is empty: anybody could sign with it; BaseURL must be https: the key would cross the network in the clear", err.Error())

	good := razorpay.Config{KeyID: "rzp_test_1", KeySecret: telemed.NewSecret("s3cret")}
	for field, change := range map[string]func(*razorpay.Config){
		"KeySecret":         func(c *razorpay.Config) { c.KeySecret = telemed.NewSecret("s3cret\n") },
		"KeyID":             func(c *razorpay.Config) { c.KeyID = "rzp_test_1 " },
		"KeyID does not":    func(c *razorpay.Config) { c.KeyID = "rzp_1" },
		"WebhookSecrets[0]": func(c *razorpay.Config) { c.WebhookSecrets = []telemed.Secret{telemed.NewSecret("w\n")} },
		"WebhookSecrets[1]": func(c *razorpay.Config) { c.WebhookSecrets = []telemed.Secret{telemed.NewSecret("w"), c.KeySecret} },
		"BaseURL":           func(c *razorpay.Config) { c.BaseURL = "https://api.razorpay.com/v1" },
	} {
		cfg := good
		change(&cfg)
		_, err := razorpay.New(cfg)
		require.ErrorContains(t, err, field)
		require.NotContains(t, err.Error(), "s3cret")
	}
	for _, base := range []string{"ftp://x", "api.razorpay.com", "https://user:pw@api.razorpay.com", "https://x?y", "http://192.168.1.1"} {
		cfg := good
		cfg.BaseURL = base
		_, err := razorpay.New(cfg)
		require.ErrorIs(t, err, telemed.ErrInvalid, base)
	}
	client, err := razorpay.New(good)
	require.NoError(t, err)
	require.Equal(t, razorpay.Test, client.Mode())
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", good, good, client), "s3cret")

	good.KeyID = "rzp_live_1"
	client, err = razorpay.New(good)
	require.NoError(t, err)
	require.Equal(t, razorpay.Live, client.Mode())
	good.BaseURL = "http://127.0.0.1:1"
	_, err = razorpay.New(good)
	require.ErrorIs(t, err, telemed.ErrInvalid, "a live key in the clear")
}

// TestRequests checks what goes over the wire.
func TestRequests(t *testing.T) {
	t.Parallel()
	srv, client := start(t, razorpaytest.Config{})
	o, err := client.CreateOrder(t.Context(), payments.OrderRequest{
		Amount: payments.INR(50000), Key: "bill_0001", Notes: map[string]string{"visit": "42"}, Capture: payments.CaptureManual,
	})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"visit": "42"}, o.Notes)
	paid := pay(t, srv, o)
	_, err = client.Capture(t.Context(), payments.CaptureRequest{PaymentID: paid.PaymentID, Amount: o.Amount})
	require.NoError(t, err)
	for _, key := range []string{"refund_key-0001", "short", "cancel/appt 42"} {
		_, err = client.Refund(t.Context(), payments.RefundRequest{PaymentID: paid.PaymentID, Amount: new(payments.INR(100)), Key: key, Speed: payments.RefundFast})
		require.NoError(t, err)
	}
	var lines []string
	for _, r := range srv.Requests() {
		require.Equal(t, "telemed-go (razorpay-go/1.4.1)", r.Header.Get("User-Agent"))
		line := r.Method + " " + strings.ReplaceAll(r.Path, paid.PaymentID, "PAY")
		if query := r.Query.Encode(); query != "" {
			line += "?" + query
		}
		if key := r.Header.Get("X-Refund-Idempotency"); key != "" {
			line += " [" + key + "]"
		}
		lines = append(lines, strings.TrimSpace(line+" "+r.Body))
	}
	refund := `{"amount":100,"speed":"optimum"}`
	require.Equal(t, []string{
		`GET /v1/orders?count=100&receipt=bill_0001&skip=0`,
		`POST /v1/orders {"amount":50000,"currency":"INR","notes":{"visit":"42"},"payment_capture":false,"receipt":"bill_0001"}`,
		`POST /v1/payments/PAY/capture {"amount":50000,"currency":"INR"}`,
		`GET /v1/payments/PAY`,
		`POST /v1/payments/PAY/refund [refund_key-0001] ` + refund,
		`GET /v1/payments/PAY`,
		`POST /v1/payments/PAY/refund [h_f9b0078b5df596d2ea19010c001bbd009e651de2] ` + refund,
		`GET /v1/payments/PAY`,
		`POST /v1/payments/PAY/refund [h_8bc989bbab1c9d936a47cebf7d415de6cb0da326] ` + refund,
	}, lines)
}

// TestRefusedBeforeAnyRequest hands over what must not reach the wire.
func TestRefusedBeforeAnyRequest(t *testing.T) {
	t.Parallel()
	srv, client := start(t, razorpaytest.Config{})
	ctx := t.Context()
	long := strings.Repeat("x", 257)
	many := map[string]string{}
	for i := range 16 {
		many[fmt.Sprint(i)] = "x"
	}
	for name, req := range map[string]payments.OrderRequest{
		"Amount: 0":             {Key: "b"},
		"Amount: under a rupee": {Key: "b", Amount: payments.INR(99)},
		"Amount: a third digit": {Key: "b", Amount: payments.Money{Minor: 99991, Currency: "KWD"}},
		"Key: 41 characters":    {Key: strings.Repeat("अ", 41), Amount: payments.INR(100)},
		"Key: not UTF-8":        {Key: "bill_\xff", Amount: payments.INR(100)},
		"Key: none":             {Amount: payments.INR(100)},
		"Notes: 16":             {Key: "b", Amount: payments.INR(100), Notes: many},
		"Notes: a long one":     {Key: "b", Amount: payments.INR(100), Notes: map[string]string{"k": long}},
		"Notes: not UTF-8":      {Key: "b", Amount: payments.INR(100), Notes: map[string]string{"k": "\xff"}},
		"Key: a line break":     {Key: "bill\n1", Amount: payments.INR(100)},
	} {
		_, err := client.CreateOrder(ctx, req)
		require.ErrorIs(t, err, telemed.ErrInvalid, name)
		field, _, _ := strings.Cut(name, ":")
		require.ErrorContains(t, err, field)
	}
	for _, id := range []string{"", "../orders/order_1", "pay_1?x=", "pay_1#", "pay_1/refund", "pay_", "order_1", "pay_1|pay_2", "pay_\x00", "pay_é", "pay_" + long} {
		_, err := client.Payment(ctx, id)
		require.ErrorIs(t, err, telemed.ErrInvalid, id)
		_, err = client.Refund(ctx, payments.RefundRequest{PaymentID: id, Key: "cancel_0001"})
		require.ErrorIs(t, err, telemed.ErrInvalid, id)
		_, err = client.Capture(ctx, payments.CaptureRequest{PaymentID: id, Amount: payments.INR(100)})
		require.ErrorIs(t, err, telemed.ErrInvalid, id)
		_, err = client.VerifyPayment(ctx, payments.Confirmation{OrderID: "order_1", Expected: payments.INR(100), PaymentID: id, Signature: "00"})
		require.ErrorIs(t, err, telemed.ErrInvalid, id)
		_, err = client.Order(ctx, strings.Replace(id, "order_1", "order_", 1))
		require.ErrorIs(t, err, telemed.ErrInvalid, id)
		require.Error(t, client.CheckSignature("order_1|pay_1", id, ""))
	}
	for name, m := range map[string]payments.Money{"under a rupee": payments.INR(99), "a third digit": {Minor: 99991, Currency: "KWD"}} {
		_, err := client.Refund(ctx, payments.RefundRequest{PaymentID: "pay_1", Key: "cancel_0001", Amount: &m})
		require.ErrorIs(t, err, telemed.ErrInvalid, name)
		_, err = client.Capture(ctx, payments.CaptureRequest{PaymentID: "pay_1", Amount: m})
		require.ErrorIs(t, err, telemed.ErrInvalid, name)
		_, err = client.VerifyPayment(ctx, payments.Confirmation{OrderID: "order_1", Expected: m, PaymentID: "pay_1", Signature: "00"})
		require.ErrorIs(t, err, telemed.ErrInvalid, name)
	}
	for _, key := range []string{"", strings.Repeat("x", 41)} {
		_, err := client.OrdersByKey(ctx, key)
		require.ErrorIs(t, err, telemed.ErrInvalid, key)
	}
	for _, id := range []string{"", "rfnd_", "rfnd_1/x", "pay_1"} {
		_, err := client.RefundByID(ctx, id)
		require.ErrorIs(t, err, telemed.ErrInvalid, id)
	}
	_, err := client.Refund(ctx, payments.RefundRequest{PaymentID: "pay_1", Key: "cancel_0001", Notes: many})
	require.ErrorIs(t, err, telemed.ErrInvalid)
	_, err = client.PaymentRefunds(ctx, "rfnd_1")
	require.ErrorIs(t, err, telemed.ErrInvalid)
	require.Empty(t, srv.Requests())
}

func TestForgedSignatureMakesNoRequest(t *testing.T) {
	t.Parallel()
	srv, client := start(t, razorpaytest.Config{})
	c := pay(t, srv, order(t, client))
	before := len(srv.Requests())
	c.Signature = strings.Repeat("0", 64)
	_, err := client.VerifyPayment(t.Context(), c)
	require.ErrorIs(t, err, telemed.ErrSignature)
	require.Equal(t, "razorpay: CheckSignature: signature mismatch", err.Error())
	require.Len(t, srv.Requests(), before)
}

// TestVerifyReadsThePayment: a good signature is not enough. What Razorpay then says
// about the payment decides.
func TestVerifyReadsThePayment(t *testing.T) {
	t.Parallel()
	srv, client := start(t, razorpaytest.Config{})
	c := pay(t, srv, order(t, client))
	for status, want := range map[string]error{
		"captured": payments.ErrOrderMismatch, // with another order, below
		"created":  payments.ErrPaymentIncomplete, "failed": payments.ErrPaymentIncomplete, "refunded": payments.ErrAlreadyRefunded,
		"a status that nobody heard of": payments.ErrPaymentIncomplete,
	} {
		orderID := c.OrderID
		if status == "captured" {
			orderID = "order_other"
		}
		body := fmt.Sprintf(`{"id":%q,"order_id":%q,"amount":50000,"currency":"INR","status":%q}`, c.PaymentID, orderID, status)
		srv.FailNext(razorpaytest.Fault{Status: 200, Body: body})
		p, err := client.VerifyPayment(t.Context(), c)
		require.ErrorIs(t, err, want, status)
		require.Nil(t, p)
	}
}

// TestTwoOrdersOfOneReceipt is what two processes without common Claims can leave behind: all
// are found, and the one with money in it stands first.
func TestTwoOrdersOfOneReceipt(t *testing.T) {
	t.Parallel()
	srv, client := start(t, razorpaytest.Config{ManualCapture: true})
	again := func() *razorpay.Client { return clientOf(t, srv) } // a process that knows nothing
	older := order(t, client)
	srv.FailNext(on(listOrders, razorpaytest.Fault{Status: 200, Body: `{"entity":"collection","count":0,"items":[]}`}))
	newer := order(t, again())
	require.NotEqual(t, older.ID, newer.ID)
	ids := func() (ids []string) {
		found, err := client.OrdersByKey(t.Context(), older.Key)
		require.NoError(t, err)
		for _, o := range found {
			ids = append(ids, o.ID)
		}
		return ids
	}
	require.Equal(t, []string{newer.ID, older.ID}, ids(), "the newest, as long as nobody began to pay")
	reserved := pay(t, srv, older)
	require.Equal(t, []string{older.ID, newer.ID}, ids())
	require.Equal(t, older.ID, order(t, again()).ID, "its money is reserved: a second order would take it twice")
	_, err := srv.FailPayment(newer.ID)
	require.NoError(t, err)
	_, err = client.Capture(t.Context(), payments.CaptureRequest{PaymentID: reserved.PaymentID, Amount: older.Amount})
	require.NoError(t, err)
	require.Equal(t, older.ID, order(t, again()).ID)
}

func TestAutoCapture(t *testing.T) {
	t.Parallel()
	srv, client := start(t, razorpaytest.Config{ManualCapture: true}, func(c *razorpay.Config) { c.AutoCapture = true })
	p, err := client.VerifyPayment(t.Context(), pay(t, srv, order(t, client)))
	require.NoError(t, err)
	require.Equal(t, payments.PaymentCaptured, p.Status)
	require.Equal(t, 1, srv.Count(postCapture))
}

func TestWrongKey(t *testing.T) {
	t.Parallel()
	_, client := start(t, razorpaytest.Config{}, func(c *razorpay.Config) { c.KeySecret = telemed.NewSecret("another") })
	_, err := client.Payment(t.Context(), "pay_AAAAAAAAAAAAAA")
	require.ErrorIs(t, err, telemed.ErrUnauthorized)
	require.Regexp(t, `^razorpay: Payment: 401 \(BAD_REQUEST_ERROR\): credentials refused \[request id req_\w+\]$`, err.Error())
}

// TestExactNumbers sends 2^53+1 there and back: no float on the way.
func TestExactNumbers(t *testing.T) {
	t.Parallel()
	const big = 9007199254740993
	_, client := start(t, razorpaytest.Config{MaxAmount: big})
	o, err := client.CreateOrder(t.Context(), payments.OrderRequest{Amount: payments.INR(big), Key: "bill_big"})
	require.NoError(t, err)
	require.EqualValues(t, big, o.Amount.Minor)
}

func TestContext(t *testing.T) {
	t.Parallel()
	srv, client := start(t, razorpaytest.Config{})
	srv.FailNext(on(getPayment, razorpaytest.Fault{Hang: true}))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	begin := time.Now()
	_, err := client.Payment(ctx, "pay_AAAAAAAAAAAAAA")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Less(t, time.Since(begin), 5*time.Second)

	srv.FailNext(on(postOrder, razorpaytest.Fault{Hang: true}))
	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error)
	go func() {
		_, err := client.CreateOrder(ctx, payments.OrderRequest{Amount: payments.INR(100), Key: "bill_1"})
		ended <- err
	}()
	_, err = srv.WaitFor(t.Context(), func(r razorpaytest.Request) bool { return r.Op == postOrder })
	require.NoError(t, err)
	cancel()
	err = <-ended
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, telemed.ErrAmbiguous, "it was sent, so nobody knows")
}

// TestContextThatEnded: nothing was sent, so the outcome is known.
func TestContextThatEnded(t *testing.T) {
	t.Parallel()
	srv, client := start(t, razorpaytest.Config{}, func(c *razorpay.Config) { c.UniqueReceipt = true })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, created := client.CreateOrder(ctx, payments.OrderRequest{Amount: payments.INR(100), Key: "bill_1"})
	_, captured := client.Capture(ctx, payments.CaptureRequest{PaymentID: "pay_1", Amount: payments.INR(100)})
	_, refunded := client.Refund(ctx, payments.RefundRequest{PaymentID: "pay_1", Key: "cancel_0001"})
	for _, err := range []error{created, captured, refunded} {
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, telemed.ErrUnavailable)
		require.NotErrorIs(t, err, telemed.ErrAmbiguous)
	}
	require.Empty(t, srv.Requests())
}

// TestConnections: errors with long bodies use one connection too; razorpay-go alone
// would open one each.
func TestConnections(t *testing.T) {
	t.Parallel()
	var opened atomic.Int32
	long := `{"error":{"code":"BAD_REQUEST_ERROR","description":"` + strings.Repeat("x", 8000) + `"}}`
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(long))
	}))
	t.Cleanup(srv.Close)
	client, err := razorpay.New(razorpay.Config{
		KeyID: "rzp_test_1", KeySecret: telemed.NewSecret("s"), BaseURL: srv.URL,
		// Of its own: other tests crowd connections out of the shared one.
		HTTPClient: &http.Client{Transport: &http.Transport{}},
	})
	require.NoError(t, err)
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		if !info.Reused {
			opened.Add(1)
		}
	}})
	for range 50 {
		_, err := client.Payment(ctx, "pay_1")
		require.ErrorIs(t, err, telemed.ErrInvalid)
	}
	require.EqualValues(t, 1, opened.Load())
}

func TestRedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	var stolen atomic.Int32
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { stolen.Add(1) }))
	t.Cleanup(thief.Close)
	srv := httptest.NewServer(http.RedirectHandler(thief.URL, http.StatusTemporaryRedirect))
	t.Cleanup(srv.Close)
	client, err := razorpay.New(razorpay.Config{KeyID: "rzp_test_1", KeySecret: telemed.NewSecret("s"), BaseURL: srv.URL})
	require.NoError(t, err)
	_, err = client.Payment(t.Context(), "pay_1")
	require.ErrorIs(t, err, telemed.ErrUnavailable)
	require.Zero(t, stolen.Load())
}

// TestRace has 64 patients pay, verify and get refunds over one client.
func TestRace(t *testing.T) {
	t.Parallel()
	srv, client := start(t, razorpaytest.Config{})
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			err := func() error {
				o, err := client.CreateOrder(t.Context(), payments.OrderRequest{Amount: payments.INR(int64(100 + i)), Key: fmt.Sprintf("bill_%04d", i)})
				if err != nil {
					return err
				}
				paid, err := srv.Pay(o.ID)
				if err != nil {
					return err
				}
				p, err := client.VerifyPayment(t.Context(), payments.Confirmation{
					OrderID: o.ID, Expected: payments.INR(int64(100 + i)), PaymentID: paid.PaymentID, Signature: paid.Signature,
				})
				if err != nil {
					return err
				}
				_, err = client.Refund(t.Context(), payments.RefundRequest{PaymentID: p.ID, Key: fmt.Sprintf("cancel_%04d", i)})
				return err
			}()
			if err != nil {
				t.Errorf("patient %d: %v", i, err)
			}
		})
	}
	wg.Wait()
}

// TestNothingSecretIsLogged runs calls that work and calls that fail with a log
// at debug level and looks for what must not be in it.
func TestNothingSecretIsLogged(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	srv, client := start(t, razorpaytest.Config{KeySecret: telemed.NewSecret("KeyCanary"), WebhookSecret: telemed.NewSecret("HookCanary")},
		func(c *razorpay.Config) {
			c.Logger = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		})
	o, err := client.CreateOrder(t.Context(), payments.OrderRequest{
		Amount: payments.INR(50000), Key: "bill_1", Notes: map[string]string{"name": "PatientCanary"},
	})
	require.NoError(t, err)
	srv.FailNext(razorpaytest.Refuse("", 400, "PatientCanary is not a valid name"))
	_, failure := client.VerifyPayment(t.Context(), pay(t, srv, o))
	require.ErrorIs(t, failure, telemed.ErrInvalid)
	require.Equal(t, 3, strings.Count(log.String(), "razorpay call"), "every request is logged")
	seen := log.String() + fmt.Sprintf("%v %+v %#v %q", failure, failure, failure, failure) + fmt.Sprintf("%+v %#v", client, o)
	require.NotContains(t, seen, "Canary")

	typed, ok := errors.AsType[*razorpay.Error](failure)
	require.True(t, ok)
	require.Equal(t, "PatientCanary is not a valid name", typed.Description, "there for who asks")
}

func TestManySimilarReceipts(t *testing.T) {
	t.Parallel()
	_, client := start(t, razorpaytest.Config{})
	first := order(t, client) // bill_0001
	for i := range 110 {
		_, err := client.CreateOrder(t.Context(), payments.OrderRequest{Amount: payments.INR(100), Key: fmt.Sprintf("bill_0001-%03d", i)})
		require.NoError(t, err)
	}
	found, err := client.OrdersByKey(t.Context(), "bill_0001")
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Equal(t, first.ID, found[0].ID, "it is on the second page")
}

// TestTextInAnswers reads texts as encoding/json does, with and without an escape in
// them.
func TestTextInAnswers(t *testing.T) {
	t.Parallel()
	srv, client := start(t, razorpaytest.Config{})
	srv.FailNext(razorpaytest.Fault{
		Status: 200, Body: `{"id":"pay_1","method":"upi","notes":{"plain":"é \" ","escaped":"\u00e9\n","broken":"a` + "\xff" + `b","empty":""}}`,
	})
	got, err := client.Payment(t.Context(), "pay_1")
	require.NoError(t, err)
	require.Equal(t, "upi", got.Method)
	require.Equal(t, map[string]string{"plain": `é " `, "escaped": "é\n", "broken": "a\ufffdb", "empty": ""}, got.Notes)
}

package razorpay_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/razorpay"
	"github.com/telemed-go/telemed/payments/razorpay/razorpaytest"
)

const (
	postOrder   = razorpaytest.OpCreateOrder
	listOrders  = razorpaytest.OpListOrders
	getPayment  = razorpaytest.OpPayment
	postCapture = razorpaytest.OpCapture
	postRefund  = razorpaytest.OpCreateRefund
)

// TestRetries is the matrix of what is repeated, what is looked up and what is
// given back as unknown. Each case counts requests and effects at Razorpay.
func TestRetries(t *testing.T) {
	t.Parallel()
	soon := rateLimited(0)
	create := func(t *testing.T, _ *razorpaytest.Server, c *razorpay.Client) error {
		_, err := c.CreateOrder(t.Context(), payments.OrderRequest{Amount: payments.INR(50000), Key: "bill_x"})
		return err
	}
	read := func(t *testing.T, srv *razorpaytest.Server, c *razorpay.Client) error {
		_, err := c.Payment(t.Context(), paymentOf(srv))
		return err
	}
	capture := func(t *testing.T, srv *razorpaytest.Server, c *razorpay.Client) error {
		_, err := c.Capture(t.Context(), payments.CaptureRequest{PaymentID: paymentOf(srv), Amount: payments.INR(50000)})
		return err
	}
	refund := func(t *testing.T, srv *razorpaytest.Server, c *razorpay.Client) error {
		_, err := c.Refund(t.Context(), payments.RefundRequest{PaymentID: paymentOf(srv), Key: "cancel_0001"})
		return err
	}
	type call = func(*testing.T, *razorpaytest.Server, *razorpay.Client) error
	for name, tc := range map[string]struct {
		call  call
		fault razorpaytest.Fault
		op    string
		want  error // nil: it comes right
		sent  int   // requests for op
	}{
		"read, too many requests":           {read, times(2, soon), getPayment, nil, 3},
		"read, always too many":             {read, times(9, soon), getPayment, telemed.ErrRateLimited, 3},
		"read, a wait beyond patience":      {read, rateLimited(time.Hour), getPayment, telemed.ErrRateLimited, 1},
		"read, server error":                {read, times(2, failing(500)), getPayment, nil, 3},
		"read, always a server error":       {read, times(9, failing(502)), getPayment, telemed.ErrUnavailable, 3},
		"read, an HTML page":                {read, page(503), getPayment, nil, 2},
		"read, a dropped connection":        {read, lostRequest, getPayment, nil, 2},
		"read, a cut answer":                {read, cutAnswer, getPayment, nil, 2},
		"read, nothing but cut answers":     {read, times(9, cutAnswer), getPayment, telemed.ErrUnavailable, 3},
		"order, too many requests":          {create, times(2, soon), postOrder, nil, 3},
		"order, always too many":            {create, times(9, soon), postOrder, telemed.ErrRateLimited, 3},
		"order, server error":               {create, failing(500), postOrder, telemed.ErrAmbiguous, 1},
		"order, an HTML page":               {create, page(502), postOrder, telemed.ErrAmbiguous, 1},
		"order, a dropped connection":       {create, lostRequest, postOrder, telemed.ErrAmbiguous, 1},
		"order, a lost answer":              {create, lostAnswer, postOrder, nil, 1},
		"order, a cut answer":               {create, cutAnswer, postOrder, nil, 1},
		"order, the look-up fails":          {create, times(9, failing(503)), listOrders, telemed.ErrUnavailable, 3},
		"capture, too many requests":        {capture, times(2, soon), postCapture, nil, 3},
		"capture, server error":             {capture, failing(500), postCapture, nil, 2},
		"capture, a lost answer":            {capture, lostAnswer, postCapture, nil, 2},
		"capture, a cut answer":             {capture, cutAnswer, postCapture, nil, 2},
		"capture, nothing but lost answers": {capture, times(9, lostAnswer), postCapture, nil, 3},
		"capture, always a server error":    {capture, times(9, failing(500)), postCapture, telemed.ErrAmbiguous, 3},
		"refund, too many requests":         {refund, times(2, soon), postRefund, nil, 3},
		"refund, server error":              {refund, times(2, failing(504)), postRefund, nil, 3},
		"refund, a lost answer":             {refund, times(2, lostAnswer), postRefund, nil, 3},
		"refund, a cut answer":              {refund, cutAnswer, postRefund, nil, 2},
		"refund, nothing but cut answers":   {refund, times(9, cutAnswer), postRefund, telemed.ErrAmbiguous, 3},
		"refund, the same is in progress":   {refund, razorpaytest.Refuse("", 409, "Request with the same idempotency key is still in progress."), postRefund, nil, 2},
		"refund, in progress, in no words":  {refund, razorpaytest.Fault{Status: 409}, postRefund, nil, 2},
		"order, in progress":                {create, razorpaytest.Fault{Status: 409}, postOrder, telemed.ErrAmbiguous, 1},
		"capture, in progress":              {capture, razorpaytest.Fault{Status: 409}, postCapture, telemed.ErrAmbiguous, 1},
		"refund, it stays in progress":      {refund, times(9, razorpaytest.Refuse("", 409, "Request with the same idempotency key is still in progress.")), postRefund, telemed.ErrAmbiguous, 3},
		"refund, always a server error":     {refund, times(9, failing(500)), postRefund, telemed.ErrAmbiguous, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv, client := start(t, razorpaytest.Config{})
			prepare(t, srv, client, tc.op == postCapture)
			before := srv.Count(tc.op)
			srv.FailNext(on(tc.op, tc.fault))
			err := tc.call(t, srv, client)
			require.Equal(t, tc.sent, srv.Count(tc.op)-before, "requests")
			if tc.want == nil {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, tc.want)
				_, typed := errors.AsType[*razorpay.Error](err)
				require.True(t, typed)
			}
			requireOnce(t, srv)
		})
	}
}

// TestOpenOutcome: what may have happened is not reported as not done because a
// repeat was turned away. The first answer is lost or cut, then nothing gets through.
func TestOpenOutcome(t *testing.T) {
	t.Parallel()
	progress := razorpaytest.Refuse("", 409, "Request with the same idempotency key is still in progress.")
	for name, tc := range map[string]struct {
		op    string
		first razorpaytest.Fault
		then  *razorpaytest.Fault // nil: no connection
		want  error               // nil: what happened is found out
	}{
		"refund, lost, no connection":                   {postRefund, lostAnswer, nil, telemed.ErrAmbiguous},
		"refund, cut, no connection":                    {postRefund, cutAnswer, nil, telemed.ErrAmbiguous},
		"refund, lost, too many requests":               {postRefund, lostAnswer, new(rateLimited(0)), telemed.ErrAmbiguous},
		"refund, cut, too many requests":                {postRefund, cutAnswer, new(rateLimited(0)), telemed.ErrAmbiguous},
		"refund, lost, too many requests for an hour":   {postRefund, lostAnswer, new(rateLimited(time.Hour)), telemed.ErrAmbiguous},
		"refund, cut, too many requests for an hour":    {postRefund, cutAnswer, new(rateLimited(time.Hour)), telemed.ErrAmbiguous},
		"refund, cut, the key was taken back":           {postRefund, cutAnswer, new(razorpaytest.Refuse("", 401, "Authentication failed")), telemed.ErrAmbiguous},
		"refund, in progress, too many requests":        {postRefund, progress, new(rateLimited(time.Hour)), telemed.ErrAmbiguous},
		"refund, in progress, no connection":            {postRefund, progress, nil, telemed.ErrAmbiguous},
		"refund, cut, then refused":                     {postRefund, cutAnswer, new(razorpaytest.Refuse("", 400, "The payment has been fully refunded already")), payments.ErrAlreadyRefunded},
		"capture, lost, no connection":                  {postCapture, lostAnswer, nil, telemed.ErrAmbiguous},
		"capture, cut, no connection":                   {postCapture, cutAnswer, nil, telemed.ErrAmbiguous},
		"capture, lost, too many requests":              {postCapture, lostAnswer, new(rateLimited(time.Hour)), nil},
		"capture, cut, too many requests":               {postCapture, cutAnswer, new(rateLimited(time.Hour)), nil},
		"capture, nothing done, too many requests then": {postCapture, lostRequest, new(rateLimited(time.Hour)), telemed.ErrAmbiguous},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv, prepared := start(t, razorpaytest.Config{})
			prepare(t, srv, prepared, tc.op == postCapture)
			client := cutOff(t, srv, func() bool { return tc.then == nil && srv.Count(tc.op) > 0 })
			srv.FailNext(on(tc.op, tc.first))
			if tc.then != nil {
				srv.FailNext(on(tc.op, times(9, *tc.then)))
			}
			var err error
			if tc.op == postRefund {
				_, err = client.Refund(t.Context(), payments.RefundRequest{PaymentID: paymentOf(srv), Key: "cancel_0001"})
			} else {
				_, err = client.Capture(t.Context(), payments.CaptureRequest{PaymentID: paymentOf(srv), Amount: payments.INR(50000)})
			}
			if tc.want == nil {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, tc.want)
			require.NotErrorIs(t, err, telemed.ErrUnavailable)
			require.NotErrorIs(t, err, telemed.ErrRateLimited)
			_, typed := errors.AsType[*razorpay.Error](err)
			require.True(t, typed)
			requireOnce(t, srv)
		})
	}
}

// cutOff returns a client of srv that gets no new connection while gone is true.
func cutOff(t *testing.T, srv *razorpaytest.Server, gone func() bool) *razorpay.Client {
	t.Helper()
	network := &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, kind, address string) (net.Conn, error) {
			if gone() {
				return nil, &net.OpError{Op: "dial", Net: kind, Err: syscall.ECONNREFUSED}
			}
			return new(net.Dialer).DialContext(ctx, kind, address)
		},
	}
	client, err := razorpay.New(razorpay.Config{
		KeyID: srv.KeyID(), KeySecret: srv.KeySecret(), BaseURL: srv.URL(), HTTPClient: &http.Client{Transport: network},
	})
	require.NoError(t, err)
	return client
}

// prepare makes one paid (or authorized) order.
func prepare(t *testing.T, srv *razorpaytest.Server, client *razorpay.Client, manual bool) {
	t.Helper()
	mode := payments.CaptureAutomatic
	if manual {
		mode = payments.CaptureManual
	}
	o, err := client.CreateOrder(t.Context(), payments.OrderRequest{Amount: payments.INR(50000), Key: "bill_0001", Capture: mode})
	require.NoError(t, err)
	pay(t, srv, o)
}

func paymentOf(srv *razorpaytest.Server) string { return srv.PaymentIDs()[0] }

// requireOnce checks that nothing happened twice: no second order for a receipt, no
// second refund.
func requireOnce(t *testing.T, srv *razorpaytest.Server) {
	t.Helper()
	receipts, kinds := map[string]int{}, map[string]int{}
	for _, receipt := range srv.Receipts() {
		if receipts[receipt]++; receipts[receipt] > 1 {
			t.Errorf("two orders for the receipt %s", receipt)
		}
	}
	for _, e := range srv.Events() {
		if kinds[e.Type]++; kinds[e.Type] > 1 {
			t.Errorf("two events %s", e.Type)
		}
	}
}

// TestCallAgain: what ended as unknown comes right when the application calls again, and
// happened once.
func TestCallAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv, client := startInMemory(t, func(*razorpay.Config) {})
		prepare(t, srv, client, false)
		id := paymentOf(srv)

		srv.FailNext(on(postOrder, lostAnswer))
		req := payments.OrderRequest{Amount: payments.INR(70000), Key: "bill_0002"}
		ctx := t.Context()
		_, err := client.CreateOrder(ctx, req)
		require.NoError(t, err, "found by its receipt")
		srv.FailNext(on(postOrder, failing(500)))
		req.Key = "bill_0003"
		_, err = client.CreateOrder(ctx, req)
		require.ErrorIs(t, err, telemed.ErrAmbiguous)
		_, err = client.CreateOrder(ctx, req)
		require.NoError(t, err)

		srv.FailNext(on(postRefund, times(3, cutAnswer)))
		refund := payments.RefundRequest{PaymentID: id, Key: "cancel/1"}
		_, err = client.Refund(ctx, refund)
		require.ErrorIs(t, err, telemed.ErrAmbiguous)
		_, err = client.Refund(ctx, refund)
		require.NoError(t, err)
		requireOnce(t, srv)
	})
}

// TestReceiptTaken is an account that keeps receipts apart by itself, and another
// call that was faster: Razorpay refuses, and the order that there is gets found.
func TestReceiptTaken(t *testing.T) {
	t.Parallel()
	srv, client := start(t, razorpaytest.Config{})
	taken := razorpaytest.Refuse(postOrder, 400, "Order receipt should be unique.")
	faster := taken
	faster.LoseAnswer = true
	srv.FailNext(faster)
	order(t, client)
	requireOnce(t, srv)

	srv.FailNext(taken)
	_, err := client.CreateOrder(t.Context(), payments.OrderRequest{Amount: payments.INR(100), Key: "bill_taken"})
	require.ErrorIs(t, err, payments.ErrKeyConflict, "taken, but by nothing that can be found")
}

// TestSilentConflict: the answer is about an order, payment or refund that is not what
// was asked for.
func TestSilentConflict(t *testing.T) {
	t.Parallel()
	srv, client := start(t, razorpaytest.Config{})
	reply := func(body string) razorpaytest.Fault {
		return razorpaytest.Fault{Status: 200, Body: body}
	}
	for key, body := range map[string]string{
		"bill_1": `{"id":"order_1","receipt":"bill_1","amount":99,"currency":"INR"}`, "bill_2": `{"id":"order_1","receipt":"BILL_2","amount":100,"currency":"INR"}`,
	} {
		srv.FailNext(on(postOrder, reply(body)))
		_, err := client.CreateOrder(t.Context(), payments.OrderRequest{Amount: payments.INR(100), Key: key})
		require.ErrorIs(t, err, payments.ErrKeyConflict)
	}
	srv.FailNext(on(postRefund, reply(`{"id":"rfnd_1","payment_id":"pay_2","amount":100,"currency":"INR"}`)))
	_, err := client.Refund(t.Context(), payments.RefundRequest{PaymentID: "pay_1", Key: "cancel_0001"})
	require.ErrorIs(t, err, payments.ErrKeyConflict)
	srv.FailNext(on(getPayment, reply(`{"id":"pay_1","amount":500,"currency":"INR","status":"captured"}`)),
		on(postRefund, reply(`{"id":"rfnd_1","payment_id":"pay_1","amount":200,"currency":"INR"}`)))
	_, err = client.Refund(t.Context(), payments.RefundRequest{PaymentID: "pay_1", Key: "cancel_0001", Amount: new(payments.INR(100))})
	require.ErrorIs(t, err, payments.ErrKeyConflict, "another amount was given back")
	srv.FailNext(on(postCapture, reply(`{"id":"pay_1","amount":100,"currency":"INR","status":"authorized"}`)))
	_, err = client.Capture(t.Context(), payments.CaptureRequest{PaymentID: "pay_1", Amount: payments.INR(100)})
	require.ErrorIs(t, err, telemed.ErrAmbiguous, "captured, it says, and is not")
	srv.FailNext(on(postCapture, reply(`{"id":"pay_2","amount":100,"currency":"INR","status":"captured"}`)))
	_, err = client.Capture(t.Context(), payments.CaptureRequest{PaymentID: "pay_1", Amount: payments.INR(100)})
	require.ErrorIs(t, err, telemed.ErrAmbiguous, "another payment was captured")
	srv.FailNext(reply(`{"id":"order_2","amount":100,"currency":"INR","status":"paid"}`))
	_, err = client.Order(t.Context(), "order_1")
	require.ErrorIs(t, err, telemed.ErrUnavailable, "another order is paid")
}

// TestUniqueReceipt lets Razorpay itself keep receipts apart: a lost answer is simply
// asked for again.
func TestUniqueReceipt(t *testing.T) {
	t.Parallel()
	srv, client := start(t, razorpaytest.Config{UniqueReceipt: true}, func(c *razorpay.Config) { c.UniqueReceipt = true })
	srv.FailNext(on(postOrder, times(2, lostAnswer)))
	order(t, client)
	require.Equal(t, 3, srv.Count(postOrder))
	require.Zero(t, srv.Count(listOrders), "nothing to look up")
	requireOnce(t, srv)

	_, without := start(t, razorpaytest.Config{}, func(c *razorpay.Config) { c.UniqueReceipt = true })
	_, err := without.CreateOrder(t.Context(), payments.OrderRequest{Amount: payments.INR(100), Key: "bill_1"})
	require.ErrorIs(t, err, telemed.ErrInvalid)
	require.Regexp(t, `^razorpay: CreateOrder: 400 \(BAD_REQUEST_ERROR, reason extra_field_sent\): invalid request \[request id req_\w+\]$`, err.Error())
}

// TestUnreachable: what was never sent has surely not happened, whatever it was.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	srv, client := start(t, razorpaytest.Config{})
	srv.Close()
	_, err := client.Refund(t.Context(), payments.RefundRequest{PaymentID: "pay_1", Key: "cancel_0001"})
	require.ErrorIs(t, err, telemed.ErrUnavailable)
	require.NotErrorIs(t, err, telemed.ErrAmbiguous)
	require.NotContains(t, err.Error(), "/v1/", "no address in an error")
}

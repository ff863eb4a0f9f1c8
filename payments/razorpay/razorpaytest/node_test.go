package razorpaytest_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/internal/signature"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/razorpay/razorpaytest"
)

// sdk is Razorpay's official Node SDK, in a process of its own.
type sdk struct {
	*testing.T
	srv *razorpaytest.Server
	in  io.Writer
	out *bufio.Scanner
}

func startSDK(t *testing.T, cfg razorpaytest.Config) sdk {
	t.Helper()
	if os.Getenv("TELEMED_NODE_MODULES") == "" {
		t.Skip("TELEMED_NODE_MODULES is not set: it names a node_modules folder that holds razorpay 2, " +
			"Razorpay's Node SDK, which would drive the fake here as it drives Razorpay")
	}
	srv := razorpaytest.NewServer(t, cfg)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	cmd := exec.CommandContext(ctx, "node", filepath.Join("testdata", "sdk.cjs"), srv.URL(), srv.KeyID(), srv.KeySecret().Reveal())
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = in.Close() // its end
		_ = cmd.Wait()
		cancel()
	})
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	return sdk{t, srv, in, lines}
}

type object = map[string]any

// call makes a call of the SDK and returns its answer, or what it throws.
func (s sdk) call(name string, args ...any) (answer, failure any) {
	s.Helper()
	line, err := json.Marshal(object{"call": name, "args": append([]any{}, args...)})
	require.NoError(s, err)
	_, err = s.in.Write(append(line, '\n'))
	require.NoError(s, err)
	require.True(s, s.out.Scan(), "the SDK has ended: %v", s.out.Err())
	var got struct{ Answer, Failure any }
	require.NoError(s, json.Unmarshal(s.out.Bytes(), &got))
	return got.Answer, got.Failure
}

// ok makes a call that must succeed.
func (s sdk) ok(name string, args ...any) object {
	s.Helper()
	answer, failure := s.call(name, args...)
	require.Nil(s, failure, name)
	return answer.(object)
}

// refused makes a call that must be refused, and returns what Razorpay says.
func (s sdk) refused(status int, name string, args ...any) any {
	s.Helper()
	answer, failure := s.call(name, args...)
	require.Nil(s, answer, name)
	require.EqualValues(s, status, failure.(object)["statusCode"], "%s: %v", name, failure)
	return failure.(object)["error"].(object)["description"]
}

// items returns a field of each item of a collection.
func items(s sdk, list object, field string) []any {
	s.Helper()
	require.Equal(s, "collection", list["entity"])
	all := []any{}
	for _, item := range list["items"].([]any) {
		all = append(all, item.(object)[field])
	}
	require.EqualValues(s, len(all), list["count"])
	return all
}

// outside are the calls of the SDK that the fake has not, with their arguments: it refuses
// them, with the status.
var outside = map[string]struct {
	status int
	args   []any
}{
	"orders.viewRtoReview":              {404, []any{"order_AAAAAAAAAAAAAA"}},
	"orders.editFulfillment":            {404, []any{"order_AAAAAAAAAAAAAA", object{}}},
	"orders.fetchTransferOrder":         {400, []any{"order_AAAAAAAAAAAAAA"}},
	"payments.createPaymentJson":        {404, []any{object{}}},
	"payments.createRecurringPayment":   {404, []any{object{}}},
	"payments.fetchTransfer":            {404, []any{"pay_AAAAAAAAAAAAAA"}},
	"payments.transfer":                 {404, []any{"pay_AAAAAAAAAAAAAA", object{}}},
	"payments.bankTransfer":             {404, []any{"pay_AAAAAAAAAAAAAA"}},
	"payments.fetchCardDetails":         {404, []any{"pay_AAAAAAAAAAAAAA"}},
	"payments.fetchPaymentDowntime":     {400, nil},
	"payments.fetchPaymentDowntimeById": {404, []any{"down_AAAAAAAAAAAAAA"}},
	"payments.otpGenerate":              {404, []any{"pay_AAAAAAAAAAAAAA"}},
	"payments.otpSubmit":                {404, []any{"pay_AAAAAAAAAAAAAA", object{"otp": "1234"}}},
	"payments.otpResend":                {404, []any{"pay_AAAAAAAAAAAAAA"}},
	"payments.createUpi":                {404, []any{object{}}},
	"payments.validateVpa":              {404, []any{object{"vpa": "success@razorpay"}}},
	"payments.fetchPaymentMethods":      {404, nil},
}

// TestNodeSDK makes every call that the SDK has for orders, payments and refunds, and none is
// forgotten.
func TestNodeSDK(t *testing.T) {
	t.Parallel()
	s := startSDK(t, razorpaytest.Config{UniqueReceipt: true})
	inside := []struct {
		live    func(sdk)
		methods []string
	}{
		{sdk.createOrders, []string{"orders.create"}},
		{sdk.listOrders, []string{"orders.all"}},
		{sdk.readOrder, []string{"orders.fetch", "orders.fetchPayments"}},
		{sdk.editAll, []string{"orders.edit", "payments.edit", "refunds.edit"}},
		{sdk.listPayments, []string{"payments.all", "payments.fetch"}},
		{sdk.capture, []string{"payments.capture"}},
		{sdk.refund, []string{"payments.refund"}},
		{sdk.listRefunds, []string{"payments.fetchMultipleRefund", "payments.fetchRefund", "refunds.all", "refunds.fetch"}},
	}
	known := slices.Collect(maps.Keys(outside))
	for _, group := range inside {
		known = append(known, group.methods...)
	}
	methods, failure := s.call("methods")
	require.Nil(t, failure)
	require.ElementsMatch(t, known, methods)
	for name, call := range outside {
		s.refused(call.status, name, call.args...)
	}
	for _, group := range inside {
		t.Run(strings.Join(group.methods, " "), func(t *testing.T) { group.live(startSDK(t, razorpaytest.Config{UniqueReceipt: true})) })
	}
	s.signatures()
}

// paid makes an order and pays it.
func (s sdk) paid(receipt string) razorpaytest.Paid {
	s.Helper()
	o := s.ok("orders.create", object{"amount": 50000, "currency": "INR", "receipt": receipt})
	paid, err := s.srv.Pay(o["id"].(string))
	require.NoError(s, err)
	return paid
}

func (s sdk) createOrders() {
	notes := object{"visit": "42"}
	o := s.ok("orders.create", object{"amount": 50000, "receipt": "bill_1", "notes": notes})
	require.Equal(s, []any{"order", 50000.0, 0.0, 50000.0, "INR", "created", any(notes)},
		[]any{o["entity"], o["amount"], o["amount_paid"], o["amount_due"], o["currency"], o["status"], o["notes"]})
	again := s.ok("orders.create", object{"amount": 50000, "receipt": "bill_1", "unique_receipt": true})
	require.Equal(s, o["id"], again["id"])
	require.Equal(s, "Order receipt should be unique.",
		s.refused(400, "orders.create", object{"amount": 60000, "receipt": "bill_1", "unique_receipt": true}))

	parts := s.ok("orders.create", object{"amount": 40000, "receipt": "bill_2", "partial_payment": true, "first_payment_min_amount": 10000})
	id := parts["id"].(string)
	_, err := s.srv.PayPart(id, 9999)
	require.Error(s, err)
	for _, want := range []object{{"amount_paid": 10000.0, "amount_due": 30000.0, "status": "attempted"}, {"amount_paid": 40000.0, "amount_due": 0.0, "status": "paid"}} {
		_, err = s.srv.PayPart(id, int64(want["amount_paid"].(float64))-s.paidSoFar(id))
		require.NoError(s, err)
		now := s.ok("orders.fetch", id)
		require.Equal(s, want, object{"amount_paid": now["amount_paid"], "amount_due": now["amount_due"], "status": now["status"]})
	}
	for sent, want := range map[string]string{
		`{"amount":99}`:                 "Order amount less than minimum amount allowed",
		`{"amount":100.5}`:              "The amount must be an integer.",
		`{}`:                            "amount: is required.",
		`{"amount":100,"currency":1}`:   "expected string but provided number",
		`{"amount":100,"transfers":[]}`: "transfers is/are not required and should not be sent",
		`{"amount":100,"first_payment_min_amount":1}`: "first_payment_min_amount is/are not required and should not be sent",
	} {
		require.Equal(s, want, s.refused(400, "orders.create", json.RawMessage(sent)), sent)
	}
}

// paidSoFar is what was paid of an order.
func (s sdk) paidSoFar(id string) int64 {
	return int64(s.ok("orders.fetch", id)["amount_paid"].(float64))
}

func (s sdk) listOrders() {
	begin := time.Now()
	s.paid("bill_1")
	s.srv.Advance(time.Hour)
	s.ok("orders.create", object{"amount": 50000, "receipt": "bill_2"})
	s.srv.Advance(time.Hour)
	s.ok("orders.create", object{"amount": 50000, "receipt": "other"})
	list := func(params object) []any { return items(s, s.ok("orders.all", params), "receipt") }
	require.Equal(s, []any{"other", "bill_2", "bill_1"}, list(object{}))
	require.Equal(s, []any{"bill_2", "bill_1"}, list(object{"receipt": "bill"}))
	require.Equal(s, []any{"bill_2"}, list(object{"count": 1, "skip": 1}))
	require.Equal(s, []any{"bill_1"}, list(object{"authorized": 1}))
	require.Equal(s, []any{"other", "bill_2"}, list(object{"authorized": 0}))
	from, to := begin.Add(30*time.Minute), begin.Add(90*time.Minute)
	require.Equal(s, []any{"bill_2"}, list(object{"from": from.Unix(), "to": to.Unix()}))
	require.Equal(s, []any{"bill_2"}, list(object{"from": from.Truncate(time.Second), "to": to.Truncate(time.Second)}), "as dates")
	expanded := s.ok("orders.all", object{"receipt": "bill_1", "expand[]": "payments"})
	require.Equal(s, []any{"captured"}, items(s, expanded["items"].([]any)[0].(object)["payments"].(object), "status"))
	require.NotContains(s, s.ok("orders.all", object{})["items"].([]any)[0], "payments")
	require.Contains(s, s.refused(400, "orders.all", object{"expand[]": "transfers"}), "must be one of following types")
	require.Equal(s, "The count may not be greater than 100.", s.refused(400, "orders.all", object{"count": 101}))
}

func (s sdk) readOrder() {
	paid := s.paid("bill_1")
	o := s.ok("orders.fetch", paid.OrderID)
	require.Equal(s, []any{"paid", 50000.0, 0.0, 1.0}, []any{o["status"], o["amount_paid"], o["amount_due"], o["attempts"]})
	require.Equal(s, []any{paid.PaymentID}, items(s, s.ok("orders.fetchPayments", paid.OrderID), "id"))
	require.Equal(s, "The id provided does not exist", s.refused(400, "orders.fetch", "order_AAAAAAAAAAAAAA"))
	require.Equal(s, "The id provided does not exist", s.refused(400, "orders.fetchPayments", "order_AAAAAAAAAAAAAA"))
}

func (s sdk) editAll() {
	paid := s.paid("bill_1")
	refund := s.ok("payments.refund", paid.PaymentID, object{"amount": 100})
	notes := object{"visit": "43"}
	for call, id := range map[string]any{"orders": paid.OrderID, "payments": paid.PaymentID, "refunds": refund["id"]} {
		require.Equal(s, any(notes), s.ok(call+".edit", id, object{"notes": notes})["notes"])
		require.Equal(s, any(notes), s.ok(call+".fetch", id)["notes"])
		require.Equal(s, "amount is/are not required and should not be sent",
			s.refused(400, call+".edit", id, object{"notes": notes, "amount": 1}))
		require.Equal(s, "The notes field is required.", s.refused(400, call+".edit", id, object{}))
	}
}

func (s sdk) listPayments() {
	begin := time.Now()
	first := s.paid("bill_1")
	s.srv.Advance(time.Hour)
	second := s.paid("bill_2")
	list := func(params object) []any { return items(s, s.ok("payments.all", params), "id") }
	require.Equal(s, []any{second.PaymentID, first.PaymentID}, list(object{}))
	require.Equal(s, []any{first.PaymentID}, list(object{"to": begin.Add(30 * time.Minute).Unix()}))
	require.Equal(s, []any{second.PaymentID}, list(object{"from": begin.Add(30 * time.Minute).Unix()}))
	require.Equal(s, []any{first.PaymentID}, list(object{"count": 1, "skip": 1}))
	require.Equal(s, "from must be between 946684800 and 4765046400", s.refused(400, "payments.all", object{"from": 1}))

	p := s.ok("payments.fetch", first.PaymentID)
	require.Equal(s, []any{"captured", true, first.OrderID, 1180.0, 180.0}, []any{p["status"], p["captured"], p["order_id"], p["fee"], p["tax"]})
	require.NotContains(s, p, "card")
	require.Contains(s, s.ok("payments.fetch", first.PaymentID, object{"expand[]": "card"}), "card")
	s.ok("payments.refund", first.PaymentID, object{"amount": 100})
	expanded := s.ok("payments.fetch", first.PaymentID, object{"expand[]": []string{"refunds", "offers"}})
	require.Equal(s, []any{100.0}, items(s, expanded["refunds"].(object), "amount"))
	require.Empty(s, items(s, expanded["offers"].(object), "id"))
	all := s.ok("payments.all", object{"expand[]": "refunds"})["items"].([]any)
	require.Equal(s, []any{100.0}, items(s, all[1].(object)["refunds"].(object), "amount"))
	require.Contains(s, s.refused(400, "payments.fetch", first.PaymentID, object{"expand[]": "transaction"}), "must be one of following types")
	require.Contains(s, s.refused(400, "payments.all", object{"expand[]": "transaction"}), "must be one of following types")

	late, err := s.srv.FailPayment(s.ok("orders.create", object{"amount": 50000})["id"].(string))
	require.NoError(s, err)
	require.Equal(s, "failed", s.ok("payments.fetch", late)["status"])
	require.NoError(s, s.srv.AuthorizeLate(late))
	require.Equal(s, []any{"captured", true}, []any{s.ok("payments.fetch", late)["status"], s.ok("payments.fetch", late)["late_authorized"]})
	other := s.ok("orders.create", object{"amount": 50000})["id"].(string)
	converted, err := s.srv.PayAs(other, payments.Money{Minor: 600, Currency: "USD"})
	require.NoError(s, err)
	p = s.ok("payments.fetch", converted.PaymentID)
	require.Equal(s, []any{600.0, "USD", 50000.0, "INR"}, []any{p["amount"], p["currency"], p["base_amount"], p["base_currency"]})
}

func (s sdk) capture() {
	reserved := func(setting any) string {
		o := s.ok("orders.create", object{"amount": 50000, "payment": setting})
		paid, err := s.srv.Pay(o["id"].(string))
		require.NoError(s, err)
		return paid.PaymentID
	}
	id := reserved(object{"capture": "manual", "capture_options": object{"manual_expiry_period": 60, "refund_speed": "normal"}})
	require.Equal(s, "authorized", s.ok("payments.fetch", id)["status"])
	require.Equal(s, "Capture amount must be equal to the amount authorized", s.refused(400, "payments.capture", id, 100, "INR"))
	require.Equal(s, "The currency field is required.", s.refused(400, "payments.capture", id, 50000))
	p := s.ok("payments.capture", id, 50000, "INR")
	require.Equal(s, []any{"captured", true}, []any{p["status"], p["captured"]})
	require.Equal(s, "This payment has already been captured", s.refused(400, "payments.capture", id, 50000, "INR"))

	id = reserved(object{"capture": "manual", "capture_options": object{"manual_expiry_period": 60}})
	s.srv.Advance(59 * time.Minute)
	require.Equal(s, "authorized", s.ok("payments.fetch", id)["status"])
	s.srv.Advance(2 * time.Minute)
	p = s.ok("payments.fetch", id)
	require.Equal(s, []any{"refunded", false, 50000.0}, []any{p["status"], p["captured"], p["amount_refunded"]}, "nobody captured it in time")
	require.Equal(s, []any{50000.0}, items(s, s.ok("refunds.all", object{"payment_id": id}), "amount"))
	require.Equal(s, "captured", s.ok("payments.fetch", reserved(object{"capture": "automatic"}))["status"])
	require.Equal(s, "The selected payment.capture is invalid.", s.refused(400, "orders.create", object{"amount": 50000, "payment": object{"capture": "later"}}))
	require.Equal(s, "x is/are not required and should not be sent", s.refused(400, "orders.create", object{"amount": 50000, "payment": object{"capture": "manual", "x": 1}}))
}

func (s sdk) refund() {
	paid := s.paid("bill_1")
	r := s.ok("payments.refund", paid.PaymentID, object{"amount": 10000, "speed": "optimum", "receipt": "refund_1", "notes": object{"visit": "42"}})
	require.Equal(s, []any{"refund", 10000.0, paid.PaymentID, "processed", "refund_1", "optimum", "instant"},
		[]any{r["entity"], r["amount"], r["payment_id"], r["status"], r["receipt"], r["speed_requested"], r["speed_processed"]})
	r = s.ok("payments.refund", paid.PaymentID, object{"amount": 2468, "speed": "optimum"})
	require.Equal(s, []any{"optimum", "normal"}, []any{r["speed_requested"], r["speed_processed"]}, "what Razorpay's test mode falls back with")
	r = s.ok("payments.refund", paid.PaymentID)
	require.Equal(s, []any{37532.0, "normal", "normal"}, []any{r["amount"], r["speed_requested"], r["speed_processed"]})
	require.Equal(s, "The payment has been fully refunded already", s.refused(400, "payments.refund", paid.PaymentID))
	other := s.paid("bill_2").PaymentID
	require.Equal(s, "The selected speed is invalid.", s.refused(400, "payments.refund", other, object{"speed": "warp"}))
	require.Equal(s, "reverse_all is/are not required and should not be sent", s.refused(400, "payments.refund", other, object{"reverse_all": 1}))
	require.Equal(s, "The id provided does not exist", s.refused(400, "payments.refund", "pay_AAAAAAAAAAAAAA"))
}

func (s sdk) listRefunds() {
	begin := time.Now()
	paid, other := s.paid("bill_1"), s.paid("bill_2")
	first := s.ok("payments.refund", paid.PaymentID, object{"amount": 100})["id"]
	s.srv.Advance(time.Hour)
	second := s.ok("payments.refund", paid.PaymentID, object{"amount": 200})["id"]
	third := s.ok("payments.refund", other.PaymentID, object{"amount": 300})["id"]
	list := func(name string, args ...any) []any { return items(s, s.ok(name, args...), "id") }
	half := begin.Add(30 * time.Minute).Unix()
	require.Equal(s, []any{third, second, first}, list("refunds.all"))
	require.Equal(s, []any{second, first}, list("refunds.all", object{"payment_id": paid.PaymentID}))
	require.Equal(s, []any{first}, list("refunds.all", object{"to": half}))
	require.Equal(s, []any{second}, list("refunds.all", object{"count": 1, "skip": 1}))
	require.Equal(s, []any{second, first}, list("payments.fetchMultipleRefund", paid.PaymentID))
	require.Equal(s, []any{second}, list("payments.fetchMultipleRefund", paid.PaymentID, object{"from": half}))
	require.Equal(s, []any{first}, list("payments.fetchMultipleRefund", paid.PaymentID, object{"count": 1, "skip": 1}))
	require.Equal(s, "status is/are not required and should not be sent",
		s.refused(400, "payments.fetchMultipleRefund", paid.PaymentID, object{"status": "processed"}))
	require.Equal(s, first, s.ok("refunds.fetch", first)["id"])
	require.Equal(s, first, s.ok("refunds.fetch", first, object{"payment_id": paid.PaymentID})["id"])
	require.Equal(s, first, s.ok("payments.fetchRefund", paid.PaymentID, first)["id"])
	require.Equal(s, "The id provided does not exist", s.refused(400, "payments.fetchRefund", other.PaymentID, first))
	require.Equal(s, "The id provided does not exist", s.refused(400, "refunds.fetch", "rfnd_AAAAAAAAAAAAAA"))
}

// signatures has the SDK check what the fake signs.
func (s sdk) signatures() {
	paid := s.paid("bill_signed")
	valid, failure := s.call("validatePaymentVerification",
		object{"order_id": paid.OrderID, "payment_id": paid.PaymentID}, paid.Signature, s.srv.KeySecret().Reveal())
	require.Nil(s, failure)
	require.Equal(s, true, valid)
	e := s.srv.Events()[0]
	valid, failure = s.call("validateWebhookSignature", string(e.Body), signature.Hex([]byte(s.srv.WebhookSecret().Reveal()), e.Body), s.srv.WebhookSecret().Reveal())
	require.Nil(s, failure)
	require.Equal(s, true, valid)
}

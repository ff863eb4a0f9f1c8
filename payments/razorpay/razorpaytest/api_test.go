package razorpaytest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/payments/razorpay/razorpaytest"
)

func reasonOf(doc map[string]any) any {
	inner, _ := doc["error"].(map[string]any)
	return inner["reason"]
}

// TestNothingIsIgnored sends to each operation a parameter that it has not, in its query and
// in its body. Each is refused, and nothing is done.
func TestNothingIsIgnored(t *testing.T) {
	t.Parallel()
	a := api{t, razorpaytest.NewServer(t)}
	id := a.order()
	paid, err := a.srv.Pay(id)
	require.NoError(t, err)
	_, refund := a.post("/v1/payments/"+paid.PaymentID+"/refund", `{"amount":100}`)
	of := strings.NewReplacer("{order}", id, "{payment}", paid.PaymentID, "{refund}", fmt.Sprint(refund["id"]))
	for route, body := range map[string]string{
		"GET /v1/orders": "", "GET /v1/orders/{order}": "", "GET /v1/orders/{order}/payments": "",
		"GET /v1/payments": "", "GET /v1/payments/{payment}": "", "GET /v1/payments/{payment}/refunds": "",
		"GET /v1/payments/{payment}/refunds/{refund}": "", "GET /v1/refunds": "", "GET /v1/refunds/{refund}": "",
		"POST /v1/orders":                     `{"amount":100,"currency":"INR"`,
		"PATCH /v1/orders/{order}":            `{"notes":{"a":"b"}`,
		"PATCH /v1/payments/{payment}":        `{"notes":{"a":"b"}`,
		"PATCH /v1/refunds/{refund}":          `{"notes":{"a":"b"}`,
		"POST /v1/payments/{payment}/capture": `{"amount":50000,"currency":"INR"`,
		"POST /v1/payments/{payment}/refund":  `{"amount":100`,
		"POST /v1/refunds":                    `{"amount":100,"payment_id":"` + paid.PaymentID + `"`,
	} {
		method, path, _ := strings.Cut(of.Replace(route), " ")
		content := ""
		if body != "" {
			content = body + "}"
			status, doc := a.call(method, path, "application/json", body+`,"odd":1}`)
			require.Equal(t, []any{400, "odd is/are not required and should not be sent", "extra_field_sent"}, []any{status, description(doc), reasonOf(doc)}, route)
		}
		status, doc := a.call(method, path+"?odd=1", "application/json", content)
		require.Equal(t, []any{400, "odd is/are not required and should not be sent", "extra_field_sent"}, []any{status, description(doc), reasonOf(doc)}, route)
		if method == http.MethodGet {
			status, doc = a.get(path + "?expand%5B%5D=odd")
			require.Equal(t, 400, status, "%s: %v", route, doc)
			status, _ = a.get(path)
			require.Equal(t, 200, status, route)
		}
	}
	_, orders := a.get("/v1/orders")
	require.Equal(t, 1.0, orders["count"])
	_, refunds := a.get("/v1/refunds")
	require.Equal(t, 1.0, refunds["count"])

	status, _ := a.call(http.MethodGet, "/v1/orders", "", "", "X-Razorpay-Account", "acc_AAAAAAAAAAAAAA")
	require.Equal(t, 400, status, "another account")
	status, _ = a.call(http.MethodGet, "/v1/orders", "", "", "X-Razorpay-Account", a.srv.AccountID())
	require.Equal(t, 200, status)
}

// TestValidation has each parameter with a value that Razorpay does not take.
func TestValidation(t *testing.T) {
	t.Parallel()
	a := api{t, razorpaytest.NewServer(t)}
	for params, want := range map[string]string{
		`"receipt":5`:                            "expected string but provided number",
		`"receipt":["x"]`:                        "expected string but provided another type",
		`"notes":"x"`:                            "The notes must be an array.",
		`"notes":["x"]`:                          "The notes must be an array.",
		`"notes":{"a":{"b":1}}`:                  "notes value should be a string",
		`"partial_payment":"maybe"`:              "The partial_payment field must be true or false.",
		`"payment_capture":"later"`:              "The payment_capture field must be true or false.",
		`"payment":"manual"`:                     "The payment must be an array.",
		`"payment":{}`:                           "The selected payment.capture is invalid.",
		`"payment":{"capture":"manual","odd":1}`: "odd is/are not required and should not be sent",
		`"payment":{"capture":"manual","capture_options":5}`:                                                        "The capture options must be an array.",
		`"payment":{"capture":"manual","capture_options":{"odd":1}}`:                                                "odd is/are not required and should not be sent",
		`"payment":{"capture":"automatic","capture_options":{"automatic_expiry_period":11}}`:                        "The automatic_expiry_period must be at least 12.",
		`"payment":{"capture":"manual","capture_options":{"manual_expiry_period":7201}}`:                            "The manual_expiry_period may not be greater than 7200.",
		`"payment":{"capture":"manual","capture_options":{"automatic_expiry_period":60,"manual_expiry_period":30}}`: "The manual_expiry_period must be at least 60.",
		`"payment":{"capture":"manual","capture_options":{"refund_speed":"optimum"}}`:                               "The selected refund speed is invalid.",
		`"partial_payment":true,"first_payment_min_amount":101`:                                                     "The first payment min amount may not be greater than the amount.",
		`"partial_payment":true,"first_payment_min_amount":0`:                                                       "The first_payment_min_amount must be at least 1.",
		`"partial_payment":true,"first_payment_min_amount":1.5`:                                                     "The first_payment_min_amount must be an integer.",
	} {
		status, doc := a.post("/v1/orders", `{"amount":100,"currency":"INR",`+params+`}`)
		require.Equal(t, []any{400, want}, []any{status, description(doc)}, params)
	}
	for query, want := range map[string]string{
		"count=0": "The count must be at least 1.", "count=x": "The count must be an integer.", "skip=-1": "The skip must be at least 0.", "skip=1.5": "The skip must be an integer.",
		"from=1": "from must be between 946684800 and 4765046400", "to=4765046401": "to must be between 946684800 and 4765046400", "from=yesterday": "The from must be an integer.",
		"authorized=yes": "The authorized field must be true or false.",
	} {
		status, doc := a.get("/v1/orders?" + query)
		require.Equal(t, []any{400, want}, []any{status, description(doc)}, query)
	}
}

// TestNestedForms speaks as libraries do that send no JSON.
func TestNestedForms(t *testing.T) {
	t.Parallel()
	a := api{t, razorpaytest.NewServer(t)}
	post := func(form url.Values) (int, map[string]any) {
		return a.call(http.MethodPost, "/v1/orders", "application/x-www-form-urlencoded", form.Encode())
	}
	form := url.Values{
		"amount": {"50000"}, "currency": {"INR"}, "notes[visit]": {"42"}, "notes[clinic]": {"7"}, "partial_payment": {"1"},
		"payment[capture]": {"manual"}, "payment[capture_options][manual_expiry_period]": {"60"},
	}
	status, doc := post(form)
	require.Equal(t, 200, status, doc)
	require.Equal(t, map[string]any{"visit": "42", "clinic": "7"}, doc["notes"])
	paid, err := a.srv.Pay(doc["id"].(string))
	require.NoError(t, err)
	a.srv.Advance(61 * time.Minute)
	_, doc = a.get("/v1/payments/" + paid.PaymentID)
	require.Equal(t, "refunded", doc["status"], "the option had its effect")
	for name, value := range map[string]string{"payment[capture_options][odd]": "1", "odd[a][b]": "1", "amount[a]": "1", "notes[a": "1"} {
		bad := url.Values{"amount": {"50000"}, "currency": {"INR"}, name: {value}}
		if strings.HasPrefix(name, "payment") {
			bad.Set("payment[capture]", "manual")
		}
		status, _ := post(bad)
		require.Equal(t, 400, status, name)
	}
}

// FuzzOrder sends whatever comes as an order. It is refused in Razorpay's form, or made as it
// was asked for.
func FuzzOrder(f *testing.F) {
	for _, seed := range []string{
		`{"amount":100,"currency":"INR"}`, `{"amount":"100","currency":"INR","receipt":"r","notes":{"a":1}}`, `{"amount":1e3,"currency":"INR"}`,
		`{"amount":100,"currency":"KWD","partial_payment":1,"first_payment_min_amount":10}`, `{"payment":{"capture":"manual","capture_options":{}}}`, `[]`, `null`,
	} {
		f.Add([]byte(seed))
	}
	srv, err := razorpaytest.Start(razorpaytest.Config{InMemory: true})
	require.NoError(f, err)
	f.Cleanup(srv.Close)
	known := map[string]bool{
		"amount": true, "currency": true, "receipt": true, "notes": true, "partial_payment": true, "first_payment_min_amount": true,
		"payment_capture": true, "payment": true,
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL()+"/v1/orders", strings.NewReader(string(body)))
		require.NoError(t, err)
		req.SetBasicAuth(srv.KeyID(), srv.KeySecret().Reveal())
		resp, err := srv.Client().Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		var doc map[string]any
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&doc))
		if resp.StatusCode != http.StatusOK {
			require.Equal(t, 400, resp.StatusCode)
			require.NotEmpty(t, description(doc))
			return
		}
		var asked map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(body, &asked))
		for name := range asked {
			require.True(t, known[name], name)
		}
		want, err := strconv.ParseInt(strings.Trim(string(asked["amount"]), `"`), 10, 64)
		require.NoError(t, err)
		require.Equal(t, strconv.FormatInt(want, 10), fmt.Sprintf("%.0f", doc["amount"]))
	})
}

// TestLists reads all lists by time, by page and expanded, without any SDK.
func TestLists(t *testing.T) {
	t.Parallel()
	a := api{t, razorpaytest.NewServer(t)}
	var orders, paid, refunds []string
	half := make([]int64, 2) // between the first and the second, between the second and the third
	for i := range 3 {
		id := a.order()
		p, err := a.srv.Pay(id)
		require.NoError(t, err)
		_, refund := a.post("/v1/refunds", `{"payment_id":"`+p.PaymentID+`","amount":100}`)
		orders, paid, refunds = append(orders, id), append(paid, p.PaymentID), append(refunds, refund["id"].(string))
		if i < 2 {
			half[i] = time.Now().Add(time.Duration(2*i+1) * 30 * time.Minute).Unix()
			a.srv.Advance(time.Hour)
		}
	}
	ids := func(path string) []string {
		status, doc := a.get(path)
		require.Equal(t, 200, status, "%s: %v", path, doc)
		got := []string{}
		for _, item := range doc["items"].([]any) {
			got = append(got, item.(map[string]any)["id"].(string))
		}
		return got
	}
	for path, all := range map[string][]string{"/v1/orders": orders, "/v1/payments": paid, "/v1/refunds": refunds} {
		require.Equal(t, []string{all[2], all[1], all[0]}, ids(path))
		require.Equal(t, []string{all[1]}, ids(fmt.Sprintf("%s?from=%d&to=%d", path, half[0], half[1])))
		require.Equal(t, []string{all[0]}, ids(fmt.Sprintf("%s?to=%d", path, half[0])))
		require.Equal(t, []string{all[1]}, ids(path+"?count=1&skip=1"))
		require.Empty(t, ids(fmt.Sprintf("%s?from=%d&to=%d", path, half[1], half[0])))
		require.Empty(t, ids(path+"?skip=3"))
	}
	require.Equal(t, refunds[:1], ids("/v1/payments/"+paid[0]+"/refunds"))
	require.Equal(t, paid[:1], ids("/v1/orders/"+orders[0]+"/payments"))
	open := a.order()
	require.Equal(t, []string{open}, ids("/v1/orders?authorized=0"))
	require.Len(t, ids("/v1/orders?authorized=1"), 3)

	_, doc := a.get("/v1/orders/" + orders[0] + "?expand[]=payments.card")
	inner := doc["payments"].(map[string]any)["items"].([]any)[0].(map[string]any)
	require.Equal(t, paid[0], inner["id"])
	require.Contains(t, inner, "card")
	for _, name := range []string{"expand[]", "expand[0]", "expand[expand[]]"} {
		_, doc = a.get("/v1/payments/" + paid[0] + "?" + url.Values{name: {"refunds"}}.Encode())
		require.Equal(t, 1.0, doc["refunds"].(map[string]any)["count"], name)
	}
}

// TestEdits replaces notes, which is all that can be edited.
func TestEdits(t *testing.T) {
	t.Parallel()
	a := api{t, razorpaytest.NewServer(t)}
	_, doc := a.post("/v1/orders", `{"amount":50000,"currency":"INR","notes":{"visit":"42"}}`)
	order := doc["id"].(string)
	paid, err := a.srv.Pay(order)
	require.NoError(t, err)
	_, refund := a.post("/v1/payments/"+paid.PaymentID+"/refund", `{"amount":100}`)
	for _, path := range []string{"/v1/orders/" + order, "/v1/payments/" + paid.PaymentID, "/v1/refunds/" + refund["id"].(string)} {
		status, doc := a.call(http.MethodPatch, path, "application/json", `{"notes":{"clinic":"7"}}`)
		require.Equal(t, []any{200, map[string]any{"clinic": "7"}}, []any{status, doc["notes"]}, path)
		_, doc = a.get(path)
		require.Equal(t, map[string]any{"clinic": "7"}, doc["notes"], path)
		status, doc = a.call(http.MethodPatch, path, "application/json", `{}`)
		require.Equal(t, []any{400, "The notes field is required."}, []any{status, description(doc)}, path)
		status, _ = a.call(http.MethodPatch, path, "application/json", `{"notes":"x"}`)
		require.Equal(t, 400, status, path)
	}
	status, _ := a.call(http.MethodPatch, "/v1/orders/order_AAAAAAAAAAAAAA", "application/json", `{"notes":{}}`)
	require.Equal(t, 400, status)
}

// TestInstalments: the order knows what was paid, and only the last instalment pays it.
func TestInstalments(t *testing.T) {
	t.Parallel()
	a := api{t, razorpaytest.NewServer(t)}
	_, err := a.srv.PayPart(a.order(), 10000)
	require.ErrorContains(t, err, "different from your order amount", "only where the order allows it")
	_, doc := a.post("/v1/orders", `{"amount":40000,"currency":"INR","partial_payment":true,"first_payment_min_amount":5000}`)
	id := doc["id"].(string)
	for part, want := range map[int64]string{4999: "first payment minimum", 40001: "greater than the amount due", 0: "greater than the amount due"} {
		_, err = a.srv.PayPart(id, part)
		require.ErrorContains(t, err, want)
	}
	for _, part := range []int64{5000, 1000} {
		_, err = a.srv.PayPart(id, part)
		require.NoError(t, err)
	}
	_, doc = a.get("/v1/orders/" + id)
	require.Equal(t, []any{"attempted", 6000.0, 34000.0, 2.0}, []any{doc["status"], doc["amount_paid"], doc["amount_due"], doc["attempts"]})
	_, err = a.srv.Pay(id) // the rest
	require.NoError(t, err)
	_, doc = a.get("/v1/orders/" + id)
	require.Equal(t, []any{"paid", 40000.0, 0.0}, []any{doc["status"], doc["amount_paid"], doc["amount_due"]})
	kinds := map[string]int{}
	for _, e := range a.srv.Events() {
		kinds[e.Type]++
	}
	require.Equal(t, map[string]int{"payment.authorized": 3, "payment.captured": 3, "order.paid": 1}, kinds)
}

// TestLateAndForgotten plays banks that answer late, and payments that nobody captures.
func TestLateAndForgotten(t *testing.T) {
	t.Parallel()
	a := api{t, razorpaytest.NewServer(t)}
	payment := func(id string) map[string]any { _, doc := a.get("/v1/payments/" + id); return doc }
	fail := func() (orderID, paymentID string) {
		o := a.order()
		id, err := a.srv.FailPayment(o)
		require.NoError(t, err)
		return o, id
	}
	events := func(since int) (kinds []string) {
		for _, e := range a.srv.Events()[since:] {
			kinds = append(kinds, e.Type)
		}
		return kinds
	}

	_, late := fail()
	since := len(a.srv.Events())
	require.NoError(t, a.srv.AuthorizeLate(late))
	require.Equal(t, []string{"payment.authorized", "payment.captured", "order.paid"}, events(since))
	require.Equal(t, []any{"captured", true, nil}, []any{payment(late)["status"], payment(late)["late_authorized"], payment(late)["error_code"]})
	require.ErrorContains(t, a.srv.AuthorizeLate(late), "not failed")

	paidOrder, second := fail()
	_, err := a.srv.Pay(paidOrder)
	require.NoError(t, err)
	since = len(a.srv.Events())
	require.NoError(t, a.srv.AuthorizeLate(second))
	require.Equal(t, []string{"payment.authorized", "refund.created", "refund.processed"}, events(since))
	require.Equal(t, []any{"refunded", false, "full"}, []any{payment(second)["status"], payment(second)["captured"], payment(second)["refund_status"]})

	_, forgotten := fail()
	a.srv.Advance(3*24*time.Hour + time.Minute)
	require.NoError(t, a.srv.AuthorizeLate(forgotten))
	require.Equal(t, "authorized", payment(forgotten)["status"], "too late to be captured by itself")
	require.NoError(t, a.srv.AutoRefund(forgotten))
	require.Equal(t, []any{"refunded", false}, []any{payment(forgotten)["status"], payment(forgotten)["captured"]})
	require.ErrorContains(t, a.srv.AutoRefund(forgotten), "not authorized")
	require.Error(t, a.srv.AutoRefund("pay_x"))
	require.Error(t, a.srv.AuthorizeLate("pay_x"))
}

// TestFailedRefundOfAnAutoRefund: the payment is again what it was.
func TestFailedRefundOfAnAutoRefund(t *testing.T) {
	t.Parallel()
	a := api{t, razorpaytest.NewServer(t, razorpaytest.Config{ManualCapture: true, PendingRefunds: true})}
	paid, err := a.srv.Pay(a.order())
	require.NoError(t, err)
	a.srv.Advance(4 * 24 * time.Hour)
	_, refunds := a.get("/v1/payments/" + paid.PaymentID + "/refunds?" + url.Values{"count": {"5"}}.Encode())
	refund := refunds["items"].([]any)[0].(map[string]any)
	require.Equal(t, "pending", refund["status"])
	require.NoError(t, a.srv.SettleRefund(refund["id"].(string), false))
	_, doc := a.get("/v1/payments/" + paid.PaymentID)
	require.Equal(t, []any{"authorized", 0.0, nil}, []any{doc["status"], doc["amount_refunded"], doc["refund_status"]})
	a.srv.Advance(24 * time.Hour)
	_, refunds = a.get("/v1/refunds")
	require.Equal(t, 1.0, refunds["count"], "it is not begun again by itself")
}

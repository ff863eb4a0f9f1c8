package razorpaytest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/leaktest"
	"github.com/telemed-go/telemed/internal/signature"
	"github.com/telemed-go/telemed/payments/razorpay/razorpaytest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// api asks the server without any SDK, as another language's would.
type api struct {
	*testing.T
	srv *razorpaytest.Server
}

func (a api) call(method, path, contentType, body string, headers ...string) (int, map[string]any) {
	a.Helper()
	req, err := http.NewRequestWithContext(a.Context(), method, a.srv.URL()+path, strings.NewReader(body))
	require.NoError(a, err)
	req.SetBasicAuth(a.srv.KeyID(), a.srv.KeySecret().Reveal())
	req.Header.Set("Content-Type", contentType)
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(a, err)
	defer resp.Body.Close()
	var doc map[string]any
	require.NoError(a, json.NewDecoder(resp.Body).Decode(&doc))
	return resp.StatusCode, doc
}

func (a api) post(path, body string, headers ...string) (int, map[string]any) {
	a.Helper()
	return a.call(http.MethodPost, path, "application/json", body, headers...)
}

func (a api) get(path string) (int, map[string]any) {
	a.Helper()
	return a.call(http.MethodGet, path, "", "")
}

func (a api) order() string {
	a.Helper()
	status, doc := a.post("/v1/orders", `{"amount":50000,"currency":"INR","receipt":"bill_1"}`)
	require.Equal(a, 200, status, doc)
	return doc["id"].(string)
}

func description(doc map[string]any) any {
	inner, _ := doc["error"].(map[string]any)
	return inner["description"]
}

func TestDocuments(t *testing.T) {
	t.Parallel()
	a := api{t, razorpaytest.NewServer(t)}
	id := a.order()
	_, doc := a.get("/v1/orders/" + id + "/")
	created := doc["created_at"].(float64)
	require.Equal(t, map[string]any{
		"id": id, "entity": "order", "amount": 50000.0, "amount_paid": 0.0, "amount_due": 50000.0, "currency": "INR", "receipt": "bill_1",
		"offer_id": nil, "status": "created", "attempts": 0.0, "notes": []any{}, "created_at": created,
	}, doc)
	require.Regexp(t, `^order_[A-Z0-9]{14}$`, id)

	paid, err := a.srv.Pay(id)
	require.NoError(t, err)
	require.Equal(t, signature.Hex([]byte(a.srv.KeySecret().Reveal()), []byte(id+"|"+paid.PaymentID)), paid.Signature)
	_, doc = a.get("/v1/payments/" + paid.PaymentID)
	require.Equal(t, "captured", doc["status"])
	require.Equal(t, id, doc["order_id"])
	status, refund := a.post("/v1/payments/"+paid.PaymentID+"/refund", "{}")
	require.Equal(t, 200, status)
	require.Equal(t, "processed", refund["status"])
	_, again := a.get("/v1/refunds/" + refund["id"].(string))
	require.Equal(t, refund, again)
	_, list := a.get("/v1/payments/" + paid.PaymentID + "/refunds")
	require.Equal(t, map[string]any{"entity": "collection", "count": 1.0, "items": []any{refund}}, list)
	_, doc = a.get("/v1/payments/" + paid.PaymentID)
	require.Equal(t, []any{"refunded", "full", 50000.0}, []any{doc["status"], doc["refund_status"], doc["amount_refunded"]})
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	a := api{t, razorpaytest.NewServer(t)}
	long, notes := strings.Repeat("x", 41), []string{}
	for i := range 16 {
		notes = append(notes, fmt.Sprintf(`"k%d":"v"`, i))
	}
	for body, want := range map[string]string{
		`{}`:                                   "amount: is required.",
		`{"amount":100.5,"currency":"INR"}`:    "The amount must be an integer.",
		`{"amount":99,"currency":"INR"}`:       "Order amount less than minimum amount allowed",
		`{"amount":50000001,"currency":"INR"}`: "Amount exceeds maximum amount allowed.",
		`{"amount":100}`:                       "The currency field is required.",
		`{"amount":100,"currency":"XYZ"}`:      "Currency is not supported",
		`{"amount":99991,"currency":"KWD"}`:    "The last digit of the amount must be 0 for this currency.",
		`{"amount":100,"currency":"INR","receipt":"` + long + `"}`:                   "The receipt may not be greater than 40 characters.",
		`{"amount":100,"currency":"INR","notes":{` + strings.Join(notes, ",") + `}}`: "Number of fields in notes should be less than or equal to 15",
		`{"amount":100,"currency":"INR","unique_receipt":true}`:                      "unique_receipt is/are not required and should not be sent",
		`{"amount":`: "The request body could not be read.",
	} {
		status, doc := a.post("/v1/orders", body)
		require.Equal(t, 400, status, body)
		require.Equal(t, want, description(doc), body)
	}
	status, doc := a.get("/v1/orders/order_AAAAAAAAAAAAAA")
	require.Equal(t, []any{400, "The id provided does not exist"}, []any{status, description(doc)})
	status, doc = a.get("/v1/payments/pay_x")
	require.Equal(t, []any{400, "x is not a valid id"}, []any{status, description(doc)})
	status, _ = a.get("/v1/orders/x/y/z")
	require.Equal(t, 404, status)
	status, _ = a.get("/v2/orders")
	require.Equal(t, 404, status)
	status, doc = a.get("/v1/orders?count=101")
	require.Equal(t, []any{400, "The count may not be greater than 100."}, []any{status, description(doc)})

	resp, err := http.Get(a.srv.URL() + "/v1/orders")
	require.NoError(t, err)
	_ = resp.Body.Close()
	require.Equal(t, http.StatusUnauthorized, resp.StatusCode)
}

// TestForms speaks as the PHP library does: form bodies, slashes at the end, refunds at
// their own path.
func TestForms(t *testing.T) {
	t.Parallel()
	a := api{t, razorpaytest.NewServer(t)}
	form := url.Values{"amount": {"50000"}, "currency": {"INR"}, "receipt": {"bill_1"}, "notes[visit]": {"42"}, "payment_capture": {"0"}}
	status, doc := a.call(http.MethodPost, "/v1/orders/", "application/x-www-form-urlencoded", form.Encode())
	require.Equal(t, 200, status, doc)
	require.Equal(t, map[string]any{"visit": "42"}, doc["notes"])
	paid, err := a.srv.Pay(doc["id"].(string))
	require.NoError(t, err)
	_, err = a.srv.Pay(doc["id"].(string))
	require.ErrorContains(t, err, "authorized payment")
	status, doc = a.call(http.MethodPost, "/v1/payments/"+paid.PaymentID+"/capture", "application/x-www-form-urlencoded", "amount=50000&currency=INR")
	require.Equal(t, []any{200, "captured"}, []any{status, doc["status"]})
	status, doc = a.post("/v1/payments/"+paid.PaymentID+"/capture", `{"amount":50000,"currency":"INR"}`)
	require.Equal(t, []any{400, "This payment has already been captured"}, []any{status, description(doc)})
	status, doc = a.call(http.MethodPost, "/v1/refunds/", "application/x-www-form-urlencoded", "payment_id="+paid.PaymentID+"&amount=100")
	require.Equal(t, []any{200, 100.0}, []any{status, doc["amount"]})
}

func TestRefundKeys(t *testing.T) {
	t.Parallel()
	a := api{t, razorpaytest.NewServer(t)}
	paid, err := a.srv.Pay(a.order())
	require.NoError(t, err)
	path := "/v1/payments/" + paid.PaymentID + "/refund"
	refund := func(body, key string) (int, map[string]any) {
		return a.post(path, body, "X-Refund-Idempotency", key)
	}
	_, first := refund(`{"amount":100,"speed":"normal"}`, "key_000001")
	status, again := refund(`{"speed":"normal","amount":100}`, "key_000001")
	require.Equal(t, 200, status)
	require.Equal(t, first, again)
	status, doc := refund(`{"amount":101}`, "key_000001")
	require.Equal(t, []any{409, "Different request with the same idempotency key has already been processed."}, []any{status, description(doc)})
	status, _ = refund(`{"amount":100}`, "short")
	require.Equal(t, 400, status)
	status, doc = refund(`{"amount":50000}`, "key_000002")
	require.Equal(t, []any{400, "The total refund amount is greater than the refund payment amount"}, []any{status, description(doc)})
	status, doc = refund(`{"amount":49900}`, "key_000002")
	require.Equal(t, 200, status, "what was refused has not used up the key: %v", doc)
	status, doc = refund(`{}`, "key_000003")
	require.Equal(t, []any{400, "The payment has been fully refunded already"}, []any{status, description(doc)})
}

// hook is an application's webhook route that answers from a list of statuses, then 200.
type hook struct {
	statuses []int
	calls    atomic.Int32
	got      chan string
}

func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var e struct{ Event string }
	_ = json.Unmarshal(body, &e)
	h.got <- e.Event + " " + r.Header.Get("X-Razorpay-Event-Id") + " " + r.Header.Get("X-Razorpay-Signature") + " " + string(body)
	if n := int(h.calls.Add(1)); n <= len(h.statuses) {
		w.WriteHeader(h.statuses[n-1])
	}
}

func TestWebhooks(t *testing.T) {
	t.Parallel()
	srv := razorpaytest.NewServer(t)
	host := &hook{statuses: []int{500, 503}, got: make(chan string, 100)}
	listener := httptest.NewServer(host)
	t.Cleanup(listener.Close)
	srv.SetWebhookURL(listener.URL)
	paid, err := srv.Pay(api{t, srv}.order())
	require.NoError(t, err)
	require.NoError(t, srv.WaitWebhooks(t.Context()))

	var types []string
	for range 5 {
		parts := strings.SplitN(<-host.got, " ", 4)
		types = append(types, parts[0])
		require.Equal(t, signature.Hex([]byte(srv.WebhookSecret().Reveal()), []byte(parts[3])), parts[2])
		require.Contains(t, parts[3], paid.PaymentID)
	}
	require.Equal(t, []string{"payment.authorized", "payment.captured", "order.paid", "payment.authorized", "payment.captured"}, types,
		"what was not taken comes again, behind what came after it")
	statuses := []int{}
	for _, d := range srv.Deliveries() {
		statuses = append(statuses, d.Status)
	}
	require.Equal(t, []int{500, 503, 200, 200, 200}, statuses)

	// Held back, they go out as the test wants: backwards, and each twice.
	srv.HoldWebhooks()
	status, _ := api{t, srv}.post("/v1/payments/"+paid.PaymentID+"/refund", "{}")
	require.Equal(t, 200, status)
	events := srv.Events()[3:]
	require.Empty(t, host.got)
	for _, e := range slices.Backward(events) {
		for range 2 {
			status, err := srv.Deliver(t.Context(), e)
			require.NoError(t, err)
			require.Equal(t, 200, status)
			require.True(t, strings.HasPrefix(<-host.got, e.Type+" "+e.ID))
		}
	}
	require.Equal(t, "refund.processed", events[1].Type)
	e, err := srv.NewEvent("settlement.processed", map[string]any{"settlement": map[string]any{"entity": map[string]any{"id": "setl_1"}}})
	require.NoError(t, err)
	_, err = srv.Deliver(t.Context(), e)
	require.NoError(t, err)
	require.Contains(t, <-host.got, `"contains":["settlement"]`)
}

func TestWebhookGivesUp(t *testing.T) {
	t.Parallel()
	srv := razorpaytest.NewServer(t)
	_, err := srv.Deliver(t.Context(), razorpaytest.Event{})
	require.ErrorContains(t, err, "no webhook URL")
	srv.SetWebhookURL("http://127.0.0.1:1/nobody")
	_, err = srv.Pay(api{t, srv}.order())
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, srv.WaitWebhooks(ctx), context.DeadlineExceeded)
	srv.Close() // in the midst of it
	srv.Close()
}

func TestCheckoutPage(t *testing.T) {
	t.Parallel()
	a := api{t, razorpaytest.NewServer(t)}
	page := func(resp *http.Response, err error) (int, string) {
		t.Helper()
		require.NoError(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, string(body)
	}
	id := a.order()
	status, body := page(http.Get(a.srv.CheckoutURL(id, "https://hospital.example/paid?bill=1") + "&name=%3Cb%3ELotus"))
	require.Equal(t, 200, status)
	require.Contains(t, body, "&lt;b&gt;Lotus", "names are escaped")
	require.Contains(t, body, `name="viewport"`)
	require.NotContains(t, body, "<script", "the page works without JavaScript")

	for name, query := range map[string]string{
		"no such order":                 "order_id=order_x&callback_url=https://h",
		"no callback":                   "order_id=" + id,
		"a callback that is a script":   "order_id=" + id + "&callback_url=javascript:alert(1)",
		"a way back that is a script":   "order_id=" + id + "&callback_url=https://h&cancel_url=javascript:alert(1)",
		"the key of another account":    "order_id=" + id + "&callback_url=https://h&key=rzp_test_x",
		"the key id of another account": "order_id=" + id + "&callback_url=https://h&key_id=rzp_test_x",
	} {
		status, body := page(http.Get(a.srv.URL() + "/checkout?" + query))
		require.GreaterOrEqual(t, status, 400, name)
		require.NotContains(t, body, "<form", name)
	}
	form := url.Values{"order_id": {id}, "callback_url": {"https://hospital.example/paid"}, "key_id": {a.srv.KeyID()}}
	// Razorpay's hosted form.
	status, body = page(http.PostForm(a.srv.URL()+"/v1/checkout/embedded", form))
	require.Equal(t, 200, status)
	require.Contains(t, body, "INR 500.00")

	status, _ = page(http.PostForm(a.srv.URL()+"/checkout", form))
	require.Equal(t, 400, status, "no button")
	form.Set("outcome", "fail")
	status, body = page(http.PostForm(a.srv.URL()+"/checkout", form))
	require.Equal(t, 200, status)
	require.Contains(t, body, `name="error[reason]" value="payment_failed"`)
	form.Set("outcome", "pay")
	status, body = page(http.PostForm(a.srv.URL()+"/checkout", form))
	require.Equal(t, 200, status)
	require.Contains(t, body, `<form method="post" action="https://hospital.example/paid" id="back">`)
	require.Contains(t, body, `name="razorpay_signature"`)
	status, _ = page(http.PostForm(a.srv.URL()+"/checkout", form))
	require.Equal(t, 400, status, "the button was pressed twice")
}

func TestStartRefuses(t *testing.T) {
	t.Parallel()
	_, err := razorpaytest.Start(razorpaytest.Config{Addr: "0.0.0.0", KeyID: "rzp_live_1", WebhookURL: "x", MaxAmount: -1})
	require.ErrorIs(t, err, telemed.ErrInvalid)
	require.Equal(t, "razorpaytest: Addr is not a host and a port; KeyID does not start with rzp_test_: a live key has no business here; "+
		"WebhookURL is not an http(s) address; MaxAmount must be more than zero", err.Error())
}

func ExampleServer_Pay() {
	srv, err := razorpaytest.Start(razorpaytest.Config{KeyID: "rzp_test_example", KeySecret: telemed.NewSecret("secret")})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()
	req, _ := http.NewRequest(http.MethodPost, srv.URL()+"/v1/orders", strings.NewReader(`{"amount":50000,"currency":"INR","receipt":"bill_1"}`))
	req.SetBasicAuth("rzp_test_example", "secret")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	var order struct{ ID, Status string }
	_ = json.NewDecoder(resp.Body).Decode(&order)
	fmt.Println(order.Status)

	_, err = srv.Pay(order.ID)
	fmt.Println(err)
	for _, e := range srv.Events() {
		fmt.Println(e.Type)
	}
	// Output:
	// created
	// <nil>
	// payment.authorized
	// payment.captured
	// order.paid
}

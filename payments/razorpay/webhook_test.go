package razorpay_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/signature"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/razorpay"
)

// Vectors that other implementations (node, python, openssl) agree on.
const (
	testKey                    = "tm_test_key_secret_0001"
	signedOrder, signedPayment = "order_TM00000000000A", "pay_TM00000000000A"

	testHook    = "tm_test_webhook_secret_01"
	checkoutSig = "e64f03822bb5712589688b3aefe31715b3d59a07e9a271abbc35dba8099f87de"
	hookBody    = `{"entity":"event","account_id":"acc_TM00000000000A","event":"payment.captured","contains":["payment"],"payload":{"payment":{"entity":{"id":"pay_TM00000000000A","entity":"payment","amount":50000,"currency":"INR","status":"captured","order_id":"order_TM00000000000A","notes":[],"fee":1180,"tax":180,"created_at":1767225600}}},"created_at":1767225601}`
	hookSig     = "b7a3a32dfd7e8ec55e88dab75b3333cd7ec513032fd30defd01608f2077c5c01"
	emptyKeySig = "83550794a688a796b97a9ae8440de7485bbe3514b371cd065e41392df36db505"
)

func offline(t testing.TB, secrets ...string) *razorpay.Client {
	t.Helper()
	cfg := razorpay.Config{KeyID: "rzp_test_1", KeySecret: telemed.NewSecret(testKey), BaseURL: "http://127.0.0.1:1"}
	for _, s := range secrets {
		cfg.WebhookSecrets = append(cfg.WebhookSecrets, telemed.NewSecret(s))
	}
	client, err := razorpay.New(cfg)
	require.NoError(t, err)
	return client
}

func TestCheckoutSignature(t *testing.T) {
	t.Parallel()
	client := offline(t)
	const orderID, paymentID = signedOrder, signedPayment
	require.NoError(t, client.CheckSignature(orderID, paymentID, checkoutSig))
	require.NoError(t, client.CheckSignature(orderID, paymentID, strings.ToUpper(checkoutSig)))
	for name, sig := range map[string]string{
		"empty": "", "cut": checkoutSig[:62], "longer": checkoutSig + "00", "one digit": "f" + checkoutSig[1:], "no hex": strings.Repeat("z", 64),
		"subscription order of the parts": "b95e11e4425012bdadfac5adc8be47770f8901777f7a0431e3b2495726eff4d0",
	} {
		require.ErrorIs(t, client.CheckSignature(orderID, paymentID, sig), telemed.ErrSignature, name)
	}
	require.ErrorIs(t, client.CheckSignature(orderID, "pay_TM00000000000B", checkoutSig), telemed.ErrSignature)
	require.ErrorIs(t, client.CheckSignature(paymentID, orderID, checkoutSig), telemed.ErrInvalid, "swapped")
}

func header(sig string) http.Header {
	h := http.Header{}
	h.Set("X-Razorpay-Signature", sig)
	h.Set("x-razorpay-event-id", "evt_TM1")
	return h
}

func TestParseWebhook(t *testing.T) {
	t.Parallel()
	e, err := offline(t, testHook).ParseWebhook(header(hookSig), []byte(hookBody))
	require.NoError(t, err)
	require.Equal(t, "evt_TM1", e.ID)
	require.Equal(t, payments.EventPaymentCaptured, e.Type)
	require.Equal(t, "acc_TM00000000000A", e.AccountID)
	require.Equal(t, time.Unix(1767225601, 0).UTC(), e.CreatedAt)
	require.Equal(t, payments.INR(50000), e.Payment.Amount)
	require.Equal(t, payments.PaymentCaptured, e.Payment.Status)
	require.Equal(t, "payment:pay_TM00000000000A:captured", e.Fact(), "the order is not in it, and may be paid in part")
	require.Nil(t, e.Order)
	require.Nil(t, e.Unread)
	require.True(t, e.Payment.Captured)
	require.Equal(t, []payments.Money{payments.INR(1180), payments.INR(180)}, []payments.Money{e.Payment.Fee, e.Payment.Tax})
	require.Equal(t, hookBody, string(e.Raw))

	rotated := offline(t, "the_new_secret", testHook)
	_, err = rotated.ParseWebhook(header(hookSig), []byte(hookBody))
	require.NoError(t, err, "signed before the secret was changed")

	var document map[string]any
	require.NoError(t, json.Unmarshal([]byte(hookBody), &document))
	rewritten, err := json.Marshal(document)
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		client    *razorpay.Client
		sig, body string
	}{
		"no signature":                   {offline(t, testHook), "", hookBody},
		"signed with the empty key":      {offline(t, testHook), emptyKeySig, hookBody},
		"no secret is configured":        {offline(t), emptyKeySig, hookBody},
		"signed with the API key":        {offline(t, testHook), signature.Hex([]byte(testKey), []byte(hookBody)), hookBody},
		"one bit changed":                {offline(t, testHook), hookSig, strings.Replace(hookBody, "50000", "50001", 1)},
		"decoded and encoded on the way": {offline(t, testHook), hookSig, string(rewritten)},
		"another secret":                 {offline(t, "another"), hookSig, hookBody},
	} {
		_, err := tc.client.ParseWebhook(header(tc.sig), []byte(tc.body))
		require.ErrorIs(t, err, telemed.ErrSignature, name)
	}
}

// A webhook that is mounted wrongly, or has the wrong secret, says so in words of its
// own.
func TestSignatureHints(t *testing.T) {
	t.Parallel()
	const body = `{"event":"payment.captured","payload":{"url":"https:\/\/clinic.example"}}`
	sign := func(secret string) string { return signature.Hex([]byte(secret), []byte(body)) }
	for want, tc := range map[string]struct{ sig, body string }{
		"the header X-Razorpay-Signature is missing": {"", body},
		"64 hexadecimal digits":                      {sign(testHook)[1:], body},
		"the secret of the API key":                  {sign(testKey), body},
		"the same body in another form":              {sign(testHook), strings.ReplaceAll(body, `\/`, "/")},
		"the body was cut":                           {sign(testHook), body[:50]},
		"the body is empty":                          {sign(testHook), ""},
		"the secret is another":                      {sign("another"), body},
		"not an event of this provider":              {sign("another"), `{"object":"event"}`},
	} {
		_, err := offline(t, "zkmark", testHook).ParseWebhook(header(tc.sig), []byte(tc.body))
		require.ErrorIs(t, err, telemed.ErrSignature, want)
		require.ErrorContains(t, err, "razorpay: ParseWebhook: signature mismatch: ")
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "zkmark")
	}
}

// TestP7OddFieldCostsThatField: what is signed and odd in one field is told, without that
// field. What is no event at all is not answered 200 before the application has it.
func TestP7OddFieldCostsThatField(t *testing.T) {
	t.Parallel()
	entity := func(field, value string) string {
		fields := map[string]string{
			"id": `"pay_A"`, "order_id": `"order_A"`, "amount": "50000", "amount_refunded": "0", "currency": `"INR"`, "status": `"captured"`, "fee": "1180",
			"tax": "180", "captured": "true", "created_at": "1767225600",
		}
		fields[field] = value
		var members []string
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			members = append(members, strconv.Quote(name)+":"+fields[name])
		}
		return "{" + strings.Join(members, ",") + "}"
	}
	client := offline(t, testHook)
	parse := func(body string) *payments.Event {
		t.Helper()
		e, err := client.ParseWebhook(header(signature.Hex([]byte(testHook), []byte(body))), []byte(body))
		require.NoError(t, err, body)
		return e
	}
	whole := parse(`{"event":"payment.captured","payload":{"payment":{"entity":` + entity("x", "null") + `}}}`).Payment
	for field, values := range map[string][]string{
		"amount": {"50000.00", "5e4", `"50,000"`, "{}", "[]", "true", "9223372036854775808"}, "amount_refunded": {"0.5", "{}"},
		"fee": {"11.80", "{}"}, "tax": {"1.8"}, "captured": {`"maybe"`, "{}"}, "status": {"{}", "[1]"}, "order_id": {"{}"}, "currency": {"[]"},
		"created_at": {`"2026-01-01T00:00:00Z"`, "1767225600.0", "{}"},
	} {
		for _, value := range values {
			e := parse(`{"event":"payment.captured","payload":{"payment":{"entity":` + entity(field, value) + `}}}`)
			require.Equal(t, []string{"payment." + field}, e.Unread, value)
			require.Equal(t, "pay_A", e.Payment.ID)
			if field != "amount" && field != "currency" {
				require.Equal(t, whole.Amount, e.Payment.Amount, "%s of %s", value, field)
			}
			if field == "amount" {
				require.Zero(t, e.Payment.Amount, "never a number that was not sent: %s", value)
			}
			if field != "status" {
				require.Equal(t, whole.Status, e.Payment.Status)
				require.True(t, e.Payment.Captured, "the status says so, whatever %s says", field)
			}
		}
	}
	e := parse(`{"event":"order.paid","created_at":"today","payload":{"order":{"entity":{"id":"order_A","attempts":"n/a","amount":50000,"currency":"INR","status":"paid"}},"payment":{"entity":` + entity("x", "1") + `}}}`)
	require.Equal(t, []string{"created_at", "order.attempts"}, e.Unread)
	require.Equal(t, payments.INR(50000), e.Order.Amount)
	require.Equal(t, "order:order_A:paid", e.Fact())
}

// Only what is no event goes to Unread.
func TestSignedButUnread(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"payload": `{"event":"order.paid","payload":[]}`, "no object": `[{"event":"order.paid"}]`, "no type": `{"payload":{}}`, "no JSON": `event=order.paid`,
	} {
		var unread []string
		handle := func(context.Context, payments.Event) error { t.Error("handled"); return nil }
		cfg := payments.WebhookConfig{Parser: offline(t, testHook), Handle: handle}
		post := func() int {
			webhook, err := payments.NewWebhook(cfg)
			require.NoError(t, err)
			return deliver(webhook, body)
		}
		require.Equal(t, 500, post(), name)
		cfg.Unread = func(_ context.Context, e payments.UnreadEvent) error {
			unread = append(unread, e.Header.Get("X-Razorpay-Event-Id"), string(e.Raw))
			return nil
		}
		require.Equal(t, 200, post(), name)
		require.Equal(t, []string{"evt_TM1", body}, unread, name)
	}
}

// deliver posts a signed body and returns the status of the answer.
func deliver(h http.Handler, body string) int { return deliverAs(h, "evt_TM1", body) }

// deliverAs is deliver with the id of the event.
func deliverAs(h http.Handler, id, body string) int {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	r.Header = header(signature.Hex([]byte(testHook), []byte(body)))
	r.Header.Set("X-Razorpay-Event-Id", id)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code
}

// TestEventShapes are the shapes that break readers that expect one: all signed, all to
// be read.
func TestEventShapes(t *testing.T) {
	t.Parallel()
	client := offline(t, testHook)
	parse := func(body string) (*payments.Event, error) {
		return client.ParseWebhook(header(signature.Hex([]byte(testHook), []byte(body))), []byte(body))
	}
	e, err := parse(`{"event":"refund.speed_changed","payload":{"refund":{"entity":{"id":"rfnd_1","payment_id":"pay_1","amount":"500","currency":"inr","notes":null}},
		"payment":{"entity":{"id":"pay_1","amount":500,"captured":"1","notes":{"n":1,"b":true,"o":{}}}},"created_at":1586439890}}`)
	require.NoError(t, err)
	require.Equal(t, payments.INR(500), e.Refund.Amount)
	require.Equal(t, map[string]string{"n": "1", "b": "true", "o": ""}, e.Payment.Notes)
	require.True(t, e.CreatedAt.IsZero())

	for _, body := range []string{
		`{"event":"order.paid"}`, `{"event":"order.paid","payload":null}`, `{"event":"order.paid","payload":{"order":null}}`,
		`{"event":"order.paid","payload":{"order":5}}`, `{"event":"order.paid","payload":{"order":{"entity":[]}}}`,
		`{"event":"order.paid","payload":{"order":{"entity":{"id":"../x"}}}}`, `{"event":"settlement.processed","payload":{"settlement":{"entity":{}}}}`,
	} {
		e, err := parse(body)
		require.NoError(t, err, body)
		require.Nil(t, e.Order, body)
	}
	for _, body := range []string{``, `null`, `[]`, `{}`, `{"event":5.5`, `{"event":""}`, `{"event":"x","payload":[]}`} {
		_, err := parse(body)
		require.ErrorIs(t, err, telemed.ErrInvalid, body)
		require.NotErrorIs(t, err, telemed.ErrSignature, body)
	}
	h := header(hookSig)
	h.Set("X-Razorpay-Event-Id", strings.Repeat("x", 1000))
	e, err = client.ParseWebhook(h, []byte(hookBody))
	require.NoError(t, err)
	require.Empty(t, e.ID, "it is not signed; nobody may fill the host's database with it")
}

// summary is what an application learns of an event.
func summary(e *payments.Event) string {
	said := []string{e.Type, e.Fact()}
	add := func(values ...any) { said = append(said, strings.TrimSuffix(fmt.Sprintln(values...), "\n")) }
	if p := e.Payment; p != nil {
		add("payment", p.Status)
		if p.Late {
			add("late")
		}
		add(p.Amount, "of", cmp.Or(p.OrderID, "nothing"))
		if !p.Base.IsZero() {
			add("base", p.Base)
		}
		if !p.Fee.IsZero() {
			add("fee", p.Fee, "tax", p.Tax)
		}
		if p.GivenBack != payments.GivenBackNone {
			add("back", p.GivenBack, p.Refunded)
		}
		if p.AutoRefunded() {
			add("by the gateway")
		}
		if p.Failure != nil {
			add("because", p.Failure.Reason)
		}
	}
	if o := e.Order; o != nil {
		add("order", o.Status, o.Amount, "paid", o.Paid, "due", o.Due)
	}
	if r := e.Refund; r != nil {
		add("refund", r.Status, r.Amount)
	}
	for _, name := range e.Unread {
		add("unread", name)
	}
	return strings.Join(said, " ")
}

// TestEvents reads documents that were written by hand after Razorpay's pages on webhooks.
func TestEvents(t *testing.T) {
	t.Parallel()
	file, err := os.ReadFile("testdata/events.jsonl")
	require.NoError(t, err)
	client := offline(t, testHook)
	for line := range bytes.Lines(file) {
		var document struct {
			Want  string
			Event json.RawMessage
		}
		require.NoError(t, json.Unmarshal(line, &document))
		e, err := client.ParseWebhook(header(signature.Hex([]byte(testHook), document.Event)), document.Event)
		require.NoError(t, err)
		require.Equal(t, document.Want, summary(e))
	}
}

var realID = regexp.MustCompile(`^(order|pay|rfnd)_[A-Za-z0-9]+$`)

// TestSamples reads every official sample there is, through the front door: all as
// events, and each order, payment and refund inside an event, where notes, numbers and
// nulls take all their shapes.
func TestSamples(t *testing.T) {
	t.Parallel()
	file, err := os.ReadFile("../../../shared/fixtures/razorpay/samples.jsonl")
	if err != nil {
		t.Skip("the documents of Razorpay's SDKs and pages are not beside this project: " +
			"that each of them is read would be shown; TestEvents reads those that were written by hand")
	}
	client := offline(t, testHook)
	counts := map[string]int{}
	check := func(kind, id string, body []byte) {
		t.Helper()
		e, err := client.ParseWebhook(header(signature.Hex([]byte(testHook), body)), body)
		require.NoError(t, err, "%s: %s", kind, body)
		if kind != "event" && !realID.MatchString(id) {
			counts["invented id"]++ // "fake_order_id" in a mock of an SDK; read, but not taken for an order
			return
		}
		counts[kind]++
		switch kind {
		case "order":
			require.NotNil(t, e.Order, "%s", body)
			require.NotEmpty(t, e.Order.Amount.Currency)
		case "payment":
			require.NotNil(t, e.Payment, "%s", body)
			require.NotEmpty(t, e.Payment.Amount.Currency)
		case "refund":
			require.NotNil(t, e.Refund, "%s", body)
			require.NotZero(t, e.Refund.Amount.Minor)
		}
	}
	wrap := func(kind string, entity json.RawMessage) []byte {
		body, err := json.Marshal(map[string]any{"event": "x", "payload": map[string]any{kind: map[string]any{"entity": entity}}})
		require.NoError(t, err)
		return body
	}
	file = bytes.ReplaceAll(file, []byte("`"), nil) // one document has an id in Markdown's quotes
	for line := range bytes.Lines(file) {
		var sample struct {
			Kind string
			V    json.RawMessage
		}
		require.NoError(t, json.Unmarshal(line, &sample))
		switch sample.Kind {
		case "event":
			check("event", "", sample.V)
		case "order", "payment", "refund":
			var is struct{ ID string }
			require.NoError(t, json.Unmarshal(sample.V, &is))
			check(sample.Kind, is.ID, wrap(sample.Kind, sample.V))
		case "collection":
			var list struct{ Items []json.RawMessage }
			require.NoError(t, json.Unmarshal(sample.V, &list))
			for _, item := range list.Items {
				var is struct{ ID, Entity string }
				require.NoError(t, json.Unmarshal(item, &is))
				if is.Entity == "order" || is.Entity == "payment" || is.Entity == "refund" {
					check(is.Entity, is.ID, wrap(is.Entity, item))
				}
			}
		}
	}
	t.Log(counts)
	require.LessOrEqual(t, counts["invented id"], 3)
	require.GreaterOrEqual(t, counts["event"], 101)
	require.GreaterOrEqual(t, counts["payment"], 66)
	require.GreaterOrEqual(t, counts["order"], 63)
	require.GreaterOrEqual(t, counts["refund"], 15)
}

// FuzzEvent signs whatever comes, so that it gets to the reader.
func FuzzEvent(f *testing.F) {
	f.Add([]byte(hookBody))
	f.Add([]byte(`{"event":"x","payload":{"order":{"entity":{"id":"order_1","amount":"9223372036854775807","notes":["a"]}}}}`))
	f.Add([]byte(`{"event":"x","payload":{"payment":{"entity":{"id":"pay_1","amount":null,"notes":"text","created_at":"1"}},"created_at":1}}`))
	client := offline(f, testHook)
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := client.ParseWebhook(header(signature.Hex([]byte(testHook), body)), body)
		if err != nil {
			require.ErrorIs(t, err, telemed.ErrInvalid)
			return
		}
		require.NotEmpty(t, e.Type)
		require.NotEmpty(t, e.Fact())
		require.True(t, e.Payment == nil || strings.HasPrefix(e.Payment.ID, "pay_"))
		require.True(t, e.Order == nil || strings.HasPrefix(e.Order.ID, "order_"))
	})
}

// FuzzFields reads the fields of any object as encoding/json does.
func FuzzFields(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"id":"order_1","receipt":"a\"b","amount":5}`, `{"a":{"receipt":"no"},"receipt":"yes","notes":{"a":"}","b":[1,{"c":2}],"d":"\\"}}`,
		` { "receipt" : "x" , "notes" : { "\u0061" : true , "b" : null } } `, `{"receipt":"1","receipt":"2","notes":{"a":1,"a":2}}`, `{"notes":{"\xff":"\xff"}}`,
	} {
		f.Add([]byte(seed))
	}
	client := offline(f, testHook)
	f.Fuzz(func(t *testing.T, doc []byte) {
		var want map[string]json.RawMessage
		if json.Unmarshal(doc, &want) != nil || want == nil {
			return
		}
		body := slices.Concat([]byte(`{"event":"x","payload":{"order":{"entity":`), doc, []byte(`}}}`))
		e, err := client.ParseWebhook(header(signature.Hex([]byte(testHook), body)), body)
		require.NoError(t, err)
		var id, receipt string
		_ = json.Unmarshal(want["id"], &id)
		if !realID.MatchString(id) || !strings.HasPrefix(id, "order_") || len(id) > 60 {
			require.Nil(t, e.Order)
			return
		}
		if json.Unmarshal(want["receipt"], &receipt) == nil {
			require.Equal(t, receipt, e.Order.Key)
		}
		var notes map[string]json.RawMessage
		_ = json.Unmarshal(want["notes"], &notes)
		require.Len(t, e.Order.Notes, len(notes))
		for name, value := range notes {
			var text string
			if json.Unmarshal(value, &text) == nil {
				require.Equal(t, text, e.Order.Notes[name])
			}
		}
	})
}

// FuzzNotes puts any JSON where notes and amounts stand: no panic, and an amount is what
// was written or refused.
func FuzzNotes(f *testing.F) {
	for _, seed := range []string{`{}`, `[]`, `null`, `"x"`, `5`, `"5"`, `5.0`, `1e3`, `9223372036854775808`, `{"a":{"b":1}}`, `[1]`, `true`} {
		f.Add(seed)
	}
	client := offline(f, testHook)
	f.Fuzz(func(t *testing.T, value string) {
		if !json.Valid([]byte(value)) {
			return
		}
		read := func(field string) (*payments.Event, error) {
			body := []byte(`{"event":"x","payload":{"order":{"entity":{"id":"order_1","` + field + `":` + value + `}}}}`)
			return client.ParseWebhook(header(signature.Hex([]byte(testHook), body)), body)
		}
		_, err := read("notes")
		require.NoError(t, err, "notes are never a reason to refuse")
		e, err := read("amount")
		require.NoError(t, err, "an odd amount costs the amount")
		if e.Order.Amount.Minor == 0 {
			return
		}
		var text string // a number in quotes may have zeros before it
		if json.Unmarshal([]byte(value), &text) != nil {
			text = strings.TrimSpace(value)
		}
		exact, err := strconv.ParseInt(text, 10, 64)
		require.NoError(t, err)
		require.Equal(t, exact, e.Order.Amount.Minor)
	})
}

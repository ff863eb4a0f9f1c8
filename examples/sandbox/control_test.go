package main

import (
	"encoding/json"
	"mime/multipart"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/examples/internal/local"
	"github.com/telemed-go/telemed/payments"
)

// ask asks the control with a body of a kind, and decodes the answer into into.
func ask(t *testing.T, s *pages, method, path, kind, body string, into any) (status int) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.providers.pages+path, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Content-Type", kind)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.NoError(t, json.NewDecoder(resp.Body).Decode(into))
	return resp.StatusCode
}

const form, document = "application/x-www-form-urlencoded", "application/json"

// TestParameters: the query, a form and JSON are the same.
func TestParameters(t *testing.T) {
	t.Parallel()
	_, s := newClinic(t)
	var got []waiting
	for _, tc := range [][3]string{
		{"?provider=zoom&op=create&kind=lose-answer&times=2", "", ""},
		{"", form, "provider=zoom&op=create&kind=lose-answer&times=2"},
		{"", document, `{"provider":"zoom","op":"create","kind":"lose-answer","times":2}`},
		{"", form, "at=zoom/create&kind=lose+answer&times=2&status=&delay="},
	} {
		require.Equal(t, http.StatusOK, ask(t, s, http.MethodPost, "/control/faults"+tc[0], tc[1], tc[2], &got))
		require.Equal(t, []waiting{{Provider: "zoom", Op: "create", Kind: "lose answer", Times: 2}}, got)
		require.Equal(t, http.StatusOK, ask(t, s, http.MethodDelete, "/control/faults", "", "", &map[string]string{}))
	}
	require.Equal(t, http.StatusOK, ask(t, s, http.MethodGet, "/control/faults", "", "", &got))
	require.Empty(t, got)
}

// TestBodies: what a client sends without a word of what it is is not passed over: a form of
// a browser's FormData is read, text is refused, and no body is none in every kind.
func TestBodies(t *testing.T) {
	t.Parallel()
	_, s := newClinic(t)
	var body strings.Builder
	parts := multipart.NewWriter(&body)
	for name, value := range map[string]string{"provider": "zoom", "op": "create", "kind": "cut"} {
		require.NoError(t, parts.WriteField(name, value))
	}
	require.NoError(t, parts.Close())
	var got []waiting
	require.Equal(t, http.StatusOK, ask(t, s, http.MethodPost, "/control/faults", parts.FormDataContentType(), body.String(), &got))
	require.Equal(t, []waiting{{Provider: "zoom", Op: "create", Kind: "cut", Times: 1}}, got)
	for _, kind := range []string{"", "text/plain;charset=UTF-8", "application/octet-stream", parts.FormDataContentType()} {
		var refused map[string]string
		require.Equal(t, http.StatusBadRequest, ask(t, s, http.MethodPost, "/control/webhooks/hold", kind, `{"provider":"zoom"}`, &refused), kind)
		require.Regexp(t, "is neither a form nor JSON|is no form of texts", refused["error"])
	}
	for _, kind := range []string{"", document, form, "text/plain"} {
		require.Equal(t, http.StatusOK, ask(t, s, http.MethodPost, "/control/reset", kind, "", &map[string]string{}), kind)
	}
}

// TestPhones: the + of a query is a space, and a chat has one number nevertheless.
func TestPhones(t *testing.T) {
	t.Parallel()
	c, s := newClinic(t)
	for _, phone := range []string{"+919876543210", "%2B919876543210", "919876543210", "%2B91+98765-43210"} {
		require.Equal(t, http.StatusOK, ask(t, s, http.MethodPost, "/control/chats/reply", form, "text=STOP&phone="+phone, &map[string]string{}))
		c.hears(t, "whatsapp text STOP")
	}
	var got []chat
	require.Equal(t, http.StatusOK, ask(t, s, http.MethodGet, "/control/chats?phone=+919876543210", "", "", &got))
	require.Len(t, got, 1)
	require.Equal(t, "+919876543210", got[0].Phone)
	require.Len(t, got[0].Messages, 4)
}

// TestRefusals: what is wrong is told, and nothing is done.
func TestRefusals(t *testing.T) {
	t.Parallel()
	_, s := newClinic(t)
	for _, tc := range [][3]string{
		{"faults", `{"provider":"paypal","kind":"fail"}`, `provider: "paypal" is none of`},
		{"faults", `{"provider":"zoom","kind":"fail","times":"often"}`, `times: "often" is no whole number`},
		{"faults", `{"provider":["zoom"]}`, "provider: is neither a text nor a number"},
		{"faults", `nonsense`, "the body is no JSON object"},
		{"faults", `null`, "the body is no JSON object"},
		{"faults", `{"provider":"zoom","kind":"fail"} {}`, "the body is no JSON object"},
		{"faults", `{"provider":"zoom","kind":"fail","time":3}`, "time: is none of the parameters provider, op,"},
		{"faults?kind=%zz", `{"provider":"zoom"}`, "the query: invalid URL escape"},
		{"faults", `{"provider":"zoom","kind":"fail","times":0}`, "times: is neither"},
		{"faults", `{"provider":"zoom","kind":"fail","times":-2}`, "times: is neither"},
		{"faults", `{"provider":"zoom","kind":"hang","status":500}`, "status: is for the kind fail alone"},
		{"faults", `{"provider":"zoom","kind":"delay","delay":"-3s"}`, `delay: "-3s" is no time`},
		{"faults", `{"provider":"zoom","kind":"delay","delay":"later"}`, `delay: "later" is no time`},
		{"faults", `{"provider":"zoom","kind":"delay"}`, "delay: is required"},
		{"faults", `{"provider":"` + strings.Repeat("x", maxParameters) + `"}`, "the body: http: request body too large"},
		{"faults/clear", `{"provider":"zoom"}`, "provider: there are no parameters here"},
		{"nonsense", `{}`, "POST /control/nonsense is no route"},
		{"log", `{}`, "POST /control/log is no route"},
		{"clock", `{"advance":"tomorrow"}`, `advance: "tomorrow" is no time`},
		{"clock", `{"advance":"-1h"}`, `advance: "-1h" is no time`},
		{"clock", `{"advance":"1000000h"}`, `advance: "1000000h" is no time`},
		{"webhooks/hold", `{"provider":"google"}`, `provider: "google" is none of`},
		{"webhooks/release", `{"order":"random"}`, `order: "random" is not reversed`},
		{"webhooks/deliver", `{"id":"razorpay-1"}`, "there is no such webhook"},
		{"webhooks/deliver", `{"times":101}`, "times: is not from 1 to 100"},
		{"webhooks/target", `{"api":"nowhere"}`, "api is required"},
		{"webhooks/target", `{"provider":"zoom","url":"javascript:1"}`, "api is required"},
		{"webhooks/target", `{"provider":"zoom","url":"http://:80/"}`, "api is required"},
		{"webhooks/target", `{"api":"http://127.0.0.1:1/api?clinic=1"}`, "api has no query"},
		{"webhooks/target", `{"api":"http://127.0.0.1:1/api","url":"http://127.0.0.1:1/"}`, "api is required"},
		{"payments", `{"order":"order_1","scenario":"upi"}`, "does not exist"},
		{"payments", `{"order":"order_1","scenario":"steal"}`, `scenario: "steal" is none of upi, card`},
		{"payments", `{"payment":"pay_1","scenario":"upi"}`, `scenario: "upi" is neither late`},
		{"refunds", `{"refund":"rfnd_1","status":"lost"}`, `status: "lost" is none of`},
		{"meetings", `{"meeting":"1","action":"start"}`, "there is no such meeting"},
		{"chats/status", `{"id":"wamid.1","status":"read"}`, "there is no such message"},
		{"chats/status", `{"id":"wamid.1","status":"eaten"}`, `status: "eaten" is none of`},
		{"chats/reply", `{"phone":"+919876543210"}`, "phone and text are required"},
		{"chats/reply", `{"phone":"Asha","text":"STOP"}`, `phone: "Asha" is no number`},
		{"consents/allow", `{"url":"https://accounts.google.com/o/oauth2/v2/auth"}`, "url: is no consent page"},
		{"consents/expire", `{"provider":"zoomy"}`, "provider: is neither"},
		{"consents/revoke", `{"account":"nobody"}`, "account: has consented to nothing"},
	} {
		var got map[string]string
		status := ask(t, s, http.MethodPost, "/control/"+tc[0], document, tc[1], &got)
		require.Equal(t, strings.Contains(tc[2], "no route"), status == http.StatusNotFound, tc)
		require.GreaterOrEqual(t, status, http.StatusBadRequest, tc)
		require.Contains(t, got["error"], tc[2])
	}
	for _, wait := range []string{"soon", "-1s", "2m"} {
		var got map[string]string
		require.Equal(t, http.StatusBadRequest, ask(t, s, http.MethodGet, "/control/mail?wait="+wait, "", "", &got))
		require.Contains(t, got["error"], "is no time up to 1m0s")
	}
	require.Empty(t, s.world().Pending())
	require.Empty(t, s.world().wire())
	require.Empty(t, s.world().chats())
}

// TestControlText: every route of the control stands in its page, and every operation of a
// provider.
func TestControlText(t *testing.T) {
	t.Parallel()
	_, s := newClinic(t)
	text := page(t, s.providers.pages+"/control")
	for method, controls := range map[string]map[string]control{"GET ": s.told(), "POST": s.acts()} {
		for path, c := range controls {
			route := "/control/" + path
			place := regexp.MustCompile(method + " +" + route + `\s`).FindStringIndex(text)
			require.NotNil(t, place, route)
			after, _, _ := strings.Cut(text[place[1]:], "\n\n")
			for name := range strings.FieldsSeq(strings.ReplaceAll(c.takes, " at ", " ")) {
				require.Regexp(t, `\b`+name+`\b`, after, path)
			}
		}
	}
	list, _, found := strings.Cut(text[strings.Index(text, "The operations:"):], "Webhooks\n")
	require.True(t, found)
	list = strings.Join(strings.Fields(list), " ")
	for _, provider := range local.Names() {
		for _, op := range local.Operations(provider) {
			require.Contains(t, list, op, provider)
		}
	}
	for _, kind := range local.Kinds() {
		require.Contains(t, text, strings.ReplaceAll(kind, " ", "-"))
	}
	for _, one := range scenarios {
		require.Contains(t, text, one.ID)
	}
}

// TestReset: everything is gone, the addresses and keys stay, webhooks go where they were
// sent to, and a client that goes on with its connection is answered.
func TestReset(t *testing.T) {
	t.Parallel()
	c, s := newClinic(t)
	c.fill(t, s)
	before := s.variables(lookup(nil))
	require.Equal(t, http.StatusOK, ask(t, s, http.MethodPost, "/control/webhooks/hold", document, "{}", &map[string]string{}))
	require.Equal(t, http.StatusOK, ask(t, s, http.MethodPost, "/control/reset", document, "{}", &map[string]string{}))
	require.Equal(t, before, s.variables(lookup(nil)))
	v := s.view()
	for name, empty := range map[string]bool{
		"mails": len(v.Mails) == 0, "chats": len(v.Chats) == 0, "orders": len(v.Orders) == 0, "meetings": len(v.Meetings) == 0,
		"consents": len(v.Consents) == 0, "webhooks": len(v.Hooks) == 0, "faults": len(v.Faults) == 0, "wire": len(v.Wire) == 0,
	} {
		require.True(t, empty, name)
	}
	for len(c.heard) > 0 {
		<-c.heard
	}
	order, err := c.gateway.CreateOrder(t.Context(), payments.OrderRequest{Key: "bill_3", Amount: payments.INR(50000)})
	require.NoError(t, err)
	press(t, s, "/control/payments", url.Values{"order": {order.ID}, "scenario": {"card"}})
	c.hears(t, "razorpay payment.authorized", "razorpay payment.captured", "razorpay order.paid")
	require.Error(t, c.google.Cancel(t.Context(), "dr-rao", "visit"), "the consent is gone")
}

// TestLookingOnUsesNoFault: neither the page nor the control asks a provider.
func TestLookingOnUsesNoFault(t *testing.T) {
	t.Parallel()
	c, s := newClinic(t)
	c.fill(t, s)
	for _, provider := range local.Names() {
		require.NoError(t, s.world().FailNext(local.Fault{Provider: provider, Kind: "lose request"}))
	}
	asked := len(s.world().wire())
	page(t, s.providers.pages)
	for _, what := range []string{"mail", "chats", "payments", "meetings", "consents", "webhooks", "log", "faults", "clock", "environment"} {
		page(t, s.providers.pages+"/control/"+what)
	}
	require.Len(t, s.world().Pending(), len(local.Names()))
	require.Len(t, s.world().wire(), asked)
	s.world().ClearFaults()
	press(t, s, "/control/faults", url.Values{"at": {"razorpay/create order"}, "kind": {"fail"}, "times": {"-1"}})
	_, err := c.gateway.CreateOrder(t.Context(), payments.OrderRequest{Key: "bill_9", Amount: payments.INR(50000)})
	require.ErrorIs(t, err, telemed.ErrAmbiguous)
}

// TestRunsFromAnywhere: "go run …@latest" takes no module that replaces or excludes others.
func TestRunsFromAnywhere(t *testing.T) {
	t.Parallel()
	for line := range strings.Lines(sourceOf(t, "../../go.mod")) {
		require.NotRegexp(t, `^(replace|exclude)\b`, line)
	}
}

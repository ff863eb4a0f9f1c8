package whatsapp_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/signature"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/whatsapp"
	"github.com/telemed-go/telemed/notify/whatsapp/whatsapptest"
	"github.com/telemed-go/telemed/store"
)

// collector is an application that keeps its events.
type collector struct {
	statuses []whatsapp.Status
	messages []whatsapp.Inbound
	changes  []whatsapp.Change
	unread   []whatsapp.UnreadEvent
	ids      []string
	fail     error
}

func (c *collector) handle(_ context.Context, e whatsapp.Event) error {
	c.ids = append(c.ids, e.ID)
	switch {
	case e.Status != nil:
		c.statuses = append(c.statuses, *e.Status)
	case e.Message != nil:
		c.messages = append(c.messages, *e.Message)
	case e.Change != nil:
		c.changes = append(c.changes, *e.Change)
	}
	return c.fail
}

func (c *collector) keep(_ context.Context, e whatsapp.UnreadEvent) error {
	c.unread = append(c.unread, e)
	return c.fail
}

const appSecret = "app-secret-1"

func hook(tb testing.TB, handle func(context.Context, whatsapp.Event) error, change ...func(*whatsapp.WebhookConfig)) *whatsapp.Webhook {
	tb.Helper()
	cfg := whatsapp.WebhookConfig{
		Secrets: []telemed.Secret{telemed.NewSecret(appSecret)}, VerifyToken: telemed.NewSecret("verify-me"), Handle: handle,
	}
	for _, f := range change {
		f(&cfg)
	}
	webhook, err := whatsapp.NewWebhook(cfg)
	require.NoError(tb, err)
	return webhook
}

func nothing(context.Context, whatsapp.Event) error { return nil }

func post(h http.Handler, body, sig string) *httptest.ResponseRecorder {
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/hook", strings.NewReader(body))
	if sig != "" {
		r.Header.Set("X-Hub-Signature-256", sig)
	}
	h.ServeHTTP(w, r)
	return w
}

func signed(body string) string {
	return "sha256=" + signature.Hex([]byte(appSecret), []byte(body))
}

func TestRegistration(t *testing.T) {
	t.Parallel()
	h := hook(t, nothing)
	get := func(h http.Handler, query string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/hook?"+query, nil))
		return w
	}
	w := get(h, "hub.mode=subscribe&hub.verify_token=verify-me&hub.challenge=%3Cb%3E1158201444")
	require.Equal(t, 200, w.Code)
	require.Equal(t, "<b>1158201444", w.Body.String())
	require.Equal(t, "text/plain; charset=utf-8", w.Header().Get("Content-Type"))
	require.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
	for name, query := range map[string]string{
		"wrong token":    "hub.mode=subscribe&hub.verify_token=verify-mE&hub.challenge=1",
		"longer token":   "hub.mode=subscribe&hub.verify_token=verify-mee&hub.challenge=1",
		"no token":       "hub.mode=subscribe&hub.challenge=1",
		"wrong mode":     "hub.mode=unsubscribe&hub.verify_token=verify-me&hub.challenge=1",
		"nothing":        "",
		"long challenge": "hub.mode=subscribe&hub.verify_token=verify-me&hub.challenge=" + strings.Repeat("1", 257),
	} {
		w := get(h, query)
		require.Equal(t, 403, w.Code, name)
		require.Equal(t, "forbidden\n", w.Body.String(), name)
	}
	none := hook(t, nothing, func(cfg *whatsapp.WebhookConfig) { cfg.VerifyToken = telemed.Secret{} })
	require.Equal(t, 403, get(none, "hub.mode=subscribe&hub.verify_token=&hub.challenge=1").Code, "an empty token never fits")
}

func TestSignature(t *testing.T) {
	t.Parallel()
	const (
		body = `{"object":"whatsapp_business_account","entry":[]}`
		// Made with: openssl dgst -sha256 -hmac app-secret-1
		one = "0ca28c0f1996234eb6829e59ad3c11a18161f6eb043943d601e420c312432cdf"
		two = "4279075c5bff21b3ec6f63ddc82bfc80a41b5e3abdfbb6d043d09579ebb9754c"
	)
	var log strings.Builder
	single := hook(t, nothing, func(cfg *whatsapp.WebhookConfig) { cfg.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	double := hook(t, nothing, func(cfg *whatsapp.WebhookConfig) {
		cfg.Secrets = []telemed.Secret{telemed.NewSecret("app-secret-2"), telemed.NewSecret(appSecret)}
	})
	for name, c := range map[string]struct {
		h         http.Handler
		body, sig string
		want      int
	}{
		"fits":                 {single, body, "sha256=" + one, 200},
		"fits in capitals":     {single, body, "sha256=" + strings.ToUpper(one), 200},
		"of the first secret":  {double, body, "sha256=" + two, 200},
		"of the second secret": {double, body, "sha256=" + one, 200},
		"of another secret":    {single, body, "sha256=" + two, 401},
		"of another body":      {single, body + " ", "sha256=" + one, 401},
		"without its prefix":   {single, body, one, 401},
		"as SHA-1":             {single, body, "sha1=" + one, 401},
		"cut":                  {single, body, "sha256=" + one[:62], 401},
		"empty":                {single, body, "sha256=", 401},
		"missing":              {single, body, "", 401},
		"of the empty secret":  {single, body, "sha256=" + signature.Hex(nil, []byte(body)), 401},
		"not JSON":             {single, "{", signed("{"), 500},
		"another object":       {single, `{"object":"page"}`, signed(`{"object":"page"}`), 500},
	} {
		require.Equal(t, c.want, post(c.h, c.body, c.sig).Code, name)
	}
	for _, hint := range []string{"header X-Hub-Signature-256 is missing", `is not \"sha256=\" and 64`, "the secret is another"} {
		require.Contains(t, log.String(), hint)
	}

	w := httptest.NewRecorder()
	single.ServeHTTP(w, httptest.NewRequest(http.MethodPut, "/hook", nil))
	require.Equal(t, 405, w.Code)
	require.Equal(t, "GET, POST", w.Header().Get("Allow"))
}

// maxWebhook is the longest body: Meta sends up to 3 MB.
const maxWebhook = 3 << 20

func TestBodyLimit(t *testing.T) {
	t.Parallel()
	h := hook(t, nothing)
	fits := `{"object":"whatsapp_business_account","entry":[]}` + strings.Repeat(" ", maxWebhook-49)
	require.Len(t, fits, maxWebhook)
	require.Equal(t, 200, post(h, fits, signed(fits)).Code)
	require.Equal(t, 413, post(h, fits+" ", signed(fits+" ")).Code)

	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/hook", io.MultiReader(strings.NewReader("{"), broken{}))
	h.ServeHTTP(w, r)
	require.Equal(t, 400, w.Code)
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("connection lost") }

func webhook(field, value string) string {
	return `{"object":"whatsapp_business_account","entry":[{"id":"77","changes":[{"field":"` + field + `","value":` + value + `}]}]}`
}

const meta = `"messaging_product":"whatsapp","metadata":{"display_phone_number":"15550001111","phone_number_id":"1"}`

func TestStatuses(t *testing.T) {
	t.Parallel()
	var host collector
	body := webhook("messages", `{`+meta+`,"statuses":[
		{"id":"wamid.1","status":"delivered","timestamp":"1750091045","recipient_id":"919876500042","biz_opaque_callback_data":"ref"},
		{"id":"wamid.1","status":"sent","timestamp":1750091044,"recipient_id":919876500042,"pricing":{"billable":true}},
		{"id":"wamid.2","status":"failed","timestamp":"x","recipient_user_id":"IN.123","errors":[{"code":131026,"title":"to 919876500042"}]},
		{"id":"wamid.3","status":"failed"},
		{"id":"wamid.5","status":"failed","errors":[{"title":"new"}]},
		{"id":"wamid.4","status":"warped","timestamp":"-5","recipient_id":"abc"}]}`)
	require.Equal(t, 200, post(hook(t, host.handle), body, signed(body)).Code)
	require.Len(t, host.statuses, 6)
	require.Contains(t, string(host.statuses[0].Raw), `"id":"wamid.1"`)
	require.True(t, *host.statuses[1].Billable)
	host.statuses[0].Raw = nil
	require.Equal(t, whatsapp.Status{
		MessageID: "wamid.1", State: whatsapp.Delivered, Reference: "ref", At: time.Unix(1750091045, 0).UTC(), Phone: phone, PhoneNumberID: "1",
	}, host.statuses[0])
	require.Equal(t, phone, host.statuses[1].Phone)
	require.Equal(t, time.Unix(1750091044, 0).UTC(), host.statuses[1].At)

	failed := host.statuses[2]
	require.Equal(t, []string{"", "IN.123"}, []string{failed.Phone, failed.UserID})
	require.ErrorIs(t, failed.Err, notify.ErrRecipient)
	require.EqualError(t, failed.Err, "whatsapp: Status (code 131026): recipient cannot be reached")
	for _, unexplained := range host.statuses[3:5] {
		require.ErrorIs(t, unexplained.Err, telemed.ErrUnavailable)
		require.False(t, unexplained.Err.HasCode)
	}
	require.Equal(t, whatsapp.State("warped"), host.statuses[5].State)
	require.Empty(t, host.statuses[5].Phone)
	require.True(t, host.statuses[5].At.IsZero())
}

func TestFailedIsNeverAmbiguous(t *testing.T) {
	t.Parallel()
	var host collector
	body := webhook("messages", `{"statuses":[{"id":"w","status":"failed","errors":[{"code":131000}]}]}`)
	require.Equal(t, 200, post(hook(t, host.handle), body, signed(body)).Code)
	require.ErrorIs(t, host.statuses[0].Err, telemed.ErrUnavailable)
}

func TestSupersedes(t *testing.T) {
	t.Parallel()
	order := []whatsapp.State{"", whatsapp.Sent, whatsapp.Failed, whatsapp.Delivered, whatsapp.Read, whatsapp.Played}
	for i, later := range order {
		for j, earlier := range order {
			require.Equal(t, i > j, later.Supersedes(earlier), "%q after %q", later, earlier)
		}
		require.False(t, whatsapp.State("warped").Supersedes(later))
	}
}

func TestInboundWithoutAPhoneNumber(t *testing.T) {
	t.Parallel()
	var host collector
	body := webhook("messages", `{`+meta+`,
		"contacts":[{"profile":{"name":"Other"},"user_id":"IN.999"},{"profile":{"name":"Asha","username":"asha"},"user_id":"IN.123"}],
		"messages":[{"from_user_id":"IN.123","id":"wamid.1","timestamp":"1750091045","type":"text","text":{"body":"hello"}}]}`)
	require.Equal(t, 200, post(hook(t, host.handle), body, signed(body)).Code)
	m := host.messages[0]
	require.Equal(t, []string{"", "IN.123", "Asha", "hello"}, []string{m.Phone, m.UserID, m.Name, m.Text})
	require.JSONEq(t, `{"from_user_id":"IN.123","id":"wamid.1","timestamp":"1750091045","type":"text","text":{"body":"hello"}}`, string(m.Raw))
}

func TestInboundFromNobody(t *testing.T) {
	t.Parallel()
	var host collector
	body := webhook("messages", `{`+meta+`,"contacts":[{"profile":{"name":"Other"},"wa_id":"919876500042"}],"messages":[{"id":"wamid.1","type":"system"}]}`)
	require.Equal(t, 200, post(hook(t, host.handle), body, signed(body)).Code)
	require.Equal(t, []string{"", "", ""}, []string{host.messages[0].Phone, host.messages[0].UserID, host.messages[0].Name}, "a stranger's name")
}

func TestInboundKinds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ part, text, reply, to string }{
		"button":      {`"type":"button","context":{"id":"wamid.0"},"button":{"text":"Yes","payload":"yes-1"}`, "Yes", "yes-1", "wamid.0"},
		"reply":       {`"type":"interactive","interactive":{"type":"button_reply","button_reply":{"id":"b1","title":"Cancel"}}`, "Cancel", "b1", ""},
		"list":        {`"type":"interactive","interactive":{"type":"list_reply","list_reply":{"id":"r1","title":"Monday"}}`, "Monday", "r1", ""},
		"reaction":    {`"type":"reaction","reaction":{"message_id":"wamid.0","emoji":"👍"}`, "👍", "", "wamid.0"},
		"caption":     {`"type":"image","image":{"id":"m1","caption":"my rash"}`, "my rash", "", ""},
		"unsupported": {`"type":"unsupported","errors":[{"code":131051}]`, "", "", ""},
	} {
		var host collector
		body := webhook("messages", `{`+meta+`,"messages":[{"from":"919876500042","id":"wamid.1",`+c.part+`}]}`)
		require.Equal(t, 200, post(hook(t, host.handle), body, signed(body)).Code, name)
		require.Len(t, host.messages, 1, name)
		m := host.messages[0]
		require.Equal(t, []string{phone, c.text, c.reply, c.to}, []string{m.Phone, m.Text, m.ReplyID, m.InReplyTo}, name)
	}
}

func TestOtherFieldsAreChanges(t *testing.T) {
	t.Parallel()
	for field, value := range map[string]string{
		"message_template_status_update": `{"event":"APPROVED"}`,
		"messages":                       `{"errors":[{"code":130429}]}`,
		"account_update":                 `null`,
	} {
		var host collector
		body := webhook(field, value)
		require.Equal(t, 200, post(hook(t, host.handle), body, signed(body)).Code, field)
		require.Len(t, host.changes, 1, field)
		require.Equal(t, []string{"77", field, value}, []string{host.changes[0].AccountID, host.changes[0].Field, string(host.changes[0].Value)})
	}
}

// What stands beside a status or a message may be of another form: it hides nothing.
func TestOddThingsBesideAStatus(t *testing.T) {
	t.Parallel()
	var host collector
	body := webhook("messages", `{"metadata":7,"contacts":[{"wa_id":"919876500041","profile":{"name":{}}},{"wa_id":"919876500042","user_id":"IN.9","profile":[]}],
		"statuses":[
			{"id":"wamid.1","status":"delivered","pricing":{"billable":"yes","category":"utility"},"conversation":"c1","recipient_id":"919876500042"},
			{"id":"wamid.2","status":"failed","errors":[{"code":131026,"title":7,"message":[],"error_data":"x","href":{}}]}],
		"messages":[{"id":"wamid.5","from":"919876500042","type":"text","text":{"body":"stop"}}]}`)
	require.Equal(t, 200, post(hook(t, host.handle), body, signed(body)).Code)
	require.Len(t, host.statuses, 2)
	require.Equal(t, []string{phone, "IN.9"}, []string{host.statuses[0].Phone, host.statuses[0].UserID})
	require.Nil(t, host.statuses[0].Billable)
	require.ErrorIs(t, host.statuses[1].Err, notify.ErrRecipient)
	require.Equal(t, 131026, host.statuses[1].Problems[0].Code)
	require.Len(t, host.messages, 1)
	require.Equal(t, "stop", host.messages[0].Text)
}

// What cannot be read goes to Unread, whole; it does not hide what came with it.
func TestUnreadAmongOthers(t *testing.T) {
	t.Parallel()
	const (
		status  = `{"id":"wamid.2","status":"failed","errors":"new"}`
		message = `{"from":"919876500042","id":"wamid.3","text":"zkmark"}`
		changed = `{"field":"messages","value":{"statuses":"none"}}`
	)
	body := `{"object":"whatsapp_business_account","entry":[
		{"id":"77","changes":[{"field":"messages","value":{` + meta + `,
			"statuses":[{"id":"wamid.1","status":"delivered"},` + status + `],
			"messages":[` + message + `,{"from":"919876500042","id":"wamid.4","text":{"body":"hello"}}]}},` + changed + `,7]},
		"entry",
		{"id":"78","changes":[{"field":"account_update","value":{}}]}]}`
	var host collector
	var log strings.Builder
	logger := func(cfg *whatsapp.WebhookConfig) { cfg.Logger = slog.New(slog.NewTextHandler(&log, nil)) }
	nobody := hook(t, host.handle, logger)
	require.Equal(t, 500, post(nobody, body, signed(body)).Code)
	require.Equal(t, 500, post(nobody, body, signed(body)).Code)
	require.Equal(t, []int{1, 1, 1}, []int{len(host.statuses), len(host.messages), len(host.changes)}, "the others, once")
	require.Contains(t, log.String(), "events=8 failures=5")
	require.Contains(t, log.String(), "there is no Unread")

	host = collector{}
	h := hook(t, host.handle, logger, func(cfg *whatsapp.WebhookConfig) { cfg.Unread = host.keep })
	require.Equal(t, 200, post(h, body, signed(body)).Code)
	require.Equal(t, 200, post(h, body, signed(body)).Code)
	require.Equal(t, []string{"wamid.1", "hello", "account_update"}, []string{host.statuses[0].MessageID, host.messages[0].Text, host.changes[0].Field})
	var parts []string
	for _, e := range host.unread {
		parts = append(parts, e.AccountID+" "+string(e.Part))
		require.Equal(t, body, string(e.Raw))
		require.Equal(t, signed(body), e.Header.Get("X-Hub-Signature-256"))
		require.NotContains(t, fmt.Sprintf("%v %+v %#v %s", e, e, &e, e), "zkmark")
	}
	require.Equal(t, []string{"77 " + status, "77 " + message, "77 " + changed, "77 7", ` "entry"`}, parts)

	host.unread = nil
	require.Equal(t, 200, post(h, `[]`, signed(`[]`)).Code)
	require.Len(t, host.unread, 1)
	require.Nil(t, host.unread[0].Part)
	require.Equal(t, `[]`, string(host.unread[0].Raw))
	require.NotContains(t, log.String(), "zkmark")
}

func TestHandlerErrorsAskForAnotherDelivery(t *testing.T) {
	t.Parallel()
	body := webhook("messages", `{"statuses":[{"id":"w1","status":"sent"},{"id":"w2","status":"sent"},{"id":"w3","status":"sent"}]}`)
	seen, failing := map[string]int{}, true
	var log strings.Builder
	h := hook(t, func(_ context.Context, e whatsapp.Event) error {
		seen[e.Status.MessageID]++
		if e.Status.MessageID == "w2" && failing {
			return errors.New("zkmark: database is down")
		}
		return nil
	}, func(cfg *whatsapp.WebhookConfig) { cfg.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	w := post(h, body, signed(body))
	require.Equal(t, 500, w.Code)
	require.NotContains(t, w.Body.String()+log.String(), "zkmark")
	require.Contains(t, log.String(), "events=3 failures=1")
	require.Contains(t, log.String(), "error_type=*errors.errorString")
	failing = false
	require.Equal(t, 200, post(h, body, signed(body)).Code)
	require.Equal(t, map[string]int{"w1": 1, "w2": 2, "w3": 1}, seen, "only what failed")
}

// An event has one ID whenever it comes; the ID, which names the claim in the
// application's database, has nothing of Meta's id, in which the person's number is
// encoded.
func TestEventIDs(t *testing.T) {
	t.Parallel()
	claims := &namesOfClaims{Memory: store.NewMemory()}
	var host collector
	h := hook(t, host.handle, func(cfg *whatsapp.WebhookConfig) { cfg.Claims = claims })
	for _, delivery := range []struct {
		field, value string
		fresh        int
	}{
		{"messages", `{"statuses":[{"id":"w1","status":"sent"}]}`, 1},
		{"messages", `{"statuses":[{"id":"w1","status":"sent","timestamp":"5"},{"id":"w1","status":"read"},{"id":"w1","status":"read"}]}`, 1},
		{"messages", `{"messages":[{"id":"w1","from":"919876500042"}]}`, 1},
		{"messages", `{"messages":[{"id":"w1","from":"919876500042"},{"id":"w2","from":"919876500042"}]}`, 1},
		{"messages", `{"messages":[{"from":"919876500042"}]}`, 1},
		// No id: known by its body.
		{"messages", `{"messages":[{"from":"919876500042"}],"contacts":[]}`, 1},
		{"messages", `{"messages":[{"from":"919876500042"}]}`, 0},
		{"account_update", `{"event":"A"}`, 1}, {"account_update", `{"event":"B"}`, 1}, {"other", `{"event":"B"}`, 1}, {"other", `{"event":"B"}`, 0},
	} {
		host.ids = nil
		body := webhook(delivery.field, delivery.value)
		require.Equal(t, 200, post(h, body, signed(body)).Code)
		require.Len(t, host.ids, delivery.fresh, delivery.value)
	}
	later := strings.Replace(webhook("other", `{"event":"B"}`), `{"id":"77"`, `{"id":"77","time":1739321024`, 1)
	host.ids = nil
	require.Equal(t, 200, post(h, later, signed(later)).Code)
	require.Len(t, host.ids, 1, "the same change at another time")
	for _, name := range claims.names {
		require.Regexp(t, `^whatsapp:webhook:[0-9a-f]{64}$`, name)
	}
}

// namesOfClaims notes what is claimed.
type namesOfClaims struct {
	*store.Memory
	names []string
}

func (c *namesOfClaims) Claim(ctx context.Context, key string, lease time.Duration) (store.Claim, error) {
	c.names = append(c.names, key)
	return c.Memory.Claim(ctx, key, lease)
}

func TestNewWebhookNamesEverything(t *testing.T) {
	t.Parallel()
	_, err := whatsapp.NewWebhook(whatsapp.WebhookConfig{Timeout: -1})
	require.ErrorIs(t, err, telemed.ErrInvalid)
	require.EqualError(t, err, "whatsapp: webhook: Secrets are required; Handle is required; Timeout is negative")
	_, err = whatsapp.NewWebhook(whatsapp.WebhookConfig{Secrets: []telemed.Secret{{}}, Handle: nothing})
	require.ErrorContains(t, err, "Secrets[0] is empty")
}

// TestOfficialWebhooks decodes Meta's own examples.
func TestOfficialWebhooks(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../../shared/fixtures/whatsapp/webhooks/*.json")
	require.NoError(t, err)
	if len(files) == 0 {
		t.Skip("Meta's examples of webhooks are not on this machine: that each of them is read would be shown; " +
			"TestInboundKinds, TestStatuses and TestOtherFieldsAreChanges read such as were written by hand")
	}
	want := map[string]struct{ kind, text, reply string }{
		"Button-Message.json":                              {"button", "Unsubscribe", "Unsubscribe"},
		"Interactive-Button-Reply-Message.json":            {"interactive", "Cancel", "cancel-button"},
		"Location-Message.json":                            {"location", "", ""},
		"Reaction-Message.json":                            {"reaction", "👍", ""},
		"Text-Message-with-Context--Product-Inquiry-.json": {"text", "Is this still available?", ""},
		"Text-Message.json":                                {"text", "Does it come in another color?", ""},
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		require.NoError(t, err)
		var host collector
		require.Equal(t, 200, post(hook(t, host.handle), string(body), signed(string(body))).Code, file)
		expected, isMessage := want[filepath.Base(file)]
		if !isMessage {
			require.Len(t, host.changes, 1, file)
			require.True(t, json.Valid(host.changes[0].Value))
			continue
		}
		require.Len(t, host.messages, 1, file)
		m := host.messages[0]
		require.Equal(t, []string{expected.kind, expected.text, expected.reply}, []string{m.Type, m.Text, m.ReplyID}, file)
		require.Equal(t, []string{"+16505551234", "Sheena Nelson", "106540352242922"}, []string{m.Phone, m.Name, m.PhoneNumberID}, file)
		require.False(t, m.At.IsZero())
	}
}

func TestEventsPrintNothingPersonal(t *testing.T) {
	t.Parallel()
	events := []any{
		whatsapp.Status{MessageID: "wamid.1", State: whatsapp.Read, Phone: phone, UserID: "Zkmark", Err: &whatsapp.Error{Op: "Status"}},
		whatsapp.Inbound{MessageID: "wamid.1", Type: "text", Phone: phone, UserID: "Zkmark", Name: "Zkmark", Text: "Zkmark", Raw: json.RawMessage(`"Zkmark"`)},
		whatsapp.Change{Field: "f", Value: json.RawMessage(`"Zkmark"`)},
		whatsapp.Event{ID: "e", Message: &whatsapp.Inbound{Phone: phone, Name: "Zkmark"}},
		whatsapp.Event{ID: "e", Status: &whatsapp.Status{Phone: phone, UserID: "Zkmark"}},
		whatsapp.Event{ID: "e", Change: &whatsapp.Change{Value: json.RawMessage(`"Zkmark"`)}},
	}
	var log strings.Builder
	for _, e := range events {
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "event", e)
		log.WriteString(fmt.Sprintf("%v %+v %#v %s", e, e, e, e))
	}
	require.Contains(t, log.String(), "wamid.1")
	require.NotContains(t, log.String(), "Zkmark")
	require.NotContains(t, log.String(), phone[1:])
}

func TestClientsPrintNoSecret(t *testing.T) {
	t.Parallel()
	client := offline(t, func(cfg *whatsapp.Config) { cfg.Token = telemed.NewSecret("zkmark") }, nil)
	webhook := hook(t, nothing, func(cfg *whatsapp.WebhookConfig) {
		cfg.VerifyToken, cfg.Secrets = telemed.NewSecret("zkmark"), []telemed.Secret{telemed.NewSecret("zkmark")}
	})
	for _, v := range []any{client, *client, webhook, *webhook} {
		text := fmt.Sprintf("%v %+v %#v", v, v, v)
		require.NotContains(t, text, "zkmark")
		require.NotContains(t, text, fmt.Sprint([]byte("zkmark")), "as bytes")
		require.NotContains(t, text, "0x7a, 0x6b", "as Go bytes")
	}
}

// TestFakeSendsWebhooks lets the fake and the client meet over HTTP.
func TestFakeSendsWebhooks(t *testing.T) {
	t.Parallel()
	srv := whatsapptest.NewServer(t)
	client := newClient(t, config(srv))
	var host collector
	endpoint := httptest.NewServer(hook(t, host.handle, func(cfg *whatsapp.WebhookConfig) { cfg.Secrets = []telemed.Secret{srv.AppSecret()} }))
	t.Cleanup(endpoint.Close)
	srv.SetWebhookURL(endpoint.URL)
	require.NoError(t, srv.Subscribe(t.Context(), "verify-me"))
	require.Error(t, srv.Subscribe(t.Context(), "wrong"))

	receipt, err := client.Notify(t.Context(), message("appt-42/paid"))
	require.NoError(t, err)
	require.NoError(t, srv.SendStatus(t.Context(), receipt.ID, "delivered"))
	require.NoError(t, srv.SendStatus(t.Context(), receipt.ID, "failed", 131026))
	require.NoError(t, srv.SendText(t.Context(), phone, "Asha", "thank you"))
	require.Equal(t, whatsapp.Delivered, host.statuses[0].State)
	require.Equal(t, notify.Reference("appt-42/paid"), host.statuses[0].Reference)
	require.Equal(t, phone, host.statuses[0].Phone)
	require.ErrorIs(t, host.statuses[1].Err, notify.ErrRecipient)
	require.Equal(t, []string{phone, "Asha", "thank you"}, []string{host.messages[0].Phone, host.messages[0].Name, host.messages[0].Text})

	host.fail = errors.New("down")
	require.ErrorContains(t, srv.SendText(t.Context(), phone, "Asha", "again"), "answered 500")
}

func FuzzWebhook(f *testing.F) {
	f.Add(webhook("messages", `{`+meta+`,"statuses":[{"id":"w","status":"failed","timestamp":"1","errors":[{"code":1}]}]}`))
	f.Add(webhook("messages", `{`+meta+`,"contacts":[{"wa_id":1}],"messages":[{"id":2,"from":"1234567","context":{"id":null}}]}`))
	f.Add(webhook("messages", `{`+meta+`,"messages":[{"id":"w","from":"0123456789"}]}`))
	f.Add(webhook("x", `[]`))
	f.Add(`{"object":"whatsapp_business_account","entry":[{"id":[],"changes":null}]}`)
	f.Add("null")
	f.Fuzz(func(t *testing.T, body string) {
		count := 0
		h := hook(t, func(_ context.Context, e whatsapp.Event) error {
			count++
			require.Len(t, e.ID, 64)
			switch {
			case e.Status != nil:
				require.Equal(t, e.Status.State == whatsapp.Failed, e.Status.Err != nil)
				require.True(t, e.Status.Phone == "" || notify.ValidPhone(e.Status.Phone), e.Status.Phone)
			case e.Message != nil:
				require.True(t, e.Message.Phone == "" || notify.ValidPhone(e.Message.Phone), e.Message.Phone)
			default:
				require.True(t, len(e.Change.Value) == 0 || json.Valid(e.Change.Value))
			}
			return nil
		}, func(cfg *whatsapp.WebhookConfig) {
			cfg.Unread = func(_ context.Context, e whatsapp.UnreadEvent) error {
				require.Contains(t, body, string(e.Part))
				require.Equal(t, body, string(e.Raw))
				return nil
			}
		})
		require.Equal(t, 401, post(h, body, "").Code)
		require.Zero(t, count, "nothing is handled without a signature")
		require.Equal(t, 200, post(h, body, signed(body)).Code)
	})
}

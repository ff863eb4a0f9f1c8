package whatsapp_test

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/notifytest"
	"github.com/telemed-go/telemed/notify/template"
	"github.com/telemed-go/telemed/notify/whatsapp"
	"github.com/telemed-go/telemed/notify/whatsapp/whatsapptest"
)

func TestNotifier(t *testing.T) {
	t.Parallel()
	notifytest.Run(t, func(t *testing.T) notifytest.Harness {
		srv := whatsapptest.NewServer(t)
		faults := map[error]whatsapptest.Fault{
			telemed.ErrUnauthorized: whatsapptest.Refuse("", 0, 190, "Message to "+phone+" failed to send"),
			telemed.ErrForbidden:    whatsapptest.Refuse("", 0, 131048, "Message to "+phone+" failed to send"),
			telemed.ErrRateLimited:  whatsapptest.Refuse("", 0, 130429, "Message to "+phone+" failed to send"),
			telemed.ErrUnavailable:  whatsapptest.Refuse("", 0, 131016, "Message to "+phone+" failed to send"),
			telemed.ErrAmbiguous:    {LoseAnswer: true},
			notify.ErrRecipient:     whatsapptest.Refuse("", 0, 131026, "Message to "+phone+" failed to send"),
		}
		return notifytest.Harness{
			Notifier: newClient(t, config(srv)),
			Channel:  notify.WhatsApp,
			Content:  content(),
			Accepted: func() int { return len(srv.Messages()) },
			Fail: func(kind error) bool {
				f, ok := faults[kind]
				if ok {
					srv.FailNext(f)
				}
				return ok
			},
			Hang: func() { srv.FailNext(whatsapptest.Fault{Hang: true}) },
		}
	})
}

func TestNewNamesAllThatIsWrong(t *testing.T) {
	t.Parallel()
	_, err := whatsapp.New(whatsapp.Config{})
	require.EqualError(t, err, "whatsapp: PhoneNumberID is required; Token is required")
	require.ErrorIs(t, err, telemed.ErrInvalid)
	_, err = whatsapp.New(whatsapp.Config{
		PhoneNumberID: "../evil", Token: telemed.NewSecret("a\nb"), Version: "24", BaseURL: "http://graph.example", Attempts: -1,
	})
	var names []string
	for _, f := range telemed.Fields(err) {
		names = append(names, f.Field)
	}
	require.Equal(t, []string{"PhoneNumberID", "Token", "Version", "BaseURL", "Attempts"}, names)
	for _, base := range []string{"https://user:pass@graph.example", "https://graph.example?x=1", "ftp://127.0.0.1", "graph.example", "http://127.0.0.1.evil.example"} {
		_, err = whatsapp.New(whatsapp.Config{PhoneNumberID: "1", Token: telemed.NewSecret("t"), BaseURL: base})
		require.ErrorContains(t, err, "BaseURL", base)
	}
}

func TestRequest(t *testing.T) {
	t.Parallel()
	srv := whatsapptest.NewServer(t)
	receipt, err := newClient(t, config(srv)).Notify(t.Context(), message("appt-42/paid"))
	require.NoError(t, err)
	got := srv.Messages()[0]
	require.Equal(t, got.ID, receipt.ID)
	require.Equal(t, phone, got.To)
	require.Equal(t, "Hello Zkmark Rao,\n\nWe have received your payment. Thank you.\n\nAmount: ₹500.00\nPayment ID: pay_1\nPaid on: Monday\n\n"+
		"This message was sent automatically by City Clinic. Please do not send medical details in an answer.", got.Text)
	require.Equal(t, notify.Reference("appt-42/paid"), got.Reference)
	require.Regexp(t, `^[0-9a-f]{64}$`, got.Reference)
	require.NotContains(t, string(got.Request), "appt-42")
}

// TestRequestByHand compares a request with what
// https://developers.facebook.com/docs/whatsapp/cloud-api/guides/send-message-templates
// says of one.
func TestRequestByHand(t *testing.T) {
	t.Parallel()
	srv := whatsapptest.NewServer(t)
	_, err := newClient(t, config(srv)).Notify(t.Context(), message("appt-42/paid"))
	require.NoError(t, err)
	require.JSONEq(t, `{
		"messaging_product": "whatsapp", "recipient_type": "individual", "to": "`+phone+`", "type": "template",
		"biz_opaque_callback_data": "`+notify.Reference("appt-42/paid")+`",
		"template": {"name": "payment_receipt", "language": {"code": "en"}, "components": [{"type": "body", "parameters": [
			{"type": "text", "text": "Zkmark Rao"}, {"type": "text", "text": "₹500.00"}, {"type": "text", "text": "City Clinic"},
			{"type": "text", "text": "pay_1"}, {"type": "text", "text": "Monday"}
		]}]}
	}`, string(srv.Messages()[0].Request))
}

// TestOfficialExamples compares our requests with Meta's own.
func TestOfficialExamples(t *testing.T) {
	t.Parallel()
	srv := whatsapptest.NewServer(t, whatsapptest.Config{Templates: []whatsapptest.Template{
		{Name: "hello_world", Language: "en_US", Body: "Hello"}, {Name: "issue", Language: "en_US", Body: "About {{1}}"},
	}})
	client := newClient(t, config(srv))
	for file, call := range map[string]notify.WhatsAppTemplate{
		"Send-Message-Template-Text": {Name: "issue", Language: "en_US", Body: []string{"text-string"}},
		"Send-Test-Message":          {Name: "hello_world", Language: "en_US"},
	} {
		want := fixture(t, "requests/"+file+".json")
		delete(want, "recipient_type") // "individual" is its default
		want["to"] = phone
		shape := want["template"].(map[string]any)
		shape["name"], shape["language"] = call.Name, map[string]any{"code": call.Language}
		if components, ok := shape["components"].([]any); ok {
			body := components[0].(map[string]any)
			// The text; Meta shows only the fallback texts of the others.
			body["parameters"] = body["parameters"].([]any)[:1]
		}
		msg := message(file)
		msg.Content = &notify.Content{WhatsApp: &call}
		receipt, err := client.Notify(t.Context(), msg)
		require.NoError(t, err)
		sent, err := srv.WaitFor(t.Context(), func(m whatsapptest.Message) bool { return m.ID == receipt.ID })
		require.NoError(t, err)
		var got map[string]any
		require.NoError(t, json.Unmarshal(sent.Request, &got))
		require.Equal(t, "individual", got["recipient_type"])
		delete(got, "recipient_type")
		delete(got, "biz_opaque_callback_data")
		require.Equal(t, want, got, file)
	}
}

func fixture(t *testing.T, name string) map[string]any {
	t.Helper()
	data, err := os.ReadFile("../../../shared/fixtures/whatsapp/" + name)
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("Meta's examples of requests are not on this machine: that ours are the same would be shown; " +
			"TestRequestByHand compares ours with one that was written by hand")
	}
	require.NoError(t, err)
	var decoded map[string]any
	require.NoError(t, json.Unmarshal(data, &decoded))
	return decoded
}

func TestInvalidBeforeTheNetwork(t *testing.T) {
	t.Parallel()
	srv := whatsapptest.NewServer(t)
	client := newClient(t, config(srv))
	for name, c := range map[string]struct {
		spoil func(*notify.Message)
		field string
	}{
		"no plus":         {func(m *notify.Message) { m.To.Phone = "919876500042" }, "To.Phone"},
		"spaces":          {func(m *notify.Message) { m.To.Phone = "+91 98765 00042" }, "To.Phone"},
		"other digits":    {func(m *notify.Message) { m.To.Phone = "+९१९८७६५०००४२" }, "To.Phone"},
		"too long":        {func(m *notify.Message) { m.To.Phone = "+9198765000421234" }, "To.Phone"},
		"name":            {func(m *notify.Message) { m.Content.WhatsApp.Name = "Payment Receipt" }, "Content.WhatsApp.Name"},
		"language":        {func(m *notify.Message) { m.Content.WhatsApp.Language = "hi-IN" }, "Content.WhatsApp.Language"},
		"line break":      {func(m *notify.Message) { m.Content.WhatsApp.Body[1] = "zkmark\nb" }, "Content.WhatsApp.Body[1]"},
		"tab":             {func(m *notify.Message) { m.Content.WhatsApp.Body[1] = "zkmark\tb" }, "Content.WhatsApp.Body[1]"},
		"line separator":  {func(m *notify.Message) { m.Content.WhatsApp.Body[1] = "zkmark\u2028b" }, "Content.WhatsApp.Body[1]"},
		"four spaces":     {func(m *notify.Message) { m.Content.WhatsApp.Body[4] = "zkmark    b" }, "Content.WhatsApp.Body[4]"},
		"empty parameter": {func(m *notify.Message) { m.Content.WhatsApp.Body[0] = " " }, "Content.WhatsApp.Body[0]"},
		"not UTF-8":       {func(m *notify.Message) { m.Content.WhatsApp.Body[0] = "zkmark\xff" }, "Content.WhatsApp.Body[0]"},
		"no renderer":     {func(m *notify.Message) { m.Content, m.Template = nil, template.Confirmed }, "Content"},
	} {
		t.Run(name, func(t *testing.T) {
			msg := message("k")
			c.spoil(&msg)
			_, err := client.Notify(t.Context(), msg)
			require.ErrorIs(t, err, telemed.ErrInvalid)
			require.Equal(t, c.field, telemed.Fields(err)[0].Field)
			require.NotContains(t, err.Error(), "zkmark")
		})
	}
	require.Zero(t, srv.Count(whatsapptest.OpSend))
}

// emptyHanded is a Renderer that forgot to make something.
type emptyHanded struct{}

func (emptyHanded) Render(notify.Message) (*notify.Content, error) { return nil, nil }

func TestRendererMakesNothing(t *testing.T) {
	t.Parallel()
	client := offline(t, func(cfg *whatsapp.Config) { cfg.Renderer = emptyHanded{} }, nil)
	msg := message("k")
	msg.Content, msg.Template = nil, template.Confirmed
	_, err := client.Notify(t.Context(), msg)
	require.ErrorIs(t, err, telemed.ErrInvalid)
	require.Equal(t, "Template", telemed.Fields(err)[0].Field)
}

// TestBuiltinTemplates holds package template and the fake's approved templates together.
func TestBuiltinTemplates(t *testing.T) {
	t.Parallel()
	srv := whatsapptest.NewServer(t)
	words, err := template.New(template.Config{Clinic: "City Clinic", Zone: time.FixedZone("IST", 5*3600+1800), AllowUnreviewed: true})
	require.NoError(t, err)
	cfg := config(srv)
	cfg.Renderer = words
	client := newClient(t, cfg)
	for _, name := range words.Names() {
		for _, locale := range []string{"bn-IN", "en-IN", "hi-IN", "mr-IN", "ta-IN", "te-IN"} {
			data := any(template.Appointment{Key: "appt-42", Patient: "Asha", Doctor: "Dr M", Start: time.Now(), JoinURL: "https://meet.example/x"})
			shown := "Asha"
			switch name {
			case template.PaymentAsked, template.PaymentFailed:
				data = template.PaymentDue{Patient: "Asha", Amount: 50000, Currency: "INR", URL: "https://clinic.example/pay"}
			case template.OneTimePassword:
				data, shown = template.Code{Code: "482913", ValidFor: time.Minute}, "482913"
			case template.DocumentReady:
				data = template.Document{Patient: "Asha", Doctor: "Dr M", Title: "Advice", URL: "https://clinic.example/documents"}
			case template.TodaysList:
				data = template.DayList{Doctor: "Dr Asha", Day: time.Now()}
			case template.PaymentReceived:
				data = template.Payment{Patient: "Asha", Amount: 50000, Currency: "INR", Reference: "pay_1", PaidAt: time.Now()}
			case template.RefundPending, template.Refunded:
				data = template.Refund{Patient: "Asha", Amount: 50000, Currency: "INR", At: time.Now()}
			case template.Reconnect:
				data = template.Reconnection{Doctor: "Dr Asha", Provider: "Zoom", URL: "https://clinic.example/accounts"}
			}
			receipt, err := client.Notify(t.Context(), notify.Message{
				Key: "appt-42/" + name, To: notify.Recipient{Phone: phone, Locale: locale}, Template: name, Data: data,
			})
			require.NoError(t, err, "%s in %s", name, locale)
			sent, err := srv.WaitFor(t.Context(), func(m whatsapptest.Message) bool { return m.ID == receipt.ID })
			require.NoError(t, err)
			require.Equal(t, []string{name, locale[:2]}, []string{sent.Template, sent.Language})
			require.Contains(t, sent.Text, shown)
			require.NotContains(t, sent.Text, "{{")
		}
	}
	require.Len(t, whatsapptest.Builtin(), len(template.Definitions()), "each in all languages, and no other")
	_, err = client.Notify(t.Context(), notify.Message{Key: "k", To: notify.Recipient{Phone: phone}, Template: "unknown"})
	require.ErrorIs(t, err, telemed.ErrInvalid)
}

// TestCode: a one-time password stands in the body and in the button, as Meta wants it of a
// template of the category AUTHENTICATION.
func TestCode(t *testing.T) {
	t.Parallel()
	srv := whatsapptest.NewServer(t)
	client := newClient(t, config(srv))
	call := &notify.WhatsAppTemplate{Name: "one_time_password", Language: "en", Body: []string{"482913"}, Buttons: []notify.WhatsAppButton{{URL: "482913"}}}
	msg := message("k")
	msg.Content = &notify.Content{WhatsApp: call}
	_, err := client.Notify(t.Context(), msg)
	require.NoError(t, err)
	got := srv.Messages()[0]
	require.Equal(t, "*482913* is your verification code. For your security, do not share this code.", got.Text)
	var sent struct {
		Template struct{ Components json.RawMessage }
	}
	require.NoError(t, json.Unmarshal(got.Request, &sent))
	require.JSONEq(t, `[{"type":"body","parameters":[{"type":"text","text":"482913"}]},
		{"type":"button","sub_type":"url","index":"0","parameters":[{"type":"text","text":"482913"}]}]`, string(sent.Template.Components))

	call.Buttons = nil
	_, err = client.Notify(t.Context(), msg)
	require.ErrorContains(t, err, "131008", "Meta refuses a call that does not fill the button")
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer *http.Response
		want   error
		text   string
	}{
		"accepted":             {answer(200, accepted), nil, ""},
		"empty":                {answer(200, ""), telemed.ErrAmbiguous, "whatsapp: Notify: 200: outcome unknown: no whole answer"},
		"cut":                  {answer(200, accepted[:40]), telemed.ErrAmbiguous, "whatsapp: Notify: 200: outcome unknown: no whole answer"},
		"without an id":        {answer(200, `{"messages":[]}`), telemed.ErrAmbiguous, "whatsapp: Notify: 200: outcome unknown: no whole answer"},
		"page":                 {answer(200, "<html>", "Content-Type", "text/html"), telemed.ErrAmbiguous, "whatsapp: Notify: 200: outcome unknown: no whole answer"},
		"error in a 200":       {answer(200, `{"error":{"code":190}}`), telemed.ErrAmbiguous, "whatsapp: Notify: 200: outcome unknown: no whole answer"},
		"too long":             {answer(200, strings.Repeat(" ", 1<<20)+accepted), telemed.ErrAmbiguous, "whatsapp: Notify: 200: outcome unknown: no whole answer"},
		"redirect":             {answer(302, "", "Location", "https://evil.example"), telemed.ErrUnavailable, "whatsapp: Notify: 302: provider unavailable"},
		"gateway":              {answer(502, "<html>"+phone), telemed.ErrAmbiguous, "whatsapp: Notify: 502: outcome unknown"},
		"bare 500":             {answer(500, ""), telemed.ErrAmbiguous, "whatsapp: Notify: 500: outcome unknown"},
		"bare 404":             {answer(404, ""), telemed.ErrInvalid, "whatsapp: Notify: 404: invalid request"},
		"bare 429":             {answer(429, "", "Retry-After", "7"), telemed.ErrRateLimited, "whatsapp: Notify: 429: rate limited"},
		"code 1 with 500":      {answer(500, `{"error":{"code":1,"message":"`+phone+`"}}`), telemed.ErrAmbiguous, "whatsapp: Notify: 500 (code 1): outcome unknown"},
		"code 131000 with 400": {answer(400, `{"error":{"code":131000}}`), telemed.ErrUnavailable, "whatsapp: Notify: 400 (code 131000): provider unavailable"},
		"code 0":               {answer(401, `{"error":{"code":0}}`), telemed.ErrUnauthorized, "whatsapp: Notify: 401 (code 0): credentials refused"},
		"throttle with 400":    {answer(400, `{"error":{"code":80007}}`), telemed.ErrRateLimited, "whatsapp: Notify: 400 (code 80007): rate limited"},
		"unknown, transient":   {answer(400, `{"error":{"code":999999,"is_transient":true}}`), telemed.ErrUnavailable, "whatsapp: Notify: 400 (code 999999): provider unavailable"},
		"unknown, 400":         {answer(400, `{"error":{"code":999999}}`), telemed.ErrInvalid, "whatsapp: Notify: 400 (code 999999): invalid request"},
		"unknown, 503":         {answer(503, `{"error":{"code":999999,"is_transient":true}}`), telemed.ErrAmbiguous, "whatsapp: Notify: 503 (code 999999): outcome unknown"},
		"error_data is text":   {answer(400, `{"error":{"code":132000,"error_data":"`+phone+`"}}`), telemed.ErrInvalid, "whatsapp: Notify: 400 (code 132000): invalid request"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			calls := 0
			client := offline(t, func(cfg *whatsapp.Config) { cfg.Attempts = 1 }, func(*http.Request) (*http.Response, error) {
				calls++
				return c.answer, nil
			})
			receipt, err := client.Notify(t.Context(), message("k"))
			require.Equal(t, 1, calls)
			if c.want == nil {
				require.NoError(t, err)
				require.Equal(t, "wamid.1", receipt.ID)
				return
			}
			require.Nil(t, receipt)
			require.ErrorIs(t, err, c.want)
			require.EqualError(t, err, c.text)
		})
	}
}

func TestErrorTellsWhatAPersonNeeds(t *testing.T) {
	t.Parallel()
	srv := whatsapptest.NewServer(t)
	limited := whatsapptest.Refuse("", 0, 130429, "")
	limited.Header.Set("Retry-After", "17")
	srv.FailNext(limited)
	client := newClient(t, config(srv))
	_, err := client.Notify(t.Context(), message("k"))
	e, ok := errors.AsType[*whatsapp.Error](err)
	require.True(t, ok)
	require.Equal(t, []any{"Notify", 429, 130429, true, "AfKeTraceId0123456789ab", 17 * time.Second},
		[]any{e.Op, e.Status, e.Code, e.HasCode, e.RequestID, e.RetryAfter})
	require.Equal(t, 17*time.Second, notify.RetryAfter(err))

	wrong := config(srv)
	wrong.Token = telemed.NewSecret("zkmark-token")
	_, err = newClient(t, wrong).Notify(t.Context(), message("k"))
	require.EqualError(t, err, "whatsapp: Notify: 401 (code 190): credentials refused [request id AfKeTraceId0123456789ab]")
	wrong = config(srv)
	wrong.PhoneNumberID = "999"
	_, err = newClient(t, wrong).Notify(t.Context(), message("k"))
	require.EqualError(t, err, "whatsapp: Notify: 400 (code 100): invalid request [request id AfKeTraceId0123456789ab]")
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	client := offline(t, func(cfg *whatsapp.Config) {
		cfg.Version = "v18.0"
		cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
	}, func(r *http.Request) (*http.Response, error) {
		require.Equal(t, "https://graph.facebook.com/v18.0/1/messages", r.URL.String())
		return answer(200, `{"messages":[{"id":"wamid.1","message_status":"paused"}]}`, "Facebook-Api-Version", "v22.0"), nil
	})
	_, err := client.Notify(t.Context(), message("appt-42"))
	require.NoError(t, err)
	require.Contains(t, log.String(), "asked=v18.0 served=v22.0")
	require.Contains(t, log.String(), "message_status=paused")
	for _, personal := range []string{"Zkmark", phone, "₹500"} {
		require.NotContains(t, log.String(), personal)
	}
}

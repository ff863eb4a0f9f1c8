package whatsapp_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/whatsapp"
	"github.com/telemed-go/telemed/notify/whatsapp/whatsapptest"
)

var frame = whatsapp.Frame{Body: "When does it suit you?", Header: "Your visit", Footer: "City Clinic"}

// everything has content of each form that Meta's examples have.
var everything = map[string]whatsapp.Content{
	`{"body":"See https://clinic.example","preview_url":true}`: whatsapp.Text("See https://clinic.example", true),
	`{"id":"A1"}`: whatsapp.Audio(whatsapp.Media{ID: "A1"}),
	`{"id":"S1"}`: whatsapp.Sticker(whatsapp.Media{ID: "S1"}),
	`{"id":"I1"}`: whatsapp.Image(whatsapp.Media{ID: "I1"}),
	`{"caption":"c","link":"https://x.example/v.mp4"}`:          whatsapp.Video(whatsapp.Media{Link: "https://x.example/v.mp4", Caption: "c"}),
	`{"caption":"c","filename":"r.pdf","id":"D1"}`:              whatsapp.Document(whatsapp.Media{ID: "D1", Caption: "c", Filename: "r.pdf"}),
	`{"latitude":12.97,"longitude":77.59,"name":"City Clinic"}`: whatsapp.Location(whatsapp.Place{Latitude: 12.97, Longitude: 77.59, Name: "City Clinic"}),
	`{"emoji":"👍","message_id":"wamid.X"}`:                      whatsapp.Reaction("wamid.X", "👍"),
	`[{"name":{"formatted_name":"City Clinic","first_name":"City"},"phones":[{"phone":"+91 80 1234","type":"WORK"}]}]`: whatsapp.Contacts(whatsapp.Contact{
		Name: whatsapp.ContactName{Formatted: "City Clinic", First: "City"}, Phones: []whatsapp.ContactPhone{{Phone: "+91 80 1234", Type: "WORK"}},
	}),
	`{"action":{"buttons":[{"reply":{"id":"yes","title":"Yes"},"type":"reply"}]},"body":{"text":"Come?"},"type":"button"}`: whatsapp.Buttons(whatsapp.Frame{Body: "Come?"}, whatsapp.Button{ID: "yes", Title: "Yes"}),
	`{"action":{"button":"Times","sections":[{"rows":[{"description":"d","id":"1","title":"9 am"}]}]},"body":{"text":"When does it suit you?"},"footer":{"text":"City Clinic"},"header":{"text":"Your visit","type":"text"},"type":"list"}`: whatsapp.List(frame, "Times",
		whatsapp.Section{Rows: []whatsapp.Row{{ID: "1", Title: "9 am", Description: "d"}}}),
	`{"action":{"name":"cta_url","parameters":{"display_text":"Join","url":"https://x.example/j"}},"body":{"text":"Come?"},"type":"cta_url"}`: whatsapp.Link(whatsapp.Frame{Body: "Come?"}, "Join", "https://x.example/j"),
	`{"action":{"name":"flow","parameters":{"flow_action":"navigate","flow_action_payload":{"data":{"k":"v"},"screen":"ONE"},"flow_cta":"Open","flow_message_version":"3","flow_name":"intake","flow_token":"t","mode":"draft"}},"body":{"text":"Come?"},"type":"flow"}`: whatsapp.Flow(whatsapp.Frame{Body: "Come?"},
		whatsapp.FlowCall{Name: "intake", Token: "t", Button: "Open", Screen: "ONE", Data: map[string]any{"k": "v"}, Draft: true}),
	`{"action":{"name":"catalog_message"},"body":{"text":"Come?"},"type":"catalog_message"}`: whatsapp.Interactive("catalog_message", whatsapp.Frame{Body: "Come?"}, json.RawMessage(`{"name":"catalog_message"}`)),
}

func TestSendEverything(t *testing.T) {
	hook := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer hook.Close()
	srv := whatsapptest.NewServer(t, whatsapptest.Config{WebhookURL: hook.URL})
	c := newClient(t, config(srv))
	_, err := c.Send(t.Context(), whatsapp.Outbound{To: phone, Content: whatsapp.Text("hello", false)})
	require.ErrorIs(t, err, notify.ErrRecipient, "nobody has written")
	require.NoError(t, srv.SendText(t.Context(), phone, "Asha", "Hello"))
	require.NoError(t, c.MarkRead(t.Context(), "wamid.INBOUND00000001", true))
	for want, content := range everything {
		got, err := c.Send(t.Context(), whatsapp.Outbound{To: phone, Key: "k", ReplyTo: "wamid.X", Content: content})
		require.NoError(t, err, want)
		require.Equal(t, phone, got.Phone)
		all := srv.Messages()
		var sent map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(all[len(all)-1].Request, &sent))
		var kind string
		require.NoError(t, json.Unmarshal(sent["type"], &kind))
		require.JSONEq(t, want, string(sent[kind]))
		require.JSONEq(t, `{"message_id":"wamid.X"}`, string(sent["context"]))
	}
}

func TestSendIsCheckedBeforeTheNetwork(t *testing.T) {
	c := offline(t, nil, func(*http.Request) (*http.Response, error) { t.Error("network"); return nil, http.ErrServerClosed })
	long := strings.Repeat("x", 4097)
	for field, content := range map[string]whatsapp.Content{
		"Content":         {},
		"Content.Text":    whatsapp.Text(long, false),
		"Content.Caption": whatsapp.Audio(whatsapp.Media{ID: "1", Caption: "x"}),
		"Content.Link":    whatsapp.Image(whatsapp.Media{Link: "ftp://x"}),
		"Content.Frame.Header.Link": whatsapp.Buttons(whatsapp.Frame{Body: "x", HeaderImage: &whatsapp.Media{Link: "http://x.example/i.png"}},
			whatsapp.Button{ID: "a", Title: "A"}),
		"Content.URL":              whatsapp.Link(frame, "Open", "http://x.example/r"),
		"Content.Flow.Data":        whatsapp.Flow(frame, whatsapp.FlowCall{ID: "1", Button: "x", Screen: "A", Data: map[string]any{"a": func() {}}}),
		"Content.Buttons":          whatsapp.Buttons(frame),
		"Content.Buttons[1].ID":    whatsapp.Buttons(frame, whatsapp.Button{ID: "a", Title: "A"}, whatsapp.Button{ID: "a", Title: "B"}),
		"Content.Sections":         whatsapp.List(frame, "x"),
		"Content.Title":            whatsapp.Link(frame, long, "https://x.example"),
		"Content.Flow":             whatsapp.Flow(frame, whatsapp.FlowCall{Button: "x"}),
		"Content.Body[0].Text":     whatsapp.Template(whatsapp.Call{Name: "a", Language: "en", Body: []whatsapp.Parameter{{Text: "a\nb"}}}),
		"Content.Buttons[0].Index": whatsapp.Template(whatsapp.Call{Name: "a", Language: "en", Buttons: []whatsapp.CallButton{{Index: 10, URL: "x"}}}),
		"Content.Contacts[0].Name": whatsapp.Contacts(whatsapp.Contact{Name: whatsapp.ContactName{Formatted: "x"}}),
	} {
		_, err := c.Send(t.Context(), whatsapp.Outbound{To: phone, Content: content})
		require.ErrorIs(t, err, telemed.ErrInvalid, field)
		require.ErrorContains(t, err, field)
	}
}

func TestTemplateIsCheckedAgainstMetas(t *testing.T) {
	srv := whatsapptest.NewServer(t)
	cfg := config(srv)
	cfg.BusinessAccountID = srv.BusinessAccountID()
	c := newClient(t, cfg)
	d := whatsapp.Definition{Name: "receipt", Language: "en", Category: "UTILITY", ParameterFormat: "NAMED", Components: []whatsapp.Component{
		{Type: "HEADER", Format: "DOCUMENT"},
		{Type: "BODY", Text: "Hello {{name}}"},
		{Type: "BUTTONS", Buttons: []whatsapp.ComponentButton{{Type: "URL", Text: "Open", URL: "https://x.example/{{1}}"}}},
	}}
	made, err := c.CreateTemplate(t.Context(), d)
	require.NoError(t, err)
	require.Equal(t, "PENDING", made.Status)
	call := whatsapp.Call{
		Name: "receipt", Language: "en", Body: []whatsapp.Parameter{{Name: "name", Text: "Asha"}},
		Header:  &whatsapp.Parameter{Document: &whatsapp.Media{ID: "D1", Filename: "receipt.pdf"}},
		Buttons: []whatsapp.CallButton{{URL: "r/1"}},
	}
	send := func(call whatsapp.Call) error {
		_, err := c.Send(t.Context(), whatsapp.Outbound{To: "IN.12345", Content: whatsapp.Template(call)})
		return err
	}
	require.ErrorIs(t, send(call), telemed.ErrForbidden, "not approved")
	require.NoError(t, srv.SetTemplateStatus("receipt", "en", "APPROVED"))
	require.NoError(t, send(call))
	asked := srv.Count(whatsapptest.OpTemplates)
	require.NoError(t, send(call))
	require.Equal(t, asked, srv.Count(whatsapptest.OpTemplates), "asked once")
	for field, change := range map[string]func(*whatsapp.Call){
		"Content.Name":         func(c *whatsapp.Call) { c.Name = "other" },
		"Content.Header":       func(c *whatsapp.Call) { c.Header = nil },
		"Content.Body":         func(c *whatsapp.Call) { c.Body = nil },
		"Content.Body[0].Name": func(c *whatsapp.Call) { c.Body = []whatsapp.Parameter{{Text: "Asha"}} },
		"Content.Buttons":      func(c *whatsapp.Call) { c.Buttons = nil },
	} {
		wrong, before := call, len(srv.Messages())
		change(&wrong)
		err := send(wrong)
		require.ErrorIs(t, err, telemed.ErrInvalid, field)
		require.ErrorContains(t, err, field)
		require.Len(t, srv.Messages(), before)
	}
	count := 0
	for _, err := range c.Templates(t.Context()) {
		require.NoError(t, err)
		count++
	}
	require.Greater(t, count, 10)
	require.NoError(t, c.DeleteTemplate(t.Context(), "receipt"))
}

func TestMetaThatCannotSayBlocksNothing(t *testing.T) {
	srv := whatsapptest.NewServer(t)
	cfg := config(srv)
	cfg.BusinessAccountID, cfg.Attempts = srv.BusinessAccountID(), 1
	srv.FailNext(whatsapptest.Fault{Op: whatsapptest.OpTemplates, Status: 500, Times: -1})
	_, err := newClient(t, cfg).Notify(t.Context(), message("k"))
	require.NoError(t, err)
	require.Equal(t, 1, srv.Count(whatsapptest.OpTemplates))
}

func TestWhatWebhooksTellOfPeople(t *testing.T) {
	var host collector
	body := webhook("messages", `{`+meta+`,"contacts":[{"user_id":"IN.9","profile":{"name":"A"}}],"statuses":[
		{"id":"wamid.1","status":"sent","pricing":{"billable":false,"pricing_model":"PMP","category":"utility"},"conversation":{"id":"c1"}}],
		"messages":[{"id":"wamid.2","from":"919876500042","type":"system","system":{"type":"user_changed_number","wa_id":"919876500043"}},
		{"id":"wamid.3","from":"919876500042","type":"interactive","interactive":{"type":"nfm_reply","nfm_reply":{"response_json":"{\"a\":1}"}}},
		{"id":"wamid.4","from":"919876500042","type":"document","document":{"id":"77","filename":"x.pdf"}}]}`)
	require.Equal(t, 200, post(hook(t, host.handle), body, signed(body)).Code)
	s := host.statuses[0]
	require.Equal(t, []string{"IN.9", "utility", "PMP", "c1"}, []string{s.UserID, s.Category, s.PricingModel, s.ConversationID})
	require.False(t, *s.Billable)
	require.Equal(t, "+919876500043", host.messages[0].NewPhone)
	require.JSONEq(t, `{"a":1}`, string(host.messages[1].Answers))
	require.Equal(t, "77", host.messages[2].Media.ID)
}

// TestStatusTellsItsPerson: wherever the webhook names one, and nobody else's.
func TestStatusTellsItsPerson(t *testing.T) {
	t.Parallel()
	const two = `[{"user_id":"IN.8","wa_id":"919876500041"},{"user_id":"IN.9","wa_id":"919876500042"}]`
	for name, c := range map[string]struct{ contacts, statuses, phone, user string }{
		"in the status":          {`[]`, `{"recipient_id":"919876500042","recipient_user_id":"IN.9"}`, phone, "IN.9"},
		"beside it, alone":       {`[{"user_id":"IN.9"}]`, `{}`, "", "IN.9"},
		"beside it, by number":   {two, `{"recipient_id":"919876500042"},{}`, phone, "IN.9"},
		"beside it, by id":       {two, `{"recipient_user_id":"IN.9"},{}`, phone, "IN.9"},
		"spelled otherwise":      {`[{"user_id":"IN.9","wa_id":"551187654321"}]`, `{"recipient_id":"5511987654321"}`, "+5511987654321", "IN.9"},
		"of several, unknown":    {`[{"user_id":"IN.9","wa_id":"551187654321"}]`, `{"recipient_id":"919876500042"},{"recipient_id":"919876500041"}`, phone, ""},
		"a member of a group":    {`[]`, `{"recipient_type":"group","recipient_id":"120363012345","recipient_participant_id":"919876500042"}`, phone, ""},
		"nobody is named at all": {`[]`, `{}`, "", ""},
	} {
		var host collector
		body := webhook("messages", `{`+meta+`,"contacts":`+c.contacts+`,"statuses":[`+c.statuses+`]}`)
		require.Equal(t, 200, post(hook(t, host.handle), body, signed(body)).Code, name)
		require.Equal(t, []string{c.phone, c.user}, []string{host.statuses[0].Phone, host.statuses[0].UserID}, name)
	}
}

// TestStatusTellsWhatItKnows: price and problem, which come once.
func TestStatusTellsWhatItKnows(t *testing.T) {
	t.Parallel()
	var host collector
	body := webhook("messages", `{`+meta+`,"statuses":[{"id":"wamid.1","status":"failed","errors":[
		{"code":131026,"title":"Message undeliverable","message":"undeliverable","href":"https://x.example","error_data":{"details":"to 919876500042"}},{"title":"new"}]},
		{"id":"wamid.2","status":"sent","conversation":{"id":"c","pricing":{"category":"utility","type":"free_customer_service","billable":false}}}]}`)
	require.Equal(t, 200, post(hook(t, host.handle), body, signed(body)).Code)
	require.Equal(t, []whatsapp.Problem{
		{Code: 131026, Title: "Message undeliverable", Message: "undeliverable", Details: "to 919876500042", Href: "https://x.example"}, {Title: "new"},
	}, host.statuses[0].Problems)
	require.Equal(t, "[{code:131026} {code:0}]", fmt.Sprint(host.statuses[0].Problems))
	s := host.statuses[1]
	require.Equal(t, []string{"utility", "free_customer_service"}, []string{s.Category, s.PricingType})
	require.False(t, *s.Billable)
}

// TestABodyForAllButCatalogs: as the documentation of Frame says.
func TestABodyForAllButCatalogs(t *testing.T) {
	t.Parallel()
	c := offline(t, nil, func(*http.Request) (*http.Response, error) { return answer(200, accepted), nil })
	action := json.RawMessage(`{"name":"catalog_message"}`)
	for kind, ok := range map[string]bool{"catalog_message": true, "product": true, "product_list": false, "address_message": false} {
		_, err := c.Send(t.Context(), whatsapp.Outbound{To: phone, Content: whatsapp.Interactive(kind, whatsapp.Frame{}, action)})
		if ok {
			require.NoError(t, err, kind)
			_, err = c.Send(t.Context(), whatsapp.Outbound{To: phone, Content: whatsapp.Interactive(kind, whatsapp.Frame{Body: strings.Repeat("x", 1025)}, action)})
		}
		require.ErrorIs(t, err, telemed.ErrInvalid, kind)
		require.ErrorContains(t, err, "Content.Frame.Body", kind)
	}
}

func TestTheWindowMayBeToldLate(t *testing.T) {
	srv := whatsapptest.NewServer(t, whatsapptest.Config{LateWindow: true})
	_, err := newClient(t, config(srv)).Send(t.Context(), whatsapp.Outbound{To: phone, Content: whatsapp.Text("hello", false)})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(srv.Events()) == 1 }, 5*time.Second, time.Millisecond)
	require.Contains(t, string(srv.Events()[0].Body), "131047")
}

package whatsapp_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/whatsapp"
	"github.com/telemed-go/telemed/notify/whatsapp/whatsapptest"
)

// approved makes a template at a fake of Meta, and a client that checks calls of it.
func approved(t *testing.T, d whatsapp.Definition) (*whatsapptest.Server, *whatsapp.Client) {
	t.Helper()
	srv := whatsapptest.NewServer(t)
	cfg := config(srv)
	cfg.BusinessAccountID = srv.BusinessAccountID()
	c := newClient(t, cfg)
	_, err := c.CreateTemplate(t.Context(), d)
	require.NoError(t, err)
	require.NoError(t, srv.SetTemplateStatus(d.Name, d.Language, "APPROVED"))
	return srv, c
}

func receiptCall() *notify.WhatsAppTemplate {
	return &notify.WhatsAppTemplate{
		Name: "receipt", Language: "en", Named: map[string]string{"name": "Asha", "amount": "₹500.00"},
		Header:  &notify.WhatsAppHeader{Document: &notify.WhatsAppFile{ID: "D1", Filename: "receipt.pdf"}},
		Buttons: []notify.WhatsAppButton{{Index: 1, URL: "r/1"}},
	}
}

// tell sends a call of a template by Notify.
func tell(t *testing.T, c *whatsapp.Client, call *notify.WhatsAppTemplate) error {
	t.Helper()
	_, err := c.Notify(t.Context(), notify.Message{Key: "k", To: notify.Recipient{Phone: phone}, Content: &notify.Content{WhatsApp: call}})
	return err
}

// TestNotifyFillsAWholeTemplate: header, names and buttons leave as Meta wants them.
func TestNotifyFillsAWholeTemplate(t *testing.T) {
	srv, c := approved(t, whatsapp.Definition{
		Name: "receipt", Language: "en", Category: "UTILITY", ParameterFormat: "NAMED", Components: []whatsapp.Component{
			{Type: "HEADER", Format: "DOCUMENT"},
			{Type: "BODY", Text: "Hello {{name}}, we have {{amount}}."},
			{Type: "BUTTONS", Buttons: []whatsapp.ComponentButton{{Type: "QUICK_REPLY", Text: "Thanks"}, {Type: "URL", Text: "Open", URL: "https://x.example/{{1}}"}}},
		},
	})
	require.NoError(t, tell(t, c, receiptCall()))
	sent := srv.Messages()[0]
	require.Equal(t, "Hello Asha, we have ₹500.00.", sent.Text)
	require.Equal(t, []string{"receipt", "en"}, []string{sent.Template, sent.Language})
	var request struct{ Template json.RawMessage }
	require.NoError(t, json.Unmarshal(sent.Request, &request))
	require.JSONEq(t, `{"name":"receipt","language":{"code":"en"},"components":[
		{"type":"header","parameters":[{"type":"document","document":{"id":"D1","filename":"receipt.pdf"}}]},
		{"type":"body","parameters":[{"type":"text","parameter_name":"amount","text":"₹500.00"},{"type":"text","parameter_name":"name","text":"Asha"}]},
		{"type":"button","sub_type":"url","index":"1","parameters":[{"type":"text","text":"r/1"}]}]}`, string(request.Template))

	for status, code := range map[string]int{"PAUSED": 132015, "DISABLED": 132016} {
		require.NoError(t, srv.SetTemplateStatus("receipt", "en", status))
		unchecked := newClient(t, config(srv))
		err := tell(t, unchecked, receiptCall())
		require.ErrorIs(t, err, telemed.ErrForbidden)
		e, ok := errors.AsType[*whatsapp.Error](err)
		require.True(t, ok)
		require.Equal(t, code, e.Code)
	}
	require.NoError(t, srv.SetTemplateStatus("receipt", "en", "APPROVED"))
	for field, change := range map[string]func(*notify.WhatsAppTemplate){
		"Content.Header":               func(c *notify.WhatsAppTemplate) { c.Header = nil },
		"Content.Body has":             func(c *notify.WhatsAppTemplate) { delete(c.Named, "name") },
		"Content.Body[1].Name":         func(c *notify.WhatsAppTemplate) { delete(c.Named, "name"); c.Named["patient"] = "Asha" },
		"Content.Buttons lack":         func(c *notify.WhatsAppTemplate) { c.Buttons = nil },
		"Content.Buttons[0] is":        func(c *notify.WhatsAppTemplate) { c.Buttons[0].Index = 0 },
		"Content.Buttons[0].Index":     func(c *notify.WhatsAppTemplate) { c.Buttons[0].Index = 2 },
		"Content.Header is of another": func(c *notify.WhatsAppTemplate) { c.Header = &notify.WhatsAppHeader{Text: "x"} },
	} {
		call := receiptCall()
		change(call)
		err := tell(t, c, call)
		require.ErrorIs(t, err, telemed.ErrInvalid, field)
		require.ErrorContains(t, err, field)
		require.Len(t, srv.Messages(), 1, "before the first send")
	}
}

// TestNotifyFillsAHeaderOfText: numbered or named.
func TestNotifyFillsAHeaderOfText(t *testing.T) {
	for format, c := range map[string]struct{ header, name, wrong string }{
		"POSITIONAL": {"Visit {{1}}", "", "visit"}, "NAMED": {"Visit {{visit}}", "visit", ""},
	} {
		srv, client := approved(t, whatsapp.Definition{
			Name: "visit", Language: "en", Category: "UTILITY", ParameterFormat: format,
			Components: []whatsapp.Component{{Type: "HEADER", Format: "TEXT", Text: c.header}, {Type: "BODY", Text: "Come."}},
		})
		call := &notify.WhatsAppTemplate{Name: "visit", Language: "en", Header: &notify.WhatsAppHeader{Text: "42", Name: c.name}}
		require.NoError(t, tell(t, client, call), format)
		require.Contains(t, string(srv.Messages()[0].Request), `"text":"42"`)
		call.Header.Name = c.wrong
		require.ErrorContains(t, tell(t, client, call), "Content.Header.Name", format)
	}
}

// TestWhatNoTemplateTakes is refused before anybody is asked.
func TestWhatNoTemplateTakes(t *testing.T) {
	c := offline(t, nil, nil)
	for field, change := range map[string]func(*notify.WhatsAppTemplate){
		"Content.WhatsApp.Named ":               func(c *notify.WhatsAppTemplate) { c.Named["Zk mark"] = "x" },
		"Content.WhatsApp.Named is given":       func(c *notify.WhatsAppTemplate) { c.Body = []string{"x"} },
		"Content.WhatsApp.Named[name]":          func(c *notify.WhatsAppTemplate) { c.Named["name"] = "a\nb" },
		"Content.WhatsApp.Header.Filename":      func(c *notify.WhatsAppTemplate) { c.Header.Image, c.Header.Document = c.Header.Document, nil },
		"Content.WhatsApp.Header needs":         func(c *notify.WhatsAppTemplate) { c.Header.Document.ID = "" },
		"Content.WhatsApp.Header has more than": func(c *notify.WhatsAppTemplate) { c.Header.Text = "x" },
		"Content.WhatsApp.Buttons[0] needs one": func(c *notify.WhatsAppTemplate) { c.Buttons[0].Payload = "x" },
		"Content.WhatsApp.Buttons[1].Index":     func(c *notify.WhatsAppTemplate) { c.Buttons = append(c.Buttons, c.Buttons[0]) },
	} {
		call := receiptCall()
		change(call)
		err := tell(t, c, call)
		require.ErrorIs(t, err, telemed.ErrInvalid, field)
		require.ErrorContains(t, err, field)
		require.NotContains(t, err.Error(), "Zk")
	}
}

// TestNotifyWithoutANumber: a person who hides it is reached by Meta's id.
func TestNotifyWithoutANumber(t *testing.T) {
	srv := whatsapptest.NewServer(t, whatsapptest.Config{People: []whatsapptest.Person{
		{Phone: phone, WaID: "9198765", UserID: "IN.42"}, {Phone: "+919876500043", UserID: "IN.43", Hidden: true},
	}})
	c := newClient(t, config(srv))
	for name, test := range map[string]struct {
		to   notify.Recipient
		sent string
		want []string
	}{
		"a number":        {notify.Recipient{Phone: phone}, phone, []string{"+9198765", "IN.42"}},
		"both":            {notify.Recipient{Phone: phone, WhatsAppUserID: "IN.42"}, phone, []string{"+9198765", "IN.42"}},
		"a user id":       {notify.Recipient{WhatsAppUserID: "IN.42"}, "IN.42", []string{"+9198765"}},
		"a hidden number": {notify.Recipient{WhatsAppUserID: "IN.43"}, "IN.43", nil},
		"nobody special":  {notify.Recipient{Phone: "+919876500044"}, "+919876500044", nil},
	} {
		msg := message("k")
		msg.To = test.to
		receipt, err := c.Notify(t.Context(), msg)
		require.NoError(t, err, name)
		require.Equal(t, test.want, receipt.KnownAs, name)
		all := srv.Messages()
		require.Equal(t, test.sent, all[len(all)-1].To, name)
	}
	msg := message("k")
	msg.To = notify.Recipient{WhatsAppUserID: "zkmark"}
	_, err := c.Notify(t.Context(), msg)
	require.ErrorContains(t, err, "To.WhatsAppUserID")
}

// TestManyCallsOfOneTemplateAskOnce: also if the definition does not fit, and is asked for
// again by whoever comes later.
func TestManyCallsOfOneTemplateAskOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		c := offline(t, func(cfg *whatsapp.Config) { cfg.BusinessAccountID = "2" }, func(*http.Request) (*http.Response, error) {
			asked.Add(1)
			time.Sleep(time.Second)
			return answer(200, `{"data":[{"name":"receipt","language":"en","status":"PAUSED"}]}`), nil
		})
		for want := range 2 {
			var all sync.WaitGroup
			for range 20 {
				all.Go(func() {
					if err := tell(t, c, receiptCall()); !errors.Is(err, telemed.ErrForbidden) {
						t.Error(err)
					}
				})
			}
			all.Wait()
			require.EqualValues(t, want+1, asked.Load())
		}
	})
}

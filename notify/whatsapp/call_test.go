package whatsapp_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/notify/whatsapp"
)

// TestCallHasEveryParameter compares a call with the form that Meta documents.
func TestCallHasEveryParameter(t *testing.T) {
	var sent []byte
	c := offline(t, nil, func(r *http.Request) (*http.Response, error) {
		body, err := r.GetBody()
		require.NoError(t, err)
		sent, _ = io.ReadAll(body)
		return answer(200, `{"messages":[{"id":"wamid.1"}]}`), nil
	})
	_, err := c.Send(t.Context(), whatsapp.Outbound{To: "IN.12345", Content: whatsapp.Template(whatsapp.Call{
		Name: "bill", Language: "en",
		Header: &whatsapp.Parameter{Image: &whatsapp.Media{Link: "https://x.example/a.png"}},
		Body: []whatsapp.Parameter{
			{Text: "Asha"}, {Currency: &whatsapp.Currency{Code: "INR", Thousandths: 500000, Fallback: "₹500"}},
			{Date: &whatsapp.Date{Fallback: "today", At: time.Date(1977, 2, 25, 15, 33, 0, 0, time.UTC)}},
		},
		Buttons: []whatsapp.CallButton{{Payload: "yes"}, {Index: 1, URL: "r/1"}},
	})})
	require.NoError(t, err)
	require.JSONEq(t, `{"messaging_product":"whatsapp","recipient_type":"individual","recipient":"IN.12345","type":"template",
		"template":{"name":"bill","language":{"code":"en"},"components":[
		{"type":"header","parameters":[{"type":"image","image":{"link":"https://x.example/a.png"}}]},
		{"type":"body","parameters":[{"type":"text","text":"Asha"},
			{"type":"currency","currency":{"code":"INR","amount_1000":500000,"fallback_value":"₹500"}},
			{"type":"date_time","date_time":{"fallback_value":"today","calendar":"GREGORIAN","day_of_week":5,"day_of_month":25,"month":2,"year":1977,"hour":15,"minute":33}}]},
		{"type":"button","sub_type":"quick_reply","index":"0","parameters":[{"type":"payload","payload":"yes"}]},
		{"type":"button","sub_type":"url","index":"1","parameters":[{"type":"text","text":"r/1"}]}]}}`, string(sent))
}

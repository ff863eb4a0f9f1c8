package whatsapp

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/telemed-go/telemed/notify"
)

// request is a template message as Meta takes it:
// https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/template-messages
type request struct {
	Product       string   `json:"messaging_product"`
	RecipientType string   `json:"recipient_type"`
	To            string   `json:"to"`
	Type          string   `json:"type"`
	Template      template `json:"template"`
	Reference     string   `json:"biz_opaque_callback_data,omitempty"`
}

type template struct {
	Name       string      `json:"name"`
	Language   language    `json:"language"`
	Components []component `json:"components,omitempty"`
}

type language struct {
	Code string `json:"code"`
}

type component struct {
	Type       string      `json:"type"`
	Kind       string      `json:"sub_type,omitempty"`
	Index      string      `json:"index,omitempty"`
	Parameters []parameter `json:"parameters"`
}

type parameter struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

func newRequest(phone, reference string, call *notify.WhatsAppTemplate) *request {
	r := &request{
		Product: "whatsapp", RecipientType: "individual", To: phone, Type: "template",
		Template: template{Name: call.Name, Language: language{call.Language}}, Reference: reference,
	}
	if len(call.Body) > 0 {
		body := component{Type: "body"}
		for _, value := range call.Body {
			body.Parameters = append(body.Parameters, parameter{"text", value})
		}
		r.Template.Components = []component{body}
	}
	if call.Code != "" {
		button := component{Type: "button", Kind: "url", Index: "0", Parameters: []parameter{{"text", call.Code}}}
		r.Template.Components = append(r.Template.Components, button)
	}
	return r
}

// parameterProblem says why Meta would refuse a body parameter (132018), or nothing.
func parameterProblem(value string) string {
	switch {
	case strings.TrimSpace(value) == "":
		return "is empty"
	case !utf8.ValidString(value):
		return "is not UTF-8"
	case strings.IndexFunc(value, func(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }) >= 0:
		return "has a line break, tab or other control character"
	case strings.Contains(value, "    "):
		return "has four spaces in a row"
	}
	return ""
}

// response is the answer to a message that was accepted.
type response struct {
	Messages []struct {
		ID     string `json:"id"`
		Status string `json:"message_status"`
	} `json:"messages"`
}

// Check refuses an answer without the id of a message.
func (r *response) Check() error {
	if len(r.Messages) == 0 || r.Messages[0].ID == "" {
		return errors.New("answer lacks the id")
	}
	return nil
}

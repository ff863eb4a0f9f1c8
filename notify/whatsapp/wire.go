package whatsapp

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/telemed-go/telemed/internal/rest"
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

// send sends a message, again while Meta surely did not take it.
func (c *Client) send(ctx context.Context, req *request) (*notify.Receipt, error) {
	var answer response
	resp, err := c.api.Do(ctx, rest.Request{
		Method: http.MethodPost,
		Path:   rest.Path(c.cfg.Version, c.cfg.PhoneNumberID, "messages"),
		JSON:   req,
	}, &answer)
	if err != nil {
		return nil, newError(ctx, "Notify", err)
	}
	c.checkVersion(ctx, resp)
	if status := answer.Messages[0].Status; status == "paused" || status == "held_for_quality_assessment" {
		c.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "whatsapp holds messages of this template back",
			slog.String("template", req.Template.Name), slog.String("message_status", status))
	}
	return &notify.Receipt{Channel: notify.WhatsApp, ID: answer.Messages[0].ID, At: time.Now()}, nil
}

// checkVersion warns when Meta answers with another version than was asked for,
// which it does, without an error, when that one has expired.
func (c *Client) checkVersion(ctx context.Context, resp *rest.Answer) {
	served := resp.Header.Get("Facebook-Api-Version")
	if versionPattern.MatchString(served) && served != c.cfg.Version {
		c.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "whatsapp serves another version of the API than was asked for",
			slog.String("asked", c.cfg.Version), slog.String("served", served))
	}
}

// envelope is Meta's error answer. Its texts are left out: they may quote what was sent.
type envelope struct {
	Error *struct {
		Code      *int   `json:"code"`
		Trace     string `json:"fbtrace_id"`
		Transient bool   `json:"is_transient"`
	} `json:"error"`
}

func parseEnvelope(body []byte) (envelope, bool) {
	var e envelope
	err := json.Unmarshal(body, &e)
	return e, err == nil && e.Error != nil && e.Error.Code != nil
}

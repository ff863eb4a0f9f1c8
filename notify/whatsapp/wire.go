package whatsapp

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

// request is a message as Meta takes it:
// https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/send-messages
type request struct {
	Product       string        `json:"messaging_product"`
	RecipientType string        `json:"recipient_type"`
	To            string        `json:"to,omitempty"`
	Recipient     string        `json:"recipient,omitempty"` // a user id
	Type          string        `json:"type"`
	Context       *replyContext `json:"context,omitempty"`
	Reference     string        `json:"biz_opaque_callback_data,omitempty"`

	Template    any `json:"template,omitempty"`
	Text        any `json:"text,omitempty"`
	Image       any `json:"image,omitempty"`
	Video       any `json:"video,omitempty"`
	Audio       any `json:"audio,omitempty"`
	Document    any `json:"document,omitempty"`
	Sticker     any `json:"sticker,omitempty"`
	Location    any `json:"location,omitempty"`
	Contacts    any `json:"contacts,omitempty"`
	Reaction    any `json:"reaction,omitempty"`
	Interactive any `json:"interactive,omitempty"`
}

type replyContext struct {
	MessageID string `json:"message_id"`
}

// set puts the content where Meta looks for its type.
func (r *request) set(c Content) {
	places := map[string]*any{
		"template": &r.Template, "text": &r.Text, "image": &r.Image, "video": &r.Video, "audio": &r.Audio,
		"document": &r.Document, "sticker": &r.Sticker, "location": &r.Location, "contacts": &r.Contacts,
		"reaction": &r.Reaction, "interactive": &r.Interactive,
	}
	r.Type, *places[c.kind] = c.kind, c.body
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
	Type       string `json:"type"`
	Kind       string `json:"sub_type,omitempty"`
	Index      string `json:"index,omitempty"`
	Parameters []any  `json:"parameters"`
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
	Contacts []struct {
		WaID   text `json:"wa_id"`
		UserID text `json:"user_id"`
	} `json:"contacts"`
	Messages []struct {
		ID     string `json:"id"`
		Status string `json:"message_status"`
	} `json:"messages"`
}

// knownAs are the addresses by which Meta knows the recipient, but for the one that was
// written to.
func (r *response) knownAs(to string) (all []string) {
	if len(r.Contacts) == 0 {
		return nil
	}
	for _, address := range []string{r.Contacts[0].WaID.phone(), string(r.Contacts[0].UserID)} {
		if address != "" && address != to {
			all = append(all, address)
		}
	}
	return all
}

// held reports whether Meta holds the message back.
func (r *response) held() bool {
	status := r.Messages[0].Status
	return status == "paused" || status == "held_for_quality_assessment"
}

// Check refuses an answer without the id of a message.
func (r *response) Check() error {
	if len(r.Messages) == 0 || r.Messages[0].ID == "" {
		return errors.New("answer lacks the id")
	}
	return nil
}

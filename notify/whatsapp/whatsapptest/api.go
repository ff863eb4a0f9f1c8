package whatsapptest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"unicode/utf8"
)

func refuse(w http.ResponseWriter, p problem) { writeJSON(w, p.httpStatus(), p.envelope()) }

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.Header().Set("X-Fb-Trace-Id", traceID)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func (s *Server) serveUnknown(w http.ResponseWriter, r *http.Request) {
	refuse(w, problem{status: 404, code: 2500, text: "Unknown path components: " + r.URL.Path})
}

var versionPattern = regexp.MustCompile(`^v[0-9]+\.[0-9]+$`)

func (s *Server) serveMessages(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Facebook-Api-Version", r.PathValue("version"))
	body, _ := io.ReadAll(r.Body) // from memory
	var call wireCall
	if p := s.check(r, body, &call); p != nil {
		refuse(w, *p)
		return
	}
	if call.Status != "" {
		writeJSON(w, http.StatusOK, map[string]any{"success": true})
		return
	}
	m := s.accept(s.message(call, body))
	writeJSON(w, http.StatusOK, map[string]any{
		"messaging_product": "whatsapp",
		"contacts":          []any{map[string]string{"input": m.To, "wa_id": strings.TrimPrefix(m.To, "+")}},
		"messages":          []any{map[string]string{"id": m.ID, "message_status": "accepted"}},
	})
}

// accept keeps a message and sends its statuses.
func (s *Server) accept(m Message) Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next++
	m.ID, m.At = fmt.Sprintf("wamid.TEST%08d", s.next), s.engine.Now()
	s.messages.Add(m)
	s.emitStatuses(m)
	return m
}

// wireCall is as much of a request as is looked at.
type wireCall struct {
	Product   string `json:"messaging_product"`
	Recipient string `json:"recipient_type"`
	To        string `json:"to"`
	Type      string `json:"type"`
	Reference string `json:"biz_opaque_callback_data"`
	Status    string `json:"status"`     // of a read receipt
	MessageID string `json:"message_id"` // that was read
	Text      *struct {
		Body string `json:"body"`
	} `json:"text"`
	Template *struct {
		Name     string `json:"name"`
		Language struct {
			Code string `json:"code"`
		} `json:"language"`
		Components []wireComponent `json:"components"`
	} `json:"template"`
}

type wireComponent struct {
	Type       string `json:"type"`
	Kind       string `json:"sub_type"`
	Index      any    `json:"index"` // Meta takes "0" and 0
	Parameters []struct {
		Type string  `json:"type"`
		Text *string `json:"text"`
	} `json:"parameters"`
}

// problem says what is wrong with the button that copies a one-time password.
func (b *wireComponent) problem() *problem {
	if b.Kind != "url" || b.Index != "0" && b.Index != float64(0) {
		return &problem{code: 132012, text: "Parameter format does not match format in the created template: buttons"}
	}
	if len(b.Parameters) != 1 || b.Parameters[0].Type != "text" || b.Parameters[0].Text == nil || *b.Parameters[0].Text == "" {
		return &problem{code: 131008, text: "Required parameter is missing: buttons: Button at index 0 of type Url requires a parameter"}
	}
	if utf8.RuneCountInString(*b.Parameters[0].Text) > 15 {
		return &problem{code: 132005, text: "Translated text too long: a code has at most 15 characters"}
	}
	return nil
}

func (c *wireCall) values() []string {
	var values []string
	for _, component := range c.Template.Components {
		for _, p := range component.Parameters {
			if p.Text != nil && component.Type == "body" {
				values = append(values, *p.Text)
			}
		}
	}
	return values
}

func (s *Server) message(c wireCall, body []byte) Message {
	if c.Type == "text" {
		return Message{To: c.To, Text: c.Text.Body, Reference: c.Reference, Request: body}
	}
	t, _ := s.template(c.Template.Name, c.Template.Language.Code)
	return Message{
		To: c.To, Template: t.Name, Language: t.Language, Parameters: c.values(), Text: t.text(c.values()),
		Reference: c.Reference, Request: body,
	}
}

func (s *Server) template(name, language string) (Template, bool) {
	for _, t := range s.templates {
		if t.Name == name && t.Language == language {
			return t, true
		}
	}
	return Template{}, false
}

var phonePattern = regexp.MustCompile(`^\+?[1-9][0-9]{6,14}$`)

// check finds what Meta refuses, in the order in which it looks.
func (s *Server) check(r *http.Request, body []byte, c *wireCall) *problem {
	switch {
	case r.Header.Get("Authorization") != "Bearer "+s.cfg.Token:
		return &problem{code: 190, text: "Invalid OAuth access token - Cannot parse access token"}
	case !versionPattern.MatchString(r.PathValue("version")):
		return &problem{code: 2635, text: "You are calling a version that does not exist"}
	case r.PathValue("id") != s.cfg.PhoneNumberID:
		return &problem{code: 100, subcode: 33, kind: "GraphMethodException", text: "Object with ID '" + r.PathValue("id") + "' does not exist"}
	case !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json"):
		return &problem{code: 100, text: "The body is not JSON"}
	case json.Unmarshal(body, c) != nil:
		return &problem{code: 100, text: "Invalid parameter"}
	case c.Product != "whatsapp":
		return &problem{code: 100, text: "The parameter messaging_product is required."}
	case c.Status != "":
		return s.checkReceipt(c, body)
	case !phonePattern.MatchString(c.To):
		return &problem{code: 131009, text: "Parameter value is not valid: to " + c.To}
	case c.Recipient != "" && c.Recipient != "individual":
		return &problem{code: 100, text: "whatsapptest does not have recipient_type " + c.Recipient}
	case c.Type != "template" && !s.windowOpen(c.To):
		return &problem{code: 131047, text: "More than 24 hours have passed since the customer last replied to this number"}
	case c.Type != "template" && c.Type != "text":
		return &problem{code: 131051, text: "whatsapptest does not have messages of type " + c.Type}
	case c.Type == "text" && (c.Text == nil || c.Text.Body == ""):
		return &problem{code: 131008, text: "Required parameter is missing: text"}
	case c.Type == "text" && utf8.RuneCountInString(c.Text.Body) > 4096:
		return &problem{code: 100, text: "Param text['body'] must be at most 4096 characters long."}
	case c.Type == "template" && c.Template == nil:
		return &problem{code: 131008, text: "Required parameter is missing: template"}
	case len(c.Reference) > 512:
		return &problem{code: 100, text: "biz_opaque_callback_data is longer than 512 characters"}
	}
	if p := unexpectedKey(body, messageKeys); p != nil || c.Type == "text" {
		return p
	}
	return s.checkTemplate(c)
}

func (s *Server) checkTemplate(c *wireCall) *problem {
	t, ok := s.template(c.Template.Name, c.Template.Language.Code)
	if !ok {
		return &problem{status: 404, code: 132001, text: "Template name (" + c.Template.Name + ") does not exist in " + c.Template.Language.Code}
	}
	count, codes := 0, 0
	for _, component := range c.Template.Components {
		if t.Category == authentication && component.Type == "button" {
			if p := component.problem(); p != nil {
				return p
			}
			codes++
			continue
		}
		if component.Type != "body" {
			return &problem{code: 132018, text: "The template has a body alone"}
		}
		for _, p := range component.Parameters {
			count++
			switch {
			case p.Type != "text":
				return &problem{code: 132012, text: "Parameter format does not match format in the created template"}
			case p.Text == nil || *p.Text == "":
				return &problem{code: 131008, text: "Required parameter is missing: text"}
			case strings.ContainsAny(*p.Text, "\n\t") || strings.Contains(*p.Text, "    "):
				return &problem{code: 132018, text: "Param text cannot have new-line/tab characters or more than 4 consecutive spaces"}
			}
		}
	}
	if count != t.parameters() {
		return &problem{code: 132000, text: "Number of parameters does not match the expected number of params"}
	}
	if t.Category == authentication && codes != 1 {
		return &problem{code: 131008, text: "Required parameter is missing: buttons: Button at index 0 of type Url requires a parameter"}
	}
	return nil
}

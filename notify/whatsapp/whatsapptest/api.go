package whatsapptest

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// Fault is what happens to one request in place of the true answer. The zero
// value is an HTTP 500 without a body.
type Fault struct {
	// Code is one of Meta's: the answer is its error envelope with it. Code 0 needs Envelope; see Refuse.
	Code int
	// Envelope sends the envelope for Code 0 too.
	Envelope bool
	// Status is the HTTP status. If 0, the usual one for Code, or 500.
	Status int
	// RetryAfter is sent as the header of that name, if not empty.
	RetryAfter string
	// HTML answers with a page, as a proxy in front of Meta does.
	HTML bool
	// Transient sets is_transient in the envelope.
	Transient bool
	// Accept takes the message before anything else happens: with Drop, the answer is lost.
	Accept bool
	// Drop closes the connection without an answer.
	Drop bool
	// Empty answers 200 with nothing.
	Empty bool
	// Hang gives no answer until the client gives up or the server closes.
	Hang bool
}

// Refuse is the fault of an answer with one of Meta's codes.
func Refuse(code int) Fault { return Fault{Code: code, Envelope: true} }

// DropAfterAccept takes the message and closes the connection without an answer.
func DropAfterAccept() Fault { return Fault{Accept: true, Drop: true} }

// FailNext makes the next requests fail, one with each fault, in order.
func (s *Server) FailNext(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, faults...)
}

func (s *Server) nextFault() (Fault, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if len(s.faults) == 0 {
		return Fault{}, false
	}
	f := s.faults[0]
	s.faults = s.faults[1:]
	return f, true
}

// problem is a refusal.
type problem struct {
	status, code, subcode int
	kind, text            string
}

// usualStatus is the HTTP status that comes with a code.
func usualStatus(code int) int {
	switch {
	case code == 0, code == 190:
		return http.StatusUnauthorized
	case code == 3, code == 10, code >= 200 && code <= 299, code == 131005, code == 131031, code == 368:
		return http.StatusForbidden
	case code == 4, code == 80007, code == 80008, code == 130429, code == 131056:
		return http.StatusTooManyRequests
	case code == 1, code == 131000, code == 131016, code == 131045:
		return http.StatusInternalServerError
	case code == 2, code == 133004, code == 131057:
		return http.StatusServiceUnavailable
	}
	return http.StatusBadRequest
}

const traceID = "AfKeTraceId0123456789ab"

func (s *Server) refuse(w http.ResponseWriter, p problem, transient bool) {
	if p.status == 0 {
		p.status = usualStatus(p.code)
	}
	if p.kind == "" {
		p.kind = "OAuthException"
	}
	body := map[string]any{
		"message": "(#" + strconv.Itoa(p.code) + ") " + p.text, "type": p.kind, "code": p.code, "fbtrace_id": traceID,
		"error_data": map[string]string{"messaging_product": "whatsapp", "details": p.text},
	}
	if p.subcode != 0 {
		body["error_subcode"] = p.subcode
	}
	if transient {
		body["is_transient"] = true
	}
	writeJSON(w, p.status, map[string]any{"error": body})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.Header().Set("X-Fb-Trace-Id", traceID)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func (s *Server) serveUnknown(w http.ResponseWriter, r *http.Request) {
	s.refuse(w, problem{status: 404, code: 2500, text: "Unknown path components: " + r.URL.Path}, false)
}

var versionPattern = regexp.MustCompile(`^v[0-9]+\.[0-9]+$`)

func (s *Server) serveMessages(w http.ResponseWriter, r *http.Request) {
	fault, faulty := s.nextFault()
	w.Header().Set("Facebook-Api-Version", r.PathValue("version"))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		s.refuse(w, problem{code: 100, text: "the body cannot be read"}, false)
		return
	}
	var call wireCall
	if !faulty || fault.Accept {
		if p := s.check(r, body, &call); p != nil {
			s.refuse(w, *p, false)
			return
		}
	}
	if faulty {
		s.fail(w, r, fault, call, body)
		return
	}
	m := s.accept(s.message(call, body))
	writeJSON(w, http.StatusOK, map[string]any{
		"messaging_product": "whatsapp",
		"contacts":          []any{map[string]string{"input": m.To, "wa_id": strings.TrimPrefix(m.To, "+")}},
		"messages":          []any{map[string]string{"id": m.ID, "message_status": "accepted"}},
	})
}

func (s *Server) fail(w http.ResponseWriter, r *http.Request, f Fault, call wireCall, body []byte) {
	if f.Accept {
		s.accept(s.message(call, body))
	}
	if f.RetryAfter != "" {
		w.Header().Set("Retry-After", f.RetryAfter)
	}
	status := f.Status
	switch {
	case f.Hang:
		select {
		case <-r.Context().Done():
		case <-s.ctx.Done():
		}
		panic(http.ErrAbortHandler)
	case f.Drop:
		panic(http.ErrAbortHandler) // closes the connection
	case f.Empty:
		w.WriteHeader(http.StatusOK)
	case f.Envelope || f.Code != 0:
		_ = json.Unmarshal(body, &call)
		s.refuse(w, problem{status: status, code: f.Code, text: "Message to " + call.To + " failed to send"}, f.Transient)
	case f.HTML:
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(max(status, http.StatusOK))
		_, _ = io.WriteString(w, "<html><body>Sorry, something went wrong with your message to "+call.To+"</body></html>")
	default:
		if status == 0 {
			status = http.StatusInternalServerError
		}
		w.WriteHeader(status)
	}
}

// wireCall is as much of a request as is looked at.
type wireCall struct {
	Product   string `json:"messaging_product"`
	Recipient string `json:"recipient_type"`
	To        string `json:"to"`
	Type      string `json:"type"`
	Reference string `json:"biz_opaque_callback_data"`
	Template  *struct {
		Name     string `json:"name"`
		Language struct {
			Code string `json:"code"`
		} `json:"language"`
		Components []struct {
			Type       string `json:"type"`
			Parameters []struct {
				Type string  `json:"type"`
				Text *string `json:"text"`
			} `json:"parameters"`
		} `json:"components"`
	} `json:"template"`
}

func (c *wireCall) values() []string {
	var values []string
	for _, component := range c.Template.Components {
		for _, p := range component.Parameters {
			if p.Text != nil {
				values = append(values, *p.Text)
			}
		}
	}
	return values
}

func (s *Server) message(c wireCall, body []byte) Message {
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
	case !phonePattern.MatchString(c.To):
		return &problem{code: 131009, text: "Parameter value is not valid: to " + c.To}
	case c.Type != "template":
		return &problem{code: 131047, text: "More than 24 hours have passed since the customer last replied to this number"}
	case c.Template == nil:
		return &problem{code: 131008, text: "Required parameter is missing: template"}
	case len(c.Reference) > 512:
		return &problem{code: 100, text: "biz_opaque_callback_data is longer than 512 characters"}
	}
	return s.checkTemplate(c)
}

func (s *Server) checkTemplate(c *wireCall) *problem {
	t, ok := s.template(c.Template.Name, c.Template.Language.Code)
	if !ok {
		return &problem{status: 404, code: 132001, text: "Template name (" + c.Template.Name + ") does not exist in " + c.Template.Language.Code}
	}
	count := 0
	for _, component := range c.Template.Components {
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
	return nil
}

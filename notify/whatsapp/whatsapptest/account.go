package whatsapptest

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

// file is media that was uploaded.
type file struct {
	kind string
	data []byte
}

// made is a template that was made by the API.
type made struct {
	ID         string `json:"id"`
	Name       string `json:"name"`
	Language   string `json:"language"`
	Category   string `json:"category"`
	Status     string `json:"status"`
	Format     string `json:"parameter_format,omitempty"`
	Components []part `json:"components"`
}

type part struct {
	Type    string           `json:"type"`
	Format  string           `json:"format,omitempty"`
	Text    string           `json:"text,omitempty"`
	Buttons []map[string]any `json:"buttons,omitempty"`
	Example map[string]any   `json:"example,omitempty"`
}

// handleAccount serves what is no message.
func (s *Server) handleAccount() {
	s.engine.Handle(OpMedia, "POST /{version}/{id}/media", s.owned(s.serveUpload))
	s.engine.Handle(OpMedia, "GET /{version}/{id}", s.owned(s.serveMedia))
	s.engine.Handle(OpMedia, "DELETE /{version}/{id}", s.owned(s.serveMedia))
	s.engine.Handle(OpMedia, "GET /media-bytes/{id}", s.owned(s.serveBytes))
	s.engine.Handle(OpTemplates, "GET /{version}/{id}/message_templates", s.owned(s.serveTemplates))
	s.engine.Handle(OpTemplates, "POST /{version}/{id}/message_templates", s.owned(s.serveCreate))
	s.engine.Handle(OpTemplates, "DELETE /{version}/{id}/message_templates", s.owned(s.serveDelete))
	s.engine.Handle(OpProfile, "GET /{version}/{id}/whatsapp_business_profile", s.owned(s.serveProfile))
	s.engine.Handle(OpProfile, "POST /{version}/{id}/whatsapp_business_profile", s.owned(s.serveProfile))
}

// owned checks the token and holds the state while a request is served.
func (s *Server) owned(serve http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+s.cfg.Token {
			refuse(w, problem{code: 190, text: "Invalid OAuth access token"})
			return
		}
		id := r.PathValue("id")
		own := s.cfg.PhoneNumberID
		if strings.HasSuffix(r.URL.Path, "/message_templates") {
			own = s.cfg.BusinessAccountID
		}
		if strings.Count(r.URL.Path, "/") == 3 && id != own {
			refuse(w, problem{code: 100, subcode: 33, kind: "GraphMethodException", text: "Object with ID '" + id + "' does not exist"})
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		serve(w, r)
	}
}

func (s *Server) serveUpload(w http.ResponseWriter, r *http.Request) {
	upload, header, err := r.FormFile("file")
	if err != nil || r.FormValue("messaging_product") != "whatsapp" {
		refuse(w, problem{code: 100, text: "The parameter file is required."})
		return
	}
	defer upload.Close()
	data, _ := io.ReadAll(upload) // from memory
	s.next++
	id := fmt.Sprintf("3000000000%05d", s.next)
	s.files[id] = file{cmp.Or(r.FormValue("type"), header.Header.Get("Content-Type")), data}
	writeJSON(w, http.StatusOK, map[string]string{"id": id})
}

func (s *Server) serveMedia(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	f, ok := s.files[id]
	switch {
	case !ok:
		refuse(w, problem{code: 100, subcode: 33, kind: "GraphMethodException", text: "Object with ID '" + id + "' does not exist"})
	case r.Method == http.MethodDelete:
		delete(s.files, id)
		writeJSON(w, http.StatusOK, map[string]bool{"success": true})
	default:
		sum := sha256.Sum256(f.data)
		writeJSON(w, http.StatusOK, map[string]any{
			"messaging_product": "whatsapp", "id": id, "url": s.engine.URL() + "/media-bytes/" + id, "mime_type": f.kind,
			"sha256": hex.EncodeToString(sum[:]), "file_size": len(f.data),
		})
	}
}

func (s *Server) serveBytes(w http.ResponseWriter, r *http.Request) {
	f, ok := s.files[r.PathValue("id")]
	if !ok {
		http.Error(w, "not found", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", f.kind)
	_, _ = w.Write(f.data)
}

func (s *Server) serveTemplates(w http.ResponseWriter, r *http.Request) {
	all := []*made{}
	name := r.URL.Query().Get("name")
	for _, m := range s.made {
		if strings.Contains(m.Name, name) {
			all = append(all, m)
		}
	}
	for i, t := range s.templates {
		if strings.Contains(t.Name, name) {
			m := t.made()
			m.ID = fmt.Sprintf("5000000000%05d", i)
			all = append(all, m)
		}
	}
	writeJSON(w, http.StatusOK, map[string]any{"data": all, "paging": map[string]any{}})
}

func (s *Server) serveCreate(w http.ResponseWriter, r *http.Request) {
	var m made
	if json.NewDecoder(r.Body).Decode(&m) != nil || m.Name == "" || m.Language == "" || len(m.Components) == 0 {
		refuse(w, problem{code: 100, text: "Invalid parameter"})
		return
	}
	taken := slices.ContainsFunc(s.made, func(o *made) bool { return o.Name == m.Name && o.Language == m.Language })
	if _, builtin := s.template(m.Name, m.Language); taken || builtin {
		refuse(w, problem{code: 100, subcode: 2388024, text: "Content in this language already exists"})
		return
	}
	s.next++
	m.ID, m.Status = fmt.Sprintf("4000000000%05d", s.next), "PENDING"
	s.made = append(s.made, &m)
	writeJSON(w, http.StatusOK, map[string]string{"id": m.ID, "status": m.Status, "category": m.Category})
}

func (s *Server) serveDelete(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Query().Get("name")
	before := len(s.made)
	s.made = slices.DeleteFunc(s.made, func(m *made) bool { return m.Name == name })
	if len(s.made) == before {
		refuse(w, problem{code: 100, subcode: 2593002, text: "Message Template Not Found"})
		return
	}
	writeJSON(w, http.StatusOK, map[string]bool{"success": true})
}

// SetTemplateStatus decides on a template that was made by the API: "APPROVED", "REJECTED",
// "PAUSED" …
func (s *Server) SetTemplateStatus(name, language, status string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.made {
		if m.Name == name && m.Language == language {
			m.Status = status
			return nil
		}
	}
	return errors.New("whatsapptest: SetTemplateStatus: no such template was made")
}

// madeOne returns a copy of a template that was made, or nil.
func (s *Server) madeOne(name, language string) *made {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.made {
		if m.Name == name && m.Language == language {
			found := *m
			return &found
		}
	}
	return nil
}

func (s *Server) serveProfile(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		if json.NewDecoder(r.Body).Decode(&s.profile) != nil {
			refuse(w, problem{code: 100, text: "Invalid parameter"})
			return
		}
		writeJSON(w, http.StatusOK, map[string]bool{"success": true})
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"data": []any{s.profile}})
}

// broken reports whether a text has what no parameter may have.
func broken(value any) bool {
	text, ok := value.(string)
	return ok && (strings.ContainsAny(text, "\n\t") || strings.Contains(text, "    "))
}

var contentTypes = []string{
	"text", "template", "image", "video", "audio", "document", "sticker", "location", "contacts", "reaction", "interactive",
}

// takes reports whether a message of a type has the object of that type.
func takes(kind string, body []byte) bool {
	var all map[string]json.RawMessage
	_ = json.Unmarshal(body, &all) // it was read before
	return slices.Contains(contentTypes, kind) && len(all[kind]) > 2
}

// implied is the type of a message that names none: Meta takes it from its object, and text
// if there is none.
func (c *wireCall) implied(body []byte) string {
	for _, kind := range contentTypes {
		if takes(kind, body) {
			return kind
		}
	}
	return "text"
}

func firstOf(to, user string) string { return cmp.Or(to, user) }

package zoomtest

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"time"
)

// Meeting is a meeting as the fake has it.
type Meeting struct {
	ID   int64
	UUID string
	// DoctorID is the Zoom user's.
	DoctorID, Topic, Agenda, TimeZone, Password string
	Start                                       time.Time
	Duration                                    time.Duration
	CreatedAt                                   time.Time
	// Settings are those in force, the locked ones among them.
	Settings map[string]any
	// Started is true while it goes on, Deleted once it was deleted.
	Started, Deleted bool
}

type meeting struct {
	Meeting
	kind     int
	pwd, zak string
	planned  bool // made for a program with a calendar, by pre_schedule
}

// Meetings returns all meetings that were made, in order, the deleted ones too.
func (s *Server) Meetings() []Meeting {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Meeting
	for _, m := range s.meetings {
		found := m.Meeting
		found.Settings = maps.Clone(m.Settings)
		all = append(all, found)
	}
	return all
}

// Delete deletes a meeting as a doctor does in Zoom's own pages.
func (s *Server) Delete(id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.find(strconv.FormatInt(id, 10)); m != nil {
		m.Deleted = true
	}
}

// Edit changes a meeting as a doctor does in Zoom's own pages.
func (s *Server) Edit(id int64, change func(m *Meeting)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.find(strconv.FormatInt(id, 10)); m != nil {
		change(&m.Meeting)
	}
}

func (s *Server) find(id string) *meeting {
	for _, m := range s.meetings {
		if strconv.FormatInt(m.ID, 10) == id && !m.Deleted {
			return m
		}
	}
	return nil
}

func (s *Server) me(w http.ResponseWriter, _ *http.Request, user User) {
	writeJSON(w, http.StatusOK, map[string]any{
		"id": user.ID, "account_id": user.AccountID, "email": user.Email, "display_name": user.Name,
		"type": 2, "status": "active", "timezone": "Asia/Kolkata", "pmi": 1234567890,
	})
}

// count books one of the user's creates and updates of the day.
func (s *Server) count(w http.ResponseWriter, user User) bool {
	day := user.ID + " " + s.engine.Now().UTC().Format(time.DateOnly)
	if s.spent[day] >= s.cfg.DailyLimit {
		// Zoom's headers speak of another limit, and there is no Retry-After.
		w.Header().Set("X-Ratelimit-Category", "Light")
		w.Header().Set("X-Ratelimit-Limit", "6000")
		w.Header().Set("X-Ratelimit-Remaining", "5893")
		refuse(w, http.StatusTooManyRequests, 429, fmt.Sprintf("You have exceeded the daily rate limit (%d) of Meeting Create/Update API "+
			"requests permitted for this particular user. You may resume these requests at GMT 00:00:00.", s.cfg.DailyLimit))
		return false
	}
	s.spent[day]++
	return true
}

func (s *Server) create(w http.ResponseWriter, r *http.Request, user User) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, ok := readBody(w, r, user)
	if !ok || !s.count(w, user) {
		return
	}
	m := &meeting{kind: 2, pwd: rand.Text(), zak: rand.Text()}
	m.Meeting = Meeting{
		ID: s.cfg.MeetingID(len(s.meetings) + 1), UUID: newUUID(), DoctorID: user.ID, Topic: "Zoom Meeting",
		TimeZone: "UTC", Start: s.now(), Duration: time.Hour, CreatedAt: s.engine.Now().UTC(), Settings: portalSettings(),
	}
	s.apply(m, body)
	if m.Password == "" && body.GeneratePassword != nil && *body.GeneratePassword {
		m.Password = rand.Text()[:6]
	}
	if body.StartTime != nil {
		if at, ok := body.start(s.engine.Now()); ok {
			m.Start = at
		}
	}
	s.meetings = append(s.meetings, m)
	writeJSON(w, http.StatusCreated, s.wire(m))
}

// apply sets what a body has, save the start.
func (s *Server) apply(m *meeting, body *meetingBody) {
	set(&m.Topic, body.Topic)
	set(&m.Agenda, body.Agenda)
	set(&m.TimeZone, body.TimeZone)
	set(&m.Password, body.Password)
	set(&m.kind, body.Type)
	set(&m.planned, body.PreSchedule)
	if body.Duration != nil {
		m.Duration = time.Duration(*body.Duration) * time.Minute
	}
	maps.Copy(m.Settings, body.Settings)
	maps.Copy(m.Settings, s.cfg.Locked)
}

func set[T any](field *T, value *T) {
	if value != nil {
		*field = *value
	}
}

// owned returns the meeting in the path if it is the user's.
func (s *Server) owned(w http.ResponseWriter, r *http.Request, user User) *meeting {
	id := r.PathValue("id")
	if _, err := strconv.ParseInt(id, 10, 64); err != nil {
		refuse(w, http.StatusBadRequest, 300, "Invalid meeting id.")
		return nil
	}
	m := s.find(id)
	if m == nil || m.DoctorID != user.ID {
		refuse(w, http.StatusNotFound, 3001, "Meeting does not exist: "+id+".")
		return nil
	}
	return m
}

func (s *Server) get(w http.ResponseWriter, r *http.Request, user User) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.owned(w, r, user); m != nil {
		writeJSON(w, http.StatusOK, s.wire(m))
	}
}

func (s *Server) update(w http.ResponseWriter, r *http.Request, user User) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.owned(w, r, user)
	if m == nil {
		return
	}
	body, ok := readBody(w, r, user)
	if !ok || !s.count(w, user) {
		return
	}
	s.apply(m, body)
	if body.StartTime != nil {
		// Else it is silently ignored.
		if at, ok := body.start(s.engine.Now()); ok && at.After(s.engine.Now()) {
			m.Start = at
		}
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) remove(w http.ResponseWriter, r *http.Request, user User) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.owned(w, r, user)
	switch {
	case m == nil:
	case m.Started:
		refuse(w, http.StatusBadRequest, 3002, "Meeting is in progress.")
	default:
		m.Deleted = true
		w.WriteHeader(http.StatusNoContent)
	}
}

func (s *Server) status(w http.ResponseWriter, r *http.Request, user User) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.owned(w, r, user)
	if m == nil {
		return
	}
	var body struct {
		Action string `json:"action"`
	}
	switch {
	case json.NewDecoder(r.Body).Decode(&body) != nil || body.Action != "end" && body.Action != "recover":
		refuse(w, http.StatusBadRequest, 300, "Validation Failed.", "action")
	case body.Action == "recover":
		absent(w, "the recovery of deleted meetings")
	case !m.Started:
		refuse(w, http.StatusBadRequest, 3000, "This meeting has not started.")
	default:
		m.Started = false
		w.WriteHeader(http.StatusNoContent)
	}
}

// wireItem is a meeting in a list: without password, settings and host link, its agenda
// cut.
func (s *Server) wireItem(m *meeting) map[string]any {
	agenda := []rune(m.Agenda)
	return map[string]any{
		"id": m.ID, "uuid": m.UUID, "host_id": m.DoctorID, "topic": m.Topic, "type": m.kind,
		"agenda": string(agenda[:min(len(agenda), 250)]), "start_time": m.Start.Format(utcForm),
		"duration": int(m.Duration / time.Minute), "timezone": m.TimeZone,
		"created_at": m.CreatedAt.Format(utcForm), "join_url": s.joinURL(m),
	}
}

func (s *Server) wire(m *meeting) map[string]any {
	item := s.wireItem(m)
	maps.Copy(item, map[string]any{
		"agenda": m.Agenda, "password": m.Password, "h323_password": m.Password, "pstn_password": "123456",
		"encrypted_password": m.pwd, "host_email": s.email(m.DoctorID), "status": "waiting",
		"start_url": fmt.Sprintf("%s/s/%d?zak=%s", s.url, m.ID, m.zak), "settings": m.Settings,
		"pre_schedule": m.planned,
	})
	if m.Started {
		item["status"] = "started"
	}
	return item
}

func (s *Server) joinURL(m *meeting) string { return fmt.Sprintf("%s/j/%d?pwd=%s", s.url, m.ID, m.pwd) }

func (s *Server) email(userID string) string {
	user, _ := s.user(userID)
	return user.Email
}

// portalSettings are what a user's own defaults are: the opposite of careful.
func portalSettings() map[string]any {
	return map[string]any{
		"waiting_room": false, "join_before_host": true, "use_pmi": false, "auto_recording": "none",
		"approval_type": 2, "email_notification": true, "encryption_type": "enhanced_encryption",
		"auto_start_meeting_summary": false, "auto_start_ai_companion_questions": false,
	}
}

// now is as exact as Zoom's times are.
func (s *Server) now() time.Time { return s.engine.Now().UTC().Truncate(time.Second) }

// joinPage is where a join link leads.
func (s *Server) joinPage(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.find(r.PathValue("id"))
	if m == nil || !same(r.FormValue("pwd"), m.pwd) {
		showPage(w, http.StatusNotFound, messageTemplate, map[string]string{"Title": "No such meeting", "Text": "The link is not valid."})
		return
	}
	text := "Please wait, the host will let you in soon."
	if waiting, _ := m.Settings["waiting_room"].(bool); !waiting {
		text = "You are in the meeting."
	}
	showPage(w, http.StatusOK, messageTemplate, map[string]string{"Title": m.Topic, "Text": text})
}

// hostPage is where a host link leads. It starts the meeting.
func (s *Server) hostPage(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.find(r.PathValue("id"))
	if m == nil || !same(r.FormValue("zak"), m.zak) {
		showPage(w, http.StatusNotFound, messageTemplate, map[string]string{"Title": "No such meeting", "Text": "The link is not valid any more."})
		return
	}
	m.Started = true
	showPage(w, http.StatusOK, messageTemplate, map[string]string{"Title": m.Topic, "Text": "You are the host. The meeting has started."})
}

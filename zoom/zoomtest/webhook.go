package zoomtest

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"
	"time"
)

// SendWebhook posts an event to an application's endpoint, signed. event is JSON as
// []byte, or is encoded. It returns what was answered.
func (s *Server) SendWebhook(url string, event any) (status int, answer []byte, err error) {
	body, ok := event.([]byte)
	if !ok {
		if body, err = json.Marshal(event); err != nil {
			return 0, nil, fmt.Errorf("zoomtest: event: %w", err)
		}
	}
	return s.Deliver(url, s.Sign(time.Now(), body), body)
}

// Sign returns the headers of a delivery made at a time. A test changes them or the body
// to forge one.
func (s *Server) Sign(at time.Time, body []byte) http.Header {
	timestamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(s.cfg.WebhookSecret))
	fmt.Fprintf(mac, "v0:%s:%s", timestamp, body)
	header := http.Header{}
	header.Set("Content-Type", "application/json; charset=utf-8")
	header.Set("X-Zm-Request-Timestamp", timestamp)
	header.Set("X-Zm-Signature", "v0="+hex.EncodeToString(mac.Sum(nil)))
	header.Set("X-Zm-Trackingid", newTrackingID())
	return header
}

// maxAnswer is how much of an answer to a webhook is read, in bytes.
const maxAnswer = 1 << 20

// Deliver posts a body with headers as they are, and returns what was answered.
func (s *Server) Deliver(url string, header http.Header, body []byte) (status int, answer []byte, err error) {
	req, err := http.NewRequestWithContext(s.engine.Life(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, fmt.Errorf("zoomtest: webhook: %w", err)
	}
	req.Header = header.Clone()
	resp, err := s.cfg.HTTPClient.Do(req)
	if err != nil {
		return 0, nil, fmt.Errorf("zoomtest: webhook: %w", err)
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	return resp.StatusCode, answer, err
}

// MeetingEvent returns an event about a meeting, for SendWebhook: "meeting.started",
// "meeting.ended", "meeting.deleted". The meeting's id is a string in some and a number
// in others, as with Zoom.
func (s *Server) MeetingEvent(name string, id int64) map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	object := map[string]any{"id": id, "type": 2}
	if name == "meeting.started" || name == "meeting.ended" {
		object["id"] = strconv.FormatInt(id, 10)
	}
	account := s.cfg.Users[0].AccountID
	for _, m := range s.meetings {
		if m.ID == id {
			user, _ := s.user(m.DoctorID)
			account = user.AccountID
			object["uuid"], object["host_id"], object["topic"] = m.UUID, m.DoctorID, m.Topic
			object["start_time"], object["timezone"] = m.Start.Format(utcForm), m.TimeZone
			object["duration"] = int(m.Duration / time.Minute)
		}
	}
	return map[string]any{
		"event": name, "event_ts": time.Now().UnixMilli(),
		"payload": map[string]any{"account_id": account, "object": object},
	}
}

// ParticipantEvent returns an event about somebody in a meeting or before it, for
// SendWebhook: "meeting.participant_joined". person has what Zoom tells of them, under
// Zoom's names: "participant_user_id", "registrant_id", "user_name".
func (s *Server) ParticipantEvent(name string, id int64, person map[string]any) map[string]any {
	event := s.MeetingEvent(name, id)
	object := event["payload"].(map[string]any)["object"].(map[string]any)
	object["participant"] = maps.Clone(person)
	return event
}

// DeauthorizedEvent returns the event of a user who removes the app, for SendWebhook. The
// user's tokens die with Uninstall.
func (s *Server) DeauthorizedEvent(userID string) map[string]any {
	user, _ := s.user(userID)
	now := s.engine.Now().UTC()
	return map[string]any{"event": "app_deauthorized", "payload": map[string]any{
		"user_id": userID, "account_id": user.AccountID, "client_id": s.cfg.ClientID,
		"deauthorization_time": now.Format("2006-01-02T15:04:05.000Z"), "event_ts": now.UnixMilli(),
	}}
}

package whatsapptest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/telemed-go/telemed/internal/signature"
)

// SendStatus sends a status of an accepted message to the webhook: "sent", "delivered",
// "read", or "failed" with one of Meta's codes. An answer other than 200 is an error.
func (s *Server) SendStatus(ctx context.Context, messageID, state string, codes ...int) error {
	m, ok := s.find(messageID)
	if !ok {
		return errors.New("whatsapptest: SendStatus: there is no such message")
	}
	status := map[string]any{
		"id": m.ID, "status": state, "timestamp": strconv.FormatInt(time.Now().Unix(), 10),
		"recipient_id": strings.TrimPrefix(m.To, "+"),
	}
	if m.Reference != "" {
		status["biz_opaque_callback_data"] = m.Reference
	}
	var errs []any
	for _, code := range codes {
		errs = append(errs, map[string]any{"code": code, "title": "Message undeliverable", "message": "Message to " + m.To + " undeliverable"})
	}
	if errs != nil {
		status["errors"] = errs
	}
	return s.send(ctx, map[string]any{"statuses": []any{status}})
}

// SendText sends a message from a person with an E.164 number to the webhook. For 24
// hours from then on that person may be sent free text, and told that it was read.
func (s *Server) SendText(ctx context.Context, from, name, body string) error {
	s.mu.Lock()
	s.next++
	id := fmt.Sprintf("wamid.INBOUND%08d", s.next)
	digits := strings.TrimPrefix(from, "+")
	s.heard(digits, id)
	s.mu.Unlock()
	return s.send(ctx, map[string]any{
		"contacts": []any{map[string]any{"profile": map[string]string{"name": name}, "wa_id": digits}},
		"messages": []any{map[string]any{
			"from": digits, "id": id, "timestamp": strconv.FormatInt(time.Now().Unix(), 10),
			"type": "text", "text": map[string]string{"body": body},
		}},
	})
}

func (s *Server) find(id string) (Message, bool) {
	for _, m := range s.Messages() {
		if m.ID == id {
			return m, true
		}
	}
	return Message{}, false
}

func (s *Server) send(ctx context.Context, value map[string]any) error {
	value["messaging_product"] = "whatsapp"
	value["metadata"] = map[string]string{"display_phone_number": "15550001111", "phone_number_id": s.cfg.PhoneNumberID}
	body, err := json.Marshal(map[string]any{
		"object": "whatsapp_business_account",
		"entry":  []any{map[string]any{"id": "200000000000002", "changes": []any{map[string]any{"field": "messages", "value": value}}}},
	})
	if err != nil {
		return fmt.Errorf("whatsapptest: %w", err)
	}
	return s.SendRaw(ctx, body)
}

// SendRaw signs body and sends it to the webhook. An answer other than 200, or none, is an
// error, and [Server.Redeliver] sends the body again.
func (s *Server) SendRaw(ctx context.Context, body []byte) error {
	target, err := s.target()
	if err != nil {
		return err
	}
	if err := s.deliver(ctx, target, body); err != nil {
		s.mu.Lock()
		s.undelivered = append(s.undelivered, body)
		s.mu.Unlock()
		return err
	}
	return nil
}

// Redeliver sends the webhook again what it did not answer 200, oldest first. What it does
// not take now is kept for the next call; the error has why. Meta does so by itself, later
// and later, for 7 days. Redeliver is for one caller at a time.
func (s *Server) Redeliver(ctx context.Context) error {
	s.mu.Lock()
	bodies := s.undelivered
	s.undelivered = nil
	s.mu.Unlock()
	var errs []error
	for _, body := range bodies {
		errs = append(errs, s.SendRaw(ctx, body))
	}
	return errors.Join(errs...)
}

func (s *Server) deliver(ctx context.Context, target string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("whatsapptest: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Hub-Signature-256", "sha256="+signature.Hex([]byte(s.cfg.AppSecret), body))
	_, err = s.exchange(req)
	return err
}

// Subscribe registers the webhook as Meta does: it asks the address to echo a
// challenge, with the verify token, and returns an error if it does not.
func (s *Server) Subscribe(ctx context.Context, verifyToken string) error {
	target, err := s.target()
	if err != nil {
		return err
	}
	const challenge = "1158201444"
	query := url.Values{"hub.mode": {"subscribe"}, "hub.verify_token": {verifyToken}, "hub.challenge": {challenge}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target+"?"+query.Encode(), nil)
	if err != nil {
		return fmt.Errorf("whatsapptest: %w", err)
	}
	answer, err := s.exchange(req)
	if err == nil && string(answer) != challenge {
		err = errors.New("whatsapptest: the webhook does not echo the challenge")
	}
	return err
}

func (s *Server) target() (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return "", errClosed
	case s.webhook == "":
		return "", errors.New("whatsapptest: there is no webhook address")
	}
	return s.webhook, nil
}

func (s *Server) exchange(req *http.Request) ([]byte, error) {
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("whatsapptest: webhook: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return nil, fmt.Errorf("whatsapptest: webhook: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("whatsapptest: the webhook answered %d", resp.StatusCode)
	}
	return body, nil
}

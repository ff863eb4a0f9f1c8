package whatsapptest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fake"
	"github.com/telemed-go/telemed/internal/signature"
)

// Event is a webhook that happened by itself, as Config.Statuses says, delivered or not.
type Event struct {
	// ID is the message's.
	ID string
	// Type is the message's status: "sent", "delivered", "read".
	Type string
	// Body is what is signed and sent, byte for byte.
	Body []byte
}

// Delivery is one attempt to send a webhook. Of one by SendStatus, SendText or SendRaw
// the Event has a Body alone.
type Delivery struct {
	Event Event
	// Status is what the application answered; 0 if it did not.
	Status int
	// At is when it was answered or given up, by this machine's clock.
	At time.Time
}

// The delivery of webhooks: Meta sends what is not taken again for days, with pauses that
// grow. How long they are, it does not tell.
const (
	deliveryTimeout = 10 * time.Second
	firstRedelivery = 100 * time.Millisecond
	deliveryDays    = 7 * 24 * time.Hour
)

// startWebhooks begins the delivery. The Server of server.go owns it and ends it; the
// methods of the Server that tell of webhooks stand below.
func startWebhooks(cfg Config, client *http.Client, now func() time.Time) *fake.Webhooks {
	return fake.StartWebhooks(fake.WebhookConfig{
		Kit: "whatsapptest", URL: cfg.WebhookURL, Client: client, Now: now,
		Sign: func(h http.Header, e fake.Event) {
			h.Set("X-Hub-Signature-256", "sha256="+signature.Hex([]byte(cfg.AppSecret), e.Body))
		},
		Taken: func(status int) bool { return status == http.StatusOK },
		Pause: firstRedelivery, Patience: deliveryDays,
	})
}

// SetWebhookURL changes where statuses and inbound messages go; "" is nowhere.
func (s *Server) SetWebhookURL(url string) { s.hooks.SetURL(url) }

// HoldWebhooks keeps back from now on what Config.Statuses would send. It is in Events,
// for Deliver.
func (s *Server) HoldWebhooks() { s.hooks.Hold() }

// ReleaseWebhooks ends HoldWebhooks. What was held goes out now, oldest first, except what
// Deliver has brought meanwhile.
func (s *Server) ReleaseWebhooks() { s.hooks.Release() }

// Held returns the webhooks that wait for ReleaseWebhooks, oldest first.
func (s *Server) Held() []Event {
	var all []Event
	for _, e := range s.hooks.Held() {
		all = append(all, Event(e))
	}
	return all
}

// Events returns what happened by itself so far, delivered or not, oldest first.
func (s *Server) Events() []Event {
	var all []Event
	for _, e := range s.hooks.Events() {
		all = append(all, Event(e))
	}
	return all
}

// Deliveries returns all attempts to deliver so far.
func (s *Server) Deliveries() []Delivery {
	var all []Delivery
	for _, d := range s.hooks.Deliveries() {
		all = append(all, Delivery{Event: Event(d.Event), Status: d.Status, At: d.At})
	}
	return all
}

// Deliver signs e, sends it once, now, and returns what the application answered. The
// same event again is a duplicate, and "read" before "sent" is what Meta sends at times.
func (s *Server) Deliver(ctx context.Context, e Event) (status int, err error) {
	return s.hooks.Deliver(ctx, fake.Event(e))
}

// WaitWebhooks waits until all that happened by itself so far, and all that SendText,
// SendStatus and SendRaw sent in vain, was taken by the application, or was given up after
// seven days.
func (s *Server) WaitWebhooks(ctx context.Context) error { return s.hooks.Wait(ctx) }

// SendStatus sends a status of an accepted message to the webhook now: "sent", "delivered",
// "read", or "failed" with one of Meta's codes. Errors are those of SendRaw.
func (s *Server) SendStatus(ctx context.Context, messageID, state string, codes ...int) error {
	m, ok := s.find(messageID)
	if !ok {
		return errors.New("whatsapptest: SendStatus: there is no such message")
	}
	body, err := s.statusBody(m, state, codes...)
	if err != nil {
		return err
	}
	return s.SendRaw(ctx, body)
}

// statusBody is the webhook of a message's status.
func (s *Server) statusBody(m Message, state string, codes ...int) ([]byte, error) {
	status := map[string]any{"id": m.ID, "status": state, "timestamp": s.timestamp()}
	p := s.person(m.To)
	put(status, "recipient_id", p.waID())
	put(status, "recipient_user_id", p.UserID)
	if m.Reference != "" {
		status["biz_opaque_callback_data"] = m.Reference
	}
	var errs []any
	for _, code := range codes {
		errs = append(errs, map[string]any{
			"code": code, "title": "Message undeliverable", "message": "Message undeliverable",
			"error_data": map[string]string{"details": "Message to " + m.To + " undeliverable"},
			"href":       "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/",
		})
	}
	if errs != nil {
		status["errors"] = errs
	}
	return s.body(map[string]any{"statuses": []any{status}})
}

func (s *Server) timestamp() string { return strconv.FormatInt(s.engine.Now().Unix(), 10) }

// emitStatuses tells what Config.Statuses says of a message.
func (s *Server) emitStatuses(m Message) {
	for _, state := range s.cfg.Statuses {
		s.emitStatus(m, state)
	}
}

func (s *Server) emitStatus(m Message, state string, codes ...int) {
	body, err := s.statusBody(m, state, codes...)
	if err != nil {
		return // documents of ours always encode
	}
	s.hooks.Emit(fake.Event{ID: m.ID, Type: state, Body: body})
}

// SendText sends a message to the webhook from a person with an E.164 number or a user id,
// who may be one of Config.People. For 24 hours from then on that person may be sent free
// text, and told that it was read. Errors are those of SendRaw.
func (s *Server) SendText(ctx context.Context, from, name, body string) error {
	p, message := s.inboundOf(from)
	message["type"], message["text"] = "text", map[string]string{"body": body}
	contact := map[string]any{"profile": map[string]string{"name": name}}
	put(contact, "wa_id", p.waID())
	put(contact, "user_id", p.UserID)
	told, err := s.body(map[string]any{"contacts": []any{contact}, "messages": []any{message}})
	if err != nil {
		return err
	}
	return s.SendRaw(ctx, told)
}

func (s *Server) find(id string) (Message, bool) {
	for _, m := range s.Messages() {
		if m.ID == id {
			return m, true
		}
	}
	return Message{}, false
}

// body is a webhook with one change.
func (s *Server) body(value map[string]any) ([]byte, error) {
	value["messaging_product"] = "whatsapp"
	value["metadata"] = map[string]string{"display_phone_number": "15550001111", "phone_number_id": s.cfg.PhoneNumberID}
	body, err := json.Marshal(map[string]any{
		"object": "whatsapp_business_account",
		"entry":  []any{map[string]any{"id": "200000000000002", "changes": []any{map[string]any{"field": "messages", "value": value}}}},
	})
	if err != nil {
		return nil, fmt.Errorf("whatsapptest: %w", err)
	}
	return body, nil
}

// SendRaw signs body and sends it to the webhook now, also when webhooks are held. An answer
// other than 200 is an error that matches telemed.ErrAmbiguous: the application may have
// acted all the same. No answer is an error, too. As Meta does, the server then sends it
// again until it is taken, for up to seven days; see WaitWebhooks. It does not while webhooks
// are held.
func (s *Server) SendRaw(ctx context.Context, body []byte) error {
	status, err := s.hooks.Send(ctx, fake.Event{Body: body})
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("whatsapptest: the webhook answered %d: %w", status, telemed.ErrAmbiguous)
	}
	return err
}

// Subscribe registers the webhook as Meta does: it asks the address to echo a
// challenge, with the verify token, and returns an error if it does not.
func (s *Server) Subscribe(ctx context.Context, verifyToken string) error {
	target, err := s.hooks.Target()
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

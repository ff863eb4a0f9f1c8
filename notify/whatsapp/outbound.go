package whatsapp

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/redact"
	"github.com/telemed-go/telemed/internal/rest"
	"github.com/telemed-go/telemed/notify"
)

// Outbound is a message for Send. It prints without the person and the words.
type Outbound struct {
	// To is an E.164 number with its plus sign, or a business-scoped user id, "IN.123…", of a
	// person who hides the number. Required.
	To string
	// Key identifies the message for the application; statuses bring [notify.Reference] of it
	// back. If empty, they have no Reference.
	Key string
	// ReplyTo is the MessageID of a message that this one answers, which is quoted above it.
	ReplyTo string
	// Content is what it says. Required.
	Content Content
}

// LogValue leaves out the person and the words.
func (m Outbound) LogValue() slog.Value {
	return slog.GroupValue(slog.String("type", m.Content.kind), slog.Bool("reply", m.ReplyTo != ""))
}

// Format tells the same for every verb.
func (m Outbound) Format(f fmt.State, _ rune) { redact.Format(f, m) }

// Accepted is what Meta answers to a message that it took.
type Accepted struct {
	// ID is Meta's id of the message, "wamid.…".
	ID string
	// At is when it was accepted.
	At time.Time
	// Phone is the E.164 number that WhatsApp knows the person by, which may differ from the
	// one that was given (Mexico, Argentina, Brazil): webhooks name this one. May be empty.
	Phone string
	// UserID is the person's business-scoped user id. May be empty.
	UserID string
	// Held is true if Meta holds the message back until it has judged the template.
	Held bool
}

// LogValue leaves out the person.
func (a Accepted) LogValue() slog.Value {
	return slog.GroupValue(slog.String("message_id", logID(a.ID)), slog.Bool("held", a.Held))
}

// Format tells the same for every verb.
func (a Accepted) Format(f fmt.State, _ rune) { redact.Format(f, a) }

var (
	userIDPattern = regexp.MustCompile(`^[A-Z]{2}\.[A-Za-z0-9.]{1,128}$`)
	// idText is an id of Meta's: of a message or of media.
	idText = regexp.MustCompile(`^[!-~]{1,512}$`)
)

// Send sends any content (POST /{version}/{phone-number-id}/messages). What is no Template
// reaches only a person who has written within 24 hours. Otherwise Meta refuses it as
// notify.ErrRecipient with code 131047, at once or by a status; send a template then.
//
// What is wrong with m is told at once, as telemed.ErrInvalid and before any network. Errors
// are those of Notify. Send does not know who wants no more messages: ask
// outbox.Outbox.OptedOut before a message that nobody has asked for.
func (c *Client) Send(ctx context.Context, m Outbound) (*Accepted, error) {
	var p fault.Problems
	phone, user := notify.ValidPhone(m.To), userIDPattern.MatchString(m.To)
	p.Check(phone || user, "To", "is neither an E.164 number nor a user id")
	p.Check(m.ReplyTo == "" || idText.MatchString(m.ReplyTo), "ReplyTo", "is no id of a message")
	p.Check(m.Content.kind != "", "Content", "is required")
	if m.Content.check != nil {
		m.Content.check(&p)
	}
	if err := p.Err("whatsapp: Send"); err != nil {
		return nil, err
	}
	req := request{Product: "whatsapp", RecipientType: "individual", Type: m.Content.kind}
	if req.To = m.To; user {
		req.To, req.Recipient = "", m.To
	}
	if m.Key != "" {
		req.Reference = notify.Reference(m.Key)
	}
	if m.ReplyTo != "" {
		req.Context = &replyContext{m.ReplyTo}
	}
	req.set(m.Content)
	if m.Content.template != nil {
		if err := c.checkTemplate(ctx, m.Content.template); err != nil {
			return nil, err
		}
	}
	answer, err := c.send(ctx, "Send", &req)
	if err != nil {
		return nil, err
	}
	a := &Accepted{ID: answer.Messages[0].ID, At: time.Now(), Held: answer.held()}
	if len(answer.Contacts) > 0 {
		a.Phone, a.UserID = answer.Contacts[0].WaID.phone(), string(answer.Contacts[0].UserID)
	}
	return a, nil
}

// MarkRead shows the sender that a message of theirs, and all before it, was read. With
// typing, they also see for 25 seconds at most that an answer is being written.
func (c *Client) MarkRead(ctx context.Context, messageID string, typing bool) error {
	if !idText.MatchString(messageID) {
		return fault.Invalid("whatsapp: MarkRead", "messageID", "is no id of a message")
	}
	body := object{"messaging_product": "whatsapp", "status": "read", "message_id": messageID}
	if typing {
		body["typing_indicator"] = object{"type": "text"}
	}
	_, err := c.api.Do(rest.Repeatable(ctx), rest.Request{Method: http.MethodPost, Path: c.path("messages"), JSON: body}, nil)
	if err != nil {
		return newError(ctx, "MarkRead", err)
	}
	return nil
}

func (c *Client) path(what string) string {
	return rest.Path(c.cfg.Version, c.cfg.PhoneNumberID, what)
}

// object is a JSON object.
type object map[string]any

// compact leaves out what is empty.
func compact(o object) object {
	for key, value := range o {
		if value == "" || value == nil {
			delete(o, key)
		}
	}
	return o
}

// httpsLink reports whether a text is an address that Meta may fetch or a person may open.
func httpsLink(text string) bool {
	return len(text) <= 2000 && strings.HasPrefix(text, "https://") &&
		!strings.ContainsAny(text, " \t\r\n") && len(text) > len("https://")
}

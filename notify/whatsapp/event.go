package whatsapp

import (
	"cmp"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/redact"
	"github.com/telemed-go/telemed/internal/webhook"
	"github.com/telemed-go/telemed/notify"
)

// State is a step on a message's way. Meta adds new ones; unknown ones are passed on.
type State string

// The states that a status may have.
const (
	Sent      State = "sent"
	Delivered State = "delivered"
	Read      State = "read"
	Played    State = "played"
	Failed    State = "failed"
)

var ranks = map[State]int{Sent: 1, Failed: 2, Delivered: 3, Read: 4, Played: 5}

// Supersedes reports whether s tells more than previous, which may be empty.
// Webhooks come late and twice: keep a state only if it supersedes the one that is there.
// A message that arrived has not failed, so Delivered supersedes Failed and not the
// other way round. An unknown state supersedes none.
func (s State) Supersedes(previous State) bool { return ranks[s] > ranks[previous] }

// Status is a step on the way of a message that was sent.
type Status struct {
	// MessageID is the receipt's ID.
	MessageID string
	// State is where the message is.
	State State
	// Reference is [notify.Reference] of the message's Key. Messages sent elsewhere have
	// none, or data of their sender's.
	Reference string
	// At is when it happened, in UTC; zero if Meta did not say.
	At time.Time
	// Phone is the recipient's E.164 number. Empty if the person hides it.
	Phone string
	// UserID is the recipient's business-scoped user id, "IN.123…". May be empty.
	UserID string
	// PhoneNumberID is Meta's id of the number that sent.
	PhoneNumberID string
	// Err is why it failed, nil unless State is Failed. It matches the sentinels of
	// package notify as Notify's errors do.
	Err *Error
	// Category is what Meta bills: "utility", "marketing", "service" … A utility template
	// that is billed as marketing costs several times as much. Empty if Meta does not say.
	Category string
	// PricingModel is "PMP" or "CBP", PricingType "regular", "free_customer_service" or
	// "free_entry_point". Empty if Meta does not say.
	PricingModel, PricingType string
	// Billable is true if the message costs, nil if Meta does not say.
	Billable *bool
	// ConversationID is Meta's. Most statuses have none since v24.0.
	ConversationID string
	// Problems are Meta's words about a failure, for a person to look at. Nil if there are
	// none.
	Problems []Problem
	// Raw is the status as Meta sent it.
	Raw json.RawMessage
}

// Problem is what Meta says of a failure. Its words may quote the person's number: it prints
// the Code alone.
type Problem struct {
	// Code is Meta's; see [KindOf].
	Code int
	// Title and Message are short, and mostly the same.
	Title, Message string
	// Details say what is wrong with this message.
	Details string
	// Href is the page about the codes.
	Href string
}

// LogValue leaves out the words.
func (p Problem) LogValue() slog.Value { return slog.GroupValue(slog.Int("code", p.Code)) }

// Format tells the same for every verb.
func (p Problem) Format(f fmt.State, _ rune) { redact.Format(f, p) }

// LogValue leaves out the person.
func (s Status) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("message_id", logID(s.MessageID)), slog.String("state", logWord(string(s.State))), slog.String("reference", s.Reference)}
	if s.Err != nil {
		attrs = append(attrs, slog.Int("code", s.Err.Code))
	}
	return slog.GroupValue(attrs...)
}

// Format tells the same for every verb.
func (s Status) Format(f fmt.State, _ rune) { redact.Format(f, s) }

// Inbound is a message from a person.
type Inbound struct {
	// MessageID is Meta's id of it, the same if it comes again.
	MessageID string
	// Phone is the sender's E.164 number. Empty if the person hides it.
	Phone string
	// UserID is the sender's business-scoped user id, "IN.123…". May be empty; one of the
	// two is there.
	UserID string
	// Name is what the person calls itself. Anybody may call themselves anything.
	Name string
	// At is when it was sent, in UTC; zero if Meta did not say.
	At time.Time
	// Type is Meta's: "text", "button", "interactive", "image", "location", "reaction",
	// "unsupported" …
	Type string
	// Text is the text, the caption, the label of the button or row that was pressed, or the
	// emoji of a reaction.
	Text string
	// ReplyID is the payload of the button, or the id of the button or row, that was
	// pressed.
	ReplyID string
	// InReplyTo is the id of the message that this one answers or reacts to. May be empty.
	InReplyTo string
	// Answers are those of a [Flow], as its JSON. Nil if there are none.
	Answers json.RawMessage
	// Media is the file that was sent, for [Client.Download]. Nil if there is none.
	Media *Media
	// NewPhone is the E.164 number that Phone has changed to. Phone may belong to a stranger
	// from now on: send nothing there. Empty unless Type is "system" and the number changed.
	NewPhone string
	// NewUserID is the user id that UserID has changed to, with the number or by itself.
	// Empty unless Type is "system".
	NewUserID string
	// PhoneNumberID is Meta's id of the number that received.
	PhoneNumberID string
	// Raw is the message as Meta sent it, for what is not above.
	Raw json.RawMessage
}

// LogValue leaves out the person and the words.
func (m Inbound) LogValue() slog.Value {
	return slog.GroupValue(slog.String("message_id", logID(m.MessageID)), slog.String("type", logWord(m.Type)))
}

// Format tells the same for every verb.
func (m Inbound) Format(f fmt.State, _ rune) { redact.Format(f, m) }

// Change is what a webhook tells beside messages and statuses.
type Change struct {
	// AccountID is Meta's id of the WhatsApp Business Account.
	AccountID string
	// Field is what changed: "message_template_status_update", "account_update" …
	Field string
	// Value is the change as Meta sent it.
	Value json.RawMessage
}

// LogValue leaves out the value.
func (c Change) LogValue() slog.Value { return slog.GroupValue(slog.String("field", logWord(c.Field))) }

// Format tells the same for every verb.
func (c Change) Format(f fmt.State, _ rune) { redact.Format(f, c) }

// Event is what Handle gets. One of Status, Message and Change is not nil. It prints
// without the person and the words.
type Event struct {
	// ID is the same whenever Meta sends the event, and no other event has it: 64
	// hexadecimal digits, which tell nothing of the person.
	ID string
	// Status is a step on the way of a message that was sent.
	Status *Status
	// Message is from a person.
	Message *Inbound
	// Change is anything else, such as the approval of a template.
	Change *Change
}

func (e Event) kind() string {
	switch {
	case e.Status != nil:
		return "status"
	case e.Message != nil:
		return "message"
	}
	return "change"
}

// LogValue leaves out the person and the words.
func (e Event) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("id", e.ID), slog.String("kind", e.kind())}
	switch {
	case e.Status != nil:
		attrs = append(attrs, slog.String("state", logWord(string(e.Status.State))))
	case e.Message != nil:
		attrs = append(attrs, slog.String("type", logWord(e.Message.Type)))
	case e.Change != nil:
		attrs = append(attrs, slog.String("field", logWord(e.Change.Field)))
	}
	return slog.GroupValue(attrs...)
}

// Format tells the same for every verb.
func (e Event) Format(f fmt.State, _ rune) { redact.Format(f, e) }

// logWord returns a word of Meta's if it is a documented state, type or field.
func logWord(word string) string { return cmp.Or(eventWords.Known(word), "another") }

// logID returns an id of a message if it has the form of Meta's.
func logID(id string) string {
	if !strings.HasPrefix(id, "wamid.") {
		return ""
	}
	return fault.ID(id)
}

// accountID is the form of an account's id. A telephone number is shorter.
var accountID = regexp.MustCompile(`^[0-9]{14,20}$`)

// https://developers.facebook.com/docs/whatsapp/cloud-api/webhooks/components
var eventWords = fault.NewWords(
	"sent delivered read played failed deleted warning",
	"text image audio video document sticker location contacts interactive button reaction order system unsupported unknown",
	"messages account_alerts account_review_update account_update business_capability_update flows history",
	"message_template_components_update message_template_quality_update message_template_status_update",
	"phone_number_name_update phone_number_quality_update security template_category_update user_preferences",
)

// UnreadEvent is what is signed and cannot be read. It prints without its content.
type UnreadEvent struct {
	// AccountID is Meta's id of the WhatsApp Business Account. Empty if it cannot be read.
	AccountID string
	// Part is what cannot be read: an entry, a change, a message or a status. Nil if that is
	// all of Raw.
	Part []byte
	// Raw is the whole body, as it was signed, and Header has its signature. Sending both to
	// a Webhook again repeats nothing that was done.
	Raw    []byte
	Header http.Header
}

// LogValue tells the body's SHA-256, and the lengths in bytes.
func (e UnreadEvent) LogValue() slog.Value {
	return slog.GroupValue(slog.String("account_id", accountID.FindString(e.AccountID)), slog.String("body_sha256", webhook.Digest(e.Raw)),
		slog.Int("bytes", len(e.Raw)), slog.Int("part_bytes", len(e.Part)))
}

// Format prints what LogValue tells, whatever the verb.
func (e UnreadEvent) Format(f fmt.State, _ rune) { redact.Format(f, e) }

// newID hashes what an event is known by, so that no part can run into the next. Meta's
// id of a message has the person's number in it.
func newID(parts ...string) string {
	var all strings.Builder
	for _, part := range parts {
		fmt.Fprintf(&all, "%d:%s", len(part), part)
	}
	return webhook.Digest([]byte(all.String()))
}

const whatsAppObject = "whatsapp_business_account"

type notification struct {
	Object string            `json:"object"`
	Entry  []json.RawMessage `json:"entry"`
}

type entry struct {
	ID      text              `json:"id"`
	Time    text              `json:"time"`
	Changes []json.RawMessage `json:"changes"`
}

type change struct {
	Field string          `json:"field"`
	Value json.RawMessage `json:"value"`
}

// isWhatsApp reports whether a body is a webhook of a WhatsApp Business Account.
func isWhatsApp(body []byte) bool {
	var n notification
	return json.Unmarshal(body, &n) == nil && n.Object == whatsAppObject
}

// reader reads the events of one body. What it cannot read hides nothing that it can.
type reader struct {
	body   []byte
	events []Event
	unread []UnreadEvent
}

func parse(body []byte) ([]Event, []UnreadEvent) {
	if !isWhatsApp(body) {
		return nil, []UnreadEvent{{Raw: body}}
	}
	var n notification
	_ = json.Unmarshal(body, &n) // isWhatsApp has done it
	r := &reader{body: body}
	for _, raw := range n.Entry {
		var e entry
		if json.Unmarshal(raw, &e) != nil {
			r.cannotRead("", raw)
			continue
		}
		for _, raw := range e.Changes {
			r.readChange(e, raw)
		}
	}
	return r.events, r.unread
}

func (r *reader) cannotRead(accountID text, part json.RawMessage) {
	r.unread = append(r.unread, UnreadEvent{AccountID: string(accountID), Part: part, Raw: r.body})
}

func (r *reader) readChange(e entry, raw json.RawMessage) {
	var c change
	if json.Unmarshal(raw, &c) != nil {
		r.cannotRead(e.ID, raw)
		return
	}
	if c.Field == "messages" {
		var v messagesValue
		if json.Unmarshal(c.Value, &v) != nil {
			r.cannotRead(e.ID, raw)
			return
		}
		if len(v.Messages)+len(v.Statuses) > 0 {
			r.readMessages(e, v)
			return
		}
	}
	r.events = append(r.events, Event{
		ID:     newID("change", string(e.ID), string(e.Time), c.Field, string(c.Value)),
		Change: &Change{AccountID: string(e.ID), Field: c.Field, Value: c.Value},
	})
}

func (r *reader) readMessages(e entry, v messagesValue) {
	var contacts []contact
	for _, c := range v.Contacts.value {
		contacts = append(contacts, c.value)
	}
	for _, raw := range v.Statuses {
		var s wireStatus
		if json.Unmarshal(raw, &s) != nil {
			r.cannotRead(e.ID, raw)
			continue
		}
		status := s.status()
		status.Raw = raw
		status.person(contacts, len(v.Statuses) == 1)
		status.PhoneNumberID = string(v.Metadata.value.PhoneNumberID)
		r.events = append(r.events, Event{ID: r.id("status", status.MessageID, string(status.State), raw), Status: status})
	}
	for _, raw := range v.Messages {
		message, ok := parseInbound(raw, contacts)
		if !ok {
			r.cannotRead(e.ID, raw)
			continue
		}
		message.PhoneNumberID = string(v.Metadata.value.PhoneNumberID)
		r.events = append(r.events, Event{ID: r.id("message", message.MessageID, "", raw), Message: message})
	}
}

// id returns the ID of a status or message. Without an id of Meta's, it is known by the
// body that it came in.
func (r *reader) id(kind, messageID, state string, raw json.RawMessage) string {
	if messageID == "" {
		return newID(kind, "", string(raw), string(r.body))
	}
	return newID(kind, messageID, state)
}

// text takes a JSON string or number: Meta's own examples mix them.
type text string

func (t *text) UnmarshalJSON(data []byte) error {
	var s string
	if json.Unmarshal(data, &s) == nil {
		*t = text(s)
		return nil
	}
	var n json.Number
	if err := json.Unmarshal(data, &n); err != nil {
		return err
	}
	*t = text(n)
	return nil
}

func (t text) time() time.Time {
	seconds, err := strconv.ParseInt(string(t), 10, 64)
	if err != nil || seconds <= 0 || seconds > 1<<40 {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}

// phone makes Meta's "wa_id" an E.164 number, or nothing.
func (t text) phone() string {
	number := "+" + strings.TrimPrefix(string(t), "+")
	if !notify.ValidPhone(number) {
		return ""
	}
	return number
}

// beside is a value that stands beside a status or a message, and must not hide it: what is
// not of its form stays zero.
type beside[T any] struct{ value T }

func (b *beside[T]) UnmarshalJSON(data []byte) error {
	var value T
	if json.Unmarshal(data, &value) == nil {
		b.value = value
	}
	return nil
}

type messagesValue struct {
	Metadata beside[struct {
		PhoneNumberID text `json:"phone_number_id"`
	}] `json:"metadata"`
	Contacts beside[[]beside[contact]] `json:"contacts"`
	Messages []json.RawMessage         `json:"messages"`
	Statuses []json.RawMessage         `json:"statuses"`
}

type contact struct {
	WaID    text `json:"wa_id"`
	UserID  text `json:"user_id"`
	Profile beside[struct {
		Name string `json:"name"`
	}] `json:"profile"`
}

type wireStatus struct {
	ID           text          `json:"id"`
	Status       State         `json:"status"`
	Timestamp    text          `json:"timestamp"`
	Recipient    text          `json:"recipient_id"`
	UserID       text          `json:"recipient_user_id"`
	Kind         string        `json:"recipient_type"`
	Member       text          `json:"recipient_participant_id"` // of a group
	MemberUserID text          `json:"recipient_participant_user_id"`
	Reference    text          `json:"biz_opaque_callback_data"`
	Errors       []wireProblem `json:"errors"`

	Pricing      beside[pricing] `json:"pricing"`
	Conversation beside[struct {
		ID      text    `json:"id"`
		Pricing pricing `json:"pricing"`
	}] `json:"conversation"`
}

type pricing struct {
	Billable *bool  `json:"billable"`
	Model    string `json:"pricing_model"`
	Type     string `json:"type"`
	Category string `json:"category"`
}

type wireProblem struct {
	Code    *int           `json:"code"` // 0 is a code
	Title   beside[string] `json:"title"`
	Message beside[string] `json:"message"`
	Href    beside[string] `json:"href"`
	Data    beside[struct {
		Details string `json:"details"`
	}] `json:"error_data"`
}

// person adds what stands of the recipient beside the statuses alone. If the status is the
// only one, a single contact is its person's.
func (s *Status) person(contacts []contact, only bool) {
	for _, c := range contacts {
		same := s.Phone != "" && c.WaID.phone() == s.Phone || s.UserID != "" && string(c.UserID) == s.UserID
		if same || len(contacts) == 1 && (only || s.Phone == "" && s.UserID == "") {
			s.Phone, s.UserID = first(s.Phone, c.WaID.phone()), first(s.UserID, string(c.UserID))
			return
		}
	}
}

func (s *wireStatus) status() *Status {
	status := &Status{
		MessageID: string(s.ID), State: s.Status, Reference: string(s.Reference), At: s.Timestamp.time(),
		Phone: s.Recipient.phone(), UserID: string(s.UserID),
		ConversationID: string(s.Conversation.value.ID),
	}
	if s.Kind == "group" { // Recipient is the group's id
		status.Phone, status.UserID = s.Member.phone(), string(s.MemberUserID)
	}
	price := s.Pricing.value
	if price == (pricing{}) {
		price = s.Conversation.value.Pricing
	}
	status.Category, status.PricingModel, status.PricingType, status.Billable = price.Category, price.Model, price.Type, price.Billable
	for _, e := range s.Errors {
		problem := Problem{Title: e.Title.value, Message: e.Message.value, Details: e.Data.value.Details, Href: e.Href.value}
		if e.Code != nil {
			problem.Code = *e.Code
		}
		status.Problems = append(status.Problems, problem)
	}
	if s.Status == Failed {
		status.Err = &Error{Op: "Status", kind: telemed.ErrUnavailable}
		if len(s.Errors) > 0 && s.Errors[0].Code != nil {
			code := *s.Errors[0].Code
			status.Err.Code, status.Err.HasCode = code, true
			status.Err.kind, status.Err.RetryAfter = failure(code), waits[code]
		}
	}
	return status
}

// failure is KindOf for a message that surely was not delivered: nothing about it is
// ambiguous.
func failure(code int) error {
	if kind := KindOf(code); kind != nil && kind != telemed.ErrAmbiguous {
		return kind
	}
	return telemed.ErrUnavailable
}

type wireMessage struct {
	ID          text   `json:"id"`
	From        text   `json:"from"`
	FromUserID  text   `json:"from_user_id"`
	Timestamp   text   `json:"timestamp"`
	Type        string `json:"type"`
	Context     struct{ ID text }
	Text        struct{ Body string }
	Button      struct{ Text, Payload string }
	Interactive struct {
		Button choice `json:"button_reply"`
		List   choice `json:"list_reply"`
		Flow   struct {
			Answers string `json:"response_json"`
		} `json:"nfm_reply"`
	}
	System struct {
		Type    string
		WaID    text `json:"wa_id"`
		NewWaID text `json:"new_wa_id"`
		UserID  text `json:"user_id"`
	}
	Reaction struct {
		MessageID text `json:"message_id"`
		Emoji     string
	}
	Image, Video, Document, Audio, Sticker *wireMedia
}

type wireMedia struct {
	ID                text
	Caption, Filename string
}

// file returns the file of a message, or nil.
func (w *wireMessage) file() *Media {
	for _, m := range []*wireMedia{w.Image, w.Video, w.Document, w.Audio, w.Sticker} {
		if m != nil && m.ID != "" {
			return &Media{ID: string(m.ID), Caption: m.Caption, Filename: m.Filename}
		}
	}
	return nil
}

func (w *wireMessage) caption() string {
	for _, m := range []*wireMedia{w.Image, w.Video, w.Document} {
		if m != nil && m.Caption != "" {
			return m.Caption
		}
	}
	return ""
}

type choice struct {
	ID    text
	Title string
}

func parseInbound(raw json.RawMessage, contacts []contact) (*Inbound, bool) {
	var w wireMessage
	if json.Unmarshal(raw, &w) != nil {
		return nil, false
	}
	m := &Inbound{
		MessageID: string(w.ID), Phone: w.From.phone(), UserID: string(w.FromUserID), At: w.Timestamp.time(), Type: w.Type,
		Text: first(w.Text.Body, w.Button.Text, w.Interactive.Button.Title, w.Interactive.List.Title,
			w.Reaction.Emoji, w.caption()),
		ReplyID:   first(w.Button.Payload, string(w.Interactive.Button.ID), string(w.Interactive.List.ID)),
		InReplyTo: first(string(w.Context.ID), string(w.Reaction.MessageID)),
		Media:     w.file(),
		Raw:       raw,
	}
	if answers := json.RawMessage(w.Interactive.Flow.Answers); len(answers) > 0 && json.Valid(answers) {
		m.Answers = answers
	}
	if w.Type == "system" && (w.System.Type == "user_changed_number" || w.System.Type == "customer_changed_number") {
		m.NewPhone, m.NewUserID = first(w.System.WaID.phone(), w.System.NewWaID.phone()), string(w.System.UserID)
	}
	if w.Type == "system" && w.System.Type == "user_changed_user_id" {
		m.NewUserID = string(w.System.UserID)
	}
	for _, c := range contacts {
		if m.Phone != "" && c.WaID.phone() == m.Phone || m.UserID != "" && string(c.UserID) == m.UserID {
			m.Name, m.Phone, m.UserID = c.Profile.value.Name, first(m.Phone, c.WaID.phone()), first(m.UserID, string(c.UserID))
			break
		}
	}
	return m, true
}

func first(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}

package outbox

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/redact"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/store/durable"
)

// Message is what somebody is to be told, and when. It prints without anything personal.
type Message struct {
	// Key is the application's own id of it, unique within Group: 1 to 100 letters, digits and
	// marks of ._:/+- in ASCII. The channels get Group/Key as notify.Message.Key. Required.
	Key string
	// Group is what it belongs to, a visit's id for instance: nobody's name. Messages of one
	// group lie in one row, which has room for a hundred, and are sent one at a time,
	// Config.Spacing apart. At most 255 bytes. If empty, Key.
	Group string
	// Tenant is whose message it is, in an application that serves several clinics: the same
	// for all of a group, at most 128 bytes.
	Tenant string
	// Generation is that of what the message says, from 1: a visit that is moved has the next
	// one. Drop drops what is due of older generations. 0: it belongs to none, and is never
	// dropped so.
	Generation int
	// Category says what may be done about it. If empty, Notice.
	Category Category
	// Channels are the ways to take, in this order. The next one is taken after an error that
	// says that this one cannot take the message (see notify.Fallback), if it is reported
	// later as failed, or while the tenant's credentials for it are refused. At least one.
	Channels []notify.Channel

	// NotBefore is when it is due. Zero: at once.
	NotBefore time.Time
	// NotAfter is when it is no use any more: no send begins after it. Zero: never.
	NotAfter time.Time
	// Latest is for a Reminder that is due in quiet hours. It waits until they are over, but
	// if that were after Latest it goes a minute before they begin. Zero: it always waits.
	Latest time.Time
	// Zone is the IANA name of the recipient's time zone: quiet hours are those there, and
	// times are shown in it, unless Config.Compose says otherwise. If empty, there are no quiet
	// hours.
	Zone string
	// Series is what a Reminder is one of several of, such as "patient". Of those of a group
	// with the same Series that are due at once, after an outage say, only the newest is sent.
	Series string

	// To is who is told. It may be empty if Config.Compose says it. To.Zone is nil: see Zone.
	To notify.Recipient
	// Template and Data are for Config.Compose, or for the Renderer of the channel, which gets
	// what encoding/json makes of Data: maps, lists, texts and numbers.
	Template string
	Data     json.RawMessage
	// Content is what is sent as it is, if it is not nil. Its Files have no Open, which cannot
	// be kept: a file that is opened when it is sent, and notify.Message.Mail, are what
	// Config.Compose adds.
	Content *notify.Content
}

// Category says what may be done about a message.
type Category string

// The categories.
const (
	// Notice tells what has happened: confirmed, moved, cancelled, paid. It goes at any hour.
	// If nobody knows whether it was sent it is sent again, with the same Key.
	Notice Category = "notice"
	// Reminder tells what is going to happen. It keeps quiet hours, and goes to nobody who
	// wants no more messages. If nobody knows whether it was sent it is sent again.
	Reminder Category = "reminder"
	// Once must not arrive twice: a one-time password, a payment link. It goes at any hour.
	// If nobody knows whether it was sent, a person must look.
	Once Category = "once"
)

// LogValue leaves out everything personal.
func (m Message) LogValue() slog.Value {
	return slog.GroupValue(slog.String("group", m.group()), slog.String("key", m.Key), slog.Int("generation", m.Generation),
		slog.String("category", string(m.Category)), slog.String("template", m.Template))
}

// Format prints what LogValue tells, whatever the verb.
func (m Message) Format(f fmt.State, _ rune) { redact.Format(f, m) }

func (m Message) group() string {
	if m.Group == "" {
		return m.Key
	}
	return m.Group
}

var keyPattern = regexp.MustCompile(`^[A-Za-z0-9._:/+-]{1,100}$`)

// maxContent is how long what a message says may be as JSON, in bytes.
const maxContent = 128 << 10

// validate names everything that is wrong with messages, before anything is written.
func (w *Writer) validate(messages []Message) error {
	var p fault.Problems
	for i, m := range messages {
		c := checker{Problems: &p, writer: w, Message: m}
		if len(messages) > 1 {
			c.prefix = "Messages[" + strconv.Itoa(i) + "]."
		}
		c.names()
		c.channels()
		c.times()
		c.words()
	}
	return p.Err("outbox: message")
}

// checker names what is wrong with one message.
type checker struct {
	*fault.Problems
	writer *Writer
	prefix string
	Message
}

func (c checker) check(ok bool, field, format string, args ...any) {
	c.Check(ok, c.prefix+field, format, args...)
}

func (c checker) names() {
	c.check(keyPattern.MatchString(c.Key), "Key", "is not 1 to 100 letters, digits and marks of ._:/+-")
	if c.Group != "" {
		for _, problem := range telemed.Fields(durable.CheckID(c.writer.rowID(c.Group))) {
			c.check(false, "Group", "%s", problem.Problem)
		}
	}
	for _, problem := range telemed.Fields(durable.CheckItem(durable.Item{ID: c.writer.rowID("x"), Tenant: c.Tenant})) {
		c.check(false, "Tenant", "%s", problem.Problem)
	}
	c.check(c.Generation >= 0, "Generation", "is negative")
	c.check(slices.Contains([]Category{"", Notice, Reminder, Once}, c.Category), "Category", "is none of the constants")
	c.check(len(c.Series) <= 100, "Series", "is longer than 100 bytes")
}

func (c checker) channels() {
	c.check(len(c.Channels) > 0, "Channels", "are required")
	for i, channel := range c.Channels {
		field := "Channels[" + strconv.Itoa(i) + "]"
		c.check(!slices.Contains(c.Channels[:i], channel), field, "is there twice")
		c.check(c.writer.knows(channel), field, "is none of Config.Channels")
	}
}

// farthest bounds what a message waits for: what is farther away was computed wrongly.
const farthest = 10 * 365 * 24 * time.Hour

func (c checker) times() {
	for field, at := range map[string]time.Time{"NotBefore": c.NotBefore, "NotAfter": c.NotAfter, "Latest": c.Latest} {
		c.check(at.IsZero() || at.Year() >= 1971 && time.Until(at) < farthest, field, "is before 1971 or more than ten years away")
	}
	c.check(c.NotAfter.IsZero() || !c.NotAfter.Before(c.NotBefore), "NotAfter", "is before NotBefore")
	_, err := location(c.Zone)
	c.check(err == nil, "Zone", "is not the IANA name of a time zone that is known here")
	c.check(c.To.Zone == nil, "To.Zone", "is set: the name of the zone is kept, which is Zone")
}

func (c checker) words() {
	c.check(len(c.Data) == 0 || json.Valid(c.Data), "Data", "is not JSON")
	c.check(c.writer.composes || c.Content != nil || c.Template != "", "Template", "is required if there is no Content")
	kept := c.kept()
	said, err := json.Marshal([]any{kept.To, kept.Data, kept.Content})
	if c.Content != nil {
		for i, file := range c.Content.Files {
			c.check(file.Open == nil, "Content.Files["+strconv.Itoa(i)+"].Open", "cannot be kept: let Config.Compose add the file when it is sent")
		}
	}
	c.check(err != nil || len(said) <= maxContent, "Content", "is longer than %d bytes: let Config.Compose make it when it is sent", maxContent)
	if c.writer.composes || c.Content == nil && c.Template == "" {
		return
	}
	var first error
	for _, channel := range c.Channels {
		m := notify.Message{Key: "x", To: c.To, Template: c.Template, Content: c.Content}
		err := m.Validate(channel)
		if err == nil {
			return // others are passed over when it is sent
		}
		first = cmp.Or(first, err)
	}
	for _, problem := range telemed.Fields(first) {
		c.check(false, problem.Field, "%s", problem.Problem)
	}
}

// location returns a zone by its IANA name, nil for an empty one.
func location(name string) (*time.Location, error) {
	switch name {
	case "":
		return nil, nil
	case "Local": // is another one on each machine
		return nil, errZone
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		return nil, errZone
	}
	return loc, nil
}

var errZone = errors.New("outbox: a message's time zone is not known here")

// sum tells whether a message that is enqueued again is the same.
func (m *message) sum() string {
	said, err := json.Marshal(m)
	if err != nil { // Content and Data were checked
		return ""
	}
	sum := sha256.Sum256(said)
	return hex.EncodeToString(sum[:])
}

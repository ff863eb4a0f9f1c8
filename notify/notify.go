package notify

import (
	"context"
	"errors"
	"io"
	"time"
)

// Notifier delivers one message to one recipient over one channel.
//
// An implementation is safe for concurrent use, honours ctx on every byte,
// changes nothing in msg and keeps nothing of it after it returns.
//
// A nil error means that the provider accepted the message, which is not yet delivered;
// the receipt then is not nil and has a Channel, an ID and a time. telemed.ErrAmbiguous
// means that it may have been accepted; every other error means that it was not. A
// message that is wrong gives telemed.ErrInvalid, with a *telemed.FieldError that names
// each wrong field, before any network. A ctx that has ended gives an error that matches
// it. No error holds an address, a phone number, a name, a word of the message or a
// credential.
//
// An error that knows when to come back has the method RetryDelay; see [RetryAfter].
type Notifier interface {
	Notify(ctx context.Context, msg Message) (*Receipt, error)
}

// NotifierFunc makes a function a Notifier.
type NotifierFunc func(ctx context.Context, msg Message) (*Receipt, error)

// Notify calls f.
func (f NotifierFunc) Notify(ctx context.Context, msg Message) (*Receipt, error) { return f(ctx, msg) }

// Channel is the way a message takes.
type Channel string

// The channels of this module.
const (
	Email    Channel = "email"
	WhatsApp Channel = "whatsapp"
)

// Message is what a recipient is to be told. Either Template and Data say it,
// and the leaf's Renderer makes the words, or Content holds the words already.
//
// A Message, and each of its parts, prints and logs without anything personal,
// except from an unexported field of another struct, where package fmt calls no
// methods. encoding/json does write all of it, names, addresses and words: an application
// may keep messages in a queue of its own, which must hold what is to be sent.
// Encrypt that queue, and log no struct that holds a Message as JSON. Zone does
// not survive JSON, and Data comes back as a map: store the name of the zone
// beside it, and Content instead of Template and Data.
type Message struct {
	// Key identifies the notification for the application, for instance "appt-42/confirmed".
	// Required. Message ids that providers see are derived from it, never the key itself.
	Key string
	// To is who is told. Required.
	To Recipient
	// Template is the name of a template of the Renderer, for instance
	// "appointment_confirmed".
	Template string
	// Data is what the template shows; its type is the template's.
	Data any
	// Content is used as it is, and Template and Data are not looked at, if it is not nil.
	Content *Content
	// Mail is what an e-mail has besides: copies, a way to unsubscribe, headers. Nil: nothing.
	Mail *Mail `json:",omitempty"`
}

// Recipient is a patient or a doctor. A channel needs its own address only.
type Recipient struct {
	// Name is shown in salutations and in the To header.
	Name string
	// Email is a bare address, "asha@example.org".
	Email string
	// Phone is an E.164 number with its plus sign, "+919876543210".
	Phone string
	// WhatsAppUserID is Meta's id of a person for this business, "IN.123…", which webhooks
	// tell. WhatsApp takes it where there is no Phone: people may hide their number.
	WhatsAppUserID string `json:",omitempty"`
	// Locale is a BCP 47 tag, "en", "hi-IN". Empty: the Renderer's default.
	Locale string
	// Zone is where times are shown in. Nil: the Renderer's default, which is the clinic's.
	Zone *time.Location
}

// Content is a message in words, for every channel that it may take.
type Content struct {
	// Subject, Text and HTML make an e-mail. Text is required for it; HTML may be empty.
	Subject, Text, HTML string
	// Files are attached to an e-mail.
	Files []File
	// WhatsApp is the approved template that carries it on WhatsApp; nil if there is none.
	WhatsApp *WhatsAppTemplate
}

// File is an attachment.
type File struct {
	// Name is the file name that the recipient sees.
	Name string
	// ContentType is a MIME type, "text/calendar; method=REQUEST".
	ContentType string
	// Data is the whole file. Empty if there is Open.
	Data []byte
	// Open opens the file each time it is sent, so that a large one is never in memory: it is
	// read and closed while the mail goes out. Its error, or a reader's, or other bytes than
	// Size of them, or a panic, is an error of Notify, and no part of the mail arrives. It
	// may be called by a goroutine of Notify's, and twice for a mail that is signed. Notify
	// waits for Open and each Read whatever becomes of ctx, and leaves a reader that returns
	// nothing a hundred times in a row. Nil: the file is Data. A queue that keeps messages
	// as JSON loses it, and the file is then refused.
	Open func() (io.ReadCloser, error) `json:"-"`
	// Size is how many bytes Open has to read. 0 without Open.
	Size int64 `json:",omitempty"`
	// ContentID makes the file an image inside Content.HTML, which shows it by
	// <img src="cid:ContentID">, in place of an attachment: letters, digits and marks of
	// ._+@- in ASCII. Empty: an attachment.
	ContentID string `json:",omitempty"`
}

// WhatsAppTemplate names a template that Meta approved, and fills it.
type WhatsAppTemplate struct {
	// Name is the template's name at Meta: lower case, digits and underscores.
	Name string
	// Language is Meta's code of the translation: "en", "en_US", "hi".
	Language string
	// Body holds the body's text parameters {{1}}, {{2}}, … in order.
	Body []string
	// Named holds them by name, in place of Body, if the template's parameters have names:
	// "doctor" for {{doctor}}.
	Named map[string]string `json:",omitempty"`
	// Header fills the header. Nil if there is nothing to fill.
	Header *WhatsAppHeader `json:",omitempty"`
	// Buttons fill those buttons that have something to fill.
	Buttons []WhatsAppButton `json:",omitempty"`
}

// Renderer makes the words of a message in the recipient's language and time zone.
// It is safe for concurrent use.
type Renderer interface {
	Render(msg Message) (*Content, error)
}

// Receipt says that a provider accepted a message.
type Receipt struct {
	// Channel is the way the message took.
	Channel Channel
	// ID is the provider's id: a queue id or Message-ID, or Meta's wamid.
	ID string
	// At is when it was accepted.
	At time.Time
	// KnownAs are addresses by which the provider knows the recipient, beside the one that
	// the message went to: Meta's spelling of a number, a user id. Nil if there are none.
	KnownAs []string
	// Refused holds an error for each copy of an e-mail that was refused, while the others
	// and Message.To were accepted. It has a *telemed.FieldError such as "Mail.Cc[0].Email"
	// and is, like an error of Notify, ErrRecipient or another: ask for those before
	// telemed.ErrInvalid, which every field error is besides. To send the message again
	// would send it twice to those who have it: send a message with a Key of its own.
	Refused []error `json:"-"`
}

// ErrRecipient means that this recipient cannot be reached over this channel, ever or for
// now. Try another channel.
var ErrRecipient = errors.New("recipient cannot be reached")

package notify

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// The types that hold a patient's data print as what they are, without it. Format
// makes this so for every verb, since fmt asks String and GoString for some verbs
// only. Out of reach are %p, which is a mistake that vet finds, and a value in an
// unexported field, whose methods fmt does not call.

// String tells which message it is, without the person and the words.
func (m Message) String() string {
	if m.Template == "" {
		return "message " + m.Key
	}
	return "message " + m.Key + " of template " + m.Template
}

// GoString is String.
func (m Message) GoString() string { return m.String() }

// Format writes String for every verb.
func (m Message) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, m.String()) }

// LogValue leaves out everything personal.
func (m Message) LogValue() slog.Value {
	return slog.GroupValue(slog.String("key", m.Key), slog.String("template", m.Template))
}

// String tells how the recipient can be reached, without name and addresses.
func (r Recipient) String() string {
	var ways []string
	if r.Email != "" {
		ways = append(ways, "e-mail")
	}
	if r.Phone != "" {
		ways = append(ways, "phone")
	}
	if r.Locale != "" {
		ways = append(ways, "locale "+r.Locale)
	}
	return "recipient (" + strings.Join(ways, ", ") + ")"
}

// GoString is String.
func (r Recipient) GoString() string { return r.String() }

// Format writes String for every verb.
func (r Recipient) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, r.String()) }

// LogValue leaves out everything personal.
func (r Recipient) LogValue() slog.Value {
	return slog.GroupValue(slog.Bool("email", r.Email != ""), slog.Bool("phone", r.Phone != ""), slog.String("locale", r.Locale))
}

// String tells what the content consists of, without a word of it.
func (c Content) String() string {
	text := fmt.Sprintf("content (%d bytes of text, %d of HTML, %d files", len(c.Text), len(c.HTML), len(c.Files))
	if c.WhatsApp != nil {
		text += ", " + c.WhatsApp.String()
	}
	return text + ")"
}

// GoString is String.
func (c Content) GoString() string { return c.String() }

// Format writes String for every verb.
func (c Content) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// LogValue leaves out every word.
func (c Content) LogValue() slog.Value { return slog.StringValue(c.String()) }

// String tells the file's size. Its name may be a patient's.
func (f File) String() string { return fmt.Sprintf("file of %d bytes", len(f.Data)) }

// GoString is String.
func (f File) GoString() string { return f.String() }

// Format writes String for every verb.
func (f File) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, f.String()) }

// LogValue leaves out name and content.
func (f File) LogValue() slog.Value { return slog.StringValue(f.String()) }

// String names the template, without the parameters.
func (t WhatsAppTemplate) String() string {
	return fmt.Sprintf("WhatsApp template %s (%s, %d parameters)", t.Name, t.Language, len(t.Body))
}

// GoString is String.
func (t WhatsAppTemplate) GoString() string { return t.String() }

// Format writes String for every verb.
func (t WhatsAppTemplate) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, t.String()) }

// LogValue leaves out the parameters.
func (t WhatsAppTemplate) LogValue() slog.Value { return slog.StringValue(t.String()) }

package notify

import (
	"fmt"
	"log/slog"

	"github.com/telemed-go/telemed/internal/redact"
)

// The types that hold a patient's data print as what they are, without it.

// Format tells the same for every verb.
func (m Message) Format(f fmt.State, _ rune) { redact.Format(f, m) }

// LogValue leaves out everything personal.
func (m Message) LogValue() slog.Value {
	return slog.GroupValue(slog.String("key", m.Key), slog.String("template", m.Template))
}

// Format tells the same for every verb.
func (r Recipient) Format(f fmt.State, _ rune) { redact.Format(f, r) }

// LogValue leaves out everything personal.
func (r Recipient) LogValue() slog.Value {
	return slog.GroupValue(slog.Bool("email", r.Email != ""), slog.Bool("phone", r.Phone != ""), slog.String("locale", r.Locale))
}

// Format tells the same for every verb.
func (c Content) Format(f fmt.State, _ rune) { redact.Format(f, c) }

// LogValue tells what the content consists of, in bytes, without a word of it.
func (c Content) LogValue() slog.Value {
	attrs := []slog.Attr{slog.Int("text", len(c.Text)), slog.Int("html", len(c.HTML)), slog.Int("files", len(c.Files))}
	if c.WhatsApp != nil {
		attrs = append(attrs, slog.Any("whatsapp", *c.WhatsApp))
	}
	return slog.GroupValue(attrs...)
}

// Format tells the same for every verb.
func (f File) Format(s fmt.State, _ rune) { redact.Format(s, f) }

// LogValue tells the file's size in bytes. Its name may be a patient's.
func (f File) LogValue() slog.Value {
	return slog.GroupValue(slog.Int64("bytes", max(f.Size, int64(len(f.Data)))))
}

// Format tells the same for every verb.
func (m Mail) Format(f fmt.State, _ rune) { redact.Format(f, m) }

// LogValue tells how much there is of it. A link to unsubscribe and a header may name a
// patient.
func (m Mail) LogValue() slog.Value {
	return slog.GroupValue(slog.Int("cc", len(m.Cc)), slog.Int("bcc", len(m.Bcc)),
		slog.Int("unsubscribe", len(m.Unsubscribe)), slog.Int("header", len(m.Header)))
}

// Format tells the same for every verb.
func (t WhatsAppTemplate) Format(f fmt.State, _ rune) { redact.Format(f, t) }

// LogValue leaves out the parameters.
func (t WhatsAppTemplate) LogValue() slog.Value {
	return slog.GroupValue(slog.String("name", t.Name), slog.String("language", t.Language), slog.Int("parameters", len(t.Body)+len(t.Named)))
}

// Format tells the same for every verb.
func (h WhatsAppHeader) Format(f fmt.State, _ rune) { redact.Format(f, h) }

// LogValue tells whether it is a text.
func (h WhatsAppHeader) LogValue() slog.Value {
	return slog.GroupValue(slog.Bool("text", h.Text != ""))
}

// Format tells the same for every verb.
func (v WhatsAppFile) Format(f fmt.State, _ rune) { redact.Format(f, v) }

// LogValue tells where the file is, without its name.
func (v WhatsAppFile) LogValue() slog.Value {
	return slog.GroupValue(slog.Bool("uploaded", v.ID != ""))
}

// Format tells the same for every verb.
func (b WhatsAppButton) Format(f fmt.State, _ rune) { redact.Format(f, b) }

// LogValue tells the button's place.
func (b WhatsAppButton) LogValue() slog.Value { return slog.GroupValue(slog.Int("index", b.Index)) }

// Format tells the same for every verb.
func (r Receipt) Format(f fmt.State, _ rune) { redact.Format(f, r) }

// LogValue leaves out whom the provider knows.
func (r Receipt) LogValue() slog.Value {
	return slog.GroupValue(slog.String("channel", string(r.Channel)), slog.String("id", r.ID), slog.Time("at", r.At))
}

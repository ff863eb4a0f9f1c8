package webhook

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"time"
)

// Delivery is what a request brings that the provider has signed.
type Delivery struct {
	// SignedAt is when the provider signed it. If it signs no time, zero.
	SignedAt time.Time
	// Events are handled one after the other. May be none.
	Events []Event
	// Answer is a JSON document to answer with. If nil, the status says all.
	Answer []byte
}

// Event is one thing that the application hears of.
type Event struct {
	// Keys are what the event is known by, each of which the provider sends for no other
	// event. At least one.
	Keys []string
	// Handle acts on the event.
	Handle func(ctx context.Context) error
	// Attrs say in the log which event it is, without its content.
	Attrs []slog.Attr
}

var errUnread = errors.New("it is signed but cannot be read, and there is no Unread to take it")

// Unread returns the Event for what is signed but cannot be read: a body, or a part of it
// if part is not nil. take gets it, once, and until it returns nil the provider is not
// answered 200. If take is nil, nobody takes it: it is logged by its digest and fails, so
// that the provider sends it again.
func Unread(body, part []byte, take func(ctx context.Context) error) Event {
	if take == nil {
		take = func(context.Context) error { return errUnread }
	}
	digest := Digest(body)
	key, attrs := "unread:"+digest, []slog.Attr{slog.Bool("unread", true), slog.String("body_sha256", digest)}
	if part != nil {
		digest = Digest(part)
		key, attrs = key+":"+digest, append(attrs, slog.String("part_sha256", digest))
	}
	return Event{Keys: []string{key}, Handle: take, Attrs: attrs}
}

// Digest returns the hexadecimal SHA-256 of raw.
func Digest(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

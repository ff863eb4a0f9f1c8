package webhook

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
)

// What a handler did instead of returning.
var (
	errPanic = errors.New("the handler panicked")
	errExit  = errors.New("the handler ended its goroutine")
)

// Permanent marks an error of a handler as incurable: the event is answered 200, logged,
// and never handled again. Permanent(nil) is nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanent{err}
}

// IsPermanent reports whether err is marked by Permanent, also under wrapping.
func IsPermanent(err error) bool {
	_, ok := errors.AsType[*permanent](err)
	return ok
}

type permanent struct{ err error }

func (p *permanent) Error() string { return p.err.Error() }
func (p *permanent) Unwrap() error { return p.err }

var errUnread = errors.New("it is signed but cannot be read, and there is no Unread to take it")

// Unread returns the Event for what is signed but cannot be read: a body, or a part of it
// if part is not nil. take gets it, once, and until it returns nil the provider is not
// answered
// 200. If take is nil, nobody takes it: it is logged by its digest and fails, so that the
// provider sends it again.
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

// Package telemed is the lowest floor of an SDK for telemedicine that a hospital's Go
// backend imports: a doctor connects Google or Zoom, an appointment gets a meeting, the
// patient pays through Razorpay, e-mail and WhatsApp carry the news, and clinic
// dashboards see it live.
//
// It holds the words that all packages share: [Secret], [FieldError] and the errors. What
// only one package can mean stays there, such as payments.ErrAmountMismatch.
//
// # Packages
//
// A category package says what a thing means, a leaf does it with one provider, and a
// …test package is how an application tests with it.
//
//   - meet: meetings. meet/googlemeet and zoom make them; meet/visit has whole visits take
//     place, with bill, messages and dashboard, whatever dies in between.
//   - payments: orders, verified payments, refunds and webhooks. payments/razorpay does
//     it; payments/fulfill has each bill that is paid fulfilled once.
//   - notify: messages to a recipient. notify/template writes them in English and Hindi;
//     notify/smtp and notify/whatsapp deliver them; notify/outbox keeps them until they
//     have been sent, once. notify/smtp/dkim signs mail.
//   - realtime: rooms and broadcasts. realtime/socketio speaks to the socket.io client
//     that pages have already, realtime/sse to the EventSource of browsers;
//     realtime/redisstream, a module of its own, keeps the events of several processes in
//     one order.
//   - store: what is kept, and who does a thing. store/oauth refreshes the tokens of
//     connected accounts exactly once, store/connect lets a doctor connect one;
//     store/sqlstore and store/mongostore keep them in a database.
//
// # Composing
//
// The application owns its HTTP server, database and users. It builds the leaves it wants
// with New and a Config, mounts their handlers where it likes, and asks for interfaces:
// meet.MeetingProvider, payments.PaymentGateway, notify.Notifier, realtime.Broadcaster,
// store.TokenStore. examples/clinic is a whole application in one file on meet/visit,
// examples/hospital a demonstration in the browser; the others show one package each.
//
// Each leaf that has an account at a provider also has FromEnv, which fills its Config
// through the getenv that it is given. New then names the variables that are missing or
// wrong; so one start shows all of them:
//
//	google, err1 := googlemeet.New(googlemeet.FromEnv(os.Getenv, tokens))
//	mail, err2 := smtp.New(smtp.FromEnv(os.Getenv))
//	if err := errors.Join(err1, err2); err != nil {
//		log.Fatal(err) // … ClientID is required: set GOOGLE_CLIENT_ID
//	}
//
// [Shutdown] ends the parts under one limit.
//
// # How do I …
//
// The Examples of examples/tasks answer it, each a task from its beginning to its end:
//
//   - visit_test.go: a visit step by step, with every key
//   - migrate_test.go: from a Node backend to this one, with both side by side
//   - clinics_test.go: several clinics with their own accounts
//   - retry_test.go: after ErrAmbiguous
//   - provider_test.go and database_test.go: a provider and a database of one's own
//   - testing_test.go: tests of one's own application
//   - production_test.go: keys, proxies, timeouts, shutdown, retention, alerts
//
// examples/routers and examples/otel, modules of their own, have chi, gin, echo and
// OpenTelemetry.
//
// # Errors
//
// An application that handles a rate limit handles it once, whoever sent it:
//
//	switch {
//	case errors.Is(err, telemed.ErrRateLimited):
//		// It did not happen. Wait, then repeat with the same key.
//	case errors.Is(err, telemed.ErrAmbiguous):
//		// Nobody knows whether it happened. Repeat with the same key, or look.
//	case errors.Is(err, telemed.ErrInvalid):
//		// Repeating changes nothing. Fields(err) names what is wrong.
//	}
//
// Each leaf has a typed *Error as well, with operation, status, the provider's code and
// request id, for the person who looks into it.
//
// # Promises
//
//   - Nothing runs by itself: no globals, no init, no environment read, no goroutine
//     without an owner and a Shutdown.
//   - Every side effect takes a key of the application's, such as an appointment's id:
//     calling again after a crash or a lost reply does it once. Where nobody can know,
//     the error is ErrAmbiguous, never "failed". A message may arrive twice if the
//     application sends it again after ErrAmbiguous.
//   - A wrong field is named by a *FieldError before anything is sent.
//   - Secrets and patients' data are not in errors, logs, URLs of ours or a provider's
//     visible fields.
package telemed

import (
	"crypto/subtle"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// The errors that more than one package returns. Compare with errors.Is. Each says what
// to do next.
var (
	// ErrInvalid means that the request itself is wrong; repeating it changes nothing. A
	// *FieldError beside it names the field where there is one.
	ErrInvalid = errors.New("invalid request")
	// ErrNotFound means that what was asked for does not exist, or does no longer.
	ErrNotFound = errors.New("not found")
	// ErrConflict means that the state is another than the request assumes. Read again, then
	// decide.
	ErrConflict = errors.New("conflict with the current state")
	// ErrUnauthorized means that the application's own credentials were refused. A person
	// must mend the configuration.
	ErrUnauthorized = errors.New("credentials refused")
	// ErrForbidden means that the credentials are good but do not allow this.
	ErrForbidden = errors.New("not permitted")
	// ErrNotConnected means that the doctor has not connected an account yet, or has
	// disconnected it.
	ErrNotConnected = errors.New("account is not connected")
	// ErrReconnect means that the doctor must connect the account again.
	ErrReconnect = errors.New("account must be connected again")
	// ErrMissingScope means that the account is connected without a permission that the call
	// needs. It comes with ErrReconnect.
	ErrMissingScope = errors.New("permission was not granted")
	// ErrRateLimited means that the provider refused because of too many requests. It did
	// not happen. Wait, then repeat.
	ErrRateLimited = errors.New("rate limited")
	// ErrUnavailable means that the provider, or the application's database, could not be
	// reached or failed. It did not happen. Repeat later.
	ErrUnavailable = errors.New("provider unavailable")
	// ErrAmbiguous means that nobody knows whether it happened: the answer was lost. Repeat
	// with the same key, or look.
	ErrAmbiguous = errors.New("outcome unknown")
	// ErrSignature means that a signature does not fit: the message is forged, damaged or
	// signed with another secret.
	ErrSignature = errors.New("signature mismatch")
	// ErrDecrypt means that stored bytes cannot be opened with the keys at hand. It says
	// nothing about the account behind them.
	ErrDecrypt = errors.New("record cannot be decrypted")
	// ErrClosed means that Shutdown was called before.
	ErrClosed = errors.New("closed")
)

// FieldError names one field of a request or of a Config and what is wrong with it. It
// never holds the value, which may be a patient's or a secret. errors.Is(err, ErrInvalid)
// is true.
type FieldError struct {
	// Field is the field's path as the caller spells it: "Start", "Attendees[2].Email".
	Field string
	// Problem reads on after the field: "is required", "is in the past".
	Problem string
}

// Error returns the field and the problem.
func (e *FieldError) Error() string { return e.Field + " " + e.Problem }

// Is ties every field error to ErrInvalid.
func (e *FieldError) Is(target error) bool { return target == ErrInvalid }

// Fields returns every *FieldError in err, in order; nil if there is none. An HTTP
// handler turns them into a 4xx answer that says which input is wrong.
func Fields(err error) []*FieldError {
	if err == nil {
		return nil
	}
	if field, ok := err.(*FieldError); ok {
		return []*FieldError{field}
	}
	switch wrapper := err.(type) {
	case interface{ Unwrap() error }:
		return Fields(wrapper.Unwrap())
	case interface{ Unwrap() []error }:
		var fields []*FieldError
		for _, inner := range wrapper.Unwrap() {
			fields = append(fields, Fields(inner)...)
		}
		return fields
	}
	return nil
}

// Redacted is what a secret prints as.
const Redacted = "[redacted]"

// Secret is a key, token or password that only Reveal returns. Every other way to print
// or encode it gives [Redacted]: all verbs of fmt (also when it is an unexported field of
// another struct), slog, JSON, XML, text, binary and template encodings. Decoding into it
// works for text formats, so that a configuration file can be read.
//
// The zero value is the empty secret. A Secret is immutable and safe for concurrent use.
// Compare with Equal, for == compares addresses.
type Secret struct {
	// fmt reaches unexported fields by reflection, without asking any method, and prints a
	// pointer as an address.
	text *string
}

// NewSecret returns a Secret that holds text.
func NewSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{text: &text}
}

// Reveal returns the text. Call it where the text is sent to whom it belongs, and nowhere
// else.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsZero reports whether the secret is empty.
func (s Secret) IsZero() bool { return s.text == nil }

// Equal compares two secrets, in constant time if their texts have the same length.
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(other.Reveal())) == 1
}

// Format writes Redacted for every verb, so that %x, %d and %p hide it too.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, Redacted) }

// String returns Redacted, for whoever asks a fmt.Stringer without fmt.
func (s Secret) String() string { return Redacted }

// LogValue hides the text from log/slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(Redacted) }

// MarshalText hides the text from JSON keys, XML attributes, TOML, YAML and flags.
func (s Secret) MarshalText() ([]byte, error) { return []byte(Redacted), nil }

// MarshalJSON hides the text from JSON.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + Redacted + `"`), nil }

// MarshalXML hides the text from XML.
func (s Secret) MarshalXML(e *xml.Encoder, start xml.StartElement) error {
	return e.EncodeElement(Redacted, start)
}

// MarshalBinary hides the text from encoding/gob and its like.
func (s Secret) MarshalBinary() ([]byte, error) { return []byte(Redacted), nil }

// UnmarshalText sets the text. It accepts what a configuration file holds, and refuses
// Redacted: that was a secret once and would be used as one.
func (s *Secret) UnmarshalText(text []byte) error {
	if string(text) == Redacted {
		return errors.New("telemed: " + Redacted + " is not a secret but its redacted form")
	}
	*s = NewSecret(string(text))
	return nil
}

// UnmarshalBinary refuses, for a gob stream holds only the redacted form.
func (s *Secret) UnmarshalBinary([]byte) error {
	return errors.New("telemed: a binary encoding does not hold the secret")
}

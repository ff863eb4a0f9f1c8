package fault

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"syscall"

	"github.com/telemed-go/telemed"
)

// MissingScope is telemed.ErrMissingScope and, as that promises, telemed.ErrReconnect.
var MissingScope = Tagged(telemed.ErrReconnect, telemed.ErrMissingScope)

// Text is what the *Error of a leaf says. All of them keep one order of words:
//
//	package: Operation: status (code, code): kind: detail: cause [request id …]
//
// What is empty is left out. Words of a provider stand in Codes and RequestID alone,
// where they are checked.
type Text struct {
	// Package and Op are who failed at what: "zoom", "Create".
	Package, Op string
	// Status is the status of the answer, 0 if there was none.
	Status int
	// Codes are the provider's words for what happened.
	Codes []Code
	// Kind is what it means for a caller. May be nil.
	Kind error
	// Detail is more about it, in our words.
	Detail string
	// Cause is what it came from. Its text must be safe to log. May be nil.
	Cause error
	// RequestID is the provider's id for the request.
	RequestID string
}

// Code is a word of a provider's, with a label before it if there is one.
type Code struct{ Label, Word string }

// String returns the text.
func (t Text) String() string {
	var b strings.Builder
	b.WriteString(t.Package + ": " + t.Op)
	if t.Status != 0 {
		b.WriteString(": " + strconv.Itoa(t.Status))
	}
	if codes := t.codes(); codes != "" {
		b.WriteString(" (" + codes + ")")
	}
	if t.Kind != nil {
		b.WriteString(": " + t.Kind.Error())
	}
	if t.Detail != "" {
		b.WriteString(": " + t.Detail)
	}
	if t.Cause != nil {
		b.WriteString(": " + t.Cause.Error())
	}
	if id := ID(t.RequestID); id != "" {
		b.WriteString(" [request id " + id + "]")
	}
	return b.String()
}

func (t Text) codes() string {
	var words []string
	for _, code := range t.Codes {
		if Word(code.Word) != "" {
			words = append(words, strings.TrimPrefix(code.Label+" "+code.Word, " "))
		}
	}
	return strings.Join(words, ", ")
}

// Reason names a cause whose own text may quote an address or a record: the end of a
// context, or the operating system's word for what happened to a connection. Empty for
// any other.
func Reason(err error) string {
	for _, end := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, end) {
			return end.Error()
		}
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno.Error()
	}
	return ""
}

// Word returns what a provider sent if it looks like a code, a constant or the name of a
// field: up to 64 letters, digits and _-.[] of ASCII. Else it returns nothing: it may be
// prose, which may repeat what a patient typed.
func Word(word string) string { return limited(word, 64, "_-.[]") }

// ID returns what a provider sent if it looks like the id of a request: up to 128
// letters, digits and _-.;=:+/ of ASCII. Else it returns nothing.
func ID(id string) string { return limited(id, 128, "_-.;=:+/") }

func limited(text string, length int, marks string) string {
	odd := func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(marks, r))
	}
	if len(text) > length || strings.ContainsFunc(text, odd) {
		return ""
	}
	return text
}

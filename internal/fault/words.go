package fault

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"syscall"

	"github.com/telemed-go/telemed"
)

// Words are those words of a provider that may be printed, because they are documented.
// Any other may be what a patient typed, however much it looks like a constant: a name is
// a word too.
type Words map[string]bool

// NewWords returns the words of lists, which are separated by spaces.
func NewWords(lists ...string) Words {
	words := Words{}
	for _, list := range lists {
		for word := range strings.FieldsSeq(list) {
			words[word] = true
		}
	}
	return words
}

// Known returns word if it is one of w, else nothing.
func (w Words) Known(word string) string {
	if !w[word] {
		return ""
	}
	return word
}

// RandomID returns the id of a request, if it looks like one that was drawn at random: of
// its parts between marks, each is random, or no longer than three characters, or one of
// the prefixes that providers have, and one at least has ten characters. Names, telephone
// numbers and the words of a sentence do not look like that. Else it returns nothing: some
// random ids are among that, and a support does without.
func RandomID(id string) string {
	long := false
	for _, part := range strings.FieldsFunc(ID(id), func(r rune) bool { return kindOf(r) == 0 }) {
		if len(part) > 3 && part != "clid" && !random(part) {
			return ""
		}
		long = long || len(part) >= 10
	}
	if !long {
		return ""
	}
	return id
}

// random reports whether capital letters, small letters and digits take turns in text, as
// they do in names hardly ever.
func random(text string) bool {
	var turns int
	var last rune
	for _, r := range text {
		if kind := kindOf(r); kind != last {
			turns++
			last = kind
		}
	}
	often := 4
	if len(text) >= 20 { // so many that few are enough
		often = 6
	}
	return strings.ContainsAny(text, "0123456789") && (turns-1)*often >= len(text)
}

func kindOf(r rune) rune {
	switch {
	case r >= 'a' && r <= 'z':
		return 'a'
	case r >= 'A' && r <= 'Z':
		return 'A'
	case r >= '0' && r <= '9':
		return '0'
	}
	return 0
}

// known are the errors whose text is nobody's words.
var known = []error{
	context.Canceled, context.DeadlineExceeded, os.ErrDeadlineExceeded, io.EOF, io.ErrUnexpectedEOF,
	telemed.ErrInvalid, telemed.ErrNotFound, telemed.ErrConflict, telemed.ErrUnauthorized, telemed.ErrForbidden,
	telemed.ErrNotConnected, telemed.ErrReconnect, telemed.ErrMissingScope, telemed.ErrRateLimited, telemed.ErrUnavailable,
	telemed.ErrAmbiguous, telemed.ErrSignature, telemed.ErrDecrypt, telemed.ErrClosed,
}

// Cause returns what is known of an error that others made, for Unwrap: the end of a
// context, the operating system's error, and others of fixed text that errors.Is finds.
// What a driver or a server said stays behind. nil if nothing is known.
func Cause(err error) error {
	var all []error
	for _, target := range known {
		if errors.Is(err, target) {
			all = append(all, target)
		}
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		all = append(all, errno)
	}
	switch len(all) {
	case 0:
		return nil
	case 1:
		return all[0]
	}
	return &joined{all}
}

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

// RandomID returns the id of a request, if it looks like one that was drawn at random: ten
// letters and digits or more, in which capital letters, small letters and digits take
// turns. Names, telephone numbers and the words of a sentence do not look like that. Else
// it returns nothing: some random ids are among that, and a support does without.
func RandomID(id string) string {
	var characters, turns int
	var last rune
	digit := false
	for _, r := range ID(id) {
		kind := kindOf(r)
		if kind == 0 {
			continue
		}
		characters++
		digit = digit || kind == '0'
		if last != 0 && kind != last {
			turns++
		}
		last = kind
	}
	if characters < 10 || !digit || turns*4 < characters {
		return ""
	}
	return id
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

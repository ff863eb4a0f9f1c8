// Package fault builds errors. Those of Configs and requests name all that is wrong with
// a value at once, each by its field ([Problems]). Those of calls have one order of words
// ([Text]). What they mean is in the root package.
package fault

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/telemed-go/telemed"
)

// Problems collects what is wrong with a value, so that a caller hears all of
// it at once. The zero value is ready to use.
type Problems struct {
	errs []error
	env  *Env
}

// Add notes that field has a problem, formatted as by fmt.Sprintf. Do not
// format the field's value into it.
func (p *Problems) Add(field, format string, args ...any) {
	problem := fmt.Sprintf(format, args...)
	if advice := p.env.advice(field); advice != "" {
		problem += ": " + advice
	}
	p.errs = append(p.errs, &telemed.FieldError{Field: field, Problem: problem})
}

// Check adds the problem unless ok.
func (p *Problems) Check(ok bool, field, format string, args ...any) {
	if !ok {
		p.Add(field, format, args...)
	}
}

// Required adds "is required" if value is empty.
func (p *Problems) Required(field, value string) { p.Check(value != "", field, "is required") }

// NotNil adds "is required" if value is nil, and what Optional adds.
func (p *Problems) NotNil(field string, value any) {
	p.Check(value != nil, field, "is required")
	p.Optional(field, value)
}

// Optional adds "is a nil *sqlstore.Store" if value is an interface that holds one: that is
// what is left when the error of its constructor was not looked at yet. nil itself is good.
// It reports whether value may be used, or is nil.
func (p *Problems) Optional(field string, value any) (good bool) {
	good = value == nil || !holdsNil(value)
	p.Check(good, field, "is a nil %T", value)
	return good
}

func holdsNil(value any) bool {
	v := reflect.ValueOf(value)
	switch v.Kind() {
	case reflect.Pointer, reflect.Func:
		return v.IsNil()
	default:
		return false
	}
}

// Varied adds a problem if all bytes of a key are the same, as they are in a placeholder
// or in memory that nobody filled. forms are the key as it is, and decoded for instance.
// An empty key is another problem.
func (p *Problems) Varied(field string, forms ...[]byte) {
	same := func(key []byte) bool { return len(key) > 0 && bytes.Count(key, key[:1]) == len(key) }
	p.Check(!slices.ContainsFunc(forms, same), field, "is one byte over and over, and no secret")
}

// Err returns nil if nothing was added, else one error that starts with prefix
// and matches telemed.ErrInvalid and every *telemed.FieldError in it.
func (p *Problems) Err(prefix string) error {
	if len(p.errs) == 0 {
		return nil
	}
	return fmt.Errorf("%s: %w", prefix, &joined{p.errs})
}

// joined prints its errors on one line: an error ends up in a log, where a line
// is an event.
type joined struct{ errs []error }

func (j *joined) Error() string {
	texts := make([]string, len(j.errs))
	for i, err := range j.errs {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

func (j *joined) Unwrap() []error { return j.errs }

// Invalid returns a single field error with a prefix.
func Invalid(prefix, field, format string, args ...any) error {
	var p Problems
	p.Add(field, format, args...)
	return p.Err(prefix)
}

// UnderWay means that another call is at what this one is to do, or was until its process
// died. Nothing was done. It is nobody's failure: the same call is to be made again soon.
var UnderWay = Tagged(telemed.ErrUnavailable, errors.New("another call with the same key is under way"))

// Tagged returns err so that errors.Is also finds tag, without a change to its text.
func Tagged(tag, err error) error {
	if err == nil || errors.Is(err, tag) {
		return err
	}
	return &tagged{tag: tag, err: err}
}

type tagged struct{ tag, err error }

func (t *tagged) Error() string   { return t.err.Error() }
func (t *tagged) Unwrap() []error { return []error{t.err, t.tag} }

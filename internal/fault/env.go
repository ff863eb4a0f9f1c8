package fault

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/address"
)

// Env reads the fields of a Config from an environment, for a FromEnv. It remembers which
// variables a field is made of. The Config keeps it in an unexported field, and New gives
// it to [Problems.From]: then each problem of such a field names the variable too. A nil
// *Env knows no variable. It is not safe for concurrent writes, and FromEnv makes none
// after it has returned.
type Env struct {
	getenv    func(string) string
	variables map[string][]variable // by field
	wrong     []*telemed.FieldError
}

type variable struct {
	name string
	set  bool
}

// NewEnv returns an Env that asks getenv, and nobody else. If getenv is nil, no variable
// is set.
func NewEnv(getenv func(name string) string) *Env {
	return &Env{getenv: getenv, variables: map[string][]variable{}}
}

// Text reads a part of field, without blanks at its ends.
func (e *Env) Text(field, name string) string { return strings.TrimSpace(e.read(field, name)) }

// Secret reads a part of field, without line breaks at its ends: a file that was made by
// echo has one. Blanks may be meant.
func (e *Env) Secret(field, name string) telemed.Secret {
	return telemed.NewSecret(strings.Trim(e.read(field, name), "\r\n"))
}

// Secrets is Secret for a field that takes several. It is nil if the variable is not set.
func (e *Env) Secrets(field, name string) []telemed.Secret {
	secret := e.Secret(field, name)
	if secret.IsZero() {
		return nil
	}
	return []telemed.Secret{secret}
}

// List reads a part of field that has its elements between commas: each without blanks at
// its ends, and no empty ones.
func (e *Env) List(field, name string) []string {
	var list []string
	for element := range strings.SplitSeq(e.read(field, name), ",") {
		if element = strings.TrimSpace(element); element != "" {
			list = append(list, element)
		}
	}
	return list
}

// Base reads the address that the addresses in field begin with: https, or http on
// loopback. It has no slash at its end. If it is not such an address, field has
// that as its problem, and Base returns "".
func (e *Env) Base(field, name string) string {
	base := strings.TrimRight(e.Text(field, name), "/")
	if base == "" {
		return ""
	}
	u, err := url.Parse(base)
	if err != nil || !address.Secure(base) || u.RawQuery != "" || u.ForceQuery {
		e.Wrong(field, "start with what is not an https address (http is for loopback only)")
		return ""
	}
	return base
}

// Wrong notes that field cannot be made of its variables. Do not format a value into it.
func (e *Env) Wrong(field, format string, args ...any) {
	e.wrong = append(e.wrong, &telemed.FieldError{Field: field, Problem: fmt.Sprintf(format, args...)})
}

func (e *Env) read(field, name string) string {
	var value string
	if e.getenv != nil {
		value = e.getenv(name)
	}
	e.variables[field] = append(e.variables[field], variable{name, strings.TrimSpace(value) != ""})
	return value
}

// advice says what to do about field: set the first of its variables, or correct those
// that are set. Empty if the field is not made of variables.
func (e *Env) advice(field string) string {
	if e == nil {
		return ""
	}
	field, _, _ = strings.Cut(field, "[") // "WebhookSecrets[0]"
	variables := e.variables[field]
	switch {
	case len(variables) == 0:
		return ""
	case !variables[0].set:
		return "set " + variables[0].name
	}
	var set []string
	for _, v := range variables {
		if v.set && !slices.Contains(set, v.name) {
			set = append(set, v.name)
		}
	}
	return "correct " + strings.Join(set, " or ")
}

// From has the problems of fields that e has read name their variables: "is required: set
// GOOGLE_CLIENT_ID". Those that e has found itself are added. Call it first. e may be nil.
func (p *Problems) From(e *Env) {
	p.env = e
	if e == nil {
		return
	}
	for _, wrong := range e.wrong {
		p.Add(wrong.Field, "%s", wrong.Problem)
	}
}

// Package redact prints values that hold a patient's data or a secret, without it.
//
// Such a type has one pair of methods. LogValue says what may be told; Format makes every
// verb of fmt say the same:
//
//	func (r Recipient) LogValue() slog.Value {
//		return slog.GroupValue(slog.String("locale", r.Locale))
//	}
//	func (r Recipient) Format(f fmt.State, _ rune) { redact.Format(f, r) }
//
// Out of reach are %p, which is a mistake that vet finds, and a value in an unexported
// field of another struct, whose methods fmt does not call.
package redact

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"
)

// Format writes what v tells the log: a text as it is, a time by RFC 3339, a group as
// {name:value name:value}. A nil
// pointer is <nil>.
func Format(f fmt.State, v slog.LogValuer) {
	defer func() {
		if recover() != nil { // LogValue of a nil pointer
			_, _ = io.WriteString(f, "<nil>")
		}
	}()
	_, _ = io.WriteString(f, text(v.LogValue().Resolve()))
}

func text(v slog.Value) string {
	switch v.Kind() {
	case slog.KindTime:
		return v.Time().Format(time.RFC3339)
	case slog.KindGroup:
	default:
		return v.String()
	}
	var fields []string
	for _, attr := range v.Group() {
		fields = append(fields, attr.Key+":"+text(attr.Value.Resolve()))
	}
	return "{" + strings.Join(fields, " ") + "}"
}

package payments

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/telemed-go/telemed/internal/fault"
)

// The limits of a request. They are the narrowest of the gateways, and every gateway checks
// them before it asks for anything, also the one in memory: what passes a test is not
// refused later, when there is an order.
const (
	maxKey   = 40  // characters of an order's Key
	maxNotes = 15  // pairs
	maxNote  = 256 // characters of a key or a value
	minPaise = 100 // INR 1.00
)

func checkAmount(p *fault.Problems, field string, m Money) {
	exponent, known := m.Currency.Exponent()
	p.Check(m.Minor > 0, field, "must be more than zero")
	p.Check(known, field, "has no known currency")
	p.Check(m.Currency != "INR" || m.Minor <= 0 || m.Minor >= minPaise, field, "is less than INR 1.00")
	p.Check(exponent != 3 || m.Minor%10 == 0, field, "must end in 0: of three digits behind the point the last cannot be charged")
}

func checkOrderKey(p *fault.Problems, key string) {
	p.Required("Key", key)
	p.Check(utf8.ValidString(key), "Key", "is not UTF-8") // JSON makes one receipt of two such
	p.Check(utf8.RuneCountInString(key) <= maxKey, "Key", "has more than %d characters", maxKey)
	p.Check(strings.IndexFunc(key, unicode.IsControl) < 0, "Key", "has a control character in it")
}

func checkNotes(p *fault.Problems, notes map[string]string) {
	p.Check(len(notes) <= maxNotes, "Notes", "has more than %d pairs", maxNotes)
	for key, value := range notes {
		if !utf8.ValidString(key) || !utf8.ValidString(value) {
			p.Add("Notes", "has a key or value that is not UTF-8")
			return
		}
		if utf8.RuneCountInString(key) > maxNote || utf8.RuneCountInString(value) > maxNote {
			p.Add("Notes", "has a key or value of more than %d characters", maxNote)
			return
		}
	}
}

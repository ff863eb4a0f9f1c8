package fulfill

import (
	"time"

	"github.com/telemed-go/telemed/payments"
)

// Tier is how much is given back of a visit that is cancelled early enough.
type Tier struct {
	// Before is how long before the start it must be cancelled at the latest.
	Before time.Duration
	// Percent of what was paid goes back, 0 to 100.
	Percent int
}

// Tiers are a clinic's terms: all up to a day before, half up to twelve hours before, for
// instance. The one that gives most of those that apply counts. None gives nothing back.
type Tiers []Tier

// Refund returns how much of paid goes back if a visit that starts at start is cancelled
// at now, rounded down to the smallest unit. If it is zero, there is nothing to ask for.
func (t Tiers) Refund(paid payments.Money, start, now time.Time) payments.Money {
	percent := 0
	for _, tier := range t {
		if start.Sub(now) >= tier.Before {
			percent = max(percent, min(tier.Percent, 100))
		}
	}
	whole, rest := paid.Minor/100, paid.Minor%100
	return payments.Money{Minor: whole*int64(percent) + rest*int64(percent)/100, Currency: paid.Currency}
}

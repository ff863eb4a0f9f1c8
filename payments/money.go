package payments

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/telemed-go/telemed/internal/fault"
)

// Money is an amount in the smallest unit of its currency. There is no float in
// it or near it. The zero value is no money in no currency; gateways refuse it.
// Money values compare with ==.
type Money struct {
	// Minor counts the smallest unit: paise for INR, yen for JPY, fils for KWD.
	Minor int64
	// Currency is the ISO 4217 code.
	Currency Currency
}

// INR returns an amount of Indian rupees, given in paise: INR(50000) is 500 rupees.
func INR(paise int64) Money { return Money{Minor: paise, Currency: "INR"} }

// NewMoney returns an amount in the smallest unit of currency ("INR"). A
// currency outside the table is telemed.ErrInvalid.
func NewMoney(minor int64, currency string) (Money, error) {
	m := Money{Minor: minor, Currency: Currency(currency)}
	if !m.Currency.Known() {
		return Money{}, fault.Invalid("payments", "Currency", "is not an ISO 4217 code in capitals that can be charged")
	}
	return m, nil
}

// ParseMoney reads an amount as people write it, "1,234.50" or "12,34,567.89",
// in the given currency. It is exact or it fails: more digits than the currency
// has, commas in odd places, blanks, exponents and overflow are telemed.ErrInvalid.
func ParseMoney(text, currency string) (Money, error) {
	m, err := NewMoney(0, currency)
	if err != nil {
		return Money{}, err
	}
	digits, problem := minorDigits(text, m.Currency)
	if problem == "" {
		if m.Minor, err = strconv.ParseInt(digits, 10, 64); err != nil {
			problem = "is out of range"
		}
	}
	if problem != "" {
		return Money{}, fault.Invalid("payments", "Amount", "%s", problem)
	}
	return m, nil
}

// minorDigits turns "-1,234.5" into "-123450" for a currency with two digits, or says
// what is wrong.
func minorDigits(text string, currency Currency) (digits, problem string) {
	sign := ""
	if rest, negative := strings.CutPrefix(text, "-"); negative {
		sign, text = "-", rest
	}
	whole, fraction, point := strings.Cut(text, ".")
	whole, ok := ungroup(whole)
	if !ok || point && fraction == "" || !allDigits(fraction) {
		return "", "is not an amount"
	}
	exponent, _ := currency.Exponent()
	if len(fraction) > exponent {
		return "", fmt.Sprintf("has more than %d digits behind the point", exponent)
	}
	return sign + whole + fraction + strings.Repeat("0", exponent-len(fraction)), ""
}

// ungroup removes commas that stand where thousands (1,234,567) or lakhs and crores
// (12,34,567) put them.
func ungroup(whole string) (string, bool) {
	groups := strings.Split(whole, ",")
	last := len(groups) - 1
	western, indian := true, true
	for i, group := range groups {
		if group == "" || !allDigits(group) {
			return "", false
		}
		switch {
		case last == 0:
		case i == last:
			western, indian = western && len(group) == 3, indian && len(group) == 3
		case i == 0:
			western, indian = western && len(group) <= 3, indian && len(group) <= 2
		default:
			western, indian = western && len(group) == 3, indian && len(group) == 2
		}
	}
	return strings.Join(groups, ""), western || indian
}

func allDigits(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool { return r < '0' || r > '9' }) < 0
}

// Add returns m + other. Different currencies and overflow are telemed.ErrInvalid.
func (m Money) Add(other Money) (Money, error) {
	if m.Currency != other.Currency {
		return Money{}, errCurrencies()
	}
	sum := m.Minor + other.Minor
	if (sum > m.Minor) != (other.Minor > 0) && other.Minor != 0 {
		return Money{}, errOverflow()
	}
	return Money{Minor: sum, Currency: m.Currency}, nil
}

// Sub returns m - other. Different currencies and overflow are telemed.ErrInvalid.
func (m Money) Sub(other Money) (Money, error) {
	if m.Currency != other.Currency {
		return Money{}, errCurrencies()
	}
	difference := m.Minor - other.Minor
	if (difference < m.Minor) != (other.Minor > 0) && other.Minor != 0 {
		return Money{}, errOverflow()
	}
	return Money{Minor: difference, Currency: m.Currency}, nil
}

func errCurrencies() error {
	return fault.Invalid("payments", "Currency", "differs between the two amounts")
}

func errOverflow() error { return fault.Invalid("payments", "Amount", "is out of range") }

// IsZero reports whether the amount is nothing, in whatever currency.
func (m Money) IsZero() bool { return m.Minor == 0 }

// String returns "INR 500.00": the code, and the amount with as many digits as
// the currency has. An unknown currency is printed in its smallest unit.
func (m Money) String() string {
	exponent, _ := m.Currency.Exponent()
	negative, digits := m.Minor < 0, strconv.FormatUint(magnitude(m.Minor), 10)
	if missing := exponent + 1 - len(digits); missing > 0 {
		digits = strings.Repeat("0", missing) + digits
	}
	if exponent > 0 {
		digits = digits[:len(digits)-exponent] + "." + digits[len(digits)-exponent:]
	}
	if negative {
		digits = "-" + digits
	}
	if m.Currency == "" {
		return digits
	}
	return string(m.Currency) + " " + digits
}

// magnitude is |n|, also for the smallest int64, whose negative has no int64.
func magnitude(n int64) uint64 {
	if n == math.MinInt64 {
		return 1 << 63
	}
	if n < 0 {
		n = -n
	}
	return uint64(n)
}

type moneyJSON struct {
	Amount   *int64    `json:"amount"`
	Currency *Currency `json:"currency"`
}

// MarshalJSON writes {"amount":50000,"currency":"INR"}, the amount in the smallest unit.
func (m Money) MarshalJSON() ([]byte, error) {
	return json.Marshal(moneyJSON{Amount: &m.Minor, Currency: &m.Currency})
}

// UnmarshalJSON reads what MarshalJSON wrote. A fraction, a number in quotes, a missing
// part or an unknown currency is telemed.ErrInvalid; only the zero Money has no currency.
func (m *Money) UnmarshalJSON(data []byte) error {
	var read moneyJSON
	if err := json.Unmarshal(data, &read); err != nil || read.Amount == nil || read.Currency == nil {
		return fault.Invalid("payments", "Money", `is not {"amount":integer,"currency":code}`)
	}
	got := Money{Minor: *read.Amount, Currency: *read.Currency}
	if got != (Money{}) && !got.Currency.Known() {
		return fault.Invalid("payments", "Currency", "is not an ISO 4217 code in capitals that can be charged")
	}
	*m = got
	return nil
}

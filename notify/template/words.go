package template

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// words are what the time and the language of a translation need beyond its
// files. The standard library knows English only.
type words struct {
	texts  map[string]string
	months [12]string
	days   [7]string // from Sunday
	parts  []dayPart // of a day, ascending
	soon   soon
}

// wordsFor returns the tables for a locale; languages without a table of ours get
// English.
func wordsFor(locale string) *words {
	all, err := catalogues()
	if err != nil {
		return &words{} // New has reported it
	}
	if c, ok := all[language(locale)]; ok {
		return &c.words
	}
	return &all["en"].words
}

func language(locale string) string {
	before, _, _ := strings.Cut(locale, "-")
	return strings.ToLower(before)
}

func (w *words) time(t time.Time) string {
	return fmt.Sprintf("%s, %s, %s %s", w.days[t.Weekday()], w.date(t), w.clock(t), w.zone(t))
}

func (w *words) date(t time.Time) string {
	return fmt.Sprintf("%d %s %d", t.Day(), w.months[t.Month()-1], t.Year())
}

// exponents are the currencies that do not have two digits behind the point (ISO 4217).
var exponents = map[string]int{
	"BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "ISK": 0, "JPY": 0, "KMF": 0, "KRW": 0, "PYG": 0,
	"RWF": 0, "UGX": 0, "VND": 0, "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0,
	"BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3,
}

var symbols = map[string]string{"INR": "₹", "USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥"}

// money writes an amount as people read it: ₹1,23,456.00, $1,234.50, KWD 1.250.
func money(minor int64, currency string) string {
	exponent, special := exponents[currency]
	if !special {
		exponent = 2
	}
	digits := strconv.FormatInt(minor, 10)
	digits, negative := strings.CutPrefix(digits, "-")
	if missing := exponent + 1 - len(digits); missing > 0 {
		digits = strings.Repeat("0", missing) + digits
	}
	whole, fraction := digits[:len(digits)-exponent], digits[len(digits)-exponent:]
	text := grouped(whole, currency == "INR")
	if exponent > 0 {
		text += "." + fraction
	}
	if symbol, ok := symbols[currency]; ok {
		text = symbol + text
	} else {
		text = currency + " " + text
	}
	if negative {
		text = "-" + text
	}
	return text
}

// grouped puts commas behind thousands, and with indian behind lakhs and crores.
func grouped(whole string, indian bool) string {
	var b strings.Builder
	for i := range len(whole) {
		left := len(whole) - i
		if i > 0 && (left == 3 || left > 3 && (indian && left%2 == 1 || !indian && left%3 == 0)) {
			b.WriteByte(',')
		}
		b.WriteByte(whole[i])
	}
	return b.String()
}

func validCurrency(code string) bool {
	return len(code) == 3 && strings.IndexFunc(code, func(r rune) bool { return r < 'A' || r > 'Z' }) < 0
}

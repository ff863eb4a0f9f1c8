package payments_test

import (
	"encoding/json"
	"math"
	"math/big"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/leaktest"
	"github.com/telemed-go/telemed/payments"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func TestParseMoney(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		text, currency string
		want           int64
	}{
		{"500", "INR", 50000},
		{"500.5", "INR", 50050},
		{"1,234.50", "INR", 123450},
		{"12,34,567.89", "INR", 123456789},
		{"1,234,567.89", "USD", 123456789},
		{"0.01", "INR", 1},
		{"-0.01", "INR", -1},
		{"000.10", "INR", 10},
		{"500", "JPY", 500},
		{"99.990", "KWD", 99990},
		{"92233720368547758.07", "INR", math.MaxInt64},
		{"-92233720368547758.08", "INR", math.MinInt64},
	} {
		got, err := payments.ParseMoney(tc.text, tc.currency)
		require.NoError(t, err, tc.text)
		require.Equal(t, payments.Money{Minor: tc.want, Currency: payments.Currency(tc.currency)}, got, tc.text)
	}
	for _, tc := range []struct{ text, currency string }{
		{"", "INR"}, {"-", "INR"}, {".5", "INR"}, {"5.", "INR"}, {"+5", "INR"}, {" 5", "INR"}, {"5 ", "INR"}, {"1e3", "INR"},
		{"0x10", "INR"}, {"10.999", "INR"}, {"1,50", "INR"}, {"1,2,3", "INR"}, {"1,,234", "INR"}, {",123", "INR"}, {"1234,567", "INR"},
		{"1,234,56", "INR"}, {"1.2.3", "INR"}, {"--1", "INR"}, {"५००", "INR"}, {"NaN", "INR"}, {"1_000", "INR"},
		{"500.0", "JPY"}, {"1.2345", "KWD"}, {"92233720368547758.08", "INR"}, {"99999999999999999999", "INR"}, {"5", "XYZ"}, {"5", "inr"}, {"5", ""},
	} {
		_, err := payments.ParseMoney(tc.text, tc.currency)
		require.ErrorIs(t, err, telemed.ErrInvalid, "%q %s", tc.text, tc.currency)
	}
}

func TestMoneyString(t *testing.T) {
	t.Parallel()
	for want, m := range map[string]payments.Money{
		"INR 500.00":                payments.INR(50000),
		"INR 0.05":                  payments.INR(5),
		"INR -0.05":                 payments.INR(-5),
		"JPY 500":                   {Minor: 500, Currency: "JPY"},
		"KWD 0.001":                 {Minor: 1, Currency: "KWD"},
		"INR -92233720368547758.08": payments.INR(math.MinInt64),
		"XYZ 7":                     {Minor: 7, Currency: "XYZ"},
		"0":                         {},
	} {
		require.Equal(t, want, m.String())
	}
}

func TestMoneyArithmetic(t *testing.T) {
	t.Parallel()
	edges := []int64{math.MinInt64, math.MinInt64 + 1, -1, 0, 1, math.MaxInt64 - 1, math.MaxInt64}
	for _, a := range edges {
		for _, b := range edges {
			check := func(got payments.Money, err error, want *big.Int) {
				t.Helper()
				if want.IsInt64() {
					require.NoError(t, err, "%d %d", a, b)
					require.Equal(t, payments.INR(want.Int64()), got)
				} else {
					require.ErrorIs(t, err, telemed.ErrInvalid, "%d %d", a, b)
				}
			}
			sum, err := payments.INR(a).Add(payments.INR(b))
			check(sum, err, new(big.Int).Add(big.NewInt(a), big.NewInt(b)))
			difference, err := payments.INR(a).Sub(payments.INR(b))
			check(difference, err, new(big.Int).Sub(big.NewInt(a), big.NewInt(b)))
		}
	}
	_, err := payments.INR(1).Add(payments.Money{Minor: 1, Currency: "USD"})
	require.ErrorIs(t, err, telemed.ErrInvalid)
	_, err = payments.INR(1).Sub(payments.Money{})
	require.ErrorIs(t, err, telemed.ErrInvalid)
}

func TestMoneyJSON(t *testing.T) {
	t.Parallel()
	encoded, err := json.Marshal(payments.INR(9007199254740993)) // 2^53 + 1, which no float holds
	require.NoError(t, err)
	require.JSONEq(t, `{"amount":9007199254740993,"currency":"INR"}`, string(encoded))
	var got payments.Money
	require.NoError(t, json.Unmarshal(encoded, &got))
	require.Equal(t, payments.INR(9007199254740993), got)

	zero, err := json.Marshal(payments.Money{})
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(zero, &got))
	require.Equal(t, payments.Money{}, got)

	for _, bad := range []string{
		`{"amount":1.5,"currency":"INR"}`, `{"amount":1e3,"currency":"INR"}`, `{"amount":"5","currency":"INR"}`, `{"amount":5}`, `{"currency":"INR"}`,
		`{"amount":5,"currency":"XYZ"}`, `{"amount":0,"currency":"inr"}`, `5`, `[]`, `{"amount":9223372036854775808,"currency":"INR"}`,
	} {
		require.ErrorIs(t, json.Unmarshal([]byte(bad), &got), telemed.ErrInvalid, bad)
	}
}

// TestCurrencies compares the table with Razorpay's own list.
func TestCurrencies(t *testing.T) {
	t.Parallel()
	list, err := os.ReadFile("../../shared/fixtures/razorpay/currencies.txt")
	if err != nil {
		t.Skip("Razorpay's list of currencies is not beside this project: that the table holds each of them would be " +
			"shown; TestExponents shows how many there are, and each that has not two digits")
	}
	lines := strings.Split(strings.TrimSpace(string(list)), "\n")
	require.Len(t, lines, 128)
	for _, line := range lines {
		columns := strings.Split(line, " | ")
		require.Len(t, columns, 3, line)
		exponent, ok := payments.Currency(columns[1]).Exponent()
		require.True(t, ok, line)
		require.Equal(t, strings.TrimSpace(columns[2]), string(rune('0'+exponent)), line)
	}
}

// TestExponents was written by hand after Razorpay's page on international payments.
func TestExponents(t *testing.T) {
	t.Parallel()
	others := map[payments.Currency]int{}
	for exponent, codes := range map[int]string{
		0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF", 3: "BHD IQD JOD KWD OMR TND",
	} {
		for code := range strings.FieldsSeq(codes) {
			others[payments.Currency(code)] = exponent
		}
	}
	known := 0
	for n := range 26 * 26 * 26 {
		code := payments.Currency([]byte{byte('A' + n/26/26), byte('A' + n/26%26), byte('A' + n%26)})
		got, ok := code.Exponent()
		require.Equal(t, ok, code.Known())
		want, other := others[code]
		if !other {
			want = 2
		}
		if ok {
			known++
			require.Equal(t, want, got, code)
		}
		require.True(t, ok || !other, code)
	}
	require.Equal(t, 128, known)
	_, err := payments.NewMoney(1, "BTC")
	require.ErrorIs(t, err, telemed.ErrInvalid)
	require.False(t, payments.Currency("inr").Known())
}

func FuzzParseMoney(f *testing.F) {
	for _, seed := range []string{"1,234.50", "12,34,567.89", "-0.01", "1e9", "92233720368547758.07", "٣", "1,,1", ""} {
		f.Add(seed, "INR")
		f.Add(seed, "JPY")
		f.Add(seed, "KWD")
	}
	f.Fuzz(func(t *testing.T, text, currency string) {
		m, err := payments.ParseMoney(text, currency)
		if err != nil {
			require.ErrorIs(t, err, telemed.ErrInvalid)
			require.Zero(t, m)
			return
		}
		// What was read must be what math/big reads, and survive printing.
		exponent, _ := m.Currency.Exponent()
		exact, ok := new(big.Rat).SetString(strings.ReplaceAll(text, ",", ""))
		require.True(t, ok, text)
		exact.Mul(exact, new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(exponent)), nil)))
		require.Zero(t, exact.Cmp(new(big.Rat).SetInt64(m.Minor)), text)
		again, err := payments.ParseMoney(strings.TrimPrefix(m.String(), currency+" "), currency)
		require.NoError(t, err)
		require.Equal(t, m, again)
	})
}

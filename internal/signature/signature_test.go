package signature_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/internal/signature"
)

// Computed with openssl and Python's hmac, not with this package.
const (
	key     = "tm_test_key_secret_0001"
	message = "order_TM00000000000A|pay_TM00000000000A"
	want    = "e64f03822bb5712589688b3aefe31715b3d59a07e9a271abbc35dba8099f87de"
)

func TestHex(t *testing.T) {
	t.Parallel()
	require.Equal(t, want, signature.Hex([]byte(key), []byte(message)))
}

func TestValid(t *testing.T) {
	t.Parallel()
	empty := signature.Hex(nil, []byte(message))
	flipped := "f" + want[1:]
	tests := map[string]struct {
		signature string
		keys      [][]byte
		want      bool
	}{
		"fits":                {want, [][]byte{[]byte(key)}, true},
		"upper case":          {strings.ToUpper(want), [][]byte{[]byte(key)}, true},
		"second key":          {want, [][]byte{[]byte("new"), []byte(key)}, true},
		"one bit off":         {flipped, [][]byte{[]byte(key)}, false},
		"other key":           {want, [][]byte{[]byte("other")}, false},
		"no key":              {want, nil, false},
		"empty key is no key": {empty, [][]byte{nil, {}}, false},
		"short":               {want[:62], [][]byte{[]byte(key)}, false},
		"not hex":             {strings.Repeat("z", 64), [][]byte{[]byte(key)}, false},
		"empty":               {"", [][]byte{[]byte(key)}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, signature.Valid(test.signature, []byte(message), test.keys...))
		})
	}
}

func FuzzValid(f *testing.F) {
	f.Add(want, message, key)
	f.Add("", "", "")
	f.Fuzz(func(t *testing.T, sig, message, key string) {
		got := signature.Valid(sig, []byte(message), []byte(key))
		fits := key != "" && strings.EqualFold(sig, signature.Hex([]byte(key), []byte(message)))
		if got != fits {
			t.Fatalf("Valid = %v, want %v", got, fits)
		}
	})
}

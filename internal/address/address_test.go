package address_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/internal/address"
)

func TestSecure(t *testing.T) {
	t.Parallel()
	tests := map[string]bool{
		"https://clinic.example/path?query": true,
		"http://localhost:3001/callback":    true,
		"http://127.0.0.1:3001":             true,
		"http://127.8.9.1":                  true,
		"http://[::1]:3001":                 true,
		"http://clinic.example":             false,
		"http://127.evil.example":           false,
		"http://localhost.evil.example":     false,
		"http://127.0.0.1.evil.example":     false,
		"http://0.0.0.0:3001":               false,
		"https://user@clinic.example":       false,
		"https://clinic.example/#fragment":  false,
		"https://":                          false,
		"https:clinic.example":              false,
		"ftp://localhost":                   false,
		"//clinic.example":                  false,
		"/path":                             false,
		"":                                  false,
		"https://%zz":                       false,
	}
	for text, want := range tests {
		require.Equal(t, want, address.Secure(text), text)
	}
}

func ExampleLoopback() {
	fmt.Println(address.Loopback("127.0.0.1"), address.Loopback("127.evil.example"))
	// Output: true false
}

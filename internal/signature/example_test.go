package signature_test

import (
	"fmt"

	"github.com/telemed-go/telemed/internal/signature"
)

// While a secret is being changed, both sign.
func ExampleValid() {
	body := []byte(`{"event":"payment.captured"}`)
	signed := signature.Hex([]byte("old"), body)
	fmt.Println(signature.Valid(signed, body, []byte("new"), []byte("old")))
	fmt.Println(signature.Valid(signed, append(body, ' '), []byte("new"), []byte("old")))
	// Output:
	// true
	// false
}

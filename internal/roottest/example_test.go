package roottest

import (
	"encoding/json"
	"fmt"

	"github.com/telemed-go/telemed"
)

func Example() {
	config := struct{ Key telemed.Secret }{telemed.NewSecret("k-123")}
	document, _ := json.Marshal(config)
	fmt.Printf("%+v %s\n", config, document)
	fmt.Println(config.Key.Reveal())
	// Output:
	// {Key:[redacted]} {"Key":"[redacted]"}
	// k-123
}

// Two secrets of the same text are not ==. And a secret that nobody set equals one that
// nobody sent.
func Example_equal() {
	configured, sent := telemed.NewSecret("k-123"), telemed.NewSecret("k-123")
	fmt.Println("by ==:", configured == sent)
	fmt.Println("by Equal:", configured.Equal(sent))

	var unset, unsent telemed.Secret
	fmt.Println("two empty ones:", unset.Equal(unsent), "unless one asks:", !unset.IsZero() && unset.Equal(unsent))
	// Output:
	// by ==: false
	// by Equal: true
	// two empty ones: true unless one asks: false
}

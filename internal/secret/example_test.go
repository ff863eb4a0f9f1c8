package secret_test

import (
	"encoding/json"
	"fmt"

	"github.com/telemed-go/telemed/internal/secret"
)

func Example() {
	config := struct{ Key secret.String }{secret.New("k-123")}
	document, _ := json.Marshal(config)
	fmt.Printf("%+v %s\n", config, document)
	fmt.Println(config.Key.Reveal())
	// Output:
	// {Key:[redacted]} {"Key":"[redacted]"}
	// k-123
}

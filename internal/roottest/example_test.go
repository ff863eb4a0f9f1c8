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

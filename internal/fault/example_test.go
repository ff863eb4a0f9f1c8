package fault_test

import (
	"errors"
	"fmt"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
)

func ExampleProblems() {
	var p fault.Problems
	p.Required("ClientID", "")
	p.Check(false, "Timeout", "is negative")
	err := p.Err("zoom")
	fmt.Println(err)
	fmt.Println(errors.Is(err, telemed.ErrInvalid), len(telemed.Fields(err)))
	// Output:
	// zoom: ClientID is required; Timeout is negative
	// true 2
}

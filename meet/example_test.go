package meet_test

import (
	"fmt"
	"time"

	"github.com/telemed-go/telemed/meet"
)

// A time that came as text has an offset and no zone, and so no name that a doctor's
// calendar could show. Put it into the clinic's zone before it becomes a Request.Start.
func ExampleZoneName() {
	start, err := time.Parse(time.RFC3339, "2036-03-01T10:30:00+05:30")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("as it came: %q\n", meet.ZoneName(start))

	kolkata, err := time.LoadLocation("Asia/Kolkata")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("in the clinic's zone: %q\n", meet.ZoneName(start.In(kolkata)))
	fmt.Println("the same moment:", start.Equal(start.In(kolkata)))
	// Output:
	// as it came: ""
	// in the clinic's zone: "Asia/Kolkata"
	// the same moment: true
}

package realtime_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/telemed-go/telemed/realtime"
)

// A reader that was away asks for what it has missed.
func ExampleMemoryJournal() {
	ctx := context.Background()
	journal := &realtime.MemoryJournal{}

	seen, _ := journal.Append(ctx, realtime.Entry{Kind: realtime.KindEvent, Name: "new-appointment", Rooms: []string{"clinic-7"}})
	_, _ = journal.Append(ctx, realtime.Entry{Kind: realtime.KindEvent, Name: "patient-waits", Rooms: []string{"clinic-9"}})
	_, _ = journal.Append(ctx, realtime.Entry{Kind: realtime.KindEvent, Name: "patient-waits", Rooms: []string{"clinic-7"}})

	page, err := journal.Since(ctx, seen, []string{"clinic-7"}, 100)
	fmt.Println(len(page.Entries), page.Entries[0].Name, page.More, err)

	afterRestart := &realtime.MemoryJournal{}
	_, err = afterRestart.Since(ctx, seen, []string{"clinic-7"}, 100)
	fmt.Println(errors.Is(err, realtime.ErrGap)) // read the present state
	// Output:
	// 1 patient-waits false <nil>
	// true
}

package meettest_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/meet/meettest"
)

// A visit is moved and then cancelled. The patient's link stays the same through a move,
// and to cancel twice is no error.
func ExampleProvider_Update() {
	ctx := context.Background()
	provider := meettest.New()
	req := meet.Request{Key: "appt-42", Start: time.Date(2036, 3, 1, 5, 0, 0, 0, time.UTC), Duration: 30 * time.Minute}
	m, err := provider.Create(ctx, "dr-rao", req)
	if err != nil {
		fmt.Println(err)
		return
	}

	req.Start = req.Start.Add(time.Hour) // the rest of req too: it is the whole new state
	moved, err := provider.Update(ctx, "dr-rao", m.ID, req)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("begins", moved.Start.Format(time.Kitchen), "at the same link:", moved.JoinURL == m.JoinURL)

	req.Key = "appt-43" // another appointment's
	_, err = provider.Update(ctx, "dr-rao", m.ID, req)
	fmt.Println("another key cannot move it:", errors.Is(err, telemed.ErrConflict))

	for range 2 {
		fmt.Println("cancelled:", provider.Cancel(ctx, "dr-rao", m.ID))
	}
	now, err := provider.Get(ctx, "dr-rao", m.ID)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("in the end:", now.Status)
	// Output:
	// begins 6:00AM at the same link: true
	// another key cannot move it: true
	// cancelled: <nil>
	// cancelled: <nil>
	// in the end: cancelled
}

// All doctors are connected until Connect is called for the first time. From then on only
// those are whom it named.
func ExampleProvider_Connect() {
	ctx := context.Background()
	provider := meettest.New()
	provider.Connect("dr-rao")
	req := meet.Request{Key: "appt-42", Start: time.Date(2036, 3, 1, 5, 0, 0, 0, time.UTC), Duration: 30 * time.Minute}

	_, err := provider.Create(ctx, "dr-iyer", req)
	fmt.Println("Dr. Iyer must connect first:", errors.Is(err, telemed.ErrNotConnected))

	provider.Connect("dr-iyer")
	_, err = provider.Create(ctx, "dr-iyer", req)
	fmt.Println("and then:", err)
	// Output:
	// Dr. Iyer must connect first: true
	// and then: <nil>
}

// The application's link makes whoever opens it the doctor. It is a Secret, for it must
// not be mailed or logged; the patient gets JoinURL.
func ExampleProvider_HostLink() {
	ctx := context.Background()
	provider := meettest.New()
	m, err := provider.Create(ctx, "dr-rao", meet.Request{
		Key: "appt-42", Start: time.Date(2036, 3, 1, 5, 0, 0, 0, time.UTC), Duration: 30 * time.Minute,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	link, err := provider.HostLink(ctx, "dr-rao", m.ID)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("in a log:", link)
	fmt.Println("in the redirect:", link.Reveal())
	fmt.Println("for the patient:", m.JoinURL)

	_, err = provider.HostLink(ctx, "dr-iyer", m.ID)
	fmt.Println("for another doctor:", errors.Is(err, telemed.ErrNotFound))
	// Output:
	// in a log: [redacted]
	// in the redirect: https://meet.invalid/meeting-1?host=1
	// for the patient: https://meet.invalid/meeting-1
	// for another doctor: true
}

// A meeting was made and its answer was lost. Nobody knows, so the same Key is asked
// again, and there is one meeting.
func ExampleProvider_FailAfter() {
	ctx := context.Background()
	provider := meettest.New()
	provider.FailAfter(meettest.OpCreate, telemed.ErrAmbiguous)
	req := meet.Request{Key: "appt-42", Start: time.Date(2036, 3, 1, 5, 0, 0, 0, time.UTC), Duration: 30 * time.Minute}

	_, err := provider.Create(ctx, "dr-rao", req)
	fmt.Println("nobody knows:", errors.Is(err, telemed.ErrAmbiguous))
	_, err = provider.Create(ctx, "dr-rao", req)
	fmt.Println("again:", err)
	fmt.Println(len(provider.Meetings()), "meeting")
	// Output:
	// nobody knows: true
	// again: <nil>
	// 1 meeting
}

// What an application does in the background is waited for by what it does. No test needs
// to sleep.
func ExampleProvider_WaitFor() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	provider := meettest.New()

	done := make(chan error)
	go func() { // the application, after a payment
		_, err := provider.Create(ctx, "dr-rao", meet.Request{
			Key: "appt-42", Start: time.Date(2036, 3, 1, 5, 0, 0, 0, time.UTC), Duration: 30 * time.Minute,
		})
		done <- err
	}()
	m, err := provider.WaitFor(ctx, func(m meet.Meeting) bool { return m.Status == meet.StatusScheduled })
	fmt.Println(m.Duration, err)
	fmt.Println(<-done)
	// Output:
	// 30m0s <nil>
	// <nil>
}

// The doctor connects another account. The visit of the first one cannot be cancelled from
// there, and is not gone: the patient's link works. A person must know.
func ExampleProvider_ConnectAccount() {
	ctx := context.Background()
	provider := meettest.New()
	m, err := provider.Create(ctx, "dr-rao", meet.Request{
		Key: "appt-42", Start: time.Date(2036, 3, 1, 5, 0, 0, 0, time.UTC), Duration: 30 * time.Minute,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	provider.ConnectAccount("dr-rao", "the private one")
	err = provider.Cancel(ctx, "dr-rao", m.ID)
	fmt.Println("in another account:", errors.Is(err, meet.ErrOtherAccount))

	provider.ConnectAccount("dr-rao", m.Account)
	fmt.Println("in its own:", provider.Cancel(ctx, "dr-rao", m.ID))
	// Output:
	// in another account: true
	// in its own: <nil>
}

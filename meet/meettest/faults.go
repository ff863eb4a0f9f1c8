package meettest

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/meet"
)

// enough is how often a call is repeated at most until it must have come to an end.
const enough = 6

// again calls until there is no error, as a job queue does.
func again(t *testing.T, op string, call func() error) {
	t.Helper()
	for range enough {
		err := call()
		if err == nil {
			return
		}
		wantError(t, op+" after a lost reply", err, telemed.ErrAmbiguous, telemed.ErrUnavailable)
	}
	t.Errorf("%s: calling again never ends", op)
}

// lostReplies loses a request or an answer of each call, in each way.
func lostReplies(t *testing.T, open func(t *testing.T) Harness) {
	names := slices.Sorted(maps.Keys(open(t).Losses))
	if len(names) == 0 {
		t.Skip("this provider loses nothing: Harness.Losses is empty")
	}
	for _, name := range names {
		for op, check := range map[string]func(*testing.T, Harness, func()){
			"create": lostInCreate, "update": lostInUpdate, "cancel": lostInCancel,
		} {
			t.Run(op+", "+name, func(t *testing.T) {
				t.Parallel()
				h := open(t)
				check(t, h, h.Losses[name])
			})
		}
	}
}

func lostInCreate(t *testing.T, h Harness, lose func()) {
	req := request("appt-1")
	lose()
	var made *meet.Meeting
	client := h.Provider
	again(t, "Create", func() (err error) {
		made, err = client.Create(t.Context(), h.DoctorID, req)
		client = h.second() // the job is taken up by another process
		return err
	})
	if made == nil {
		return
	}
	for _, p := range []meet.MeetingProvider{h.Provider, h.second()} {
		var found *meet.Meeting
		again(t, "Create", func() (err error) { found, err = p.Create(t.Context(), h.DoctorID, req); return err })
		if found != nil && (found.ID != made.ID || found.JoinURL != made.JoinURL) {
			t.Error("after a lost reply there is another meeting")
		}
	}
	h.wantLive(t, 1)
}

func lostInUpdate(t *testing.T, h Harness, lose func()) {
	req := request("appt-1")
	created := mustCreate(t, h, req)
	req.Start, req.Topic = req.Start.Add(3*time.Hour), "Follow-up"
	lose()
	again(t, "Update", func() error {
		_, err := h.Provider.Update(t.Context(), h.DoctorID, created.ID, req)
		return err
	})
	var got *meet.Meeting
	again(t, "Get", func() (err error) { got, err = h.Provider.Get(t.Context(), h.DoctorID, created.ID); return err })
	if got != nil && (!got.Start.Equal(req.Start) || got.Topic != req.Topic || got.JoinURL != created.JoinURL) {
		t.Errorf("after a lost reply the meeting is at %v, want %v; link stays: %v", got.Start, req.Start, got.JoinURL == created.JoinURL)
	}
	h.wantLive(t, 1)
}

func lostInCancel(t *testing.T, h Harness, lose func()) {
	req := request("appt-1")
	created := mustCreate(t, h, req)
	lose()
	again(t, "Cancel", func() error { return h.Provider.Cancel(t.Context(), h.DoctorID, created.ID) })
	h.wantLive(t, 0)
	again(t, "Create after Cancel", func() error {
		_, err := h.second().Create(t.Context(), h.DoctorID, req)
		if errors.Is(err, telemed.ErrConflict) {
			return nil
		}
		if err == nil {
			t.Error("Create after a Cancel whose reply was lost brings the visit back")
		}
		return err
	})
	h.wantLive(t, 0)
}

// cutShort ends the context of calls in the middle, at many a point. What they leave is
// found by the next.
func cutShort(t *testing.T, h Harness) {
	req := request("appt-1")
	for i := range 12 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i*i)*100*time.Microsecond)
		_, err := h.Provider.Create(ctx, h.DoctorID, req)
		cancel()
		if err != nil && errors.Is(err, telemed.ErrConflict) {
			t.Errorf("a Create that was cut short is in the way of the next: %v", err)
		}
	}
	var made *meet.Meeting
	again(t, "Create", func() (err error) { made, err = h.second().Create(t.Context(), h.DoctorID, req); return err })
	h.wantLive(t, 1)
	if made == nil {
		return
	}
	for i := range 6 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i*i)*100*time.Microsecond)
		_ = h.Provider.Cancel(ctx, h.DoctorID, made.ID) // perhaps
		cancel()
	}
	again(t, "Cancel", func() error { return h.Provider.Cancel(t.Context(), h.DoctorID, made.ID) })
	_, err := h.second().Create(t.Context(), h.DoctorID, req)
	wantError(t, "Create after Cancel", err, telemed.ErrConflict)
	h.wantLive(t, 0)
}

// cancelDuringCreates cancels a meeting while a queue goes on repeating its Create.
func cancelDuringCreates(t *testing.T, h Harness) {
	req := request("appt-1")
	created := mustCreate(t, h, req)
	var wg sync.WaitGroup
	for i := range 4 {
		client := []meet.MeetingProvider{h.Provider, h.second()}[i%2]
		wg.Go(func() {
			for range 5 {
				m, err := client.Create(t.Context(), h.DoctorID, req)
				switch {
				case err != nil:
					wantError(t, "Create while it is cancelled", err, telemed.ErrConflict)
				case m.ID != created.ID:
					t.Error("a Create made another meeting while the first was cancelled")
				}
			}
		})
	}
	if err := h.second().Cancel(t.Context(), h.DoctorID, created.ID); err != nil {
		t.Errorf("Cancel: %v", err)
	}
	wg.Wait()
	_, err := h.Provider.Create(t.Context(), h.DoctorID, req)
	wantError(t, "Create after Cancel", err, telemed.ErrConflict)
	h.wantLive(t, 0)
}

// otherAccount connects the doctor to another account: what is in the first one is
// neither found nor gone.
func otherAccount(t *testing.T, h Harness) {
	if h.Reconnect == nil {
		t.Skip("this provider's doctors have one account: Harness.Reconnect is nil")
	}
	req := request("appt-1")
	created := mustCreate(t, h, req)
	got, err := h.Provider.Get(t.Context(), h.DoctorID, created.ID)
	if err != nil || created.Account == "" || got.Account != created.Account {
		t.Errorf("the meeting does not say which account it is in: %v", err)
	}
	h.Reconnect(t)
	for _, p := range []meet.MeetingProvider{h.Provider, h.second()} {
		for op, err := range everyMethod(t.Context(), p, h.DoctorID, created.ID) {
			if op != "Create" { // that one is of another key
				wantError(t, op+" in another account", err, meet.ErrOtherAccount)
			}
		}
		_, err := p.Create(t.Context(), h.DoctorID, req)
		wantError(t, "Create in another account", err, meet.ErrOtherAccount)
	}
}

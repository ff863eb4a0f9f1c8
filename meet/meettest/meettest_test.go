package meettest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/leaktest"
	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/meet/meettest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func TestProvider(t *testing.T) {
	t.Parallel()
	meettest.Run(t, func(*testing.T) meettest.Harness {
		provider := meettest.New()
		provider.Connect("dr-rao")
		return meettest.Harness{Provider: provider, DoctorID: "dr-rao", Stranger: "dr-who"}
	})
}

func TestFailNext(t *testing.T) {
	t.Parallel()
	provider := meettest.New()
	provider.FailNext("", telemed.ErrRateLimited, telemed.ErrAmbiguous)
	req := meet.Request{Key: "appt-1", Start: time.Now().Add(time.Hour), Duration: time.Hour}
	_, err := provider.Create(t.Context(), "dr-rao", req)
	require.ErrorIs(t, err, telemed.ErrRateLimited)
	require.ErrorIs(t, provider.Cancel(t.Context(), "dr-rao", "x"), telemed.ErrAmbiguous)
	_, err = provider.Create(t.Context(), "dr-rao", req)
	require.NoError(t, err)
	require.Len(t, provider.Meetings(), 1)
}

func TestFailAfter(t *testing.T) {
	t.Parallel()
	provider := meettest.New()
	provider.FailAfter(meettest.OpCreate, telemed.ErrAmbiguous)
	provider.FailAfter(meettest.OpCancel, telemed.ErrUnavailable)
	cancelled := make(chan error, 1)
	go func() {
		_, err := provider.WaitFor(t.Context(), func(m meet.Meeting) bool { return m.Status == meet.StatusCancelled })
		cancelled <- err
	}()
	req := meet.Request{Key: "appt-1", Start: time.Now().Add(time.Hour), Duration: time.Hour}
	_, err := provider.Create(t.Context(), "dr-rao", req)
	require.EqualError(t, err, "meettest: Create: outcome unknown")
	m, err := provider.WaitFor(t.Context(), func(m meet.Meeting) bool { return true })
	require.NoError(t, err, "it was made")
	require.ErrorIs(t, provider.Cancel(t.Context(), "dr-rao", m.ID), telemed.ErrUnavailable)
	require.NoError(t, <-cancelled)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = provider.WaitFor(ended, func(meet.Meeting) bool { return false })
	require.ErrorIs(t, err, context.Canceled)
}

func TestMeetingIsFoundAfterItsStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		provider := meettest.New()
		req := meet.Request{Key: "appt-1", Start: time.Now(), Duration: time.Hour}
		m, err := provider.Create(t.Context(), "dr-rao", req)
		require.NoError(t, err)
		time.Sleep(10 * time.Minute)
		again, err := provider.Create(t.Context(), "dr-rao", req)
		require.NoError(t, err)
		require.Equal(t, m.JoinURL, again.JoinURL)
	})
}

func TestHostLinkIsHidden(t *testing.T) {
	t.Parallel()
	provider := meettest.New()
	m, err := provider.Create(t.Context(), "dr-rao", meet.Request{
		Key: "appt-1", Start: time.Now().Add(time.Hour), Duration: time.Hour, Attendees: []meet.Attendee{{Email: "asha@example.org"}},
	})
	require.NoError(t, err)
	link, err := provider.HostLink(t.Context(), "dr-rao", m.ID)
	require.NoError(t, err)
	require.NotContains(t, fmt.Sprintf("%+v", link), "meet.invalid")
	require.Contains(t, link.Reveal(), "host=1")
	require.Equal(t, "asha@example.org", provider.Attendees(m.ID)[0].Email)
	require.Nil(t, provider.Attendees("other"))
}

func Example() {
	provider := meettest.New()
	provider.FailNext(meettest.OpCreate, telemed.ErrUnavailable)

	req := meet.Request{Key: "appt-42", Start: time.Now().Add(time.Hour), Duration: 30 * time.Minute}
	_, err := provider.Create(context.Background(), "dr-rao", req)
	fmt.Println(errors.Is(err, telemed.ErrUnavailable))

	m, err := provider.Create(context.Background(), "dr-rao", req)
	fmt.Println(m.ID, m.JoinURL, err)
	// Output:
	// true
	// meeting-1 https://meet.invalid/meeting-1 <nil>
}

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

// harness is of a provider in memory, or of one with a fault over it.
func harness(inner *meettest.Provider, outer meet.MeetingProvider) meettest.Harness {
	inner.Connect("dr-rao")
	losses := map[string]func(){}
	for _, op := range []string{meettest.OpCreate, meettest.OpGet, meettest.OpUpdate, meettest.OpCancel} {
		losses["request of "+op] = func() { inner.FailNext(op, telemed.ErrAmbiguous) }
		losses["answer of "+op] = func() { inner.FailAfter(op, telemed.ErrAmbiguous) }
	}
	return meettest.Harness{
		Provider: outer, Second: outer, DoctorID: "dr-rao", Stranger: "dr-who", Losses: losses,
		Live: func() int {
			live := 0
			for _, m := range inner.Meetings() {
				if m.Status != meet.StatusCancelled {
					live++
				}
			}
			return live
		},
		Reconnect: func(*testing.T) { inner.ConnectAccount("dr-rao", "account-2") },
	}
}

func TestProvider(t *testing.T) {
	t.Parallel()
	meettest.Run(t, func(*testing.T) meettest.Harness {
		provider := meettest.New()
		return harness(provider, provider)
	})
}

// A provider that has one process, one account and no faults is checked too.
func TestProviderWithoutExtras(t *testing.T) {
	t.Parallel()
	meettest.Run(t, func(*testing.T) meettest.Harness {
		return meettest.Harness{Provider: meettest.New(), DoctorID: "dr-rao"}
	})
}

func TestConnectAccount(t *testing.T) {
	t.Parallel()
	provider := meettest.New()
	m, err := provider.Create(t.Context(), "dr-rao", meet.Request{Key: "appt-1", Start: time.Now().Add(time.Hour), Duration: time.Hour})
	require.NoError(t, err)
	require.Equal(t, "account-1", m.Account)
	provider.ConnectAccount("dr-rao", "account-2")
	require.ErrorIs(t, provider.Cancel(t.Context(), "dr-rao", m.ID), meet.ErrOtherAccount)
	_, err = provider.HostLink(t.Context(), "dr-rao", m.ID)
	require.ErrorIs(t, err, telemed.ErrConflict)
	provider.ConnectAccount("dr-rao", "account-1")
	require.NoError(t, provider.Cancel(t.Context(), "dr-rao", m.ID))
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

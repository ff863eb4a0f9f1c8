package notifytest_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/notifytest"
)

func note(key string) notify.Message {
	return notify.Message{
		Key: key, To: notify.Recipient{Phone: "+919876543210"},
		Content: &notify.Content{WhatsApp: &notify.WhatsAppTemplate{Name: "appointment_reminder", Language: "en"}},
	}
}

func TestRecorderReports(t *testing.T) {
	t.Parallel()
	var got []notify.Report
	down := errors.New("down")
	var fail error
	recorder := &notifytest.Recorder{Channel: notify.WhatsApp, Reports: func(_ context.Context, r notify.Report) error {
		got = append(got, r)
		return fail
	}}
	_, err := recorder.Notify(t.Context(), note("appt-42/reminder"))
	require.NoError(t, err)

	require.NoError(t, recorder.Report(t.Context(), "appt-42/reminder", notify.ReportDelivered, nil))
	require.NoError(t, recorder.Report(t.Context(), "appt-42/reminder", notify.ReportFailed, notify.ErrRecipient))
	require.NoError(t, recorder.Stop(t.Context(), "+919876543210"))
	require.Error(t, recorder.Report(t.Context(), "appt-43/reminder", notify.ReportRead, nil), "there is no such message")
	require.Len(t, got, 3)
	for i := range got {
		require.WithinDuration(t, time.Now(), got[i].At, time.Minute)
		got[i].At = time.Time{}
	}
	ref := notify.Reference("appt-42/reminder")
	require.Equal(t, []notify.Report{
		{Channel: notify.WhatsApp, Reference: ref, State: notify.ReportDelivered},
		{Channel: notify.WhatsApp, Reference: ref, State: notify.ReportFailed, Err: notify.ErrRecipient},
		{Channel: notify.WhatsApp, State: notify.ReportStopped, Address: "+919876543210"},
	}, got)

	fail = down
	require.ErrorIs(t, recorder.Report(t.Context(), "appt-42/reminder", notify.ReportRead, nil), down)
	require.ErrorIs(t, recorder.Stop(t.Context(), "x"), down)
	recorder = &notifytest.Recorder{}
	require.Error(t, recorder.Stop(t.Context(), "x"))
	require.Error(t, recorder.Report(t.Context(), "k", notify.ReportRead, nil))
}

func TestRecorderAsEvidence(t *testing.T) {
	t.Parallel()
	recorder := &notifytest.Recorder{Channel: notify.WhatsApp}
	recorder.FailAfter(notifytest.OpNotify, telemed.ErrAmbiguous)
	_, err := recorder.Notify(t.Context(), note("appt-42/reminder"))
	require.ErrorIs(t, err, telemed.ErrAmbiguous)
	recorder.FailNext(notifytest.OpNotify, telemed.ErrAmbiguous)
	_, err = recorder.Notify(t.Context(), note("appt-43/reminder"))
	require.ErrorIs(t, err, telemed.ErrAmbiguous)

	for key, want := range map[string]notify.Outcome{"appt-42/reminder": notify.OutcomeArrived, "appt-43/reminder": notify.OutcomeNotArrived} {
		got, err := recorder.Outcome(t.Context(), notify.Reference(key), time.Now())
		require.NoError(t, err)
		require.Equal(t, want, got, key)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	got, err := recorder.Outcome(ctx, notify.Reference("appt-42/reminder"), time.Now())
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, notify.OutcomeUnknown, got)
}

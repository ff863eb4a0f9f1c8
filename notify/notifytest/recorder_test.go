package notifytest_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/leaktest"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/notifytest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func TestRecorderConforms(t *testing.T) {
	t.Parallel()
	notifytest.Run(t, func(*testing.T) notifytest.Harness {
		told := &notifytest.Recorder{}
		return notifytest.Harness{
			Notifier: told,
			Channel:  notify.Email,
			Content:  &notify.Content{Subject: "Confirmed", Text: "See you soon."},
			Accepted: func() int { return len(told.Messages()) },
			Fail: func(kind error) bool {
				if kind == telemed.ErrAmbiguous {
					told.FailAfter(notifytest.OpNotify, kind)
				} else {
					told.FailNext(notifytest.OpNotify, kind)
				}
				return true
			},
		}
	})
}

type renderer func(notify.Message) (*notify.Content, error)

func (f renderer) Render(msg notify.Message) (*notify.Content, error) { return f(msg) }

func message(key string) notify.Message {
	return notify.Message{Key: key, To: notify.Recipient{Email: "asha@example.org"}, Template: "appointment_confirmed"}
}

func TestRecorder(t *testing.T) {
	t.Parallel()

	t.Run("renders when it can", func(t *testing.T) {
		t.Parallel()
		told := &notifytest.Recorder{Renderer: renderer(func(msg notify.Message) (*notify.Content, error) {
			return &notify.Content{Subject: msg.Template, Text: "words"}, nil
		})}
		_, err := told.Notify(t.Context(), message("a"))
		require.NoError(t, err)
		require.Equal(t, "appointment_confirmed", told.Messages()[0].Content.Subject)
	})

	t.Run("gives the renderer's error", func(t *testing.T) {
		t.Parallel()
		broken := errors.New("no such template")
		told := &notifytest.Recorder{Renderer: renderer(func(notify.Message) (*notify.Content, error) { return nil, broken })}
		_, err := told.Notify(t.Context(), message("a"))
		require.ErrorIs(t, err, broken)
		require.Empty(t, told.Messages())
	})

	t.Run("fails as often as told", func(t *testing.T) {
		t.Parallel()
		told := &notifytest.Recorder{}
		told.FailNext("", telemed.ErrRateLimited, nil)
		told.FailNext(notifytest.OpNotify, telemed.ErrUnavailable)
		_, err := told.Notify(t.Context(), message("a"))
		require.ErrorIs(t, err, telemed.ErrRateLimited)
		_, err = told.Notify(t.Context(), message("b"))
		require.NoError(t, err)
		_, err = told.Notify(t.Context(), message("c"))
		require.ErrorIs(t, err, telemed.ErrUnavailable)
		_, err = told.Notify(t.Context(), message("d"))
		require.NoError(t, err)
		require.Len(t, told.Messages(), 2)
	})

	t.Run("keeps what fails after", func(t *testing.T) {
		t.Parallel()
		told := &notifytest.Recorder{}
		told.FailAfter(notifytest.OpNotify, telemed.ErrAmbiguous)
		_, err := told.Notify(t.Context(), message("a"))
		require.ErrorIs(t, err, telemed.ErrAmbiguous)
		require.Len(t, told.Messages(), 1)
	})
}

func TestRecorderWaitFor(t *testing.T) {
	t.Parallel()
	told := &notifytest.Recorder{}
	go func() {
		for _, key := range []string{"first", "second"} {
			_, _ = told.Notify(context.Background(), message(key))
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	msg, err := told.WaitFor(ctx, func(m notify.Message) bool { return m.Key == "second" })
	require.NoError(t, err)
	require.Equal(t, "second", msg.Key)

	cancel()
	_, err = told.WaitFor(ctx, func(m notify.Message) bool { return m.Key == "third" })
	require.ErrorIs(t, err, context.Canceled)
}

package fault_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/internal/fault"
)

func TestLogPanic(t *testing.T) {
	t.Parallel()
	recovered := func(f func()) (text string) {
		var log strings.Builder
		defer func() {
			fault.LogPanic(slog.New(slog.NewTextHandler(&log, nil)), "ended", recover())
			text = log.String()
		}()
		f()
		return ""
	}
	for _, cause := range []any{"asha", errors.New("asha"), []string{"asha"}} {
		text := recovered(func() { panic(cause) })
		require.NotContains(t, text, "asha")
		require.Contains(t, text, "msg=ended")
		require.Contains(t, text, "panic_test.go", "where it came from")
	}
	var none []int
	require.Contains(t, recovered(func() { none[7]++ }), "index out of range")
}

type brokenLog struct{ slog.Handler }

func (brokenLog) Enabled(context.Context, slog.Level) bool  { return true }
func (brokenLog) Handle(context.Context, slog.Record) error { panic("no space left") }

// A log that is broken must not end the program.
func TestLogPanicWithABrokenLog(t *testing.T) {
	t.Parallel()
	require.NotPanics(t, func() { fault.LogPanic(slog.New(brokenLog{}), "ended", "cause") })
}

package redact_test

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/internal/redact"
)

type patient struct{ name, locale string }

func (p patient) LogValue() slog.Value {
	return slog.GroupValue(slog.String("locale", p.locale), slog.Any("visit", visit{}))
}
func (p patient) Format(f fmt.State, _ rune) { redact.Format(f, p) }

type visit struct{}

func (visit) LogValue() slog.Value { return slog.StringValue("tomorrow") }

func TestFormat(t *testing.T) {
	t.Parallel()
	asha := patient{"canary", "hi"}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%20v"} {
		require.Equal(t, "{locale:hi visit:tomorrow}", fmt.Sprintf(verb, asha), verb)
		require.Equal(t, "{locale:hi visit:tomorrow}", fmt.Sprintf(verb, &asha), verb)
	}
	require.Equal(t, "[{locale:hi visit:tomorrow}]", fmt.Sprint([]patient{asha}))
	require.Equal(t, "{{locale:hi visit:tomorrow}}", fmt.Sprint(struct{ P patient }{asha}))
	require.Equal(t, "<nil>", fmt.Sprint((*patient)(nil)))
}

type dated struct{}

func (dated) LogValue() slog.Value {
	return slog.GroupValue(slog.Time("at", time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)), slog.Duration("for", time.Minute), slog.Bool("paid", true))
}
func (d dated) Format(f fmt.State, _ rune) { redact.Format(f, d) }

func TestKinds(t *testing.T) {
	t.Parallel()
	require.Equal(t, "{at:2026-11-28T09:00:00Z for:1m0s paid:true}", fmt.Sprint(dated{}))
}

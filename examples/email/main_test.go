package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func TestRun(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	require.NoError(t, run(t.Context(), &out, func(string) string { return "" }))
	for _, want := range []string{`to:       "Asha Rao" <asha@example.org>`, "subject:  ", "Dr Mehta", "10:30", "https://meet.example/abc-defg-hij", "attached: "} {
		require.Contains(t, out.String(), want)
	}
	t.Log(out.String())
}

func TestRunWithRealServer(t *testing.T) {
	t.Parallel()
	env := map[string]string{"EMAIL_HOST": "127.0.0.1", "EMAIL_PORT": "1", "EMAIL_USER": "care@clinic.example", "EMAIL_PASS": "letmein", "EMAIL_FROM": "care@clinic.example"}
	var out strings.Builder
	err := run(t.Context(), &out, func(name string) string { return env[name] })
	require.ErrorContains(t, err, "smtp: connect")
	require.NotContains(t, err.Error(), "letmein")

	delete(env, "EMAIL_FROM")
	require.ErrorContains(t, run(t.Context(), &out, func(name string) string { return env[name] }), "From is required: set EMAIL_FROM")
}

package main

import (
	"bytes"
	"context"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func TestRun(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out, func(string) string { return "" }))
	require.Regexp(t, regexp.MustCompile(`^the doctor's account is connected
created: Video consultation, scheduled
join at: http://127\.0\.0\.1:\d+/meet/[a-z]{3}-[a-z]{4}-[a-z]{3}
moved by 2 hours: true
cancelled
$`), out.String())
}

func TestRealAccountWaitsForTheBrowser(t *testing.T) {
	t.Parallel()
	env := map[string]string{
		"GOOGLE_CLIENT_ID": "id", "GOOGLE_CLIENT_SECRET": "secret", "GOOGLE_REDIRECT_URI": "http://127.0.0.1:0/callback",
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // whoever is waited for does not come
	var out bytes.Buffer
	require.ErrorIs(t, run(ctx, &out, func(name string) string { return env[name] }), context.Canceled)
	require.Regexp(t, `^open in a browser: http://127\.0\.0\.1:\d+/connect\n$`, out.String())
}

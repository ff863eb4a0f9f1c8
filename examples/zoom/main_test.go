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
join at: http://127\.0\.0\.1:\d+/j/\d+\?pwd=\w+
moved by 2 hours: true
cancelled
$`), out.String())
}

func TestRealAccountWaitsForTheBrowser(t *testing.T) {
	t.Parallel()
	env := map[string]string{
		"ZOOM_CLIENT_ID": "id", "ZOOM_CLIENT_SECRET": "secret", "ZOOM_REDIRECT_URI": "http://127.0.0.1:0/callback",
	}
	getenv := func(name string) string { return env[name] }
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // whoever is waited for does not come
	var out bytes.Buffer
	require.ErrorIs(t, run(ctx, &out, getenv), context.Canceled)
	require.Regexp(t, `^open in a browser: http://127\.0\.0\.1:\d+/connect\n$`, out.String())

	for _, address := range []string{":", "https://clinic.example/callback", "http://localhost:3000", "http://localhost:3000/done"} {
		env["ZOOM_REDIRECT_URI"] = address
		require.ErrorContains(t, run(t.Context(), &out, getenv), "ZOOM_REDIRECT_URI: must be like", address)
	}
	env["ZOOM_REDIRECT_URI"] = "http://127.0.0.1:99999/callback"
	require.ErrorContains(t, run(t.Context(), &out, getenv), "ZOOM_REDIRECT_URI: listen")
}

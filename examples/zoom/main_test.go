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
	out := &cancelling{cancel: cancel}
	require.ErrorIs(t, run(ctx, out, getenv), context.Canceled)
	require.Regexp(t, `^open in a browser: http://127\.0\.0\.1:\d+/connect\n$`, out.String())

	env["ZOOM_REDIRECT_URI"] = "https://clinic.example/callback"
	require.ErrorContains(t, run(t.Context(), out, getenv), "ZOOM_REDIRECT_URI")
}

// cancelling ends the wait once there is something to read.
type cancelling struct {
	bytes.Buffer
	cancel context.CancelFunc
}

func (c *cancelling) Write(data []byte) (int, error) {
	defer c.cancel()
	return c.Buffer.Write(data)
}

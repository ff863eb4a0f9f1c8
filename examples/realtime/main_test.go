package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func TestRun(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var out strings.Builder
	require.NoError(t, run(ctx, &out))
	lines := strings.Split(out.String(), "\n")
	require.Regexp(t, `^listening on http://127\.0\.0\.1:\d+$`, lines[0])
	require.Equal(t, []string{
		`join-clinic mumbai: {"ok":true}`,
		`join-clinic delhi: {"ok":false,"error":"not permitted"}`,
		`the dashboard hears new-appointment: {"patientName":"Asha","time":"10:30"}`,
		"",
	}, lines[1:])
}

func TestEnds(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, run(ctx, &strings.Builder{}), context.Canceled)
}

package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func TestRun(t *testing.T) {
	var out strings.Builder
	require.NoError(t, run(t.Context(), &out))
	for _, line := range []string{
		"with token [redacted] <nil>",
		"16 callers in 2 processes: 1 refresh, 0 tokens spent twice, <nil>",
		"keys rotated: 1 sealed again, <nil>; new key: <nil>, old key: ",
		"disconnected: revoked at Zoom true, <nil>; in the database: ",
	} {
		require.Contains(t, out.String(), line)
	}
}

package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/examples/internal/local"
	"github.com/telemed-go/telemed/internal/leaktest"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/zoom/zoomtest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func TestRun(t *testing.T) {
	var out strings.Builder
	require.NoError(t, run(t.Context(), &out))
	for _, line := range []string{
		"with token [redacted]\n",
		"16 callers in 2 processes: 1 refresh, 0 tokens spent twice\n",
		"keys rotated: 1 sealed again, the new key reads it, the old key does not: true\n",
		"disconnected: revoked at Zoom: true, gone from the database: true\n",
	} {
		require.Contains(t, out.String(), line)
	}
}

// An example that fails says so to the shell.
func TestRunFails(t *testing.T) {
	fake := zoomtest.NewServer(t)
	providers := &local.Providers{Zoom: fake}
	fake.FailNext(zoomtest.Fault{Op: zoomtest.OpToken, Status: 400, Body: `{"error":"invalid_grant","reason":"Invalid authorization code"}`})
	var out strings.Builder
	require.Error(t, live(t.Context(), &out, providers, inMemory()))

	fake.FailNext(zoomtest.Fault{Op: zoomtest.OpToken}, zoomtest.Fault{Op: zoomtest.OpToken, Status: 400, Body: `{"error":"invalid_client"}`})
	require.Error(t, live(t.Context(), &out, providers, inMemory()), "the refresh fails")
}

// inMemory opens stores over one memory.
func inMemory() opener {
	memory := store.NewMemory()
	return func(keys ...telemed.Secret) (store.TokenStore, error) {
		ring, err := store.NewKeyring(keys...)
		return store.SealedStrict(memory, ring), err
	}
}

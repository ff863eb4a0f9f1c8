package leaktest

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { Main(m) }

func TestFindsALeak(t *testing.T) {
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() { defer close(done); leakingHere(stop) }()
	t.Cleanup(func() { close(stop); <-done })

	leaked := wait(50 * time.Millisecond)
	require.Len(t, leaked, 1)
	require.Contains(t, leaked[0], "leakingHere")

	var out strings.Builder
	report(&out, leaked)
	require.Contains(t, out.String(), "1 goroutines are left behind")
}

func leakingHere(stop chan struct{}) { <-stop }

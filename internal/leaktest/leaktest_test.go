package leaktest

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { Main(m) }

// Eight tests wait for each other: with fewer at once they would never end.
func TestParallel(t *testing.T) {
	if slices.ContainsFunc(os.Args, func(arg string) bool { return strings.HasPrefix(arg, "-test.parallel") }) {
		t.Skip("-parallel was given")
	}
	var here sync.WaitGroup
	here.Add(parallel)
	for i := range parallel {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			t.Parallel()
			here.Done()
			here.Wait()
		})
	}
}

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

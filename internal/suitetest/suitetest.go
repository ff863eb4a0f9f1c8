// Package suitetest proves that a published conformance suite finds what is broken: it
// runs the suite over a broken implementation in a process of its own, where it may fail.
package suitetest

import (
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/telemed-go/telemed/internal/racetest"
)

// brokenEnv names the broken implementation that the child runs the suite over.
const brokenEnv = "SUITETEST_BROKEN"

// Broken returns which implementation a child is to run the suite over. Call it first in
// TestBroken; elsewhere than in a child it skips the test.
func Broken(t *testing.T) string {
	t.Helper()
	name := os.Getenv(brokenEnv)
	if name == "" {
		t.Skip("runs only as a child of the test that looks for what is broken")
	}
	return name
}

// Finds runs TestBroken of the test's own package over each broken implementation, and
// fails if the named clause of the suite, a subtest, does not. clauses has the clause for
// each name. With the race detector it runs over one in eight of them: what a suite finds
// is the same.
func Finds(t *testing.T, clauses map[string]string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range racetest.Sample(slices.Sorted(maps.Keys(clauses))) {
		clause := clauses[name]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clause := strings.ReplaceAll(clause, " ", "_")
			child := exec.CommandContext(t.Context(), self, "-test.run=^TestBroken$/^"+clause+"$", "-test.failfast", "-test.timeout=60s")
			child.Env = append(os.Environ(), brokenEnv+"="+name)
			out, err := child.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "--- FAIL: TestBroken/"+clause) {
				t.Errorf("%q does not fail: %v\n%s", clause, err, out)
			}
		})
	}
}

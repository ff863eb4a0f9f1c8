// Package leaktest fails a package's tests if they leave goroutines behind.
package leaktest

import (
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"
)

// parallel is how many parallel tests of a package run at once, unless -parallel is
// given. Most of them wait for a network, and on a machine with two cores they would wait
// one after the other.
const parallel = 8

// Main runs the tests and exits; use it as the body of TestMain. A goroutine
// that is still there some seconds after the last test is printed and fails the run.
func Main(m *testing.M) {
	crowd()
	collectSeldom()
	code := m.Run()
	if code == 0 {
		if leaked := wait(5 * time.Second); len(leaked) > 0 {
			report(os.Stderr, leaked)
			code = 1
		}
	}
	os.Exit(code)
}

// crowd lets more parallel tests run at once, unless somebody has said how many. Fuzzing has a
// worker for each, and they compute.
func crowd() {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if fuzzing := flag.Lookup("test.fuzz").Value.String() != ""; !given && !fuzzing {
		_ = flag.Set("test.parallel", strconv.Itoa(max(parallel, runtime.GOMAXPROCS(0))))
	}
}

// collectSeldom lets the heap grow to five times what is in use before it is collected,
// unless GOGC says how far. Tests make much that is short-lived and keep little: they take
// a sixth less time.
func collectSeldom() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
}

func report(w io.Writer, leaked []string) {
	fmt.Fprintf(w, "leaktest: %d goroutines are left behind\n\n%s\n", len(leaked), strings.Join(leaked, "\n\n"))
}

// wait polls because a goroutine that was told to end needs a moment to do so.
func wait(limit time.Duration) []string {
	for end := time.Now().Add(limit); ; time.Sleep(10 * time.Millisecond) {
		closeIdle()
		leaked := strangers()
		if len(leaked) == 0 || time.Now().After(end) {
			return leaked
		}
	}
}

// closeIdle ends the keep-alive goroutines of the shared transport, which no test owns.
func closeIdle() {
	if transport, ok := http.DefaultTransport.(*http.Transport); ok {
		transport.CloseIdleConnections()
	}
}

// strangers returns the stacks of the goroutines that neither the runtime nor the test
// runner owns.
func strangers() []string {
	buffer := make([]byte, 1<<20)
	buffer = buffer[:runtime.Stack(buffer, true)]
	var found []string
	for i, stack := range strings.Split(string(buffer), "\n\n") {
		if i > 0 && !owned(stack) { // the first one is this goroutine
			found = append(found, stack)
		}
	}
	return found
}

func owned(stack string) bool {
	for _, mark := range []string{
		"testing.(*M).", "testing.(*T).Run", "testing.runTests", "testing.tRunner.func", "testing.runFuzz", "testing.(*F)",
		"os/signal.signal_recv", "os/signal.loop", "runtime.ensureSigM", "runtime/trace.", "runtime/pprof.",
		"go.opencensus.io/stats/view.(*worker).start",
	} {
		if strings.Contains(stack, mark) {
			return true
		}
	}
	return false
}

package main

import (
	"bufio"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// sandbox runs one with arguments on free ports, and returns what it printed.
func sandbox(t *testing.T, environ []string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, problems strings.Builder
	p := process{args: append([]string{"-listen", "127.0.0.1:0"}, args...), environ: environ, stdout: &out, stderr: &problems}
	status = run(t.Context(), p)
	return status, out.String(), problems.String()
}

func TestExitStatus(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]int{"true": 0, "exit 7": 7, "kill -9 $$": 137, "kill -TERM $$": 143} {
		status, _, _ := sandbox(t, os.Environ(), "sh", "-c", script)
		require.Equal(t, want, status, script)
	}
	status, _, stderr := sandbox(t, os.Environ(), "/no/such/command")
	require.Equal(t, exitNoStart, status)
	require.Contains(t, stderr, "sandbox: fork/exec /no/such/command: no such file")
	status, _, stderr = sandbox(t, nil, "-nonsense")
	require.Equal(t, exitUsage, status)
	require.Contains(t, stderr, "-listen")
	status, _, stderr = sandbox(t, nil, "-help")
	require.Zero(t, status)
	require.Contains(t, stderr, "-api")
}

func TestBadFlags(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		`-listen: "x" is no port`:           {"-listen", "127.0.0.1:x"},
		`-listen: "65531" is no port`:       {"-listen", "127.0.0.1:65531"},
		"-listen: address 1: missing port":  {"-listen", "1"},
		`-api: "127.0.0.1:3001" is no http`: {"-api", "127.0.0.1:3001"},
	} {
		status, _, stderr := sandbox(t, nil, args...)
		require.Equal(t, exitFailed, status)
		require.Contains(t, stderr, "sandbox: "+want)
	}
}

func TestLines(t *testing.T) {
	t.Parallel()
	status, stdout, stderr := sandbox(t, append(os.Environ(), "WEBHOOK_BASE=http://127.0.0.1:9/hooks/"), "sh", "-c", "echo $RAZORPAY_BASE_URL")
	require.Zero(t, status)
	for _, line := range []string{"pages    http://127.0.0.1:", "Google   http", "Zoom     http", "mail     smtp://127", "WhatsApp http"} {
		require.Contains(t, stderr, "sandbox: "+line)
	}
	require.Contains(t, stderr, "sandbox: Razorpay "+strings.TrimSpace(stdout))
	require.Contains(t, stderr, "webhooks to http://127.0.0.1:9/hooks/payments/webhook")
}

// TestPortTaken: whichever port is taken, the sandbox says so, and leaves nothing behind. It
// runs alone: a command that another test starts holds our sockets until it is executed.
func TestPortTaken(t *testing.T) {
	for place, name := range []string{"pages", "Google", "Zoom", "Razorpay", "mail", "WhatsApp"} {
		base := freePorts(t)
		other, err := net.Listen("tcp", address(base+place))
		require.NoError(t, err)
		status, _, stderr := sandbox(t, os.Environ(), "-listen", address(base), "true")
		require.NoError(t, other.Close())
		require.Equal(t, exitFailed, status)
		require.Regexp(t, regexp.MustCompile(`^sandbox: `+name+`: .*`+address(base+place)+`.*in use; end the other sandbox, or choose`), stderr)
		status, _, stderr = sandbox(t, os.Environ(), "-listen", address(base), "true")
		require.Zero(t, status, stderr)
	}
}

// started is a sandbox that runs until it gets a signal.
type started struct {
	signals chan os.Signal
	ended   chan int
	lines   *bufio.Scanner
}

func startSandbox(t *testing.T, stderr io.Writer, args ...string) started {
	t.Helper()
	s := started{signals: make(chan os.Signal, 1), ended: make(chan int, 1)}
	out, write := io.Pipe()
	s.lines = bufio.NewScanner(out)
	go func() {
		status := run(t.Context(), process{args: args, environ: os.Environ(), stdout: write, stderr: stderr, signals: s.signals})
		_ = write.Close()
		s.ended <- status
	}()
	return s
}

func TestSignalsReachTheCommand(t *testing.T) {
	t.Parallel()
	script := `trap "echo asked; exit 9" TERM; echo ready; while :; do sleep 0.05; done`
	s := startSandbox(t, io.Discard, "-listen", "127.0.0.1:0", "sh", "-c", script)
	require.True(t, s.lines.Scan())
	require.Equal(t, "ready", s.lines.Text())
	s.signals <- syscall.SIGTERM
	require.True(t, s.lines.Scan())
	require.Equal(t, "asked", s.lines.Text())
	require.False(t, s.lines.Scan())
	require.Equal(t, 9, <-s.ended)
}

// TestChildrenEnd: go run, for one, leaves its program behind when a signal ends it.
func TestChildrenEnd(t *testing.T) {
	t.Parallel()
	if terminal, err := os.Open("/dev/tty"); err == nil {
		require.NoError(t, terminal.Close())
		t.Skip("at a terminal the command shares a process group with its surroundings")
	}
	folder := t.TempDir()
	script := `(trap "touch ` + folder + `/ended; exit" TERM; touch ` + folder + `/up; while :; do sleep 0.05; done) >/dev/null 2>&1 &
		while ! [ -e ` + folder + `/up ]; do sleep 0.05; done`
	status, _, _ := sandbox(t, os.Environ(), "sh", "-c", script)
	require.Zero(t, status)
	require.Eventually(t, func() bool {
		_, err := os.Stat(folder + "/ended")
		return err == nil
	}, 20*time.Second, 20*time.Millisecond)
}

// freePorts returns the first of six ports in a row that are free. They are below those that
// systems give to outgoing connections, one of which might take them meanwhile.
func freePorts(t *testing.T) int {
	t.Helper()
	for range 100 {
		if base := 10000 + rand.IntN(20000); allFree(base) {
			return base
		}
	}
	t.Fatal("there are no six ports in a row")
	return 0
}

func allFree(base int) bool {
	for i := range 6 {
		probe, err := net.Listen("tcp", address(base+i))
		if err != nil {
			return false
		}
		_ = probe.Close()
	}
	return true
}

func address(port int) string { return (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}).String() }

package main

import (
	"bytes"
	"fmt"
	"go/parser"
	"go/token"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/internal/leaktest"
)

// processEnv has the test binary be the clinic itself.
const processEnv = "CLINIC_TEST_PROCESS"

func TestMain(m *testing.M) {
	if os.Getenv(processEnv) != "" {
		main()
		return
	}
	leaktest.Main(m)
}

// TestSmall counts what the clinic's promise is about.
func TestSmall(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("main.go")
	require.NoError(t, err)
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, "main.go", source, parser.ImportsOnly)
	require.NoError(t, err)
	imports := map[int]bool{}
	for _, of := range file.Decls {
		for n := files.Position(of.Pos()).Line; n <= files.Position(of.End()).Line; n++ {
			imports[n] = true
		}
	}
	lines := 0
	for n, line := range strings.Split(string(source), "\n") {
		require.LessOrEqual(t, len(line), 120, "line %d", n+1)
		text := strings.TrimSpace(line)
		if text != "" && !strings.HasPrefix(text, "//") && !imports[n+1] {
			lines++
		}
	}
	require.LessOrEqual(t, lines, 80)
	require.NotContains(t, string(source), "/*", "a comment that is not counted right")
	internal := regexp.MustCompile(`(^|/)internal(/|$)|test$|testify`)
	for _, one := range file.Imports {
		path, err := strconv.Unquote(one.Path.Value)
		require.NoError(t, err)
		require.NotRegexp(t, internal, path)
		host, _, _ := strings.Cut(path, "/")
		ours := strings.HasPrefix(path+"/", "github.com/telemed-go/telemed/")
		require.True(t, ours || !strings.Contains(host, ".") || one.Name.String() == "_", "%s is neither ours nor a driver", path)
	}
}

// required are the variables without which the clinic does not start.
var required = []string{
	"CLINIC_KEY", "FRONTEND_URL", "GOOGLE_CLIENT_ID", "GOOGLE_CLIENT_SECRET", "GOOGLE_REDIRECT_URI",
	"ZOOM_CLIENT_ID", "ZOOM_CLIENT_SECRET", "ZOOM_REDIRECT_URI", "RAZORPAY_KEY_ID", "RAZORPAY_KEY_SECRET",
	"EMAIL_HOST", "EMAIL_FROM", "WHATSAPP_PHONE_NUMBER_ID", "WHATSAPP_ACCESS_TOKEN",
}

// process is the clinic in a folder of its own.
type process struct {
	*exec.Cmd
	stderr bytes.Buffer
}

func newProcess(t *testing.T, environ ...string) *process {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	p := &process{Cmd: exec.CommandContext(t.Context(), self)}
	p.Dir, p.Stderr = t.TempDir(), &p.stderr
	p.Env = append([]string{processEnv + "=1"}, environ...)
	return p
}

func TestNamesAllThatIsMissing(t *testing.T) {
	t.Parallel()
	port := freePort(t)
	clinic := newProcess(t, "LISTEN="+port)
	require.Error(t, clinic.Run())
	require.Equal(t, 1, clinic.ProcessState.ExitCode())
	for _, name := range required {
		require.Contains(t, clinic.stderr.String(), name)
	}
	files, err := os.ReadDir(clinic.Dir)
	require.NoError(t, err)
	require.Empty(t, files)
}

// TestNamesTheOneThatIsMissing: a variable with a typo is as good as none.
func TestNamesTheOneThatIsMissing(t *testing.T) {
	t.Parallel()
	all := startProviders(t, "http://"+freePort(t))
	for _, missing := range required {
		environ := all.environ()
		delete(environ, missing)
		clinic := newProcess(t, list(environ)...)
		require.Error(t, clinic.Run())
		require.Contains(t, clinic.stderr.String(), missing)
		for _, other := range required {
			if other != missing {
				require.NotContains(t, clinic.stderr.String(), other)
			}
		}
		files, err := os.ReadDir(clinic.Dir)
		require.NoError(t, err)
		require.Empty(t, files)
	}
}

// TestNamesTheOneThatIsWrong: whoever starts it has variables before them, and no Config.
func TestNamesTheOneThatIsWrong(t *testing.T) {
	t.Parallel()
	all := startProviders(t, "http://"+freePort(t))
	for name, value := range map[string]string{
		"FRONTEND_URL": "lotus.example", "LISTEN": "3001", "CLINIC_KEY": "short", "CORS_ORIGIN": "*", "EMAIL_PORT": "smtp",
		"GOOGLE_REDIRECT_URI": "http://lotus.example/callback", "ZOOM_BASE_URL": "zoom.us", "RAZORPAY_KEY_ID": "key",
	} {
		environ := all.environ()
		environ[name] = value
		clinic := newProcess(t, list(environ)...)
		require.Error(t, clinic.Run(), name)
		require.Contains(t, clinic.stderr.String(), name)
	}
}

func list(environ map[string]string) (all []string) {
	for name, value := range environ {
		all = append(all, name+"="+value)
	}
	return all
}

// TestSignalEndsIt ends a clinic that has nothing to do.
func TestSignalEndsIt(t *testing.T) {
	t.Parallel()
	c := openClinic(t)
	c.ends()
}

// freePort is below the ports that systems give to outgoing connections, one of which might
// take it meanwhile.
func freePort(t *testing.T) string {
	t.Helper()
	for range 100 {
		if probe, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", 10000+rand.IntN(20000))); err == nil {
			defer probe.Close()
			return probe.Addr().String()
		}
	}
	t.Fatal("no port is free")
	return ""
}

// ends stops the clinic as a deploy does.
func (c *clinic) ends() {
	c.Helper()
	begin := time.Now()
	require.NoError(c, c.process.Process.Signal(syscall.SIGTERM))
	require.NoError(c, c.process.Wait(), "%s", &c.process.stderr)
	require.Less(c, time.Since(begin), 20*time.Second)
}

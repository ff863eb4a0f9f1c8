package apitest_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/internal/apitest"
)

// noExample lists what stands in no Example, each with the reason why it needs none.
// "owed" is no reason: somebody still has to write that Example.
const noExample = "testdata/no-example.txt"

// later are packages whose insides are about to change. Their Examples come with that.
var later = []string{
	"realtime", "realtime/realtimetest", "realtime/socketio",
	"notify/smtp", "notify/smtp/smtptest", "notify/whatsapp", "notify/whatsapp/whatsapptest",
}

// readReasons returns the reason for each name in noExample.
func readReasons(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(noExample)
	require.NoError(t, err)
	reasons := map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, reason, found := strings.Cut(strings.TrimSpace(line), ": ")
		require.True(t, found && reason != "", "%q has no reason", line)
		reasons[name] = reason
	}
	return reasons
}

// What does I/O or decides something is shown in an Example.
func TestEverythingIsShown(t *testing.T) {
	t.Parallel()
	unshown, err := module(t).Unshown()
	require.NoError(t, err)
	unshown = slices.DeleteFunc(unshown, func(name string) bool {
		return slices.ContainsFunc(later, func(pkg string) bool {
			return strings.HasPrefix(name, pkg+".")
		})
	})
	reasons := readReasons(t)
	if *update {
		var lines strings.Builder
		for _, name := range unshown {
			reason := reasons[name]
			if reason == "" {
				reason = "owed"
			}
			fmt.Fprintf(&lines, "%s: %s\n", name, reason)
		}
		require.NoError(t, os.WriteFile(noExample, []byte(lines.String()), 0o644))
		reasons = readReasons(t)
	}
	for _, name := range unshown {
		require.NotEmpty(t, reasons[name], "%s stands in no Example: write one, or say in %s why it needs none", name, noExample)
		delete(reasons, name)
	}
	require.Empty(t, reasons, "these stand in an Example, or are gone: take them out of %s", noExample)
}

// A small module shows what is found: what an Example calls, what stands in none, and
// what a type has from where nobody can look it up.
func TestModule(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module example.org/m\n\ngo 1.26\n",
		"a/a.go": `package a

import (
	"example.org/m/b"
	"example.org/m/internal/core"
)

type core0 struct{ Depth int }

func (*core0) Dive() {}
func (core0) hidden() {}

type Server struct {
	*core.Engine
	core0
	*b.Shared
	Own int
}

func (*Server) Serve()        {}
func (*Server) Close()        {}
func (*Server) Error() string { return "" }

type Other = core.Secret

type Doer interface{ Do() }

func New() *Server { return nil }
func Unused()      {}
`,
		"b/b.go": "package b\n\ntype Shared struct{ Name string }\n\nfunc (Shared) Share() {}\n",
		"internal/core/core.go": `package core

type Engine struct{ URL string }

func (*Engine) Reset(hard bool) error { return nil }
func (*Engine) stop()                 {}

type Secret struct{ Text string }

func (Secret) Reveal() string { return "" }
`,
		"a/a_test.go": `package a_test

import (
	"example.org/m/a"
	"example.org/missing"
)

func Example() {
	missing.Do()
	s := a.New()
	s.Serve()
	s.Share()
	// Output:
}

func helper(s *a.Server) { s.Close() }
`,
	} {
		name = filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
		require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	}
	m, err := apitest.Load(dir, "example.org/m")
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b"}, m.Public())

	followed, err := m.Followed("a")
	require.NoError(t, err)
	require.Equal(t, []string{
		"field Other.Text string",
		"field Server.Depth int",
		"field Server.URL string",
		"func (Other) Reveal() string",
		"func (Server) Dive()",
		"func (Server) Reset(hard bool) error",
	}, followed)

	unshown, err := m.Unshown()
	require.NoError(t, err)
	require.Equal(t, []string{"a.Other.Reveal", "a.Server.Close", "a.Server.Dive", "a.Server.Reset", "a.Unused"}, unshown)
}
